package history_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Clients that run at the same time on the reference, with clocks that jump
// within the bound, leave a history that the checker accepts.
func TestRecordedReference(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			store, err := reference.NewStore(testConfig)
			require.NoError(t, err)
			rec := history.NewRecorder(testConfig)
			truth := registry.NewManualClock(testStart)
			var wg sync.WaitGroup
			for i := range 6 {
				rng := rand.New(rand.NewPCG(seed, uint64(i)))
				name := fmt.Sprint("n", i)
				clock := registry.NewSkewedClock(truth, 0)
				inner, err := store.Open(testConfig, rec.Clock(name, clock))
				require.NoError(t, err)
				h := rec.Wrap(name, inner)
				wg.Go(func() { busyClient(h, registry.NodeID(name), rng, truth, clock) })
			}
			wg.Wait()
			h := rec.History()
			require.Len(t, h.Ops, 6*201)
			res := linearizability.Check(h, linearizability.Options{})
			require.Equal(t, linearizability.OK, res.Verdict, "%s %+v", res.Reason, res.Violations)
			require.Positive(t, res.Stats.Replayed)
		})
	}
}

func busyClient(h registry.Handle, id registry.NodeID, rng *rand.Rand, truth *registry.ManualClock, clock *registry.SkewedClock) {
	ctx := context.Background()
	n, _ := h.RegisterNode(ctx, id, registry.NodeInfo{}, registry.IfAbsent)
	var lease registry.Lease
	for range 200 {
		clock.SetOffset(time.Duration(rng.Int64N(int64(2*testConfig.MaxClockSkew))) - testConfig.MaxClockSkew)
		truth.Advance(time.Duration(rng.Int64N(int64(time.Second))))
		actor := registry.ActorID{Namespace: "ns", Name: fmt.Sprint(rng.IntN(3))}
		switch rng.IntN(8) {
		case 0, 1, 2:
			if l, err := h.Claim(ctx, actor, n.Ref, registry.NewClaimID()); err == nil {
				lease = l
			}
		case 3:
			_, _, _ = h.Lookup(ctx, actor)
		case 4:
			_ = h.Heartbeat(ctx, n.Ref)
		case 5:
			_, _, _ = h.ListActors(ctx, n.Ref, registry.Page{Limit: 2})
		case 6:
			_, _ = h.Renew(ctx, lease)
		default:
			_ = h.Release(ctx, lease)
		}
	}
}

func openRecorded(t *testing.T) (*history.Recorder, *registry.ManualClock, registry.Handle) {
	store, err := reference.NewStore(testConfig)
	require.NoError(t, err)
	rec := history.NewRecorder(testConfig)
	clock := registry.NewManualClock(testStart)
	inner, err := store.Open(testConfig, rec.Clock("n1", clock))
	require.NoError(t, err)
	return rec, clock, rec.Wrap("n1", inner)
}

// Every operation is recorded with what was asked and answered, and with the
// reading that the backend made for it and no other.
func TestRecorderRecordsEverything(t *testing.T) {
	ctx := t.Context()
	rec, clock, h := openRecorded(t)
	n, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{Address: "x"}, registry.IfAbsent)
	require.NoError(t, err)
	clock.Advance(time.Second)
	l, err := h.Claim(ctx, actorA, n.Ref, id(1))
	require.NoError(t, err)
	l, err = h.Renew(ctx, l)
	require.NoError(t, err)
	_, found, err := h.Lookup(ctx, actorA)
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, h.Validate(ctx, actorA, l.Token))
	rows, _, err := h.ListActors(ctx, n.Ref, registry.Page{})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	rows[0].Token = 99 // it is the caller's
	l, err = h.Transfer(ctx, l, n.Ref)
	require.NoError(t, err)
	require.NoError(t, h.Release(ctx, l))
	require.NoError(t, h.Heartbeat(ctx, n.Ref))
	require.ErrorIs(t, h.MarkFailed(ctx, n.Ref), registry.ErrNodeAlive)
	_, _, err = h.GetNode(ctx, "n1")
	require.NoError(t, err)
	nodes, _, err := h.ListNodes(ctx, registry.AnyStatus, registry.Page{})
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	nodes[0].Ref.Epoch = 99
	require.NoError(t, h.DeregisterNode(ctx, n.Ref))
	require.NoError(t, h.Close())
	require.ErrorIs(t, h.Validate(ctx, actorA, 1), registry.ErrClosed)

	got := rec.History()
	var kinds []op.Kind
	for _, o := range got.Ops {
		kinds = append(kinds, o.Call.Kind)
	}
	require.Equal(t, []op.Kind{
		op.RegisterNode, op.Claim, op.Renew, op.Lookup, op.Validate, op.ListActors, op.Transfer, op.Release,
		op.Heartbeat, op.MarkFailed, op.GetNode, op.ListNodes, op.DeregisterNode, op.Validate,
	}, kinds)
	claim := got.Ops[1]
	require.Equal(t, op.Call{Kind: op.Claim, Actor: actorA, Node: n.Ref, ClaimID: id(1)}, claim.Call)
	require.Equal(t, lease("n1", time.Second, 1, 1, 1), claim.Result.Record)
	require.Equal(t, history.Seen(when(time.Second)), claim.Clock)
	require.Empty(t, got.Ops[3].Clock.Seen, "a look-up reads no clock")
	require.Equal(t, registry.Token(1), got.Ops[5].Result.Actors[0].Token)
	require.Equal(t, n.Ref, got.Ops[11].Result.Nodes[0].Ref)
	failed := got.Ops[9]
	require.Equal(t, op.NodeAlive, failed.Result.Reason)
	require.Equal(t, n.Ref, failed.Result.Node.Ref)
	require.Equal(t, when(time.Second), failed.Result.Now)
	require.Equal(t, op.Closed, got.Ops[13].Result.Outcome)
	res := linearizability.Check(got, linearizability.Options{})
	require.Equal(t, linearizability.OK, res.Verdict, "%+v", res.Violations)
}

// scripted answers every call with the next error, and runs a hook first.
type scripted struct {
	registry.Handle
	err  error
	hook func()
}

func (s *scripted) Release(context.Context, registry.Lease) error {
	if s.hook != nil {
		s.hook()
	}
	return s.err
}

// Errors are sorted by what they say about the effect. An ambiguous error may
// wrap anything, so it comes first.
func TestClassification(t *testing.T) {
	held := &registry.Refusal{Reason: registry.ErrHeld, Placement: lease("n1", 0, 1, 1, 1), Now: 7}
	for _, tc := range []struct {
		err    error
		want   op.Outcome
		reason op.Reason
	}{
		{nil, op.OK, ""},
		{held, op.Refused, op.Held},
		{fmt.Errorf("wrapped: %w", held), op.Refused, op.Held},
		{registry.ErrNodeUnknown, op.Refused, op.NodeUnknown},
		{registry.ErrNodeFailed, op.Refused, op.NodeFailed},
		{registry.ErrNodeExists, op.Refused, op.NodeExists},
		{registry.ErrNodeAlive, op.Refused, op.NodeAlive},
		{registry.ErrFenced, op.Refused, op.Fenced},
		{registry.ErrNotHeld, op.Refused, op.NotHeld},
		{registry.ErrLapsed, op.Refused, op.Lapsed},
		{&registry.InvalidError{Field: "f"}, op.Invalid, "ErrInvalid"},
		{registry.ErrClosed, op.Closed, "ErrClosed"},
		{registry.ErrUnavailable, op.Unavailable, "ErrUnavailable"},
		{fmt.Errorf("no: %w", context.Canceled), op.Cancelled, "Canceled"},
		{context.DeadlineExceeded, op.Cancelled, "DeadlineExceeded"},
		{&registry.AmbiguousError{Cause: context.DeadlineExceeded}, op.Settled, "ErrAmbiguous"},
		{&registry.AmbiguousError{Cause: held}, op.Settled, "ErrAmbiguous"},
		{&registry.AmbiguousError{MayStillApply: true, Cause: context.Canceled}, op.Open, "ErrAmbiguous"},
		{registry.ErrAmbiguous, op.Open, "ErrAmbiguous"},
		{errors.New("boom"), op.Unlisted, op.NotListed},
	} {
		rec := history.NewRecorder(testConfig)
		_ = rec.Wrap("n1", &scripted{err: tc.err}).Release(t.Context(), registry.Lease{})
		o := rec.History().Ops[0]
		require.Equal(t, tc.want, o.Result.Outcome, "%v", tc.err)
		require.Equal(t, tc.reason, o.Result.Reason, "%v", tc.err)
		require.Equal(t, tc.err, o.Result.Err)
		if errors.Is(tc.err, registry.ErrHeld) && tc.want == op.Refused {
			require.Equal(t, held.Placement, o.Result.Record)
			require.Equal(t, held.Now, o.Result.Now)
		}
	}
}

// A call that is running is pending, with the readings made so far. One that may
// still apply goes on collecting readings after its return; a settled one does not.
func TestReadingsOfUnfinishedCalls(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want []registry.Instant
	}{
		{&registry.AmbiguousError{MayStillApply: true, Cause: errors.New("x")}, []registry.Instant{1, 2}},
		{&registry.AmbiguousError{Cause: errors.New("x")}, []registry.Instant{1}},
	} {
		rec := history.NewRecorder(testConfig)
		base := registry.NewManualClock(1)
		clock := rec.Clock("n1", base)
		inner := &scripted{err: tc.err}
		var during history.Op
		inner.hook = func() {
			clock.Now()
			during = rec.History().Ops[0]
		}
		_ = rec.Wrap("n1", inner).Release(t.Context(), registry.Lease{})
		require.Equal(t, op.Pending, during.Result.Outcome)
		require.Equal(t, int64(history.Never), during.Returned)
		require.Equal(t, history.Seen(1), during.Clock)
		base.Set(2)
		clock.Now()
		require.Equal(t, tc.want, rec.History().Ops[0].Clock.Seen)
	}
}

// Up to 32 different readings of a call are kept one by one. Of more the interval
// is kept that contains them.
func TestManyReadings(t *testing.T) {
	for _, n := range []int{32, 33, 40} {
		rec := history.NewRecorder(testConfig)
		base := registry.NewManualClock(0)
		clock := rec.Clock("n1", base)
		var all []registry.Instant
		inner := &scripted{hook: func() {
			for i := range n {
				base.Set(registry.Instant(100 - i))
				clock.Now()
				clock.Now() // the same reading is no other
				all = append(all, registry.Instant(100-i))
			}
		}}
		_ = rec.Wrap("n1", inner).Release(t.Context(), registry.Lease{})
		want := history.Seen(all...)
		if n > 32 {
			want = history.Within(registry.Instant(100-n+1), 100)
		}
		require.Equal(t, want, rec.History().Ops[0].Clock, n)
	}
}

// Without a clock of the recorder's, readings are bounded by call and return;
// without any clock they are not bounded.
func TestRealTimeReadings(t *testing.T) {
	base := registry.NewManualClock(100)
	rec := history.NewRecorder(testConfig)
	var during history.History
	inner := &scripted{hook: func() {
		base.Set(90)
		during = rec.History()
	}}
	rec.RealTime("n1", base, 5)
	_ = rec.Wrap("n1", inner).Release(t.Context(), registry.Lease{})
	require.Equal(t, history.Within(85, 105), rec.History().Ops[0].Clock)
	require.Equal(t, history.AnyReading(), during.Ops[0].Clock, "a call that is running may yet read any")

	rec = history.NewRecorder(testConfig)
	_ = rec.Wrap("n1", inner).Release(t.Context(), registry.Lease{})
	require.Equal(t, history.AnyReading(), rec.History().Ops[0].Clock)
}

type extended struct{ registry.Handle }

func (extended) RenewBatch(_ context.Context, ls []registry.Lease) []registry.Renewal {
	out := make([]registry.Renewal, len(ls))
	for i := range ls {
		out[i].Err = registry.ErrLapsed
	}
	return out
}

func (extended) Watch(context.Context, registry.ActorID, registry.Version) (registry.Placement, error) {
	return lease("n1", 0, 1, 1, 1), nil
}

type onlyBatch struct {
	registry.Handle
	registry.BatchRenewer
}

type onlyWatch struct {
	registry.Handle
	registry.Watcher
}

// The recorded handle has the optional interfaces that the backend's has, and
// records them.
func TestOptionalInterfaces(t *testing.T) {
	rec := history.NewRecorder(testConfig)
	for _, tc := range []struct {
		inner        registry.Handle
		batch, watch bool
	}{
		{&scripted{}, false, false},
		{onlyBatch{BatchRenewer: extended{}}, true, false},
		{onlyWatch{Watcher: extended{}}, false, true},
		{extended{}, true, true},
	} {
		w := rec.Wrap("n1", tc.inner)
		_, batch := w.(registry.BatchRenewer)
		_, watch := w.(registry.Watcher)
		require.Equal(t, tc.batch, batch, "%T", tc.inner)
		require.Equal(t, tc.watch, watch, "%T", tc.inner)
	}
	w := rec.Wrap("n1", extended{})
	require.Len(t, w.(registry.BatchRenewer).RenewBatch(t.Context(), []registry.Lease{{Token: 1}, {Token: 2}}), 2)
	_, err := w.(registry.Watcher).Watch(t.Context(), actorA, 0)
	require.NoError(t, err)
	ops := rec.History().Ops
	require.Len(t, ops, 3)
	require.Equal(t, op.Renew, ops[0].Call.Kind)
	require.Equal(t, registry.Token(2), ops[1].Call.Token)
	require.Equal(t, op.Lapsed, ops[1].Result.Reason)
	require.Less(t, ops[1].Invoked, ops[0].Returned, "the renewals of a batch overlap")
	require.Equal(t, op.Watch, ops[2].Call.Kind)
	require.True(t, ops[2].Result.Found)
}

// babbling answers every call with a value and an error.
type babbling struct{ registry.Handle }

var errBabble = fmt.Errorf("no: %w", registry.ErrUnavailable)

func (babbling) Claim(context.Context, registry.ActorID, registry.NodeRef, registry.ClaimID) (registry.Lease, error) {
	return registry.Lease(lease("n1", 0, 1, 7, 7)), errBabble
}

func (babbling) Lookup(context.Context, registry.ActorID) (registry.Placement, bool, error) {
	return lease("n1", 0, 1, 7, 7), true, errBabble
}

func (babbling) GetNode(context.Context, registry.NodeID) (registry.Node, bool, error) {
	return registry.Node{Ref: registry.NodeRef{ID: "n1", Epoch: 7}, Status: registry.NodeActive, LastSeen: testStart}, true, errBabble
}

func (babbling) ListActors(context.Context, registry.NodeRef, registry.Page) ([]registry.Placement, registry.Cursor, error) {
	return []registry.Placement{lease("n1", 0, 1, 7, 7)}, "more", errBabble
}

// Values beside an error mean nothing: no history has them, or the call would be
// evidence of a version that nobody made. Only a refusal has a detail.
func TestRecorderDropsValuesBesideErrors(t *testing.T) {
	rec := history.NewRecorder(testConfig)
	h := rec.Wrap("n1", babbling{})
	_, _ = h.Claim(t.Context(), actorA, ref("n1"), id(1))
	_, _, _ = h.Lookup(t.Context(), actorA)
	_, _, _ = h.GetNode(t.Context(), "n1")
	_, _, _ = h.ListActors(t.Context(), ref("n1"), registry.Page{})
	got := rec.History()
	require.Len(t, got.Ops, 4)
	for _, o := range got.Ops {
		require.Equal(t, op.Unavailable, o.Result.Outcome)
		require.Equal(t, op.Result{Outcome: op.Unavailable, Reason: "ErrUnavailable", Err: errBabble}, o.Result, o.Call.Kind)
	}
	require.Equal(t, linearizability.OK, linearizability.Check(got, linearizability.Options{}).Verdict)
}
