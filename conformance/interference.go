package conformance

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// interference is one operation that is stopped on its way, at a reading of its
// handle's clock or at a look at its context, and what happens meanwhile:
// another operation, the end of a context, a Close. It needs no yield points.
//
// A backend that holds a lock where it is stopped makes the other operation wait,
// longer than sync.Mutex lets a waiter be overtaken: when the lock is free, the
// waiter gets it, also in a gap between two critical sections of the first.
type interference struct {
	start  start
	first  string // of the contenders
	second string // "": none
	shared bool   // both through one handle
	stop   ending // where the first is stopped; never: nowhere
	ends   [2]ending
	whose  int // whose context ends while the first is stopped: 1 or 2; 0: nobody's
}

func (x interference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "from %q, %s", x.start.name, x.first)
	for i, e := range x.ends {
		if e != never {
			fmt.Fprintf(&b, "; the context of %s ends %v", []string{x.first, x.second}[i], e)
		}
	}
	if x.stop != never {
		fmt.Fprintf(&b, " is stopped %v", x.stop)
	}
	if x.second != "" {
		fmt.Fprintf(&b, "; meanwhile %s", x.second)
	}
	if x.shared {
		b.WriteString(" through the same handle")
	}
	if x.whose > 0 {
		fmt.Fprintf(&b, "; then the context of %s ends, and the first goes on", []string{x.first, x.second}[x.whose-1])
	}
	return b.String()
}

// gate stops whoever passes it first, until it is opened.
type gate struct {
	armed   atomic.Bool
	entered chan struct{}
	open    chan struct{}
	once    sync.Once
}

func newGate() *gate { return &gate{entered: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) pass() {
	if g.armed.CompareAndSwap(true, false) {
		close(g.entered)
		<-g.open
	}
}

func (g *gate) opens() { g.once.Do(func() { close(g.open) }) }

// gatedClock stops at its gate, after it has read the time.
type gatedClock struct {
	registry.Clock
	passed func()
}

func (c gatedClock) Now() registry.Instant {
	now := c.Clock.Now()
	c.passed()
	return now
}

// gatedContext stops at its gate when it is looked at for the given time.
type gatedContext struct {
	context.Context
	looks atomic.Int64
	gate  *gate
}

func (c *gatedContext) look() {
	if c.looks.Add(-1) == 0 {
		c.gate.pass()
	}
}

func (c *gatedContext) ended() bool { return hasEnded(c.Context) }

// Err implements context.Context.
func (c *gatedContext) Err() error { c.look(); return c.Context.Err() }

// Done implements context.Context.
func (c *gatedContext) Done() <-chan struct{} { c.look(); return c.Context.Done() }

// interfered is an interference being carried out.
type interfered struct {
	*scheduleRun
	x       interference
	gate    *gate
	reads   [2]readings
	handles [2]registry.Handle
	ends    handleEnd // of the shared handle

	mu        sync.Mutex
	objection *objection
	stuck     *objection // a call made afterwards that nobody answered in time
}

// carriers is how many interferences are carried out at the same time: most of
// the time of each is waiting.
const carriers = 8

// interferences carries all of them out, the one that the seed names first.
func (t *trial) interferences(all []interference) {
	if n := t.seed >> 24; n > 0 && n <= uint64(len(all)) {
		t.first([]outcome{t.attempt(func() { t.interfere(all, int(n)-1) })})
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	ends := make([]outcome, len(all))
	var stop atomic.Bool
	for range carriers {
		wg.Go(func() {
			for !stop.Load() && t.ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(all) {
					return
				}
				ends[i] = t.attempt(func() { t.interfere(all, i) })
				if ends[i] != (outcome{}) {
					stop.Store(true)
				}
			}
		})
	}
	wg.Wait()
	t.first(ends)
}

// first ends the trial with the first conviction, or else with the first that
// was not decided, if there is any.
func (t *trial) first(ends []outcome) {
	for _, undecidedToo := range []bool{false, true} {
		for _, end := range ends {
			if end.conviction != nil || undecidedToo && end != (outcome{}) {
				t.convictedAt = t.executed.Load()
				panic(end)
			}
		}
	}
}

// interfere carries one out and judges it.
func (t *trial) interfere(all []interference, i int) {
	x := all[i]
	p := t.newInterfered(x)
	p.perform()
	h := p.history()
	p.free()
	seed := t.seed&(1<<24-1) + uint64(i+1)<<24
	convict := func(c *Conviction) {
		c.History += "\ninterference: " + x.String() + "\n"
		panic(outcome{conviction: c})
	}
	switch {
	case p.objection != nil:
		convict(t.objectTo(seed, h, p.objection))
	case p.stuck != nil && t.leavesStuck(x):
		convict(t.objectTo(seed, h, p.stuck))
	case p.stuck != nil:
		t.giveUp("%s: %v was not answered within %v (%v)", p.stuck.client, p.stuck.call, t.judge.opts.callTimeout, x)
	}
	switch res := t.check(h); res.Verdict {
	case linearizability.OK:
	case linearizability.Illegal:
		convict(t.explain(seed, h, res))
	default:
		t.giveUp("a history was not decided: %s (%v)", res.Reason, x)
	}
}

// leavesStuck reports whether it is the interference that makes later calls
// wait for as long as they may: every time with it, and never without the end of
// a context or the Close. A store that is slow or down by itself is so without it too.
func (t *trial) leavesStuck(x interference) bool {
	without := x
	without.whose, without.ends = 0, [2]ending{}
	if x.second == "close" {
		without.second = ""
	}
	if without.String() == x.String() {
		return false
	}
	stuck := func(x interference) bool {
		p := t.newInterfered(x)
		p.perform()
		p.free()
		return p.stuck != nil
	}
	for range stuckRuns - 1 {
		if stuck(without) || !stuck(x) {
			return false
		}
	}
	return true
}

func (t *trial) newInterfered(x interference) *interfered {
	for range patientAttempts {
		if run, err := t.newScheduleRun(situation{start: x.start}); err == nil {
			return &interfered{scheduleRun: run, x: x, gate: newGate()}
		}
	}
	t.giveUp("a cluster could not be prepared: it was in trouble %d times", patientAttempts)
	return nil
}

// stuckRuns is how often a call must go unanswered with what is blamed for it, and
// be answered without.
const stuckRuns = 3

// perform makes the calls, and looks then what they have left behind.
func (p *interfered) perform() {
	p.openHandles()
	var ends [2]*endingContext
	for i := range ends {
		ends[i] = newEnding(p.t.ctx, 0, causeOf(i))
	}
	p.gate.armed.Store(p.x.stop != never)
	first := p.start(0, p.x.first, ends[0])
	defer p.gate.opens()
	if p.x.stop != never {
		either(p.gate.entered, first)
	}
	var second chan struct{}
	if p.x.second != "" {
		second = p.start(1, p.x.second, ends[1])
		briefly(second)
	}
	if p.x.whose > 0 {
		ends[p.x.whose-1].end()
		briefly([]chan struct{}{first, second}[p.x.whose-1])
	}
	p.gate.opens()
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
		return gatedClock{p.clocks[node], func() {
			p.reads[0].read()
			if i == 1 || p.x.shared {
				p.reads[1].read()
			}
			if i == 0 && p.x.stop == atReading {
				p.gate.pass()
			}
		}}
	}
	first := clock(0, contenders[p.x.first].node)
	if p.x.shared {
		copy(p.handles[:], p.openFor([]string{"A", "B"}, first))
		return
	}
	p.handles[0] = p.open("A", first)
	if p.x.second != "" {
		p.handles[1] = p.open("B", clock(1, contenders[p.x.second].node))
	}
}

// start begins a contender's operation. It has ended when done is closed.
func (p *interfered) start(i int, who string, ends *endingContext) (done chan struct{}) {
	done = make(chan struct{})
	c := contenders[who].call(&p.fixture)
	name := string(rune('A' + i))
	p.t.async(func() {
		defer close(done)
		p.t.watch(func() string { return fmt.Sprintf("%s: %v (%v)", name, c, p.x) }, func(limited context.Context) {
			stop := context.AfterFunc(limited, ends.end)
			defer stop()
			var ctx context.Context = ends
			if i == 0 && p.x.stop.looks() > 0 {
				gated := &gatedContext{Context: ctx, gate: p.gate}
				gated.looks.Store(int64(p.x.stop.looks()))
				ctx = gated
			}
			ctx, free := p.x.ends[i].under(ctx, &p.reads[i], causeOf(i))
			p.judged(name, p.handles[i], c, ctx, func() bool { return free() || ends.ended() })
		})
	})
	return done
}

// judged makes a call and objects to what its answer may not be by itself.
func (p *interfered) judged(name string, h registry.Handle, c call, ctx context.Context, ended func() bool) op.Result {
	through := p.x.shared && name != setupClient
	wasClosed := through && p.ends.closed.Load()
	if c.Kind == op.Close {
		p.ends.closing.Store(true)
	}
	got := c.do(ctx, h)
	if c.Kind == op.Close && got.Err == nil {
		p.ends.closed.Store(true)
	}
	objections := []*objection{judgeAlone(p.t.judge.dialect, &c, &got)}
	if !ended() {
		objections = append(objections, judgeContext(ctx, &got))
	}
	if through {
		objections = append(objections, p.ends.judge(&c, &got, wasClosed))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range objections {
		if o != nil && p.objection == nil {
			o.client, o.call, o.got = name, c, got
			p.objection = o
		}
	}
	return got
}

// aftermath makes calls through the same handle and another one: they show what
// has happened, and that nothing is left locked.
func (p *interfered) aftermath() {
	f := &p.fixture
	other := p.open(setupClient, p.clocks[2])
	for _, c := range []call{
		lookup(f.actor), getNode(f.refs[1].ID), getNode(f.refs[0].ID), validate(f.actor, f.lease.Token), listActors(f.refs[0], 2),
		claim(f.actor, f.refs[2], registry.ClaimID{9}), renew(f.lease), heartbeat(f.refs[1]), release(f.lease), lookup(f.actor),
	} {
		p.after(setupClient, other, c)
	}
	for _, c := range []call{lookup(f.actor), heartbeat(f.refs[0]), claim(f.actor, f.refs[1], registry.ClaimID{2})} {
		p.after("A", p.handles[0], c)
	}
}

// after makes a call with nothing else under way, unless one has waited in vain.
func (p *interfered) after(name string, h registry.Handle, c call) {
	if p.stuck != nil {
		return
	}
	p.t.watch(func() string { return fmt.Sprintf("%s: %v, afterwards (%v)", name, c, p.x) }, func(ctx context.Context) {
		got := p.judged(name, h, c, ctx, func() bool { return false })
		if got.Outcome == op.Cancelled && ctx.Err() != nil {
			p.stuck = &objection{rule: CallsReturn, client: name, call: c, got: got, wanted: "an answer",
				found: "nothing else was under way; without the end of the context, or the Close, it is answered"}
		}
	})
}

func either(a, b <-chan struct{}) {
	select {
	case <-a:
	case <-b:
	}
}

// briefly waits until an operation has ended, or for long enough that one which
// waits for a lock has probably begun to. Were that too short, the case would be
// weaker, not wrong.
func briefly(done <-chan struct{}) {
	timer := time.NewTimer(2 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
