package prove

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
)

// What TLC finds true of a module within bounds, the proofs must show without,
// or it is written here why they do not. A property that is new in the manifest
// is so not forgotten.
func TestTheProofsCoverWhatTLCChecks(t *testing.T) {
	notProved := map[string]string{
		"KeepsLease": "a matter of how soon requests are answered, which only one configuration promises",
	}
	folder := os.DirFS(specDir)
	proofs, err := LoadManifest(folder)
	require.NoError(t, err)
	proved := map[string][]string{} // by the module that is the subject
	for _, p := range proofs {
		subject := map[string]string{"registry": "Registry", "dialect": "RegistryDialect", "keeper": "Keeper"}[p.ID]
		proved[subject] = append(proved[subject], slices.Concat(p.Properties, p.Invariant)...)
	}
	m, err := tlc.LoadManifest(folder)
	require.NoError(t, err)
	seen := 0
	for _, c := range m.Checks {
		if c.Purpose != tlc.Pass || proved[c.Module] == nil {
			continue
		}
		cfg, err := c.Resolve(folder)
		require.NoError(t, err)
		for _, name := range slices.Concat(cfg.Invariants, cfg.Properties) {
			if notProved[name] == "" {
				seen++
				assert.Contains(t, proved[c.Module], name, "TLC checks it in %s", c.ID)
			}
		}
	}
	assert.NotZero(t, seen)
}
