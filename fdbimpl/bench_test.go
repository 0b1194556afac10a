//go:build fdb

package fdbimpl

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry"
)

// The benchmarks go through the binding. On the stand-in they measure this package,
// the binding, cgo and a simulated cluster without a network or a disk: what a
// client costs, not what a cluster can do.

// benchOp is an operation of the registry and what it is measured beside: the
// transaction on one key that somebody would write by hand through the binding.
type benchOp struct {
	name    string
	prepare func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(i int) error
	bare    func(tr fdb.Transaction, key fdb.Key, value []byte) error
}

func bareGet(tr fdb.Transaction, key fdb.Key, _ []byte) error {
	_, err := tr.Get(key).Get()
	return err
}

// bareGetSet is a read and a conditional write of one key.
func bareGetSet(tr fdb.Transaction, key fdb.Key, value []byte) error {
	if _, err := tr.Get(key).Get(); err != nil {
		return err
	}
	tr.Set(key, value)
	return nil
}

var benchOps = []benchOp{
	{"claim", func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(int) error {
		return func(i int) error {
			_, err := r.Claim(context.Background(), actorID(fmt.Sprintf("actor-%d", i)), node, claimID(1))
			return err
		}
	}, bareGetSet},
	{"renew", func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(int) error {
		leases := claimed(b, r, node, 512)
		return func(i int) error {
			_, err := r.Renew(context.Background(), leases[i%len(leases)])
			return err
		}
	}, bareGetSet},
	{"guarded-write", func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(int) error {
		leases := claimed(b, r, node, 512)
		state := make([]byte, 100)
		return func(i int) error {
			lease := leases[i%len(leases)]
			_, err := r.db.Transact(func(tr fdb.Transaction) (any, error) {
				if err := r.Guard(tr, lease); err != nil {
					return nil, err
				}
				tr.Set(r.keys.actors.Pack(tuple.Tuple{"bench", lease.Actor.Name}), state)
				return nil, nil
			})
			return err
		}
	}, bareGetSet},
	{"lookup", func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(int) error {
		leases := claimed(b, r, node, 512)
		return func(i int) error {
			_, found, err := r.Lookup(context.Background(), leases[i%len(leases)].Actor)
			if err == nil && !found {
				err = fmt.Errorf("actor %d was not found", i)
			}
			return err
		}
	}, bareGet},
}

// BenchmarkOperation measures one operation on one goroutine and on 16, which go
// round 512 actors (a claim takes a fresh one), beside a hand-written transaction
// that gets one key, and unless it is a lookup sets it, of about the size of a record.
func BenchmarkOperation(b *testing.B) {
	for _, op := range benchOps {
		for _, goroutines := range []int{1, 16} {
			name := fmt.Sprintf("op=%s/goroutines=%d", op.name, goroutines)
			b.Run(name+"/impl=fdbimpl", func(b *testing.B) {
				r := newStore(b).open(b, registry.NewManualClock(epochStart))
				do := op.prepare(b, r, register(b, r, "node"), b.N)
				spread(b, goroutines, do)
			})
			b.Run(name+"/impl=binding", func(b *testing.B) {
				r := newStore(b).open(b, registry.NewManualClock(epochStart))
				value := make([]byte, 58)
				spread(b, goroutines, func(i int) error {
					if op.name != "claim" {
						i %= 512
					}
					_, err := r.db.Transact(func(tr fdb.Transaction) (any, error) {
						return nil, op.bare(tr, r.keys.actors.Pack(tuple.Tuple{"bench", fmt.Sprintf("actor-%d", i)}), value)
					})
					return err
				})
			})
		}
	}
}

// BenchmarkRenewBatch measures transactions of 100 renewals each.
func BenchmarkRenewBatch(b *testing.B) {
	for _, goroutines := range []int{1, 16} {
		b.Run(fmt.Sprintf("leases=%d/goroutines=%d", batchSize, goroutines), func(b *testing.B) {
			r := newStore(b).open(b, registry.NewManualClock(epochStart))
			leases := claimed(b, r, register(b, r, "node"), 32*batchSize) // goroutines do not meet
			spread(b, goroutines, func(i int) error {
				from := i * batchSize % len(leases)
				for _, res := range r.RenewBatch(context.Background(), leases[from:from+batchSize]) {
					if res.Err != nil {
						return res.Err
					}
				}
				return nil
			})
			b.ReportMetric(float64(b.N)*batchSize/b.Elapsed().Seconds(), "renewals/s")
		})
	}
}

// spread does b.N operations on that many goroutines.
func spread(b *testing.B, goroutines int, do func(i int) error) {
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	busy := processorTime(b)
	done := make(chan error, goroutines)
	for range goroutines {
		go func() {
			var err error
			for i := int(next.Add(1)) - 1; i < b.N && err == nil; i = int(next.Add(1)) - 1 {
				err = do(i)
			}
			done <- err
		}()
	}
	for range goroutines {
		assert.NoError(b, <-done)
	}
	b.StopTimer()
	b.ReportMetric(float64(processorTime(b)-busy)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// processorTime is what the process has used so far, in its own code and the system's.
// On a busy machine it says more than the time of the wall.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	assert.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// claimed claims actors; benchmarks of leases go round them.
func claimed(b *testing.B, r *Registry, node registry.NodeRef, n int) []registry.Lease {
	leases := make([]registry.Lease, n)
	for i := range leases {
		leases[i] = mustClaim(b, r, fmt.Sprintf("actor-%d", i), node)
	}
	return leases
}
