package sound_test

import (
	"context"
	"flag"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/sound"
)

var (
	seeds = flag.Int("seeds", 1, "judgements of each registry, one for each seed from 1 on")
	turn  = flag.Int("turn", 0, "with -short: which of the registries besides the plain one goes through the long sections")
)

// Every schedule of a store in trouble is judged, and executed again until one is
// not disturbed.
func TestSchedulesOfTheTroubled(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand schedules, each several times")
	}
	for _, name := range []string{"trouble-10", "remembers-the-last-holder", "optimistic"} {
		v, ok := sound.Find(name)
		require.True(t, ok)
		score, err := v.Score(t.Context(), *seeds, conformance.OnlySections("schedules"), conformance.OnlyCases(regexp.MustCompile("/pairs-free$")))
		require.NoError(t, err)
		require.Nil(t, score.First, name)
		require.Empty(t, score.Undecided, name)
		require.Positive(t, score.Executed, name)
	}
}

// Every variant is named, described, and says what allows it.
func TestCatalogueIsComplete(t *testing.T) {
	all := sound.All()
	assert.GreaterOrEqual(t, len(all), 40)
	names := map[string]bool{}
	for _, v := range all {
		assert.Regexp(t, regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`), v.Name)
		assert.NotEmpty(t, v.Does, v.Name)
		assert.NotEmpty(t, v.Why, v.Name)
		assert.False(t, names[v.Name], "%s is there twice", v.Name)
		names[v.Name] = true
		found, ok := sound.Find(v.Name)
		assert.True(t, ok && found.Does == v.Does)
	}
	_, ok := sound.Find("wrong")
	assert.False(t, ok)
}

// inShort are the options with which a registry is judged in a short test: one history
// of each case, and the long sections for the plain registry and one other, whose turn
// it is.
func inShort(v sound.Variant) []conformance.Option {
	opts := []conformance.Option{conformance.Histories(1)}
	long := sound.Long()
	if v.Name == long[0] || v.Name == long[1+*turn%(len(long)-1)] {
		return opts
	}
	var sections []string
	for _, s := range v.Sections() {
		if !slices.Contains([]string{"edges", "extremes", "schedules"}, s) {
			sections = append(sections, s)
		}
	}
	return append(opts, conformance.OnlySections(sections...))
}

// The suite convicts no right registry (its promise: no false convictions), and
// decides every case, with every seed.
func TestNoneIsConvicted(t *testing.T) {
	for _, v := range sound.All() {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel() // some do little but wait
			opts := []conformance.Option{conformance.Level(conformance.Quick)}
			if testing.Short() {
				opts = append(opts, inShort(v)...)
			}
			score, err := v.Score(context.Background(), *seeds, opts...)
			require.NoError(t, err)
			if score.First != nil {
				t.Error(score.First)
			}
			assert.Empty(t, score.Undecided)
			t.Logf("%d histories, %d operations, %d calls that trouble left unanswered", score.Executed, score.Operations, score.Troubles)
		})
	}
}

// Section edges decides every case of a store of which one of ten calls fails: a call
// that was lost is made again, and a walk that it has led astray.
func TestEdgesInTrouble(t *testing.T) {
	v, ok := sound.Find("trouble-10")
	require.True(t, ok)
	r, err := conformance.Judge(context.Background(), v.Backend(), conformance.OnlySections("edges"))
	require.NoError(t, err)
	for _, c := range r.Cases {
		if c.Section == "edges" {
			assert.Equal(t, conformance.Pass, c.Verdict, "%s: %s %v", c.ID(), c.Reason, c.Conviction)
			assert.Positive(t, c.Troubles)
		}
	}
	assert.Equal(t, 87_700, r.Edges().Edges)
}
