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
	actors  int
	rounds  int
	faults  Faults
	steps   []scenarioStep
}

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
	add := func(round, client int, m mix) {
		a := m.draw(rng, s.nodes, s.actors)
		if client >= 0 {
			a.node = client % s.nodes
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
	if !t.exact() {
		n = t.count(max(1, p.histories/realTimeShare))
	}
	for i := range n {
		seed := t.historySeed(i)
		configs := t.configs()
		if !t.exact() {
			configs = []registry.Config{t.cfg}
		}
		s := p.draw(seed, configs[seed>>24%uint64(len(configs))])
		h, res := t.runScenario(s)
		switch res.Verdict {
		case linearizability.OK:
		case linearizability.Illegal:
			t.convictedAt = t.executed.Load()
			t.convictHistory(s, h, res)
		default:
			undecided, reason = undecided+1, res.Reason
		}
	}
	if undecided > 0 {
		t.giveUp("%d of %d histories were not decided, the last because: %s", undecided, n, reason)
	}
}

// realTimeShare is by how much fewer histories are drawn when time is real, and
// each tick a wait.
const realTimeShare = 50

// checkTimeout bounds the check of one history. A short one needs milliseconds.
const checkTimeout = 5 * time.Second

// perform carries a scenario out and checks its history.
func (t *trial) runScenario(s scenario) (history.History, linearizability.Result) {
	p := t.newScenarioRun(s)
	p.play()
	h := p.history()
	p.free()
	return h, linearizability.Check(h, linearizability.Options{Timeout: checkTimeout})
}

// scenarioRun is a scenario being carried out.
type scenarioRun struct {
	*session
	s         scenario
	knowledge *knowledge
	clocks    []*registry.SkewedClock
	bases     []registry.Clock // what the backend reads, before it is recorded
	handles   []registry.Handle
	progress  atomic.Int64 // operations ended
}

func (t *trial) newScenarioRun(s scenario) *scenarioRun {
	p := &scenarioRun{
		session: t.newSession(s.cfg).recorded("seed", fmt.Sprint(s.seed)), s: s,
		knowledge: newKnowledge(s.nodes, s.actors, newRand(s.seed+1), t.judge.found[Instances]),
	}
	for c := range s.clients {
		node := registry.NewSkewedClock(p.time, 0)
		if n := c % s.nodes; n < c { // handles of one node share its clock
			node = p.clocks[n]
		}
		p.clocks = append(p.clocks, node)
		p.bases = append(p.bases, &racingClock{base: node, p: p, rng: s.seed + uint64(c)*0x9e3779b97f4a7c15})
	}
	p.handles = make([]registry.Handle, s.clients)
	p.openAll()
	return p
}

func clientName(c int) string { return fmt.Sprintf("c%d", c+1) }

// openAll opens every client's handle, at the beginning and after a crash.
func (p *scenarioRun) openAll() {
	for c := range p.handles {
		p.handles[c] = p.open(clientName(c), p.bases[c])
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
	var got op.Result
	made := p.knowledge.call(a)
	p.t.watch(func() string { return clientName(c) + ": " + made.String() }, func(limited context.Context) {
		if a.kind != op.Watch {
			ctx = limited
		}
		got = made.do(ctx, p.handles[c])
	})
	if got.BesideError() {
		panic(outcome{conviction: p.t.conviction(ErrorAlone, "", "",
			fmt.Sprintf("%s: %s = %v\nbeside the error %s", clientName(c), made, got.Err, besideError(got)), "the error alone", "")})
	}
	p.progress.Add(1)
	p.knowledge.learn(a, got)
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
		p.restart()
		p.openAll()
	}
}

// racingClock is a node's clock that takes its time: a backend that checks
// outside of the step that writes has the reading of its clock in between, and
// there the others get their chance. Which reading waits, and whether before or
// after it looks, is the seed's choice.
type racingClock struct {
	base  registry.Clock
	p     *scenarioRun
	rng   uint64
	count atomic.Uint64
}

func (k *racingClock) Now() registry.Instant {
	rng := rand.NewPCG(k.rng, k.count.Add(1))
	choice := rng.Uint64()
	if choice&1 == 0 {
		k.p.wait(choice >> 2)
	}
	now := k.base.Now()
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

// convictHistory reduces a convicted scenario by carrying out parts of it
// again, then its history, and ends the trial. A part that races may pass where
// it failed before; it gets several chances.
func (t *trial) convictHistory(s scenario, h history.History, res linearizability.Result) {
	rule := res.Violations[0].Rule
	budget := reduceBudget
	linearizability.Reduce(s.steps, linearizability.Stubborn(reduceTries, func(steps []scenarioStep) bool {
		if budget--; budget < 0 {
			return false
		}
		smaller := s
		smaller.steps = steps
		again, verdict := t.runScenario(smaller)
		if verdict.Verdict != linearizability.Illegal || verdict.Violations[0].Rule != rule {
			return false
		}
		h, res = again, verdict
		return true
	}))
	panic(outcome{conviction: t.explain(s.seed, h, res)})
}

// The work spent on reducing a convicted scenario.
const (
	reduceBudget = 600 // executions in all
	reduceTries  = 12  // executions of one part, at most
)
