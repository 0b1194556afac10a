package linearizability

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

func isMemberKind(k Kind) bool {
	switch k {
	case KindRegisterNode, KindHeartbeat, KindMarkFailed, KindDeregisterNode, KindGetNode, KindListNodes:
		return true
	}
	return false
}

// memberGuard evaluates the guard of a membership operation with a last-seen
// time and a reading.
func (m *rules) memberGuard(s *state, e *event, seen, c registry.Instant) (g reference.Guard, repeat bool) {
	n := s.nodes[e.node].Member
	n.LastSeen = seen
	a := &e.op.Ask
	switch e.op.Kind {
	case KindRegisterNode:
		return reference.RegisterNodeGuard(n, a.Mode), false
	case KindHeartbeat:
		return reference.HeartbeatGuard(n, a.Node), false
	case KindMarkFailed:
		if reference.MarkFailedRepeats(n, a.Node) {
			return reference.Enabled, true
		}
		return reference.MarkFailedGuard(m.cfg, n, a.Node, c), false
	default: // KindDeregisterNode
		return reference.DeregisterNodeGuard(n, a.Node), false
	}
}

func (m *rules) memberEffect(s *state, e *event, c registry.Instant) reference.Member {
	n := s.nodes[e.node].Member
	a := &e.op.Ask
	switch e.op.Kind {
	case KindRegisterNode:
		return reference.RegisterNodeEffect(n, a.Node.ID, a.Info, c)
	case KindHeartbeat:
		return reference.HeartbeatEffect(n, c)
	case KindMarkFailed:
		return reference.MarkFailedEffect(n)
	default: // KindDeregisterNode
		return reference.DeregisterNodeEffect(n)
	}
}

// silences returns the part of the node's possible last-seen times from which
// want holds of the guard for some reading of clock. In a partition that does
// not know last-seen times, silence is taken for granted: it is judged in the
// node's own partition.
func (m *rules) silences(s *state, e *event, clock Readings, want func(g reference.Guard, repeat bool) bool) (span, bool) {
	seen := s.nodes[e.node].seen()
	if !e.timed || e.op.Kind != KindMarkFailed {
		return seen, want(m.memberGuard(s, e, seen.lo, m.cfg.FailedAt(seen.lo)))
	}
	return m.silence.feasible(seen, clock, func(x, c registry.Instant) bool { return want(m.memberGuard(s, e, x, c)) })
}

func (m *rules) memberSucceed(s *state, e *event) []*state {
	op := e.op
	switch op.Kind {
	case KindGetNode:
		if !op.Answer.Found {
			return s.when(s.nodes[e.node].Ref.IsZero())
		}
		if op.Answer.Node.Ref.IsZero() {
			return nil
		}
		return s.ifNode(e.node, e.timed, op.Answer.Node)
	case KindRegisterNode:
		n := op.Answer.Node
		_, ok := m.silences(s, e, op.Clock, granted)
		if !ok || m.memberEffect(s, e, n.LastSeen) != n || e.timed && !op.Clock.Contains(n.LastSeen) {
			return nil
		}
		return []*state{s.withNode(e.node, e.memberOf(n, at(n.LastSeen)))}
	}
	var next []*state
	if _, ok := m.silences(s, e, anyIfNone(op), repeated); ok {
		next = append(next, s)
	}
	return append(next, m.memberApply(s, e)...)
}

// anyIfNone returns the operation's readings, or any where it saw none: marking
// a failed node again needs no clock.
func anyIfNone(op *Op) Readings {
	if !op.Clock.Interval && len(op.Clock.Seen) == 0 {
		return AnyReading()
	}
	return op.Clock
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
	switch e.op.Kind {
	case KindMarkFailed, KindDeregisterNode:
		return []*state{s.withNode(e.node, e.memberOf(m.memberEffect(s, e, 0), seen))}
	}
	if !e.timed {
		return []*state{s.withNode(e.node, e.memberOf(m.memberEffect(s, e, 0), span{}))}
	}
	var next []*state
	for _, clock := range e.op.Clock.each() {
		c := clock.hull()
		next = append(next, s.withNode(e.node, e.memberOf(m.memberEffect(s, e, c.lo), c)))
	}
	return next
}

func (m *rules) memberRefuse(s *state, e *event) []*state {
	a := &e.op.Answer
	out := s
	if !a.Node.Ref.IsZero() {
		states := s.ifNode(e.node, e.timed, a.Node)
		if states == nil {
			return nil
		}
		out = states[0]
	}
	seen, ok := m.silences(out, e, refusalClock(e), func(g reference.Guard, repeat bool) bool {
		return !repeat && g != reference.Enabled && g.Refusal() == a.Reason.Err()
	})
	if !ok {
		return nil
	}
	if n := out.nodes[e.node]; seen != n.seen() {
		out = out.withNode(e.node, n.seenAt(seen))
	}
	return []*state{out}
}
