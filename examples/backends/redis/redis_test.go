package redis_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	client "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/backends/redis"
)

func address(t *testing.T) string {
	addr := os.Getenv("BACKENDS_REDIS")
	if addr == "" {
		t.Skip("BACKENDS_REDIS is not set to the address of a Redis server; examples/backends/run.sh starts one")
	}
	return addr
}

type backend struct {
	client *client.Client
	made   *atomic.Int64
}

func (backend) Name() string { return "redis" }

func (b backend) New(cfg registry.Config) (conformance.Cluster, error) {
	c := cluster{b.client, fmt.Sprintf("judged-%d-%d", os.Getpid(), b.made.Add(1))}
	h, err := c.Open(cfg, registry.SystemClock())
	if err != nil {
		return nil, err
	}
	return c, h.Close()
}

type cluster struct {
	client *client.Client
	name   string
}

func (c cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return redis.Open(context.Background(), c.client, c.name, cfg, clock)
}

func (c cluster) Close() error {
	ctx := context.Background()
	keys := c.client.Scan(ctx, 0, "{"+c.name+"}:*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := c.client.Unlink(ctx, keys.Val()).Err(); err != nil {
			return err
		}
	}
	return keys.Err()
}

func TestConformance(t *testing.T) {
	c := client.NewClient(&client.Options{Addr: address(t), MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	conformance.Run(t, backend{c, new(atomic.Int64)})
}

// TestOpenRefusesClientsThatRetry: a repetition that the registry does not know
// of applies an operation twice.
func TestOpenRefusesClientsThatRetry(t *testing.T) {
	addr := address(t)
	for _, o := range []*client.Options{
		{Addr: addr, ContextTimeoutEnabled: true},
		{Addr: addr, MaxRetries: -1},
	} {
		c := client.NewClient(o)
		_, err := redis.Open(t.Context(), c, "refused", registry.DefaultConfig(), registry.SystemClock())
		require.ErrorIs(t, err, registry.ErrInvalid)
		require.NoError(t, c.Close())
	}
}
