//go:build fdb && fdbsim

package libfdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/fdbsim"
)

func open(t testing.TB) (*fdbsim.Cluster, fdb.Database) {
	fdb.MustAPIVersion(apiVersion)
	c := fdbsim.NewCluster(fdbsim.Config{Seed: 1})
	db := fdb.MustOpenDatabase(c.ClusterFile())
	t.Cleanup(func() {
		db.Close()
		c.Close()
	})
	return c, db
}

// Clusters do not see each other, and a name always opens the same one.
func TestClustersAreIsolated(t *testing.T) {
	a, dbA := open(t)
	_, dbB := open(t)
	_, err := dbA.Transact(func(tr fdb.Transaction) (any, error) { tr.Set(fdb.Key("k"), []byte("a")); return nil, nil })
	require.NoError(t, err)
	get := func(db fdb.Database) any {
		v, err := db.ReadTransact(func(tr fdb.ReadTransaction) (any, error) { return tr.Get(fdb.Key("k")).Get() })
		require.NoError(t, err)
		return v
	}
	require.Equal(t, []byte("a"), get(dbA))
	require.Nil(t, get(dbB))
	require.Equal(t, []byte("a"), get(fdb.MustOpenDatabase(a.ClusterFile())))
	file := t.TempDir() + "/fdb.cluster"
	require.NoError(t, os.WriteFile(file, []byte("# comment\ntest:abc@127.0.0.1:4500\n"), 0o600))
	fromFile := fdb.MustOpenDatabase(file)
	defer fromFile.Close()
	fromString, err := fdb.OpenWithConnectionString("test:abc@127.0.0.1:4500")
	require.NoError(t, err)
	defer fromString.Close()
	_, err = fromFile.Transact(func(tr fdb.Transaction) (any, error) { tr.Set(fdb.Key("k"), []byte("f")); return nil, nil })
	require.NoError(t, err)
	require.Equal(t, []byte("f"), get(fromString))
}

// Whatever a client does, also with futures that it never awaits, cancels or that fail: when it has let
// go of everything, nothing is left on the C side.
func TestNothingLeaks(t *testing.T) {
	baseline := settled(t, LiveHandles())
	func() {
		fdb.MustAPIVersion(apiVersion)
		c := fdbsim.NewCluster(fdbsim.Config{Seed: 1, Faults: fdbsim.Faults{UnknownApplied: 0.1, Delay: 0.1}})
		defer c.Close()
		db := fdb.MustOpenDatabase(c.ClusterFile())
		defer db.Close()
		for i := range 200 {
			useEverything(t, db, fdb.Key(fmt.Sprintf("%03d", i)))
		}
		require.Greater(t, LiveHandles().Futures, baseline.Futures, "the count must count")
	}()
	require.Equal(t, baseline, settled(t, baseline))
}

// settled lets finalizers run until the counts are as wanted, or until they have had every chance.
func settled(t *testing.T, want Live) Live {
	t.Helper()
	for range 200 {
		runtime.GC()
		if LiveHandles() == want {
			break
		}
		ran := make(chan struct{})
		runtime.SetFinalizer(new([64]byte), func(*[64]byte) { close(ran) })
		runtime.GC()
		select {
		case <-ran:
		case <-time.After(10 * time.Millisecond): // the object may live in a block that is not swept yet
		}
	}
	return LiveHandles()
}

func useEverything(t *testing.T, db fdb.Database, key fdb.Key) {
	_, err := db.Transact(func(tr fdb.Transaction) (any, error) {
		tr.Set(key, []byte("value"))
		tr.Get(fdb.Key("never awaited"))
		tr.Get(fdb.Key("cancelled")).Cancel()
		tr.GetRange(fdb.KeyRange{Begin: fdb.Key(""), End: fdb.Key("never iterated")}, fdb.RangeOptions{})
		tr.GetVersionstamp()
		return tr.GetRange(fdb.KeyRange{Begin: fdb.Key(""), End: fdb.Key("\xff")}, fdb.RangeOptions{}).GetSliceWithError()
	})
	require.NoError(t, err)
	tr, err := db.CreateTransaction()
	require.NoError(t, err)
	watch := tr.Watch(key) // never fires, never awaited
	require.NoError(t, tr.Commit().Get())
	require.False(t, watch.IsReady())
	_, err = tr.Get(key).Get()
	require.Equal(t, fdb.Error{Code: 2017}, err)
	tr, err = db.CreateTransaction()
	require.NoError(t, err)
	_, err = tr.GetKey(fdb.FirstGreaterOrEqual(key)).Get()
	require.NoError(t, err)
	tr.Commit() // nothing of it is kept
}

// A destroyed handle is a bug of its user; the real library crashes on it at some later time.
func TestDestroyedHandlesAreNoticed(t *testing.T) {
	handles := newTable[int]("test")
	p := handles.put(7)
	require.Equal(t, 7, handles.take(p))
	require.PanicsWithValue(t, "libfdb: use of a destroyed test handle", func() { handles.get(p) })
	require.PanicsWithValue(t, "libfdb: use of a destroyed test handle", func() { handles.take(p) })
}

// Goroutines that wait through the binding's callbacks wake up, on whichever goroutine completes them.
func TestManyGoroutines(t *testing.T) {
	_, db := open(t)
	const clients, each = 32, 50
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for range each {
				_, err := db.Transact(func(tr fdb.Transaction) (any, error) {
					v, err := tr.Get(fdb.Key("counter")).Get()
					if err != nil {
						return nil, err
					}
					n := 0
					if v != nil {
						if _, err := fmt.Sscan(string(v), &n); err != nil {
							return nil, err
						}
					}
					tr.Set(fdb.Key("counter"), fmt.Append(nil, n+1))
					return nil, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	v, err := db.ReadTransact(func(tr fdb.ReadTransaction) (any, error) { return tr.Get(fdb.Key("counter")).Get() })
	require.NoError(t, err)
	require.Equal(t, fmt.Append(nil, clients*each), v)
}

// What the binding can ask for and the simulator does not model ends with an error.
func TestUnmodelledCallsFail(t *testing.T) {
	_, db := open(t)
	unsupported := fdb.Error{Code: 2108}
	_, err := db.OpenTenant(fdb.Key("t"))
	require.Equal(t, unsupported, err)
	_, err = db.GetClientStatus()
	require.Equal(t, unsupported, err)
	require.Error(t, db.RebootWorker("127.0.0.1:4500", false, 0))
	tr, err := db.CreateTransaction()
	require.NoError(t, err)
	all := fdb.KeyRange{Begin: fdb.Key(""), End: fdb.Key("\xff")}
	_, err = tr.GetEstimatedRangeSizeBytes(all).Get()
	require.Equal(t, unsupported, err)
	_, err = tr.GetRangeSplitPoints(all, 1000).Get()
	require.Equal(t, unsupported, err)
	_, err = tr.LocalityGetAddressesForKey(fdb.Key("k")).Get()
	require.Equal(t, unsupported, err)
	_, err = db.LocalityGetBoundaryKeys(all, 0, 0)
	require.Equal(t, unsupported, err)
	require.Error(t, db.CreateTenant(fdb.Key("t")))
}

// The network can be stopped once; after that nothing works (row N10). It runs in a process of its own.
func TestStopNetwork(t *testing.T) {
	if os.Getenv("LIBFDB_STOP_NETWORK") == "" {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		again := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestStopNetwork$")
		again.Env = append(os.Environ(), "LIBFDB_STOP_NETWORK=1")
		out, err := again.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	fdb.MustAPIVersion(apiVersion)
	require.Equal(t, fdb.ErrNetworkNotStarted, fdb.StopNetwork())
	db := fdb.MustOpenDefault()
	require.NoError(t, fdb.StopNetwork())
	require.Equal(t, fdb.ErrNetworkAlreadyStopped, fdb.StopNetwork())
	_, err := fdb.OpenDatabase("another")
	require.Equal(t, fdb.ErrNetworkIsStopped, err)
	tr, err := db.CreateTransaction()
	require.NoError(t, err)
	_, err = tr.Get(fdb.Key("k")).Get()
	require.True(t, errors.Is(err, fdb.Error{Code: 1100}), "%v", err)
}

func benchmark(b *testing.B, parallel bool) {
	_, db := open(b)
	one := func(i int) error {
		key := fdb.Key(fmt.Sprintf("%08d", i%10_000))
		_, err := db.Transact(func(tr fdb.Transaction) (any, error) {
			if _, err := tr.Get(key).Get(); err != nil {
				return nil, err
			}
			tr.Set(key, key)
			return nil, nil
		})
		return err
	}
	b.ResetTimer()
	if parallel {
		var mu sync.Mutex
		next := 0
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				mu.Lock()
				next++
				i := next
				mu.Unlock()
				if err := one(i); err != nil {
					b.Error(err)
				}
			}
		})
	} else {
		for i := range b.N {
			if err := one(i); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "txn/s")
}

func BenchmarkTransact(b *testing.B)         { benchmark(b, false) }
func BenchmarkTransactParallel(b *testing.B) { benchmark(b, true) }
