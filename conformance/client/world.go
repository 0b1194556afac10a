package client

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/serving"
)

// world is a cluster in a bubble of virtual time: a right registry, the
// processes under judgement, and what happens to them.
type world struct {
	cfg     registry.Config
	times   Times
	factory Factory
	seed    uint64
	powers  op.Powers
	waiters int // of the section herd
	judged  serving.Options

	store *memimpl.Store
	exact registry.Handle // nobody's: true time, no network
	rec   *history.Recorder
	began time.Time
	rng   *rand.Rand // of the case; drawn by one goroutine

	mu       sync.Mutex
	procs    []*process
	log      []entry
	turns    []turn                              // of services, in their order
	grants   map[registry.ActorID]registry.Lease // the latest
	findings []finding
	settle   func()         // waits until whoever runs has had its chance to notice what has changed
	freeze   func()         // keeps its caller for ever when nobody waits for the world any more
	over     chan struct{}  // closed at the end: the dead rest
	errands  sync.WaitGroup // messages on their way
	arrived  time.Duration  // when every request that was sent so far has arrived
}

// finding is a breach that no history shows.
type finding struct {
	rule          conformance.RuleID
	found, wanted string
	at            time.Duration
}

// entry is a line of the timeline.
type entry struct {
	at    time.Duration
	stamp int64 // what is recorded later has a higher one
	who   string
	actor registry.ActorID
	text  string
	minor bool // a call about no actor
}

var shop = func(i int) registry.ActorID {
	return registry.ActorID{Namespace: "client", Name: string(rune('a'+i%26)) + suffix(i/26)}
}

func suffix(i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprint(i)
}

func newWorld(cfg registry.Config, f Factory, seed uint64, powers op.Powers) (*world, error) {
	w := &world{cfg: cfg, times: TimesOf(cfg), factory: f, seed: seed, powers: powers, rec: history.NewRecorder(cfg), began: time.Now(), rng: rand.New(rand.NewPCG(seed, 0x636c69656e74)), freeze: func() {}, settle: settle, grants: map[registry.ActorID]registry.Lease{}, over: make(chan struct{})}
	store, err := memimpl.New(cfg)
	if err != nil {
		return nil, err
	}
	w.store, w.judged.Origin = store, registry.InstantOf(w.began)
	w.exact, err = store.Open(cfg, registry.SystemClock())
	return w, err
}

func (w *world) now() time.Duration { return time.Since(w.began) }

func (w *world) note(who string, actor registry.ActorID, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enter(entry{who: who, actor: actor, text: fmt.Sprintf(format, args...)})
}

// enter adds a line to the timeline. The caller holds w.mu.
func (w *world) enter(e entry) {
	e.at, e.stamp = w.now(), w.rec.Stamp()
	w.log = append(w.log, e)
}

// find notes a breach.
func (w *world) find(rule conformance.RuleID, wanted, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.findings = append(w.findings, finding{rule, fmt.Sprintf(format, args...), wanted, w.now()})
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.findings) > 0
}

// pass lets time pass.
func (w *world) pass(d time.Duration) { time.Sleep(d) }

// roll draws from [0, bound) for something that happens now. The draw depends on
// the seed, the instant and what it is for, not on which goroutine drew before.
func (w *world) roll(what string, bound int64) int64 {
	h := fnv.New64a()
	fmt.Fprint(h, w.seed, time.Now().UnixNano(), what)
	return int64(h.Sum64()>>1) % bound
}

// process is one process on one node: its client, its clock and its link.
type process struct {
	w    *world
	name string // in the timeline and in the history
	id   registry.NodeID
	wall *registry.SkewedClock
	raw  registry.Handle

	client Client // nil until it is made

	// Guarded by w.mu.
	made     chan struct{} // closed when the factory returned
	halted   chan struct{} // closed when it goes on; nil while it runs
	dead     bool
	closed   bool // Close has returned
	closedAt time.Duration
	wants    map[registry.ActorID]bool
	services []*service
	queued   []func() // what it said while it was halted
	troubles []*trouble
	given    map[registry.ActorID]bool // up, for good: Drop or Move has returned
	failing  map[tenure]bool           // whose last renewal was not answered, or refused
	released map[tenure]bool           // of which it asked for the release, while none was failing
	is       map[registry.NodeRef]bool // the incarnations that it registered
	calls    map[callWindow]int
	after    string // a call or a service after Close
	claims   int
}

type callWindow struct {
	actor registry.ActorID
	at    int64
}

// tenure is one grant of an actor.
type tenure struct {
	actor registry.ActorID
	token registry.Token
}

// service is what a process says that it serves.
type service struct {
	actor registry.ActorID
	token registry.Token
	end   func(error)
	ended bool
}

// start makes a process on a node whose clock is ahead of true time by offset.
func (w *world) start(id string, offset time.Duration) *process {
	p := &process{
		w: w, id: registry.NodeID(id), wall: registry.NewSkewedClock(registry.SystemClock(), offset),
		made: make(chan struct{}), wants: map[registry.ActorID]bool{}, given: map[registry.ActorID]bool{}, failing: map[tenure]bool{}, released: map[tenure]bool{}, is: map[registry.NodeRef]bool{}, calls: map[callWindow]int{},
	}
	w.mu.Lock()
	n := 1
	for _, other := range w.procs {
		if other.id == p.id {
			n++
		}
	}
	p.name = id
	if n > 1 {
		p.name = fmt.Sprintf("%s (process %d)", id, n)
	}
	w.procs = append(w.procs, p)
	w.mu.Unlock()
	p.raw, _ = w.store.Open(w.cfg, w.rec.Clock(p.name, p.wall)) // of the store's own configuration
	node := Node{ID: p.id, Handle: w.rec.Wrap(p.name, p.link()), Clock: p.wall, Config: w.cfg, Seed: w.seed + uint64(len(w.procs)), Serve: p.serve}
	go func() {
		c, err := w.factory(node)
		if err != nil {
			w.note(p.name, registry.ActorID{}, "could not start: %v", err)
		}
		w.mu.Lock()
		p.client = c
		close(p.made)
		w.mu.Unlock()
	}()
	return p
}

// ready waits until the process has started, and reports whether it did in the time
// that it ran with nothing wrong with its calls.
func (p *process) ready() bool {
	tick := p.w.cfg.TTL / 200
	for ran := time.Duration(0); ran < p.w.times.Resume; {
		select {
		case <-p.made:
			return p.client != nil
		case <-time.After(tick):
		}
		p.w.mu.Lock()
		if p.dead || p.halted == nil && len(p.troubles) == 0 {
			ran += tick
		}
		p.w.mu.Unlock()
	}
	return false
}

// want waits until the process has started, and tells it what to serve.
func (p *process) want(actors ...registry.ActorID) {
	started := p.ready()
	p.w.mu.Lock()
	dead := p.dead
	p.w.mu.Unlock()
	switch {
	case dead:
		return
	case !started:
		p.w.find(conformance.ClientServes, "a client starts where the registry can be reached", "%s has not started after %v", p.name, p.w.times.Resume)
		return
	}
	for _, a := range actors {
		p.w.mu.Lock()
		p.wants[a], p.given[a] = true, false
		p.w.mu.Unlock()
		p.w.note(p.name, a, "is to serve %s", a.Name)
		p.client.Want(a)
	}
}

// serve is Node.Serve. What a halted process says it says when it goes on.
func (p *process) serve(actor registry.ActorID, token registry.Token) func(error) {
	w := p.w
	s := &service{actor: actor, token: token, end: func(error) {}}
	begin := func() {
		if p.closed {
			p.after = "says that it serves " + actor.Name
		}
		if p.given[actor] && !p.closed {
			w.findings = append(w.findings, finding{conformance.ClientGivesUp, fmt.Sprintf("%s gave %s up, and then began to serve it, under token %d", p.name, actor.Name, token), "what was given up is not served", w.now()})
		}
		p.services = append(p.services, s)
		w.turns = append(w.turns, turn{actor, w.now(), 1, lastsAll})
		s.end = w.rec.Serve(p.name, actor, token)
		w.enter(entry{who: p.name, actor: actor, text: fmt.Sprintf("serves %s under token %d", actor.Name, token)})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p.say(begin)
	return func(why error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		asked := !p.wants[actor] || p.closed // by now, whenever it is heard
		p.say(func() { p.stopped(s, why, asked) })
	}
}

// say does what a process says, now or when it goes on. The caller holds w.mu.
func (p *process) say(what func()) {
	switch {
	case p.dead:
	case p.halted != nil:
		p.queued = append(p.queued, what)
	default:
		what()
	}
}

// stopped notes the end of a service, which the client was asked for, or not. The caller
// holds w.mu.
func (p *process) stopped(s *service, why error, asked bool) {
	w := p.w
	if s.ended {
		return
	}
	s.ended = true
	s.end(why)
	p.services = slices.DeleteFunc(p.services, func(o *service) bool { return o == s })
	w.turns = append(w.turns, turn{s.actor, w.now(), -1, w.leftOf(p, s, why)})
	text := fmt.Sprintf("stops serving %s", s.actor.Name)
	if why != nil {
		text += ": " + why.Error()
	}
	w.enter(entry{who: p.name, actor: s.actor, text: text})
	if why == nil && !asked {
		w.findings = append(w.findings, finding{conformance.ClientSaysWhy, fmt.Sprintf("%s stopped serving %s, which it is to serve, and said nothing", p.name, s.actor.Name), "a client that loses a lease says why", w.now()})
	}
}

// serves reports whether the process serves the actor, and under which token.
func (p *process) serves(a registry.ActorID) (registry.Token, bool) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.dead || p.halted != nil {
		return 0, false
	}
	for _, s := range p.services {
		if s.actor == a {
			return s.token, true
		}
	}
	return 0, false
}

// drop asks the client to give an actor up, within d.
func (p *process) drop(a registry.ActorID, d time.Duration) error {
	return p.giveUp(a, d, "is to give "+a.Name+" up", func(ctx context.Context) error { return p.client.Drop(ctx, a) })
}

// move asks the client to hand an actor over, within d, and to drop it where it
// cannot hand over.
func (p *process) move(to *process, a registry.ActorID, d time.Duration) error {
	latest, _, _ := p.w.exact.GetNode(context.Background(), to.id)
	return p.moveTo(latest.Ref, to, a, d)
}

// moveTo is move to an incarnation of the receiver.
func (p *process) moveTo(ref registry.NodeRef, to *process, a registry.ActorID, d time.Duration) error {
	m, ok := p.client.(Mover)
	if !ok {
		return p.drop(a, d)
	}
	var handed registry.Lease
	err := p.giveUp(a, d, "is to hand "+a.Name+" to "+ref.String(), func(ctx context.Context) (err error) {
		handed, err = m.Move(ctx, a, ref)
		return err
	})
	if receiver, tells := to.client.(Adopter); tells && err == nil {
		receiver.Adopt(handed)
	}
	return err
}

func (p *process) giveUp(a registry.ActorID, d time.Duration, text string, do func(context.Context) error) error {
	w := p.w
	w.mu.Lock()
	delete(p.wants, a)
	w.mu.Unlock()
	w.note(p.name, a, "%s", text)
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	err, in := p.inTime(d+w.times.Stop, func() error { return do(ctx) })
	if !in {
		w.find(conformance.ClientGivesUp, "it ends with its context", "%s, which was to give %s up within %v, has not returned after %v", p.name, a.Name, d, d+w.times.Stop)
		return errors.New("has not returned")
	}
	if token, still := p.serves(a); still {
		w.find(conformance.ClientGivesUp, "what was given up is not served", "%s gave %s up and serves it, under token %d", p.name, a.Name, token)
	}
	w.mu.Lock()
	p.given[a] = !p.wants[a]
	w.mu.Unlock()
	return err
}

// errKilled is what comes of what a process was asked that was killed meanwhile.
var errKilled = errors.New("the process was killed")

// inTime runs f of the process and reports whether it returned before the process had run
// for d: one that is stopped answers nothing, and one that was killed never will.
func (p *process) inTime(d time.Duration, f func() error) (error, bool) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	tick := p.w.cfg.TTL / 200
	for ran := time.Duration(0); ran < d; {
		select {
		case err := <-done:
			return err, true
		case <-time.After(tick):
		}
		p.w.mu.Lock()
		dead, halted := p.dead, p.halted != nil
		p.w.mu.Unlock()
		switch {
		case dead:
			return errKilled, true
		case !halted:
			ran += tick
		}
	}
	return nil, false
}

// halt stops the process: what it asked is answered, and what it says is heard,
// when it goes on.
func (p *process) halt() {
	p.w.note(p.name, registry.ActorID{}, "is stopped, as by SIGSTOP")
	if m, ok := p.client.(Machine); ok {
		m.Stop()
	}
	p.w.mu.Lock()
	p.halted = make(chan struct{})
	p.w.mu.Unlock()
	p.w.rec.Halt(p.name)
}

// resume lets it go on.
func (p *process) resume() {
	w := p.w
	w.note(p.name, registry.ActorID{}, "goes on")
	if m, ok := p.client.(Machine); ok {
		m.Continue()
	}
	w.mu.Lock()
	close(p.halted)
	p.halted = nil
	for _, what := range p.queued {
		what()
	}
	p.queued = nil
	w.mu.Unlock()
	w.settle()
	w.rec.Continue(p.name)
}

// kill ends the process, as by kill -9.
func (p *process) kill() {
	p.w.note(p.name, registry.ActorID{}, "is killed")
	if m, ok := p.client.(Machine); ok {
		m.Kill()
	}
	p.w.rec.Halt(p.name)
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.dead, p.services = true, nil
}

// step moves the process's clock.
func (p *process) step(offset time.Duration) {
	p.w.note(p.name, registry.ActorID{}, "its clock steps: it is now %+v off", offset)
	p.wall.SetOffset(offset)
	p.w.rec.Look(p.name)
}

// close closes the client and judges how it ends.
func (p *process) close(within time.Duration) {
	w := p.w
	if !p.ready() {
		return
	}
	w.mu.Lock()
	skip := p.client == nil || p.closed
	p.wants = map[registry.ActorID]bool{}
	w.mu.Unlock()
	if skip {
		return
	}
	w.note(p.name, registry.ActorID{}, "is closed")
	_, in := p.inTime(within, p.client.Close)
	w.mu.Lock()
	dead, serving := p.dead, len(p.services)
	p.closed, p.closedAt = true, w.now()
	w.mu.Unlock()
	switch {
	case dead:
	case !in:
		w.find(conformance.ClientCloses, "Close ends", "Close of %s has not returned after %v", p.name, within)
	case serving > 0:
		w.find(conformance.ClientCloses, "a closed client serves nothing", "Close of %s has returned, and it serves %d actors", p.name, serving)
	}
}

// record returns the actor's record as the registry has it.
func (w *world) record(a registry.ActorID) registry.Placement {
	p, _, _ := w.exact.Lookup(context.Background(), a) // of a store in memory that is open
	return p
}

// server returns who serves the actor.
func (w *world) server(a registry.ActorID) *process {
	w.mu.Lock()
	procs := slices.Clone(w.procs)
	w.mu.Unlock()
	for _, p := range procs {
		if _, yes := p.serves(a); yes {
			return p
		}
	}
	return nil
}

// look reads every clock for what is being served.
func (w *world) look() {
	w.mu.Lock()
	procs := slices.Clone(w.procs)
	w.mu.Unlock()
	for _, p := range procs {
		w.rec.Look(p.name)
	}
}

// await waits until somebody serves the actor. Where nobody does in time, the
// registry shows whether a lease is kept that nobody serves.
func (w *world) await(a registry.ActorID, within time.Duration, what string) *process {
	return w.awaitOne(a, nil, within, what)
}

// underWay notes that a request arrives when d has passed.
func (w *world) underWay(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived = max(w.arrived, w.now()+d)
}

// quietSince returns from when on no request arrives that has been sent by now. One that
// comes late may take the actor once more, for a client that does not know it.
func (w *world) quietSince() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.arrived, w.now())
}

// awaitOne is await of one process, or of any for nil. The time counts from when what
// was sent before has arrived.
func (w *world) awaitOne(a registry.ActorID, want *process, within time.Duration, what string) *process {
	for end := w.quietSince() + within; w.now() <= end; {
		if p := w.server(a); p != nil && (want == nil || p == want) {
			return p
		}
		if w.failed() {
			return nil // by something else, from which this may come
		}
		time.Sleep(w.cfg.TTL / 200)
	}
	w.look()
	rec := w.record(a)
	rule, found := conformance.ClientServes, fmt.Sprintf("%s is not served %v after %s", a.Name, within, what)
	if want != nil {
		found = fmt.Sprintf("%s does not serve %s %v after %s", want.name, a.Name, within, what)
	}
	if keeper := w.renews(rec); keeper != nil && w.server(a) == nil {
		rule = conformance.ClientNoLeak
		found += fmt.Sprintf("; %s keeps its lease, %v token %d, renewed to version %d, and does not serve it", keeper.name, rec.Holder, rec.Token, rec.Version)
	}
	w.find(rule, "it is served within the stated time", "%s", found)
	return nil
}

// renews returns the live process that has renewed the lease of a record, which has
// not lapsed, since it was granted.
func (w *world) renews(rec registry.Placement) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	if rec.Expiry <= w.grants[rec.Actor].Expiry {
		return nil
	}
	for _, p := range w.procs {
		if !p.dead && rec.Holder.ID == p.id && w.cfg.Phase(rec.Expiry, registry.SystemClock().Now()) == registry.Live {
			return p
		}
	}
	return nil
}

// kept judges that the tenure of a service was not lost since. A client may give a lease
// up itself, and claim again at once; not because it could not renew it.
func (w *world) kept(rule conformance.RuleID, p *process, a registry.ActorID, token registry.Token, what string) {
	rec, given := w.record(a), token
	w.mu.Lock()
	for p.released[tenure{a, given}] {
		given++
	}
	w.mu.Unlock()
	if rec.Holder.ID == p.id && rec.Token >= token && rec.Token <= given || !rec.Held() && rec.Token >= token && rec.Token < given {
		return
	}
	w.find(rule, "it keeps its lease", "%s has lost its lease of %s, token %d, %s; the record is now %v token %d", p.name, a.Name, token, what, rec.Holder, rec.Token)
}

// end closes everybody, the dead included, ends what they ask for, and waits until
// it must have ended.
func (w *world) end() {
	w.look()
	w.mu.Lock()
	procs := slices.Clone(w.procs)
	for _, p := range procs {
		p.troubles = nil
	}
	w.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range procs {
		if p.halted != nil {
			p.resume()
		}
		if !p.dead {
			wg.Go(func() { p.close(w.times.Stop) })
		}
	}
	wg.Wait()
	w.mu.Lock()
	for _, p := range procs {
		select {
		case <-p.made:
		default:
			p.dead = true // what never started is not asked to end
		}
	}
	w.mu.Unlock()
	close(w.over)
	for _, p := range procs {
		if p.dead {
			wg.Go(func() { p.close(w.times.Stop) })
		}
	}
	wg.Wait()
	w.errands.Wait()
	time.Sleep(w.times.Stop + w.times.Stop/10)
}

// quiet judges what the closed clients did since.
func (w *world) quiet() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.procs {
		if p.after != "" && !p.dead {
			w.findings = append(w.findings, finding{conformance.ClientCloses, fmt.Sprintf("%s was closed, and %s", p.name, p.after), "a closed client asks for nothing", w.now()})
		}
	}
}
