package memimpl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl/internal/faultfs"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
)

var ctx = context.Background()

// openStore opens a durable store whose disk is seen by wrap.
func openStore(t testing.TB, path string, wrap func(disk) disk) *Store {
	t.Helper()
	on := production
	if wrap != nil {
		on.between = wrap
	}
	s, err := newStore(on, short, []Option{OnFile(path), LockTimeout(10 * time.Millisecond)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openHandle(t testing.TB, s *Store) *Registry {
	t.Helper()
	h, err := s.Open(short, registry.NewManualClock(1000))
	require.NoError(t, err)
	return h
}

func mustRegister(t testing.TB, h *Registry, id registry.NodeID) registry.NodeRef {
	t.Helper()
	n, err := h.RegisterNode(ctx, id, registry.NodeInfo{Address: "at " + string(id)}, registry.Supersede)
	require.NoError(t, err)
	return n.Ref
}

func mustClaim(t testing.TB, h *Registry, actor registry.ActorID, node registry.NodeRef) registry.Lease {
	t.Helper()
	l, err := h.Claim(ctx, actor, node, registry.ClaimID{1})
	require.NoError(t, err)
	return l
}

// contents is everything that a store shows.
func contents(t testing.TB, s *Store) string {
	t.Helper()
	h, out := openHandle(t, s), ""
	for n, err := range registry.AllNodes(ctx, h, registry.AnyStatus) {
		require.NoError(t, err)
		out += fmt.Sprintf("%+v\n", n)
		for epoch := registry.Epoch(1); epoch <= n.Ref.Epoch; epoch++ {
			for p, err := range registry.AllActors(ctx, h, registry.NodeRef{ID: n.Ref.ID, Epoch: epoch}) {
				require.NoError(t, err)
				out += fmt.Sprintf("%+v\n", p)
			}
		}
	}
	for _, name := range []string{"held", "free", "x", "y", "z"} {
		p, found, err := h.Lookup(ctx, named(name))
		require.NoError(t, err)
		out += fmt.Sprintf("%+v %v\n", p, found)
	}
	return out
}

func named(name string) registry.ActorID { return registry.ActorID{Namespace: "a", Name: name} }

// gate is a disk that commits when it is let, with the outcome it is told.
type gate struct {
	disk
	arrived chan int      // a commit of so many changes began
	outcome chan error    // its outcome; nil: what the disk says
	gone    chan struct{} // closed when the test is over: one that failed must end
}

func newGate(d disk) *gate {
	return &gate{disk: d, arrived: make(chan int), outcome: make(chan error), gone: make(chan struct{})}
}

func (g *gate) commit(changes []change) error {
	select {
	case g.arrived <- len(changes):
	case <-g.gone:
	}
	select {
	case err := <-g.outcome:
		if err != nil {
			return err
		}
	case <-g.gone:
	}
	return g.disk.commit(changes)
}

// pass lets n commits through.
func (g *gate) pass(n int) {
	for range n {
		<-g.arrived
		g.outcome <- nil
	}
}

// gated is a store with two nodes, of which "other" may already be failed, a held
// actor and a free one, on the file; and then, staged and not yet on the file, a
// release of the held one, a claim of the free one, a third node, and "other" failed.
type gated struct {
	*testing.T
	g           *gate
	s           *Store
	h           *Registry
	node, other registry.NodeRef
	held        registry.Lease
	writes      chan error
}

func newGated(t *testing.T, path string) *gated {
	w := &gated{T: t, writes: make(chan error, 4)}
	w.s = openStore(t, path, func(d disk) disk { w.g = newGate(d); return w.g })
	t.Cleanup(func() { close(w.g.gone) }) // before the store is closed
	w.h = openHandle(t, w.s)
	go w.g.pass(3)
	w.node, w.other = mustRegister(t, w.h, "n1"), mustRegister(t, w.h, "n2")
	w.held = mustClaim(t, w.h, named("held"), w.node)
	return w
}

// stage makes the four changes; the first is being committed when it returns, the
// others wait for the next commit.
func (w *gated) stage(ctx context.Context) {
	later, err := w.s.Open(short, registry.NewManualClock(1100))
	require.NoError(w, err)
	for i, write := range []func() error{
		func() error { return w.h.Release(ctx, w.held) },
		func() error { _, err := w.h.Claim(ctx, named("free"), w.node, registry.ClaimID{1}); return err },
		func() error {
			_, err := w.h.RegisterNode(ctx, "n3", registry.NodeInfo{}, registry.IfAbsent)
			return err
		},
		func() error { return later.MarkFailed(ctx, w.other) },
	} {
		go func() { w.writes <- write() }()
		if i == 0 {
			require.Equal(w, 1, <-w.g.arrived)
			continue
		}
		for staged := 0; staged < i; { // until it is in the open batch
			w.s.journal.mu.Lock()
			staged = len(w.s.journal.open.changes)
			w.s.journal.mu.Unlock()
		}
	}
}

// looks is every operation that tells something of the staged changes and changes
// nothing, with the answer it must give once they are on the file.
func (w *gated) looks() map[string]func(ctx context.Context) error {
	want := func(err, want error) error {
		if errors.Is(err, want) {
			return nil
		}
		return err
	}
	return map[string]func(ctx context.Context) error{
		"Lookup of the released": func(ctx context.Context) error { _, _, err := w.h.Lookup(ctx, named("held")); return err },
		"Lookup of the claimed":  func(ctx context.Context) error { _, _, err := w.h.Lookup(ctx, named("free")); return err },
		"Validate":               func(ctx context.Context) error { return w.h.Validate(ctx, named("free"), 1) },
		"Validate refused": func(ctx context.Context) error {
			return want(w.h.Validate(ctx, named("held"), 1), registry.ErrNotHeld)
		},
		"Claim refused": func(ctx context.Context) error {
			_, err := w.h.Claim(ctx, named("free"), w.node, registry.ClaimID{2})
			return want(err, registry.ErrHeld)
		},
		"Claim repeated": func(ctx context.Context) error {
			_, err := w.h.Claim(ctx, named("free"), w.node, registry.ClaimID{1})
			return err
		},
		"Claim of a failed node": func(ctx context.Context) error {
			_, err := w.h.Claim(ctx, named("z"), w.other, registry.ClaimID{1})
			return want(err, registry.ErrNodeFailed)
		},
		"Renew refused": func(ctx context.Context) error {
			_, err := w.h.Renew(ctx, w.held)
			return want(err, registry.ErrNotHeld)
		},
		"Release repeated": func(ctx context.Context) error { return w.h.Release(ctx, w.held) },
		"Transfer refused": func(ctx context.Context) error {
			_, err := w.h.Transfer(ctx, w.held, w.node)
			return want(err, registry.ErrNotHeld)
		},
		"Watch":      func(ctx context.Context) error { _, err := w.h.Watch(ctx, named("held"), 1); return err },
		"ListActors": func(ctx context.Context) error { _, _, err := w.h.ListActors(ctx, w.node, registry.Page{}); return err },
		"GetNode":    func(ctx context.Context) error { _, _, err := w.h.GetNode(ctx, "n3"); return err },
		"ListNodes": func(ctx context.Context) error {
			_, _, err := w.h.ListNodes(ctx, registry.NodeFailed, registry.Page{})
			return err
		},
		"MarkFailed repeated": func(ctx context.Context) error { return w.h.MarkFailed(ctx, w.other) },
		"Heartbeat refused": func(ctx context.Context) error {
			return want(w.h.Heartbeat(ctx, w.other), registry.ErrNodeFailed)
		},
		"RegisterNode refused": func(ctx context.Context) error {
			_, err := w.h.RegisterNode(ctx, "n3", registry.NodeInfo{}, registry.IfAbsent)
			return want(err, registry.ErrNodeExists)
		},
	}
}

// expired returns a context that ends only once the operation has asked for it a
// second time: when it begins to wait.
func expired() context.Context { return &lateContext{Context: ctx, done: make(chan struct{})} }

type lateContext struct {
	context.Context
	once sync.Once
	done chan struct{}
	over atomic.Bool
}

func (c *lateContext) Done() <-chan struct{} {
	c.once.Do(func() { c.over.Store(true); close(c.done) })
	return c.done
}

func (c *lateContext) Err() error {
	if c.over.Load() {
		return context.DeadlineExceeded
	}
	return nil
}

// TestNothingIsShownBeforeItIsDurable: no answer, not even a refusal, a no-op or a
// listing, tells of a change that is not on the file: a crash after the answer
// would take back what it told (Durability, Linearizability; contract, section 4).
func TestNothingIsShownBeforeItIsDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	w := newGated(t, path)
	w.stage(ctx)
	for name, look := range w.looks() {
		err := look(expired())
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.NotErrorIs(t, err, registry.ErrAmbiguous, "%s changes nothing", name)
	}
	answers := make(chan error)
	for name, look := range w.looks() {
		go func() {
			if err := look(ctx); err != nil {
				answers <- fmt.Errorf("%s: %w", name, err)
				return
			}
			answers <- nil
		}()
	}
	p, found, err := w.h.Lookup(expired(), named("x")) // what no staged change is about
	require.NoError(t, err)
	require.False(t, found, p)
	listing, err := w.s.journal.everything(0)
	require.NoError(t, err)
	w.g.outcome <- nil
	require.Equal(t, 3, <-w.g.arrived, "three changes share a commit")
	require.ErrorIs(t, listing.await(expired()), context.DeadlineExceeded, "a listing waits for both commits")
	w.g.outcome <- nil
	require.NoError(t, listing.await(ctx))
	for range w.looks() {
		require.NoError(t, <-answers)
	}
	for range cap(w.writes) {
		require.NoError(t, <-w.writes)
	}
	before := contents(t, w.s)
	require.NoError(t, w.s.Close())
	require.Equal(t, before, contents(t, openStore(t, path, nil)))
}

// TestWriteWhoseCallerLeaves: the write was queued and goes on, so the answer is
// an ambiguity that may still apply (contract, section 3).
func TestWriteWhoseCallerLeaves(t *testing.T) {
	w := newGated(t, filepath.Join(t.TempDir(), "registry"))
	err := w.h.Release(expired(), w.held)
	var ambiguous *registry.AmbiguousError
	require.ErrorAs(t, err, &ambiguous)
	require.True(t, ambiguous.MayStillApply)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	w.g.pass(1)
	p, _, err := w.h.Lookup(ctx, named("held"))
	require.NoError(t, err)
	require.False(t, p.Held())
}

// TestCommitThatWroteNothing: everything that was staged is undone, whoever waited
// is told that nothing happened, and the store goes on.
func TestCommitThatWroteNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	w := newGated(t, path)
	before, listingBegan := contents(t, w.s), w.s.journal.rollbacks()
	w.stage(ctx)
	looks := map[string]chan error{}
	for name, look := range w.looks() {
		answer := make(chan error, 1)
		looks[name] = answer
		late := &lateContext{Context: ctx, done: make(chan struct{})}
		go func() { answer <- look(signal{late, late.done}) }()
		<-late.done // it waits
	}
	w.g.outcome <- syscall.ENOSPC
	for range cap(w.writes) {
		err := <-w.writes
		require.ErrorIs(t, err, registry.ErrUnavailable)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NotErrorIs(t, err, registry.ErrAmbiguous)
	}
	for name, answer := range looks {
		require.ErrorIs(t, <-answer, registry.ErrUnavailable, name)
	}
	require.Equal(t, before, contents(t, w.s))
	_, _, err := listing(ctx, w.s.journal, listingBegan, []int{1}, "")
	require.ErrorIs(t, err, registry.ErrUnavailable, "a listing that began before may show what was undone")
	// The third node's name was entered and must be as if it never was.
	n, found, err := w.h.GetNode(ctx, "n3")
	require.NoError(t, err)
	require.False(t, found, n)

	go w.g.pass(3)
	mustRegister(t, w.h, "n3")
	require.NoError(t, w.h.Release(ctx, w.held))
	require.EqualValues(t, 1, mustClaim(t, w.h, named("free"), w.node).Token)
	after := contents(t, w.s)
	require.NoError(t, w.s.Close())
	require.Equal(t, after, contents(t, openStore(t, path, nil)))
}

// elsewhere returns an actor of another shard than the actors of those names.
func (w *gated) elsewhere(names ...string) registry.ActorID {
	for i := 0; ; i++ {
		sh, _ := w.s.shard(named(fmt.Sprint(i)))
		if !slices.ContainsFunc(names, func(name string) bool { taken, _ := w.s.shard(named(name)); return taken == sh }) {
			return named(fmt.Sprint(i))
		}
	}
}

// TestNoChangeIsTakenWhileChangesAreUndone: it could rest on one of them.
func TestNoChangeIsTakenWhileChangesAreUndone(t *testing.T) {
	w := newGated(t, filepath.Join(t.TempDir(), "registry"))
	w.stage(ctx)
	free, _ := w.s.shard(named("free"))
	elsewhere := w.elsewhere("free")
	free.mu.Lock() // where undoing stops
	w.g.outcome <- syscall.ENOSPC
	for refusing := false; !refusing; runtime.Gosched() {
		w.s.journal.mu.Lock()
		refusing = w.s.journal.refusal != nil
		w.s.journal.mu.Unlock()
	}
	_, err := w.h.Claim(expired(), elsewhere, w.node, registry.ClaimID{1})
	free.mu.Unlock()
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.ErrorIs(t, err, syscall.ENOSPC)
	for range cap(w.writes) {
		require.ErrorIs(t, <-w.writes, registry.ErrUnavailable)
	}
}

// TestNoSnapshotOfWhatWasUndone: a snapshot that has read changes which are undone
// before it ends is refused: it would bring them back (Durability; contract, section 4).
func TestNoSnapshotOfWhatWasUndone(t *testing.T) {
	w := newGated(t, filepath.Join(t.TempDir(), "registry"))
	w.stage(ctx)
	emitted := 0
	err := w.s.snapshot(func([]byte) error { // the only batch: everything was read
		emitted++
		w.g.outcome <- syscall.ENOSPC
		for w.s.journal.rollbacks() == 0 {
			runtime.Gosched()
		}
		return nil
	})
	require.Equal(t, 1, emitted)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	for range cap(w.writes) {
		require.ErrorIs(t, <-w.writes, registry.ErrUnavailable)
	}
}

// TestCloseFinishesWhatWasBegun: what was staged is committed and answered, and a
// change that comes later is refused.
func TestCloseFinishesWhatWasBegun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	w := newGated(t, path)
	w.stage(ctx)
	closed := make(chan error)
	go func() { closed <- w.s.Close() }()
	<-w.s.closed
	require.ErrorIs(t, w.h.Heartbeat(ctx, w.node), registry.ErrClosed)
	for stopped := false; !stopped; runtime.Gosched() {
		w.s.journal.mu.Lock()
		stopped = w.s.journal.stopped
		w.s.journal.mu.Unlock()
	}
	_, err := w.s.journal.stage(&recordChange{})
	require.ErrorIs(t, err, registry.ErrClosed)
	w.g.outcome <- nil
	w.g.pass(1)
	require.NoError(t, <-closed)
	for range cap(w.writes) {
		require.NoError(t, <-w.writes)
	}
	h := openHandle(t, openStore(t, path, nil))
	p, _, err := h.Lookup(ctx, named("free"))
	require.NoError(t, err)
	require.Equal(t, w.node, p.Holder)
	n, _, err := h.GetNode(ctx, "n2")
	require.NoError(t, err)
	require.Equal(t, registry.NodeFailed, n.Status)
}

// signal is a context that never ends and tells when somebody begins to wait for it.
type signal struct {
	late *lateContext
	done <-chan struct{}
}

func (s signal) Deadline() (time.Time, bool) { return time.Time{}, false }
func (s signal) Value(any) any               { return nil }
func (s signal) Err() error                  { return nil }
func (s signal) Done() <-chan struct{}       { s.late.Done(); return nil }

// TestCommitOfUnknownOutcome: what was being committed is ambiguous and settled,
// what was to follow did not happen, nothing of either is shown, and no change is
// taken until the store was opened anew, which then shows which way it went.
func TestCommitOfUnknownOutcome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	w := newGated(t, path)
	w.stage(ctx)
	w.g.outcome <- fmt.Errorf("%w: %w", errUncertain, syscall.EIO)
	var ambiguous, unavailable int
	for range cap(w.writes) {
		var detail *registry.AmbiguousError
		if err := <-w.writes; errors.As(err, &detail) {
			require.False(t, detail.MayStillApply)
			ambiguous++
		} else {
			require.ErrorIs(t, err, registry.ErrUnavailable)
			unavailable++
		}
	}
	require.Equal(t, 1, ambiguous)
	require.Equal(t, 3, unavailable)
	for name, look := range w.looks() {
		err := look(ctx)
		require.ErrorIs(t, err, registry.ErrUnavailable, name)
		require.NotErrorIs(t, err, registry.ErrAmbiguous, name)
	}
	_, err := w.h.RegisterNode(ctx, "n9", registry.NodeInfo{}, registry.Supersede)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	n, found, err := w.h.GetNode(ctx, "n1") // on the file all along
	require.NoError(t, err)
	require.True(t, found, n)
	require.NoError(t, w.s.Close())
	p, _, err := openHandle(t, openStore(t, path, nil)).Lookup(ctx, named("held"))
	require.NoError(t, err)
	require.True(t, p.Held(), "the gate did not write it")
}

// TestConcurrentOperationsShareACommit: acknowledged means on disk, and yet not
// one sync per operation.
func TestConcurrentOperationsShareACommit(t *testing.T) {
	const workers, each = 32, 10
	var commits atomic.Int64
	s := openStore(t, filepath.Join(t.TempDir(), "registry"), func(d disk) disk { return counting{d, &commits} })
	h := openHandle(t, s)
	node := mustRegister(t, h, "n1")
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				_, err := h.Claim(ctx, named(fmt.Sprint(w, " ", i)), node, registry.ClaimID{1})
				assert.NoError(t, err)
				_, _, err = h.ListNodes(ctx, registry.AnyStatus, registry.Page{})
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	// That those which wait share the next commit is TestHalfUndoneIsNotShown; how many wait is the machine's doing.
	require.Less(t, commits.Load(), int64(workers*each/2))
	before := commits.Load()
	leases := make([]registry.Lease, 100)
	for i := range leases {
		leases[i] = registry.Lease{Actor: named(fmt.Sprint(i/each, " ", i%each)), Holder: node, Token: 1}
	}
	for _, r := range h.RenewBatch(ctx, leases) {
		require.NoError(t, r.Err)
	}
	// One or two, unless the scheduler lets commits begin while the batch is being staged.
	require.Less(t, commits.Load()-before, int64(len(leases)/4), "a batch shares commits")
}

type counting struct {
	disk
	commits *atomic.Int64
}

func (c counting) commit(changes []change) error {
	c.commits.Add(1)
	return c.disk.commit(changes)
}

// onFaults opens a durable store on a disk whose calls can fail.
func onFaults(t testing.TB, d *faultfs.Disk) (*Store, error) {
	s, err := newStoreOnFaults(d)
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func newStoreOnFaults(d *faultfs.Disk, opts ...Option) (*Store, error) {
	on := production
	on.fs = d.Mount()
	return newStore(on, short, append(opts, OnFile("dir/registry"), LockTimeout(0)))
}

// TestWriteErrors fails every call of a commit that writes, in turn: an error before
// the sync is ErrUnavailable, nothing happened, and the store goes on; an error of the
// sync is ErrAmbiguous, and the store takes nothing more until it is opened anew.
func TestWriteErrors(t *testing.T) {
	for _, fault := range []faultfs.Fault{faultfs.ENOSPC, faultfs.EIO, faultfs.Torn, faultfs.Done} {
		for _, name := range []string{"write", "sync"} {
			for which := range 2 {
				if name == "sync" && (which > 0 || fault == faultfs.Torn) {
					continue
				}
				t.Run(fmt.Sprint(fault, " of ", name, " ", which), func(t *testing.T) {
					d := faultfs.New()
					s, err := onFaults(t, d)
					require.NoError(t, err)
					h := openHandle(t, s)
					node := mustRegister(t, h, "n1")
					before, seen := contents(t, s), 0
					d.Plan = func(c faultfs.Call) faultfs.Fault {
						if c.Name != name {
							return faultfs.None
						}
						if seen++; seen == which+1 {
							return fault
						}
						return faultfs.None
					}
					_, err = h.Claim(ctx, named("held"), node, registry.ClaimID{1})
					if name == "sync" {
						var ambiguous *registry.AmbiguousError
						require.ErrorAs(t, err, &ambiguous)
						require.False(t, ambiguous.MayStillApply)
						_, _, err = h.Lookup(ctx, named("held"))
						require.ErrorIs(t, err, registry.ErrUnavailable)
						_, err = h.RegisterNode(ctx, "n2", registry.NodeInfo{}, registry.IfAbsent)
						require.ErrorIs(t, err, registry.ErrUnavailable)
					} else {
						require.ErrorIs(t, err, registry.ErrUnavailable)
						require.NotErrorIs(t, err, registry.ErrAmbiguous)
						require.Equal(t, before, contents(t, s))
						require.EqualValues(t, 1, mustClaim(t, h, named("held"), node).Version)
					}
					require.NoError(t, s.Close())
					s, err = onFaults(t, d)
					require.NoError(t, err)
					p, _, err := openHandle(t, s).Lookup(ctx, named("held"))
					require.NoError(t, err)
					require.EqualValues(t, 1, p.Version)
				})
			}
		}
	}
}

// TestOpenRefuses: a file that is in use, somebody else's, of another version or
// of another cluster is refused with an error that says so, and not touched.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	bbolt := filepath.Join(dir, "bbolt")
	db, err := bolt.Open(bbolt, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	inUse := filepath.Join(dir, "in use")
	openStore(t, inUse, nil)
	mismatch := filepath.Join(dir, "mismatch")
	other := short
	other.Grace++
	s, err := New(other, OnFile(mismatch))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	newer := filepath.Join(dir, "newer")
	log, err := logfile.Open(logfile.OS{}, newer, 0, logfile.State{
		Header: []byte("\x09\x00\x00\x00 of the future"), Snapshot: func(func([]byte) error) error { return nil },
	})
	require.NoError(t, err)
	require.NoError(t, log.Close())
	fifo, dangling := filepath.Join(dir, "fifo"), filepath.Join(dir, "dangling")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	require.NoError(t, os.Symlink("nowhere", dangling))

	for _, c := range []struct {
		path string
		want error
	}{
		{inUse, ErrInUse},
		{mismatch, registry.ErrConfigMismatch},
		{write("text", []byte("not a registry, but long enough to be read as a header and more\n"+string(make([]byte, 19000)))), ErrForeign},
		{write("short text", []byte("hello\n")), ErrForeign},
		{write("zeros", make([]byte, 20000)), ErrForeign},
		{write("empty", nil), ErrDamaged},
		{write("cut off", []byte("kelpie log")), ErrDamaged},
		{bbolt, ErrFormat},
		{newer, ErrFormat},
		{dir, ErrForeign},
		{fifo, ErrForeign},
		{"/dev/null", ErrForeign},
		{dangling, os.ErrNotExist},
		{filepath.Join(dir, "absent", "registry"), os.ErrNotExist},
	} {
		info, _ := os.Stat(c.path)
		var before []byte
		if info != nil && info.Mode().IsRegular() {
			before, _ = os.ReadFile(c.path)
		}
		_, err := New(short, OnFile(c.path), LockTimeout(time.Millisecond))
		require.ErrorIs(t, err, c.want, c.path)
		require.ErrorContains(t, err, filepath.Base(c.path))
		if before != nil {
			after, _ := os.ReadFile(c.path)
			require.Equal(t, before, after, c.path)
		}
		_, err = os.Stat(c.path + logfile.FreshSuffix)
		require.ErrorIs(t, err, os.ErrNotExist, "%s: a file is left behind", c.path)
	}
}

// TestOptionsRefuse: what cannot be meant is refused by name.
func TestOptionsRefuse(t *testing.T) {
	for want, opts := range map[registry.InvalidError][]Option{
		{Field: "path of the registry file", Problem: "is empty"}: {OnFile("")},
		{Field: "lock timeout", Problem: "is negative"}:           {OnFile(filepath.Join(t.TempDir(), "x")), LockTimeout(-1)},
		{Field: "option", Problem: "is nil"}:                      {nil},
	} {
		_, err := New(short, opts...)
		var invalid *registry.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, want, *invalid)
	}
	path := filepath.Join(t.TempDir(), "registry")
	openStore(t, path, nil)
	_, err := New(short, OnFile(path), LockTimeout(0))
	require.ErrorIs(t, err, ErrInUse, "0 does not wait")
}

// TestImportRefusesWhatItsFileWould: what cannot be a record or a registration is
// refused, and the file that is written is one that can be read.
func TestImportRefusesWhatItsFileWould(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "registry"), nil)
	ok := registry.Placement{Actor: named("a"), Token: 2, Version: 3}
	for _, change := range []func(*registry.Placement){
		func(p *registry.Placement) { p.Token = 4 },
		func(p *registry.Placement) { p.Token = 0 },
		func(p *registry.Placement) { p.Actor.Name = "" },
		func(p *registry.Placement) { p.Holder = registry.NodeRef{ID: "n1"} },
	} {
		p := ok
		change(&p)
		require.ErrorIs(t, s.Import(ctx, nil, []registry.Placement{p}), registry.ErrInvalid, "%+v", p)
	}
	node := registry.Node{Ref: registry.NodeRef{ID: "n1", Epoch: 1}, Status: registry.NodeActive}
	for _, change := range []func(*registry.Node){
		func(n *registry.Node) { n.Status = registry.AnyStatus },
		func(n *registry.Node) { n.Status = 99 },
		func(n *registry.Node) { n.Ref.Epoch = 0 },
	} {
		n := node
		change(&n)
		require.ErrorIs(t, s.Import(ctx, []registry.Node{n}, nil), registry.ErrInvalid, "%+v", n)
	}
	require.NoError(t, s.Import(ctx, []registry.Node{node}, []registry.Placement{ok}))
}
