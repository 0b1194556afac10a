package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/op"
)

// Section is a group of cases.
type Section struct {
	Name  string
	Doc   string
	Cases []Case
}

// Case is one thing that the suite looks at. Its name is stable.
type Case struct {
	Name  string
	Doc   string
	Rules []RuleID     // what it tests
	Needs []Capability // what the backend must have for it

	draws bool // executes as many histories as asked for
	run   func(*trial)
}

// Sections lists every section with its cases, in the order of execution.
func Sections() []Section { return allSections() }

func sectionNames() []string {
	var names []string
	for _, s := range Sections() {
		names = append(names, s.Name)
	}
	return names
}

// Run judges b. Every case is a subtest "section/case": a conviction fails it
// with the text of [Conviction.String], an undecided case fails it too, a case
// that was not executed is skipped with its reason.
//
// The cases run one after the other. With [Parallel] more than 1 they are
// parallel subtests (testing.T.Parallel), at most so many at a time, which pays
// for a store with latency; the command line's -parallel bounds them too.
// Under testing.Short the level is [Quick], unless [Level] says another. With
// go test -v each case tells how many histories and operations it executed and how
// long it took.
//
// Run ends before the test's own deadline does (go test -timeout, 10 minutes unless
// set), which would end the process and lose what was found: cases that it does not
// come to fail as not decided. At the default level a registry in memory takes
// seconds to a minute; give a store with latency [Parallel], or more time.
func Run(t *testing.T, b Backend, opts ...Option) {
	t.Helper()
	j, err := newJudge(b, opts)
	if err == nil {
		err = j.opts.underTest(t.Name())
	}
	if err != nil {
		t.Fatalf("conformance: %v", err)
	}
	j.until = testEnds(t)
	slots := make(chan struct{}, j.opts.parallel)
	for _, s := range Sections() {
		t.Run(s.Name, func(t *testing.T) {
			for _, c := range s.Cases {
				if !j.opts.wants(s, c) {
					continue
				}
				t.Run(c.Name, func(t *testing.T) {
					if cap(slots) > 1 {
						t.Parallel()
					}
					slots <- struct{}{}
					defer func() { <-slots }()
					j.test(t, s, c)
				})
			}
		})
	}
	for _, c := range j.capabilities() {
		if c.Problem != "" {
			t.Errorf("capability %s: %s", c.Capability, c.Problem)
		}
	}
	if d := j.dialectResult(nil); d != nil {
		t.Log("passes as: " + d.String())
	}
	t.Log(extentText(j.odometer.measures()))
	if dir := j.opts.reportDir; dir != "" {
		if err := j.report(j.tested).WriteFiles(dir); err != nil {
			t.Errorf("conformance: the report was not written: %v", err)
		}
	}
}

// errTestEnds ends the judgement of Run before go test ends the process.
var errTestEnds = errors.New("the test's deadline is near (go test -timeout)")

// testEnds returns when the judgement of a test has to end: a tenth of its time
// before its deadline, at most ten seconds. Zero when it has none.
func testEnds(t *testing.T) time.Time {
	at, limited := t.Deadline()
	if !limited {
		return time.Time{}
	}
	left := at.Sub(registry.SystemClock().Now().Time())
	return at.Add(-min(left/10, 10*time.Second))
}

// test judges one case as a test.
func (j *judge) test(t *testing.T, s Section, c Case) {
	t.Helper()
	ctx := t.Context()
	if !j.until.IsZero() {
		var end context.CancelFunc
		ctx, end = context.WithDeadlineCause(ctx, j.until, errTestEnds)
		defer end()
	}
	r := j.judgeCase(ctx, s, c)
	j.mu.Lock()
	j.tested = append(j.tested, r)
	j.mu.Unlock()
	t.Logf("%d histories, %d operations, %v", r.Histories, r.Operations, r.Duration.Round(time.Millisecond))
	switch r.Verdict {
	case Convicted:
		t.Fatal("\n" + r.Conviction.String())
	case Unknown:
		t.Fatalf("not decided: %s", r.Reason)
	case Skipped, Waived:
		t.Skip(r.Reason)
	}
}

// exactly turns a test's name into the -run pattern that matches only it.
func exactly(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + p + "$"
	}
	return strings.Join(parts, "/")
}

// Judge judges b and reports. It returns an error for bad options, and the
// context's error with the report so far when the context ends.
func Judge(ctx context.Context, b Backend, opts ...Option) (*Report, error) {
	j, err := newJudge(b, opts)
	if err != nil {
		return nil, err
	}
	return j.judge(ctx)
}

// judge carries one judgement.
type judge struct {
	backend  Backend
	opts     *options
	started  registry.Instant
	deadline registry.Instant // of drawing histories; 0: one round
	until    time.Time        // when Run has to end; zero: it may take what it takes

	odometer *odometer // how far it went

	dialect dialect.Dialect // of the backend
	strict  strictness      // which differences of it were needed

	found map[Capability]bool
	stop  atomic.Bool // after the first conviction, when asked for

	mu     sync.Mutex // guards done and calls of opts.progress, and tested
	done   int
	tested []CaseResult // by Run
}

func newJudge(b Backend, opts []Option) (*judge, error) {
	o, err := newOptions(b, opts)
	if err != nil {
		return nil, err
	}
	j := &judge{backend: b, opts: o, odometer: newOdometer(), started: registry.SystemClock().Now()}
	if s, ok := b.(Speaker); ok {
		j.dialect = s.Dialect()
		if err := j.dialect.Validate(); err != nil {
			return nil, err
		}
	}
	if o.duration > 0 {
		j.deadline = registry.SystemClock().Now().Add(o.duration)
	}
	j.found = j.probe()
	return j, nil
}

func (j *judge) judge(ctx context.Context) (*Report, error) {
	type slot struct {
		s Section
		c Case
	}
	var slots []slot
	for _, s := range Sections() {
		for _, c := range s.Cases {
			if j.opts.wants(s, c) {
				slots = append(slots, slot{s, c})
			}
		}
	}
	results := make([]CaseResult, len(slots))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(j.opts.parallel, len(slots)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(slots); i = int(next.Add(1)) - 1 {
				s, c := slots[i].s, slots[i].c
				j.event(Event{Section: s.Name, Case: c.Name, Total: len(slots)})
				results[i] = j.judgeCase(ctx, s, c)
				j.event(Event{Section: s.Name, Case: c.Name, Total: len(slots), Result: &results[i]})
			}
		})
	}
	wg.Wait()
	r := j.report(results)
	if dir := j.opts.reportDir; dir != "" {
		if err := r.WriteFiles(dir); err != nil {
			return r, errors.Join(ctx.Err(), fmt.Errorf("the report was not written: %w", err))
		}
	}
	return r, ctx.Err()
}

// report makes a report of what the cases said.
func (j *judge) report(results []CaseResult) *Report {
	slices.SortStableFunc(results, func(a, b CaseResult) int { return cmp.Compare(position(a.ID()), position(b.ID())) })
	rules := ruleResults(results, j.capabilities())
	return &Report{
		Schema:       ReportSchema,
		Backend:      j.backend.Name(),
		Type:         reflect.TypeOf(j.backend).String(),
		Go:           runtime.Version(),
		Platform:     runtime.GOOS + "/" + runtime.GOARCH,
		Store:        storeOf(j.backend),
		Config:       j.opts.cfg,
		Seeds:        j.opts.seeds,
		Started:      j.started,
		Duration:     registry.SystemClock().Now().Sub(j.started),
		Capabilities: j.capabilities(),
		Cases:        results,
		Dialect:      j.dialectResult(rules),
		Rules:        rules,
		Sections:     sectionResults(results),
		Profiles:     profileResults(results),
		Level:        j.opts.level,
		Extent:       j.odometer.measures(),
	}
}

// position is where a case stands in the order of execution.
func position(id string) int {
	n := 0
	for _, s := range Sections() {
		for _, c := range s.Cases {
			if s.Name+"/"+c.Name == id {
				return n
			}
			n++
		}
	}
	return n
}

func storeOf(b Backend) *Store {
	if on, ok := b.(Stored); ok {
		s := on.Store()
		return &s
	}
	return nil
}

// sectionResults are those that the cases are of.
func sectionResults(cases []CaseResult) (list []SectionResult) {
	for _, s := range Sections() {
		if slices.ContainsFunc(cases, func(c CaseResult) bool { return c.Section == s.Name }) {
			list = append(list, SectionResult{Name: s.Name, Doc: s.Doc})
		}
	}
	return list
}

func (j *judge) event(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Result != nil {
		j.done++
	}
	e.Done = j.done
	j.opts.progress(e)
}

// judgeCase runs one case over all seeds, up to the first conviction.
func (j *judge) judgeCase(ctx context.Context, s Section, c Case) (r CaseResult) {
	r = CaseResult{Section: s.Name, Name: c.Name, Doc: c.Doc, Rules: c.Rules, Verdict: Pass}
	start := registry.SystemClock().Now()
	defer func() {
		r.Duration = registry.SystemClock().Now().Sub(start)
		if r.Verdict == Pass && len(r.Waived) > 0 {
			r.Verdict, r.Reason = Waived, waivedText(r.Waived)
		}
	}()
	if reason := j.cannot(c); reason != "" {
		r.Verdict, r.Reason = Skipped, reason
		return r
	}
	for round := uint64(0); ; round++ {
		for _, seed := range j.seedsOf(c) {
			if cause := context.Cause(ctx); cause != nil {
				r.Verdict, r.Reason = Unknown, fmt.Sprintf("the judgement was ended before: %v", cause)
				return r
			}
			if j.stop.Load() {
				r.Verdict, r.Reason = Skipped, "the judgement was ended before, at the first conviction"
				return r
			}
			v := j.try(ctx, s, c, seed+round<<48, &r)
			if v == Convicted && j.opts.stopAtFirst {
				j.stop.Store(true)
			}
			if v != Pass {
				return r
			}
		}
		if !c.draws || j.deadline == 0 || registry.SystemClock().Now() >= j.deadline {
			return r
		}
	}
}

// whyNot says why a capability is missing.
func (j *judge) whyNot(c Capability) string {
	if e, ok := j.backend.(Excused); ok {
		if why := e.WhyNot(c); why != "" {
			return why
		}
	}
	return missing[c]
}

// seedsOf returns the seeds that make a difference to a case.
func (j *judge) seedsOf(c Case) []uint64 {
	if !c.draws {
		return j.opts.seeds[:1]
	}
	return j.opts.seeds
}

// attempts is how often a case is started when it ended undecided: more often
// when that came of trouble that the store is in now and then.
func (t *trial) attempts() int {
	if t.troubles.Load() > 0 && !t.down.Load() {
		return 30
	}
	return 3
}

// unanswered ends the trial undecided: the store did not answer a call, however
// often it was made.
func (t *trial) unanswered(call string, err error) {
	t.down.Store(true)
	t.giveUp("%s: %v", call, err)
}

// try executes a case with one seed and adds to r what came of it.
func (j *judge) try(ctx context.Context, s Section, c Case, seed uint64, r *CaseResult) Verdict {
	for n := 1; ; n++ {
		t := newTrial(ctx, j, s, c, seed)
		end := t.execute()
		r.Histories += int(t.executed.Load())
		r.Operations += int(t.operations.Load())
		r.Troubles += int(t.troubles.Load())
		if t.coverage.States > 0 {
			r.Coverage = &t.coverage
		}
		if t.schedules.Situations > 0 {
			r.Schedules = &t.schedules
		}
		waived := end.conviction != nil && t.waive(end.conviction.Rule, end.conviction.Found)
		for _, b := range t.waived() {
			r.Waived = appendBreach(r.Waived, b)
		}
		switch {
		case waived:
			return Pass
		case end.conviction != nil:
			end.conviction.HistoryNo = r.Histories
			if t.convictedAt > 0 {
				end.conviction.HistoryNo += int(t.convictedAt - t.executed.Load())
			}
			r.Verdict, r.Conviction = Convicted, end.conviction
		case end.beyond != "":
			r.Verdict, r.Reason = Skipped, end.beyond
		case end.undecided == "":
			return Pass
		case n < t.attempts() && ctx.Err() == nil:
			continue
		default:
			r.Verdict, r.Reason = Unknown, fmt.Sprintf("%s (tried %d times)", end.undecided, n)
		}
		return r.Verdict
	}
}

// cannot says why a case is not executed, "" when it is.
func (j *judge) cannot(c Case) string {
	for _, need := range c.Needs {
		if !j.found[need] {
			return j.whyNot(need)
		}
	}
	return ""
}

var missing = map[Capability]string{
	ClockControl: "needs exact clock readings, and the backend is RealTime",
	BatchRenew:   "the handles do not implement registry.BatchRenewer",
	Watch:        "the handles do not implement registry.Watcher",
	Restart:      "the cluster does not implement conformance.Restarter",
	Faulty:       "the cluster does not implement conformance.FaultInjector",
	YieldPoints:  "the cluster does not implement conformance.Scheduled",
	Instances:    "a registration repeated under its instance is not answered with the same incarnation",
	Seeding:      "the cluster does not implement conformance.Seeder",
}

// probe opens one handle and looks what it and its cluster can do. A backend
// that cannot even do that is convicted by the first case that tries.
func (j *judge) probe() (found map[Capability]bool) {
	found = map[Capability]bool{}
	defer func() { _ = recover() }()
	_, rt := j.backend.(RealTime)
	found[ClockControl] = !rt
	cluster, err := j.backend.New(j.opts.cfg)
	if err != nil {
		return found
	}
	defer cluster.Close()
	_, found[Restart] = cluster.(Restarter)
	_, found[Faulty] = cluster.(FaultInjector)
	_, found[YieldPoints] = cluster.(Scheduled)
	_, found[Seeding] = cluster.(Seeder)
	h, err := cluster.Open(j.opts.cfg, registry.SystemClock())
	if err != nil {
		return found
	}
	defer h.Close()
	j.found = found
	j.probeOperations(h)
	_, found[BatchRenew] = h.(registry.BatchRenewer)
	_, found[Watch] = h.(registry.Watcher)
	found[Instances] = !j.dialect.NoMembership && repeatsRegistrations(h, j.opts.callTimeout)
	return found
}

// RepeatsRegistrations tries, on a handle of a cluster that nobody else uses,
// whether a registration that is repeated under its instance is answered with the
// same incarnation: whether the backend has [Instances].
func RepeatsRegistrations(h registry.Handle) bool { return repeatsRegistrations(h, defaultCallTimeout) }

func repeatsRegistrations(h registry.Handle, limit time.Duration) bool {
	answered := make(chan bool, 1)
	go func() {
		defer func() { _ = recover() }() // a registry that panics here is convicted elsewhere
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		info := registry.NodeInfo{Instance: registry.InstanceID{1}}
		first, err := h.RegisterNode(ctx, "probe", info, registry.IfAbsent)
		if err == nil {
			var again registry.Node
			again, err = h.RegisterNode(ctx, "probe", info, registry.IfAbsent)
			answered <- err == nil && first.Info == info && again.Ref == first.Ref && again.Info == info
			return
		}
		answered <- false
	}()
	select {
	case yes := <-answered:
		return yes
	case <-time.After(limit):
		return false
	}
}

func (j *judge) capabilities() []CapabilityResult {
	d, declares := j.backend.(Declarer)
	var results []CapabilityResult
	for _, c := range Capabilities() {
		r := CapabilityResult{Capability: c, Found: j.found[c], Declared: j.found[c]}
		if declares {
			r.Declared = slices.Contains(d.Declared(), c)
		}
		switch {
		case r.Declared && !r.Found:
			r.Problem = "declared, but " + missing[c]
		case r.Found && !r.Declared:
			r.Note = "found, but not declared"
		}
		results = append(results, r)
	}
	return results
}

// trial is one execution of a case with one seed. Cases end early by
// panicking with an outcome, through lockstep.end and giveUp.
type trial struct {
	ctx     context.Context
	judge   *judge
	section string
	name    string
	run     func(*trial)
	cfg     registry.Config
	seed    uint64

	executed   atomic.Int64 // histories
	operations atomic.Int64
	troubles   atomic.Int64 // calls that the store, being in trouble, did not answer
	down       atomic.Bool  // it answered some call never

	convictedAt int64 // histories executed when one was convicted, before it was minimised

	coverage  Coverage         // of the specification's graph, when the case walks one
	schedules ScheduleCoverage // when the case explores them

	mu       sync.Mutex   // guards clusters
	clusters []Cluster    // nil once freed
	ended    chan outcome // from watchdogs and other goroutines
	kept     atomic.Int64 // histories saved
	breaches []Breach     // that were waived, guarded by mu
}

// outcome is how a trial ended: with a conviction, undecided, or,
// when it is zero, with nothing to object to.
type outcome struct {
	conviction *Conviction
	undecided  string
	beyond     string    // it came to where the backend's dialect does not go
	lockstep   *lockstep // whose steps led to the conviction, if any
}

func newTrial(ctx context.Context, j *judge, s Section, c Case, seed uint64) *trial {
	return &trial{
		ctx: ctx, judge: j, section: s.Name, name: c.Name, run: c.run,
		cfg: j.opts.cfg, seed: seed, ended: make(chan outcome, 1),
	}
}

// execute runs the case in a goroutine of its own, so that a call that never
// returns can be left behind.
func (t *trial) execute() outcome {
	done := make(chan outcome, 1)
	found := make(chan outcome, 1) // a conviction that is being minimised
	go func() {
		var end outcome
		defer func() { done <- end }()
		end = t.heard(t.attempt(func() { t.run(t) }))
		if end.conviction != nil && t.convictedAt == 0 {
			t.convictedAt = t.executed.Load()
			found <- end
			end = t.minimise(end, t.seed)
		}
		t.freeAll()
	}()
	select {
	case end := <-done:
		select {
		case first := <-t.ended: // a goroutine of the case had panicked or hung
			return t.heard(first)
		default:
			return end
		}
	case end := <-t.ended:
		return t.heard(end)
	case <-t.ctx.Done():
	}
	// A call that does not end with its context, or a search, is left behind.
	select {
	case end := <-done:
		return end
	case <-time.After(time.Second):
	}
	select {
	case end := <-found:
		return end
	default:
		return t.heard(outcome{})
	}
}

// heard is how a trial ended, unless the judgement's context had ended by then: what
// the backend answered to calls under an ended context convicts nobody.
func (t *trial) heard(end outcome) outcome {
	if cause := context.Cause(t.ctx); cause != nil {
		return outcome{undecided: fmt.Sprintf("the judgement was ended meanwhile: %v", cause)}
	}
	return end
}

// newCluster returns an empty cluster and how to free it.
func (t *trial) newCluster(cfg registry.Config) (c Cluster, free func()) {
	var err error
	t.watch(func() string { return "Backend.New" }, func(context.Context) { c, err = t.judge.backend.New(cfg) })
	if err != nil {
		t.giveUp("Backend.New: %v", err)
	}
	t.executed.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	i := len(t.clusters)
	t.clusters = append(t.clusters, c)
	return c, func() {
		t.mu.Lock()
		t.clusters[i] = nil
		t.mu.Unlock()
		if err := c.Close(); err != nil {
			t.giveUp("Cluster.Close: %v", err)
		}
	}
}

// freeAll frees the clusters whose histories ended early, with a conviction or
// undecided: a store may have left a schema or a file behind. It changes no verdict
// and is not waited for longer than a call. A trial that a hanging call or a panic
// elsewhere has ended does not get here: the call may still be using its cluster.
func (t *trial) freeAll() {
	freed := make(chan struct{})
	go func() {
		defer close(freed)
		defer func() { _ = recover() }()
		t.mu.Lock()
		clusters := slices.Clone(t.clusters)
		t.mu.Unlock()
		for _, c := range clusters {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	select {
	case <-freed:
	case <-time.After(t.judge.opts.callTimeout):
	}
}

// catch turns a panic into an outcome: the suite's own, or the backend's.
func (t *trial) catch(end *outcome) {
	switch p := recover().(type) {
	case nil:
	case outcome:
		*end = p
	default:
		*end = outcome{conviction: t.conviction(CallsReturn, "", "", fmt.Sprintf("panic: %v\n%s", p, debug.Stack()), "an answer", "")}
	}
}

// async runs f in a goroutine whose panic ends the trial.
func (t *trial) async(f func()) {
	go func() {
		var end outcome
		defer func() {
			if end != (outcome{}) {
				t.end(end)
			}
		}()
		defer t.catch(&end)
		f()
	}()
}

// end ends the trial from another goroutine. The first outcome counts.
func (t *trial) end(e outcome) {
	select {
	case t.ended <- e:
	default:
	}
}

// watch runs one call of the backend under a deadline. describe is called
// only when the call hangs.
func (t *trial) watch(describe func() string, call func(context.Context)) {
	t.operations.Add(1)
	limit := t.judge.opts.callTimeout
	ctx, cancel := context.WithTimeout(t.ctx, limit)
	defer cancel()
	watchdog := time.AfterFunc(2*limit, func() {
		t.end(outcome{conviction: t.conviction(CallsReturn, "", "",
			fmt.Sprintf("%s has not returned after %v, though its context ended after %v", describe(), 2*limit, limit), "an answer", "")})
	})
	defer watchdog.Stop()
	call(ctx)
}

// needs ends the trial unless the backend's dialect has the operation.
func (t *trial) needs(k op.Kind) {
	if !t.judge.dialect.Offers(k) {
		t.beyond("it needs %v, which the dialect does not have", k)
	}
}

// beyond ends the trial: the case goes where the backend's dialect does not.
func (t *trial) beyond(format string, args ...any) {
	panic(outcome{beyond: fmt.Sprintf(format, args...)})
}

// giveUp ends the trial undecided.
func (t *trial) giveUp(format string, args ...any) {
	panic(outcome{undecided: fmt.Sprintf(format, args...)})
}

func (t *trial) conviction(rule RuleID, action, guard, found, wanted, history string) *Conviction {
	c := explain.New(rule, action, guard, found, wanted)
	c.History, c.Seed, c.Reproduce = history, t.seed, t.judge.opts.reproduce(t.section, t.name, t.seed)
	return c
}

// count returns how many histories a drawing case executes at this level.
func (t *trial) count(byDefault int) int {
	if n := t.judge.opts.histories; n > 0 {
		return n
	}
	return historiesAt(t.level(), byDefault)
}

// historySeed returns the seed of history i; that of history 0 is the trial's
// own, so that one history is replayed by its seed alone.
func (t *trial) historySeed(i int) uint64 { return t.seed + uint64(i)<<24 }

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x6b656c706965)) }

// ruleResults turns the cases' results around: what they say of each rule.
func ruleResults(cases []CaseResult, capabilities []CapabilityResult) []RuleResult {
	var results []RuleResult
	for _, rule := range Rules() {
		r := RuleResult{Rule: rule.ID, Section: rule.Section, Text: rule.Text, Verdict: Skipped}
		rank := map[Verdict]int{Skipped: 0, Pass: 1, Waived: 2, Unknown: 3, Convicted: 4}
		for _, c := range cases {
			v := c.Verdict
			if c.Conviction != nil && c.Conviction.Rule != rule.ID {
				// The case was stopped by another rule; it says nothing about this one.
				v = Unknown
			}
			broken := slices.ContainsFunc(c.Waived, func(b Breach) bool { return b.Rule == rule.ID })
			switch {
			case broken && v != Convicted:
				v = Waived
			case v == Waived:
				v = Pass // what was waived is another rule
			}
			if broken || slices.Contains(c.Rules, rule.ID) || c.Conviction != nil && c.Conviction.Rule == rule.ID {
				r.Cases = append(r.Cases, c.ID())
				if rank[v] > rank[r.Verdict] {
					r.Verdict = v
				}
			}
		}
		if rule.ID == Declared {
			r.Cases, r.Verdict = []string{"capabilities"}, Pass
			if slices.ContainsFunc(capabilities, func(c CapabilityResult) bool { return c.Problem != "" }) {
				r.Verdict = Convicted
			}
		}
		results = append(results, r)
	}
	return results
}

// exact reports whether the backend reads the clocks that it is given.
func (t *trial) exact() bool { return t.judge.found[ClockControl] }
