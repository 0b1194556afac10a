package memimpl

import (
	"context"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// RegisterNode implements [registry.Membership].
func (h *Registry) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	if err := rules.CheckRegisterNode(id, info, mode); err != nil {
		return registry.Node{}, err
	}
	if err := h.begin(ctx); err != nil {
		return registry.Node{}, err
	}
	step, next, err := h.registerMember(id, func(n registry.Node) (registry.Node, bool, error) {
		return rules.RegisterNode(n, id, info, mode, h.clock.Now())
	})
	h.store.yields.at("decided")
	return answer(ctx, step, next, err)
}

// registerMember is the atomic step of a registration, which may be a name's first.
func (h *Registry) registerMember(id registry.NodeID, decide func(registry.Node) (registry.Node, bool, error)) (basis, registry.Node, error) {
	h.store.yields.at("member found")
	m := h.store.nodes.lock(id)
	defer m.mu.Unlock()
	defer h.store.nodes.deleteUnregistered(m)
	return h.changeMember(m, decide)
}

// Heartbeat implements [registry.Membership].
func (h *Registry) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	return h.updateNode(ctx, node, func(n registry.Node) (registry.Node, bool, error) {
		next, err := rules.Heartbeat(n, node, h.clock.Now())
		return next, err == nil, err
	})
}

// MarkFailed implements [registry.Membership].
func (h *Registry) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	return h.updateNode(ctx, node, func(n registry.Node) (registry.Node, bool, error) {
		return rules.MarkFailed(h.store.cfg, n, node, h.clock.Now())
	})
}

// DeregisterNode implements [registry.Membership].
func (h *Registry) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	return h.updateNode(ctx, node, func(n registry.Node) (registry.Node, bool, error) {
		next, err := rules.DeregisterNode(n, node)
		return next, err == nil, err
	})
}

// updateNode runs a decision on the latest registration of a node that is to be
// registered already.
func (h *Registry) updateNode(ctx context.Context, node registry.NodeRef, decide func(registry.Node) (registry.Node, bool, error)) error {
	if err := node.Validate(); err != nil {
		return err
	}
	if err := h.begin(ctx); err != nil {
		return err
	}
	// A name without a member when it was looked up is refused as of that instant:
	// no decision on a registered node registers it.
	step, _, err := h.updateMember(h.store.nodes.find(node.ID), decide)
	h.store.yields.at("decided")
	_, err = answer(ctx, step, struct{}{}, err)
	return err
}

// updateMember is the atomic step of the other operations on a node.
func (h *Registry) updateMember(m *member, decide func(registry.Node) (registry.Node, bool, error)) (basis, registry.Node, error) {
	h.store.yields.at("member found")
	m.mu.Lock()
	defer m.mu.Unlock()
	return h.changeMember(m, decide)
}

// changeMember runs a decision on a member that is locked for writing.
func (h *Registry) changeMember(m *member, decide func(registry.Node) (registry.Node, bool, error)) (basis, registry.Node, error) {
	v := m.now()
	next, changed, err := decide(v.node)
	if !changed {
		return basis{batches: [2]*batch{v.batch}}, next, err
	}
	step, err := h.store.changeNode(m, next)
	return step, next, err
}

// GetNode implements [registry.Membership].
func (h *Registry) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	if err := id.Validate(); err != nil {
		return registry.Node{}, false, err
	}
	if err := h.begin(ctx); err != nil {
		return registry.Node{}, false, err
	}
	v := h.store.nodes.find(id).now()
	h.store.yields.at("read")
	n, err := answer(ctx, basis{batches: [2]*batch{v.batch}}, v.node, nil)
	return n, !n.Ref.IsZero(), err
}

// ListNodes implements [registry.Membership]. Rows come in the order of their
// names; a page costs O(log n + limit) for n nodes of the status, and may have
// fewer rows than its limit and yet be followed by another, as with ListActors.
func (h *Registry) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	if err := rules.CheckListNodes(status, page); err != nil {
		return nil, "", err
	}
	if err := h.begin(ctx); err != nil {
		return nil, "", err
	}
	rollbacks := h.store.journal.rollbacks()
	members := h.store.nodes.list(status, registry.NodeID(page.After), page.Rows()+1)
	var next registry.Cursor
	if len(members) > page.Rows() {
		members = members[:page.Rows()]
		next = registry.Cursor(members[len(members)-1].id)
	}
	h.store.yields.at("index read")
	rows := make([]registry.Node, 0, len(members))
	for _, m := range members {
		if n := m.now().node; !n.Ref.IsZero() && (status == registry.AnyStatus || n.Status == status) {
			rows = append(rows, n)
		}
	}
	return listing(ctx, h.store.journal, rollbacks, rows, next)
}
