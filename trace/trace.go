package trace

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Errors of [Linearize]. Match with [errors.Is].
var (
	ErrEmpty     = errors.New("the history has no operation to check")
	ErrInexact   = errors.New("the reading of a clock is not known exactly")
	ErrUndecided = errors.New("no order of the operations was found, and not all were tried")
)

// Trace is a history as one sequence of atomic steps.
type Trace struct {
	Config registry.Config
	Events []Event
}

// Event is one operation at the place that it took effect.
type Event struct {
	Op       history.Op
	Now      registry.Instant // the reading that the attempt used; 0 where the operation reads no clock
	Answered bool             // false: the answer was lost, the operation took effect
}

// Rejection says that a trace is not a behaviour of the specification.
type Rejection struct {
	Step     int    // from 1
	Steps    int    // in the trace
	Event    string // the impossible action with its arguments, clock and answer
	Possible string // what the specification answers instead
}

// Error names the step, the impossible action and the possible one.
func (r *Rejection) Error() string {
	return fmt.Sprintf("step %d of %d is not a step of Registry\n  impossible  %s\n  possible    %s", r.Step, r.Steps, r.Event, r.Possible)
}

// Check replays the trace through the reference. The error is a [*Rejection].
func (t Trace) Check() error {
	s := newState()
	for i, e := range t.Events {
		got, _ := s.step(t.Config, e)
		if !e.explainedBy(got) {
			return &Rejection{Step: i + 1, Steps: len(t.Events), Event: t.describe(e), Possible: t.answerText(e.Op.Call.Kind, got)}
		}
	}
	return nil
}

// answer is what an operation is answered: a success with what it carries, or a
// refusal with the record and the registration that it tells. A refusal's details
// are true or absent.
type answer struct {
	reason error
	record registry.Placement
	node   registry.Node
}

// state holds the records and registrations of one point in the trace.
type state struct {
	records map[registry.ActorID]reference.Record
	members map[registry.NodeID]reference.Member
}

func newState() state {
	return state{map[registry.ActorID]reference.Record{}, map[registry.NodeID]reference.Member{}}
}

// step answers e as the specification does and goes on to the state that e leaves; undo
// goes back.
func (s state) step(cfg registry.Config, e Event) (got answer, undo func()) {
	c := &e.Op.Call
	before := reference.View{Record: s.records[c.Actor], Member: s.members[c.Party()]}
	before.Record.Actor = c.Actor
	v, d := reference.Step(cfg, before, c, e.Now)
	if d.Guard != reference.Enabled {
		return s.refusal(d.Guard.Refusal(), e), func() {}
	}
	if carriesRecord(c.Kind) && v.Record.Version > 0 {
		got.record = v.Record
	}
	if carriesNode(c.Kind) {
		got.node = v.Member
	}
	s.put(c, v)
	return got, func() { s.put(c, before) }
}

// put has what the call is about be as in v.
func (s state) put(c *op.Call, v reference.View) {
	s.records[c.Actor], s.members[c.Party()] = v.Record, v.Member
}

// refusal is the refusal of e with the details that e tells, as they are in s.
func (s state) refusal(reason error, e Event) answer {
	got, told := answer{reason: reason}, e.answered()
	if told.record.Version > 0 {
		got.record = s.records[e.Op.Call.Actor]
	}
	if !told.node.Ref.IsZero() {
		got.node = s.members[told.node.Ref.ID]
	}
	return got
}

func carriesRecord(k op.Kind) bool {
	return k.Grants() || k == op.Lookup || k == op.Watch
}

func carriesNode(k op.Kind) bool {
	return k == op.RegisterNode || k == op.GetNode
}

// answered is what the history says that the operation was answered.
func (e Event) answered() answer {
	if r := e.Op.Result; r.Outcome == op.Refused {
		return answer{reason: r.Reason.Err(), record: r.Record, node: r.Node}
	}
	got := answer{}
	if carriesRecord(e.Op.Call.Kind) {
		got.record = e.Op.Result.Record
	}
	if carriesNode(e.Op.Call.Kind) {
		got.node = e.Op.Result.Node
	}
	return got
}

// explainedBy: a lost answer is explained by any success.
func (e Event) explainedBy(got answer) bool {
	if !e.Answered {
		return got.reason == nil
	}
	return e.answered() == got
}

// describe prints an event for people; instants are relative to the first.
func (t Trace) describe(e Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "op %d by %s: %s, ", e.Op.ID, e.Op.Client, op.Text{}.Call(&e.Op.Call))
	if e.Op.Call.Kind.Timed() {
		fmt.Fprintf(&b, "clock %v, ", e.Now.Sub(t.start()))
	}
	if e.Answered {
		b.WriteString(t.answerText(e.Op.Call.Kind, e.answered()))
	} else {
		b.WriteString("its answer lost")
	}
	return b.String()
}

// answerText prints what an operation is answered.
func (t Trace) answerText(k op.Kind, a answer) string {
	record, node := t.recordText(a.record), t.nodeText(a.node)
	switch {
	case a.reason != nil:
		parts := []string{"refused: " + string(op.ReasonOf(a.reason))}
		if record != "" {
			parts = append(parts, record)
		}
		if node != "" {
			parts = append(parts, node)
		}
		return strings.Join(parts, ", ")
	case carriesRecord(k):
		return "answered: " + cmp.Or(record, "no record")
	case carriesNode(k):
		return "answered: " + cmp.Or(node, "never registered")
	}
	return "answered: done"
}

func (t Trace) recordText(r registry.Placement) string {
	if r.Version == 0 {
		return ""
	}
	holder := "held by " + r.Holder.String()
	if r.Holder.IsZero() {
		holder = "held by nobody"
	}
	return fmt.Sprintf("%s, token %d, version %d, expiry %v", holder, r.Token, r.Version, r.Expiry.Sub(t.start()))
}

func (t Trace) nodeText(n registry.Node) string {
	if n.Ref.IsZero() {
		return ""
	}
	return fmt.Sprintf("%v %v, last seen %v", n.Ref, n.Status, n.LastSeen.Sub(t.start()))
}

// start is the earliest reading in the trace.
func (t Trace) start() registry.Instant {
	var start registry.Instant
	for _, e := range t.Events {
		if e.Op.Call.Kind.Timed() && (start == 0 || e.Now < start) {
			start = e.Now
		}
	}
	return start
}
