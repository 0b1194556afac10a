package memimpl

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// forgetting is a store with a retention and one node, whose clock is at 1000 ns.
func forgetting(t testing.TB, opts ...Option) (*Store, *Registry, *registry.ManualClock, registry.NodeRef) {
	t.Helper()
	s, err := New(short, append(opts, Retain(time.Second))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	clock := registry.NewManualClock(1000)
	h, err := s.Open(short, clock)
	require.NoError(t, err)
	return s, h, clock, mustRegister(t, h, "n1")
}

// due is when the record of a lease may be forgotten, and not a nanosecond before.
func due(l registry.Lease) registry.Instant {
	return l.Expiry.Add(short.Grace).Add(2 * short.MaxClockSkew).Add(time.Second)
}

func purge(t testing.TB, h *Registry) int {
	t.Helper()
	n, err := h.Purge(ctx)
	require.NoError(t, err)
	return n
}

// A released record is forgotten when it is due; what comes late of its tenure is
// refused, then and in the next tenure, whose numbers are above all before.
func TestForgottenTenureIsRefused(t *testing.T) {
	_, h, clock, n := forgetting(t)
	l := mustClaim(t, h, named("x"), n)
	l, err := h.Renew(ctx, l)
	require.NoError(t, err)
	require.NoError(t, h.Release(ctx, l))
	clock.Set(due(l) - 1)
	require.Zero(t, purge(t, h))
	clock.Set(due(l))
	require.Equal(t, 1, purge(t, h))
	require.Zero(t, purge(t, h), "it is gone")

	late := func(want error) {
		t.Helper()
		_, err := h.Renew(ctx, l)
		assert.ErrorIs(t, err, want)
		assert.ErrorIs(t, h.Release(ctx, l), want)
		_, err = h.Transfer(ctx, l, n)
		assert.ErrorIs(t, err, want)
		assert.ErrorIs(t, h.Validate(ctx, l.Actor, l.Token), want)
	}
	_, found, err := h.Lookup(ctx, l.Actor)
	require.NoError(t, err)
	require.False(t, found)
	late(registry.ErrNotHeld)

	again, err := h.Claim(ctx, l.Actor, n, l.ClaimID)
	require.NoError(t, err)
	require.EqualValues(t, 2, again.Token)
	require.EqualValues(t, 4, again.Version, "claim, renewal and release were 1 to 3")
	late(registry.ErrFenced)
}

// A record that names an active node stays, however old; once the node is gone it goes.
func TestActiveHolderIsNotForgotten(t *testing.T) {
	_, h, clock, n := forgetting(t)
	l := mustClaim(t, h, named("x"), n)
	clock.Set(due(l).Add(time.Hour))
	require.Zero(t, purge(t, h))
	require.NoError(t, h.DeregisterNode(ctx, n))
	clock.Set(due(l) - 1)
	require.Zero(t, purge(t, h))
	clock.Set(due(l))
	require.Equal(t, 1, purge(t, h))
	rows, _, err := h.ListActors(ctx, n, registry.Page{})
	require.NoError(t, err)
	require.Empty(t, rows)
}

// What another actor had lifts an actor that was never claimed, and one with a record not.
func TestFloorIsAboveAllThatWasForgotten(t *testing.T) {
	s, h, clock, n := forgetting(t)
	l := mustClaim(t, h, named("x"), n)
	for range 5 {
		require.NoError(t, h.Release(ctx, l))
		l = mustClaim(t, h, named("x"), n)
	}
	kept := mustClaim(t, h, named("y"), n)
	require.NoError(t, h.Release(ctx, l))
	clock.Set(due(l))
	kept, err := h.Renew(ctx, kept)
	if err != nil { // it lapsed meanwhile: take it again
		kept = mustClaim(t, h, named("y"), n)
	}
	require.Equal(t, 1, purge(t, h))
	sh, _ := s.shard(named("x"))
	require.Equal(t, registry.Floor{Token: 6, Version: 12}, sh.ground().Floor)
	require.NoError(t, h.Release(ctx, kept))
	require.Equal(t, kept.Token+1, mustClaim(t, h, named("y"), n).Token)
	require.EqualValues(t, 7, mustClaim(t, h, named("x"), n).Token)
}

func TestPurgeIsOffByDefault(t *testing.T) {
	s, err := New(short)
	require.NoError(t, err)
	_, err = openHandle(t, s).Purge(ctx)
	require.ErrorIs(t, err, registry.ErrInvalid)
	_, err = New(short, Retain(-1))
	require.ErrorIs(t, err, registry.ErrInvalid)
}

// The floor and the gap survive: closing and opening, a compaction before and after
// the purge, and whatever shard an actor is in then.
func TestFloorIsOnTheFile(t *testing.T) {
	for _, compact := range []string{"never", "before", "after"} {
		t.Run(compact, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "registry")
			s, h, clock, n := forgetting(t, OnFile(path))
			l := mustClaim(t, h, named("x"), n)
			for range 5 {
				require.NoError(t, h.Release(ctx, l))
				l = mustClaim(t, h, named("x"), n)
			}
			require.NoError(t, h.Release(ctx, l))
			if compact == "before" {
				s.compactNow()
			}
			clock.Set(due(l))
			require.Equal(t, 1, purge(t, h))
			if compact == "after" {
				s.compactNow()
			}
			require.NoError(t, s.Close())
			for range 2 {
				on, err := ReadFile(path)
				require.NoError(t, err)
				require.Empty(t, on.Records)
				require.Equal(t, registry.Floor{Token: 6, Version: 12}, on.Floor)
				again, err := New(short, OnFile(path)) // a store that forgets nothing knows the floor
				require.NoError(t, err)
				for i := range again.shards {
					require.Equal(t, on.Floor, again.shards[i].ground().Floor)
				}
				require.NoError(t, again.Close())
			}
			s, err := New(short, OnFile(path))
			require.NoError(t, err)
			defer s.Close()
			h, err = s.Open(short, clock)
			require.NoError(t, err)
			require.EqualValues(t, 7, mustClaim(t, h, named("never claimed"), n).Token)
		})
	}
}

// A purge that cannot be written is taken back, with the claim that came after it.
func TestPurgeIsUndone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	on := production
	g := newGate(nil)
	on.between = func(d disk) disk { g.disk = d; return g }
	s, err := newStore(on, short, []Option{OnFile(path), Retain(time.Second)})
	require.NoError(t, err)
	defer s.Close()
	defer close(g.gone)
	clock := registry.NewManualClock(1000)
	h, err := s.Open(short, clock)
	require.NoError(t, err)
	var n registry.NodeRef
	var l registry.Lease
	passed := make(chan struct{})
	go func() { g.pass(3); close(passed) }()
	n = mustRegister(t, h, "n1")
	l = mustClaim(t, h, named("x"), n)
	require.NoError(t, h.Release(ctx, l))
	<-passed
	before, _, err := h.Lookup(ctx, named("x"))
	require.NoError(t, err)

	clock.Set(due(l))
	var wait sync.WaitGroup
	wait.Go(func() {
		_, err := h.Purge(ctx)
		assert.ErrorIs(t, err, registry.ErrUnavailable)
	})
	<-g.arrived
	wait.Go(func() {
		_, err := h.Claim(ctx, named("x"), n, registry.ClaimID{2})
		assert.ErrorIs(t, err, registry.ErrUnavailable)
	})
	for s.lookup(named("x")).placement.Version == 0 { // until the claim is staged
		runtime.Gosched()
	}
	g.outcome <- errors.New("the disk is full")
	wait.Wait()
	after, found, err := h.Lookup(ctx, named("x"))
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, before, after)
}

// Claims, releases, lookups and purges at once: no token is ever granted twice.
func TestPurgeAmongClaims(t *testing.T) {
	s, err := New(short, Retain(0))
	require.NoError(t, err)
	clock := registry.NewManualClock(1000)
	h, err := s.Open(short, clock)
	require.NoError(t, err)
	n := mustRegister(t, h, "n1")
	var wait sync.WaitGroup
	stop := make(chan struct{})
	wait.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				clock.Advance(short.TTL + short.Grace + 2*short.MaxClockSkew)
				_, err := h.Purge(ctx)
				assert.NoError(t, err)
			}
		}
	})
	var clients sync.WaitGroup
	granted := make([]map[registry.Token]int, 4)
	for c := range granted {
		granted[c] = map[registry.Token]int{}
		clients.Go(func() {
			for i := range 20_000 {
				l, err := h.Claim(ctx, named("hot"), n, registry.ClaimID{byte(c + 1), byte(i), byte(i >> 8), byte(i >> 16)})
				if err != nil {
					assert.ErrorIs(t, err, registry.ErrHeld)
					continue
				}
				granted[c][l.Token]++
				_ = h.Release(ctx, l)
			}
		})
	}
	clients.Wait()
	close(stop)
	wait.Wait()
	all := map[registry.Token]int{}
	for _, tokens := range granted {
		for token, times := range tokens {
			all[token] += times
		}
	}
	require.Greater(t, len(all), 1000)
	for token, times := range all {
		require.Equal(t, 1, times, "token %d", token)
	}
}

var names = flag.Int("names", 200_000, "how many names pass through a store that forgets")

// Names pass through a store that holds a tenth of them at a time, and at most 100,000. Memory is bounded
// by what it holds, not by what passed.
func TestNamesPassThrough(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	holds := min(*names/10, 100_000)
	s, h, clock, n := forgetting(t)
	leases := make([]registry.Lease, holds)
	most := 0
	for i := range *names {
		l := &leases[i%holds]
		if i >= holds {
			_ = h.Release(ctx, *l) // or it lapsed, which is as good
		}
		clock.Advance(time.Duration(int64(due(registry.Lease{Expiry: registry.Instant(short.TTL)}))) / time.Duration(holds))
		var err error
		*l, err = h.Claim(ctx, named(fmt.Sprint("session/", i)), n, registry.ClaimID{1})
		require.NoError(t, err)
		if i%(holds/4) == 0 {
			most = max(most, s.live())
			purge(t, h)
		}
	}
	require.LessOrEqual(t, most, 3*holds, "records at any time")
	slots := 0
	for i := range s.shards {
		slots += len(*s.shards[i].records.slots.Load())
	}
	require.LessOrEqual(t, slots, 16*holds, "and places for them")
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	t.Logf("%d names, at most %d records, %d slots, floor %+v; the process took %d MB from the system",
		*names, most, slots, s.shards[0].ground().Floor, memory.Sys>>20)
}

// live is how many records there are.
func (s *Store) live() (n int) {
	for i := range s.shards {
		n += s.shards[i].records.live
	}
	return n
}
