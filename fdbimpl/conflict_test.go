//go:build fdb

package fdbimpl

import (
	"context"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// pair is two handles on one store: mine, whose attempts can be interrupted, and
// another's.
type pair struct {
	t     *testing.T
	store store
	clock *hookClock
	mine  *Registry
	other *Registry
	now   *registry.ManualClock // other's clock
	node  registry.NodeRef
	rival registry.NodeRef
}

func newPair(t *testing.T) *pair {
	s := newStore(t)
	p := &pair{t: t, store: s, clock: &hookClock{now: epochStart}, now: registry.NewManualClock(epochStart)}
	p.mine, p.other = s.open(t, p.clock), s.open(t, p.now)
	p.node, p.rival = register(t, p.other, "node-a"), register(t, p.other, "node-b")
	return p
}

// ok is for what other clients do in between.
func (p *pair) ok(err error) { p.t.Helper(); require.NoError(p.t, err) }

// lapse is when anybody may claim what was granted at the beginning.
const lapse = registry.DefaultTTL + registry.DefaultGrace + 2*registry.DefaultMaxClockSkew

// Contract 3: node status is checked in the transaction that grants, and heartbeats
// do not disturb it.
func TestHeartbeatDoesNotDisturbAClaim(t *testing.T) {
	p := newPair(t)
	p.clock.then(func() { p.ok(p.other.Heartbeat(context.Background(), p.node)) })
	_, err := p.mine.Claim(t.Context(), actorID("x"), p.node, claimID(1))
	require.NoError(t, err)
	assert.Equal(t, 1, p.clock.reads, "one attempt")
}

func TestEndOfAnIncarnationDisturbsItsClaim(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(p *pair) error
		want error
	}{
		"failed": {func(p *pair) error {
			p.now.Set(p.mine.cfg.FailedAt(epochStart))
			return p.other.MarkFailed(context.Background(), p.node)
		}, registry.ErrNodeFailed},
		"superseded": {func(p *pair) error {
			_, err := p.other.RegisterNode(context.Background(), p.node.ID, registry.NodeInfo{}, registry.Supersede)
			return err
		}, registry.ErrNodeFailed},
		"left": {func(p *pair) error {
			return p.other.DeregisterNode(context.Background(), p.node)
		}, registry.ErrNodeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.clock.then(func() { p.ok(c.end(p)) })
			_, err := p.mine.Claim(t.Context(), actorID("x"), p.node, claimID(1))
			assert.ErrorIs(t, err, c.want)
			assert.Equal(t, 2, p.clock.reads, "the first attempt conflicts, the second reads its own clock")
			_, found, err := p.mine.Lookup(t.Context(), actorID("x"))
			require.NoError(t, err)
			assert.False(t, found)

			held := mustClaim(t, p.other, "y", p.rival)
			p2 := register(t, p.other, "node-c")
			p.node = p2
			p.now.Set(epochStart) // the new node was seen now
			p.ok(p.other.Heartbeat(t.Context(), p2))
			p.clock.then(func() { p.ok(c.end(p)) })
			_, err = p.mine.Transfer(t.Context(), held, p2)
			assert.ErrorIs(t, err, c.want, "a transfer depends on the receiver likewise")
		})
	}
}

// What a refusal tells of a node is what the refusing step saw, its last-seen time too,
// which is read after the decision: the node registers again in between.
func TestRefusalTellsOfTheNodeAtOneInstant(t *testing.T) {
	for name, refused := range map[string]func(*pair, registry.Lease) error{
		"claim": func(p *pair, _ registry.Lease) error {
			_, err := p.mine.Claim(t.Context(), actorID("y"), p.node, claimID(1))
			return err
		},
		"transfer": func(p *pair, held registry.Lease) error {
			_, err := p.mine.Transfer(t.Context(), held, p.node)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			held := mustClaim(t, p.other, "x", p.rival)
			p.ok(p.other.DeregisterNode(t.Context(), p.node))
			left, _, err := p.other.GetNode(t.Context(), p.node.ID)
			p.ok(err)
			p.now.Set(at(time.Second))
			p.clock.then(func() { register(t, p.other, p.node.ID) })
			var refusal *registry.Refusal
			require.ErrorAs(t, refused(p, held), &refusal)
			assert.Equal(t, registry.Refusal{Reason: registry.ErrNodeUnknown, Node: left, Now: epochStart}, *refusal)
			again, _, err := p.other.GetNode(t.Context(), p.node.ID)
			p.ok(err)
			assert.Equal(t, at(time.Second), again.LastSeen)
		})
	}
}

// F3: the expiry is checked in the transaction that claims; the holder renews in between.
func TestRenewalDuringAClaimIsNotOverrun(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.other, "x", p.node)
	p.now.Set(at(registry.DefaultTTL + registry.DefaultGrace - 1)) // the holder's clock is slow
	p.clock.now = at(lapse)
	p.clock.then(func() {
		_, err := p.other.Renew(context.Background(), lease)
		p.ok(err)
	})
	_, err := p.mine.Claim(t.Context(), actorID("x"), p.rival, claimID(1))
	var held *registry.Refusal
	require.ErrorAs(t, err, &held)
	require.ErrorIs(t, err, registry.ErrHeld)
	assert.Equal(t, p.node, held.Placement.Holder)
	assert.Equal(t, lease.Version+1, held.Placement.Version, "the refusal is of the renewed record")
	assert.Equal(t, 2, p.clock.reads)
}

// F1: two claims that read the same version do not both grant.
func TestClaimDuringAClaimIsNotOverrun(t *testing.T) {
	p := newPair(t)
	p.clock.then(func() { mustClaim(t, p.other, "x", p.rival) })
	_, err := p.mine.Claim(t.Context(), actorID("x"), p.node, claimID(1))
	assert.ErrorIs(t, err, registry.ErrHeld)
	assert.Equal(t, 2, p.clock.reads)
}

// VersionBump: a release that lands during a renewal invalidates it.
func TestReleaseDuringARenewalEndsIt(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.other, "x", p.node)
	p.clock.then(func() { p.ok(p.other.Release(context.Background(), lease)) })
	_, err := p.mine.Renew(t.Context(), lease)
	assert.ErrorIs(t, err, registry.ErrNotHeld)
}

// A delayed heartbeat does not put its old reading over a newer one, and a failure
// detector does not act on a last-seen time that was overtaken.
func TestHeartbeatsOvertakeEachOther(t *testing.T) {
	p := newPair(t)
	p.now.Set(at(time.Minute))
	p.clock.then(func() {
		p.ok(p.other.Heartbeat(context.Background(), p.node))
		p.clock.now = at(time.Minute + time.Second) // what the delayed one reads when it tries again
	})
	require.NoError(t, p.mine.Heartbeat(t.Context(), p.node))
	n, _, err := p.mine.GetNode(t.Context(), p.node.ID)
	require.NoError(t, err)
	assert.Equal(t, at(time.Minute+time.Second), n.LastSeen)
	assert.Equal(t, 2, p.clock.reads)

	p.clock.now = p.mine.cfg.FailedAt(n.LastSeen)
	p.now.Set(p.clock.now)
	p.clock.then(func() { p.ok(p.other.Heartbeat(context.Background(), p.node)) })
	assert.ErrorIs(t, p.mine.MarkFailed(t.Context(), p.node), registry.ErrNodeAlive)
}

func TestConcurrentRegistrationsHaveDifferentEpochs(t *testing.T) {
	p := newPair(t)
	p.clock.then(func() {
		n, err := p.other.RegisterNode(context.Background(), p.node.ID, registry.NodeInfo{}, registry.Supersede)
		p.ok(err)
		assert.Equal(t, p.node.Epoch+1, n.Ref.Epoch)
	})
	n, err := p.mine.RegisterNode(t.Context(), p.node.ID, registry.NodeInfo{}, registry.Supersede)
	require.NoError(t, err)
	assert.Equal(t, p.node.Epoch+2, n.Ref.Epoch)
}

// guardedWrite runs one attempt of an application's transaction: guard, write, what
// happens in between, commit.
func (p *pair) guardedWrite(lease registry.Lease, between func()) error {
	tr, err := p.store.db.CreateTransaction()
	p.ok(err)
	if err := p.mine.Guard(tr, lease); err != nil {
		return err
	}
	tr.Set(p.stateKey(), []byte(lease.Holder.String()))
	between()
	return tr.Commit().Get()
}

func (p *pair) stateKey() fdb.Key { return append(p.mine.keys.cluster, "/app"...) }

// NoStaleWrite, first direction: whatever ends the tenure makes the guarded write fail.
func TestGuardedWriteConflictsWithTheEndOfTheTenure(t *testing.T) {
	for name, end := range map[string]func(p *pair, l registry.Lease) error{
		"release": func(p *pair, l registry.Lease) error { return p.other.Release(context.Background(), l) },
		"transfer": func(p *pair, l registry.Lease) error {
			_, err := p.other.Transfer(context.Background(), l, p.rival)
			return err
		},
		"transfer to the same node": func(p *pair, l registry.Lease) error {
			_, err := p.other.Transfer(context.Background(), l, p.node)
			return err
		},
		"reclaim": func(p *pair, l registry.Lease) error {
			p.now.Set(at(lapse))
			_, err := p.other.Claim(context.Background(), l.Actor, p.rival, claimID(9))
			return err
		},
		"reclaim by the same node": func(p *pair, l registry.Lease) error {
			p.now.Set(at(lapse))
			_, err := p.other.Claim(context.Background(), l.Actor, p.node, claimID(9))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			lease := mustClaim(t, p.other, "x", p.node)
			err := p.guardedWrite(lease, func() { p.ok(end(p, lease)) })
			assert.Equal(t, codeNotCommitted, errorCode(err), "%v", err)

			err = p.guardedWrite(lease, func() { t.Error("the guard let a stale write through") })
			want := registry.ErrFenced
			if name == "release" {
				want = registry.ErrNotHeld
			}
			var refusal *registry.Refusal
			require.ErrorAs(t, err, &refusal)
			assert.ErrorIs(t, err, want)
			assert.Equal(t, lease.Version+1, refusal.Placement.Version, "the refusal carries the whole record")
		})
	}
}

// NoStaleWrite, second direction: renewals of the same tenure, and everything else
// that does not end it, leave the guarded write alone.
func TestGuardedWriteDoesNotConflictWithRenewals(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.other, "x", p.node)
	require.NoError(t, p.guardedWrite(lease, func() {
		_, err := p.other.Renew(context.Background(), lease)
		p.ok(err)
		p.ok(p.other.RenewBatch(context.Background(), []registry.Lease{lease})[0].Err)
		p.ok(p.other.Heartbeat(context.Background(), p.node))
		_, err = p.other.Claim(context.Background(), lease.Actor, p.node, lease.ClaimID) // repeated
		p.ok(err)
		_, err = p.other.Claim(context.Background(), lease.Actor, p.rival, claimID(7)) // refused
		assert.ErrorIs(t, err, registry.ErrHeld)
		mustClaim(t, p.other, "another", p.rival)
		p.now.Set(p.mine.cfg.FailedAt(epochStart))
		p.ok(p.other.MarkFailed(context.Background(), p.node)) // takes no actor away
	}))
	got, err := p.store.db.Transact(func(tr fdb.Transaction) (any, error) { return tr.Get(p.stateKey()).Get() })
	require.NoError(t, err)
	assert.Equal(t, "node-a#1", string(got.([]byte)))
}

// The other way round: a guarded write disturbs no renewal and no claim.
func TestGuardedWriteDisturbsNobody(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.other, "x", p.node)
	p.clock.then(func() { p.ok(p.guardedWrite(lease, func() {})) })
	_, err := p.mine.Renew(t.Context(), lease)
	require.NoError(t, err)
	assert.Equal(t, 1, p.clock.reads)
}

func TestGuardRefusesWhatWasNeverGranted(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.other, "x", p.node)
	guard := func(change func(*registry.Lease)) error {
		l := lease
		change(&l)
		return p.guardedWrite(l, func() { t.Error("accepted") })
	}
	assert.ErrorIs(t, guard(func(l *registry.Lease) { l.Token++ }), registry.ErrNotHeld)
	var refusal *registry.Refusal
	require.ErrorAs(t, guard(func(l *registry.Lease) { l.Holder = p.rival }), &refusal)
	assert.Equal(t, registry.Refusal{Reason: registry.ErrNotHeld, Placement: registry.Placement(lease)}, *refusal)
	assert.ErrorIs(t, guard(func(l *registry.Lease) { l.Actor.Name = "never" }), registry.ErrNotHeld)
	assert.ErrorIs(t, guard(func(l *registry.Lease) { l.Token = 0 }), registry.ErrInvalid)
	require.NoError(t, p.mine.Close())
	assert.ErrorIs(t, guard(func(*registry.Lease) {}), registry.ErrClosed)
}

// A failed guard is retried by the binding's own loop: the error is left as it is.
func TestGuardInTheBindingsRetryLoop(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.other, "x", p.node)
	attempts := 0
	_, err := p.store.db.Transact(func(tr fdb.Transaction) (any, error) {
		if err := p.mine.Guard(tr, lease); err != nil {
			return nil, err
		}
		tr.Set(p.stateKey(), []byte("late"))
		if attempts++; attempts == 1 {
			p.ok(p.other.Release(context.Background(), lease))
		}
		return nil, nil
	})
	assert.ErrorIs(t, err, registry.ErrNotHeld)
	assert.Equal(t, 1, attempts, "the second attempt is refused by the guard")
}
