package storetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// The size of a history under load. Every kill leaves up to one call of each
// worker unanswered, and the check has to decide about each.
const (
	workers = 4
	calls   = 25 // of a worker
	kills   = 2
)

// KilledUnderLoad kills the server again and again while clients work, which the
// suite's section durable does not: there nobody waits for an answer at the kill.
// The clients live on. What all of them saw, over all lives of the server, must be
// linearizable: nothing acknowledged is lost, and what was not answered happened
// once or never.
func KilledUnderLoad(t *testing.T, s Store, histories int) {
	server := Start(t, s.Program)
	outcomes := map[op.Outcome]int{}
	for i := range histories {
		x := &ordeal{t: t, server: server, recorder: history.NewRecorder(registry.DefaultConfig()), time: registry.NewManualClock(1_700_000_000_000_000_000)}
		x.suffer(s, fmt.Sprintf("judged-load-%d", i), *seed+uint64(i))
		h := x.recorder.History()
		for _, o := range h.Ops {
			outcomes[o.Result.Outcome]++
		}
		result := linearizability.Check(h, linearizability.Options{})
		if result.Verdict == linearizability.Illegal {
			c, _, _ := explain.Of(h, result, linearizability.Options{})
			t.Fatalf("history %d, -judge.seed %d:\n%s", i, *seed, c)
		}
		require.Equal(t, linearizability.OK, result.Verdict, "history %d, -judge.seed %d: %s", i, *seed, result.Reason)
	}
	t.Logf("%s was killed %d times under load; its callers were told: %v", s.Name, histories*kills, outcomes)
	lost := outcomes[op.Open] + outcomes[op.Settled] + outcomes[op.Unavailable]
	require.GreaterOrEqual(t, lost, histories*kills, "every kill is noticed")
}

// ordeal is one history: workers, and a server that dies.
type ordeal struct {
	t        *testing.T
	server   *Server
	recorder *history.Recorder
	time     *registry.ManualClock
	made     atomic.Int64 // calls
	down     sync.RWMutex // held for writing while the server is
}

func (o *ordeal) suffer(s Store, cluster string, seed uint64) {
	open := func(name string) registry.Handle {
		h, err := dial(o.t, s, o.server.Addr).Open(cluster, registry.DefaultConfig(), o.recorder.Clock(name, o.time))
		require.NoError(o.t, err)
		return o.recorder.Wrap(name, h)
	}
	var working sync.WaitGroup
	for i := range workers {
		w := &worker{ordeal: o, h: open(fmt.Sprintf("w%d", i)), rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		w.self.ID = registry.NodeID(fmt.Sprintf("n%d", i))
		working.Go(w.work)
	}
	rng := rand.New(rand.NewPCG(seed, workers))
	for k := range int64(kills) { // one in each part of the history
		part := int64(workers * calls / (kills + 1))
		at := k*part + 1 + rng.Int64N(part)
		require.NoError(o.t, poll(func(context.Context) (bool, error) { return o.made.Load() >= at, nil }))
		o.down.Lock()
		err := o.server.Restart()
		o.down.Unlock()
		require.NoError(o.t, err)
	}
	working.Wait()
	last := open("last") // with no connection to a dead server
	for _, a := range actors {
		_, _, err := last.Lookup(ctx, a)
		require.NoError(o.t, err)
	}
}

// worker is a client with one node and, at most, one lease.
type worker struct {
	*ordeal
	h     registry.Handle
	rng   *rand.Rand
	self  registry.NodeRef
	lease registry.Lease
}

var actors = []registry.ActorID{{Namespace: "load", Name: "a"}, {Namespace: "load", Name: "b"}}

func (w *worker) work() {
	for range calls {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		w.call(ctx)
		cancel()
		w.made.Add(1)
		w.down.RLock() // waits for the server: without it there is nothing to see
		if w.rng.IntN(10) == 0 {
			w.time.Advance(registry.DefaultConfig().TTL / 2)
		}
		w.down.RUnlock()
	}
}

// call makes one call. Its answer is the recorder's business.
func (w *worker) call(ctx context.Context) {
	actor := actors[w.rng.IntN(len(actors))]
	choice := w.rng.IntN(20)
	if w.self.Epoch == 0 {
		choice = 0
	} else if w.lease.Token == 0 {
		choice = min(choice, 11)
	}
	grant := func(l registry.Lease, err error) {
		if err == nil {
			w.lease = l
		}
	}
	switch {
	case choice < 1:
		if n, err := w.h.RegisterNode(ctx, w.self.ID, registry.NodeInfo{}, registry.Supersede); err == nil {
			w.self = n.Ref
		}
	case choice < 2:
		_ = w.h.Heartbeat(ctx, w.self)
	case choice < 4:
		_, _, _ = w.h.Lookup(ctx, actor)
	case choice < 12:
		var id registry.ClaimID
		binary.BigEndian.PutUint64(id[:], w.rng.Uint64()|1)
		grant(w.h.Claim(ctx, actor, w.self, id))
	case choice < 16:
		grant(w.h.Renew(ctx, w.lease))
	case choice < 18:
		_ = w.h.Release(ctx, w.lease)
	default:
		grant(w.h.Transfer(ctx, w.lease, w.self))
	}
}
