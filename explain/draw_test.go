package explain

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/serving"
)

var (
	drawnConfig = registry.Config{TTL: 10, Grace: 2, MaxClockSkew: 1, FailureTimeout: 6}
	drawnActor  = registry.ActorID{Namespace: "x", Name: "a"}
	drawnNodes  = []registry.NodeRef{{ID: "n1", Epoch: 1}, {ID: "n2", Epoch: 1}}
)

// claimed is a claim by node n at a reading, granted under the token.
func claimed(n int, token registry.Token, now registry.Instant, from, to int64) history.Op {
	record := registry.Placement{Actor: drawnActor, Holder: drawnNodes[n], Token: token, Version: registry.Version(token), Expiry: now.Add(drawnConfig.TTL)}
	return history.Op{Client: fmt.Sprint("c", n+1), Call: op.Call{Kind: op.Claim, Actor: drawnActor, Node: drawnNodes[n]},
		Result: op.Result{Outcome: op.OK, Record: record}, Invoked: from, Returned: to, Clock: history.Seen(now)}
}

// A call is a box from its beginning to its return in its client's column, a tenure a
// bar from its grant until it is let go or lapses, and then until others may claim.
func TestTimelineLayout(t *testing.T) {
	h := history.History{Config: drawnConfig}.With([]history.Op{
		claimed(0, 1, 100, 1, 4),
		{Client: "c2", Call: op.Call{Kind: op.Lookup, Actor: drawnActor}, Result: op.Result{Outcome: op.Pending}, Invoked: 2, Returned: history.Never, Clock: history.Seen(111)},
		{Client: "c1", Call: op.Call{Kind: op.Lookup, Actor: drawnActor}, Result: op.Result{Outcome: op.OK}, Invoked: 5, Returned: 6, Clock: history.Seen(110)},
		claimed(1, 2, 115, 7, 8),
	})
	h.Notes = []history.Note{{At: 3, Text: "the suite crashes the cluster"}}
	h.Served = []history.Service{{Client: "c1", Actor: drawnActor, Token: 1, From: 4, Until: 6}}
	tl := layOut(&h, linearizability.Violation{Op: 3, Others: []int{0}})
	require.Zero(t, tl.Left)
	require.Equal(t, "5.5rem 1.7rem 1.7rem 1.7rem minmax(11rem, 1fr) minmax(11rem, 1fr)", string(tl.Columns))
	found := map[string]cell{}
	for _, c := range tl.Cells {
		name := c.Class + "|" + c.Text
		if c.Head != "" {
			name = c.Head
		}
		found[name] = c
	}
	at := func(name string) [3]int {
		c, ok := found[name]
		require.True(t, ok, "%s in %v", name, found)
		return [3]int{c.From, c.To, c.Column}
	}
	// Rows: the heads, then the stamps 1 to 8.
	require.Equal(t, [3]int{2, 6, 5}, at("1  Claim(a, n1#1, id 0)"))
	require.Equal(t, [3]int{3, 10, 6}, at("2  Lookup(a)"), "it did not return")
	require.Equal(t, [3]int{8, 10, 6}, at("4  Claim(a, n2#1, id 0)"))
	require.Equal(t, [3]int{5, 6, 2}, at("bar hue0|token 1"), "some clock reads the expiry at stamp 5")
	require.Equal(t, [3]int{6, 8, 2}, at("bar hue0 wait|"), "grace and 2ε are over at stamp 7")
	require.Equal(t, [3]int{9, 10, 3}, at("bar hue1|token 2"))
	require.Equal(t, [3]int{5, 7, 4}, at("bar serves|token 1"))
	require.Equal(t, [3]int{4, 5, 0}, at("note|the suite crashes the cluster"))
	require.Contains(t, found["4  Claim(a, n2#1, id 0)"].Class, "wrong")
	require.Contains(t, found["1  Claim(a, n1#1, id 0)"].Class, "other")
	require.Contains(t, found["2  Lookup(a)"].Class, "unknown")
}

// Whatever the history, no box ends before it begins or lies outside of the grid, and
// of a long one those are drawn that lead to the violation.
func TestTimelineOfAnyHistory(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var ops []history.Op
		stamp := int64(0)
		for range rng.IntN(300) {
			stamp += 1 + rng.Int64N(2)
			o := claimed(rng.IntN(2), registry.Token(1+rng.IntN(5)), registry.Instant(100+rng.IntN(40)), stamp, stamp+1+rng.Int64N(9))
			switch rng.IntN(4) {
			case 0:
				o.Returned, o.Result = history.Never, op.Result{Outcome: op.Pending}
			case 1:
				o.Call.Kind, o.Call.Token, o.Result = op.Release, o.Result.Record.Token, op.Result{Outcome: op.OK}
			}
			ops = append(ops, o)
		}
		h := history.History{Config: drawnConfig}.With(ops)
		h.Notes = []history.Note{{At: 7, Text: "a crash"}}
		h.Served = []history.Service{{Client: "c9", Actor: drawnActor, Token: 1, From: 0, Until: history.Never}}
		v := linearizability.Violation{Op: -1}
		if len(ops) > 0 && seed%2 == 0 {
			v.Op = rng.IntN(len(ops))
		}
		tl := layOut(&h, v)
		columns := strings.Count(string(tl.Columns), "rem") // each column has one
		wrong := v.Op < 0
		for _, c := range tl.Cells {
			require.Less(t, c.From, c.To, "seed %d: %+v", seed, c)
			require.True(t, c.Column <= columns && c.From >= 1, "seed %d: %+v", seed, c)
			wrong = wrong || strings.Contains(c.Class, "wrong")
		}
		require.True(t, wrong, "seed %d: the wrong call is drawn", seed)
		require.Equal(t, max(0, len(ops)-maxDrawn), tl.Left)
	}
}

// A client that breaks a rule is drawn with what it served, and where it broke it.
func TestDrawService(t *testing.T) {
	h := history.History{Config: registry.Config{TTL: 10 * time.Second, FailureTimeout: time.Second}}.With([]history.Op{claimed(0, 1, 100, 1, 2)})
	h.Served = []history.Service{{Client: "c1", Actor: drawnActor, Token: 1, From: 3, Until: 5}}
	var page strings.Builder
	require.NoError(t, DrawService(&page, h, serving.Violation{Rule: "serving.deadline", At: 2, Found: "it <served> on", Wanted: "an end"}))
	for _, want := range []string{"A client breaks serving.deadline", "it &lt;served&gt; on", "c1 serves a", "c1 breaks serving.deadline"} {
		require.Contains(t, page.String(), want)
	}
}
