// Package simulate makes histories for the tests of package linearizability and of
// what is built on it: right ones, with every overlap that its choices lead to.
package simulate

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Chooser draws numbers from 0 to n-1, from rapid or from a Seeded generator.
type Chooser func(n int) int

// Seeded returns a chooser whose choices depend on the seed alone.
func Seeded(seed uint64) Chooser {
	r := rand.New(rand.NewPCG(seed, 0x1eaf))
	return r.IntN
}

// Simulation runs interleaved clients on the reference, one step at a time:
// a client is called, takes effect, returns. So its histories are linearizable
// by construction, with every overlap that the choices lead to.
type Simulation struct {
	Choose    Chooser
	Config    registry.Config // zero: [Config]
	Clients   int
	Actors    int
	Steps     int
	Ambiguous int // one in so many operations has an unknown outcome; 0: none
	Interval  bool
	Quiet     bool // no membership operations after the start
	Listings  bool
	Shared    bool // any client acts on any client's leases, mostly to renew and release
}

// Config is the configuration of a [Simulation] that sets none.
var Config = registry.Config{
	TTL: 10 * time.Second, Grace: 2 * time.Second, MaxClockSkew: time.Second, FailureTimeout: 6 * time.Second,
}

// Start is the true time at which a simulation begins.
const Start = registry.Instant(1_000_000 * int64(time.Second))

type simClient struct {
	name   string
	id     registry.NodeID
	ref    registry.NodeRef
	clock  *registry.ManualClock
	handle registry.Handle
	leases []registry.Lease
	op     *history.Op // in flight
	to     *simClient  // whom the operation is about
	done   bool
}

type simReading struct {
	registry.Clock
	op **history.Op
}

func (k simReading) Now() registry.Instant {
	now := k.Clock.Now()
	if o := *k.op; o != nil && !o.Clock.Contains(now) {
		o.Clock.Seen = append(o.Clock.Seen, now)
	}
	return now
}

type simRun struct {
	Simulation
	stamp   int64
	now     registry.Instant
	cl      []*simClient
	claims  uint64
	late    []func() // effects of operations that returned as open
	history history.History
	ops     []*history.Op
}

// History runs the clients and returns what was recorded of them.
func (s Simulation) History() history.History {
	if s.Config == (registry.Config{}) {
		s.Config = Config
	}
	r := &simRun{Simulation: s, now: Start, history: history.History{Config: s.Config, Meta: map[string]string{}}}
	store, err := reference.NewStore(s.Config)
	if err != nil {
		panic(err)
	}
	for i := range s.Clients {
		c := &simClient{name: fmt.Sprintf("c%d", i), id: registry.NodeID(fmt.Sprintf("n%d", i)), clock: registry.NewManualClock(Start)}
		c.handle, err = store.Open(s.Config, simReading{c.clock, &c.op})
		if err != nil {
			panic(err)
		}
		r.cl = append(r.cl, c)
	}
	for range s.Steps {
		r.step()
	}
	for _, c := range r.cl {
		if c.op != nil && r.Choose(2) == 0 {
			if !c.done {
				r.execute(c)
			}
			r.finish(c)
		}
	}
	return r.collect()
}

func (r *simRun) collect() history.History {
	for i, o := range r.ops {
		o.ID = i
		if o.Returned == history.Never {
			o.Result = op.Result{Outcome: op.Pending}
			if r.Interval {
				o.Clock = history.AnyReading()
			}
		}
		r.history.Ops = append(r.history.Ops, *o)
	}
	return r.history
}

func (r *simRun) step() {
	if r.Choose(4) == 0 {
		r.tick()
	}
	if len(r.late) > 0 && r.Choose(6) == 0 {
		i := r.Choose(len(r.late))
		r.late[i]()
		r.late = slices.Delete(r.late, i, i+1)
	}
	c := r.cl[r.Choose(len(r.cl))]
	switch {
	case c.op == nil:
		r.begin(c)
	case !c.done:
		r.execute(c)
	default:
		r.finish(c)
	}
}

// tick advances true time and leaves every clock somewhere within the bound.
func (r *simRun) tick() {
	steps := []time.Duration{1, time.Millisecond, 500 * time.Millisecond, time.Second, 3 * time.Second, 7 * time.Second, 13 * time.Second}
	r.now = r.now.Add(steps[r.Choose(len(steps))])
	for _, c := range r.cl {
		skew := []time.Duration{-r.Config.MaxClockSkew, -1, 0, 1, r.Config.MaxClockSkew}[r.Choose(5)]
		c.clock.Set(r.now.Add(skew))
	}
}

func (r *simRun) begin(c *simClient) {
	r.stamp++
	o := &history.Op{Client: c.name, Result: op.Result{Outcome: op.Pending}, Invoked: r.stamp, Returned: history.Never}
	c.op, c.done = o, false
	r.ops = append(r.ops, o)
	actor := registry.ActorID{Namespace: "ns", Name: fmt.Sprintf("a%d", r.Choose(r.Actors))}
	lease, held := r.lease(c, actor)
	if c.ref.IsZero() {
		o.Call = r.registration(c.id)
		o.Call.Mode = registry.Supersede
		return
	}
	kinds := []op.Kind{op.Claim, op.Claim, op.Claim, op.Lookup, op.Lookup, op.Validate}
	if held {
		kinds = append(kinds, op.Renew, op.Renew, op.Renew, op.Release, op.Transfer, op.Validate)
	}
	if r.Shared && held {
		kinds = append(kinds, op.Renew, op.Renew, op.Release, op.Release, op.Transfer)
	}
	if !r.Quiet {
		kinds = append(kinds, op.Heartbeat, op.MarkFailed, op.DeregisterNode, op.RegisterNode, op.GetNode)
	}
	if r.Listings {
		kinds = append(kinds, op.ListActors, op.ListNodes)
	}
	c.to = r.cl[r.Choose(len(r.cl))]
	o.Call = r.call(c, kinds[r.Choose(len(kinds))], actor, lease)
}

// call makes a call of the kind: on the actor, on the lease, or about c.to.
func (r *simRun) call(c *simClient, k op.Kind, actor registry.ActorID, lease registry.Lease) op.Call {
	other := c.to.ref
	if other.IsZero() {
		other = registry.NodeRef{ID: c.to.id, Epoch: 1}
	}
	switch k {
	case op.Claim:
		return op.Call{Kind: k, Actor: actor, Node: c.ref, ClaimID: r.claimID()}
	case op.Renew, op.Release:
		return op.OnLease(k, lease)
	case op.Transfer:
		q := op.OnLease(k, lease)
		q.To = other
		return q
	case op.Lookup:
		return op.Call{Kind: k, Actor: actor}
	case op.Validate:
		return op.Call{Kind: k, Actor: actor, Token: max(1, lease.Token)}
	case op.ListActors:
		return op.Call{Kind: k, Node: other, Page: registry.Page{Limit: 1 + r.Choose(3)}}
	case op.ListNodes:
		return op.Call{Kind: k, Status: registry.NodeStatus(r.Choose(4)), Page: registry.Page{Limit: r.Choose(4)}}
	case op.RegisterNode:
		return r.registration(c.to.id)
	case op.GetNode:
		return op.Call{Kind: k, Node: registry.NodeRef{ID: c.to.id}}
	default: // Heartbeat, MarkFailed, DeregisterNode
		return op.Call{Kind: k, Node: other}
	}
}

func (r *simRun) registration(id registry.NodeID) op.Call {
	return op.Call{
		Kind: op.RegisterNode, Node: registry.NodeRef{ID: id}, Mode: registry.RegisterMode(r.Choose(2)),
		Info: registry.NodeInfo{Address: fmt.Sprint("addr", r.Choose(2))},
	}
}

// do lets an operation of c take effect. What it answers, the clients know even
// when the history does not have it.
func (r *simRun) do(c *simClient, o *history.Op, to *simClient) op.Result {
	result := op.Do(context.Background(), c.handle, &o.Call)
	if result.Outcome != op.OK {
		return result
	}
	switch o.Call.Kind {
	case op.Claim:
		c.leases = append(c.leases, result.Lease())
	case op.Transfer:
		to.leases = append(to.leases, result.Lease())
	case op.RegisterNode:
		for _, other := range r.cl {
			if other.id == o.Call.Node.ID {
				other.ref = result.Node.Ref
			}
		}
	}
	return result
}

// lease picks one of the client's leases of the actor, old ones included.
func (r *simRun) lease(c *simClient, actor registry.ActorID) (registry.Lease, bool) {
	var own []registry.Lease
	for _, o := range r.cl {
		for _, l := range o.leases {
			if l.Actor == actor && (o == c || r.Shared) {
				own = append(own, l)
			}
		}
	}
	if len(own) == 0 {
		return registry.Lease{}, false
	}
	if r.Choose(4) > 0 {
		return own[len(own)-1], true
	}
	return own[r.Choose(len(own))], true
}

// claimID is mostly fresh, sometimes one used before.
func (r *simRun) claimID() registry.ClaimID {
	n := r.claims + 1
	if r.claims > 0 && r.Choose(4) == 0 {
		n = 1 + uint64(r.Choose(int(r.claims)))
	} else {
		r.claims++
	}
	var id registry.ClaimID
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

// execute lets the operation take effect, or leaves it undone when its outcome
// is to be unknown.
func (r *simRun) execute(c *simClient) {
	c.done = true
	o := c.op
	fate := 3
	if r.Ambiguous > 0 && r.Choose(r.Ambiguous) == 0 {
		fate = r.Choose(3)
	}
	to := c.to
	switch fate {
	case 0: // settled, done or not
		if r.Choose(2) == 0 {
			r.do(c, o, to)
		}
		o.Result = op.Failed(op.Settled.Err("lost"))
	case 1: // open; perhaps done later
		o.Result = op.Failed(op.Open.Err("lost"))
		r.late = append(r.late, func() {
			c2 := c.op
			c.op = o // readings made now are this operation's
			r.do(c, o, to)
			c.op = c2
		})
	case 2: // never returns
		r.do(c, o, to)
	default:
		o.Result = r.do(c, o, to)
	}
	if r.Interval {
		lo, hi := r.now.Add(-r.Config.MaxClockSkew), r.now.Add(r.Config.MaxClockSkew)
		if o.Result.Outcome.Unbounded() {
			lo, hi = history.AnyReading().Lo, history.AnyReading().Hi
		}
		o.Clock = history.Within(lo, hi)
		o.Result.Now = 0
	}
}

func (r *simRun) finish(c *simClient) {
	if c.op.Result.Outcome != op.Pending {
		r.stamp++
		c.op.Returned = r.stamp
	}
	c.op = nil
}

// Drawn returns a small simulation of any kind.
func Drawn(choose Chooser) Simulation {
	return Simulation{
		Choose:    choose,
		Clients:   1 + choose(4),
		Actors:    1 + choose(2),
		Steps:     3 + choose(198),
		Ambiguous: []int{0, 0, 20, 8}[choose(4)],
		Interval:  choose(2) == 1,
		Quiet:     choose(2) == 1,
		Listings:  choose(2) == 1,
		Shared:    choose(2) == 1,
	}
}

// Spoil changes one thing in a history, as a wrong registry might have answered
// or a wrong recorder stamped. What it leaves may still be right.
func Spoil(choose Chooser, h *history.History) {
	if len(h.Ops) == 0 {
		return
	}
	o := &h.Ops[choose(len(h.Ops))]
	a := &o.Result
	other := &h.Ops[choose(len(h.Ops))]
	switch choose(14) {
	case 0:
		a.Record.Version += registry.Version(choose(3)) - 1
	case 1:
		a.Record.Token += registry.Token(choose(3)) - 1
	case 2:
		a.Record.Expiry = a.Record.Expiry.Add([]time.Duration{-1, 1, Config.TTL, -Config.TTL}[choose(4)])
	case 3:
		a.Record.Holder = registry.NodeRef{}
	case 4:
		a.Record = other.Result.Record
	case 5:
		o.Result = other.Result
	case 6:
		o.Result = op.Result{Outcome: op.OK}
	case 7:
		why := op.Refusals()[choose(len(op.Refusals()))]
		o.Result = op.Failed(&registry.Refusal{Reason: why.Err(), Placement: a.Record, Node: a.Node, Now: a.Now})
	case 8: // the two stamps of an operation move to an earlier or later place
		o.Invoked, o.Returned, other.Invoked, other.Returned = other.Invoked, other.Returned, o.Invoked, o.Returned
	case 9:
		a.Found = !a.Found
	case 10:
		a.Node.Ref.Epoch++
	case 11:
		a.Node.Status = registry.NodeStatus(1 + choose(3))
	case 12:
		if len(a.Actors) > 0 {
			a.Actors = a.Actors[1:]
		}
		if len(a.Nodes) > 0 {
			a.Nodes = a.Nodes[1:]
		}
	case 13: // an operation that took effect is not in the history
		i := choose(len(h.Ops))
		h.Ops = slices.Delete(slices.Clone(h.Ops), i, i+1)
		for i := range h.Ops {
			h.Ops[i].ID = i
		}
	}
}
