package history

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// Recorder records every call made through the handles that it wraps. It is
// safe for concurrent use.
//
// The order is sound for real time: the Invoked stamp is drawn before the call is
// passed on, and the Returned stamp after it came back, from one counter. So
// where a history says that one operation returned before another was called,
// it was so; where it was so without the stamps showing it, the check only
// allows more.
type Recorder struct {
	cfg     registry.Config
	dialect dialect.Dialect
	stamp   atomic.Int64
	life    atomic.Int64 // how often everybody has crashed

	mu      sync.Mutex
	clients map[string]*client
	meta    map[string]string
	notes   []Note
}

// NewRecorder returns a recorder for a cluster of the given configuration.
func NewRecorder(cfg registry.Config) *Recorder {
	return &Recorder{cfg: cfg, clients: map[string]*client{}, meta: map[string]string{}}
}

// In makes the recorder's histories be judged in a dialect. It is called first.
func (r *Recorder) In(d dialect.Dialect) *Recorder {
	r.dialect = d
	return r
}

// client is what the recorder knows of one handle name. Its clock and its
// handle meet here: a reading belongs to every operation in flight.
type client struct {
	name string

	mu     sync.Mutex
	timing timing
	base   registry.Clock // with timed
	slack  time.Duration  // with timed
	active []*Op          // in flight, and those that may still read the clock
	free   []*Op          // to be used again
	done   finished

	wall    registry.Clock // read for what it serves; nil: not known
	serving []*serving
	served  []Service
	halted  bool
}

// timing says how the clock readings of a client's operations become known.
type timing uint8

const (
	untimed  timing = iota // not at all: any reading is possible
	recorded               // each is seen by the clock that Recorder.Clock returned
	timed                  // bounded by reading a clock at call and return
)

func (r *Recorder) client(name string) *client {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clients[name]
	if c == nil {
		c = &client{name: name}
		r.clients[name] = c
	}
	return c
}

// Clock returns a clock that reads base and records each reading with the
// operations in flight on the handle wrapped under the same name. Hand it to
// the backend in place of base. It costs one uncontended lock per reading.
func (r *Recorder) Clock(node string, base registry.Clock) registry.Clock {
	c := r.client(node)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timing, c.wall = recorded, base
	return &recordingClock{client: c, base: base}
}

// RealTime is for backends that do not accept a clock. The readings of each
// operation on the named handle are taken to lie between base's readings at its
// call and at its return, widened by slack on both sides; slack must cover the
// distance between base and the backend's own clock, steps included.
func (r *Recorder) RealTime(node string, base registry.Clock, slack time.Duration) {
	c := r.client(node)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timing, c.base, c.slack, c.wall = timed, base, slack, base
}

// SetMeta adds a note to the history: backend, seed, how to replay.
func (r *Recorder) SetMeta(key, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meta[key] = value
}

// Note records what is done to the cluster from here on, or has just been done.
func (r *Recorder) Note(text string) { r.NoteCall("", text) }

// NoteCall records what is done to the call that the client has under way.
func (r *Recorder) NoteCall(client, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, Note{r.stamp.Add(1), client, text})
}

// History returns what has been recorded so far. Calls that have not returned
// are in it as [op.Pending].
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := History{Config: r.cfg, Dialect: r.dialect, Meta: map[string]string{}, Notes: slices.Clone(r.notes)}
	for k, v := range r.meta {
		h.Meta[k] = v
	}
	var all []item
	for _, c := range r.clients {
		all = append(all, c.snapshot()...)
		h.Served = append(h.Served, c.services()...)
	}
	h.Ops = inOrder(all)
	slices.SortFunc(h.Served, func(a, b Service) int { return cmp.Compare(a.From, b.From) })
	return h
}

func (c *client) snapshot() []item {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.done.before(Never, c.name)
	for _, o := range c.active {
		o := *o
		o.Clock.Seen = slices.Clone(o.Clock.Seen)
		if c.timing == timed {
			o.Clock = AnyReading() // it may yet read the clock
		}
		all = append(all, item{o.Invoked, c.name, nil, nil, &o})
	}
	return all
}

// Take takes out of the recorder, and returns in the order of calls, the operations
// that were called before everything that is still in flight. What is in flight for
// more than so many stamps (each call and each return takes one) is taken too, as
// pending, and nobody hears what it answers; so is one that may still apply. So a
// service that runs for long keeps what is in flight and no more, and what is taken
// allows no less than what happened. Notes and services stay.
func (r *Recorder) Take(patience int64) History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := History{Config: r.cfg, Dialect: r.dialect, Meta: maps.Clone(r.meta)}
	// What is called from here on has a higher stamp.
	before := r.stamp.Load() + 1
	for _, c := range r.clients {
		before = min(before, c.giveUp(before-patience))
	}
	var all []item
	for _, c := range r.clients {
		all = append(all, c.take(before)...)
	}
	h.Ops = inOrder(all)
	return h
}

// giveUp ends what was called before the stamp and is still in flight, and what
// may still apply, with any reading. It returns the first call of what is in flight.
func (c *client) giveUp(stamp int64) (first int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first = Never
	c.active = slices.DeleteFunc(c.active, func(o *Op) bool {
		if o.Returned == Never && o.Invoked >= stamp {
			first = min(first, o.Invoked)
			return false
		}
		given := *o // who is in flight still writes to o
		given.Clock = AnyReading()
		c.done.whole = append(c.done.whole, &given)
		return true
	})
	return first
}

// take takes out what was called before the stamp and is not in flight.
func (c *client) take(stamp int64) []item {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.done.before(stamp, c.name)
	c.done.forget(stamp)
	return taken
}

// Crash notes that the processes of all clients have died. Whatever the handles
// wrapped until now answer from here on, nobody hears: their calls in flight, and
// those made with them later, stay [op.Pending]. Call it before the crash is brought about.
func (r *Recorder) Crash() { r.life.Add(1) }

type recordingClock struct {
	client *client
	base   registry.Clock
}

// Now reads the base clock and records the reading before anybody can act on it.
func (k *recordingClock) Now() registry.Instant {
	now := k.base.Now()
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	for _, o := range k.client.active {
		o.Clock.add(now)
	}
	return now
}

// maxSeen bounds the readings kept one by one. Beyond it the hull is kept,
// which contains them: the check can only allow more.
const maxSeen = 32

func (r *Readings) add(c registry.Instant) {
	switch {
	case r.Interval:
		r.Lo, r.Hi = min(r.Lo, c), max(r.Hi, c)
	case slices.Contains(r.Seen, c):
	case len(r.Seen) < maxSeen:
		r.Seen = append(r.Seen, c)
	default:
		*r = Within(min(c, slices.Min(r.Seen)), max(c, slices.Max(r.Seen)))
	}
}

// Wrap returns a handle that passes every call on to h and records it under
// the given name. Handles opened one after the other for the same node, before
// and after a crash, share a name. Of the optional interfaces it has those that
// h has. Close is passed on and not recorded.
func (r *Recorder) Wrap(node string, h registry.Handle) registry.Handle {
	c, life := r.client(node), r.life.Load()
	return op.Handle(func(ctx context.Context, call op.Call) op.Result {
		switch call.Kind {
		case op.Close, op.RenewBatch:
			return r.unusual(ctx, c, life, h, call)
		}
		o := r.begin(c, &call)
		result := op.Do(ctx, h, &o.Call)
		r.end(c, life, o, &result)
		return result
	}, op.PowersOf(h))
}

// unusual passes on what is no operation of a history. It stands apart so that the
// call of one that is stays where it is, in no memory of its own.
func (r *Recorder) unusual(ctx context.Context, c *client, life int64, h registry.Handle, call op.Call) op.Result {
	if call.Kind == op.RenewBatch {
		return r.batch(ctx, c, life, h, &call)
	}
	return op.Do(ctx, h, &call)
}

// batch records a RenewBatch as one Renew for each lease, all in flight for the
// whole of the call: each renewal is atomic by itself. A lease without a result
// stays pending.
func (r *Recorder) batch(ctx context.Context, c *client, life int64, h registry.Handle, call *op.Call) op.Result {
	ops := make([]*Op, len(call.Leases))
	for i, l := range call.Leases {
		renew := op.OnLease(op.Renew, l)
		ops[i] = r.begin(c, &renew)
	}
	result := op.Do(ctx, h, call)
	for i, o := range ops {
		if i < len(result.Renewals) {
			r.end(c, life, o, &result.Renewals[i])
		}
	}
	return result
}

// begin begins an operation.
func (r *Recorder) begin(c *client, call *op.Call) *Op {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.unused()
	o.Call = *call
	switch c.timing {
	case untimed:
		o.Clock = AnyReading()
	case timed:
		now := c.base.Now()
		o.Clock = Within(now, now)
	}
	c.active = append(c.active, o)
	r.look(c)
	o.Invoked = r.stamp.Add(1)
	return o
}

// unused returns an operation that is pending, without readings.
func (c *client) unused() *Op {
	last := len(c.free) - 1
	if last < 0 {
		return &Op{Client: c.name, Result: op.Result{Outcome: op.Pending}, Returned: Never}
	}
	o := c.free[last]
	c.free = c.free[:last]
	o.Clock, o.Returned = Readings{Seen: o.Clock.Seen[:0]}, Never
	return o
}

// end ends an operation of a client who lives. One that may still apply stays among the active
// ones: what the clock reads from now on may be what it will be decided by.
func (r *Recorder) end(c *client, life int64, o *Op, result *op.Result) {
	if r.life.Load() != life {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.Index(c.active, o)
	if at < 0 {
		return // given up by Take
	}
	r.look(c) // what it served until the answer came, and knowing it
	returned := r.stamp.Add(1)
	r.look(c)
	o.Returned = returned
	if c.timing == timed {
		now := c.base.Now()
		o.Clock = Within(min(o.Clock.Lo, now).Add(-c.slack), max(o.Clock.Hi, now).Add(c.slack))
	}
	if result.Outcome.Unbounded() {
		o.Result = kept(result)
		return
	}
	c.active = slices.Delete(c.active, at, at+1)
	if !c.done.add(o, result) && len(c.free) < maxFree {
		c.free = append(c.free, o)
	}
}

// maxFree bounds the operations that a client keeps to use again.
const maxFree = 64

// kept is a result as it is kept: rows are copied, since the caller owns them,
// and what stands beside an error means nothing.
func kept(result *op.Result) op.Result {
	r := *result
	if r.Err != nil && r.Outcome != op.Refused {
		return op.Result{Outcome: r.Outcome, Reason: r.Reason, Err: r.Err}
	}
	r.Actors, r.Nodes = slices.Clone(r.Actors), slices.Clone(r.Nodes)
	return r
}
