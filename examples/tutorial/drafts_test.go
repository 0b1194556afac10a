package tutorial_test

import (
	"context"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/tutorial"
)

// The first drafts of the tutorial: each is the registry with one operation as one
// might write it first.

// forgetting deletes the record of a released actor: a free actor needs none.
type forgetting struct{ *tutorial.Handle }

func (h forgetting) Release(ctx context.Context, l registry.Lease) error {
	if err := h.Handle.Release(ctx, l); err != nil {
		return err
	}
	return h.Forget(l.Actor)
}

// hasty frees an actor at its lease's end, before it claims.
type hasty struct {
	*tutorial.Handle
	clock registry.Clock
}

func (h hasty) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	p, found, err := h.Lookup(ctx, actor)
	if err == nil && found && p.Held() && h.clock.Now() >= p.Expiry && p.Holder != node {
		_ = h.Handle.Release(ctx, p.Lease())
	}
	return h.Handle.Claim(ctx, actor, node, id)
}
