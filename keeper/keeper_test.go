package keeper

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

func acquire(t *testing.T, k *Keeper) *Tenure {
	t.Helper()
	tenure, err := k.Acquire(t.Context(), cart)
	require.NoError(t, err)
	require.NoError(t, tenure.Check())
	return tenure
}

// over waits for the tenure's context and returns the cause.
func over(t *testing.T, tenure *Tenure) *LostError {
	t.Helper()
	<-tenure.Context().Done()
	synctest.Wait() // for the observer
	var lost *LostError
	require.ErrorAs(t, context.Cause(tenure.Context()), &lost)
	require.ErrorIs(t, lost, ErrLost)
	require.Equal(t, error(lost), tenure.Check())
	return lost
}

// Keeping a lease: it is renewed every TTL/3, spread by a tenth, and the record
// never leaves the live phase.
func TestRenewsEveryThirdOfTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t).machine("n1", 0)
		k := m.keeper(t, Options{})
		tenure := acquire(t, k)
		for range 300 {
			time.Sleep(time.Second)
			require.Equal(t, registry.Live, testCfg.Phase(m.record(t).Expiry, m.wall.Now()))
			require.NoError(t, tenure.Check())
		}
		// 300 s in steps of 9 to 11 s.
		assert.GreaterOrEqual(t, m.count("Renew"), 27)
		assert.LessOrEqual(t, m.count("Renew"), 33)
		assert.EqualValues(t, 1, m.record(t).Token)
		require.NoError(t, tenure.Release(t.Context()))
		assert.ErrorIs(t, over(t, tenure), ErrReleased)
		assert.False(t, m.record(t).Held())
		assert.Zero(t, k.Len())
	})
}

// The local deadline is counted from before the request: however slow the
// answer, it is never later than what the registry recorded.
func TestDeadlineIsCountedFromBeforeTheRequest(t *testing.T) {
	for _, took := range []time.Duration{0, time.Second, 4 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			m := newWorld(t).machine("n1", 0)
			k := m.keeper(t, Options{})
			m.set(slow("Claim", took), slow("Claim", took)) // on the way and on the way back
			sent := m.wall.Now()
			tenure := acquire(t, k)
			assert.Equal(t, sent.Add(testCfg.TTL-testCfg.TTL/10), tenure.Deadline())
			assert.LessOrEqual(t, tenure.Deadline(), m.record(t).Expiry)
		})
	}
}

// When renewals fail the alarm comes early, the holder steps down before the
// lease ends, and the cause says why.
func TestFailingRenewalsAreLoud(t *testing.T) {
	for _, trouble := range []error{
		registry.ErrUnavailable,
		&registry.AmbiguousError{Cause: errors.New("answer lost")},
		&registry.AmbiguousError{MayStillApply: true, Cause: errors.New("timeout")},
		fmt.Errorf("call: %w", context.DeadlineExceeded),
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newWorld(t).machine("n1", 0)
			seen := &seen{}
			k := m.keeper(t, Options{Observer: seen})
			tenure := acquire(t, k)
			m.set(failing("Renew", trouble), nil)
			lost := over(t, tenure)
			assert.ErrorIs(t, lost, ErrDeadline)
			assert.Less(t, m.wall.Now(), m.record(t).Expiry, "stepped down before the lease ended")
			assert.Equal(t, 1, seen.degraded)
			assert.Equal(t, 1, seen.lost)
			assert.Less(t, seen.degradedAt, lost.Lease.Expiry.Add(-testCfg.TTL/3), "alarm with time left")
			assert.GreaterOrEqual(t, m.count("Renew"), 4, "retried within the remaining time")
			assert.LessOrEqual(t, m.count("Renew"), 40, "with backoff")
		})
	}
}

type seen struct {
	NopObserver
	degraded, healthy, lost int
	degradedAt              registry.Instant
}

func (s *seen) Degraded(t *Tenure, _ error) {
	s.degraded++
	s.degradedAt = t.keeper.clock.Now()
}
func (s *seen) Healthy(*Tenure) { s.healthy++ }
func (s *seen) Lost(*LostError) { s.lost++ }

// A tenure that recovers is reported as healthy, and kept.
func TestRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t).machine("n1", 0)
		seen := &seen{}
		tenure := acquire(t, m.keeper(t, Options{Observer: seen}))
		m.set(failing("Renew", registry.ErrUnavailable), nil)
		time.Sleep(20 * time.Second)
		m.set(nil, nil)
		time.Sleep(time.Hour)
		require.NoError(t, tenure.Check())
		assert.Equal(t, 1, seen.degraded)
		assert.Equal(t, 1, seen.healthy)
	})
}

// The registry's word that the tenure is over ends it at once.
func TestDefiniteRefusalsEndTheTenureAtOnce(t *testing.T) {
	for _, refusal := range []error{registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed, registry.ErrClosed} {
		synctest.Test(t, func(t *testing.T) {
			m := newWorld(t).machine("n1", 0)
			tenure := acquire(t, m.keeper(t, Options{}))
			m.set(failing("Renew", &registry.Refusal{Reason: refusal}), nil)
			start := m.wall.Now()
			assert.ErrorIs(t, over(t, tenure), refusal)
			assert.LessOrEqual(t, m.wall.Now().Sub(start), 11*time.Second, "at the first renewal")
		})
	}
}

// A claim whose answer was lost is repeated under the same identity: one grant.
func TestAmbiguousClaimIsOneGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t).machine("n1", 0)
		left := 3
		m.set(nil, func(op string) error {
			if op == "Claim" && left > 0 {
				left--
				return &registry.AmbiguousError{Cause: errors.New("answer lost")}
			}
			return nil
		})
		tenure := acquire(t, m.keeper(t, Options{}))
		assert.EqualValues(t, 1, tenure.Token())
		assert.EqualValues(t, 1, m.record(t).Version, "repetitions change nothing")
	})
}

// An Acquire that ends with an ambiguous claim gives back what it may have got.
func TestAbandonedClaimIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t).machine("n1", 0)
		k := m.keeper(t, Options{})
		m.set(nil, failing("Claim", &registry.AmbiguousError{Cause: errors.New("answer lost")}))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := k.Acquire(ctx, cart)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualValues(t, 1, m.record(t).Token, "it was granted")
		synctest.Wait()
		assert.False(t, m.record(t).Held())
	})
}

// An answer that arrives after the deadline must not be served: the lease is
// renewed first, and the tenure begins with the renewal's deadline.
func TestLateGrantIsRenewedBeforeItIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t).machine("n1", 0)
		m.set(nil, slow("Claim", 28*time.Second)) // the deadline is at 27 s
		tenure := acquire(t, m.keeper(t, Options{}))
		assert.Equal(t, 1, m.count("Renew"))
		assert.Equal(t, m.wall.Now().Add(27*time.Second), tenure.Deadline())
		assert.EqualValues(t, 1, tenure.Token())
	})
	synctest.Test(t, func(t *testing.T) { // beyond grace: that tenure is over, the next one is another
		m := newWorld(t).machine("n1", 0)
		late := true
		m.set(nil, func(op string) error {
			if op == "Claim" && late {
				late = false
				time.Sleep(testCfg.TTL + testCfg.Grace + time.Second)
			}
			return nil
		})
		tenure := acquire(t, m.keeper(t, Options{}))
		assert.EqualValues(t, 2, tenure.Token())
	})
}

// A late renewal answer does not bring a lost tenure back.
func TestLateRenewalChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t).machine("n1", 0)
		k := m.keeper(t, Options{})
		tenure := acquire(t, k)
		m.set(nil, slow("Renew", 25*time.Second)) // longer than the call's timeout; it ignores its context
		lost := over(t, tenure)
		assert.ErrorIs(t, lost, ErrDeadline)
		before := m.wall.Now()
		time.Sleep(time.Minute)
		assert.Equal(t, error(lost), tenure.Check())
		assert.Greater(t, m.record(t).Expiry, before, "the registry did renew it")
		assert.Zero(t, k.Len())
	})
}

// frozen is a machine whose timers do not fire: a paused process.
type frozen struct {
	*registry.ManualClock
	elapsed time.Duration
}

func (f *frozen) Elapsed() time.Duration                 { return f.elapsed }
func (f *frozen) AfterFunc(time.Duration, func()) func() { return func() {} }

// Check reads the clocks itself: the first request after a pause is refused,
// by either clock, for good.
func TestCheckAfterAPause(t *testing.T) {
	for name, pause := range map[string]func(*frozen, time.Duration){
		"both clocks went on":         func(f *frozen, d time.Duration) { f.Advance(d); f.elapsed += d },
		"only the wall clock did":     func(f *frozen, d time.Duration) { f.Advance(d) },
		"the wall clock was set back": func(f *frozen, d time.Duration) { f.Advance(-time.Hour); f.elapsed += d },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			clock := &frozen{ManualClock: registry.NewManualClock(1e18)}
			h, err := w.store.Open(testCfg, clock)
			require.NoError(t, err)
			n, err := h.RegisterNode(t.Context(), "n1", registry.NodeInfo{}, registry.IfAbsent)
			require.NoError(t, err)
			k, err := New(h, testCfg, n.Ref, Options{Clock: clock, Seed: 1})
			require.NoError(t, err)
			tenure := acquire(t, k)
			pause(clock, 27*time.Second-1)
			require.NoError(t, tenure.Check())
			clock.Advance(1)
			clock.elapsed++
			require.ErrorIs(t, tenure.Check(), ErrDeadline)
			clock.Set(1e18) // stepping back does not bring it back
			clock.elapsed = 0
			require.ErrorIs(t, tenure.Check(), ErrDeadline)
			require.ErrorIs(t, context.Cause(tenure.Context()), ErrDeadline)
		})
	}
}

// Waiting: the next holder gets the actor after the former one's lease ran out,
// not before its grace and the skew margin have passed, and soon after.
func TestWaiterTakesOverACrashedHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.machine("a", testCfg.MaxClockSkew), w.machine("b", -testCfg.MaxClockSkew)
		ka, kb := a.keeper(t, Options{}), b.keeper(t, Options{})
		first := acquire(t, ka)
		time.Sleep(5 * time.Second)
		a.set(failing("Renew", registry.ErrUnavailable), nil) // cut off
		start := b.wall.Now()
		second := acquire(t, kb)
		require.ErrorIs(t, over(t, first), ErrDeadline)
		assert.EqualValues(t, 2, second.Token())
		earliest := first.Lease().Expiry.Add(testCfg.Grace + 2*testCfg.MaxClockSkew)
		now := b.wall.Now()
		assert.GreaterOrEqual(t, now, earliest)
		assert.LessOrEqual(t, now, earliest.Add(testCfg.TTL/10), "within Spread")
		assert.Less(t, b.count("Claim"), 4)
		t.Log("waited", now.Sub(start))
	})
}

// A released actor is found by polling, at the latest after PollEvery.
func TestWaiterFindsARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.machine("a", 0), w.machine("b", 0)
		first := acquire(t, a.keeper(t, Options{}))
		go func() {
			time.Sleep(100 * time.Second)
			assert.NoError(t, first.Release(t.Context()))
		}()
		start := b.wall.Now()
		second := acquire(t, b.keeper(t, Options{}))
		assert.LessOrEqual(t, b.wall.Now().Sub(start), 100*time.Second+testCfg.TTL/2)
		assert.EqualValues(t, 2, second.Token())
		assert.Less(t, b.count("Lookup"), 100)
	})
}

func TestTryAcquire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.machine("a", 0), w.machine("b", 0)
		acquire(t, a.keeper(t, Options{}))
		_, err := b.keeper(t, Options{}).TryAcquire(t.Context(), cart)
		require.ErrorIs(t, err, registry.ErrHeld)
		var detail *registry.Refusal
		require.ErrorAs(t, err, &detail)
		assert.Equal(t, a.ref, detail.Placement.Holder)
	})
}

// Transfer: the old holder stops before the registry is asked; no gap in the record.
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.machine("a", 0), w.machine("b", 0)
		first := acquire(t, a.keeper(t, Options{}))
		a.set(func(op string) error {
			if op == "Transfer" {
				assert.ErrorIs(t, first.Check(), ErrReleased)
			}
			return nil
		}, nil)
		l, err := first.Transfer(t.Context(), b.ref)
		require.NoError(t, err)
		assert.Equal(t, b.record(t), registry.Placement(l))
		adopted, err := b.keeper(t, Options{}).Adopt(t.Context(), l)
		require.NoError(t, err)
		assert.NoError(t, adopted.Check())
	})
	synctest.Test(t, func(t *testing.T) { // the answer is lost
		w := newWorld(t)
		a, b := w.machine("a", 0), w.machine("b", 0)
		first := acquire(t, a.keeper(t, Options{}))
		lost := true
		a.set(nil, func(op string) error {
			if op == "Transfer" && lost {
				lost = false
				return &registry.AmbiguousError{Cause: errors.New("answer lost")}
			}
			return nil
		})
		l, err := first.Transfer(t.Context(), b.ref)
		require.NoError(t, err)
		assert.EqualValues(t, 2, l.Token)
	})
	synctest.Test(t, func(t *testing.T) { // refused: the actor is released
		a := newWorld(t).machine("a", 0)
		first := acquire(t, a.keeper(t, Options{}))
		_, err := first.Transfer(t.Context(), registry.NodeRef{ID: "nobody", Epoch: 1})
		require.ErrorIs(t, err, registry.ErrNodeUnknown)
		assert.False(t, a.record(t).Held())
	})
}

// Closing the keeper ends every tenure and every wait, and releases nothing.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.machine("a", 0), w.machine("b", 0)
		ka, kb := a.keeper(t, Options{}), b.keeper(t, Options{})
		tenure := acquire(t, ka)
		waited := make(chan error)
		go func() {
			_, err := kb.Acquire(t.Context(), cart)
			waited <- err
		}()
		synctest.Wait()
		ka.Close()
		kb.Close()
		assert.ErrorIs(t, over(t, tenure), ErrNodeOver)
		assert.ErrorIs(t, <-waited, ErrNodeOver)
		assert.True(t, a.record(t).Held())
		_, err := ka.Acquire(t.Context(), cart)
		assert.ErrorIs(t, err, ErrNodeOver)
	})
}

func TestPolicyIsChecked(t *testing.T) {
	ref := registry.NodeRef{ID: "n", Epoch: 1}
	r := newWorld(t).machine("n", 0)
	for _, p := range []Policy{
		{SafetyMargin: -1}, {SafetyMargin: testCfg.TTL}, {RenewEvery: testCfg.TTL}, {RetryAfter: testCfg.TTL},
		{CallTimeout: testCfg.TTL}, {Spread: -1}, {PollEvery: 2 * testCfg.TTL}, {Workers: -1}, {BatchSize: math.MaxInt}, {DegradedAfter: -1},
	} {
		_, err := New(r, testCfg, ref, Options{Policy: p})
		assert.ErrorIs(t, err, registry.ErrInvalid, "%+v", p)
	}
	_, err := New(r, testCfg, registry.NodeRef{}, Options{})
	assert.ErrorIs(t, err, registry.ErrInvalid)
	_, err = New(r, registry.Config{}, ref, Options{})
	assert.ErrorIs(t, err, registry.ErrInvalid)
}

// However many leases are due at once, after a pause or because they were
// taken together, no more than Policy.Workers renewals are under way.
func TestRenewalsDoNotThunder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t).machine("n1", 0)
		k := m.keeper(t, Options{})
		for i := range 500 {
			_, err := k.Acquire(t.Context(), registry.ActorID{Namespace: "many", Name: fmt.Sprint(i)})
			require.NoError(t, err)
		}
		var mu sync.Mutex
		var underWay, most int
		count := func(d int) {
			mu.Lock()
			defer mu.Unlock()
			underWay += d
			most = max(most, underWay)
		}
		m.set(func(op string) error {
			count(1)
			time.Sleep(50 * time.Millisecond)
			return nil
		}, func(string) error { count(-1); return nil })
		time.Sleep(10 * testCfg.TTL)
		mu.Lock()
		assert.Equal(t, k.policy.Workers, most)
		mu.Unlock()
		assert.Equal(t, 500, k.Len(), "and none is lost")
		assert.Greater(t, m.count("Renew"), 500*25)
		m.set(nil, nil)
		time.Sleep(time.Second) // the slow ones end
	})
}
