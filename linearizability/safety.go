package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Some contradictions need no search: they hold whatever the interleaving was.
// Each check here states a fact that is true of every linearization, and so
// cannot convict a right registry; the search remains the judge of everything
// else. They run first because they can say in one sentence what is wrong.

// maxViolations bounds what a check reports.
const maxViolations = 100

// safety runs every check that needs no search. The violation whose operation
// returned first stands first: what follows is often only its consequence. Of one
// operation's the gravest does. Each answer is judged by itself; of all that is said
// of an actor or a node, only those that are among only.
func safety(h *history.History, only *subjects) []Violation {
	s := newScan(h)
	s.answers()
	if !only.empty() {
		if h.Dialect.Strict() { // else versions may have gaps, or claims be known by no id
			for _, v := range actorViews(h, only) {
				s.actor(v)
			}
		}
		for _, v := range nodeViews(h, only) {
			s.node(v)
		}
	}
	slices.SortStableFunc(s.out, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(h.Ops[a.Op].Returned, h.Ops[b.Op].Returned), cmp.Compare(a.Rule.Gravity(), b.Rule.Gravity()))
	})
	return s.out[:min(len(s.out), maxViolations)]
}

type scan struct {
	cfg   registry.Config
	h     *history.History
	d     func() describer // made when there is something to say
	rules *rules
	out   []Violation
}

func newScan(h *history.History) *scan {
	return &scan{cfg: h.Config, h: h, d: sync.OnceValue(func() describer { return newDescriber(h) }), rules: rulesOf(h)}
}

// answers judges each call by itself, several at a time.
func (s *scan) answers() {
	n := hands(len(s.h.Ops))
	parts := make([]scan, n)
	spread(n, func(i int) {
		parts[i] = *s
		from, to := len(s.h.Ops)*i/n, len(s.h.Ops)*(i+1)/n
		for j := range s.h.Ops[from:to] {
			parts[i].answer(&s.h.Ops[from+j])
		}
	})
	for i := range parts {
		s.out = append(s.out, parts[i].out...)
	}
}

func (s *scan) report(o *history.Op, rule contract.RuleID, guard, subject, found, allowed string, others ...*history.Op) {
	v := Violation{Rule: rule, Action: o.Call.Kind, Guard: guard, Subject: subject, Op: o.ID, Found: found, Allowed: allowed}
	for _, o := range others {
		v.Others = append(v.Others, o.ID)
	}
	s.out = append(s.out, v)
}

// answer judges one call by itself.
func (s *scan) answer(o *history.Op) {
	bad := func(guard, found, allowed string) {
		rule := contract.Answering(o.Call.Kind, false, nil)
		switch {
		case o.Result.Outcome == op.Refused:
			rule = contract.RefusalTruthful
		case o.Result.Outcome == op.Unlisted && o.Call.Kind == op.Watch:
			rule = contract.ErrorIdentity // it may have woken, and has not said so
		}
		s.report(o, rule, guard, o.Subject(), found, allowed)
	}
	invalid := func(err error, found, allowed string) {
		s.report(o, contract.OfArgument(err), "ErrInvalid", o.Subject(), found, allowed)
	}
	a := &o.Result
	switch o.Result.Outcome {
	case op.Unlisted:
		bad("", s.d().op(o), "an error that the contract lists")
		return
	case op.Invalid:
		if err := o.Call.Validate(); err == nil && o.Call.Page.After == "" {
			invalid(a.Err, fmt.Sprintf("%s = %s, though every argument is within its limits", s.d().asked(o), a.Err), "any other answer")
		}
		return
	case op.OK, op.Refused:
		if err := o.Call.Validate(); err != nil {
			invalid(err, fmt.Sprintf("%s, though %v", s.d().op(o), err), "ErrInvalid, before anything is looked at")
			return
		}
	default:
		return
	}
	if o.Result.Outcome == op.Refused {
		s.refusal(o, bad)
		return
	}
	s.success(o, bad)
}

// zeroLease convicts an answer with a lease that nobody was granted. It may be to a
// claim that repeats another.
func (s *scan) zeroLease(o *history.Op) {
	repeats := slices.ContainsFunc(s.h.Ops, func(p history.Op) bool {
		return p.Call.Kind == op.Claim && p.Call.Actor == o.Call.Actor && p.Call.Node == o.Call.Node && p.Call.ClaimID == o.Call.ClaimID &&
			p.Result.Outcome == op.OK && p.Result.Record.Token != 0 && p.Invoked < o.Returned
	})
	allowed := "the lease that was granted or renewed"
	if repeats && o.Call.Kind == op.Claim {
		allowed = "the lease that this claim was granted before"
	}
	s.report(o, contract.Answering(o.Call.Kind, repeats && o.Call.Kind == op.Claim, nil), "Lease", o.Subject(), s.d().op(o), allowed)
}

func (s *scan) refusal(o *history.Op, bad func(guard, found, allowed string)) {
	a := &o.Result
	switch {
	case !mayRefuse(o.Call.Kind):
		bad("", s.d().op(o), "an answer: "+o.Call.Kind.String()+" is never refused")
	case a.Reason == op.Held && a.Record.Version == 0 && !s.h.Dialect.BareRecords:
		bad("Claimable", "ErrHeld without the placement that was found", "ErrHeld with the placement")
	case a.Record.Version != 0 && a.Record.Actor != o.Call.Actor:
		bad("", fmt.Sprintf("%s, but the placement is of actor %v", s.d().op(o), a.Record.Actor), "the placement of the actor asked for")
	case a.Now != 0 && !o.Clock.Contains(a.Now):
		bad("", fmt.Sprintf("%s, by reading %s, but its clock read %s", s.d().op(o), s.d().Time(a.Now), s.d().readings(o.Clock)), "a reading that the attempt made")
	}
}

// success judges what an answer must repeat of the question.
func (s *scan) success(o *history.Op, bad func(guard, found, allowed string)) {
	q, a := &o.Call, &o.Result
	r := a.Record
	want := func(what string, ok bool) {
		if !ok {
			bad(what, s.d().op(o), "an answer with the "+what+" that was asked for")
		}
	}
	if o.Call.Kind.Grants() {
		s.lease(o, bad, want)
		return
	}
	switch o.Call.Kind {
	case op.Lookup, op.Watch:
		want("Actor", !a.Found || r.Actor == q.Actor)
		if o.Call.Kind == op.Watch && r.Version == q.Seen && !s.h.Dialect.BareRecords {
			bad("Version", s.d().op(o), fmt.Sprintf("an answer once the version is no longer %d", q.Seen))
		}
	case op.GetNode:
		want("NodeID", !a.Found || a.Node.Ref.ID == q.Node.ID)
	case op.RegisterNode:
		want("NodeID", a.Node.Ref.ID == q.Node.ID)
		// A registration under an instance may be told again: the search judges it.
		if q.Info.Instance.IsZero() && !o.Clock.Contains(a.Node.LastSeen) {
			bad("LastSeen", fmt.Sprintf("%s, but its clock read %s", s.d().op(o), s.d().readings(o.Clock)), "last seen at a reading of the call")
		}
	case op.ListActors:
		for _, p := range a.Actors {
			if p.Holder != q.Node {
				bad("Holder", fmt.Sprintf("%s, with a row that %v holds", s.d().op(o), p.Holder), "rows held by the node asked for")
				return
			}
		}
		want("page limit", len(a.Actors) <= q.Page.Rows())
	case op.ListNodes:
		for _, n := range a.Nodes {
			if !listed(n, q.Status) {
				bad("Status", fmt.Sprintf("%s, with a row that is %v", s.d().op(o), n.Status), "rows of the status asked for")
				return
			}
		}
		want("page limit", len(a.Nodes) <= q.Page.Rows())
	}
}

// lease judges what a granted lease must repeat of the question.
func (s *scan) lease(o *history.Op, bad func(guard, found, allowed string), want func(what string, ok bool)) {
	q, r := &o.Call, o.Result.Record
	if r.Token == 0 {
		s.zeroLease(o)
		return
	}
	switch o.Call.Kind.Effect() {
	case op.Begins:
		want("Actor", r.Actor == q.Actor)
		want("Holder", r.Holder == q.Node)
		if r.ClaimID != q.ClaimID && !s.h.Dialect.NoClaimIDs {
			bad("ClaimID", s.d().op(o), fmt.Sprintf("claim id %v, the claim's own", q.ClaimID))
		}
	case op.Keeps:
		want("Actor", r.Actor == q.Actor)
		want("Holder", r.Holder == q.Node)
		if r.Token != q.Token {
			s.report(o, contract.WrongToken(o.Call.Kind, r.Token, q.Token), "Token", o.Subject(), fmt.Sprintf("%s: the renewal changed the token from %d to %d", s.d().op(o), q.Token, r.Token), "the token unchanged")
		}
	case op.Passes:
		want("Actor", r.Actor == q.Actor)
		want("Holder", r.Holder == q.To)
		if r.Token != q.Token+1 && !s.h.Dialect.NoTokens && !(s.h.Dialect.SparseTokens && r.Token > q.Token) {
			s.report(o, contract.WrongToken(o.Call.Kind, r.Token, q.Token+1), "Token", o.Subject(), fmt.Sprintf("%s: the transfer of token %d gave token %d", s.d().op(o), q.Token, r.Token), fmt.Sprintf("token %d, one more than the last", q.Token+1))
		}
		s.reading(o, r)
	}
}

// reading convicts a grant whose expiry is not a reading of its clock plus TTL.
func (s *scan) reading(o *history.Op, r registry.Placement) {
	c := plus(r.Expiry, -s.cfg.TTL)
	if !o.Clock.Contains(c) {
		s.report(o, contract.SingleActivation, "Expiry", o.Subject(),
			fmt.Sprintf("%s: expiry - TTL is %s, but the clock of %s read %s", s.d().op(o), s.d().Time(c), o.Client, s.d().readings(o.Clock)),
			"an expiry of the attempt's clock reading plus TTL")
	}
}

// sighting is an answer that showed an actor's record.
type sighting struct {
	op  *history.Op
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

func actorViews(h *history.History, only *subjects) []*actorView {
	views := map[registry.ActorID]*actorView{}
	var order []*actorView
	for o := range observe(h) {
		if o.actor == nil || !only.has(&o) {
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
		slices.SortStableFunc(v.sightings, func(a, b sighting) int { return cmp.Compare(a.op.Invoked, b.op.Invoked) })
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
	s.predecessors(v)
	s.recordsInOrder(v)
	s.enoughMutations(v)
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
		rule := contract.VersionBump
		if g.rec.Token == f.rec.Token && g.rec.Holder != f.rec.Holder && g.rec.Held() && f.rec.Held() {
			rule = contract.TokenMonotonic // one token for two holders
		}
		if v.anotherServes(s.cfg, f) || v.anotherServes(s.cfg, g) {
			rule = contract.SingleActivation
		}
		s.report(g.op, rule, "Version", v.subject,
			fmt.Sprintf("two records under version %d: %s, and %s", g.rec.Version, s.d().Record(f.rec), s.d().Record(g.rec)),
			"one record per version: every mutation adds one to it", f.op)
		return
	}
}

// anotherServes reports whether another holder than that of g was told that it holds
// the actor at the same time.
func (v *actorView) anotherServes(cfg registry.Config, g sighting) bool {
	return slices.ContainsFunc(v.sightings, func(f sighting) bool {
		return v.bothServe(cfg, f, g) || v.bothServe(cfg, g, f) // which was first is not known
	})
}

// bothServe reports whether two holders were told that they hold the actor at one
// time: b was granted it, by its clock, within the lease that a was granted or
// renewed. A holder that may have let go by then does not serve.
func (v *actorView) bothServe(cfg registry.Config, a, b sighting) bool {
	if b.op.Result.Outcome != op.OK || b.op.Call.Kind != op.Claim || a.op.Result.Outcome != op.OK || !a.op.Call.Kind.Grants() {
		return false
	}
	return a.rec.Holder != b.rec.Holder && plus(b.rec.Expiry, -cfg.TTL) < a.rec.Expiry && plus(a.rec.Expiry, -cfg.TTL) < b.rec.Expiry && b.op.Returned > a.op.Invoked &&
		!v.letGo(a.rec, b.op.Returned) && !v.letGo(b.rec, a.op.Returned)
}

// letGo reports whether the tenure may have been ended by its holder, by a call
// made before that stamp.
func (v *actorView) letGo(r registry.Placement, before int64) bool {
	return slices.ContainsFunc(v.events, func(e *event) bool {
		c := &e.op.Call
		return e.role == asked && (c.Kind.Effect() == op.Ends || c.Kind.Effect() == op.Passes) && c.Node == r.Holder && c.Token == r.Token &&
			e.op.Result.Outcome != op.Refused && e.op.Invoked < before
	})
}

// oneMakerPerVersion: two mutations that certainly happened cannot have made
// the same version.
func (s *scan) oneMakerPerVersion(v *actorView) {
	made := map[registry.Version]*history.Op{}
	for _, e := range v.events {
		if e.role != asked || e.op.Result.Outcome != op.OK || !e.op.Call.Kind.Grants() || e.op.Call.Kind.Effect() == op.Begins {
			continue
		}
		n := e.op.Result.Record.Version
		if o := made[n]; o != nil {
			s.report(e.op, contract.VersionBump, "Version", v.subject,
				fmt.Sprintf("%s and %s both made version %d", s.d().asked(o), s.d().asked(e.op), n),
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
			s.report(g.op, "Claim.granted", "Token", v.subject, s.d().Record(r),
				fmt.Sprintf("a token from 1 to %d: each grant's is one more than the last", r.Version))
			return
		}
		if i == 0 {
			continue
		}
		if rule, what, allowed := successor(list[i-1].rec, g.rec); rule != "" {
			later, earlier := g, list[i-1]
			if rule == contract.TokenMonotonic && v.anotherServes(s.cfg, later) {
				rule = contract.SingleActivation
			}
			if later.op.Returned < earlier.op.Returned {
				later, earlier = earlier, later
			}
			s.report(later.op, rule, what, v.subject,
				fmt.Sprintf("%s, and %s", s.d().Record(list[i-1].rec), s.d().Record(g.rec)), allowed, earlier.op)
			return
		}
	}
}

// successor judges two records of one actor, the first with the lower version.
func successor(a, b registry.Placement) (rule contract.RuleID, what, allowed string) {
	switch {
	case b.Token < a.Token:
		return contract.TokenMonotonic, "Token", "tokens that never decrease as versions grow"
	case uint64(b.Token-a.Token) > uint64(b.Version-a.Version):
		return contract.VersionBump, "Version", "one version for each grant"
	case a.Version == 0 || b.Token != a.Token:
		return "", "", ""
	case b.Held() && a.Holder != b.Holder && a.Held():
		return contract.TokenMonotonic, "Token", "a token of its own for each grant"
	case b.Held() && !a.Held():
		return contract.TokenMonotonic, "Token", "a new token for a grant after a release"
	case b.ClaimID != a.ClaimID:
		return contract.TokenMonotonic, "ClaimID", "one ClaimID during one tenure"
	case b.Expiry < a.Expiry:
		return contract.Linearizability, "Expiry", "an expiry that never moves back during one tenure"
	}
	return "", "", ""
}

// enoughMutations: each version was made by one mutation, so no version can be
// higher than the number of calls that may have been one.
func (s *scan) enoughMutations(v *actorView) {
	n := 0
	for _, e := range v.events {
		if e.role == asked && e.op.Call.Kind.Mutates() && e.op.Result.Outcome != op.Refused {
			n++
		}
	}
	for _, g := range v.sightings {
		if g.rec.Version > registry.Version(n) {
			s.report(g.op, contract.VersionBump, "Version", v.subject,
				fmt.Sprintf("%s, but only %d calls can have changed the record", s.d().op(g.op), n),
				fmt.Sprintf("a version of at most %d", n))
			return
		}
	}
}

// realTime: what was answered before a call, the call must not fall behind.
func (s *scan) realTime(v *actorView) {
	byReturn := slices.Clone(v.sightings)
	slices.SortStableFunc(byReturn, func(a, b sighting) int { return cmp.Compare(a.op.Returned, b.op.Returned) })
	calls := slices.Clone(v.events)
	slices.SortStableFunc(calls, func(a, b *event) int { return cmp.Compare(a.call, b.call) })
	var newest sighting
	for i := 0; len(calls) > 0; calls = calls[1:] {
		e := calls[0]
		for ; i < len(byReturn) && byReturn[i].op.Returned < e.call; i++ {
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
	o, seen := e.op, newest.rec
	before := func() string { // said of a few operations, asked of all
		return fmt.Sprintf("%s had been answered with %s before", s.d().asked(newest.op), s.d().Record(seen))
	}
	if r, ok := e.revealed(); ok {
		made := v.maker[r.Version] == e
		if r.Version < seen.Version || made && r.Version == seen.Version {
			rule := contract.Linearizability
			switch {
			case made && r.Token <= seen.Token && (o.Call.Kind == op.Claim || o.Call.Kind == op.Transfer):
				rule = contract.TokenMonotonic
				if v.bothServe(s.cfg, newest, sighting{o, r}) {
					rule = contract.SingleActivation
				}
			case made:
				rule = contract.VersionBump
			}
			least := seen.Version
			if made {
				least++
			}
			s.report(o, rule, "Version", v.subject, s.d().op(o)+"; "+before(),
				fmt.Sprintf("version %d or a later one", least), newest.op)
			return true
		}
	}
	if e.role != asked || o.Result.Outcome != op.OK {
		return false
	}
	if k := o.Call.Kind; !k.Presents() && k != op.Validate {
		return false
	}
	switch t := o.Call.Token; {
	case t < seen.Token:
		s.report(o, contract.NoStaleWrite, string(reference.TokenCurrent), v.subject, s.d().op(o)+"; "+before(), "ErrFenced", newest.op)
		return true
	case t == seen.Token && !seen.Held() && o.Call.Kind != op.Release:
		s.report(o, contract.NoStaleWrite, string(reference.TenureHeld), v.subject, s.d().op(o)+"; "+before(), "ErrNotHeld, or ErrFenced", newest.op)
		return true
	}
	return false
}

// predecessors judges each mutation against the record that it certainly found:
// the one seen at the version before its own.
func (s *scan) predecessors(v *actorView) {
	for _, e := range v.events {
		if e.role != asked || e.op.Result.Outcome != op.OK {
			continue
		}
		r, ok := e.revealed()
		if !ok || r.Version == 0 || v.maker[r.Version] != e {
			continue
		}
		if e.op.Call.Kind == op.Claim {
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
		d := s.rules.disagree(s.d(), from, &probe)
		var others []*history.Op
		if before.op != nil {
			others = append(others, before.op)
		}
		s.report(e.op, d.rule, d.guard, v.subject, fmt.Sprintf("%s; it found %s", d.found, s.d().Record(before.rec)), d.allowed, others...)
		return
	}
}

// goodStanding is a registration under which the event's node may claim.
func goodStanding(e *event) member {
	n := e.op.Call.Node
	if e.op.Call.Kind == op.Transfer {
		n = e.op.Call.To
	}
	return member{Member: registry.Node{Ref: n, Status: registry.NodeActive}}
}

// refusalTimes judges each refusal that carries the placement it found.
func (s *scan) refusalTimes(v *actorView) {
	for _, e := range v.events {
		if e.role != asked || e.op.Result.Outcome != op.Refused || e.op.Result.Record.Version == 0 {
			continue
		}
		switch e.op.Result.Reason {
		case op.NodeUnknown, op.NodeFailed:
			continue // judged by the search
		}
		node := goodStanding(e)
		if n := e.op.Result.Node; n.Ref.ID == e.op.Call.Party() && !n.Ref.IsZero() {
			node = member{Member: standing(n)}
		} // of another node: judged by the search
		from := newState([]record{known(e.op.Result.Record)}, []member{node})
		probe := *e
		probe.node = 0
		if len(s.rules.step(from, &probe)) > 0 {
			continue
		}
		d := s.rules.disagree(s.d(), from, &probe)
		s.report(e.op, d.rule, d.guard, v.subject, d.found, d.allowed)
		return
	}
}
