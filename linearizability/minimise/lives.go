package minimise

import (
	"cmp"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Minimising shortens the life of an actor's record: it leaves out a stretch of
// it, a tenure or a version, with every operation that names it, and numbers the
// tokens and versions behind it as if it had not been. Nothing rests on this being
// a history that the registry could have had: a check decides.

// stretch is a part of a record's life, from its first token and version up to
// those of the next stretch.
type stretch struct {
	token   registry.Token
	version registry.Version
}

// glimpse is a record that an answer showed.
type glimpse struct {
	registry.Placement
	claimed bool // by a claim that was granted
}

// tenures has a stretch for each answered claim, with the tenures that followed
// by transfer or by a claim without an answer: they rest on the one before.
func tenures(seen []glimpse) []stretch {
	return stretches(seen, func(g glimpse, last stretch) bool { return g.Token > last.token && g.claimed })
}

// revisions has a stretch for each version that was seen.
func revisions(seen []glimpse) []stretch {
	return stretches(seen, func(g glimpse, last stretch) bool { return g.Token >= last.token })
}

// stretches begin at the record that nobody wrote.
func stretches(seen []glimpse, begins func(g glimpse, last stretch) bool) []stretch {
	list := []stretch{{}}
	for _, g := range seen {
		if last := list[len(list)-1]; g.Version > last.version && begins(g, last) {
			list = append(list, stretch{g.Token, g.Version})
		}
	}
	return list
}

// lifeOf are the records of the actor that the answers show, but for the guilty
// one's, by version.
func (r *reduction) lifeOf(actor registry.ActorID) []glimpse {
	var seen []glimpse
	for i := range r.h.Ops {
		if o := &r.h.Ops[i]; o.Result.Record.Version > 0 && o.Call.Actor == actor && o.Invoked != r.guilty {
			seen = append(seen, glimpse{o.Result.Record, o.Call.Kind == op.Claim && o.Result.Outcome == op.OK})
		}
	}
	slices.SortStableFunc(seen, func(a, b glimpse) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), -cmp.Compare(claimed(a), claimed(b)))
	})
	return seen
}

func claimed(g glimpse) int {
	if g.claimed {
		return 1
	}
	return 0
}

// life is a record's life and which of its stretches are kept.
type life struct {
	actor registry.ActorID
	parts []stretch
	kept  []bool
	from  []stretch // where each part that is kept begins by the new numbers
}

func newLife(actor registry.ActorID, parts []stretch, kept []int) *life {
	l := &life{actor: actor, parts: parts, kept: make([]bool, len(parts)), from: make([]stretch, len(parts))}
	l.kept[0] = true
	for _, i := range kept {
		l.kept[i] = true
	}
	var at stretch
	for i := range parts {
		l.from[i] = at
		if i+1 < len(parts) && l.kept[i] {
			at.token += parts[i+1].token - parts[i].token
			at.version += parts[i+1].version - parts[i].version
		}
	}
	return l
}

// ofVersion returns the part that has the version, ofToken the first, or the last,
// of those that have the token.
func ofVersion(parts []stretch, v registry.Version) int {
	i, found := slices.BinarySearchFunc(parts, v, func(s stretch, v registry.Version) int { return cmp.Compare(s.version, v) })
	if !found {
		i--
	}
	return i
}

func ofToken(parts []stretch, t registry.Token) (first, last int) {
	last = len(parts) - 1
	for last > 0 && parts[last].token > t {
		last--
	}
	first = last
	for first > 0 && parts[first-1].token == parts[last].token {
		first--
	}
	return first, last
}

func (l *life) version(v registry.Version) registry.Version {
	if v == 0 {
		return 0
	}
	i := ofVersion(l.parts, v)
	if !l.kept[i] {
		return l.from[i].version
	}
	return l.from[i].version + v - l.parts[i].version
}

func (l *life) token(t registry.Token) registry.Token {
	if t == 0 {
		return 0
	}
	i, _ := ofToken(l.parts, t)
	if !l.kept[i] {
		return l.from[i].token
	}
	return l.from[i].token + t - l.parts[i].token
}

// named returns the parts that an operation names.
func named(parts []stretch, o *history.Op) (list []int) {
	if v := o.Result.Record.Version; v > 0 {
		list = append(list, ofVersion(parts, v))
	}
	if t := o.Call.Token; t > 0 {
		first, last := ofToken(parts, t)
		list = append(list, first)
		if o.Call.Kind == op.Release {
			list = append(list, last) // it came after all that the tenure did
		}
	}
	return list
}

// shorten returns h with only the parts kept, and the operations in keep.
func (l *life) shorten(h history.History, guilty int64) history.History {
	var ops []history.Op
	for i := range h.Ops {
		o := h.Ops[i]
		if !o.Call.Kind.OfNode() && o.Call.Actor == l.actor {
			if o.Invoked != guilty && slices.ContainsFunc(named(l.parts, &o), func(i int) bool { return !l.kept[i] }) {
				continue
			}
			o.Call.Token, o.Call.Version, o.Call.Seen = l.token(o.Call.Token), l.version(o.Call.Version), l.version(o.Call.Seen)
			o.Result.Record.Token, o.Result.Record.Version = l.token(o.Result.Record.Token), l.version(o.Result.Record.Version)
		}
		ops = append(ops, o)
	}
	return h.With(ops)
}

// lives shortens the life of the record that the violation is about: to the
// stretches that the violation names and, if outward, to as many around them as
// it takes, twice as many each time; and then to as few more as it can.
func (r *reduction) lives(split func([]glimpse) []stretch, outward bool) {
	guilty := r.find(r.guilty)
	if guilty.Call.Kind.OfNode() || guilty.Call.Kind.Lists() {
		return
	}
	actor, from := guilty.Call.Actor, r.h
	parts := split(r.lifeOf(actor))
	var pinned []int
	for _, stamp := range append(slices.Clone(r.others), r.guilty) {
		if o := r.find(stamp); o != nil {
			pinned = append(pinned, named(parts, o)...)
		}
	}
	fails := func(more []int) bool {
		return r.try(newLife(actor, parts, slices.Concat(pinned, more)).shorten(from, r.guilty))
	}
	order := outwardFrom(pinned, len(parts))
	if !outward {
		Reduce(order, fails)
		return
	}
	for n := 0; n < len(order); n = max(2, 2*n) {
		if fails(order[:n]) {
			Reduce(order[:n], fails)
			return
		}
	}
}

// outwardFrom returns the other parts of n, the nearest to those pinned first.
func outwardFrom(pinned []int, n int) (order []int) {
	for i := 1; i < n; i++ {
		if !slices.Contains(pinned, i) {
			order = append(order, i)
		}
	}
	distance := func(i int) int {
		d := n
		for _, p := range pinned {
			d = min(d, max(i-p, p-i))
		}
		return d
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(distance(a), distance(b)) })
	return order
}
