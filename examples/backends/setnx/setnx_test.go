package setnx_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/backends/redis"
	"github.com/kelpie-registry/registry/examples/backends/setnx"
)

type backend struct {
	client *client.Client
	made   *atomic.Int64
}

func (backend) Name() string { return "setnx" }

// RealTimeConfig makes the suite wait in real time: the lock's time is Redis's own.
func (backend) RealTimeConfig() registry.Config {
	return registry.Config{
		TTL: 200 * time.Millisecond, Grace: 80 * time.Millisecond, MaxClockSkew: 20 * time.Millisecond,
		FailureTimeout: 150 * time.Millisecond, AllowShortTTL: true,
	}
}

func (b backend) New(cfg registry.Config) (conformance.Cluster, error) {
	return cluster{b.client, fmt.Sprintf("locked-%d-%d", os.Getpid(), b.made.Add(1))}, nil
}

type cluster struct {
	client *client.Client
	name   string
}

func (c cluster) Open(cfg registry.Config, _ registry.Clock) (registry.Handle, error) {
	members, err := redis.Open(context.Background(), c.client, c.name, cfg, registry.SystemClock())
	if err != nil {
		return nil, err
	}
	return setnx.Open(c.client, c.name, cfg, members), nil
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

// TestTheLockIsConvicted: the lock has no token, and its record does not outlive
// the tenure; the suite must find both.
func TestTheLockIsConvicted(t *testing.T) {
	addr := os.Getenv("BACKENDS_REDIS")
	if addr == "" {
		t.Skip("BACKENDS_REDIS is not set to the address of a Redis server; examples/backends/run.sh starts one")
	}
	c := client.NewClient(&client.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	report, err := conformance.Judge(t.Context(), backend{c, new(atomic.Int64)},
		conformance.OnlySections("contract", "membership", "fencing"), conformance.Parallel(1))
	require.NoError(t, err)
	broken := map[conformance.RuleID]bool{}
	for _, result := range report.Cases {
		if result.Conviction != nil {
			broken[result.Conviction.Rule] = true
			t.Logf("%s\n%s", result.ID(), result.Conviction)
		}
	}
	require.Contains(t, broken, conformance.TokenMonotonic)
	require.Contains(t, broken, conformance.RuleID("Release.granted"))
}
