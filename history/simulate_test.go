package history_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

var testConfig = registry.Config{
	TTL: 10 * time.Second, Grace: 2 * time.Second, MaxClockSkew: time.Second, FailureTimeout: 6 * time.Second,
}

const testStart = registry.Instant(1_000_000 * int64(time.Second))

func when(d time.Duration) registry.Instant { return testStart.Add(d) }

var actorA = registry.ActorID{Namespace: "ns", Name: "a"}

func ref(n string) registry.NodeRef { return registry.NodeRef{ID: registry.NodeID(n), Epoch: 1} }

func id(n byte) registry.ClaimID { return registry.ClaimID{n} }

// lease is the record of a grant to n by reading d.
func lease(n string, d time.Duration, claim byte, v registry.Version, t registry.Token) registry.Placement {
	return registry.Placement{Actor: actorA, Holder: ref(n), Token: t, Version: v, Expiry: when(d).Add(testConfig.TTL), ClaimID: id(claim)}
}

// chooser draws numbers from 0 to n-1, from rapid or from a seeded generator.
type chooser func(n int) int

func seeded(seed uint64) chooser { return rand.New(rand.NewPCG(seed, 0x1eaf)).IntN }

// simulation makes histories: clients call a right registry one after the other,
// through a recorder, at random.
type simulation struct {
	choose chooser
	steps  int
	lossy  bool // answers are lost, calls fail, and the last one never returns
	timing bool // clocks are known only within bounds, or not at all
	batch  bool // leases are renewed in batches too
}

// simRun is what a simulation knows while it runs.
type simRun struct {
	simulation
	rec     *history.Recorder
	truth   *registry.ManualClock
	clients []simClient
	refs    []registry.NodeRef
	leases  []registry.Lease
	pending *history.History // as it was during the last call
	last    bool
}

type simClient struct {
	clock  *registry.ManualClock
	handle registry.Handle
}

func (s simulation) run() history.History {
	r := &simRun{simulation: s, rec: history.NewRecorder(testConfig), truth: registry.NewManualClock(testStart)}
	store, err := reference.NewStore(testConfig)
	if err != nil {
		panic(err)
	}
	for i := range 3 {
		r.open(store, fmt.Sprint("n", i))
	}
	for i := range s.steps {
		r.last = i == s.steps-1
		r.step()
	}
	if r.pending != nil {
		return *r.pending
	}
	return r.rec.History()
}

func (r *simRun) open(store *reference.Store, name string) {
	clock := registry.NewManualClock(testStart)
	given := registry.Clock(clock)
	switch {
	case !r.timing || r.choose(2) == 0:
		given = r.rec.Clock(name, clock)
	case r.choose(2) == 0:
		r.rec.RealTime(name, clock, testConfig.MaxClockSkew)
	}
	inner, err := store.Open(testConfig, given)
	if err != nil {
		panic(err)
	}
	h := op.Handle(func(ctx context.Context, c op.Call) op.Result { return r.answer(ctx, inner, c) }, op.Powers{Batch: true, Watch: true})
	r.clients = append(r.clients, simClient{clock, r.rec.Wrap(name, h)})
	r.refs = append(r.refs, ref(name))
}

// answer passes a call on, and may lose it or its answer.
func (r *simRun) answer(ctx context.Context, inner registry.Handle, c op.Call) op.Result {
	if r.lossy && r.last {
		h := r.rec.History()
		r.pending = &h
	}
	outcomes := []op.Outcome{op.Closed, op.Unavailable, op.Cancelled, op.Settled, op.Open}
	if r.lossy && r.choose(4) == 0 {
		lost := outcomes[r.choose(len(outcomes))]
		if lost.Ambiguous() && r.choose(2) == 0 {
			extend(ctx, inner, &c)
		}
		return op.Failed(lost.Err("lost"))
	}
	return extend(ctx, inner, &c)
}

// extend makes the call on a handle without the optional interfaces.
func extend(ctx context.Context, h registry.Handle, c *op.Call) op.Result {
	switch c.Kind {
	case op.RenewBatch:
		r := op.Result{Outcome: op.OK}
		for _, l := range c.Leases {
			one := op.OnLease(op.Renew, l)
			r.Renewals = append(r.Renewals, op.Do(ctx, h, &one))
		}
		return r
	case op.Watch:
		r := op.Do(ctx, h, &op.Call{Kind: op.Lookup, Actor: c.Actor})
		if r.Record.Version == c.Seen {
			return op.Failed(context.DeadlineExceeded)
		}
		return r
	}
	return op.Do(ctx, h, c)
}

// step lets a client with some clock make some call.
func (r *simRun) step() {
	r.truth.Advance([]time.Duration{0, 1, time.Millisecond, time.Second, 5 * time.Second}[r.choose(5)])
	c := r.clients[r.choose(len(r.clients))]
	c.clock.Set(r.truth.Now().Add([]time.Duration{-testConfig.MaxClockSkew, 0, 1, testConfig.MaxClockSkew}[r.choose(4)]))
	call := r.call()
	result := op.Do(context.Background(), c.handle, &call)
	if result.Outcome == op.OK && call.Kind.Grants() {
		r.leases = append(r.leases, result.Lease())
	}
	if result.Outcome == op.OK && call.Kind == op.RegisterNode {
		r.refs = append(r.refs, result.Node.Ref)
	}
}

func (r *simRun) call() op.Call {
	kinds := []op.Kind{op.RegisterNode, op.RegisterNode, op.Claim, op.Claim, op.Claim}
	for _, k := range op.Kinds() {
		if k != op.Close && (k != op.RenewBatch || r.batch) {
			kinds = append(kinds, k)
		}
	}
	some := r.refs[r.choose(len(r.refs))]
	held := registry.Lease{Actor: actorA, Holder: some, Token: 1}
	if len(r.leases) > 0 {
		held = r.leases[r.choose(len(r.leases))]
	}
	actor := registry.ActorID{Namespace: "ns", Name: string(rune('a' + r.choose(2)))}
	switch k := kinds[r.choose(len(kinds))]; k {
	case op.Claim:
		return op.Call{Kind: k, Actor: actor, Node: some, ClaimID: id(byte(r.choose(8)))} // 0 is invalid
	case op.Renew, op.Release:
		return op.OnLease(k, held)
	case op.Transfer:
		c := op.OnLease(k, held)
		c.To = some
		return c
	case op.RenewBatch:
		return op.Call{Kind: k, Leases: []registry.Lease{held, {Actor: actor, Holder: some, Token: 1}}}
	case op.Validate:
		return op.Call{Kind: k, Actor: actor, Token: registry.Token(1 + r.choose(3))}
	case op.Lookup, op.Watch:
		return op.Call{Kind: k, Actor: actor, Seen: 0}
	case op.RegisterNode:
		return op.Call{Kind: k, Node: registry.NodeRef{ID: some.ID}, Info: registry.NodeInfo{Address: "10.0.0.1:80"}, Mode: registry.RegisterMode(r.choose(2))}
	case op.GetNode:
		return op.Call{Kind: k, Node: registry.NodeRef{ID: some.ID}}
	case op.ListNodes:
		return op.Call{Kind: k, Status: registry.NodeStatus(r.choose(4)), Page: registry.Page{Limit: r.choose(3)}}
	case op.ListActors:
		return op.Call{Kind: k, Node: some, Page: registry.Page{Limit: 1 + r.choose(2)}}
	default: // the other operations about a node
		return op.Call{Kind: k, Node: some}
	}
}

// cluster opens handles on the reference. It survives its crashes.
type cluster struct {
	store    *reference.Store
	crashes  int
	opened   map[string]int
	broken   bool // it cannot crash
	extended bool // its handles can watch
}

func newCluster() *cluster {
	store, err := reference.NewStore(testConfig)
	if err != nil {
		panic(err)
	}
	return &cluster{store: store, opened: map[string]int{}}
}

func (c *cluster) Open(client string, clock registry.Clock) (registry.Handle, error) {
	c.opened[client]++
	inner, err := c.store.Open(testConfig, clock)
	if err != nil || !c.extended {
		return inner, err
	}
	return op.Handle(func(ctx context.Context, c op.Call) op.Result { return extend(ctx, inner, &c) }, op.Powers{Watch: true}), nil
}

func (c *cluster) Crash() error {
	if c.broken {
		return errors.ErrUnsupported
	}
	c.crashes++
	return nil
}
