// Package redistest makes Redis known to storetest, for the registry and the lock.
package redistest

import (
	"bytes"
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/backends/internal/storetest"
	kelpie "github.com/kelpie-registry/registry/examples/backends/redis"
)

// Durable makes a server acknowledge only what is in its log, and in the log only
// what is on the disk.
var Durable = []string{"--save", "", "--appendonly", "yes", "--appendfsync", "always"}

// Store returns the registry of package redis on a server with these arguments.
func Store(name string, args ...string) storetest.Store {
	return storetest.Store{
		Name: name,
		Program: storetest.Program{
			Name: "redis-server",
			Args: func(dir string, port, _ int) []string {
				return append([]string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir}, args...)
			},
			Up: func(ctx context.Context, addr string) error {
				c := connect(addr)
				defer c.Close()
				return c.Ping(ctx).Err()
			},
		},
		Dial: func(addr string) (storetest.Client, error) { return Client{connect(addr)}, nil },
		Wire: storetest.Wire{
			Refusal: []byte("-LOADING Redis is loading the dataset in memory\r\n"),
			Commits: func(b []byte) bool { return bytes.Contains(b, []byte("\r\neval")) }, // or evalsha
		},
	}
}

func connect(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
}

// Client implements [storetest.Client].
type Client struct{ *redis.Client }

// Open implements [storetest.Client].
func (c Client) Open(cluster string, cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	ctx, cancel := storetest.Bounded()
	defer cancel()
	return kelpie.Open(ctx, c.Client, cluster, cfg, clock)
}

// Drop implements [storetest.Client].
func (c Client) Drop(cluster string) error {
	ctx, cancel := storetest.Bounded()
	defer cancel()
	keys := c.Scan(ctx, 0, "{"+cluster+"}:*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := c.Unlink(ctx, keys.Val()).Err(); err != nil {
			return err
		}
	}
	return keys.Err()
}
