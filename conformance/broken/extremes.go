package broken

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes that show at an extreme: of a counter, of time, of size, of a name.
var extremes = slices.Concat(
	alike(
		Variant{
			Section: "extremes", Level: conformance.Default,
			Doc: "A counter is kept or compared in a form that is too short for it, or that orders it otherwise.",
		},
		Variant{
			ID: "M151", Slug: "tokens-compared-as-text",
			Case:   "tokens",
			Title:  "tokens compared as text",
			Breaks: rules(conformance.NoStaleWrite),
			bends:  serially(comparing(asText, op.Validate)),
		},
		Variant{
			ID: "M152", Slug: "tokens-compared-as-text-by-release",
			Case:   "tokens",
			Title:  "tokens compared as text by release",
			Breaks: rules("Release.fenced"),
			bends:  serially(comparing(asText, op.Release)),
		},
		Variant{
			ID: "M153", Slug: "tokens-compared-by-their-low-byte",
			Case:   "tokens",
			Title:  "tokens compared by their low byte",
			Breaks: rules(conformance.NoStaleWrite, "Validate.not-held"),
			bends:  serially(comparing(low(8), op.Validate)),
		},
		Variant{
			ID: "M154", Slug: "tokens-of-a-renewal-compared-by-seven-bits",
			Case:   "tokens",
			Title:  "tokens of a renewal compared by seven bits",
			Breaks: rules("Renew.fenced", "Renew.not-held"),
			bends:  serially(comparing(low(7), op.Renew)),
		},
		Variant{
			ID: "M155", Slug: "tokens-of-sixteen-bits",
			Case:   "seeded-counters",
			Title:  "tokens of 16 bits",
			Breaks: rules(conformance.NoStaleWrite, "Validate.not-held"),
			bends:  serially(comparing(low(16), op.Validate)),
		},
		Variant{
			ID: "M156", Slug: "tokens-of-thirty-two-bits",
			Case:   "seeded-counters",
			Title:  "tokens of 32 bits",
			Breaks: rules(conformance.NoStaleWrite, "Validate.not-held"),
			bends:  serially(comparing(low(32), op.Validate)),
		},
		Variant{
			ID: "M157", Slug: "tokens-of-sixty-three-bits",
			Case:   "seeded-counters",
			Title:  "tokens of 63 bits",
			Breaks: rules(conformance.NoStaleWrite, "Validate.not-held"),
			bends:  serially(comparing(low(63), op.Validate)),
		},
		Variant{
			ID: "M158", Slug: "tokens-as-floating-point",
			Case:   "seeded-counters",
			Title:  "tokens as floating point",
			Breaks: rules(conformance.NoStaleWrite, "Validate.not-held"),
			bends:  serially(comparing(asFloat, op.Validate)),
		},
		Variant{
			ID: "M159", Slug: "transfers-compare-tokens-as-floating-point",
			Case:   "seeded-counters",
			Title:  "transfers compare tokens as floating point",
			Breaks: rules("Transfer.fenced", "Transfer.not-held"),
			bends:  serially(comparing(asFloat, op.Transfer)),
		},
		Variant{
			ID: "M276", Slug: "batches-compare-tokens-as-floating-point",
			Case:   "seeded-counters",
			Title:  "batches compare tokens as floating point",
			Breaks: rules(conformance.BatchAsSingle),
			bends:  serially(comparing(asFloat, op.RenewBatch)),
		},
	),
	alike(
		Variant{
			Section: "extremes", Level: conformance.Default,
			Doc: "An epoch is kept or compared in a form that is too short for it, or that orders it otherwise.",
		},
		Variant{
			ID: "M160", Slug: "epochs-compared-by-their-low-byte",
			Case:   "epochs",
			Title:  "epochs compared by their low byte",
			Breaks: rules("Heartbeat.node-unknown", "Heartbeat.node-failed"),
			bends:  serially(forEpochs(low(8), op.Heartbeat)),
		},
		Variant{
			ID: "M161", Slug: "epochs-of-a-claim-compared-as-text",
			Case:   "epochs",
			Title:  "epochs of a claim compared as text",
			Breaks: rules("Claim.node-unknown", "Claim.node-failed"),
			bends:  serially(forEpochs(asText, op.Claim)),
		},
		Variant{
			ID: "M162", Slug: "epochs-of-thirty-two-bits",
			Case:   "seeded-counters",
			Title:  "epochs of 32 bits",
			Breaks: rules("Heartbeat.node-unknown", "Heartbeat.node-failed"),
			bends:  serially(forEpochs(low(32), op.Heartbeat)),
		},
	),
	alike(
		Variant{
			Section: "extremes", Case: "silence", Level: conformance.Default,
			Doc: "Contract, section 2: a record is never deleted. A collector runs only over what has been over for long.",
		},
		Variant{
			ID: "M163", Slug: "released-records-are-collected-after-ten-minutes",
			Title:  "released records are collected after ten minutes",
			Breaks: rules(conformance.RawLookup),
			bends:  serially(collecting(10*time.Minute, released, op.Lookup)),
		},
		Variant{
			ID: "M164", Slug: "released-records-are-collected-after-thirty-days",
			Title:  "released records are collected after 30 days",
			Breaks: rules(conformance.RawLookup),
			bends:  serially(collecting(30*24*time.Hour, released, op.Lookup)),
		},
		Variant{
			ID: "M165", Slug: "lapsed-records-are-collected-after-an-hour",
			Title:  "lapsed records are collected after an hour",
			Breaks: rules(conformance.RawLookup),
			bends:  serially(collecting(time.Hour, lapsedLong, op.Lookup)),
		},
		Variant{
			ID: "M166", Slug: "nodes-that-are-over-are-collected-after-a-day",
			Title:  "nodes that are over are collected after a day",
			Breaks: rules("GetNode.answered"),
			bends:  serially(collecting(24*time.Hour, nodeOver, op.GetNode)),
		},
	),
	alike(
		Variant{
			Section: "extremes", Level: conformance.Default,
			Doc:    "Contract, section 3, 2: a claim is repeated safely for as long as the tenure lasts. The ids of earlier requests are kept in a bounded cache.",
			Breaks: rules("Claim.repeated"),
		},
		Variant{
			ID: "M167", Slug: "claim-ids-are-forgotten-after-a-day",
			Case:  "long-tenure",
			Title: "claim ids are forgotten after a day",
			bends: serially(forgetting(0, 24*time.Hour)),
		},
		Variant{
			ID: "M168", Slug: "claim-ids-are-forgotten-after-an-hour",
			Case:  "long-tenure",
			Title: "claim ids are forgotten after an hour",
			bends: serially(forgetting(0, time.Hour)),
		},
		Variant{
			ID: "M169", Slug: "claim-ids-are-forgotten-after-a-thousand-others",
			Case:  "many-actors",
			Title: "claim ids are forgotten after a thousand others",
			bends: serially(forgetting(1000, 0)),
		},
	),
	[]Variant{
		{
			ID: "M170", Slug: "a-cache-of-a-thousand-records",
			Section: "extremes", Case: "many-actors",
			Title:  "a cache of a thousand records",
			Doc:    "A cache in front of the store is told of the writes for what it still holds, and something below it is not.",
			Breaks: rules(conformance.RawLookup, conformance.VersionBump, conformance.TokenMonotonic),
			Level:  conformance.Default,
			bends:  serially(caching(1000)),
		},
		{
			ID: "M171", Slug: "a-cache-of-small",
			Section: "extremes", Case: "many-actors",
			Title:  "a cache of 128 records",
			Doc:    "A cache in front of the store is told of the writes for what it still holds, and something below it is not.",
			Breaks: rules(conformance.RawLookup, conformance.VersionBump, conformance.TokenMonotonic),
			Level:  conformance.Default,
			bends:  serially(caching(128)),
		},
		{
			ID: "M172", Slug: "a-listing-of-a-thousand-actors-at-most",
			Section: "extremes", Case: "many-actors",
			Title:  "a listing of a thousand actors at most",
			Doc:    "A listing is read up to a fixed number of rows, and what follows is lost.",
			Breaks: rules("ListActors.answered"),
			Level:  conformance.Default,
			bends:  serially(short(op.ListActors, 1000)),
		},
		{
			ID: "M173", Slug: "a-listing-of-a-thousand-nodes-at-most",
			Section: "extremes", Case: "many-nodes",
			Title:  "a listing of a thousand nodes at most",
			Doc:    "A listing is read up to a fixed number of rows, and what follows is lost.",
			Breaks: rules("ListNodes.answered"),
			Level:  conformance.Default,
			bends:  serially(short(op.ListNodes, 1000)),
		},
		{
			ID: "M174", Slug: "batches-in-small-parts",
			Section: "extremes", Case: "large-batches",
			Title:  "batches in parts of 100",
			Doc:    "A bulk request is sent in parts, and the parts are put together wrongly.",
			Breaks: rules(conformance.BatchAsSingle),
			Level:  conformance.Default,
			bends:  serially(cutting(100)),
		},
		{
			ID: "M175", Slug: "batches-in-large-parts",
			Section: "extremes", Case: "large-batches",
			Title:  "batches in parts of 500",
			Doc:    "A bulk request is sent in parts, and the parts are put together wrongly.",
			Breaks: rules(conformance.BatchAsSingle),
			Level:  conformance.Default,
			bends:  serially(cutting(500)),
		},
		{
			ID: "M176", Slug: "few-watches-at-most",
			Section: "extremes", Case: "many-watches",
			Title:  "64 watches at most",
			Doc:    "A fixed number of waiters can be woken; the others wait for ever.",
			Breaks: rules(conformance.WatchWakes),
			Level:  conformance.Default,
			bends:  serially(deaf(64)),
		},
	},
	alike(
		Variant{
			Section: "extremes",
			Doc:     "Contract, section 1: names are compared as they are. On the way to the store they are folded, cut, decoded or trimmed.",
			Breaks:  anyOperation,
		},
		Variant{
			ID: "M177", Slug: "actors-without-capitals",
			Case:  "alike-actors",
			Title: "actors without capitals",
			bends: serially(folding(true, false, strings.ToLower)),
		},
		Variant{
			ID: "M178", Slug: "actors-released-without-capitals",
			Case:  "alike-actors",
			Title: "actors released without capitals",
			bends: serially(folding(true, false, strings.ToLower, op.Release)),
		},
		Variant{
			ID: "M179", Slug: "actors-validated-without-blanks-at-the-end",
			Case:  "alike-actors",
			Title: "actors validated without blanks at the end",
			bends: serially(folding(true, false, blanks, op.Validate)),
		},
		Variant{
			ID: "M279", Slug: "actors-without-a-colon-at-the-end",
			Case:  "alike-actors",
			Title: "actors without a colon at the end",
			bends: serially(folding(true, false, func(s string) string { return cmp.Or(strings.TrimSuffix(s, ":"), s) })),
		},
		Variant{
			ID: "M180", Slug: "actors-unescaped",
			Case:  "alike-actors",
			Title: "actors unescaped",
			bends: serially(folding(true, false, unescaped)),
		},
		Variant{
			ID: "M181", Slug: "a-plus-is-a-blank",
			Case:  "alike-actors",
			Title: "a plus is a blank",
			bends: serially(folding(true, false, plus)),
		},
		Variant{
			ID: "M182", Slug: "actors-cut-at-sixty-four-bytes",
			Case:  "alike-actors",
			Title: "actors cut at 64 bytes",
			bends: serially(folding(true, false, cutAt(64))),
		},
		Variant{
			ID: "M183", Slug: "actors-cut-at-a-hundred-and-twenty-eight-bytes-by-transfers",
			Case:  "alike-actors",
			Title: "actors cut at 128 bytes by transfers",
			bends: serially(folding(true, false, cutAt(128), op.Transfer)),
		},
		Variant{
			ID: "M184", Slug: "actors-composed",
			Case:  "alike-actors",
			Title: "actors composed",
			bends: serially(folding(true, false, composed, op.Claim)),
		},
		Variant{
			ID: "M185", Slug: "actors-that-are-numbers",
			Case:  "alike-actors",
			Title: "actors that are numbers",
			bends: serially(folding(true, false, digits, op.Lookup)),
		},
		Variant{
			ID: "M186", Slug: "nodes-without-capitals",
			Case:  "alike-nodes",
			Title: "nodes without capitals",
			bends: serially(folding(false, true, strings.ToLower)),
		},
		Variant{
			ID: "M187", Slug: "nodes-that-heartbeat-without-capitals",
			Case:  "alike-nodes",
			Title: "nodes that heartbeat without capitals",
			bends: serially(folding(false, true, strings.ToLower, op.Heartbeat)),
		},
		Variant{
			ID: "M188", Slug: "nodes-that-leave-without-blanks-at-the-end",
			Case:  "alike-nodes",
			Title: "nodes that leave without blanks at the end",
			bends: serially(folding(false, true, blanks, op.DeregisterNode)),
		},
		Variant{
			ID: "M189", Slug: "nodes-listed-unescaped",
			Case:  "alike-nodes",
			Title: "nodes listed unescaped",
			bends: serially(folding(false, true, unescaped, op.ListActors)),
		},
		Variant{
			ID: "M190", Slug: "nodes-cut-at-thirty-two-bytes",
			Case:  "alike-nodes",
			Title: "nodes cut at 32 bytes",
			bends: serially(folding(false, true, cutAt(32), op.GetNode)),
		},
		Variant{
			ID: "M191", Slug: "batches-without-capitals",
			Case:  "alike-waiters",
			Title: "batches without capitals",
			bends: serially(folding(true, false, strings.ToLower, op.RenewBatch)),
		},
		Variant{
			ID: "M192", Slug: "watches-composed",
			Case:  "alike-waiters",
			Title: "watches composed",
			bends: serially(folding(true, false, composed, op.Watch)),
		},
	),
	alike(
		Variant{
			Section: "extremes", Level: conformance.Default,
			Doc:    "What the store keeps of a time is less than the contract has: nanoseconds, in 64 bits.",
			Breaks: kept,
		},
		Variant{
			ID: "M193", Slug: "times-in-microseconds",
			Case:  "rounding",
			Title: "times are kept in microseconds",
			bends: keeping(whole(1_000)),
		},
		Variant{
			ID: "M194", Slug: "times-in-milliseconds",
			Case:  "rounding",
			Title: "times are kept in milliseconds",
			bends: keeping(whole(1_000_000)),
		},
		Variant{
			ID: "M195", Slug: "times-in-ticks",
			Case:  "rounding",
			Title: "times are kept in units of 100 ns",
			bends: keeping(whole(100)),
		},
		Variant{
			ID: "M196", Slug: "times-as-floating-point",
			Case:  "rounding",
			Title: "times are kept as floating point seconds",
			bends: keeping(func(i registry.Instant) registry.Instant { return registry.Instant(float64(i) / 1e9 * 1e9) }),
		},
		Variant{
			ID: "M197", Slug: "times-in-signed-seconds",
			Case:  "dates",
			Title: "times are kept in 32 bits of seconds",
			bends: keeping(func(i registry.Instant) registry.Instant { return i%1e9 + registry.Instant(int32(i/1e9))*1e9 }),
		},
		Variant{
			ID: "M198", Slug: "times-in-unsigned-seconds",
			Case:  "dates",
			Title: "times are kept in unsigned 32 bits of seconds",
			bends: keeping(func(i registry.Instant) registry.Instant { return i%1e9 + registry.Instant(uint32(i/1e9))*1e9 }),
		},
		Variant{
			ID: "M199", Slug: "times-in-fifty-three-bits",
			Case:  "dates",
			Title: "times are kept in 53 bits of microseconds",
			bends: keeping(func(i registry.Instant) registry.Instant { return i % (1 << 53 * 1000) }),
		},
	),
	[]Variant{
		{
			ID: "M200", Slug: "versions-in-a-byte",
			Section: "extremes", Case: "versions",
			Title:  "versions are kept in a byte",
			Doc:    "A counter is kept in a form that is too short for it.",
			Breaks: rules(conformance.VersionBump, conformance.RawLookup, "Renew.granted"),
			Level:  conformance.Default,
			bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				r := pass(ctx, h, c)
				if c.Kind != op.Watch {
					r.Record.Version = registry.Version(uint8(r.Record.Version))
				}
				return r
			}),
		},
		{
			ID: "M201", Slug: "names-concatenated",
			Section: "extremes", Case: "joined-names",
			Title:  "namespace and name are stored one after the other",
			Doc:    "Contract, section 1: the two parts of a name are two parts. \"a\" and \"bc\" are not \"ab\" and \"c\".",
			Breaks: anyOperation,
			bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				actor := c.Actor
				if c.Validate() == nil && actor != (registry.ActorID{}) {
					c.Actor = registry.ActorID{Namespace: "joined", Name: actor.Namespace + actor.Name}
				}
				r := pass(ctx, h, c)
				if r.Err == nil && r.Record != (registry.Placement{}) {
					r.Record.Actor = actor
				}
				return r
			}),
		},
		{
			ID: "M202", Slug: "zero-is-default",
			Section: "extremes", Case: "bounds",
			Title:  "a zero bound of the configuration is taken for one that was not given",
			Doc:    "Contract, section 1: Grace may be 0. In many configurations a zero stands for the default.",
			Breaks: rules("Claim.held", "Claim.granted", "Renew.lapsed", "Renew.granted", conformance.GraceRespected, conformance.ConfigMatches),
			bends: func(c *cluster) {
				if c.match = func(registry.Config, registry.Config) error { return nil }; c.cfg.Grace == 0 {
					c.cfg.Grace = c.cfg.TTL / 4
				}
			},
		},
	},
)

// anyOperation are the rules that are broken when calls are taken for others: that
// of any operation, whichever is met first.
var anyOperation = func() (ids []conformance.RuleID) {
	for _, r := range conformance.Rules() {
		if strings.HasPrefix(r.Section, "1") || strings.HasPrefix(r.Section, "3") || strings.HasPrefix(r.Section, "4") {
			ids = append(ids, r.ID)
		}
	}
	return ids
}()

// kept are the rules that are seen broken when a time is not kept as it was.
var kept = rules(conformance.RawLookup, "Claim.granted", "Transfer.granted", "Renew.granted", "RegisterNode.granted", "GetNode.answered", conformance.SingleActivation, conformance.GraceRespected)

// keeping has every reading of a clock go through what the store keeps of it.
func keeping(keep func(registry.Instant) registry.Instant) bend {
	return func(c *cluster) { c.time = func(clock registry.Clock) registry.Clock { return keptClock{clock, keep} } }
}

func whole(unit registry.Instant) func(registry.Instant) registry.Instant {
	return func(i registry.Instant) registry.Instant { return i / unit * unit }
}

// folding has actors' or nodes' names pass through fold in some operations: two
// names that it makes one are one there.
func folding(actors, nodes bool, fold func(string) string, kinds ...op.Kind) func() between {
	return stateless(func(_ int, _ registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result {
		if len(kinds) > 0 && !slices.Contains(kinds, c.Kind) || c.Validate() != nil {
			return below(ctx, c)
		}
		asked := c
		if actors {
			c.Actor = registry.ActorID{Namespace: fold(c.Actor.Namespace), Name: fold(c.Actor.Name)}
			c.Leases = slices.Clone(c.Leases)
			for i, l := range c.Leases {
				c.Leases[i].Actor = registry.ActorID{Namespace: fold(l.Actor.Namespace), Name: fold(l.Actor.Name)}
			}
		}
		if nodes {
			c.Node.ID = registry.NodeID(fold(string(c.Node.ID)))
		}
		if c.Validate() != nil {
			return below(ctx, asked)
		}
		r := below(ctx, c)
		if actors && r.Record.Actor == c.Actor {
			r.Record.Actor = asked.Actor
		}
		for i := range r.Renewals {
			if i < len(asked.Leases) && r.Renewals[i].Record.Actor == c.Leases[i].Actor {
				r.Renewals[i].Record.Actor = asked.Leases[i].Actor
			}
		}
		if nodes && r.Node.Ref.ID == c.Node.ID {
			r.Node.Ref.ID = asked.Node.ID
		}
		return r
	})
}

// comparing accepts a token that same takes for the current one, where it is presented.
func comparing(same func(presented, current uint64) bool, kinds ...op.Kind) func() between {
	return stateless(func(_ int, _ registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result {
		compare := func(a registry.ActorID, token *registry.Token, holder *registry.NodeRef) {
			now := below(ctx, op.Call{Kind: op.Lookup, Actor: a})
			if now.Found && now.Record.Held() && *token != 0 && same(uint64(*token), uint64(now.Record.Token)) {
				*token, *holder = now.Record.Token, now.Record.Holder
			}
		}
		switch holder := c.Node; {
		case !slices.Contains(kinds, c.Kind):
		case c.Kind == op.RenewBatch:
			c.Leases = slices.Clone(c.Leases)
			for i := range c.Leases {
				compare(c.Leases[i].Actor, &c.Leases[i].Token, &c.Leases[i].Holder)
			}
		case c.Kind == op.Validate:
			compare(c.Actor, &c.Token, &holder)
		default:
			compare(c.Actor, &c.Token, &c.Node)
		}
		return below(ctx, c)
	})
}

// forEpochs is comparing for epochs.
func forEpochs(same func(presented, current uint64) bool, kinds ...op.Kind) func() between {
	return stateless(func(_ int, _ registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result {
		if slices.Contains(kinds, c.Kind) && c.Node.Validate() == nil {
			now := below(ctx, op.Call{Kind: op.GetNode, Node: registry.NodeRef{ID: c.Node.ID}})
			if now.Found && same(uint64(c.Node.Epoch), uint64(now.Node.Ref.Epoch)) {
				c.Node.Epoch = now.Node.Ref.Epoch
			}
		}
		return below(ctx, c)
	})
}

func low(bits uint) func(p, c uint64) bool {
	return func(p, c uint64) bool { return p&(1<<bits-1) == c&(1<<bits-1) }
}

func asText(p, c uint64) bool { return p != c && fmt.Sprint(p) > fmt.Sprint(c) && p < c }

func asFloat(p, c uint64) bool { return float64(p) == float64(c) }

// collecting hides what has been over for so long that somebody collects it.
func collecting(after time.Duration, over func(clock registry.Instant, r op.Result, after time.Duration) bool, kind op.Kind) func() between {
	return stateless(func(_ int, clock registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result {
		r := below(ctx, c)
		if c.Kind == kind && r.Found && over(clock.Now(), r, after) {
			return op.Result{Outcome: op.OK}
		}
		return r
	})
}

func released(now registry.Instant, r op.Result, after time.Duration) bool {
	return !r.Record.Held() && now.Sub(r.Record.Expiry) > after
}

func lapsedLong(now registry.Instant, r op.Result, after time.Duration) bool {
	return r.Record.Held() && now.Sub(r.Record.Expiry) > after
}

func nodeOver(now registry.Instant, r op.Result, after time.Duration) bool {
	return r.Node.Status != registry.NodeActive && now.Sub(r.Node.LastSeen) > after
}

// forgetting forgets the claim ids of all but the last few claims: a claim that is
// repeated after that is refused as one by a node that never held the actor.
func forgetting(entries int, after time.Duration) func() between {
	return func() between {
		var ids []registry.ClaimID
		at := map[registry.ClaimID]registry.Instant{}
		return func(_ int, clock registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result {
			if c.Kind != op.Claim {
				return below(ctx, c)
			}
			if first, known := at[c.ClaimID]; known {
				evicted := entries > 0 && !slices.Contains(ids[max(0, len(ids)-entries):], c.ClaimID)
				if evicted || after > 0 && clock.Now().Sub(first) > after {
					c.ClaimID[15] ^= 0xff
				}
			} else {
				at[c.ClaimID], ids = clock.Now(), append(ids, c.ClaimID)
			}
			return below(ctx, c)
		}
	}
}

// caching reads records through a cache of some entries for each handle. It is right
// as long as nothing is evicted: every write goes to all caches. What is read again
// after it was evicted is what it was when it was read first.
func caching(entries int) func() between {
	return func() between {
		kept, order := map[int]map[registry.ActorID]op.Result{}, map[int][]registry.ActorID{}
		return func(handle int, _ registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result {
			if c.Kind != op.Lookup || ctx.Err() != nil {
				return below(ctx, c)
			}
			r := below(ctx, c)
			if r.Err != nil {
				return r
			}
			if kept[handle] == nil {
				kept[handle] = map[registry.ActorID]op.Result{}
			}
			if i := slices.Index(order[handle], c.Actor); i >= 0 && len(order[handle])-i > entries {
				return kept[handle][c.Actor] // from the level below, which nobody told of the writes
			}
			if _, known := kept[handle][c.Actor]; !known && r.Found {
				kept[handle][c.Actor], order[handle] = r, append(order[handle], c.Actor)
			}
			return r
		}
	}
}

// short loses rows of a listing beyond a number.
func short(kind op.Kind, rows int) func() between {
	return func() between {
		given := map[int]int{}
		return func(handle int, _ registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result {
			r := below(ctx, c)
			if c.Kind != kind || r.Err != nil {
				return r
			}
			if c.Page.After == "" {
				given[handle] = 0
			}
			if given[handle] += len(r.Actors) + len(r.Nodes); given[handle] >= rows {
				r.Next = ""
			}
			return r
		}
	}
}

// cutting carries a batch out in parts, and answers for a part as for its first lease.
func cutting(part int) func() between {
	return stateless(func(_ int, _ registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result {
		r := below(ctx, c)
		for i := part; c.Kind == op.RenewBatch && i < len(r.Renewals); i += part {
			if r.Renewals[i-1].Err != nil { // the error of a part's last lease sticks
				r.Renewals[i] = r.Renewals[i-1]
			}
		}
		return r
	})
}

// deaf wakes no more than a number of watches at the same time.
func deaf(most int) func() between {
	return func() between {
		var mu sync.Mutex
		waiting := 0
		return func(_ int, _ registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result {
			if c.Kind != op.Watch || c.Validate() != nil {
				return below(ctx, c)
			}
			mu.Lock()
			waiting++
			lost := waiting > most
			mu.Unlock()
			defer func() {
				mu.Lock()
				waiting--
				mu.Unlock()
			}()
			if now := below(ctx, op.Call{Kind: op.Lookup, Actor: c.Actor}); lost && now.Record.Version == c.Seen && ctx.Err() == nil {
				<-ctx.Done()
				return op.Failed(ctx.Err())
			}
			return below(ctx, c)
		}
	}
}

type keptClock struct {
	registry.Clock
	keep func(registry.Instant) registry.Instant
}

func (k keptClock) Now() registry.Instant { return k.keep(k.Clock.Now()) }

func cutAt(n int) func(string) string {
	return func(s string) string {
		if len(s) > n {
			return strings.ToValidUTF8(s[:n], "")
		}
		return s
	}
}

func unescaped(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// blanks is what a column of fixed width does to the end of a text.
func blanks(s string) string {
	if t := strings.TrimRight(s, " "); t != "" {
		return t
	}
	return s
}

func digits(s string) string {
	if t := strings.TrimLeft(s, "0"); t != "" && t[0] >= '0' && t[0] <= '9' {
		return t
	}
	return s
}

func composed(s string) string {
	return strings.NewReplacer("e\u0301", "\u00e9", "A\u030a", "\u00c5", "\u212b", "\u00c5").Replace(s)
}

func plus(s string) string { return strings.ReplaceAll(s, "+", " ") }
