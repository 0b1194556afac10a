// Package lockstep makes each call on the backend and on the reference, by the same
// reading of the same clock, and compares the two answers and the records they leave.
//
// A store in trouble may leave open whether a call took effect; then several states
// of the reference are followed. A conviction is made as small as it can be, and
// written down as a script where a script can say it.
package lockstep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/answers"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// New opens an empty cluster.
func New(t *trial.Trial, cfg registry.Config, seed uint64) *Run {
	return newOn(t, t.NewSession(cfg), seed)
}

// newOn begins on a session of its own.
func newOn(t *trial.Trial, s *trial.Session, seed uint64) *Run {
	w := &Run{Session: s, dialect: t.Judge.Dialect, Rng: trial.NewRand(seed), Began: s.Time.Now(), Audits: true, beliefs: map[registry.ActorID][]belief{}, rivalled: map[registry.ActorID]bool{}, known: map[registry.ActorID]bool{}}
	w.Text = op.Text{Origin: w.Began, Namespace: "conform"}
	var err error
	if w.spec, err = reference.NewStore(s.Cfg); err != nil {
		t.GiveUp("the suite chose a bad configuration: %v", err)
	}
	w.spec.In(w.dialect).Beside(w.latest)
	w.Observer = w.newNode("observer", 0)
	w.Observer.OutOfStep(int(t.Again.Load()))
	return w
}

// latest is what no clock of the cluster has passed.
func (w *Run) latest() registry.Instant {
	latest := w.Time.Now().Add(w.Cfg.MaxClockSkew)
	if !w.Exact {
		latest = latest.Add(w.margins().Reading)
	}
	return latest
}

// Close frees the cluster. A trial that ends early does not come here: its clusters
// are freed when it is over.
func (w *Run) Close() {
	for _, k := range w.watching {
		k.end()
	}
	for _, n := range append(w.Nodes, w.Observer) {
		_ = n.H.Close()
	}
	w.Free()
}

func (w *Run) newNode(name string, offset time.Duration) *Node {
	if !w.Exact {
		offset = 0
	}
	n := &Node{W: w, Name: name, Clock: registry.NewSkewedClock(w.Time, offset)}
	n.Reopen()
	return n
}

// reopen opens the node's handles, on the backend and on the reference.
func (n *Node) Reopen() {
	n.reads = n.Clock
	if n.W.dialect.StoreClock {
		n.reads = n.W.Time
	}
	n.H = n.W.Open(n.Name, n.reads)
	var err error
	if n.model, err = n.W.spec.Open(n.W.Cfg, n.reads); err != nil {
		n.W.T.GiveUp("opening the reference: %v", err)
	}
}

// Node opens a handle with a clock that is offset from true time, and
// registers the process under the name.
func (w *Run) Node(name string, offset time.Duration) *Node {
	n := w.Unregistered(name, offset)
	n.Register(registry.IfAbsent)
	return n
}

// Unregistered opens a handle without registering.
func (w *Run) Unregistered(name string, offset time.Duration) *Node {
	n := w.newNode(name, offset)
	w.Nodes = append(w.Nodes, n)
	n.Ref = registry.NodeRef{ID: registry.NodeID(name), Epoch: 1}
	return n
}

// Leave closes the handles of all nodes, and nodes of other names take their place.
func (w *Run) Leave() {
	for _, n := range w.Nodes {
		_ = n.H.Close()
	}
	w.Nodes = nil
}

// Forget goes on with fresh actors: those that were granted so far are not looked at
// any more, nor are nodes that have left. What has become of them need not be known.
func (w *Run) Forget() {
	w.Actors, w.doubtful = nil, nil
	clear(w.known)
	clear(w.beliefs)
	clear(w.rivalled)
	if w.worlds != nil {
		w.forgetOthers()
	}
}

func (w *Run) Actor(name string) registry.ActorID {
	return registry.ActorID{Namespace: "conform", Name: name}
}

func (w *Run) ClaimID() registry.ClaimID {
	var id registry.ClaimID
	for i := range id {
		id[i] = byte(w.Rng.Uint32())
	}
	id[0] |= 1 // never zero
	return id
}

// Until moves true time so that n's clock reads i.
func (w *Run) Until(n *Node, i registry.Instant) { w.Advance(i.Sub(n.Clock.Now())) }

// Do makes the call on both and compares. It returns the backend's answer. A
// call that the store could not answer is made again, unless it is seen to have
// taken effect all the same; then the answer that was lost is returned. In the place of
// a watch that might wait the record is looked up.
func (n *Node) Do(c call.Call) op.Result {
	if c.Kind == op.Watch && n.W.mayWait(c) {
		c = call.Lookup(c.Actor)
	}
	return n.DoBy(c, func() op.Result { return n.W.Session.Do(n.Name, n.H, c) })
}

// DoBy is Do, with the attempts made by attempt.
func (n *Node) DoBy(c call.Call, attempt func() op.Result) op.Result {
	w := n.W
	if !w.Offers(c) {
		return op.Failed(errors.ErrUnsupported)
	}
	var patience call.Patience
	for {
		w.ReadTime()
		before := w.Time.Now()
		got := attempt()
		if !call.Trouble(got.Err) {
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
		w.Steps = append(w.Steps, Step{At: before, Clock: n.Clock.Now(), Node: n.Name, call: c, Result: got})
		w.troubled(n, c, got, before)
		if patience.Reads() {
			// ErrUnavailable and a context's error promise that nothing happened, so that
			// the comparison with the untouched reference must still hold.
			w.audit(c, contract.AmbiguousTruth)
		}
		if lost := w.madeBefore(); lost != nil {
			w.resolved()
			w.observe(n, c, *lost, *lost)
			return *lost
		}
		if patience.Over(got.Err) {
			w.T.Unanswered(fmt.Sprintf("%s: %v", n.Name, c), got.Err)
		}
	}
}

// OutOfStep makes more calls that change nothing the more attempts were made of a call, or
// of a case. A store that fails in a pattern, as every third call or every third that
// writes, would else fail at the same place each time around.
func (n *Node) OutOfStep(attempts int) {
	nobodys := n.W.Actor("nobody's")
	idle := []call.Call{call.Lookup(nobodys), call.Release(registry.Lease{Actor: nobodys, Holder: registry.NodeRef{ID: "nobody", Epoch: 1}, Token: 1})}
	for i := range attempts {
		n.W.Session.Do(n.Name, n.H, idle[i%len(idle)])
	}
}

// Offers reports whether the backend's dialect has the operation. A case that is about
// one that it does not have is not executed; other cases leave the call out.
func (w *Run) Offers(c call.Call) bool {
	if w.dialect.Offers(c.Kind) {
		return true
	}
	w.lacked = c.Kind
	return false
}

// judge compares an answer with the reference's.
func (w *Run) judge(n *Node, c call.Call, got op.Result, before registry.Instant) {
	near := w.settled(n, c, got, before)
	w.Steps = append(w.Steps, Step{At: before, Clock: n.Clock.Now(), Node: n.Name, call: c, Result: got, replay: true, audited: w.Audits})
	w.excused = false
	w.ErrorAlone(c, got)
	want, repeats := w.specifiedNear(near, n, c, got)
	w.observe(n, c, got, want)
	if !w.excused { // one answer, one breach
		w.Compare(n, c, repeats, got, want)
	}
	if o := answers.JudgeAlone(w.dialect, &c, &got); o != nil && got.Err != nil && !w.excused {
		w.Convict(o.Rule, 0, got, want, o.Found)
	}
	if w.excused {
		w.adopt(&c.Call)
	}
	rule := contract.RefusalNothing
	switch {
	case w.behind:
		rule = contract.RawLookup // the audit that would tell which call did it was left out
	case got.Err == nil:
		rule = contract.Answering(c.Kind, repeats, nil)
	}
	if w.Audits {
		w.audit(c, rule)
	} else if len(w.worlds) > tellsApart {
		w.auditParties(c, rule)
	}
	if len(w.worlds) > max(tellsApart, 2*w.apart) {
		w.tellApart()
	}
	w.behind = !w.Audits
}

// tellsApart is how many states may be possible before what a call was about is read
// where audits are left out, and then what is in doubt: each further unknown outcome
// would double them.
const tellsApart = 8

// doubts notes that it is not known what has become of what c is about.
func (w *Run) doubts(c call.Call) {
	if !c.Kind.Mutates() || c.Kind == op.RenewBatch {
		return
	}
	read := call.Lookup(c.Actor)
	if c.Kind.OfNode() {
		read = call.GetNode(c.Node.ID)
	}
	if !slices.ContainsFunc(w.doubtful, func(r call.Call) bool { return r.Actor == read.Actor && r.Node == read.Node }) {
		w.doubtful = append(w.doubtful, read)
	}
}

// tellApart reads what is in doubt. What may still change stays so, and is read again when
// twice as much is possible.
func (w *Run) tellApart() {
	for _, read := range w.doubtful {
		w.AuditOne(read, contract.AmbiguousTruth)
	}
	w.doubtful = slices.DeleteFunc(w.doubtful, func(r call.Call) bool { return !w.MayChange(r) })
	w.apart = len(w.worlds)
}

// Made compares the answer to a call that a case made itself, without Do, after before.
// It is the last step then.
func (w *Run) Made(n *Node, c call.Call, got op.Result, before registry.Instant) {
	near := w.settled(n, c, got, before)
	w.Note(n, c, got)
	want, repeats := w.specifiedNear(near, n, c, got)
	w.Compare(n, c, repeats, got, want)
}

func (w *Run) margins() report.Margins { return trial.MarginsOf(w.Cfg, w.dialect) }

// settled finds out by which reading a call went that has returned, where time is
// real. near says that another reading that it may have taken lies on the other side
// of a boundary.
func (w *Run) settled(n *Node, c call.Call, got op.Result, before registry.Instant) (near bool) {
	if w.Exact {
		return false
	}
	w.inTime(n, c, before)
	w.settleClock(c, got, before)
	return w.nearBoundary(c, before)
}

// inTime ends the trial undecided when a call that has returned took so long that the
// reading that it went by is not known.
func (w *Run) inTime(n *Node, c call.Call, before registry.Instant) {
	if took := registry.SystemClock().Now().Sub(before); !w.Exact && took > w.margins().Call {
		w.T.GiveUp("%s: %v took %v, too long beside a TTL of %v to know which reading it went by", n.Name, c, took, w.Cfg.TTL)
	}
}

// specifiedNear is Specified, and ends the trial undecided when the answer is another
// than the reference's and the call came near a boundary.
func (w *Run) specifiedNear(near bool, n *Node, c call.Call, got op.Result) (want op.Result, repeats bool) {
	want, repeats = w.Specified(n, c, got)
	if near && (call.Class(got.Err) != call.Class(want.Err) || c.Kind == op.RenewBatch && w.Diff(n, got, want) != "") {
		w.T.GiveUp("%s: %v came so close to a boundary that its outcome depends on the unknown reading", n.Name, c)
	}
	return want, repeats
}

// Specified makes the call on the reference. It returns the answer that the
// backend's has to equal, and whether that is to repeat an earlier one. Of several
// possible states it goes on with those in which the backend's answer is right,
// or, when there are none, returns that of the first.
func (w *Run) Specified(n *Node, c call.Call, got op.Result) (want op.Result, repeats bool) {
	if w.worlds == nil && c.Kind != op.RenewBatch && w.dialect == (dialect.Dialect{}) {
		return w.asked(n, c, got)
	}
	from := w.possible()[0].state
	if w.dialect != (dialect.Dialect{}) && len(w.possible()) == 1 && len(w.Late) == 0 && !c.Kind.Lists() && c.Kind != op.RenewBatch {
		w.compareDialects(w.spec.View(&c.Call), n, c, got)
	}
	if c.Kind == op.RenewBatch {
		if w.worlds == nil && w.dialect == (dialect.Dialect{}) {
			if want, repeats = w.asked(n, c, got); w.Diff(n, got, want) == "" {
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
func (w *Run) asked(n *Node, c call.Call, got op.Result) (want op.Result, repeats bool) {
	state := w.spec.View(&c.Call)
	w.before = state
	want = c.InLargePages().Do(context.WithoutCancel(w.T.Ctx), n.model)
	repeats = want.Err == nil && state == w.spec.View(&c.Call)
	if or := reference.Decide(w.Cfg, state, &c.Call, n.reads.Now()).OrElse; repeats && or != reference.Enabled && call.Class(got.Err) == or.Refusal() {
		want = reference.Answer(state, &c.Call, reference.Decision{Guard: or}, n.reads.Now())
	}
	return want, repeats
}

// ErrorAlone convicts an answer of Lookup or GetNode, the last step, that tells
// something beside its error. Only these two have a result, found, that a caller
// may look at by itself.
func (w *Run) ErrorAlone(c call.Call, got op.Result) {
	if got.BesideError() {
		w.Convict(contract.ErrorAlone, 0, got, op.Failed(got.Err), "beside the error "+answers.BesideError(got))
	}
}

// settleClock gives the reference the reading that the backend's answer
// reveals, or else the time after the call.
func (w *Run) settleClock(c call.Call, got op.Result, before registry.Instant) {
	now := registry.SystemClock().Now()
	w.Time.Set(now)
	slack := w.margins().Reading
	reveal := func(i registry.Instant) {
		if i >= before.Add(-slack) && i <= now.Add(slack) {
			w.Time.Set(i)
		}
	}
	switch {
	case got.Err != nil:
	case c.Kind.Grants():
		reveal(got.Record.Expiry.Add(-w.Cfg.TTL))
	case c.Kind == op.RegisterNode:
		reveal(got.Node.LastSeen)
	}
}

// nearBoundary reports whether some reading that the backend may have taken
// during the call lies on the other side of a boundary than the one assumed.
func (w *Run) nearBoundary(c call.Call, before registry.Instant) bool {
	near := w.margins().Boundary
	lo, hi := before.Add(-near), registry.SystemClock().Now().Add(near)
	for _, l := range c.Leases {
		if w.nearBoundary(call.Renew(l), before) {
			return true
		}
	}
	v := w.spec.View(&c.Call)
	lapse := v.Record.Expiry.Add(w.Cfg.Grace)
	for _, b := range []registry.Instant{v.Record.Expiry, lapse, lapse.Add(2 * w.Cfg.MaxClockSkew), w.Cfg.FailedAt(v.Member.LastSeen)} {
		if lo <= b && b <= hi {
			return true
		}
	}
	return false
}

// auditParties compares the record and the registration that c was about, read through
// a handle that does nothing else, with the reference's. It reports whether c was about
// a registration.
func (w *Run) auditParties(c call.Call, rule contract.RuleID) bool {
	if !c.Kind.Mutates() || c.Kind == op.RenewBatch {
		return false
	}
	if c.Actor != (registry.ActorID{}) && c.Actor.Validate() == nil {
		w.AuditOne(call.Lookup(c.Actor), rule)
	}
	party := c.Party()
	if party == "" || party.Validate() != nil {
		return false
	}
	w.AuditOne(call.GetNode(party), rule)
	return true
}

// audit is auditParties, and after a call about a registration of all other actors and
// nodes.
func (w *Run) audit(c call.Call, rule contract.RuleID) {
	if w.auditParties(c, rule) {
		if c.Kind.OfNode() {
			w.auditOthers(c.Party(), rule)
		}
		if (rule == contract.Answering(c.Kind, false, nil) || rule == contract.Answering(c.Kind, true, nil)) && c.Kind != op.Heartbeat {
			rule = contract.NoSuspicion // whatever becomes of a node, its actors stay as they are
		}
		for _, a := range w.Actors {
			if a != c.Actor { // that was read already
				w.AuditOne(call.Lookup(a), rule)
			}
		}
	}
}

// auditOthers compares the registrations of the other nodes: a call about one changes none
// of them.
func (w *Run) auditOthers(but registry.NodeID, rule contract.RuleID) {
	for _, n := range w.Nodes {
		if id := registry.NodeID(n.Name); id != but {
			w.AuditOne(call.GetNode(id), rule)
		}
	}
}

// AuditAll compares every record and registration, after calls whose own audits were
// left out.
func (w *Run) AuditAll(rule contract.RuleID) {
	for _, a := range w.Actors {
		w.AuditOne(call.Lookup(a), rule)
	}
	for _, n := range w.Nodes {
		w.AuditOne(call.GetNode(registry.NodeID(n.Name)), rule)
	}
	w.behind = false
}

// Untroubled makes a call that reads, again while the store is in trouble.
func (w *Run) Untroubled(n *Node, c call.Call) (got op.Result) {
	err := trial.Untroubled(func() error { got = w.Session.Do(n.Name, n.H, c); return got.Err })
	if call.Trouble(err) {
		w.T.Unanswered(fmt.Sprintf("%s: %v", n.Name, c), err)
	}
	return got
}

func (w *Run) AuditOne(c call.Call, rule contract.RuleID) {
	if !w.Offers(c) {
		return
	}
	w.ReadTime()
	before := w.Time.Now()
	got := w.Untroubled(w.Observer, c)
	want, _ := w.Specified(w.Observer, c, got)
	if diff := w.Diff(w.Observer, got, want); diff != "" {
		w.inTime(w.Observer, c, before) // what a lock has may lapse while it is looked at
		w.Note(w.Observer, c, got)
		w.allowed = w.allows(w.before, w.Observer, c, got, want)
		switch {
		case got.Err != nil || want.Err != nil || rule == contract.Durability || rule == contract.CloseFrees:
		case c.Kind == op.Lookup && w.misread(c, got.Record, want.Record):
			rule = contract.RawLookup
		case got.Found && want.Found:
			rule = w.recordRule(&c.Call, rule, got, want)
		}
		w.Convict(rule, 0, got, want, "read afterwards: "+diff)
		w.adopt(&c.Call) // it was waived
	}
}

// misread reports whether the backend itself contradicts what a lookup
// answered: another handle reads the record that there must be, or the check of
// a token goes by it. Then the writing is in order and the reading is not.
func (w *Run) misread(c call.Call, got, want registry.Placement) bool {
	for _, n := range w.Nodes {
		if other := w.Session.Do(n.Name, n.H, c); other.Err == nil && other.Record == want {
			return true
		}
	}
	if want.Token == 0 || w.dialect != (dialect.Dialect{}) {
		return false
	}
	check := call.Validate(c.Actor, want.Token)
	valid := w.Session.Do(w.Observer.Name, w.Observer.H, check)
	by := func(r registry.Placement) error { return reference.ValidateGuard(r, want.Token).Refusal() }
	return by(got) != by(want) && call.Class(valid.Err) == by(want)
}

func (w *Run) Compare(n *Node, c call.Call, repeats bool, got, want op.Result) {
	if diff := w.Diff(n, got, want); diff != "" {
		w.allowed = w.allows(w.before, n, c, got, want)
		w.Convict(w.headline(&c.Call, repeats, got, want), c.Kind, got, want, diff)
	}
}

// Short forms for the cases.

func (n *Node) Register(mode registry.RegisterMode) op.Result {
	if n.W.dialect.NoMembership { // whoever comes is registered; a restarted process is another
		if mode == registry.Supersede {
			n.Ref.Epoch++
		}
		return op.Result{Outcome: op.OK, Node: registry.Node{Ref: n.Ref, Status: registry.NodeActive}}
	}
	return n.Do(call.RegisterNode(registry.NodeID(n.Name), registry.NodeInfo{Address: n.Name + ":7000"}, mode))
}

// Claim claims, and where a store may hold longer than it told, it waits for it.
func (n *Node) Claim(a registry.ActorID) op.Result {
	w := n.W
	got := n.Do(call.Claim(a, n.Ref, w.ClaimID()))
	wait := w.dialect.HoldsLonger
	if wait == dialect.Unbounded {
		wait = w.Cfg.TTL
	}
	for try := 0; wait > 0 && try < 3 && got.Reason == op.Held; try++ {
		c := call.Claim(a, n.Ref, w.ClaimID())
		if reference.Decisions(w.Cfg, w.dialect, w.spec.View(&c.Call), &c.Call, n.reads.Now())[0].Guard == reference.Claimable {
			break // it is held by what was told, too
		}
		w.Advance(wait)
		got = n.Do(c)
	}
	return got
}

// Is checks the suite's own expectation of an answer that has already been
// found equal to the reference's: a mistake in the case, not in the backend.
func (w *Run) Is(a op.Result, want error) op.Result {
	if call.Class(a.Err) != want && w.breached {
		panic(trial.Outcome{}) // the case cannot go on from where a waived breach has led
	}
	switch {
	case call.Class(a.Err) == want:
	case w.dialect == (dialect.Dialect{}):
		w.T.GiveUp("the suite expected %v, the reference agrees with the answer %v\n%s", want, a.Err, w.Table())
	case errors.Is(a.Err, errors.ErrUnsupported):
		if want == nil && w.lacked != op.Validate && w.lacked != op.GetNode {
			w.T.Needs(w.lacked) // the others are asked beside what the case is about
		}
	case want == nil && len(w.Steps) > 0 && w.Steps[len(w.Steps)-1].call.Kind.Grants():
		w.T.Beyond("it goes on from an answer that the dialect leaves open: %s", w.stepText(w.Steps[len(w.Steps)-1]))
	}
	return a
}

// Crash ends the node's process, and another opens a handle in its place. What
// the first one holds stays held: a registry cannot know that it is gone.
func (n *Node) Crash() {
	n.W.Steps = append(n.W.Steps, Step{At: n.W.Time.Now(), Clock: n.Clock.Now(), Node: n.Name, What: "Crash", replay: true, event: history.Crash})
	_ = n.H.Close()
	n.Reopen()
}

// Restart crashes the cluster, opens every handle anew and compares everything
// with the reference, which does not crash: what it knows is what was acknowledged.
func (w *Run) Restart() {
	w.Session.Restart()
	w.Steps = append(w.Steps, Step{At: w.Time.Now(), Clock: w.Time.Now(), Node: everybody, What: "Crash", replay: true, event: history.Crash})
	for _, n := range append(w.Nodes, w.Observer) {
		n.Reopen()
	}
	for _, a := range w.Actors {
		w.AuditOne(call.Lookup(a), contract.Durability)
	}
	w.AuditOne(call.ListNodes(registry.AnyStatus, 0), contract.Durability)
	for _, n := range w.Nodes {
		w.AuditOne(call.ListActors(n.Ref, 0), contract.Durability)
	}
}

// Seed puts state into the cluster and the reference, as if operations had led
// to it. It returns false when the cluster cannot hold it.
func (w *Run) Seed(s Seeds) bool {
	err := w.Session.Seed(s.Nodes, s.Records)
	if errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	if err == nil {
		err = w.imports(s)
	}
	if err != nil {
		w.T.GiveUp("%v: %v", s, err)
	}
	w.Steps = append(w.Steps, Step{At: w.Time.Now(), Clock: w.Time.Now(), Node: everybody, What: s.String(), replay: true, seeds: &s})
	for _, r := range s.Records {
		w.know(r.Actor)
	}
	return true
}

// imports puts state into the reference, in each of the states that it may be in.
func (w *Run) imports(s Seeds) error {
	worlds := slices.Clone(w.possible())
	for i := range worlds {
		w.spec.Restore(worlds[i].state)
		if err := w.spec.Import(s.Nodes, s.Records); err != nil {
			return err
		}
		worlds[i].state = w.spec.Snapshot()
	}
	w.keep(worlds)
	return nil
}

// adopt has the reference go on from what the backend's records say, after a
// waived breach by the call.
func (w *Run) adopt(c *op.Call) {
	w.breached, w.worlds, w.Late = true, nil, nil
	delete(w.beliefs, c.Actor)
	reads := []call.Call{}
	for _, a := range actorsOf(c) {
		if a.Validate() == nil {
			reads = append(reads, call.Lookup(a))
		}
	}
	for _, id := range []registry.NodeID{c.Node.ID, c.To.ID} {
		if id.Validate() == nil {
			reads = append(reads, call.GetNode(id))
		}
	}
	for _, read := range reads {
		w.spec.Adopt(&read.Call, w.Session.Do(w.Observer.Name, w.Observer.H, read))
	}
}

// actorsOf returns the actors that a call is about.
func actorsOf(c *op.Call) (list []registry.ActorID) {
	if c.Actor != (registry.ActorID{}) {
		list = append(list, c.Actor)
	}
	for _, l := range c.Leases {
		list = append(list, l.Actor)
	}
	return list
}

// troubled deals with an answer from which the outcome is not known.
func (w *Run) troubled(n *Node, c call.Call, got op.Result, before registry.Instant) {
	w.ErrorAlone(c, got)
	if o := answers.JudgeAlone(w.dialect, &c, &got); o != nil { // two errors at once, of which one is of trouble
		w.Convict(o.Rule, 0, got, got, o.Found)
	}
	w.overslept(n, c, got)
	if !w.Exact {
		w.settleClock(c, got, before)
	}
	if got.Outcome.Ambiguous() {
		w.uncertain(got)
		w.doubts(c)
		if e := c.Kind.Effect(); e == op.Passes || e == op.Ends {
			delete(w.beliefs, c.Actor) // whoever asks for that has stopped serving
		}
		w.follow(n, c, got)
	}
}

// uncertain ends the trial undecided after an unknown outcome where none is gone on from.
func (w *Run) uncertain(got op.Result) {
	if w.Certain {
		w.Certain = false
		w.T.GiveUp("an outcome is unknown: %v", got.Err)
	}
}

// followBatch goes on with the worlds in which the batch may have been answered
// so. Its renewals happen in any order, each by itself, and each may end as a
// Renew may, unknown outcomes included (contract, RenewBatch).
func (w *Run) followBatch(n *Node, c call.Call, got op.Result) bool {
	w.tick()
	if len(got.Renewals) != len(c.Leases) {
		return false
	}
	group := map[registry.ActorID][]renewal{} // of different actors they do not depend on each other
	var actors []registry.ActorID
	for i, l := range c.Leases {
		r := renewal{call.Renew(l), got.Renewals[i], nil}
		if r.got.Outcome.Ambiguous() {
			w.uncertain(r.got)
		}
		r.late = w.mayStillApply(n, r.call, r.got)
		if group[l.Actor] == nil {
			actors = append(actors, l.Actor)
		}
		group[l.Actor] = append(group[l.Actor], r)
	}
	for _, a := range actors {
		var next []world
		for _, v := range w.possible() {
			for _, v := range w.inAnyOrder(v, n, group[a]) {
				next = adds(next, v)
			}
		}
		if len(next) == 0 {
			return false
		}
		w.keep(next)
		// What has become of an actor is read before the next one is looked at: each
		// unknown outcome would double what is possible.
		if slices.ContainsFunc(group[a], func(r renewal) bool { return r.got.Outcome.Ambiguous() }) && a.Validate() == nil {
			w.AuditOne(call.Lookup(a), contract.AmbiguousTruth)
		}
	}
	w.resolved()
	return true
}

// overslept convicts a watch, the last step, that ran into its deadline although
// the version differed when it was called, and does so again: a machine may stand
// still for once. A store that is merely slow does not answer the observer either,
// and is given up.
func (w *Run) overslept(n *Node, c call.Call, got op.Result) {
	late := func(r op.Result) bool { // with ErrUnavailable the deadline may be one of the store's own
		return call.Class(r.Err) == context.DeadlineExceeded && !errors.Is(r.Err, registry.ErrUnavailable)
	}
	if c.Kind != op.Watch || !late(got) || !late(w.Session.Do(n.Name, n.H, c)) {
		return
	}
	w.AuditOne(call.Lookup(c.Actor), contract.WatchWakes)
	look := call.Lookup(c.Actor)
	if want := look.Do(context.WithoutCancel(w.T.Ctx), w.Observer.model); want.Record.Version != c.Seen {
		w.Convict(contract.WatchWakes, 0, got, want, "the version differed from the beginning")
	}
}
