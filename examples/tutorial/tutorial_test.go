package tutorial_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/tutorial"
)

// backend is all that the suite needs.
type backend struct {
	database *tutorial.Database
	draft    func(h *tutorial.Handle, clock registry.Clock) registry.Handle // nil: the registry itself
}

func (backend) Name() string { return "tutorial" }

// New is called 17,000 times. It makes no database.
func (b backend) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := b.database.NewCluster(cfg)
	return cluster{c, b.draft}, err
}

type cluster struct {
	*tutorial.Cluster
	draft func(h *tutorial.Handle, clock registry.Clock) registry.Handle
}

func (c cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.Cluster.Open(cfg, clock)
	if err != nil {
		return nil, err // and not a nil *Handle in an interface that is not nil
	}
	if c.draft != nil {
		return c.draft(h, clock), nil
	}
	return h, nil
}

func (c cluster) Close() error { return c.Drop() }

func database(t *testing.T) *tutorial.Database {
	d, err := tutorial.OpenDatabase(":memory:")
	require.NoError(t, err)
	return d
}

func TestConformance(t *testing.T) {
	conformance.Run(t, backend{database: database(t)})
}

var update = flag.Bool("update", false, "write the convictions that docs/tutorial.md shows")

// The drafts are convicted, with the texts that the tutorial shows.
func TestDraftsAreConvicted(t *testing.T) {
	for name, d := range map[string]struct {
		draft   func(h *tutorial.Handle, clock registry.Clock) registry.Handle
		section string
	}{
		"forgetting": {func(h *tutorial.Handle, _ registry.Clock) registry.Handle { return forgetting{h} }, "contract"},
		"hasty":      {func(h *tutorial.Handle, c registry.Clock) registry.Handle { return hasty{h, c} }, "contract"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := conformance.Judge(t.Context(), backend{database(t), d.draft}, conformance.OnlySections(d.section),
				conformance.StopAtFirst(), conformance.Parallel(1),
				conformance.Reproduce(func(section, c string, seed uint64) string {
					return "CONFORM_SEED=1 CONFORM_HISTORIES=1 go test -run '^TestConformance$/^" + section + "$/^" + c + "$'"
				}))
			require.NoError(t, err)
			require.Equal(t, 1, r.Count(conformance.Convicted))
			for _, c := range r.Cases {
				if c.Conviction == nil {
					continue
				}
				path := filepath.Join("testdata", name+".txt")
				if *update {
					require.NoError(t, os.MkdirAll("testdata", 0o755))
					require.NoError(t, os.WriteFile(path, []byte(c.Conviction.String()), 0o644))
				}
				want, err := os.ReadFile(path)
				require.NoError(t, err)
				assert.Equal(t, string(want), c.Conviction.String())
			}
		})
	}
}
