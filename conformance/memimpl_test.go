package conformance_test

import (
	"testing"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl"
)

// memBackend judges memimpl.
type memBackend struct{}

func (memBackend) Name() string { return "memimpl" }

func (memBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := memimpl.New(cfg)
	return memCluster{s}, err
}

type memCluster struct{ store *memimpl.Store }

func (c memCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return c.store.Open(cfg, clock)
}

func (memCluster) Close() error { return nil }

func TestMemimpl(t *testing.T) { conformance.Run(t, memBackend{}) }
