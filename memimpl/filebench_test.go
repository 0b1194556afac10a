package memimpl_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
)

// These benchmarks are of a registry's file as a whole: what an actor costs on it
// and in memory, how long it takes to open, how it grows, and who waits for whom.
// Each runs once; docs/durability.md has the numbers.

// filled is a durable store with n held actors.
type filled struct {
	path   string
	store  *memimpl.Store
	handle *memimpl.Registry
	leases []registry.Lease
}

func newFilled(b *testing.B, n int) *filled {
	f := &filled{path: filepath.Join(b.TempDir(), "registry")}
	f.open(b)
	node := register(b, f.handle, "n1")
	f.leases = make([]registry.Lease, n)
	var wg sync.WaitGroup
	const claimers = 1024
	for g := range claimers {
		wg.Go(func() {
			for i := g; i < n; i += claimers {
				l, err := f.handle.Claim(ctx, benchActor(i), node, registry.ClaimID{1})
				if err != nil {
					panic(err)
				}
				f.leases[i] = l
			}
		})
	}
	wg.Wait()
	return f
}

func (f *filled) open(b *testing.B) {
	cfg := registry.DefaultConfig()
	cfg.TTL = 5 * time.Minute
	var err error
	f.store, err = memimpl.New(cfg, memimpl.OnFile(f.path))
	require.NoError(b, err)
	f.handle, err = f.store.Open(cfg, registry.SystemClock())
	require.NoError(b, err)
}

func (f *filled) size(b *testing.B) float64 {
	info, err := os.Stat(f.path)
	require.NoError(b, err)
	return float64(info.Size())
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkFileOpen opens a file of a million actors.
func BenchmarkFileOpen(b *testing.B) {
	const actors = 1_000_000
	f := newFilled(b, actors)
	require.NoError(b, f.store.Close())
	f.store, f.handle, f.leases = nil, nil, nil
	b.ReportMetric(f.size(b)/actors, "file-B/actor")
	before := heap()
	for b.Loop() {
		f.open(b)
		b.StopTimer()
		b.ReportMetric((heap()-before)/actors, "heap-B/actor")
		require.NoError(b, f.store.Close())
		f.store, f.handle = nil, nil
		b.StartTimer()
	}
	b.ReportMetric(f.size(b)/actors, "reopened-file-B/actor")
}

// BenchmarkFileGrowth renews ten million times, by 64 callers, 100,000 actors.
func BenchmarkFileGrowth(b *testing.B) {
	const actors, renewals, callers = 100_000, 10_000_000, 64
	f := newFilled(b, actors)
	defer f.store.Close()
	for b.Loop() {
		var largest float64
		var mu sync.Mutex
		slowest := time.Duration(0)
		var wg sync.WaitGroup
		for g := range callers {
			wg.Go(func() {
				for i := range renewals / callers / 100 {
					first := (g*actors/callers + i*100) % (actors - 100)
					began := time.Now()
					f.handle.RenewBatch(ctx, f.leases[first:first+100])
					took := time.Since(began)
					if i%50 == 0 || took > slowest {
						mu.Lock()
						largest, slowest = max(largest, f.size(b)), max(slowest, took)
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(largest/1e6, "largest-MB")
		b.ReportMetric(f.size(b)/1e6, "last-MB")
		b.ReportMetric(slowest.Seconds()*1e3, "slowest-ms")
	}
}

// BenchmarkFileHeadOfLine claims one actor while 500,000 are renewed as one batch.
func BenchmarkFileHeadOfLine(b *testing.B) {
	f := newFilled(b, 500_000)
	defer f.store.Close()
	node := f.leases[0].Holder
	for b.Loop() {
		var slowest, batch time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			began := time.Now()
			f.handle.RenewBatch(ctx, f.leases)
			batch = time.Since(began)
		}()
		for i := 0; ; i++ {
			began := time.Now()
			_, err := f.handle.Claim(context.Background(), registry.ActorID{Namespace: "late", Name: fmt.Sprint(i, b.N)}, node, registry.ClaimID{byte(b.N), 2})
			require.NoError(b, err)
			slowest = max(slowest, time.Since(began))
			select {
			case <-done:
			default:
				continue
			}
			break
		}
		b.ReportMetric(slowest.Seconds()*1e3, "slowest-claim-ms")
		b.ReportMetric(batch.Seconds()*1e3, "batch-ms")
	}
}
