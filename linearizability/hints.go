package linearizability

import (
	"cmp"
	"math"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// A search over a whole partition is exponential in the worst case and carries
// a bit for every operation through every step. Versions make most of it
// needless: each mutation of a record increases its version by one, so an
// answer that reveals a version says between which two mutations it was given.
//
// For every event, bounds on the version that the record has right after it are
// derived that hold in every linearization. Where no event's bounds straddle
// version v, the events up to v and those beyond it can be judged apart:
//
//   - In every linearization all of the former come first, since the version
//     never decreases. So when one exists, each half has one too.
//   - The state between the halves is the same in every linearization: some
//     answer revealed the record at v, and the registrations follow from the
//     membership operations before. The first half must end in it, the second
//     starts from it. And no event of the second half returned before one of the
//     first was called. So when each half has a linearization, the two joined are
//     one of the whole.
//
// Cutting therefore never changes a verdict.

// segment is a part of a partition with its own search.
type segment struct {
	from   *state
	events []*event
}

// versions is an inclusive range of versions.
type versions struct{ lo, hi registry.Version }

const anyVersion = registry.Version(math.MaxUint64)

// minSegment keeps segments from being so small that starting a search costs
// more than it saves.
const minSegment = 8

// cut splits a partition into segments of at least that many events, or returns
// it as the only one.
func (p *partition) cut(least int) []segment {
	switch p.kind {
	case ofActor:
		return newVersionCut(p).segments(least)
	case ofNode:
		return quietSegments(p, least)
	}
	return []segment{{p.initial(), p.events}}
}

// revealed returns the record that an event showed, at the version that it has
// right after the event.
func (e *event) revealed() (r registry.Placement, ok bool) {
	switch e.role {
	case rowRead:
		return *e.record, true
	case asked:
	default:
		return r, false
	}
	r = e.op.Result.Record
	switch e.op.Result.Outcome {
	case op.OK:
		switch k := e.op.Call.Kind; {
		case k.Grants():
			return r, true
		case k == op.Lookup, k == op.Watch:
			if !e.op.Result.Found {
				return registry.Placement{Actor: e.op.Call.Actor}, true
			}
			return r, true
		}
	case op.Refused:
		return r, r.Version != 0
	}
	return registry.Placement{}, false
}

// isMemberEvent reports whether the event is a membership operation.
func (e *event) isMemberEvent() bool { return e.role == asked && e.op.Call.Kind.OfNode() }

type claimKey struct {
	node registry.NodeRef
	id   registry.ClaimID
}

// makers returns, for each version, the event that certainly made it: an
// answered renewal or transfer, or an answered claim before whose return no
// other claim with its ClaimID was called that it could repeat.
func makers(events []*event) map[registry.Version]*event {
	first := map[claimKey][2]int64{} // the two earliest calls
	for _, e := range events {
		if e.role != asked || e.op.Call.Kind != op.Claim {
			continue
		}
		k := claimKey{e.op.Call.Node, e.op.Call.ClaimID}
		f, ok := first[k]
		if !ok {
			f = [2]int64{history.Never, history.Never}
		}
		if e.call < f[0] {
			f = [2]int64{e.call, f[0]}
		} else {
			f[1] = min(f[1], e.call)
		}
		first[k] = f
	}
	out := map[registry.Version]*event{}
	for _, e := range events {
		if e.role != asked || e.op.Result.Outcome != op.OK {
			continue
		}
		switch e.op.Call.Kind.Effect() {
		case op.Keeps, op.Passes:
		case op.Begins:
			f := first[claimKey{e.op.Call.Node, e.op.Call.ClaimID}]
			if other := f[1]; f[0] != e.call || other < e.ret {
				continue
			}
		default:
			continue
		}
		out[e.op.Result.Record.Version] = e
	}
	return out
}

// versionCut derives the bounds of one actor's events.
type versionCut struct {
	p       *partition
	content map[registry.Version]registry.Placement
	top     registry.Version // the highest version revealed
	maker   map[registry.Version]*event
	byRet   []mark // of revealing events, by return, with the highest version so far
	byCall  []mark // of revealing events, by call, with the lowest version from there on
	byToken []registry.Placement
	bounds  map[*event]versions
}

type mark struct {
	stamp   int64
	version registry.Version
}

func newVersionCut(p *partition) *versionCut {
	c := &versionCut{
		p:       p,
		content: map[registry.Version]registry.Placement{0: {Actor: p.actors[0]}},
		maker:   makers(p.events),
		bounds:  make(map[*event]versions, len(p.events)),
	}
	for _, e := range p.events {
		r, ok := e.revealed()
		if !ok {
			continue
		}
		c.content[r.Version] = r
		c.top = max(c.top, r.Version)
		before := r.Version
		if c.maker[r.Version] == e {
			before-- // it found the version before its own
		}
		c.byRet = append(c.byRet, mark{e.ret, r.Version})
		c.byCall = append(c.byCall, mark{e.call, before})
	}
	byStamp := func(a, b mark) int { return cmp.Compare(a.stamp, b.stamp) }
	slices.SortFunc(c.byRet, byStamp)
	slices.SortFunc(c.byCall, byStamp)
	for i := 1; i < len(c.byRet); i++ {
		c.byRet[i].version = max(c.byRet[i].version, c.byRet[i-1].version)
	}
	for i := len(c.byCall) - 2; i >= 0; i-- {
		c.byCall[i].version = min(c.byCall[i].version, c.byCall[i+1].version)
	}
	for _, r := range c.content {
		c.byToken = append(c.byToken, r)
	}
	slices.SortFunc(c.byToken, func(a, b registry.Placement) int { return cmp.Compare(a.Version, b.Version) })
	return c
}

// window returns the versions that an event may leave by real time alone: not
// below what was seen before its call, not above what was seen after its return.
func (c *versionCut) window(e *event) versions {
	w := versions{0, anyVersion}
	if n, _ := slices.BinarySearchFunc(c.byRet, e.call, func(m mark, s int64) int { return cmp.Compare(m.stamp, s) }); n > 0 {
		w.lo = c.byRet[n-1].version
	}
	// The first with a stamp above the return.
	if n, _ := slices.BinarySearchFunc(c.byCall, e.ret, func(m mark, s int64) int {
		if m.stamp <= s {
			return -1
		}
		return 1
	}); n < len(c.byCall) {
		w.hi = c.byCall[n].version
	}
	return w
}

// tenure returns the versions at which the record's token may be t, by the
// records seen with lower and with higher tokens: tokens never decrease.
func (c *versionCut) tenure(t registry.Token) versions {
	w := versions{0, anyVersion}
	n, _ := slices.BinarySearchFunc(c.byToken, t, func(r registry.Placement, t registry.Token) int { return cmp.Compare(r.Token, t) })
	if n > 0 {
		w.lo = c.byToken[n-1].Version + 1
	}
	for n < len(c.byToken) && c.byToken[n].Token == t {
		n++
	}
	if n < len(c.byToken) {
		w.hi = c.byToken[n].Version - 1
	}
	return w
}

func (v versions) and(w versions) versions { return versions{max(v.lo, w.lo), min(v.hi, w.hi)} }

// bound gives every event its bounds. Events that cannot have had an effect,
// and say nothing, get none.
func (c *versionCut) bound() {
	var unplaced []*event // mutations whose version is not known
	for _, e := range c.p.events {
		r, ok := e.revealed()
		switch {
		case ok:
			c.bounds[e] = versions{r.Version, r.Version}
			if e.role == asked && e.op.Result.Outcome == op.OK && e.op.Call.Kind == op.Claim && c.maker[r.Version] != e {
				unplaced = append(unplaced, e)
			}
			continue
		case e.isMemberEvent(), e.role != asked:
			c.bounds[e] = c.window(e)
			continue
		}
		w := c.window(e)
		if e.op.Result.Outcome == op.OK { // Validate or Release
			w = w.and(c.tenure(e.op.Call.Token))
		}
		c.bounds[e] = w
		if e.op.Result.Outcome.Ambiguous() || e.op.Result.Outcome == op.OK && e.op.Call.Kind == op.Release {
			unplaced = append(unplaced, e)
		}
	}
	c.place(unplaced)
	for e, b := range c.bounds {
		if b.lo > b.hi { // no linearization exists; the search will say so
			c.bounds[e] = versions{b.hi, b.lo}
		}
	}
}

// place finds out, by evidence, which version each of the mutations made whose
// answer does not say so. Every version up to the highest one seen was made by
// exactly one mutation. So one that certainly was made by another is out of the
// question, a record seen at a version rules out all that could not have left
// it, and a version with only one possible maker was made by that one.
func (c *versionCut) place(unplaced []*event) {
	m := c.matching(unplaced)
	// An answered release that was the only call to release its tenure was no
	// repetition, so it made a version: the only one it could, unless that may be
	// beyond all that were seen.
	for _, e := range c.onlyReleases() {
		if len(m.could[e]) == 1 && c.bounds[e].hi <= c.top {
			for v := range m.could[e] {
				m.assign(e, v)
			}
		}
	}
	work := slices.Clone(m.open)
	for len(work) > 0 {
		v := work[0]
		work = work[1:]
		if m.made[v] || len(m.slots[v]) != 1 {
			continue
		}
		for e := range m.slots[v] {
			work = append(work, m.assign(e, v)...)
		}
	}
	c.confine(m.could)
}

// matching relates the versions whose maker is not known with the mutations
// whose version is not known.
type matching struct {
	c     *versionCut
	open  []registry.Version // without a known maker, ascending
	slots map[registry.Version]map[*event]bool
	could map[*event]map[registry.Version]bool
	made  map[registry.Version]bool // assigned
}

func (c *versionCut) matching(unplaced []*event) *matching {
	m := &matching{
		c:     c,
		slots: map[registry.Version]map[*event]bool{},
		could: map[*event]map[registry.Version]bool{},
		made:  map[registry.Version]bool{},
	}
	if c.top <= registry.Version(len(c.p.events)) { // else there are versions that nobody made
		for v := registry.Version(1); v <= c.top; v++ {
			if c.maker[v] == nil {
				m.open = append(m.open, v)
				m.slots[v] = map[*event]bool{}
			}
		}
	}
	for _, e := range unplaced {
		m.could[e] = map[registry.Version]bool{}
		b := c.bounds[e]
		n, _ := slices.BinarySearch(m.open, b.lo)
		for ; n < len(m.open) && m.open[n] <= b.hi; n++ {
			if v := m.open[n]; c.couldMake(e, v) {
				m.slots[v][e] = true
				m.could[e][v] = true
			}
		}
	}
	return m
}

// assign records that e made v. It returns the versions that e did not make,
// which have one possible maker less.
func (m *matching) assign(e *event, v registry.Version) (freed []registry.Version) {
	m.c.bounds[e] = versions{v, v}
	e.made = true
	m.made[v] = true
	m.c.learn(e, v)
	for w := range m.could[e] {
		delete(m.slots[w], e)
		freed = append(freed, w)
	}
	delete(m.could, e)
	for o := range m.slots[v] {
		delete(m.could[o], v)
	}
	return freed
}

// onlyReleases returns the answered releases that were the only call to release
// their tenure.
func (c *versionCut) onlyReleases() []*event {
	calls := map[registry.Token]int{}
	isRelease := func(e *event) bool {
		return e.role == asked && e.op.Call.Kind == op.Release && e.op.Result.Outcome != op.Refused
	}
	for _, e := range c.p.events {
		if isRelease(e) {
			calls[e.op.Call.Token]++
		}
	}
	var only []*event
	for _, e := range c.p.events {
		if isRelease(e) && e.op.Result.Outcome == op.OK && calls[e.op.Call.Token] == 1 {
			only = append(only, e)
		}
	}
	return only
}

// couldMake reports whether e could have made version v, by what is known of the
// record at v and at its neighbours.
func (c *versionCut) couldMake(e *event, v registry.Version) bool {
	if v <= c.window(e).lo {
		return false // v was reached before e was called
	}
	a := &e.op.Call
	before, after := c.content[v-1], c.tokens(v)
	_, ok := c.content[v-1]
	if ok && e.op.Call.Kind != op.Claim && (before.Holder != a.Node || before.Token != a.Token) {
		return false // no tenure of e's to act on
	}
	made := after // the tokens that e could have left
	switch e.op.Call.Kind.Effect() {
	case op.Keeps, op.Ends:
		made = tokens{a.Token, a.Token}
	case op.Passes:
		made = tokens{a.Token + 1, a.Token + 1}
	case op.Begins:
		if ok {
			made = tokens{before.Token + 1, before.Token + 1}
		}
	}
	if made.hi < after.lo || made.lo > after.hi {
		return false
	}
	if next := c.maker[v+1]; next != nil && next.op.Call.Kind != op.Claim && e.op.Call.Kind == op.Release {
		return false // what was renewed or transferred next was held
	}
	r, ok := c.content[v]
	if !ok {
		return true
	}
	switch e.op.Call.Kind.Effect() {
	case op.Begins:
		return r.Holder == a.Node && r.ClaimID == a.ClaimID
	case op.Keeps:
		return r.Holder == a.Node
	case op.Ends:
		return !r.Held()
	default: // it passes to another
		return r.Holder == a.To && r.ClaimID.IsZero()
	}
}

// tokens is an inclusive range of tokens.
type tokens struct{ lo, hi registry.Token }

// tokens returns the tokens that the record can have at v: each version leaves
// the token or adds one, and whoever made the next version tells which.
func (c *versionCut) tokens(v registry.Version) tokens {
	if r, ok := c.content[v]; ok {
		return tokens{r.Token, r.Token}
	}
	out := tokens{0, math.MaxUint64}
	if r, ok := c.content[v-1]; ok {
		out = tokens{r.Token, r.Token + 1}
	}
	r, ok := c.content[v+1]
	if !ok {
		return out
	}
	from := tokens{max(r.Token, 1) - 1, r.Token}
	if m := c.maker[v+1]; m != nil {
		from.lo = r.Token
		if m.op.Call.Kind.Effect() != op.Keeps {
			from.lo = max(r.Token, 1) - 1
		}
		from.hi = from.lo
	}
	return tokens{max(out.lo, from.lo), min(out.hi, from.hi)}
}

// learn adds the record that a release left, where the one before it is known.
func (c *versionCut) learn(e *event, v registry.Version) {
	if before, ok := c.content[v-1]; ok && e.op.Call.Kind == op.Release {
		if _, ok := c.content[v]; !ok {
			c.content[v] = reference.ReleaseEffect(before)
		}
	}
}

// confine bounds the ambiguous operations that are still open: to the versions
// that they could have made, or beyond all that were seen. One that can have
// made none has had no effect and is left out.
func (c *versionCut) confine(could map[*event]map[registry.Version]bool) {
	for e, vs := range could {
		if !e.op.Result.Outcome.Ambiguous() {
			continue
		}
		b := versions{anyVersion, 0}
		for v := range vs {
			b = versions{min(b.lo, v), max(b.hi, v)}
		}
		if c.bounds[e].hi > c.top {
			b = versions{min(b.lo, c.top+1), anyVersion}
		}
		if b.lo > b.hi {
			delete(c.bounds, e)
			continue
		}
		c.bounds[e] = b
	}
}

// segments cuts the partition wherever that is exact.
func (c *versionCut) segments(least int) []segment {
	c.bound()
	events := make([]*event, 0, len(c.bounds))
	for _, e := range c.p.events {
		if _, ok := c.bounds[e]; ok {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b *event) int { return cmp.Compare(c.bounds[a].lo, c.bounds[b].lo) })
	firstRet := make([]int64, len(events)+1) // earliest return from here on
	firstRet[len(events)] = history.Never
	for i := len(events) - 1; i >= 0; i-- {
		firstRet[i] = min(firstRet[i+1], events[i].ret)
	}
	var (
		out      []segment
		from     = c.p.initial()
		start    int
		highest  registry.Version
		lastCall int64
		standed  = newStandings(len(c.p.nodes))
	)
	for i, e := range events {
		if i-start >= least && highest < c.bounds[e].lo && firstRet[i] >= lastCall {
			if target := c.stateAt(highest, standed); target != nil {
				out = append(out, closed(from, events[start:i], target))
				from, start = target, i
			}
		}
		highest = max(highest, c.bounds[e].hi)
		lastCall = max(lastCall, e.call)
		standed.add(e)
	}
	return append(out, segment{from, events[start:]})
}

// closed is a segment that must end in the given state.
func closed(from *state, events []*event, target *state) segment {
	mark := &event{role: finalMark, target: target, call: history.Never - 1, ret: history.Never - 1}
	return segment{from, append(slices.Clip(events), mark)}
}

// stateAt returns the state in which the record has version v, nil if some part
// of it is not known.
func (c *versionCut) stateAt(v registry.Version, s *standings) *state {
	r, ok := c.content[v]
	if !ok || s.unclear {
		return nil
	}
	rec := known(r)
	if !r.Held() {
		rec.last = c.holderOf(r.Token)
	}
	return newState([]record{rec}, slices.Clone(s.nodes))
}

// holderOf returns who held the tenure of token t, zero when no answer shows it.
func (c *versionCut) holderOf(t registry.Token) registry.NodeRef {
	n, _ := slices.BinarySearchFunc(c.byToken, t, func(r registry.Placement, t registry.Token) int { return cmp.Compare(r.Token, t) })
	for ; n < len(c.byToken) && c.byToken[n].Token == t; n++ {
		if c.byToken[n].Held() {
			return c.byToken[n].Holder
		}
	}
	return registry.NodeRef{}
}

// standings follows what answered membership operations, taken in any order,
// add up to: the highest epoch registered, and for it left over failed over
// active, because an incarnation that left cannot be marked failed any more.
type standings struct {
	nodes   []member
	unclear bool // an ambiguous operation may have changed something
}

func newStandings(n int) *standings { return &standings{nodes: make([]member, n)} }

func (s *standings) add(e *event) {
	if !e.isMemberEvent() {
		return
	}
	if e.optional() {
		s.unclear = true
		return
	}
	n := registry.Node{Ref: e.op.Call.Node}
	switch e.op.Call.Kind {
	case op.RegisterNode:
		n = standing(e.op.Result.Node)
		n.Status = registry.NodeActive
	case op.MarkFailed:
		n.Status = registry.NodeFailed
	case op.DeregisterNode:
		n.Status = registry.NodeLeft
	}
	old := s.nodes[e.node].Member
	if n.Ref.Epoch == old.Ref.Epoch { // only the registration tells the instance
		if n.Info.Instance.IsZero() {
			n.Info = old.Info
		}
		n.Status = max(n.Status, old.Status)
	}
	if n.Ref.Epoch >= old.Ref.Epoch {
		s.nodes[e.node] = member{Member: n}
	}
}
