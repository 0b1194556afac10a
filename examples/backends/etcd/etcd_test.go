package etcd_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/backends/etcd"
)

type backend struct {
	client *clientv3.Client
	made   *atomic.Int64
}

func (backend) Name() string { return "etcd" }

func (b backend) New(cfg registry.Config) (conformance.Cluster, error) {
	c := cluster{b.client, fmt.Sprintf("judged-%d-%d", os.Getpid(), b.made.Add(1))}
	h, err := c.Open(cfg, registry.SystemClock())
	if err != nil {
		return nil, err
	}
	return c, h.Close()
}

type cluster struct {
	client *clientv3.Client
	name   string
}

func (c cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	return etcd.Open(context.Background(), c.client, c.name, cfg, clock)
}

func (c cluster) Close() error {
	_, err := c.client.Delete(context.Background(), c.name+"\x00", clientv3.WithPrefix())
	return err
}

func TestConformance(t *testing.T) {
	url := os.Getenv("BACKENDS_ETCD")
	if url == "" {
		t.Skip("BACKENDS_ETCD is not set to the URL of an etcd server; examples/backends/run.sh starts one")
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	conformance.Run(t, backend{client, new(atomic.Int64)})
}
