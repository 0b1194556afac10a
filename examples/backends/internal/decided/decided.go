// Package decided makes a registry of a store that can read, let the client
// decide, and write on the condition that what was read is still so. The
// decisions are those of the registry's rules package; a store brings the
// condition.
package decided

import (
	"context"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/backends/internal/admit"
	"github.com/kelpie-registry/registry/internal/rules"
)

// Store is a store with conditional writes. Its methods are safe for concurrent use.
type Store interface {
	// UpdateActor is one atomic step on the record of an actor. It calls decide
	// with the record (zero: none) and, unless node is "", the latest
	// registration of node (zero: none). When decide says changed, next is
	// written only if both values are still the current ones; if they are not,
	// the step starts over and decide is called again, with what there is now.
	// It returns what the deciding attempt returned, or ErrUnavailable,
	// ErrAmbiguous or the context's error.
	UpdateActor(ctx context.Context, actor registry.ActorID, node registry.NodeID, decide DecideActor) (registry.Placement, error)

	// UpdateNode is the same on the registration of a node.
	UpdateNode(ctx context.Context, id registry.NodeID, decide DecideNode) (registry.Node, error)

	// Actor and Node read the latest committed value; zero: none.
	Actor(ctx context.Context, actor registry.ActorID) (registry.Placement, error)
	Node(ctx context.Context, id registry.NodeID) (registry.Node, error)

	ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error)
	ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error)
}

// DecideActor and DecideNode are decisions. A store calls one once per attempt,
// and each call reads the clock at most once. It is called after the values were
// read, so that the reading is not older than a write that it has seen.
type (
	DecideActor func(rec registry.Placement, n registry.Node) (next registry.Placement, changed bool, err error)
	DecideNode  func(n registry.Node) (next registry.Node, changed bool, err error)
)

// Handle returns a handle on the store. Closing it leaves the store open.
func Handle(s Store, cfg registry.Config, clock registry.Clock) registry.Handle {
	return admit.Handle(&handle{s, cfg, clock})
}

type handle struct {
	store Store
	cfg   registry.Config
	clock registry.Clock
}

func (h *handle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	p, err := h.store.UpdateActor(ctx, actor, node.ID, func(rec registry.Placement, n registry.Node) (registry.Placement, bool, error) {
		return rules.Claim(h.cfg, rec, n, actor, node, id, h.clock.Now())
	})
	return lease(p, err)
}

func (h *handle) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	p, err := h.store.UpdateActor(ctx, l.Actor, "", func(rec registry.Placement, _ registry.Node) (registry.Placement, bool, error) {
		return rules.Renew(h.cfg, rec, l, h.clock.Now())
	})
	return lease(p, err)
}

func (h *handle) Release(ctx context.Context, l registry.Lease) error {
	_, err := h.store.UpdateActor(ctx, l.Actor, "", func(rec registry.Placement, _ registry.Node) (registry.Placement, bool, error) {
		return rules.Release(rec, l)
	})
	return err
}

func (h *handle) Transfer(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	p, err := h.store.UpdateActor(ctx, l.Actor, to.ID, func(rec registry.Placement, n registry.Node) (registry.Placement, bool, error) {
		return rules.Transfer(h.cfg, rec, n, l, to, h.clock.Now())
	})
	return lease(p, err)
}

// lease returns the placement as a lease, or none with an error.
func lease(p registry.Placement, err error) (registry.Lease, error) {
	if err != nil {
		return registry.Lease{}, err
	}
	return p.Lease(), nil
}

func (h *handle) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	p, err := h.store.Actor(ctx, actor)
	return p, p.Version != 0, err
}

func (h *handle) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	p, err := h.store.Actor(ctx, actor)
	if err != nil {
		return err
	}
	return rules.Validate(p, token)
}

func (h *handle) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	return h.store.ListActors(ctx, node, page)
}

func (h *handle) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	n, err := h.store.UpdateNode(ctx, id, func(n registry.Node) (registry.Node, bool, error) {
		return rules.RegisterNode(n, id, info, mode, h.clock.Now())
	})
	if err != nil {
		return registry.Node{}, err
	}
	return n, nil
}

func (h *handle) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	_, err := h.store.UpdateNode(ctx, node.ID, func(n registry.Node) (registry.Node, bool, error) {
		next, err := rules.Heartbeat(n, node, h.clock.Now())
		return next, err == nil, err
	})
	return err
}

func (h *handle) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	_, err := h.store.UpdateNode(ctx, node.ID, func(n registry.Node) (registry.Node, bool, error) {
		return rules.MarkFailed(h.cfg, n, node, h.clock.Now())
	})
	return err
}

func (h *handle) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	_, err := h.store.UpdateNode(ctx, node.ID, func(n registry.Node) (registry.Node, bool, error) {
		next, err := rules.DeregisterNode(n, node)
		return next, err == nil, err
	})
	return err
}

func (h *handle) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	n, err := h.store.Node(ctx, id)
	return n, !n.Ref.IsZero(), err
}

func (h *handle) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	return h.store.ListNodes(ctx, status, page)
}

func (h *handle) Close() error { return nil }
