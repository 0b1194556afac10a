package linearizability

import (
	"slices"
	"testing"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func rapidChooser(t *rapid.T) chooser {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }
}

func drawSimulation(t *rapid.T) simulation {
	return simulation{
		choose:    rapidChooser(t),
		clients:   rapid.IntRange(1, 4).Draw(t, "clients"),
		actors:    rapid.IntRange(1, 2).Draw(t, "actors"),
		steps:     rapid.IntRange(3, 200).Draw(t, "steps"),
		ambiguous: rapid.SampledFrom([]int{0, 0, 20, 8}).Draw(t, "ambiguous"),
		interval:  rapid.Bool().Draw(t, "interval"),
		quiet:     rapid.Bool().Draw(t, "quiet"),
		listings:  rapid.Bool().Draw(t, "listings"),
		shared:    rapid.Bool().Draw(t, "shared"),
	}
}

// A history made of atomic steps of the reference is never convicted, by the
// search with or without hints, by the checks that need none, or as a whole.
func TestRightHistoriesAreOK(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawSimulation(t).run()
		res := Check(h, Options{least: rapid.SampledFrom([]int{1, minSegment}).Draw(t, "least")})
		require.NotEqual(t, Illegal, res.Verdict, "%+v", res.Violations)
		require.Equal(t, OK, res.Verdict, res.Reason)
		res = Check(h, Options{searchOnly: true, NoHints: true})
		require.NotEqual(t, Illegal, res.Verdict, "no hints: %+v", res.Violations)
		if len(h.Ops) < 40 {
			res = Check(h, Options{Whole: true})
			require.NotEqual(t, Illegal, res.Verdict, "whole: %+v", res.Violations)
		}
	})
}

// spoil changes one thing in a history, as a wrong registry might have answered
// or a wrong recorder stamped. What it leaves may still be right.
func spoil(choose chooser, h *history.History) {
	if len(h.Ops) == 0 {
		return
	}
	o := &h.Ops[choose(len(h.Ops))]
	a := &o.Result
	other := &h.Ops[choose(len(h.Ops))]
	switch choose(14) {
	case 0:
		a.Record.Version += registry.Version(choose(3)) - 1
	case 1:
		a.Record.Token += registry.Token(choose(3)) - 1
	case 2:
		a.Record.Expiry = a.Record.Expiry.Add([]time.Duration{-1, 1, testConfig.TTL, -testConfig.TTL}[choose(4)])
	case 3:
		a.Record.Holder = registry.NodeRef{}
	case 4:
		a.Record = other.Result.Record
	case 5:
		o.Result = other.Result
	case 6:
		o.Result = op.Result{Outcome: op.OK}
	case 7:
		why := op.Refusals()[choose(len(op.Refusals()))]
		o.Result = op.Failed(&registry.Refusal{Reason: why.Err(), Placement: a.Record, Node: a.Node, Now: a.Now})
	case 8: // the two stamps of an operation move to an earlier or later place
		o.Invoked, o.Returned, other.Invoked, other.Returned = other.Invoked, other.Returned, o.Invoked, o.Returned
	case 9:
		a.Found = !a.Found
	case 10:
		a.Node.Ref.Epoch++
	case 11:
		a.Node.Status = registry.NodeStatus(1 + choose(3))
	case 12:
		if len(a.Actors) > 0 {
			a.Actors = a.Actors[1:]
		}
		if len(a.Nodes) > 0 {
			a.Nodes = a.Nodes[1:]
		}
	case 13: // an operation that took effect is not in the history
		i := choose(len(h.Ops))
		h.Ops = slices.Delete(slices.Clone(h.Ops), i, i+1)
		for i := range h.Ops {
			h.Ops[i].ID = i
		}
	}
}

// Pruning by versions, and everything else that makes the search fast, leaves
// each verdict as it is without. The checks that need no search convict nothing
// that the search does not, and neither does a partition against the whole.
func TestHintsNeverChangeAVerdict(t *testing.T) {
	var illegal, safetyOnly, all, cuts int
	rapid.Check(t, func(t *rapid.T) {
		s := drawSimulation(t)
		h := s.run()
		for range rapid.IntRange(1, 3).Draw(t, "spoils") {
			spoil(s.choose, &h)
		}
		plain := Check(h, Options{searchOnly: true, NoHints: true})
		hinted := Check(h, Options{searchOnly: true, least: rapid.SampledFrom([]int{1, 2, minSegment}).Draw(t, "least")})
		cuts += hinted.Stats.Segments - hinted.Stats.Partitions
		full := Check(h, Options{})
		all++
		if plain.Verdict == Illegal {
			illegal++
		}
		if plain.Verdict != Unknown && hinted.Verdict != Unknown {
			require.Equal(t, plain.Verdict, hinted.Verdict, "plain %+v\nhinted %+v", plain, hinted)
		}
		for _, v := range full.Violations {
			if !wrongByItself(&h, v) && plain.Verdict != Unknown {
				require.Equal(t, Illegal, plain.Verdict, "only safety convicts: %+v", v)
			} else {
				safetyOnly++
			}
		}
		if len(h.Ops) < 40 && plain.Verdict == Illegal {
			whole := Check(h, Options{searchOnly: true, Whole: true})
			require.NotEqual(t, OK, whole.Verdict)
		}
	})
	t.Logf("%d histories, %d of them wrong, %d contract answers, %d cuts", all, illegal, safetyOnly, cuts)
	require.Greater(t, illegal*4, all, "too few wrong histories to mean anything")
	require.Less(t, illegal, all)
	require.Greater(t, cuts, all, "too few cuts to mean anything")
}

// Short histories of one actor in which every third outcome is unknown: what
// evidence says of them must be true.
func TestEvidenceNeverChangesAVerdict(t *testing.T) {
	decided, made, wrong := 0, 0, 0
	for seed := range uint64(1500) {
		s := simulation{choose: seeded(seed), clients: 2 + int(seed%4), actors: 1, steps: 40 + int(seed%40), ambiguous: 3, quiet: true, shared: true, interval: seed%7 == 0}
		h := s.run()
		require.NotEqual(t, Illegal, Check(h, Options{least: 1}).Verdict, "seed %d", seed)
		if seed%2 == 0 {
			spoil(s.choose, &h)
		}
		plain := Check(h, Options{searchOnly: true, NoHints: true, Timeout: time.Second})
		hinted := Check(h, Options{searchOnly: true, least: 1, Timeout: time.Second})
		if plain.Verdict == Unknown || hinted.Verdict == Unknown {
			continue
		}
		require.Equal(t, plain.Verdict, hinted.Verdict, "seed %d", seed)
		decided++
		if plain.Verdict == Illegal {
			wrong++
		}
		if hinted.Stats.Unresolved < plain.Stats.Unresolved {
			made++
		}
	}
	t.Logf("%d decided, %d wrong, evidence helped in %d", decided, wrong, made)
	require.Greater(t, decided, 1000)
	require.Greater(t, made, decided/4)
	require.Greater(t, wrong, 80)
}

// The same with more overlap and longer histories than rapid draws.
func TestLongHistories(t *testing.T) {
	for seed := range uint64(60) {
		s := simulation{choose: seeded(seed), clients: 2 + int(seed%6), actors: 1 + int(seed%3), steps: 600, listings: seed%4 == 0, quiet: seed%2 == 0, interval: seed%5 == 0}
		if seed%3 == 0 {
			s.ambiguous = 40
		}
		h := s.run()
		res := Check(h, Options{least: 1 + int(seed%2)*minSegment})
		require.NotEqual(t, Illegal, res.Verdict, "seed %d: %+v", seed, res.Violations)
		if s.ambiguous == 0 {
			require.Equal(t, OK, res.Verdict, "seed %d: %s", seed, res.Reason)
		}
		spoil(s.choose, &h)
		plain := Check(h, Options{searchOnly: true, NoHints: true, Timeout: 2 * time.Second})
		hinted := Check(h, Options{searchOnly: true, least: 1 + int(seed%2)*minSegment, Timeout: 2 * time.Second})
		if plain.Verdict != Unknown && hinted.Verdict != Unknown {
			require.Equal(t, plain.Verdict, hinted.Verdict, "seed %d: plain %+v, hinted %+v", seed, plain, hinted)
		}
	}
}
