package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// profile is what the scenarios of one case have in common.
type profile struct {
	clients   [2]int // least and most
	nodes     int    // at most; fewer than clients makes handles share a node. 0: one each
	actors    int    // at most
	rounds    int
	program   int  // operations of a client in a round, at most
	mix       mix  // of the clients
	watching  bool // the last client only watches
	endings   bool // contexts end while calls are under way
	between   mix  // of the driver between the rounds: ticks, drifts and crashes
	during    mix  // of the driver in the middle of every round; nil: now and then, a tick or a drift
	faults    Faults
	histories int // per seed, unless asked otherwise
}

// scenario is a script for several clients at once. In each round the driver
// first moves the clocks, then all clients work at the same time.
type scenario struct {
	cfg     registry.Config
	seed    uint64
	clients int
	nodes   int
	handles int // as many as clients, or as nodes: then the clients of a node share its handle
	actors  int
	rounds  int
	faults  Faults
	steps   []scenarioStep
}

// handle returns which handle a client uses.
func (s *scenario) handle(client int) int { return client % s.handles }

// scenarioStep is one action in a round, of a client or of the driver.
type scenarioStep struct {
	round  int
	client int // driver: before the round; meanwhile: during it
	action action
}

const (
	driver    = -1
	meanwhile = -2
)

// draw makes the scenario of a seed.
func (p profile) draw(seed uint64, cfg registry.Config) scenario {
	rng := newRand(seed)
	s := scenario{cfg: cfg, seed: seed, rounds: 1 + rng.IntN(p.rounds), actors: 1 + rng.IntN(p.actors), faults: p.faults}
	s.faults.Seed = seed
	s.clients = p.clients[0] + rng.IntN(p.clients[1]-p.clients[0]+1)
	s.nodes = s.clients
	if p.nodes > 0 {
		s.nodes = min(p.nodes, s.clients)
	}
	s.handles = s.clients
	if seed>>1%3 == 1 { // two or more at a time on each handle
		s.nodes = max(1, min(s.nodes, s.clients/2))
		s.handles = s.nodes
	}
	add := func(round, client int, m mix) {
		a := m.draw(rng, s.nodes, s.actors)
		if client >= 0 {
			a.node = client % s.nodes
			if p.endings {
				a.ends = ending(max(0, rng.IntN(2*int(nEndings))-int(nEndings)))
			}
		}
		s.steps = append(s.steps, scenarioStep{round, client, a})
	}
	for r := range s.rounds {
		if len(p.between) > 0 {
			for range rng.IntN(3) {
				add(r, driver, p.between)
			}
			if len(p.during) > 0 {
				add(r, meanwhile, p.during)
			} else if rng.IntN(4) == 0 {
				add(r, meanwhile, mix{tick: 2, drift: 3})
			}
		}
		for c := range s.clients {
			m := p.mix
			if p.watching && c == s.clients-1 {
				m = mix{op.Watch: 1}
			}
			for range 1 + rng.IntN(p.program) {
				add(r, c, m)
			}
		}
	}
	return s
}

// performAll draws scenarios, carries each out on a cluster of its own, and
// checks the history for linearizability.
func (t *trial) scenarios(p profile) {
	undecided, reason := 0, ""
	n := t.count(p.histories)
	least, until := n, t.realTimeEnd()
	if !t.exact() && t.judge.opts.histories == 0 {
		least = t.count(max(1, p.histories/realTimeShare))
	}
	for i := range n {
		if i >= least && registry.SystemClock().Now() > until {
			break
		}
		seed := t.historySeed(i)
		configs := t.configs()
		if !t.exact() {
			configs = []registry.Config{t.cfg}
		}
		s := p.draw(seed, configs[seed>>24%uint64(len(configs))])
		end := t.runScenario(s)
		switch {
		case end.wrong():
			t.convictedAt = t.executed.Load()
			t.convictScenario(s, end)
		case end.res.Verdict != linearizability.OK:
			undecided, reason = undecided+1, end.res.Reason
		}
	}
	if undecided > 0 {
		t.giveUp("%d of %d histories were not decided, the last because: %s", undecided, n, reason)
	}
}

// realTimeShare is by how much fewer histories may be drawn when time is real, and
// each tick a wait. As many more are drawn as there is time for.
const realTimeShare = 50

// realTimeEnd is when no more of those are begun.
func (t *trial) realTimeEnd() registry.Instant {
	return registry.SystemClock().Now().Add(sizedBy(t, 100*time.Millisecond, time.Second, 20*time.Second))
}

// checkTimeout bounds the check of one history. A short one needs milliseconds.
const checkTimeout = 5 * time.Second

// scenarioEnd is what came of a scenario.
type scenarioEnd struct {
	h         history.History
	res       linearizability.Result
	objection *objection // to an answer by itself, whatever the history
}

// wrong reports whether the backend is convicted.
func (e *scenarioEnd) wrong() bool {
	return e.objection != nil || e.res.Verdict == linearizability.Illegal
}

// rule is what is broken.
func (e *scenarioEnd) rule() RuleID {
	if e.objection != nil {
		return e.objection.rule
	}
	return e.res.Violations[0].Rule
}

// runScenario carries a scenario out and checks its history.
func (t *trial) runScenario(s scenario) (end scenarioEnd) {
	p := t.newScenarioRun(s)
	p.play()
	p.errorsKept()
	end.h, end.objection = p.history(), p.objection.Load()
	p.free()
	if end.objection == nil {
		end.res = t.check(end.h)
	}
	return end
}

// scenarioRun is a scenario being carried out.
type scenarioRun struct {
	*session
	s         scenario
	knowledge *knowledge
	clocks    []*registry.SkewedClock
	bases     []registry.Clock  // what the backend reads, before it is recorded
	handles   []registry.Handle // by client; clients that share one have it under their own names
	ends      []*handleEnd      // by handle
	armed     []readings        // by handle: contexts that end when it reads its clock
	life      int               // how often the cluster has crashed
	lives     sync.RWMutex      // guards handles, ends and life: a crash may come in between
	progress  atomic.Int64      // operations ended
	objection atomic.Pointer[objection]

	mu   sync.Mutex // guards kept
	kept []keptError
}

func (t *trial) newScenarioRun(s scenario) *scenarioRun {
	p := &scenarioRun{
		session: t.newSession(s.cfg).recorded("seed", fmt.Sprint(s.seed)), s: s,
		knowledge: newKnowledge(s.nodes, s.actors, newRand(s.seed+1), t.judge.found[Instances]),
	}
	for range s.nodes {
		p.clocks = append(p.clocks, registry.NewSkewedClock(p.time, 0))
	}
	p.armed = make([]readings, s.handles)
	for h := range s.handles { // handles of one node share its clock
		var base registry.Clock = p.clocks[h%s.nodes]
		if t.judge.dialect.StoreClock {
			base = p.time
		}
		p.bases = append(p.bases, &racingClock{base: base, p: p, handle: h, rng: s.seed + uint64(h)*0x9e3779b97f4a7c15})
	}
	p.handles, p.ends = make([]registry.Handle, s.clients), make([]*handleEnd, s.handles)
	p.openAll()
	return p
}

func clientName(c int) string { return fmt.Sprintf("c%d", c+1) }

// openAll opens every handle, at the beginning and after a crash.
func (p *scenarioRun) openAll() {
	for h := range p.ends {
		p.openHandle(h)
	}
}

// openHandle opens a handle for the clients that use it.
func (p *scenarioRun) openHandle(h int) {
	var names []string
	for c := h; c < p.s.clients; c += p.s.handles {
		names = append(names, clientName(c))
	}
	for i, shared := range p.openFor(names, p.bases[h]) {
		p.handles[h+i*p.s.handles] = shared
	}
	p.ends[h] = new(handleEnd)
}

// reopen opens the handles anew that were closed.
func (p *scenarioRun) reopen() {
	for h, end := range p.ends {
		if end.closing.Load() {
			p.openHandle(h)
		}
	}
}

// play lets every node register, carries out the rounds, and reads at the end
// what has become of it all.
func (p *scenarioRun) play() {
	for n := range p.s.nodes {
		p.do(p.t.ctx, n, action{kind: op.RegisterNode, node: n, to: n})
	}
	p.setFaults(p.s.faults)
	for r := range p.s.rounds {
		p.round(r)
		p.reopen()
	}
	p.setFaults(Faults{})
	for a := range p.s.actors {
		p.do(p.t.ctx, 0, action{kind: op.Lookup, actor: a})
		p.do(p.t.ctx, 0, action{kind: op.Validate, actor: a, pick: current})
	}
	for n := range p.s.nodes {
		p.do(p.t.ctx, 0, action{kind: op.GetNode, to: n})
	}
	for _, h := range p.handles {
		_ = h.Close()
	}
}

func (p *scenarioRun) setFaults(f Faults) {
	if p.s.faults.any() {
		note := "the suite injects no faults any more"
		if f.any() {
			note = "the suite injects " + f.String()
		}
		p.recorder.Note(note)
		p.cluster.(FaultInjector).SetFaults(f)
	}
}

// round lets all clients work at the same time. Watchers are awaited last and
// given up when everybody else is done.
func (p *scenarioRun) round(r int) {
	programs := make([][]action, p.s.clients)
	var during []action
	for _, s := range p.s.steps {
		switch {
		case s.round != r:
		case s.client == driver:
			p.drive(s.action)
		case s.client == meanwhile:
			during = append(during, s.action)
		case s.action.node < p.s.nodes:
			programs[s.client] = append(programs[s.client], s.action)
		}
	}
	ctx, cancel := context.WithCancel(p.t.ctx)
	defer cancel()
	start := make(chan struct{})
	var workers, watchers sync.WaitGroup
	for c, program := range programs {
		group := &workers
		if len(program) > 0 && program[0].kind == op.Watch {
			group = &watchers
		}
		group.Add(1)
		p.t.async(func() {
			defer group.Done()
			<-start
			for _, a := range program {
				p.do(ctx, c, a)
			}
		})
	}
	close(start)
	for i, a := range during {
		p.wait(rand.NewPCG(p.s.seed, uint64(r<<8|i)).Uint64())
		p.drive(a)
	}
	workers.Wait()
	cancel()
	watchers.Wait()
}

// do makes one operation as client c.
func (p *scenarioRun) do(ctx context.Context, c int, a action) {
	if !p.t.judge.dialect.Offers(a.kind) {
		return
	}
	var got op.Result
	made := p.knowledge.call(a)
	p.lives.RLock()
	h, end, life := p.handles[c], p.ends[p.s.handle(c)], p.life
	p.lives.RUnlock()
	wasClosed := end.closed.Load()
	var objections []*objection
	p.t.watch(func() string { return clientName(c) + ": " + made.String() }, func(limited context.Context) {
		if a.kind != op.Watch {
			ctx = limited
		}
		under, free := a.ends.under(ctx, &p.armed[p.s.handle(c)], causeOf(a.to2))
		if a.kind == op.Close {
			end.closing.Store(true)
		}
		got = made.do(under, h)
		if !free() {
			objections = append(objections, judgeContext(ctx, &got))
		} else if a.ends == already {
			objections = append(objections, judgeDone(&made, &got))
		}
	})
	if !p.alive(life) { // its process has died, and nobody has heard the answer
		return
	}
	for _, o := range append(objections, judgeAlone(p.t.judge.dialect, &made, &got), end.judge(&made, &got, wasClosed)) {
		p.object(c, &made, &got, o)
	}
	if a.kind == op.Close && got.Err == nil {
		end.closed.Store(true)
	}
	p.keep(c, &made, &got)
	p.progress.Add(1)
	p.knowledge.learn(a, got)
}

// alive reports whether the processes of that life have not crashed yet.
func (p *scenarioRun) alive(life int) bool {
	p.lives.RLock()
	defer p.lives.RUnlock()
	return p.life == life
}

// crash crashes the cluster, also while operations are under way.
func (p *scenarioRun) crash() {
	p.lives.Lock()
	defer p.lives.Unlock()
	p.life++
	p.recorder.Note("the suite crashes the cluster: calls under way get no answer, and every handle is opened anew")
	p.recorder.Crash()
	p.restart()
	p.openAll()
}

// drive carries out an action of the driver.
func (p *scenarioRun) drive(a action) {
	switch a.kind {
	case drift:
		p.clocks[a.node].SetOffset(a.offset(p.s.cfg))
	case tick:
		p.readTime()
		now := p.time.Now()
		l, _ := p.knowledge.latest(a.actor)
		to := a.target(p.s.cfg, now, p.clocks[a.node].Offset(), l.Expiry, epoch0)
		p.advance(to.Sub(now))
	case crash:
		p.crash()
	}
}

// racingClock is a node's clock that takes its time: a backend that checks
// outside of the step that writes has the reading of its clock in between, and
// there the others get their chance. Which reading waits, and whether before or
// after it looks, is the seed's choice.
type racingClock struct {
	base   registry.Clock
	p      *scenarioRun
	handle int
	rng    uint64
	count  atomic.Uint64
}

func (k *racingClock) Now() registry.Instant {
	rng := rand.NewPCG(k.rng, k.count.Add(1))
	choice := rng.Uint64()
	if choice&1 == 0 {
		k.p.wait(choice >> 2)
	}
	now := k.base.Now()
	k.p.armed[k.handle].read()
	if choice&2 == 0 {
		k.p.wait(choice >> 2)
	}
	return now
}

// wait yields a few times, or until somebody's operation has ended. It never
// depends on anybody: a backend may read the clock under its lock.
func (p *scenarioRun) wait(choice uint64) {
	yields := choice % 4
	if choice%5 == 0 {
		yields = 40
	}
	for before := p.progress.Load(); yields > 0; yields-- {
		runtime.Gosched()
		if p.progress.Load() != before {
			return
		}
	}
}

// convictScenario reduces a convicted scenario by carrying out parts of it
// again, then its history, and ends the trial. A part that races may pass where
// it failed before; it gets several chances.
func (t *trial) convictScenario(s scenario, end scenarioEnd) {
	budget := reduceBudget
	linearizability.Reduce(s.steps, linearizability.Stubborn(reduceTries, func(steps []scenarioStep) bool {
		if budget--; budget < 0 {
			return false
		}
		smaller := s
		smaller.steps = steps
		again := t.runScenario(smaller)
		if !again.wrong() || again.rule() != end.rule() {
			return false
		}
		end = again
		return true
	}))
	if end.objection != nil {
		panic(outcome{conviction: t.objectTo(s.seed, end.h, end.objection)})
	}
	panic(outcome{conviction: t.explain(s.seed, end.h, end.res)})
}

// The work spent on reducing a convicted scenario.
const (
	reduceBudget = 600 // executions in all
	reduceTries  = 12  // executions of one part, at most
)
