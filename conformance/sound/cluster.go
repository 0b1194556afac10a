package sound

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// cluster is the reference's store, and around it the way of a call, of which a
// variant replaces parts. Whatever the parts are, the effect of a call is one
// step of the specification between the call and its return.
type cluster struct {
	spec *reference.Store
	cfg  registry.Config

	serve   func(*request) op.Result                // a whole call
	step    func(*request) op.Result                // the step of one that mutates
	read    func(*request) op.Result                // one that reads
	batch   func(*request) op.Result                // RenewBatch
	watch   func(*request) op.Result                // Watch
	answer  func(*request, *op.Result)              // what is told of what came of it
	row     func(registry.ActorID) registry.ActorID // under which name a record is stored; nil: its own
	restart func()                                  // how long it takes
	opening func() error                            // why no handle is opened
	refuses func(error) error                       // what is told of a handle that is refused
	upkeep  func() error                            // why there is no restart and no import
	applied func(*request)                          // hears of a step that was taken
	powers  op.Powers
	early   bool // the clock is read before the lock is waited for
	signed  bool // counters are of 63 bits

	rng     func() *rand.Rand // safe for concurrent use
	own     trouble           // that the store is in by itself
	yield   func(point string)
	workers sync.Once     // begins them, for those who have any
	lock    chan struct{} // full while somebody has it, so that a wait for it can be given up
	changed chan struct{} // closed and renewed by every step that mutates

	mu       sync.Mutex // guards the rest, and serialises what is not one step of spec
	injected trouble    // by the suite
	late     []func()   // steps whose callers were told that they may still apply
	handles  []*handle
	released map[registry.ActorID]registry.NodeRef // who released, for those who remember
}

// newCluster returns an empty cluster whose choices follow from the seed.
func newCluster(cfg registry.Config, seed uint64) (*cluster, error) {
	spec, err := reference.NewStore(cfg)
	if err != nil {
		return nil, err
	}
	c := &cluster{
		spec: spec, cfg: cfg,
		serve: (*request).serve, step: (*request).attempt, read: (*request).look, batch: (*request).inOrder, watch: (*request).wait,
		answer:  func(*request, *op.Result) {},
		restart: func() {},
		opening: func() error { return nil },
		refuses: func(err error) error { return err },
		upkeep:  func() error { return nil },
		applied: func(*request) {},
		powers:  op.Powers{Batch: true, Watch: true},
		rng:     seeded(seed),
		lock:    make(chan struct{}, 1),
		changed: make(chan struct{}),

		released: map[registry.ActorID]registry.NodeRef{},
	}
	return c, nil
}

// seeded returns a source of generators, each for one use.
func seeded(seed uint64) func() *rand.Rand {
	var mu sync.Mutex
	source := rand.NewPCG(seed, 0x736f756e64)
	return func() *rand.Rand {
		mu.Lock()
		defer mu.Unlock()
		return rand.New(rand.NewPCG(source.Uint64(), source.Uint64()))
	}
}

func (c *cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := c.opening(); err != nil {
		return nil, err
	}
	reader, err := c.spec.Open(cfg, clock)
	if err != nil {
		return nil, c.refuses(err)
	}
	h := &handle{cluster: c, clock: clock, spec: reader}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handles = append(c.handles, h)
	return op.Handle(func(ctx context.Context, call op.Call) op.Result {
		r := &request{handle: h, ctx: ctx, call: call}
		answer := c.serve(r)
		if answer.Outcome == op.OK && len(answer.Renewals) > 0 {
			for i, l := range call.Leases {
				one := &request{handle: h, ctx: ctx, call: op.OnLease(op.Renew, l)}
				c.answer(one, &answer.Renewals[i])
			}
		}
		c.answer(r, &answer)
		return answer
	}, c.powers), nil
}

func (c *cluster) Close() error { return nil }

// Restart implements conformance.Restarter. The store is what is on disk. Calls
// that may still apply were on their way to it and are lost.
func (c *cluster) Restart() error {
	if err := c.upkeep(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.handles {
		h.closed = true
	}
	c.handles, c.late = nil, nil
	c.wake()
	c.restart()
	return nil
}

// Seed implements conformance.Seeder.
func (c *cluster) Seed(nodes []registry.Node, records []registry.Placement) error {
	if err := c.upkeep(); err != nil {
		return err
	}
	const room = 64 // for what follows
	tooHigh := func(counter uint64) bool { return c.signed && counter >= 1<<63-room }
	if slices.ContainsFunc(nodes, func(n registry.Node) bool { return tooHigh(uint64(n.Ref.Epoch)) }) ||
		slices.ContainsFunc(records, func(r registry.Placement) bool { return tooHigh(uint64(r.Token)) || tooHigh(uint64(r.Version)) }) {
		return errors.ErrUnsupported
	}
	if c.row != nil {
		records = slices.Clone(records)
		for i := range records {
			records[i].Actor = c.row(records[i].Actor)
		}
	}
	return c.spec.Import(nodes, records)
}

// SetFaults implements conformance.FaultInjector.
func (c *cluster) SetFaults(f conformance.Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.injected = trouble{unavailable: f.Unavailable, lostRequest: f.LostRequest, lostAnswer: f.LostAnswer, late: f.Late}
}

// SetYield implements conformance.Scheduled.
func (c *cluster) SetYield(yield func(point string)) { c.yield = yield }

func (c *cluster) at(point string) {
	if c.yield != nil {
		c.yield(point)
	}
}

// wake wakes the watchers. The mutex is held.
func (c *cluster) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// handle is a node's access to the cluster.
type handle struct {
	*cluster
	clock  registry.Clock
	spec   registry.Handle // for what reads
	closed bool            // guarded by mu
}

// request is a call on its way.
type request struct {
	*handle
	ctx  context.Context
	call op.Call
	now  registry.Instant // the reading of its attempt
}

// serve is the way of a call: what precedes the state, in the contract's order,
// and then one step.
func (r *request) serve() op.Result {
	switch r.call.Kind {
	case op.Close:
		return r.close()
	case op.RenewBatch:
		return r.batch(r)
	case op.Watch:
		return r.watch(r)
	}
	if err := r.call.Validate(); err != nil {
		return op.Failed(err)
	}
	if r.early && r.call.Kind.Timed() {
		r.now = r.clock.Now()
	}
	r.at("asked")
	r.mu.Lock()
	defer r.at("done")
	defer r.mu.Unlock()
	if err := r.refused(); err != nil {
		return op.Failed(err)
	}
	if !r.call.Kind.Mutates() {
		if r.unreadable() {
			return op.Failed(registry.ErrUnavailable)
		}
		return r.read(r)
	}
	if !r.early && r.call.Kind.Timed() {
		r.now = r.clock.Now()
	}
	return r.step(r)
}

// refused is ErrClosed or the context's error, where they apply. The mutex is held.
func (r *request) refused() error {
	if r.closed {
		return registry.ErrClosed
	}
	return r.ctx.Err()
}

// apply is the step: what the specification does, by the reading taken.
func (r *request) apply() op.Result {
	holder := r.store().View(&r.call).Record.Holder
	answer := r.store().Apply(&r.call, r.now)
	if answer.Err == nil {
		if r.call.Kind == op.Release && !holder.IsZero() {
			r.released[r.call.Actor] = holder
		}
		r.applied(r)
		r.wake()
	}
	return answer
}

func (r *request) store() *reference.Store { return r.cluster.spec }

// look is an operation that reads.
func (r *request) look() op.Result { return op.Do(r.ctx, r.handle.spec, &r.call) }

// inOrder renews one lease after the other.
func (r *request) inOrder() op.Result {
	order := make([]int, len(r.call.Leases))
	for i := range order {
		order[i] = i
	}
	return r.renewEach(order)
}

// renewEach renews the leases of a batch in that order.
func (r *request) renewEach(order []int) op.Result {
	results := op.Result{Outcome: op.OK, Renewals: make([]op.Result, len(r.call.Leases))}
	for _, i := range order {
		results.Renewals[i] = r.other(op.OnLease(op.Renew, r.call.Leases[i]))
	}
	return results
}

// other makes another call on the same handle.
func (r *request) other(call op.Call) op.Result {
	return r.serveAs(&request{handle: r.handle, ctx: r.ctx, call: call})
}

func (r *request) serveAs(other *request) op.Result { return r.cluster.serve(other) }

// wait is Watch by notification.
func (r *request) wait() op.Result {
	for {
		found, changed, err := r.seen()
		if err != nil || found.Version != r.call.Seen {
			return op.Result{Outcome: op.OK, Record: found, Err: err}
		}
		select {
		case <-changed:
		case <-r.ctx.Done():
		}
	}
}

// seen reads the record that is watched, and what tells of the next change.
func (r *request) seen() (found registry.Placement, changed <-chan struct{}, err error) {
	if err := r.call.Validate(); err != nil {
		return found, nil, err
	}
	r.at("asked")
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refused(); err != nil {
		return found, nil, err
	}
	return r.store().View(&r.call).Record, r.changed, nil
}

func (r *request) close() op.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.handles = slices.DeleteFunc(r.handles, func(h *handle) bool { return h == r.handle })
	r.wake()
	return op.Failed(nil)
}
