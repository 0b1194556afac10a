package adapt_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/adapt"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
)

// The guide shows the three examples of this file: a lock, an election and an actor
// registry, each with its adapter and its test.

// begin lock

// mutexes is a lock library: who has a name, until when, and the how-manieth grant it is.
type mutexes struct {
	mu    sync.Mutex
	ttl   time.Duration
	count uint64
	locks map[string]grant
}

type grant struct {
	key, owner string
	number     uint64
	until      time.Time
}

func (m *mutexes) acquire(_ context.Context, key, owner string) (grant, adapt.Tenure, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g, ok := m.locks[key]; ok && time.Now().Before(g.until) {
		return grant{}, adapt.Tenure{}, registry.ErrHeld
	}
	m.count++
	g := grant{key, owner, m.count, time.Now().Add(m.ttl)}
	m.locks[key] = g
	return g, adapt.Tenure{Token: g.number}, nil
}

func (m *mutexes) renew(_ context.Context, g grant) (adapt.Tenure, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, ok := m.locks[g.key]
	if !ok || now.number != g.number || !time.Now().Before(now.until) {
		return adapt.Tenure{}, registry.ErrNotHeld
	}
	now.until = time.Now().Add(m.ttl)
	m.locks[g.key] = now
	return adapt.Tenure{Token: g.number}, nil
}

func (m *mutexes) release(_ context.Context, g grant) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now, ok := m.locks[g.key]; !ok || now.number != g.number || !time.Now().Before(now.until) {
		return registry.ErrNotHeld
	}
	delete(m.locks, g.key)
	return nil
}

func (m *mutexes) inspect(_ context.Context, key string) (adapt.Tenure, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.locks[key]
	return adapt.Tenure{Owner: g.owner, Token: g.number}, ok && time.Now().Before(g.until), nil
}

// lockBackend is the lock for the suite. Its time is its own: the cases really wait.
type lockBackend struct {
	lock func(ttl time.Duration) adapt.Lock[grant]
}

func (b lockBackend) Name() string             { return "mutexes" }
func (b lockBackend) Dialect() dialect.Dialect { return b.lock(0).Dialect() }
func (b lockBackend) RealTimeConfig() registry.Config {
	return registry.Config{TTL: 400 * time.Millisecond, MaxClockSkew: 40 * time.Millisecond, FailureTimeout: time.Second, AllowShortTTL: true}
}
func (b lockBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	return b.lock(cfg.TTL).Cluster(cfg), nil
}

// margin is how much longer than it tells the lock is kept: 2ε. Without it a holder
// whose clock is slow would still believe when the next one is granted.
const margin = 80 * time.Millisecond

func newLock(ttl time.Duration) adapt.Lock[grant] {
	m := &mutexes{ttl: ttl + margin, locks: map[string]grant{}}
	return adapt.Lock[grant]{Acquire: m.acquire, Renew: m.renew, Release: m.release, Inspect: m.inspect,
		Tokens: true, HoldsLonger: dialect.Unbounded, StoreClock: true}
}

func TestLock(t *testing.T) {
	conformance.Run(t, lockBackend{newLock}, conformance.Level(conformance.Quick))
}

// end lock

// begin election

// newElection is an election of the same library: a candidate asks again and again.
func newElection(ttl time.Duration) adapt.Lock[grant] {
	m := &mutexes{ttl: ttl + margin, locks: map[string]grant{}}
	campaign := func(ctx context.Context, key, candidate string) (grant, adapt.Tenure, error) {
		again := time.NewTicker(time.Millisecond)
		defer again.Stop()
		for {
			g, t, err := m.acquire(ctx, key, candidate)
			if !errors.Is(err, registry.ErrHeld) {
				return g, t, err
			}
			select {
			case <-again.C:
			case <-ctx.Done():
				return g, t, ctx.Err()
			}
		}
	}
	return adapt.Election[grant]{Campaign: campaign, Renew: m.renew, Resign: m.release, Observe: m.inspect,
		Patience: 10 * time.Millisecond, Tokens: true, HoldsLonger: dialect.Unbounded, StoreClock: true}.Lock()
}

func TestElection(t *testing.T) {
	conformance.Run(t, lockBackend{newElection}, conformance.Level(conformance.Quick), conformance.OnlySections("contract", "fencing", "concurrent"))
}

// end election

// begin directory

// addresses is an actor directory: entries with a revision, compared and set.
type addresses struct {
	mu       sync.Mutex
	revision uint64
	entries  map[string]address
}

type address struct {
	value    []byte
	revision uint64
}

func (d *addresses) register(_ context.Context, key string, value []byte, was uint64) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entries[key].revision != was {
		return 0, adapt.ErrChanged
	}
	d.revision++
	d.entries[key] = address{value, d.revision}
	return d.revision, nil
}

func (d *addresses) unregister(_ context.Context, key string, was uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entries[key].revision != was {
		return adapt.ErrChanged
	}
	delete(d.entries, key)
	return nil
}

func (d *addresses) lookup(_ context.Context, key string) ([]byte, uint64, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.entries[key]
	return e.value, e.revision, ok, nil
}

func (d *addresses) list(_ context.Context, entry func(string, []byte, uint64)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, e := range d.entries {
		entry(key, e.value, e.revision)
	}
	return nil
}

// directoryBackend is the directory for the suite. Leases are lent, by the clock that
// each handle is given, so that every nanosecond is judged.
type directoryBackend struct{ directory func() adapt.Directory }

func (b directoryBackend) Name() string             { return "addresses" }
func (b directoryBackend) Dialect() dialect.Dialect { return b.directory().Dialect() }
func (b directoryBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	return b.directory().Cluster(cfg), nil
}

func newDirectory() adapt.Directory {
	d := &addresses{entries: map[string]address{}}
	return adapt.Directory{Register: d.register, Unregister: d.unregister, Lookup: d.lookup, List: d.list}
}

func TestDirectory(t *testing.T) {
	conformance.Run(t, directoryBackend{newDirectory}, conformance.Level(conformance.Quick))
}

// end directory

// A lock that has acquire, renew, release and inspect becomes a registry's handle.
func ExampleLock() {
	lock := newLock(time.Second)
	cfg := registry.Config{TTL: time.Second, FailureTimeout: 2 * time.Second, AllowShortTTL: true}
	h, err := lock.Cluster(cfg).Open(cfg, registry.SystemClock())
	if err != nil {
		panic(err)
	}
	ctx, room := context.Background(), registry.ActorID{Namespace: "room", Name: "42"}
	lease, err := h.Claim(ctx, room, registry.NodeRef{ID: "n1", Epoch: 1}, registry.NewClaimID())
	fmt.Println(lease.Token, err)
	_, err = h.Claim(ctx, room, registry.NodeRef{ID: "n2", Epoch: 1}, registry.NewClaimID())
	fmt.Println(errors.Is(err, registry.ErrHeld))
	// Output:
	// 1 <nil>
	// true
}
