package linearizability

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
)

func rapidChooser(t *rapid.T) simulate.Chooser {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }
}

func drawSimulation(t *rapid.T) simulate.Simulation { return simulate.Drawn(rapidChooser(t)) }

// A history made of atomic steps of the reference is never convicted, by the
// search with or without hints, by the checks that need none, or as a whole.
func TestRightHistoriesAreOK(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawSimulation(t).History()
		res := way{least: rapid.SampledFrom([]int{1, minSegment}).Draw(t, "least")}.check(h)
		require.NotEqual(t, Illegal, res.Verdict, "%+v", res.Violations)
		require.Equal(t, OK, res.Verdict, res.Reason)
		res = Check(h, Options{Search: true, NoHints: true})
		require.NotEqual(t, Illegal, res.Verdict, "no hints: %+v", res.Violations)
		if len(h.Ops) < 40 {
			res = Check(h, Options{Whole: true})
			require.NotEqual(t, Illegal, res.Verdict, "whole: %+v", res.Violations)
		}
	})
}

// way is a way to check a history: with options, and in segments of least events or
// more, which every history is cut into and no replay passes over; 0: as Check does.
type way struct {
	Options
	least int
}

func (w way) check(h history.History) Result {
	p := w.plan(h.Dialect)
	if w.least > 0 {
		p.replays, p.least = false, min(p.least, 1)*w.least
	}
	return check(h, w.Options, p)
}

// Pruning by versions, and everything else that makes the search fast, leaves
// each verdict as it is without. The checks that need no search convict nothing
// that the search does not, and neither does a partition against the whole.
func TestHintsNeverChangeAVerdict(t *testing.T) {
	var illegal, safetyOnly, all, cuts int
	rapid.Check(t, func(t *rapid.T) {
		s := drawSimulation(t)
		h := s.History()
		for range rapid.IntRange(1, 3).Draw(t, "spoils") {
			simulate.Spoil(s.Choose, &h)
		}
		plain := Check(h, Options{Search: true, NoHints: true})
		hinted := way{Options{Search: true}, rapid.SampledFrom([]int{1, 2, minSegment}).Draw(t, "least")}.check(h)
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
			whole := Check(h, Options{Search: true, Whole: true})
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
		s := simulate.Simulation{Choose: simulate.Seeded(seed), Clients: 2 + int(seed%4), Actors: 1, Steps: 40 + int(seed%40), Ambiguous: 3, Quiet: true, Shared: true, Interval: seed%7 == 0}
		h := s.History()
		require.NotEqual(t, Illegal, way{least: 1}.check(h).Verdict, "seed %d", seed)
		if seed%2 == 0 {
			simulate.Spoil(s.Choose, &h)
		}
		plain := Check(h, Options{Search: true, NoHints: true, Timeout: time.Second})
		hinted := way{Options{Search: true, Timeout: time.Second}, 1}.check(h)
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
		s := simulate.Simulation{Choose: simulate.Seeded(seed), Clients: 2 + int(seed%6), Actors: 1 + int(seed%3), Steps: 600, Listings: seed%4 == 0, Quiet: seed%2 == 0, Interval: seed%5 == 0}
		if seed%3 == 0 {
			s.Ambiguous = 40
		}
		h := s.History()
		res := way{least: 1 + int(seed%2)*minSegment}.check(h)
		require.NotEqual(t, Illegal, res.Verdict, "seed %d: %+v", seed, res.Violations)
		if s.Ambiguous == 0 {
			require.Equal(t, OK, res.Verdict, "seed %d: %s", seed, res.Reason)
		}
		simulate.Spoil(s.Choose, &h)
		plain := Check(h, Options{Search: true, NoHints: true, Timeout: 2 * time.Second})
		hinted := way{Options{Search: true, Timeout: 2 * time.Second}, 1 + int(seed%2)*minSegment}.check(h)
		if plain.Verdict != Unknown && hinted.Verdict != Unknown {
			require.Equal(t, plain.Verdict, hinted.Verdict, "seed %d: plain %+v, hinted %+v", seed, plain, hinted)
		}
	}
}
