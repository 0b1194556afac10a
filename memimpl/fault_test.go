package memimpl

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl/internal/faultfs"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
)

// The tests of package logfile place every fault, and every pair of faults, under
// the log alone. Those here place every fault under a store, and hold its answers
// to what it told before.

// compactNow compacts the file beside nothing: the order of calls is the test's.
func (s *Store) compactNow() {
	d := s.journal.disk.(*logDisk)
	d.beginCompaction()
	if d.rewrite != nil {
		d.adopt(<-d.filled)
	}
}

// told is what one client of a store was told, over all its lives.
type told struct {
	acknowledged
	possible map[registry.ActorID]bool // actors of which some change was not refused
	asked    map[registry.ActorID]bool
}

// call makes one change and notes what is told of it.
func (o *told) call(actor registry.ActorID, change func() (registry.Lease, error)) registry.Lease {
	o.asked[actor] = true
	l, err := change()
	if err == nil {
		o.record(registry.Placement(l))
	}
	if err == nil || errors.Is(err, registry.ErrAmbiguous) {
		o.possible[actor] = true
	}
	return l
}

// live is one life of a store: registrations, claims, renewals, a hand-over, a
// compaction, each going on as well as it can after an error.
func (o *told) live(s *Store, life int) {
	h, err := s.Open(short, registry.NewManualClock(1000))
	if err != nil {
		return
	}
	n, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{Address: "here"}, registry.Supersede)
	if err == nil {
		o.node(n.Ref)
	}
	fresh, held := named(fmt.Sprint("life", life)), named("held")
	claim := func(a registry.ActorID) func() (registry.Lease, error) {
		return func() (registry.Lease, error) { return h.Claim(ctx, a, n.Ref, registry.ClaimID{byte(life), 1}) }
	}
	l := o.call(held, claim(held))
	s.compactNow()
	o.call(held, func() (registry.Lease, error) { return h.Renew(ctx, l) })
	o.call(fresh, claim(fresh))
	if l.Token > 0 && h.Release(ctx, l) == nil {
		if p, _, err := h.Lookup(ctx, held); err == nil {
			o.record(p)
		}
	}
}

// verify opens the store without a fault and compares.
func (o *told) verify(d *faultfs.Disk) error {
	s, err := newStoreOnFaults(d)
	if err != nil {
		return err
	}
	defer s.Close()
	h, err := s.Open(short, registry.NewManualClock(1000))
	if err != nil {
		return err
	}
	lost, err := o.lost(h)
	if err == nil && len(lost) > 0 {
		err = errors.New(lost[0])
	}
	for actor := range o.asked {
		if p, found, _ := h.Lookup(ctx, actor); found && !o.possible[actor] {
			err = errors.Join(err, fmt.Errorf("every change of %v was refused, and there is %+v", actor, p))
		}
	}
	return err
}

// play lets a store live twice under a plan.
func (o *told) play(plan func(faultfs.Call) faultfs.Fault) *faultfs.Disk {
	*o = told{acknowledged: newAcknowledged(), possible: map[registry.ActorID]bool{}, asked: map[registry.ActorID]bool{}}
	return twoLives(plan, o.live)
}

// twoLives lets a store live twice on a disk under a plan; the first life is killed.
func twoLives(plan func(faultfs.Call) faultfs.Fault, live func(s *Store, life int), opts ...Option) *faultfs.Disk {
	d := faultfs.New()
	d.Plan = plan
	for life := range 2 {
		s, err := newStoreOnFaults(d, opts...)
		if err != nil {
			continue
		}
		live(s, life)
		if life == 0 {
			d.Kill()
		}
		_ = s.Close()
	}
	d.Plan = nil
	return d
}

// underEveryFault plays once for each fault at each of the calls, and verifies the disk
// after each loss of power.
func underEveryFault(t *testing.T, calls []faultfs.Call, losses []string, play func(plan func(faultfs.Call) faultfs.Fault) *faultfs.Disk, verify func(*faultfs.Disk) error) {
	runs := 0
	for _, c := range calls {
		for _, f := range c.Faults() {
			d := play(func(now faultfs.Call) faultfs.Fault {
				if now.Number == c.Number {
					return f
				}
				return faultfs.None
			})
			runs++
			for _, loss := range losses {
				d := d.Clone()
				d.PowerLoss(faultfs.Losses()[loss])
				require.NoError(t, verify(d), "%v of %v, then %s", f, c, loss)
			}
		}
	}
	t.Logf("%d runs: every fault at each of %d calls", runs, len(calls))
}

// TestStoreUnderEveryFault: whatever one call of the operating system does, what a
// store told is there afterwards, tokens and epochs do not go back, and what it
// refused is not there (Durability, TokenMonotonic; contract, section 4).
func TestStoreUnderEveryFault(t *testing.T) {
	var calls []faultfs.Call
	var o told
	d := o.play(func(c faultfs.Call) faultfs.Fault { calls = append(calls, c); return faultfs.None })
	require.NoError(t, o.verify(d))
	require.Len(t, o.records, 3, "without a fault everything is acknowledged")
	require.EqualValues(t, 2, o.nodes["n1"])
	underEveryFault(t, calls, []string{"nothing written", "odd sectors", "names and sizes"}, o.play, o.verify)
}

// TestForgottenSync: a sync fails, the operating system forgets that it did, the
// store is closed and opened anew, and goes on; then the power is lost. What the
// second store told is there, and what was in doubt was decided when it opened.
func TestForgottenSync(t *testing.T) {
	for _, fault := range []faultfs.Fault{faultfs.Forget, faultfs.Half, faultfs.Drop, faultfs.Done} {
		for commits := range 3 { // of the second store
			for _, loss := range []string{"nothing written", "everything written", "odd sectors", "even sectors"} {
				d := faultfs.New()
				s, err := onFaults(t, d)
				require.NoError(t, err)
				h := openHandle(t, s)
				node := mustRegister(t, h, "n1")
				lease := mustClaim(t, h, named("held"), node)
				d.Plan = func(c faultfs.Call) faultfs.Fault {
					if c.Name == "sync" {
						return fault
					}
					return faultfs.None
				}
				_, err = h.Renew(ctx, lease)
				require.ErrorIs(t, err, registry.ErrAmbiguous)
				require.ErrorIs(t, s.Close(), nil)
				_, err = onFaults(t, d)
				require.ErrorIs(t, err, syscall.EIO, "the first opening fails too")

				d.Plan = nil
				s, err = onFaults(t, d)
				require.NoError(t, err)
				h = openHandle(t, s)
				shown, _, err := h.Lookup(ctx, named("held"))
				require.NoError(t, err)
				for i := range commits {
					mustClaim(t, h, named(fmt.Sprint(i)), node)
				}
				d.PowerLoss(faultfs.Losses()[loss])

				s, err = onFaults(t, d)
				require.NoError(t, err, "%v, %d commits, then %s", fault, commits, loss)
				h = openHandle(t, s)
				again, _, err := h.Lookup(ctx, named("held"))
				require.NoError(t, err)
				require.Equal(t, shown, again, "%v, %d commits, then %s", fault, commits, loss)
				for i := range commits {
					_, found, err := h.Lookup(ctx, named(fmt.Sprint(i)))
					require.NoError(t, err)
					require.True(t, found)
				}
			}
		}
	}
}

// stumbling is a disk of which every n'th commit is refused and taken back.
type stumbling struct {
	disk
	n, commits int
}

func (s *stumbling) commit(changes []change) error {
	if s.commits++; s.commits%s.n == 0 {
		return syscall.ENOSPC
	}
	return s.disk.commit(changes)
}

// replacing counts how often a file replaces another.
type replacing struct {
	logfile.FS
	times atomic.Int64
}

func (r *replacing) Rename(from, to string) error {
	r.times.Add(1)
	return r.FS.Rename(from, to)
}

// TestCompactionBesideCommits compacts again and again while many clients write and
// some commits are taken back, and compares what is on the file with what was told.
func TestCompactionBesideCommits(t *testing.T) {
	for _, n := range []int{1 << 30, 7} {
		path, fs := filepath.Join(t.TempDir(), "registry"), &replacing{FS: production.fs}
		s, err := newStore(platform{fs: fs, step: 1, between: func(d disk) disk { return &stumbling{disk: d, n: n} }}, short, []Option{OnFile(path)})
		require.NoError(t, err)
		h := openHandle(t, s)
		o := newAcknowledged()
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() { o.churn(h, w) })
		}
		wg.Wait()
		for fs.times.Load() < 4 { // on a slow machine
			o.churn(h, 9)
		}
		shows := contents(t, s)
		require.NoError(t, s.Close())
		s = openStore(t, path, nil)
		require.Equal(t, shows, contents(t, s))
		lost, err := o.lost(openHandle(t, s))
		require.NoError(t, err)
		require.Empty(t, lost)
	}
}

func newAcknowledged() acknowledged {
	return acknowledged{records: map[registry.ActorID]registry.Placement{}, nodes: map[registry.NodeID]registry.Epoch{}}
}

// churn registers, claims, renews and releases.
func (a *acknowledged) churn(h *Registry, client int) {
	var node registry.NodeRef
	for i := range 150 {
		if i%30 == 0 {
			n, err := h.RegisterNode(ctx, registry.NodeID(fmt.Sprint("n", client)), registry.NodeInfo{}, registry.Supersede)
			if err != nil {
				continue
			}
			node = n.Ref
			a.node(n.Ref)
		}
		l, err := h.Claim(ctx, named(fmt.Sprint(client, " ", i%40)), node, registry.ClaimID{byte(i + 1)})
		if err != nil {
			continue
		}
		a.record(registry.Placement(l))
		if l, err = h.Renew(ctx, l); err == nil {
			a.record(registry.Placement(l))
			_ = h.Release(ctx, l)
		}
	}
}

// TestCompactionHoldsUpNobody: while a fresh file is being filled, commits go on,
// and what they acknowledge is in the fresh file when it takes the old one's place.
func TestCompactionHoldsUpNobody(t *testing.T) {
	path, fs := filepath.Join(t.TempDir(), "registry"), &replacing{FS: production.fs}
	s, err := newStore(platform{fs: fs, step: 1, between: production.between}, short, []Option{OnFile(path)})
	require.NoError(t, err)
	h := openHandle(t, s)
	file := s.journal.disk.(*logDisk)
	began, goOn, snapshot := make(chan bool), make(chan bool), file.snapshot
	file.snapshot = func(emit func([]byte) error) error {
		began <- true
		<-goOn
		return snapshot(emit)
	}
	node := mustRegister(t, h, "n1") // begins it
	<-began
	for i := range 20 {
		mustClaim(t, h, named(fmt.Sprint(i)), node)
	}
	require.EqualValues(t, 1, fs.times.Load(), "at the opening")
	close(goOn)
	for i := 20; fs.times.Load() == 1; i++ { // a commit puts it in place
		mustClaim(t, h, named(fmt.Sprint(i)), node)
	}
	go func() {
		for range began { // later ones
		}
	}()
	shows := contents(t, s)
	require.NoError(t, s.Close())
	require.Equal(t, shows, contents(t, openStore(t, path, nil)))
	close(began)
}
