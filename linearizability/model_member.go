package linearizability

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// decideMember evaluates the guards of a membership operation with a last-seen
// time and a reading.
func (m *rules) decideMember(s *state, e *event, seen, c registry.Instant) reference.Decision {
	n := s.nodes[e.node].Member
	n.LastSeen = seen
	return reference.Decide(m.cfg, reference.View{Member: n}, &e.op.Call, c)
}

func (m *rules) memberEffect(s *state, e *event, c registry.Instant) reference.Member {
	return reference.Effect(m.cfg, reference.View{Member: s.nodes[e.node].Member}, &e.op.Call, c).Member
}

// silences returns the part of the node's possible last-seen times from which
// want holds of the guard for some reading of clock. In a partition that does
// not know last-seen times, silence is taken for granted: it is judged in the
// node's own partition.
func (m *rules) silences(s *state, e *event, clock history.Readings, want func(reference.Decision) bool) (span, bool) {
	seen := s.nodes[e.node].seen()
	if !e.timed || e.op.Call.Kind != op.MarkFailed {
		return seen, want(m.decideMember(s, e, seen.lo, m.cfg.FailedAt(seen.lo)))
	}
	return m.silence.feasible(seen, clock, func(x, c registry.Instant) bool { return want(m.decideMember(s, e, x, c)) })
}

func (m *rules) memberSucceed(s *state, e *event) []*state {
	o := e.op
	switch o.Call.Kind {
	case op.GetNode:
		if !o.Result.Found {
			return s.when(s.nodes[e.node].Ref.IsZero())
		}
		if o.Result.Node.Ref.IsZero() {
			return nil
		}
		return s.ifNode(e.node, e.timed, o.Result.Node)
	case op.RegisterNode:
		n := o.Result.Node
		if _, ok := m.silences(s, e, o.Clock, repeated); ok {
			return s.ifNode(e.node, e.timed, n) // told again
		}
		_, ok := m.silences(s, e, o.Clock, granted)
		if !ok || m.memberEffect(s, e, n.LastSeen) != n || e.timed && !o.Clock.Contains(n.LastSeen) {
			return nil
		}
		return []*state{s.withNode(e.node, e.memberOf(n, at(n.LastSeen)))}
	}
	var next []*state
	if _, ok := m.silences(s, e, anyIfNone(o), repeated); ok {
		next = append(next, s)
	}
	return append(next, m.memberApply(s, e)...)
}

// anyIfNone returns the operation's readings, or any where it saw none: marking
// a failed node again needs no clock.
func anyIfNone(o *history.Op) history.Readings {
	if !o.Clock.Interval && len(o.Clock.Seen) == 0 {
		return history.AnyReading()
	}
	return o.Clock
}

// memberOf reduces a registration to what the event's partition knows.
func (e *event) memberOf(n registry.Node, seen span) member {
	if !e.timed {
		return member{Member: standing(n)}
	}
	return member{Member: n}.seenAt(seen)
}

// memberApply returns the states in which a membership operation leaves s when
// it takes effect there.
func (m *rules) memberApply(s *state, e *event) []*state {
	seen, ok := m.silences(s, e, e.op.Clock, granted)
	if !ok {
		return nil
	}
	switch e.op.Call.Kind {
	case op.MarkFailed, op.DeregisterNode:
		return []*state{s.withNode(e.node, e.memberOf(m.memberEffect(s, e, 0), seen))}
	}
	if !e.timed {
		return []*state{s.withNode(e.node, e.memberOf(m.memberEffect(s, e, 0), span{}))}
	}
	var next []*state
	for _, clock := range each(e.op.Clock) {
		c := hull(clock)
		next = append(next, s.withNode(e.node, e.memberOf(m.memberEffect(s, e, c.lo), c)))
	}
	return next
}

func (m *rules) memberRefuse(s *state, e *event) []*state {
	a := &e.op.Result
	out := s
	if !a.Node.Ref.IsZero() {
		states := s.ifNode(e.node, e.timed, a.Node)
		if states == nil {
			return nil
		}
		out = states[0]
	}
	seen, ok := m.silences(out, e, refusalClock(e), refusedFor(a.Reason))
	if !ok {
		return nil
	}
	if n := out.nodes[e.node]; seen != n.seen() {
		out = out.withNode(e.node, n.seenAt(seen))
	}
	return []*state{out}
}
