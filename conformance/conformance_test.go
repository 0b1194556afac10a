package conformance_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/reference"
)

// referenceBackend puts the reference under its own judgement.
type referenceBackend struct{}

func (referenceBackend) Name() string { return "reference" }

func (referenceBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := reference.NewStore(cfg)
	return referenceCluster{s}, err
}

type referenceCluster struct{ store *reference.Store }

func (c referenceCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return c.store.Open(cfg, clock)
}

func (referenceCluster) Close() error { return nil }

func TestReference(t *testing.T) { conformance.Run(t, referenceBackend{}) }

func TestJudgeReference(t *testing.T) {
	r, err := conformance.Judge(t.Context(), referenceBackend{})
	require.NoError(t, err)
	for _, c := range r.Cases {
		if c.Verdict == conformance.Convicted {
			t.Errorf("%s\n%v", c.ID(), c.Conviction)
		}
		if c.Verdict == conformance.Unknown {
			t.Errorf("%s: %s", c.ID(), c.Reason)
		}
	}
	assert.True(t, r.Passed())
}
