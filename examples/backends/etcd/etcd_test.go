package etcd_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/backends/etcd"
	"github.com/kelpie-registry/registry/examples/backends/internal/storetest"
)

var store = storetest.Store{
	Name: "etcd",
	Program: storetest.Program{
		Name: "etcd",
		Args: func(dir string, port, second int) []string {
			clients, peers := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", second)
			return []string{
				"--name", "judged", "--data-dir", dir, "--listen-client-urls", clients, "--advertise-client-urls", clients,
				"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "judged=" + peers,
				// Alone, it elects itself after so long: the time that a restart takes.
				"--heartbeat-interval", "10", "--election-timeout", "50",
			}
		},
		Up: func(ctx context.Context, addr string) error {
			c, err := dial(addr)
			if err != nil {
				return err
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err = c.(client).Get(ctx, "up") // linearizable: there is a leader
			return err
		},
	},
	Dial: dial,
	Wire: storetest.Wire{
		// Only keys begin with the cluster's name, and only values with a brace.
		Begins:  func(b []byte) bool { return bytes.Contains(b, []byte("judged-")) && !writes(b) },
		Commits: writes,
		Answers: func(b []byte) bool { return hasFrame(b, frameHeaders) },
	},
}

func writes(b []byte) bool { return bytes.Contains(b, []byte(`{"`)) }

// frameHeaders is the type of the HTTP/2 frame with which an answer begins.
const frameHeaders = 1

// hasFrame walks over HTTP/2 frames: three bytes of length, the type, five more.
func hasFrame(b []byte, kind byte) bool {
	for len(b) >= 9 {
		if b[3] == kind {
			return true
		}
		b = b[min(len(b), 9+int(b[0])<<16+int(b[1])<<8+int(b[2])):]
	}
	return false
}

type client struct{ *clientv3.Client }

func dial(addr string) (storetest.Client, error) {
	again := backoff.Config{BaseDelay: 2 * time.Millisecond, Multiplier: 1.5, MaxDelay: 20 * time.Millisecond}
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://" + addr}, Logger: zap.NewNop(), BackoffWaitBetween: 2 * time.Millisecond,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: time.Second})},
	})
	return client{c}, err
}

func (c client) Open(cluster string, cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	ctx, cancel := storetest.Bounded()
	defer cancel()
	return etcd.Open(ctx, c.Client, cluster, cfg, clock)
}

func (c client) Drop(cluster string) error {
	ctx, cancel := storetest.Bounded()
	defer cancel()
	_, err := c.Delete(ctx, cluster+"\x00", clientv3.WithPrefix())
	return err
}

func TestConformance(t *testing.T) {
	storetest.Passes(t, storetest.Conformance(t, store))
}

func TestDurable(t *testing.T) {
	storetest.Passes(t, storetest.Durable(t, store, conformance.Histories(10)))
}

func TestKilledUnderLoad(t *testing.T) {
	storetest.KilledUnderLoad(t, store, 10)
}

func TestFaults(t *testing.T) {
	storetest.Passes(t, storetest.Faults(t, store))
}

// TestSettled: a write on the same condition decides about one that was lost
// (contract, section 3, on ErrAmbiguous); only without a server nobody knows.
func TestSettled(t *testing.T) {
	storetest.Settles(t, store, storetest.Wanted{LostRequest: storetest.Undone, LostAnswer: storetest.Settled, ServerGone: storetest.MayApply})
}
