// Package concurrent draws scenarios for several clients at once, carries each out on
// a cluster of its own, and checks the recorded history for linearizability.
package concurrent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/answers"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/linearizability/minimise"
	"github.com/kelpie-registry/registry/op"
)

// Profile is what the scenarios of one case have in common.
type Profile struct {
	Clients   [2]int // least and most
	Nodes     int    // at most; fewer than clients makes handles share a node. 0: one each
	Actors    int    // at most
	Rounds    int
	Program   int         // operations of a client in a round, at most
	Mix       traffic.Mix // of the clients
	Watching  bool        // the last client only watches
	Purging   bool        // the last client only purges
	Endings   bool        // contexts end while calls are under way
	Unknown   bool        // in half of the scenarios nobody has registered when they begin
	Between   traffic.Mix // of the driver between the rounds: ticks, drifts and crashes
	During    traffic.Mix // of the driver in the middle of every round; nil: now and then, a tick or a drift
	Faults    backend.Faults
	Histories int // per seed, unless asked otherwise
}

// scenario is what several clients do at the same time. In each round the driver
// first moves the clocks, then all clients work at the same time.
type scenario struct {
	cfg     registry.Config
	seed    uint64
	clients int
	nodes   int
	handles int  // as many as clients, or as nodes: then the clients of a node share its handle
	unknown bool // nobody has registered before the first round
	actors  int
	rounds  int
	faults  backend.Faults
	steps   []scenarioStep
}

// handle returns which handle a client uses.
func (s *scenario) handle(client int) int { return client % s.handles }

// scenarioStep is one action in a round, of a client or of the driver.
type scenarioStep struct {
	round  int
	client int // driver: before the round; meanwhile: during it
	action traffic.Action
}

const (
	driver    = -1
	meanwhile = -2
)

// draw makes the scenario of a seed.
func (p Profile) draw(seed uint64, cfg registry.Config) scenario {
	rng := trial.NewRand(seed)
	s := scenario{cfg: cfg, seed: seed, rounds: 1 + rng.IntN(p.Rounds), actors: 1 + rng.IntN(p.Actors), faults: p.Faults}
	s.faults.Seed = seed
	s.clients = p.Clients[0] + rng.IntN(p.Clients[1]-p.Clients[0]+1)
	s.nodes = s.clients
	if p.Nodes > 0 {
		s.nodes = min(p.Nodes, s.clients)
	}
	s.unknown = p.Unknown && rng.IntN(2) == 0
	s.handles = s.clients
	if seed>>1%3 == 1 { // two or more at a time on each handle
		s.nodes = max(1, min(s.nodes, s.clients/2))
		s.handles = s.nodes
	}
	add := func(round, client int, m traffic.Mix) {
		a := m.Draw(rng, s.nodes, s.actors)
		if client >= 0 {
			a.Node = client % s.nodes
			if p.Endings {
				a.Ends = contexts.Ending(max(0, rng.IntN(2*int(contexts.NEndings))-int(contexts.NEndings)))
			}
		}
		s.steps = append(s.steps, scenarioStep{round, client, a})
	}
	for r := range s.rounds {
		if len(p.Between) > 0 {
			for range rng.IntN(3) {
				add(r, driver, p.Between)
			}
			if len(p.During) > 0 {
				add(r, meanwhile, p.During)
			} else if rng.IntN(4) == 0 {
				add(r, meanwhile, traffic.Mix{traffic.Tick: 2, traffic.Drift: 3})
			}
		}
		for c := range s.clients {
			m := p.Mix
			if p.Watching && c == s.clients-1 {
				m = traffic.Mix{op.Watch: 1}
			}
			if p.Purging && c == s.clients-1 {
				m = traffic.Mix{traffic.Purge: 1}
			}
			for range 1 + rng.IntN(p.Program) {
				add(r, c, m)
			}
		}
	}
	return s
}

// Scenarios draws scenarios, carries each out on a cluster of its own, and
// checks the history for linearizability.
func Scenarios(t *trial.Trial, p Profile) {
	undecided, reason := 0, ""
	n := t.Count(p.Histories)
	least, until := n, realTimeEnd(t)
	if !t.Exact() && t.Judge.Opts.Histories == 0 {
		least = t.Count(max(1, p.Histories/realTimeShare))
	}
	for i := range n {
		if i >= least && registry.SystemClock().Now() > until {
			break
		}
		seed := t.HistorySeed(i)
		configs := t.Configs()
		if !t.Exact() {
			configs = []registry.Config{t.Cfg}
		}
		s := p.draw(seed, configs[seed>>24%uint64(len(configs))])
		end := runScenario(t, s)
		switch {
		case end.wrong():
			t.ConvictedAt = t.Executed.Load()
			convictScenario(t, s, end)
		case end.res.Verdict != linearizability.OK:
			undecided, reason = undecided+1, end.res.Reason
		}
	}
	if undecided > 0 {
		t.GiveUp("%d of %d histories were not decided, the last because: %s", undecided, n, reason)
	}
}

// realTimeShare is by how much fewer histories may be drawn when time is real, and
// each tick a wait. As many more are drawn as there is time for.
const realTimeShare = 50

// realTimeEnd is when no more of those are begun.
func realTimeEnd(t *trial.Trial) registry.Instant {
	return registry.SystemClock().Now().Add(trial.SizedBy(t, 100*time.Millisecond, time.Second, 20*time.Second))
}

// scenarioEnd is what came of a scenario.
type scenarioEnd struct {
	h         history.History
	res       linearizability.Result
	objection *answers.Objection // to an answer by itself, whatever the history
}

// wrong reports whether the backend is convicted.
func (e *scenarioEnd) wrong() bool {
	return e.objection != nil || e.res.Verdict == linearizability.Illegal
}

// rule is what is broken.
func (e *scenarioEnd) rule() contract.RuleID {
	if e.objection != nil {
		return e.objection.Rule
	}
	return e.res.Violations[0].Rule
}

// runScenario carries a scenario out and checks its history.
func runScenario(t *trial.Trial, s scenario) (end scenarioEnd) {
	p := newScenarioRun(t, s)
	p.play()
	p.errorsKept()
	end.h, end.objection = p.History(), p.objection.Load()
	p.Free()
	if end.objection == nil {
		end.res = t.Check(end.h)
	}
	return end
}

// scenarioRun is a scenario being carried out.
type scenarioRun struct {
	*trial.Session
	s         scenario
	knowledge *traffic.Knowledge
	clocks    []*registry.SkewedClock
	bases     []registry.Clock     // what the backend reads, before it is recorded
	handles   []registry.Handle    // by client; clients that share one have it under their own names
	ends      []*answers.HandleEnd // by handle
	armed     []contexts.Readings  // by handle: contexts that end when it reads its clock
	life      int                  // how often the cluster has crashed
	lives     sync.RWMutex         // guards handles, ends and life: a crash may come in between
	progress  atomic.Int64         // operations ended
	objection atomic.Pointer[answers.Objection]

	watches watches

	mu   sync.Mutex // guards kept
	kept []keptError
}

func newScenarioRun(t *trial.Trial, s scenario) *scenarioRun {
	p := &scenarioRun{
		Session: t.NewSession(s.cfg).Recorded("seed", fmt.Sprint(s.seed)), s: s,
		knowledge: traffic.NewKnowledge(s.nodes, s.actors, trial.NewRand(s.seed+1), t.Judge.Found[backend.Instances]),
	}
	for range s.nodes {
		p.clocks = append(p.clocks, registry.NewSkewedClock(p.Time, 0))
	}
	p.armed = make([]contexts.Readings, s.handles)
	for h := range s.handles { // handles of one node share its clock
		var base registry.Clock = p.clocks[h%s.nodes]
		if t.Judge.Dialect.StoreClock {
			base = p.Time
		}
		p.bases = append(p.bases, &racingClock{base: base, p: p, handle: h, rng: s.seed + uint64(h)*0x9e3779b97f4a7c15})
	}
	p.handles, p.ends = make([]registry.Handle, s.clients), make([]*answers.HandleEnd, s.handles)
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
	for i, shared := range p.OpenFor(names, p.bases[h]) {
		p.handles[h+i*p.s.handles] = shared
	}
	p.ends[h] = new(answers.HandleEnd)
}

// reopen opens the handles anew that were closed.
func (p *scenarioRun) reopen() {
	for h, end := range p.ends {
		if end.Closing.Load() {
			p.openHandle(h)
		}
	}
}

// play lets every node register, carries out the rounds, and reads at the end
// what has become of it all.
func (p *scenarioRun) play() {
	for n := range p.s.nodes {
		if p.s.unknown { // who they are comes up on the way
			break
		}
		p.do(p.T.Ctx, n, traffic.Action{Kind: op.RegisterNode, Node: n, To: n})
	}
	p.setFaults(p.s.faults)
	for r := range p.s.rounds {
		p.round(r)
		p.reopen()
		if troubles(p.s.faults) { // what is told to be settled must not change with the next write
			p.readAll()
		}
	}
	p.setFaults(backend.Faults{})
	if troubles(p.s.faults) {
		p.do(p.T.Ctx, 0, traffic.Action{Kind: op.Heartbeat, To: 0})
	}
	p.readAll()
	for _, h := range p.handles {
		_ = h.Close()
	}
}

// readAll reads what has become of every actor and node.
func (p *scenarioRun) readAll() {
	for a := range p.s.actors {
		p.do(p.T.Ctx, 0, traffic.Action{Kind: op.Lookup, Actor: a})
		p.do(p.T.Ctx, 0, traffic.Action{Kind: op.Validate, Actor: a, Pick: traffic.Current})
	}
	for n := range p.s.nodes {
		p.do(p.T.Ctx, 0, traffic.Action{Kind: op.GetNode, To: n})
	}
}

// troubles reports whether there is any trouble.
func troubles(f backend.Faults) bool { return f.Unavailable+f.LostRequest+f.LostAnswer+f.Late > 0 }

func (p *scenarioRun) setFaults(f backend.Faults) {
	if troubles(p.s.faults) {
		note := "the suite injects no faults any more"
		if troubles(f) {
			note = "the suite injects " + f.String()
		}
		p.Recorder.Note(note)
		p.Cluster.(backend.FaultInjector).SetFaults(f)
	}
}

// hearing has the story name the calls of client c that suffer a fault, where the
// backend tells.
func (p *scenarioRun) hearing(ctx context.Context, c int) context.Context {
	if !troubles(p.s.faults) {
		return ctx
	}
	return backend.HearFaults(ctx, func(f backend.Fault) { p.Recorder.NoteCall(clientName(c), f.String()) })
}

// round lets all clients work at the same time. Watchers are awaited last and
// given up when everybody else is done.
func (p *scenarioRun) round(r int) {
	programs := make([][]traffic.Action, p.s.clients)
	var during []traffic.Action
	for _, s := range p.s.steps {
		switch {
		case s.round != r:
		case s.client == driver:
			p.drive(s.action)
		case s.client == meanwhile:
			during = append(during, s.action)
		case s.action.Node < p.s.nodes:
			programs[s.client] = append(programs[s.client], s.action)
		}
	}
	ctx, cancel := contexts.WithCancel(p.T.Ctx)
	defer cancel()
	start := make(chan struct{})
	var workers, watchers sync.WaitGroup
	for c, program := range programs {
		group := &workers
		if len(program) > 0 && program[0].Kind == op.Watch {
			group = &watchers
		}
		group.Add(1)
		p.T.Async(func() {
			defer group.Done()
			<-start
			for _, a := range program {
				if a.Kind == traffic.Purge {
					p.drive(a)
					continue
				}
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
	p.awaken()
	cancel()
	watchers.Wait()
}

// awaken waits for the watches that have something to wake for. It looks through a
// handle that is not recorded, and that stays open: its Close would be one more thing
// to wake them.
func (p *scenarioRun) awaken() {
	var beside registry.Handle
	defer func() {
		if beside != nil {
			_ = beside.Close()
		}
	}()
	p.watches.awaken(p.T.Judge.Opts.CallTimeout, func(watch call.Call) (got op.Result) {
		var err error
		if beside == nil {
			if beside, err = p.Cluster.Open(p.s.cfg, p.clocks[0]); err != nil {
				return op.Result{Err: err}
			}
		}
		p.T.Watch(func() string { return "a lookup beside " + watch.String() }, func(ctx context.Context) {
			look := call.Lookup(watch.Actor)
			got = look.Do(ctx, beside)
		})
		return got
	})
}

// do makes one operation as client c.
func (p *scenarioRun) do(ctx context.Context, c int, a traffic.Action) {
	if !p.T.Judge.Dialect.Offers(a.Kind) {
		return
	}
	var got op.Result
	made := p.knowledge.Call(a)
	p.lives.RLock()
	h, end, life := p.handles[c], p.ends[p.s.handle(c)], p.life
	p.lives.RUnlock()
	wasClosed := end.Closed.Load()
	var objections []*answers.Objection
	watch := new(watchUnderWay)
	if a.Kind == op.Watch {
		var ends func()
		watch, ends = p.watches.begins(made)
		defer ends()
	}
	runs := p.T.Watch
	if a.Kind == op.Watch { // as long as the round goes on, which may be slow
		runs = func(describe func() string, call func(context.Context)) { p.T.Wait(ctx, describe, call) }
	}
	runs(func() string { return clientName(c) + ": " + made.String() }, func(ctx context.Context) {
		ctx = p.hearing(ctx, c)
		under, free := a.Ends.Under(ctx, &p.armed[p.s.handle(c)], contexts.CauseOf(a.To2))
		if a.Kind == op.Close {
			end.Closing.Store(true)
		}
		got = made.Do(under, h)
		if !free() {
			objections = append(objections, answers.JudgeContext(ctx, &got))
		} else if a.Ends == contexts.Already {
			objections = append(objections, answers.JudgeDone(&made, &got))
		}
	})
	if !p.alive(life) { // its process has died, and nobody has heard the answer
		return
	}
	for _, o := range append(objections, answers.JudgeAlone(p.T.Judge.Dialect, &made, &got), end.Judge(&made, &got, wasClosed), watch.judge(&got)) {
		p.object(c, &made, &got, o)
	}
	if a.Kind == op.Close && got.Err == nil {
		end.Closed.Store(true)
	}
	p.keep(c, &made, &got)
	p.progress.Add(1)
	p.knowledge.Learn(a, got)
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
	p.Recorder.Note("the suite crashes the cluster: calls under way get no answer, and every handle is opened anew")
	p.Recorder.Crash()
	p.watches.forget()
	p.Restart()
	p.openAll()
}

// drive carries out an action of the driver.
func (p *scenarioRun) drive(a traffic.Action) {
	switch a.Kind {
	case traffic.Drift:
		p.clocks[a.Node].SetOffset(a.Offset(p.s.cfg))
	case traffic.Tick:
		p.ReadTime()
		now := p.Time.Now()
		l, _ := p.knowledge.Latest(a.Actor)
		to := a.Target(p.s.cfg, now, p.clocks[a.Node].Offset(), l.Expiry, trial.Epoch0)
		p.Advance(to.Sub(now))
	case traffic.Crash:
		p.crash()
	case traffic.Purge:
		p.Recorder.Note("the suite has a process with the clock of " + clientName(a.Node%p.s.handles) + " purge")
		_, _ = p.Purge(p.bases[a.Node%p.s.handles]) // a store in trouble forgets later
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
	k.p.armed[k.handle].Read()
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
func convictScenario(t *trial.Trial, s scenario, end scenarioEnd) {
	budget := reduceBudget
	minimise.Reduce(s.steps, minimise.Stubborn(reduceTries, func(steps []scenarioStep) bool {
		if budget--; budget < 0 {
			return false
		}
		smaller := s
		smaller.steps = steps
		again := runScenario(t, smaller)
		if !again.wrong() || again.rule() != end.rule() {
			return false
		}
		end = again
		return true
	}))
	if end.objection != nil {
		panic(trial.Outcome{Conviction: answers.Convict(t, s.seed, end.h, end.objection)})
	}
	panic(trial.Outcome{Conviction: t.Explain(s.seed, end.h, end.res)})
}

// The work spent on reducing a convicted scenario.
const (
	reduceBudget = 600 // executions in all
	reduceTries  = 12  // executions of one part, at most
)

// object keeps the first objection.
func (p *scenarioRun) object(client int, c *call.Call, got *op.Result, o *answers.Objection) {
	if o != nil && !p.T.Waive(o.Rule, c.String()+": "+o.Found) {
		o.Client, o.Call, o.Got = clientName(client), *c, *got
		p.objection.CompareAndSwap(nil, o)
	}
}

// keptError is the error of an answer, and what it told then.
type keptError struct {
	client int
	call   call.Call
	got    op.Result
}

// keep remembers the refusals, whose details must stay what they were.
func (p *scenarioRun) keep(client int, c *call.Call, got *op.Result) {
	if got.Outcome != op.Refused {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = append(p.kept, keptError{client, *c, *got})
}

// errorsKept looks at the refusals again, at the end.
func (p *scenarioRun) errorsKept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kept {
		p.object(k.client, &k.call, &k.got, answers.JudgeKept(&k.got))
	}
}
