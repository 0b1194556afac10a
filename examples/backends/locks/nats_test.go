package locks_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/examples/backends/internal/storetest"
	"github.com/kelpie-registry/registry/examples/backends/locks"
)

// bucket makes clusters of a key-value bucket, under prefixes of their own. Leases go
// by the handles' clocks, so that it is judged with exact ones.
type bucket struct {
	kv   jetstream.KeyValue
	made *atomic.Int64
}

func (b bucket) Name() string             { return "nats" }
func (b bucket) Dialect() dialect.Dialect { return locks.NATS(b.kv, "").Dialect() }
func (b bucket) New(cfg registry.Config) (conformance.Cluster, error) {
	return locks.NATS(b.kv, fmt.Sprint("c", b.made.Add(1))).Cluster(cfg), nil
}

func TestNATS(t *testing.T) {
	server := storetest.Start(t, storetest.Program{
		Name: "nats-server",
		Args: func(dir string, port, _ int) []string {
			return []string{"-a", "127.0.0.1", "-p", strconv.Itoa(port), "-js", "-sd", dir}
		},
		Up: func(_ context.Context, addr string) error {
			c, err := nats.Connect(addr)
			if err == nil {
				c.Close()
			}
			return err
		},
	})
	c, err := nats.Connect(server.Addr)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	require.NoError(t, err)
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "registry", Storage: jetstream.MemoryStorage})
	require.NoError(t, err)
	r := storetest.Judge(t, bucket{kv, new(atomic.Int64)}, conformance.OnlySections("contract", "concurrent", "fencing", "handles"), conformance.Level(conformance.Quick), conformance.Parallel(4))
	t.Logf("NATS passes as: %s", r.Dialect)
	passes(t, r)
}
