package schedule

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/answers"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// Interference is one operation that is stopped on its way, at a reading of its
// handle's clock or at a look at its context, and what happens meanwhile:
// another operation, the end of a context, a Close. It needs no yield points.
//
// A backend that holds a lock where it is stopped makes the other operation wait,
// longer than sync.Mutex lets a waiter be overtaken: when the lock is free, the
// waiter gets it, also in a gap between two critical sections of the first.
type Interference struct {
	Start  Start
	First  string          // of the contenders
	Second string          // "": none
	Shared bool            // both through one handle
	Stop   contexts.Ending // where the first is stopped; never: nowhere
	Ends   [2]contexts.Ending
	Whose  int // whose context ends while the first is stopped: 1 or 2; 0: nobody's
}

func (x Interference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "from %q, %s", x.Start.Name, x.First)
	for i, e := range x.Ends {
		if e != contexts.Never {
			fmt.Fprintf(&b, "; the context of %s ends %v", []string{x.First, x.Second}[i], e)
		}
	}
	if x.Stop != contexts.Never {
		fmt.Fprintf(&b, " is stopped %v", x.Stop)
	}
	if x.Second != "" {
		fmt.Fprintf(&b, "; meanwhile %s", x.Second)
	}
	if x.Shared {
		b.WriteString(" through the same handle")
	}
	if x.Whose > 0 {
		fmt.Fprintf(&b, "; then the context of %s ends, and the first goes on", []string{x.First, x.Second}[x.Whose-1])
	}
	return b.String()
}

// Gate stops whoever passes it first, until it is opened.
type Gate struct {
	Armed   atomic.Bool
	Entered chan struct{}
	open    chan struct{}
	once    sync.Once
}

func NewGate() *Gate { return &Gate{Entered: make(chan struct{}), open: make(chan struct{})} }

func (g *Gate) Pass() {
	if g.Armed.CompareAndSwap(true, false) {
		close(g.Entered)
		<-g.open
	}
}

func (g *Gate) Opens() { g.once.Do(func() { close(g.open) }) }

// GatedClock stops at its gate, after it has read the time.
type GatedClock struct {
	registry.Clock
	Passed func()
}

func (c GatedClock) Now() registry.Instant {
	now := c.Clock.Now()
	c.Passed()
	return now
}

// gatedContext stops at its gate when it is looked at for the given time.
type gatedContext struct {
	context.Context
	looks atomic.Int64
	gate  *Gate
}

func (c *gatedContext) look() {
	if c.looks.Add(-1) == 0 {
		c.gate.Pass()
	}
}

func (c *gatedContext) Ended() bool { return contexts.HasEnded(c.Context) }

// Err implements context.Context.
func (c *gatedContext) Err() error { c.look(); return c.Context.Err() }

// Done implements context.Context.
func (c *gatedContext) Done() <-chan struct{} { c.look(); return c.Context.Done() }

// interfered is an interference being carried out.
type interfered struct {
	*scheduleRun
	x       Interference
	gate    *Gate
	reads   [2]contexts.Readings
	handles [2]registry.Handle
	ends    answers.HandleEnd // of the shared handle

	mu        sync.Mutex
	objection *answers.Objection
	stuck     *answers.Objection // a call made afterwards that nobody answered in time
}

// carriers is how many interferences are carried out at the same time: most of
// the time of each is waiting.
const carriers = 8

// Interferences carries all of them out, the one that the seed names first.
func Interferences(t *trial.Trial, all []Interference) {
	if n := t.Seed >> 24; n > 0 && n <= uint64(len(all)) {
		first(t, []trial.Outcome{t.Attempt(func() { interfere(t, all, int(n)-1) })})
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	ends := make([]trial.Outcome, len(all))
	var stop atomic.Bool
	for range carriers {
		wg.Go(func() {
			for !stop.Load() && t.Ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(all) {
					return
				}
				ends[i] = t.Attempt(func() { interfere(t, all, i) })
				if ends[i] != (trial.Outcome{}) {
					stop.Store(true)
				}
			}
		})
	}
	wg.Wait()
	first(t, ends)
}

// first ends the trial with the first conviction, or else with the first that
// was not decided, if there is any.
func first(t *trial.Trial, ends []trial.Outcome) {
	for _, undecidedToo := range []bool{false, true} {
		for _, end := range ends {
			if end.Conviction != nil || undecidedToo && end != (trial.Outcome{}) {
				t.ConvictedAt = t.Executed.Load()
				panic(end)
			}
		}
	}
}

// interfere carries one out and judges it.
func interfere(t *trial.Trial, all []Interference, i int) {
	x := all[i]
	p := newInterfered(t, x)
	p.perform()
	h := p.History()
	p.Free()
	seed := t.Seed&(1<<24-1) + uint64(i+1)<<24
	convict := func(c *explain.Conviction) {
		c.History += "\ninterference: " + x.String() + "\n"
		panic(trial.Outcome{Conviction: c})
	}
	switch {
	case p.objection != nil:
		convict(answers.Convict(t, seed, h, p.objection))
	case p.stuck != nil && leavesStuck(t, x):
		convict(answers.Convict(t, seed, h, p.stuck))
	case p.stuck != nil:
		t.GiveUp("%s: %v was not answered within %v (%v)", p.stuck.Client, p.stuck.Call, t.Judge.Opts.CallTimeout, x)
	}
	switch res := t.Check(h); res.Verdict {
	case linearizability.OK:
	case linearizability.Illegal:
		convict(t.Explain(seed, h, res))
	default:
		t.GiveUp("a history was not decided: %s (%v)", res.Reason, x)
	}
}

// leavesStuck reports whether it is the interference that makes later calls
// wait for as long as they may: every time with it, and never without the end of
// a context or the Close. A store that is slow or down by itself is so without it too.
func leavesStuck(t *trial.Trial, x Interference) bool {
	without := x
	without.Whose, without.Ends = 0, [2]contexts.Ending{}
	if x.Second == "close" {
		without.Second = ""
	}
	if without.String() == x.String() {
		return false
	}
	stuck := func(x Interference) bool {
		p := newInterfered(t, x)
		p.perform()
		p.Free()
		return p.stuck != nil
	}
	for range StuckRuns - 1 {
		if stuck(without) || !stuck(x) {
			return false
		}
	}
	return true
}

func newInterfered(t *trial.Trial, x Interference) *interfered {
	var run *scheduleRun
	err := trial.Untroubled(func() (err error) {
		run, err = newScheduleRun(t, Situation{start: x.Start})
		return err
	})
	if err == nil {
		return &interfered{scheduleRun: run, x: x, gate: NewGate()}
	}
	t.GiveUp("a cluster could not be prepared: %v", err)
	return nil
}

// StuckRuns is how often a call must go unanswered with what is blamed for it, and
// be answered without.
const StuckRuns = 3

// perform makes the calls, and looks then what they have left behind.
func (p *interfered) perform() {
	p.openHandles()
	var ends [2]*contexts.EndingContext
	for i := range ends {
		ends[i] = contexts.NewEnding(p.T.Ctx, 0, contexts.CauseOf(i))
	}
	p.gate.Armed.Store(p.x.Stop != contexts.Never)
	first := p.start(0, p.x.First, ends[0])
	defer p.gate.Opens()
	if p.x.Stop != contexts.Never {
		Either(p.gate.Entered, first)
	}
	var second chan struct{}
	if p.x.Second != "" {
		second = p.start(1, p.x.Second, ends[1])
		Briefly(second)
	}
	if p.x.Whose > 0 {
		ends[p.x.Whose-1].End()
		Briefly([]chan struct{}{first, second}[p.x.Whose-1])
	}
	p.gate.Opens()
	<-first
	if second != nil {
		<-second
	}
	p.aftermath()
}

// openHandles opens the handle of the first, which stops where it shall, and
// that of the second.
func (p *interfered) openHandles() {
	clock := func(i int, node int) registry.Clock {
		return GatedClock{p.clocks[node], func() {
			p.reads[0].Read()
			if i == 1 || p.x.Shared {
				p.reads[1].Read()
			}
			if i == 0 && p.x.Stop == contexts.AtReading {
				p.gate.Pass()
			}
		}}
	}
	first := clock(0, Contenders[p.x.First].node)
	if p.x.Shared {
		copy(p.handles[:], p.OpenFor([]string{"A", "B"}, first))
		return
	}
	p.handles[0] = p.Open("A", first)
	if p.x.Second != "" {
		p.handles[1] = p.Open("B", clock(1, Contenders[p.x.Second].node))
	}
}

// start begins a contender's operation. It has ended when done is closed.
func (p *interfered) start(i int, who string, ends *contexts.EndingContext) (done chan struct{}) {
	done = make(chan struct{})
	c := Contenders[who].Call(&p.fixture)
	name := string(rune('A' + i))
	p.T.Async(func() {
		defer close(done)
		p.T.Watch(func() string { return fmt.Sprintf("%s: %v (%v)", name, c, p.x) }, func(limited context.Context) {
			stop := context.AfterFunc(limited, ends.End)
			defer stop()
			var ctx context.Context = ends
			if i == 0 && p.x.Stop.Looks() > 0 {
				gated := &gatedContext{Context: ctx, gate: p.gate}
				gated.looks.Store(int64(p.x.Stop.Looks()))
				ctx = gated
			}
			ctx, free := p.x.Ends[i].Under(ctx, &p.reads[i], contexts.CauseOf(i))
			p.judged(name, p.handles[i], c, ctx, func() bool { return free() || ends.Ended() })
		})
	})
	return done
}

// judged makes a call and objects to what its answer may not be by itself.
func (p *interfered) judged(name string, h registry.Handle, c call.Call, ctx context.Context, ended func() bool) op.Result {
	through := p.x.Shared && name != setupClient
	wasClosed := through && p.ends.Closed.Load()
	if c.Kind == op.Close {
		p.ends.Closing.Store(true)
	}
	got := c.Do(ctx, h)
	if c.Kind == op.Close && got.Err == nil {
		p.ends.Closed.Store(true)
	}
	objections := []*answers.Objection{answers.JudgeAlone(p.T.Judge.Dialect, &c, &got)}
	if !ended() {
		objections = append(objections, answers.JudgeContext(ctx, &got))
	}
	if through {
		objections = append(objections, p.ends.Judge(&c, &got, wasClosed))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range objections {
		if o != nil && p.objection == nil {
			o.Client, o.Call, o.Got = name, c, got
			p.objection = o
		}
	}
	return got
}

// aftermath makes calls through the same handle and another one: they show what
// has happened, and that nothing is left locked.
func (p *interfered) aftermath() {
	f := &p.fixture
	other := p.Open(setupClient, p.clocks[2])
	for _, c := range []call.Call{
		call.Lookup(f.actor), call.GetNode(f.refs[1].ID), call.GetNode(f.refs[0].ID), call.Validate(f.actor, f.lease.Token), call.ListActors(f.refs[0], 2),
		call.Claim(f.actor, f.refs[2], registry.ClaimID{9}), call.Renew(f.lease), call.Heartbeat(f.refs[1]), call.Release(f.lease), call.Lookup(f.actor),
	} {
		p.after(setupClient, other, c)
	}
	for _, who := range []string{p.x.First, p.x.Second} { // an operation may have a lock of its own
		if again, ok := Contenders[who]; ok && who != "close" {
			p.after(setupClient, other, again.Call(f))
		}
	}
	for _, c := range []call.Call{call.Lookup(f.actor), call.Heartbeat(f.refs[0]), call.Claim(f.actor, f.refs[1], registry.ClaimID{2})} {
		p.after("A", p.handles[0], c)
	}
}

// after makes a call with nothing else under way, unless one has waited in vain, or the
// dialect does not have it.
func (p *interfered) after(name string, h registry.Handle, c call.Call) {
	if p.stuck != nil || !p.T.Judge.Dialect.Offers(c.Kind) {
		return
	}
	p.T.Watch(func() string { return fmt.Sprintf("%s: %v, afterwards (%v)", name, c, p.x) }, func(ctx context.Context) {
		got := p.judged(name, h, c, ctx, func() bool { return false })
		if got.Outcome == op.Cancelled && ctx.Err() != nil {
			p.stuck = &answers.Objection{Rule: contract.CallsReturn, Client: name, Call: c, Got: got, Wanted: "an answer",
				Found: "nothing else was under way; without the end of the context, or the Close, it is answered"}
		}
	})
}

func Either(a, b <-chan struct{}) {
	select {
	case <-a:
	case <-b:
	}
}

// Briefly waits until an operation has ended, or for long enough that one which
// waits for a lock has probably begun to. Were that too short, the case would be
// weaker, not wrong.
func Briefly(done <-chan struct{}) {
	timer := time.NewTimer(2 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
