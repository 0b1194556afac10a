package linearizability

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

// chooser draws numbers from 0 to n-1, from rapid or from a seeded generator.
type chooser func(n int) int

func seeded(seed uint64) chooser {
	r := rand.New(rand.NewPCG(seed, 0x1eaf))
	return r.IntN
}

// simulation runs interleaved clients on the reference, one step at a time:
// a client is called, takes effect, returns. So its histories are linearizable
// by construction, with every overlap that the choices lead to.
type simulation struct {
	choose    chooser
	cfg       registry.Config
	clients   int
	actors    int
	steps     int
	ambiguous int // one in so many operations has an unknown outcome; 0: none
	interval  bool
	quiet     bool // no membership operations after the start
	listings  bool
	shared    bool // any client acts on any client's leases, mostly to renew and release
}

var testConfig = registry.Config{
	TTL: 10 * time.Second, Grace: 2 * time.Second, MaxClockSkew: time.Second, FailureTimeout: 6 * time.Second,
}

const testStart = registry.Instant(1_000_000 * int64(time.Second))

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
	simulation
	stamp   int64
	now     registry.Instant
	cl      []*simClient
	claims  uint64
	late    []func() // effects of operations that returned as open
	history history.History
	ops     []*history.Op
}

func (s simulation) run() history.History {
	if s.cfg == (registry.Config{}) {
		s.cfg = testConfig
	}
	r := &simRun{simulation: s, now: testStart, history: history.History{Config: s.cfg, Meta: map[string]string{}}}
	store, err := reference.NewStore(s.cfg)
	if err != nil {
		panic(err)
	}
	for i := range s.clients {
		c := &simClient{name: fmt.Sprintf("c%d", i), id: registry.NodeID(fmt.Sprintf("n%d", i)), clock: registry.NewManualClock(testStart)}
		c.handle, err = store.Open(s.cfg, simReading{c.clock, &c.op})
		if err != nil {
			panic(err)
		}
		r.cl = append(r.cl, c)
	}
	for range s.steps {
		r.step()
	}
	for _, c := range r.cl {
		if c.op != nil && r.choose(2) == 0 {
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
			if r.interval {
				o.Clock = history.AnyReading()
			}
		}
		r.history.Ops = append(r.history.Ops, *o)
	}
	return r.history
}

func (r *simRun) step() {
	if r.choose(4) == 0 {
		r.tick()
	}
	if len(r.late) > 0 && r.choose(6) == 0 {
		i := r.choose(len(r.late))
		r.late[i]()
		r.late = slices.Delete(r.late, i, i+1)
	}
	c := r.cl[r.choose(len(r.cl))]
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
	r.now = r.now.Add(steps[r.choose(len(steps))])
	for _, c := range r.cl {
		skew := []time.Duration{-r.cfg.MaxClockSkew, -1, 0, 1, r.cfg.MaxClockSkew}[r.choose(5)]
		c.clock.Set(r.now.Add(skew))
	}
}

func (r *simRun) begin(c *simClient) {
	r.stamp++
	o := &history.Op{Client: c.name, Result: op.Result{Outcome: op.Pending}, Invoked: r.stamp, Returned: history.Never}
	c.op, c.done = o, false
	r.ops = append(r.ops, o)
	actor := registry.ActorID{Namespace: "ns", Name: fmt.Sprintf("a%d", r.choose(r.actors))}
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
	if r.shared && held {
		kinds = append(kinds, op.Renew, op.Renew, op.Release, op.Release, op.Transfer)
	}
	if !r.quiet {
		kinds = append(kinds, op.Heartbeat, op.MarkFailed, op.DeregisterNode, op.RegisterNode, op.GetNode)
	}
	if r.listings {
		kinds = append(kinds, op.ListActors, op.ListNodes)
	}
	c.to = r.cl[r.choose(len(r.cl))]
	o.Call = r.call(c, kinds[r.choose(len(kinds))], actor, lease)
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
		return op.Call{Kind: k, Node: other, Page: registry.Page{Limit: 1 + r.choose(3)}}
	case op.ListNodes:
		return op.Call{Kind: k, Status: registry.NodeStatus(r.choose(4)), Page: registry.Page{Limit: r.choose(4)}}
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
		Kind: op.RegisterNode, Node: registry.NodeRef{ID: id}, Mode: registry.RegisterMode(r.choose(2)),
		Info: registry.NodeInfo{Address: fmt.Sprint("addr", r.choose(2))},
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
			if l.Actor == actor && (o == c || r.shared) {
				own = append(own, l)
			}
		}
	}
	if len(own) == 0 {
		return registry.Lease{}, false
	}
	if r.choose(4) > 0 {
		return own[len(own)-1], true
	}
	return own[r.choose(len(own))], true
}

// claimID is mostly fresh, sometimes one used before.
func (r *simRun) claimID() registry.ClaimID {
	n := r.claims + 1
	if r.claims > 0 && r.choose(4) == 0 {
		n = 1 + uint64(r.choose(int(r.claims)))
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
	if r.ambiguous > 0 && r.choose(r.ambiguous) == 0 {
		fate = r.choose(3)
	}
	to := c.to
	switch fate {
	case 0: // settled, done or not
		if r.choose(2) == 0 {
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
	if r.interval {
		lo, hi := r.now.Add(-r.cfg.MaxClockSkew), r.now.Add(r.cfg.MaxClockSkew)
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
