package linearizability

import (
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
)

// Operations whose outcome is unknown need no place of their own in an order. One
// that had no effect can be left out of it, and so can one that took effect after
// all others. Any other one took effect right before some operation that is
// known, perhaps together with more of its kind. So only the known operations are
// ordered, and each is tried after every set of unknown ones that can have taken
// effect since the one before: a search over n known and k unknown operations has
// the orders of n operations, not of n + k.
//
// Real time binds an unknown operation as it binds every other. It takes effect
// after its call, so whatever returned before that call stands before it: once it
// has taken effect, no such operation may be placed (point.floor). A settled one
// takes effect before its return, so once an operation has been placed that was
// called after that return, it may not take effect any more (frontier.latest).
// Both are checked for every placement, so that exactly the orders that respect
// real time are found, and the verdict is that of a search that places every
// operation. A test compares the two on random histories, legal and not.

// unknown is an operation of a segment whose outcome is unknown.
type unknown struct {
	*event
	first []int // those that do the same and are to be used before it
}

// maxUnknown bounds the unknown operations of one search, and maxPoints the
// states that they can have left at one place of an order. Beyond either the
// search is not decided.
const (
	maxUnknown = 128
	maxPoints  = 4096
)

// unknowns lists the events that may have had no effect.
//
// Of two that ask for the same under the same readings, the one that was called
// first and returned first is used first, while it can be. That loses no order:
// let o be the other and take effect before e, or instead of it. With e in the
// place of o, and o in that of e, if e has one, the states are the same. e was
// called no later than o, so it can stand where o stood; o returned no earlier
// than e, so it can stand where e stood; and what had returned before o's call
// stands before both, as it did.
func unknowns(events []*event) []unknown {
	var list []unknown
	for _, e := range events {
		if e.optional() {
			list = append(list, unknown{event: e})
		}
	}
	for i, u := range list {
		for j, o := range list {
			if j != i && o.call <= u.call && o.ret <= u.ret && (j < i || o.ret < u.ret) && alike(o.event, u.event) {
				list[i].first = append(list[i].first, j)
			}
		}
	}
	return list
}

// alike reports whether two events have the same effect in every state.
func alike(o, e *event) bool {
	a, b := &o.op.Call, &e.op.Call
	return o.node == e.node && o.rec == e.rec &&
		a.Kind == b.Kind && a.Actor == b.Actor && a.Node == b.Node && a.Token == b.Token && a.ClaimID == b.ClaimID && a.To == b.To &&
		a.Info == b.Info && a.Mode == b.Mode && sameReadings(o.op.Clock, e.op.Clock)
}

func sameReadings(a, b history.Readings) bool {
	return a.Interval == b.Interval && a.Lo == b.Lo && a.Hi == b.Hi && slices.Equal(a.Seen, b.Seen)
}

// used is a set of unknown operations, by their place in the list.
type used [maxUnknown / 64]uint64

func (u used) has(i int) bool  { return u[i/64]&(1<<(i%64)) != 0 }
func (u used) with(i int) used { u[i/64] |= 1 << (i % 64); return u }

// point is one state in which the operations placed so far may have left a
// partition, with the unknown ones that took effect for it.
type point struct {
	*state
	used  used
	floor int64 // the latest call of those: what returned before it stands before it
}

func (p point) equal(o point) bool {
	return p.used == o.used && p.floor == o.floor && p.state.equal(o.state)
}

// frontier is the set of those points. latest is the latest call of the
// operations placed.
type frontier struct {
	points []point
	latest int64
}

func (f frontier) equal(o frontier) bool {
	if len(f.points) != len(o.points) || f.latest != o.latest {
		return false
	}
	for _, p := range f.points {
		if !has(o.points, p) {
			return false
		}
	}
	return true
}

func has(points []point, p point) bool { return slices.ContainsFunc(points, p.equal) }

func (f frontier) hash() uint64 {
	var h uint64
	for _, p := range f.points { // a set: the order must not matter
		h ^= p.state.hash ^ p.used[0]*0x9e3779b97f4a7c15 ^ p.used[1]*0xc2b2ae3d27d4eb4f
	}
	return h
}

// advance places an event: the points that it can leave the frontier in, after
// each set of unknown operations that can have taken effect before it.
// tooMany says that there were more than can be followed.
func (m *rules) advance(f frontier, e *event, pending []unknown) (next frontier, tooMany bool) {
	next.latest = max(f.latest, e.call)
	last := m.lastVersion(e)
	before := slices.Clone(f.points)
	for i := 0; i < len(before); i++ {
		p := before[i]
		if e.ret >= p.floor {
			for _, t := range m.step(p.state, e) {
				if q := (point{t, p.used, p.floor}); !has(next.points, q) {
					next.points = append(next.points, q)
				}
			}
		}
		for j, u := range pending {
			if !f.usable(p, pending, j) || u.call > e.ret || slices.ContainsFunc(u.first, func(k int) bool { return f.usable(p, pending, k) }) {
				continue
			}
			for _, t := range m.apply(p.state, u.event) {
				if len(t.recs) == 1 && t.recs[0].Version > last {
					continue // e saw a record that would be in the past
				}
				if q := (point{t, p.used.with(j), max(p.floor, u.call)}); !has(before, q) {
					before = append(before, q)
				}
			}
		}
		if len(before) > maxPoints {
			return next, true
		}
	}
	return next, false
}

// usable reports whether a pending operation can still take effect.
func (f frontier) usable(p point, pending []unknown, i int) bool {
	return !p.used.has(i) && pending[i].ret >= f.latest && pending[i].ret >= p.floor
}

// lastVersion is the highest version that the record can have before e.
func (m *rules) lastVersion(e *event) registry.Version {
	if m.dialect.BareRecords {
		return anyVersion
	}
	if e.role == finalMark && len(e.target.recs) == 1 {
		return e.target.recs[0].Version
	}
	if r, ok := e.revealed(); ok && !(m.dialect.Forgets && r.Version == 0) { // a record that is gone may have had any
		return r.Version
	}
	return anyVersion
}
