package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// callTime is how long each call of the registry takes in the experiments below.
const callTime = 5 * time.Millisecond

// crowd is a registry that counts what waiters ask of it.
type crowd struct {
	registry.Handle
	claims, looks *atomic.Int64
}

func (c crowd) Claim(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	c.claims.Add(1)
	time.Sleep(callTime / 2)
	defer time.Sleep(callTime / 2)
	return c.Handle.Claim(ctx, a, n, id)
}

func (c crowd) Lookup(ctx context.Context, a registry.ActorID) (registry.Placement, bool, error) {
	c.looks.Add(1)
	time.Sleep(callTime / 2)
	defer time.Sleep(callTime / 2)
	return c.Handle.Lookup(ctx, a)
}

// stampede has waiters wait for the actors of a holder that crashes, a number
// of times, and returns the claims made at each lapse, over all actors, and
// the time from each actor's becoming claimable to its next grant.
func stampede(t *testing.T, waiters, actors, lapses int, acquire func(context.Context, *Keeper, registry.ActorID) error) (claims []int64, delays []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		open := openMemimpl(t, testCfg)
		var asked, looks atomic.Int64
		names := make([]registry.ActorID, actors)
		for i := range names {
			names[i] = registry.ActorID{Namespace: "crowd", Name: fmt.Sprint(i)}
		}
		keeper := func(i int) *Keeper {
			wall := registry.SystemClock()
			h := open(wall)
			n, err := h.RegisterNode(t.Context(), registry.NodeID(fmt.Sprint("n", i)), registry.NodeInfo{}, registry.Supersede)
			require.NoError(t, err)
			k, err := New(crowd{h, &asked, &looks}, testCfg, n.Ref, Options{Clock: WithTimers(wall), Seed: uint64(i) + 1})
			require.NoError(t, err)
			return k
		}
		holder := open(registry.SystemClock())
		for lapse := range lapses {
			n, err := holder.RegisterNode(t.Context(), "holder", registry.NodeInfo{}, registry.Supersede)
			require.NoError(t, err)
			for _, a := range names { // claimed once, never renewed: it has crashed
				_, err := holder.Claim(t.Context(), a, n.Ref, registry.NewClaimID())
				require.NoError(t, err)
			}
			claimable := time.Now().Add(testCfg.TTL + testCfg.Grace + 2*testCfg.MaxClockSkew)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var wg sync.WaitGroup
			var mu sync.Mutex
			granted := 0
			for i := range waiters {
				k := keeper(lapse*waiters + i)
				a := names[i%actors]
				wg.Go(func() {
					defer k.Close()
					if acquire(ctx, k, a) != nil {
						return
					}
					mu.Lock()
					defer mu.Unlock()
					delays = append(delays, time.Since(claimable))
					if granted++; granted == actors {
						cancel()
					}
				})
			}
			time.Sleep(time.Until(claimable)) // the first, unavoidable look of each waiter is long over
			asked.Store(0)
			wg.Wait()
			claims = append(claims, asked.Load())
			for _, a := range names {
				p, _, err := holder.Lookup(t.Context(), a)
				require.NoError(t, err)
				require.NoError(t, holder.Release(t.Context(), p.Lease()))
			}
		}
	})
	return claims, delays
}

func keeperAcquire(ctx context.Context, k *Keeper, a registry.ActorID) error {
	_, err := k.Acquire(ctx, a)
	return err
}

// naive is the waiter everybody writes first: claim, and claim again later.
func naive(every time.Duration) func(context.Context, *Keeper, registry.ActorID) error {
	return func(ctx context.Context, k *Keeper, a registry.ActorID) error {
		for {
			_, err := k.TryAcquire(ctx, a)
			if !errors.Is(err, registry.ErrHeld) {
				return err
			}
			if err := within(ctx, every); err != nil {
				return err
			}
		}
	}
}

// F13: a thousand waiters on a lapsed actor must not make a thousand claims.
// The bound is (waiters per actor)·callTime/Spread, here 1000·5ms/3s = 1.7 on
// average for one actor; the test allows ten times that.
func TestWaitersDoNotStampede(t *testing.T) {
	for _, c := range []struct{ actors, most int }{{1, 17}, {100, 200}} {
		t.Run(fmt.Sprintf("%d actors", c.actors), func(t *testing.T) {
			claims, delays := stampede(t, 1000, c.actors, 3, keeperAcquire)
			t.Logf("1000 waiters, %d actors lapsing together: claims at each lapse %v; granted after %v (median), %v (max)",
				c.actors, claims, percentile(delays, 50), slices.Max(delays))
			assert.LessOrEqual(t, int(slices.Max(claims)), c.most)
			assert.GreaterOrEqual(t, int(slices.Min(claims)), c.actors)
			assert.LessOrEqual(t, slices.Max(delays), testCfg.TTL/10+2*callTime, "the first look within Spread wins")

			naive, _ := stampede(t, 1000, c.actors, 1, naive(testCfg.TTL/10))
			t.Logf("naive polling every %v: claims at the lapse %v", testCfg.TTL/10, naive)
			needed := int64(c.actors) // one claim each
			assert.Greater(t, naive[0]-needed, 10*(slices.Max(claims)-needed), "the experiment tells good from bad")
		})
	}
}

// No waiter starves: every node of a crowd that hands one actor around gets its share.
func TestWaitingIsFair(t *testing.T) {
	const nodes, rounds = 10, 2000
	wins := make([]int, nodes)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		left := rounds
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range nodes {
			m := w.machine(registry.NodeID(fmt.Sprint("n", i)), 0)
			k, err := New(m, testCfg, m.ref, Options{Clock: WithTimers(m.wall), Seed: uint64(i) + 1})
			require.NoError(t, err)
			wg.Go(func() {
				defer k.Close()
				for ctx.Err() == nil {
					tenure, err := k.Acquire(ctx, cart)
					if err != nil {
						return
					}
					mu.Lock()
					wins[i]++
					if left--; left == 0 {
						cancel()
					}
					mu.Unlock()
					_ = within(ctx, 100*time.Millisecond)
					_ = tenure.Release(context.Background())
					_ = within(ctx, 100*time.Millisecond)
				}
			})
		}
		wg.Wait()
	})
	t.Log("grants per node:", wins)
	assert.Greater(t, slices.Min(wins), rounds/nodes/2)
	assert.Less(t, slices.Max(wins), 2*rounds/nodes)
}
