package memimpl_test

import (
	"errors"
	"fmt"
	"hash/maphash"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
)

// table is what somebody would write by hand in place of a registry: a map in as
// many shards as memimpl has, a mutex each, tokens and expiries compared, versions
// counted. It knows one kind of refusal, no membership, no ClaimIDs, no grace and
// no skew, cannot list what a node holds, be watched, closed or made durable.
type table struct {
	seed   maphash.Seed
	ttl    time.Duration
	shards [256]struct {
		sync.Mutex
		rows map[registry.ActorID]*row
		_    [48]byte
	}
}

type row struct {
	holder         registry.NodeRef
	token, version uint64
	expiry         int64
}

var errRefused = errors.New("refused")

func newTable(ttl time.Duration) *table {
	t := &table{seed: maphash.MakeSeed(), ttl: ttl}
	for i := range t.shards {
		t.shards[i].rows = map[registry.ActorID]*row{}
	}
	return t
}

// update changes an actor's row in one critical section, if f says so.
func (t *table) update(actor registry.ActorID, f func(r *row, now int64) bool) (row, error) {
	sh := &t.shards[maphash.Comparable(t.seed, actor)%uint64(len(t.shards))]
	sh.Lock()
	defer sh.Unlock()
	r := sh.rows[actor]
	if r == nil {
		r = new(row)
		sh.rows[actor] = r
	}
	if !f(r, time.Now().UnixNano()) {
		return *r, errRefused
	}
	r.version++
	return *r, nil
}

func (t *table) claim(actor registry.ActorID, node registry.NodeRef) (row, error) {
	return t.update(actor, func(r *row, now int64) bool {
		if !r.holder.IsZero() && now < r.expiry {
			return false
		}
		r.holder, r.token, r.expiry = node, r.token+1, now+int64(t.ttl)
		return true
	})
}

func (t *table) renew(actor registry.ActorID, node registry.NodeRef, token uint64) (row, error) {
	return t.update(actor, func(r *row, now int64) bool {
		if r.holder != node || r.token != token || now >= r.expiry {
			return false
		}
		r.expiry = now + int64(t.ttl)
		return true
	})
}

func (t *table) release(actor registry.ActorID, node registry.NodeRef, token uint64) error {
	_, err := t.update(actor, func(r *row, _ int64) bool {
		if r.holder != node || r.token != token {
			return false
		}
		r.holder = registry.NodeRef{}
		return true
	})
	return err
}

func (t *table) lookup(actor registry.ActorID) (row, bool) {
	sh := &t.shards[maphash.Comparable(t.seed, actor)%uint64(len(t.shards))]
	sh.Lock()
	defer sh.Unlock()
	if r := sh.rows[actor]; r != nil {
		return *r, true
	}
	return row{}, false
}

// BenchmarkStore measures one operation from 1, 2, 8 and 64 goroutines, spread
// over many actors or all on one ("hot"), beside the table written by hand.
// claim+release is two operations per iteration.
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
				b.Run(name+"/impl=table", func(b *testing.B) {
					t := newTable(cfg.TTL)
					node := registry.NodeRef{ID: "n1", Epoch: 1}
					tokens := make([]uint64, actors)
					for i := range tokens {
						r, err := t.claim(benchActor(i), node)
						require.NoError(b, err)
						if op == "claim+release" {
							require.NoError(b, t.release(benchActor(i), node, r.token))
						}
						tokens[i] = r.token
					}
					inParallel(b, goroutines, actors, tableOp(t, op, node, tokens))
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

func tableOp(t *table, op string, node registry.NodeRef, tokens []uint64) func(i int, id registry.ClaimID) {
	actors := make([]registry.ActorID, len(tokens))
	for i := range actors {
		actors[i] = benchActor(i)
	}
	switch op {
	case "renew":
		return func(i int, _ registry.ClaimID) { _, _ = t.renew(actors[i], node, tokens[i]) }
	case "lookup":
		return func(i int, _ registry.ClaimID) { _, _ = t.lookup(actors[i]) }
	default:
		return func(i int, _ registry.ClaimID) {
			if r, err := t.claim(actors[i], node); err == nil {
				_ = t.release(actors[i], node, r.token)
			}
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
	b.StopTimer() // closing a file is not measured
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
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
