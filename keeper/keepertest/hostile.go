// Package keepertest attacks what keeps leases: a registry that answers what no
// registry may, for the tests of programs that embed a keeper, or that keep leases
// by code of their own.
//
// A [Hostile] stands between the program and a right registry, and tells one of
// the [Lies] where the test says so. Whatever is answered, a program that holds by
// the contract never serves an actor that the right registry does not hold it to,
// asks no faster than its pauses allow, and ends with its context:
//
//	hostile := keepertest.New(handle)
//	agent, err := keeper.Join(ctx, hostile.Handle(), cfg, "node-1", o)
//	for _, lie := range keepertest.Lies() {
//		hostile.Tell(keepertest.Always(lie))
//		// … work goes on; nobody else may hold what this node serves
//		hostile.Tell(nil)
//	}
//
// Lies that nobody can tell from the truth are not in the list: that a renewal was
// made which was not, that a token is higher than it is. Against those only the
// check of the token helps, where a write lands.
package keepertest

import (
	"context"
	"sync"

	"github.com/kelpie-registry/registry"
)

// Question is one call, as far as a liar needs to know it. Fields that the
// operation does not have are zero.
type Question struct {
	Op     string           // the method's name
	Actor  registry.ActorID // Claim, Lookup, Watch, and the lease's
	Node   registry.NodeRef // Claim, Heartbeat, MarkFailed, DeregisterNode, the lease's holder, Transfer's receiver
	ID     registry.NodeID  // RegisterNode, GetNode
	Claim  registry.ClaimID
	Lease  registry.Lease   // Renew, Release, Transfer
	Leases []registry.Lease // RenewBatch
	N      int              // how many calls of this operation there were before
}

// Answer is what is returned. Fields that the operation does not return are zero.
type Answer struct {
	Lease    registry.Lease     // Claim, Renew, Transfer; of Lookup and Watch the record
	Found    bool               // Lookup, GetNode
	Renewals []registry.Renewal // RenewBatch
	Node     registry.Node      // RegisterNode, GetNode
	Nodes    []registry.Node    // ListNodes
	Next     registry.Cursor    // ListNodes
	Err      error
}

// Lie is one way to answer wrongly. A test may make its own.
type Lie struct {
	Name string   // for subtests and messages
	Ops  []string // the operations that it is told of

	// Tell returns the answer. truth carries the call out and returns the right
	// answer; where it is not called nothing happens in the registry.
	Tell func(ctx context.Context, q Question, truth func() Answer) Answer
}

// applies reports whether the lie is told of an operation.
func (l Lie) applies(op string) bool {
	for _, o := range l.Ops {
		if o == op {
			return true
		}
	}
	return false
}

// Choice picks the lie for a call; nil is the truth. It is called concurrently.
type Choice func(Question) *Lie

// Always tells a lie whenever it can be told.
func Always(l Lie) Choice { return func(Question) *Lie { return &l } }

// Once tells a lie at the first opportunity, and the truth from then on.
func Once(l Lie) Choice {
	var mu sync.Mutex
	told := false
	return func(q Question) *Lie {
		mu.Lock()
		defer mu.Unlock()
		if told || !l.applies(q.Op) {
			return nil
		}
		told = true
		return &l
	}
}

// Hostile is a registry that lies. It is safe for concurrent use.
type Hostile struct {
	right registry.Handle

	mu     sync.Mutex
	choose Choice
	calls  map[string]int
}

// New returns a liar in front of a right registry, which tells the truth until
// it is told otherwise.
func New(right registry.Handle) *Hostile {
	return &Hostile{right: right, calls: map[string]int{}}
}

// Tell makes the registry lie from now on; nil for the truth.
func (h *Hostile) Tell(c Choice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.choose = c
}

// Calls returns how many calls of an operation there were.
func (h *Hostile) Calls(op string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[op]
}

// Handle returns the lying registry. It renews in batches and watches exactly
// where the right one does.
func (h *Hostile) Handle() registry.Handle {
	b, batches := h.right.(registry.BatchRenewer)
	w, watches := h.right.(registry.Watcher)
	plain := handle{h.right, h}
	switch {
	case batches && watches:
		return struct {
			handle
			batcher
			watcher
		}{plain, batcher{b, h}, watcher{w, h}}
	case batches:
		return struct {
			handle
			batcher
		}{plain, batcher{b, h}}
	case watches:
		return struct {
			handle
			watcher
		}{plain, watcher{w, h}}
	}
	return plain
}

// ask answers one call: by a lie where one is chosen that can be told of it.
func (h *Hostile) ask(ctx context.Context, q Question, truth func() Answer) Answer {
	h.mu.Lock()
	q.N = h.calls[q.Op]
	h.calls[q.Op]++
	choose := h.choose
	h.mu.Unlock()
	if choose == nil {
		return truth()
	}
	lie := choose(q)
	if lie == nil || !lie.applies(q.Op) {
		return truth()
	}
	return lie.Tell(ctx, q, truth)
}

type handle struct {
	registry.Handle // answers what nobody lies about
	h               *Hostile
}

func (l handle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	a := l.h.ask(ctx, Question{Op: "Claim", Actor: actor, Node: node, Claim: id}, func() (a Answer) {
		a.Lease, a.Err = l.Handle.Claim(ctx, actor, node, id)
		return a
	})
	return a.Lease, a.Err
}

func (l handle) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	a := l.h.ask(ctx, ofLease("Renew", lease), func() (a Answer) {
		a.Lease, a.Err = l.Handle.Renew(ctx, lease)
		return a
	})
	return a.Lease, a.Err
}

func (l handle) Release(ctx context.Context, lease registry.Lease) error {
	return l.h.ask(ctx, ofLease("Release", lease), func() Answer { return Answer{Err: l.Handle.Release(ctx, lease)} }).Err
}

func (l handle) Transfer(ctx context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	q := ofLease("Transfer", lease)
	q.Node = to
	a := l.h.ask(ctx, q, func() (a Answer) {
		a.Lease, a.Err = l.Handle.Transfer(ctx, lease, to)
		return a
	})
	return a.Lease, a.Err
}

func (l handle) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	a := l.h.ask(ctx, Question{Op: "Lookup", Actor: actor}, func() (a Answer) {
		p, found, err := l.Handle.Lookup(ctx, actor)
		return Answer{Lease: p.Lease(), Found: found, Err: err}
	})
	return registry.Placement(a.Lease), a.Found, a.Err
}

func (l handle) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	a := l.h.ask(ctx, Question{Op: "RegisterNode", ID: id}, func() (a Answer) {
		a.Node, a.Err = l.Handle.RegisterNode(ctx, id, info, mode)
		return a
	})
	return a.Node, a.Err
}

func (l handle) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	return l.h.ask(ctx, Question{Op: "Heartbeat", Node: node}, func() Answer { return Answer{Err: l.Handle.Heartbeat(ctx, node)} }).Err
}

func (l handle) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	return l.h.ask(ctx, Question{Op: "MarkFailed", Node: node}, func() Answer { return Answer{Err: l.Handle.MarkFailed(ctx, node)} }).Err
}

func (l handle) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	return l.h.ask(ctx, Question{Op: "DeregisterNode", Node: node}, func() Answer { return Answer{Err: l.Handle.DeregisterNode(ctx, node)} }).Err
}

func (l handle) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	a := l.h.ask(ctx, Question{Op: "GetNode", ID: id}, func() (a Answer) {
		a.Node, a.Found, a.Err = l.Handle.GetNode(ctx, id)
		return a
	})
	return a.Node, a.Found, a.Err
}

func (l handle) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	a := l.h.ask(ctx, Question{Op: "ListNodes"}, func() (a Answer) {
		a.Nodes, a.Next, a.Err = l.Handle.ListNodes(ctx, status, page)
		return a
	})
	return a.Nodes, a.Next, a.Err
}

type batcher struct {
	right registry.BatchRenewer
	h     *Hostile
}

func (l batcher) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	return l.h.ask(ctx, Question{Op: "RenewBatch", Leases: leases}, func() Answer { return Answer{Renewals: l.right.RenewBatch(ctx, leases)} }).Renewals
}

type watcher struct {
	right registry.Watcher
	h     *Hostile
}

func (l watcher) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	a := l.h.ask(ctx, Question{Op: "Watch", Actor: actor}, func() Answer {
		p, err := l.right.Watch(ctx, actor, seen)
		return Answer{Lease: p.Lease(), Err: err}
	})
	return registry.Placement(a.Lease), a.Err
}

func ofLease(op string, l registry.Lease) Question {
	return Question{Op: op, Actor: l.Actor, Node: l.Holder, Claim: l.ClaimID, Lease: l}
}
