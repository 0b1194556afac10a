package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// lockstep is a session in lockstep with the reference: every call
// is made on both with the same reading of the same clock, and the two answers
// must be equal. With one caller at a time the specification leaves no choice
// but the order of a listing, so that any difference is the backend's error.
//
// With a RealTime backend the reading is not known exactly. The reference is
// then given the reading that the answer reveals, or the middle of the call, and
// expiries are compared within the slack that this leaves.
type lockstep struct {
	*session
	rng      *rand.Rand
	spec     *reference.Store
	began    registry.Instant
	nodes    []*node
	observer *node // a handle that only reads, to look at what the others did
	steps    []step
	text     op.Text
	beliefs  map[registry.ActorID][]belief
	actors   []registry.ActorID        // that were granted
	audits   bool                      // compare the records after every step
	behind   bool                      // the step before was not followed by an audit
	worlds   []world                   // the states in which the reference may be; nil: the one that it has
	late     []*lateCall               // calls that may still apply
	known    map[registry.ActorID]bool // the same as actors
	excused  bool                      // the answer being judged breaks a waived rule
	breached bool                      // an earlier one did
	dialect  dialect.Dialect           // in which answers are right
	before   reference.View            // what the last call was about
	allowed  []string                  // the differences that would make the last answer right
	lacked   op.Kind                   // the last operation that was asked for and is not in the dialect
}

// node is one process: a handle with its own clock.
type node struct {
	w     *lockstep
	name  string
	ref   registry.NodeRef // of its latest registration
	clock *registry.SkewedClock
	reads registry.Clock // what its handle reads: clock, or true time where the time is the store's
	h     registry.Handle
	model registry.Handle // on the reference
}

// step is one line of the history: a call, or something that happened.
type step struct {
	at, clock registry.Instant
	node      string
	call      call
	what      string // what happened, where it is not a call
	result    op.Result
	replay    bool          // made through do, so that it can be made again
	event     history.Event // a crash, which can be repeated too
	seeds     *seeds        // what was put into the cluster, instead of a call
	audited   bool          // the records were compared afterwards
}

// note adds a call to the history that was made on the backend alone.
func (w *lockstep) note(n *node, c call, got op.Result) {
	w.steps = append(w.steps, step{at: w.time.Now(), clock: n.clock.Now(), node: n.name, call: c, result: got})
}

// everybody is the node of a step that concerns all of them.
const everybody = "all"

// newLockstep opens an empty cluster.
func (t *trial) newLockstep(cfg registry.Config, seed uint64) *lockstep {
	return t.lockstepOn(t.newSession(cfg), seed)
}

// lockstepOn begins on a session of its own.
func (t *trial) lockstepOn(s *session, seed uint64) *lockstep {
	w := &lockstep{session: s, dialect: t.judge.dialect, rng: newRand(seed), began: s.time.Now(), audits: true, beliefs: map[registry.ActorID][]belief{}, known: map[registry.ActorID]bool{}}
	w.text = op.Text{Origin: w.began, Namespace: "conform"}
	var err error
	if w.spec, err = reference.NewStore(s.cfg); err != nil {
		t.giveUp("the suite chose a bad configuration: %v", err)
	}
	w.spec.In(w.dialect)
	w.observer = w.newNode("observer", 0)
	return w
}

// close frees the cluster. A trial that ends early does not come here: its clusters
// are freed when it is over.
func (w *lockstep) close() {
	for _, n := range append(w.nodes, w.observer) {
		_ = n.h.Close()
	}
	w.free()
}

func (w *lockstep) newNode(name string, offset time.Duration) *node {
	if !w.exact {
		offset = 0
	}
	n := &node{w: w, name: name, clock: registry.NewSkewedClock(w.time, offset)}
	n.reopen()
	return n
}

// reopen opens the node's handles, on the backend and on the reference.
func (n *node) reopen() {
	n.reads = n.clock
	if n.w.dialect.StoreClock {
		n.reads = n.w.time
	}
	n.h = n.w.open(n.name, n.reads)
	var err error
	if n.model, err = n.w.spec.Open(n.w.cfg, n.reads); err != nil {
		n.w.t.giveUp("opening the reference: %v", err)
	}
}

// node opens a handle with a clock that is offset from true time, and
// registers the process under the name.
func (w *lockstep) node(name string, offset time.Duration) *node {
	n := w.unregistered(name, offset)
	n.register(registry.IfAbsent)
	return n
}

// unregistered opens a handle without registering.
func (w *lockstep) unregistered(name string, offset time.Duration) *node {
	n := w.newNode(name, offset)
	w.nodes = append(w.nodes, n)
	n.ref = registry.NodeRef{ID: registry.NodeID(name), Epoch: 1}
	return n
}

func (w *lockstep) actor(name string) registry.ActorID {
	return registry.ActorID{Namespace: "conform", Name: name}
}

func (w *lockstep) claimID() registry.ClaimID {
	var id registry.ClaimID
	for i := range id {
		id[i] = byte(w.rng.Uint32())
	}
	id[0] |= 1 // never zero
	return id
}

// until moves true time so that n's clock reads i.
func (w *lockstep) until(n *node, i registry.Instant) { w.advance(i.Sub(n.clock.Now())) }

// do makes the call on both and compares. It returns the backend's answer. A
// call that the store could not answer is made again, unless it is seen to have
// taken effect all the same; then the answer that was lost is returned.
func (n *node) do(c call) op.Result {
	w := n.w
	if !w.offers(c) {
		return op.Failed(errors.ErrUnsupported)
	}
	var patience patience
	for {
		w.readTime()
		before := w.time.Now()
		got := w.session.do(n.name, n.h, c)
		if !trouble(got.Err) {
			w.judge(n, c, got, before)
			lost := w.madeBefore()
			w.resolved()
			if lost == nil || got.Err == nil {
				return got
			}
			// Refused because an earlier attempt has taken effect since.
			w.observe(n, c, *lost, *lost)
			return *lost
		}
		w.steps = append(w.steps, step{at: before, clock: n.clock.Now(), node: n.name, call: c, result: got})
		w.troubled(n, c, got, before)
		if lost := w.madeBefore(); lost != nil {
			w.resolved()
			w.observe(n, c, *lost, *lost)
			return *lost
		}
		if patience.over(got.Err) {
			w.t.unanswered(fmt.Sprintf("%s: %v", n.name, c), got.Err)
		}
	}
}

// patientAttempts is how often a call is made that the store, being in trouble,
// does not answer, and patientTimeouts how often one that runs into its deadline.
const (
	patientAttempts = 40
	patientTimeouts = 5
)

// patience counts how often a call was made in vain.
type patience struct{ attempts, timeouts int }

// over counts a call that ended with err, and reports whether that was the last.
func (p *patience) over(err error) bool {
	p.attempts++
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, registry.ErrUnavailable) && !errors.Is(err, registry.ErrAmbiguous) { // there it is a cause
		p.timeouts++
	}
	return p.attempts == patientAttempts || p.timeouts == patientTimeouts
}

// offers reports whether the call exists in the backend's dialect. A case whose
// subject is a call that does not is not executed; others go without it.
func (w *lockstep) offers(c call) bool {
	if w.dialect.Offers(c.Kind) {
		return true
	}
	w.lacked = c.Kind
	return false
}

// judge compares an answer with the reference's.
func (w *lockstep) judge(n *node, c call, got op.Result, before registry.Instant) {
	near := false
	if !w.exact {
		if took := registry.SystemClock().Now().Sub(before); took > w.cfg.TTL/8 {
			w.t.giveUp("%s: %v took %v, too long beside a TTL of %v to know which reading it went by", n.name, c, took, w.cfg.TTL)
		}
		w.settleClock(c, got, before)
		near = w.nearBoundary(c, before)
	}
	w.steps = append(w.steps, step{at: before, clock: n.clock.Now(), node: n.name, call: c, result: got, replay: true, audited: w.audits})
	w.excused = false
	w.errorAlone(c, got)
	want, repeats := w.specified(n, c, got)
	if near && class(got.Err) != class(want.Err) {
		w.t.giveUp("%s: %v came so close to a boundary that its outcome depends on the unknown reading", n.name, c)
	}
	w.observe(n, c, got, want)
	if !w.excused { // one answer, one breach
		w.compare(n, c, repeats, got, want)
	}
	if w.excused {
		w.adopt(&c.Call)
	}
	if w.audits {
		rule := RefusalNothing
		if got.Err == nil {
			rule = contract.Answering(c.Kind, repeats, nil)
		}
		if w.behind {
			rule = RawLookup // the audit that would tell which call did it was left out
		}
		w.audit(c, rule)
	}
	w.behind = !w.audits
}

// specified makes the call on the reference. It returns the answer that the
// backend's has to equal, and whether that is to repeat an earlier one. Of several
// possible states it goes on with those in which the backend's answer is right,
// or, when there are none, returns that of the first.
func (w *lockstep) specified(n *node, c call, got op.Result) (want op.Result, repeats bool) {
	if w.worlds == nil && c.Kind != op.RenewBatch && w.dialect == (dialect.Dialect{}) {
		return w.asked(n, c, got)
	}
	from := w.possible()[0].state
	if w.dialect != (dialect.Dialect{}) && len(w.possible()) == 1 && len(w.late) == 0 && !c.Kind.Lists() && c.Kind != op.RenewBatch {
		w.compareDialects(w.spec.View(&c.Call), n, c, got)
	}
	if c.Kind == op.RenewBatch {
		if w.worlds == nil && w.dialect == (dialect.Dialect{}) {
			if want, repeats = w.asked(n, c, got); w.diff(n, got, want) == "" {
				return want, repeats // renewed in order, as most do
			}
			w.spec.Restore(from)
		}
		if w.followBatch(n, c, got) {
			return got, false
		}
	} else if w.follow(n, c, got) {
		return got, false
	}
	w.spec.Restore(from)
	return w.asked(n, c, got)
}

// asked makes the call on the reference as it is.
func (w *lockstep) asked(n *node, c call, got op.Result) (want op.Result, repeats bool) {
	state := w.spec.View(&c.Call)
	w.before = state
	want = c.inLargePages().do(context.WithoutCancel(w.t.ctx), n.model)
	repeats = want.Err == nil && state == w.spec.View(&c.Call)
	if or := reference.Decide(w.cfg, state, &c.Call, n.reads.Now()).OrElse; repeats && or != reference.Enabled && class(got.Err) == or.Refusal() {
		want = reference.Answer(state, &c.Call, reference.Decision{Guard: or}, n.reads.Now())
	}
	return want, repeats
}

// errorAlone convicts an answer of Lookup or GetNode, the last step, that tells
// something beside its error. Only these two have a result, found, that a caller
// may look at by itself.
func (w *lockstep) errorAlone(c call, got op.Result) {
	if got.BesideError() {
		w.convict(ErrorAlone, 0, got, op.Failed(got.Err), "beside the error "+besideError(got))
	}
}

// besideError describes what an answer has beside its error.
func besideError(r op.Result) string {
	var told []string
	if r.Found {
		told = append(told, "found is true")
	}
	if r.Record != (registry.Placement{}) {
		told = append(told, fmt.Sprintf("the record is %+v", r.Record))
	}
	if r.Node != (registry.Node{}) {
		told = append(told, fmt.Sprintf("the registration is %+v", r.Node))
	}
	return strings.Join(told, ", ")
}

// settleClock gives the reference the reading that the backend's answer
// reveals, or else the time after the call.
func (w *lockstep) settleClock(c call, got op.Result, before registry.Instant) {
	now := registry.SystemClock().Now()
	w.time.Set(now)
	slack := 2 * w.cfg.MaxClockSkew
	reveal := func(i registry.Instant) {
		if i >= before.Add(-slack) && i <= now.Add(slack) {
			w.time.Set(i)
		}
	}
	switch {
	case got.Err != nil:
	case c.Kind.Grants():
		reveal(got.Record.Expiry.Add(-w.cfg.TTL))
	case c.Kind == op.RegisterNode:
		reveal(got.Node.LastSeen)
	}
}

// nearBoundary reports whether some reading that the backend may have taken
// during the call lies on the other side of a boundary than the one assumed.
func (w *lockstep) nearBoundary(c call, before registry.Instant) bool {
	slack := 2 * w.cfg.MaxClockSkew
	lo, hi := before.Add(-slack), registry.SystemClock().Now().Add(slack)
	v := w.spec.View(&c.Call)
	lapse := v.Record.Expiry.Add(w.cfg.Grace)
	for _, b := range []registry.Instant{v.Record.Expiry, lapse, lapse.Add(2 * w.cfg.MaxClockSkew), w.cfg.FailedAt(v.Member.LastSeen)} {
		if b.Add(slack) >= lo && b.Add(-slack) <= hi {
			return true
		}
	}
	return false
}

// audit compares the records that c was about, read through a handle that does
// nothing else, with the reference's.
func (w *lockstep) audit(c call, rule RuleID) {
	if !c.Kind.Mutates() || c.Kind == op.RenewBatch {
		return
	}
	if c.Actor != (registry.ActorID{}) && c.Actor.Validate() == nil {
		w.auditOne(lookup(c.Actor), rule)
	}
	if party := c.Party(); party != "" && party.Validate() == nil {
		w.auditOne(getNode(party), rule)
		if (rule == contract.Answering(c.Kind, false, nil) || rule == contract.Answering(c.Kind, true, nil)) && c.Kind != op.Heartbeat {
			rule = NoSuspicion // whatever becomes of a node, its actors stay as they are
		}
		for _, a := range w.actors {
			w.auditOne(lookup(a), rule)
		}
	}
}

// untroubled makes a call that reads, again while the store is in trouble.
func (w *lockstep) untroubled(n *node, c call) (got op.Result) {
	var patience patience
	for {
		if got = w.session.do(n.name, n.h, c); !trouble(got.Err) {
			return got
		}
		if patience.over(got.Err) {
			w.t.unanswered(fmt.Sprintf("%s: %v", n.name, c), got.Err)
		}
	}
}

func (w *lockstep) auditOne(c call, rule RuleID) {
	if !w.offers(c) {
		return
	}
	got := w.untroubled(w.observer, c)
	want, _ := w.specified(w.observer, c, got)
	if diff := w.diff(w.observer, got, want); diff != "" {
		w.note(w.observer, c, got)
		w.allowed = w.allows(w.before, w.observer, c, got, want)
		switch {
		case got.Err != nil || want.Err != nil || rule == Durability:
		case c.Kind == op.Lookup && w.misread(c, got.Record, want.Record):
			rule = RawLookup
		case got.Found && want.Found:
			rule = w.recordRule(&c.Call, rule, got, want)
		}
		w.convict(rule, 0, got, want, "read afterwards: "+diff)
		w.adopt(&c.Call) // it was waived
	}
}

// misread reports whether the backend itself contradicts what a lookup
// answered: another handle reads the record that there must be, or the check of
// a token goes by it. Then the writing is in order and the reading is not.
func (w *lockstep) misread(c call, got, want registry.Placement) bool {
	for _, n := range w.nodes {
		if other := w.session.do(n.name, n.h, c); other.Err == nil && other.Record == want {
			return true
		}
	}
	if want.Token == 0 || w.dialect != (dialect.Dialect{}) {
		return false
	}
	check := validate(c.Actor, want.Token)
	valid := w.session.do(w.observer.name, w.observer.h, check)
	by := func(r registry.Placement) error { return reference.ValidateGuard(r, want.Token).Refusal() }
	return by(got) != by(want) && class(valid.Err) == by(want)
}

func (w *lockstep) compare(n *node, c call, repeats bool, got, want op.Result) {
	if diff := w.diff(n, got, want); diff != "" {
		w.allowed = w.allows(w.before, n, c, got, want)
		w.convict(w.headline(&c.Call, repeats, got, want), c.Kind, got, want, diff)
	}
}

// convict ends the trial: the last step is not what the specification answers. k
// is the operation whose guard decides, 0 for the one that the rule names.
func (w *lockstep) convict(rule RuleID, k op.Kind, got, want op.Result, diff string) {
	w.distinguish()
	asked := &op.Call{Kind: k}
	found := w.text.Answer(asked, &got)
	if n := len(w.steps); n > 0 {
		last := w.steps[n-1]
		if last.what == "" {
			asked = &last.call.Call
		}
		found = fmt.Sprintf("%s: %s = %s", last.node, w.stepText(last), w.text.Answer(asked, &got))
	}
	if diff != "" && diff != differs {
		found += "\n" + diff
	}
	action, guard := "", ""
	if k != 0 {
		action, guard = k.String(), string(contract.Answering(k, false, want.Err).Rule().Guard)
	}
	w.end(w.t.conviction(rule, action, guard, found, w.text.Answer(asked, &want), w.table()))
}

// end ends the trial with a conviction that this world's steps have led to. It
// returns when the rule is waived.
func (w *lockstep) end(c *Conviction) {
	if w.t.waive(c.Rule, c.Found) {
		w.excused = true
		return
	}
	c.Config, c.Length, c.Tenures, c.Dialects = w.cfg, len(w.steps), w.tenures(), w.allowed
	panic(outcome{conviction: c, lockstep: w})
}

// Short forms for the cases.

func (n *node) register(mode registry.RegisterMode) op.Result {
	if n.w.dialect.NoMembership { // whoever comes is registered; a restarted process is another
		if mode == registry.Supersede {
			n.ref.Epoch++
		}
		return op.Result{Outcome: op.OK, Node: registry.Node{Ref: n.ref, Status: registry.NodeActive}}
	}
	return n.do(registerNode(registry.NodeID(n.name), registry.NodeInfo{Address: n.name + ":7000"}, mode))
}

// claim claims, and where a store may hold longer than it told, it waits for it.
func (n *node) claim(a registry.ActorID) op.Result {
	w := n.w
	got := n.do(claim(a, n.ref, w.claimID()))
	wait := w.dialect.HoldsLonger
	if wait == dialect.Unbounded {
		wait = w.cfg.TTL
	}
	for try := 0; wait > 0 && try < 3 && got.Reason == op.Held; try++ {
		c := claim(a, n.ref, w.claimID())
		if reference.Decide(w.cfg, w.spec.View(&c.Call), &c.Call, n.reads.Now()).Guard == reference.Claimable {
			break
		}
		w.advance(wait)
		got = n.do(c)
	}
	return got
}

// is checks the suite's own expectation of an answer that has already been
// found equal to the reference's: a mistake in the case, not in the backend.
func (w *lockstep) is(a op.Result, want error) op.Result {
	if class(a.Err) != want && w.breached {
		panic(outcome{}) // the case cannot go on from where a waived breach has led
	}
	switch {
	case class(a.Err) == want:
	case w.dialect == (dialect.Dialect{}):
		w.t.giveUp("the suite expected %v, the reference agrees with the answer %v\n%s", want, a.Err, w.table())
	case errors.Is(a.Err, errors.ErrUnsupported):
		if want == nil && w.lacked != op.Validate && w.lacked != op.GetNode {
			w.t.needs(w.lacked) // the others are asked beside what the case is about
		}
	case want == nil && len(w.steps) > 0 && w.steps[len(w.steps)-1].call.Kind.Grants():
		w.t.beyond("it goes on from an answer that the dialect leaves open: %s", w.stepText(w.steps[len(w.steps)-1]))
	}
	return a
}

// crash ends the node's process, and another opens a handle in its place. What
// the first one holds stays held: a registry cannot know that it is gone.
func (n *node) crash() {
	n.w.steps = append(n.w.steps, step{at: n.w.time.Now(), clock: n.clock.Now(), node: n.name, what: "Crash", replay: true, event: history.Crash})
	_ = n.h.Close()
	n.reopen()
}

// restart crashes the cluster, opens every handle anew and compares everything
// with the reference, which does not crash: what it knows is what was acknowledged.
func (w *lockstep) restart() {
	w.session.restart()
	w.steps = append(w.steps, step{at: w.time.Now(), clock: w.time.Now(), node: everybody, what: "Crash", replay: true, event: history.Crash})
	for _, n := range append(w.nodes, w.observer) {
		n.reopen()
	}
	for _, a := range w.actors {
		w.auditOne(lookup(a), Durability)
	}
	w.auditOne(listNodes(registry.AnyStatus, 0), Durability)
	for _, n := range w.nodes {
		w.auditOne(listActors(n.ref, 0), Durability)
	}
}

// seeds is state that a Seeder is given.
type seeds struct {
	nodes   []registry.Node
	records []registry.Placement
}

func (s seeds) String() string {
	var parts []string
	for _, n := range s.nodes {
		parts = append(parts, n.Ref.String())
	}
	for _, r := range s.records {
		parts = append(parts, fmt.Sprintf("%s of %v token %d version %d", r.Actor.Name, r.Holder, r.Token, r.Version))
	}
	return "Seed(" + strings.Join(parts, ", ") + ")"
}

// seed puts state into the cluster and the reference, as if operations had led
// to it. It returns false when the cluster cannot hold it.
func (w *lockstep) seed(s seeds) bool {
	var err error
	w.t.watch(s.String, func(context.Context) { err = w.cluster.(Seeder).Seed(s.nodes, s.records) })
	if errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	if err == nil {
		err = w.spec.Import(s.nodes, s.records)
	}
	if err != nil {
		w.t.giveUp("%v: %v", s, err)
	}
	w.steps = append(w.steps, step{at: w.time.Now(), clock: w.time.Now(), node: everybody, what: s.String(), replay: true, seeds: &s})
	for _, r := range s.records {
		w.know(r.Actor)
	}
	return true
}

// know notes that an actor's record exists, so that a restart can be judged.
func (w *lockstep) know(a registry.ActorID) {
	if !w.known[a] {
		w.known[a] = true
		w.actors = append(w.actors, a)
	}
}
