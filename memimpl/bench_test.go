package memimpl_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
)

// bare is the least that a table of leases can cost: one mutex, one map, none of
// the contract's promises (no membership, no index of holders, no refusals).
type bare struct {
	mu      sync.Mutex
	records map[registry.ActorID]registry.Placement
}

func (b *bare) Claim(actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.records[actor]
	b.records[actor] = registry.Placement{Actor: actor, Holder: node, Token: p.Token + 1, Version: p.Version + 1, ClaimID: id}
}

func (b *bare) Renew(l registry.Lease) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.records[l.Actor]
	p.Version++
	b.records[l.Actor] = p
}

func (b *bare) Lookup(actor registry.ActorID) registry.Placement {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.records[actor]
}

// BenchmarkStore measures one operation from 1, 2, 8 and 64 goroutines, spread
// over many actors or all on one ("hot"), beside a mutex and a map. claim+release
// is two operations per iteration.
func BenchmarkStore(b *testing.B) {
	const spread = 1 << 14
	cfg := registry.DefaultConfig()
	for _, op := range []string{"claim+release", "renew", "lookup"} {
		for _, actors := range []int{spread, 1} {
			for _, goroutines := range []int{1, 2, 8, 64} {
				load := "spread"
				if actors == 1 {
					load = "hot"
				}
				name := fmt.Sprintf("op=%s/load=%s/goroutines=%d", op, load, goroutines)
				b.Run(name+"/impl=memimpl", func(b *testing.B) {
					s := newStore(b, cfg)
					h := open(b, s, cfg, registry.SystemClock())
					node := register(b, h, "n1")
					leases := make([]registry.Lease, actors)
					for i := range leases {
						l, err := h.Claim(ctx, benchActor(i), node, registry.ClaimID{1})
						require.NoError(b, err)
						if op == "claim+release" {
							require.NoError(b, h.Release(ctx, l))
						}
						leases[i] = l
					}
					inParallel(b, goroutines, actors, memimplOp(h, op, node, leases))
				})
				b.Run(name+"/impl=mutex+map", func(b *testing.B) {
					table := &bare{records: map[registry.ActorID]registry.Placement{}}
					node := registry.NodeRef{ID: "n1", Epoch: 1}
					leases := make([]registry.Lease, actors)
					for i := range leases {
						leases[i] = registry.Lease{Actor: benchActor(i), Holder: node, Token: 1}
						table.Claim(leases[i].Actor, node, registry.ClaimID{1})
					}
					inParallel(b, goroutines, actors, bareOp(table, op, node, leases))
				})
			}
		}
	}
}

func benchActor(i int) registry.ActorID {
	return registry.ActorID{Namespace: "bench", Name: fmt.Sprintf("actor-%06d", i)}
}

// memimplOp returns one iteration. On a hot actor some claims are refused and some
// releases find another tenure: that is the load's nature and is counted as work.
func memimplOp(h *memimpl.Registry, op string, node registry.NodeRef, leases []registry.Lease) func(i int, id registry.ClaimID) {
	switch op {
	case "renew":
		return func(i int, _ registry.ClaimID) { _, _ = h.Renew(ctx, leases[i]) }
	case "lookup":
		return func(i int, _ registry.ClaimID) { _, _, _ = h.Lookup(ctx, leases[i].Actor) }
	default:
		return func(i int, id registry.ClaimID) {
			if l, err := h.Claim(ctx, leases[i].Actor, node, id); err == nil {
				_ = h.Release(ctx, l)
			}
		}
	}
}

func bareOp(t *bare, op string, node registry.NodeRef, leases []registry.Lease) func(i int, id registry.ClaimID) {
	switch op {
	case "renew":
		return func(i int, _ registry.ClaimID) { t.Renew(leases[i]) }
	case "lookup":
		return func(i int, _ registry.ClaimID) { t.Lookup(leases[i].Actor) }
	default:
		return func(i int, id registry.ClaimID) {
			t.Claim(leases[i].Actor, node, id)
			t.Renew(leases[i]) // a release is one more write
		}
	}
}

// inParallel runs f in as many goroutines as asked for, each walking the actors
// from a place of its own. (RunParallel's own number is a multiple of GOMAXPROCS.)
func inParallel(b *testing.B, goroutines, actors int, f func(i int, id registry.ClaimID)) {
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			chunk := int64(min(256, max(1, b.N/goroutines/4))) // so that the shared counter is not what is measured
			i, id := g*actors/goroutines, registry.ClaimID{byte(g + 1), 1}
			for n := left.Add(-chunk); n > -chunk; n = left.Add(-chunk) {
				for range min(chunk, n+chunk) {
					f(i, id)
					if i++; i == actors {
						i = 0
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

// BenchmarkDurable measures renewals on a file, beside bbolt alone putting as many
// bytes with a transaction each, and with its own way of sharing one (Batch, by
// default, which waits up to 10 ms for company).
func BenchmarkDurable(b *testing.B) {
	const actors = 1 << 10
	cfg := registry.DefaultConfig()
	for _, goroutines := range []int{1, 8, 64} {
		name := fmt.Sprintf("op=renew/goroutines=%d", goroutines)
		b.Run(name+"/impl=memimpl", func(b *testing.B) {
			s, err := memimpl.New(cfg, memimpl.OnFile(filepath.Join(b.TempDir(), "registry")))
			require.NoError(b, err)
			defer func() { require.NoError(b, s.Close()) }()
			h := open(b, s, cfg, registry.SystemClock())
			node := register(b, h, "n1")
			leases := make([]registry.Lease, actors)
			var wg sync.WaitGroup
			for i := range leases {
				wg.Go(func() {
					var err error
					leases[i], err = h.Claim(ctx, benchActor(i), node, registry.ClaimID{1})
					assert.NoError(b, err)
				})
			}
			wg.Wait()
			inParallel(b, goroutines, actors, func(i int, _ registry.ClaimID) {
				_, err := h.Renew(ctx, leases[i])
				assert.NoError(b, err)
			})
		})
		for _, how := range []string{"Update", "Batch"} {
			b.Run(name+"/impl=bbolt."+how, func(b *testing.B) {
				db, err := bolt.Open(filepath.Join(b.TempDir(), "bolt"), 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
				require.NoError(b, err)
				defer func() { require.NoError(b, db.Close()) }()
				bucket, value := []byte("b"), make([]byte, 58)
				fill := func(tx *bolt.Tx) error {
					table, err := tx.CreateBucket(bucket)
					for i := 0; err == nil && i < actors; i++ {
						err = table.Put([]byte(benchActor(i).String()), value)
					}
					return err
				}
				require.NoError(b, db.Update(fill))
				commit := db.Update
				if how == "Batch" {
					commit = db.Batch
				}
				inParallel(b, goroutines, actors, func(i int, _ registry.ClaimID) {
					assert.NoError(b, commit(func(tx *bolt.Tx) error {
						return tx.Bucket(bucket).Put([]byte(benchActor(i).String()), value)
					}))
				})
			})
		}
	}
}
