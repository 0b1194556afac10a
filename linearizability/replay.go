package linearizability

import (
	"slices"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Most parts of most histories need no search: their answers say in which order
// the operations took effect. A replay goes through the calls and returns of a
// part once, in the order of their stamps, and lets each operation take effect as
// late as it can: when it returns, or earlier when another one that returns rests
// on it. What changes nothing takes effect as soon as its answer fits. Where an
// outcome is unknown, or several operations under way could be the one that is
// missing, it tries one and, if that leads nowhere, goes back to try the next.
//
// An order that it finds is one that the search would accept: every operation
// stands between its call and its return, and takes the state before it to the one
// after it by the model's own step. So the part is linearizable, and none of the
// facts that safety.go knows of every linearization is broken in it. When it finds
// none nothing is said, and the part is judged as if there were no replay.
type replay struct {
	m       *rules
	state   *state
	flying  []flight // called and not returned, by return
	open    []flight // those whose outcome is unknown and that no return bounds
	choices []choice
	steps   int // calls gone through, those again included
	limit   int // of steps
}

// flight is an operation under way.
type flight struct {
	event
	placed bool
}

// choice is a place to go back to, with what else can be tried there.
type choice struct {
	replay replay // without choices
	next   int    // the call that comes next
	rest   []alternative
}

// alternative lets the operation at the index, of flying or behind them of open,
// take effect and leave the state; none at all for a negative index.
type alternative struct {
	which int
	state *state
}

// What is tried before a replay gives up: choices are few and soon found to be
// right or wrong, or the part is one for the search.
const (
	maxChoices = 32
	slack      = 4 // times the calls of the part
)

// begin begins a replay of another part, from that state.
func (r *replay) begin(from *state) {
	*r = replay{m: r.m, state: from, flying: r.flying[:0]} // choices share open
}

// run goes through n operations, in the order of their calls. It reports whether
// it found an order of them.
func (r *replay) run(n int, at func(i int) event) bool {
	r.limit = slack*n + 1000
	return r.sweep(0, n, at, history.Never)
}

// sweep goes through the operations from i on, and then through what returns
// before the end; by Never everything has returned.
func (r *replay) sweep(i, n int, at func(i int) event, end int64) bool {
	for ; i <= n; i++ {
		if r.steps++; r.steps > r.limit {
			return false
		}
		e := event{call: end}
		if i < n {
			e = at(i)
		}
		back := false
		for !back && len(r.flying) > 0 && (r.flying[0].ret < e.call || i == n && end == history.Never) {
			ok := r.returns(i)
			for back = !ok; !ok; {
				if len(r.choices) == 0 {
					return false
				}
				i, ok = r.back()
			}
		}
		switch {
		case back:
			i-- // that call comes again
		case i < n:
			r.calls(e)
		}
	}
	return true
}

func (r *replay) calls(e event) {
	if e.ret == history.Never && e.ambiguous() {
		r.open = append(r.open, flight{event: e})
		return
	}
	i := len(r.flying)
	for i > 0 && r.flying[i-1].ret > e.ret {
		i--
	}
	r.flying = slices.Insert(r.flying, i, flight{event: e})
}

// returns lets the operation that returns next take effect, if it has not yet.
// It reports whether it could.
func (r *replay) returns(next int) bool {
	for {
		f := &r.flying[0]
		switch {
		case f.placed:
		case f.ambiguous():
			r.unanswered(next, f)
		default:
			if states := r.m.step(r.state, &f.event); len(states) > 0 {
				r.place(next, alternatives(0, states))
				break
			}
			if !r.missing(next) {
				return false
			}
			continue
		}
		r.flying = slices.Delete(r.flying, 0, 1)
		return true
	}
}

func alternatives(which int, states []*state) []alternative {
	out := make([]alternative, len(states))
	for i, s := range states {
		out[i] = alternative{which, s}
	}
	return out
}

// unanswered takes the operation for one without an effect, and remembers that
// it can have had one, perhaps only after another one under way.
func (r *replay) unanswered(next int, f *flight) {
	list := alternatives(0, r.m.apply(r.state, &f.event))
	if len(list) == 0 {
		list = r.enabling(&f.event)
	}
	if len(list) > 0 {
		r.remember(next, list)
	}
}

// enabling are the writes under way after which the one that returns can have an effect.
func (r *replay) enabling(target *event) (list []alternative) {
	for i := 1; i < len(r.flying)+len(r.open); i++ {
		f := r.at(i)
		if f.placed || !f.writes() || f.call > target.ret {
			continue
		}
		for _, s := range r.effects(f) {
			if s != r.state && len(r.m.apply(s, target)) > 0 {
				list = append(list, alternative{i, s})
			}
		}
	}
	return list
}

// effects are the states in which the operation can take effect now.
func (r *replay) effects(f *flight) []*state {
	if f.ambiguous() {
		return r.m.apply(r.state, &f.event)
	}
	return r.m.step(r.state, &f.event)
}

// place lets the first alternative be, and remembers the others.
func (r *replay) place(next int, list []alternative) {
	if len(list) > 1 {
		r.remember(next, list[1:])
	}
	r.follow(list[0])
}

func (r *replay) follow(a alternative) {
	if a.state != r.state {
		r.read(a.which)
		r.state = a.state
	}
	if a.which < len(r.flying) {
		r.flying[a.which].placed = true
		return
	}
	i := a.which - len(r.flying)
	r.open = slices.Delete(slices.Clone(r.open), i, i+1) // choices share it
}

func (r *replay) at(which int) *flight {
	if which < len(r.flying) {
		return &r.flying[which]
	}
	return &r.open[which-len(r.flying)]
}

// read places what only reads, or was told what is there, before that changes.
func (r *replay) read(but int) {
	for i := range r.flying {
		f := &r.flying[i]
		if f.placed || i == but || f.ambiguous() {
			continue
		}
		if rec, ok := f.revealed(); ok && len(r.state.recs) == 1 {
			if rec.Version != r.state.recs[0].Version {
				continue
			}
		} else if f.writes() {
			continue
		}
		if states := r.m.step(r.state, &f.event); len(states) == 1 && states[0] == r.state {
			f.placed = true
		}
	}
}

// writes reports whether the event may change the state.
func (e *event) writes() bool {
	return e.role == asked && e.op.Call.Kind.Mutates() && e.op.Result.Outcome != op.Refused
}

// missing places an operation that the one that returns can rest on.
func (r *replay) missing(next int) bool {
	target := &r.flying[0].event
	last := r.m.lastVersion(target)
	var fit, other []alternative
	for i := range len(r.flying) + len(r.open) {
		f := r.at(i)
		if i == 0 || f.placed || !f.writes() || f.call > target.ret {
			continue
		}
		_, known := f.revealed()
		for _, s := range r.effects(f) {
			switch {
			case s == r.state || len(s.recs) == 1 && s.recs[0].Version > last:
			case known: // by its answer it comes next, whatever else there is
				r.place(next, []alternative{{i, s}})
				return true
			case len(r.m.step(s, target)) > 0:
				fit = append(fit, alternative{i, s})
			default:
				other = append(other, alternative{i, s})
			}
		}
	}
	if list := append(fit, other...); len(list) > 0 {
		r.place(next, list)
		return true
	}
	return false
}

// remember makes a choice of what else could be done here.
func (r *replay) remember(next int, rest []alternative) {
	if len(r.choices) == maxChoices { // the oldest is right by now
		r.choices = slices.Delete(r.choices, 0, 1)
	}
	c := choice{*r, next, rest}
	c.replay.flying, c.replay.open, c.replay.choices = slices.Clone(r.flying), slices.Clip(r.open), nil
	r.choices = append(r.choices, c)
}

// back goes to the last choice and takes its next alternative. It returns the
// call that comes next, and whether what returned there now can.
func (r *replay) back() (next int, ok bool) {
	c := &r.choices[len(r.choices)-1]
	a := c.rest[0]
	r.state, r.flying, r.open = c.replay.state, slices.Clone(c.replay.flying), c.replay.open
	if next = c.next; len(c.rest) > 1 {
		c.rest = c.rest[1:]
	} else {
		r.choices = r.choices[:len(r.choices)-1]
	}
	r.follow(a)
	return next, r.returns(next)
}
