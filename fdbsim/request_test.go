package fdbsim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a scheduler is told of a commit is what the conflict check goes by: snapshot
// reads are not among its reads, and a conflict range without a value is among its writes.
func TestCommitContent(t *testing.T) {
	s := NewStepper()
	c := newCluster("", Config{Scheduler: s})
	s.Go(func() {
		tr := c.OpenDatabase().CreateTransaction()
		read, looked := tr.Get([]byte("read"), false), tr.Get([]byte("looked"), true)
		_, _, _ = read.Value()
		_, _, _ = looked.Value()
		tr.Set([]byte("set"), []byte("x"))
		tr.ClearRange([]byte("a"), []byte("b"))
		tr.AddWriteConflict([]byte("fenced"), keyAfter([]byte("fenced")))
		_ = tr.Commit().Wait()
	})
	var commit *Request
	for pending := s.Quiesce(); len(pending) > 0; pending = s.Quiesce() {
		if r := pending[0]; r.Kind == KindCommit {
			commit = r
		} else {
			require.Zero(t, r.CommitContent())
		}
		s.Resolve(pending[0], Deliver)
	}
	require.NotNil(t, commit)
	require.Equal(t, CommitContent{
		Reads:  []KeyRange{singleKey([]byte("read"))},
		Writes: []KeyRange{{[]byte("a"), []byte("b")}, singleKey([]byte("fenced")), singleKey([]byte("set"))},
		Sets:   []KeyValue{{[]byte("set"), []byte("x")}},
	}, commit.CommitContent())
}
