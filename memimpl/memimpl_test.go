package memimpl_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
)

var ctx = context.Background()

func open(t testing.TB, s *memimpl.Store, cfg registry.Config, clock registry.Clock) *memimpl.Registry {
	t.Helper()
	h, err := s.Open(cfg, clock)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return h
}

func newStore(t require.TestingT, cfg registry.Config) *memimpl.Store {
	s, err := memimpl.New(cfg)
	require.NoError(t, err)
	return s
}

func register(t testing.TB, h registry.Membership, id registry.NodeID) registry.NodeRef {
	t.Helper()
	n, err := h.RegisterNode(ctx, id, registry.NodeInfo{}, registry.Supersede)
	require.NoError(t, err)
	return n.Ref
}

// TestOpenChecksConfiguration: the bounds belong to the store (contract, section 1).
func TestOpenChecksConfiguration(t *testing.T) {
	_, err := memimpl.New(registry.Config{})
	require.ErrorIs(t, err, registry.ErrInvalid)

	s, cfg := newStore(t, registry.DefaultConfig()), registry.DefaultConfig()
	cfg.Grace++
	_, err = s.Open(cfg, registry.NewManualClock(0))
	require.ErrorIs(t, err, registry.ErrConfigMismatch)
	cfg.Grace = -1
	_, err = s.Open(cfg, registry.NewManualClock(0))
	require.ErrorIs(t, err, registry.ErrInvalid)
	_, err = s.Open(registry.DefaultConfig(), nil)
	require.ErrorIs(t, err, registry.ErrInvalid)
	require.ErrorContains(t, err, "clock is nil")
}

// calls is every operation of a handle, with good arguments or with one bad one.
func calls(h *memimpl.Registry, bad bool) map[string]func(ctx context.Context) error {
	actor, ref := actors[0], registry.NodeRef{ID: "n1", Epoch: 1}
	id, page, token := registry.ClaimID{1}, registry.Page{}, registry.Token(1)
	if bad {
		actor, ref, page.Limit, token = registry.ActorID{}, registry.NodeRef{}, -1, 0
	}
	lease := registry.Lease{Actor: actor, Holder: ref, Token: token}
	return map[string]func(ctx context.Context) error{
		"Claim":    func(ctx context.Context) error { _, err := h.Claim(ctx, actor, ref, id); return err },
		"Renew":    func(ctx context.Context) error { _, err := h.Renew(ctx, lease); return err },
		"Release":  func(ctx context.Context) error { return h.Release(ctx, lease) },
		"Transfer": func(ctx context.Context) error { _, err := h.Transfer(ctx, lease, ref); return err },
		"Lookup":   func(ctx context.Context) error { return orFound(h.Lookup(ctx, actor)) },
		"Validate": func(ctx context.Context) error { return h.Validate(ctx, actor, token) },
		"Watch":    func(ctx context.Context) error { _, err := h.Watch(ctx, actor, 7); return err },
		"RenewBatch": func(ctx context.Context) error {
			return h.RenewBatch(ctx, []registry.Lease{lease})[0].Err
		},
		"ListActors": func(ctx context.Context) error { _, _, err := h.ListActors(ctx, ref, page); return err },
		"RegisterNode": func(ctx context.Context) error {
			_, err := h.RegisterNode(ctx, ref.ID, registry.NodeInfo{}, registry.Supersede)
			return err
		},
		"Heartbeat":      func(ctx context.Context) error { return h.Heartbeat(ctx, ref) },
		"MarkFailed":     func(ctx context.Context) error { return h.MarkFailed(ctx, ref) },
		"DeregisterNode": func(ctx context.Context) error { return h.DeregisterNode(ctx, ref) },
		"GetNode":        func(ctx context.Context) error { return orFound(h.GetNode(ctx, ref.ID)) },
		"ListNodes":      func(ctx context.Context) error { _, _, err := h.ListNodes(ctx, registry.AnyStatus, page); return err },
	}
}

// orFound is the error of a read, or another one when it says that it found something.
func orFound[T any](_ T, found bool, err error) error {
	if found {
		return fmt.Errorf("found, and: %v", err)
	}
	return err
}

// TestOrderBeforeTheState: bad argument, then closed handle, then context
// (contract, section 3: the order of refusals), and none of them changes anything.
func TestOrderBeforeTheState(t *testing.T) {
	s := newStore(t, small)
	other := open(t, s, small, registry.NewManualClock(0))
	h := open(t, s, small, registry.NewManualClock(0))
	done, cancel := context.WithCancel(ctx)
	cancel()
	for name, call := range calls(h, true) {
		if name == "ListNodes" {
			continue // its one argument that calls makes bad is the page
		}
		require.ErrorIs(t, call(done), registry.ErrInvalid, name)
	}
	for name, call := range calls(h, false) {
		require.ErrorIs(t, call(done), context.Canceled, name)
	}
	require.NoError(t, h.Close())
	require.NoError(t, h.Close())
	for name, call := range calls(h, true) {
		require.ErrorIs(t, call(done), registry.ErrInvalid, name)
	}
	for name, call := range calls(h, false) {
		require.ErrorIs(t, call(done), registry.ErrClosed, name)
	}
	_, found, err := other.GetNode(ctx, "n1")
	require.NoError(t, err)
	require.False(t, found)
	_, found, err = other.Lookup(ctx, actors[0])
	require.NoError(t, err)
	require.False(t, found)
}

// load is what the concurrent test's workers learn: every grant of every actor.
type load struct {
	mu     sync.Mutex
	grants map[registry.ActorID]map[registry.Token]registry.NodeRef
	writes map[registry.ActorID]registry.Version
}

func (l *load) grant(t assert.TestingT, lease registry.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grants[lease.Actor] == nil {
		l.grants[lease.Actor] = map[registry.Token]registry.NodeRef{}
	}
	before, twice := l.grants[lease.Actor][lease.Token]
	assert.Falsef(t, twice, "token %d of %v granted to %v and to %v", lease.Token, lease.Actor, before, lease.Holder)
	l.grants[lease.Actor][lease.Token] = lease.Holder
}

func (l *load) wrote(actor registry.ActorID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes[actor]++
}

// TestConcurrent drives a few actors from many goroutines, whose clocks are at the
// two ends of the bound, and counts: no two grants share a token
// (TokenMonotonic), every mutation is one version (VersionBump), and the index of
// holders names what the records name. Meant to be run with -race as well.
func TestConcurrent(t *testing.T) {
	const workers, rounds = 8, 400
	s := newStore(t, small)
	base := registry.NewManualClock(1000)
	l := &load{grants: map[registry.ActorID]map[registry.Token]registry.NodeRef{}, writes: map[registry.ActorID]registry.Version{}}
	var wg sync.WaitGroup
	for w := range workers {
		h := open(t, s, small, registry.NewSkewedClock(base, time.Duration(w%5-2)))
		wg.Go(func() { work(t, h, base, rand.New(rand.NewPCG(1, uint64(w))), w, rounds, l) })
	}
	wg.Wait()

	h := open(t, s, small, base)
	held := map[registry.ActorID]registry.NodeRef{}
	for _, actor := range actors {
		p, _, err := h.Lookup(ctx, actor)
		require.NoError(t, err)
		require.EqualValues(t, len(l.grants[actor]), p.Token, "tokens of %v without a grant that was answered", actor)
		require.Equal(t, l.writes[actor], p.Version, "versions of %v", actor)
		if p.Held() {
			held[actor] = p.Holder
		}
	}
	for n, err := range registry.AllNodes(ctx, h, registry.AnyStatus) {
		require.NoError(t, err)
		for epoch := registry.Epoch(1); epoch <= n.Ref.Epoch; epoch++ {
			for p, err := range registry.AllActors(ctx, h, registry.NodeRef{ID: n.Ref.ID, Epoch: epoch}) {
				require.NoError(t, err)
				require.Equal(t, held[p.Actor], p.Holder)
				delete(held, p.Actor)
			}
		}
	}
	require.Empty(t, held, "held but in no listing")
}

func work(t *testing.T, h *memimpl.Registry, base *registry.ManualClock, rnd *rand.Rand, worker, rounds int, l *load) {
	id := nodes[worker%len(nodes)]
	var self registry.NodeRef
	leases := map[registry.ActorID]registry.Lease{}
	for i := range rounds {
		actor := actors[rnd.IntN(len(actors))]
		switch rnd.IntN(10) {
		case 0, 1, 2, 3:
			lease, err := h.Claim(ctx, actor, self, registry.ClaimID{byte(worker), byte(i), byte(i >> 8), 1})
			if err == nil {
				l.grant(t, lease)
				l.wrote(actor)
				leases[actor] = lease
			}
		case 4, 5:
			if _, err := h.Renew(ctx, leases[actor]); err == nil {
				l.wrote(actor)
			}
		case 6:
			if h.Release(ctx, leases[actor]) == nil {
				l.wrote(actor)
				delete(leases, actor) // releasing again would succeed and write nothing
			}
		case 7:
			to, _, err := h.GetNode(ctx, nodes[rnd.IntN(len(nodes))])
			assert.NoError(t, err)
			if lease, err := h.Transfer(ctx, leases[actor], to.Ref); err == nil {
				l.grant(t, lease)
				l.wrote(actor)
			}
		case 8:
			_ = h.MarkFailed(ctx, self)
			base.Advance(1)
		case 9:
			if n, err := h.RegisterNode(ctx, id, registry.NodeInfo{}, registry.RegisterMode(rnd.IntN(2))); err == nil {
				self = n.Ref
			} else if n, _, err := h.GetNode(ctx, id); err == nil {
				self = n.Ref
			}
			if rnd.IntN(4) == 0 {
				_ = h.DeregisterNode(ctx, self)
			}
		}
	}
}

// TestListingIsComplete: an actor held throughout a listing is in it exactly once,
// whatever comes and goes meanwhile, and every row was true (doc of ListActors).
// The same for nodes.
func TestListingIsComplete(t *testing.T) {
	const kept, rounds = 1000, 15
	s, cfg := newStore(t, registry.DefaultConfig()), registry.DefaultConfig()
	h := open(t, s, cfg, registry.NewManualClock(0))
	node, other := register(t, h, "m"), register(t, h, "z")
	name := func(i int) registry.ActorID { return registry.ActorID{Namespace: "list", Name: fmt.Sprintf("%05d", i)} }
	for i := range kept { // even names are kept, odd ones come and go
		_, err := h.Claim(ctx, name(2*i), node, registry.NewClaimID())
		require.NoError(t, err)
		register(t, h, registry.NodeID(fmt.Sprintf("n%05d", 2*i)))
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		rnd := rand.New(rand.NewPCG(2, uint64(w)))
		wg.Go(func() {
			for stopped := false; !stopped; {
				i := 2*rnd.IntN(kept) + 1
				if l, err := h.Claim(ctx, name(i), node, registry.NewClaimID()); err == nil {
					if rnd.IntN(2) == 0 {
						l, err = h.Transfer(ctx, l, other)
						assert.NoError(t, err)
					}
					assert.NoError(t, h.Release(ctx, l))
				}
				n, err := h.RegisterNode(ctx, registry.NodeID(fmt.Sprintf("n%05d", i)), registry.NodeInfo{}, registry.Supersede)
				if err == nil {
					_ = h.DeregisterNode(ctx, n.Ref)
				}
				select {
				case <-stop:
					stopped = true
				default:
				}
			}
		})
	}
	for round := range rounds {
		page := registry.Page{Limit: 1 + 37*round%registry.MaxPageLimit}
		rows, err := allPages(page, func(p registry.Page) ([]registry.Placement, registry.Cursor, error) {
			return h.ListActors(ctx, node, p)
		})
		require.NoError(t, err)
		seen := map[string]int{}
		for _, p := range rows {
			require.Equal(t, node, p.Holder)
			seen[p.Actor.Name]++
		}
		active, err := allPages(page, func(p registry.Page) ([]registry.Node, registry.Cursor, error) {
			return h.ListNodes(ctx, registry.NodeActive, p)
		})
		require.NoError(t, err)
		for _, n := range active {
			require.Equal(t, registry.NodeActive, n.Status)
			seen[string(n.Ref.ID)]++
		}
		for i := range kept {
			require.Equal(t, 1, seen[name(2*i).Name], "round %d: actor %v", round, name(2*i))
			require.Equal(t, 1, seen[fmt.Sprintf("n%05d", 2*i)], "round %d: node %d", round, 2*i)
		}
	}
	close(stop)
	wg.Wait()
}

// TestAllocations: what keeps a lease or a registration allocates the new value,
// and what only looks allocates nothing.
func TestAllocations(t *testing.T) {
	s := newStore(t, small)
	h := open(t, s, small, registry.NewManualClock(0))
	node := register(t, h, "n1")
	lease, err := h.Claim(ctx, actors[0], node, registry.ClaimID{1})
	require.NoError(t, err)
	for _, op := range []struct {
		name   string
		allocs float64
		call   func() error
	}{
		{"Claim again", 0, func() error { _, err := h.Claim(ctx, actors[0], node, registry.ClaimID{1}); return err }},
		{"Renew", 1, func() error { _, err := h.Renew(ctx, lease); return err }},
		{"Lookup", 0, func() error { _, _, err := h.Lookup(ctx, actors[0]); return err }},
		{"Validate", 0, func() error { return h.Validate(ctx, actors[0], lease.Token) }},
		{"Heartbeat", 1, func() error { return h.Heartbeat(ctx, node) }},
		{"GetNode", 0, func() error { _, _, err := h.GetNode(ctx, "n1"); return err }},
		{"Lookup of no", 0, func() error { _, _, err := h.Lookup(ctx, actors[1]); return err }},
	} {
		var err error
		assert.Equal(t, op.allocs, testing.AllocsPerRun(100, func() { err = errors.Join(err, op.call()) }), op.name)
		require.NoError(t, err, op.name)
	}
}

// TestOneActivationUnderSkew: with clocks at the two ends of the bound, a claimer
// that is granted proves that every former holder's own clock had passed
// Expiry+Grace (SingleActivation, GraceRespected; contract, section 4).
func TestOneActivationUnderSkew(t *testing.T) {
	s := newStore(t, small)
	base := registry.NewManualClock(1000)
	slow := open(t, s, small, registry.NewSkewedClock(base, -small.MaxClockSkew))
	fast := open(t, s, small, registry.NewSkewedClock(base, small.MaxClockSkew))
	n1, n2 := register(t, slow, "n1"), register(t, fast, "n2")
	lease, err := slow.Claim(ctx, actors[0], n1, registry.ClaimID{1})
	require.NoError(t, err)
	var refused atomic.Int64
	for {
		next, err := fast.Claim(ctx, actors[0], n2, registry.ClaimID{2})
		if err == nil {
			require.Equal(t, lease.Expiry.Add(small.Grace), base.Now().Add(-small.MaxClockSkew), "the first reading of the holder's clock at which it may not even renew")
			require.Equal(t, lease.Token+1, next.Token)
			break
		}
		require.ErrorIs(t, err, registry.ErrHeld)
		refused.Add(1)
		base.Advance(1)
	}
	require.EqualValues(t, small.TTL+small.Grace, refused.Load())
}
