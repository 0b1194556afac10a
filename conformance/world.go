package conformance

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"text/tabwriter"
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
	t.watch(func() string { return "Backend.New" }, func(context.Context) { w.cluster, err = t.judge.backend.New(cfg) })
	if err != nil {
		t.giveUp("Backend.New: %v", err)
	}
	t.executed.Add(1)
	w.auditor = w.open("auditor", 0)
	return w
}

// close frees the cluster. It is not called when a trial ends early: a call
// may still be running.
func (w *world) close() {
	for _, n := range append(w.nodes, w.auditor) {
		_ = n.h.Close()
	}
	if err := w.cluster.Close(); err != nil {
		w.t.giveUp("Cluster.Close: %v", err)
	}
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

func (a answer) lease() registry.Lease { return a.place.Lease() }

// do makes the call on both and compares. It returns the backend's answer.
func (n *node) do(c call) answer {
	w := n.w
	before := w.time.Now()
	var got answer
	describe := func() string { return n.name + ": " + c.String() }
	for attempt := 1; ; attempt++ {
		w.t.watch(describe, func(ctx context.Context) { got = c.do(ctx, n.h) })
		if !trouble(got.err) {
			break
		}
		w.steps = append(w.steps, step{before, n.clock.Now(), n.name, c.String(), got, nil})
		if attempt == attempts || errors.Is(got.err, registry.ErrAmbiguous) {
			w.t.giveUp("%s: %v", describe(), got.err)
		}
		// ErrUnavailable and a context's error promise that nothing happened,
		// so that the comparison with the untouched reference must still hold.
		w.audit(c, AmbiguousTruth)
	}
	near := false
	if !w.exact {
		w.settleClock(c, got, before)
		near = w.nearBoundary(c, before)
	}
	state := w.specified(c)
	want := c.do(context.WithoutCancel(w.t.ctx), n.twin)
	c.repeats = want.err == nil && state == w.specified(c)
	w.steps = append(w.steps, step{before, n.clock.Now(), n.name, c.String(), got, &c})
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
	switch c.kind {
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
	switch class(want) {
	case registry.ErrInvalid:
		return InvalidFirst
	case registry.ErrClosed:
		return ClosedSecond
	case context.Canceled, context.DeadlineExceeded:
		return ContextThird
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

// classes are the errors of the contract, in its order.
var classes = []error{
	registry.ErrInvalid, registry.ErrClosed, registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists,
	registry.ErrNodeAlive, registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed, registry.ErrHeld,
	registry.ErrConfigMismatch, registry.ErrUnavailable, registry.ErrAmbiguous,
	context.Canceled, context.DeadlineExceeded,
}

var errUnnamed = errors.New("an error that the contract does not have")

// class returns the contract's error that err matches, nil for success.
func class(err error) error {
	if err == nil {
		return nil
	}
	for _, c := range classes {
		if errors.Is(err, c) {
			return c
		}
	}
	return errUnnamed
}

// differs says that the answers are of different classes, which needs no words.
const differs = "the outcome differs"

// diff describes the first difference between the answers, "" when both say
// the same.
func (w *world) diff(n *node, got, want answer) string {
	if class(got.err) != class(want.err) {
		return differs
	}
	if want.err != nil {
		return w.detailDiff(n, got.err, want.err)
	}
	if got.found != want.found {
		return "found differs"
	}
	if d := w.placeDiff(got.place, want.place); d != "" {
		return d
	}
	if d := w.nodeDiff(got.node, want.node); d != "" {
		return d
	}
	return w.rowsDiff(n, got, want)
}

func (w *world) rowsDiff(n *node, got, want answer) string {
	if len(got.batch) != len(want.batch) {
		return fmt.Sprintf("%d results, want %d", len(got.batch), len(want.batch))
	}
	for i, r := range got.batch {
		g := answer{place: registry.Placement(r.Lease), err: r.Err}
		x := answer{place: registry.Placement(want.batch[i].Lease), err: want.batch[i].Err}
		if d := w.diff(n, g, x); d != "" {
			return fmt.Sprintf("result %d is %s, want %s: %s", i, w.answerText(g), w.answerText(x), d)
		}
	}
	if len(got.places) != len(want.places) || len(got.nodes) != len(want.nodes) {
		return fmt.Sprintf("%d rows, want %d", len(got.places)+len(got.nodes), len(want.places)+len(want.nodes))
	}
	for i := range got.places {
		if d := w.placeDiff(got.places[i], want.places[i]); d != "" {
			return fmt.Sprintf("row of %v: %s", want.places[i].Actor, d)
		}
	}
	for i := range got.nodes {
		if d := w.nodeDiff(got.nodes[i], want.nodes[i]); d != "" {
			return fmt.Sprintf("row of %v: %s", want.nodes[i].Ref.ID, d)
		}
	}
	return ""
}

func (w *world) placeDiff(got, want registry.Placement) string {
	switch {
	case got.Actor != want.Actor:
		return fmt.Sprintf("actor %v, want %v", got.Actor, want.Actor)
	case got.Holder != want.Holder:
		return fmt.Sprintf("holder %v, want %v", got.Holder, want.Holder)
	case got.Token != want.Token:
		return fmt.Sprintf("token %d, want %d", got.Token, want.Token)
	case got.Version != want.Version:
		return fmt.Sprintf("version %d, want %d", got.Version, want.Version)
	case !w.same(got.Expiry, want.Expiry):
		return fmt.Sprintf("expiry %s, want %s", w.rel(got.Expiry), w.rel(want.Expiry))
	case got.ClaimID != want.ClaimID:
		return fmt.Sprintf("claim id %v, want %v", got.ClaimID, want.ClaimID)
	}
	return ""
}

func (w *world) nodeDiff(got, want registry.Node) string {
	switch {
	case got.Ref != want.Ref:
		return fmt.Sprintf("incarnation %v, want %v", got.Ref, want.Ref)
	case got.Info != want.Info:
		return fmt.Sprintf("info %+v, want %+v", got.Info, want.Info)
	case got.Status != want.Status:
		return fmt.Sprintf("status %v, want %v", got.Status, want.Status)
	case !w.same(got.LastSeen, want.LastSeen):
		return fmt.Sprintf("last seen %s, want %s", w.rel(got.LastSeen), w.rel(want.LastSeen))
	}
	return ""
}

// same compares readings: exactly, or within the slack of real time.
func (w *world) same(got, want registry.Instant) bool {
	if w.exact {
		return got == want
	}
	d := got.Sub(want)
	return max(d, -d) <= 2*w.cfg.MaxClockSkew+w.cfg.TTL/4
}

// detailDiff compares what two errors of the same class tell.
func (w *world) detailDiff(n *node, got, want error) string {
	if errors.Is(want, registry.ErrInvalid) {
		var d *registry.InvalidError
		if !errors.As(got, &d) || d.Field == "" {
			return "no registry.InvalidError that names the argument is in the error"
		}
		return ""
	}
	var r, s *registry.Refusal
	if !errors.As(want, &s) {
		return ""
	}
	if !errors.As(got, &r) {
		return "no registry.Refusal is in the error"
	}
	if r.Reason != class(want) {
		return fmt.Sprintf("the refusal's reason is %v", r.Reason)
	}
	held := class(want) == registry.ErrHeld
	if d := w.placeDiff(r.Placement, s.Placement); d != "" && (held || r.Placement != registry.Placement{}) {
		return "the refusal tells " + d
	}
	if d := w.nodeDiff(r.Node, s.Node); d != "" && (r.Node != registry.Node{}) {
		return "the refusal tells " + d
	}
	if r.Now != 0 && !w.same(r.Now, n.clock.Now()) {
		return fmt.Sprintf("the refusal tells reading %s, the clock reads %s", w.rel(r.Now), w.rel(n.clock.Now()))
	}
	return ""
}

// Text of a history.

func (w *world) rel(i registry.Instant) string {
	d := i.Sub(w.began)
	if d < 0 {
		return "T-" + (-d).String()
	}
	return "T+" + d.String()
}

func (w *world) placeText(p registry.Placement) string {
	holder := "nobody"
	if p.Held() {
		holder = p.Holder.String()
	}
	return fmt.Sprintf("%s token %d version %d expiry %s", holder, p.Token, p.Version, w.rel(p.Expiry))
}

func (w *world) nodeText(n registry.Node) string {
	return fmt.Sprintf("%v %v seen %s", n.Ref, n.Status, w.rel(n.LastSeen))
}

func (w *world) errText(err error) string {
	var r *registry.Refusal
	switch c := class(err); {
	case c == errUnnamed:
		return fmt.Sprintf("%v: %v", c, err)
	case !errors.As(err, &r):
		return err.Error()
	case r.Placement != registry.Placement{}:
		return errName(c) + ": " + w.placeText(r.Placement)
	case r.Node != registry.Node{}:
		return errName(c) + ": " + w.nodeText(r.Node)
	default:
		return errName(c)
	}
}

var errNames = map[error]string{
	registry.ErrInvalid: "ErrInvalid", registry.ErrClosed: "ErrClosed", registry.ErrNodeUnknown: "ErrNodeUnknown",
	registry.ErrNodeFailed: "ErrNodeFailed", registry.ErrNodeExists: "ErrNodeExists", registry.ErrNodeAlive: "ErrNodeAlive",
	registry.ErrFenced: "ErrFenced", registry.ErrNotHeld: "ErrNotHeld", registry.ErrLapsed: "ErrLapsed", registry.ErrHeld: "ErrHeld",
	registry.ErrConfigMismatch: "ErrConfigMismatch", registry.ErrUnavailable: "ErrUnavailable", registry.ErrAmbiguous: "ErrAmbiguous",
}

func errName(class error) string {
	if n, ok := errNames[class]; ok {
		return n
	}
	return class.Error()
}

func (w *world) answerText(a answer) string {
	switch {
	case a.err != nil:
		return w.errText(a.err)
	case a.absent:
		return "none"
	case a.places != nil:
		return w.list(len(a.places), func(i int) string { return a.places[i].Actor.Name + " " + w.placeText(a.places[i]) })
	case a.nodes != nil:
		return w.list(len(a.nodes), func(i int) string { return w.nodeText(a.nodes[i]) })
	case a.place != registry.Placement{}:
		return w.placeText(a.place)
	case a.node != registry.Node{}:
		return w.nodeText(a.node)
	default:
		return "ok"
	}
}

func (w *world) list(n int, row func(int) string) string {
	rows := make([]string, 0, n)
	for i := range min(n, 5) {
		rows = append(rows, row(i))
	}
	if n > 5 {
		rows = append(rows, fmt.Sprintf("… %d rows", n))
	}
	return "[" + strings.Join(rows, "; ") + "]"
}

func configText(c registry.Config) string {
	return fmt.Sprintf("TTL %v, Grace %v, MaxClockSkew (ε) %v, FailureTimeout %v", c.TTL, c.Grace, c.MaxClockSkew, c.FailureTimeout)
}

// table returns the steps so far for a person.
func (w *world) table() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "cluster: %s\n", configText(w.cfg))
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "#\ttrue time\tnode\tits clock\tcall\tanswer")
	row := func(s step) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", w.rel(s.at), s.node, w.rel(s.clock), s.call, w.answerText(s.answer))
	}
	for i := 0; i < len(w.steps); {
		first, line := i, row(w.steps[i])
		for i++; i < len(w.steps) && row(w.steps[i]) == line; i++ {
		}
		if times := i - first; times > 1 {
			line += fmt.Sprintf("  (%d times)", times)
		}
		fmt.Fprintf(tw, "%d\t%s\n", first+1, line)
	}
	_ = tw.Flush() // a bytes.Buffer does not fail
	return b.String()
}

// The operations.

func lookup(a registry.ActorID) call {
	return call{kind: "Lookup", args: a.Name, actor: a, read: true, do: func(ctx context.Context, h registry.Handle) (r answer) {
		r.place, r.found, r.err = h.Lookup(ctx, a)
		r.absent = !r.found && r.err == nil
		return r
	}}
}

func getNode(id registry.NodeID) call {
	return call{kind: "GetNode", args: string(id), about: id, read: true, do: func(ctx context.Context, h registry.Handle) (r answer) {
		r.node, r.found, r.err = h.GetNode(ctx, id)
		r.absent = !r.found && r.err == nil
		return r
	}}
}

func claim(a registry.ActorID, node registry.NodeRef, id registry.ClaimID) call {
	return call{kind: "Claim", args: fmt.Sprintf("%s, %v, id %.4s", a.Name, node, id), actor: a, about: node.ID,
		do: func(ctx context.Context, h registry.Handle) answer {
			l, err := h.Claim(ctx, a, node, id)
			return answer{place: registry.Placement(l), err: err}
		}}
}

func leaseText(l registry.Lease) string {
	return fmt.Sprintf("%s by %v token %d", l.Actor.Name, l.Holder, l.Token)
}

func renew(l registry.Lease) call {
	return call{kind: "Renew", args: leaseText(l), actor: l.Actor, do: func(ctx context.Context, h registry.Handle) answer {
		l, err := h.Renew(ctx, l)
		return answer{place: registry.Placement(l), err: err}
	}}
}

func release(l registry.Lease) call {
	return call{kind: "Release", args: leaseText(l), actor: l.Actor, token: l.Token, do: func(ctx context.Context, h registry.Handle) answer {
		return answer{err: h.Release(ctx, l)}
	}}
}

func transfer(l registry.Lease, to registry.NodeRef) call {
	return call{kind: "Transfer", args: fmt.Sprintf("%s, to %v", leaseText(l), to), actor: l.Actor, token: l.Token, about: to.ID,
		do: func(ctx context.Context, h registry.Handle) answer {
			l, err := h.Transfer(ctx, l, to)
			return answer{place: registry.Placement(l), err: err}
		}}
}

func validate(a registry.ActorID, token registry.Token) call {
	return call{kind: "Validate", args: fmt.Sprintf("%s, token %d", a.Name, token), actor: a, read: true,
		do: func(ctx context.Context, h registry.Handle) answer { return answer{err: h.Validate(ctx, a, token)} }}
}

func registerNode(id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) call {
	return call{kind: "RegisterNode", args: fmt.Sprintf("%s, %v", id, mode), about: id,
		do: func(ctx context.Context, h registry.Handle) (r answer) {
			r.node, r.err = h.RegisterNode(ctx, id, info, mode)
			return r
		}}
}

func nodeCall(kind string, ref registry.NodeRef, f func(registry.Handle, context.Context, registry.NodeRef) error) call {
	return call{kind: kind, args: ref.String(), about: ref.ID, do: func(ctx context.Context, h registry.Handle) answer {
		return answer{err: f(h, ctx, ref)}
	}}
}

func heartbeat(ref registry.NodeRef) call {
	return nodeCall("Heartbeat", ref, func(h registry.Handle, ctx context.Context, r registry.NodeRef) error { return h.Heartbeat(ctx, r) })
}

func markFailed(ref registry.NodeRef) call {
	return nodeCall("MarkFailed", ref, func(h registry.Handle, ctx context.Context, r registry.NodeRef) error { return h.MarkFailed(ctx, r) })
}

func deregister(ref registry.NodeRef) call {
	return nodeCall("DeregisterNode", ref, func(h registry.Handle, ctx context.Context, r registry.NodeRef) error {
		return h.DeregisterNode(ctx, r)
	})
}

// listActors reads the whole listing in pages of limit and sorts it.
func listActors(ref registry.NodeRef, limit int) call {
	return call{kind: "ListActors", args: fmt.Sprintf("%v, pages of %d", ref, limit), read: true,
		do: func(ctx context.Context, h registry.Handle) (r answer) {
			r.places, r.err = pages(limit, func(p registry.Page) ([]registry.Placement, registry.Cursor, error) { return h.ListActors(ctx, ref, p) })
			slices.SortFunc(r.places, func(a, b registry.Placement) int {
				return cmp.Or(cmp.Compare(a.Actor.Namespace, b.Actor.Namespace), cmp.Compare(a.Actor.Name, b.Actor.Name))
			})
			return r
		}}
}

func listNodes(status registry.NodeStatus, limit int) call {
	return call{kind: "ListNodes", args: fmt.Sprintf("%v, pages of %d", status, limit), read: true,
		do: func(ctx context.Context, h registry.Handle) (r answer) {
			r.nodes, r.err = pages(limit, func(p registry.Page) ([]registry.Node, registry.Cursor, error) { return h.ListNodes(ctx, status, p) })
			slices.SortFunc(r.nodes, func(a, b registry.Node) int { return cmp.Compare(a.Ref.ID, b.Ref.ID) })
			return r
		}}
}

// maxPages ends a listing whose cursor never does.
const maxPages = 10_000

var errEndless = errors.New("the listing does not end")

func pages[T any](limit int, fetch func(registry.Page) ([]T, registry.Cursor, error)) (all []T, err error) {
	page := registry.Page{Limit: limit}
	all = []T{} // none is an answer too
	for range maxPages {
		rows, next, err := fetch(page)
		if err != nil {
			return nil, err
		}
		if len(rows) > page.Rows() {
			return nil, fmt.Errorf("a page of %d rows, the limit is %d", len(rows), page.Rows())
		}
		all = append(all, rows...)
		if next == "" {
			return all, nil
		}
		page.After = next
	}
	return nil, errEndless
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
	w.steps = append(w.steps, step{w.time.Now(), w.time.Now(), "all", kindCrash, answer{}, &call{kind: kindCrash}})
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
