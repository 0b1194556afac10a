package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
)

// Names and limits: each limit exactly reached is accepted, one beyond is refused.
func TestNameLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("é", n/2) + strings.Repeat("x", n%2) }
	for _, c := range []struct {
		name string
		v    interface{ Validate() error }
		bad  string
	}{
		{"actor", registry.ActorID{Namespace: "a", Name: "b"}, ""},
		{"actor parts at the limit", registry.ActorID{Namespace: long(256), Name: long(256)}, ""},
		{"namespace too long", registry.ActorID{Namespace: long(257), Name: "b"}, "actor namespace has 257 bytes, the limit is 256"},
		{"name too long", registry.ActorID{Namespace: "a", Name: long(257)}, "actor name has 257 bytes, the limit is 256"},
		{"empty namespace", registry.ActorID{Name: "b"}, "actor namespace is empty"},
		{"empty name", registry.ActorID{Namespace: "a"}, "actor name is empty"},
		{"broken UTF-8", registry.ActorID{Namespace: "a", Name: "b\xff"}, "actor name is not valid UTF-8"},
		{"NUL", registry.ActorID{Namespace: "a\x00", Name: "b"}, "actor namespace has control character U+0000 at byte 1"},
		{"DEL", registry.ActorID{Namespace: "a", Name: "\x7f"}, "actor name has control character U+007F at byte 0"},
		{"C1 control", registry.ActorID{Namespace: "a", Name: "x\u0085"}, "actor name has control character U+0085 at byte 1"},
		{"node at the limit", registry.NodeID(long(128)), ""},
		{"node too long", registry.NodeID(long(129)), "node id has 129 bytes, the limit is 128"},
		{"node empty", registry.NodeID(""), "node id is empty"},
		{"ref", registry.NodeRef{ID: "n", Epoch: 1}, ""},
		{"ref epoch 0", registry.NodeRef{ID: "n"}, "node epoch is 0"},
		{"token 0", registry.Token(0), "token is 0"},
		{"claim id zero", registry.ClaimID{}, "claim id is zero"},
		{"lease token 0", registry.Lease{Actor: registry.ActorID{Namespace: "a", Name: "b"}, Holder: registry.NodeRef{ID: "n", Epoch: 1}}, "token is 0"},
		{"address at the limit", registry.NodeInfo{Address: long(1024)}, ""},
		{"address too long", registry.NodeInfo{Address: long(1025)}, "node address has 1025 bytes"},
		{"address UTF-8", registry.NodeInfo{Address: "\xff"}, "node address is not valid UTF-8"},
		{"status", registry.NodeLeft, ""},
		{"status beyond", registry.NodeLeft + 1, "node status is 4"},
		{"mode", registry.Supersede, ""},
		{"mode beyond", registry.Supersede + 1, "register mode is 2"},
		{"page default", registry.Page{}, ""},
		{"page at the limit", registry.Page{Limit: 1000}, ""},
		{"page beyond", registry.Page{Limit: 1001}, "page limit is 1001"},
		{"page negative", registry.Page{Limit: -1}, "page limit is -1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.v.Validate()
			if c.bad == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, registry.ErrInvalid)
			var detail *registry.InvalidError
			require.ErrorAs(t, err, &detail)
			assert.Contains(t, err.Error(), c.bad)
		})
	}
}

func TestConfigBounds(t *testing.T) {
	d := registry.DefaultConfig()
	require.NoError(t, d.Validate())
	for _, c := range []struct {
		field string
		set   func(*registry.Config)
		ok    bool
	}{
		{"TTL", func(c *registry.Config) { c.TTL = registry.MaxTTL }, true},
		{"TTL", func(c *registry.Config) { c.TTL = registry.MaxTTL + 1 }, false},
		{"TTL", func(c *registry.Config) { *c = registry.Config{TTL: time.Second, FailureTimeout: 1} }, true},
		{"TTL", func(c *registry.Config) { *c = registry.Config{TTL: time.Second - 1, FailureTimeout: 1} }, false},
		{"TTL", func(c *registry.Config) { *c = registry.Config{TTL: 1, FailureTimeout: 1, AllowShortTTL: true} }, true},
		{"TTL", func(c *registry.Config) { *c = registry.Config{FailureTimeout: 1, AllowShortTTL: true} }, false},
		{"Grace", func(c *registry.Config) { c.Grace = c.TTL }, true},
		{"Grace", func(c *registry.Config) { c.Grace = c.TTL + 1 }, false},
		{"Grace", func(c *registry.Config) { c.Grace = -1 }, false},
		{"MaxClockSkew", func(c *registry.Config) { c.MaxClockSkew, c.FailureTimeout = c.TTL/4, c.TTL }, true},
		{"MaxClockSkew", func(c *registry.Config) { c.MaxClockSkew, c.FailureTimeout = c.TTL/4+1, c.TTL }, false},
		{"FailureTimeout", func(c *registry.Config) { c.FailureTimeout = 2*c.MaxClockSkew + 1 }, true},
		{"FailureTimeout", func(c *registry.Config) { c.FailureTimeout = 2 * c.MaxClockSkew }, false},
	} {
		cfg := d
		c.set(&cfg)
		err := cfg.Validate()
		if c.ok {
			assert.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, registry.ErrInvalid)
		assert.ErrorContains(t, err, "config "+c.field)
	}
}

func TestConfigMatch(t *testing.T) {
	store := registry.DefaultConfig()
	given := store
	given.AllowShortTTL = true // a permission, not a value of the cluster
	require.NoError(t, given.Match(store))
	given.Grace++
	err := given.Match(store)
	require.ErrorIs(t, err, registry.ErrConfigMismatch)
	var detail *registry.ConfigMismatchError
	require.ErrorAs(t, err, &detail)
	assert.Equal(t, "Grace", detail.Field)
	assert.Equal(t, "configuration differs from the store's: Grace is 5s in the store, 5.000000001s was given", err.Error())
}

// The contract's section 2: each boundary belongs to the later phase.
func TestPhaseBoundaries(t *testing.T) {
	cfg := registry.Config{TTL: 100, Grace: 10, MaxClockSkew: 3, FailureTimeout: 7}
	const expiry = registry.Instant(1000)
	for _, c := range []struct {
		now  registry.Instant
		want registry.Phase
	}{
		{999, registry.Live}, {1000, registry.Grace}, {1009, registry.Grace}, {1010, registry.Lapsed},
		{1015, registry.Lapsed}, {1016, registry.Reclaimable},
	} {
		assert.Equal(t, c.want, cfg.Phase(expiry, c.now), "at %d", c.now)
	}
	assert.EqualValues(t, 1013, cfg.FailedAt(1000))
}

// An incarnation's standing: past epochs are failed, future ones unknown.
func TestStanding(t *testing.T) {
	n := func(e registry.Epoch, s registry.NodeStatus) registry.Node {
		return registry.Node{Ref: registry.NodeRef{ID: "n", Epoch: e}, Status: s}
	}
	ref := registry.NodeRef{ID: "n", Epoch: 2}
	assert.Equal(t, registry.StandingUnknown, registry.Node{}.Standing(ref))
	assert.Equal(t, registry.StandingUnknown, n(1, registry.NodeActive).Standing(ref))
	assert.Equal(t, registry.StandingActive, n(2, registry.NodeActive).Standing(ref))
	assert.Equal(t, registry.StandingFailed, n(2, registry.NodeFailed).Standing(ref))
	assert.Equal(t, registry.StandingUnknown, n(2, registry.NodeLeft).Standing(ref))
	assert.Equal(t, registry.StandingFailed, n(3, registry.NodeActive).Standing(ref))
	assert.Equal(t, registry.StandingFailed, n(3, registry.NodeLeft).Standing(ref))
}

func TestClaimIDText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id registry.ClaimID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		back, err := registry.ParseClaimID(id.String())
		require.NoError(t, err)
		assert.Equal(t, id, back)
	})
	assert.NotEqual(t, registry.NewClaimID(), registry.NewClaimID())
}

func FuzzParseClaimID(f *testing.F) {
	f.Add(registry.NewClaimID().String())
	f.Add("")
	f.Add(strings.Repeat("g", 32))
	f.Fuzz(func(t *testing.T, s string) {
		id, err := registry.ParseClaimID(s)
		if err != nil {
			require.ErrorIs(t, err, registry.ErrInvalid)
			require.True(t, id.IsZero())
			return
		}
		require.Equal(t, strings.ToLower(s), id.String())
	})
}

// Ambiguous errors match their kind and their cause; a context's error that is
// not ambiguous says that nothing happened.
func TestErrors(t *testing.T) {
	amb := fmt.Errorf("claim: %w", &registry.AmbiguousError{MayStillApply: true, Cause: context.DeadlineExceeded})
	assert.ErrorIs(t, amb, registry.ErrAmbiguous)
	assert.ErrorIs(t, amb, context.DeadlineExceeded)
	assert.EqualError(t, amb, "claim: outcome is unknown (may still apply): context deadline exceeded")

	held := &registry.Refusal{Reason: registry.ErrHeld, Placement: registry.Placement{
		Actor: registry.ActorID{Namespace: "shop", Name: "cart-7"}, Holder: registry.NodeRef{ID: "n1", Epoch: 2},
		Token: 3, Version: 9, Expiry: registry.InstantOf(time.Unix(60, 0)),
	}}
	assert.ErrorIs(t, held, registry.ErrHeld)
	assert.NotErrorIs(t, held, registry.ErrFenced)
	assert.EqualError(t, held, "actor is held (found shop/cart-7 held by n1#2, token 3, version 9, expiry 1970-01-01T00:01:00Z)")
	assert.EqualError(t, &registry.Refusal{Reason: registry.ErrNotHeld}, "actor is not held under this lease (never claimed)")
	assert.EqualError(t, &registry.Refusal{Reason: registry.ErrNodeUnknown}, "node is not registered (never registered)")
}

func TestClocks(t *testing.T) {
	base := registry.NewManualClock(100)
	skewed := registry.NewSkewedClock(base, -3)
	assert.EqualValues(t, 97, skewed.Now())
	assert.EqualValues(t, 110, base.Advance(10))
	skewed.SetOffset(5)
	assert.EqualValues(t, 115, skewed.Now())
	base.Set(1) // a clock may step backwards
	assert.EqualValues(t, 6, skewed.Now())
	now := time.Now()
	assert.WithinDuration(t, now, registry.SystemClock().Now().Time(), time.Minute)
	assert.Equal(t, now.UTC().Round(0), registry.InstantOf(now).Time())
}

// listing serves n rows as pages and fails at row failAt when it is not negative.
type listing struct {
	registry.Membership
	n, failAt int
}

var errListing = errors.New("listing failed")

func (l listing) ListNodes(_ context.Context, _ registry.NodeStatus, p registry.Page) ([]registry.Node, registry.Cursor, error) {
	from := 0
	if p.After != "" {
		if _, err := fmt.Sscan(string(p.After), &from); err != nil {
			return nil, "", err
		}
	}
	var rows []registry.Node
	for i := from; i < l.n; i++ {
		if i == l.failAt {
			return nil, "", errListing
		}
		if len(rows) == 7 {
			return rows, registry.Cursor(fmt.Sprint(i)), nil
		}
		rows = append(rows, registry.Node{Ref: registry.NodeRef{ID: "n", Epoch: registry.Epoch(i + 1)}})
	}
	return rows, "", nil
}

func TestAllNodes(t *testing.T) {
	for _, n := range []int{0, 1, 6, 7, 8, 14, 30} {
		seen := 0
		for row, err := range registry.AllNodes(t.Context(), listing{n: n, failAt: -1}, registry.AnyStatus) {
			require.NoError(t, err)
			seen++
			require.EqualValues(t, seen, row.Ref.Epoch)
		}
		assert.Equal(t, n, seen)
	}
	rows, failures := 0, 0
	for _, err := range registry.AllNodes(t.Context(), listing{n: 30, failAt: 10}, registry.AnyStatus) {
		if err != nil {
			require.ErrorIs(t, err, errListing)
			failures++
			continue
		}
		rows++
	}
	assert.Equal(t, 7, rows)
	assert.Equal(t, 1, failures)
	for range registry.AllNodes(t.Context(), listing{n: 30, failAt: -1}, registry.AnyStatus) {
		break // an early stop must not call yield again
	}
}
