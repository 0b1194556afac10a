package linearizability

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// A picture is one page that needs nothing else, and names what matters.
func TestDraw(t *testing.T) {
	for _, tc := range wrongHistories[:4] {
		h := tc.wrong().History
		var page bytes.Buffer
		require.NoError(t, Draw(&page, h, Check(h, Options{})))
		for _, want := range []string{"<html", "Claim(a, n1#1", "n1#1", "token 1", "expiry T+10s"} {
			require.Contains(t, page.String(), want)
		}
		require.NotContains(t, page.String(), "src=\"http")
	}
	long := simulation{choose: seeded(5), clients: 4, actors: 1, steps: 3000, quiet: true}.run()
	ended(&long.Ops[900], op.Unlisted)
	res := Check(long, Options{})
	require.Equal(t, Illegal, res.Verdict)
	var page bytes.Buffer
	require.NoError(t, Draw(&page, long, res))
	require.Contains(t, page.String(), "boom")
	require.Error(t, Draw(&page, history.History{Config: testConfig}, Result{}))
}
