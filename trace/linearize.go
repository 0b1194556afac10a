package trace

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// maxSearch bounds the nodes of the search for an order. A history that needs
// more is one for linearizability.Check, which cuts it into parts.
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
	l := linearizer{cfg: h.Config, dead: map[string]bool{}, limit: limit}
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
	}
	if len(l.ops) == 0 {
		return Trace{}, ErrEmpty
	}
	l.order = make([]int, len(l.ops))
	for i := range l.order {
		l.order[i] = i
	}
	slices.SortStableFunc(l.order, func(a, b int) int { return cmp.Compare(l.ops[a].Invoked, l.ops[b].Invoked) })
	l.done = make([]bool, len(l.ops))
	l.search(newState())
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

	done  []bool
	path  []Event
	best  []Event // the longest path
	found bool
	dead  map[string]bool // points from which no order was found
	work  int
	limit int // of work
}

func (l *linearizer) search(s state) {
	if len(l.path) > len(l.best) {
		l.best = slices.Clone(l.path)
	}
	open, deadline := l.open()
	if !open {
		l.found, l.best = true, slices.Clone(l.path)
		return
	}
	point := l.point(s)
	if l.work++; l.dead[point] || l.work > l.limit {
		return
	}
	for _, i := range l.order {
		if l.done[i] {
			continue
		}
		if l.ops[i].Invoked > deadline {
			break
		}
		if l.place(s, i); l.found {
			return
		}
	}
	l.dead[point] = true
}

// open reports whether an answered operation waits for its place, and the
// earliest return of one.
func (l *linearizer) open() (bool, int64) {
	open, deadline := false, int64(history.Never)
	for i, o := range l.ops {
		if !l.done[i] && !o.Result.Outcome.Ambiguous() {
			open, deadline = true, min(deadline, o.Returned)
		}
	}
	return open, deadline
}

// place tries operation i next, under each reading that it may have used.
func (l *linearizer) place(s state, i int) {
	o := l.ops[i]
	for _, now := range l.now[i] {
		e := Event{Op: o, Now: now, Answered: !o.Result.Outcome.Ambiguous()}
		if o.Result.Outcome == op.Settled && l.after(o.Returned) {
			continue
		}
		got, next := s.step(l.cfg, e)
		if !e.explainedBy(got) {
			continue
		}
		l.done[i] = true
		l.path = append(l.path, e)
		l.search(next)
		l.path = l.path[:len(l.path)-1]
		l.done[i] = false
		if l.found {
			return
		}
	}
}

// after reports whether an operation called after the stamp has its place
// already: a settled one took effect before its return or never.
func (l *linearizer) after(stamp int64) bool {
	return slices.ContainsFunc(l.path, func(e Event) bool { return e.Op.Invoked > stamp })
}

// point identifies where the search is: what is done, and the state.
func (l *linearizer) point(s state) string {
	key := make([]byte, 0, len(l.done)/8+64)
	for i := 0; i < len(l.done); i += 8 {
		var b byte
		for j := i; j < min(i+8, len(l.done)); j++ {
			if l.done[j] {
				b |= 1 << (j - i)
			}
		}
		key = append(key, b)
	}
	for _, o := range l.ops {
		r, m := s.records[o.Call.Actor], s.members[o.Call.Node.ID]
		key = binary.AppendVarint(key, int64(r.Version))
		key = binary.AppendVarint(key, int64(r.Token))
		key = binary.AppendVarint(key, int64(r.Expiry))
		key = binary.AppendVarint(key, int64(m.Ref.Epoch))
		key = binary.AppendVarint(key, int64(m.Status))
		key = binary.AppendVarint(key, int64(m.LastSeen))
		key = append(append(key, r.Holder.String()...), r.ClaimID[:]...)
	}
	return string(key)
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
