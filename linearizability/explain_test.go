package linearizability

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func explained(t *testing.T, h history.History) string {
	spec, err := ReadSpec("testdata/Registry.tla")
	require.NoError(t, err)
	res := Check(h, Options{})
	require.Equal(t, Illegal, res.Verdict)
	small := Minimise(h, res.Violations[0], Options{})
	return Explain(small, Check(small, Options{}), Case{
		Backend: "broken/example", Seed: "7", Replay: "conform run --backend broken/example --seed 7",
		History: "out/7.jsonl", Picture: "out/7.html", Spec: spec,
	})
}

// The texts of convictions are what the project is for; each change of one is
// to be looked at. -update writes them anew.
func TestExplainGolden(t *testing.T) {
	for _, tc := range wrongHistories {
		t.Run(tc.name, func(t *testing.T) {
			golden(t, "explain/"+strings.ReplaceAll(tc.name, " ", "-")+".txt", explained(t, tc.wrong().History))
		})
	}
	t.Run("settled claim that happened late", func(t *testing.T) {
		b := newBook("n1", "n2")
		ended(b.claim("n1", 0, 1, 1, 1), op.Settled)
		b.lookup("n2", registry.Placement{})
		b.lookup("n2", lease("n1", 0, 1, 1, 1))
		golden(t, "explain/settled-claim-late.txt", explained(t, b.History))
	})
	// Without the registration the claim is refused by the same guard, for a reason
	// that was not: the node was known, and left.
	t.Run("claim by a node that left", func(t *testing.T) {
		b := newBook("n1", "n2", "n3")
		b.lookup("n2", registry.Placement{})
		b.member("n2", time.Second, op.DeregisterNode, "n1")
		b.member("n3", time.Second, op.Heartbeat, "n3")
		b.claim("n1", 2*time.Second, 1, 1, 1)
		text := explained(t, b.History)
		require.NotContains(t, text, "never registered")
		golden(t, "explain/claim-by-a-node-that-left.txt", text)
	})
	// What was done to the cluster is told where it was done, up to the answer.
	t.Run("after a crash", func(t *testing.T) {
		b := newBook("n1", "n2")
		b.claim("n1", 0, 1, 1, 1)
		b.Notes = append(b.Notes, history.Note{At: b.stamp + 1, Text: "the cluster crashes, and its handles are opened anew"})
		b.stamp++
		b.lookup("n2", registry.Placement{})
		b.Notes = append(b.Notes, history.Note{At: b.stamp + 2, Text: "and again"})
		text := explained(t, b.History)
		require.NotContains(t, text, "and again")
		golden(t, "explain/after-a-crash.txt", text)
	})
	t.Run("long history", func(t *testing.T) {
		h := simulation{choose: seeded(11), clients: 4, actors: 3, steps: 900, quiet: true}.run()
		for i := len(h.Ops) - 1; ; i-- {
			if o := &h.Ops[i]; o.Call.Kind == op.Renew && o.Result.Outcome == op.OK {
				o.Result.Record.Token++
				break
			}
		}
		golden(t, "explain/long-history.txt", explained(t, h))
	})
}

func TestExplainOtherVerdicts(t *testing.T) {
	require.Contains(t, Explain(history.History{}, Result{Verdict: OK}, Case{}), "Nothing is wrong")
	require.Contains(t, Explain(history.History{}, Result{Verdict: Unknown, Reason: "too long"}, Case{}), "Not decided: too long")
}

// Without a specification or anything else at hand the text has fewer lines.
func TestExplainBare(t *testing.T) {
	h := wrongHistories[1].wrong().History
	text := Explain(h, Check(h, Options{}), Case{})
	require.Contains(t, text, "guard Claimable\n")
	require.NotContains(t, text, "seed")
	require.NotContains(t, text, "replay")
}

// Every action and guard that a text can name stands in the specification.
func TestSpecHasTheNames(t *testing.T) {
	spec, err := ReadSpec(filepath.Join("..", "spec", "tla", "Registry.tla"))
	require.NoError(t, err)
	names := []string{"Claim", "Renew", "Release", "Transfer", "Lookup", "RegisterNode", "Heartbeat", "MarkFailed", "DeregisterNode"}
	for _, g := range guards {
		names = append(names, string(g))
	}
	for _, n := range names {
		_, _, ok := spec.place(n)
		require.True(t, ok, n)
	}
	_, _, ok := spec.place("NoSuchOperator")
	require.False(t, ok)
}
