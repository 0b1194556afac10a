//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/fdbsim"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// An explorer runs scenarios of concurrent operations under every order in which
// the cluster can process their requests, through the binding, and checks each
// history.
//
// A step resolves one request: a read version, the reads of one transaction, or a
// commit. The reads of a transaction are one step because they are answered from
// the version that its read version fixed, whatever happens meanwhile, so every order
// of them gives the same answers.
type explorer struct {
	t       testing.TB
	stepper *gate
	cluster *fdbsim.Cluster
	db      fdb.Database
	cfg     registry.Config
	worlds  int

	// wrap, when set, puts a broken variant in the place of each handle.
	wrap func(*Registry) registry.Handle
	// only, when set, are the names of the faults that are injected.
	only []string
	// joinReads makes a read version and the reads that follow one step, with the
	// faults of both: a reduction for deep scenarios, by the same argument.
	joinReads bool
	// interchangeable says that the operations differ in nothing but the names of
	// their node and claim: an exploration lets them begin in one order only,
	// because every other order is one of these with the names exchanged.
	interchangeable bool
	// commute leaves out what differs from another schedule only in the order of two
	// steps that read, one right after the other: neither sees the other. It needs
	// joinReads, and operations that are one call each: no call then begins after
	// another has returned, so that the order of returns proves nothing.
	commute bool

	// record, when set, is given the behaviour of every schedule.
	record *behaviours

	runs      int
	abandoned int // of runs: those that turned out to repeat another schedule
	steps     int
	faults    map[string]int
	ambiguous map[op.Outcome]int
}

// gate is a Stepper that can be opened: requests are then processed as they are sent.
type gate struct {
	*fdbsim.Stepper
	open bool // changed only while no client runs
}

func (g *gate) Submit(r *fdbsim.Request) {
	if g.open {
		r.Resolve(fdbsim.Deliver)
	} else {
		g.Stepper.Submit(r)
	}
}

func newExplorer(t testing.TB) *explorer {
	return &explorer{t: t, cfg: registry.DefaultConfig(), faults: map[string]int{}, ambiguous: map[op.Outcome]int{}}
}

// onNewCluster runs a part of an exploration on an empty cluster.
func (e *explorer) onNewCluster(part func()) {
	e.stepper = &gate{Stepper: fdbsim.NewStepper()}
	d, err := testdb.OpenSim(fdbsim.Config{Seed: 1, Scheduler: e.stepper})
	require.NoError(e.t, err)
	e.cluster, e.db = d.Cluster, d.Database
	part()
	require.NoError(e.t, d.Close())
}

// scenario is what happens before, and the operations that then run concurrently.
type scenario struct {
	name   string
	before func(w *world)
	ops    []operation
	// after checks what the history cannot show; nil for nothing.
	after func(w *world) error
}

// operation is one client's call, or calls one after the other.
type operation struct {
	name string
	node string // whose handle and clock
	run  func(w *world, h registry.Handle)
}

// world is one run of a scenario, on an empty registry.
type world struct {
	e       *explorer
	rec     *history.Recorder
	prefix  tuple.Tuple
	clocks  map[string]*registry.ManualClock
	raw     map[string]*Registry
	handles map[string]registry.Handle
	nodes   map[string]registry.NodeRef
	lease   registry.Lease
	now     registry.Instant // of clocks that are not made yet

	trace   *observer // nil when nobody writes the behaviour down
	current string    // the client that the last step set going
	owner   map[uint64]string
	begun   map[string]bool // of which a step was made
	passed  map[uint64]bool // the transactions that the last step, a read, went before out of order
	late    map[*fdbsim.Request]bool
	budget  int // faults left
	log     []string

	batch []registry.Lease // of the round trips

	// of the guarded writers
	leases       map[string]registry.Lease
	acknowledged map[string]bool
}

func (e *explorer) newWorld(budget int) *world {
	e.worlds++
	e.cluster.Advance(10 * time.Second) // what earlier runs wrote is history
	return &world{
		e: e, rec: history.NewRecorder(e.cfg), prefix: tuple.Tuple{"explore", e.worlds},
		clocks: map[string]*registry.ManualClock{}, raw: map[string]*Registry{},
		handles: map[string]registry.Handle{}, nodes: map[string]registry.NodeRef{},
		now: epochStart, owner: map[uint64]string{}, begun: map[string]bool{}, late: map[*fdbsim.Request]bool{}, budget: budget,
		leases: map[string]registry.Lease{}, acknowledged: map[string]bool{},
	}
}

// handle returns the recorded handle of a node.
func (w *world) handle(name string) registry.Handle {
	if h := w.handles[name]; h != nil {
		return h
	}
	w.clocks[name] = registry.NewManualClock(w.now)
	opts, err := Options{Prefix: w.prefix, Attempts: 8}.withDefaults()
	require.NoError(w.e.t, err)
	r := newRegistry(w.e.db, subspace.Sub(opts.Prefix...), w.e.cfg, w.rec.Clock(name, w.clocks[name]), opts)
	r.sleep = noSleep
	var h registry.Handle = r
	if w.e.wrap != nil {
		h = w.e.wrap(r)
	}
	w.raw[name], w.handles[name] = r, w.rec.Wrap(name, h)
	return w.handles[name]
}

func (w *world) setClocks(now registry.Instant) {
	w.now = now
	for _, c := range w.clocks {
		c.Set(now)
	}
}

// must makes a call alone, without faults.
func (w *world) must(call func() error) {
	w.e.t.Helper()
	w.e.stepper.open = true
	defer func() { w.e.stepper.open = false }()
	require.NoError(w.e.t, call())
}

// register registers nodes, each through its own handle.
func (w *world) register(names ...string) {
	for _, name := range names {
		h := w.handle(name)
		w.must(func() error {
			n, err := h.RegisterNode(context.Background(), registry.NodeID(name), registry.NodeInfo{}, registry.Supersede)
			w.nodes[name] = n.Ref
			return err
		})
	}
}

// claim gives actor x to a node.
func (w *world) claim(name string) {
	w.must(func() error {
		var err error
		w.lease, err = w.handle(name).Claim(context.Background(), actorID("x"), w.nodes[name], claimID(100))
		return err
	})
}

// event is what one step may resolve.
type event struct {
	label    string
	requests []*fdbsim.Request
}

// events groups what is on its way, in an order that is the same in every run.
func (w *world) events() []event {
	var events []event
	byTxn := map[uint64]int{}
	for _, r := range w.e.stepper.Quiesce() {
		if w.owner[r.Txn] == "" {
			w.owner[r.Txn] = w.current
		}
		label := fmt.Sprintf("%s: %s", w.owner[r.Txn], kindName(r))
		if w.late[r] {
			label = fmt.Sprintf("late: commit of %s lands", w.owner[r.Txn])
		}
		if i, ok := byTxn[r.Txn]; ok && isRead(r) && isRead(events[i].requests[0]) {
			events[i].requests = append(events[i].requests, r)
			continue
		}
		byTxn[r.Txn] = len(events)
		events = append(events, event{label, []*fdbsim.Request{r}})
	}
	return events
}

func isRead(r *fdbsim.Request) bool {
	return r.Kind == fdbsim.KindGet || r.Kind == fdbsim.KindGetRange
}

func kindName(r *fdbsim.Request) string {
	switch {
	case isRead(r):
		return "reads"
	case r.Kind == fdbsim.KindReadVersion:
		return "read version"
	}
	return r.Kind.String()
}

// fault is something else than an answer that a step can do.
type fault struct {
	name string
	do   func(w *world, ev event)
}

func failing(name string, code fdbsim.Code) fault {
	return fault{name, func(w *world, ev event) {
		w.resolve(ev.requests[0], fdbsim.Fail(code))
		for _, r := range ev.requests[1:] {
			w.resolve(r, fdbsim.Deliver)
		}
	}}
}

func verdictOf(name string, v fdbsim.Verdict) fault {
	return fault{name, func(w *world, ev event) { w.resolve(ev.requests[0], v) }}
}

// timeOut ends the transaction with 1031. A commit stays on its way.
var timeOut = fault{"1031", func(w *world, ev event) {
	for _, r := range ev.requests {
		w.resolve(r, fdbsim.TimeOut(0))
		if r.Kind == fdbsim.KindCommit {
			w.late[r] = true
		} else {
			w.resolve(r, fdbsim.Drop)
		}
	}
}}

var recovery = fault{"recovery", func(w *world, ev event) {
	w.e.cluster.Recover()
	if w.trace != nil {
		w.trace.recovered()
	}
	w.resolve(ev.requests[0], fdbsim.Deliver)
}}

var (
	readVersionFaults = []fault{failing("1038", 1038), timeOut}
	readFaults        = []fault{failing("1007", 1007), failing("1009", 1009), timeOut}
	commitFaults      = []fault{
		failing("1020", 1020), failing("1007", 1007), failing("1039", 1039),
		verdictOf("1021 applied", fdbsim.CommitUnknown(true)),
		verdictOf("1021 not applied", fdbsim.CommitUnknown(false)),
		timeOut, recovery,
	}
	// The client learns of a timeout from its first answer, so one of the read version
	// and one of the reads are the same step.
	joinedFaults = slices.Concat(readVersionFaults, []fault{ofReads(readFaults[0]), ofReads(readFaults[1])})
)

func (w *world) faultsOf(ev event) []fault {
	r := ev.requests[0]
	switch {
	case w.late[r], r.Kind == fdbsim.KindBackoff:
		return nil
	case isRead(r):
		return readFaults
	case r.Kind == fdbsim.KindCommit:
		return commitFaults
	case w.joins(ev):
		return joinedFaults
	default:
		return readVersionFaults
	}
}

// chooser picks one of so many deliveries and, after them, so many faults.
type chooser func(deliveries, faults int) int

// inTurn always chooses the first.
func inTurn(int, int) int { return 0 }

// step lets the chooser pick one event and what becomes of it.
func (w *world) step(events []event, choose chooser) event {
	type option struct {
		ev event
		f  *fault
	}
	var options []option
	for _, ev := range events {
		options = append(options, option{ev, nil})
	}
	for _, ev := range events {
		for _, f := range w.faultsOf(ev) {
			if w.budget > 0 && (w.e.only == nil || slices.Contains(w.e.only, f.name)) {
				options = append(options, option{ev, &f})
			}
		}
	}
	o := options[choose(len(events), len(options)-len(events))]
	w.e.steps++
	w.begun[w.owner[o.ev.requests[0].Txn]] = true
	if owner := w.owner[o.ev.requests[0].Txn]; !w.late[o.ev.requests[0]] {
		w.current = owner
	}
	if o.f == nil {
		w.log = append(w.log, o.ev.label)
		w.deliver(o.ev)
		return o.ev
	}
	w.budget--
	w.e.faults[kindName(o.ev.requests[0])+" "+o.f.name]++
	w.log = append(w.log, fmt.Sprintf("%s -> %s", o.ev.label, o.f.name))
	o.f.do(w, o.ev)
	return o.ev
}

// resolve resolves a request, and has it written down.
func (w *world) resolve(r *fdbsim.Request, v fdbsim.Verdict) {
	if w.trace == nil {
		w.e.stepper.Resolve(r, v)
		return
	}
	late, call := w.late[r], w.trace.current(r)
	w.e.stepper.Resolve(r, v)
	w.trace.resolved(r, v, late, call)
}

func (w *world) deliver(ev event) {
	for _, r := range ev.requests {
		w.resolve(r, fdbsim.Deliver)
		delete(w.late, r)
	}
	if reads, ok := w.readsAfter(ev); ok {
		w.deliver(reads)
	}
}

// readsAfter returns the reads that are one step with a read version, once that is delivered.
func (w *world) readsAfter(ev event) (event, bool) {
	if !w.joins(ev) {
		return event{}, false
	}
	for _, next := range w.events() {
		if next.requests[0].Txn == ev.requests[0].Txn && isRead(next.requests[0]) {
			return next, true
		}
	}
	return event{}, false
}

func (w *world) joins(ev event) bool {
	return w.e.joinReads && ev.requests[0].Kind == fdbsim.KindReadVersion
}

// ofReads is a fault of the reads, in the step of their read version.
func ofReads(f fault) fault {
	return fault{f.name, func(w *world, ev event) {
		w.resolve(ev.requests[0], fdbsim.Deliver)
		if reads, ok := w.readsAfter(ev); ok {
			f.do(w, reads)
		}
	}}
}

// run plays one schedule of a scenario and returns what is wrong with it, "" for nothing.
func (e *explorer) run(sc scenario, budget int, choose chooser) string {
	w := e.newWorld(0)
	sc.before(w)
	w.budget = budget
	if e.record != nil {
		w.trace = observe(w)
	}
	for _, o := range sc.ops {
		w.current = o.name
		h := w.handle(o.node)
		e.stepper.Go(func() {
			o.run(w, h)
			w.log = append(w.log, o.name+" returns") // no other client runs now
		})
		w.events() // names its first request
		if w.trace != nil {
			w.trace.invoked(o.name)
		}
	}
	for {
		events := w.events()
		if len(events) == len(w.late) {
			break
		}
		offered := w.offered(sc.ops, events)
		if len(offered) == 0 {
			choose, w.budget, offered = inTurn, 0, events // to its end, for nothing
			e.abandoned++
		}
		w.pass(sc.ops, events, w.step(offered, choose))
	}
	w.settleLate(choose)
	e.runs++
	if e.record != nil {
		run, after := w.trace.end()
		e.record.add(run, after, w.trace.count)
		w.trace = nil
	}
	return w.verdict(sc)
}

// offered leaves out the events that would only begin a schedule which another one stands for.
func (w *world) offered(ops []operation, events []event) []event {
	next := slices.IndexFunc(ops, func(o operation) bool { return !w.begun[o.name] })
	return slices.DeleteFunc(slices.Clone(events), func(ev event) bool {
		txn := ev.requests[0].Txn
		outOfTurn := w.e.interchangeable && !w.begun[w.owner[txn]] && w.owner[txn] != ops[next].name
		return outOfTurn || w.passed[txn]
	})
}

// pass remembers which reads a chosen read could have followed as well, of
// operations that stand before its own.
func (w *world) pass(ops []operation, events []event, chosen event) {
	w.passed = map[uint64]bool{}
	if !w.e.commute || !w.joins(chosen) {
		return
	}
	place := func(ev event) int {
		return slices.IndexFunc(ops, func(o operation) bool { return o.name == w.owner[ev.requests[0].Txn] })
	}
	for _, ev := range events {
		if w.joins(ev) && place(ev) < place(chosen) {
			w.passed[ev.requests[0].Txn] = true
		}
	}
}

// settleLate decides about commits that are still on their way when every call has returned.
func (w *world) settleLate(choose chooser) {
	for _, ev := range w.events() {
		if choose(2, 0) == 0 {
			w.log = append(w.log, ev.label)
			w.deliver(ev)
		} else {
			w.log = append(w.log, strings.Replace(ev.label, "lands", "is lost", 1))
			w.resolve(ev.requests[0], fdbsim.Drop)
			delete(w.late, ev.requests[0])
		}
	}
}

// verdict reads everything once more and checks the history.
func (w *world) verdict(sc scenario) string {
	ctx := context.Background()
	eye := w.handle("observer")
	w.must(func() error { _, _, err := eye.Lookup(ctx, actorID("x")); return err })
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		w.must(func() error { _, _, err := eye.GetNode(ctx, registry.NodeID(name)); return err })
		w.must(func() error { _, _, err := eye.ListActors(ctx, w.nodes[name], registry.Page{}); return err })
	}
	h := w.rec.History()
	for _, o := range h.Ops {
		if o.Result.Outcome.Ambiguous() {
			w.e.ambiguous[o.Result.Outcome]++
		}
	}
	res := linearizability.Check(h, linearizability.Options{})
	var wrong []string
	for _, v := range res.Violations {
		wrong = append(wrong, fmt.Sprintf("%s: %s %s of %s (operation %d)\n  found:   %s\n  allowed: %s", v.Rule, v.Action, v.Guard, v.Subject, v.Op, v.Found, v.Allowed))
	}
	if res.Verdict != linearizability.OK && wrong == nil {
		wrong = append(wrong, fmt.Sprintf("%s: %s", res.Verdict, res.Reason))
	}
	if sc.after != nil {
		if err := sc.after(w); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if wrong == nil {
		return ""
	}
	return fmt.Sprintf("%s\ninterleaving:\n  %s", strings.Join(wrong, "\n"), strings.Join(w.log, "\n  "))
}

// explore runs every schedule with up to the given number of faults and returns
// the first that is wrong.
func (e *explorer) explore(sc scenario, budget, limit int) (runs int, all bool, wrong string) {
	var path []int
	e.onNewCluster(func() {
		runs, all = fdbsim.Explore(limit, func(c *fdbsim.Choices) {
			if wrong != "" {
				return
			}
			if wrong = e.run(sc, budget, func(n, f int) int { return c.Choose(n + f) }); wrong != "" {
				path = c.Path()
			}
		})
	})
	if wrong != "" {
		wrong = fmt.Sprintf("%s, schedule %v: %s", sc.name, path, wrong)
	}
	return runs, all, wrong
}

// sample runs drawn schedules with up to budget faults.
func (e *explorer) sample(sc scenario, budget, n int, seed uint64, rng *rand.Rand) {
	e.t.Helper()
	choose := func(deliveries, faults int) int {
		if faults > 0 && rng.IntN(4) == 0 {
			return deliveries + rng.IntN(faults)
		}
		return rng.IntN(deliveries)
	}
	e.onNewCluster(func() {
		for range n {
			if wrong := e.run(sc, budget, choose); wrong != "" {
				e.t.Fatalf("%s: %s\nreplay with FDBIMPL_SEED=%d", sc.name, wrong, seed)
			}
		}
	})
}
