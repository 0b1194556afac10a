package conformance_test

import (
	"testing"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/reference"
)

// misconfigured is the reference with other time bounds than it was asked for.
type misconfigured struct {
	referenceBackend
	change func(*registry.Config)
}

func (m misconfigured) New(cfg registry.Config) (conformance.Cluster, error) {
	m.change(&cfg)
	s, err := reference.NewStore(cfg)
	return misconfiguredCluster{referenceCluster{s}, m}, err
}

type misconfiguredCluster struct {
	referenceCluster
	m misconfigured
}

func (c misconfiguredCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	c.m.change(&cfg)
	return c.store.Open(cfg, clock)
}

func TestLook(t *testing.T) {
	r, err := conformance.Judge(t.Context(), misconfigured{change: func(c *registry.Config) { c.MaxClockSkew = 0 }})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cases {
		if c.Conviction != nil {
			t.Logf("%s after %d\n%s", c.ID(), c.Conviction.HistoryNo, c.Conviction)
		}
	}
}
