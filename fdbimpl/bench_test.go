//go:build fdb

package fdbimpl

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// The benchmarks go through the binding. On the stand-in they measure this package,
// the binding, cgo and a simulated cluster without a network or a disk: what a
// client costs, not what a cluster can do.

// each runs an operation on b.N actors or leases, on one goroutine and on many.
func each(b *testing.B, prepare func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(i int) error) {
	for _, many := range []bool{false, true} {
		name := "goroutines=1"
		if many {
			name = "goroutines=16"
		}
		b.Run(name, func(b *testing.B) {
			r := newStore(b).open(b, registry.NewManualClock(epochStart))
			do := prepare(b, r, register(b, r, "node"), b.N)
			b.ResetTimer()
			if !many {
				for i := range b.N {
					if err := do(i); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				var next atomic.Int64
				b.SetParallelism(8)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := do(int(next.Add(1)) - 1); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
		})
	}
}

// claimed claims actors; benchmarks of leases go round them.
func claimed(b *testing.B, r *Registry, node registry.NodeRef, n int) []registry.Lease {
	leases := make([]registry.Lease, n)
	for i := range leases {
		leases[i] = mustClaim(b, r, fmt.Sprintf("actor-%d", i), node)
	}
	return leases
}

func BenchmarkClaim(b *testing.B) {
	each(b, func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(int) error {
		return func(i int) error {
			_, err := r.Claim(context.Background(), actorID(fmt.Sprintf("actor-%d", i)), node, claimID(1))
			return err
		}
	})
}

func BenchmarkRenew(b *testing.B) {
	each(b, func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(int) error {
		leases := claimed(b, r, node, 512)
		return func(i int) error {
			_, err := r.Renew(context.Background(), leases[i%len(leases)])
			return err
		}
	})
}

// One operation is one transaction of 100 renewals.
func BenchmarkRenewBatchOf100(b *testing.B) {
	each(b, func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(int) error {
		leases := claimed(b, r, node, 32*batchSize) // goroutines do not meet
		return func(i int) error {
			from := i * batchSize % len(leases)
			for _, res := range r.RenewBatch(context.Background(), leases[from:from+batchSize]) {
				if res.Err != nil {
					return res.Err
				}
			}
			return nil
		}
	})
}

func BenchmarkGuardedWrite(b *testing.B) {
	each(b, func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(int) error {
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
	})
}

func BenchmarkLookup(b *testing.B) {
	each(b, func(b *testing.B, r *Registry, node registry.NodeRef, n int) func(int) error {
		leases := claimed(b, r, node, 512)
		return func(i int) error {
			_, found, err := r.Lookup(context.Background(), leases[i%len(leases)].Actor)
			require.True(b, found)
			return err
		}
	})
}
