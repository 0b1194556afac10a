// Package serving judges who served what: whether the clients in a history, by
// what they say of themselves ([history.Service]), kept the client's part of the
// contract (section 6). A registry that is right keeps two nodes from holding an
// actor at once; only the clients can keep two from serving it.
//
// [Check] goes by what each client could know: its own clock, and the answers
// that had returned to it. What it does not know for certain counts in the
// client's favour. The rules are those of the specification's Keeper module:
//
//	service.granted   StartsInTime    nothing is served before the grant is known
//	service.deadline  StepDown        nothing is served past the lease's end, by the server's own clock
//	service.ended     AnswerRefused   nothing is served after the registry said that the tenure is over
//	service.release   Works           nothing is served after its release or transfer was asked for
//	service.holder    WorkerIsHolder  nothing is served when another node was granted the actor
//	service.overlap   NoOverlap       no two clients serve an actor at once
//
// The first four name a client that broke its own rules. The last two hold only
// while the clocks are within their bound and the registry is right: see
// [Options.ClocksBroken].
package serving

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// The rules.
const (
	Granted  = string(contract.ServesGranted)
	Deadline = string(contract.ServesInTime)
	Ended    = string(contract.ServesNotEnded)
	Released = string(contract.StopsFirst)
	Holder   = string(contract.ServesAsHolder)
	Overlap  = string(contract.ServesAlone)
)

// Options say what a client cannot be blamed for.
type Options struct {
	// Steps is how far a client's clock may have stepped since the client looked
	// at it last. 0 is right where clocks do not step; a clock within its bound
	// steps by 2ε at most.
	Steps time.Duration

	// Reaction is how long it may take until a client that stops has stopped and
	// said so. 0 demands the order of stamps: right where nothing that happens
	// takes time, as in virtual time.
	Reaction time.Duration

	// ClocksBroken says that clocks were further than ε from true time. Two nodes
	// may then hold an actor at once, and what rests on time alone between two
	// clients is not judged.
	ClocksBroken bool

	// Origin is what T stands for in texts; 0: the earliest reading in the history.
	Origin registry.Instant
}

// Violation is a breach of a rule by one service.
type Violation struct {
	Rule    string
	Service int   // index in History.Served
	At      int64 // stamp: the service broke the rule then
	Found   string
	Wanted  string
}

// Check returns the breaches in h, at most one for each service: first of the
// rules that name who was wrong, then of the others; the earliest first.
func Check(h history.History, o Options) []Violation {
	c := &checker{h: &h, o: o, text: op.Text{Origin: cmp.Or(o.Origin, h.Origin()), Namespace: h.Namespace()}, nodes: map[string]map[registry.NodeRef]bool{}}
	for i := range h.Ops {
		c.learn(&h.Ops[i])
	}
	var all []Violation
	for i := range h.Served {
		if v := c.judge(&h.Served[i]); v != nil {
			v.Service = i
			all = append(all, *v)
		}
	}
	slices.SortStableFunc(all, func(a, b Violation) int { return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.At, b.At)) })
	return all
}

// rank is 0 of the rules that a client breaks by itself.
func (v *Violation) rank() int {
	if v.Rule == Holder || v.Rule == Overlap {
		return 1
	}
	return 0
}

// judge returns the first breach of a service.
func (c *checker) judge(s *history.Service) *Violation {
	var first *Violation
	for _, rule := range []func(*history.Service) *Violation{c.granted, c.ended, c.deadline, c.released} {
		if v := rule(s); v != nil && (first == nil || v.At < first.At) {
			first = v
		}
	}
	for _, rule := range []func(*history.Service) *Violation{c.holder, c.overlap} {
		if first == nil {
			first = rule(s)
		}
	}
	return first
}

// checker is the check of one history.
type checker struct {
	h     *history.History
	o     Options
	text  op.Text
	nodes map[string]map[registry.NodeRef]bool // by client: the incarnations that it is
}

// learn notes which incarnation a client is: the one that it registered, claims
// for or beats for. A process that restarted under its old name is another holder,
// so that presenting a lease is no claim to be its holder.
func (c *checker) learn(o *history.Op) {
	ref := o.Call.Node
	switch o.Call.Kind {
	case op.RegisterNode:
		ref = o.Result.Node.Ref
		if o.Result.Outcome != op.OK {
			return
		}
	case op.Claim, op.Heartbeat, op.DeregisterNode:
	default:
		return
	}
	if c.nodes[o.Client] == nil {
		c.nodes[o.Client] = map[registry.NodeRef]bool{}
	}
	c.nodes[o.Client][ref] = true
}

// mine reports whether a record says that the service's client holds the actor
// under its token.
func (c *checker) mine(s *history.Service, p registry.Placement) bool {
	return p.Actor == s.Actor && p.Token == s.Token && c.nodes[s.Client][p.Holder]
}

// tells reports whether the answer of o says that the tenure of s is, or was.
// A refusal tells of what it found.
func (c *checker) tells(s *history.Service, o *history.Op) bool {
	return (o.Result.Outcome == op.OK || o.Result.Outcome == op.Refused) && c.mine(s, o.Result.Record) ||
		slices.ContainsFunc(o.Result.Actors, func(p registry.Placement) bool { return c.mine(s, p) })
}

// own reports whether o presents the lease of the tenure of s: another incarnation
// that presents its token has nothing to do with it.
func (c *checker) own(s *history.Service, o *history.Op) bool {
	if o.Client != s.Client || o.Call.Actor != s.Actor || o.Call.Token != s.Token {
		return false
	}
	return !slices.ContainsFunc(c.h.Ops, func(told history.Op) bool {
		return c.tells(s, &told) && told.Result.Record.Holder != o.Call.Node && len(told.Result.Actors) == 0
	})
}

// handsTo reports whether o may have handed the actor to the client of s: of what
// it was granted by others a client hears from them, before anybody answers.
func (c *checker) handsTo(s *history.Service, o *history.Op) bool {
	return o.Call.Kind == op.Transfer && o.Call.Actor == s.Actor && o.Call.Token+1 == s.Token && c.nodes[s.Client][o.Call.To] &&
		(o.Result.Outcome == op.OK || o.Result.Outcome.Ambiguous())
}

// granted: contract 6.1; Keeper.tla, AnswerOk: work starts with an answer. A
// client may have heard of its tenure from whoever was told first. Of the answers
// that came too late the client's own is named, and else the first.
func (c *checker) granted(s *history.Service) *Violation {
	var late *history.Op
	for i := range c.h.Ops {
		o := &c.h.Ops[i]
		switch {
		case c.tells(s, o) && o.Returned < s.From, c.handsTo(s, o) && o.Invoked < s.From:
			return nil
		case c.tells(s, o):
			if late == nil || before(s.Client, o, late) {
				late = o
			}
		}
	}
	later := "and it never was"
	if late != nil {
		later = "which came only afterwards: " + c.answer(late)
	}
	return &Violation{
		Rule: Granted, At: s.From,
		Found:  c.serves(s) + " before an answer said that it was granted, " + later,
		Wanted: "a client serves when the answer to its claim, or another answer, has told it the grant",
	}
}

// before reports whether a is named rather than b: the client's own answers go before
// those of others, and earlier ones before later ones.
func before(client string, a, b *history.Op) bool {
	if own := a.Client == client; own != (b.Client == client) {
		return own
	}
	return a.Returned < b.Returned
}

// lease is the end of a tenure as its client knew it after a stamp.
type lease struct {
	from int64
	end  registry.Instant
	by   *history.Op
}

// leases returns what a client learnt of its lease, in the order of the answers.
//
// The registry wrote the expiry by a reading of the clock made during the call:
// an expiry further ahead than TTL from all of them is none that the client may
// believe, since it knows a reading from before. Of an answer about which no
// reading is known the expiry is believed.
func (c *checker) leases(s *history.Service) []lease {
	var all []lease
	for i := range c.h.Ops {
		o := &c.h.Ops[i]
		if !c.tells(s, o) || o.Returned > s.Until {
			continue
		}
		end := o.Result.Record.Expiry
		for _, p := range o.Result.Actors {
			if c.mine(s, p) {
				end = p.Expiry
			}
		}
		if hi, known := latest(o.Clock); known && o.Call.Kind.Grants() {
			end = min(end, hi.Add(c.h.Config.TTL))
		}
		all = append(all, lease{o.Returned, end, o})
	}
	slices.SortFunc(all, func(a, b lease) int { return cmp.Compare(a.from, b.from) })
	return all
}

// latest returns the latest reading that an operation may have gone by.
func latest(r history.Readings) (registry.Instant, bool) {
	switch {
	case r.Interval:
		return r.Hi, r.Hi < math.MaxInt64-registry.Instant(registry.MaxTTL)
	case len(r.Seen) == 0:
		return 0, false
	}
	return slices.Max(r.Seen), true
}

// deadline: contract 2.2 and 6.1; Keeper.tla, StepDown: no reading of the
// client's own clock during service is past the end of its lease, as far as the
// answers had told by then.
func (c *checker) deadline(s *history.Service) *Violation {
	var end *lease
	known := c.leases(s)
	for _, r := range s.Clock {
		for len(known) > 0 && known[0].from < r.At {
			if end == nil || known[0].end > end.end {
				end = &known[0]
			}
			known = known[1:]
		}
		if end == nil || r.Now <= end.end.Add(c.o.Steps+c.o.Reaction) {
			continue
		}
		return &Violation{
			Rule: Deadline, At: r.At,
			Found:  fmt.Sprintf("%s when its clock reads %s; its lease ended at %s, by %s", c.serves(s), c.text.Time(r.Now), c.text.Time(end.end), c.answer(end.by)),
			Wanted: "a client stops when its own clock reads the end of its lease, whatever became of its renewals",
		}
	}
	return nil
}

// ended: Keeper.tla, AnswerRefused: a refusal of its own lease, or an answer that
// shows a later token, ends the work at once.
func (c *checker) ended(s *history.Service) *Violation {
	for i := range c.h.Ops {
		o := &c.h.Ops[i]
		if o.Client != s.Client || !c.over(s, o) {
			continue
		}
		at, on := servedOn(s, o.Returned)
		if o.Returned < s.From {
			at, on = s.From, c.o.Steps+c.o.Reaction+1 // it began under what was over
		}
		if on > c.o.Steps+c.o.Reaction {
			return &Violation{
				Rule: Ended, At: at,
				Found:  fmt.Sprintf("%s after it was told that this tenure is over, by %s", c.serves(s), c.answer(o)),
				Wanted: "a client stops at once when it is told that its tenure is over",
			}
		}
	}
	return nil
}

// over reports whether an answer says that the tenure of s is over, for good. A
// tenure that was released, or has lapsed, never comes back (LapseIsFinal).
func (c *checker) over(s *history.Service, o *history.Op) bool {
	r := &o.Result
	switch {
	case r.Outcome == op.Refused && (o.Call.Kind.Effect() == op.Keeps || o.Call.Kind.Effect() == op.Ends) && c.own(s, o):
		return r.Reason == op.Fenced || r.Reason == op.NotHeld || r.Reason == op.Lapsed
	case r.Outcome == op.OK || r.Outcome == op.Refused:
		return r.Record.Actor == s.Actor && r.Record.Token > s.Token
	}
	return false
}

// servedOn returns how long a service was seen to go on after a stamp, by its own
// clock, and the stamp of the reading that shows it.
func servedOn(s *history.Service, after int64) (at int64, d time.Duration) {
	i := slices.IndexFunc(s.Clock, func(r history.Reading) bool { return r.At > after })
	if i < 0 {
		return s.Until, 0
	}
	for _, r := range s.Clock[i:] {
		if on := r.Now.Sub(s.Clock[i].Now); on > d {
			at, d = r.At, on
		}
	}
	return at, d
}

// released: Keeper.tla has no release; in Registry.tla a record without holder, or
// with another one, may be claimed at once. So the work stops before the call is
// made: that the answer got lost, or is a refusal, comes too late to matter.
func (c *checker) released(s *history.Service) *Violation {
	for i := range c.h.Ops {
		o := &c.h.Ops[i]
		giving := o.Call.Kind == op.Release || o.Call.Kind == op.Transfer
		if giving && o.Invoked < s.Until && c.own(s, o) {
			return &Violation{
				Rule: Released, At: max(o.Invoked, s.From),
				Found:  fmt.Sprintf("%s after it has asked for %s", c.serves(s), c.text.Call(&o.Call)),
				Wanted: "a client stops before it asks to release or to transfer: from then on another may be granted the actor",
			}
		}
	}
	return nil
}

// holder: Keeper.tla, WorkerIsHolder. A grant to another that has returned was
// made before; within the clocks' bound a right client has stopped by then.
func (c *checker) holder(s *history.Service) *Violation {
	if c.o.ClocksBroken {
		return nil
	}
	for i := range c.h.Ops {
		o := &c.h.Ops[i]
		if o.Result.Outcome != op.OK || !o.Call.Kind.Grants() || o.Result.Record.Actor != s.Actor || o.Result.Record.Token <= s.Token {
			continue
		}
		if at, on := c.goesOn(s, o.Returned); on {
			return &Violation{
				Rule: Holder, At: at,
				Found:  fmt.Sprintf("%s when it was granted to another, by %s", c.serves(s), c.answer(o)),
				Wanted: "whoever serves an actor is its holder, under the running tenure's token",
			}
		}
	}
	return nil
}

// goesOn reports whether a service was still there after a stamp, and when it was
// seen there.
func (c *checker) goesOn(s *history.Service, after int64) (int64, bool) {
	if c.o.Reaction == 0 {
		return max(after, s.From), after < s.Until
	}
	at, on := servedOn(s, after)
	return at, on > c.o.Steps+c.o.Reaction
}

// overlap: contract 6.3; Keeper.tla, NoOverlap. It is said of the service that
// began first. A client may serve an actor twice under one token.
func (c *checker) overlap(s *history.Service) *Violation {
	if c.o.ClocksBroken {
		return nil
	}
	for i := range c.h.Served {
		other := &c.h.Served[i]
		if other.Actor != s.Actor || other.From < s.From || other == s || other.Client == s.Client && other.Token == s.Token {
			continue
		}
		if at, on := c.goesOn(s, other.From); on {
			return &Violation{
				Rule: Overlap, At: at,
				Found:  fmt.Sprintf("%s while %s", c.serves(s), c.serves(other)),
				Wanted: "an actor is served by one client at a time, under one token",
			}
		}
	}
	return nil
}

func (c *checker) serves(s *history.Service) string {
	return fmt.Sprintf("%s serves %s under token %d", s.Client, c.text.Actor(s.Actor), s.Token)
}

func (c *checker) answer(o *history.Op) string {
	return fmt.Sprintf("%s: %s = %s", o.Client, c.text.Call(&o.Call), c.text.Result(o.Call.Kind, &o.Result))
}
