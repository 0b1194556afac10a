package trace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/op"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var config = registry.Config{
	TTL: time.Second, Grace: 200 * time.Millisecond, MaxClockSkew: 50 * time.Millisecond, FailureTimeout: 500 * time.Millisecond,
}

var actors = []registry.ActorID{{Namespace: "shop", Name: "cart"}, {Namespace: "shop", Name: "stock"}}

// client drives one node of a real backend through the recorder.
type client struct {
	id     registry.NodeID
	h      registry.Handle
	clock  *registry.SkewedClock
	self   registry.NodeRef
	leases map[registry.ActorID]registry.Lease
	rng    *rand.Rand
}

// act makes one operation, chosen at random among those the node could make;
// errors are part of the history.
func (c *client) act(t testing.TB, peers []*client) {
	ctx := context.Background()
	a := actors[c.rng.IntN(len(actors))]
	l, held := c.leases[a]
	skew := config.MaxClockSkew
	c.clock.SetOffset((time.Duration(c.rng.Int64N(int64(2*skew+1))) - skew).Round(time.Millisecond))
	switch n := c.rng.IntN(12); {
	case c.self.IsZero() || n == 0:
		if node, err := c.h.RegisterNode(ctx, c.id, registry.NodeInfo{}, registry.Supersede); err == nil {
			c.self = node.Ref
		}
	case n < 5:
		id := registry.ClaimID{15: byte(1 + c.rng.IntN(3))}
		if l, err := c.h.Claim(ctx, a, c.self, id); err == nil {
			c.leases[a] = l
		}
	case n < 7 && held:
		_, _ = c.h.Renew(ctx, l)
	case n == 7 && held:
		_ = c.h.Release(ctx, l)
	case n == 8 && held:
		_, _ = c.h.Transfer(ctx, l, registry.NodeRef{ID: peers[c.rng.IntN(len(peers))].id, Epoch: 1})
	case n == 9:
		_ = c.h.Heartbeat(ctx, c.self)
	case n == 10:
		_ = c.h.MarkFailed(ctx, registry.NodeRef{ID: peers[c.rng.IntN(len(peers))].id, Epoch: 1})
	default:
		_, _, err := c.h.Lookup(ctx, a)
		assert.NoError(t, err)
		_ = c.h.Validate(ctx, a, max(1, l.Token))
	}
}

// record runs n operations on each of three nodes of the in-memory registry,
// all nodes at once when concurrent, and returns what the recorder saw.
func record(t testing.TB, seed uint64, n int, concurrent bool) history.History {
	store, err := memimpl.New(config)
	require.NoError(t, err)
	rec := history.NewRecorder(config)
	base := registry.NewManualClock(registry.InstantOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
	var clients []*client
	for i := range 3 {
		id := registry.NodeID(fmt.Sprint("node-", i))
		skewed := registry.NewSkewedClock(base, 0)
		h, err := store.Open(config, rec.Clock(string(id), skewed))
		require.NoError(t, err)
		clients = append(clients, &client{
			id: id, h: rec.Wrap(string(id), h), clock: skewed, leases: map[registry.ActorID]registry.Lease{},
			rng: rand.New(rand.NewPCG(seed, uint64(i))),
		})
	}
	pace := rand.New(rand.NewPCG(seed, 99))
	for range n {
		var wg sync.WaitGroup
		for _, c := range clients {
			if concurrent {
				wg.Go(func() { c.act(t, clients) })
			} else {
				c.act(t, clients)
			}
		}
		wg.Wait()
		base.Advance(time.Duration(pace.IntN(400)) * time.Millisecond)
	}
	return rec.History()
}

// findTLC skips what needs TLC where there is none, and in short mode.
func findTLC(t *testing.T) tlc.Tool {
	if testing.Short() {
		t.Skip("not checked with TLC: short mode")
	}
	tool, err := tlc.Find(context.Background())
	if errors.Is(err, tlc.ErrNoTLC) {
		t.Skip("not checked with TLC: ", err)
	}
	require.NoError(t, err)
	return tool
}

// What a right registry answered is a behaviour of the specification, in the
// order found, whether the nodes took turns or not.
func TestRealRunsAreBehaviours(t *testing.T) {
	for seed := range uint64(20) {
		for _, concurrent := range []bool{false, true} {
			h := record(t, seed, 15, concurrent)
			tr, err := Linearize(h)
			require.NoError(t, err)
			require.NoError(t, tr.Check(), "seed %d concurrent %v", seed, concurrent)
			require.GreaterOrEqual(t, len(tr.Events), 45, "operations with an answer all take part")
		}
	}
}

// TLC accepts the same sequence as steps of Registry.
func TestTLCAcceptsRealRun(t *testing.T) {
	tool := findTLC(t)
	tr, err := Linearize(record(t, 1, 40, true))
	require.NoError(t, err)
	started := time.Now()
	require.NoError(t, tr.CheckTLC(context.Background(), tool))
	t.Logf("%d events in %v", len(tr.Events), time.Since(started).Round(time.Millisecond))
}

// corrupt changes the answer of the first operation from `from` on that ok likes.
func corrupt(t *testing.T, h history.History, from int, kind op.Kind, change func(*history.Op)) (history.History, int) {
	for i := from; i < len(h.Ops); i++ {
		if h.Ops[i].Call.Kind == kind && h.Ops[i].Result.Outcome == op.OK {
			change(&h.Ops[i])
			return h, h.Ops[i].ID
		}
	}
	require.Fail(t, "nothing to corrupt")
	return h, 0
}

var corruptions = []struct {
	name     string
	kind     op.Kind
	change   func(*history.Op)
	possible string
}{
	{"a claim answered with a token too high (contract 3, Claim)", op.Claim,
		func(o *history.Op) { o.Result.Record.Token++ }, "answered: held by"},
	{"a renewal that adds nothing to the version (contract 4.5)", op.Renew,
		func(o *history.Op) { o.Result.Record.Version-- }, "answered: held by"},
	{"a lookup that finds nothing", op.Lookup,
		func(o *history.Op) { o.Result = op.Result{Outcome: op.OK} }, "answered: held by"},
	{"a validation refused (contract 3, Validate)", op.Validate,
		func(o *history.Op) { o.Result = op.Failed(registry.ErrFenced) }, "answered: done"},
}

func corrupted(t *testing.T, kind op.Kind, change func(*history.Op)) (Trace, int) {
	h, id := corrupt(t, record(t, 4, 20, false), 20, kind, change)
	tr, err := Linearize(h)
	require.NoError(t, err)
	return tr, id
}

// A corrupted trace is rejected at the corrupted step.
func TestCorruptedTraceIsRejectedAtTheStep(t *testing.T) {
	for _, c := range corruptions {
		t.Run(c.name, func(t *testing.T) {
			tr, id := corrupted(t, c.kind, c.change)
			var r *Rejection
			require.ErrorAs(t, tr.Check(), &r)
			assert.Equal(t, id, tr.Events[r.Step-1].Op.ID)
			assert.Contains(t, r.Event, fmt.Sprintf("op %d by ", id))
			assert.Contains(t, r.Possible, c.possible)
			t.Log(r)
		})
	}
}

// TLC rejects it at the same step with the same words.
func TestTLCRejectsCorruptedTraceAtTheSameStep(t *testing.T) {
	tool := findTLC(t)
	for _, c := range corruptions {
		t.Run(c.name, func(t *testing.T) {
			tr, _ := corrupted(t, c.kind, c.change)
			want := tr.Check()
			require.Error(t, want)
			assert.Equal(t, want, tr.CheckTLC(context.Background(), tool))
		})
	}
}

// lost is three registrations, a claim whose answer was lost, and a lookup that
// shows whether it took effect.
func lost(t *testing.T, applied bool) Trace {
	h := record(t, 4, 1, false)
	now := h.Ops[0].Clock.Seen
	claim := history.Op{
		Client: "node-0", Clock: history.Seen(now...), Result: op.Failed(op.Open.Err("lost")),
		Call: op.Call{Kind: op.Claim, Actor: actors[0], Node: registry.NodeRef{ID: "node-0", Epoch: 1}, ClaimID: registry.ClaimID{1}},
	}
	look := history.Op{
		Client: "node-1", Clock: history.Seen(now...), Result: op.Result{Outcome: op.OK},
		Call: op.Call{Kind: op.Lookup, Actor: actors[0]},
	}
	if applied {
		look.Result.Found = true
		look.Result.Record = registry.Placement{
			Actor: actors[0], Holder: claim.Call.Node, Token: 1, Version: 1, Expiry: now[0].Add(config.TTL), ClaimID: claim.Call.ClaimID,
		}
	}
	for _, o := range []history.Op{claim, look} {
		o.ID = len(h.Ops)
		o.Invoked = h.Ops[len(h.Ops)-1].Returned + 1
		o.Returned = o.Invoked + 1
		h.Ops = append(h.Ops, o)
	}
	tr, err := Linearize(h)
	require.NoError(t, err)
	return tr
}

// A lost answer is explained by the effect where later answers show it, and by
// nothing where they do not.
func TestLostAnswers(t *testing.T) {
	applied := lost(t, true)
	require.NoError(t, applied.Check())
	require.Len(t, applied.Events, 5)
	assert.False(t, applied.Events[3].Answered)
	never := lost(t, false)
	require.NoError(t, never.Check())
	assert.Len(t, never.Events, 4)
}

func TestTLCAcceptsLostAnswer(t *testing.T) {
	require.NoError(t, lost(t, true).CheckTLC(context.Background(), findTLC(t)))
}

// Nothing to check is not a pass, neither here nor for TLC.
func TestEmptyTraceIsRefused(t *testing.T) {
	_, err := Linearize(history.History{Config: config})
	require.ErrorIs(t, err, ErrEmpty)
	require.ErrorIs(t, Trace{Config: config}.CheckTLC(context.Background(), tlc.Tool{}), ErrEmpty)
}

// A search that was given up is no verdict, right or wrong.
func TestUndecidedIsNoVerdict(t *testing.T) {
	_, err := linearize(record(t, 4, 3, true), -5)
	assert.ErrorIs(t, err, ErrUndecided)
}

// A reading that nobody knows cannot be replayed, and is not guessed.
func TestInexactReadingIsRefused(t *testing.T) {
	h := record(t, 4, 1, false)
	h.Ops[0].Clock = history.AnyReading()
	_, err := Linearize(h)
	require.ErrorIs(t, err, ErrInexact)
	assert.ErrorContains(t, err, "op 0 (RegisterNode by node-0)")
}

// beats is a registration and heartbeats, each so much later than the one before.
func beats(t *testing.T, n int, apart time.Duration) Trace {
	store, err := memimpl.New(config)
	require.NoError(t, err)
	rec := history.NewRecorder(config)
	base := registry.NewManualClock(registry.InstantOf(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)))
	opened, err := store.Open(config, rec.Clock("n", base))
	require.NoError(t, err)
	h := rec.Wrap("n", opened)
	node, err := h.RegisterNode(t.Context(), "n", registry.NodeInfo{}, registry.Supersede)
	require.NoError(t, err)
	for range n {
		base.Advance(apart)
		require.NoError(t, h.Heartbeat(t.Context(), node.Ref))
	}
	tr := Trace{Config: config}
	for _, o := range rec.History().Ops {
		tr.Events = append(tr.Events, Event{Op: o, Now: o.Clock.Seen[0], Answered: true})
	}
	return tr
}

// Clocks that count nanoseconds for hours fit TLC's 32-bit numbers.
func TestTLCAcceptsNanosecondsOfHours(t *testing.T) {
	tr := beats(t, 300, time.Minute+7)
	require.NoError(t, tr.CheckTLC(context.Background(), findTLC(t)))
}

// Instants that they cannot hold are refused, not rounded.
func TestTooFineForTLC(t *testing.T) {
	tr := beats(t, 4000, 3*time.Second+1)
	assert.ErrorIs(t, tr.CheckTLC(context.Background(), tlc.Tool{}), ErrTooFine)
}

// A specification that takes a wrong registry for right is found out by its safety
// properties: every step is a step, and the tokens do not grow.
func TestTLCChecksSafetyAlongTheTrace(t *testing.T) {
	tool := findTLC(t)
	tr := lost(t, true)
	release := tr.Events[3]
	release.Op.Call = op.OnLease(op.Release, tr.Events[4].Op.Result.Lease())
	release.Op.Result, release.Answered = op.Result{Outcome: op.OK}, true
	again := tr.Events[3]
	again.Op.Call.ClaimID, again.Op.Call.Node = registry.ClaimID{2}, registry.NodeRef{ID: "node-1", Epoch: 1}
	again.Op.Result, again.Answered = op.Result{Outcome: op.OK, Record: tr.Events[4].Op.Result.Record}, true
	again.Op.Result.Record.ClaimID, again.Op.Result.Record.Holder, again.Op.Result.Record.Version = again.Op.Call.ClaimID, again.Op.Call.Node, 3
	tr.Events = append(tr.Events, release, again)

	var rejected *Rejection
	require.ErrorAs(t, tr.CheckTLC(t.Context(), tool), &rejected)
	assert.Equal(t, 7, rejected.Step)

	dir := t.TempDir()
	cfg, err := tr.lay(dir)
	require.NoError(t, err)
	file := filepath.Join(dir, "Registry.tla")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	const grant, wrong = "token |-> r.token + 1", "token |-> 1"
	require.Contains(t, string(text), grant)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), grant, wrong, 1)), 0o644))
	var breach *Breach
	require.ErrorAs(t, tr.run(t.Context(), tool, dir, cfg), &breach)
	assert.Equal(t, "TokenMonotonic", breach.Property)
	assert.Equal(t, 7, breach.Step)
	t.Log(breach)
}

// refusalWith returns a recorded run in which the detail of some refusal is changed.
func refusalWith(t *testing.T, change func(*op.Result) bool) (Trace, int) {
	h := record(t, 4, 40, false)
	for i := range h.Ops {
		if r := h.Ops[i].Result; r.Outcome == op.Refused && change(&r) {
			h.Ops[i].Result = r
			tr, err := Linearize(h)
			require.NoError(t, err)
			return tr, h.Ops[i].ID
		}
	}
	require.Fail(t, "no refusal has such a detail")
	return Trace{}, 0
}

var falseDetails = []struct {
	name   string
	change func(*op.Result) bool
}{
	{"the holder", func(r *op.Result) bool { r.Record.Holder.Epoch++; return r.Record.Held() && r.Record.Version > 0 }},
	{"the token", func(r *op.Result) bool { r.Record.Token++; return r.Record.Version > 0 }},
	{"the version", func(r *op.Result) bool { r.Record.Version++; return r.Record.Version > 1 }},
	{"the expiry", func(r *op.Result) bool { r.Record.Expiry++; return r.Record.Version > 0 }},
	{"a record where there is none", func(r *op.Result) bool {
		before := r.Record
		r.Record = registry.Placement{Actor: actors[0], Holder: registry.NodeRef{ID: "node-0", Epoch: 1}, Token: 1, Version: 1}
		return before.Version == 0
	}},
	{"the status", func(r *op.Result) bool { r.Node.Status++; return !r.Node.Ref.IsZero() }},
	{"the last-seen time", func(r *op.Result) bool { r.Node.LastSeen--; return !r.Node.Ref.IsZero() }},
}

// Section 3: a refusal's details are true or absent. A false one is rejected at its step ...
func TestFalseDetailsAreRejected(t *testing.T) {
	for _, c := range falseDetails {
		t.Run(c.name, func(t *testing.T) {
			tr, id := refusalWith(t, c.change)
			var r *Rejection
			require.ErrorAs(t, tr.Check(), &r)
			assert.Equal(t, id, tr.Events[r.Step-1].Op.ID)
			assert.Contains(t, r.Event, "refused: ")
			assert.NotEqual(t, r.Event[strings.Index(r.Event, "refused: "):], r.Possible)
		})
	}
}

// ... by TLC likewise, with the same words; and an absent one is accepted by both.
func TestTLCRejectsFalseDetails(t *testing.T) {
	tool := findTLC(t)
	for _, c := range falseDetails {
		t.Run(c.name, func(t *testing.T) {
			tr, _ := refusalWith(t, c.change)
			assert.Equal(t, tr.Check(), tr.CheckTLC(context.Background(), tool))
		})
	}
	tr, _ := refusalWith(t, func(r *op.Result) bool {
		told := r.Record.Version > 0
		r.Record, r.Node = registry.Placement{}, registry.Node{}
		return told
	})
	require.NoError(t, tr.Check())
	require.NoError(t, tr.CheckTLC(context.Background(), tool))
}

// The order of a long history of which each operation has its place at the first try.
func BenchmarkLinearize(b *testing.B) {
	h := record(b, 5, 1000, true)
	b.ResetTimer()
	for b.Loop() {
		_, err := Linearize(h)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(len(h.Ops)), "operations")
}
