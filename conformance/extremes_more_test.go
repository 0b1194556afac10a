package conformance_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// zeroIsDefault takes a zero bound of the configuration for one that was not given.
type zeroIsDefault struct{}

func (zeroIsDefault) Name() string { return "zero-is-default" }

func (zeroIsDefault) New(cfg registry.Config) (conformance.Cluster, error) {
	store, err := reference.NewStore(graced(cfg))
	return &gracedCluster{store}, err
}

func graced(cfg registry.Config) registry.Config {
	if cfg.Grace == 0 {
		cfg.Grace = cfg.TTL / 4
	}
	return cfg
}

type gracedCluster struct{ store *reference.Store }

func (c *gracedCluster) Close() error { return nil }

func (c *gracedCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return c.store.Open(graced(cfg), clock)
}

// Mistakes at the ends of versions, names and configurations (contract, sections
// 1 and 2), each convicted by the case that looks there.
func TestExtremesOfVersionsNamesAndBounds(t *testing.T) {
	for id, b := range map[string]conformance.Backend{
		"versions": middleware(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			r := op.Do(ctx, h, &c)
			r.Record.Version = registry.Version(uint8(r.Record.Version)) // kept in a byte
			return r
		}),
		"joined-names": middleware(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			actor := c.Actor
			if c.Validate() == nil && actor != (registry.ActorID{}) {
				c.Actor = registry.ActorID{Namespace: "joined", Name: actor.Namespace + actor.Name}
			}
			r := op.Do(ctx, h, &c)
			if r.Err == nil && r.Record != (registry.Placement{}) {
				r.Record.Actor = actor
			}
			return r
		}),
		"bounds": zeroIsDefault{},
	} {
		t.Run(id, func(t *testing.T) {
			r := judgeOne(t, b, "extremes/"+id)
			assert.Equal(t, conformance.Convicted, r.Verdict, r.Reason)
		})
	}
}
