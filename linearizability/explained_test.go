package linearizability_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/linearizability"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// The texts of convictions are what the project is for; each change of one is
// to be looked at. -update writes them anew.
func TestExplained(t *testing.T) {
	dir := filepath.Join("..", "explain", "testdata")
	told := linearizability.Told()
	for name, h := range told {
		t.Run(name, func(t *testing.T) {
			res := linearizability.Check(h, linearizability.Options{})
			require.Equal(t, linearizability.Illegal, res.Verdict)
			c, _, _ := explain.Of(h, res, linearizability.Options{})
			c.Reproduce, c.Saved, c.Drawing = "conform run broken/example --seed 7", "out/7.jsonl", "out/7.html"
			path := filepath.Join(dir, name+".txt")
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(c.String()), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), c.String())
			require.NotContains(t, c.String(), "and again", "what was done later")
			if name == "claim-by-a-node-that-left" {
				require.NotContains(t, c.String(), "never registered")
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	require.NoError(t, err)
	for _, f := range files {
		require.Contains(t, told, strings.TrimSuffix(filepath.Base(f), ".txt"), "nobody tells it any more")
	}
}
