//go:build fdb && fdbsim

package fdbimpl

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbsim"
	"github.com/kelpie-registry/registry/internal/ticks"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/op"
)

// A behaviour is one schedule as ClaimTxnTrace.tla reads it: what the cluster did
// with each request, and what the client did next, in TLA+.
type behaviour struct {
	schedule string   // for people
	start    string   // the store before it
	events   []string // in order
}

// observer writes down the behaviour of a world while its requests are resolved.
// Only one client runs between two resolutions, the one whose request was
// resolved; so what is new after a resolution is that client's doing.
type observer struct {
	w     *world
	tla   tlaWriter
	out   behaviour
	seen  map[uint64]bool     // requests, by ID
	calls map[string]*oneCall // client to its current call
	byOp  map[int64]*oneCall  // of the history, by the stamp of their invocation
	sent  map[uint64]commitID // commits and fences, by the ID of their request
	marks map[mark]bool       // of attempts
	count int                 // calls with an event
}

// oneCall is a call under way.
type oneCall struct {
	number int // in the trace, from 1; 0 before its first event
	node   string
	q      string
	sent   int    // commits and fences
	answer string // of a call that no recorder sees
	over   bool
}

type commitID struct {
	call *oneCall
	n    int
}

// observe begins to write down what happens in w from now on.
func observe(w *world) *observer {
	o := &observer{
		w: w, tla: newTLAWriter(w), seen: map[uint64]bool{}, calls: map[string]*oneCall{},
		byOp: map[int64]*oneCall{}, sent: map[uint64]commitID{}, marks: map[mark]bool{},
	}
	o.out.start = o.tla.store()
	for _, h := range w.rec.History().Ops {
		o.byOp[h.Invoked] = nil // before the trace
	}
	return o
}

func (o *observer) event(do string, call *oneCall, fields string, args ...any) {
	o.out.events = append(o.out.events, fmt.Sprintf("[do |-> %q, call |-> %d%s]", do, call.number, fmt.Sprintf(fields, args...)))
}

// current is the call of the client whose request is about to be resolved.
func (o *observer) current(r *fdbsim.Request) *oneCall { return o.calls[o.w.owner[r.Txn]] }

// resolved notes that a request of a call was resolved, and what its client did then.
func (o *observer) resolved(r *fdbsim.Request, v fdbsim.Verdict, late bool, call *oneCall) {
	pending := o.w.e.stepper.Quiesce()
	switch {
	case r.Kind == fdbsim.KindCommit:
		o.processed(o.sent[r.ID], v, late)
	case r.Kind == fdbsim.KindReadVersion && v == fdbsim.Deliver:
		o.reads(call)
	}
	if late {
		return // its client was told long ago
	}
	over := o.returned(call)
	for _, next := range pending {
		switch {
		case o.seen[next.ID] || over:
		case next.Kind == fdbsim.KindCommit:
			o.sends(call, next)
		case next.Kind == fdbsim.KindReadVersion && isRead(r) && v == fdbsim.Deliver:
			o.event("again", call, "") // the evidence was read, and ended the doubt
		}
	}
	o.invoked(o.w.owner[r.Txn])
}

// invoked takes in the calls that a client began, and the requests that it sent.
func (o *observer) invoked(client string) {
	for _, h := range o.w.rec.History().Ops {
		if _, known := o.byOp[h.Invoked]; !known {
			c := &oneCall{node: h.Client, q: o.tla.request(h.Call)}
			o.byOp[h.Invoked], o.calls[client] = c, c
		}
	}
	for _, r := range o.w.e.stepper.Quiesce() {
		o.seen[r.ID] = true
	}
}

// begin takes in a call that no recorder sees, and finish its answer. The client calls them.
func (o *observer) begin(client, node, q string) { o.calls[client] = &oneCall{node: node, q: q} }

func (o *observer) finish(client, answer string) { o.calls[client].answer = answer }

// reads is a read version, and with it what it reads.
func (o *observer) reads(c *oneCall) {
	if c.number > 0 {
		o.event("reads", c, "")
		return
	}
	o.count++
	c.number = o.count
	o.event("reads", c, ", q |-> %s", c.q)
}

func (o *observer) processed(id commitID, v fdbsim.Verdict, late bool) {
	at := func(do, fields string, args ...any) {
		o.event(do, id.call, ", sent |-> %d"+fields, append([]any{id.n}, args...)...)
	}
	switch v {
	case fdbsim.Deliver:
		at("processed", "")
	case fdbsim.Fail(1020), fdbsim.Fail(1007):
		at("refused", "")
	case fdbsim.CommitUnknown(true):
		at("unknown", ", applied |-> TRUE")
	case fdbsim.CommitUnknown(false):
		at("unknown", ", applied |-> FALSE")
	case fdbsim.TimeOut(0), fdbsim.Fail(1039): // of the second it never arrives
		at("timesout", "")
	case fdbsim.Drop: // it stays on the wire for ever
	default:
		require.Fail(o.w.e.t, "a verdict that has no event", "%+v", v)
	}
}

// sends is a commit that a client sent, or a fence.
func (o *observer) sends(c *oneCall, r *fdbsim.Request) {
	c.sent++
	o.sent[r.ID] = commitID{c, c.sent}
	content := r.CommitContent()
	reads, writes := o.tla.keySet(content.Reads), o.tla.keySet(content.Writes)
	if len(content.Sets) == 0 {
		o.event("fences", c, ", reads |-> %s, writes |-> %s", reads, writes)
		return
	}
	put, k := o.tla.values(content.Sets)
	fresh := k == nil || !o.marks[*k]
	if k != nil {
		o.marks[*k] = true
	}
	o.event("sends", c, ", c |-> %d, reads |-> %s, writes |-> %s, put |-> %s, fresh |-> %s", o.tla.clock(c.node), reads, writes, put, boolean(fresh))
}

// returned notes the answer of a call when it has one.
func (o *observer) returned(c *oneCall) (over bool) {
	answer := c.answer
	for _, h := range o.w.rec.History().Ops {
		if o.byOp[h.Invoked] == c && h.Result.Outcome != op.Pending {
			answer = o.tla.answer(h.Result)
		}
	}
	if answer != "" && !c.over && c.number > 0 { // one that never had a read version did nothing
		o.event("answers", c, ", c |-> %d, answer |-> %s", o.tla.clock(c.node), answer)
	}
	c.over = answer != ""
	return c.over
}

func (o *observer) recovered() {
	o.out.events = append(o.out.events, `[do |-> "recovers"]`)
}

// end compares what the store holds in the end, and returns the behaviour.
func (o *observer) end() (behaviour, string) {
	o.out.schedule = strings.Join(o.w.log, "\n  ")
	return o.out, o.tla.store()
}

// tlaWriter writes keys, values, requests and answers in TLA+.
type tlaWriter struct {
	w      *world
	scale  ticks.Scale
	none   nothing
	names  map[string]string // key to its name in ClaimTxnClient
	claims map[registry.ClaimID]int
}

// nodesOfTraces are the nodes of every module written here, registered or not.
var nodesOfTraces = []string{"a", "b", "c"}

const actorOfTraces = "x"

// instantsOfTraces are those of the scenarios' clocks: what a reading is stamped on is
// one of these, or one of them and a sum of durations.
func instantsOfTraces() []registry.Instant {
	return []registry.Instant{epochStart, at(10e9), at(lapse), at(registry.DefaultTTL + registry.DefaultGrace - 1)}
}

func scaleOfTraces(cfg registry.Config) ticks.Scale {
	durations := []time.Duration{cfg.TTL, cfg.Grace, cfg.MaxClockSkew, cfg.FailureTimeout}
	return ticks.New(cfg.TTL+cfg.Grace+cfg.FailureTimeout+4*cfg.MaxClockSkew, durations, instantsOfTraces())
}

func newTLAWriter(w *world) tlaWriter {
	scale := scaleOfTraces(w.e.cfg)
	t := tlaWriter{w: w, scale: scale, none: newNothing(w.e.cfg, scale), names: map[string]string{}, claims: map[registry.ClaimID]int{{}: 0}}
	k := newKeys(subspace.Sub(w.prefix...))
	add := func(key fdb.Key, kind, name string) { t.names[string(key)] = fmt.Sprintf("<<%q, %q>>", kind, name) }
	add(k.tenure(actorID(actorOfTraces)), "tenure", actorOfTraces)
	add(k.term(actorID(actorOfTraces)), "term", actorOfTraces)
	add(w.stateKey(), "state", actorOfTraces)
	for _, n := range nodesOfTraces {
		add(k.standing(registry.NodeID(n)), "standing", n)
		add(k.seen(registry.NodeID(n)), "seen", n)
	}
	return t
}

func boolean(b bool) string { return strings.ToUpper(fmt.Sprint(b)) }

func (t tlaWriter) clock(node string) int64 { return t.scale.Tick(t.w.clocks[node].Now()) }

func (t tlaWriter) claim(id registry.ClaimID) int {
	if n, ok := t.claims[id]; ok {
		return n
	}
	t.claims[id] = int(id[15]) // the scenarios choose them
	return t.claims[id]
}

// keySet names the keys of ranges. The index by holder, which only listings read, takes
// no part, nor do the floors: nobody purges here, so that nobody writes them.
func (t tlaWriter) keySet(ranges []fdbsim.KeyRange) string {
	k := newKeys(subspace.Sub(t.w.prefix...))
	var names []string
	for _, r := range ranges {
		if k.held.Contains(fdb.Key(r.Begin)) || k.floors.Contains(fdb.Key(r.Begin)) {
			continue
		}
		name := t.names[string(r.Begin)]
		if name == "" || string(r.End) != string(r.Begin)+"\x00" {
			name = fmt.Sprintf("<<\"unknown\", %q>>", fdb.Printable(r.Begin))
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return "{" + strings.Join(names, ", ") + "}"
}

// values writes what keys are set to, and the mark in them, nil when there is none.
func (t tlaWriter) values(sets []fdbsim.KeyValue) (string, *mark) {
	var k *mark
	var pairs []string
	for _, kv := range sets {
		if newKeys(subspace.Sub(t.w.prefix...)).held.Contains(fdb.Key(kv.Key)) {
			continue
		}
		value, of := t.value(t.names[string(kv.Key)], kv.Value)
		if of != nil {
			k = of
		}
		pairs = append(pairs, t.names[string(kv.Key)]+" :> "+value)
	}
	slices.Sort(pairs)
	return "(" + strings.Join(pairs, " @@ ") + ")", k
}

func (t tlaWriter) value(name string, b []byte) (string, *mark) {
	must := func(err error) { require.NoError(t.w.e.t, err, name) }
	switch kind, _, _ := strings.Cut(strings.TrimPrefix(name, `<<"`), `"`); kind {
	case "tenure":
		v, err := decodeTenure(b)
		must(err)
		return t.tenure(v), nil
	case "term":
		v, err := decodeTerm(b)
		must(err)
		return t.term(v), &v.mark
	case "standing":
		v, err := decodeStanding(b)
		must(err)
		return t.standing(v), &v.mark
	case "seen":
		v, err := decodeSeen(b)
		must(err)
		return t.lastSeen(v), &v.mark
	case "state":
		return fmt.Sprint(t.w.leases[string(b)].Token), nil // the application stores who wrote last
	}
	require.Fail(t.w.e.t, "a key that is no registry's", "%s", name)
	return "", nil
}

func (t tlaWriter) tenure(v tenure) string {
	return fmt.Sprintf("[holder |-> %s, token |-> %d, claim |-> %d]", ref(v.holder), v.token, t.claim(v.claimID))
}

func (t tlaWriter) term(v term) string {
	return fmt.Sprintf("[rev |-> %d, mark |-> <<>>, expiry |-> %d]", v.version, t.scale.Tick(v.expiry))
}

func (t tlaWriter) standing(v standing) string {
	return fmt.Sprintf("[rev |-> %d, mark |-> <<>>, epoch |-> %d, status |-> %q, instance |-> 0]", v.rev, v.epoch, v.status)
}

func (t tlaWriter) lastSeen(v seen) string {
	return fmt.Sprintf("[rev |-> %d, mark |-> <<>>, at |-> %d]", v.rev, t.scale.Tick(v.at))
}

func ref(n registry.NodeRef) string { return fmt.Sprintf("[id |-> %q, epoch |-> %d]", n.ID, n.Epoch) }

// nothing is what stands for a record or a registration that is not there. It is
// written out, as is all else: what refers to a definition of an instantiated module is no
// constant to TLC, and is evaluated at every step.
type nothing struct{ record, member string }

func newNothing(cfg registry.Config, scale ticks.Scale) nothing {
	eps := scale.Ticks(cfg.MaxClockSkew)
	return nothing{
		record: fmt.Sprintf(`[holder |-> [id |-> "", epoch |-> 0], token |-> 0, version |-> 0, expiry |-> %d, claim |-> 0]`, -(3*eps + scale.Ticks(cfg.Grace))),
		member: fmt.Sprintf(`[epoch |-> 0, status |-> "none", seen |-> %d, instance |-> 0]`, -(3*eps + scale.Ticks(cfg.FailureTimeout))),
	}
}

// absent is the value of a key that was never written.
func (t tlaWriter) absent(kind string) string {
	eps := t.scale.Ticks(t.w.e.cfg.MaxClockSkew)
	switch kind {
	case "tenure":
		return t.tenure(tenure{})
	case "term":
		return fmt.Sprintf("[rev |-> 0, mark |-> <<>>, expiry |-> %d]", -(3*eps + t.scale.Ticks(t.w.e.cfg.Grace)))
	case "standing":
		return `[rev |-> 0, mark |-> <<>>, epoch |-> 0, status |-> "none", instance |-> 0]`
	case "seen":
		return fmt.Sprintf("[rev |-> 0, mark |-> <<>>, at |-> %d]", -(3*eps + t.scale.Ticks(t.w.e.cfg.FailureTimeout)))
	}
	return "0"
}

// store writes what the database holds.
func (t tlaWriter) store() string {
	var pairs []string
	t.w.must(func() error {
		_, err := t.w.e.db.ReadTransact(func(tr fdb.ReadTransaction) (any, error) {
			for key, name := range t.names {
				b, err := tr.Get(fdb.Key(key)).Get()
				if err != nil {
					return nil, err
				}
				kind, _, _ := strings.Cut(strings.TrimPrefix(name, `<<"`), `"`)
				value := t.absent(kind)
				if b != nil {
					value, _ = t.value(name, b)
				}
				pairs = append(pairs, name+" :> "+value)
			}
			return nil, nil
		})
		return err
	})
	slices.Sort(pairs)
	return strings.Join(slices.Compact(pairs), " @@ ")
}

// request writes what a call asks for.
func (t tlaWriter) request(c op.Call) string {
	node, to, mode := c.Node, c.To, ""
	if node.ID == "" { // of operations on an actor alone
		node.ID = registry.NodeID(nodesOfTraces[0])
	}
	if to.IsZero() {
		to = node
	}
	if c.Kind == op.RegisterNode {
		mode = c.Mode.String()
	}
	return request(c.Kind.String(), node, c.Token, t.claim(c.ClaimID), to, mode)
}

func request(kind string, node registry.NodeRef, token registry.Token, claim int, to registry.NodeRef, mode string) string {
	return fmt.Sprintf("[op |-> %q, node |-> %s, actor |-> %q, claim |-> %d, token |-> %d, to |-> %s, mode |-> %q, instance |-> 0, leases |-> <<>>, now |-> 0]",
		kind, ref(node), actorOfTraces, claim, token, ref(to), mode)
}

// answer writes what a call was answered.
func (t tlaWriter) answer(got op.Result) string {
	record, member := t.none.record, t.none.member
	switch got.Outcome {
	case op.OK:
	case op.Refused:
		return t.none.answer(string(got.Reason))
	case op.Unavailable, op.Cancelled:
		return t.none.answer("nothing")
	case op.Settled:
		return t.none.answer("settled")
	case op.Open:
		return t.none.answer("mayApply")
	default:
		require.Fail(t.w.e.t, "an outcome that no registry on a healthy cluster has", "%s", got.Outcome)
	}
	if r := got.Record; r.Version > 0 {
		record = fmt.Sprintf("[holder |-> %s, token |-> %d, version |-> %d, expiry |-> %d, claim |-> %d]",
			ref(r.Holder), r.Token, r.Version, t.scale.Tick(r.Expiry), t.claim(r.ClaimID))
	}
	if n := got.Node; !n.Ref.IsZero() {
		member = fmt.Sprintf("[epoch |-> %d, status |-> %q, seen |-> %d, instance |-> 0]", n.Ref.Epoch, n.Status, t.scale.Tick(n.LastSeen))
	}
	return answered("", record, member)
}

// outcome writes how an application's own transaction ended, whose commit was sent or not.
func (n nothing) outcome(err error, sent bool) string {
	code := errorCode(err)
	switch {
	case err == nil:
		return n.answer("")
	case code == 0:
		return n.answer(string(op.ReasonOf(err)))
	case !sent:
		return n.answer("nothing")
	case commitFate(code) == settled:
		return n.answer("settled")
	case commitFate(code) == pending:
		return n.answer("mayApply")
	default:
		return n.answer("nothing")
	}
}

// answer is one that carries neither.
func (n nothing) answer(reason string) string { return answered(reason, n.record, n.member) }

func answered(reason, record, member string) string {
	return fmt.Sprintf("[reason |-> %q, record |-> %s, member |-> %s]", reason, record, member)
}

// dictionary numbers texts in the order of their first use, from 1.
type dictionary struct {
	number map[string]int
	texts  []string
}

func (d *dictionary) add(text string) int {
	if n, ok := d.number[text]; ok {
		return n
	}
	if d.number == nil {
		d.number = map[string]int{}
	}
	d.texts = append(d.texts, text)
	d.number[text] = len(d.texts)
	return len(d.texts)
}

// behaviours collects what an exploration did, each behaviour once.
type behaviours struct {
	stores, events dictionary
	traces         [][]int // the number of a store, then those of events
	schedules      []string
	known          map[string]bool
	runs, calls    int
}

func (b *behaviours) add(run behaviour, after string, calls int) {
	b.runs++
	b.calls = max(b.calls, calls)
	line := []int{b.stores.add(run.start)}
	for _, e := range run.events {
		line = append(line, b.events.add(e))
	}
	line = append(line, b.events.add(fmt.Sprintf(`[do |-> "ends", store |-> %d]`, b.stores.add(after))))
	key := fmt.Sprint(line)
	if b.known == nil {
		b.known = map[string]bool{}
	}
	if !b.known[key] {
		b.known[key] = true
		b.traces, b.schedules = append(b.traces, line), append(b.schedules, run.schedule)
	}
}

// steps is the number of states that TLC must find.
func (b *behaviours) steps() (n int) {
	for _, t := range b.traces {
		n += len(t)
	}
	return n
}

// kinds counts the events by what was done.
func (b *behaviours) kinds() map[string]int {
	kinds := map[string]int{}
	for _, t := range b.traces {
		for _, e := range t[1:] {
			do, _, _ := strings.Cut(strings.TrimPrefix(b.events.texts[e-1], `[do |-> "`), `"`)
			kinds[do]++
		}
	}
	return kinds
}

// module is the text of a module that has the behaviours as constants.
func (b *behaviours) module(name string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "---- MODULE %s ----\nEXTENDS ClaimTxnTrace\n", name)
	choice := func(name string, items []string) {
		fmt.Fprintf(&s, "%s(i) ==\n%s\n", name, tlc.Choice(items))
	}
	choice("TheStore", b.stores.texts)
	choice("TheEvent", b.events.texts)
	lines := make([]string, len(b.traces))
	for i, t := range b.traces {
		lines[i] = "<<" + strings.Trim(strings.ReplaceAll(fmt.Sprint(t), " ", ","), "[]") + ">>"
	}
	choice("TheTrace", lines)
	s.WriteString("====\n")
	return s.String()
}

// describe prints a behaviour up to an event that is no step, for people.
func (b *behaviours) describe(trace, at int) string {
	var s strings.Builder
	for n, e := range b.traces[trace-1][1:] {
		mark := " "
		if n+1 == at {
			mark = ">"
		}
		fmt.Fprintf(&s, "%s %s\n", mark, b.events.texts[e-1])
	}
	return fmt.Sprintf("event %d is not a step of ClaimTxn:\n%sschedule:\n  %s", at, s.String(), b.schedules[trace-1])
}

// kindsSorted prints counts in the order of their names.
func kindsSorted(m map[string]int) string {
	var parts []string
	for _, k := range slices.SortedFunc(maps.Keys(m), cmp.Compare[string]) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
