package broken_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
)

// A mistake that only an interleaving shows (contract, section 3: one atomic
// step) is found in the same schedule every time, and its seed leads there at
// once. The concurrent section needs luck for that.
func TestSchedulesConvictDeterministically(t *testing.T) {
	if raceEnabled {
		t.Skip("make unit runs the schedules without the race detector")
	}
	for _, id := range []string{"F1", "F2", "F3", "M18"} {
		t.Run(id, func(t *testing.T) {
			v, ok := broken.Find(id)
			require.True(t, ok)
			first := schedules(t, v.Backend())
			require.NotNil(t, first)
			assert.Contains(t, v.Breaks, first.conviction.Rule)
			assert.Contains(t, first.conviction.History, "schedule: ")
			t.Logf("%s, schedule %d of the case\n%v", first.name, first.conviction.HistoryNo, first.conviction)

			only := conformance.OnlyCases(regexp.MustCompile("^schedules/" + first.name + "$"))
			again := schedules(t, v.Backend(), only)
			assert.Equal(t, first, again)

			replayed := schedules(t, v.Backend(), only, conformance.Seeds(first.conviction.Seed))
			require.NotNil(t, replayed)
			assert.Equal(t, 1, replayed.conviction.HistoryNo, "the seed's schedule is the first")
			assert.Equal(t, first.conviction.Seed, replayed.conviction.Seed)
			assert.Equal(t, first.conviction.History, replayed.conviction.History)
		})
	}
}

type found struct {
	name       string
	conviction *conformance.Conviction
}

// schedules returns the first conviction of the section.
func schedules(t *testing.T, b conformance.Backend, opts ...conformance.Option) *found {
	t.Helper()
	opts = append(opts, conformance.OnlySections("schedules"), conformance.Parallel(1), conformance.StopAtFirst())
	r, err := conformance.Judge(t.Context(), b, opts...)
	require.NoError(t, err)
	for _, c := range r.Cases {
		if c.Conviction != nil {
			return &found{c.Name, c.Conviction}
		}
	}
	return nil
}

// wantSchedules are the numbers of schedules of the sound store. Eight of the
// ten contenders run in three steps (to "asked", to "done", to the return), two, that
// read, in two; a tick is one step. Two operations of a and b steps have
// (a+b)!/(a!b!) orders: 20, 10 or 6. A tick may come before, between or after
// a+b steps.
var wantSchedules = map[string]int{
	"pairs-free":   36*20 + 16*10 + 3*6,
	"pairs-tick":   36*20*7 + 16*10*6 + 3*6*5,
	"triples-tick": 2 * orders([]int{3, 3, 3, 1}, -1, 2),
}

// orders counts the orders of the steps that are left, with a contender that is
// running and a number of times that it may be interrupted.
func orders(left []int, running, interruptions int) (n int) {
	done := true
	for i := range left {
		if left[i] == 0 {
			continue
		}
		done = false
		may := interruptions
		if running >= 0 && i != running && left[running] > 0 {
			may--
		}
		if may >= 0 {
			left[i]--
			n += orders(left, i, may)
			left[i]++
		}
	}
	if done {
		return 1
	}
	return n
}

// The sound store passes all schedules, and none of its operations is missing there.
func TestSoundUnderAllSchedules(t *testing.T) {
	if raceEnabled {
		t.Skip("make unit runs the schedules without the race detector")
	}
	r, err := conformance.Judge(t.Context(), broken.Sound(), conformance.OnlySections("schedules"))
	require.NoError(t, err)
	total, points := 0, map[string]int{}
	for _, c := range r.Cases {
		require.Equal(t, conformance.Pass, c.Verdict, fmt.Sprint(c.ID(), " ", c.Reason, c.Conviction))
		require.Equal(t, c.Histories, c.Schedules.Schedules)
		t.Logf("%s: %d situations, %d schedules in %v", c.ID(), c.Schedules.Situations, c.Schedules.Schedules, c.Duration)
		if want, ok := wantSchedules[c.Name]; ok {
			assert.Equal(t, want, c.Schedules.Schedules, c.ID())
		}
		total += c.Schedules.Schedules
		for p, n := range c.Schedules.Points {
			points[p] += n
		}
	}
	for _, op := range []string{"Claim", "Renew", "Release", "Transfer", "Lookup", "ListActors", "MarkFailed", "RegisterNode"} {
		assert.Positive(t, points[op+": asked"], op)
	}
	t.Logf("%d schedules", total)
}
