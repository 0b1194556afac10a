package broken

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

// store is a plain in-memory registry: maps, an index for the listing by node,
// and one mutex under which every operation reads, decides and writes. It has
// no flaw of its own; [Sound] is the proof that convictions come from the flaws.
type store struct {
	cfg registry.Config
	do  actions

	yield func(point string) // at the yield points; nil: nothing. See yield.go

	mu      sync.Mutex
	changed chan struct{} // closed and renewed by every write of a record
	faults  faults
	crash   func()                                   // what a crash does to the state; nothing, in a sound store
	records map[string]registry.Placement            // by actions.key
	held    map[registry.NodeRef]map[string]struct{} // keys of the records with that holder
	nodes   map[registry.NodeID]registry.Node
}

func newStore(cfg registry.Config, do actions) *store {
	s := &store{cfg: cfg, do: do, changed: make(chan struct{}), crash: func() {}}
	s.forget()
	return s
}

// forget empties the store. The caller holds the mutex or is the only user.
func (s *store) forget() {
	s.records = map[string]registry.Placement{}
	s.held = map[registry.NodeRef]map[string]struct{}{}
	s.nodes = map[registry.NodeID]registry.Node{}
}

// record returns the actor's record, or an unwritten one under its name.
func (s *store) record(actor registry.ActorID) registry.Placement {
	if r, found := s.records[s.do.key(actor)]; found {
		return r
	}
	return registry.Placement{Actor: actor}
}

// put writes the record, keeps the index in step with it and wakes the watchers.
func (s *store) put(r registry.Placement) registry.Lease {
	key := s.do.key(r.Actor)
	s.unlist(s.records[key].Holder, key)
	s.list(r.Holder, key)
	s.records[key] = r
	s.wake()
	return r.Lease()
}

func (s *store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *store) list(holder registry.NodeRef, key string) {
	if holder.IsZero() {
		return
	}
	if s.held[holder] == nil {
		s.held[holder] = map[string]struct{}{}
	}
	s.held[holder][key] = struct{}{}
}

func (s *store) unlist(holder registry.NodeRef, key string) {
	delete(s.held[holder], key)
}

// free takes every actor away from the node, as if each had been released.
// Nothing in a sound registry does that.
func (s *store) free(node registry.NodeRef) {
	for _, key := range slices.Collect(maps.Keys(s.held[node])) {
		s.put(s.do.releaseEffect(s.records[key]))
	}
}

// handle is a node's access to the store.
type handle struct {
	*store
	clock  registry.Clock
	closed bool // guarded by mu
}

var (
	_ registry.Handle       = (*handle)(nil)
	_ registry.BatchRenewer = (*handle)(nil)
	_ registry.Watcher      = (*handle)(nil)
)

// mutate is the one atomic step of an operation that writes: it reads the clock
// once and applies do under the mutex, unless a fault is injected. Whatever the
// fault, the error that it returns is true.
func (h *handle) mutate(ctx context.Context, arguments []argument, do func(c registry.Instant) error) error {
	if err := h.begin(ctx, arguments...); err != nil {
		return err
	}
	defer h.at("done")
	defer h.mu.Unlock()
	c := h.clock.Now()
	return h.faults.attempt(func() error { return do(c) })
}

type argument interface{ Validate() error }

// begin checks what precedes the state, in the contract's order: arguments, the
// handle, the context. When it returns nil the store is locked.
func (h *handle) begin(ctx context.Context, arguments ...argument) error {
	for _, a := range arguments {
		if err := a.Validate(); err != nil {
			return err
		}
	}
	h.at("asked")
	h.mu.Lock()
	err := ctx.Err()
	if h.closed {
		err = registry.ErrClosed
	}
	if err != nil {
		h.mu.Unlock()
	}
	return err
}

func (h *handle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{actor, node, id}, func(c registry.Instant) error {
		return h.claim(&l, actor, node, id, c)
	})
	return answer(&l, err)
}

// claim is Claim under the mutex at the reading c.
func (h *handle) claim(l *registry.Lease, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID, c registry.Instant) error {
	r, n := h.record(actor), h.nodes[node.ID]
	if h.do.claimRepeats(h.cfg, r, node, id, c) {
		*l = r.Lease()
		return nil
	}
	if g := h.do.claimGuard(h.cfg, r, h.do.standing(n, node), c); g != reference.Enabled {
		return refuse(g, r, n, c)
	}
	*l = h.put(h.do.claimEffect(h.cfg, r, node, id, c))
	return nil
}

func (h *handle) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{held}, func(c registry.Instant) error { return h.renew(&l, held, c) })
	return answer(&l, err)
}

// renew is Renew under the mutex at the reading c.
func (h *handle) renew(l *registry.Lease, held registry.Lease, c registry.Instant) error {
	r := h.record(held.Actor)
	if g := h.do.renewGuard(h.cfg, r, held.Holder, held.Token, c); g != reference.Enabled {
		return refuse(g, r, registry.Node{}, c)
	}
	*l = h.put(h.do.renewEffect(h.cfg, r, c))
	return nil
}

// RenewBatch implements [registry.BatchRenewer].
func (h *handle) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	results := make([]registry.Renewal, len(leases))
	for i, l := range leases {
		results[i].Lease, results[i].Err = h.Renew(ctx, l)
	}
	return results
}

func (h *handle) Release(ctx context.Context, held registry.Lease) error {
	return h.mutate(ctx, []argument{held}, func(c registry.Instant) error { return h.release(held, c) })
}

// release is Release under the mutex; c is for the refusal only.
func (h *handle) release(held registry.Lease, c registry.Instant) error {
	r := h.record(held.Actor)
	if h.do.releaseRepeats(r, held.Token) {
		return nil
	}
	if g := h.do.releaseGuard(r, held.Holder, held.Token); g != reference.Enabled {
		return refuse(g, r, registry.Node{}, c)
	}
	h.put(h.do.releaseEffect(r))
	return nil
}

func (h *handle) Transfer(ctx context.Context, held registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{held, to}, func(c registry.Instant) error { return h.transfer(&l, held, to, c) })
	return answer(&l, err)
}

// transfer is Transfer under the mutex at the reading c.
func (h *handle) transfer(l *registry.Lease, held registry.Lease, to registry.NodeRef, c registry.Instant) error {
	r, n := h.record(held.Actor), h.nodes[to.ID]
	if g := h.do.transferGuard(h.cfg, r, held.Holder, held.Token, h.do.standing(n, to), c); g != reference.Enabled {
		return refuse(g, r, n, c)
	}
	*l = h.put(h.do.transferEffect(h.cfg, r, to, c))
	return nil
}

func (h *handle) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	if err := h.begin(ctx, actor); err != nil {
		return registry.Placement{}, false, err
	}
	defer h.mu.Unlock()
	r, found := h.records[h.do.key(actor)]
	return r, found, nil
}

func (h *handle) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	if err := h.begin(ctx, actor, token); err != nil {
		return err
	}
	defer h.mu.Unlock()
	r := h.record(actor)
	if g := h.do.validateGuard(r, token); g != reference.Enabled {
		return refuse(g, r, registry.Node{}, 0)
	}
	return nil
}

func (h *handle) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	if err := h.begin(ctx, node, page); err != nil {
		return nil, "", err
	}
	defer h.mu.Unlock()
	keys, next := cut(slices.Collect(maps.Keys(h.held[node])), page)
	var rows []registry.Placement
	for _, key := range keys {
		rows = append(rows, h.records[key])
	}
	return rows, next, nil
}

// Watch implements [registry.Watcher].
func (h *handle) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	for {
		if err := h.begin(ctx, actor); err != nil {
			return registry.Placement{}, err
		}
		r, changed := h.record(actor), h.changed
		h.mu.Unlock()
		if r.Version != seen {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (h *handle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.wake()
	return nil
}

func (h *handle) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	var n registry.Node
	err := h.mutate(ctx, []argument{id, info, mode}, func(c registry.Instant) error {
		return h.register(&n, id, info, mode, c)
	})
	return answer(&n, err)
}

// register is RegisterNode under the mutex at the reading c.
func (h *handle) register(n *registry.Node, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode, c registry.Instant) error {
	found := h.nodes[id]
	if g := h.do.registerGuard(found, mode); g != reference.Enabled {
		return refuse(g, registry.Placement{}, found, c)
	}
	*n = h.do.registerEffect(found, id, info, c)
	h.nodes[id] = *n
	return nil
}

func (h *handle) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	return h.mutate(ctx, []argument{node}, func(c registry.Instant) error { return h.heartbeat(node, c) })
}

// heartbeat is Heartbeat under the mutex at the reading c.
func (h *handle) heartbeat(node registry.NodeRef, c registry.Instant) error {
	n := h.nodes[node.ID]
	if g := h.do.heartbeatGuard(n, node); g != reference.Enabled {
		return refuse(g, registry.Placement{}, n, c)
	}
	h.nodes[node.ID] = h.do.heartbeatEffect(n, c)
	return nil
}

func (h *handle) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	return h.mutate(ctx, []argument{node}, func(c registry.Instant) error { return h.markFailed(node, c) })
}

// markFailed is MarkFailed under the mutex at the reading c.
func (h *handle) markFailed(node registry.NodeRef, c registry.Instant) error {
	n := h.nodes[node.ID]
	if h.do.markFailedRepeats(n, node) {
		return nil
	}
	if g := h.do.markFailedGuard(h.cfg, n, node, c); g != reference.Enabled {
		return refuse(g, registry.Placement{}, n, c)
	}
	h.nodes[node.ID] = h.do.markFailedEffect(n)
	return nil
}

func (h *handle) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	return h.mutate(ctx, []argument{node}, func(c registry.Instant) error { return h.deregister(node, c) })
}

// deregister is DeregisterNode under the mutex; c is for the refusal only.
func (h *handle) deregister(node registry.NodeRef, c registry.Instant) error {
	n := h.nodes[node.ID]
	if g := h.do.deregisterGuard(n, node); g != reference.Enabled {
		return refuse(g, registry.Placement{}, n, c)
	}
	h.nodes[node.ID] = h.do.deregisterEffect(n)
	return nil
}

func (h *handle) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	if err := h.begin(ctx, id); err != nil {
		return registry.Node{}, false, err
	}
	defer h.mu.Unlock()
	n, found := h.nodes[id]
	return n, found, nil
}

func (h *handle) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	if err := h.begin(ctx, status, page); err != nil {
		return nil, "", err
	}
	defer h.mu.Unlock()
	var ids []registry.NodeID
	for id, n := range h.nodes {
		if status == registry.AnyStatus || n.Status == status {
			ids = append(ids, id)
		}
	}
	ids, next := cut(ids, page)
	var rows []registry.Node
	for _, id := range ids {
		rows = append(rows, h.nodes[id])
	}
	return rows, next, nil
}

// answer returns the answer of an operation that did not fail. That of one that
// did is not even read: a step that is late may be writing it.
func answer[T any](a *T, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return *a, nil
}

// cut sorts the keys and returns those of the page; the cursor is the last of them.
func cut[K ~string](keys []K, page registry.Page) ([]K, registry.Cursor) {
	slices.SortFunc(keys, cmp.Compare[K])
	from, found := slices.BinarySearch(keys, K(page.After))
	if found {
		from++
	}
	keys = keys[from:]
	if len(keys) <= page.Rows() {
		return keys, ""
	}
	keys = keys[:page.Rows()]
	return keys, registry.Cursor(keys[len(keys)-1])
}

// refuse reports the guard that did not hold, with what the step saw.
func refuse(g reference.Guard, r registry.Placement, n registry.Node, c registry.Instant) error {
	refusal := &registry.Refusal{Reason: g.Refusal(), Now: c}
	switch g {
	case reference.NodeKnown, reference.NodeNotFailed, reference.NodeAbsent, reference.NodeSilent:
		refusal.Node = n
	default:
		if r.Version > 0 {
			refusal.Placement = r
		}
	}
	return refusal
}
