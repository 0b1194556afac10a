//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbsim"
)

func TestTimeoutOption(t *testing.T) {
	for limit, want := range map[time.Duration]int64{
		-time.Second: 1, 0: 1, 1: 1, time.Millisecond: 1,
		time.Millisecond + 1: 2, 2*time.Millisecond - 1: 2, 2 * time.Millisecond: 2, 5 * time.Second: 5000,
	} {
		assert.Equal(t, want, timeoutOption(limit), "%v", limit)
	}
}

// A time limit that FoundationDB does not take (more than 24 days) fails the operation
// before anything is read, and a search for evidence before it proves anything.
func TestTimeLimitsThatAreRefused(t *testing.T) {
	const tooLong = 1000 * time.Hour
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	x.mine.opts.SettleTimeout = tooLong
	x.nextCommits(fdbsim.CommitUnknown(false))
	_, err := x.mine.Renew(t.Context(), lease)
	var unknown *registry.AmbiguousError
	require.ErrorAs(t, err, &unknown)
	assert.False(t, unknown.MayStillApply)

	x.mine.opts.TransactionTimeout = tooLong
	before := x.commits()
	_, err = x.mine.Renew(t.Context(), lease)
	assert.ErrorIs(t, err, registry.ErrUnavailable)
	assert.Equal(t, 2006, errorCode(err), "invalid_option_value")
	assert.Equal(t, before, x.commits())
}

// quietContext is a context whose functions are counted and never called. It has no
// values: by one of them package context would find the context within.
type quietContext struct {
	context.Context
	deadline   time.Time
	registered int
}

func (c *quietContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

func (c *quietContext) Value(any) any { return nil }

func (c *quietContext) AfterFunc(func()) (stop func() bool) {
	c.registered++
	return func() bool { c.registered--; return true }
}

// A context may live as long as the process: what an operation attached to it is gone
// when the operation returns, or every operation ever made would be kept.
func TestNothingStaysAttachedToTheContext(t *testing.T) {
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	ctx := &quietContext{Context: t.Context()}
	x.nextCommits(fdbsim.Fail(1020), fdbsim.CommitUnknown(false))
	_, err := x.mine.Renew(ctx, lease)
	require.NoError(t, err)
	_, _, err = x.mine.Lookup(ctx, lease.Actor)
	require.NoError(t, err)
	_, err = x.mine.Claim(ctx, lease.Actor, x.rival, claimID(2))
	require.ErrorIs(t, err, registry.ErrHeld)
	assert.Zero(t, ctx.registered)
}

// The last moment at which nothing has happened is used: a context that has ended by
// then is the answer, whether its end has reached the transaction or not.
func TestCommitIsNotSentAfterTheContext(t *testing.T) {
	x := newTroubled(t)
	ended, end := context.WithCancel(t.Context())
	x.clock.then(end)
	before := x.commits()
	_, err := x.mine.Claim(&quietContext{Context: ended}, actorID("x"), x.node, claimID(1))
	assert.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, registry.ErrAmbiguous)
	assert.Equal(t, before, x.commits())
}

// The pause between attempts ends with the context, and the operation with it: no
// further attempt is begun.
func TestPauseEndsTheOperation(t *testing.T) {
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	x.clock.then(func() {})
	ended, end := context.WithCancel(t.Context())
	x.mine.sleep = func(ctx context.Context, _ time.Duration) error { end(); return ctx.Err() }
	x.nextCommits(fdbsim.Fail(1020))
	_, err := x.mine.Renew(&quietContext{Context: ended}, lease)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, x.clock.reads)
}

// A context's deadline is the transaction's when it comes first, also when it has
// passed already and nobody has noticed.
func TestDeadlineLimitsTheTransaction(t *testing.T) {
	for name, c := range map[string]struct{ left, atMost time.Duration }{
		"2 s":    {2 * time.Second, 2 * time.Second},
		"passed": {-time.Second, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTroubled(t)
			x.cluster.Pause()
			defer x.cluster.Resume()
			before := x.cluster.Now()
			ctx := &quietContext{Context: t.Context(), deadline: time.Now().Add(c.left)}
			_, err := x.mine.Claim(ctx, actorID("x"), x.node, claimID(1))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.LessOrEqual(t, x.cluster.Now()-before, c.atMost)
		})
	}
}

// Only a timeout is explained by a deadline: whatever else fails before it is tried again.
func TestDeadlineExplainsNoOtherError(t *testing.T) {
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	failed := false
	x.cluster.SetIntercept(func(r *fdbsim.Request) fdbsim.Verdict {
		if r.Kind != fdbsim.KindGet || failed {
			return fdbsim.Deliver
		}
		failed = true
		return fdbsim.Fail(1007)
	})
	_, err := x.mine.Renew(ctx, lease)
	assert.NoError(t, err)
	assert.True(t, failed)
}

// commits is how many commits with writes the cluster was sent.
func (x *troubled) commits() uint64 { return x.cluster.Stats().Of(fdbsim.KindCommit) }

// What changes nothing commits nothing: not even the same value again, which would
// disturb whoever reads it and would hide whose write the last change was.
func TestWhatChangesNothingCommitsNothing(t *testing.T) {
	x := newTroubled(t)
	claim := func() (registry.Lease, error) {
		return x.mine.Claim(t.Context(), actorID("x"), x.node, claimID(1))
	}
	lease, err := claim()
	require.NoError(t, err)
	x.clock.now = x.mine.cfg.FailedAt(epochStart)
	require.NoError(t, x.mine.MarkFailed(t.Context(), x.rival))
	x.clock.now = epochStart

	before := x.commits()
	again, err := claim()
	require.NoError(t, err)
	assert.Equal(t, lease, again)
	require.NoError(t, x.mine.MarkFailed(t.Context(), x.rival))
	assert.Empty(t, x.mine.RenewBatch(t.Context(), nil))
	assert.Equal(t, before, x.commits())

	require.NoError(t, x.mine.Release(t.Context(), lease))
	before = x.commits()
	require.NoError(t, x.mine.Release(t.Context(), lease))
	assert.Equal(t, before, x.commits())
}

// A commit that certainly failed needs no evidence: it is decided anew, however much
// others wrote, or given up at once when another would fail likewise.
func TestFailedCommits(t *testing.T) {
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	x.clock.then(func() {
		for range 2 {
			_, err := x.other.Renew(context.Background(), lease)
			x.ok(err)
		}
	})
	renewed, err := x.mine.Renew(t.Context(), lease)
	require.NoError(t, err)
	assert.Equal(t, lease.Version+3, renewed.Version)
	assert.Equal(t, 2, x.clock.reads)

	x.clock.then(func() {})
	x.nextCommits(fdbsim.Fail(2101)) // transaction_too_large
	_, err = x.mine.Renew(t.Context(), lease)
	assert.ErrorIs(t, err, registry.ErrUnavailable)
	assert.Equal(t, 2101, errorCode(err))
	assert.Equal(t, 1, x.clock.reads)
}

// A commit that is over is judged by a read alone. One that may still land needs a
// fence, which is a commit.
func TestOnlyPendingCommitsAreFenced(t *testing.T) {
	for _, c := range []struct {
		verdict fdbsim.Verdict
		commits uint64
	}{
		{fdbsim.CommitUnknown(true), 1},
		{fdbsim.CommitUnknown(false), 2},
		{fdbsim.TimeOut(0), 1},
		{fdbsim.TimeOut(later), 3},
	} {
		x := newTroubled(t)
		lease := mustClaim(t, x.other, "x", x.node)
		before := x.commits()
		x.nextCommits(c.verdict)
		_, err := x.mine.Renew(t.Context(), lease)
		require.NoError(t, err)
		assert.Equal(t, c.commits, x.commits()-before, "%+v", c.verdict)
	}
}

// F16: the commit is lost after another's write took its place. One such write is at
// the revision that the lost one would have, so it did not happen and is decided anew;
// two hide who wrote that revision, so what happened is not known, but it is over.
func TestLostCommitThatOthersOvertook(t *testing.T) {
	for name, verdict := range map[string]fdbsim.Verdict{
		"1021": fdbsim.CommitUnknown(false), "1031": fdbsim.TimeOut(later),
	} {
		t.Run(name, func(t *testing.T) {
			x := newTroubled(t)
			lease := mustClaim(t, x.other, "x", x.node)
			renewal := func() {
				_, err := x.other.Renew(context.Background(), lease)
				x.ok(err)
			}
			x.clock.then(renewal)
			x.nextCommits(fdbsim.Deliver, verdict)
			renewed, err := x.mine.Renew(t.Context(), lease)
			require.NoError(t, err)
			assert.Equal(t, lease.Version+2, renewed.Version)
			x.cluster.Advance(2 * later)
			assert.Equal(t, uint64(renewed.Version), x.version(lease))

			x.clock.then(func() { renewal(); renewal() })
			x.nextCommits(fdbsim.Deliver, fdbsim.Deliver, verdict)
			_, err = x.mine.Renew(t.Context(), lease)
			var unknown *registry.AmbiguousError
			require.ErrorAs(t, err, &unknown)
			assert.False(t, unknown.MayStillApply)
			x.cluster.Advance(2 * later)
			assert.Equal(t, uint64(renewed.Version)+2, x.version(lease))
		})
	}
}

// A batch is one transaction: an actor whose place nobody took, or one other write
// took, proves for all of them that nothing was written, also for one that was
// written too often since to tell.
func TestOneActorProvesTheBatch(t *testing.T) {
	for name, others := range map[string]map[string]int{
		"refuted":   {"x": 2, "y": 1, "z": 2},
		"untouched": {"x": 2, "y": 0, "z": 2},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTroubled(t)
			var leases []registry.Lease
			var verdicts []fdbsim.Verdict // none for the others' commits
			for _, actor := range []string{"x", "y", "z"} {
				leases = append(leases, mustClaim(t, x.other, actor, x.node))
				verdicts = append(verdicts, make([]fdbsim.Verdict, others[actor])...)
			}
			x.clock.then(func() {
				for _, l := range leases {
					for range others[l.Actor.Name] {
						_, err := x.other.Renew(context.Background(), l)
						x.ok(err)
					}
				}
			})
			x.nextCommits(append(verdicts, fdbsim.TimeOut(later))...)
			for i, res := range x.mine.RenewBatch(t.Context(), leases) {
				require.NoError(t, res.Err)
				assert.Equal(t, registry.Version(2+others[leases[i].Actor.Name]), res.Lease.Version)
			}
		})
	}
}

// The search for evidence is tried five times, and then given up.
func TestSearchForEvidenceIsBounded(t *testing.T) {
	for fences, found := range map[int]bool{4: true, 5: false} {
		x := newTroubled(t)
		lease := mustClaim(t, x.other, "x", x.node)
		verdicts := []fdbsim.Verdict{fdbsim.TimeOut(-1)}
		for range fences {
			verdicts = append(verdicts, fdbsim.Fail(1020))
		}
		x.nextCommits(verdicts...)
		_, err := x.mine.Renew(t.Context(), lease)
		if found {
			assert.NoError(t, err, "%d lost fences", fences)
		} else {
			assert.ErrorIs(t, err, registry.ErrAmbiguous, "%d lost fences", fences)
		}
	}
}

// A read of the evidence that fails is tried again.
func TestSearchForEvidenceReadsAgain(t *testing.T) {
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	var lost, failed bool
	x.cluster.SetIntercept(func(r *fdbsim.Request) fdbsim.Verdict {
		switch {
		case r.Kind == fdbsim.KindCommit && !lost:
			lost = true
			return fdbsim.CommitUnknown(true)
		case r.Kind == fdbsim.KindGet && lost && !failed:
			failed = true
			return fdbsim.Fail(codeProcessBehind)
		}
		return fdbsim.Deliver
	})
	renewed, err := x.mine.Renew(t.Context(), lease)
	require.NoError(t, err)
	assert.Equal(t, lease.Version+1, renewed.Version)
	assert.True(t, failed)
}

// Evidence that this package did not write proves nothing.
func TestCorruptEvidenceProvesNothing(t *testing.T) {
	for name, verdict := range map[string]fdbsim.Verdict{
		"1021": fdbsim.CommitUnknown(false), "1031": fdbsim.TimeOut(-1),
	} {
		t.Run(name, func(t *testing.T) {
			x := newTroubled(t)
			lease := mustClaim(t, x.other, "x", x.node)
			x.clock.then(func() {
				_, err := x.store.db.Transact(func(tr fdb.Transaction) (any, error) {
					tr.Set(x.mine.keys.term(lease.Actor), []byte("junk"))
					return nil, nil
				})
				x.ok(err)
			})
			x.nextCommits(fdbsim.Deliver, verdict)
			_, err := x.mine.Renew(t.Context(), lease)
			var unknown *registry.AmbiguousError
			require.ErrorAs(t, err, &unknown)
			assert.Equal(t, name == "1031", unknown.MayStillApply)
		})
	}
}

// Operations that write nothing, as in writers.
var readers = map[string]func(x *troubled, l registry.Lease) error{
	"Lookup": func(x *troubled, l registry.Lease) error {
		p, found, err := x.mine.Lookup(context.Background(), l.Actor)
		assert.Equal(x.t, err == nil, found)
		assert.Equal(x.t, err == nil, p == registry.Placement(l))
		return err
	},
	"Validate": func(x *troubled, l registry.Lease) error {
		return x.mine.Validate(context.Background(), l.Actor, l.Token)
	},
	"Guard": func(x *troubled, l registry.Lease) error {
		tr, err := x.store.db.CreateTransaction()
		x.ok(err)
		return x.mine.Guard(tr, l)
	},
	"Watch": func(x *troubled, l registry.Lease) error {
		_, err := x.mine.Watch(context.Background(), l.Actor, 0)
		return err
	},
	"a refusal that tells of the node": func(x *troubled, _ registry.Lease) error {
		next := registry.NodeRef{ID: x.node.ID, Epoch: x.node.Epoch + 1}
		_, err := x.mine.Claim(context.Background(), actorID("free"), next, claimID(9))
		var refusal *registry.Refusal
		if !errors.As(err, &refusal) {
			return err
		}
		assert.Equal(x.t, registry.ErrNodeUnknown, refusal.Reason)
		assert.Equal(x.t, x.node, refusal.Node.Ref)
		assert.Equal(x.t, epochStart, refusal.Node.LastSeen)
		return nil
	},
	"Open": func(x *troubled, _ registry.Lease) error {
		_, err := Open(context.Background(), x.store.db, x.store.cfg, x.now, x.store.opts)
		return err
	},
	"GetNode": func(x *troubled, _ registry.Lease) error {
		_, found, err := x.mine.GetNode(context.Background(), x.node.ID)
		assert.Equal(x.t, err == nil, found)
		return err
	},
	"ListActors": func(x *troubled, _ registry.Lease) error {
		rows, _, err := x.mine.ListActors(context.Background(), x.node, registry.Page{})
		assert.Equal(x.t, err == nil, len(rows) == 1)
		return err
	},
	"ListNodes": func(x *troubled, _ registry.Lease) error {
		rows, _, err := x.mine.ListNodes(context.Background(), registry.AnyStatus, registry.Page{})
		assert.Equal(x.t, err == nil, len(rows) == 2)
		return err
	},
}

// A read that fails is never taken for one that found nothing: whichever of an
// operation's reads it is, the operation tries again where that can help, and
// otherwise says that it did nothing.
func TestEveryReadMayFail(t *testing.T) {
	type operation struct {
		run func(x *troubled, l registry.Lease) error
		rev func(x *troubled, l registry.Lease) uint64 // nil when nothing is written
	}
	all := map[string]operation{}
	for name, op := range writers {
		all[name] = operation(op)
	}
	for name, run := range readers {
		all[name] = operation{run: run}
	}
	// failing runs an operation whose n-th read fails, and returns how many there were.
	failing := func(t *testing.T, op operation, n int, code fdbsim.Code) (reads int, written uint64, err error) {
		x := newTroubled(t)
		lease := mustClaim(t, x.other, "x", x.node)
		rev := func() uint64 { return 0 }
		if op.rev != nil {
			rev = func() uint64 { return op.rev(x, lease) }
		}
		before := rev()
		x.cluster.SetIntercept(func(r *fdbsim.Request) fdbsim.Verdict {
			if r.Kind == fdbsim.KindGet || r.Kind == fdbsim.KindGetRange {
				if reads++; reads == n {
					return fdbsim.Fail(code)
				}
			}
			return fdbsim.Deliver
		})
		err = op.run(x, lease)
		x.cluster.SetIntercept(nil)
		return reads, rev() - before, err
	}
	for name, op := range all {
		t.Run(name, func(t *testing.T) {
			reads, once, err := failing(t, op, 0, 0)
			require.NoError(t, err)
			for n := 1; n <= reads; n++ {
				_, written, err := failing(t, op, n, codeTooOld)
				if name == "Guard" { // the caller's transaction, and so the caller's retry
					assert.Equal(t, codeTooOld, errorCode(err), "read %d", n)
				} else {
					assert.NoError(t, err, "read %d", n)
				}
				assert.Equal(t, once, written, "read %d", n)

				_, written, err = failing(t, op, n, codeTimedOut)
				assert.Equal(t, codeTimedOut, errorCode(err), "read %d", n)
				assert.Zero(t, written, "read %d", n)
				if name != "Guard" {
					assert.ErrorIs(t, err, registry.ErrUnavailable, "read %d", n)
					assert.NotErrorIs(t, err, registry.ErrAmbiguous, "read %d", n)
				}
			}
		})
	}
}
