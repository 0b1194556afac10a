package linearizability

import (
	"cmp"
	"iter"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// partition is a part of a history that is judged by itself: the operations on
// one actor, or on one node, or, in whole-history mode, all.
type partition struct {
	kind    scope
	subject string
	actors  []registry.ActorID // the records of its states
	nodes   []registry.NodeID  // the registrations of its states
	events  []*event           // by call
}

type scope uint8

const (
	ofAll scope = iota
	ofActor
	ofNode
)

// initial is the state of an empty cluster.
func (p *partition) initial() *state {
	recs := make([]record, len(p.actors))
	for i, a := range p.actors {
		recs[i].Actor = a
	}
	return newState(recs, make([]member, len(p.nodes)))
}

// observation is an operation, or a promise made by one, before it is sorted
// into the partitions that it concerns.
type observation struct {
	event
	actor   *registry.ActorID
	standOf *registry.NodeID // whose standing it depends on or changes
	changes bool             // it may change a standing
}

// observe gives what a history's operations say, one by one: of a million
// operations nothing is kept that no partition needs. Calls that had no effect and
// saw nothing say nothing.
func observe(h *history.History) iter.Seq[observation] {
	return func(yield func(observation) bool) {
		for i := range h.Ops {
			if o := &h.Ops[i]; speaks(o) && !observeOp(o, yield) {
				return
			}
		}
		for _, o := range observeListings(h) {
			if !yield(o) {
				return
			}
		}
	}
}

// speaks reports whether the call had an effect, may have had one, or saw something.
func speaks(o *history.Op) bool {
	switch o.Result.Outcome {
	case op.OK:
		return true
	case op.Refused:
		return mayRefuse(o.Call.Kind) // otherwise convicted by itself
	case op.Invalid, op.Closed, op.Unavailable, op.Cancelled:
		return false
	}
	return o.Call.Kind.Mutates()
}

// mayRefuse reports whether the contract has any refusal for the kind.
func mayRefuse(k op.Kind) bool { return k.Mutates() || k == op.Validate }

// seenBy is the event of an operation as it was asked and answered.
func seenBy(o *history.Op) event {
	e := event{op: o, call: o.Invoked, ret: o.Returned}
	if o.Result.Outcome.Unbounded() {
		e.ret = history.Never
	}
	return e
}

// concerns says whose record an operation is about, on whose standing it depends,
// and whether it may change that. A listing is about nobody by itself.
func concerns(o *history.Op) (actor *registry.ActorID, standOf *registry.NodeID, changes bool) {
	switch k := o.Call.Kind; {
	case k.Lists():
	case k == op.Claim:
		return &o.Call.Actor, &o.Call.Node.ID, false
	case k == op.Transfer:
		return &o.Call.Actor, &o.Call.To.ID, false
	case k.OfNode():
		return nil, &o.Call.Node.ID, o.Result.Outcome != op.Refused && (k == op.RegisterNode || k == op.MarkFailed || k == op.DeregisterNode)
	default:
		return &o.Call.Actor, nil, false
	}
	return nil, nil, false
}

func observeOp(o *history.Op, yield func(observation) bool) bool {
	seen := observation{event: seenBy(o)}
	seen.actor, seen.standOf, seen.changes = concerns(o)
	if seen.actor == nil && seen.standOf == nil {
		return true
	}
	if !yield(seen) {
		return false
	}
	if n := &o.Result.Node; seen.actor != nil && !n.Ref.IsZero() {
		// The node that a refused claim found was the registration at that instant.
		return yield(observation{
			event:   event{op: o, role: nodeRead, member: n, call: seen.call, ret: seen.ret},
			standOf: &n.Ref.ID,
		})
	}
	return true
}

// partitions splits a history. Each actor's partition has the operations on the
// actor and the membership operations that changed the standing of a node that
// one of them depends on; each node's has all of its membership operations.
// only says which are wanted.
func partitions(h *history.History, whole bool, only *subjects) []*partition {
	if whole {
		return []*partition{wholePartition(h)}
	}
	b := &splitter{
		only:    only,
		actors:  map[registry.ActorID]*partition{},
		nodes:   map[registry.NodeID]*partition{},
		changes: map[registry.NodeID][]event{},
	}
	for o := range observe(h) {
		b.add(o)
	}
	for _, p := range b.order {
		b.addChanges(p)
		p.sort()
	}
	return b.order
}

func (p *partition) sort() {
	slices.SortStableFunc(p.events, func(a, b *event) int { return cmp.Compare(a.call, b.call) })
}

type splitter struct {
	only    *subjects
	actors  map[registry.ActorID]*partition
	nodes   map[registry.NodeID]*partition
	changes map[registry.NodeID][]event
	order   []*partition
}

func (b *splitter) add(o observation) {
	if o.actor == nil && o.changes {
		b.changes[*o.standOf] = append(b.changes[*o.standOf], o.event)
	}
	if !b.only.has(&o) {
		return
	}
	if o.actor != nil {
		p := b.actors[*o.actor]
		if p == nil {
			p = &partition{kind: ofActor, subject: "actor " + o.actor.String(), actors: []registry.ActorID{*o.actor}}
			b.actors[*o.actor] = p
			b.order = append(b.order, p)
		}
		e := o.event
		e.node = p.nodeIndex(o.standOf)
		p.events = append(p.events, &e)
		return
	}
	id := *o.standOf
	p := b.nodes[id]
	if p == nil {
		p = &partition{kind: ofNode, subject: "node " + string(id), nodes: []registry.NodeID{id}}
		b.nodes[id] = p
		b.order = append(b.order, p)
	}
	e := o.event
	e.timed = true
	p.events = append(p.events, &e)
}

// addChanges adds to an actor's partition what changed the nodes it mentions.
func (b *splitter) addChanges(p *partition) {
	if p.kind != ofActor {
		return
	}
	for i, id := range p.nodes {
		for _, e := range b.changes[id] {
			e.node = i
			p.events = append(p.events, &e)
		}
	}
}

// nodeIndex enters a node; it is -1 for none.
func (p *partition) nodeIndex(id *registry.NodeID) int {
	if id == nil {
		return -1
	}
	if i := slices.Index(p.nodes, *id); i >= 0 {
		return i
	}
	p.nodes = append(p.nodes, *id)
	return len(p.nodes) - 1
}

// wholePartition keeps everything together, so that an order must explain all
// actors and nodes at once.
func wholePartition(h *history.History) *partition {
	p := &partition{subject: "the whole history"}
	for o := range observe(h) {
		e := o.event
		e.node, e.timed = p.nodeIndex(o.standOf), true
		if o.actor != nil {
			if e.rec = slices.Index(p.actors, *o.actor); e.rec < 0 {
				e.rec = len(p.actors)
				p.actors = append(p.actors, *o.actor)
			}
		}
		p.events = append(p.events, &e)
	}
	p.sort()
	return p
}
