package reference

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/kelpie-registry/registry"
)

// Store is the state of the specification behind one mutex. Handles opened on
// one store share it. It favours plainness over speed and is meant for tests.
type Store struct {
	cfg registry.Config

	mu      sync.Mutex
	records map[registry.ActorID]Record
	members map[registry.NodeID]Member
}

// NewStore returns an empty store, or an error matching ErrInvalid.
func NewStore(cfg registry.Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Store{
		cfg:     cfg,
		records: map[registry.ActorID]Record{},
		members: map[registry.NodeID]Member{},
	}, nil
}

// Open returns a handle with its own clock. cfg must match the store's
// (ErrConfigMismatch).
func (s *Store) Open(cfg registry.Config, clock registry.Clock) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Match(s.cfg); err != nil {
		return nil, err
	}
	return &Registry{store: s, clock: clock}, nil
}

// Registry is a handle on a [Store]. It implements registry.Handle: every
// operation is one action, guard and effect under the store's mutex.
type Registry struct {
	store  *Store
	clock  registry.Clock
	closed bool // guarded by store.mu
}

var _ registry.Handle = (*Registry)(nil)

// begin checks, in the contract's order, what precedes the state: arguments,
// the handle, the context. It returns with the store locked when err is nil.
func (h *Registry) begin(ctx context.Context, checks ...interface{ Validate() error }) error {
	for _, c := range checks {
		if err := c.Validate(); err != nil {
			return err
		}
	}
	h.store.mu.Lock()
	err := ctx.Err()
	if h.closed {
		err = registry.ErrClosed
	}
	if err != nil {
		h.store.mu.Unlock()
	}
	return err
}

// Claim implements [registry.Registry].
func (h *Registry) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	if err := h.begin(ctx, actor, node, id); err != nil {
		return registry.Lease{}, err
	}
	s := h.store
	defer s.mu.Unlock()
	c, r, m := h.clock.Now(), s.record(actor), s.members[node.ID]
	if ClaimRepeats(s.cfg, r, node, id, c) {
		return r.Lease(), nil
	}
	if g := ClaimGuard(s.cfg, r, m.Standing(node), c); g != Enabled {
		return registry.Lease{}, refuse(g, s.records[actor], m, c)
	}
	return s.write(ClaimEffect(s.cfg, r, node, id, c)), nil
}

// Renew implements [registry.Registry].
func (h *Registry) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	if err := h.begin(ctx, l); err != nil {
		return registry.Lease{}, err
	}
	s := h.store
	defer s.mu.Unlock()
	c, r := h.clock.Now(), s.record(l.Actor)
	if g := RenewGuard(s.cfg, r, l.Holder, l.Token, c); g != Enabled {
		return registry.Lease{}, refuse(g, s.records[l.Actor], Member{}, c)
	}
	return s.write(RenewEffect(s.cfg, r, c)), nil
}

// Release implements [registry.Registry].
func (h *Registry) Release(ctx context.Context, l registry.Lease) error {
	if err := h.begin(ctx, l); err != nil {
		return err
	}
	s := h.store
	defer s.mu.Unlock()
	r := s.record(l.Actor)
	if ReleaseRepeats(r, l.Token) {
		return nil
	}
	if g := ReleaseGuard(r, l.Holder, l.Token); g != Enabled {
		return refuse(g, s.records[l.Actor], Member{}, 0)
	}
	s.write(ReleaseEffect(r))
	return nil
}

// Transfer implements [registry.Registry].
func (h *Registry) Transfer(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if err := h.begin(ctx, l, to); err != nil {
		return registry.Lease{}, err
	}
	s := h.store
	defer s.mu.Unlock()
	c, r, m := h.clock.Now(), s.record(l.Actor), s.members[to.ID]
	if g := TransferGuard(s.cfg, r, l.Holder, l.Token, m.Standing(to), c); g != Enabled {
		return registry.Lease{}, refuse(g, s.records[l.Actor], m, c)
	}
	return s.write(TransferEffect(s.cfg, r, to, c)), nil
}

// Lookup implements [registry.Registry].
func (h *Registry) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	if err := h.begin(ctx, actor); err != nil {
		return registry.Placement{}, false, err
	}
	defer h.store.mu.Unlock()
	r, found := h.store.records[actor]
	return r, found, nil
}

// Validate implements [registry.Registry].
func (h *Registry) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	if err := h.begin(ctx, actor, token); err != nil {
		return err
	}
	defer h.store.mu.Unlock()
	r := h.store.records[actor]
	if g := ValidateGuard(r, token); g != Enabled {
		return refuse(g, r, Member{}, 0)
	}
	return nil
}

// ListActors implements [registry.Registry].
func (h *Registry) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	if err := h.begin(ctx, node, page); err != nil {
		return nil, "", err
	}
	defer h.store.mu.Unlock()
	var rows []registry.Placement
	for _, r := range h.store.records {
		if r.Holder == node {
			rows = append(rows, r)
		}
	}
	// NUL sorts before every character a name may have.
	return paginate(rows, page, func(r Record) string { return r.Actor.Namespace + "\x00" + r.Actor.Name })
}

// Close implements [registry.Registry].
func (h *Registry) Close() error {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	h.closed = true
	return nil
}

// RegisterNode implements [registry.Membership].
func (h *Registry) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	if err := h.begin(ctx, id, info, mode); err != nil {
		return registry.Node{}, err
	}
	s := h.store
	defer s.mu.Unlock()
	c, m := h.clock.Now(), s.members[id]
	if g := RegisterNodeGuard(m, mode); g != Enabled {
		return registry.Node{}, refuse(g, Record{}, m, c)
	}
	s.members[id] = RegisterNodeEffect(m, id, info, c)
	return s.members[id], nil
}

// Heartbeat implements [registry.Membership].
func (h *Registry) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	if err := h.begin(ctx, node); err != nil {
		return err
	}
	s := h.store
	defer s.mu.Unlock()
	c, m := h.clock.Now(), s.members[node.ID]
	if g := HeartbeatGuard(m, node); g != Enabled {
		return refuse(g, Record{}, m, c)
	}
	s.members[node.ID] = HeartbeatEffect(m, c)
	return nil
}

// MarkFailed implements [registry.Membership].
func (h *Registry) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	if err := h.begin(ctx, node); err != nil {
		return err
	}
	s := h.store
	defer s.mu.Unlock()
	c, m := h.clock.Now(), s.members[node.ID]
	if MarkFailedRepeats(m, node) {
		return nil
	}
	if g := MarkFailedGuard(s.cfg, m, node, c); g != Enabled {
		return refuse(g, Record{}, m, c)
	}
	s.members[node.ID] = MarkFailedEffect(m)
	return nil
}

// DeregisterNode implements [registry.Membership].
func (h *Registry) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	if err := h.begin(ctx, node); err != nil {
		return err
	}
	s := h.store
	defer s.mu.Unlock()
	m := s.members[node.ID]
	if g := DeregisterNodeGuard(m, node); g != Enabled {
		return refuse(g, Record{}, m, 0)
	}
	s.members[node.ID] = DeregisterNodeEffect(m)
	return nil
}

// GetNode implements [registry.Membership].
func (h *Registry) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	if err := h.begin(ctx, id); err != nil {
		return registry.Node{}, false, err
	}
	defer h.store.mu.Unlock()
	m, found := h.store.members[id]
	return m, found, nil
}

// ListNodes implements [registry.Membership].
func (h *Registry) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	if err := h.begin(ctx, status, page); err != nil {
		return nil, "", err
	}
	defer h.store.mu.Unlock()
	var rows []registry.Node
	for _, m := range h.store.members {
		if status == registry.AnyStatus || m.Status == status {
			rows = append(rows, m)
		}
	}
	return paginate(rows, page, func(m Member) string { return string(m.Ref.ID) })
}

// record returns the actor's record, or an unwritten one under its name.
func (s *Store) record(actor registry.ActorID) Record {
	r := s.records[actor]
	r.Actor = actor
	return r
}

func (s *Store) write(r Record) registry.Lease {
	s.records[r.Actor] = r
	return r.Lease()
}

// refuse reports the guard with what the step saw.
func refuse(g Guard, r Record, m Member, c registry.Instant) error {
	refusal := &registry.Refusal{Reason: g.Refusal(), Now: c}
	switch g {
	case NodeKnown, NodeNotFailed, NodeAbsent, NodeSilent:
		refusal.Node = m
	default:
		refusal.Placement = r
	}
	return refusal
}

// paginate sorts rows by key and cuts out the page; the cursor is the last key.
func paginate[T any](rows []T, page registry.Page, key func(T) string) ([]T, registry.Cursor, error) {
	rows = slices.DeleteFunc(rows, func(r T) bool { return key(r) <= string(page.After) && page.After != "" })
	slices.SortFunc(rows, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	if len(rows) <= page.Rows() {
		return rows, "", nil
	}
	rows = rows[:page.Rows()]
	return rows, registry.Cursor(key(rows[len(rows)-1])), nil
}
