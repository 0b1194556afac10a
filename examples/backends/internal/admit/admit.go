// Package admit checks what the contract checks before the state is looked at,
// once for every store: the arguments, whether the handle is closed, whether the
// context has ended, in this order.
package admit

import (
	"context"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// Handle returns h behind the checks. h sees valid arguments only, and is closed
// at most once.
func Handle(h registry.Handle) registry.Handle { return &handle{inner: h} }

type handle struct {
	inner  registry.Handle
	closed atomic.Bool
}

// begin takes the result of the argument checks, which come first.
func (h *handle) begin(ctx context.Context, invalid error) error {
	switch {
	case invalid != nil:
		return invalid
	case h.closed.Load():
		return registry.ErrClosed
	}
	return ctx.Err()
}

func (h *handle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	if err := h.begin(ctx, rules.CheckClaim(actor, node, id)); err != nil {
		return registry.Lease{}, err
	}
	return h.inner.Claim(ctx, actor, node, id)
}

func (h *handle) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	if err := h.begin(ctx, lease.Validate()); err != nil {
		return registry.Lease{}, err
	}
	return h.inner.Renew(ctx, lease)
}

func (h *handle) Release(ctx context.Context, lease registry.Lease) error {
	if err := h.begin(ctx, lease.Validate()); err != nil {
		return err
	}
	return h.inner.Release(ctx, lease)
}

func (h *handle) Transfer(ctx context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if err := h.begin(ctx, rules.CheckTransfer(lease, to)); err != nil {
		return registry.Lease{}, err
	}
	return h.inner.Transfer(ctx, lease, to)
}

func (h *handle) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	if err := h.begin(ctx, actor.Validate()); err != nil {
		return registry.Placement{}, false, err
	}
	return h.inner.Lookup(ctx, actor)
}

func (h *handle) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	if err := h.begin(ctx, rules.CheckValidate(actor, token)); err != nil {
		return err
	}
	return h.inner.Validate(ctx, actor, token)
}

func (h *handle) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	if err := h.begin(ctx, rules.CheckListActors(node, page)); err != nil {
		return nil, "", err
	}
	return h.inner.ListActors(ctx, node, page)
}

func (h *handle) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	if err := h.begin(ctx, rules.CheckRegisterNode(id, info, mode)); err != nil {
		return registry.Node{}, err
	}
	return h.inner.RegisterNode(ctx, id, info, mode)
}

func (h *handle) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	if err := h.begin(ctx, node.Validate()); err != nil {
		return err
	}
	return h.inner.Heartbeat(ctx, node)
}

func (h *handle) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	if err := h.begin(ctx, node.Validate()); err != nil {
		return err
	}
	return h.inner.MarkFailed(ctx, node)
}

func (h *handle) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	if err := h.begin(ctx, node.Validate()); err != nil {
		return err
	}
	return h.inner.DeregisterNode(ctx, node)
}

func (h *handle) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	if err := h.begin(ctx, id.Validate()); err != nil {
		return registry.Node{}, false, err
	}
	return h.inner.GetNode(ctx, id)
}

func (h *handle) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	if err := h.begin(ctx, rules.CheckListNodes(status, page)); err != nil {
		return nil, "", err
	}
	return h.inner.ListNodes(ctx, status, page)
}

func (h *handle) Close() error {
	if h.closed.Swap(true) {
		return nil
	}
	return h.inner.Close()
}
