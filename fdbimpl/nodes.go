//go:build fdb

package fdbimpl

import (
	"context"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// RegisterNode implements [registry.Membership].
//
// Epochs are never reused: the standing is in the read set and is written with the
// next epoch, so two registrations that read one epoch cannot both commit, and no
// key of a node is ever cleared. Claims of the superseded epoch have read the
// standing too and conflict.
func (r *Registry) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	if err := r.ready(ctx, rules.CheckRegisterNode(id, info, mode)); err != nil {
		return registry.Node{}, err
	}
	return transact(ctx, r, "RegisterNode", func(a *attempt) (registry.Node, error) {
		n, err := r.keys.readNode(a.tr, a.tr, id).await()
		if err != nil {
			return registry.Node{}, err
		}
		next, changed, err := rules.RegisterNode(n.Node, id, info, mode, r.clock.Now())
		if err != nil || !changed {
			return next, err
		}
		a.writeStanding(n, next)
		a.writeSeen(n, next)
		return next, nil
	})
}

// Heartbeat implements [registry.Membership].
//
// It reads the standing and writes only the last-seen time, so it conflicts with
// the end of its incarnation and not with claims. The last-seen time is in its read
// set: of two heartbeats under way the later commit conflicts and reads its clock
// again, so a delayed one cannot put an old reading over a new one, and a
// MarkFailed that read the old one conflicts with it.
func (r *Registry) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	if err := r.ready(ctx, node.Validate()); err != nil {
		return err
	}
	_, err := transact(ctx, r, "Heartbeat", func(a *attempt) (registry.Node, error) {
		n, err := r.keys.readNode(a.tr, a.tr, node.ID).await()
		if err != nil {
			return registry.Node{}, err
		}
		next, err := rules.Heartbeat(n.Node, node, r.clock.Now())
		if err != nil {
			return registry.Node{}, err
		}
		a.writeSeen(n, next)
		return next, nil
	})
	return err
}

// MarkFailed implements [registry.Membership].
//
// Both keys are in the read set: a heartbeat that commits first makes it decide
// anew, and one that commits second finds the incarnation failed. It writes no
// record of an actor: failure detection takes no actor away.
func (r *Registry) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	if err := r.ready(ctx, node.Validate()); err != nil {
		return err
	}
	_, err := transact(ctx, r, "MarkFailed", func(a *attempt) (registry.Node, error) {
		n, err := r.keys.readNode(a.tr, a.tr, node.ID).await()
		if err != nil {
			return registry.Node{}, err
		}
		next, changed, err := rules.MarkFailed(r.cfg, n.Node, node, r.clock.Now())
		if changed {
			a.writeStanding(n, next)
		}
		return next, err
	})
	return err
}

// DeregisterNode implements [registry.Membership]. It depends on the standing only.
func (r *Registry) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	if err := r.ready(ctx, node.Validate()); err != nil {
		return err
	}
	_, err := transact(ctx, r, "DeregisterNode", func(a *attempt) (registry.Node, error) {
		n, err := r.keys.readStanding(a.tr, node.ID).await()
		if err != nil {
			return registry.Node{}, err
		}
		next, err := rules.DeregisterNode(n.Node, node)
		if err != nil {
			return registry.Node{}, a.seenToo(err)
		}
		a.writeStanding(n, next)
		return next, nil
	})
	return err
}

// GetNode implements [registry.Membership].
func (r *Registry) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	if err := r.ready(ctx, id.Validate()); err != nil {
		return registry.Node{}, false, err
	}
	n, err := transact(ctx, r, "GetNode", func(a *attempt) (registry.Node, error) {
		n, err := r.keys.readNode(a.tr.Snapshot(), a.tr.Snapshot(), id).await()
		return n.Node, err
	})
	return n, n.Ref.Epoch > 0, err
}
