package linearizability

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// disagreement says why the model cannot answer as the registry did.
type disagreement struct {
	rule                  contract.RuleID
	guard, found, allowed string
}

// disagree explains why e cannot take effect in s. It asks the model what it
// would have done, and compares.
func (m *rules) disagree(d describer, s *state, e *event) disagreement {
	switch e.role {
	case rowRead:
		return m.otherRecord(d, s, e, *e.record)
	case nodeRead:
		return m.otherNode(d, s, e, *e.member)
	case absent:
		r := s.recs[e.rec]
		return disagreement{contract.Linearizability, "Complete", d.op(e.op) + ", not with exactly one row for " + r.Actor.String(), "one row for it: it was " + d.spanRecord(r)}
	case nodeAway:
		n := s.nodes[e.node]
		return disagreement{contract.Linearizability, "Complete", d.op(e.op) + ", not with exactly one row for " + string(n.Ref.ID), "one row for it: it was " + d.Node(n.Member)}
	case finalMark:
		return m.otherEnd(d, s, e.target)
	}
	switch e.op.Call.Kind {
	case op.Lookup, op.Watch:
		return m.otherRecord(d, s, e, e.op.Result.Record)
	case op.GetNode:
		return m.otherNode(d, s, e, e.op.Result.Node)
	}
	if e.op.Call.Kind.OfNode() {
		return m.memberDisagree(d, s, e)
	}
	if e.op.Result.Outcome == op.Refused {
		return m.wrongRefusal(d, s, e)
	}
	return m.wrongSuccess(d, s, e)
}

// otherEnd says that the calls lead to another state than the one that was seen next.
// Where a released tenure goes on in that, the release was lost.
func (m *rules) otherEnd(d describer, s, seen *state) disagreement {
	out := disagreement{contract.VersionBump, "Version", "the calls before leave " + m.describe(d, s), "the record that was seen next: " + m.describe(d, seen)}
	for i, r := range s.recs {
		if next := seen.recs[i]; !r.Held() && next.Held() && next.Token == r.Token {
			out.rule, out.guard = "Release.granted", "Holder"
		}
	}
	return out
}

func (m *rules) otherRecord(d describer, s *state, e *event, p registry.Placement) disagreement {
	r := s.recs[e.rec]
	rule := contract.Linearizability
	what := "Record"
	if p.Version < r.Version {
		what = "Version"
	}
	return disagreement{rule, what, d.op(e.op), "the record as it was: " + d.spanRecord(r)}
}

func (m *rules) otherNode(d describer, s *state, e *event, n registry.Node) disagreement {
	have := s.nodes[e.node].Member
	what := "Status"
	switch {
	case n.Ref != have.Ref:
		what = "Epoch"
	case n.Status == have.Status && n.Info != have.Info:
		what = "Info"
	case n.Status == have.Status:
		what = "LastSeen"
	}
	return disagreement{contract.Linearizability, what, d.op(e.op), "the registration as it was: " + d.Node(have)}
}

// instants are readings to try: those seen, or for an interval its ends and the
// boundaries within it.
func (m *rules) instants(e *event, expiry registry.Instant) []registry.Instant {
	clock := e.clock()
	if e.op.Result.Outcome == op.OK && e.op.Call.Kind.Grants() {
		if c := plus(e.op.Result.Record.Expiry, -m.cfg.TTL); clock.Contains(c) {
			return []registry.Instant{c} // the answer tells which
		}
	}
	if !clock.Interval {
		return clock.Seen
	}
	out := []registry.Instant{clock.Lo, clock.Hi}
	for _, b := range m.lease {
		for _, c := range []registry.Instant{expiry.Add(b) - 1, expiry.Add(b)} {
			if clock.Contains(c) {
				out = append(out, c)
			}
		}
	}
	return out
}

func (m *rules) wrongSuccess(d describer, s *state, e *event) disagreement {
	r := s.recs[e.rec]
	out := disagreement{rule: contract.Linearizability, found: d.op(e.op)}
	var c registry.Instant
	if at := m.instants(e, r.Expiry); len(at) > 0 {
		c = at[0]
	} else if e.op.Call.Kind.Timed() {
		out.guard, out.allowed = "Expiry", "an answer by a reading of the clock: the call made none"
		return out
	}
	decision := m.decide(s, e, r.Expiry, c)
	g := decision.Guard
	if g == reference.Enabled {
		return m.wrongEffect(d, s, e, c, decision.Repeats)
	}
	out.guard, out.allowed = string(g), refusalName(g)+": the record was "+d.spanRecord(r)
	switch g {
	case reference.Claimable:
		if e.op.Result.Record == r.Record { // the lease that lapsed, told again
			out.guard = string(reference.NotLapsed)
			return out
		}
		out.rule = contract.TakingOver(m.cfg, r.Record, e.op.Call.Node, c)
		out.allowed = fmt.Sprintf("ErrHeld: at reading %s the lease of %v was %s", d.Time(c), r.Holder, d.phase(m.cfg, r.Expiry, c))
	case reference.NotLapsed, reference.StillLive:
		out.rule = contract.SingleActivation
		out.allowed = fmt.Sprintf("ErrLapsed: at reading %s the lease was %s", d.Time(c), d.phase(m.cfg, r.Expiry, c))
	case reference.TokenCurrent, reference.TenureHeld:
		out.rule = contract.NoStaleWrite
	case reference.NodeKnown, reference.NodeNotFailed:
		out.allowed = refusalName(g) + ": the node was " + d.standing(s, e)
	}
	return out
}

func (d describer) standing(s *state, e *event) string {
	n := s.nodes[e.node].Member
	if n.Ref.IsZero() {
		return "never registered"
	}
	return fmt.Sprintf("%v %v", n.Ref, n.Status)
}

// wrongEffect names the part of an enabled operation's effect that disagrees.
func (m *rules) wrongEffect(d describer, s *state, e *event, c registry.Instant, repeat bool) disagreement {
	out := disagreement{rule: contract.Linearizability, guard: "Effect", found: d.op(e.op), allowed: "success"}
	if !e.op.Call.Kind.Grants() {
		return out
	}
	r, got := s.recs[e.rec], e.op.Result.Record
	want := r.Record
	if !repeat {
		want = m.effect(s, e, r.Expiry, c).Record
	}
	out.allowed = fmt.Sprintf("%s, by readings %s", d.Record(want), d.readings(e.clock()))
	switch {
	case repeat:
		out.rule, out.guard = "Claim.repeated", "Lease"
	case got.Token != want.Token:
		out.rule, out.guard = contract.WrongToken(e.op.Call.Kind, got.Token, want.Token), "Token"
		if want.Token != r.Token {
			out.allowed = fmt.Sprintf("token %d, one more than the last: %s", want.Token, out.allowed)
		}
	case got.Version != want.Version:
		out.rule, out.guard = contract.VersionBump, "Version"
	case got.Expiry != want.Expiry:
		out.guard = "Expiry"
	}
	return out
}

func (m *rules) wrongRefusal(d describer, s *state, e *event) disagreement {
	r := s.recs[e.rec]
	a := &e.op.Result
	out := disagreement{rule: contract.Linearizability, found: d.op(e.op)}
	if a.Record.Version != 0 {
		if _, ok := m.match(r, a.Record); !ok {
			out.guard, out.allowed = "Record", "what was there: "+d.spanRecord(r)
			return out
		}
	}
	if e.tellsParty() && s.ifNode(e.node, e.timed, a.Node) == nil {
		out.guard, out.allowed = m.otherNode(d, s, e, a.Node).guard, "what was there: "+d.standing(s, e)
		return out
	}
	out.guard = string(refusedBy(e.op.Call.Kind, a.Reason))
	could := map[string]bool{}
	instants := m.instants(e, r.Expiry)
	if len(instants) == 0 {
		instants = []registry.Instant{0}
	}
	for _, c := range instants {
		g := m.decide(s, e, r.Expiry, c).Guard
		switch g {
		case reference.NodeKnown, reference.NodeNotFailed:
			could[refusalName(g)+": the node was "+d.standing(s, e)] = true
			continue
		}
		name := "success"
		if g != reference.Enabled {
			name = refusalName(g)
		}
		could[fmt.Sprintf("%s: at reading %s the record was %s", name, d.Time(c), d.spanRecord(r))] = true
	}
	if len(e.clock().Seen) == 0 && !e.clock().Interval {
		could = map[string]bool{"a refusal by a reading of the clock: the call made none": true}
	}
	out.allowed = joinSorted(could)
	return out
}

func joinSorted(set map[string]bool) string {
	list := make([]string, 0, len(set))
	for s := range set {
		list = append(list, s)
	}
	slices.Sort(list)
	return strings.Join(list, "; or ")
}

// guards in the order in which actions report them.
var guards = []reference.Guard{
	reference.NodeKnown, reference.NodeNotFailed, reference.NodeAbsent, reference.NodeSilent,
	reference.TokenCurrent, reference.TenureHeld, reference.NotLapsed, reference.StillLive, reference.Claimable,
}

// refusedBy returns the guard of the kind's action that refuses for the reason.
func refusedBy(k op.Kind, reason op.Reason) reference.Guard {
	for _, g := range guards {
		if g.Refusal() == reason.Err() && (g != reference.NotLapsed || k != op.Transfer) {
			return g
		}
	}
	return reference.Enabled
}

func (m *rules) memberDisagree(d describer, s *state, e *event) disagreement {
	n := s.nodes[e.node].Member
	out := disagreement{rule: contract.Linearizability, found: d.op(e.op)}
	out.allowed = "the node was " + d.Node(n)
	var c registry.Instant
	if clock := e.clock(); clock.Interval {
		c = clock.Lo
	} else if len(clock.Seen) > 0 {
		c = clock.Seen[0]
	}
	g := m.decideMember(s, e, n.LastSeen, c).Guard
	told := e.op.Result.Node
	_, same := s.nodes[e.node].match(told)
	switch {
	case e.op.Result.Outcome == op.Refused && !told.Ref.IsZero() && !same:
		out.guard = m.otherNode(d, s, e, told).guard
		out.allowed = "what was there: " + d.Node(n)
	case g != reference.Enabled:
		out.guard = string(g)
		out.allowed = refusalName(g) + ": " + out.allowed
		if g == reference.NodeSilent {
			out.allowed += fmt.Sprintf(", and may be failed from %s on; the clock read %s", d.Time(m.cfg.FailedAt(n.LastSeen)), d.readings(e.clock()))
		}
	case e.op.Result.Outcome == op.Refused:
		out.allowed = "success: " + out.allowed
	default:
		out.guard = "Effect"
		if e.op.Call.Kind == op.RegisterNode && e.op.Result.Node.Ref.Epoch != n.Ref.Epoch+1 {
			out.rule, out.guard = contract.EpochFresh, "Epoch"
			out.allowed = fmt.Sprintf("epoch %d: %s", n.Ref.Epoch+1, out.allowed)
		}
	}
	return out
}

// describe renders a state.
func (m *rules) describe(d describer, s *state) string {
	var parts []string
	for _, r := range s.recs {
		parts = append(parts, r.Actor.String()+" "+d.spanRecord(r))
	}
	for _, n := range s.nodes {
		if !n.Ref.IsZero() {
			parts = append(parts, fmt.Sprintf("%v %v", n.Ref, n.Status))
		}
	}
	return strings.Join(parts, "; ")
}

// explain turns a segment without a linearization into a violation: the longest
// order found, the operation that then could not be placed before it returned,
// and what stood against it in each state that the order can have led to.
func (m *rules) explain(h *history.History, f *failure) Violation {
	d := newDescriber(h)
	var stop, tooMany atomic.Bool
	pending, seg := unknowns(f.seg.events), segment{f.seg.from, f.seg.certain()}
	_, info := porcupine.CheckOperationsVerbose(m.model(seg.from, pending, &stop, &tooMany), operations(seg.events), explainTimeout)
	prefix := seg.longest(info.PartialLinearizations()[0])
	at := frontier{points: []point{{state: seg.from}}}
	for _, e := range prefix {
		at, _ = m.advance(at, e, pending)
	}
	front := states(at)
	stuck := seg.stuck(prefix)
	v := Violation{Subject: f.part.subject}
	for _, e := range prefix {
		if e.op != nil {
			v.Prefix = append(v.Prefix, e.op.ID)
		}
	}
	for _, s := range front {
		v.States = append(v.States, m.describe(d, s))
	}
	dis := m.disagree(d, front[0], stuck)
	v.Rule, v.Guard, v.Found, v.Allowed = dis.rule, dis.guard, dis.found, dis.allowed
	o := stuck.op
	if o == nil && len(prefix) > 0 {
		o = prefix[len(prefix)-1].op
	}
	if o != nil {
		v.Op, v.Action = o.ID, o.Call.Kind
	}
	for _, s := range front[1:] {
		if o := m.disagree(d, s, stuck); !strings.Contains(v.Allowed, o.allowed) {
			v.Allowed += "; or " + o.allowed
		}
	}
	return v
}

// states are the different states of a frontier.
func states(f frontier) (list []*state) {
	for _, p := range f.points {
		if !slices.ContainsFunc(list, p.state.equal) {
			list = append(list, p.state)
		}
	}
	return list
}

// explainTimeout bounds the second search of a conviction, for its longest
// prefix: a shorter one explains as well.
const explainTimeout = 10 * time.Second

// stuck returns the event that had to come next: of those not placed, the one
// that returned first.
func (s segment) stuck(placed []*event) *event {
	done := make(map[*event]bool, len(placed))
	for _, e := range placed {
		done[e] = true
	}
	var out *event
	for _, e := range s.events {
		if !done[e] && (out == nil || e.ret < out.ret) {
			out = e
		}
	}
	return out
}

// longest returns the longest of Porcupine's partial linearizations, the first
// by operation of several.
func (s segment) longest(partials [][]int) []*event {
	var best []int
	for _, p := range partials {
		if len(p) > len(best) || len(p) == len(best) && slices.Compare(p, best) < 0 {
			best = p
		}
	}
	events := make([]*event, len(best))
	for i, id := range best {
		events[i] = s.events[id]
	}
	return events
}
