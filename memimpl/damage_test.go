package memimpl

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/kelpie-registry/registry"
)

// exampleFile returns the bytes of a registry file that has pages of every kind:
// branches, leaves, free ones.
func exampleFile(t testing.TB) (content []byte, shows string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example")
	s := openStore(t, path, nil)
	h := openHandle(t, s)
	var leases []registry.Lease
	nodes := []registry.NodeRef{mustRegister(t, h, "n1"), mustRegister(t, h, "n2")}
	for i := range 300 { // staged together below
		leases = append(leases, registry.Lease{Actor: named(fmt.Sprintf("actor-%03d", i)), Holder: nodes[i%2]})
	}
	answers := make(chan error)
	for _, l := range leases {
		go func() { _, err := h.Claim(ctx, l.Actor, l.Holder, registry.ClaimID{1}); answers <- err }()
	}
	for range leases {
		require.NoError(t, <-answers)
	}
	mustClaim(t, h, named("held"), nodes[0])
	require.NoError(t, h.Release(ctx, mustClaim(t, h, named("free"), nodes[1])))
	shows = contents(t, s)
	require.NoError(t, s.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content, shows
}

// tryOpen opens a file of that content and returns what it shows.
func tryOpen(t testing.TB, path string, content []byte) (string, error) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
	s, err := New(short, OnFile(path))
	if err != nil {
		return "", err
	}
	defer s.Close()
	return contents(t, s), nil
}

func isDiagnosed(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrForeign) || errors.Is(err, ErrFormat)
}

// TestFlippedBits: a flipped bit is detected, or it is in space that is not in use
// and the file shows what it showed. Nothing panics, nothing is silently lost.
func TestFlippedBits(t *testing.T) {
	content, shows := exampleFile(t)
	path, rnd := filepath.Join(t.TempDir(), "flipped"), rand.New(rand.NewPCG(3, 3))
	same, err := tryOpen(t, path, content)
	require.NoError(t, err)
	require.Equal(t, shows, same)

	flips, detected := 400, 0
	for i := range flips {
		at := rnd.IntN(len(content))
		if i%4 == 0 { // headers of pages more often than chance has it
			at = at/4096*4096 + rnd.IntN(96)
		}
		bit := byte(1) << rnd.IntN(8)
		content[at] ^= bit
		now, err := tryOpen(t, path, content)
		if err != nil {
			require.Truef(t, isDiagnosed(err), "byte %d, bit %x: %v", at, bit, err)
			detected++
		} else {
			require.Equalf(t, shows, now, "byte %d, bit %x", at, bit)
		}
		content[at] ^= bit
	}
	t.Logf("%d flips, %d detected, the others in unused space", flips, detected)
	require.Greater(t, detected, flips/10)
}

// TestTornFiles: a file that was cut off, or of which a page is zero or stale, is
// damaged, or shows what it showed.
func TestTornFiles(t *testing.T) {
	content, shows := exampleFile(t)
	path := filepath.Join(t.TempDir(), "torn")
	var cut, zeroed int
	for at := 0; at < len(content); at += 4096 {
		for _, n := range []int{at, at + 1, at + 2048} {
			if now, err := tryOpen(t, path, content[:n]); err != nil {
				require.True(t, isDiagnosed(err), "cut at %d: %v", n, err)
				cut++
			} else {
				require.Equal(t, shows, now, "cut at %d", n)
			}
		}
		zero := bytes.Clone(content)
		clear(zero[at : at+4096])
		if now, err := tryOpen(t, path, zero); err != nil {
			require.True(t, isDiagnosed(err), "page at %d zero: %v", at, err)
			zeroed++
		} else {
			require.Equal(t, shows, now, "page at %d zero", at)
		}
	}
	t.Logf("%d cuts and %d zeroed pages detected of a file of %d pages", cut, zeroed, len(content)/4096)
	require.Positive(t, cut)
	require.Positive(t, zeroed)
}

// TestValuesOfAnotherTime: values that are whole by themselves but missing, under
// another key, doubled or of an older transaction contradict the manifest.
func TestValuesOfAnotherTime(t *testing.T) {
	content, _ := exampleFile(t)
	actors := buckets[kindActor]
	key, other := actorKey(named("actor-007")), actorKey(named("actor-008"))
	for name, tamper := range map[string]func(tx *bolt.Tx) error{
		"missing":     func(tx *bolt.Tx) error { return tx.Bucket(actors).Delete(key) },
		"another key": func(tx *bolt.Tx) error { return tx.Bucket(actors).Put(key, tx.Bucket(actors).Get(other)) },
		"doubled": func(tx *bolt.Tx) error {
			return tx.Bucket(actors).Put(actorKey(named("new")), tx.Bucket(actors).Get(other))
		},
		"older": func(tx *bolt.Tx) error {
			p, err := decodeRecord(key, tx.Bucket(actors).Get(key))
			if err != nil {
				return err
			}
			p.Expiry--
			_, value := encodeRecord(p)
			return tx.Bucket(actors).Put(key, value)
		},
		"node missing": func(tx *bolt.Tx) error { return tx.Bucket(buckets[kindNode]).Delete([]byte("n1")) },
		"no bucket":    func(tx *bolt.Tx) error { return tx.DeleteBucket(actors) },
	} {
		path := filepath.Join(t.TempDir(), "tampered")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
		require.NoError(t, err)
		require.NoError(t, db.Update(tamper), name)
		require.NoError(t, db.Close())
		_, err = New(short, OnFile(path))
		require.ErrorIs(t, err, ErrDamaged, name)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, p := range []registry.Placement{
		{Actor: named("x"), Holder: registry.NodeRef{ID: "n", Epoch: 3}, Token: 2, Version: 7, Expiry: -1, ClaimID: registry.ClaimID{9}},
		{Actor: named("x"), Token: 1, Version: 2},
	} {
		key, value := encodeRecord(p)
		f.Add(key, value[sumSize:])
	}
	f.Fuzz(func(t *testing.T, key, body []byte) {
		value := seal(kindActor, key, append(make([]byte, sumSize), body...))
		p, err := decodeRecord(key, value)
		if err != nil {
			return
		}
		k, v := encodeRecord(p)
		require.Equal(t, key, k)
		require.Equal(t, value, v)
		value[len(value)-1] ^= 1
		_, err = decodeRecord(key, value)
		require.ErrorIs(t, err, errChecksum)
	})
}

func FuzzDecodeNode(f *testing.F) {
	key, value := encodeNode(registry.Node{Ref: registry.NodeRef{ID: "n", Epoch: 3}, Info: registry.NodeInfo{Address: "é"}, Status: registry.NodeLeft, LastSeen: 5})
	f.Add(key, value[sumSize:])
	f.Fuzz(func(t *testing.T, key, body []byte) {
		value := seal(kindNode, key, append(make([]byte, sumSize), body...))
		n, err := decodeNode(key, value)
		if err != nil {
			return
		}
		k, v := encodeNode(n)
		require.Equal(t, key, k)
		require.Equal(t, value, v)
	})
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add(encodeManifest(manifest{cfg: registry.DefaultConfig(), values: 3, sum: 1 << 63})[sumSize:])
	f.Fuzz(func(t *testing.T, body []byte) {
		value := seal(kindManifest, manifestKey, append(make([]byte, sumSize), body...))
		m, err := decodeManifest(value)
		if err != nil {
			require.True(t, isDiagnosed(err), err)
			return
		}
		require.Equal(t, value, encodeManifest(m))
	})
}

// FuzzCheckPages: no bytes make the check panic or run for ever, and what passes
// it bbolt can walk.
func FuzzCheckPages(f *testing.F) {
	content, _ := exampleFile(f)
	f.Add(content[:min(len(content), 16*4096)], 0, byte(0))
	f.Add(content, 4096+16, byte(1))
	path := filepath.Join(f.TempDir(), "fuzz")
	f.Fuzz(func(t *testing.T, patch []byte, at int, flip byte) {
		b := bytes.Clone(content)
		if at = at % len(b); at < 0 {
			at += len(b)
		}
		copy(b[at:], patch)
		b[at] ^= flip
		if err := checkPages(bytes.NewReader(b)); err != nil {
			require.True(t, isDiagnosed(err), err)
			return
		}
		_, err := tryOpen(t, path, b)
		if err != nil {
			require.True(t, isDiagnosed(err), err)
		}
	})
}
