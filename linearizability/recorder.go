package linearizability

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
)

// Recorder records every call made through the handles that it wraps. It is
// safe for concurrent use.
//
// The order is sound for real time: the Call stamp is drawn before the call is
// passed on, and the Return stamp after it came back, from one counter. So
// where a history says that one operation returned before another was called,
// it was so; where it was so without the stamps showing it, the check only
// allows more.
type Recorder struct {
	cfg   registry.Config
	stamp atomic.Int64

	mu      sync.Mutex
	clients map[string]*client
	meta    map[string]string
}

// NewRecorder returns a recorder for a cluster of the given configuration.
func NewRecorder(cfg registry.Config) *Recorder {
	return &Recorder{cfg: cfg, clients: map[string]*client{}, meta: map[string]string{}}
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
	done   []*Op
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
	c.timing = recorded
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
	c.timing, c.base, c.slack = timed, base, slack
}

// SetMeta adds a note to the history: backend, seed, how to replay.
func (r *Recorder) SetMeta(key, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meta[key] = value
}

// History returns what has been recorded so far. Calls that have not returned
// are in it as OutcomePending.
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := History{Config: r.cfg, Meta: map[string]string{}}
	for k, v := range r.meta {
		h.Meta[k] = v
	}
	for _, c := range r.clients {
		h.Ops = append(h.Ops, c.snapshot()...)
	}
	slices.SortFunc(h.Ops, func(a, b Op) int { return cmp.Compare(a.Call, b.Call) })
	for i := range h.Ops {
		h.Ops[i].ID = i
	}
	return h
}

func (c *client) snapshot() []Op {
	c.mu.Lock()
	defer c.mu.Unlock()
	ops := make([]Op, 0, len(c.done)+len(c.active))
	for _, op := range c.done {
		ops = append(ops, *op)
	}
	for _, op := range c.active {
		o := *op
		o.Clock.Seen = slices.Clone(o.Clock.Seen)
		if c.timing == timed {
			o.Clock = AnyReading() // it may yet read the clock
		}
		ops = append(ops, o)
	}
	return ops
}

type recordingClock struct {
	client *client
	base   registry.Clock
}

// Now reads the base clock and records the reading before anybody can act on it.
func (k *recordingClock) Now() registry.Instant {
	now := k.base.Now()
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	for _, op := range k.client.active {
		op.Clock.add(now)
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

// call begins an operation.
func (r *Recorder) call(c *client, kind Kind, ask Ask) *Op {
	op := &Op{Client: c.name, Kind: kind, Ask: ask, Outcome: OutcomePending, Return: Never}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.timing {
	case untimed:
		op.Clock = AnyReading()
	case timed:
		now := c.base.Now()
		op.Clock = Within(now, now)
	}
	c.active = append(c.active, op)
	op.Call = r.stamp.Add(1)
	return op
}

// finish ends an operation. One that may still apply stays among the active
// ones: what the clock reads from now on may be what it will be decided by.
func (r *Recorder) finish(c *client, op *Op, answer Answer, err error) {
	ret := r.stamp.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	op.Return = ret
	if err != nil {
		answer = Answer{} // values beside an error mean nothing
	}
	op.Answer = answer
	op.Outcome = classify(err, &op.Answer)
	if c.timing == timed {
		now := c.base.Now()
		op.Clock = Within(min(op.Clock.Lo, now).Add(-c.slack), max(op.Clock.Hi, now).Add(c.slack))
	}
	if op.Outcome.Unbounded() {
		return
	}
	c.active = slices.DeleteFunc(c.active, func(o *Op) bool { return o == op })
	c.done = append(c.done, op)
}

// classify sorts an error into an outcome and keeps its detail. Ambiguity comes
// first: an ambiguous error may wrap any other as its cause.
func classify(err error, a *Answer) Outcome {
	if err == nil {
		return OutcomeOK
	}
	a.Error = err.Error()
	if errors.Is(err, registry.ErrAmbiguous) {
		var detail *registry.AmbiguousError
		if errors.As(err, &detail) && !detail.MayStillApply {
			return OutcomeSettled
		}
		return OutcomeOpen
	}
	if a.Reason = ReasonOf(err); a.Reason != "" {
		var detail *registry.Refusal
		if errors.As(err, &detail) {
			a.Record, a.Node, a.Now = detail.Placement, detail.Node, detail.Now
		}
		return OutcomeRefused
	}
	for _, k := range []struct {
		err     error
		outcome Outcome
	}{
		{registry.ErrInvalid, OutcomeInvalid},
		{registry.ErrClosed, OutcomeClosed},
		{registry.ErrUnavailable, OutcomeUnavailable},
		{context.Canceled, OutcomeCancelled},
		{context.DeadlineExceeded, OutcomeCancelled},
	} {
		if errors.Is(err, k.err) {
			return k.outcome
		}
	}
	return OutcomeUnlisted
}
