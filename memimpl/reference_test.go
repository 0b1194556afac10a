package memimpl_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/reference"
)

// small is a configuration in which every threshold is a few units away.
var small = registry.Config{TTL: 12, Grace: 4, MaxClockSkew: 2, FailureTimeout: 7, AllowShortTTL: true}

var (
	actors = []registry.ActorID{{Namespace: "a", Name: "1"}, {Namespace: "a", Name: "2"}, {Namespace: "ab", Name: "1"}, {Namespace: "b", Name: "é"}}
	nodes  = []registry.NodeID{"n1", "n2", "n3"}
)

// pair drives the reference and the implementation through the same calls, by
// handles with the same clocks, and holds the answers against each other.
type pair struct {
	base   *registry.ManualClock
	clocks []*registry.SkewedClock
	want   []registry.Handle
	got    []*memimpl.Registry

	refs   []registry.NodeRef // seen so far, and some that never were
	leases []registry.Lease   // as above
	seen   map[error]int
}

func newPair(t require.TestingT, mem *memimpl.Store, handles int, seen map[error]int) *pair {
	ref, err := reference.NewStore(small)
	require.NoError(t, err)
	w := &pair{base: registry.NewManualClock(1000), seen: seen}
	for range handles {
		clock := registry.NewSkewedClock(w.base, 0)
		want, err := ref.Open(small, clock)
		require.NoError(t, err)
		got, err := mem.Open(small, clock)
		require.NoError(t, err)
		w.clocks, w.want, w.got = append(w.clocks, clock), append(w.want, want), append(w.got, got)
	}
	for _, id := range nodes {
		w.refs = append(w.refs, registry.NodeRef{ID: id, Epoch: 1}, registry.NodeRef{ID: id, Epoch: 2})
	}
	w.leases = append(w.leases, registry.Lease{Actor: actors[0], Holder: w.refs[0], Token: 1})
	return w
}

// registerAll registers every node, or few calls would find one.
func (w *pair) registerAll(t *rapid.T) {
	for _, id := range nodes {
		both(t, w, "RegisterNode", func(h registry.Handle) (registry.Node, error) {
			return h.RegisterNode(context.Background(), id, registry.NodeInfo{}, registry.IfAbsent)
		})
	}
}

// both calls f on the reference and on the implementation and compares what they
// answer, refusal details included.
func both[T any](t *rapid.T, w *pair, name string, f func(h registry.Handle) (T, error)) T {
	i := rapid.IntRange(0, len(w.got)-1).Draw(t, "handle")
	want, wantErr := f(w.want[i])
	got, gotErr := f(w.got[i])
	require.Equal(t, answer(wantErr), answer(gotErr), name)
	require.Equal(t, want, got, name)
	var refusal *registry.Refusal
	if errors.As(wantErr, &refusal) {
		w.seen[refusal.Reason]++
	} else if wantErr == nil || wantErr == registry.ErrClosed {
		w.seen[wantErr]++
	}
	return got
}

// answer makes an error comparable by value.
func answer(err error) string {
	var refusal *registry.Refusal
	if errors.As(err, &refusal) {
		return fmt.Sprintf("%v %+v", err, *refusal)
	}
	return fmt.Sprint(err)
}

func (w *pair) actor(t *rapid.T) registry.ActorID {
	return rapid.SampledFrom(actors).Draw(t, "actor")
}

// The latest incarnations and leases more often than any before them, or calls
// would seldom succeed.
func (w *pair) ref(t *rapid.T) registry.NodeRef { return latestOr(t, w.refs, "ref") }
func (w *pair) lease(t *rapid.T) registry.Lease { return latestOr(t, w.leases, "lease") }

func latestOr[T any](t *rapid.T, all []T, label string) T {
	if rapid.Bool().Draw(t, "latest") {
		return all[len(all)-1]
	}
	return rapid.SampledFrom(all).Draw(t, label)
}

func (w *pair) granted(l registry.Lease) registry.Lease {
	if l.Token != 0 {
		w.leases = append(w.leases, l)
	}
	return l
}

// actions are named as the specification's.
func (w *pair) actions() map[string]func(*rapid.T) {
	ctx := context.Background()
	return map[string]func(*rapid.T){
		"Claim": func(t *rapid.T) {
			actor, ref := w.actor(t), w.ref(t)
			id := registry.ClaimID{byte(rapid.IntRange(1, 3).Draw(t, "claim id"))}
			w.granted(both(t, w, "Claim", func(h registry.Handle) (registry.Lease, error) { return h.Claim(ctx, actor, ref, id) }))
		},
		"Renew": func(t *rapid.T) {
			l := w.lease(t)
			w.granted(both(t, w, "Renew", func(h registry.Handle) (registry.Lease, error) { return h.Renew(ctx, l) }))
		},
		"RenewBatch": func(t *rapid.T) {
			l, m := w.lease(t), w.lease(t)
			both(t, w, "RenewBatch", func(h registry.Handle) (string, error) {
				if b, ok := h.(registry.BatchRenewer); ok {
					r := b.RenewBatch(ctx, []registry.Lease{l, m})
					return fmt.Sprint(r[0].Lease, answer(r[0].Err), r[1].Lease, answer(r[1].Err)), nil
				}
				l, lErr := h.Renew(ctx, l)
				m, mErr := h.Renew(ctx, m)
				return fmt.Sprint(l, answer(lErr), m, answer(mErr)), nil
			})
		},
		"Release": func(t *rapid.T) {
			l := w.lease(t)
			both(t, w, "Release", func(h registry.Handle) (int, error) { return 0, h.Release(ctx, l) })
		},
		"Transfer": func(t *rapid.T) {
			l, to := w.lease(t), w.ref(t)
			w.granted(both(t, w, "Transfer", func(h registry.Handle) (registry.Lease, error) { return h.Transfer(ctx, l, to) }))
		},
		"Validate": func(t *rapid.T) {
			actor, token := w.actor(t), registry.Token(rapid.IntRange(0, 5).Draw(t, "token"))
			both(t, w, "Validate", func(h registry.Handle) (int, error) { return 0, h.Validate(ctx, actor, token) })
		},
		"RegisterNode": func(t *rapid.T) {
			id := rapid.SampledFrom(nodes).Draw(t, "node")
			mode := rapid.SampledFrom([]registry.RegisterMode{registry.IfAbsent, registry.Supersede}).Draw(t, "mode")
			n := both(t, w, "RegisterNode", func(h registry.Handle) (registry.Node, error) {
				return h.RegisterNode(ctx, id, registry.NodeInfo{Address: string(id)}, mode)
			})
			if !n.Ref.IsZero() {
				w.refs = append(w.refs, n.Ref)
			}
		},
		"Heartbeat": func(t *rapid.T) {
			ref := w.ref(t)
			both(t, w, "Heartbeat", func(h registry.Handle) (int, error) { return 0, h.Heartbeat(ctx, ref) })
		},
		"MarkFailed": func(t *rapid.T) {
			ref := w.ref(t)
			both(t, w, "MarkFailed", func(h registry.Handle) (int, error) { return 0, h.MarkFailed(ctx, ref) })
		},
		"DeregisterNode": func(t *rapid.T) {
			ref := w.ref(t)
			both(t, w, "DeregisterNode", func(h registry.Handle) (int, error) { return 0, h.DeregisterNode(ctx, ref) })
		},
		"Tick": func(t *rapid.T) {
			w.base.Advance(time.Duration(rapid.SampledFrom([]int{1, 2, 5, int(small.TTL + small.Grace)}).Draw(t, "ticks")))
		},
		"Skew": func(t *rapid.T) {
			i := rapid.IntRange(0, len(w.clocks)-1).Draw(t, "clock")
			w.clocks[i].SetOffset(time.Duration(rapid.IntRange(-2, 2).Draw(t, "skew")))
		},
		"Close": func(t *rapid.T) {
			if rapid.IntRange(0, 99).Draw(t, "close") == 0 {
				both(t, w, "Close", func(h registry.Handle) (int, error) { return 0, h.Close() })
			}
		},
		"": func(t *rapid.T) { w.compare(t) },
	}
}

// compare holds every record, registration and listing against each other, with
// pages so small that cursors are used.
func (w *pair) compare(t *rapid.T) {
	ctx := context.Background()
	page := registry.Page{Limit: rapid.IntRange(1, 3).Draw(t, "limit")}
	for _, actor := range actors {
		both(t, w, "Lookup", func(h registry.Handle) (string, error) {
			p, found, err := h.Lookup(ctx, actor)
			return fmt.Sprint(p, found), err
		})
	}
	for _, id := range nodes {
		both(t, w, "GetNode", func(h registry.Handle) (string, error) {
			n, found, err := h.GetNode(ctx, id)
			return fmt.Sprint(n, found), err
		})
	}
	for _, ref := range w.refs {
		both(t, w, "ListActors", func(h registry.Handle) ([]registry.Placement, error) {
			return allPages(page, func(p registry.Page) ([]registry.Placement, registry.Cursor, error) { return h.ListActors(ctx, ref, p) })
		})
	}
	for status := registry.AnyStatus; status <= registry.NodeLeft; status++ {
		both(t, w, "ListNodes", func(h registry.Handle) ([]registry.Node, error) {
			return allPages(page, func(p registry.Page) ([]registry.Node, registry.Cursor, error) { return h.ListNodes(ctx, status, p) })
		})
	}
}

func allPages[T any](page registry.Page, list func(registry.Page) ([]T, registry.Cursor, error)) ([]T, error) {
	all := []T{}
	for {
		rows, next, err := list(page)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		if next == "" {
			return all, nil
		}
		page.After = next
	}
}

// TestEqualsReference: one handle at a time, the implementation answers what the
// specification's actions answer, through handles whose clocks disagree and step
// backwards within the bound (contract, sections 2 and 3).
func TestEqualsReference(t *testing.T) {
	seen := map[error]int{}
	t.Run("sequences", rapid.MakeCheck(func(t *rapid.T) {
		w := newPair(t, newStore(t, small), 3, seen)
		if rapid.IntRange(0, 3).Draw(t, "begin empty") > 0 {
			w.registerAll(t)
		}
		t.Repeat(w.actions())
	}))
	t.Log(seen)
	// Vacuity guard: the sequences must have met every kind of answer.
	for _, reason := range []error{
		nil, registry.ErrClosed, registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists, registry.ErrNodeAlive,
		registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed, registry.ErrHeld,
	} {
		require.Positive(t, seen[reason], "no call was answered with %v", reason)
	}
}

// TestDurableEqualsReference: the same of a store on a file, which is closed and
// opened again in between, as often as not.
func TestDurableEqualsReference(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		if rapid.IntRange(0, 9).Draw(r, "one in ten") > 0 {
			return // these take a sync per call
		}
		path := filepath.Join(t.TempDir(), "registry")
		open := func() *memimpl.Store {
			s, err := memimpl.New(small, memimpl.OnFile(path))
			require.NoError(r, err)
			return s
		}
		store := open()
		defer func() { require.NoError(r, store.Close()) }()
		w := newPair(r, store, 3, map[error]int{})
		w.registerAll(r)
		actions := w.actions()
		delete(actions, "Close")
		actions["Restart"] = func(t *rapid.T) {
			require.NoError(t, store.Close())
			require.ErrorIs(t, w.got[0].Heartbeat(ctx, w.refs[0]), registry.ErrClosed)
			store = open()
			for i, clock := range w.clocks {
				var err error
				w.got[i], err = store.Open(small, clock)
				require.NoError(t, err)
			}
		}
		r.Repeat(actions)
	})
}
