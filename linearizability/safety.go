package linearizability

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

// Some contradictions need no search: they hold whatever the interleaving was.
// Each check here states a fact that is true of every linearization, and so
// cannot convict a right registry; the search remains the judge of everything
// else. They run first because they can say in one sentence what is wrong.

// The guarantees of the contract, as rules of violations.
const (
	RuleSingleActivation = "SingleActivation"
	RuleGraceRespected   = "GraceRespected"
	RuleTokenMonotonic   = "TokenMonotonic"
	RuleNoStaleWrite     = "NoStaleWrite"
	RuleVersionBump      = "VersionBump"
	RuleLinearizability  = "Linearizability"
	RuleContract         = "Contract" // the operation table: arguments, answers, errors
)

// maxViolations bounds what a check reports.
const maxViolations = 100

// safety runs every check that needs no search. The violation whose operation
// returned first stands first: what follows is often only its consequence.
func safety(h *History) []Violation {
	s := &scan{cfg: h.Config, h: h, d: newDescriber(h), rules: newRules(h.Config)}
	for i := range h.Ops {
		s.answer(&h.Ops[i])
	}
	for _, v := range actorViews(h) {
		s.actor(v)
	}
	for _, v := range nodeViews(h) {
		s.node(v)
	}
	slices.SortStableFunc(s.out, func(a, b Violation) int {
		return cmp.Compare(h.Ops[a.Op].Return, h.Ops[b.Op].Return)
	})
	return s.out[:min(len(s.out), maxViolations)]
}

type scan struct {
	cfg   registry.Config
	h     *History
	d     describer
	rules *rules
	out   []Violation
}

func (s *scan) report(op *Op, rule, guard, subject, found, allowed string, others ...*Op) {
	v := Violation{Rule: rule, Action: op.Kind, Guard: guard, Subject: subject, Op: op.ID, Found: found, Allowed: allowed}
	for _, o := range others {
		v.Others = append(v.Others, o.ID)
	}
	s.out = append(s.out, v)
}

func subjectOf(op *Op) string {
	if isMemberKind(op.Kind) || op.Kind == KindListActors {
		if op.Ask.Node.ID == "" {
			return "nodes"
		}
		return "node " + string(op.Ask.Node.ID)
	}
	return "actor " + op.Ask.Actor.String()
}

// answer judges one call by itself.
func (s *scan) answer(op *Op) {
	bad := func(guard, found, allowed string) { s.report(op, RuleContract, guard, subjectOf(op), found, allowed) }
	a := &op.Answer
	switch op.Outcome {
	case OutcomeUnlisted:
		bad("", s.d.op(op), "an error that the contract lists")
		return
	case OutcomeInvalid:
		if err := op.Ask.validate(op.Kind); err == nil && op.Ask.Page.After == "" {
			bad("ErrInvalid", fmt.Sprintf("%s = %s, though every argument is within its limits", s.d.asked(op), a.Error), "any other answer")
		}
		return
	case OutcomeOK, OutcomeRefused:
		if err := op.Ask.validate(op.Kind); err != nil {
			bad("ErrInvalid", fmt.Sprintf("%s, though %v", s.d.op(op), err), "ErrInvalid, before anything is looked at")
			return
		}
	default:
		return
	}
	if op.Outcome == OutcomeRefused {
		s.refusal(op, bad)
		return
	}
	s.success(op, bad)
}

func (s *scan) refusal(op *Op, bad func(guard, found, allowed string)) {
	a := &op.Answer
	switch {
	case !mayRefuse(op.Kind):
		bad("", s.d.op(op), "an answer: "+string(op.Kind)+" is never refused")
	case a.Reason == ReasonHeld && a.Record.Version == 0:
		bad("Claimable", "ErrHeld without the placement that was found", "ErrHeld with the placement")
	case a.Record.Version != 0 && a.Record.Actor != op.Ask.Actor:
		bad("", fmt.Sprintf("%s, but the placement is of actor %v", s.d.op(op), a.Record.Actor), "the placement of the actor asked for")
	case a.Now != 0 && !op.Clock.Contains(a.Now):
		bad("", fmt.Sprintf("%s, by reading %s, but its clock read %s", s.d.op(op), s.d.time(a.Now), s.d.readings(op.Clock)), "a reading that the attempt made")
	}
}

// success judges what an answer must repeat of the question.
func (s *scan) success(op *Op, bad func(guard, found, allowed string)) {
	q, a := &op.Ask, &op.Answer
	r := a.Record
	want := func(what string, ok bool) {
		if !ok {
			bad(what, s.d.op(op), "an answer with the "+what+" that was asked for")
		}
	}
	switch op.Kind {
	case KindClaim:
		want("Actor", r.Actor == q.Actor)
		want("Holder", r.Holder == q.Node)
		want("ClaimID", r.ClaimID == q.ClaimID)
	case KindRenew:
		want("Actor", r.Actor == q.Actor)
		want("Holder", r.Holder == q.Node)
		if r.Token != q.Token {
			s.report(op, RuleTokenMonotonic, "Token", subjectOf(op), fmt.Sprintf("%s: the renewal changed the token from %d to %d", s.d.op(op), q.Token, r.Token), "the token unchanged")
		}
	case KindTransfer:
		want("Actor", r.Actor == q.Actor)
		want("Holder", r.Holder == q.To)
		if r.Token != q.Token+1 {
			s.report(op, RuleTokenMonotonic, "Token", subjectOf(op), fmt.Sprintf("%s: the transfer of token %d gave token %d", s.d.op(op), q.Token, r.Token), fmt.Sprintf("token %d", q.Token+1))
		}
		s.reading(op, r)
	case KindLookup, KindWatch:
		want("Actor", !a.Found || r.Actor == q.Actor)
		if op.Kind == KindWatch && r.Version == q.Seen {
			bad("Version", s.d.op(op), fmt.Sprintf("an answer once the version is no longer %d", q.Seen))
		}
	case KindGetNode:
		want("NodeID", !a.Found || a.Node.Ref.ID == q.Node.ID)
	case KindRegisterNode:
		want("NodeID", a.Node.Ref.ID == q.Node.ID)
		if !op.Clock.Contains(a.Node.LastSeen) {
			bad("LastSeen", fmt.Sprintf("%s, but its clock read %s", s.d.op(op), s.d.readings(op.Clock)), "last seen at a reading of the call")
		}
	case KindListActors:
		for _, p := range a.Actors {
			if p.Holder != q.Node {
				bad("Holder", fmt.Sprintf("%s, with a row that %v holds", s.d.op(op), p.Holder), "rows held by the node asked for")
				return
			}
		}
		want("page limit", len(a.Actors) <= q.Page.Rows())
	case KindListNodes:
		for _, n := range a.Nodes {
			if !listed(n, q.Status) {
				bad("Status", fmt.Sprintf("%s, with a row that is %v", s.d.op(op), n.Status), "rows of the status asked for")
				return
			}
		}
		want("page limit", len(a.Nodes) <= q.Page.Rows())
	}
}

// reading convicts a grant whose expiry is not a reading of its clock plus TTL.
func (s *scan) reading(op *Op, r registry.Placement) {
	c := plus(r.Expiry, -s.cfg.TTL)
	if !op.Clock.Contains(c) {
		s.report(op, RuleSingleActivation, "Expiry", subjectOf(op),
			fmt.Sprintf("%s: expiry - TTL is %s, but the clock of %s read %s", s.d.op(op), s.d.time(c), op.Client, s.d.readings(op.Clock)),
			"an expiry of the attempt's clock reading plus TTL")
	}
}

// validate checks the arguments as the contract demands.
func (a Ask) validate(k Kind) error {
	lease := registry.Lease{Actor: a.Actor, Holder: a.Node, Token: a.Token}
	var checks []interface{ Validate() error }
	switch k {
	case KindClaim:
		checks = append(checks, a.Actor, a.Node, a.ClaimID)
	case KindRenew, KindRelease:
		checks = append(checks, lease)
	case KindTransfer:
		checks = append(checks, lease, a.To)
	case KindLookup, KindWatch:
		checks = append(checks, a.Actor)
	case KindValidate:
		checks = append(checks, a.Actor, a.Token)
	case KindListActors:
		checks = append(checks, a.Node, a.Page)
	case KindRegisterNode:
		checks = append(checks, a.Node.ID, a.Info, a.Mode)
	case KindHeartbeat, KindMarkFailed, KindDeregisterNode:
		checks = append(checks, a.Node)
	case KindGetNode:
		checks = append(checks, a.Node.ID)
	case KindListNodes:
		checks = append(checks, a.Status, a.Page)
	}
	for _, c := range checks {
		if err := c.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// sighting is an answer that showed an actor's record.
type sighting struct {
	op  *Op
	rec registry.Placement
}

// actorView is what a history says of one actor.
type actorView struct {
	subject   string
	actor     registry.ActorID
	events    []*event
	sightings []sighting                    // by call
	first     map[registry.Version]sighting // the first sighting of each version
	maker     map[registry.Version]*event   // answered operations that certainly made a version
}

func actorViews(h *History) []*actorView {
	views := map[registry.ActorID]*actorView{}
	var order []*actorView
	for o := range observe(h) {
		if o.actor == nil {
			continue
		}
		v := views[*o.actor]
		if v == nil {
			v = &actorView{subject: "actor " + o.actor.String(), actor: *o.actor, first: map[registry.Version]sighting{}}
			views[*o.actor] = v
			order = append(order, v)
		}
		e := o.event
		v.events = append(v.events, &e)
	}
	for _, v := range order {
		for _, e := range v.events {
			if r, ok := e.revealed(); ok {
				v.sightings = append(v.sightings, sighting{e.op, r})
			}
		}
		slices.SortStableFunc(v.sightings, func(a, b sighting) int { return cmp.Compare(a.op.Call, b.op.Call) })
		for _, g := range v.sightings {
			if _, ok := v.first[g.rec.Version]; !ok {
				v.first[g.rec.Version] = g
			}
		}
		v.maker = makers(v.events)
	}
	return order
}

func (s *scan) actor(v *actorView) {
	s.realTime(v)
	s.oneRecordPerVersion(v)
	s.oneMakerPerVersion(v)
	s.recordsInOrder(v)
	s.enoughMutations(v)
	s.predecessors(v)
	s.refusalTimes(v)
}

// oneRecordPerVersion: every mutation increases the version, so two records
// under one version are never both right.
func (s *scan) oneRecordPerVersion(v *actorView) {
	for _, g := range v.sightings {
		f := v.first[g.rec.Version]
		if g.rec == f.rec {
			continue
		}
		rule := RuleVersionBump
		if g.rec.Token == f.rec.Token && g.rec.Holder != f.rec.Holder && g.rec.Held() && f.rec.Held() {
			rule = RuleTokenMonotonic // one token for two holders
			if s.overlap(g, f) {
				rule = RuleSingleActivation
			}
		}
		s.report(g.op, rule, "Version", v.subject,
			fmt.Sprintf("two records under version %d: %s, and %s", g.rec.Version, s.d.record(f.rec), s.d.record(g.rec)),
			"one record per version: every mutation adds one to it", f.op)
		return
	}
}

// overlap reports whether both are grants: two nodes were told that they hold the actor.
func (s *scan) overlap(a, b sighting) bool {
	grants := func(op *Op) bool {
		return op.Outcome == OutcomeOK && (op.Kind == KindClaim || op.Kind == KindTransfer)
	}
	return grants(a.op) && grants(b.op)
}

// oneMakerPerVersion: two mutations that certainly happened cannot have made
// the same version.
func (s *scan) oneMakerPerVersion(v *actorView) {
	made := map[registry.Version]*Op{}
	for _, e := range v.events {
		if e.role != asked || e.op.Outcome != OutcomeOK || e.op.Kind != KindRenew && e.op.Kind != KindTransfer {
			continue
		}
		n := e.op.Answer.Record.Version
		if o := made[n]; o != nil {
			s.report(e.op, RuleVersionBump, "Version", v.subject,
				fmt.Sprintf("%s and %s both made version %d", s.d.asked(o), s.d.asked(e.op), n),
				"a version of its own for each mutation", o)
			return
		}
		made[n] = e.op
	}
}

// recordsInOrder compares the records seen, in the order of their versions,
// with their neighbours.
func (s *scan) recordsInOrder(v *actorView) {
	list := make([]sighting, 0, len(v.first))
	for _, g := range v.first {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b sighting) int { return cmp.Compare(a.rec.Version, b.rec.Version) })
	for i, g := range list {
		if r := g.rec; r.Version > 0 && (r.Token == 0 || registry.Version(r.Token) > r.Version) {
			s.report(g.op, RuleTokenMonotonic, "Token", v.subject, s.d.record(r), "a token from 1 to the version: each grant takes both")
			return
		}
		if i == 0 {
			continue
		}
		if rule, what, allowed := successor(list[i-1].rec, g.rec); rule != "" {
			later, earlier := g, list[i-1]
			if later.op.Return < earlier.op.Return {
				later, earlier = earlier, later
			}
			s.report(later.op, rule, what, v.subject,
				fmt.Sprintf("%s, and %s", s.d.record(list[i-1].rec), s.d.record(g.rec)), allowed, earlier.op)
			return
		}
	}
}

// successor judges two records of one actor, the first with the lower version.
func successor(a, b registry.Placement) (rule, what, allowed string) {
	switch {
	case b.Token < a.Token:
		return RuleTokenMonotonic, "Token", "tokens that never decrease as versions grow"
	case uint64(b.Token-a.Token) > uint64(b.Version-a.Version):
		return RuleVersionBump, "Version", "one version for each grant"
	case a.Version == 0 || b.Token != a.Token:
		return "", "", ""
	case b.Held() && a.Holder != b.Holder && a.Held():
		return RuleTokenMonotonic, "Token", "a token of its own for each grant"
	case b.Held() && !a.Held():
		return RuleTokenMonotonic, "Token", "a new token for a grant after a release"
	case b.ClaimID != a.ClaimID:
		return RuleTokenMonotonic, "ClaimID", "one ClaimID during one tenure"
	case b.Expiry < a.Expiry:
		return RuleLinearizability, "Expiry", "an expiry that never moves back during one tenure"
	}
	return "", "", ""
}

// enoughMutations: each version was made by one mutation, so no version can be
// higher than the number of calls that may have been one.
func (s *scan) enoughMutations(v *actorView) {
	n := 0
	for _, e := range v.events {
		if e.role == asked && !isRead(e.op.Kind) && e.op.Outcome != OutcomeRefused {
			n++
		}
	}
	for _, g := range v.sightings {
		if g.rec.Version > registry.Version(n) {
			s.report(g.op, RuleVersionBump, "Version", v.subject,
				fmt.Sprintf("%s, but only %d calls can have changed the record", s.d.op(g.op), n),
				fmt.Sprintf("a version of at most %d", n))
			return
		}
	}
}

// realTime: what was answered before a call, the call must not fall behind.
func (s *scan) realTime(v *actorView) {
	byReturn := slices.Clone(v.sightings)
	slices.SortStableFunc(byReturn, func(a, b sighting) int { return cmp.Compare(a.op.Return, b.op.Return) })
	calls := slices.Clone(v.events)
	slices.SortStableFunc(calls, func(a, b *event) int { return cmp.Compare(a.call, b.call) })
	var newest sighting
	for i := 0; len(calls) > 0; calls = calls[1:] {
		e := calls[0]
		for ; i < len(byReturn) && byReturn[i].op.Return < e.call; i++ {
			if byReturn[i].rec.Version > newest.rec.Version {
				newest = byReturn[i]
			}
		}
		if newest.op != nil && s.behind(v, e, newest) {
			return
		}
	}
}

// behind convicts an answer that the record seen before its call rules out.
func (s *scan) behind(v *actorView, e *event, newest sighting) bool {
	op, seen := e.op, newest.rec
	before := func() string { // said of a few operations, asked of all
		return fmt.Sprintf("%s had been answered with %s before", s.d.asked(newest.op), s.d.record(seen))
	}
	if r, ok := e.revealed(); ok {
		made := v.maker[r.Version] == e
		if r.Version < seen.Version || made && r.Version == seen.Version {
			rule := RuleLinearizability
			switch {
			case made && r.Token <= seen.Token && (op.Kind == KindClaim || op.Kind == KindTransfer):
				rule = RuleTokenMonotonic
			case made:
				rule = RuleVersionBump
			}
			least := seen.Version
			if made {
				least++
			}
			s.report(op, rule, "Version", v.subject, s.d.op(op)+"; "+before(),
				fmt.Sprintf("version %d or a later one", least), newest.op)
			return true
		}
	}
	if e.role != asked || op.Outcome != OutcomeOK {
		return false
	}
	switch op.Kind {
	case KindRenew, KindRelease, KindTransfer, KindValidate:
	default:
		return false
	}
	switch t := op.Ask.Token; {
	case t < seen.Token:
		s.report(op, RuleNoStaleWrite, string(reference.TokenCurrent), v.subject, s.d.op(op)+"; "+before(), "ErrFenced", newest.op)
		return true
	case t == seen.Token && !seen.Held() && op.Kind != KindRelease:
		s.report(op, RuleNoStaleWrite, string(reference.TenureHeld), v.subject, s.d.op(op)+"; "+before(), "ErrNotHeld, or ErrFenced", newest.op)
		return true
	}
	return false
}

// predecessors judges each mutation against the record that it certainly found:
// the one seen at the version before its own.
func (s *scan) predecessors(v *actorView) {
	for _, e := range v.events {
		if e.role != asked || e.op.Outcome != OutcomeOK {
			continue
		}
		r, ok := e.revealed()
		if !ok || r.Version == 0 || v.maker[r.Version] != e {
			continue
		}
		if e.op.Kind == KindClaim {
			s.reading(e.op, r)
		}
		before, ok := v.first[r.Version-1]
		if r.Version == 1 {
			before, ok = sighting{rec: registry.Placement{Actor: v.actor}}, true
		}
		if !ok || before.op == e.op {
			continue
		}
		// The node's standing is judged by the search: here it is taken as good.
		from := newState([]record{known(before.rec)}, []member{goodStanding(e)})
		probe := *e
		probe.node = 0
		if len(s.rules.step(from, &probe)) > 0 {
			continue
		}
		d := s.rules.disagree(s.d, from, &probe)
		var others []*Op
		if before.op != nil {
			others = append(others, before.op)
		}
		s.report(e.op, d.rule, d.guard, v.subject, fmt.Sprintf("%s; it found %s", d.found, s.d.record(before.rec)), d.allowed, others...)
		return
	}
}

// goodStanding is a registration under which the event's node may claim.
func goodStanding(e *event) member {
	n := e.op.Ask.Node
	if e.op.Kind == KindTransfer {
		n = e.op.Ask.To
	}
	return member{Member: registry.Node{Ref: n, Status: registry.NodeActive}}
}

// refusalTimes judges each refusal that carries the placement it found.
func (s *scan) refusalTimes(v *actorView) {
	for _, e := range v.events {
		if e.role != asked || e.op.Outcome != OutcomeRefused || e.op.Answer.Record.Version == 0 {
			continue
		}
		switch e.op.Answer.Reason {
		case ReasonNodeUnknown, ReasonNodeFailed:
			continue // judged by the search
		}
		node := goodStanding(e)
		if n := e.op.Answer.Node; !n.Ref.IsZero() {
			node = member{Member: standing(n)}
		}
		from := newState([]record{known(e.op.Answer.Record)}, []member{node})
		probe := *e
		probe.node = 0
		if len(s.rules.step(from, &probe)) > 0 {
			continue
		}
		d := s.rules.disagree(s.d, from, &probe)
		s.report(e.op, d.rule, d.guard, v.subject, d.found, d.allowed)
		return
	}
}
