package memimpl

import (
	"context"
	"strings"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// Registry is a handle on a [Store]: one node's access, with that node's clock.
// It implements [registry.Handle], [registry.BatchRenewer] and [registry.Watcher],
// and is safe for concurrent use.
//
// Each operation is one atomic step (see [Store]) around a decision of
// internal/rules. The clock is read once per step, after the step's locks were
// taken: a reading from before the wait for a lock could be older than a write
// that the step then sees.
type Registry struct {
	store *Store
	clock registry.Clock

	once   sync.Once
	closed chan struct{}
}

var (
	_ registry.Handle       = (*Registry)(nil)
	_ registry.BatchRenewer = (*Registry)(nil)
	_ registry.Watcher      = (*Registry)(nil)
)

// begin checks what comes after the arguments and before the state.
func (h *Registry) begin(ctx context.Context) error {
	select {
	case <-h.closed:
		return registry.ErrClosed
	default:
		return ctx.Err()
	}
}

// Close implements [registry.Registry]. The store and its other handles stay.
func (h *Registry) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Claim implements [registry.Registry].
func (h *Registry) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	if err := rules.CheckClaim(actor, node, id); err != nil {
		return registry.Lease{}, err
	}
	if err := h.begin(ctx); err != nil {
		return registry.Lease{}, err
	}
	m, sh := h.store.nodes.find(node.ID), h.store.shard(actor)
	// A name that was in nobody's registration when it was looked up is refused
	// as of that instant, at which no record can have had it as holder.
	m.mu.RLock()
	defer m.mu.RUnlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	next, changed, err := rules.Claim(h.store.cfg, sh.read(actor), m.node, actor, node, id, h.clock.Now())
	return sh.settle(next, m, changed, err)
}

// Renew implements [registry.Registry].
func (h *Registry) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	if err := lease.Validate(); err != nil {
		return registry.Lease{}, err
	}
	if err := h.begin(ctx); err != nil {
		return registry.Lease{}, err
	}
	sh := h.store.shard(lease.Actor)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	next, changed, err := rules.Renew(h.store.cfg, sh.read(lease.Actor), lease, h.clock.Now())
	return sh.settle(next, sh.holder(lease.Actor), changed, err)
}

// RenewBatch implements [registry.BatchRenewer]. In memory it costs what the
// single renewals cost.
func (h *Registry) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	results := make([]registry.Renewal, len(leases))
	for i, l := range leases {
		results[i].Lease, results[i].Err = h.Renew(ctx, l)
	}
	return results
}

// Release implements [registry.Registry].
func (h *Registry) Release(ctx context.Context, lease registry.Lease) error {
	if err := lease.Validate(); err != nil {
		return err
	}
	if err := h.begin(ctx); err != nil {
		return err
	}
	sh := h.store.shard(lease.Actor)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	next, changed, err := rules.Release(sh.read(lease.Actor), lease)
	_, err = sh.settle(next, nil, changed, err)
	return err
}

// Transfer implements [registry.Registry].
func (h *Registry) Transfer(ctx context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if err := rules.CheckTransfer(lease, to); err != nil {
		return registry.Lease{}, err
	}
	if err := h.begin(ctx); err != nil {
		return registry.Lease{}, err
	}
	m, sh := h.store.nodes.find(to.ID), h.store.shard(lease.Actor)
	m.mu.RLock()
	defer m.mu.RUnlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	next, changed, err := rules.Transfer(h.store.cfg, sh.read(lease.Actor), m.node, lease, to, h.clock.Now())
	return sh.settle(next, m, changed, err)
}

// settle writes what a step decided and returns its answer. The shard is locked.
func (sh *shard) settle(next registry.Placement, holder *member, changed bool, err error) (registry.Lease, error) {
	if err != nil {
		return registry.Lease{}, err
	}
	if changed {
		sh.write(next, holder)
	}
	return next.Lease(), nil
}

// Lookup implements [registry.Registry].
func (h *Registry) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	if err := actor.Validate(); err != nil {
		return registry.Placement{}, false, err
	}
	if err := h.begin(ctx); err != nil {
		return registry.Placement{}, false, err
	}
	p := h.store.shard(actor).lookup(actor)
	return p, p.Version != 0, nil
}

// Validate implements [registry.Registry].
func (h *Registry) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	if err := rules.CheckValidate(actor, token); err != nil {
		return err
	}
	if err := h.begin(ctx); err != nil {
		return err
	}
	return rules.Validate(h.store.shard(actor).lookup(actor), token)
}

func (sh *shard) lookup(actor registry.ActorID) registry.Placement {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.read(actor)
}

// ListActors implements [registry.Registry]. Rows come in the order of namespace
// and name; a page costs O(log n + limit) for a node that holds n actors. A page
// may have fewer rows than its limit, even none, and yet be followed by another:
// actors that the node lost while the page was put together are left out.
func (h *Registry) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	if err := rules.CheckListActors(node, page); err != nil {
		return nil, "", err
	}
	if err := h.begin(ctx); err != nil {
		return nil, "", err
	}
	namespace, name, _ := strings.Cut(string(page.After), "\x00")
	// The index is read at one instant and names every actor that the node held
	// at it; each row is then read at its own. An actor held all along is in the
	// index all along, at the one place that its name gives it.
	held := h.store.nodes.find(node.ID).holds(node.Epoch, registry.ActorID{Namespace: namespace, Name: name}, page.Rows()+1)
	var next registry.Cursor
	if len(held) > page.Rows() {
		held = held[:page.Rows()]
		last := held[len(held)-1].actor
		next = registry.Cursor(last.Namespace + "\x00" + last.Name) // no name has a NUL
	}
	rows := make([]registry.Placement, 0, len(held))
	for _, r := range held {
		if p := h.store.shard(r.actor).lookup(r.actor); p.Holder == node {
			rows = append(rows, p)
		}
	}
	return rows, next, nil
}
