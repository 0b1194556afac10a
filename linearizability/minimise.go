package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Reduce returns a part of items, in their order, that still fails and from
// which no single item can be left out without it passing. It leaves out halves
// first, then ever smaller runs. fails(items) must be true. A predicate that
// fails only sometimes should be made [Stubborn].
func Reduce[T any](items []T, fails func([]T) bool) []T {
	for size := max(1, len(items)/2); len(items) > 0; {
		before := len(items)
		for from := 0; from < len(items); {
			without := slices.Delete(slices.Clone(items), from, min(from+size, len(items)))
			if fails(without) {
				items = without
			} else {
				from += size
			}
		}
		if size > 1 {
			size /= 2
		} else if len(items) == before {
			break
		}
	}
	return items
}

// Stubborn makes a predicate for a failure that does not show every time: it
// asks until the failure shows, at most tries times for the first, and then as
// often as the rarest failure so far needed, twice over. So a frequent failure
// is reduced quickly and a rare one patiently.
func Stubborn[T any](tries int, fails func(T) bool) func(T) bool {
	limit, rarest := tries, 1
	return func(v T) bool {
		for i := 1; i <= limit; i++ {
			if fails(v) {
				rarest = max(rarest, i)
				limit = min(tries, 2*rarest)
				return true
			}
		}
		return false
	}
}

// Minimise returns a history that still fails, made of operations of h. It looks
// from the violation outward for a part that fails: what the violation is about
// and what is nearest to it in time, twice as much each time. That part is reduced:
// first without whole clients, actors and nodes, then without single operations,
// then with only the clock readings that matter; last with short names and round
// times. fails(h) must be true; see [Convicts].
//
// A history is evidence, and evidence left out can convict the innocent: a
// record looks as if nobody had written it. Convicts guards against that.
//
// The work is bounded: fails is asked about no more than 500,000 operations in
// all, and not for longer than ten seconds. What was reached by then is returned.
func Minimise(h history.History, v Violation, fails func(history.History) bool) history.History {
	budget, deadline := minimiseBudget, registry.SystemClock().Now().Add(minimiseTime)
	keep := func(ops []history.Op) history.History { return h.With(ops) }
	bounded := func(h history.History) bool {
		budget -= len(h.Ops) + 1
		return budget >= 0 && registry.SystemClock().Now() < deadline && fails(h)
	}
	failing := func(ops []history.Op) bool { return bounded(keep(ops)) }
	ops := outward(h, v, failing)
	for _, group := range []func(*history.Op) string{
		subjectOf,
		func(o *history.Op) string { return o.Client },
	} {
		ops = reduceGroups(ops, group, failing)
	}
	h = keep(Reduce(ops, failing))
	for i := range h.Ops {
		seen := h.Ops[i].Clock.Seen
		if len(seen) < 2 {
			continue
		}
		with := func(part []registry.Instant) history.History {
			next := h
			next.Ops = slices.Clone(h.Ops)
			next.Ops[i].Clock.Seen = part
			return next
		}
		h = with(Reduce(seen, func(part []registry.Instant) bool { return bounded(with(part)) }))
	}
	budget, deadline = minimiseBudget, deadline.Add(minimiseTime) // what follows asks a few times only
	if next := renamed(h); bounded(next) {
		h = next
	}
	for _, unit := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond, time.Millisecond} {
		if next := rounded(h, unit); bounded(next) {
			return next
		}
	}
	return h
}

const (
	minimiseBudget = 500_000
	minimiseTime   = 10 * time.Second
)

// outward returns the operations of the first part around the violation that
// fails, all of them when no smaller part does.
func outward(h history.History, v Violation, fails func([]history.Op) bool) []history.Op {
	guilty := &h.Ops[v.Op]
	kept := map[int64]bool{}
	for _, stamp := range causes(h, v) {
		kept[stamp] = true
	}
	// rank orders operations by what they have to do with the violation.
	rank := func(o *history.Op) int {
		switch {
		case o.ID == v.Op || kept[o.Invoked] || slices.Contains(v.Others, o.ID):
			return 0
		case subjectOf(o) == v.Subject:
			return 1
		case o.Call.Kind == op.RegisterNode:
			return 2
		}
		return 3
	}
	order := make([]int, len(h.Ops))
	for i := range order {
		order[i] = i
	}
	distance := func(i int) int64 { d := h.Ops[i].Invoked - guilty.Invoked; return max(d, -d) }
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rank(&h.Ops[a]), rank(&h.Ops[b])), cmp.Compare(distance(a), distance(b)))
	})
	for n := 16; n < len(order); n *= 2 {
		part := slices.Clone(order[:n])
		slices.Sort(part)
		ops := make([]history.Op, n)
		for i, id := range part {
			ops[i] = h.Ops[id]
		}
		if fails(ops) {
			return ops
		}
	}
	return h.Ops
}

func reduceGroups(ops []history.Op, group func(*history.Op) string, fails func([]history.Op) bool) []history.Op {
	var names []string
	for i := range ops {
		if g := group(&ops[i]); !slices.Contains(names, g) {
			names = append(names, g)
		}
	}
	only := func(names []string) []history.Op {
		return slices.DeleteFunc(slices.Clone(ops), func(o history.Op) bool { return !slices.Contains(names, group(&o)) })
	}
	return only(Reduce(names, func(names []string) bool { return fails(only(names)) }))
}

// Convicts returns a predicate for Minimise: the history is still convicted of
// what v says, by the same operation; the search, if it convicted that operation
// too, still does so for the same reason; the history is right without the
// operation if the given one was; and what may have led to the answer is still
// there. So what is left is a right history, as much of it as the reason needs, and
// one answer that does not fit. A node of which it says that it never registered
// did not: what became of the node that the operation depends on is kept.
func Convicts(h history.History, v Violation, opts Options) func(history.History) bool {
	guilty := h.Ops[v.Op].Invoked // a stamp of its own, and minimising leaves it
	convicted := func(h history.History, v Violation, opts Options) bool {
		res := Check(h, opts)
		if res.Verdict != Illegal {
			return false
		}
		w := res.Violations[0]
		return w.Rule == v.Rule && w.Guard == v.Guard && w.Action == v.Action && h.Ops[w.Op].Invoked == guilty
	}
	rightWithout := func(h history.History) bool {
		rest := slices.DeleteFunc(slices.Clone(h.Ops), func(o history.Op) bool { return o.Invoked == guilty })
		return Check(h.With(rest), opts).Verdict == OK
	}
	search := opts
	search.searchOnly = true
	found := Check(h, search)
	searched := found.Verdict == Illegal && h.Ops[found.Violations[0].Op].Invoked == guilty
	alone := rightWithout(h)
	causes := causes(h, v)
	return func(h history.History) bool {
		return contains(h, causes) && convicted(h, v, opts) && (!searched || convicted(h, found.Violations[0], search)) && (!alone || rightWithout(h))
	}
}

// maxCauses is up to how many operations are kept for what they may have caused.
const maxCauses = 12

// causes returns the Invoked stamps of the operations that may have changed what
// the violation is about before the convicted answer was given. The check does
// not need them to see that it is wrong; a person does, to see why. When there are
// too many, those are kept that changed the standing of a node that the violation
// depends on: without them what would have been allowed is another answer.
func causes(h history.History, v Violation) []int64 {
	guilty := &h.Ops[v.Op]
	var standing, all []int64
	for i := range h.Ops {
		o := &h.Ops[i]
		// An error that denies an effect may be the lie that is behind it all.
		if o.Result.Outcome == op.Refused || o.Result.Outcome == op.Invalid || o.Invoked >= guilty.Returned || o.ID == v.Op {
			continue
		}
		switch o.Call.Kind {
		case op.Claim, op.Renew, op.Release, op.Transfer:
			if o.Call.Actor == guilty.Call.Actor {
				all = append(all, o.Invoked)
			}
		case op.Heartbeat:
			if guilty.Call.Kind.OfNode() && o.Call.Node.ID == guilty.Call.Party() {
				all = append(all, o.Invoked)
			}
		case op.RegisterNode, op.MarkFailed, op.DeregisterNode:
			if o.Call.Node.ID == guilty.Call.Party() {
				all, standing = append(all, o.Invoked), append(standing, o.Invoked)
			}
		}
	}
	if len(all) <= maxCauses {
		return all
	}
	return standing[max(0, len(standing)-maxCauses):]
}

// contains reports whether operations with all of these Invoked stamps are in h.
func contains(h history.History, stamps []int64) bool {
	for _, stamp := range stamps {
		if !slices.ContainsFunc(h.Ops, func(o history.Op) bool { return o.Invoked == stamp }) {
			return false
		}
	}
	return true
}

// renamed gives actors, nodes, clients and claims short names, in the order in
// which they appear. Names mean nothing to the model beyond being the same or
// not, except in the order of a listing's cursors, which it does not look at.
func renamed(h history.History) history.History {
	var (
		actors  = names[registry.ActorID]{make: shortActor}
		nodes   = names[registry.NodeID]{make: func(i int) registry.NodeID { return registry.NodeID(fmt.Sprintf("n%d", i+1)) }}
		clients = names[string]{make: func(i int) string { return fmt.Sprintf("c%d", i+1) }}
		claims  = names[registry.ClaimID]{make: func(i int) registry.ClaimID { return registry.ClaimID{14: byte((i + 1) >> 8), 15: byte(i + 1)} }}
	)
	isNode := map[registry.NodeID]bool{}
	for i := range h.Ops {
		isNode[h.Ops[i].Call.Node.ID], isNode[h.Ops[i].Call.To.ID] = true, true
	}
	client := func(name string) string { // that of its node, where it has one
		if id := registry.NodeID(name); isNode[id] {
			return string(nodes.of(id))
		}
		return clients.of(name)
	}
	for i := range h.Ops { // the nodes that are clients come first
		client(h.Ops[i].Client)
	}
	node := func(r registry.NodeRef) registry.NodeRef { return registry.NodeRef{ID: nodes.of(r.ID), Epoch: r.Epoch} }
	record := func(p registry.Placement) registry.Placement {
		p.Actor, p.Holder, p.ClaimID = actors.of(p.Actor), node(p.Holder), claims.of(p.ClaimID)
		return p
	}
	member := func(n registry.Node) registry.Node { n.Ref = node(n.Ref); return n }
	out := h
	out.Ops = slices.Clone(h.Ops)
	for i := range out.Ops {
		o := &out.Ops[i]
		o.Client = client(o.Client)
		q, a := &o.Call, &o.Result
		q.Actor, q.Node, q.To, q.ClaimID = actors.of(q.Actor), node(q.Node), node(q.To), claims.of(q.ClaimID)
		a.Record, a.Node = record(a.Record), member(a.Node)
		a.Actors, a.Nodes = mapped(a.Actors, record), mapped(a.Nodes, member)
	}
	return out
}

func shortActor(i int) registry.ActorID {
	name := string(rune('a' + i%26))
	if i >= 26 {
		name += fmt.Sprint(i / 26)
	}
	return registry.ActorID{Namespace: "x", Name: name}
}

// names gives each name a new one; the zero name keeps itself.
type names[T comparable] struct {
	make func(i int) T
	to   map[T]T
}

func (n *names[T]) of(old T) T {
	var zero T
	if old == zero {
		return zero
	}
	if n.to == nil {
		n.to = map[T]T{}
	}
	if _, ok := n.to[old]; !ok {
		n.to[old] = n.make(len(n.to))
	}
	return n.to[old]
}

// rounded moves every instant to a multiple of unit after the earliest reading.
func rounded(h history.History, unit time.Duration) history.History {
	d := newDescriber(&h)
	at := func(i registry.Instant) registry.Instant {
		if i == 0 || i == history.AnyReading().Lo || i == history.AnyReading().Hi {
			return i
		}
		return d.Origin.Add(i.Sub(d.Origin).Round(unit))
	}
	record := func(p registry.Placement) registry.Placement { p.Expiry = at(p.Expiry); return p }
	member := func(n registry.Node) registry.Node { n.LastSeen = at(n.LastSeen); return n }
	out := h
	out.Ops = slices.Clone(h.Ops)
	for i := range out.Ops {
		o := &out.Ops[i]
		o.Clock.Seen = mapped(o.Clock.Seen, at)
		o.Clock.Lo, o.Clock.Hi = at(o.Clock.Lo), at(o.Clock.Hi)
		a := &o.Result
		a.Record, a.Node, a.Now = record(a.Record), member(a.Node), at(a.Now)
		a.Actors, a.Nodes = mapped(a.Actors, record), mapped(a.Nodes, member)
	}
	return out
}

func mapped[T, U any](list []T, f func(T) U) []U {
	if list == nil {
		return nil
	}
	out := make([]U, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}
