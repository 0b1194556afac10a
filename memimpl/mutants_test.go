package memimpl

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
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
	elsewhere := w.elsewhere("held")
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

	stop, _ := w.s.shard(elsewhere)
	stop.mu.Lock() // undoing stops between the two batches
	w.g.outcome <- syscall.ENOSPC
	for half := false; !half; runtime.Gosched() {
		p, n := w.s.lookup(named("held")).placement, w.s.nodes.find("n1").now().node
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
	node := mustRegister(t, h, "n1")
	sh, sum := s.shard(actor)
	wait := func(seen registry.Version) *watch {
		_, _, w := h.seek(sh, sum, actor, seen)
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

// TestRegistrationOfANameThatIsForgotten: a registration that waits for a member that
// is deleted meanwhile, because its own registration was undone, is made all the same,
// where everybody finds it.
func TestRegistrationOfANameThatIsForgotten(t *testing.T) {
	s, err := New(short)
	require.NoError(t, err)
	h, forgotten := openHandle(t, s), s.nodes.enter("n1")
	forgotten.mu.lane(0).RLock()
	registered := make(chan error)
	go func() {
		_, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.IfAbsent)
		registered <- err
	}()
	for forgotten.mu.lane(0).TryRLock() { // until it waits
		forgotten.mu.lane(0).RUnlock()
		runtime.Gosched()
	}
	s.nodes.deleteUnregistered(forgotten)
	forgotten.mu.lane(0).RUnlock()
	require.NoError(t, <-registered)
	_, found, err := h.GetNode(ctx, "n1")
	require.NoError(t, err)
	require.True(t, found)
	require.True(t, forgotten.mu.lane(0).TryLock(), "it is left locked")
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

// TestKeepingAliveTouchesNoIndex: a renewal and a heartbeat leave the indexes alone,
// so a listing beside them has each actor and node once (doc of ListActors).
func TestKeepingAliveTouchesNoIndex(t *testing.T) {
	s, err := New(short)
	require.NoError(t, err)
	h := openHandle(t, s)
	node := mustRegister(t, h, "n1")
	lease := mustClaim(t, h, named("a"), node)
	sh, _ := s.shard(lease.Actor)
	require.False(t, sh.index().empty())
	for i := range s.nodes.byStatus {
		s.nodes.byStatus[i].compare = func(*member, *member) int {
			t.Error("the heartbeat touches the directory")
			return 0
		}
	}
	_, err = h.Renew(ctx, lease)
	require.NoError(t, err)
	require.Empty(t, sh.unfiled, "the renewal touches the index of the holder")
	require.NoError(t, h.Heartbeat(ctx, node))
}

// TestUnlistedStoreStaysSmall: records that come and go while nobody lists them are not
// kept for the listing, whether a purge takes them out or a disk that is full.
func TestUnlistedStoreStaysSmall(t *testing.T) {
	clock := registry.NewManualClock(1000)
	s, err := New(short, Retain(0))
	require.NoError(t, err)
	h, err := s.Open(short, clock)
	require.NoError(t, err)
	node := mustRegister(t, h, "n1")
	for i := range 200 {
		for j := range 256 {
			require.NoError(t, h.Release(ctx, mustClaim(t, h, named(fmt.Sprint(i, j)), node)))
		}
		clock.Advance(time.Hour)
		_, err := h.Purge(ctx)
		require.NoError(t, err)
	}
	for i := range s.shards {
		require.Less(t, len(s.shards[i].unfiled), 2*unfiledSpare, "of 51,200 actors")
	}
}

// TestIndexOfARecordPutBack: a purge that is taken back leaves two records of one actor
// to be filed, of which the index has the one that is held.
func TestIndexOfARecordPutBack(t *testing.T) {
	s, err := New(short)
	require.NoError(t, err)
	h := openHandle(t, s)
	node := mustRegister(t, h, "n1")
	lease := mustClaim(t, h, named("a"), node)
	sh, sum := s.shard(lease.Actor)
	old := sh.find(lease.Actor, sum)
	require.False(t, sh.index().empty())
	before := old.now()
	_, err = s.forget(sh, old)
	require.NoError(t, err)
	(&purgeChange{actor: lease.Actor, before: before}).undo(s)
	rows := sh.listed(node, registry.ActorID{}, 10)
	require.Len(t, rows, 1)
	require.NoError(t, h.Release(ctx, lease))
	require.True(t, sh.index().empty(), "the one that is gone is not in it")
}

// TestFullLastPageIsTheLast: the page with the last row ends the listing, full or
// not: nobody asks for an empty page after it.
func TestFullLastPageIsTheLast(t *testing.T) {
	s, err := New(short)
	require.NoError(t, err)
	h := openHandle(t, s)
	node := mustRegister(t, h, "n1")
	mustRegister(t, h, "n2")
	mustClaim(t, h, named("a"), node)
	mustClaim(t, h, named("b"), node)
	for limit, more := range map[int]bool{1: true, 2: false, 3: false} {
		actors, next, err := h.ListActors(ctx, node, registry.Page{Limit: limit})
		require.NoError(t, err)
		require.Len(t, actors, min(limit, 2))
		require.Equal(t, more, next != "", "actors, limit %d", limit)
		nodes, next, err := h.ListNodes(ctx, registry.NodeActive, registry.Page{Limit: limit})
		require.NoError(t, err)
		require.Len(t, nodes, min(limit, 2))
		require.Equal(t, more, next != "", "nodes, limit %d", limit)
	}
}

// TestNoChangeIsTakenAfterClose: not even when the commit that was under way fails
// and the store would otherwise go on: it would never be committed.
func TestNoChangeIsTakenAfterClose(t *testing.T) {
	w := newGated(t, filepath.Join(t.TempDir(), "registry"))
	w.stage(ctx)
	closed := make(chan error)
	go func() { closed <- w.s.Close() }()
	for stopped := false; !stopped; runtime.Gosched() {
		w.s.journal.mu.Lock()
		stopped = w.s.journal.stopped
		w.s.journal.mu.Unlock()
	}
	w.g.outcome <- syscall.ENOSPC
	for range cap(w.writes) {
		require.ErrorIs(t, <-w.writes, registry.ErrUnavailable)
	}
	require.NoError(t, <-closed)
	_, err := w.s.journal.stage(&recordChange{})
	require.ErrorIs(t, err, registry.ErrClosed)
}

// TestCloseTellsTheFilesError: and so does a second one (doc of Store.Close).
func TestCloseTellsTheFilesError(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "registry"), func(d disk) disk { return badClose{d} })
	require.ErrorIs(t, s.Close(), syscall.EIO)
	require.ErrorIs(t, s.Close(), syscall.EIO)
}

type badClose struct{ disk }

func (b badClose) close() error { return errors.Join(syscall.EIO, b.disk.close()) }

// TestLockTimeout: how long New waits for a file in use (doc of LockTimeout).
func TestLockTimeout(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "registry")
	openStore(t, path, nil)
	_, err := New(short, OnFile(path), LockTimeout(1))
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "(waited 1ns)")
	_, err = New(short, OnFile(path))
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "(waited 1s)")
}

// TestCommittedChangesAreForgotten: a change refers to the batch of the value before
// it, so a batch that kept its changes would keep every batch there ever was.
func TestCommittedChangesAreForgotten(t *testing.T) {
	h := openHandle(t, openStore(t, filepath.Join(t.TempDir(), "registry"), nil))
	node := mustRegister(t, h, "n1")
	mustClaim(t, h, named("a"), node)
	require.Nil(t, h.store.lookup(named("a")).batch.changes)
	require.Nil(t, h.store.nodes.find("n1").now().batch.changes)
}

// TestErrorsComeAlone: what could not be made durable is not told beside the error.
func TestErrorsComeAlone(t *testing.T) {
	failing := false
	h := openHandle(t, openStore(t, filepath.Join(t.TempDir(), "registry"), func(d disk) disk { return full{d, &failing} }))
	node := mustRegister(t, h, "n1")
	lease := mustClaim(t, h, named("a"), node)
	failing = true
	n, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.Supersede)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.Zero(t, n)
	n, err = h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.ErrorIs(t, err, registry.ErrNodeExists)
	require.Zero(t, n)
	renewed, err := h.Renew(ctx, lease)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.Zero(t, renewed)
	for _, r := range h.RenewBatch(ctx, []registry.Lease{lease, {}}) {
		require.Error(t, r.Err)
		require.Zero(t, r.Lease)
	}
}

// full is a disk without space, once it is told to be.
type full struct {
	disk
	now *bool
}

func (f full) commit(changes []change) error {
	if *f.now {
		return syscall.ENOSPC
	}
	return f.disk.commit(changes)
}

// TestHolderThatWasNeverRegistered: a record on the file whose holder's epoch no
// registration ever reached is damage, though every value is whole: the epoch would
// be granted again (durable epochs never go back; contract, section 4).
func TestHolderThatWasNeverRegistered(t *testing.T) {
	for name, epoch := range map[string]registry.Epoch{"another node": 0, "a later epoch": 1} {
		path := filepath.Join(t.TempDir(), "registry")
		batch := appendRecord(nil, registry.Placement{
			Actor: named("a"), Holder: registry.NodeRef{ID: "n1", Epoch: epoch + 1}, Token: 1, Version: 1,
		})
		if epoch > 0 {
			ref := registry.NodeRef{ID: "n1", Epoch: epoch}
			batch = appendNode(batch, registry.Node{Ref: ref, Status: registry.NodeActive})
		}
		log, err := logfile.Open(logfile.OS{}, path, 0, logfile.State{
			Header: encodeHeader(short), Snapshot: func(emit func([]byte) error) error { return emit(batch) },
		})
		require.NoError(t, err)
		require.NoError(t, log.Close())
		for range 2 { // the file is closed again
			_, err = New(short, OnFile(path), LockTimeout(1))
			require.ErrorIs(t, err, ErrDamaged, name)
			require.ErrorContains(t, err, "never registered", name)
		}
	}
}

// TestOrderedSplitsAndJoins: at the sizes that its doc names, on either side.
func TestOrderedSplitsAndJoins(t *testing.T) {
	for _, first := range []int{0, 1} {
		o := ordered[int]{compare: cmp.Compare[int]}
		for v := range maxChunk {
			o.insert(v)
		}
		require.Len(t, o.chunks, 1, "a full chunk is one chunk")
		o.insert(maxChunk)
		require.Len(t, o.chunks, 2)
		for _, side := range []int{first, 1 - first} { // to a quarter each
			for chunk := o.chunks[side]; len(chunk) > maxChunk/4; chunk = o.chunks[side] {
				require.Len(t, o.chunks, 2)
				o.remove(chunk[0])
				if len(o.chunks) == 1 {
					break
				}
			}
		}
		require.Len(t, o.chunks, 1, "half a chunk holds both, of which chunk %d was emptied last", 1-first)
		require.Len(t, o.chunks[0], maxChunk/2)
	}
}
