package linearizability

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
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
	op     *Op
	call   func() error // the operation in flight
	done   bool
}

type simReading struct {
	registry.Clock
	op **Op
}

func (k simReading) Now() registry.Instant {
	now := k.Clock.Now()
	if *k.op != nil {
		(*k.op).Clock.add(now)
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
	history History
	ops     []*Op
}

func (s simulation) run() History {
	if s.cfg == (registry.Config{}) {
		s.cfg = testConfig
	}
	r := &simRun{simulation: s, now: testStart, history: History{Config: s.cfg, Meta: map[string]string{}}}
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

func (r *simRun) collect() History {
	for i, op := range r.ops {
		op.ID = i
		if op.Return == Never {
			op.Outcome, op.Answer = OutcomePending, Answer{}
			if r.interval {
				op.Clock = AnyReading()
			}
		}
		r.history.Ops = append(r.history.Ops, *op)
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
	op := &Op{Client: c.name, Outcome: OutcomePending, Call: r.stamp, Return: Never}
	c.op, c.done = op, false
	r.ops = append(r.ops, op)
	ctx := context.Background()
	actor := registry.ActorID{Namespace: "ns", Name: fmt.Sprintf("a%d", r.choose(r.actors))}
	lease, held := r.lease(c, actor)
	if c.ref.IsZero() {
		r.register(c, c.id)
		return
	}
	kinds := []Kind{KindClaim, KindClaim, KindClaim, KindLookup, KindLookup, KindValidate}
	if held {
		kinds = append(kinds, KindRenew, KindRenew, KindRenew, KindRelease, KindTransfer, KindValidate)
	}
	if r.shared && held {
		kinds = append(kinds, KindRenew, KindRenew, KindRelease, KindRelease, KindTransfer)
	}
	if !r.quiet {
		kinds = append(kinds, KindHeartbeat, KindMarkFailed, KindDeregisterNode, KindRegisterNode, KindGetNode)
	}
	if r.listings {
		kinds = append(kinds, KindListActors, KindListNodes)
	}
	other := r.cl[r.choose(len(r.cl))]
	otherRef := other.ref
	if otherRef.IsZero() {
		otherRef = registry.NodeRef{ID: other.id, Epoch: 1}
	}
	op.Kind = kinds[r.choose(len(kinds))]
	q := &op.Ask
	switch op.Kind {
	case KindClaim:
		*q = Ask{Actor: actor, Node: c.ref, ClaimID: r.claimID()}
		c.call = func() error {
			l, err := c.handle.Claim(ctx, q.Actor, q.Node, q.ClaimID)
			c.keep(l, err)
			op.Answer.Record = registry.Placement(l)
			return err
		}
	case KindRenew:
		*q = leaseAsk(lease)
		c.call = func() error {
			l, err := c.handle.Renew(ctx, lease)
			op.Answer.Record = registry.Placement(l)
			return err
		}
	case KindRelease:
		*q = leaseAsk(lease)
		c.call = func() error { return c.handle.Release(ctx, lease) }
	case KindTransfer:
		*q = leaseAsk(lease)
		q.To = otherRef
		c.call = func() error {
			l, err := c.handle.Transfer(ctx, lease, q.To)
			other.keep(l, err)
			op.Answer.Record = registry.Placement(l)
			return err
		}
	case KindLookup:
		*q = Ask{Actor: actor}
		c.call = func() error {
			p, found, err := c.handle.Lookup(ctx, actor)
			op.Answer.Record, op.Answer.Found = p, found
			return err
		}
	case KindValidate:
		*q = Ask{Actor: actor, Token: max(1, lease.Token)}
		c.call = func() error { return c.handle.Validate(ctx, actor, q.Token) }
	case KindListActors:
		*q = Ask{Node: otherRef, Page: registry.Page{Limit: 1 + r.choose(3)}}
		c.call = func() error {
			rows, next, err := c.handle.ListActors(ctx, q.Node, q.Page)
			op.Answer.Actors, op.Answer.Next = rows, next
			return err
		}
	case KindListNodes:
		*q = Ask{Status: registry.NodeStatus(r.choose(4)), Page: registry.Page{Limit: r.choose(4)}}
		c.call = func() error {
			rows, next, err := c.handle.ListNodes(ctx, q.Status, q.Page)
			op.Answer.Nodes, op.Answer.Next = rows, next
			return err
		}
	case KindRegisterNode:
		r.register(c, other.id)
	case KindHeartbeat:
		*q = Ask{Node: otherRef}
		c.call = func() error { return c.handle.Heartbeat(ctx, q.Node) }
	case KindMarkFailed:
		*q = Ask{Node: otherRef}
		c.call = func() error { return c.handle.MarkFailed(ctx, q.Node) }
	case KindDeregisterNode:
		*q = Ask{Node: otherRef}
		c.call = func() error { return c.handle.DeregisterNode(ctx, q.Node) }
	case KindGetNode:
		*q = Ask{Node: registry.NodeRef{ID: other.id}}
		c.call = func() error {
			n, found, err := c.handle.GetNode(ctx, other.id)
			op.Answer.Node, op.Answer.Found = n, found
			return err
		}
	}
}

func (r *simRun) register(c *simClient, id registry.NodeID) {
	op := c.op
	op.Kind = KindRegisterNode
	op.Ask = Ask{Node: registry.NodeRef{ID: id}, Mode: registry.RegisterMode(r.choose(2)), Info: registry.NodeInfo{Address: fmt.Sprint("addr", r.choose(2))}}
	c.call = func() error {
		n, err := c.handle.RegisterNode(context.Background(), id, op.Ask.Info, op.Ask.Mode)
		op.Answer.Node = n
		for _, o := range r.cl {
			if err == nil && o.id == id {
				o.ref = n.Ref
			}
		}
		return err
	}
	if c.ref.IsZero() {
		op.Ask.Mode = registry.Supersede
	}
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

func (c *simClient) keep(l registry.Lease, err error) {
	if err == nil {
		c.leases = append(c.leases, l)
	}
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
	op := c.op
	fate := 3
	if r.ambiguous > 0 && r.choose(r.ambiguous) == 0 {
		fate = r.choose(3)
	}
	call := c.call
	switch fate {
	case 0: // settled, done or not
		if r.choose(2) == 0 {
			_ = call()
		}
		op.Answer, op.Outcome = Answer{}, OutcomeSettled
	case 1: // open; perhaps done later
		op.Answer, op.Outcome = Answer{}, OutcomeOpen
		r.late = append(r.late, func() {
			c2 := c.op
			c.op = op // readings made now are this operation's
			_ = call()
			c.op = c2
			op.Answer = Answer{}
		})
	case 2: // never returns
		_ = call()
		op.Answer, op.Outcome = Answer{}, OutcomePending
	default:
		err := call()
		if err != nil {
			op.Answer = Answer{}
		}
		op.Outcome = classify(err, &op.Answer)
	}
	if r.interval {
		lo, hi := r.now.Add(-r.cfg.MaxClockSkew), r.now.Add(r.cfg.MaxClockSkew)
		if op.Outcome.Unbounded() {
			lo, hi = AnyReading().Lo, AnyReading().Hi
		}
		op.Clock = Within(lo, hi)
		op.Answer.Now = 0
	}
}

func (r *simRun) finish(c *simClient) {
	if c.op.Outcome != OutcomePending {
		r.stamp++
		c.op.Return = r.stamp
	}
	c.op, c.call = nil, nil
}
