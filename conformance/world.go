package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/reference"
)

// epoch0 is the true time at which every world begins; texts count from it.
const epoch0 = registry.Instant(1_700_000_000_000_000_000)

// world is a cluster under judgement in lockstep with the reference: every call
// is made on both with the same reading of the same clock, and the two answers
// must be equal. With one caller at a time the specification leaves no choice
// but the order of a listing, so that any difference is the backend's error.
//
// With a RealTime backend the reading is not known exactly. The reference is
// then given the reading that the answer reveals, or the middle of the call, and
// expiries are compared within the slack that this leaves.
type world struct {
	t       *trial
	cfg     registry.Config
	rng     *rand.Rand
	cluster Cluster
	free    func() // of the cluster
	spec    *reference.Store
	exact   bool
	time    *registry.ManualClock // true time; of the reference when not exact
	began   registry.Instant
	nodes   []*node
	auditor *node
	steps   []step
	beliefs map[registry.ActorID][]belief
	actors  []registry.ActorID // that were granted
	audits  bool               // compare the records after every step

	recorder *linearizability.Recorder // of the handles opened from now on; may be nil
	behind   bool                      // the step before was not followed by an audit
}

// node is one process: a handle with its own clock.
type node struct {
	w     *world
	name  string
	ref   registry.NodeRef // of its latest registration
	clock *registry.SkewedClock
	h     registry.Handle
	twin  registry.Handle // on the reference
}

// step is one line of the history.
type step struct {
	at, clock registry.Instant
	node      string
	call      string
	answer    answer
	replay    *call // made through do, so that it can be made again; nil for other steps
}

// everybody is the node of a step that concerns all of them.
const everybody = "all"

// newWorld opens an empty cluster.
func (t *trial) newWorld(cfg registry.Config, seed uint64) *world {
	w := &world{t: t, cfg: cfg, rng: newRand(seed), exact: t.exact(), audits: true, beliefs: map[registry.ActorID][]belief{}}
	w.time = registry.NewManualClock(epoch0)
	if !w.exact {
		w.time.Set(registry.SystemClock().Now())
	}
	w.began = w.time.Now()
	var err error
	if w.spec, err = reference.NewStore(cfg); err != nil {
		t.giveUp("the suite chose a bad configuration: %v", err)
	}
	w.cluster, w.free = t.newCluster(cfg)
	w.auditor = w.open("auditor", 0)
	return w
}

// close frees the cluster. A trial that ends early does not come here: its clusters
// are freed when it is over.
func (w *world) close() {
	for _, n := range append(w.nodes, w.auditor) {
		_ = n.h.Close()
	}
	w.free()
}

func (w *world) open(name string, offset time.Duration) *node {
	if !w.exact {
		offset = 0
	}
	n := &node{w: w, name: name, clock: registry.NewSkewedClock(w.time, offset)}
	n.reopen()
	return n
}

func (n *node) reopen() {
	var clock registry.Clock = n.clock
	if !n.w.exact {
		clock = registry.SystemClock()
	}
	if n.w.recorder != nil {
		clock = n.w.recorder.Clock(n.name, clock)
	}
	var err error
	n.w.t.watch(func() string { return "Cluster.Open" }, func(context.Context) { n.h, err = n.w.cluster.Open(n.w.cfg, clock) })
	if err != nil {
		n.w.t.giveUp("Cluster.Open: %v", err)
	}
	if n.w.recorder != nil {
		n.h = n.w.recorder.Wrap(n.name, n.h)
	}
	if n.twin, err = n.w.spec.Open(n.w.cfg, n.clock); err != nil {
		n.w.t.giveUp("opening the reference: %v", err)
	}
}

// node opens a handle with a clock that is offset from true time, and
// registers the process under the name.
func (w *world) node(name string, offset time.Duration) *node {
	n := w.stranger(name, offset)
	n.register(registry.IfAbsent)
	return n
}

// stranger opens a handle without registering.
func (w *world) stranger(name string, offset time.Duration) *node {
	n := w.open(name, offset)
	w.nodes = append(w.nodes, n)
	n.ref = registry.NodeRef{ID: registry.NodeID(name), Epoch: 1}
	return n
}

func (w *world) actor(name string) registry.ActorID {
	return registry.ActorID{Namespace: "conform", Name: name}
}

func (w *world) claimID() registry.ClaimID {
	var id registry.ClaimID
	for i := range id {
		id[i] = byte(w.rng.Uint32())
	}
	id[0] |= 1 // never zero
	return id
}

// advance moves true time by d. It waits for it when time is real.
func (w *world) advance(d time.Duration) {
	if w.exact {
		w.time.Advance(d)
		return
	}
	pause(w.t.ctx, d)
	w.time.Set(registry.SystemClock().Now())
}

// until moves true time so that n's clock reads i.
func (w *world) until(n *node, i registry.Instant) { w.advance(i.Sub(n.clock.Now())) }

// call is one operation on a handle, to be made on the backend and its twin.
type call struct {
	kind  string
	args  string
	actor registry.ActorID // of the record that it is about, if any
	token registry.Token   // Release and Transfer: of the tenure that they end
	about registry.NodeID  // of the node that it is about, if any
	read  bool             // changes nothing even when it succeeds
	do    func(context.Context, registry.Handle) answer
	ask   *linearizability.Ask // for a script's line; nil when no line says it

	repeats bool // it succeeds and changes nothing, by the reference
}

func (c call) String() string { return c.kind + "(" + c.args + ")" }

// answer is what an operation returned; what it has no use for is zero.
type answer struct {
	place  registry.Placement // also a lease
	node   registry.Node
	found  bool
	absent bool // read, and there was none; for the text
	places []registry.Placement
	nodes  []registry.Node
	batch  []registry.Renewal
	err    error
}

// besideError describes what an answer has beside its error and must not have, ""
// when there is nothing.
func (a answer) besideError() string {
	var told []string
	if a.err == nil {
		return ""
	}
	if a.found {
		told = append(told, "found is true")
	}
	if a.place != (registry.Placement{}) {
		told = append(told, fmt.Sprintf("the record is %+v", a.place))
	}
	if a.node != (registry.Node{}) {
		told = append(told, fmt.Sprintf("the registration is %+v", a.node))
	}
	return strings.Join(told, ", ")
}

func (a answer) lease() registry.Lease { return a.place.Lease() }

// do makes the call on both and compares. It returns the backend's answer.
func (n *node) do(c call) answer {
	w := n.w
	if !w.exact {
		w.time.Set(registry.SystemClock().Now())
	}
	before := w.time.Now()
	var got answer
	describe := func() string { return n.name + ": " + c.String() }
	for attempt := 1; ; attempt++ {
		w.t.watch(describe, func(ctx context.Context) { got = c.do(ctx, n.h) })
		if !trouble(got.err) {
			break
		}
		w.steps = append(w.steps, step{before, n.clock.Now(), n.name, c.String(), got, nil})
		w.errorAlone(c, got)
		w.overslept(c, got)
		if attempt == attempts || errors.Is(got.err, registry.ErrAmbiguous) {
			w.t.giveUp("%s: %v", describe(), got.err)
		}
		// ErrUnavailable and a context's error promise that nothing happened,
		// so that the comparison with the untouched reference must still hold.
		w.audit(c, AmbiguousTruth)
	}
	near := false
	if !w.exact {
		if took := registry.SystemClock().Now().Sub(before); took > w.cfg.TTL/8 {
			w.t.giveUp("%s took %v, too long beside a TTL of %v to know which reading it went by", describe(), took, w.cfg.TTL)
		}
		w.settleClock(c, got, before)
		near = w.nearBoundary(c, before)
	}
	state := w.specified(c)
	want := c.do(context.WithoutCancel(w.t.ctx), n.twin)
	c.repeats = want.err == nil && state == w.specified(c)
	w.steps = append(w.steps, step{before, n.clock.Now(), n.name, c.String(), got, &c})
	w.errorAlone(c, got)
	if near && class(got.err) != class(want.err) {
		w.t.giveUp("%s came so close to a boundary that its outcome depends on the unknown reading", describe())
	}
	w.observe(n, c, got, want)
	w.compare(n, c, got, want)
	if w.audits {
		rule := RefusalNothing
		if got.err == nil {
			rule = ruleOf(c, nil)
		}
		if w.behind {
			rule = RawLookup // whose doing it is was not looked at in time
		}
		w.audit(c, rule)
	}
	w.behind = !w.audits
	return got
}

// errorAlone convicts an answer of Lookup or GetNode, the last step, that tells
// something beside its error. Only these two have a result, found, that a caller
// may look at by itself.
func (w *world) errorAlone(c call, got answer) {
	if beside := got.besideError(); beside != "" && (c.kind == "Lookup" || c.kind == "GetNode") {
		w.convict(ErrorAlone, "", got, answer{err: got.err}, "beside the error "+beside)
	}
}

// specified is what the reference has of the actor and the node that c is about.
func (w *world) specified(c call) (state struct {
	record registry.Placement
	member registry.Node
}) {
	ctx := context.WithoutCancel(w.t.ctx)
	state.record, _, _ = w.auditor.twin.Lookup(ctx, c.actor)
	state.member, _, _ = w.auditor.twin.GetNode(ctx, c.about)
	return state
}

// trouble reports whether err says that the store could not decide.
func trouble(err error) bool {
	return errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrAmbiguous) ||
		errors.Is(err, context.DeadlineExceeded)
}

// settleClock gives the reference the reading that the backend's answer
// reveals, or else the time after the call.
func (w *world) settleClock(c call, got answer, before registry.Instant) {
	now := registry.SystemClock().Now()
	w.time.Set(now)
	slack := 2 * w.cfg.MaxClockSkew
	reveal := func(i registry.Instant) {
		if i >= before.Add(-slack) && i <= now.Add(slack) {
			w.time.Set(i)
		}
	}
	switch {
	case got.err != nil:
	case c.kind == "Claim" || c.kind == "Transfer" || c.kind == "Renew":
		reveal(got.place.Expiry.Add(-w.cfg.TTL))
	case c.kind == "RegisterNode":
		reveal(got.node.LastSeen)
	}
}

// nearBoundary reports whether some reading that the backend may have taken
// during the call lies on the other side of a boundary than the one assumed.
func (w *world) nearBoundary(c call, before registry.Instant) bool {
	slack := 2 * w.cfg.MaxClockSkew
	lo, hi := before.Add(-slack), registry.SystemClock().Now().Add(slack)
	r, _, _ := w.auditor.twin.Lookup(context.Background(), c.actor)
	m, _, _ := w.auditor.twin.GetNode(context.Background(), c.about)
	lapse := r.Expiry.Add(w.cfg.Grace)
	for _, b := range []registry.Instant{r.Expiry, lapse, lapse.Add(2 * w.cfg.MaxClockSkew), w.cfg.FailedAt(m.LastSeen)} {
		if b.Add(slack) >= lo && b.Add(-slack) <= hi {
			return true
		}
	}
	return false
}

// audit compares the records that c was about, read through a handle that does
// nothing else, with the reference's.
func (w *world) audit(c call, rule RuleID) {
	if c.read {
		return
	}
	if c.actor != (registry.ActorID{}) && c.actor.Validate() == nil {
		w.auditOne(lookup(c.actor), rule)
	}
	if c.about != "" && c.about.Validate() == nil {
		w.auditOne(getNode(c.about), rule)
		if rule == ruleOf(c, nil) && c.kind != "Heartbeat" {
			rule = NoSuspicion // whatever becomes of a node, its actors stay as they are
		}
		for _, a := range w.actors {
			w.auditOne(lookup(a), rule)
		}
	}
}

func (w *world) auditOne(c call, rule RuleID) {
	var got answer
	for attempt := 1; ; attempt++ {
		w.t.watch(c.String, func(ctx context.Context) { got = c.do(ctx, w.auditor.h) })
		if !trouble(got.err) {
			break
		}
		if attempt == attempts {
			w.t.giveUp("%v: %v", c, got.err)
		}
	}
	want := c.do(context.WithoutCancel(w.t.ctx), w.auditor.twin)
	if diff := w.diff(w.auditor, got, want); diff != "" {
		w.steps = append(w.steps, step{w.time.Now(), w.auditor.clock.Now(), w.auditor.name, c.String(), got, nil})
		switch {
		case got.err != nil || want.err != nil || rule == Durability:
		case c.kind == "Lookup" && w.misread(c, got.place, want.place):
			rule = RawLookup
		case got.found && want.found:
			rule = recordRule(rule, got.place, want.place)
		}
		w.convict(rule, "", got, want, "read afterwards: "+diff)
	}
}

// misread reports whether the backend itself contradicts what a lookup
// answered: another handle reads the record that there must be, or the check of
// a token goes by it. Then the writing is in order and the reading is not.
func (w *world) misread(c call, got, want registry.Placement) bool {
	for _, n := range w.nodes {
		var other answer
		w.t.watch(c.String, func(ctx context.Context) { other = c.do(ctx, n.h) })
		if other.err == nil && other.place == want {
			return true
		}
	}
	if want.Token == 0 {
		return false
	}
	check := validate(c.actor, want.Token)
	var valid answer
	w.t.watch(check.String, func(ctx context.Context) { valid = check.do(ctx, w.auditor.h) })
	by := func(r registry.Placement) error { return reference.ValidateGuard(r, want.Token).Refusal() }
	return by(got) != by(want) && class(valid.err) == by(want)
}

// recordRule sharpens a rule by what is wrong with the record.
func recordRule(rule RuleID, got, want registry.Placement) RuleID {
	switch {
	case got.Token < want.Token:
		return TokenMonotonic
	case got.Token == want.Token && got.Holder == want.Holder && got.Version != want.Version && rule != RefusalNothing:
		return VersionBump
	}
	return rule
}

func (w *world) compare(n *node, c call, got, want answer) {
	diff := w.diff(n, got, want)
	if diff == "" {
		return
	}
	rule := ruleOf(c, want.err)
	switch {
	case got.err == nil && want.err == nil:
		rule = recordRule(rule, got.place, want.place)
	case c.kind == "Validate" && got.err == nil && !neverGranted(want.err):
		rule = NoStaleWrite
	case class(got.err) == class(want.err):
		rule = RefusalTruthful
	}
	w.convict(rule, c.kind, got, want, diff)
}

// neverGranted reports whether a token was refused because it is higher than
// that of a tenure that goes on.
func neverGranted(err error) bool {
	var r *registry.Refusal
	return errors.As(err, &r) && r.Reason == registry.ErrNotHeld && r.Placement.Held()
}

// ruleOf returns the rule of the operations' table that demands the answer.
func ruleOf(c call, want error) RuleID {
	switch class(want) {
	case registry.ErrInvalid:
		return InvalidFirst
	case registry.ErrClosed:
		return ClosedSecond
	case context.Canceled, context.DeadlineExceeded:
		return ContextThird
	}
	switch c.kind {
	case "Close":
		return ClosedSecond
	case "Lookup":
		return RawLookup
	case "RenewBatch":
		return BatchAsSingle
	case "Watch":
		return WatchWakes
	case "GetNode", "ListNodes", "ListActors":
		return RuleID(c.kind + ".answered")
	}
	outcome := map[error]string{
		nil:                     "granted",
		registry.ErrNodeUnknown: "node-unknown",
		registry.ErrNodeFailed:  "node-failed",
		registry.ErrNodeExists:  "exists",
		registry.ErrNodeAlive:   "alive",
		registry.ErrFenced:      "fenced",
		registry.ErrNotHeld:     "not-held",
		registry.ErrLapsed:      "lapsed",
		registry.ErrHeld:        "held",
	}
	id := RuleID(c.kind + "." + outcome[class(want)])
	if repeated := RuleID(c.kind + ".repeated"); c.repeats && ruleByID[repeated].ID == repeated {
		id = repeated
	}
	return id
}

func (w *world) convict(rule RuleID, kind string, got, want answer, diff string) {
	found := w.answerText(got)
	if n := len(w.steps); n > 0 {
		found = fmt.Sprintf("%s: %s = %s", w.steps[n-1].node, w.steps[n-1].call, found)
	}
	if diff != "" && diff != differs {
		found += "\n" + diff
	}
	action, guard := "", ""
	if kind != "" {
		action, guard = kind, string(ruleByID[ruleOf(call{kind: kind}, want.err)].Guard)
	}
	w.end(w.t.conviction(rule, action, guard, found, w.answerText(want), w.table()))
}

// end ends the trial with a conviction that this world's steps have led to.
func (w *world) end(c *Conviction) {
	c.Config, c.Length, c.Tenures = w.cfg, len(w.steps), w.tenures()
	panic(ending{conviction: c, world: w})
}

// Short forms for the cases.

func (n *node) register(mode registry.RegisterMode) answer {
	return n.do(registerNode(registry.NodeID(n.name), registry.NodeInfo{Address: n.name + ":7000"}, mode))
}

func (n *node) claim(a registry.ActorID) answer { return n.do(claim(a, n.ref, n.w.claimID())) }

// is checks the suite's own expectation of an answer that has already been
// found equal to the reference's: a mistake in the case, not in the backend.
func (w *world) is(a answer, want error) answer {
	if class(a.err) != want {
		w.t.giveUp("the suite expected %v, the reference agrees with the answer %v\n%s", want, a.err, w.table())
	}
	return a
}

// crash ends the node's process, and another opens a handle in its place. What
// the first one holds stays held: a registry cannot know that it is gone.
func (n *node) crash() {
	n.w.steps = append(n.w.steps, step{n.w.time.Now(), n.clock.Now(), n.name, kindCrash, answer{}, &call{kind: kindCrash}})
	_ = n.h.Close()
	n.reopen()
}

// restart crashes the cluster, opens every handle anew and compares everything
// with the reference, which does not crash: what it knows is what was acknowledged.
func (w *world) restart() {
	r, ok := w.cluster.(Restarter)
	if !ok {
		w.t.giveUp("the cluster is no Restarter")
	}
	var err error
	w.t.watch(func() string { return "Restarter.Restart" }, func(context.Context) { err = r.Restart() })
	if err != nil {
		w.t.giveUp("Restarter.Restart: %v", err)
	}
	w.steps = append(w.steps, step{w.time.Now(), w.time.Now(), everybody, kindCrash, answer{}, &call{kind: kindCrash}})
	for _, n := range append(w.nodes, w.auditor) {
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

// know notes that an actor's record exists, so that a restart can be judged.
func (w *world) know(a registry.ActorID) {
	if !slices.Contains(w.actors, a) {
		w.actors = append(w.actors, a)
	}
}
