package op

import (
	"context"

	"github.com/kelpie-registry/registry"
)

// Powers says which optional interfaces a handle has.
type Powers struct {
	Batch bool // registry.BatchRenewer
	Watch bool // registry.Watcher
}

// PowersOf returns the optional interfaces that h has.
func PowersOf(h registry.Handle) (p Powers) {
	_, p.Batch = h.(registry.BatchRenewer)
	_, p.Watch = h.(registry.Watcher)
	return p
}

// Handle returns a handle whose every operation is do. It has the optional
// interfaces that p names, and no others. do decides everything, the check of
// arguments included; it must be safe for concurrent use. A wrapper around
// another handle calls [Do] on it.
//
// A result without an error returns its values; one with an error returns the
// error alone, except that Lookup and GetNode pass on what stands beside it.
func Handle(do func(ctx context.Context, c Call) Result, p Powers) registry.Handle {
	h := handle{do}
	switch {
	case p.Batch && p.Watch:
		return struct {
			handle
			batcher
			watcher
		}{h, batcher{do}, watcher{do}}
	case p.Batch:
		return struct {
			handle
			batcher
		}{h, batcher{do}}
	case p.Watch:
		return struct {
			handle
			watcher
		}{h, watcher{do}}
	}
	return h
}

type handle struct {
	do func(context.Context, Call) Result
}

func (r *Result) granted() (registry.Lease, error) {
	if r.Err != nil {
		return registry.Lease{}, r.Err
	}
	return r.Lease(), nil
}

func (h handle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	r := h.do(ctx, Call{Kind: Claim, Actor: actor, Node: node, ClaimID: id})
	return r.granted()
}

func (h handle) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	r := h.do(ctx, OnLease(Renew, lease))
	return r.granted()
}

func (h handle) Release(ctx context.Context, lease registry.Lease) error {
	return h.do(ctx, OnLease(Release, lease)).Err
}

func (h handle) Transfer(ctx context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	c := OnLease(Transfer, lease)
	c.To = to
	r := h.do(ctx, c)
	return r.granted()
}

func (h handle) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	r := h.do(ctx, Call{Kind: Lookup, Actor: actor})
	if r.Outcome == Refused {
		return registry.Placement{}, false, r.Err
	}
	return r.Record, r.Found, r.Err
}

func (h handle) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	return h.do(ctx, Call{Kind: Validate, Actor: actor, Token: token}).Err
}

func (h handle) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	r := h.do(ctx, Call{Kind: ListActors, Node: node, Page: page})
	return r.Actors, r.Next, r.Err
}

func (h handle) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	r := h.do(ctx, Call{Kind: RegisterNode, Node: registry.NodeRef{ID: id}, Info: info, Mode: mode})
	if r.Err != nil {
		return registry.Node{}, r.Err
	}
	return r.Node, nil
}

func (h handle) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	return h.do(ctx, Call{Kind: Heartbeat, Node: node}).Err
}

func (h handle) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	return h.do(ctx, Call{Kind: MarkFailed, Node: node}).Err
}

func (h handle) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	return h.do(ctx, Call{Kind: DeregisterNode, Node: node}).Err
}

func (h handle) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	r := h.do(ctx, Call{Kind: GetNode, Node: registry.NodeRef{ID: id}})
	if r.Outcome == Refused {
		return registry.Node{}, false, r.Err
	}
	return r.Node, r.Found, r.Err
}

func (h handle) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	r := h.do(ctx, Call{Kind: ListNodes, Status: status, Page: page})
	return r.Nodes, r.Next, r.Err
}

func (h handle) Close() error { return h.do(context.Background(), Call{Kind: Close}).Err }

type batcher struct {
	batch func(context.Context, Call) Result
}

// RenewBatch returns the results as they are. When there are none because the
// batch as a whole failed, each lease gets that error.
func (b batcher) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	r := b.batch(ctx, Call{Kind: RenewBatch, Leases: leases})
	if r.Err != nil {
		out := make([]registry.Renewal, len(leases))
		for i := range out {
			out[i].Err = r.Err
		}
		return out
	}
	out := make([]registry.Renewal, len(r.Renewals))
	for i := range out {
		out[i].Lease, out[i].Err = r.Renewals[i].granted()
	}
	return out
}

type watcher struct {
	watch func(context.Context, Call) Result
}

func (w watcher) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	r := w.watch(ctx, Call{Kind: Watch, Actor: actor, Seen: seen})
	if r.Err != nil {
		return registry.Placement{}, r.Err
	}
	return r.Record, nil
}
