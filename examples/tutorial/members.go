package tutorial

import (
	"context"

	"github.com/kelpie-registry/registry"
)

// RegisterNode implements registry.Membership.
func (h *Handle) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (n registry.Node, err error) {
	if err := invalid(id, info, mode); err != nil {
		return registry.Node{}, err
	}
	err = h.atomically(ctx, func(t *transaction) (err error) {
		if n, err = t.node(id); err != nil {
			return err
		}
		if n.Status == registry.NodeActive {
			if !info.Instance.IsZero() && info.Instance == n.Info.Instance {
				return nil // a retry: the answer was lost
			}
			if mode == registry.IfAbsent {
				return t.refuseNode(registry.ErrNodeExists, n)
			}
		}
		n = registry.Node{
			Ref: registry.NodeRef{ID: id, Epoch: n.Ref.Epoch + 1}, Info: info,
			Status: registry.NodeActive, LastSeen: t.now,
		}
		return t.saveNode(n)
	})
	if err != nil {
		return registry.Node{}, err
	}
	return n, nil
}

// Heartbeat implements registry.Membership.
func (h *Handle) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	if err := invalid(node); err != nil {
		return err
	}
	return h.atomically(ctx, func(t *transaction) error {
		n, err := t.active(node)
		if err != nil {
			return err
		}
		n.LastSeen = t.now
		return t.saveNode(n)
	})
}

// MarkFailed implements registry.Membership. It frees no actor.
func (h *Handle) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	if err := invalid(node); err != nil {
		return err
	}
	return h.atomically(ctx, func(t *transaction) error {
		n, err := t.node(node.ID)
		if err != nil {
			return err
		}
		switch n.Standing(node) {
		case registry.StandingFailed:
			return nil
		case registry.StandingUnknown:
			return t.refuseNode(registry.ErrNodeUnknown, n)
		}
		if t.now < t.cfg.FailedAt(n.LastSeen) {
			return t.refuseNode(registry.ErrNodeAlive, n)
		}
		n.Status = registry.NodeFailed
		return t.saveNode(n)
	})
}

// DeregisterNode implements registry.Membership.
func (h *Handle) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	if err := invalid(node); err != nil {
		return err
	}
	return h.atomically(ctx, func(t *transaction) error {
		n, err := t.node(node.ID)
		if err != nil {
			return err
		}
		if n.Ref != node || n.Status == registry.NodeLeft {
			return t.refuseNode(registry.ErrNodeUnknown, n)
		}
		n.Status = registry.NodeLeft
		return t.saveNode(n)
	})
}

// GetNode implements registry.Membership.
func (h *Handle) GetNode(ctx context.Context, id registry.NodeID) (n registry.Node, found bool, err error) {
	if err := invalid(id); err != nil {
		return registry.Node{}, false, err
	}
	err = h.atomically(ctx, func(t *transaction) (err error) {
		n, err = t.node(id)
		return err
	})
	if err != nil {
		return registry.Node{}, false, err
	}
	return n, n.Ref.Epoch != 0, nil
}

// ListNodes implements registry.Membership.
func (h *Handle) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) (rows []registry.Node, next registry.Cursor, err error) {
	if err := invalid(status, page); err != nil {
		return nil, "", err
	}
	err = h.atomically(ctx, func(t *transaction) (err error) {
		rows, err = t.nodes("(status = ? OR ? = 0) AND id > ? ORDER BY id LIMIT ?", status, status, string(page.After), page.Rows()+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(rows) > page.Rows() {
		rows = rows[:page.Rows()]
		next = registry.Cursor(rows[len(rows)-1].Ref.ID)
	}
	return rows, next, nil
}
