package linearizability

import (
	"context"

	"github.com/kelpie-registry/registry"
)

// Wrap returns a handle that passes every call on to h and records it under
// the given name. Handles opened one after the other for the same node, before
// and after a crash, share a name. Of the optional interfaces it has those that
// h has. Close is passed on and not recorded.
func (r *Recorder) Wrap(node string, h registry.Handle) registry.Handle {
	w := &wrapped{Handle: h, recorder: r, client: r.client(node)}
	batch, isBatch := h.(registry.BatchRenewer)
	watch, isWatch := h.(registry.Watcher)
	switch {
	case isBatch && isWatch:
		return struct {
			*wrapped
			batcher
			watcher
		}{w, batcher{w, batch}, watcher{w, watch}}
	case isBatch:
		return struct {
			*wrapped
			batcher
		}{w, batcher{w, batch}}
	case isWatch:
		return struct {
			*wrapped
			watcher
		}{w, watcher{w, watch}}
	}
	return w
}

type wrapped struct {
	registry.Handle // Close
	recorder        *Recorder
	client          *client
}

func (w *wrapped) begin(kind Kind, ask Ask) *Op { return w.recorder.call(w.client, kind, ask) }

func (w *wrapped) end(op *Op, a Answer, err error) { w.recorder.finish(w.client, op, a, err) }

func leaseAsk(l registry.Lease) Ask { return Ask{Actor: l.Actor, Node: l.Holder, Token: l.Token} }

func leaseAnswer(l registry.Lease) Answer { return Answer{Record: registry.Placement(l)} }

func (w *wrapped) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	op := w.begin(KindClaim, Ask{Actor: actor, Node: node, ClaimID: id})
	l, err := w.Handle.Claim(ctx, actor, node, id)
	w.end(op, leaseAnswer(l), err)
	return l, err
}

func (w *wrapped) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	op := w.begin(KindRenew, leaseAsk(lease))
	l, err := w.Handle.Renew(ctx, lease)
	w.end(op, leaseAnswer(l), err)
	return l, err
}

func (w *wrapped) Release(ctx context.Context, lease registry.Lease) error {
	op := w.begin(KindRelease, leaseAsk(lease))
	err := w.Handle.Release(ctx, lease)
	w.end(op, Answer{}, err)
	return err
}

func (w *wrapped) Transfer(ctx context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	ask := leaseAsk(lease)
	ask.To = to
	op := w.begin(KindTransfer, ask)
	l, err := w.Handle.Transfer(ctx, lease, to)
	w.end(op, leaseAnswer(l), err)
	return l, err
}

func (w *wrapped) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	op := w.begin(KindLookup, Ask{Actor: actor})
	p, found, err := w.Handle.Lookup(ctx, actor)
	w.end(op, Answer{Record: p, Found: found}, err)
	return p, found, err
}

func (w *wrapped) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	op := w.begin(KindValidate, Ask{Actor: actor, Token: token})
	err := w.Handle.Validate(ctx, actor, token)
	w.end(op, Answer{}, err)
	return err
}

func (w *wrapped) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	op := w.begin(KindListActors, Ask{Node: node, Page: page})
	rows, next, err := w.Handle.ListActors(ctx, node, page)
	w.end(op, Answer{Actors: append([]registry.Placement(nil), rows...), Next: next}, err)
	return rows, next, err
}

func (w *wrapped) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	op := w.begin(KindRegisterNode, Ask{Node: registry.NodeRef{ID: id}, Info: info, Mode: mode})
	n, err := w.Handle.RegisterNode(ctx, id, info, mode)
	w.end(op, Answer{Node: n}, err)
	return n, err
}

func (w *wrapped) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	op := w.begin(KindHeartbeat, Ask{Node: node})
	err := w.Handle.Heartbeat(ctx, node)
	w.end(op, Answer{}, err)
	return err
}

func (w *wrapped) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	op := w.begin(KindMarkFailed, Ask{Node: node})
	err := w.Handle.MarkFailed(ctx, node)
	w.end(op, Answer{}, err)
	return err
}

func (w *wrapped) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	op := w.begin(KindDeregisterNode, Ask{Node: node})
	err := w.Handle.DeregisterNode(ctx, node)
	w.end(op, Answer{}, err)
	return err
}

func (w *wrapped) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	op := w.begin(KindGetNode, Ask{Node: registry.NodeRef{ID: id}})
	n, found, err := w.Handle.GetNode(ctx, id)
	w.end(op, Answer{Node: n, Found: found}, err)
	return n, found, err
}

func (w *wrapped) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	op := w.begin(KindListNodes, Ask{Status: status, Page: page})
	rows, next, err := w.Handle.ListNodes(ctx, status, page)
	w.end(op, Answer{Nodes: append([]registry.Node(nil), rows...), Next: next}, err)
	return rows, next, err
}

type batcher struct {
	w     *wrapped
	inner registry.BatchRenewer
}

// RenewBatch is recorded as one Renew for each lease, all in flight for the
// whole of the call: each renewal is atomic by itself.
func (b batcher) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	ops := make([]*Op, len(leases))
	for i, l := range leases {
		ops[i] = b.w.begin(KindRenew, leaseAsk(l))
	}
	results := b.inner.RenewBatch(ctx, leases)
	for i, op := range ops {
		if i < len(results) {
			b.w.end(op, leaseAnswer(results[i].Lease), results[i].Err)
		} // a lease without a result stays pending
	}
	return results
}

type watcher struct {
	w     *wrapped
	inner registry.Watcher
}

func (k watcher) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	op := k.w.begin(KindWatch, Ask{Actor: actor, Seen: seen})
	p, err := k.inner.Watch(ctx, actor, seen)
	k.w.end(op, Answer{Record: p, Found: p.Version > 0}, err)
	return p, err
}
