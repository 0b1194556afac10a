package linearizability

import (
	"math"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// span is a set of instants: all from lo to hi, both included.
type span struct{ lo, hi registry.Instant }

func at(i registry.Instant) span { return span{i, i} }

func (s span) contains(i registry.Instant) bool { return s.lo <= i && i <= s.hi }

// record is an actor's record in the model. Its Expiry is not always known: an
// ambiguous operation that took effect does not tell which reading it used.
// Then Record.Expiry is the earliest and latest the latest possible one. The
// set is never too small, so that no right registry can be convicted by it; the
// first answer that reveals the expiry makes it exact.
type record struct {
	reference.Record
	latest registry.Instant
	last   registry.NodeRef // reference.View.Last
	least  reference.Least  // reference.View.Least
}

func (r record) expiry() span { return span{r.Expiry, r.latest} }

func (r record) expiring(s span) record {
	r.Expiry, r.latest = s.lo, s.hi
	return r
}

func known(r reference.Record) record { return record{Record: r, latest: r.Expiry} }

// match returns r with what p reveals, if p is what r holds.
func (m *rules) match(r record, p registry.Placement) (record, bool) {
	if m.dialect == (dialect.Dialect{}) {
		if !r.expiry().contains(p.Expiry) {
			return record{}, false
		}
		got := r.expiring(at(p.Expiry))
		return got, got.Record == p
	}
	if e := reference.Fill(m.dialect, r.Record, p).Expiry; p.Expiry == e { // it was told
		if !r.expiry().contains(e) {
			return record{}, false
		}
		r = r.expiring(at(e))
	}
	v, ok := reference.View{Record: r.Record, Least: r.least}.Told(m.dialect, p)
	r.Record, r.least = v.Record, v.Least
	return r, ok
}

// member is a node's registration in the model, its LastSeen from
// Member.LastSeen to latest.
type member struct {
	reference.Member
	latest registry.Instant
}

func (m member) seen() span { return span{m.LastSeen, m.latest} }

func (m member) seenAt(s span) member {
	m.LastSeen, m.latest = s.lo, s.hi
	return m
}

// match returns m with the time that n reveals, if n is what m holds.
func (m member) match(n registry.Node) (member, bool) {
	if !m.seen().contains(n.LastSeen) {
		return member{}, false
	}
	got := m.seenAt(at(n.LastSeen))
	return got, got.Member == n
}

// standing keeps of a registration what decides who may claim, and which
// registration is a repetition.
func standing(n registry.Node) registry.Node {
	return registry.Node{Ref: n.Ref, Info: registry.NodeInfo{Instance: n.Info.Instance}, Status: n.Status}
}

// boundaries are the distances between a reading c and an expiry (or last-seen
// time) e at which the outcome of a guard may change. Every guard of the
// specification depends on the two through c - e alone, so within one interval
// between neighbouring boundaries one pair answers for all.
type boundaries []time.Duration

func leaseBoundaries(cfg registry.Config, d dialect.Dialect) boundaries {
	b := boundaries{0, cfg.Grace, cfg.Grace + 2*cfg.MaxClockSkew}
	if d.StoreClock {
		b = append(b, cfg.Grace+2*(cfg.MaxClockSkew/2))
	}
	if d.HoldsLonger > 0 && d.HoldsLonger != dialect.Unbounded {
		for _, x := range b {
			b = append(b, x+d.HoldsLonger)
		}
	}
	slices.Sort(b)
	return b
}

func silenceBoundaries(cfg registry.Config) boundaries {
	return boundaries{cfg.FailureTimeout + 2*cfg.MaxClockSkew}
}

// feasible returns the part of e (as its hull) from which holds is true for
// some of the readings, and whether there is any.
func (b boundaries) feasible(e span, clock history.Readings, holds func(e, c registry.Instant) bool) (span, bool) {
	out, found := span{math.MaxInt64, math.MinInt64}, false
	widen := func(lo, hi registry.Instant) {
		lo, hi = max(lo, e.lo), min(hi, e.hi)
		if lo <= hi {
			out, found = span{min(out.lo, lo), max(out.hi, hi)}, true
		}
	}
	for i := range len(b) + 1 {
		lo, hi := registry.Instant(math.MinInt64), registry.Instant(math.MaxInt64)
		if i > 0 {
			lo = registry.Instant(b[i-1])
		}
		if i < len(b) {
			hi = registry.Instant(b[i]) - 1
		}
		if lo > hi {
			continue // grace or skew is 0
		}
		probe := hi
		if i == len(b) {
			probe = lo
		}
		if !holds(0, probe) {
			continue
		}
		// c - e is in lo..hi, so e is in c-hi .. c-lo.
		if clock.Interval {
			widen(sub(clock.Lo, hi), sub(clock.Hi, lo))
		}
		for _, c := range clock.Seen {
			widen(sub(c, hi), sub(c, lo))
		}
	}
	return out, found
}

// sub is a - b, kept within range.
func sub(a, b registry.Instant) registry.Instant {
	d := a - b
	switch {
	case b > 0 && d > a:
		return math.MinInt64
	case b < 0 && d < a:
		return math.MaxInt64
	}
	return d
}

// plus is i + d, kept within range.
func plus(i registry.Instant, d time.Duration) registry.Instant {
	return sub(i, registry.Instant(-d))
}

// each splits readings into parts that can be followed one by one: single
// readings where they are known, the interval where they are not.
func each(r history.Readings) []history.Readings {
	if r.Interval {
		return []history.Readings{r}
	}
	parts := make([]history.Readings, len(r.Seen))
	for i := range r.Seen {
		parts[i] = history.Readings{Seen: r.Seen[i : i+1]}
	}
	return parts
}

func hull(r history.Readings) span {
	if r.Interval {
		return span{r.Lo, r.Hi}
	}
	s := at(r.Seen[0])
	for _, c := range r.Seen {
		s = span{min(s.lo, c), max(s.hi, c)}
	}
	return s
}

// state is one state of the model: the records and registrations of one
// partition, by the partition's numbering. It is immutable.
type state struct {
	recs  []record
	nodes []member
	hash  uint64
}

func newState(recs []record, nodes []member) *state {
	h := uint64(14695981039346656037)
	mix := func(v uint64) { h = (h ^ v) * 1099511628211; h ^= h >> 29 }
	for _, r := range recs {
		mix(uint64(r.Version))
		mix(uint64(r.Token))
		mix(uint64(r.Expiry))
		mix(uint64(r.latest))
	}
	for _, m := range nodes {
		mix(uint64(m.Ref.Epoch)<<8 | uint64(m.Status))
		mix(uint64(m.LastSeen))
		mix(uint64(m.latest))
	}
	return &state{recs, nodes, h}
}

func (s *state) equal(o *state) bool {
	return s == o || s.hash == o.hash && slices.Equal(s.recs, o.recs) && slices.Equal(s.nodes, o.nodes)
}

// reaches reports whether s is the state that the next segment starts from. Who
// released a record is no part of it: that follows from its token.
func (s *state) reaches(o *state) bool {
	return slices.EqualFunc(s.recs, o.recs, func(a, b record) bool {
		a.last, b.last = registry.NodeRef{}, registry.NodeRef{}
		return a == b
	}) && slices.Equal(s.nodes, o.nodes)
}

func (s *state) withRecord(i int, r record) *state {
	if len(s.recs) == 1 {
		return newState([]record{r}, s.nodes)
	}
	recs := append([]record(nil), s.recs...)
	recs[i] = r
	return newState(recs, s.nodes)
}

func (s *state) withNode(i int, m member) *state {
	nodes := append([]member(nil), s.nodes...)
	nodes[i] = m
	return newState(s.recs, nodes)
}

// role is what an operation does in a partition.
type role uint8

const (
	asked     role = iota // the operation as it was asked and answered
	rowRead               // a row of a listing, or the detail of a refusal: the record was this one
	absent                // a record missing in a complete listing: the holder was another one
	nodeRead              // a row of a listing, or the detail of a refusal: the registration was this one
	nodeAway              // a registration missing in a complete listing: the status was another one
	finalMark             // the end of a segment: the state is this one
)

// event is an operation as one partition sees it: the unit that is given a
// place in the order. An operation may be several events, for a listing
// promises each row by itself.
type event struct {
	op        *history.Op
	role      role
	call, ret int64
	rec       int  // index of the actor's record, where the role or kind has one
	node      int  // index of the node's registration, where the role or kind has one
	timed     bool // the partition knows last-seen times
	made      bool // evidence says that the operation did take effect

	record *registry.Placement // rowRead
	member *registry.Node      // nodeRead
	target *state              // finalMark
}

// ambiguous reports whether the event's outcome was not answered.
func (e *event) ambiguous() bool { return e.role == asked && e.op.Result.Outcome.Ambiguous() }

// optional reports whether the event may have had no effect at all.
func (e *event) optional() bool { return e.ambiguous() && !e.made }

// clock returns the readings that the operation may have used: the one that it
// told, or any that it may have seen.
func (e *event) clock() history.Readings {
	if e.op.Result.Now != 0 {
		return history.Seen(e.op.Result.Now)
	}
	return e.op.Clock
}

// rules is the model: the transition function over the reference's guards and
// effects. It decides nothing by itself.
type rules struct {
	cfg     registry.Config
	dialect dialect.Dialect
	lease   boundaries
	silence boundaries
	effort  int      // Options.Effort
	passed  []moment // of a history in a dialect that forgets
}

// rulesOf is the model for a history.
func rulesOf(h *history.History) *rules {
	m := newRules(h.Config, h.Dialect)
	if m.dialect.Forgets {
		m.passed = moments(h)
	}
	return m
}

func newRules(cfg registry.Config, d dialect.Dialect) *rules {
	return &rules{cfg: cfg, dialect: d, lease: leaseBoundaries(cfg, d), silence: silenceBoundaries(cfg)}
}

// step returns the states in which e, taking effect in s, can leave the
// partition: none when e cannot have been answered so in s. An ambiguous
// operation may leave s as it is.
func (m *rules) step(s *state, e *event) []*state {
	switch e.role {
	case rowRead:
		if e.op.Call.Kind.Lists() {
			return m.ifFound(s, e.rec, *e.record)
		}
		return m.ifRecord(s, e.rec, *e.record)
	case absent:
		return s.when(s.recs[e.rec].Holder != e.op.Call.Node || m.dialect.Forgets)
	case nodeRead:
		return s.ifNode(e.node, e.timed, *e.member)
	case nodeAway:
		return s.when(!listed(s.nodes[e.node].Member, e.op.Call.Status))
	case finalMark:
		return s.when(s.reaches(e.target))
	}
	switch e.op.Result.Outcome {
	case op.OK:
		return m.succeed(s, e)
	case op.Refused:
		return m.refuse(s, e)
	}
	next := m.apply(s, e)
	if e.optional() {
		next = append(next, s)
	}
	return next
}

// listed reports whether ListNodes with the given filter shows m.
func listed(m registry.Node, filter registry.NodeStatus) bool {
	return !m.Ref.IsZero() && (filter == registry.AnyStatus || m.Status == filter)
}

func (s *state) when(ok bool) []*state {
	if !ok {
		return nil
	}
	return []*state{s}
}

// ifFound is ifRecord of a read: what a store has said to be gone is not found again.
func (m *rules) ifFound(s *state, i int, p registry.Placement) []*state {
	if s.recs[i].least.Gone {
		return nil
	}
	return m.ifRecord(s, i, p)
}

// notFound explains a read that found nothing: there never was a record, or the store
// has forgotten it, and it stays so until somebody is granted the actor.
func (m *rules) notFound(s *state, e *event) []*state {
	r := s.recs[e.rec]
	if r.Version == 0 || r.least.Gone {
		return s.when(true)
	}
	if _, ok := m.expiries(s, e, e.clock(), forgotten); !ok {
		return nil
	}
	r.least.Gone = true
	return []*state{s.withRecord(e.rec, r)}
}

func (m *rules) ifRecord(s *state, i int, p registry.Placement) []*state {
	old := s.recs[i]
	r, ok := m.match(old, p)
	switch {
	case !ok:
		return nil
	case r == old:
		return []*state{s}
	}
	return []*state{s.withRecord(i, r)}
}

func (s *state) ifNode(i int, timed bool, n registry.Node) []*state {
	old := s.nodes[i]
	if !timed {
		return s.when(old.Member == standing(n))
	}
	m, ok := old.match(n)
	switch {
	case !ok:
		return nil
	case m == old:
		return []*state{s}
	}
	return []*state{s.withNode(i, m)}
}

// view is what the event's operation reads in s, with one of the record's
// possible expiries, by the clock that it reads itself.
func (s *state) view(e *event, expiry registry.Instant) (v reference.View) {
	v.Record = s.recs[e.rec].Record
	v.Record.Expiry, v.Last, v.Least = expiry, s.recs[e.rec].last, s.recs[e.rec].least
	if e.node >= 0 && e.node < len(s.nodes) {
		v.Member = s.nodes[e.node].Member
	}
	return v
}

// decide evaluates the guards of a record's operation with an expiry and a reading.
func (m *rules) decide(s *state, e *event, expiry, c registry.Instant) reference.Decision {
	v := s.view(e, expiry)
	if m.dialect != (dialect.Dialect{}) {
		return reference.Decisions(m.cfg, m.dialect, v, &e.op.Call, c)[0]
	}
	return reference.Decide(m.cfg, v, &e.op.Call, c)
}

// may reports whether want holds of a decision that is right with an expiry and a
// reading. A token that is not known may be the one that it names, or
// the next: no other makes a difference.
func (m *rules) may(s *state, e *event, expiry, c registry.Instant, want func(reference.Decision) bool) bool {
	if m.dialect == (dialect.Dialect{}) {
		return want(m.decide(s, e, expiry, c))
	}
	return m.mayIn(s, e, s.view(e, expiry), c, want)
}

// mayIn is may in a view of a dialect.
func (m *rules) mayIn(s *state, e *event, v reference.View, c registry.Instant, want func(reference.Decision) bool) bool {
	least := s.recs[e.rec].Token
	for _, token := range []registry.Token{least, e.op.Call.Token, e.op.Call.Token + 1} {
		if token != least && !(v.Least.Token && (token > least || m.dialect.NoTokens && token > 0)) {
			continue
		}
		v.Record.Token = token
		if slices.ContainsFunc(reference.Decisions(m.cfg, m.dialect, v, &e.op.Call, c), want) {
			return true
		}
	}
	return false
}

// effect is the record that an operation leaves, for one expiry and reading.
func (m *rules) effect(s *state, e *event, expiry, c registry.Instant) record {
	v := s.view(e, expiry)
	v.Stale = m.goneBy(s, e, expiry)
	v = reference.EffectIn(m.cfg, m.dialect, v, &e.op.Call, c)
	r := record{Record: v.Record, latest: v.Record.Expiry, least: v.Least}
	if !r.Held() {
		r.last = v.Last
	}
	return r
}

// leaves reports whether the effect is the lease that was answered, and returns the
// record that there is then.
func (m *rules) leaves(s *state, e *event, expiry, c registry.Instant) (record, bool) {
	r := m.effect(s, e, expiry, c)
	if m.dialect == (dialect.Dialect{}) {
		return r, r.Record == e.op.Result.Record
	}
	return m.match(r, e.op.Result.Record)
}

// expiries returns the part of the record's possible expiries from which want
// holds of the guard for some reading of clock.
func (m *rules) expiries(s *state, e *event, clock history.Readings, want func(reference.Decision) bool) (span, bool) {
	exp, ok := m.byOwnClock(s, e, clock, want)
	gone := s.recs[e.rec].expiry()
	if !m.goneBy(s, e, gone.lo) {
		return exp, ok
	}
	gone.hi = min(gone.hi, plus(m.latest(e), -m.cfg.Grace)) // all from which it may be gone, and a few more
	stale, also := m.lease.feasible(gone, clock, func(x, c registry.Instant) bool {
		v := s.view(e, x)
		v.Stale = true
		return m.mayIn(s, e, v, c, want)
	})
	switch {
	case !also:
		return exp, ok
	case !ok:
		return stale, also
	}
	return span{min(exp.lo, stale.lo), max(exp.hi, stale.hi)}, true
}

// goneBy reports whether somebody may have forgotten the record before the event, by a
// clock that reads later than its own.
func (m *rules) goneBy(s *state, e *event, expiry registry.Instant) bool {
	return m.dialect.Forgets && reference.GoneBy(m.cfg, m.dialect, s.view(e, expiry).Record, m.latest(e))
}

// byOwnClock is expiries for a store in which nobody forgets by a later reading.
func (m *rules) byOwnClock(s *state, e *event, clock history.Readings, want func(reference.Decision) bool) (span, bool) {
	exp := s.recs[e.rec].expiry()
	if !e.op.Call.Kind.Timed() {
		if !m.dialect.Forgets {
			return exp, m.may(s, e, exp.lo, 0, want)
		}
		if !clock.Interval && len(clock.Seen) == 0 {
			clock = history.AnyReading() // it is the store that has read a clock
		}
	}
	if exp.lo == exp.hi && !clock.Interval {
		for _, c := range clock.Seen {
			if m.may(s, e, exp.lo, c, want) {
				return exp, true
			}
		}
		return exp, false
	}
	return m.lease.feasible(exp, clock, func(x, c registry.Instant) bool { return m.may(s, e, x, c, want) })
}

func granted(d reference.Decision) bool  { return d == reference.Decision{} }
func repeated(d reference.Decision) bool { return d.Repeats }

// forgotten is the decision of a store that has no record any more.
func forgotten(d reference.Decision) bool { return d.Guard == reference.Forgotten }

func (m *rules) succeed(s *state, e *event) []*state {
	o := e.op
	switch o.Call.Kind {
	case op.Lookup, op.Watch:
		if !o.Result.Found {
			return m.notFound(s, e)
		}
		if o.Result.Record.Version == 0 {
			return nil
		}
		return m.ifFound(s, e.rec, o.Result.Record)
	case op.Validate:
		return s.when(m.may(s, e, 0, 0, granted))
	case op.Release:
		if !m.may(s, e, 0, 0, granted) {
			return s.when(m.may(s, e, 0, 0, repeated))
		}
		return []*state{m.released(s, e)}
	}
	if e.op.Call.Kind.Grants() {
		return m.grant(s, e)
	}
	return m.memberSucceed(s, e)
}

// released is the state after a release.
func (m *rules) released(s *state, e *event) *state {
	r := m.effect(s, e, s.recs[e.rec].Expiry, 0)
	r.latest = s.recs[e.rec].latest
	return s.withRecord(e.rec, r)
}

// grant explains an answered lease: as the present one, told again, or as the
// one that the operation made. A lease that was made reveals its reading,
// Expiry - TTL, except by a renewal that left the expiry where it was.
func (m *rules) grant(s *state, e *event) []*state {
	lease := e.op.Result.Record
	r := s.recs[e.rec]
	if e.op.Call.Kind == op.Claim && (lease.Version == r.Version || m.dialect != (dialect.Dialect{})) {
		if got, ok := m.match(r, lease); ok {
			told := s.withRecord(e.rec, got)
			if _, ok = m.expiries(told, e, e.clock(), repeated); ok {
				return told.when(ok)
			}
		}
	}
	if lease.Version != r.Version+1 && m.dialect == (dialect.Dialect{}) {
		return nil
	}
	c := plus(lease.Expiry, -m.cfg.TTL)
	if clock, ok := m.revealed(e.clock(), c); ok {
		// The effect is the lease for one expiry exactly if it is for the
		// lowest one: grants ignore the old expiry, a renewal takes the maximum.
		if exp, ok := m.expiries(s, e, clock, granted); ok {
			if next, ok := m.leaves(s, e, exp.lo, c); ok {
				return []*state{s.withRecord(e.rec, next)}
			}
		}
	}
	if e.op.Call.Kind.Effect() != op.Keeps || !r.expiry().contains(lease.Expiry) {
		return nil
	}
	// The renewal kept the expiry: it read a clock at which TTL ends no later.
	kept := s.withRecord(e.rec, r.expiring(at(lease.Expiry)))
	for _, clock := range each(e.clock()) {
		c := min(hull(clock).hi, plus(lease.Expiry, -m.cfg.TTL))
		if !clock.Contains(c) {
			continue
		}
		if _, ok := m.expiries(kept, e, history.Seen(c), granted); ok {
			if next, ok := m.leaves(kept, e, lease.Expiry, c); ok {
				return []*state{s.withRecord(e.rec, next)}
			}
		}
	}
	return nil
}

// revealed returns the readings by which a lease was made that ends TTL after c: c,
// or, where a store holds longer than it tells, one that is later by no more.
func (m *rules) revealed(clock history.Readings, c registry.Instant) (history.Readings, bool) {
	last := plus(c, m.dialect.HoldsLonger)
	if clock.Interval {
		in := history.Within(max(clock.Lo, c), min(clock.Hi, last))
		return in, in.Lo <= in.Hi
	}
	var in history.Readings
	for _, i := range clock.Seen {
		if c <= i && i <= last {
			in.Seen = append(in.Seen, i)
		}
	}
	return in, len(in.Seen) > 0
}

// refuse explains a refusal: some reading makes the guard refuse for that very
// reason, and the details are what the state holds.
func (m *rules) refuse(s *state, e *event) []*state {
	if e.op.Call.Kind.OfNode() {
		return m.memberRefuse(s, e)
	}
	a := &e.op.Result
	out := s
	if a.Record.Version != 0 {
		states := m.ifRecord(s, e.rec, a.Record)
		if states == nil {
			return nil
		}
		out = states[0]
	}
	if e.tellsParty() {
		if states := out.ifNode(e.node, e.timed, a.Node); states == nil {
			return nil
		} else {
			out = states[0]
		}
	}
	exp, ok := m.expiries(out, e, refusalClock(e), refusedFor(a.Reason))
	if !ok {
		return nil
	}
	if r := out.recs[e.rec]; exp != r.expiry() {
		out = out.withRecord(e.rec, r.expiring(exp))
	}
	return []*state{out}
}

// tellsParty reports whether the details of a refusal have the registration of
// the node that the operation depends on. With ErrHeld it may be the holder's
// instead, and where a transfer is refused for its tenure that of the node which presents
// it: these are judged with that node's own operations.
func (e *event) tellsParty() bool {
	a := &e.op.Result
	told := a.Node.Ref
	var other registry.NodeID
	switch a.Reason {
	case op.Held:
		other = a.Record.Holder.ID
	case op.Fenced, op.NotHeld, op.Lapsed:
		other = e.op.Call.Node.ID
	}
	return !told.IsZero() && e.node >= 0 && (told.ID == e.op.Call.Party() || told.ID != other)
}

// refusedFor returns whether a decision refuses for the given reason, or may.
func refusedFor(reason op.Reason) func(reference.Decision) bool {
	err := reason.Err()
	by := func(g reference.Guard) bool { return g != reference.Enabled && g.Refusal() == err }
	return func(d reference.Decision) bool { return by(d.Guard) || by(d.OrElse) }
}

// refusalClock is the event's clock. A refusal for a reason that needs no clock
// may have been answered without reading it; then any reading explains it.
func refusalClock(e *event) history.Readings {
	c := e.clock()
	if !c.Interval && len(c.Seen) == 0 {
		switch e.op.Result.Reason {
		case op.Lapsed, op.Held, op.NodeAlive:
		default:
			return history.AnyReading()
		}
	}
	return c
}

// apply returns the states in which an ambiguous operation leaves s when it
// does take effect there, one for each reading that it may have used.
func (m *rules) apply(s *state, e *event) []*state {
	if e.op.Call.Kind.OfNode() {
		return m.memberApply(s, e)
	}
	if e.op.Call.Kind == op.Release {
		if !m.may(s, e, 0, 0, granted) {
			return nil
		}
		return []*state{m.released(s, e)}
	}
	var next []*state
	for _, clock := range each(e.clock()) {
		exp, ok := m.expiries(s, e, clock, granted)
		if !ok {
			continue
		}
		// The effect grows with the old expiry and with the reading, so its
		// extremes are at theirs.
		c := hull(clock)
		r := m.effect(s, e, exp.lo, clampExpiry(m.cfg, c.lo))
		r.latest = m.effect(s, e, exp.hi, clampExpiry(m.cfg, c.hi)).Expiry
		next = append(next, s.withRecord(e.rec, r))
	}
	return next
}

// clampExpiry keeps a reading so far from the ends that adding TTL stays in range.
func clampExpiry(cfg registry.Config, c registry.Instant) registry.Instant {
	return min(c, math.MaxInt64-registry.Instant(cfg.TTL))
}
