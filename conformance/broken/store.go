package broken

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// cluster is a plain in-memory registry: maps, an index for the listing by node,
// and one mutex under which every operation reads, decides by the law and
// writes. It has no mistake of its own; what a bend changes are its functions.
// It implements conformance.Restarter, FaultInjector, Scheduled and Seeder.
type cluster struct {
	cfg registry.Config

	law     law
	check   func(*op.Call) error                     // of the arguments
	match   func(given, store registry.Config) error // of a new handle's configuration
	time    func(registry.Clock) registry.Clock      // what a new handle takes for its clock
	outside func(*request) op.Result                 // a call, before the mutex is taken
	inside  func(*request) op.Result                 // the same call's step, under the mutex
	crash   func()                                   // what a crash does to the state: nothing
	layer   func(registry.Clock) middle              // what a new handle is used through; nil: nothing
	powers  op.Powers
	forgets *forgetter         // nil: nothing is ever forgotten
	yield   func(point string) // at the yield points; nil: nothing

	mu      sync.Mutex
	changed chan struct{} // closed and renewed by every write of a record
	faults  faults
	handles []*handle
	state
}

func newCluster(cfg registry.Config) *cluster {
	return &cluster{
		cfg:     cfg,
		law:     specified,
		check:   (*op.Call).Validate,
		match:   registry.Config.Match,
		time:    func(c registry.Clock) registry.Clock { return c },
		outside: (*request).serve,
		inside:  (*request).step,
		crash:   func() {},
		powers:  op.Powers{Batch: true, Watch: true},
		changed: make(chan struct{}),
		state:   newState(distinctKey),
	}
}

func (c *cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := c.match(cfg, c.cfg); err != nil {
		return nil, err
	}
	h := &handle{cluster: c, clock: c.time(clock)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handles = append(c.handles, h)
	opened := op.Handle(func(ctx context.Context, call op.Call) op.Result {
		return c.outside(&request{handle: h, ctx: ctx, call: call})
	}, c.powers)
	switch {
	case c.forgets != nil:
		return purging{opened, h}, nil
	case c.layer == nil:
		return opened, nil
	}
	do := c.layer(clock)
	return op.Handle(func(ctx context.Context, call op.Call) op.Result { return do(ctx, opened, call) }, c.powers), nil
}

func (c *cluster) Close() error { return nil }

// Restart ends every handle. The maps stand for what is on disk: they survive,
// and what was still on its way to them does not.
func (c *cluster) Restart() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.handles {
		h.closed = true
	}
	c.handles = nil
	c.wake()
	c.faults.late = nil
	c.crash()
	return nil
}

func (c *cluster) SetFaults(f conformance.Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.set(f)
}

// Seed implements conformance.Seeder.
func (c *cluster) Seed(nodes []registry.Node, records []registry.Placement) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range nodes {
		c.nodes[n.Ref.ID] = n
	}
	for _, r := range records {
		c.put(r)
	}
	return nil
}

// SetYield implements conformance.Scheduled. The sound store yields before the
// mutex and after it; F1, F2, F3 and M18 also in the gap that is their mistake.
func (c *cluster) SetYield(yield func(point string)) { c.yield = yield }

// at is a yield point. The mutex is not held.
func (c *cluster) at(point string) {
	if c.yield != nil {
		c.yield(point)
	}
}

// put writes a record and wakes the watchers.
func (c *cluster) put(r registry.Placement) {
	c.state.put(r)
	c.wake()
}

func (c *cluster) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// free takes every actor away from the node, as if each had been released.
// Nothing in a sound registry does that.
func (c *cluster) free(node registry.NodeRef) {
	for _, key := range slices.Collect(maps.Keys(c.held[node])) {
		c.put(reference.ReleaseEffect(c.records[key]))
	}
}

// handle is a node's access to the cluster.
type handle struct {
	*cluster
	clock  registry.Clock
	closed bool // guarded by mu
}

// request is a call on its way through a handle.
type request struct {
	*handle
	ctx  context.Context
	call op.Call
	now  registry.Instant // the reading of its attempt, inside
}

// serve is the way of every call: it locks, reads the clock once where the call
// mutates, and takes the step, unless a fault is injected. Whatever the fault,
// the error that it returns is true.
func (r *request) serve() op.Result {
	switch r.call.Kind {
	case op.Close:
		return r.close()
	case op.Watch:
		return r.watch()
	case op.RenewBatch:
		return r.renewBatch()
	}
	if err := r.begin(); err != nil {
		return op.Failed(err)
	}
	if !r.call.Kind.Mutates() {
		defer r.mu.Unlock()
		if r.faults.refuses(r.ctx) {
			return op.Failed(registry.ErrUnavailable)
		}
		return r.inside(r)
	}
	defer r.at("done")
	defer r.mu.Unlock()
	r.now = r.clock.Now()
	step := *r // a late one keeps its time and its arguments
	return r.faults.attempt(r.ctx, func() op.Result { return r.inside(&step) })
}

// begin checks what precedes the state, in the contract's order: arguments, the
// handle, the context. When it returns nil the cluster is locked.
func (r *request) begin() error {
	if err := r.check(&r.call); err != nil {
		return err
	}
	r.at("asked")
	r.mu.Lock()
	err := r.ctx.Err()
	if r.closed {
		err = registry.ErrClosed
	}
	if err != nil {
		r.mu.Unlock()
	}
	return err
}

// step is the call under the mutex: it decides by the law and writes.
func (r *request) step() op.Result {
	switch r.call.Kind {
	case op.ListActors:
		keys, next := cut(slices.Collect(maps.Keys(r.held[r.call.Node])), r.call.Page)
		return op.Result{Outcome: op.OK, Actors: r.rows(keys), Next: next}
	case op.ListNodes:
		return r.listNodes()
	}
	a := r.attempt()
	return r.decided(a, r.law.decide(a))
}

// decided carries an attempt out that was decided so.
func (r *request) decided(a attempt, d reference.Decision) op.Result {
	if a.Kind.Mutates() && d == (reference.Decision{}) {
		a.View = r.law.effect(a)
		if a.Kind.OfNode() {
			r.nodes[a.Node.ID] = a.Member
		} else {
			r.put(a.Record)
		}
	}
	return a.answer(d)
}

// attempt is what the call's step sees.
func (r *request) attempt() attempt {
	a := attempt{by: r.handle, cfg: r.cfg, Call: r.call, now: r.now}
	a.Record, a.Member = r.record(a.Actor), r.nodes[a.Party()]
	if r.forgets != nil && a.Kind == op.Claim && a.Record.Version == 0 {
		a.Record = reference.PurgeEffect(a.Record, r.forgets.above(r.handle))
	}
	return a
}

// other makes another call on the same handle.
func (r *request) other(call op.Call) op.Result {
	return (&request{handle: r.handle, ctx: r.ctx, call: call}).serve()
}

func (r *request) renewBatch() op.Result {
	results := op.Result{Outcome: op.OK}
	for _, l := range r.call.Leases {
		results.Renewals = append(results.Renewals, r.other(op.OnLease(op.Renew, l)))
	}
	return results
}

func (r *request) watch() op.Result {
	for {
		if err := r.begin(); err != nil {
			return op.Failed(err)
		}
		found, changed := r.record(r.call.Actor), r.changed
		r.mu.Unlock()
		if found.Version != r.call.Seen {
			return op.Result{Outcome: op.OK, Record: found}
		}
		r.wait(changed)
	}
}

// wait returns when the channel is closed or the caller is gone.
func (r *request) wait(changed <-chan struct{}) {
	select {
	case <-changed:
	case <-r.ctx.Done():
	}
}

func (r *request) close() op.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.wake()
	return op.Failed(nil)
}

func (r *request) listNodes() op.Result {
	return r.nodesThat(func(n registry.Node) bool {
		return r.call.Status == registry.AnyStatus || n.Status == r.call.Status
	})
}

// nodesThat is the page of the listing of those nodes that is asked for.
func (r *request) nodesThat(are func(registry.Node) bool) op.Result {
	var ids []registry.NodeID
	for id, n := range r.nodes {
		if are(n) {
			ids = append(ids, id)
		}
	}
	ids, next := cut(ids, r.call.Page)
	list := op.Result{Outcome: op.OK, Next: next}
	for _, id := range ids {
		list.Nodes = append(list.Nodes, r.nodes[id])
	}
	return list
}

// state is what a cluster knows.
type state struct {
	key     func(registry.ActorID) string            // under which a record is stored
	records map[string]registry.Placement            // by key
	held    map[registry.NodeRef]map[string]struct{} // keys of the records with that holder
	nodes   map[registry.NodeID]registry.Node
}

func newState(key func(registry.ActorID) string) state {
	return state{
		key:     key,
		records: map[string]registry.Placement{},
		held:    map[registry.NodeRef]map[string]struct{}{},
		nodes:   map[registry.NodeID]registry.Node{},
	}
}

// distinctKey is a key that no two actors share: NUL is in no name.
func distinctKey(a registry.ActorID) string { return a.Namespace + "\x00" + a.Name }

// clone returns a copy of its own.
func (s *state) clone() state {
	other := newState(s.key)
	for _, r := range s.records {
		other.put(r)
	}
	maps.Copy(other.nodes, s.nodes)
	return other
}

// record returns the actor's record, or an unwritten one under its name.
func (s *state) record(actor registry.ActorID) registry.Placement {
	if r, found := s.records[s.key(actor)]; found {
		return r
	}
	return registry.Placement{Actor: actor}
}

// put writes the record and keeps the index in step with it.
func (s *state) put(r registry.Placement) {
	key := s.key(r.Actor)
	delete(s.held[s.records[key].Holder], key)
	s.list(r.Holder, key)
	s.records[key] = r
}

func (s *state) list(holder registry.NodeRef, key string) {
	if holder.IsZero() {
		return
	}
	if s.held[holder] == nil {
		s.held[holder] = map[string]struct{}{}
	}
	s.held[holder][key] = struct{}{}
}

func (s *state) rows(keys []string) (rows []registry.Placement) {
	for _, key := range keys {
		rows = append(rows, s.records[key])
	}
	return rows
}

// cut returns the keys of the page, in order; the cursor is the last of them.
func cut[K ~string](keys []K, page registry.Page) ([]K, registry.Cursor) {
	keys = slices.DeleteFunc(keys, func(k K) bool { return page.After != "" && k <= K(page.After) })
	if rows := page.Rows(); rows < len(keys) {
		keys = least(keys, rows)
		return keys, registry.Cursor(keys[rows-1])
	}
	slices.Sort(keys)
	return keys, ""
}

// least returns the n least keys, in order: a page of a long listing need not sort
// all of it.
func least[K ~string](keys []K, n int) []K {
	found := make([]K, 0, n+1)
	for _, k := range keys {
		if len(found) == n && k > found[n-1] {
			continue
		}
		i, _ := slices.BinarySearch(found, k)
		if found = slices.Insert(found, i, k); len(found) > n {
			found = found[:n]
		}
	}
	return found
}
