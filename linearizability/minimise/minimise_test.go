package minimise

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
	"github.com/kelpie-registry/registry/op"
)

// What is left fails, and fails no more without any one of its items.
func TestReduce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		items := make([]int, n)
		for i := range items {
			items[i] = i
		}
		needed := rapid.SliceOfDistinct(rapid.IntRange(0, n-1), func(i int) int { return i }).Draw(t, "needed")
		fails := func(part []int) bool {
			return !slices.ContainsFunc(needed, func(i int) bool { return !slices.Contains(part, i) })
		}
		got := Reduce(items, fails)
		slices.Sort(needed)
		require.Equal(t, len(needed), len(got))
		require.True(t, slices.Equal(needed, got))
	})
}

// A failure that shows in a third of the tries is reduced as well.
func TestStubborn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tries := 0
	flaky := Stubborn(40, func(part []int) bool {
		tries++
		return slices.Contains(part, 17) && slices.Contains(part, 31) && rng.IntN(3) == 0
	})
	items := make([]int, 50)
	for i := range items {
		items[i] = i
	}
	require.Equal(t, []int{17, 31}, Reduce(items, flaky))
	require.Less(t, tries, 40*30)
	never := Stubborn(5, func(int) bool { tries++; return false })
	tries = 0
	require.False(t, never(1))
	require.Equal(t, 5, tries)
}

// A long history with one wrong answer becomes a short one that is convicted
// of the same, and is right without that answer.
func TestMinimise(t *testing.T) {
	for seed := range uint64(12) {
		h := simulate.Simulation{Choose: simulate.Seeded(seed), Clients: 5, Actors: 4, Steps: 400, Quiet: seed%2 == 0}.History()
		i := slices.IndexFunc(h.Ops, func(o history.Op) bool { return o.Call.Kind == op.Lookup && o.Result.Record.Version > 2 })
		if i < 0 {
			continue
		}
		h.Ops[i].Result.Record.Version -= 2
		res := linearizability.Check(h, linearizability.Options{})
		require.Equal(t, linearizability.Illegal, res.Verdict)
		v := res.Violations[0]
		convicted := h.Ops[v.Op].Invoked
		small := History(h, v, linearizability.Options{})
		again := linearizability.Check(small, linearizability.Options{})
		require.Equal(t, linearizability.Illegal, again.Verdict)
		require.Equal(t, v.Rule, again.Violations[0].Rule)
		require.Equal(t, v.Guard, again.Violations[0].Guard)
		require.Less(t, len(small.Ops), len(h.Ops)/2, "seed %d", seed)
		actors := map[registry.ActorID]bool{}
		for _, o := range small.Ops {
			if o.Call.Actor != (registry.ActorID{}) {
				actors[o.Call.Actor] = true
			}
		}
		require.Len(t, actors, 1)
		require.Equal(t, convicted, small.Ops[again.Violations[0].Op].Invoked, "seed %d", seed)
		rest := slices.DeleteFunc(slices.Clone(small.Ops), func(o history.Op) bool { return o.ID == again.Violations[0].Op })
		require.Equal(t, linearizability.OK, linearizability.Check(small.With(rest), linearizability.Options{}).Verdict, "seed %d: %+v", seed, v)
	}
}

// staleLookup is a long history of one actor and many clients, whose last lookup
// shows a record of long before.
func staleLookup(ops int) history.History {
	h := simulate.Simulation{Choose: simulate.Seeded(uint64(ops)), Clients: 32, Actors: 1, Steps: 3 * ops, Quiet: true}.History()
	i := len(h.Ops) - 1
	for h.Ops[i].Call.Kind != op.Lookup || h.Ops[i].Result.Outcome != op.OK {
		i--
	}
	for j := i / 2; ; j++ {
		if o := &h.Ops[j]; o.Call.Kind == op.Claim && o.Result.Outcome == op.OK {
			h.Ops[i].Result.Record = o.Result.Record
			return h
		}
	}
}

// A call that suffered a fault stays in the story, and the story says so under the names
// that it has there: a node gave up its actor when its heartbeat was not answered.
func TestSufferingStaysInTheStory(t *testing.T) {
	var (
		actor = registry.ActorID{Namespace: "x", Name: "mine"}
		node  = registry.NodeRef{ID: "other", Epoch: 1}
		found = registry.Placement{Actor: actor, Holder: node, Token: 1, Version: 1, Expiry: registry.Instant(30 * time.Second), ClaimID: registry.ClaimID{7}}
	)
	lost := found
	lost.Holder, lost.Version = registry.NodeRef{}, 2
	heartbeat := op.Call{Kind: op.Heartbeat, Node: node}
	h := history.History{Config: registry.DefaultConfig(), Meta: map[string]string{}}
	add := func(client string, c op.Call, a op.Result) {
		at := int64(10 * (len(h.Ops) + 1))
		h.Ops = append(h.Ops, history.Op{ID: len(h.Ops), Client: client, Call: c, Result: a, Invoked: at, Returned: at + 9, Clock: history.Seen(0)})
	}
	add("c7", op.Call{Kind: op.RegisterNode, Node: registry.NodeRef{ID: node.ID}}, op.Result{Outcome: op.OK, Node: registry.Node{Ref: node, Status: registry.NodeActive}})
	add("c7", op.Call{Kind: op.Claim, Actor: actor, Node: node, ClaimID: found.ClaimID}, op.Result{Outcome: op.OK, Record: found})
	add("c7", heartbeat, op.Failed(registry.ErrUnavailable))
	add("c3", heartbeat, op.Failed(registry.ErrUnavailable))
	add("c3", op.Call{Kind: op.Lookup, Actor: actor}, op.Result{Outcome: op.OK, Found: true, Record: lost})
	h.Notes = []history.Note{{At: h.Ops[2].Invoked + 1, Client: "c7", Text: "the store refuses"}, {At: h.Ops[3].Invoked + 1, Client: "gone", Text: "of a call that is not here"}}

	res := linearizability.Check(h, linearizability.Options{})
	require.Equal(t, linearizability.Illegal, res.Verdict)
	small := History(h, res.Violations[0], linearizability.Options{})
	require.Equal(t, 1, len(where(small.Ops, func(o *history.Op) bool { return o.Call.Kind == op.Heartbeat })), "the one that suffered, not the other")
	require.Len(t, small.Notes, 1)
	require.Equal(t, "c1", small.Notes[0].Client)
	require.True(t, suffering(small)(&where(small.Ops, func(o *history.Op) bool { return o.Call.Kind == op.Heartbeat })[0]))
}

// However long the history, its story is short: who was granted the record that
// the lookup showed, what became of it, and the lookup.
func TestMinimiseLongHistory(t *testing.T) {
	h := staleLookup(1000)
	res := linearizability.Check(h, linearizability.Options{})
	require.Equal(t, linearizability.Illegal, res.Verdict)
	small := History(h, res.Violations[0], linearizability.Options{})
	require.LessOrEqual(t, len(small.Ops), 8)
	again := linearizability.Check(small, linearizability.Options{})
	require.Equal(t, linearizability.Illegal, again.Verdict)
	v, w := res.Violations[0], again.Violations[0]
	require.Equal(t, h.Ops[v.Op].Invoked, small.Ops[w.Op].Invoked)
	require.Equal(t, v.Rule, w.Rule)
	require.Less(t, small.Ops[w.Op].Result.Record.Version, registry.Version(len(small.Ops)), "versions are numbered anew")
}

// Other names, and times moved together, are the same history.
func TestSimplifyingKeepsTheVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := simulate.Drawn(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") })
		h := s.History()
		if rapid.Bool().Draw(t, "wrong") {
			simulate.Spoil(s.Choose, &h)
		}
		require.Equal(t, linearizability.Check(h, linearizability.Options{}).Verdict, linearizability.Check(renamed(h), linearizability.Options{}).Verdict)
		// The simulation's times are whole milliseconds, but for ticks and skews of 1 ns.
		require.Equal(t, linearizability.Check(h, linearizability.Options{}).Verdict, linearizability.Check(rounded(h, time.Nanosecond), linearizability.Options{}).Verdict)
	})
}
