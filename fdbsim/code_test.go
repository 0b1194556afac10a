package fdbsim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The predicates of row P01; every other code has none.
func TestPredicates(t *testing.T) {
	notCommitted := map[Code]bool{1007: true, 1009: true, 1020: true, 1037: true, 1038: true, 1042: true, 1051: true, 1078: true, 1213: true}
	maybe := map[Code]bool{1021: true, 1039: true}
	for c := range Code(3000) {
		require.Equal(t, maybe[c], c.MaybeCommitted(), "maybe committed %d", c)
		require.Equal(t, notCommitted[c], c.RetryableNotCommitted(), "retryable not committed %d", c)
		require.Equal(t, maybe[c] || notCommitted[c], c.Retryable(), "retryable %d", c)
	}
	require.Equal(t, "UNKNOWN_ERROR", Code(1).Text())
}

// A destroyed transaction leaves no timer behind, however far away its timeout was.
func TestTimersEndWithTheirTransaction(t *testing.T) {
	c := newCluster("", Config{})
	for range 10 {
		tr := setting(c, "k")
		require.NoError(t, tr.Commit().Wait())
		tr.Destroy()
	}
	require.Empty(t, c.timers)
}

// A versionstamped parameter is either refused or gets its stamp in place, and loses its offset.
func FuzzStampPlace(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 14))
	f.Add(append(make([]byte, 13), 1, 0, 0, 0))
	f.Add(append(make([]byte, 10), 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, param []byte) {
		body, at, ok := stampPlace(param)
		if !ok {
			return
		}
		stamp := versionstamp(0x0102030405060708, 0x090a)
		out := stamped(param, stamp)
		require.Len(t, out, len(param)-stampOffsetSize)
		require.Equal(t, stamp, out[at:at+stampSize])
		require.Equal(t, body[:at], out[:at])
		require.Equal(t, body[at+stampSize:], out[at+stampSize:])
		require.True(t, stampKeyRange(param).contains(out))
	})
}

// Any connection string opens a database; a malformed one makes every operation fail.
func FuzzConnectionString(f *testing.F) {
	for _, s := range []string{"", "# only a comment", "a:b@127.0.0.1:4500", "a:b@[::1]:4500:tls,h:1\n", "a@b", "a:b@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		db := OpenConnectionString(text)
		tr := db.CreateTransaction()
		err := tr.Get([]byte("k"), false).Wait()
		if err != nil {
			require.Equal(t, codeConnectionStringInvalid, err)
		}
		tr.Destroy()
	})
}
