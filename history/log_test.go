package history_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/memimpl"
)

// A service's history is written into files while it runs: read one after the other
// they have every operation once, in order, and explain each other (contract,
// guarantee 6); the recorder keeps none of them.
func TestLog(t *testing.T) {
	truth := registry.NewManualClock(1e18)
	store, err := memimpl.New(testConfig)
	require.NoError(t, err)
	rec := history.NewRecorder(testConfig)
	log := &history.Log{Recorder: rec, Dir: t.TempDir(), MaxBytes: 20_000}
	handles, clocks := make([]registry.Handle, 6), make([]*registry.SkewedClock, 6)
	for i := range handles {
		name := fmt.Sprint("n", i)
		clocks[i] = registry.NewSkewedClock(truth, 0)
		inner, err := store.Open(testConfig, rec.Clock(name, clocks[i]))
		require.NoError(t, err)
		handles[i] = rec.Wrap(name, inner)
	}
	for wave := range uint64(3) { // more than one file is of
		var wg sync.WaitGroup
		for i, h := range handles {
			rng := rand.New(rand.NewPCG(wave, uint64(i)))
			wg.Go(func() { busyClient(h, registry.NodeID(fmt.Sprint("n", i)), rng, truth, clocks[i]) })
		}
		over := make(chan struct{})
		go func() { wg.Wait(); close(over) }()
		for running := true; running; {
			select {
			case <-over:
				running = false
			case <-time.After(time.Millisecond):
			}
			require.NoError(t, log.Flush())
		}
	}
	require.NoError(t, log.Close())
	require.Empty(t, rec.History().Ops)

	names, err := filepath.Glob(filepath.Join(log.Dir, "*.jsonl"))
	require.NoError(t, err)
	var files []io.Reader
	for _, name := range names {
		f, err := os.Open(name)
		require.NoError(t, err)
		defer f.Close()
		files = append(files, f)
	}
	require.Greater(t, len(files), 1)
	h, err := history.Read(io.MultiReader(files...))
	require.NoError(t, err)
	require.Len(t, h.Ops, 3*6*201)
	for i := range h.Ops {
		require.NotEqual(t, history.Never, h.Ops[i].Returned)
	}
	res := linearizability.Check(h, linearizability.Options{})
	require.Equal(t, linearizability.OK, res.Verdict, "%s %+v", res.Reason, res.Violations)
}

// What is in flight for too long is taken as pending, and what it answers later is
// not heard; what was called after it and has returned waits until then.
func TestTakeGivesUp(t *testing.T) {
	rec := history.NewRecorder(testConfig)
	clock := registry.NewManualClock(1e18)
	store, err := memimpl.New(testConfig)
	require.NoError(t, err)
	inner, err := store.Open(testConfig, rec.Clock("n1", clock))
	require.NoError(t, err)
	slow := slowLookup{inner, make(chan struct{}), make(chan struct{})}
	h := rec.Wrap("n1", slow)
	answered := make(chan error)
	go func() {
		_, _, err := h.Lookup(t.Context(), registry.ActorID{Namespace: "a", Name: "b"})
		answered <- err
	}()
	<-slow.called
	_, err = h.RegisterNode(t.Context(), "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	require.Empty(t, rec.Take(100).Ops)
	ops := rec.Take(1).Ops
	require.Len(t, ops, 2)
	require.Equal(t, history.Never, int(ops[0].Returned))
	require.Equal(t, history.AnyReading(), ops[0].Clock)
	close(slow.goOn)
	require.NoError(t, <-answered)
	require.Empty(t, rec.Take(0).Ops)
}

type slowLookup struct {
	registry.Handle
	called, goOn chan struct{}
}

func (s slowLookup) Lookup(ctx context.Context, a registry.ActorID) (registry.Placement, bool, error) {
	close(s.called)
	<-s.goOn
	return s.Handle.Lookup(ctx, a)
}
