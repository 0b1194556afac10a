package op_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// answer is what an answering handle answers to any call.
type answer struct {
	record   registry.Placement
	node     registry.Node
	found    bool
	actors   []registry.Placement
	nodes    []registry.Node
	next     registry.Cursor
	renewals []registry.Renewal
	err      error
}

// answering is a handle written by hand, with both optional interfaces. It
// keeps what it was asked, and answers values beside its error.
type answering struct {
	answer
	asked op.Call
	ctx   context.Context
	calls int
}

func (a *answering) ask(ctx context.Context, c op.Call) { a.ctx, a.asked, a.calls = ctx, c, a.calls+1 }

func (a *answering) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	a.ask(ctx, op.Call{Kind: op.Claim, Actor: actor, Node: node, ClaimID: id})
	return a.record.Lease(), a.err
}

func (a *answering) onLease(ctx context.Context, k op.Kind, l registry.Lease, to registry.NodeRef) {
	a.ask(ctx, op.Call{Kind: k, Actor: l.Actor, Node: l.Holder, Token: l.Token, Version: l.Version, Expiry: l.Expiry, ClaimID: l.ClaimID, To: to})
}

func (a *answering) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	a.onLease(ctx, op.Renew, l, registry.NodeRef{})
	return a.record.Lease(), a.err
}

func (a *answering) Release(ctx context.Context, l registry.Lease) error {
	a.onLease(ctx, op.Release, l, registry.NodeRef{})
	return a.err
}

func (a *answering) Transfer(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	a.onLease(ctx, op.Transfer, l, to)
	return a.record.Lease(), a.err
}

func (a *answering) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	a.ask(ctx, op.Call{Kind: op.Lookup, Actor: actor})
	return a.record, a.found, a.err
}

func (a *answering) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	a.ask(ctx, op.Call{Kind: op.Validate, Actor: actor, Token: token})
	return a.err
}

func (a *answering) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	a.ask(ctx, op.Call{Kind: op.ListActors, Node: node, Page: page})
	return a.actors, a.next, a.err
}

func (a *answering) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	a.ask(ctx, op.Call{Kind: op.RenewBatch, Leases: leases})
	return a.renewals
}

func (a *answering) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	a.ask(ctx, op.Call{Kind: op.Watch, Actor: actor, Seen: seen})
	return a.record, a.err
}

func (a *answering) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	a.ask(ctx, op.Call{Kind: op.RegisterNode, Node: registry.NodeRef{ID: id}, Info: info, Mode: mode})
	return a.node, a.err
}

func (a *answering) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	a.ask(ctx, op.Call{Kind: op.Heartbeat, Node: node})
	return a.err
}

func (a *answering) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	a.ask(ctx, op.Call{Kind: op.MarkFailed, Node: node})
	return a.err
}

func (a *answering) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	a.ask(ctx, op.Call{Kind: op.DeregisterNode, Node: node})
	return a.err
}

func (a *answering) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	a.ask(ctx, op.Call{Kind: op.GetNode, Node: registry.NodeRef{ID: id}})
	return a.node, a.found, a.err
}

func (a *answering) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	a.ask(ctx, op.Call{Kind: op.ListNodes, Status: status, Page: page})
	return a.nodes, a.next, a.err
}

func (a *answering) Close() error {
	a.ask(context.Background(), op.Call{Kind: op.Close})
	return a.err
}

// expected is what Do makes of a's answer to a call of the kind: of an error
// nothing but the error and its details, except from Lookup and GetNode where it
// is no refusal.
func expected(a answer, k op.Kind) op.Result {
	r := op.Result{Outcome: op.OK}
	if a.err != nil && k != op.RenewBatch {
		r = op.Failed(a.err)
	}
	ok, read := r.Outcome == op.OK, r.Outcome != op.Refused
	switch {
	case k.Grants() && ok:
		r.Record = a.record
	case k == op.Lookup && read:
		r.Record, r.Found = a.record, a.found
	case k == op.GetNode && read:
		r.Node, r.Found = a.node, a.found
	case k == op.Watch && ok:
		r.Record, r.Found = a.record, a.record.Version > 0
	case k == op.RegisterNode && ok:
		r.Node = a.node
	case k == op.ListActors && ok:
		r.Actors, r.Next = a.actors, a.next
	case k == op.ListNodes && ok:
		r.Nodes, r.Next = a.nodes, a.next
	case k == op.RenewBatch:
		for _, one := range a.renewals {
			renewal := op.Failed(one.Err)
			if one.Err == nil {
				renewal.Record = registry.Placement(one.Lease)
			}
			r.Renewals = append(r.Renewals, renewal)
		}
	}
	if finds := k == op.Lookup || k == op.GetNode || k == op.Watch; finds && ok && !r.Found {
		return op.Result{Outcome: op.OK} // what was not found means nothing
	}
	return r
}

type contextKey struct{}

// Do passes on every argument and the context, and returns all that was
// answered. A handle made of Do on another handle answers as that one does.
func TestDoAndHandle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKind(t)
		c := drawCall(t, k)
		inner := &answering{answer: drawAnswer(t, drawOutcome(t))}
		ctx := context.WithValue(t.Context(), contextKey{}, "mine")
		want := expected(inner.answer, k)
		require.Equal(t, want, op.Do(ctx, inner, &c))
		require.Equal(t, c, inner.asked)
		require.Equal(t, 1, inner.calls)

		var passed op.Call
		outer := op.Handle(func(ctx context.Context, c op.Call) op.Result {
			passed = c
			return op.Do(ctx, inner, &c)
		}, op.PowersOf(inner))
		for _, wrapped := range []registry.Handle{outer, op.Handle(func(ctx context.Context, c op.Call) op.Result { return op.Do(ctx, outer, &c) }, op.PowersOf(outer))} {
			inner.asked = op.Call{}
			got := op.Do(ctx, wrapped, &c)
			require.Equal(t, want, got)
			require.Equal(t, c, inner.asked)
			require.Equal(t, c, passed)
			if k != op.Close {
				require.Equal(t, "mine", inner.ctx.Value(contextKey{}))
			}
		}
		require.Equal(t, 3, inner.calls)
	})
}

// A wrapper returns exactly what the wrapped handle returns, call by call. Values
// beside an error, which mean nothing, are dropped.
func TestHandleReturnsWhatTheInnerReturns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inner := &answering{answer: drawAnswer(t, drawOutcome(t))}
		outer := op.Handle(func(ctx context.Context, c op.Call) op.Result { return op.Do(ctx, inner, &c) }, op.PowersOf(inner))
		ctx := t.Context()
		same := func(want, got any, wantErr, gotErr error) {
			require.Equal(t, wantErr, gotErr)
			if wantErr != nil {
				want = reflect.Zero(reflect.TypeOf(got)).Interface()
			}
			require.Equal(t, want, got)
		}
		lease, err := outer.Renew(ctx, registry.Lease{})
		same(inner.record.Lease(), lease, inner.err, err)
		n, err := outer.RegisterNode(ctx, "n", registry.NodeInfo{}, registry.IfAbsent)
		same(inner.node, n, inner.err, err)
		rows, next, err := outer.ListActors(ctx, registry.NodeRef{}, registry.Page{})
		same(inner.actors, rows, inner.err, err)
		same(inner.next, next, inner.err, err)
		require.Equal(t, inner.err, outer.Release(ctx, registry.Lease{}))
		require.Equal(t, inner.err, outer.Close())
		got := outer.(registry.BatchRenewer).RenewBatch(ctx, nil)
		require.Len(t, got, len(inner.renewals))
		for i, want := range inner.renewals {
			same(want.Lease, got[i].Lease, want.Err, got[i].Err)
		}
	})
}

// Lookup and GetNode pass on what stands beside an error, so that whoever judges
// a registry can see it. A refusal is passed on alone.
func TestBesideAnError(t *testing.T) {
	said := answer{record: registry.Placement{Token: 7}, node: registry.Node{Ref: registry.NodeRef{ID: "n", Epoch: 1}}, found: true}
	detailed := &registry.Refusal{Reason: registry.ErrHeld, Placement: registry.Placement{Token: 8}, Node: said.node}
	for _, err := range []error{registry.ErrUnavailable, registry.ErrHeld, detailed} {
		inner := &answering{answer: said}
		inner.err = err
		h := op.Handle(func(ctx context.Context, c op.Call) op.Result { return op.Do(ctx, inner, &c) }, op.Powers{})
		p, found, got := h.Lookup(t.Context(), registry.ActorID{})
		n, foundNode, gotNode := h.GetNode(t.Context(), "n")
		require.Equal(t, err, got)
		require.Equal(t, err, gotNode)
		want := said
		if errors.Is(err, registry.ErrHeld) {
			want = answer{}
		}
		require.Equal(t, want, answer{record: p, node: n, found: found && foundNode})
		r := op.Do(t.Context(), h, &op.Call{Kind: op.Lookup})
		require.Equal(t, want.found, r.BesideError())
	}
	for _, r := range []op.Result{{Outcome: op.OK, Found: true}, op.Failed(registry.ErrUnavailable)} {
		require.False(t, r.BesideError())
	}
}

// A handle has the optional interfaces that were asked for, and no others. What
// it cannot do is said by an error that the contract does not list.
func TestPowers(t *testing.T) {
	ok := func(context.Context, op.Call) op.Result { return op.Result{Outcome: op.OK} }
	for _, p := range []op.Powers{{}, {Batch: true}, {Watch: true}, {Batch: true, Watch: true}} {
		h := op.Handle(ok, p)
		require.Equal(t, p, op.PowersOf(h))
		for _, k := range op.Kinds() {
			r := op.Do(t.Context(), h, &op.Call{Kind: k})
			if k == op.RenewBatch && !p.Batch || k == op.Watch && !p.Watch {
				require.ErrorIs(t, r.Err, errors.ErrUnsupported)
				require.ErrorContains(t, r.Err, k.String())
				require.Equal(t, op.Unlisted, r.Outcome)
				continue
			}
			require.Equal(t, op.OK, r.Outcome, k)
		}
	}
	require.Equal(t, op.Powers{Batch: true, Watch: true}, op.PowersOf(&answering{}))
}

// A batch that failed as a whole fails for each lease.
func TestBatchFailsAsAWhole(t *testing.T) {
	h := op.Handle(func(context.Context, op.Call) op.Result { return op.Failed(registry.ErrClosed) }, op.Powers{Batch: true})
	got := h.(registry.BatchRenewer).RenewBatch(t.Context(), make([]registry.Lease, 3))
	require.Equal(t, []registry.Renewal{{Err: registry.ErrClosed}, {Err: registry.ErrClosed}, {Err: registry.ErrClosed}}, got)
}

// A call of no operation reaches no handle.
func TestDoOfNothing(t *testing.T) {
	for _, k := range []op.Kind{0, op.Close + 1, 255} {
		inner := &answering{}
		r := op.Do(t.Context(), inner, &op.Call{Kind: k})
		require.ErrorIs(t, r.Err, errors.ErrUnsupported)
		require.Equal(t, op.Unlisted, r.Outcome)
		require.Zero(t, inner.calls)
	}
}
