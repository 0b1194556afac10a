package memimpl

import (
	"context"
	"slices"
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
// that the step then sees. On a durable store the answer is given when what it
// tells is on the file (see journal), with no lock held.
//
// On a durable store an operation fails with [registry.ErrUnavailable] when the
// file could not be written and nothing happened, and with a settled
// [registry.ErrAmbiguous] when the last step of writing it failed; the store must
// then be closed and opened anew, and refuses every change until it is. An
// operation that changes something and whose context ends while it waits for the
// file fails with an ErrAmbiguous that may still apply.
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
	if isClosed(h.closed) || isClosed(h.store.closed) {
		return registry.ErrClosed
	}
	if err := h.store.journal.usable(); err != nil {
		return err
	}
	return ctx.Err()
}

// isClosed is for channels that are only ever closed. One channel in a select with
// a default is looked at without its lock; two would be locked by every operation.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
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
	step, lease, err := h.claim(actor, node, id)
	h.store.yields.at("decided")
	return answer(ctx, step, lease, err)
}

func (h *Registry) claim(actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (basis, registry.Lease, error) {
	m := h.store.nodes.find(node.ID)
	sh, sum := h.store.shard(actor)
	h.store.yields.at("member found")
	// A name without a member when it was looked up is refused as of that instant,
	// at which no record can have had it as holder.
	registration := m.mu.lane(sum)
	registration.RLock()
	defer registration.RUnlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.find(actor, sum)
	v, n := sh.known(r), m.now()
	rec := v.placement
	if r == &none {
		rec = rules.Above(sh.ground().Floor, actor)
	}
	next, changed, err := rules.Claim(h.store.cfg, rec, n.node, actor, node, id, h.clock.Now())
	if changed {
		return h.change(sh, r, sum, next)
	}
	return basis{batches: [2]*batch{v.batch, n.batch}}, next.Lease(), err
}

// Renew implements [registry.Registry].
func (h *Registry) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	if err := lease.Validate(); err != nil {
		return registry.Lease{}, err
	}
	if err := h.begin(ctx); err != nil {
		return registry.Lease{}, err
	}
	step, renewed, err := h.renew(lease)
	h.store.yields.at("decided")
	return answer(ctx, step, renewed, err)
}

func (h *Registry) renew(lease registry.Lease) (basis, registry.Lease, error) {
	sh, sum := h.store.shard(lease.Actor)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.find(lease.Actor, sum)
	v := sh.known(r)
	next, changed, err := rules.Renew(h.store.cfg, v.placement, lease, h.clock.Now())
	if changed {
		return h.change(sh, r, sum, next)
	}
	return basis{batches: [2]*batch{v.batch}}, next.Lease(), err
}

// RenewBatch implements [registry.BatchRenewer]. In memory it costs what the
// single renewals cost; on a durable store every renewChunk of them wait for the
// file once.
func (h *Registry) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	results := make([]registry.Renewal, 0, len(leases))
	for chunk := range slices.Chunk(leases, renewChunk) {
		results = append(results, h.renewChunk(ctx, chunk)...)
	}
	return results
}

// renewChunk is how many renewals of a batch are made before they are waited for:
// whoever comes meanwhile waits behind so many, not behind the whole batch.
const renewChunk = 4096

func (h *Registry) renewChunk(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	results, steps := make([]registry.Renewal, len(leases)), make([]basis, len(leases))
	for i, l := range leases {
		r := &results[i]
		if r.Err = l.Validate(); r.Err == nil {
			r.Err = h.begin(ctx)
		}
		if r.Err == nil {
			steps[i], r.Lease, r.Err = h.renew(l)
		}
	}
	for i, step := range steps {
		results[i].Lease, results[i].Err = answer(ctx, step, results[i].Lease, results[i].Err)
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
	step, _, err := h.release(lease)
	h.store.yields.at("decided")
	_, err = answer(ctx, step, struct{}{}, err)
	return err
}

func (h *Registry) release(lease registry.Lease) (basis, registry.Lease, error) {
	sh, sum := h.store.shard(lease.Actor)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.find(lease.Actor, sum)
	v := sh.known(r)
	next, changed, err := rules.Release(v.placement, lease)
	if changed {
		return h.change(sh, r, sum, next)
	}
	return basis{batches: [2]*batch{v.batch}}, registry.Lease{}, err
}

// Transfer implements [registry.Registry].
func (h *Registry) Transfer(ctx context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if err := rules.CheckTransfer(lease, to); err != nil {
		return registry.Lease{}, err
	}
	if err := h.begin(ctx); err != nil {
		return registry.Lease{}, err
	}
	step, granted, err := h.transfer(lease, to)
	h.store.yields.at("decided")
	return answer(ctx, step, granted, err)
}

func (h *Registry) transfer(lease registry.Lease, to registry.NodeRef) (basis, registry.Lease, error) {
	m := h.store.nodes.find(to.ID)
	sh, sum := h.store.shard(lease.Actor)
	h.store.yields.at("member found")
	registration := m.mu.lane(sum)
	registration.RLock()
	defer registration.RUnlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.find(lease.Actor, sum)
	v, n := sh.known(r), m.now()
	next, changed, err := rules.Transfer(h.store.cfg, v.placement, n.node, lease, to, h.clock.Now())
	if changed {
		return h.change(sh, r, sum, next)
	}
	return basis{batches: [2]*batch{v.batch, n.batch}}, next.Lease(), err
}

// change writes the record and returns the lease that it is.
func (h *Registry) change(sh *shard, r *record, sum uint64, next registry.Placement) (basis, registry.Lease, error) {
	step, err := h.store.change(sh, r, sum, next)
	return step, next.Lease(), err
}

// Lookup implements [registry.Registry].
func (h *Registry) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	if err := actor.Validate(); err != nil {
		return registry.Placement{}, false, err
	}
	if err := h.begin(ctx); err != nil {
		return registry.Placement{}, false, err
	}
	v := h.store.lookup(actor)
	h.store.yields.at("read")
	p, err := answer(ctx, basis{batches: [2]*batch{v.batch}}, v.placement, nil)
	return p, p.Version != 0, err
}

// Validate implements [registry.Registry].
func (h *Registry) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	if err := rules.CheckValidate(actor, token); err != nil {
		return err
	}
	if err := h.begin(ctx); err != nil {
		return err
	}
	v := h.store.lookup(actor)
	h.store.yields.at("read")
	_, err := answer(ctx, basis{batches: [2]*batch{v.batch}}, struct{}{}, rules.Validate(v.placement, token))
	return err
}

// ListActors implements [registry.Registry]. Rows come in the order of namespace
// and name. A page costs O(log n + limit), for a store in which n actors are held,
// and a look at each shard; the first one also O(log n) for each actor that was
// claimed, released or handed over since the last listing.
func (h *Registry) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	if err := rules.CheckListActors(node, page); err != nil {
		return nil, "", err
	}
	if err := h.begin(ctx); err != nil {
		return nil, "", err
	}
	rollbacks := h.store.journal.rollbacks()
	namespace, name, _ := strings.Cut(string(page.After), "\x00")
	rows := h.store.holds(node, registry.ActorID{Namespace: namespace, Name: name}, page.Rows()+1)
	h.store.yields.at("index read")
	var next registry.Cursor
	if len(rows) > page.Rows() {
		rows = rows[:page.Rows()]
		last := rows[len(rows)-1].Actor
		next = registry.Cursor(last.Namespace + "\x00" + last.Name) // no name has a NUL
	}
	return listing(ctx, h.store.journal, rollbacks, rows, next)
}

// listing gives a page once all that it tells is on the file.
func listing[T any](ctx context.Context, j *journal, rollbacks uint64, rows []T, next registry.Cursor) ([]T, registry.Cursor, error) {
	all, err := j.everything(rollbacks)
	if err == nil {
		err = all.await(ctx)
	}
	if err != nil {
		return nil, "", err
	}
	return rows, next, nil
}
