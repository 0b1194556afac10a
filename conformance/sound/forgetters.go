package sound

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Peculiarities of stores that forget, which declare the dialect "forgets".
var forgetting = []Variant{
	{"forgets-when-asked", "records that nobody will miss go with a Purge", "that is what registry.Purger says", nil},
	{"forgets-eagerly", "every call first forgets whatever it may", "Purge may be called at any time, by anybody", nil},
	{"forgets-with-tombstones", "nothing is found of a released record that went, and late calls are still told which tenure ended", "a refusal may say more than a lookup finds", nil},
	{"forgets-never", "Purge forgets nothing, and says so", "in the dialect a record may be gone, and need not be", nil},
	{"floor-jumps", "each purge raises the floor a million above what it forgot", "whatever the actor is granted later is higher; by how much is left open", nil},
	{"forgets-while-others-wait", "the clock is read before the lock is waited for, and every call first forgets whatever has lapsed", "who waited after the reading of its own clock may find gone what was live by that reading", nil},
	{"forgets-what-lapsed", "a record is gone as soon as its lease is reclaimable, also that of an active node", "the dialect lets lapsed tenures go by themselves; Purge goes by its own promise", nil},
}

// forgetters says how each of them forgets.
var forgetters = map[string]forgetter{
	"forgets-when-asked":      {},
	"forgets-eagerly":         {eager: true},
	"forgets-with-tombstones": {eager: true, tombs: true},
	"forgets-never":           {never: true},
	"floor-jumps":             {jump: 1_000_000},
	"forgets-what-lapsed":     {eager: true, lapsed: true},

	"forgets-while-others-wait": {eager: true, lapsed: true, early: true},
}

// forgetter is how a store forgets.
type forgetter struct {
	eager  bool // before every call
	never  bool
	lapsed bool // and then whoever holds it
	tombs  bool // who presents a released tenure is refused by a tombstone, which no read finds
	early  bool // the clock is read before the lock is waited for
	jump   registry.Token
}

// forgetful is the backend of a store that forgets.
type forgetful struct {
	name string
	how  forgetter
}

func (b forgetful) Name() string { return "sound/" + b.name }

func (forgetful) Dialect() dialect.Dialect { return dialect.Dialect{Forgets: true} }

func (b forgetful) New(cfg registry.Config) (conformance.Cluster, error) {
	return &rows{how: b.how, cfg: cfg, records: map[registry.ActorID]reference.Record{}, tombs: map[registry.ActorID]reference.Record{}, members: map[registry.NodeID]reference.Member{}}, nil
}

// rows is a store that forgets as RegistryFloor.tla has it: rows, and a floor that is
// raised in the step that removes a row. What survives a restart is all of it.
type rows struct {
	how forgetter
	cfg registry.Config

	mu      sync.Mutex // guards the rest
	records map[registry.ActorID]reference.Record
	tombs   map[registry.ActorID]reference.Record // of released tenures that were forgotten
	members map[registry.NodeID]reference.Member
	floor   reference.Floor
	life    int // how often it was restarted
}

func (c *rows) Close() error { return nil }

// Restart implements conformance.Restarter.
func (c *rows) Restart() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.life++
	return nil
}

func (c *rows) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Match(c.cfg); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &rowsHandle{rows: c, clock: clock, life: c.life}
	h.Handle = op.Handle(h.do, op.Powers{})
	return h, nil
}

type rowsHandle struct {
	registry.Handle
	*rows
	clock  registry.Clock
	life   int
	closed bool // guarded by mu
}

// Close is the handle's.
func (h *rowsHandle) Close() error { return h.Handle.Close() }

// Purge implements registry.Purger.
func (h *rowsHandle) Purge(ctx context.Context) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.life != h.rows.life {
		return 0, registry.ErrClosed
	}
	if h.how.never || ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return h.purge(h.clock.Now(), false), nil
}

// purge forgets what it may, with lapsed also what active nodes hold. The caller holds
// the mutex.
func (c *rows) purge(now registry.Instant, lapsed bool) (n int) {
	for actor, r := range c.records {
		over := c.floor.Over(r.Token+c.how.jump, r.Version+registry.Version(c.how.jump))
		m := c.members[r.Holder.ID]
		standing := m.Standing(r.Holder)
		if lapsed {
			standing = registry.StandingUnknown
		}
		if reference.PurgeGuard(c.cfg, r, standing, over, now) == reference.Enabled {
			delete(c.records, actor)
			delete(c.tombs, actor)
			if !r.Held() {
				c.tombs[actor] = r
			}
			c.floor = over
			n++
		}
	}
	return n
}

func (h *rowsHandle) do(ctx context.Context, call op.Call) op.Result {
	if err := call.Validate(); err != nil {
		return op.Failed(err)
	}
	var now registry.Instant
	if h.how.early {
		now = h.clock.Now()
		runtime.Gosched()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = h.closed || call.Kind == op.Close
	switch {
	case call.Kind == op.Close:
		return op.Result{Outcome: op.OK}
	case h.closed || h.life != h.rows.life:
		return op.Failed(registry.ErrClosed)
	case ctx.Err() != nil:
		return op.Failed(ctx.Err())
	}
	if !h.how.early {
		now = h.clock.Now()
	}
	if h.how.eager {
		h.purge(now, h.how.lapsed)
	}
	return h.answer(&call, now)
}

// answer takes the call's step. The caller holds the mutex.
func (c *rows) answer(call *op.Call, now registry.Instant) op.Result {
	if call.Kind.Lists() {
		return c.list(call)
	}
	record, there := c.records[call.Actor]
	record.Actor = call.Actor
	if !there && call.Kind == op.Claim {
		record = reference.PurgeEffect(record, c.floor)
	}
	if tomb, buried := c.tombs[call.Actor]; !there && buried && c.how.tombs && call.Kind.Presents() {
		record = tomb
	}
	v := reference.View{Record: record, Member: c.members[call.Party()]}
	v, d := reference.Step(c.cfg, v, call, now)
	if d == (reference.Decision{}) && call.Kind.Mutates() {
		if call.Kind.OfNode() {
			c.members[call.Node.ID] = v.Member
		} else {
			c.records[call.Actor] = v.Record
		}
	}
	return reference.Answer(v, call, d, now)
}

// list answers with whole lists in a store of its own, which knows no more than this one.
func (c *rows) list(call *op.Call) op.Result {
	s, err := reference.NewStore(c.cfg)
	if err != nil {
		return op.Failed(err)
	}
	var nodes []registry.Node
	for _, m := range c.members {
		nodes = append(nodes, m)
	}
	var records []registry.Placement
	for _, r := range c.records {
		records = append(records, r)
	}
	h, openErr := s.Open(c.cfg, registry.NewManualClock(0))
	if err := errors.Join(openErr, s.Import(nodes, records)); err != nil {
		return op.Failed(err)
	}
	return op.Do(context.Background(), h, call)
}
