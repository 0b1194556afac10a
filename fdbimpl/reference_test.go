//go:build fdb

package fdbimpl

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

// compared is a handle on fdbimpl and one on the reference, with one clock.
type compared struct {
	t        *rapid.T
	real     *Registry
	ref      registry.Handle
	clock    *registry.ManualClock
	leases   []registry.Lease
	nodes    []registry.NodeRef
	outcomes map[string]bool
}

// Random sequences of operations, one after the other: every answer and every
// refusal is the one that the executable specification gives.
func TestRandomOperationsAgreeWithTheReference(t *testing.T) {
	s := newStore(t)
	runs, outcomes := 0, map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		clock := registry.NewManualClock(epochStart)
		opts := s.opts
		opts.Prefix = append(slices.Clone(s.opts.Prefix), tuple.TupleElement(runs))
		real, err := Open(t.Context(), s.db, s.cfg, clock, opts)
		require.NoError(rt, err)
		defer real.Close()
		refStore, err := reference.NewStore(s.cfg)
		require.NoError(rt, err)
		ref, err := refStore.Open(s.cfg, clock)
		require.NoError(rt, err)
		c := &compared{t: rt, real: real, ref: ref, clock: clock, outcomes: outcomes}
		c.step("register", c.register)
		c.step("claim", c.claim)
		rt.Repeat(map[string]func(*rapid.T){
			"":           c.invariant,
			"advance":    func(rt *rapid.T) { c.t = rt; c.advance() },
			"register":   func(rt *rapid.T) { c.t = rt; c.step("register", c.register) },
			"heartbeat":  func(rt *rapid.T) { c.t = rt; c.step("heartbeat", c.heartbeat) },
			"markFailed": func(rt *rapid.T) { c.t = rt; c.step("markFailed", c.markFailed) },
			"deregister": func(rt *rapid.T) { c.t = rt; c.step("deregister", c.deregister) },
			"claim":      func(rt *rapid.T) { c.t = rt; c.step("claim", c.claim) },
			"renew":      func(rt *rapid.T) { c.t = rt; c.step("renew", c.renew) },
			"renewBatch": func(rt *rapid.T) { c.t = rt; c.renewBatch() },
			"release":    func(rt *rapid.T) { c.t = rt; c.step("release", c.release) },
			"transfer":   func(rt *rapid.T) { c.t = rt; c.step("transfer", c.transfer) },
			"validate":   func(rt *rapid.T) { c.t = rt; c.step("validate", c.validate) },
		})
	})
	for _, want := range []string{
		"claim: ok", "claim: actor is held", "claim: node is failed", "claim: node is not registered",
		"renew: ok", "renew: lease has run out", "renew: fenced: a higher token was granted", "renew: actor is not held under this lease",
		"release: ok", "release: fenced: a higher token was granted", "transfer: ok", "transfer: lease has run out",
		"validate: ok", "validate: fenced: a higher token was granted", "heartbeat: ok", "heartbeat: node is failed",
		"markFailed: ok", "markFailed: node was seen too recently to be failed", "deregister: ok", "deregister: node is not registered",
		"register: ok", "register: node is already registered",
	} {
		require.True(t, outcomes[want], "never reached: %s", want)
	}
}

// answer is what a call returned, in a form that can be compared.
type answer struct {
	lease registry.Lease
	node  registry.Node
	err   string
	why   registry.Refusal
}

func answerOf(l registry.Lease, n registry.Node, err error) answer {
	a := answer{lease: l, node: n}
	var why *registry.Refusal
	if errors.As(err, &why) {
		a.why = *why
	}
	if err != nil {
		a.err = err.Error()
	}
	return a
}

// step asks both and compares. ask must draw the same for both, so it draws first
// and returns the question.
func (c *compared) step(name string, ask func() func(registry.Handle) answer) {
	question := ask()
	want, got := question(c.ref), question(c.real)
	require.Equal(c.t, want, got, name)
	outcome := "ok"
	if want.why.Reason != nil {
		outcome = want.why.Reason.Error()
	}
	c.outcomes[name+": "+outcome] = true
	if want.err == "" && want.lease.Token > 0 {
		c.leases = append(c.leases, want.lease)
	}
	if want.err == "" && want.node.Ref.Epoch > 0 {
		c.nodes = append(c.nodes, want.node.Ref)
	}
}

func (c *compared) actor() registry.ActorID {
	return actorID(rapid.SampledFrom([]string{"x", "y"}).Draw(c.t, "actor"))
}

func (c *compared) node() registry.NodeRef {
	made := registry.NodeRef{ID: nodeID(rapid.IntRange(0, 2).Draw(c.t, "node")), Epoch: registry.Epoch(rapid.IntRange(1, 3).Draw(c.t, "epoch"))}
	if len(c.nodes) > 0 && rapid.IntRange(0, 3).Draw(c.t, "known") > 0 {
		return rapid.SampledFrom(c.nodes).Draw(c.t, "node")
	}
	return made
}

func (c *compared) lease() registry.Lease {
	made := registry.Lease{Actor: c.actor(), Holder: c.node(), Token: registry.Token(rapid.IntRange(1, 5).Draw(c.t, "token"))}
	if len(c.leases) > 0 && rapid.IntRange(0, 3).Draw(c.t, "granted") > 0 {
		recent := c.leases[max(0, len(c.leases)-4):]
		return rapid.SampledFrom(recent).Draw(c.t, "lease")
	}
	return made
}

func (c *compared) advance() {
	d := rapid.SampledFrom([]time.Duration{
		time.Second, 16 * time.Second, registry.DefaultTTL - 1, registry.DefaultTTL, registry.DefaultGrace,
		registry.DefaultGrace + registry.DefaultTTL, lapse - 1, lapse, -time.Second,
	}).Draw(c.t, "by")
	c.clock.Advance(d)
}

func (c *compared) register() func(registry.Handle) answer {
	id := nodeID(rapid.IntRange(0, 2).Draw(c.t, "node"))
	info := registry.NodeInfo{Address: rapid.SampledFrom([]string{"", "host:1"}).Draw(c.t, "address")}
	mode := rapid.SampledFrom([]registry.RegisterMode{registry.IfAbsent, registry.Supersede}).Draw(c.t, "mode")
	return func(h registry.Handle) answer {
		n, err := h.RegisterNode(c.t.Context(), id, info, mode)
		return answerOf(registry.Lease{}, n, err)
	}
}

func (c *compared) heartbeat() func(registry.Handle) answer {
	n := c.node()
	return func(h registry.Handle) answer {
		return answerOf(registry.Lease{}, registry.Node{}, h.Heartbeat(c.t.Context(), n))
	}
}

func (c *compared) markFailed() func(registry.Handle) answer {
	n := c.node()
	return func(h registry.Handle) answer {
		return answerOf(registry.Lease{}, registry.Node{}, h.MarkFailed(c.t.Context(), n))
	}
}

func (c *compared) deregister() func(registry.Handle) answer {
	n := c.node()
	return func(h registry.Handle) answer {
		return answerOf(registry.Lease{}, registry.Node{}, h.DeregisterNode(c.t.Context(), n))
	}
}

func (c *compared) claim() func(registry.Handle) answer {
	actor, n, id := c.actor(), c.node(), claimID(byte(rapid.IntRange(1, 3).Draw(c.t, "claim id")))
	return func(h registry.Handle) answer {
		l, err := h.Claim(c.t.Context(), actor, n, id)
		return answerOf(l, registry.Node{}, err)
	}
}

func (c *compared) renew() func(registry.Handle) answer {
	lease := c.lease()
	return func(h registry.Handle) answer {
		l, err := h.Renew(c.t.Context(), lease)
		return answerOf(l, registry.Node{}, err)
	}
}

func (c *compared) release() func(registry.Handle) answer {
	lease := c.lease()
	return func(h registry.Handle) answer {
		return answerOf(registry.Lease{}, registry.Node{}, h.Release(c.t.Context(), lease))
	}
}

func (c *compared) transfer() func(registry.Handle) answer {
	lease, to := c.lease(), c.node()
	return func(h registry.Handle) answer {
		l, err := h.Transfer(c.t.Context(), lease, to)
		return answerOf(l, registry.Node{}, err)
	}
}

func (c *compared) validate() func(registry.Handle) answer {
	l := c.lease()
	return func(h registry.Handle) answer {
		return answerOf(registry.Lease{}, registry.Node{}, h.Validate(c.t.Context(), l.Actor, l.Token))
	}
}

// renewBatch renews a batch here and its leases one by one there.
func (c *compared) renewBatch() {
	leases := []registry.Lease{c.lease(), c.lease(), c.lease()}
	for i, got := range c.real.RenewBatch(c.t.Context(), leases) {
		want, err := c.ref.Renew(c.t.Context(), leases[i])
		require.Equal(c.t, answerOf(want, registry.Node{}, err), answerOf(got.Lease, registry.Node{}, got.Err), "lease %d", i)
		if err == nil {
			c.leases = append(c.leases, want)
		}
	}
}

// invariant compares everything that can be read, a row at a time.
func (c *compared) invariant(rt *rapid.T) {
	ctx := rt.Context()
	for _, name := range []string{"x", "y"} {
		want, wantFound, _ := c.ref.Lookup(ctx, actorID(name))
		got, gotFound, err := c.real.Lookup(ctx, actorID(name))
		require.NoError(rt, err)
		require.Equal(rt, fmt.Sprint(want, wantFound), fmt.Sprint(got, gotFound))
	}
	for _, n := range c.nodes {
		require.Equal(rt, listing(rt, registry.AllActors(ctx, c.ref, n)), listing(rt, registry.AllActors(ctx, c.real, n)))
		want, _, _ := c.ref.GetNode(ctx, n.ID)
		got, _, err := c.real.GetNode(ctx, n.ID)
		require.NoError(rt, err)
		require.Equal(rt, want, got)
	}
	for _, status := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
		require.Equal(rt, listing(rt, registry.AllNodes(ctx, c.ref, status)), listing(rt, registry.AllNodes(ctx, c.real, status)))
	}
}

func listing[T any](t require.TestingT, seq func(func(T, error) bool)) []T {
	var rows []T
	for row, err := range seq {
		require.NoError(t, err)
		rows = append(rows, row)
	}
	return rows
}
