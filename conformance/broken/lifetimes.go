package broken

import (
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes in lease time: boundaries, margins, and whose clock it is.
var lifetimes = []Variant{
	{
		ID: "M48", Slug: "live-one-late",
		Section: "contract",
		Title:   "a lease is live up to and including its expiry",
		Doc:     "Contract, section 2: live is c < Expiry. <= for <.",
		Breaks:  rules("Transfer.lapsed"),
		bends:   judging(later(-1), op.Transfer),
	},
	{
		ID: "M49", Slug: "live-one-early",
		Section: "contract",
		Title:   "a lease stops being live one nanosecond before its expiry",
		Doc:     "Contract, section 2: live is c < Expiry.",
		Breaks:  rules("Transfer.granted"),
		bends:   judging(later(+1), op.Transfer),
	},
	{
		ID: "M50", Slug: "grace-one-late",
		Section: "contract",
		Title:   "a lease can be renewed up to and including the end of its grace",
		Doc:     "Contract, section 2: grace is c < Expiry + Grace. <= for <.",
		Breaks:  rules("Renew.lapsed"),
		bends:   judging(later(-1), op.Renew),
	},
	{
		ID: "M51", Slug: "grace-one-early",
		Section: "contract",
		Title:   "a lease lapses one nanosecond before the end of its grace",
		Doc:     "Contract, section 2: grace is c < Expiry + Grace.",
		Breaks:  rules("Renew.granted"),
		bends:   judging(later(+1), op.Renew),
	},
	{
		ID: "M52", Slug: "reclaim-one-early",
		Section: "contract",
		Title:   "an actor is reclaimable one nanosecond before Expiry + Grace + 2ε",
		Doc:     "Contract, section 2: with any smaller margin two nodes can both believe.",
		Breaks:  rules("Claim.held", conformance.GraceRespected, conformance.SingleActivation),
		bends:   judging(later(+1), op.Claim),
	},
	{
		ID: "M53", Slug: "reclaim-one-late",
		Section: "contract",
		Title:   "an actor is reclaimable only after Expiry + Grace + 2ε",
		Doc:     "Contract, section 2: reclaimable is c >= Expiry + Grace + 2ε. > for >=.",
		Breaks:  rules("Claim.granted"),
		bends:   judging(later(-1), op.Claim),
	},
	{
		ID: "M54", Slug: "failure-one-early",
		Section: "membership",
		Title:   "a node may be marked failed one nanosecond too early",
		Doc:     "Contract, section 3: c >= last-seen + FailureTimeout + 2ε.",
		Breaks:  rules("MarkFailed.alive"),
		bends:   judging(later(+1), op.MarkFailed),
	},
	{
		ID: "M55", Slug: "failure-one-late",
		Section: "membership",
		Title:   "a node may be marked failed only after its timeout",
		Doc:     "Contract, section 3: c >= last-seen + FailureTimeout + 2ε. > for >=.",
		Breaks:  rules("MarkFailed.granted"),
		bends:   judging(later(-1), op.MarkFailed),
	},
	{
		ID: "M56", Slug: "repeat-one-late",
		Section: "contract",
		Title:   "a claim is repeated up to and including the end of grace",
		Doc:     "Contract, section 3, second row: while the tenure has not lapsed. <= for <.",
		Breaks:  rules("Claim.repeated", "Claim.held"),
		bends: repeating(func(a attempt) bool {
			a.now--
			return specified.repeats(a)
		}, op.Claim),
	},
	{
		ID: "M57", Slug: "one-sided-skew",
		Section: "contract",
		Title:   "the margin before a reclaim is ε instead of 2ε",
		Doc:     "Contract, section 2: the holder's clock may be ε slow while the claimer's is ε fast. A model with clocks that are only ever fast does not show it.",
		Breaks:  rules("Claim.held", conformance.GraceRespected, conformance.SingleActivation),
		bends:   judging(func(a *attempt) { a.cfg.MaxClockSkew /= 2 }, op.Claim),
	},
	{
		ID: "M58", Slug: "failure-without-margin",
		Section: "membership",
		Title:   "marking a node failed ignores clock skew",
		Doc:     "Contract, section 3: FailureTimeout + 2ε. A node that heartbeats in time by its own clock is failed by a faster one.",
		Breaks:  rules("MarkFailed.alive"),
		bends:   judging(func(a *attempt) { a.cfg.MaxClockSkew = 0 }, op.MarkFailed),
	},
	{
		ID: "M59", Slug: "lapse-at-expiry",
		Section: "contract",
		Title:   "a renewal in grace is refused",
		Doc:     "Contract, section 2: in grace the holder may renew. Here the grace protects a lease that is over.",
		Breaks:  rules("Renew.granted"),
		bends:   judging(func(a *attempt) { a.cfg.Grace = 0 }, op.Renew),
	},
	{
		ID: "M60", Slug: "expiry-by-the-reader",
		Section: "contract",
		Title:   "the expiry is computed by the reader, from the time that is left",
		Doc:     "As with a store that keeps a time to live and not a date: the reader adds what is left to its own clock, which is not the one that the lease was granted by.",
		Breaks:  rules(conformance.RawLookup, conformance.Linearizability),
		bends:   expiryByTheReader,
	},
	{
		ID: "M61", Slug: "wall-clock",
		Section: "contract",
		Title:   "time comes from the machine instead of the handle's clock",
		Doc:     "Contract, section 2: every handle has its own clock. A wall clock that somebody sets jumps for all leases at once, as in the debate about Redlock.",
		Breaks:  rules(conformance.OneReading, "Claim.granted", "RegisterNode.granted", "MarkFailed.granted", "Heartbeat.granted"),
		bends:   func(c *cluster) { c.time = func(registry.Clock) registry.Clock { return registry.SystemClock() } },
	},
	{
		ID: "M62", Slug: "ratchet-clock",
		Section: "contract",
		Title:   "the store's time never goes back: it is the latest reading that any handle brought",
		Doc:     "One node with a fast clock moves the time of the whole cluster, as a recovery of FoundationDB does when read versions serve as a clock: leases of others lapse early.",
		Breaks:  rules(conformance.OneReading, conformance.Linearizability, "Claim.granted", "Renew.granted", "Claim.held"),
		bends:   ratchetClock,
	},
	{
		ID: "M63", Slug: "milliseconds",
		Section: "contract",
		Title:   "expiries are stored in milliseconds",
		Doc:     "Contract, section 3: Expiry = c+TTL. The holder goes by the lease it was given, the claimer by a record that is up to a millisecond older.",
		Breaks:  rules("Claim.granted", "Renew.granted", "Transfer.granted", conformance.RawLookup, conformance.Linearizability),
		bends:   inside(inMilliseconds, op.Claim),
	},
	{
		ID: "M64", Slug: "expiry-includes-grace",
		Section: "contract",
		Title:   "the lease is granted for TTL + Grace",
		Doc:     "Grace is added when the lease is written and again when it is read.",
		Breaks:  rules("Claim.granted"),
		bends:   starting(func(a *attempt) { a.now = a.now.Add(a.cfg.Grace) }, op.Claim),
	},
	{
		ID: "M65", Slug: "session-leases",
		Section: "membership",
		Title:   "a heartbeat extends all leases of its node",
		Doc:     "Leases tied to a session, as ZooKeeper and Consul have them: the records change without a version, and a node that lives keeps actors that nobody renews.",
		Breaks:  rules("Heartbeat.granted", conformance.VersionBump, conformance.Linearizability),
		bends:   inside(sessionLeases, op.Heartbeat),
	},
	{
		ID: "M66", Slug: "lookup-by-clock",
		Section: "contract",
		Title:   "a lookup hides leases that have run out",
		Doc:     "Contract, section 3: raw, never filtered by a clock. The reader's clock may be fast, and the holder may be serving.",
		Breaks:  rules(conformance.RawLookup, conformance.Linearizability),
		bends: answering(func(r *request, answer *op.Result) {
			if p := answer.Record; answer.Found && p.Held() && r.clock.Now() >= p.Expiry {
				*answer = op.Failed(nil)
			}
		}, op.Lookup),
	},
}

// later has a guard judge a reading that is d later than the one taken.
func later(d registry.Instant) func(*attempt) { return func(a *attempt) { a.now += d } }

// expiryByTheReader knows what is left of a lease by the clock of the server,
// which runs beside the first node.
func expiryByTheReader(c *cluster) {
	var server registry.Clock
	c.time = func(own registry.Clock) registry.Clock {
		if server == nil {
			server = own
		}
		return own
	}
	answering(func(r *request, answer *op.Result) {
		if answer.Found {
			left := answer.Record.Expiry.Sub(server.Now())
			answer.Record.Expiry = r.clock.Now().Add(left)
		}
	}, op.Lookup)(c)
}

func ratchetClock(c *cluster) {
	var latest registry.Instant
	c.time = func(own registry.Clock) registry.Clock { return ratchet{own, &latest} }
}

// ratchet is read under the cluster's mutex only.
type ratchet struct {
	own    registry.Clock
	latest *registry.Instant
}

func (c ratchet) Now() registry.Instant {
	*c.latest = max(*c.latest, c.own.Now())
	return *c.latest
}

func inMilliseconds(r *request) op.Result {
	answer := r.step()
	if answer.Outcome == op.OK {
		stored := r.record(r.call.Actor)
		stored.Expiry -= stored.Expiry % registry.Instant(time.Millisecond)
		r.put(stored)
	}
	return answer
}

func sessionLeases(r *request) op.Result {
	answer := r.step()
	if answer.Outcome == op.OK {
		for key := range r.held[r.call.Node] {
			extended := r.records[key]
			extended.Expiry = max(extended.Expiry, r.now.Add(r.cfg.TTL))
			r.records[key] = extended
		}
	}
	return answer
}
