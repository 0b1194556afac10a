package schedule

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// scheduleRun is one schedule being executed. Its contenders take turns: one goroutine
// at a time runs, from one stop to the next, and the controller decides at each
// stop who goes on. So the history depends on the choices alone.
type scheduleRun struct {
	*trial.Session
	s       Situation
	fixture Fixture
	clocks  [3]*registry.SkewedClock

	first   *contexts.EndingContext // of A, where it is ended
	threads []*thread
	running atomic.Pointer[thread] // nil while nothing is scheduled
	stopped chan string            // the running contender's next stop; "" is its return
	freed   chan struct{}          // closed when the schedule is given up: everybody runs on

	path  []decision
	steps []string // the schedule's text, a line each
}

// thread is one contender's part.
type thread struct {
	name   string // of its handle: A, B, C
	kind   string
	what   string
	do     func()
	resume chan struct{}
	stops  int
	begun  bool
	ended  bool
}

// setupClient is the client that prepares a schedule and looks at the end.
const setupClient = "setup"

// newScheduleRun brings a new cluster into the situation's start. Its error is
// the trouble of a store that could not be brought there.
func newScheduleRun(t *trial.Trial, s Situation) (*scheduleRun, error) {
	t.Needs(op.RegisterNode)
	p := &scheduleRun{
		Session: t.NewSession(t.Cfg).Recorded("situation", s.String()), s: s,
		stopped: make(chan string), freed: make(chan struct{}),
	}
	for n := range p.clocks {
		var offset time.Duration
		if s.start.Skewed {
			offset = p.Cfg.MaxClockSkew
			if n == 0 {
				offset = -offset
			}
		}
		p.clocks[n] = registry.NewSkewedClock(p.Time, offset)
	}
	if err := p.prepare(); err != nil {
		p.Free()
		return nil, err
	}
	for i, name := range s.group {
		p.threads = append(p.threads, p.thread(string(rune('A'+i)), name))
	}
	return p, nil
}

// prepare registers the nodes, and lets n1 claim and release as the start wants.
func (p *scheduleRun) prepare() error {
	p.fixture.actor = traffic.ActorID(0)
	var handles [3]registry.Handle
	for n := range p.fixture.refs {
		id := registry.NodeID(fmt.Sprintf("n%d", n+1))
		handles[n] = p.Open(setupClient, p.clocks[n])
		got, err := p.must(handles[n], call.RegisterNode(id, registry.NodeInfo{}, registry.IfAbsent))
		if err != nil {
			return err
		}
		p.fixture.refs[n] = got.Node.Ref
	}
	p.fixture.lease = registry.Lease{Actor: p.fixture.actor, Holder: p.fixture.refs[0], Token: 1}
	if p.s.start.Claimed {
		got, err := p.must(handles[0], call.Claim(p.fixture.actor, p.fixture.refs[0], registry.ClaimID{1}))
		if err != nil {
			return err
		}
		p.fixture.lease = got.Lease()
	}
	if p.s.start.Released {
		if _, err := p.must(handles[0], call.Release(p.fixture.lease)); err != nil {
			return err
		}
	}
	p.Time.Set(p.s.start.Now(p.Cfg, p.fixture.lease.Expiry))
	return nil
}

// must makes a call of the preparation, which every registry grants. A store in
// trouble is asked again, as each of these calls may be; its last error is returned.
func (p *scheduleRun) must(h registry.Handle, c call.Call) (got op.Result, err error) {
	var patience call.Patience
	for tried := false; ; tried = true {
		got = p.Do(setupClient, h, c)
		switch {
		case got.Err == nil:
			return got, nil
		case tried && got.Reason == op.NodeExists: // an attempt of unknown outcome was the one
			c = call.GetNode(c.Node.ID)
		case !call.Trouble(got.Err):
			p.T.GiveUp("%v, by which a schedule is prepared: %v", c, got.Err)
		case patience.Over(got.Err):
			return got, got.Err
		}
	}
}

// thread makes the part of the contender of that name.
func (p *scheduleRun) thread(name, who string) *thread {
	u := &thread{name: name, resume: make(chan struct{})}
	if who == Ticking {
		u.kind, u.what = "Tick", "true time moves by 1ns"
		u.do = func() { p.Time.Advance(1) }
		return u
	}
	if who == EndsFirst {
		u.kind, u.what = "End", "the context of A ends"
		u.do = func() { p.first.End() }
		return u
	}
	part := Contenders[who]
	made, h := part.Call(&p.fixture), p.Open(name, p.clocks[part.node])
	if name == "A" && slices.Contains(p.s.group, EndsFirst) {
		p.first = contexts.NewEnding(p.T.Ctx, 0, context.Canceled)
		made.Under = func(ctx context.Context) (context.Context, context.CancelFunc) {
			stop := context.AfterFunc(ctx, p.first.End)
			return p.first, func() { stop() }
		}
	}
	u.kind, u.what = made.Kind.String(), made.String()
	u.do = func() { p.Do(name, h, made) }
	return u
}

// run executes the schedule of these choices; when they end, everybody in turn
// runs to his end.
func (p *scheduleRun) run(taken []int) {
	p.Cluster.(backend.Scheduled).SetYield(p.yield)
	for _, u := range p.threads {
		p.T.Async(func() {
			select {
			case <-u.resume:
			case <-p.freed:
				return
			}
			defer p.stop("") // also when the backend panics
			u.do()
		})
	}
	for before, preemptions := -1, 0; ; {
		d := p.decide(before, preemptions)
		if len(d.order) == 0 {
			break
		}
		if i := len(p.path); i < len(taken) {
			d.taken = min(taken[i], len(d.order)-1)
		}
		preemptions += d.cost(d.taken)
		before = d.order[d.taken]
		p.path = append(p.path, d)
		p.step(p.threads[before])
	}
	p.running.Store(nil)
}

// decide lists who can go on, first who just did.
func (p *scheduleRun) decide(before, preemptions int) decision {
	d := decision{preemptions: preemptions, forced: true}
	for i, u := range p.threads {
		switch {
		case u.ended:
		case i == before:
			d.order, d.forced = slices.Insert(d.order, 0, i), false
		default:
			d.order = append(d.order, i)
		}
	}
	return d
}

// step lets one contender run to its next stop.
func (p *scheduleRun) step(u *thread) {
	p.running.Store(u)
	u.resume <- struct{}{}
	var point string
	blocked, stop := trial.Expiry(p.T.Judge.Opts.CallTimeout)
	defer stop()
	select {
	case point = <-p.stopped:
	case <-blocked:
		p.release(u)
	}
	from, to := "goes on", "stops at "+fmt.Sprintf("%q", point)
	if !u.begun {
		from = u.what
	}
	if u.begun = true; point == "" {
		u.ended, to = true, "returns"
	} else {
		u.stops++
		p.T.Schedules.Points[u.kind+": "+point]++
	}
	p.steps = append(p.steps, fmt.Sprintf("%s\t%s\t%s", u.name, from, to))
}

// release gives a schedule up in which the running contender does not come to a
// stop. If it waited for a lock that another one holds at its yield point,
// everybody ends now; if not, the call's watchdog convicts it.
func (p *scheduleRun) release(u *thread) {
	close(p.freed)
	left := 0
	for _, other := range p.threads {
		if other.begun && !other.ended || other == u {
			left++
		}
	}
	for left > 0 {
		if point := <-p.stopped; point == "" {
			left--
		}
	}
	p.T.GiveUp("%s: %s came to no stop within %v while the others stood at their yield points:\n%s"+
		"a yield point must be where no lock is held that another operation waits for",
		u.name, u.what, p.T.Judge.Opts.CallTimeout, p.text())
}

// yield is what the backend calls. Whoever calls it is the running contender: the
// others stand still, and while nothing is scheduled nobody is stopped.
func (p *scheduleRun) yield(point string) {
	u := p.running.Load()
	if u == nil || u.stops >= maxStops {
		return
	}
	select {
	case <-p.freed:
		return
	default:
	}
	p.stop(cmp.Or(point, "without a name"))
	select {
	case <-u.resume:
	case <-p.freed:
	}
}

// stop tells the controller that the running contender has come to a stop.
func (p *scheduleRun) stop(point string) { p.stopped <- point }

// end reads what has become of it all and returns the history.
func (p *scheduleRun) end() history.History {
	h := p.Open(setupClient, p.clocks[2])
	for _, c := range []call.Call{call.Lookup(p.fixture.actor), call.GetNode(p.fixture.refs[1].ID)} {
		p.Do(setupClient, h, c)
	}
	p.Free()
	return p.History()
}

// text lists the schedule: in each line one operation runs alone.
func (p *scheduleRun) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "schedule: %d operations from %q, in each line one runs alone (names as executed, before the table was made smaller)\n", len(p.threads), p.s.start.Name)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, s := range p.steps {
		fmt.Fprintf(w, "%d\t%s\n", i+1, s)
	}
	_ = w.Flush()
	return b.String()
}
