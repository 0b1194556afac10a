// Package trial executes one case with one seed: it makes the clusters, makes every
// call under a deadline and a watchdog, turns panics into outcomes, and saves what a
// conviction shows. It knows no case and no way of judging.
package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/op"
)

// Trial is one execution of a case with one seed. Cases end early by
// panicking with an [Outcome].
type Trial struct {
	Ctx     context.Context
	Judge   *Judgement
	Section string
	Name    string
	run     func(*Trial)
	Cfg     registry.Config
	Seed    uint64

	Again atomic.Int64 // how often the case, or a part of it, was begun before in vain

	Executed   atomic.Int64 // histories
	Operations atomic.Int64
	Troubles   atomic.Int64 // calls that the store, being in trouble, did not answer
	down       atomic.Bool  // it answered some call never
	hopeless   atomic.Bool  // it answers none of that kind in any case

	calls *watchdog // of calls that do not return
	label string    // of its goroutines

	ConvictedAt int64 // histories executed when one was convicted, before it was minimised

	Coverage  report.Coverage         // of the specification's graph, when the case walks one
	Schedules report.ScheduleCoverage // when the case explores them

	mu       sync.Mutex        // guards clusters
	clusters []backend.Cluster // nil once freed
	ended    chan Outcome      // from watchdogs and other goroutines
	kept     atomic.Int64      // histories saved
	breaches []report.Breach   // that were waived, guarded by mu
}

// Outcome is how a trial ended: with a conviction, undecided, or,
// when it is zero, with nothing to object to.
type Outcome struct {
	Conviction *explain.Conviction
	Undecided  string
	Beyond     string // it came to where the backend's dialect does not go
	From       origin // what led to the conviction, where that can be repeated with less
}

// New makes the trial of one case with one seed.
func New(ctx context.Context, j *Judgement, s Section, c Case, seed uint64) *Trial {
	t := &Trial{
		Ctx: ctx, Judge: j, Section: s.Name, Name: c.Name, run: c.Run,
		Cfg: j.Opts.Cfg, Seed: seed, ended: make(chan Outcome, 1),
	}
	t.calls = newWatchdog(j.Opts.CallTimeout, t.hang)
	return t
}

// origin is what has led to a conviction and can be carried out again in part.
type origin interface {
	// minimise returns the outcome of the smallest part that still convicts of the same.
	Minimise(end Outcome) Outcome
}

// Minimised makes what led to a conviction as small as it can be, and tells the
// seed by which it is found again.
func (t *Trial) Minimised(end Outcome, seed uint64) Outcome {
	if end.From != nil {
		end = end.From.Minimise(end)
	}
	end.Conviction.Seed = seed
	end.Conviction.Reproduce = t.Judge.Opts.Reproduce(t.Section, t.Name, seed)
	return end
}

// Execute runs the case in a goroutine of its own, so that a call that never
// returns can be left behind.
func (t *Trial) Execute() Outcome {
	done := make(chan Outcome, 1)
	found := make(chan Outcome, 1) // a conviction that is being minimised
	defer t.calls.stop()
	go Labelled(t.Ctx, trialLabel, func(label string) {
		t.label = label
		var end Outcome
		defer func() { done <- end }()
		end = t.heard(t.Attempt(func() { t.run(t) }))
		if end.Conviction != nil && t.ConvictedAt == 0 {
			t.ConvictedAt = t.Executed.Load()
			found <- end
			end = t.Minimised(end, t.Seed)
		}
		t.freeAll()
	})
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
	case <-t.Ctx.Done():
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
		return t.heard(Outcome{})
	}
}

// heard returns end, or that the trial is undecided when the judgement's context has
// ended: what the backend answers to calls under an ended context convicts nobody.
func (t *Trial) heard(end Outcome) Outcome {
	if cause := context.Cause(t.Ctx); cause != nil {
		return Outcome{Undecided: fmt.Sprintf("the judgement was ended meanwhile: %v", cause)}
	}
	return end
}

// NewCluster returns an empty cluster and how to free it.
func (t *Trial) NewCluster(cfg registry.Config) (c backend.Cluster, free func()) {
	err := t.untroubled("Backend.New", func() (err error) {
		c, err = t.Judge.Backend.New(cfg)
		return err
	})
	if err != nil {
		t.GiveUp("Backend.New: %v", err)
	}
	t.Executed.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	i := len(t.clusters)
	t.clusters = append(t.clusters, c)
	return c, func() {
		t.mu.Lock()
		t.clusters[i] = nil
		t.mu.Unlock()
		if err := c.Close(); err != nil && !call.Trouble(err) { // in trouble it may leave something behind
			t.GiveUp("Cluster.Close: %v", err)
		}
	}
}

// freeAll frees the clusters whose histories ended early, with a conviction or
// undecided: a store may have left a schema or a file behind. It changes no verdict
// and is not waited for longer than a call. A trial that a hanging call or a panic
// elsewhere has ended does not get here: the call may still be using its cluster.
func (t *Trial) freeAll() {
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
	case <-time.After(t.Judge.Opts.CallTimeout):
	}
}

// catch turns a panic into an outcome: the suite's own, or the backend's.
func (t *Trial) catch(end *Outcome) {
	switch p := recover().(type) {
	case nil:
	case Outcome:
		*end = p
	default:
		*end = Outcome{Conviction: t.Conviction(contract.CallsReturn, "", "", fmt.Sprintf("panic: %v\n%s", p, debug.Stack()), "an answer", "")}
	}
}

// Async runs f in a goroutine whose panic ends the trial.
func (t *Trial) Async(f func()) {
	go func() {
		var end Outcome
		defer func() {
			if end != (Outcome{}) {
				t.end(end)
			}
		}()
		defer t.catch(&end)
		f()
	}()
}

// end ends the trial from another goroutine. The first outcome counts.
func (t *Trial) end(e Outcome) {
	select {
	case t.ended <- e:
	default:
	}
}

// Watch runs one call of the backend under a deadline. describe is called
// only when the call hangs.
func (t *Trial) Watch(describe func() string, call func(context.Context)) {
	t.Operations.Add(1)
	ctx, cancel := context.WithTimeout(t.Ctx, t.Judge.Opts.CallTimeout)
	defer cancel()
	defer t.calls.begin(describe, nil)()
	call(ctx)
}

// Wait runs one call of the backend that may wait until ctx ends. It hangs when it has
// not returned long after.
func (t *Trial) Wait(ctx context.Context, describe func() string, call func(context.Context)) {
	t.Operations.Add(1)
	defer t.calls.begin(describe, ctx)()
	call(ctx)
}

// hang ends the trial: calls have not returned. The conviction lists all of them, and
// where the goroutines are that make them or work for them.
func (t *Trial) hang(hanging []*callUnderWay) {
	limit := t.Judge.Opts.CallTimeout
	var b strings.Builder
	fmt.Fprintf(&b, "%s has not returned after %v, though its context ended after %v", hanging[0].describe(), 2*limit, limit)
	for _, c := range hanging[1:] {
		fmt.Fprintf(&b, "\nneither has %s", c.describe())
	}
	if where := GoroutinesUnder(trialLabel, t.label).String(); where != "" {
		b.WriteString("\ngoroutines of the backend:\n" + where)
	}
	t.end(Outcome{Conviction: t.Conviction(contract.CallsReturn, "", "", b.String(), "an answer", "")})
}

// Needs ends the trial unless the backend's dialect has the operation.
func (t *Trial) Needs(k op.Kind) {
	if !t.Judge.Dialect.Offers(k) {
		t.Beyond("it needs %v, which the dialect does not have", k)
	}
}

// Beyond ends the trial as skipped: the case needs what the backend's dialect does not
// have.
func (t *Trial) Beyond(format string, args ...any) {
	panic(Outcome{Beyond: fmt.Sprintf(format, args...)})
}

// GiveUp ends the trial undecided. Where an error says that the store is silent, that is
// all that is told.
func (t *Trial) GiveUp(format string, args ...any) {
	for _, arg := range args {
		err, _ := arg.(error)
		if silent := (*call.SilentError)(nil); errors.As(err, &silent) {
			t.hopeless.Store(true)
			format, args = "%s", []any{silent.Error()}
			break
		}
	}
	panic(Outcome{Undecided: fmt.Sprintf(format, args...)})
}

func (t *Trial) Conviction(rule contract.RuleID, action, guard, found, wanted, history string) *explain.Conviction {
	c := explain.New(rule, action, guard, found, wanted)
	c.History, c.Seed, c.Reproduce = history, t.Seed, t.Judge.Opts.Reproduce(t.Section, t.Name, t.Seed)
	return c
}

// Count returns how many histories a drawing case executes at this level.
func (t *Trial) Count(byDefault int) int {
	if n := t.Judge.Opts.Histories; n > 0 {
		return n
	}
	return historiesAt(t.Level(), byDefault)
}

// HistorySeed returns the seed of history i; that of history 0 is the trial's
// own, so that one history is replayed by its seed alone.
func (t *Trial) HistorySeed(i int) uint64 { return t.Seed + uint64(i)<<24 }

func NewRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x6b656c706965)) }

// Exact reports whether the backend reads the clocks that it is given.
func (t *Trial) Exact() bool { return t.Judge.Found[backend.ClockControl] }

// Attempts is how often a case is started when it ended undecided: more often
// when that came of trouble that the store is in now and then.
func (t *Trial) Attempts() int {
	switch {
	case t.hopeless.Load():
		return 1
	case t.Troubled():
		return 30
	}
	return 3
}

// Troubled reports whether the store did not answer some calls, and those that were
// made again it did.
func (t *Trial) Troubled() bool { return t.Troubles.Load() > 0 && !t.down.Load() }

// Unanswered ends the trial undecided: the store did not answer a call, however
// often it was made.
func (t *Trial) Unanswered(call string, err error) {
	t.down.Store(true)
	t.GiveUp("%s: %v", call, err)
}

// Attempt runs f and returns how it ended.
func (t *Trial) Attempt(f func()) (end Outcome) {
	defer t.catch(&end)
	f()
	return end
}

// Pass goes on after an attempt that convicted nobody, unless it was undecided.
func (t *Trial) Pass(end Outcome) {
	if end.Undecided != "" || end.Beyond != "" {
		panic(end)
	}
}

// Configs are the configurations in which the boundaries are visited: they
// coincide, or lie as far apart as they may.
func (t *Trial) Configs() []registry.Config {
	c := t.Cfg
	noGrace, noSkew, plain, wide := c, c, c, c
	noGrace.Grace = 0
	noSkew.MaxClockSkew = 0
	plain.Grace, plain.MaxClockSkew = 0, 0
	wide.Grace, wide.MaxClockSkew = c.TTL, c.TTL/4
	wide.FailureTimeout = max(c.FailureTimeout, 2*wide.MaxClockSkew+1)
	return []registry.Config{noGrace, c, wide, noSkew, plain}
}

// Level is how much this trial spends.
func (t *Trial) Level() report.Effort { return t.Judge.Opts.Level }

// SizedBy returns the size for the trial's level.
func SizedBy[T any](t *Trial, quick, normal, thorough T) T {
	switch t.Level() {
	case report.Quick:
		return quick
	case report.Thorough:
		return thorough
	}
	return normal
}

// historiesAt returns how many histories a case draws that draws n by default.
func historiesAt(e report.Effort, n int) int {
	switch e {
	case report.Quick:
		return max(1, n/4)
	case report.Thorough:
		return 10 * n
	}
	return n
}

// Pause waits for d of real time. It serves backends whose time the suite
// cannot move.
func Pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

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
	Rules []contract.RuleID    // what it tests
	Needs []backend.Capability // what the backend must have for it

	Draws bool // executes as many histories as asked for
	Run   func(*Trial)
}
