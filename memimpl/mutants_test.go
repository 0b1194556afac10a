package memimpl

import (
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// The tests of this file were written for mutants of the code that nothing else
// noticed (docs/mutation.md).

// stagedBehind runs write and returns once its change is the n-th of the open batch.
func (w *gated) stagedBehind(n int, writes chan<- error, write func() error) {
	go func() { writes <- write() }()
	for staged := 0; staged < n; runtime.Gosched() {
		w.s.journal.mu.Lock()
		staged = len(w.s.journal.open.changes)
		w.s.journal.mu.Unlock()
	}
}

// TestHalfUndoneIsNotShown: two batches are undone that changed the same record and
// the same registration. When the later one is undone and the earlier one is not
// yet, memory has values that never were on the file and never will be: no answer
// tells of them (Durability, Linearizability; contract, section 4). Under the race
// detector it shows as well that undoing takes the locks of what it undoes.
func TestHalfUndoneIsNotShown(t *testing.T) {
	w := newGated(t, filepath.Join(t.TempDir(), "registry"))
	held, elsewhere := w.s.shard(named("held")), named("0")
	for i := 1; w.s.shard(elsewhere) == held; i++ {
		elsewhere = named(string(rune('a' + i)))
	}
	at := func(now registry.Instant) *Registry {
		h, err := w.s.Open(short, registry.NewManualClock(now))
		require.NoError(t, err)
		return h
	}
	first, second := at(1001), at(1002)
	renew := func(h *Registry) func() error {
		return func() error { _, err := h.Renew(ctx, w.held); return err }
	}
	writes := make(chan error, 6)
	go func() { writes <- w.h.Heartbeat(ctx, w.other) }()
	require.Equal(t, 1, <-w.g.arrived)
	w.stagedBehind(1, writes, renew(first))
	w.stagedBehind(2, writes, func() error { return first.Heartbeat(ctx, w.node) })
	w.stagedBehind(3, writes, func() error {
		_, err := w.h.Claim(ctx, elsewhere, w.node, registry.ClaimID{1})
		return err
	})
	w.g.outcome <- nil
	require.Equal(t, 3, <-w.g.arrived)
	require.NoError(t, <-writes)
	w.stagedBehind(1, writes, renew(second))
	w.stagedBehind(2, writes, func() error { return second.Heartbeat(ctx, w.node) })

	stop := w.s.shard(elsewhere)
	stop.mu.Lock() // undoing stops between the two batches
	w.g.outcome <- syscall.ENOSPC
	for half := false; !half; runtime.Gosched() {
		_, p := w.h.lookup(named("held"))
		_, n := w.h.readMember(w.s.nodes.find("n1"))
		half = p.Version == w.held.Version+1 && n.LastSeen == 1001
	}
	_, _, lookup := w.h.Lookup(expired(), named("held"))
	_, _, getNode := w.h.GetNode(expired(), "n1")
	stop.mu.Unlock()
	require.Error(t, lookup, "the record was shown with a change that is being undone")
	require.Error(t, getNode, "the registration was shown with a change that is being undone")
	for range 5 {
		require.ErrorIs(t, <-writes, registry.ErrUnavailable)
	}
	p, _, err := w.h.Lookup(ctx, named("held"))
	require.NoError(t, err)
	require.Equal(t, w.held.Version, p.Version)
	n, _, err := w.h.GetNode(ctx, "n1")
	require.NoError(t, err)
	require.EqualValues(t, 1000, n.LastSeen)
}

// TestLeavingDisturbsNoOtherWait: of the waits for one actor, one ends early, and
// one leaves late, when a next wait has begun. The others are woken by the next
// change all the same (Watch returns when the version differs).
func TestLeavingDisturbsNoOtherWait(t *testing.T) {
	s, err := New(short)
	require.NoError(t, err)
	h, actor := openHandle(t, s), named("a")
	node, sh := mustRegister(t, h, "n1"), s.shard(named("a"))
	wait := func(seen registry.Version) *watch {
		_, _, w := h.seek(sh, actor, seen)
		require.NotNil(t, w)
		return w
	}
	early, late := wait(0), wait(0)
	sh.leave(actor, early)
	lease := mustClaim(t, h, actor, node)
	require.True(t, isClosed(late.changed), "the claim wakes who still waits")

	next := wait(lease.Version)
	sh.leave(actor, late)
	_, err = h.Renew(ctx, lease)
	require.NoError(t, err)
	require.True(t, isClosed(next.changed), "the renewal wakes the wait that began after the claim")
	sh.leave(actor, next)
	require.Empty(t, sh.watches)
}

// TestBatchWaitsForTheFile: a renewal in a batch is told when it is on the file, as
// a single one is (Durability; contract, section 4).
func TestBatchWaitsForTheFile(t *testing.T) {
	w := newGated(t, filepath.Join(t.TempDir(), "registry"))
	results := w.h.RenewBatch(expired(), []registry.Lease{w.held})
	var ambiguous *registry.AmbiguousError
	require.ErrorAs(t, results[0].Err, &ambiguous)
	require.True(t, ambiguous.MayStillApply)
	require.Zero(t, results[0].Lease)
	w.g.pass(1)
	p, _, err := w.h.Lookup(ctx, named("held"))
	require.NoError(t, err)
	require.Equal(t, w.held.Version+1, p.Version)
}
