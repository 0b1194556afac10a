// Package minimise makes what fails smaller: a list of any kind with [Reduce], and
// with [History] a convicted history, until it holds no more than the reason needs.
package minimise

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// History returns a small history that is convicted of what v says of h, by the
// same operation, and is right without that operation if h was. It looks from the
// violation outward: at what was called before the answer that does not fit, on
// what the violation is about; at the tenures that it names, and then at twice as
// many around them each time. What was found is reduced: without whole tenures,
// clients and versions, then without single operations, then with only the clock
// readings that matter; last with short names and round times.
//
// A history is evidence, and evidence left out can convict the innocent: a record
// looks as if nobody had written it. So what is left out of a record's life is
// left out with everybody who spoke of it, and the tenures and versions behind are
// numbered as if it had not been. What remains is always asked for by a check.
//
// The work is bounded: checks of no more than 500,000 operations in all, and for
// no longer than the time that opts set, ten seconds at most. What was reached by
// then is returned.
func History(h history.History, v linearizability.Violation, opts linearizability.Options) history.History {
	r := newReduction(h, v, opts)
	r.alone()
	r.lives(tenures, true)
	r.outward()
	r.groups((*history.Op).Subject)
	r.groups(func(o *history.Op) string { return o.Client })
	r.settle()
	for size := 0; size != len(r.h.Ops); {
		size = len(r.h.Ops)
		r.lives(tenures, false)
		r.lives(revisions, false)
		r.single()
	}
	r.readings()
	r.budget, r.deadline = minimiseBudget, r.deadline.Add(minimiseTime) // what follows asks a few times only
	r.try(renamed(r.h))
	for _, unit := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond, time.Millisecond} {
		if r.try(rounded(r.h, unit)) {
			break
		}
	}
	return r.h
}

const (
	minimiseBudget = 500_000
	minimiseTime   = 10 * time.Second
	minimiseEffort = 5_000 // steps of one search; one that takes more is no part of a small history

	// minimiseSearch is up to how many operations a history has to be convicted by
	// the search alone too: a search that fails tries every order.
	minimiseSearch = 48
)

// reduction is a history that fails and becomes smaller.
type reduction struct {
	h        history.History
	v        linearizability.Violation // of the whole history
	guilty   int64                     // the Invoked stamp of its operation, which nothing changes
	others   []int64                   // of those that it contradicts
	opts     linearizability.Options
	fails    func(history.History) bool
	budget   int
	deadline registry.Instant
}

func newReduction(h history.History, v linearizability.Violation, opts linearizability.Options) *reduction {
	limit := minimiseTime
	if opts.Timeout == 0 {
		opts.Timeout = linearizability.DefaultTimeout
	}
	if opts.Timeout > 0 {
		limit = min(limit, opts.Timeout)
	}
	r := &reduction{h: h, v: v, guilty: h.Ops[v.Op].Invoked, opts: opts, budget: minimiseBudget, deadline: registry.SystemClock().Now().Add(limit)}
	for _, o := range v.Others {
		r.others = append(r.others, h.Ops[o].Invoked)
	}
	r.opts.Effort = minimiseEffort
	r.fails = convicts(h, v, r.opts)
	r.try(until(h, r.guilty))
	return r
}

// try makes h the history if it fails.
func (r *reduction) try(h history.History) bool {
	if len(h.Ops) == 0 || !r.failing(h) {
		return false
	}
	r.h = h
	return true
}

// failing asks whether h fails, within what the reduction may take.
func (r *reduction) failing(h history.History) bool {
	r.budget -= len(h.Ops) + 1
	return r.budget >= 0 && registry.SystemClock().Now() < r.deadline && r.fails(h)
}

func (r *reduction) tryOps(ops []history.Op) bool { return r.try(r.h.With(ops)) }

// where returns the operations for which keep holds.
func where(ops []history.Op, keep func(*history.Op) bool) []history.Op {
	out := make([]history.Op, 0, len(ops))
	for i := range ops {
		if keep(&ops[i]) {
			out = append(out, ops[i])
		}
	}
	return out
}

// find returns the operation with the stamp, nil if it was left out.
func (r *reduction) find(stamp int64) *history.Op {
	for i := range r.h.Ops {
		if r.h.Ops[i].Invoked == stamp {
			return &r.h.Ops[i]
		}
	}
	return nil
}

// until returns what had been called when the operation with the stamp returned.
func until(h history.History, stamp int64) history.History {
	i := slices.IndexFunc(h.Ops, func(o history.Op) bool { return o.Invoked == stamp })
	return h.With(where(h.Ops, func(o *history.Op) bool { return o.Invoked < h.Ops[i].Returned }))
}

// alone leaves out what is not about the subject of the violation: operations on
// other actors, listings, and what happened to nodes that its operations do not name.
func (r *reduction) alone() {
	guilty := r.find(r.guilty)
	if guilty.Call.Kind.Lists() {
		return
	}
	about := map[registry.NodeID]bool{}
	for i := range r.h.Ops {
		if o := &r.h.Ops[i]; o.Subject() == r.v.Subject {
			about[o.Call.Node.ID], about[o.Call.To.ID] = true, true
		}
	}
	r.tryOps(where(r.h.Ops, func(o *history.Op) bool {
		switch k := o.Call.Kind; {
		case k.Lists():
			return false
		case o.Subject() == r.v.Subject || o.Invoked == r.guilty:
			return true
		case k == op.RegisterNode, k == op.MarkFailed, k == op.DeregisterNode:
			return about[o.Call.Node.ID]
		}
		return false
	}))
}

// outward leaves all but the first part around the violation that fails, and
// everything when no smaller part does.
func (r *reduction) outward() {
	guilty := r.find(r.guilty)
	kept := map[int64]bool{r.guilty: true}
	for _, stamp := range append(causes(r.h, *guilty), r.others...) {
		kept[stamp] = true
	}
	// rank orders operations by what they have to do with the violation.
	rank := func(o *history.Op) int {
		switch {
		case kept[o.Invoked]:
			return 0
		case o.Subject() == r.v.Subject:
			return 1
		case o.Call.Kind == op.RegisterNode:
			return 2
		}
		return 3
	}
	order := make([]int, len(r.h.Ops))
	for i := range order {
		order[i] = i
	}
	distance := func(i int) int64 { d := r.h.Ops[i].Invoked - r.guilty; return max(d, -d) }
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rank(&r.h.Ops[a]), rank(&r.h.Ops[b])), cmp.Compare(distance(a), distance(b)))
	})
	for n := 16; n < len(order); n *= 2 {
		part := slices.Clone(order[:n])
		slices.Sort(part)
		ops := make([]history.Op, n)
		for i, id := range part {
			ops[i] = r.h.Ops[id]
		}
		if r.tryOps(ops) {
			return
		}
	}
}

// groups leaves out all operations of as many groups as it can.
func (r *reduction) groups(group func(*history.Op) string) {
	var names []string
	for i := range r.h.Ops {
		if g := group(&r.h.Ops[i]); !slices.Contains(names, g) {
			names = append(names, g)
		}
	}
	from := r.h
	Reduce(names, func(names []string) bool {
		return r.try(from.With(where(from.Ops, func(o *history.Op) bool { return slices.Contains(names, group(o)) })))
	})
}

// settle makes what fails mean: that the search convicts too, where it does now.
func (r *reduction) settle() {
	if len(r.h.Ops) <= minimiseSearch {
		r.fails = convicts(r.h, r.now(), r.opts)
	}
}

// now is the violation of the history as it is.
func (r *reduction) now() linearizability.Violation {
	v := r.v
	v.Op = slices.IndexFunc(r.h.Ops, func(o history.Op) bool { return o.Invoked == r.guilty })
	return v
}

// single leaves out single operations.
func (r *reduction) single() {
	from := r.h
	Reduce(from.Ops, func(ops []history.Op) bool { return r.try(from.With(ops)) })
}

// readings leaves out clock readings.
func (r *reduction) readings() {
	for i := range r.h.Ops {
		if len(r.h.Ops[i].Clock.Seen) < 2 {
			continue
		}
		Reduce(r.h.Ops[i].Clock.Seen, func(part []registry.Instant) bool {
			next := r.h
			next.Ops = slices.Clone(r.h.Ops)
			next.Ops[i].Clock.Seen = part
			return r.try(next)
		})
	}
}

// convicts returns a predicate: the history is still convicted of what v says of
// h, by the same operation; the search, if it convicted that operation too, still
// does so for the same reason, in a history of few operations; the history is
// right without the operation if h was; and what may have led to the answer is
// still there. So what is left is a right history, as much of it as the reason
// needs, and one answer that does not fit. A node of which it says that it never
// registered did not: what became of the node that the operation depends on is kept.
func convicts(h history.History, v linearizability.Violation, opts linearizability.Options) func(history.History) bool {
	guilty := h.Ops[v.Op].Invoked // a stamp of its own, and minimising leaves it
	convicted := func(h history.History, v linearizability.Violation, opts linearizability.Options) bool {
		res := linearizability.Check(h, opts)
		if res.Verdict != linearizability.Illegal {
			return false
		}
		w := res.Violations[0]
		return w.Rule == v.Rule && w.Guard == v.Guard && w.Action == v.Action && h.Ops[w.Op].Invoked == guilty
	}
	without := func(h history.History) linearizability.Verdict {
		rest := where(h.Ops, func(o *history.Op) bool { return o.Invoked != guilty })
		return linearizability.Check(h.With(rest), opts).Verdict
	}
	search := opts
	search.Search = true
	var found linearizability.Result
	if len(h.Ops) <= minimiseSearch {
		found = linearizability.Check(h, search)
	}
	searched := found.Verdict == linearizability.Illegal && h.Ops[found.Violations[0].Op].Invoked == guilty
	// What came later may be wrong as well. Right is what is not shown to be wrong:
	// of a long history that may take too long to decide, of a short one it does not.
	alone := without(h) != linearizability.Illegal || without(until(h, guilty)) != linearizability.Illegal
	causes := causes(h, h.Ops[v.Op])
	return func(h history.History) bool {
		return contains(h, causes) && convicted(h, v, opts) && (!searched || convicted(h, found.Violations[0], search)) && (!alone || without(h) == linearizability.OK)
	}
}

// maxCauses is up to how many operations are kept for what they may have caused.
const maxCauses = 12

// maxTroubled is how many calls are kept for the fault that they suffered.
const maxTroubled = 4

// causes returns the Invoked stamps of the operations that may have changed what
// the violation is about before the convicted answer was given. The check does
// not need them to see that it is wrong; a person does, to see why. When there are
// too many, those are kept that changed the standing of a node that the violation
// depends on: without them what would have been allowed is another answer.
//
// A call of a node that suffered a fault is kept as well, the latest few: what its trouble
// has led to may be about anything.
func causes(h history.History, guilty history.Op) []int64 {
	var standing, all, troubled []int64
	suffered := suffering(h)
	for i := range h.Ops {
		o := &h.Ops[i]
		// An error that denies an effect may be the lie that is behind it all.
		if o.Result.Outcome == op.Refused || o.Result.Outcome == op.Invalid || o.Invoked >= guilty.Returned || o.Invoked == guilty.Invoked {
			continue
		}
		if o.Call.Kind.OfNode() && suffered(o) {
			troubled = append(troubled, o.Invoked)
		}
		switch k := o.Call.Kind; {
		case k.Effect() != op.NoTenure:
			if o.Call.Actor == guilty.Call.Actor {
				all = append(all, o.Invoked)
			}
		case k == op.Heartbeat:
			if guilty.Call.Kind.OfNode() && o.Call.Node.ID == guilty.Call.Party() {
				all = append(all, o.Invoked)
			}
		case k == op.RegisterNode, k == op.MarkFailed, k == op.DeregisterNode:
			if o.Call.Node.ID == guilty.Call.Party() {
				all, standing = append(all, o.Invoked), append(standing, o.Invoked)
			}
		}
	}
	if len(all) > maxCauses {
		all = standing[max(0, len(standing)-maxCauses):]
	}
	return append(all, troubled[max(0, len(troubled)-maxTroubled):]...)
}

// suffering returns whether a fault was noted of a call while it was under way.
func suffering(h history.History) func(*history.Op) bool {
	return func(o *history.Op) bool {
		return slices.ContainsFunc(h.Notes, func(n history.Note) bool {
			return n.Client != "" && n.Client == o.Client && o.Invoked < n.At && n.At < o.Returned
		})
	}
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
	isClient := map[string]bool{"": true} // a note of no client is about the cluster
	for i := range h.Ops {                // the nodes that are clients come first
		isClient[h.Ops[i].Client] = true
		client(h.Ops[i].Client)
	}
	node := func(r registry.NodeRef) registry.NodeRef { return registry.NodeRef{ID: nodes.of(r.ID), Epoch: r.Epoch} }
	record := func(p registry.Placement) registry.Placement {
		p.Actor, p.Holder, p.ClaimID = actors.of(p.Actor), node(p.Holder), claims.of(p.ClaimID)
		return p
	}
	member := func(n registry.Node) registry.Node { n.Ref = node(n.Ref); return n }
	out := h
	out.Notes = slices.DeleteFunc(slices.Clone(h.Notes), func(n history.Note) bool { return !isClient[n.Client] })
	for i := range out.Notes {
		if n := &out.Notes[i]; n.Client != "" {
			n.Client = client(n.Client)
		}
	}
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
	origin := h.Text().Origin
	at := func(i registry.Instant) registry.Instant {
		if i == 0 || i == history.AnyReading().Lo || i == history.AnyReading().Hi {
			return i
		}
		return origin.Add(i.Sub(origin).Round(unit))
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
