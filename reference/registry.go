package reference

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// Store is the state of the specification behind one mutex. Handles opened on
// one store share it. It favours plainness over speed and is meant for tests.
type Store struct {
	cfg     registry.Config
	dialect dialect.Dialect
	latest  func() registry.Instant // see Beside; nil where nobody forgets by a later reading

	mu sync.Mutex
	known
}

// known is what a store knows.
type known struct {
	records table[registry.ActorID, Record]
	beside  table[registry.ActorID, beside]
	members table[registry.NodeID, Member]
}

// beside is what a view has beside an actor's record.
type beside struct {
	last  registry.NodeRef // View.Last
	least Least            // View.Least
}

// NewStore returns an empty store, or an error matching ErrInvalid.
func NewStore(cfg registry.Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Store{cfg: cfg}, nil
}

// In makes the store one of a dialect. It decides as the contract does where the
// dialect leaves a choice; [Store.Outcomes] has the others. It is called first.
func (s *Store) In(d dialect.Dialect) *Store {
	s.dialect = d
	return s
}

// Beside tells what no clock of the cluster has passed: by any reading up to that, a
// store that forgets may have forgotten a record that is here.
func (s *Store) Beside(latest func() registry.Instant) { s.latest = latest }

// Open returns a handle with its own clock. cfg must match the store's
// (ErrConfigMismatch). Every operation is one [Step] under the store's mutex.
func (s *Store) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Match(s.cfg); err != nil {
		return nil, err
	}
	h := &handle{store: s, clock: clock}
	return op.Handle(h.do, op.Powers{Batch: true}), nil
}

// Adopt makes the record that a Lookup found, or the registration that a GetNode
// found, the store's own: how another registry goes on after an answer that this
// one would not have given.
func (s *Store) Adopt(c *op.Call, found op.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case found.Err != nil:
	case c.Kind == op.Lookup && !found.Found:
		s.records.remove(c.Actor)
		s.beside.remove(c.Actor)
	case c.Kind == op.Lookup:
		s.records.put(c.Actor, found.Record)
		if found.Record.Held() {
			s.beside.put(c.Actor, beside{last: found.Record.Holder})
		}
	case c.Kind == op.GetNode && !found.Found:
		s.members.remove(c.Node.ID)
	case c.Kind == op.GetNode:
		s.members.put(c.Node.ID, found.Node)
	}
}

// Import enters registrations and records as the latest of their node and actor,
// which have none yet: what operations would have led to. An error matches
// ErrInvalid and changes nothing.
func (s *Store) Import(nodes []registry.Node, records []registry.Placement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range nodes {
		if _, taken := s.members.get(n.Ref.ID); taken || n.Ref.Validate() != nil {
			return &registry.InvalidError{Field: "node", Problem: fmt.Sprintf("%v is there already, or is none", n.Ref)}
		}
	}
	for _, r := range records {
		if _, taken := s.records.get(r.Actor); taken || r.Actor.Validate() != nil || r.Token == 0 || r.Version == 0 {
			return &registry.InvalidError{Field: "record", Problem: fmt.Sprintf("of %v is there already, or is none", r.Actor)}
		}
	}
	for _, n := range nodes {
		s.members.put(n.Ref.ID, n)
	}
	for _, r := range records {
		s.records.put(r.Actor, r)
	}
	return nil
}

// handle is one node's access to a store.
type handle struct {
	store  *Store
	clock  registry.Clock
	closed bool // guarded by store.mu
}

// do checks, in the contract's order, what precedes the state (arguments, the
// handle, the context), and then takes the operation's step.
func (h *handle) do(ctx context.Context, c op.Call) op.Result {
	if c.Kind == op.RenewBatch {
		return h.renewBatch(ctx, c.Leases)
	}
	if err := c.Validate(); err != nil {
		return op.Failed(err)
	}
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	switch {
	case c.Kind == op.Close:
		h.closed = true
		return op.Failed(nil)
	case h.closed:
		return op.Failed(registry.ErrClosed)
	case ctx.Err() != nil:
		return op.Failed(ctx.Err())
	case c.Kind.Lists():
		return h.store.list(&c)
	}
	var now registry.Instant
	if c.Kind.Timed() {
		now = h.clock.Now()
	}
	return h.store.step(&c, now)
}

// step takes the call's step. The caller holds the mutex.
func (s *Store) step(c *op.Call, now registry.Instant) op.Result {
	w := waysOf(s.cfg, s.dialect, s.view(c), c, now, nil, Decisions(s.cfg, s.dialect, s.view(c), c, now)[:1])[0]
	s.take(c, w)
	return w.Answer
}

func (s *Store) take(c *op.Call, w Way) {
	if w.changes {
		s.write(c, w.View)
	}
}

// Outcome is a right way to answer a call, and what the store knows then.
type Outcome struct {
	Answer op.Result
	After  Snapshot
}

// Outcomes returns every right way to answer c, which reaches the state and is no
// listing, at the reading now, of a store that knows what s does. told is what was
// answered, nil when nothing was: it settles what the dialect leaves open. The store
// is left as after the last.
func (s *Store) Outcomes(c *op.Call, now registry.Instant, told *op.Result) (all []Outcome) {
	before := s.Snapshot()
	for _, w := range Ways(s.cfg, s.dialect, s.View(c), c, now, told) {
		s.Restore(before)
		s.mu.Lock()
		s.take(c, w)
		s.mu.Unlock()
		all = append(all, Outcome{w.Answer, s.Snapshot()})
	}
	return all
}

// Apply takes the step of a call that arrives late: no handle waits for it, and
// it is decided by the reading now. The call is valid and no listing.
func (s *Store) Apply(c *op.Call, now registry.Instant) op.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.step(c, now)
}

// renewBatch renews one lease after the other, in the order of the slice.
func (h *handle) renewBatch(ctx context.Context, leases []registry.Lease) op.Result {
	r := op.Result{Outcome: op.OK}
	for _, l := range leases {
		r.Renewals = append(r.Renewals, h.do(ctx, op.OnLease(op.Renew, l)))
	}
	return r
}

// View returns what the call is about.
func (s *Store) View(c *op.Call) View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view(c)
}

func (s *Store) view(c *op.Call) View {
	var v View
	v.Record, _ = s.records.get(c.Actor)
	v.Member, _ = s.members.get(c.Party())
	b, _ := s.beside.get(c.Actor)
	v.Last, v.Least = b.last, b.least
	v.Record.Actor = c.Actor
	v.Stale = s.latest != nil && GoneBy(s.cfg, s.dialect, v.Record, s.latest())
	return v
}

// write stores the view after a mutation.
func (s *Store) write(c *op.Call, v View) {
	if c.Kind.OfNode() {
		s.members.put(c.Node.ID, v.Member)
	} else {
		s.records.put(c.Actor, v.Record)
		s.beside.put(c.Actor, beside{v.Last, v.Least})
	}
}

func (s *Store) list(c *op.Call) op.Result {
	r := op.Result{Outcome: op.OK}
	if c.Kind == op.ListActors {
		for _, p := range s.records.all {
			if b, _ := s.beside.get(p.Actor); p.Holder == c.Node && !b.least.Gone {
				r.Actors = append(r.Actors, p)
			}
		}
		// NUL sorts before every character that a name may have.
		r.Actors, r.Next = paginate(r.Actors, c.Page, func(p Record) string { return p.Actor.Namespace + "\x00" + p.Actor.Name })
		return r
	}
	for _, m := range s.members.all {
		if c.Status == registry.AnyStatus || m.Status == c.Status {
			r.Nodes = append(r.Nodes, m)
		}
	}
	r.Nodes, r.Next = paginate(r.Nodes, c.Page, func(m Member) string { return string(m.Ref.ID) })
	return r
}

// paginate sorts rows by key and cuts out the page; the cursor is the last key.
func paginate[T any](rows []T, page registry.Page, key func(T) string) ([]T, registry.Cursor) {
	rows = slices.DeleteFunc(rows, func(r T) bool { return key(r) <= string(page.After) && page.After != "" })
	slices.SortFunc(rows, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	if len(rows) <= page.Rows() {
		return rows, ""
	}
	rows = rows[:page.Rows()]
	return rows, registry.Cursor(key(rows[len(rows)-1]))
}

// Snapshot is what a store knows at one moment. It is immutable.
type Snapshot struct{ known }

// Snapshot returns what the store knows now. It takes next to no time, and the first
// change of the store after it the longer, the more has changed lately.
func (s *Store) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Snapshot{known{s.records.share(), s.beside.share(), s.members.share()}}
}

// Restore makes what the store knows that of t. Handles stay open.
func (s *Store) Restore(t Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = known{t.records.share(), t.beside.share(), t.members.share()}
}

// Equal reports whether both are the same state.
func (t Snapshot) Equal(u Snapshot) bool {
	return equal(&t.records, &u.records) && equal(&t.beside, &u.beside) && equal(&t.members, &u.members)
}

// Over reports whether the tenure or the incarnation that c is about is over in
// this state, so that c can never take effect any more.
func (t Snapshot) Over(c *op.Call) bool {
	switch k := c.Kind; {
	case k.Presents():
		r, _ := t.records.get(c.Actor)
		if b, _ := t.beside.get(c.Actor); b.least.Token {
			return false
		}
		return r.Token > c.Token || r.Token == c.Token && !r.Held()
	case k == op.Claim, k == op.Heartbeat, k == op.MarkFailed, k == op.DeregisterNode:
		m, _ := t.members.get(c.Node.ID)
		return m.Ref.Epoch > c.Node.Epoch
	}
	return false
}
