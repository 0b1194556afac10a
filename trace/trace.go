package trace

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/linearizability"
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
	Op       linearizability.Op
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
		got, next := s.step(t.Config, e)
		if !e.explainedBy(got) {
			return &Rejection{Step: i + 1, Steps: len(t.Events), Event: t.describe(e), Possible: t.answerText(e.Op.Kind, got)}
		}
		s = next
	}
	return nil
}

// answer is what an operation is answered: a refusal, or a success with what
// it carries.
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

// step answers e as the specification does and returns the state it leaves. s
// is not changed.
func (s state) step(cfg registry.Config, e Event) (answer, state) {
	a, m := e.Op.Ask, s.members[e.Op.Ask.Node.ID]
	r := s.records[a.Actor]
	r.Actor = a.Actor
	next, g := r, reference.Enabled
	switch e.Op.Kind {
	case linearizability.KindClaim:
		if !reference.ClaimRepeats(cfg, r, a.Node, a.ClaimID, e.Now) {
			g = reference.ClaimGuard(cfg, r, m.Standing(a.Node), e.Now)
			next = reference.ClaimEffect(cfg, r, a.Node, a.ClaimID, e.Now)
		}
	case linearizability.KindRenew:
		g = reference.RenewGuard(cfg, r, a.Node, a.Token, e.Now)
		next = reference.RenewEffect(cfg, r, e.Now)
	case linearizability.KindRelease:
		if !reference.ReleaseRepeats(r, a.Token) {
			g = reference.ReleaseGuard(r, a.Node, a.Token)
			next = reference.ReleaseEffect(r)
		}
	case linearizability.KindTransfer:
		g = reference.TransferGuard(cfg, r, a.Node, a.Token, s.members[a.To.ID].Standing(a.To), e.Now)
		next = reference.TransferEffect(cfg, r, a.To, e.Now)
	case linearizability.KindValidate:
		g = reference.ValidateGuard(r, a.Token)
	case linearizability.KindLookup, linearizability.KindWatch:
	default:
		return s.memberStep(cfg, e, m)
	}
	if g != reference.Enabled {
		return answer{reason: g.Refusal()}, s
	}
	got := answer{}
	if carriesRecord(e.Op.Kind) && next.Version > 0 {
		got.record = next
	}
	if next != r {
		s.records = with(s.records, a.Actor, next)
	}
	return got, s
}

func (s state) memberStep(cfg registry.Config, e Event, m reference.Member) (answer, state) {
	a := e.Op.Ask
	next, g := m, reference.Enabled
	switch e.Op.Kind {
	case linearizability.KindRegisterNode:
		g = reference.RegisterNodeGuard(m, a.Mode)
		next = reference.RegisterNodeEffect(m, a.Node.ID, a.Info, e.Now)
	case linearizability.KindHeartbeat:
		g = reference.HeartbeatGuard(m, a.Node)
		next = reference.HeartbeatEffect(m, e.Now)
	case linearizability.KindMarkFailed:
		if !reference.MarkFailedRepeats(m, a.Node) {
			g = reference.MarkFailedGuard(cfg, m, a.Node, e.Now)
			next = reference.MarkFailedEffect(m)
		}
	case linearizability.KindDeregisterNode:
		g = reference.DeregisterNodeGuard(m, a.Node)
		next = reference.DeregisterNodeEffect(m)
	}
	if g != reference.Enabled {
		return answer{reason: g.Refusal()}, s
	}
	got := answer{}
	if carriesNode(e.Op.Kind) {
		got.node = next
	}
	if next != m {
		s.members = with(s.members, a.Node.ID, next)
	}
	return got, s
}

func with[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	out := make(map[K]V, len(m)+1)
	for key, value := range m {
		out[key] = value
	}
	out[k] = v
	return out
}

func carriesRecord(k linearizability.Kind) bool {
	return slices.Contains([]linearizability.Kind{
		linearizability.KindClaim, linearizability.KindRenew, linearizability.KindTransfer,
		linearizability.KindLookup, linearizability.KindWatch,
	}, k)
}

func carriesNode(k linearizability.Kind) bool {
	return k == linearizability.KindRegisterNode || k == linearizability.KindGetNode
}

// answered is what the history says that the operation was answered.
func (e Event) answered() answer {
	if e.Op.Outcome == linearizability.OutcomeRefused {
		return answer{reason: e.Op.Answer.Reason.Err()}
	}
	got := answer{}
	if carriesRecord(e.Op.Kind) {
		got.record = e.Op.Answer.Record
	}
	if carriesNode(e.Op.Kind) {
		got.node = e.Op.Answer.Node
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
	a := e.Op.Ask
	var b strings.Builder
	fmt.Fprintf(&b, "op %d by %s: %s(", e.Op.ID, e.Op.Client, e.Op.Kind)
	var args []string
	if a.Actor != (registry.ActorID{}) {
		args = append(args, a.Actor.String())
	}
	if a.Node.ID != "" && a.Node.Epoch == 0 {
		args = append(args, string(a.Node.ID))
	} else if !a.Node.IsZero() {
		args = append(args, a.Node.String())
	}
	if a.Token != 0 {
		args = append(args, fmt.Sprintf("token %d", a.Token))
	}
	if !a.To.IsZero() {
		args = append(args, "to "+a.To.String())
	}
	if a.Mode != registry.IfAbsent {
		args = append(args, a.Mode.String())
	}
	fmt.Fprintf(&b, "%s), ", strings.Join(args, ", "))
	if timed(e.Op.Kind) {
		fmt.Fprintf(&b, "clock %v, ", e.Now.Sub(t.start()))
	}
	if e.Answered {
		b.WriteString(t.answerText(e.Op.Kind, e.answered()))
	} else {
		b.WriteString("its answer lost")
	}
	return b.String()
}

// answerText prints what an operation is answered.
func (t Trace) answerText(k linearizability.Kind, a answer) string {
	switch r := a.record; {
	case a.reason != nil:
		return "refused: " + string(linearizability.ReasonOf(a.reason))
	case carriesRecord(k) && r.Version == 0:
		return "answered: no record"
	case carriesRecord(k):
		return fmt.Sprintf("answered: held by %v, token %d, version %d, expiry %v", r.Holder, r.Token, r.Version, r.Expiry.Sub(t.start()))
	case carriesNode(k) && a.node.Ref.IsZero():
		return "answered: never registered"
	case carriesNode(k):
		return fmt.Sprintf("answered: %v %v, last seen %v", a.node.Ref, a.node.Status, a.node.LastSeen.Sub(t.start()))
	}
	return "answered: done"
}

// start is the earliest reading in the trace.
func (t Trace) start() registry.Instant {
	var start registry.Instant
	for _, e := range t.Events {
		if timed(e.Op.Kind) && (start == 0 || e.Now < start) {
			start = e.Now
		}
	}
	return start
}
