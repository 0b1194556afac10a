package linearizability

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
	"github.com/kelpie-registry/registry/op"
)

// streamAll adds a history's operations until the stream takes no more. It returns
// the stamp up to which the verdict was given, and the most that was kept.
func streamAll(h *history.History) (s *Stream, end int64, most int) {
	s = NewStream(h.Config)
	for i := range h.Ops {
		if !s.Add(&h.Ops[i]) {
			return s, h.Ops[i].Invoked, most
		}
		most = max(most, s.kept())
	}
	s.End()
	return s, history.Never, most
}

// kept is how many operations the stream holds.
func (s *Stream) kept() (n int) {
	for _, p := range s.actors {
		n += len(p.window)
	}
	for _, p := range s.nodes {
		n += len(p.own.window) + len(p.standing.window)
	}
	return n
}

// A stream convicts only what a check convicts, by what had been answered until then
// (contract, guarantee 6), and nothing that is right; and it decides most.
func TestStreamAgreesWithCheck(t *testing.T) {
	var right, wrong, missed, open int
	for seed := range uint64(*replayHistories) {
		choose := simulate.Seeded(seed + 2_000_000)
		sim := simulate.Simulation{
			Choose: choose, Clients: 1 + choose(6), Actors: 1 + choose(3), Steps: 10 + choose(150), Ambiguous: []int{0, 0, 20, 6}[choose(4)],
			Interval: choose(4) == 0, Quiet: choose(2) == 0, Listings: choose(4) == 0, Shared: choose(2) == 0,
		}
		h := sim.History()
		for range choose(3) {
			simulate.Spoil(choose, &h)
		}
		slices.SortStableFunc(h.Ops, func(a, b history.Op) int { return int(a.Invoked - b.Invoked) })
		h = h.With(h.Ops)
		s, end, _ := streamAll(&h)
		evidence, got := s.Result()
		want := Check(h, Options{})
		switch {
		case got.Verdict == Illegal:
			// An answer that is wrong by itself is so before it has returned.
			end = max(end-1, evidence.Ops[got.Violations[0].Op].Returned)
			// Of what was under way a stream knows that it had no effect, where it had none.
			part := h.With(slices.DeleteFunc(slices.Clone(h.Ops), func(o history.Op) bool { return o.Returned > end && !(&event{op: &o}).writes() }))
			require.Equal(t, Illegal, Check(upTo(part, end), Options{}).Verdict, "seed %d: %+v", seed, got.Violations)
			wrong++
		case got.Verdict == Unknown:
			open++
		case want.Verdict == Illegal:
			missed++ // listings that are not complete
		default:
			right++
		}
	}
	t.Logf("%d right, %d wrong, %d not decided, %d wrong by more than a stream looks at", right, wrong, open, missed)
	assert.Greater(t, right*5, wrong)
	assert.Greater(t, wrong*5, right)
	assert.Less(t, open*10, right+wrong)
	assert.Less(t, missed*20, wrong)
}

// What a stream keeps does not grow with the history, whether its operations
// overlap, answers are lost or actors are many; and one wrong answer after many right
// ones is convicted by the operation that gave it.
func TestStreamForgets(t *testing.T) {
	for _, tc := range []struct {
		actors  int
		unknown float64
	}{{1, 0}, {10, 0}, {1, 0.01}, {10, 0.01}, {100, 0}} {
		t.Run(fmt.Sprintf("actors=%d unknown=%v", tc.actors, tc.unknown), func(t *testing.T) {
			h := benchHistory(t, 20_000, tc.actors, tc.unknown)
			s, _, most := streamAll(&h)
			_, res := s.Result()
			require.Equal(t, OK, res.Verdict, "%s %+v", res.Reason, res.Violations)
			t.Logf("kept at most %d", most)
			require.Less(t, most, 400+10*tc.actors)

			i := len(h.Ops) - 100
			for h.Ops[i].Call.Kind != op.Renew || h.Ops[i].Result.Outcome != op.OK {
				i--
			}
			h.Ops[i].Result.Record.Token++
			s, end, _ := streamAll(&h)
			_, res = s.Result()
			require.Equal(t, Illegal, res.Verdict)
			require.GreaterOrEqual(t, end, h.Ops[i].Invoked)
			require.LessOrEqual(t, end, h.Ops[i].Returned+1)
		})
	}
}
