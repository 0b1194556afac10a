package linearizability

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
	"github.com/kelpie-registry/registry/op"
)

// A timeline names what matters of each operation, and has the one that is wrong.
func TestTimeline(t *testing.T) {
	described := func(h history.History, res Result) string {
		model, ops, err := Timeline(h, res)
		require.NoError(t, err)
		require.LessOrEqual(t, len(ops), maxDrawn)
		var texts []string
		for _, o := range ops {
			texts = append(texts, model.DescribeOperation(o.Input, o.Output))
		}
		return strings.Join(texts, "\n")
	}
	for _, tc := range wrongHistories[:4] {
		h := tc.wrong().History
		text := described(h, Check(h, Options{}))
		for _, want := range []string{"Claim(a, n1#1", "n1#1", "token 1", "expiry T+10s"} {
			require.Contains(t, text, want)
		}
	}
	long := simulate.Simulation{Choose: simulate.Seeded(5), Clients: 4, Actors: 1, Steps: 3000, Quiet: true}.History()
	ended(&long.Ops[900], op.Unlisted)
	res := Check(long, Options{})
	require.Equal(t, Illegal, res.Verdict)
	require.Contains(t, described(long, res), "boom")
	_, _, err := Timeline(history.History{Config: simulate.Config}, Result{})
	require.Error(t, err)
}
