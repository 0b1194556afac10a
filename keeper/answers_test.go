package keeper

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

var (
	me    = registry.NodeRef{ID: "me", Epoch: 3}
	other = registry.NodeRef{ID: "other", Epoch: 1}
)

// What the contract allows is taken as it is said, however unusual.
func TestUnusualAnswersAreAnswers(t *testing.T) {
	for _, c := range []struct {
		op  string
		err error
	}{
		{"Claim", nil},
		{"Claim", context.DeadlineExceeded},
		{"Claim", fmt.Errorf("dial: %w", registry.ErrUnavailable)},
		{"Claim", fmt.Errorf("%w: %w", registry.ErrUnavailable, context.Canceled)},
		{"Claim", &registry.AmbiguousError{Cause: registry.ErrUnavailable}},
		{"Claim", &registry.AmbiguousError{Cause: errors.New("anything")}},
		{"Claim", registry.ErrClosed},
		{"Claim", registry.ErrNodeFailed}, // without details
		{"Claim", &registry.Refusal{Reason: registry.ErrNodeUnknown, Node: registry.Node{Ref: registry.NodeRef{ID: me.ID, Epoch: 9}}}},
		{"Claim", &registry.Refusal{Reason: registry.ErrHeld, Placement: registry.Placement{Actor: cart, Holder: other, Token: 1, Version: 1}, Node: registry.Node{Ref: other}}},
		{"Claim", fmt.Errorf("claim: %w", &registry.Refusal{Reason: registry.ErrHeld, Placement: registry.Placement{Holder: me, Token: 1, Version: 1}})},
		{"Renew", registry.ErrFenced},
		{"Renew", &registry.Refusal{Reason: registry.ErrFenced, Placement: registry.Placement{Actor: cart, Token: 8, Version: 1}}},
		{"Renew", &registry.Refusal{Reason: registry.ErrNotHeld}},
		{"Renew", &registry.InvalidError{}},
		{"Release", registry.ErrNotHeld},
		{"Lookup", registry.ErrUnavailable},
		{"ListNodes", context.Canceled},
	} {
		q := question{op: c.op, actor: cart, held: 7, nodes: []registry.NodeID{me.ID}}
		assert.Equal(t, c.err, q.refused(c.err), "%s: %v", c.op, c.err)
	}

	q := question{op: "Renew", actor: cart}
	sent := moment{wall: 1e18, elapsed: time.Hour}
	now := moment{sent.wall.Add(10 * time.Second), sent.elapsed + 10*time.Second}
	held := registry.Lease{Actor: cart, Holder: me, Token: 7, Version: 9, Expiry: sent.wall.Add(testCfg.TTL), ClaimID: registry.ClaimID{1}}
	e := testCfg.MaxClockSkew
	for name, c := range map[string]struct {
		l registry.Lease
		g grant
	}{
		"as asked":                             {held, grant{holder: me, token: 7, version: 8, sent: sent}},
		"tokens that leave some out":           {held, grant{holder: me, above: 3, sent: sent}},
		"versions that were taken by others":   {held, grant{holder: me, token: 7, version: 2, sent: sent}},
		"no claim's identity":                  {with(held, func(l *registry.Lease) { l.ClaimID = registry.ClaimID{} }), grant{holder: me, claim: registry.ClaimID{1}, sent: sent}},
		"more versions than tokens, and fewer": {with(held, func(l *registry.Lease) { l.Version = 1 }), grant{holder: me, sent: sent}},
		"a clock that is behind by 2ε":         {with(held, func(l *registry.Lease) { l.Expiry = sent.wall.Add(testCfg.TTL - 2*e) }), grant{holder: me, sent: sent}},
		"a clock that is ahead by 2ε":          {with(held, func(l *registry.Lease) { l.Expiry = now.wall.Add(testCfg.TTL + 2*e) }), grant{holder: me, sent: sent}},
		"an expiry that is rounded":            {with(held, func(l *registry.Lease) { l.Expiry = sent.wall.Add(testCfg.TTL - 2*e - time.Second) }), grant{holder: me, sent: sent}},
		"an expiry that a renewal left alone":  {held, grant{holder: me, token: 7, version: 8, expiry: held.Expiry, sent: sent}},
	} {
		assert.NoError(t, q.granted(testCfg, c.l, c.g, now), name)
	}
}

func with(l registry.Lease, change func(*registry.Lease)) registry.Lease {
	change(&l)
	return l
}

// What it rules out is an ambiguous outcome that matches no other error. (The
// lies of keepertest go through whole keepers; these are the edges.)
func TestBadAnswersAreAmbiguous(t *testing.T) {
	for _, c := range []struct {
		op   string
		err  error
		says string
	}{
		{"Claim", errors.New("status 418"), "none of the contract's"},
		{"Claim", errors.Join(registry.ErrHeld, registry.ErrFenced), "both"},
		{"Claim", registry.ErrHeld, "by nobody"},
		{"Claim", registry.ErrLapsed, "cannot be refused"},
		{"Claim", registry.ErrConfigMismatch, "cannot be refused"},
		{"Renew", &registry.Refusal{Reason: registry.ErrFenced, Placement: registry.Placement{Actor: cart, Token: 7, Version: 9}}, "fenced by token 7"},
		{"Renew", &registry.Refusal{Reason: registry.ErrNotHeld, Placement: registry.Placement{Actor: registry.ActorID{Name: "x"}, Version: 1}}, "about"},
		{"Heartbeat", &registry.Refusal{Reason: registry.ErrNodeFailed, Node: registry.Node{Ref: other}}, `node "other"`},
		{"Lookup", registry.ErrNotHeld, "cannot be refused"},
		{"DeregisterNode", registry.ErrNodeFailed, "cannot be refused"},
	} {
		err := question{op: c.op, actor: cart, held: 7, nodes: []registry.NodeID{me.ID}}.refused(c.err)
		require.ErrorIs(t, err, ErrBadAnswer, "%s: %v", c.op, c.err)
		assert.ErrorIs(t, err, registry.ErrAmbiguous)
		assert.ErrorContains(t, err, c.says)
		assert.True(t, transient(err))
		assert.False(t, fatal(err))
		for _, e := range contractErrors {
			assert.NotErrorIs(t, err, e)
		}
	}

	q := question{op: "Claim", actor: cart}
	sent := moment{wall: 1e18}
	good := registry.Lease{Actor: cart, Holder: me, Token: 7, Version: 9, Expiry: sent.wall.Add(testCfg.TTL), ClaimID: registry.ClaimID{1}}
	g := grant{holder: me, claim: registry.ClaimID{1}, token: 7, above: 6, version: 8, expiry: good.Expiry, sent: sent}
	require.NoError(t, q.granted(testCfg, good, g, sent))
	for name, l := range map[string]registry.Lease{
		"actor":        with(good, func(l *registry.Lease) { l.Actor.Name = "x" }),
		"holder":       with(good, func(l *registry.Lease) { l.Holder.Epoch++ }),
		"token":        with(good, func(l *registry.Lease) { l.Token++ }),
		"version":      with(good, func(l *registry.Lease) { l.Version = 8 }),
		"claim":        with(good, func(l *registry.Lease) { l.ClaimID[0]++ }),
		"expiry back":  with(good, func(l *registry.Lease) { l.Expiry-- }),
		"expiry ahead": with(good, func(l *registry.Lease) { l.Expiry = l.Expiry.Add(testCfg.TTL) }),
	} {
		assert.ErrorIs(t, q.granted(testCfg, l, g, sent), ErrBadAnswer, name)
	}
	g.expiry, g.token, g.above = 0, 0, 7
	assert.ErrorIs(t, q.granted(testCfg, good, g, sent), ErrBadAnswer, "a token that was seen before")
	g.above = 6
	assert.ErrorIs(t, q.granted(testCfg, with(good, func(l *registry.Lease) { l.Expiry = sent.wall }), g, sent), ErrBadAnswer, "expired when it was granted")

	r := question{op: "RegisterNode"}
	active := registry.Node{Ref: me, Status: registry.NodeActive}
	assert.NoError(t, r.registered(active, me.ID, 2))
	assert.ErrorIs(t, r.registered(active, me.ID, 3), ErrBadAnswer)
	assert.ErrorIs(t, r.registered(active, "x", 0), ErrBadAnswer)
	active.Status = registry.NodeLeft
	assert.ErrorIs(t, r.registered(active, me.ID, 0), ErrBadAnswer)
}
