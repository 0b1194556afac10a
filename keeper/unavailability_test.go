package keeper

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// unwatched hides a registry's Watch, so that waiters have to poll.
type unwatched struct{ registry.Handle }

// gaps measures, over many rounds, the time for which an actor has no owner:
// from when its holder stops to the next grant. how stops it.
func gaps(t *testing.T, rounds int, watch bool, how func(*Tenure)) (without, earliest []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		open := openMemimpl(t, testCfg)
		rng := rand.New(rand.NewPCG(1, 0))
		skewed := func() registry.Clock {
			e := int64(testCfg.MaxClockSkew)
			return registry.NewSkewedClock(registry.SystemClock(), time.Duration(rng.Int64N(2*e+1)-e))
		}
		for round := range rounds {
			join := func(name string) *Keeper {
				wall := skewed()
				var h registry.Handle = open(wall)
				if !watch {
					h = unwatched{h}
				}
				n, err := h.RegisterNode(t.Context(), registry.NodeID(fmt.Sprint(name, round)), registry.NodeInfo{}, registry.IfAbsent)
				require.NoError(t, err)
				k, err := New(h, testCfg, n.Ref, Options{Clock: WithTimers(wall), Seed: rng.Uint64() | 1})
				require.NoError(t, err)
				return k
			}
			holder, waiter := join("holder"), join("waiter")
			tenure, err := holder.Acquire(t.Context(), cart)
			require.NoError(t, err)
			granted := make(chan *Tenure)
			go func() {
				next, err := waiter.Acquire(t.Context(), cart)
				assert.NoError(t, err)
				granted <- next
			}()
			time.Sleep(time.Duration(rng.Int64N(int64(2 * testCfg.TTL)))) // at any phase of its renewals
			stopped := time.Now()
			// By true time nobody can claim before the waiter's clock reads this.
			reclaimable := tenure.Lease().Expiry.Add(testCfg.Grace + 2*testCfg.MaxClockSkew).Sub(waiter.clock.Now())
			how(tenure)
			next := <-granted
			without = append(without, time.Since(stopped))
			earliest = append(earliest, reclaimable)
			require.NoError(t, next.Release(context.Background()))
			holder.Close()
			waiter.Close()
		}
	})
	return without, earliest
}

func spread(d []time.Duration) string {
	return fmt.Sprintf("min %v, median %v, p99 %v, max %v", slices.Min(d).Round(time.Millisecond), percentile(d, 50).Round(time.Millisecond), percentile(d, 99).Round(time.Millisecond), slices.Max(d).Round(time.Millisecond))
}

// How long an actor has no owner, against what TTL, grace and skew dictate.
func TestUnavailability(t *testing.T) {
	crash := func(tenure *Tenure) { tenure.keeper.Close() } // nothing is released
	release := func(tenure *Tenure) { assert.NoError(t, tenure.Release(context.Background())) }

	without, earliest := gaps(t, 500, true, crash)
	excess := make([]time.Duration, len(without))
	for i := range without {
		excess[i] = without[i] - earliest[i]
	}
	t.Log("after a crash:", spread(without), "; the lower bound:", spread(earliest), "; beyond it:", spread(excess))
	assert.GreaterOrEqual(t, slices.Min(excess), time.Duration(0), "claimed before it was reclaimable")
	assert.LessOrEqual(t, slices.Max(excess), testCfg.TTL/10, "the waiter is there within Spread")

	without, _ = gaps(t, 500, true, release)
	t.Log("after a release, watched:", spread(without))
	assert.LessOrEqual(t, slices.Max(without), testCfg.TTL/10)

	without, _ = gaps(t, 500, false, release)
	t.Log("after a release, polled:", spread(without))
	assert.LessOrEqual(t, slices.Max(without), testCfg.TTL/2)
}
