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
	"github.com/kelpie-registry/registry/linearizability"
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
				add(r, meanwhile, mix{kindTick: 2, kindDrift: 3})
			}
		}
		for c := range s.clients {
			m := p.mix
			if p.watching && c == s.clients-1 {
				m = mix{"Watch": 1}
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
func (t *trial) performAll(p profile) {
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
		h, res := t.perform(s)
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
func (t *trial) perform(s scenario) (linearizability.History, linearizability.Result) {
	p := t.newPerformance(s)
	p.play()
	h := p.recorder.History()
	p.free()
	return h, linearizability.Check(h, linearizability.Options{Timeout: checkTimeout})
}

// performance is a scenario being carried out.
type performance struct {
	t        *trial
	s        scenario
	board    *board
	cluster  Cluster
	free     func() // of the cluster
	recorder *linearizability.Recorder
	time     *registry.ManualClock // true time, unless it is real
	clocks   []*registry.SkewedClock
	bases    []registry.Clock // what the backend reads, before it is recorded
	handles  []registry.Handle
	progress atomic.Int64 // operations ended
}

func (t *trial) newPerformance(s scenario) *performance {
	p := &performance{
		t: t, s: s, time: registry.NewManualClock(epoch0),
		board:    newBoard(s.nodes, s.actors, newRand(s.seed+1)),
		recorder: linearizability.NewRecorder(s.cfg),
	}
	p.recorder.SetMeta("backend", t.judge.backend.Name())
	p.recorder.SetMeta("section", t.section)
	p.recorder.SetMeta("case", t.name)
	p.recorder.SetMeta("seed", fmt.Sprint(s.seed))
	p.cluster, p.free = t.newCluster(s.cfg)
	for c := range s.clients {
		node := registry.NewSkewedClock(p.time, 0)
		if n := c % s.nodes; n < c { // handles of one node share its clock
			node = p.clocks[n]
		}
		p.clocks = append(p.clocks, node)
		p.bases = append(p.bases, &racingClock{base: node, p: p, rng: s.seed + uint64(c)*0x9e3779b97f4a7c15})
	}
	p.handles = make([]registry.Handle, s.clients)
	p.open()
	return p
}

func clientName(c int) string { return fmt.Sprintf("c%d", c+1) }

// open opens every client's handle, at the beginning and after a crash.
func (p *performance) open() {
	for c := range p.handles {
		clock := p.recorder.Clock(clientName(c), p.bases[c])
		if !p.t.exact() {
			p.recorder.RealTime(clientName(c), registry.SystemClock(), 2*p.s.cfg.MaxClockSkew)
			clock = registry.SystemClock()
		}
		var h registry.Handle
		var err error
		p.t.watch(func() string { return "Cluster.Open" }, func(context.Context) { h, err = p.cluster.Open(p.s.cfg, clock) })
		if err != nil {
			p.t.giveUp("Cluster.Open: %v", err)
		}
		p.handles[c] = p.recorder.Wrap(clientName(c), h)
	}
}

// play lets every node register, carries out the rounds, and reads at the end
// what has become of it all.
func (p *performance) play() {
	for n := range p.s.nodes {
		p.do(p.t.ctx, n, action{kind: "RegisterNode", node: n, to: n})
	}
	p.setFaults(p.s.faults)
	for r := range p.s.rounds {
		p.round(r)
	}
	p.setFaults(Faults{})
	for a := range p.s.actors {
		p.do(p.t.ctx, 0, action{kind: "Lookup", actor: a})
		p.do(p.t.ctx, 0, action{kind: "Validate", actor: a, pick: current})
	}
	for n := range p.s.nodes {
		p.do(p.t.ctx, 0, action{kind: "GetNode", to: n})
	}
	for _, h := range p.handles {
		_ = h.Close()
	}
}

func (p *performance) setFaults(f Faults) {
	if p.s.faults.any() {
		p.cluster.(FaultInjector).SetFaults(f)
	}
}

// round lets all clients work at the same time. Watchers are awaited last and
// given up when everybody else is done.
func (p *performance) round(r int) {
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
		if len(program) > 0 && program[0].kind == "Watch" {
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
func (p *performance) do(ctx context.Context, c int, a action) {
	var got answer
	made := p.board.call(a)
	p.t.watch(func() string { return clientName(c) + ": " + made.String() }, func(limited context.Context) {
		if a.kind != "Watch" {
			ctx = limited
		}
		got = made.do(ctx, p.handles[c])
	})
	if beside := got.besideError(); beside != "" && (a.kind == "Lookup" || a.kind == "GetNode") {
		panic(ending{conviction: p.t.conviction(ErrorAlone, "", "",
			fmt.Sprintf("%s: %s = %v\nbeside the error %s", clientName(c), made, got.err, beside), "the error alone", "")})
	}
	p.progress.Add(1)
	p.board.learn(a, got)
}

// drive carries out an action of the driver.
func (p *performance) drive(a action) {
	switch a.kind {
	case kindDrift:
		p.clocks[a.node].SetOffset(a.offset(p.s.cfg))
	case kindTick:
		now := p.time.Now()
		if !p.t.exact() {
			now = registry.SystemClock().Now()
		}
		l, _ := p.board.latest(a.actor)
		to := a.target(p.s.cfg, now, p.clocks[a.node].Offset(), l.Expiry, epoch0)
		if p.t.exact() {
			p.time.Set(to)
		} else {
			pause(p.t.ctx, to.Sub(now))
		}
	case kindCrash:
		var err error
		p.t.watch(func() string { return "Restarter.Restart" }, func(context.Context) { err = p.cluster.(Restarter).Restart() })
		if err != nil {
			p.t.giveUp("Restarter.Restart: %v", err)
		}
		p.open()
	}
}

// racingClock is a node's clock that takes its time: a backend that checks
// outside of the step that writes has the reading of its clock in between, and
// there the others get their chance. Which reading waits, and whether before or
// after it looks, is the seed's choice.
type racingClock struct {
	base  registry.Clock
	p     *performance
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
func (p *performance) wait(choice uint64) {
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
func (t *trial) convictHistory(s scenario, h linearizability.History, res linearizability.Result) {
	rule := res.Violations[0].Rule
	budget := reduceBudget
	linearizability.Reduce(s.steps, linearizability.Stubborn(reduceTries, func(steps []scenarioStep) bool {
		if budget--; budget < 0 {
			return false
		}
		smaller := s
		smaller.steps = steps
		again, verdict := t.perform(smaller)
		if verdict.Verdict != linearizability.Illegal || verdict.Violations[0].Rule != rule {
			return false
		}
		h, res = again, verdict
		return true
	}))
	panic(ending{conviction: t.explain(s.seed, h, res)})
}

// The work spent on reducing a convicted scenario.
const (
	reduceBudget = 600 // executions in all
	reduceTries  = 12  // executions of one part, at most
)

func concurrentSection() Section {
	history := func(name, doc string, p profile, needs ...Capability) Case {
		return Case{
			Name: name, Doc: doc, Needs: needs, draws: true,
			Rules: []RuleID{Linearizability, SingleActivation, TokenMonotonic, VersionBump, NoStaleWrite},
			run:   func(t *trial) { t.performAll(p) },
		}
	}
	tenures := mix{"Claim": 30, "Renew": 15, "Release": 12, "Transfer": 8, "Lookup": 6, "Validate": 8}
	times := mix{kindTick: 5, kindDrift: 3}
	return Section{
		Name: "concurrent",
		Doc:  "many short histories of clients working at the same time on fresh actors, checked for linearizability",
		Cases: []Case{
			history("hot-actor", "2 to 8 clients and one actor", profile{
				clients: [2]int{2, 8}, actors: 1, rounds: 3, program: 2, mix: tenures, between: times, histories: 250}),
			history("claim-race", "everybody claims, and nobody else has been there", profile{
				clients: [2]int{2, 8}, actors: 1, rounds: 1, program: 2, mix: mix{"Claim": 10, "Lookup": 1}, histories: 150}),
			history("boundaries", "claims and renewals race while the lease ends, by clocks at both ends of the skew", profile{
				clients: [2]int{2, 4}, actors: 1, rounds: 5, program: 2, mix: mix{"Claim": 12, "Renew": 10, "Release": 1, "Transfer": 3},
				between: mix{kindTick: 10, kindDrift: 4}, histories: 200}),
			history("late-renewal", "a renewal in the last moment, and time goes on while a claim is being made", profile{
				clients: [2]int{2, 3}, actors: 1, rounds: 8, program: 1, mix: mix{"Claim": 12, "Renew": 12},
				between: mix{kindTick: 10, kindDrift: 2}, during: mix{kindTick: 1}, histories: 250}),
			history("membership", "nodes are superseded, leave and fail while they claim", profile{
				clients: [2]int{2, 4}, actors: 1, rounds: 3, program: 3,
				mix: mix{"Claim": 14, "RegisterNode": 6, "DeregisterNode": 2, "MarkFailed": 1, "Lookup": 5, "Release": 5, "Transfer": 3}, between: times, histories: 150}),
			history("hand-off", "transfers race with renewals, releases and each other", profile{
				clients: [2]int{3, 6}, actors: 1, rounds: 3, program: 2, mix: mix{"Claim": 8, "Transfer": 14, "Renew": 6, "Release": 4, "Validate": 5},
				between: times, histories: 150}),
			history("claim-retry", "the same attempt is repeated through several handles of one node while others claim", profile{
				clients: [2]int{3, 6}, nodes: 2, actors: 1, rounds: 3, program: 3, mix: mix{"Claim": 14, "Release": 4, "Renew": 2, "Lookup": 1},
				between: times, histories: 150}),
			history("spread", "all operations on three actors, listings and members included", profile{
				clients: [2]int{2, 5}, actors: 3, rounds: 3, program: 2,
				mix: mix{"Claim": 16, "Renew": 6, "Release": 6, "Transfer": 6, "Lookup": 4, "Validate": 4, "ListActors": 4,
					"RegisterNode": 3, "Heartbeat": 2, "MarkFailed": 2, "DeregisterNode": 1, "GetNode": 2, "ListNodes": 2},
				between: times, histories: 150}),
			history("batches", "renewals in batches race with claims and hand-offs", profile{
				clients: [2]int{2, 4}, actors: 3, rounds: 3, program: 2, mix: mix{"Claim": 14, "RenewBatch": 10, "Release": 3, "Transfer": 4},
				between: times, histories: 100}, BatchRenew),
			history("watchers", "a client watches while others claim, release and hand over", profile{
				clients: [2]int{2, 4}, actors: 1, rounds: 3, program: 2, mix: mix{"Claim": 10, "Renew": 4, "Release": 6, "Transfer": 4}, watching: true,
				between: times, histories: 100}, Watch),
		},
	}
}
