package trace

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// maxSearch bounds the points of the search for an order beyond one for each
// operation. A history that needs more is one for linearizability.Check, which cuts
// it into parts.
const maxSearch = 200_000

// Linearize orders the history's operations into atomic steps that respect real
// time and that the specification allows. When there is no such order it
// returns the one that gets farthest, so that a check fails at the operation
// that cannot be explained.
//
// Operations without an effect or an atomic answer take no part: those refused
// before the state was looked at, and listings, which promise each row by
// itself. An operation whose answer was lost takes part where its effect is
// needed. Clock readings must be known exactly, as those of
// history.Recorder.Clock are (ErrInexact). A search that grows too large
// is given up (ErrUndecided): not to have found an order is no verdict.
func Linearize(h history.History) (Trace, error) { return linearize(h, maxSearch) }

func linearize(h history.History, limit int) (Trace, error) {
	l := linearizer{
		cfg: h.Config, dead: map[int]map[string]bool{},
		records: map[reference.Record]uint64{}, members: map[reference.Member]uint64{},
	}
	actors, nodes := map[registry.ActorID]bool{}, map[registry.NodeID]bool{}
	for _, o := range h.Ops {
		if !takesPart(o) {
			continue
		}
		now, err := readings(o)
		if err != nil {
			return Trace{}, err
		}
		l.ops = append(l.ops, o)
		l.now = append(l.now, now)
		actors[o.Call.Actor], nodes[o.Call.Party()] = true, true
	}
	l.actors, l.nodes = slices.Collect(maps.Keys(actors)), slices.Collect(maps.Keys(nodes))
	if len(l.ops) == 0 {
		return Trace{}, ErrEmpty
	}
	l.order = make([]int, len(l.ops))
	for i := range l.order {
		l.order[i] = i
	}
	slices.SortStableFunc(l.order, func(a, b int) int { return cmp.Compare(l.ops[a].Invoked, l.ops[b].Invoked) })
	l.done = make([]bool, len(l.ops))
	l.limit = limit + len(l.ops)
	l.search(newState(), 0, math.MinInt64)
	if !l.found && l.work > l.limit {
		return Trace{}, fmt.Errorf("%w after %d points", ErrUndecided, limit)
	}
	if !l.found {
		l.best = append(l.best, l.rest()...)
	}
	return Trace{Config: h.Config, Events: l.best}, nil
}

func takesPart(o history.Op) bool {
	if o.Call.Kind.Lists() {
		return false
	}
	return o.Result.Outcome == op.OK || o.Result.Outcome == op.Refused ||
		o.Result.Outcome.Ambiguous() && o.Call.Kind.Mutates()
}

// readings returns those that the attempt may have used, one that does not
// matter for an operation that reads no clock.
func readings(o history.Op) ([]registry.Instant, error) {
	switch {
	case !o.Call.Kind.Timed():
		return []registry.Instant{0}, nil
	case o.Result.Now != 0:
		return []registry.Instant{o.Result.Now}, nil
	case o.Clock.Interval || len(o.Clock.Seen) == 0:
		return nil, fmt.Errorf("op %d (%s by %s): %w", o.ID, o.Call.Kind, o.Client, ErrInexact)
	}
	return o.Clock.Seen, nil
}

// linearizer searches depth first for an order: at each point any operation may
// come next that was called before all open ones returned.
type linearizer struct {
	cfg   registry.Config
	ops   []history.Op
	now   [][]registry.Instant // by operation
	order []int                // operations by call

	actors  []registry.ActorID // that a step can change
	nodes   []registry.NodeID
	records map[reference.Record]uint64 // numbers for points
	members map[reference.Member]uint64

	done  []bool
	path  []Event
	best  []Event // the longest path that led nowhere, or the order
	found bool
	dead  map[int]map[string]bool // points from which no order was found, by the number of operations done
	work  int
	limit int // of work
}

// search goes on from the point that path has led to. All operations before first, in the
// order of their calls, have their places; the last called of those that have was called
// at latest. An order that is found at the first try costs the operations under way at
// each point and no more: the path is copied, and points are told apart, only where the
// search turns back.
func (l *linearizer) search(s state, first int, latest int64) {
	for first < len(l.order) && l.done[l.order[first]] {
		first++
	}
	deadline, open := l.open(first)
	if !open {
		l.found, l.best = true, l.path
		return
	}
	if l.work++; l.work > l.limit || l.isDead(s, first) {
		return
	}
	for _, i := range l.order[first:] {
		if l.ops[i].Invoked > deadline {
			break
		}
		if l.done[i] {
			continue
		}
		if l.place(s, i, first, latest); l.found {
			return
		}
	}
	if len(l.path) > len(l.best) {
		l.best = slices.Clone(l.path)
	}
	l.bury(s, first)
}

// open is the earliest return of an answered operation that waits for its place, and
// whether there is one. What was called after that return did not return before it.
func (l *linearizer) open(first int) (deadline int64, open bool) {
	deadline = history.Never
	for _, i := range l.order[first:] {
		o := &l.ops[i]
		if o.Invoked > deadline {
			break
		}
		if !l.done[i] && !o.Result.Outcome.Ambiguous() {
			open, deadline = true, min(deadline, o.Returned)
		}
	}
	return deadline, open
}

// place tries operation i next, under each reading that it may have used. A settled
// operation took effect before its return or never: not after one that was called later.
func (l *linearizer) place(s state, i, first int, latest int64) {
	o := l.ops[i]
	if o.Result.Outcome == op.Settled && latest > o.Returned {
		return
	}
	for _, now := range l.now[i] {
		e := Event{Op: o, Now: now, Answered: !o.Result.Outcome.Ambiguous()}
		got, undo := s.step(l.cfg, e)
		if e.explainedBy(got) {
			l.done[i] = true
			l.path = append(l.path, e)
			l.search(s, first, max(latest, o.Invoked))
			if l.found {
				return
			}
			l.path = l.path[:len(l.path)-1]
			l.done[i] = false
		}
		undo()
	}
}

func (l *linearizer) isDead(s state, first int) bool {
	dead := l.dead[len(l.path)]
	return dead != nil && dead[l.point(s, first)]
}

func (l *linearizer) bury(s state, first int) {
	dead := l.dead[len(l.path)]
	if dead == nil {
		dead = map[string]bool{}
		l.dead[len(l.path)] = dead
	}
	dead[l.point(s, first)] = true
}

// point identifies where the search is: what is done, and the state.
func (l *linearizer) point(s state, first int) string {
	key := binary.AppendUvarint(nil, uint64(first))
	for left, i := len(l.path)-first, first; left > 0; i++ {
		key = append(key, 0)
		if l.done[l.order[i]] {
			key[len(key)-1] = 1
			left--
		}
	}
	for _, a := range l.actors {
		r := s.records[a]
		r.Actor = a // also where nothing was ever put
		key = binary.AppendUvarint(key, number(l.records, r))
	}
	for _, n := range l.nodes {
		key = binary.AppendUvarint(key, number(l.members, s.members[n]))
	}
	return string(key)
}

// number returns the number of v in numbers, the next one if it has none.
func number[V comparable](numbers map[V]uint64, v V) uint64 {
	n, ok := numbers[v]
	if !ok {
		n = uint64(len(numbers))
		numbers[v] = n
	}
	return n
}

// rest lists the answered operations that the longest order leaves out, by
// their return, so that a check of the trace stops at the first.
func (l *linearizer) rest() []Event {
	placed := map[int]bool{}
	for _, e := range l.best {
		placed[e.Op.ID] = true
	}
	var rest []Event
	for _, i := range l.order {
		if o := l.ops[i]; !placed[o.ID] && !o.Result.Outcome.Ambiguous() {
			rest = append(rest, Event{Op: o, Now: l.now[i][0], Answered: true})
		}
	}
	slices.SortStableFunc(rest, func(a, b Event) int { return cmp.Compare(a.Op.Returned, b.Op.Returned) })
	return rest
}
