package conformance

import (
	"context"
	"errors"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// A store in trouble may answer that it cannot say whether a call took effect
// (contract, ErrAmbiguous). Then more than one state of the reference is
// possible, and the lockstep goes on with all of them: every later answer must
// be right in at least one, and those in which it is not are left behind. A call
// that may still apply is taken to apply before any later one, by any reading
// that its node's clock has shown since. So the possible states are never too
// few, and no right registry is convicted; reading the records, which the audit
// does after every such answer, leaves one state in all but odd cases.

// world is a possible state of the reference.
type world struct {
	state  reference.Snapshot
	landed uint64     // a bit for each of lockstep.late that has taken effect
	made   *op.Result // what the call of unknown outcome would have been answered, where it took effect
}

// lateCall is a call that was told that it may still apply.
type lateCall struct {
	node     *node
	call     call
	readings []registry.Instant // of the node's clock since
	awaited  bool               // it is being found out whether it has taken effect
}

// The bounds of what is followed. Beyond them the trial ends undecided.
const (
	maxLate   = 12
	maxWorlds = 200
)

// possible returns the worlds, at least the one that there always is.
func (w *lockstep) possible() []world {
	if w.worlds == nil {
		return []world{{state: w.spec.Snapshot()}}
	}
	return w.worlds
}

// keep goes on with those worlds, the reference in the first of them.
func (w *lockstep) keep(worlds []world) {
	if len(worlds) > maxWorlds {
		w.t.giveUp("after answers of unknown outcome more than %d states are possible", maxWorlds)
	}
	w.spec.Restore(worlds[0].state)
	w.worlds = worlds
	w.forgetLate()
	if len(worlds) == 1 && len(w.late) == 0 && worlds[0].made == nil {
		w.worlds = nil
	}
}

// forgetLate drops the late calls that have taken effect in every world, or
// never can: the tenure or the incarnation that they are about is over.
func (w *lockstep) forgetLate() {
	for i := len(w.late) - 1; i >= 0; i-- {
		c, over := w.late[i].call, true
		for _, v := range w.worlds {
			over = over && (v.landed&(1<<i) != 0 || v.state.Over(&c.Call))
		}
		if !over {
			continue
		}
		w.late = slices.Delete(w.late, i, i+1)
		below := uint64(1)<<i - 1
		for k := range w.worlds {
			l := w.worlds[k].landed
			w.worlds[k].landed = l&below | l>>1&^below
		}
	}
}

// adds appends a world unless it is there.
func adds(worlds []world, v world) []world {
	for _, o := range worlds {
		if o.landed == v.landed && o.state.Equal(v.state) {
			return worlds
		}
	}
	return append(worlds, v)
}

// tick notes what the clocks show, for calls that may still apply.
func (w *lockstep) tick() {
	for _, l := range w.late {
		if now := l.node.reads.Now(); !slices.Contains(l.readings, now) {
			l.readings = append(l.readings, now)
		}
	}
}

// withLate returns the worlds that v may have become by calls that applied late.
func (w *lockstep) withLate(v world) []world {
	worlds := []world{v}
	for i := 0; i < len(worlds) && len(worlds) <= maxWorlds; i++ {
		v := worlds[i]
		for k, l := range w.late {
			if v.landed&(1<<k) != 0 {
				continue
			}
			for _, now := range l.readings {
				w.spec.Restore(v.state)
				for _, o := range w.spec.Outcomes(&l.call.Call, now, nil) {
					after := world{o.After, v.landed | 1<<k, v.made}
					if l.awaited {
						after.made = &o.Answer
					}
					if !after.state.Equal(v.state) {
						worlds = adds(worlds, after)
					}
				}
			}
		}
	}
	return worlds
}

// after returns the worlds in which v may be when c was answered so: none, when
// it cannot have been. late is the call's place among those that may still
// apply, -1 for none.
func (w *lockstep) after(v world, n *node, c call, got op.Result, late int) (next []world) {
	for _, v := range w.withLate(v) {
		if trouble(got.Err) {
			next = adds(next, v)
		}
		for _, now := range w.readings(n) {
			made := w.madeAt(v, n, c, got, late, now)
			for _, m := range made {
				next = adds(next, m)
			}
			if len(made) > 0 {
				break
			}
		}
	}
	return next
}

// readings are those by which n's call may have been decided: one, or, where time is
// real and the dialect leaves more open than the reading, the likely one and those at
// the ends of what is possible.
func (w *lockstep) readings(n *node) []registry.Instant {
	now := n.reads.Now()
	if w.exact || w.dialect == (dialect.Dialect{}) {
		return []registry.Instant{now}
	}
	slack := 2*w.cfg.MaxClockSkew + w.cfg.TTL/8 // a call takes no longer
	return []registry.Instant{now, now.Add(-slack), now.Add(slack)}
}

// madeAt is after, by one reading, of a call that had its effect or was answered.
func (w *lockstep) madeAt(v world, n *node, c call, got op.Result, late int, now registry.Instant) (next []world) {
	for _, o := range w.right(v, n, c, got, now) {
		made := world{o.After, v.landed, v.made}
		switch {
		case !trouble(got.Err):
			if w.diff(n, got, o.Answer) == "" {
				next = adds(next, made)
			}
		case got.Outcome.Ambiguous() && !made.state.Equal(v.state):
			made.made = &o.Answer
			if late >= 0 {
				made.landed |= 1 << late
			}
			next = adds(next, made)
		}
	}
	return next
}

// right returns the ways in which c may have been answered in v: the reference's
// own, and, where c has reached the state, those that the specification or the
// dialect allows beside it.
func (w *lockstep) right(v world, n *node, c call, got op.Result, now registry.Instant) []reference.Outcome {
	w.spec.Restore(v.state)
	want := c.inLargePages().do(context.WithoutCancel(w.t.ctx), n.model)
	if want.Outcome != op.OK && want.Outcome != op.Refused || c.Kind.Lists() || c.Kind == op.Close || c.Kind == op.RenewBatch {
		return []reference.Outcome{{Answer: want, After: w.spec.Snapshot()}}
	}
	w.spec.Restore(v.state)
	told := &got
	if trouble(got.Err) {
		told = nil
	}
	return w.spec.Outcomes(&c.Call, now, told)
}

// mayStillApply enters a call among those that may still apply, if its outcome
// says so, and returns its place, else -1.
func (w *lockstep) mayStillApply(n *node, c call, got op.Result) int {
	if !got.Outcome.Unbounded() {
		return -1
	}
	if len(w.late) == maxLate {
		w.t.giveUp("more than %d calls may still apply", maxLate)
	}
	w.worlds = w.possible()
	w.late = append(w.late, &lateCall{node: n, call: c, readings: []registry.Instant{n.reads.Now()}, awaited: true})
	return len(w.late) - 1
}

// follow goes on with the worlds in which the call may have been answered so,
// and reports whether there is any.
func (w *lockstep) follow(n *node, c call, got op.Result) bool {
	w.tick()
	late := w.mayStillApply(n, c, got)
	var next []world
	for _, v := range w.possible() {
		for _, v := range w.after(v, n, c, got, late) {
			next = adds(next, v)
		}
	}
	if len(next) == 0 {
		w.spec.Restore(w.possible()[0].state)
		return false
	}
	w.keep(next)
	return true
}

// troubled deals with an answer from which the outcome is not known. The audit
// reads what has become of the call.
func (w *lockstep) troubled(n *node, c call, got op.Result, before registry.Instant) {
	w.errorAlone(c, got)
	w.overslept(c, got)
	if !w.exact {
		w.settleClock(c, got, before)
	}
	if got.Outcome.Ambiguous() {
		if c.Kind == op.Release || c.Kind == op.Transfer {
			delete(w.beliefs, c.Actor) // whoever asks for that has stopped serving
		}
		w.follow(n, c, got)
	}
	// ErrUnavailable and a context's error promise that nothing happened, so that
	// the comparison with the untouched reference must still hold.
	w.audit(c, AmbiguousTruth)
}

// madeBefore returns what the call under way would have been answered by an
// attempt of unknown outcome, if that has taken effect in every world.
func (w *lockstep) madeBefore() (made *op.Result) {
	for _, v := range w.worlds {
		if made = v.made; made == nil {
			return nil
		}
	}
	return made
}

// resolved ends the attempts of a call: what comes now is about others.
func (w *lockstep) resolved() {
	if w.worlds == nil {
		return
	}
	for _, l := range w.late {
		l.awaited = false
	}
	var worlds []world
	for _, v := range w.worlds {
		v.made = nil
		worlds = adds(worlds, v)
	}
	w.keep(worlds)
}

// followBatch goes on with the worlds in which the batch may have been answered
// so. Its renewals happen in any order, each by itself, and each may end as a
// Renew may, unknown outcomes included (contract, RenewBatch).
func (w *lockstep) followBatch(n *node, c call, got op.Result) bool {
	w.tick()
	if len(got.Renewals) != len(c.Leases) {
		return false
	}
	group := map[registry.ActorID][]renewal{} // of different actors they do not depend on each other
	var actors []registry.ActorID
	for i, l := range c.Leases {
		r := renewal{renew(l), got.Renewals[i], 0}
		r.late = w.mayStillApply(n, r.call, r.got)
		if group[l.Actor] == nil {
			actors = append(actors, l.Actor)
		}
		group[l.Actor] = append(group[l.Actor], r)
	}
	worlds := w.possible()
	for _, a := range actors {
		var next []world
		for _, v := range worlds {
			for _, v := range w.inAnyOrder(v, n, group[a]) {
				next = adds(next, v)
			}
		}
		if worlds = next; len(worlds) == 0 {
			w.spec.Restore(w.possible()[0].state)
			return false
		}
	}
	w.keep(worlds)
	for _, a := range actors {
		if slices.ContainsFunc(group[a], func(r renewal) bool { return r.got.Outcome.Ambiguous() }) && a.Validate() == nil {
			w.auditOne(lookup(a), AmbiguousTruth)
		}
	}
	w.resolved()
	return true
}

// renewal is one lease of a batch.
type renewal struct {
	call call
	got  op.Result
	late int // see after
}

// inAnyOrder returns the worlds in which v may be when the renewals were made in
// some order. One that leaves everything as it is can be taken first: what it was
// answered says nothing about the others. Those that are granted tell their
// versions, so that few orders are tried.
func (w *lockstep) inAnyOrder(v world, n *node, left []renewal) (next []world) {
	if len(left) == 0 {
		return []world{v}
	}
	for i, r := range left {
		after := w.after(v, n, r.call, r.got, r.late)
		rest := slices.Concat(left[:i], left[i+1:])
		if !r.got.Outcome.Ambiguous() && len(after) == 1 && after[0].landed == v.landed && after[0].state.Equal(v.state) {
			return w.inAnyOrder(v, n, rest)
		}
		for _, v := range after {
			for _, v := range w.inAnyOrder(v, n, rest) {
				next = adds(next, v)
			}
		}
	}
	return next
}

// trouble reports whether err says that the store could not decide.
func trouble(err error) bool {
	return errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrAmbiguous) ||
		errors.Is(err, context.DeadlineExceeded)
}
