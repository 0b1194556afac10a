package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/linearizability"
)

// scene is what the operations of a schedule are about.
type scene struct {
	actor registry.ActorID
	refs  [3]registry.NodeRef
	lease registry.Lease // n1's, or one that n1 only believes in
}

// play is one schedule being executed. Its players take turns: one goroutine
// at a time runs, from one stop to the next, and the controller decides at each
// stop who goes on. So the history depends on the choices alone.
type play struct {
	t        *trial
	s        situation
	scene    scene
	cfg      registry.Config
	cluster  Cluster
	free     func() // of the cluster
	recorder *linearizability.Recorder
	time     *registry.ManualClock
	clocks   [3]*registry.SkewedClock

	turns   []*turn
	running atomic.Pointer[turn] // nil while nothing is scheduled
	stopped chan string          // the running player's next stop; "" is its return
	freed   chan struct{}        // closed when the schedule is given up: everybody runs on

	path  []decision
	steps []string // the schedule's text, a line each
}

// turn is one player's part.
type turn struct {
	name   string // of its handle: A, B, C
	kind   string
	what   string
	do     func()
	resume chan struct{}
	stops  int
	begun  bool
	ended  bool
}

// stagehand is the client that prepares a schedule and looks at the end.
const stagehand = "setup"

// newPlay brings a new cluster into the situation's start.
func (t *trial) newPlay(s situation) *play {
	p := &play{
		t: t, s: s, cfg: t.cfg,
		recorder: linearizability.NewRecorder(t.cfg), time: registry.NewManualClock(epoch0),
		stopped: make(chan string), freed: make(chan struct{}),
	}
	p.recorder.SetMeta("backend", t.judge.backend.Name())
	p.recorder.SetMeta("section", t.section)
	p.recorder.SetMeta("case", t.name)
	p.recorder.SetMeta("situation", s.String())
	p.cluster, p.free = t.newCluster(p.cfg)
	for n := range p.clocks {
		var offset time.Duration
		if s.start.skewed {
			offset = p.cfg.MaxClockSkew
			if n == 0 {
				offset = -offset
			}
		}
		p.clocks[n] = registry.NewSkewedClock(p.time, offset)
	}
	p.prepare()
	for i, name := range s.cast {
		p.turns = append(p.turns, p.turn(string(rune('A'+i)), name))
	}
	return p
}

// prepare registers the nodes, and lets n1 claim and release as the start wants.
func (p *play) prepare() {
	p.scene.actor = actorID(0)
	var handles [3]registry.Handle
	for n := range p.scene.refs {
		id := registry.NodeID(fmt.Sprintf("n%d", n+1))
		handles[n] = p.open(stagehand, n)
		p.scene.refs[n] = p.must(handles[n], registerNode(id, registry.NodeInfo{}, registry.IfAbsent)).node.Ref
	}
	p.scene.lease = registry.Lease{Actor: p.scene.actor, Holder: p.scene.refs[0], Token: 1}
	if p.s.start.claimed {
		p.scene.lease = p.must(handles[0], claim(p.scene.actor, p.scene.refs[0], registry.ClaimID{1})).lease()
	}
	if p.s.start.released {
		p.must(handles[0], release(p.scene.lease))
	}
	p.time.Set(p.s.start.now(p.cfg, p.scene.lease.Expiry))
}

func (p *play) open(name string, node int) (h registry.Handle) {
	var err error
	p.t.watch(func() string { return "Cluster.Open" }, func(context.Context) {
		h, err = p.cluster.Open(p.cfg, p.recorder.Clock(name, p.clocks[node]))
	})
	if err != nil {
		p.t.giveUp("Cluster.Open: %v", err)
	}
	return p.recorder.Wrap(name, h)
}

// must makes a call of the preparation, which every registry grants.
func (p *play) must(h registry.Handle, c call) (got answer) {
	p.t.watch(c.String, func(ctx context.Context) { got = c.do(ctx, h) })
	if got.err != nil {
		p.t.giveUp("%v, by which a schedule is prepared: %v", c, got.err)
	}
	return got
}

// turn makes the part of the player of that name.
func (p *play) turn(name, who string) *turn {
	u := &turn{name: name, resume: make(chan struct{})}
	if who == ticking {
		u.kind, u.what = "Tick", "true time moves by 1ns"
		u.do = func() { p.time.Advance(1) }
		return u
	}
	part := players[who]
	made, h := part.call(&p.scene), p.open(name, part.node)
	u.kind, u.what = made.kind, made.String()
	u.do = func() {
		p.t.watch(func() string { return name + ": " + made.String() }, func(ctx context.Context) { made.do(ctx, h) })
	}
	return u
}

// run executes the schedule of these choices; when they end, everybody in turn
// runs to his end.
func (p *play) run(taken []int) {
	p.cluster.(Scheduled).SetYield(p.yield)
	for _, u := range p.turns {
		p.t.async(func() {
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
		p.step(p.turns[before])
	}
	p.running.Store(nil)
}

// decide lists who can go on, first who just did.
func (p *play) decide(before, preemptions int) decision {
	d := decision{preemptions: preemptions, forced: true}
	for i, u := range p.turns {
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

// step lets one player run to its next stop.
func (p *play) step(u *turn) {
	p.running.Store(u)
	u.resume <- struct{}{}
	var point string
	blocked := time.NewTimer(p.t.judge.opts.callTimeout)
	defer blocked.Stop()
	select {
	case point = <-p.stopped:
	case <-blocked.C:
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
		p.t.schedules.Points[u.kind+": "+point]++
	}
	p.steps = append(p.steps, fmt.Sprintf("%s\t%s\t%s", u.name, from, to))
}

// release gives a schedule up in which the running player does not come to a
// stop. If it waited for a lock that another one holds at its yield point,
// everybody ends now; if not, the call's watchdog has the word.
func (p *play) release(u *turn) {
	close(p.freed)
	left := 0
	for _, other := range p.turns {
		if other.begun && !other.ended || other == u {
			left++
		}
	}
	for left > 0 {
		if point := <-p.stopped; point == "" {
			left--
		}
	}
	p.t.giveUp("%s: %s came to no stop within %v while the others stood at their yield points:\n%s"+
		"a yield point must be where no lock is held that another operation waits for",
		u.name, u.what, p.t.judge.opts.callTimeout, p.text())
}

// yield is what the backend calls. Whoever calls it is the running player: the
// others stand still, and while nothing is scheduled nobody is stopped.
func (p *play) yield(point string) {
	u := p.running.Load()
	if u == nil || u.stops >= maxStops {
		return
	}
	select {
	case <-p.freed:
		return
	default:
	}
	p.stop(point)
	select {
	case <-u.resume:
	case <-p.freed:
	}
}

// stop tells the controller that the running player has come to a stop.
func (p *play) stop(point string) { p.stopped <- point }

// end reads what has become of it all and returns the history.
func (p *play) end() linearizability.History {
	h := p.open(stagehand, 2)
	for _, c := range []call{lookup(p.scene.actor), getNode(p.scene.refs[1].ID)} {
		p.t.watch(c.String, func(ctx context.Context) { c.do(ctx, h) })
	}
	p.free()
	return p.recorder.History()
}

// text lists the schedule: in each line one operation runs alone.
func (p *play) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "schedule: %d operations from %q, in each line one runs alone (names as executed, before the table was made smaller)\n", len(p.turns), p.s.start.name)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, s := range p.steps {
		fmt.Fprintf(w, "%d\t%s\n", i+1, s)
	}
	_ = w.Flush()
	return b.String()
}
