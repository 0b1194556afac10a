package linearizability

import (
	"container/heap"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Stream checks a history while it grows. Its memory is that of the actors and
// nodes, of what is in flight and of what happened since their records were last
// certain; it does not grow with the history. A Stream is for one goroutine.
//
// The method is this. Each actor and each node is replayed (see replay.go), and forgets its past where
// that is exact (see certain). What a replay cannot explain is searched, from where
// the record was last certain up to the answer that does not fit, with calls that
// had not returned by then as pending: when that has no order, the history has none,
// and Illegal is as final as that of [Check]. A Stream convicts at the first such
// answer. It may be undecided where Check decides: a part that is never certain for
// maxWindow operations, or that a search does not decide, is given up and told.
//
// It does not judge whether listings are complete, only each of their rows.
type Stream struct {
	cfg      registry.Config
	m        *rules
	actors   map[registry.ActorID]*streamed
	nodes    map[registry.NodeID]*streamedNode
	due      dues // the returns to come
	last     int64
	one      history.History // the operation whose answer is judged by itself
	scan     scan
	result   Result
	evidence history.History
}

// maxWindow bounds the operations that a stream keeps of one actor or node.
const maxWindow = 4096

// streamed is an actor or a node of a stream: its replay, and what happened since
// its state was last certain.
type streamed struct {
	partition
	replay  replay
	from    *state             // the state that was certain
	window  []event            // what was not over by then, and what was called since, by call
	next    int                // of the window, the first call not gone through
	holder  registry.Placement // the last one told that was held
	single  bool               // all that happened since happened one after the other
	given   bool               // given up
	timed   bool               // it knows last-seen times
	member  registration
	lastRet int64 // the latest return of any operation
}

// streamedNode is a node: its own part, who may claim by it, and the actors that
// depend on that.
type streamedNode struct {
	own      *streamed
	standing *streamed
	parts    []*streamed
}

// NewStream returns a stream of a history that begins with an empty cluster of the
// configuration, which keeps the contract itself: there are none in a dialect.
func NewStream(cfg registry.Config) *Stream {
	s := &Stream{
		cfg: cfg, m: newRules(cfg, dialect.Dialect{}), actors: map[registry.ActorID]*streamed{}, nodes: map[registry.NodeID]*streamedNode{},
		one: history.History{Config: cfg}, result: Result{Verdict: OK},
	}
	s.scan = scan{cfg: cfg, h: &s.one, d: func() describer { return newDescriber(&s.one) }, rules: s.m}
	return s
}

// Add adds the next operation, in the order of calls: with its result, or as
// pending. It reports whether the verdict is still open: after a conviction, or out
// of order, nothing more is taken.
func (s *Stream) Add(o *history.Op) bool {
	switch {
	case s.result.Verdict == Illegal:
		return false
	case o.Invoked < s.last:
		s.undecided(fmt.Sprintf("operation %d was called before the one that the stream has last", o.ID))
		return false
	case !history.Recorded(o.Call.Kind):
		s.undecided(fmt.Sprintf("operation %d is a %v, which histories do not have", o.ID, o.Call.Kind))
		return false
	}
	s.last = o.Invoked
	if s.returned(o.Invoked); s.result.Verdict == Illegal {
		return false
	}
	s.result.Stats.Ops++
	if s.answer(o); s.result.Verdict == Illegal {
		return false
	}
	if speaks(o) {
		s.observe(o)
	}
	return s.result.Verdict != Illegal
}

// End is called when the history ends. Result is then that of the whole.
func (s *Stream) End() {
	if s.result.Verdict != Illegal {
		s.returned(history.Never)
	}
}

// Result returns the verdict of what was added so far, and for Illegal the history
// to explain it by: the operations since the record of the violation was last certain.
func (s *Stream) Result() (history.History, Result) {
	s.result.Stats.Partitions = len(s.actors) + len(s.nodes)
	return s.evidence, s.result
}

func (s *Stream) undecided(why string) {
	if s.result.Verdict == OK {
		s.result.Verdict, s.result.Reason = Unknown, why
	}
}

// answer judges the answer by itself.
func (s *Stream) answer(o *history.Op) {
	s.one.Ops = append(s.one.Ops[:0], *o)
	s.one.Ops[0].ID = 0
	if s.scan.answer(&s.one.Ops[0]); len(s.scan.out) > 0 {
		s.result.Verdict, s.result.Violations, s.evidence = Illegal, s.scan.out, s.one
	}
}

// observe gives the operation to the parts that it concerns.
func (s *Stream) observe(o *history.Op) {
	kept := *o // the caller's stays the caller's
	o = &kept
	observeOp(o, func(seen observation) bool {
		s.take(&seen)
		return true
	})
	if o.Call.Kind.Lists() && o.Result.Outcome == op.OK {
		for _, row := range observeRows(o) {
			s.take(&row)
		}
	}
}

func (s *Stream) take(seen *observation) {
	if seen.actor != nil {
		p := s.actor(*seen.actor)
		if p.given {
			return
		}
		e := seen.event
		e.node = -1
		if seen.standOf != nil {
			e.node = s.depends(p, *seen.standOf)
		}
		s.call(p, e)
		return
	}
	n := s.node(*seen.standOf)
	e := seen.event
	e.timed = true
	s.call(n.own, e)
	if !seen.changes {
		return
	}
	for _, p := range append([]*streamed{n.standing}, n.parts...) {
		e := seen.event
		e.node = slices.Index(p.partition.nodes, *seen.standOf)
		s.call(p, e)
	}
}

func (s *Stream) actor(id registry.ActorID) *streamed {
	p := s.actors[id]
	if p == nil {
		p = s.part(partition{kind: ofActor, subject: "actor " + id.String(), actors: []registry.ActorID{id}})
		s.actors[id] = p
	}
	return p
}

func (s *Stream) node(id registry.NodeID) *streamedNode {
	n := s.nodes[id]
	if n == nil {
		part := partition{kind: ofNode, subject: "node " + string(id), nodes: []registry.NodeID{id}}
		n = &streamedNode{own: s.part(part), standing: s.part(part)}
		n.own.timed = true
		s.nodes[id] = n
	}
	return n
}

func (s *Stream) part(p partition) *streamed {
	from := p.initial()
	return &streamed{partition: p, from: from, replay: replay{m: s.m, state: from}, single: true, member: registration{valid: true}, lastRet: -1}
}

// depends makes a part depend on the standing of a node, and returns its index.
func (s *Stream) depends(p *streamed, id registry.NodeID) int {
	if i := slices.Index(p.partition.nodes, id); i >= 0 {
		return i
	}
	n := s.node(id)
	p.partition.nodes = append(p.partition.nodes, id)
	n.parts = append(n.parts, p)
	i := len(p.partition.nodes) - 1
	if s.through(n.standing, s.last); n.standing.given {
		s.giveUp(p, p.subject+": depends on "+n.standing.subject)
		return i
	}
	known := n.standing.from.nodes[0]
	grown := func(st *state) *state { return newState(st.recs, append(slices.Clone(st.nodes), known)) }
	p.from, p.replay.state, p.replay.choices = grown(p.from), grown(p.replay.state), nil
	for _, e := range n.standing.window { // what happened to the node and is not certain yet
		e.node = i
		s.call(p, e)
	}
	return i
}

// call lets an operation of the part be under way.
func (s *Stream) call(p *streamed, e event) {
	if p.given {
		return
	}
	s.through(p, e.call)
	if e.call <= p.lastRet || e.ambiguous() {
		p.single = false
	}
	p.lastRet = max(p.lastRet, e.ret)
	p.member.add(&e)
	i := len(p.window)
	for i > p.next && p.window[i-1].call > e.call {
		i--
	}
	p.window = slices.Insert(p.window, i, e)
	if len(p.window) > maxWindow {
		s.giveUp(p, fmt.Sprintf("%s: not certain for %d operations", p.subject, maxWindow))
		return
	}
	if e.ret != history.Never {
		heap.Push(&s.due, due{e.ret, p})
	}
}

func (s *Stream) giveUp(p *streamed, why string) {
	p.given, p.window, p.replay = true, nil, replay{}
	s.undecided(why)
}

// returned lets everything go on that returned before the stamp.
func (s *Stream) returned(end int64) {
	for len(s.due) > 0 && s.due[0].ret < end && s.result.Verdict != Illegal {
		d := heap.Pop(&s.due).(due)
		s.through(d.part, d.ret+1)
	}
}

// through replays the part up to the stamp.
func (s *Stream) through(p *streamed, end int64) {
	if p.given || s.result.Verdict == Illegal || p.next == len(p.window) && (len(p.replay.flying) == 0 || p.replay.flying[0].ret >= end) {
		return
	}
	p.replay.steps, p.replay.limit = 0, slack*len(p.window)+1000
	if !p.replay.sweep(p.next, len(p.window), func(i int) event { return p.window[i] }, end) {
		s.judge(p, end)
		return
	}
	p.next = len(p.window)
	p.forget(end)
}

// judge searches what the replay could not explain.
func (s *Stream) judge(p *streamed, end int64) {
	if len(p.window) > maxWindow/8 {
		s.giveUp(p, tooMuch(&p.partition, len(p.window), 0))
		return
	}
	// What had not returned by then is pending: what it will answer may rest on
	// what is yet to be called.
	evidence := history.History{Config: s.cfg, Ops: make([]history.Op, 0, len(p.window))}
	part := p.partition
	for i := range p.window {
		e := p.window[i]
		o := *e.op
		o.ID = len(evidence.Ops)
		if e.ret >= end {
			if !e.writes() {
				continue
			}
			o.Result, o.Returned = op.Result{Outcome: op.Pending}, history.Never
			e.ret = history.Never
		}
		evidence.Ops = append(evidence.Ops, o)
		e.op = &evidence.Ops[o.ID]
		part.events = append(part.events, &e)
	}
	var stop atomic.Bool
	f, why := s.m.judge(&part, []segment{{p.from, part.events}}, &stop)
	switch {
	case f != nil:
		s.result.Verdict, s.evidence = Illegal, evidence
		s.result.Violations = []Violation{s.m.explain(&evidence, f)}
	case why != "":
		s.giveUp(p, why)
	default:
		s.giveUp(p, p.subject+": its order is one that a replay does not find")
	}
}

// forget makes the state the certain one and leaves behind what came before it,
// where that is exact. There are two cases.
//
// Everything since the last certain state happened one after the other and was
// answered: then there is one order, and the replay has found it.
//
// Or the state is of an actor's record, at a version that an answer told, and
// every operation is known to have taken effect before the next version was made
// or after. Before: what has returned and tells that version or an earlier one; what
// has returned and does not tell, if it returned before any of those was called that
// make a later one, and, if it may have made one itself, before the call of one that
// told the version; answered membership operations add up to the same in any order. After: what is under way
// and tells a later version, and what will be called. What may still apply whenever it
// likes stays ahead, even if it did before: that allows more. In every order the former come first, and the
// record between the two is the one that was told. So whatever the future holds, the
// whole has an order exactly if the part behind has one and the part ahead, from there.
func (p *streamed) forget(end int64) {
	r := &p.replay
	alone := p.single && len(r.flying) == 0 && len(r.open) == 0 && len(r.choices) == 0
	if !alone && !p.told(end) && !p.quiet() {
		return
	}
	p.from = r.state
	ahead := slices.DeleteFunc(p.window, func(e event) bool { return !p.ahead(&e) })
	if p.window = ahead; cap(ahead) > 64 && len(ahead) < 16 {
		p.window = slices.Clone(ahead)
	}
	p.next, r.choices, p.single = len(ahead), nil, len(ahead) == 0
}

// ahead reports whether the event may take effect after the state that is certain.
func (p *streamed) ahead(e *event) bool {
	if e.ambiguous() && e.ret == history.Never { // whether it did before, nobody knows
		return e.op.Call.Kind == op.Claim || e.isMemberEvent() || e.op.Call.Token >= p.from.recs[0].Token
	}
	for i := range p.replay.flying {
		if f := &p.replay.flying[i]; f.op == e.op && f.role == e.role && f.record == e.record {
			return !f.placed
		}
	}
	return false
}

// quiet reports whether nothing is under way and the node's registration certain,
// as cuts of a node's partition have it.
func (p *streamed) quiet() bool {
	r := &p.replay
	if p.kind != ofNode || len(r.flying) > 0 || len(r.open) > 0 || !p.member.valid {
		return false
	}
	known := member{Member: standing(p.member.node)}
	if p.timed {
		known = member{Member: p.member.node}.seenAt(at(p.member.node.LastSeen))
	}
	return r.state.nodes[0] == known
}

// told reports whether the actor's record is certain by what answers told.
func (p *streamed) told(end int64) bool {
	if p.kind != ofActor {
		return false
	}
	r := &p.replay
	have := r.state.recs[0]
	calls := int64(history.Never) // the first call of what makes a later version
	for i := range r.flying {
		f := &r.flying[i]
		rec, ok := f.revealed()
		switch {
		case !ok, f.placed && rec.Version > have.Version, !f.placed && rec.Version < have.Version:
			return false
		case f.placed || !f.writes():
		case rec.Version == have.Version:
			return false
		default:
			calls = min(calls, f.call)
		}
	}
	seen := int64(-1) // the last call of what told the record
	for i := range p.window {
		if e := &p.window[i]; e.ret < end {
			if rec, ok := e.revealed(); ok && rec == have.Record {
				seen = max(seen, e.call)
			}
		}
	}
	for i := range p.window {
		e := &p.window[i]
		rec, ok := e.revealed()
		switch {
		case ok && e.ret < end:
			if rec.Held() && rec.Version >= p.holder.Version {
				p.holder = rec
			}
		case ok, e.ambiguous() && e.ret == history.Never && !e.isMemberEvent():
		case e.isMemberEvent() && e.ambiguous(), e.ret >= calls, e.writes() && !e.isMemberEvent() && e.ret >= seen:
			return false
		}
	}
	if seen < 0 || have.Expiry != have.latest {
		return false
	}
	if have.last = (registry.NodeRef{}); !have.Held() && p.holder.Token == have.Token {
		have.last = p.holder.Holder // who held a tenure follows from its token
	}
	r.state = newState([]record{have}, r.state.nodes)
	return true
}

// due is a return that is to come.
type due struct {
	ret  int64
	part *streamed
}

type dues []due

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].ret < d[j].ret }
func (d dues) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dues) Push(x any)        { *d = append(*d, x.(due)) }
func (d *dues) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}
