package adapt_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/adapt"
	"github.com/kelpie-registry/registry/conformance"
)

// convicted judges a backend and returns the rules that it breaks.
func convicted(t *testing.T, b conformance.Backend, sections ...string) map[conformance.RuleID]string {
	t.Helper()
	r, err := conformance.Judge(t.Context(), b, conformance.Level(conformance.Quick), conformance.OnlySections(sections...))
	require.NoError(t, err)
	rules := map[conformance.RuleID]string{}
	for _, c := range r.Cases {
		if c.Conviction != nil {
			rules[c.Conviction.Rule] = c.Conviction.String()
		}
	}
	return rules
}

// An adapter hides no wrong answer: each mistake of the library is convicted through it.
func TestWrongLocksAreConvicted(t *testing.T) {
	wrong := map[string]func(m *mutexes, l *adapt.Lock[grant]){
		"release looks at nothing": func(m *mutexes, l *adapt.Lock[grant]) {
			l.Release = func(_ context.Context, g grant) error {
				m.mu.Lock()
				defer m.mu.Unlock()
				delete(m.locks, g.key)
				return nil
			}
		},
		"a renewal of an earlier tenure is accepted": func(m *mutexes, l *adapt.Lock[grant]) {
			l.Renew = func(context.Context, grant) (adapt.Tenure, error) { return adapt.Tenure{}, nil }
		},
		"a renewal extends nothing": func(m *mutexes, l *adapt.Lock[grant]) {
			l.Renew = func(ctx context.Context, g grant) (adapt.Tenure, error) {
				t, found, err := m.inspect(ctx, g.key)
				if err == nil && (!found || t.Token != g.number) {
					err = registry.ErrNotHeld
				}
				return adapt.Tenure{}, err
			}
		},
		"everybody gets it": func(m *mutexes, l *adapt.Lock[grant]) {
			acquire := l.Acquire
			l.Acquire = func(ctx context.Context, key, owner string) (grant, adapt.Tenure, error) {
				m.mu.Lock()
				delete(m.locks, key)
				m.mu.Unlock()
				return acquire(ctx, key, owner)
			}
		},
		"tells twice the time that it holds": func(m *mutexes, l *adapt.Lock[grant]) {
			m.ttl /= 2
		},
		"tokens begin again": func(m *mutexes, l *adapt.Lock[grant]) {
			release := l.Release
			l.Release = func(ctx context.Context, g grant) error {
				err := release(ctx, g)
				m.mu.Lock()
				defer m.mu.Unlock()
				m.count = 0
				return err
			}
		},
	}
	for name, spoil := range wrong {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := convicted(t, lockBackend{func(ttl time.Duration) adapt.Lock[grant] {
				m := &mutexes{ttl: ttl, locks: map[string]grant{}}
				l := adapt.Lock[grant]{Acquire: m.acquire, Renew: m.renew, Release: m.release, Inspect: m.inspect,
					Tokens: true, HoldsLonger: 20 * time.Millisecond, StoreClock: true}
				spoil(m, &l)
				return l
			}}, "contract", "fencing")
			assert.NotEmpty(t, rules)
		})
	}
}

// A lock that a busy machine answers late is not convicted: also what is only looked at
// may have lapsed in the meantime.
func TestABusyLockIsNotConvicted(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for many leases")
	}
	busy := lockBackend{func(ttl time.Duration) adapt.Lock[grant] {
		l, calls := newLock(ttl), new(atomic.Uint64)
		inspect := l.Inspect
		l.Inspect = func(ctx context.Context, key string) (adapt.Tenure, bool, error) {
			if calls.Add(1)%8 == 0 {
				<-time.After(ttl + margin)
			}
			return inspect(ctx, key)
		}
		return l
	}}
	r, err := conformance.Judge(t.Context(), busy, conformance.Parallel(32), conformance.Level(conformance.Quick), conformance.OnlySections("contract", "fencing", "handles"))
	require.NoError(t, err)
	for _, c := range r.Cases {
		if c.Conviction != nil {
			t.Errorf("%s\n%s", c.ID(), c.Conviction)
		}
	}
	assert.Positive(t, r.Count(conformance.Unknown), "it was busy enough")
}

func TestWrongDirectoriesAreConvicted(t *testing.T) {
	wrong := map[string]func(d *addresses, a *adapt.Directory){
		"sets without comparing": func(d *addresses, a *adapt.Directory) {
			a.Register = func(_ context.Context, key string, value []byte, _ uint64) (uint64, error) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.revision++
				d.entries[key] = address{value, d.revision}
				return d.revision, nil
			}
		},
		"revisions begin again": func(d *addresses, a *adapt.Directory) {
			unregister := a.Unregister
			a.Unregister = func(ctx context.Context, key string, was uint64) error {
				err := unregister(ctx, key, was)
				d.mu.Lock()
				defer d.mu.Unlock()
				d.revision = 0
				return err
			}
		},
	}
	for name, spoil := range wrong {
		t.Run(name, func(t *testing.T) {
			rules := convicted(t, directoryBackend{func() adapt.Directory {
				d := &addresses{entries: map[string]address{}}
				a := adapt.Directory{Register: d.register, Unregister: d.unregister, Lookup: d.lookup, List: d.list}
				spoil(d, &a)
				return a
			}}, "contract", "concurrent", "fencing")
			assert.NotEmpty(t, rules)
		})
	}
}

// A token is lent to a tenure under the store's own name for it, also when somebody
// looks before its holder has heard of it.
func TestLentTokens(t *testing.T) {
	names := []string{"r4nd0m", "0ther"}
	lock := adapt.Lock[string]{
		Acquire: func(context.Context, string, string) (string, adapt.Tenure, error) {
			return names[0], adapt.Tenure{Name: names[0]}, nil
		},
		Inspect: func(context.Context, string) (adapt.Tenure, bool, error) {
			return adapt.Tenure{Owner: "n1#1", Name: names[0]}, true, nil
		},
	}
	cfg := registry.DefaultConfig()
	h, err := lock.Cluster(cfg).Open(cfg, registry.NewManualClock(5))
	require.NoError(t, err)
	ctx, a, n := t.Context(), registry.ActorID{Namespace: "x", Name: "a"}, registry.NodeRef{ID: "n1", Epoch: 1}
	seen, found, err := h.Lookup(ctx, a)
	require.NoError(t, err)
	assert.True(t, found)
	l, err := h.Claim(ctx, a, n, registry.ClaimID{1})
	require.NoError(t, err)
	assert.Equal(t, seen.Token, l.Token)
	assert.Equal(t, n, seen.Holder)
	assert.Equal(t, registry.Instant(5).Add(cfg.TTL), l.Expiry, "counted from before the call")
	names[0] = names[1]
	next, err := h.Claim(ctx, a, n, registry.ClaimID{2})
	require.NoError(t, err)
	assert.NotEqual(t, l.Token, next.Token)
	assert.ErrorIs(t, h.Validate(ctx, a, l.Token), errors.ErrUnsupported, "lent tokens guard nothing")
	_, err = h.Renew(ctx, registry.Lease{Actor: a, Holder: n, Token: 9})
	assert.ErrorIs(t, err, registry.ErrNotHeld)
	names[0] = "under way"
	seen, _, err = h.Lookup(ctx, a)
	require.NoError(t, err)
	_, err = h.Renew(ctx, seen.Lease())
	assert.ErrorIs(t, err, registry.ErrUnavailable, "its Acquire has not told of it: nothing can be shown to the library")
	_, err = h.Transfer(ctx, l, n)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}

// An error that the contract does not have leaves the outcome open; so does the end of
// a context under way.
func TestErrorsOfALibrary(t *testing.T) {
	for _, e := range []error{errors.New("connection reset"), context.DeadlineExceeded} {
		lock := adapt.Lock[int]{Acquire: func(context.Context, string, string) (int, adapt.Tenure, error) { return 0, adapt.Tenure{}, e },
			Inspect: func(context.Context, string) (adapt.Tenure, bool, error) { return adapt.Tenure{}, false, e }}
		cfg := registry.DefaultConfig()
		h, err := lock.Cluster(cfg).Open(cfg, registry.SystemClock())
		require.NoError(t, err)
		a := registry.ActorID{Namespace: "x", Name: "a"}
		_, err = h.Claim(t.Context(), a, registry.NodeRef{ID: "n", Epoch: 1}, registry.ClaimID{1})
		var open *registry.AmbiguousError
		require.ErrorAs(t, err, &open)
		assert.True(t, open.MayStillApply)
		_, _, err = h.Lookup(t.Context(), a)
		assert.ErrorIs(t, err, registry.ErrUnavailable)
	}
}
