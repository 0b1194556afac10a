package linearizability

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
)

var replayHistories = flag.Int("replay.histories", 3000, "random histories on which a check with a replay is compared with one without")

// What a replay explains the search explains too, and in it no rule is broken
// (contract, guarantee 6): with and without a replay a check says the same, down to
// the explanation, of histories that are right and of such that are not.
func TestReplayChangesNothing(t *testing.T) {
	var right, wrong, plainly, parts, replayed int
	for seed := range uint64(*replayHistories) {
		choose := simulate.Seeded(seed + 1_000_000)
		s := simulate.Simulation{
			Choose: choose, Clients: 1 + choose(6), Actors: 1 + choose(3), Steps: 10 + choose(150), Ambiguous: []int{0, 0, 20, 6}[choose(4)],
			Interval: choose(4) == 0, Quiet: choose(2) == 0, Listings: choose(4) == 0, Shared: choose(2) == 0,
		}
		h := s.History()
		for range choose(3) {
			simulate.Spoil(choose, &h)
		}
		got, want := Check(h, Options{}), check(h, Options{}, plan{least: minSegment})
		if want.Verdict != Unknown {
			require.Equal(t, want.Verdict, got.Verdict, "seed %d: %s %+v", seed, got.Reason, want.Violations)
			require.Equal(t, want.Violations, got.Violations, "seed %d", seed)
		}
		parts, replayed = parts+got.Stats.Partitions, replayed+got.Stats.Replayed
		if got.Verdict == OK {
			right++
		} else {
			wrong++
		}
		if seed%4 > 0 {
			continue
		}
		if plain := Check(h, Options{Search: true, NoHints: true, Timeout: time.Second}); plain.Verdict == Illegal {
			require.NotEqual(t, OK, got.Verdict, "seed %d", seed)
			plainly++
		}
	}
	t.Logf("%d right, %d wrong, %d of a quarter by the plain search; %d of %d partitions replayed", right, wrong, plainly, replayed, parts)
	require.Greater(t, wrong*5, right)
	require.Greater(t, right*5, wrong)
	require.Positive(t, plainly)
	require.Greater(t, replayed*10, parts*8)
}

// A lost answer can have had an effect that only another call, under way at the
// time, made possible: a claim after a release. A replay finds such orders, so that
// a long history of one actor with lost answers needs no search.
func TestReplayOfLostAnswers(t *testing.T) {
	for _, lost := range []float64{0.01, 0.2} {
		h := benchHistory(t, 80_000, 1, lost)
		res := Check(h, Options{Timeout: time.Minute})
		require.Equal(t, OK, res.Verdict, res.Reason)
		require.Equal(t, res.Stats.Partitions, res.Stats.Replayed)
	}
}
