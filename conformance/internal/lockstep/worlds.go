package lockstep

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
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

// maxWorlds bounds what is followed. Beyond it the trial ends undecided.
const maxWorlds = 200

// bounded ends the trial undecided when too many states are possible: judged by some
// of them only, a right answer could convict.
func (w *Run) bounded(worlds []world) []world {
	if len(worlds) > maxWorlds {
		w.T.GiveUp("after answers of unknown outcome more than %d states are possible", maxWorlds)
	}
	return worlds
}

// possible returns the worlds, at least the one that there always is.
func (w *Run) possible() []world {
	if w.worlds == nil {
		return []world{{state: w.spec.Snapshot()}}
	}
	return w.worlds
}

// keep goes on with those worlds, the reference in the first of them.
func (w *Run) keep(worlds []world) {
	w.worlds = w.bounded(worlds)
	w.spec.Restore(worlds[0].state)
	w.forgetLate()
	if len(worlds) == 1 && len(w.Late) == 0 && worlds[0].made == nil {
		w.worlds = nil
	}
}

// forgetLate drops the late calls that have taken effect in every world, or
// never can: the tenure or the incarnation that they are about is over.
func (w *Run) forgetLate() {
	for i := len(w.Late) - 1; i >= 0; i-- {
		l := w.Late[i]
		if !slices.ContainsFunc(w.worlds, func(v world) bool { return !v.landed.has(l) && !v.state.Over(&l.call.Call) }) {
			w.drop(i)
		}
	}
}

// drop takes a late call out of account.
func (w *Run) drop(i int) {
	for k, v := range w.worlds {
		w.worlds[k].landed = v.landed.without(w.Late[i])
	}
	w.Late = slices.Delete(w.Late, i, i+1)
}

// forgetOthers goes on with what matters to the registrations of the present nodes: the
// late calls about them, and one of the worlds in which they are the same.
func (w *Run) forgetOthers() {
	for i := len(w.Late) - 1; i >= 0; i-- {
		c := &w.Late[i].call
		if !c.Kind.OfNode() || !slices.ContainsFunc(w.Nodes, func(n *Node) bool { return registry.NodeID(n.Name) == c.Node.ID }) {
			w.drop(i)
		}
	}
	var worlds []world
	for _, v := range w.worlds {
		if !slices.ContainsFunc(worlds, func(o world) bool { return o.landed.within(v.landed) && v.landed.within(o.landed) && w.sameNodes(o, v) }) {
			worlds = append(worlds, v)
		}
	}
	w.keep(worlds)
}

// sameNodes reports whether the present nodes are registered in both worlds in the
// same way.
func (w *Run) sameNodes(a, b world) bool {
	return !slices.ContainsFunc(w.Nodes, func(n *Node) bool {
		c := call.GetNode(registry.NodeID(n.Name)).Call
		w.spec.Restore(a.state)
		was := w.spec.View(&c).Member
		w.spec.Restore(b.state)
		return w.spec.View(&c).Member != was
	})
}

// adds appends a world unless there is one of the same state in which no more has
// taken effect: whatever can happen in v can happen in that one.
func adds(worlds []world, v world) []world {
	for i, o := range worlds {
		switch {
		case v.made != nil && o.made == nil || !o.state.Equal(v.state):
		case o.landed.within(v.landed):
			return worlds
		case v.landed.within(o.landed) && (v.made == nil) == (o.made == nil):
			worlds[i] = v
			return worlds
		}
	}
	return append(worlds, v)
}

// tick notes what the clocks show, for calls that may still apply.
func (w *Run) tick() {
	for _, l := range w.Late {
		if now := l.node.reads.Now(); !slices.Contains(l.readings, now) {
			l.readings = append(l.readings, now)
		}
	}
}

// changes reports whether c can change what the other call is about.
func changes(c, other *op.Call) bool {
	switch {
	case !c.Kind.Mutates():
		return false
	case c.Kind.OfNode():
		return other.Kind == op.ListNodes || other.Party() == c.Node.ID
	}
	return other.Kind == op.ListActors || other.Actor == c.Actor
}

// MayChange reports whether a call that may still apply can change what c is about.
func (w *Run) MayChange(c call.Call) bool {
	return slices.ContainsFunc(w.Late, func(l *lateCall) bool { return changes(&l.call.Call, &c.Call) })
}

// Stays reports whether a node is registered with that status, and no call that may still
// apply can change it.
func (w *Run) Stays(id registry.NodeID, status registry.NodeStatus) bool {
	c := call.GetNode(id)
	worlds := w.possible()
	defer w.spec.Restore(worlds[0].state)
	return !w.MayChange(c) && !slices.ContainsFunc(worlds, func(v world) bool {
		w.spec.Restore(v.state)
		return w.spec.View(&c.Call).Member.Status != status
	})
}

// meets reports whether it can make a difference which of the two comes first.
func meets(c, other *op.Call) bool { return changes(c, other) || changes(other, c) }

// groups returns the calls that may still apply, as places in Run.late, before
// c was answered so: those between which, or with which, an order makes a
// difference, in groups that are independent of each other. Of all others the same
// can be said later: that they have applied by then. So none is left out.
func (w *Run) groups(c call.Call, got op.Result) (groups [][]int) {
	if got.Outcome == op.Invalid || got.Outcome == op.Closed || got.Outcome == op.Cancelled {
		return nil // whatever the state
	}
	about := []op.Call{c.Call}
	if told := new(registry.Refusal); errors.As(got.Err, &told) { // a refusal may tell of others
		about = append(about, call.Lookup(told.Placement.Actor).Call, call.GetNode(told.Node.Ref.ID).Call)
	}
	grouped := make([]bool, len(w.Late))
	for i, l := range w.Late {
		if grouped[i] || !slices.ContainsFunc(about, func(c op.Call) bool { return meets(&c, &l.call.Call) }) {
			continue
		}
		group := []int{i}
		grouped[i] = true
		for k := 0; k < len(group); k++ {
			for j, other := range w.Late {
				if !grouped[j] && meets(&w.Late[group[k]].call.Call, &other.call.Call) {
					grouped[j] = true
					group = append(group, j)
				}
			}
		}
		groups = append(groups, group)
	}
	return groups
}

// withLate returns the worlds that v may have become, before c was answered so,
// by calls that applied late. Where the rows of a listing are v's, those calls are
// left to apply later, as in [Run.unmoved].
func (w *Run) withLate(v world, c call.Call, got op.Result) []world {
	worlds := []world{v}
	for _, group := range w.groups(c, got) {
		var next []world
		for _, v := range worlds {
			if c.Kind.Lists() && !c.OnePage && got.Err == nil && w.listed(v, group, c, got) {
				next = adds(next, v)
				continue
			}
			for _, v := range w.withGroup(v, group, c, got) {
				if !w.tellsRows(c, got) || w.listed(v, group, c, got) {
					next = w.bounded(adds(next, v))
				}
			}
		}
		worlds = next
	}
	return worlds
}

// beyond reports whether in the present state of the reference more has happened to
// the record or the registration that the answer tells of than it tells, or than lets
// the call succeed: tokens, versions and epochs never go back.
func (w *Run) beyond(c call.Call, got op.Result) bool {
	if got.Err != nil && got.Outcome != op.Refused || w.dialect != (dialect.Dialect{}) {
		return false
	}
	known := func(c call.Call) reference.View { return w.spec.View(&c.Call) }
	absent := got.Err == nil && !got.Found
	switch {
	case got.Record.Version > 0:
		return known(call.Lookup(got.Record.Actor)).Record.Version > got.Record.Version
	case got.Node.Ref.Epoch > 0:
		return known(call.GetNode(got.Node.Ref.ID)).Member.Ref.Epoch > got.Node.Ref.Epoch
	case got.Err == nil && c.Kind.Presents():
		return known(c).Record.Token > c.Token
	case got.Err == nil && (c.Kind == op.Heartbeat || c.Kind == op.DeregisterNode):
		return known(c).Member.Ref.Epoch > c.Node.Epoch
	case absent && c.Kind == op.Lookup:
		return known(c).Record.Version > 0
	case absent && c.Kind == op.GetNode:
		return known(c).Member.Ref.Epoch > 0
	}
	return false
}

// yields reports whether a later equal call can take effect in the place of call k
// by that reading. The two cannot be told apart, and k, which has as many readings or
// more, can still take effect after that.
func (w *Run) yields(v world, group []int, k int, now registry.Instant) bool {
	l := w.Late[k]
	return slices.ContainsFunc(group, func(j int) bool {
		other := w.Late[j]
		return j > k && other.first == l.first && other.awaited == l.awaited && !v.landed.has(other) && slices.Contains(other.readings, now)
	})
}

// withGroup is withLate for some calls, as far as the answer tells that they can
// have applied.
func (w *Run) withGroup(v world, group []int, c call.Call, got op.Result) []world {
	worlds := []world{v}
	for i := 0; i < len(w.bounded(worlds)); i++ {
		v := worlds[i]
		for _, k := range group {
			l := w.Late[k]
			if v.landed.has(l) {
				continue
			}
			for _, now := range l.readings {
				if w.yields(v, group, k, now) {
					continue
				}
				w.spec.Restore(v.state)
				outcomes := w.spec.Outcomes(&l.call.Call, now, nil)
				if w.refusedAlways(outcomes) {
					break
				}
				if w.beyond(c, got) {
					continue
				}
				for _, o := range outcomes {
					after := world{o.After, v.landed.with(l), v.made}
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

// refusedAlways reports whether these are refusals that no other reading would change.
func (w *Run) refusedAlways(outcomes []reference.Outcome) bool {
	byClock := []op.Reason{"", op.Held, op.Lapsed, op.NodeAlive}
	return w.dialect == (dialect.Dialect{}) && !slices.ContainsFunc(outcomes, func(o reference.Outcome) bool { return slices.Contains(byClock, o.Answer.Reason) })
}

// tellsRows reports whether c was answered with all the rows of a listing.
func (w *Run) tellsRows(c call.Call, got op.Result) bool {
	return c.Kind.Lists() && !c.OnePage && got.Err == nil && w.dialect == (dialect.Dialect{})
}

// listed reports whether the rows of a listing are what v has of the records and
// registrations that the late calls of a group are about.
func (w *Run) listed(v world, group []int, c call.Call, got op.Result) bool {
	w.spec.Restore(v.state)
	for _, k := range group {
		view := w.spec.View(&w.Late[k].call.Call)
		if view.Least != (reference.Least{}) {
			return false
		}
		switch l := &w.Late[k].call; {
		case c.Kind == op.ListActors && !l.Kind.OfNode():
			row, there := find(got.Actors, func(r registry.Placement) bool { return r.Actor == l.Actor })
			if there != (view.Record.Holder == c.Node) || there && w.placeDiff(row, view.Record) != "" {
				return false
			}
		case c.Kind == op.ListNodes && l.Kind.OfNode():
			row, there := find(got.Nodes, func(n registry.Node) bool { return n.Ref.ID == l.Node.ID })
			lists := view.Member.Ref.Epoch > 0 && (c.Status == registry.AnyStatus || c.Status == view.Member.Status)
			if there != lists || there && w.nodeDiff(row, view.Member) != "" {
				return false
			}
		}
	}
	return true
}

// after returns the worlds in which v may be when c was answered so: none, when
// it cannot have been. late is the call among those that may still apply, nil if
// it is none.
func (w *Run) after(v world, n *Node, c call.Call, got op.Result, late *lateCall) (next []world) {
	if late != nil && len(w.readings(n)) == 1 {
		return []world{v} // that it has applied can be said later, as of the other late calls
	}
	if as, ok := w.unmoved(v, n, c, got); ok {
		return []world{as}
	}
	for _, v := range w.withLate(v, c, got) {
		if call.Trouble(got.Err) {
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

// unmoved returns v after c, which has changed nothing, if it was answered as is right in v.
// Then v alone is gone on with: whatever may have applied late before c can as well
// apply right after it, by the same reading and to the same effect. So no state is lost
// that is possible later, and every late call is followed only where it can be told. That
// is so too where c has not found a record that was forgotten: a claim that applied before
// it, and was forgotten with it, can apply after it and be forgotten then.
func (w *Run) unmoved(v world, n *Node, c call.Call, got op.Result) (world, bool) {
	if c.Kind.Mutates() && got.Outcome != op.Refused || call.Trouble(got.Err) {
		return world{}, false
	}
	gone := w.dialect.Forgets && c.Kind == op.Lookup && got.Err == nil && !got.Found &&
		!slices.ContainsFunc(w.Late, func(l *lateCall) bool { return changes(&l.call.Call, &c.Call) && l.call.Kind != op.Claim })
	for _, now := range w.readings(n) {
		made := w.madeAt(v, n, c, got, nil, now)
		if i := slices.IndexFunc(made, func(made world) bool { return gone || made.state.Equal(v.state) }); i >= 0 {
			return made[i], true
		}
	}
	return world{}, false
}

// readings are those by which n's call may have been decided: one, or, where time is
// real and the dialect leaves more open than the reading, the likely one and those at
// the ends of what is possible.
func (w *Run) readings(n *Node) []registry.Instant {
	now := n.reads.Now()
	if w.Exact || w.dialect == (dialect.Dialect{}) {
		return []registry.Instant{now}
	}
	slack := w.margins().Reading + w.margins().Call
	return []registry.Instant{now, now.Add(-slack), now.Add(slack)}
}

// madeAt is after, by one reading, of a call that had its effect or was answered.
func (w *Run) madeAt(v world, n *Node, c call.Call, got op.Result, late *lateCall, now registry.Instant) (next []world) {
	for _, o := range w.right(v, n, c, got, now) {
		made := world{o.After, v.landed, v.made}
		switch {
		case !call.Trouble(got.Err):
			if w.Diff(n, got, o.Answer) == "" {
				next = adds(next, made)
			}
		case got.Outcome.Ambiguous() && !made.state.Equal(v.state):
			made.made = &o.Answer
			if late != nil {
				made.landed = made.landed.with(late)
			}
			next = adds(next, made)
		}
	}
	return next
}

// right returns the ways in which c may have been answered in v: the reference's
// own, and, where c has reached the state, those that the specification or the
// dialect allows beside it.
func (w *Run) right(v world, n *Node, c call.Call, got op.Result, now registry.Instant) []reference.Outcome {
	w.spec.Restore(v.state)
	w.settleRows(got.Actors, now)
	want := c.InLargePages().Do(context.WithoutCancel(w.T.Ctx), n.model)
	if want.Outcome != op.OK && want.Outcome != op.Refused || c.Kind.Lists() || c.Kind == op.Close || c.Kind == op.RenewBatch {
		return []reference.Outcome{{Answer: want, After: w.spec.Snapshot()}}
	}
	w.spec.Restore(v.state)
	told := &got
	if call.Trouble(got.Err) {
		told = nil
	}
	return w.spec.Outcomes(&c.Call, now, told)
}

// settleRows has the reference go on from the rows of a listing where it knows of a
// record's token or version only that it is higher: a call has applied that told neither.
func (w *Run) settleRows(rows []registry.Placement, now registry.Instant) {
	for _, row := range rows {
		look := call.Lookup(row.Actor)
		if w.spec.View(&look.Call).Least == (reference.View{}).Least {
			continue
		}
		before := w.spec.Snapshot()
		told := op.Result{Outcome: op.OK, Record: row, Found: true}
		outcomes := w.spec.Outcomes(&look.Call, now, &told)
		w.spec.Restore(before)
		if i := slices.IndexFunc(outcomes, func(o reference.Outcome) bool { return w.placeDiff(row, o.Answer.Record) == "" }); i >= 0 {
			w.spec.Restore(outcomes[i].After)
		}
	}
}

// follow goes on with the worlds in which the call may have been answered so,
// and reports whether there is any.
func (w *Run) follow(n *Node, c call.Call, got op.Result) bool {
	w.tick()
	late := w.mayStillApply(n, c, got)
	var next []world
	for _, v := range w.possible() {
		for _, v := range w.after(v, n, c, got, late) {
			next = adds(next, v)
		}
	}
	if len(next) == 0 {
		return false
	}
	w.keep(next)
	return true
}

// madeBefore returns what the call under way would have been answered by an
// attempt of unknown outcome, if that has taken effect in every world; or, where
// another call has made the change that it makes, in one that is the same: whose
// change it was cannot be told.
func (w *Run) madeBefore() (made *op.Result) {
	for _, v := range w.worlds {
		alike := func(o world) bool { return o.made != nil && o.state.Equal(v.state) }
		i := slices.IndexFunc(w.worlds, alike)
		if i < 0 {
			return nil
		}
		made = w.worlds[i].made
	}
	return made
}

// resolved ends the attempts of a call: what comes now is about others.
func (w *Run) resolved() {
	if w.worlds == nil {
		return
	}
	for _, l := range w.Late {
		l.awaited = false
	}
	var worlds []world
	for _, v := range w.worlds {
		v.made = nil
		worlds = adds(worlds, v)
	}
	w.keep(worlds)
}

// inAnyOrder returns the worlds in which v may be when the renewals were made in
// some order. One that leaves everything as it is can be taken first: what it was
// answered says nothing about the others. Those that are granted tell their
// versions, so that few orders are tried.
func (w *Run) inAnyOrder(v world, n *Node, left []renewal) (next []world) {
	if len(left) == 0 {
		return []world{v}
	}
	for i, r := range left {
		after := w.after(v, n, r.call, r.got, r.late)
		rest := slices.Concat(left[:i], left[i+1:])
		if !r.got.Outcome.Ambiguous() && len(after) == 1 && len(after[0].landed) == len(v.landed) && after[0].state.Equal(v.state) {
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

// renewal is one lease of a batch.
type renewal struct {
	call call.Call
	got  op.Result
	late *lateCall // see after
}

// mayStillApply enters a call among those that may still apply, if its outcome
// says so, and returns it, else nil.
func (w *Run) mayStillApply(n *Node, c call.Call, got op.Result) *lateCall {
	if !got.Outcome.Unbounded() {
		return nil
	}
	w.worlds = w.possible()
	late := &lateCall{node: n, call: c, readings: []registry.Instant{n.reads.Now()}, awaited: true}
	late.first = late
	if i := slices.IndexFunc(w.Late, func(l *lateCall) bool { return l.node == n && reflect.DeepEqual(l.call.Call, c.Call) }); i >= 0 {
		late.first = w.Late[i].first
	}
	w.Late = append(w.Late, late)
	return late
}
