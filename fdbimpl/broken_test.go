//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"fmt"
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// Bugs of the failure catalogue put into this package: each overrides one or two
// operations, everything else is the shipped code.

// f1 claims without checking the version: the record is read, but not in the read set.
type f1 struct{ *Registry }

func (v f1) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return transact(ctx, v.Registry, "broken", func(a *attempt) (registry.Lease, error) {
		return v.claimReading(a, a.tr.Snapshot(), actor, node, id)
	})
}

// f3 reads the lease and checks its expiry in another transaction than the one that claims.
type f3 struct{ *Registry }

func (v f3) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return transact(ctx, v.Registry, "broken", func(a *attempt) (registry.Lease, error) {
		elsewhere, err := v.db.CreateTransaction()
		if err != nil {
			return registry.Lease{}, err
		}
		return v.claimReading(a, elsewhere, actor, node, id)
	})
}

// claimReading is the shipped claim, with the record read through another view.
func (r *Registry) claimReading(a *attempt, view fdb.ReadTransaction, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	rec, n, err := awaitBoth(r.keys.readRecord(view, view, actor), r.keys.readStanding(a.tr, node.ID))
	if err != nil {
		return registry.Lease{}, err
	}
	next, changed, err := rules.Claim(r.cfg, rec, n.Node, actor, node, id, r.clock.Now())
	return a.answer(rec, next, changed, err)
}

// f4 stores the token and never compares it: the holder's name is enough.
type f4 struct{ *Registry }

func (v f4) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	return transact(ctx, v.Registry, "broken", func(a *attempt) (registry.Lease, error) {
		rec, err := v.keys.readRecord(a.tr, a.tr, lease.Actor).await()
		if err != nil {
			return registry.Lease{}, err
		}
		lease.Token = rec.Token
		next, changed, err := rules.Renew(v.cfg, rec, lease, v.clock.Now())
		return a.answer(rec, next, changed, err)
	})
}

// f7 deletes the record at release.
type f7 struct{ *Registry }

func (v f7) Release(ctx context.Context, lease registry.Lease) error {
	_, err := transact(ctx, v.Registry, "broken", func(a *attempt) (registry.Lease, error) {
		rec, err := v.keys.readRecord(a.tr, a.tr, lease.Actor).await()
		if err != nil {
			return registry.Lease{}, err
		}
		next, changed, err := rules.Release(rec, lease)
		if changed {
			a.writeRecord(rec, next)
			a.tr.Clear(v.keys.tenure(lease.Actor))
			a.tr.Clear(v.keys.term(lease.Actor))
		}
		return registry.Lease{}, err
	})
	return err
}

// f16 leaves retrying to the binding, which repeats a commit of unknown outcome blindly.
type f16 struct{ *Registry }

func (v f16) Renew(_ context.Context, lease registry.Lease) (registry.Lease, error) {
	return v.blindly(func(a *attempt, rec registry.Placement) (registry.Placement, bool, error) {
		return rules.Renew(v.cfg, rec, lease, v.clock.Now())
	}, lease.Actor)
}

func (v f16) Transfer(_ context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	return v.blindly(func(a *attempt, rec registry.Placement) (registry.Placement, bool, error) {
		n, err := v.keys.readStanding(a.tr, to.ID).await()
		if err != nil {
			return registry.Placement{}, false, err
		}
		return rules.Transfer(v.cfg, rec, n.Node, lease, to, v.clock.Now())
	}, lease.Actor)
}

func (v f16) blindly(decide func(*attempt, registry.Placement) (registry.Placement, bool, error), actor registry.ActorID) (registry.Lease, error) {
	lease, err := v.db.Transact(func(tr fdb.Transaction) (any, error) {
		a := &attempt{r: v.Registry, tr: tr, mark: v.marks.next()}
		rec, err := v.keys.readRecord(tr, tr, actor).await()
		if err != nil {
			return registry.Lease{}, err
		}
		next, changed, err := decide(a, rec)
		return a.answer(rec, next, changed, err)
	})
	l, _ := lease.(registry.Lease)
	return l, err
}

// snapshotGuard is the shipped guard without its read conflict.
func snapshotGuard(r *Registry, tr fdb.Transaction, lease registry.Lease) error {
	rec, err := r.keys.readRecord(tr.Snapshot(), tr.Snapshot(), lease.Actor).await()
	if err != nil {
		return err
	}
	return rules.Validate(rec, lease.Token)
}

// A release and a new claim by the same node, while an older lease of it is renewed.
var (
	releaseAndClaimAgain = operation{"release and claim by a", "a", func(w *world, h registry.Handle) {
		if h.Release(ctxb, w.lease) == nil {
			_, _ = h.Claim(ctxb, actorID("x"), w.nodes["a"], claimID(3))
		}
	}}
	lateRenewal = operation{"renewal of the old lease", "b", renew.run}
)

// Every bug is convicted, by a schedule that is printed.
func TestBrokenVariantsAreConvicted(t *testing.T) {
	unknown := []string{"1021 applied"}
	for _, c := range []struct {
		id     string
		wrap   func(*Registry) registry.Handle
		sc     scenario
		faults []string // at most one of them per schedule
		rule   string   // the guarantee that the text names
	}{
		{"F1", func(r *Registry) registry.Handle { return f1{r} },
			scenario{name: "two claims of a free actor", before: withC(free), ops: []operation{claimB, claimC}}, nil, "SingleActivation"},
		{"F3", func(r *Registry) registry.Handle { return f3{r} },
			scenario{name: "claim and renewal", before: lapsing, ops: []operation{renew, claimB}}, nil, "SingleActivation"},
		{"F4", func(r *Registry) registry.Handle { return f4{r} },
			scenario{name: "late renewal of an earlier tenure", before: live, ops: []operation{releaseAndClaimAgain, lateRenewal}}, nil, "NoStaleWrite"},
		{"F7", func(r *Registry) registry.Handle { return f7{r} },
			scenario{name: "release and claim", before: live, ops: []operation{releaseAndClaimAgain, lookup}}, nil, "TokenMonotonic"},
		{"F16 renewal applied twice", func(r *Registry) registry.Handle { return f16{r} },
			scenario{name: "renewal and lookup", before: live, ops: []operation{renew, lookup}}, unknown, "VersionBump"},
		{"F16 own transfer taken for another's", func(r *Registry) registry.Handle { return f16{r} },
			scenario{name: "transfer and lookup", before: live, ops: []operation{transfer, lookup}}, unknown, "VersionBump"},
	} {
		t.Run(c.id, func(t *testing.T) {
			shipped, variant := newExplorer(t), newExplorer(t)
			shipped.only, variant.only = c.faults, c.faults
			_, all, wrong := shipped.explore(c.sc, min(1, len(c.faults)), 1e5)
			require.Empty(t, wrong, "the shipped code passes the same schedules")
			require.True(t, all)
			variant.wrap = c.wrap
			_, _, wrong = variant.explore(c.sc, min(1, len(c.faults)), 1e5)
			require.NotEmpty(t, wrong, "not convicted in %d schedules", variant.runs)
			assert.Contains(t, wrong, c.rule)
			assert.Contains(t, wrong, "interleaving:\n")
			t.Logf("convicted by schedule %d of %d: %s", variant.runs, shipped.runs, wrong)
		})
	}
}

// guardedWriter is an application: it writes its name under the guard of a lease,
// and tells whether it was acknowledged.
func guardedWriter(name string, guard func(*Registry, fdb.Transaction, registry.Lease) error, before func(*world, registry.Handle) bool) operation {
	return operation{"guarded write of " + name, name, func(w *world, h registry.Handle) {
		if before != nil && !before(w, h) {
			return
		}
		lease := w.leases[name]
		var err error
		var sent bool
		if w.trace != nil {
			w.trace.begin("guarded write of "+name, name, request("Write", lease.Holder, lease.Token, 0, lease.Holder, ""))
			defer func() { w.trace.finish("guarded write of "+name, w.trace.tla.none.outcome(err, sent)) }()
		}
		for range 5 {
			var tr fdb.Transaction
			if tr, err = w.e.db.CreateTransaction(); err != nil {
				return
			}
			_ = tr.Options().SetTimeout(5000)
			err = guard(w.raw[name], tr, lease)
			if sent = err == nil; sent {
				tr.Set(w.stateKey(), []byte(name))
				err = tr.Commit().Get()
			}
			if err == nil {
				w.acknowledged[name] = true
			}
			if c := errorCode(err); c == 0 || commitFate(c) != again {
				return
			}
		}
	}}
}

func (w *world) stateKey() fdb.Key { return subspace.Sub(w.prefix...).Pack(tuple.Tuple{"app"}) }

// handOver: a holds x and writes; b gets x from a and writes. Whatever the order,
// once b's write is acknowledged no write of a's comes after it.
func handOver(guard func(*Registry, fdb.Transaction, registry.Lease) error) scenario {
	return scenario{
		name: "guarded writes around a transfer",
		before: func(w *world) {
			live(w)
			w.leases["a"] = w.lease
		},
		ops: []operation{
			guardedWriter("a", guard, nil),
			guardedWriter("b", guard, func(w *world, h registry.Handle) bool {
				l, err := h.Transfer(ctxb, w.lease, w.nodes["b"])
				w.leases["b"] = l
				return err == nil
			}),
		},
		after: func(w *world) error {
			var state []byte
			w.must(func() error {
				got, err := w.e.db.Transact(func(tr fdb.Transaction) (any, error) { return tr.Get(w.stateKey()).Get() })
				state, _ = got.([]byte)
				return err
			})
			if w.acknowledged["b"] && string(state) != "b" {
				return fmt.Errorf("NoStaleWrite: b's write was acknowledged, and the state was written by %q after it", state)
			}
			return nil
		},
	}
}

// NoStaleWrite in every order, with every fault; and the same without the guard's
// read conflict is convicted.
func TestEveryInterleavingOfGuardedWrites(t *testing.T) {
	e := newExplorer(t)
	e.all(handOver((*Registry).Guard), 0)
	e.joinReads = true
	e.only = []string{"1020", "1021 applied", "1021 not applied", "1031"}
	if raceEnabled {
		e.only = e.only[:2]
	}
	e.all(handOver((*Registry).Guard), 1)
	e.report("guarded writes around a transfer")

	broken := newExplorer(t)
	_, _, wrong := broken.explore(handOver(snapshotGuard), 0, 1e5)
	require.NotEmpty(t, wrong)
	assert.Contains(t, wrong, "NoStaleWrite")
	t.Logf("a guard without read conflict: %s", wrong)
}
