package memimpl

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
)

var short = registry.Config{TTL: 12, Grace: 4, MaxClockSkew: 2, FailureTimeout: 7, AllowShortTTL: true}

// probe is a clock that looks at the locks whenever it is read.
type probe struct {
	reads int
	look  func()
}

func (p *probe) Now() registry.Instant {
	p.reads++
	if p.look != nil {
		p.look()
	}
	return 1000
}

// TestClockIsReadOnceInsideTheStep: clock check, membership check and write are one
// atomic step, with one reading (contract, section 3). At the reading, the actor's
// shard cannot be locked, and the member of a claim or transfer cannot be locked for
// writing, so no failure or supersession of the node fits in between.
func TestClockIsReadOnceInsideTheStep(t *testing.T) {
	ctx, actor := context.Background(), registry.ActorID{Namespace: "a", Name: "1"}
	s, err := New(short)
	require.NoError(t, err)
	clock := &probe{}
	h, err := s.Open(short, clock)
	require.NoError(t, err)
	n, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	lease := registry.Lease{Actor: actor, Holder: n.Ref, Token: 1}
	m := s.nodes.find("n1")
	sh, sum := s.shard(actor)

	for _, op := range []struct {
		name         string
		record, node bool
		call         func() error
	}{
		{"Claim", true, true, func() error { _, err := h.Claim(ctx, actor, n.Ref, registry.ClaimID{1}); return err }},
		{"Claim again", true, true, func() error { _, err := h.Claim(ctx, actor, n.Ref, registry.ClaimID{1}); return err }},
		{"Renew", true, false, func() error { _, err := h.Renew(ctx, lease); return err }},
		{"Transfer", true, true, func() error { _, err := h.Transfer(ctx, lease, n.Ref); return err }},
		{"Heartbeat", false, true, func() error { return h.Heartbeat(ctx, n.Ref) }},
		{"MarkFailed", false, true, func() error { _ = h.MarkFailed(ctx, n.Ref); return nil }},
		{"RegisterNode", false, true, func() error {
			_, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.Supersede)
			return err
		}},
	} {
		clock.reads = 0
		clock.look = func() {
			if op.record {
				require.False(t, sh.mu.TryLock(), "%s reads the clock outside the shard's mutex", op.name)
			}
			if op.node {
				require.False(t, m.mu.lane(sum).TryLock(), "%s reads the clock outside the member's lock", op.name)
			}
		}
		require.NoError(t, op.call(), op.name)
		require.Equal(t, 1, clock.reads, op.name)
	}
}

// TestOrderedEqualsSortedSlice compares the ordered set with a sorted slice, over
// sizes at which chunks split and join.
func TestOrderedEqualsSortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := ordered[int]{compare: cmp.Compare[int]}
		var model []int
		for range rapid.IntRange(1, 12).Draw(t, "phases") {
			from, n := rapid.IntRange(0, 2000).Draw(t, "from"), rapid.IntRange(1, 1200).Draw(t, "n")
			stride, insert := rapid.IntRange(-3, 3).Draw(t, "stride"), rapid.Bool().Draw(t, "insert")
			for i := range n {
				v := from + i*stride
				switch at, found := slices.BinarySearch(model, v); {
				case insert && !found:
					o.insert(v)
					model = slices.Insert(model, at, v)
				case !insert:
					o.remove(v) // of an absent one: nothing
					if found {
						model = slices.Delete(model, at, at+1)
					}
				}
			}
			require.Equal(t, len(model) == 0, o.empty())
			bound, limit := rapid.IntRange(-100, 3300).Draw(t, "bound"), rapid.IntRange(1, 3000).Draw(t, "limit")
			at, _ := slices.BinarySearch(model, bound+1)
			want := model[at:min(len(model), at+limit)]
			require.Equal(t, append([]int{}, want...), append([]int{}, o.after(func(v int) bool { return v > bound }, limit)...))
			for i, chunk := range o.chunks {
				require.NotEmpty(t, chunk)
				require.LessOrEqual(t, len(chunk), maxChunk)
				for _, rest := range chunk[len(chunk):cap(chunk)] {
					require.Zero(t, rest, "an element that left is still referred to")
				}
				if i > 0 {
					require.Greater(t, len(chunk)+len(o.chunks[i-1]), maxChunk/2, "neighbours that should have been joined")
				}
			}
		}
	})
}

// TestWatch: the record as soon as its version differs, an actor without a record
// included; ended by the context and by Close (doc of Watcher). Every change is
// made when all who are to see it wait already.
func TestWatch(t *testing.T) {
	ctx, actor := context.Background(), registry.ActorID{Namespace: "a", Name: "1"}
	s, err := New(short)
	require.NoError(t, err)
	h, err := s.Open(short, registry.NewManualClock(1000))
	require.NoError(t, err)
	n, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)

	var lease registry.Lease
	for step, change := range []func() error{
		func() (err error) { lease, err = h.Claim(ctx, actor, n.Ref, registry.ClaimID{1}); return err },
		func() error { _, err := h.Renew(ctx, lease); return err },
		func() error { return h.Release(ctx, lease) },
	} {
		got := make(chan registry.Placement)
		for range 3 {
			go func() {
				p, err := h.Watch(ctx, actor, registry.Version(step))
				assert.NoError(t, err)
				got <- p
			}()
		}
		s.awaitWaiters(3)
		require.NoError(t, change())
		for range 3 {
			require.Equal(t, registry.Version(step+1), (<-got).Version)
		}
	}
	p, err := h.Watch(ctx, actor, 1) // differs already
	require.NoError(t, err)
	require.Equal(t, registry.Version(3), p.Version)

	failed := make(chan error)
	cancelled, cancel := context.WithCancel(ctx)
	go func() { _, err := h.Watch(cancelled, actor, 3); failed <- err }()
	s.awaitWaiters(1)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	go func() { _, err := h.Watch(ctx, actor, 3); failed <- err }()
	s.awaitWaiters(1)
	require.NoError(t, h.Close())
	require.ErrorIs(t, <-failed, registry.ErrClosed)
}

// awaitWaiters returns once n calls of Watch wait.
func (s *Store) awaitWaiters(n int) {
	for joined := 0; joined != n; runtime.Gosched() {
		joined = 0
		for i := range s.shards {
			s.shards[i].mu.Lock()
			for _, w := range s.shards[i].watches {
				joined += w.waiters
			}
			s.shards[i].mu.Unlock()
		}
	}
}

// TestNothingIsLeftBehind: waits that ended, refused operations, lookups of
// unknown names and incarnations that are over leave no entry in any map.
func TestNothingIsLeftBehind(t *testing.T) {
	ctx := context.Background()
	s, err := New(short)
	require.NoError(t, err)
	h, err := s.Open(short, registry.NewManualClock(1000))
	require.NoError(t, err)
	n, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)

	const waits = 1000
	ended := make(chan error, 2*waits)
	abandon, cancel := context.WithCancel(ctx)
	for i := range waits {
		actor := registry.ActorID{Namespace: "w", Name: fmt.Sprint(i)}
		for range 2 {
			go func() { _, err := h.Watch(abandon, actor, 0); ended <- err }()
		}
		_, err := h.Renew(ctx, registry.Lease{Actor: actor, Holder: n.Ref, Token: 1})
		require.ErrorIs(t, err, registry.ErrNotHeld)
		_, err = h.Claim(ctx, actor, registry.NodeRef{ID: "stranger", Epoch: 1}, registry.ClaimID{1})
		require.ErrorIs(t, err, registry.ErrNodeUnknown)
		_, _, err = h.Lookup(ctx, actor)
		require.NoError(t, err)
		require.ErrorIs(t, h.Heartbeat(ctx, registry.NodeRef{ID: registry.NodeID(fmt.Sprint(i)), Epoch: 1}), registry.ErrNodeUnknown)
	}
	s.awaitWaiters(2 * waits)
	cancel()
	for range 2 * waits {
		require.ErrorIs(t, <-ended, context.Canceled)
	}
	for i := range s.shards {
		require.Empty(t, s.shards[i].watches)
		require.Zero(t, s.shards[i].records.used)
	}
	require.Equal(t, 1, s.nodes.byID.used)

	lease, err := h.Claim(ctx, registry.ActorID{Namespace: "w", Name: "x"}, n.Ref, registry.ClaimID{1})
	require.NoError(t, err)
	sh, _ := s.shard(lease.Actor)
	require.False(t, sh.index().empty())
	require.NoError(t, h.Release(ctx, lease))
	require.True(t, sh.index().empty())
}
