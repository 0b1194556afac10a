//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/fdbsim"
)

// troubled is a pair on a simulated cluster whose commits meet what a test says.
type troubled struct {
	*pair
	cluster *fdbsim.Cluster
}

func newTroubled(t *testing.T) *troubled {
	d, err := testdb.OpenSim(fdbsim.Config{Seed: 1})
	require.NoError(t, err)
	s := storeOn(t, d)
	p := &pair{t: t, store: s, clock: &hookClock{now: epochStart}, now: registry.NewManualClock(epochStart)}
	p.mine, p.other = s.open(t, p.clock), s.open(t, p.now)
	p.node, p.rival = register(t, p.other, "node-a"), register(t, p.other, "node-b")
	return &troubled{p, d.Cluster}
}

// nextCommits makes the next commits meet the verdicts, in order.
func (x *troubled) nextCommits(verdicts ...fdbsim.Verdict) {
	x.cluster.SetIntercept(func(r *fdbsim.Request) fdbsim.Verdict {
		if r.Kind != fdbsim.KindCommit || len(verdicts) == 0 {
			return fdbsim.Deliver
		}
		v := verdicts[0]
		verdicts = verdicts[1:]
		return v
	})
}

const later = 100 * time.Millisecond // after every fence, in simulated time

// The contract's operations that write, and the revision that tells how often they did.
var writers = map[string]struct {
	run func(x *troubled, l registry.Lease) error
	rev func(x *troubled, l registry.Lease) uint64
}{
	"Claim": {func(x *troubled, _ registry.Lease) error {
		_, err := x.mine.Claim(context.Background(), actorID("free"), x.node, claimID(1))
		return err
	}, (*troubled).version},
	"Renew": {func(x *troubled, l registry.Lease) error {
		_, err := x.mine.Renew(context.Background(), l)
		return err
	}, (*troubled).version},
	"RenewBatch": {func(x *troubled, l registry.Lease) error {
		return x.mine.RenewBatch(context.Background(), []registry.Lease{l})[0].Err
	}, (*troubled).version},
	"Release": {func(x *troubled, l registry.Lease) error {
		return x.mine.Release(context.Background(), l)
	}, (*troubled).version},
	"Transfer": {func(x *troubled, l registry.Lease) error {
		_, err := x.mine.Transfer(context.Background(), l, x.rival)
		return err
	}, (*troubled).version},
	"RegisterNode": {func(x *troubled, _ registry.Lease) error {
		n, err := x.mine.RegisterNode(context.Background(), "node-b", registry.NodeInfo{}, registry.Supersede)
		if err == nil {
			assert.Equal(x.t, x.rival.Epoch+1, n.Ref.Epoch)
		}
		return err
	}, (*troubled).standing},
	"Heartbeat": {func(x *troubled, _ registry.Lease) error {
		return x.mine.Heartbeat(context.Background(), x.rival)
	}, (*troubled).beats},
	"MarkFailed": {func(x *troubled, _ registry.Lease) error {
		x.clock.now = x.mine.cfg.FailedAt(epochStart)
		return x.mine.MarkFailed(context.Background(), x.rival)
	}, (*troubled).standing},
	"DeregisterNode": {func(x *troubled, _ registry.Lease) error {
		return x.mine.DeregisterNode(context.Background(), x.rival)
	}, (*troubled).standing},
}

// version adds up the versions of both actors: one operation adds one.
func (x *troubled) version(l registry.Lease) uint64 {
	sum := registry.Version(0)
	for _, a := range []registry.ActorID{l.Actor, actorID("free")} {
		p, _, err := x.other.Lookup(context.Background(), a)
		x.ok(err)
		sum += p.Version
	}
	return uint64(sum)
}

func (x *troubled) rivalNode() node {
	n, err := transact(context.Background(), x.other, "test", func(a *attempt) (node, error) {
		return x.other.keys.readNode(a.tr, a.tr, x.rival.ID).await()
	})
	x.ok(err)
	return n
}

func (x *troubled) standing(registry.Lease) uint64 { return x.rivalNode().standing }
func (x *troubled) beats(registry.Lease) uint64    { return x.rivalNode().seen }

// F16: whatever becomes of the first commit, the operation succeeds and is applied
// once, also when the lost commit arrives after everything.
func TestLostCommitsAreAppliedOnce(t *testing.T) {
	for trouble, verdict := range map[string]fdbsim.Verdict{
		"1021 applied":       fdbsim.CommitUnknown(true),
		"1021 not applied":   fdbsim.CommitUnknown(false),
		"1031 lands at once": fdbsim.TimeOut(0),
		"1031 lands later":   fdbsim.TimeOut(later),
		"1031 never lands":   fdbsim.TimeOut(-1),
		"1039":               fdbsim.Fail(1039),
		"1020":               fdbsim.Fail(1020),
		"1007":               fdbsim.Fail(1007),
	} {
		for name, op := range writers {
			t.Run(trouble+"/"+name, func(t *testing.T) {
				x := newTroubled(t)
				lease := mustClaim(t, x.other, "x", x.node)
				before := op.rev(x, lease)
				x.nextCommits(verdict)
				require.NoError(t, op.run(x, lease))
				assert.Equal(t, before+1, op.rev(x, lease))
				x.cluster.Advance(2 * later)
				assert.Equal(t, before+1, op.rev(x, lease), "the lost commit came back")
			})
		}
	}
}

// Without any evidence the answer says which of the two kinds of unknown it is.
func TestNoEvidenceIsAmbiguous(t *testing.T) {
	for name, op := range writers {
		t.Run(name, func(t *testing.T) {
			x := newTroubled(t)
			lease := mustClaim(t, x.other, "x", x.node)
			before := op.rev(x, lease)
			x.nextCommits(fdbsim.TimeOut(later), fdbsim.TimeOut(-1)) // the fence is lost too
			err := op.run(x, lease)
			var unknown *registry.AmbiguousError
			require.ErrorAs(t, err, &unknown)
			assert.True(t, unknown.MayStillApply)
			assert.Equal(t, codeTimedOut, errorCode(unknown.Cause))
			assert.Equal(t, before, op.rev(x, lease), "reading proves nothing:")
			x.cluster.Advance(2 * later)
			assert.Equal(t, before+1, op.rev(x, lease), "it did still apply")
		})
		t.Run(name+"/settled", func(t *testing.T) {
			x := newTroubled(t)
			lease := mustClaim(t, x.other, "x", x.node)
			lost := false
			x.cluster.SetIntercept(func(r *fdbsim.Request) fdbsim.Verdict {
				switch {
				case r.Kind == fdbsim.KindCommit:
					lost = true
					return fdbsim.CommitUnknown(false)
				case lost:
					return fdbsim.Fail(1037) // nothing can be read
				}
				return fdbsim.Deliver
			})
			var unknown *registry.AmbiguousError
			require.ErrorAs(t, op.run(x, lease), &unknown)
			assert.False(t, unknown.MayStillApply)
			assert.Equal(t, codeCommitUnknown, errorCode(unknown.Cause))
		})
	}
}

// A fence of unknown outcome is tried again.
func TestLostFenceIsRepeated(t *testing.T) {
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	x.nextCommits(fdbsim.TimeOut(later), fdbsim.CommitUnknown(false), fdbsim.CommitUnknown(true), fdbsim.Fail(1020))
	renewed, err := x.mine.Renew(t.Context(), lease)
	require.NoError(t, err)
	assert.Equal(t, lease.Version+1, renewed.Version)
	x.cluster.Advance(2 * later)
	assert.Equal(t, uint64(lease.Version)+1, x.version(lease))
}

// A cluster that does not answer: the deadline of the context is the transaction's.
func TestDeadlines(t *testing.T) {
	x := newTroubled(t)
	x.cluster.Pause()
	defer x.cluster.Resume()
	_, err := x.mine.Claim(t.Context(), actorID("x"), x.node, claimID(1))
	assert.ErrorIs(t, err, registry.ErrUnavailable)
	assert.Equal(t, codeTimedOut, errorCode(err))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // longer than a transaction may take
	defer cancel()
	_, err = x.mine.Claim(ctx, actorID("x"), x.node, claimID(1))
	assert.ErrorIs(t, err, registry.ErrUnavailable)

	ctx, cancel = context.WithTimeout(t.Context(), 4*time.Second) // passes at once, in simulated time
	defer cancel()
	_, err = x.mine.Claim(ctx, actorID("x"), x.node, claimID(1))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.NotErrorIs(t, err, registry.ErrAmbiguous, "nothing was sent")
}

// The deadline comes before the connection is given up, so the commit lands.
func TestDeadlineDuringTheCommit(t *testing.T) {
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	x.clock.then(x.cluster.Pause)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := x.mine.Renew(ctx, lease)
	var unknown *registry.AmbiguousError
	require.ErrorAs(t, err, &unknown)
	assert.True(t, unknown.MayStillApply)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	x.cluster.Resume()
	x.cluster.Advance(2 * later)
	assert.Equal(t, uint64(lease.Version)+1, x.version(lease), "it did apply")
}

// A context that is cancelled while the commit is under way: evidence decides.
func TestCancelDuringTheCommit(t *testing.T) {
	cancelled := func(t *testing.T, then func(w *world, commit *fdbsim.Request)) (registry.Version, error) {
		e := newExplorer(t)
		var err error
		var version registry.Version
		e.onNewCluster(func() {
			w := e.newWorld(0)
			live(w)
			ctx, cancel := context.WithCancel(context.Background())
			w.e.stepper.Go(func() { _, err = w.raw["a"].Renew(ctx, w.lease) })
			var commit *fdbsim.Request
			for commit == nil {
				for _, r := range w.e.stepper.Quiesce() {
					if r.Kind == fdbsim.KindCommit {
						commit = r
					} else {
						w.e.stepper.Resolve(r, fdbsim.Deliver)
					}
				}
			}
			cancel()
			for len(w.e.stepper.Quiesce()) < 2 { // the search for evidence has begun
				runtime.Gosched()
			}
			then(w, commit)
			for pending := w.e.stepper.Quiesce(); len(pending) > 0; pending = w.e.stepper.Quiesce() {
				w.e.stepper.Resolve(pending[len(pending)-1], fdbsim.Deliver) // the lost commit last
			}
			w.must(func() error {
				p, _, err := w.raw["b"].Lookup(ctxb, actorID("x"))
				version = p.Version
				return err
			})
		})
		return version, err
	}
	version, err := cancelled(t, func(w *world, commit *fdbsim.Request) { w.e.stepper.Resolve(commit, fdbsim.Deliver) })
	require.NoError(t, err, "it landed, and is recognised")
	assert.Equal(t, registry.Version(2), version)

	version, err = cancelled(t, func(*world, *fdbsim.Request) {})
	assert.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, registry.ErrAmbiguous, "it was fenced off: nothing happened")
	assert.Equal(t, registry.Version(1), version)

	version, err = cancelled(t, func(w *world, commit *fdbsim.Request) {
		for _, r := range w.e.stepper.Quiesce() {
			if r != commit {
				w.e.stepper.Resolve(r, fdbsim.TimeOut(0))
				w.e.stepper.Resolve(r, fdbsim.Drop)
			}
		}
	})
	var unknown *registry.AmbiguousError
	require.ErrorAs(t, err, &unknown)
	assert.True(t, unknown.MayStillApply)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, registry.Version(2), version, "it did still apply")
}

// A watch that is set and waiting ends with its context and with its handle.
func TestWaitingWatchEnds(t *testing.T) {
	waiting := func(ctx context.Context, x *troubled) <-chan watched {
		before := x.cluster.Stats().ReadOnlyCommits
		w := watch(t, ctx, x.mine, actorID("x"), 0)
		for x.cluster.Stats().ReadOnlyCommits == before {
			runtime.Gosched()
		}
		return w
	}
	x := newTroubled(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := waiting(ctx, x)
	cancel()
	assert.ErrorIs(t, (<-w).err, context.Canceled)

	w = waiting(t.Context(), x)
	require.NoError(t, x.mine.Close())
	select {
	case end := <-w:
		assert.ErrorIs(t, end.err, registry.ErrClosed)
	case <-time.After(10 * time.Second):
		t.Fatal("Close left the watch waiting")
	}
}
