package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl/memtest"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// amiss is a registry with a mistake that shows at an extreme: memimpl, with something
// between it and its handles.
type amiss struct {
	name  string
	id    string               // the case that convicts it
	rules []conformance.RuleID // for one of these
	make  func() between       // once a cluster
}

// between is how a cluster makes a call of one of its handles. below makes it on
// memimpl; handle tells the handles apart.
type between func(handle int, clock registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result

type amissBackend struct {
	memtest.Volatile
	amiss amiss
}

func (b amissBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := b.Volatile.New(cfg)
	return &amissCluster{Cluster: c, do: b.amiss.make()}, err
}

type amissCluster struct {
	conformance.Cluster
	do      between
	handles int
	mu      sync.Mutex // one call at a time, but for those that wait
}

func (c *amissCluster) Seed(nodes []registry.Node, records []registry.Placement) error {
	return c.Cluster.(conformance.Seeder).Seed(nodes, records)
}

func (c *amissCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.Cluster.Open(cfg, clock)
	if err != nil {
		return nil, err
	}
	c.handles++
	n := c.handles
	below := func(ctx context.Context, call op.Call) op.Result { return op.Do(ctx, h, &call) }
	return op.Handle(func(ctx context.Context, call op.Call) op.Result {
		if call.Kind != op.Watch {
			c.mu.Lock()
			defer c.mu.Unlock()
		}
		return c.do(n, clock, ctx, call, below)
	}, op.PowersOf(h)), nil
}

// polled is a right watch: it looks again and again.
func polled(_ int, _ registry.Clock, ctx context.Context, call op.Call, below func(context.Context, op.Call) op.Result) op.Result {
	if call.Kind != op.Watch {
		return below(ctx, call)
	}
	for {
		r := below(ctx, op.Call{Kind: op.Lookup, Actor: call.Actor})
		if r.Err != nil || r.Record.Version != call.Seen {
			return r
		}
		select {
		case <-ctx.Done():
			return op.Failed(ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// stateless is a between that every cluster can share.
func stateless(m between) func() between { return func() between { return m } }

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
		if slices.Contains(kinds, c.Kind) {
			now := below(ctx, op.Call{Kind: op.Lookup, Actor: c.Actor})
			if now.Found && now.Record.Held() && c.Token != 0 && same(uint64(c.Token), uint64(now.Record.Token)) {
				c.Token = now.Record.Token
				if c.Kind != op.Validate {
					c.Node = now.Record.Holder
				}
			}
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
// repeated after that is refused as by a stranger.
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

// storing has every reading of a clock go through what the store keeps of it.
type storingBackend struct {
	referenceBackend
	keep func(registry.Instant) registry.Instant
}

func (b storingBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := reference.NewStore(cfg)
	return storingCluster{referenceCluster{s}, b.keep}, err
}

type storingCluster struct {
	referenceCluster
	keep func(registry.Instant) registry.Instant
}

func (c storingCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return c.store.Open(cfg, keptClock{clock, c.keep})
}

type keptClock struct {
	registry.Clock
	keep func(registry.Instant) registry.Instant
}

func (k keptClock) Now() registry.Instant { return k.keep(k.Clock.Now()) }

func cut(n int) func(string) string {
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

var wrongExtremes = []amiss{
	{name: "tokens compared as text", id: "tokens", rules: []conformance.RuleID{conformance.NoStaleWrite}, make: comparing(asText, op.Validate)},
	{name: "tokens compared as text by release", id: "tokens", rules: []conformance.RuleID{"Release.fenced"}, make: comparing(asText, op.Release)},
	{name: "tokens compared by their low byte", id: "tokens", rules: []conformance.RuleID{conformance.NoStaleWrite, "Validate.not-held"}, make: comparing(low(8), op.Validate)},
	{name: "tokens of a renewal compared by seven bits", id: "tokens", rules: []conformance.RuleID{"Renew.fenced", "Renew.not-held"}, make: comparing(low(7), op.Renew)},
	{name: "tokens of 16 bits", id: "seeded-counters", rules: []conformance.RuleID{conformance.NoStaleWrite, "Validate.not-held"}, make: comparing(low(16), op.Validate)},
	{name: "tokens of 32 bits", id: "seeded-counters", rules: []conformance.RuleID{conformance.NoStaleWrite, "Validate.not-held"}, make: comparing(low(32), op.Validate)},
	{name: "tokens of 63 bits", id: "seeded-counters", rules: []conformance.RuleID{conformance.NoStaleWrite, "Validate.not-held"}, make: comparing(low(63), op.Validate)},
	{name: "tokens as floating point", id: "seeded-counters", rules: []conformance.RuleID{conformance.NoStaleWrite, "Validate.not-held"}, make: comparing(asFloat, op.Validate)},
	{name: "transfers compare tokens as floating point", id: "seeded-counters", rules: []conformance.RuleID{"Transfer.fenced", "Transfer.not-held"}, make: comparing(asFloat, op.Transfer)},
	{name: "epochs compared by their low byte", id: "epochs", rules: []conformance.RuleID{"Heartbeat.node-unknown", "Heartbeat.node-failed"}, make: forEpochs(low(8), op.Heartbeat)},
	{name: "epochs of a claim compared as text", id: "epochs", rules: []conformance.RuleID{"Claim.node-unknown", "Claim.node-failed"}, make: forEpochs(asText, op.Claim)},
	{name: "epochs of 32 bits", id: "seeded-counters", rules: []conformance.RuleID{"Heartbeat.node-unknown", "Heartbeat.node-failed"}, make: forEpochs(low(32), op.Heartbeat)},

	{name: "released records are collected after ten minutes", id: "silence", rules: []conformance.RuleID{conformance.RawLookup}, make: collecting(10*time.Minute, released, op.Lookup)},
	{name: "released records are collected after 30 days", id: "silence", rules: []conformance.RuleID{conformance.RawLookup}, make: collecting(30*24*time.Hour, released, op.Lookup)},
	{name: "lapsed records are collected after an hour", id: "silence", rules: []conformance.RuleID{conformance.RawLookup}, make: collecting(time.Hour, lapsedLong, op.Lookup)},
	{name: "nodes that are over are collected after a day", id: "silence", rules: []conformance.RuleID{"GetNode.answered"}, make: collecting(24*time.Hour, nodeOver, op.GetNode)},
	{name: "claim ids are forgotten after a day", id: "long-tenure", rules: []conformance.RuleID{"Claim.repeated"}, make: forgetting(0, 24*time.Hour)},
	{name: "claim ids are forgotten after an hour", id: "long-tenure", rules: []conformance.RuleID{"Claim.repeated"}, make: forgetting(0, time.Hour)},

	{name: "claim ids are forgotten after a thousand others", id: "many-actors", rules: []conformance.RuleID{"Claim.repeated"}, make: forgetting(1000, 0)},
	{name: "a cache of a thousand records", id: "many-actors", rules: []conformance.RuleID{conformance.RawLookup, conformance.VersionBump, conformance.TokenMonotonic}, make: caching(1000)},
	{name: "a cache of 128 records", id: "many-actors", rules: []conformance.RuleID{conformance.RawLookup, conformance.VersionBump, conformance.TokenMonotonic}, make: caching(128)},
	{name: "a listing of a thousand actors at most", id: "many-actors", rules: []conformance.RuleID{"ListActors.answered"}, make: short(op.ListActors, 1000)},
	{name: "a listing of a thousand nodes at most", id: "many-nodes", rules: []conformance.RuleID{"ListNodes.answered"}, make: short(op.ListNodes, 1000)},
	{name: "batches in parts of 100", id: "large-batches", rules: []conformance.RuleID{conformance.BatchAsSingle}, make: cutting(100)},
	{name: "batches in parts of 500", id: "large-batches", rules: []conformance.RuleID{conformance.BatchAsSingle}, make: cutting(500)},
	{name: "64 watches at most", id: "many-watches", rules: []conformance.RuleID{conformance.WatchWakes}, make: deaf(64)},

	{name: "actors without capitals", id: "alike-actors", make: folding(true, false, strings.ToLower)},
	{name: "actors released without capitals", id: "alike-actors", make: folding(true, false, strings.ToLower, op.Release)},
	{name: "actors validated without blanks at the end", id: "alike-actors", make: folding(true, false, blanks, op.Validate)},
	{name: "actors unescaped", id: "alike-actors", make: folding(true, false, unescaped)},
	{name: "a plus is a blank", id: "alike-actors", make: folding(true, false, plus)},
	{name: "actors cut at 64 bytes", id: "alike-actors", make: folding(true, false, cut(64))},
	{name: "actors cut at 128 bytes by transfers", id: "alike-actors", make: folding(true, false, cut(128), op.Transfer)},
	{name: "actors composed", id: "alike-actors", make: folding(true, false, composed, op.Claim)},
	{name: "actors that are numbers", id: "alike-actors", make: folding(true, false, digits, op.Lookup)},
	{name: "nodes without capitals", id: "alike-nodes", make: folding(false, true, strings.ToLower)},
	{name: "nodes that heartbeat without capitals", id: "alike-nodes", make: folding(false, true, strings.ToLower, op.Heartbeat)},
	{name: "nodes that leave without blanks at the end", id: "alike-nodes", make: folding(false, true, blanks, op.DeregisterNode)},
	{name: "nodes listed unescaped", id: "alike-nodes", make: folding(false, true, unescaped, op.ListActors)},
	{name: "nodes cut at 32 bytes", id: "alike-nodes", make: folding(false, true, cut(32), op.GetNode)},
	{name: "batches without capitals", id: "alike-waiters", make: folding(true, false, strings.ToLower, op.RenewBatch)},
	{name: "watches composed", id: "alike-waiters", make: folding(true, false, composed, op.Watch)},
}

// Each mistake is convicted by its case.
func TestExtremesConvict(t *testing.T) {
	for _, a := range wrongExtremes {
		t.Run(a.name, func(t *testing.T) {
			if large := strings.HasPrefix(a.id, "many-") || strings.HasPrefix(a.id, "large-"); large && testing.Short() {
				t.Skip("thousands of operations, and as many again to make the history small")
			}
			level := conformance.Default // of what is large or long
			if strings.HasPrefix(a.id, "alike-") {
				level = conformance.Quick
			}
			r := judgeOne(t, amissBackend{amiss: a}, "extremes/"+a.id, conformance.Level(level))
			require.Equal(t, conformance.Convicted, r.Verdict, r.Reason)
			if len(a.rules) > 0 {
				assert.Contains(t, a.rules, r.Conviction.Rule, "%s", r.Conviction)
			}
		})
	}
}

// What a store keeps of a time shows at the dates and at the roundings.
func TestTimesAreKept(t *testing.T) {
	whole := func(unit registry.Instant) func(registry.Instant) registry.Instant {
		return func(i registry.Instant) registry.Instant { return i / unit * unit }
	}
	for _, c := range []struct {
		name, id string
		keep     func(registry.Instant) registry.Instant
	}{
		{"in microseconds", "rounding", whole(1_000)},
		{"in milliseconds", "rounding", whole(1_000_000)},
		{"in units of 100 ns", "rounding", whole(100)},
		{"as floating point seconds", "rounding", func(i registry.Instant) registry.Instant { return registry.Instant(float64(i) / 1e9 * 1e9) }},
		{"in 32 bits of seconds", "dates", func(i registry.Instant) registry.Instant { return i%1e9 + registry.Instant(int32(i/1e9))*1e9 }},
		{"in unsigned 32 bits of seconds", "dates", func(i registry.Instant) registry.Instant { return i%1e9 + registry.Instant(uint32(i/1e9))*1e9 }},
		{"in 53 bits of microseconds", "dates", func(i registry.Instant) registry.Instant { return i % (1 << 53 * 1000) }},
	} {
		r := judgeOne(t, storingBackend{keep: c.keep}, "extremes/"+c.id)
		assert.Equal(t, conformance.Convicted, r.Verdict, c.name)
	}
}

// narrow is a right registry whose store has signed numbers: it says what it cannot hold.
type narrow struct{}

func (narrow) Name() string { return "narrow" }

func (b narrow) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := reference.NewStore(cfg)
	return narrowCluster{referenceCluster{s}}, err
}

type narrowCluster struct{ referenceCluster }

func (c narrowCluster) Seed(nodes []registry.Node, records []registry.Placement) error {
	for _, r := range records {
		if r.Version+8 >= 1<<63 {
			return errors.ErrUnsupported
		}
	}
	return c.referenceCluster.Seed(nodes, records)
}

// Right registries that are unusual pass: one whose numbers are signed, one that
// keeps no state of its own and polls, and those of this package.
func TestExtremesPass(t *testing.T) {
	section := conformance.OnlySections("extremes")
	innocent(t, narrow{}, section)
	r := innocent(t, amissBackend{amiss: amiss{make: stateless(polled)}}, section)
	assert.Zero(t, r.Count(conformance.Skipped))
}
