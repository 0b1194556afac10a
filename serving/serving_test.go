package serving_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/serving"
)

var (
	cfg   = registry.Config{TTL: 10 * time.Second, Grace: 2 * time.Second, MaxClockSkew: time.Second, FailureTimeout: 6 * time.Second}
	actor = registry.ActorID{Namespace: "room", Name: "42"}
)

const start = registry.Instant(1_000_000_000_000)

// A book is a history written by hand. Each line takes the next stamp; at is the
// reading of every clock, in seconds since the start.
type book struct {
	history.History
	stamp int64
	at    float64
}

func newBook() *book { return &book{History: history.History{Config: cfg}} }

func (b *book) next() int64 {
	b.stamp++
	return b.stamp
}

func (b *book) now() registry.Instant { return start.Add(time.Duration(b.at * float64(time.Second))) }

func ref(client string) registry.NodeRef {
	return registry.NodeRef{ID: registry.NodeID(client), Epoch: 1}
}

func held(by string, token registry.Token, until float64) registry.Placement {
	return registry.Placement{Actor: actor, Holder: ref(by), Token: token, Version: registry.Version(token), Expiry: start.Add(time.Duration(until * float64(time.Second)))}
}

// op enters a call that is answered at once.
func (b *book) op(client string, c op.Call, r op.Result) *history.Op {
	o := history.Op{ID: len(b.Ops), Client: client, Call: c, Result: r, Invoked: b.next(), Clock: history.Seen(b.now())}
	b.look(client)
	o.Returned = b.next()
	b.look(client)
	b.Ops = append(b.Ops, o)
	return &b.Ops[len(b.Ops)-1]
}

// look reads the clock for what a client serves.
func (b *book) look(client string) {
	for i := range b.Served {
		if s := &b.Served[i]; s.Client == client && s.Until == history.Never {
			s.Clock = append(s.Clock, history.Reading{At: b.next(), Now: b.now()})
		}
	}
}

func (b *book) claim(client string, token registry.Token, until float64) *history.Op {
	return b.op(client, op.Call{Kind: op.Claim, Actor: actor, Node: ref(client), ClaimID: registry.ClaimID{byte(token)}}, op.Result{Outcome: op.OK, Record: held(client, token, until)})
}

func (b *book) onLease(k op.Kind, client string, token registry.Token, r op.Result) *history.Op {
	return b.op(client, op.Call{Kind: k, Actor: actor, Node: ref(client), Token: token}, r)
}

func refused(r op.Reason, found registry.Placement) op.Result {
	return op.Result{Outcome: op.Refused, Reason: r, Record: found, Err: r.Err()}
}

var unanswered = op.Result{Outcome: op.Open, Err: &registry.AmbiguousError{MayStillApply: true}}

func (b *book) serve(client string, token registry.Token) {
	at := b.next()
	b.Served = append(b.Served, history.Service{Client: client, Actor: actor, Token: token, From: at, Until: history.Never, Clock: []history.Reading{{At: at, Now: b.now()}}})
}

func (b *book) stop(client string) {
	for i := range b.Served {
		if s := &b.Served[i]; s.Client == client && s.Until == history.Never {
			s.Until = b.next()
			s.Clock = append(s.Clock, history.Reading{At: s.Until, Now: b.now()})
		}
	}
}

// Contract 6. Each rule is broken in the simplest way, and the service that did it
// is named with what it did.
func TestEachRuleIsBroken(t *testing.T) {
	for _, c := range []struct {
		name, rule, found string
		o                 serving.Options
		write             func(b *book)
	}{
		{name: "never granted", rule: serving.Granted, found: "it never was", write: func(b *book) {
			b.onLease(op.Renew, "n1", 1, refused(op.NotHeld, registry.Placement{}))
			b.serve("n1", 7)
		}},
		{name: "served while the claim is under way", rule: serving.Granted, found: "came only afterwards", write: func(b *book) {
			b.serve("n1", 1)
			b.claim("n1", 1, 10)
		}},
		{name: "served while the claim is under way, and others hear of it first", rule: serving.Granted, found: "came only afterwards: n1: Claim", write: func(b *book) {
			b.serve("n1", 1)
			b.op("n2", op.Call{Kind: op.Lookup, Actor: actor}, op.Result{Outcome: op.OK, Found: true, Record: held("n1", 1, 10)})
			b.claim("n1", 1, 10)
			b.op("n2", op.Call{Kind: op.Lookup, Actor: actor}, op.Result{Outcome: op.OK, Found: true, Record: held("n1", 1, 10)})
		}},
		{name: "granted to somebody else", rule: serving.Granted, found: "it never was", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.op("n2", op.Call{Kind: op.Heartbeat, Node: ref("n2")}, op.Result{Outcome: op.OK})
			b.serve("n2", 1)
		}},
		{name: "granted to an earlier process of that name", rule: serving.Granted, found: "it never was", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.op("n1 again", op.Call{Kind: op.Heartbeat, Node: registry.NodeRef{ID: "n1", Epoch: 2}}, op.Result{Outcome: op.OK})
			b.op("n1 again", op.Call{Kind: op.Lookup, Actor: actor}, op.Result{Outcome: op.OK, Found: true, Record: held("n1", 1, 10)})
			b.serve("n1 again", 1)
		}},
		{name: "past the expiry", rule: serving.Deadline, found: "clock reads T+10.001s", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 10.001
			b.stop("n1")
		}},
		{name: "until a renewal is answered in grace", rule: serving.Deadline, found: "ended at T+10s", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 11
			b.onLease(op.Renew, "n1", 1, op.Result{Outcome: op.OK, Record: held("n1", 1, 21)})
			b.at = 12
			b.stop("n1")
		}},
		{name: "by an expiry that nobody can have written", rule: serving.Deadline, found: "ended at T+10s", write: func(b *book) {
			b.claim("n1", 1, 5000)
			b.serve("n1", 1)
			b.at = 11
			b.stop("n1")
		}},
		{name: "after a clock's step that is larger than allowed", rule: serving.Deadline, found: "T+12.5s", o: serving.Options{Steps: 2 * time.Second}, write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 12.5
			b.stop("n1")
		}},
		{name: "the renewal is refused and only logged", rule: serving.Ended, found: "ErrNotHeld", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 3
			b.onLease(op.Renew, "n1", 1, refused(op.NotHeld, registry.Placement{Actor: actor, Token: 1, Version: 2}))
			b.at = 4
			b.stop("n1")
		}},
		{name: "a lookup shows a later token", rule: serving.Ended, found: "token 2", o: serving.Options{ClocksBroken: true}, write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 3
			b.op("n1", op.Call{Kind: op.Lookup, Actor: actor}, op.Result{Outcome: op.OK, Found: true, Record: held("n2", 2, 13)})
			b.at = 4
			b.stop("n1")
		}},
		{name: "begun after it was told", rule: serving.Ended, found: "ErrLapsed", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.onLease(op.Renew, "n1", 1, refused(op.Lapsed, held("n1", 1, 10)))
			b.serve("n1", 1)
		}},
		{name: "released first", rule: serving.Released, found: "Release(", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.onLease(op.Release, "n1", 1, op.Result{Outcome: op.OK})
			b.stop("n1")
		}},
		{name: "handed over before the drain, no answer", rule: serving.Released, found: "Transfer(", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.onLease(op.Transfer, "n1", 1, unanswered).Call.To = ref("n2")
			b.stop("n1")
		}},
		{name: "another is granted the actor", rule: serving.Holder, found: "granted to another", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.claim("n2", 2, 10)
			b.stop("n1")
		}},
		{name: "two at once", rule: serving.Overlap, found: "n1 serves 42 under token 1 while n2 serves 42 under token 1", write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.claim("n2", 1, 10) // by a wrong registry
			b.serve("n2", 1)
		}},
		{name: "two at once, longer than it takes to stop", rule: serving.Holder, found: "granted to another", o: serving.Options{Reaction: 500 * time.Millisecond}, write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.claim("n2", 2, 10)
			b.look("n1")
			b.at = 0.6
			b.stop("n1")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook()
			c.write(b)
			all := serving.Check(b.History, c.o)
			require.Len(t, all, 1)
			assert.Equal(t, c.rule, all[0].Rule)
			assert.Contains(t, all[0].Found, c.found)
			assert.NotEmpty(t, all[0].Wanted)
		})
	}
}

// Unusual, and right.
func TestNothingIsBroken(t *testing.T) {
	for name, c := range map[string]struct {
		o     serving.Options
		write func(b *book)
	}{
		"stopped in the last instant": {write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 10
			b.stop("n1")
		}},
		"told by a lookup, since the claim's answer was lost": {write: func(b *book) {
			b.op("n1", op.Call{Kind: op.Claim, Actor: actor, Node: ref("n1"), ClaimID: registry.ClaimID{1}}, unanswered)
			b.op("n1", op.Call{Kind: op.Lookup, Actor: actor}, op.Result{Outcome: op.OK, Found: true, Record: held("n1", 1, 10)})
			b.serve("n1", 1)
			b.at = 9
			b.stop("n1")
		}},
		"told by a refusal": {write: func(b *book) {
			b.op("n1", op.Call{Kind: op.Claim, Actor: actor, Node: ref("n1"), ClaimID: registry.ClaimID{2}}, refused(op.Held, held("n1", 1, 10)))
			b.serve("n1", 1)
		}},
		"told by a listing": {write: func(b *book) {
			b.op("n1", op.Call{Kind: op.Heartbeat, Node: ref("n1")}, op.Result{Outcome: op.OK})
			b.op("n1", op.Call{Kind: op.ListActors, Node: ref("n1")}, op.Result{Outcome: op.OK, Actors: []registry.Placement{held("n1", 1, 10)}})
			b.serve("n1", 1)
			b.at = 10
			b.stop("n1")
		}},
		"handed over by a message, before the transfer was answered": {write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.op("n2", op.Call{Kind: op.Heartbeat, Node: ref("n2")}, op.Result{Outcome: op.OK})
			b.stop("n1")
			b.onLease(op.Transfer, "n1", 1, unanswered).Call.To = ref("n2")
			b.serve("n2", 2)
		}},
		"renewed in grace, and idle meanwhile": {write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 10
			b.stop("n1")
			b.at = 11
			b.onLease(op.Renew, "n1", 1, op.Result{Outcome: op.OK, Record: held("n1", 1, 21)})
			b.serve("n1", 1)
			b.at = 20
			b.stop("n1")
		}},
		"a release that got lost, of an earlier tenure": {write: func(b *book) {
			b.claim("n1", 1, 10)
			b.onLease(op.Release, "n1", 1, unanswered)
			b.claim("n1", 2, 10)
			b.serve("n1", 2)
		}},
		"a release under another incarnation, which is refused": {write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.onLease(op.Release, "n1", 1, refused(op.NotHeld, registry.Placement{})).Call.Node.Epoch = 2
		}},
		"twice under one token": {write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.serve("n1", 1)
		}},
		"told that it is over, and stopped in that instant": {write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 3
			b.onLease(op.Renew, "n1", 1, refused(op.NotHeld, registry.Placement{Actor: actor, Token: 1, Version: 2}))
			b.stop("n1")
		}},
		"a clock that stepped within its bound": {o: serving.Options{Steps: 2 * time.Second}, write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 12
			b.stop("n1")
		}},
		"two at once, by clocks beyond their bound": {o: serving.Options{ClocksBroken: true}, write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.claim("n2", 2, 10)
			b.serve("n2", 2)
		}},
		"the line that says so is a little late": {o: serving.Options{Reaction: time.Second}, write: func(b *book) {
			b.claim("n1", 1, 10)
			b.serve("n1", 1)
			b.at = 10.4
			b.claim("n2", 2, 20)
			b.serve("n2", 2)
			b.at = 10.9
			b.stop("n1")
		}},
		"nothing is known of its clock": {write: func(b *book) {
			b.claim("n1", 1, 10).Clock = history.AnyReading()
			b.serve("n1", 1)
			b.Served[0].Clock = nil
			b.at = 100
		}},
		"a registry that reads clocks of which nothing is known": {write: func(b *book) {
			b.claim("n1", 1, 10).Clock = history.Within(math.MinInt64, math.MaxInt64)
			b.serve("n1", 1)
			b.at = 10
			b.stop("n1")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook()
			c.write(b)
			assert.Empty(t, serving.Check(b.History, c.o))
		})
	}
}
