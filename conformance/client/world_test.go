package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// A claim whose outcome is unknown may arrive when the trouble is over and take the
// actor once more, which its client cannot know: the stated time counts from there.
func TestStatedTimeCountsFromTheLastArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(registry.DefaultConfig(), nil, 1, op.Powers{})
		require.NoError(t, err)
		w.underWay(time.Minute)
		w.underWay(time.Second)
		require.Nil(t, w.await(shop(0), w.times.Resume, "the trouble is over"))
		require.Len(t, w.findings, 1, "nobody serves, which is a breach in the end")
		assert.GreaterOrEqual(t, w.findings[0].at, time.Minute+w.times.Resume)
	})
}

// giver is a client whose Drop ends when its release is answered, or with its context.
type giver struct{ h registry.Handle }

func (giver) Want(registry.ActorID) {}

func (s giver) Drop(ctx context.Context, a registry.ActorID) error {
	return s.h.Release(ctx, registry.Lease{Actor: a, Holder: registry.NodeRef{ID: "n1", Epoch: 1}, Token: 1})
}

func (giver) Close() error { return nil }

// Who is stopped or killed while it gives up cannot end it: the time counts while it runs.
func TestGivingUpIsJudgedWhileTheProcessRuns(t *testing.T) {
	for name, happens := range map[string]func(p *process){
		"stopped": func(p *process) { p.halt(); p.w.pass(5 * p.w.cfg.TTL); p.resume() },
		"killed":  func(p *process) { p.kill(); p.w.pass(5 * p.w.cfg.TTL) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := newWorld(registry.DefaultConfig(), func(n Node) (Client, error) { return giver{n.Handle}, nil }, 1, op.Powers{})
				require.NoError(t, err)
				p := w.start("n1", 0)
				p.want(shop(0))
				p.is[registry.NodeRef{ID: "n1", Epoch: 1}] = true
				p.suffer(trouble{kind: silent, name: "requests are lost"})
				done := make(chan error, 1)
				go func() { done <- p.drop(shop(0), w.cfg.TTL/4) }()
				w.pass(w.cfg.TTL / 8)
				happens(p)
				assert.Error(t, <-done)
				assert.Empty(t, w.findings)
				w.end()
			})
		})
	}
}

// Of calls that fail in turns each kind has its own turns: a client that looks after each
// renewal that failed does not fail with every renewal.
func TestEverySecondCallOfAKindFails(t *testing.T) {
	tr := trouble{kind: refused, every: 2}
	var failed []bool
	for range 4 {
		for _, k := range []op.Kind{op.Lookup, op.Renew} {
			failed = append(failed, tr.applies(nil, &op.Call{Kind: k, Actor: shop(0)}))
		}
	}
	assert.Equal(t, []bool{false, false, true, true, false, false, true, true}, failed)
}

// A client that gives its lease up by itself and claims again has kept the actor; one that
// lost its lease has not.
func TestWhatWasReleasedIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(registry.DefaultConfig(), func(Node) (Client, error) { return giver{}, nil }, 1, op.Powers{})
		require.NoError(t, err)
		p, a := w.start("n1", 0), shop(0)
		w.age(a, 1)
		p.released[tenure{a, 1}] = true
		w.kept(conformance.ClientKeeps, p, a, 1, "")
		assert.Empty(t, w.findings, "it is free, and was released by it")
		n, err := w.exact.RegisterNode(t.Context(), p.id, registry.NodeInfo{}, registry.Supersede)
		require.NoError(t, err)
		l, err := w.exact.Claim(t.Context(), a, n.Ref, registry.NewClaimID())
		require.NoError(t, err)
		w.kept(conformance.ClientKeeps, p, a, 1, "")
		assert.Empty(t, w.findings, "it holds it again")
		p.failing[tenure{a, 2}] = true
		p.count(t.Context(), &op.Call{Kind: op.Release, Actor: a, Node: n.Ref, Token: 2})
		require.NoError(t, w.exact.Release(t.Context(), l))
		w.findings = nil
		w.kept(conformance.ClientKeeps, p, a, 1, "")
		assert.Len(t, w.findings, 1, "it could not renew its second tenure, and released it")
	})
}
