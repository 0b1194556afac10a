package broken

import (
	"context"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/reference"
)

// Mistakes in lease time: boundaries, margins, and whose clock it is.
var lifetimes = []Variant{
	{
		ID: "M48", Slug: "live-one-late",
		Section: "contract",
		Title:   "a lease is live up to and including its expiry",
		Doc:     "Contract, section 2: live is c < Expiry. <= for <.",
		Breaks:  rules("Transfer.lapsed"),
		flaw:    flaw{decide: shiftTransfer(-1)},
	},
	{
		ID: "M49", Slug: "live-one-early",
		Section: "contract",
		Title:   "a lease stops being live one nanosecond before its expiry",
		Doc:     "Contract, section 2: live is c < Expiry.",
		Breaks:  rules("Transfer.granted"),
		flaw:    flaw{decide: shiftTransfer(+1)},
	},
	{
		ID: "M50", Slug: "grace-one-late",
		Section: "contract",
		Title:   "a lease can be renewed up to and including the end of its grace",
		Doc:     "Contract, section 2: grace is c < Expiry + Grace. <= for <.",
		Breaks:  rules("Renew.lapsed"),
		flaw:    flaw{decide: shiftRenew(-1)},
	},
	{
		ID: "M51", Slug: "grace-one-early",
		Section: "contract",
		Title:   "a lease lapses one nanosecond before the end of its grace",
		Doc:     "Contract, section 2: grace is c < Expiry + Grace.",
		Breaks:  rules("Renew.granted"),
		flaw:    flaw{decide: shiftRenew(+1)},
	},
	{
		ID: "M52", Slug: "reclaim-one-early",
		Section: "contract",
		Title:   "an actor is reclaimable one nanosecond before Expiry + Grace + 2ε",
		Doc:     "Contract, section 2: with any smaller margin two nodes can both believe.",
		Breaks:  rules("Claim.held", conformance.GraceRespected, conformance.SingleActivation),
		flaw:    flaw{decide: shiftClaim(+1)},
	},
	{
		ID: "M53", Slug: "reclaim-one-late",
		Section: "contract",
		Title:   "an actor is reclaimable only after Expiry + Grace + 2ε",
		Doc:     "Contract, section 2: reclaimable is c >= Expiry + Grace + 2ε. > for >=.",
		Breaks:  rules("Claim.granted"),
		flaw:    flaw{decide: shiftClaim(-1)},
	},
	{
		ID: "M54", Slug: "failure-one-early",
		Section: "membership",
		Title:   "a node may be marked failed one nanosecond too early",
		Doc:     "Contract, section 3: c >= last-seen + FailureTimeout + 2ε.",
		Breaks:  rules("MarkFailed.alive"),
		flaw:    flaw{decide: shiftMarkFailed(+1)},
	},
	{
		ID: "M55", Slug: "failure-one-late",
		Section: "membership",
		Title:   "a node may be marked failed only after its timeout",
		Doc:     "Contract, section 3: c >= last-seen + FailureTimeout + 2ε. > for >=.",
		Breaks:  rules("MarkFailed.granted"),
		flaw:    flaw{decide: shiftMarkFailed(-1)},
	},
	{
		ID: "M56", Slug: "repeat-one-late",
		Section: "contract",
		Title:   "a claim is repeated up to and including the end of grace",
		Doc:     "Contract, section 3, second row: while the tenure has not lapsed. <= for <.",
		Breaks:  rules("Claim.repeated", "Claim.held"),
		flaw: flaw{decide: func(do *actions) {
			do.claimRepeats = func(cfg registry.Config, r registry.Placement, node registry.NodeRef, id registry.ClaimID, c registry.Instant) bool {
				return reference.ClaimRepeats(cfg, r, node, id, c-1)
			}
		}},
	},
	{
		ID: "M57", Slug: "one-sided-skew",
		Section: "contract",
		Title:   "the margin before a reclaim is ε instead of 2ε",
		Doc:     "Contract, section 2: the holder's clock may be ε slow while the claimer's is ε fast. A model with clocks that are only ever fast does not show it.",
		Breaks:  rules("Claim.held", conformance.GraceRespected, conformance.SingleActivation),
		flaw: flaw{decide: func(do *actions) {
			do.claimGuard = func(cfg registry.Config, r registry.Placement, n registry.Standing, c registry.Instant) reference.Guard {
				cfg.MaxClockSkew /= 2
				return reference.ClaimGuard(cfg, r, n, c)
			}
		}},
	},
	{
		ID: "M58", Slug: "failure-without-margin",
		Section: "membership",
		Title:   "marking a node failed ignores clock skew",
		Doc:     "Contract, section 3: FailureTimeout + 2ε. A node that heartbeats in time by its own clock is failed by a faster one.",
		Breaks:  rules("MarkFailed.alive"),
		flaw: flaw{decide: func(do *actions) {
			do.markFailedGuard = func(cfg registry.Config, n registry.Node, node registry.NodeRef, c registry.Instant) reference.Guard {
				cfg.MaxClockSkew = 0
				return reference.MarkFailedGuard(cfg, n, node, c)
			}
		}},
	},
	{
		ID: "M59", Slug: "lapse-at-expiry",
		Section: "contract",
		Title:   "a renewal in grace is refused",
		Doc:     "Contract, section 2: in grace the holder may renew. Here the grace protects a lease that is over.",
		Breaks:  rules("Renew.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.renewGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, token registry.Token, c registry.Instant) reference.Guard {
				cfg.Grace = 0
				return reference.RenewGuard(cfg, r, holder, token, c)
			}
		}},
	},
	{
		ID: "M60", Slug: "expiry-by-the-reader",
		Section: "contract",
		Title:   "the expiry is computed by the reader, from the time that is left",
		Doc:     "As with a store that keeps a time to live and not a date: the reader adds what is left to its own clock, which is not the one that the lease was granted by.",
		Breaks:  rules(conformance.RawLookup, conformance.Linearizability),
		flaw: flaw{methods: func(*store) opener {
			var server registry.Clock
			return func(h *handle) registry.Handle {
				if server == nil {
					server = h.clock // the store runs beside the first node
				}
				return relative{h, server}
			}
		}},
	},
	{
		ID: "M61", Slug: "wall-clock",
		Section: "contract",
		Title:   "time comes from the machine instead of the handle's clock",
		Doc:     "Contract, section 2: every handle has its own clock. A wall clock that somebody sets jumps for all leases at once, as in the debate about Redlock.",
		Breaks:  rules(conformance.OneReading, "Claim.granted", "RegisterNode.granted", "MarkFailed.granted", "Heartbeat.granted"),
		flaw: flaw{methods: each(func(h *handle) *handle {
			h.clock = registry.SystemClock()
			return h
		})},
	},
	{
		ID: "M62", Slug: "ratchet-clock",
		Section: "contract",
		Title:   "the store's time never goes back: it is the latest reading that any handle brought",
		Doc:     "One node with a fast clock moves the time of the whole cluster, as a recovery of FoundationDB does when read versions serve as a clock: leases of others lapse early.",
		Breaks:  rules(conformance.OneReading, conformance.Linearizability, "Claim.granted", "Renew.granted", "Claim.held"),
		flaw: flaw{methods: func(*store) opener {
			var latest registry.Instant
			return func(h *handle) registry.Handle {
				h.clock = ratchet{h.clock, &latest}
				return h
			}
		}},
	},
	{
		ID: "M63", Slug: "milliseconds",
		Section: "contract",
		Title:   "expiries are stored in milliseconds",
		Doc:     "Contract, section 3: Expiry = c+TTL. The holder goes by the lease it was given, the claimer by a record that is up to a millisecond older.",
		Breaks:  rules("Claim.granted", "Renew.granted", "Transfer.granted", conformance.RawLookup, conformance.Linearizability),
		flaw:    flaw{methods: each(func(h *handle) truncating { return truncating{h} })},
	},
	{
		ID: "M64", Slug: "expiry-includes-grace",
		Section: "contract",
		Title:   "the lease is granted for TTL + Grace",
		Doc:     "Grace is added when the lease is written and again when it is read.",
		Breaks:  rules("Claim.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.claimEffect = func(cfg registry.Config, r registry.Placement, node registry.NodeRef, id registry.ClaimID, c registry.Instant) registry.Placement {
				return reference.ClaimEffect(cfg, r, node, id, c.Add(cfg.Grace))
			}
		}},
	},
	{
		ID: "M65", Slug: "session-leases",
		Section: "membership",
		Title:   "a heartbeat extends all leases of its node",
		Doc:     "Leases tied to a session, as ZooKeeper and Consul have them: the records change without a version, and a node that lives keeps actors that nobody renews.",
		Breaks:  rules("Heartbeat.granted", conformance.VersionBump, conformance.Linearizability),
		flaw:    flaw{methods: each(func(h *handle) sessions { return sessions{h} })},
	},
	{
		ID: "M66", Slug: "lookup-by-clock",
		Section: "contract",
		Title:   "a lookup hides leases that have run out",
		Doc:     "Contract, section 3: raw, never filtered by a clock. The reader's clock may be fast, and the holder may be serving.",
		Breaks:  rules(conformance.RawLookup, conformance.Linearizability),
		flaw:    flaw{methods: each(func(h *handle) filtering { return filtering{h} })},
	},
}

// Guards that judge a reading that is d later than the one taken.

func shiftTransfer(d registry.Instant) func(*actions) {
	return func(do *actions) {
		do.transferGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, token registry.Token, to registry.Standing, c registry.Instant) reference.Guard {
			return reference.TransferGuard(cfg, r, holder, token, to, c+d)
		}
	}
}

func shiftRenew(d registry.Instant) func(*actions) {
	return func(do *actions) {
		do.renewGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, token registry.Token, c registry.Instant) reference.Guard {
			return reference.RenewGuard(cfg, r, holder, token, c+d)
		}
	}
}

func shiftClaim(d registry.Instant) func(*actions) {
	return func(do *actions) {
		do.claimGuard = func(cfg registry.Config, r registry.Placement, n registry.Standing, c registry.Instant) reference.Guard {
			return reference.ClaimGuard(cfg, r, n, c+d)
		}
	}
}

func shiftMarkFailed(d registry.Instant) func(*actions) {
	return func(do *actions) {
		do.markFailedGuard = func(cfg registry.Config, n registry.Node, node registry.NodeRef, c registry.Instant) reference.Guard {
			return reference.MarkFailedGuard(cfg, n, node, c+d)
		}
	}
}

type relative struct {
	*handle
	server registry.Clock
}

func (h relative) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	p, found, err := h.handle.Lookup(ctx, actor)
	if found {
		left := p.Expiry.Sub(h.server.Now())
		p.Expiry = h.clock.Now().Add(left)
	}
	return p, found, err
}

// ratchet is read under the store's mutex only.
type ratchet struct {
	own    registry.Clock
	latest *registry.Instant
}

func (c ratchet) Now() registry.Instant {
	*c.latest = max(*c.latest, c.own.Now())
	return *c.latest
}

type truncating struct{ *handle }

func (h truncating) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{actor, node, id}, func(c registry.Instant) error {
		err := h.claim(&l, actor, node, id, c)
		if r := h.record(actor); err == nil {
			r.Expiry -= r.Expiry % registry.Instant(time.Millisecond)
			h.put(r)
		}
		return err
	})
	return answer(&l, err)
}

type sessions struct{ *handle }

func (h sessions) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	return h.mutate(ctx, []argument{node}, func(c registry.Instant) error {
		if err := h.heartbeat(node, c); err != nil {
			return err
		}
		for key := range h.held[node] {
			r := h.records[key]
			r.Expiry = max(r.Expiry, c.Add(h.cfg.TTL))
			h.records[key] = r
		}
		return nil
	})
}

type filtering struct{ *handle }

func (h filtering) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	p, found, err := h.handle.Lookup(ctx, actor)
	if found && p.Held() && h.clock.Now() >= p.Expiry {
		return registry.Placement{}, false, nil
	}
	return p, found, err
}
