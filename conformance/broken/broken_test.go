package broken_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
)

var (
	seeds = flag.Int("seeds", 1, "judgements of each registry, one for each seed from 1 on")
	board = flag.String("scoreboard", "", "write the scores to this file, as a table in Markdown")
)

// budget is the number of histories within which a section convicts each
// variant that is expected there. Where histories are not drawn it is what the
// section executes.
var budget = map[string]int{
	"contract":   600,
	"membership": 250,
	"random":     500,
	"fencing":    230,
	"concurrent": 1300,
	"durable":    200,
	"faults":     1000,
	"handles":    1000,
	"contexts":   1000,
	"extremes":   200,
	"purge":      400,
}

// Every variant is named, documented and expected somewhere, in words that the
// suite knows.
func TestCatalogueIsComplete(t *testing.T) {
	all := broken.All()
	assert.GreaterOrEqual(t, len(all), 40)

	sections, rules := map[string]bool{}, map[conformance.RuleID]bool{}
	for _, s := range conformance.Sections() {
		sections[s.Name] = true
	}
	for _, r := range conformance.Rules() {
		rules[r.ID] = true
	}
	names := map[string]bool{}
	for _, v := range all {
		assert.Regexp(t, regexp.MustCompile(`^[FM][1-9][0-9]*$`), v.ID)
		assert.Regexp(t, regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`), v.Slug)
		assert.NotEmpty(t, v.Title, v.ID)
		assert.NotEmpty(t, v.Doc, v.ID)
		assert.True(t, sections[v.Section], "%s: section %q", v.ID, v.Section)
		assert.NotEmpty(t, v.Breaks, v.ID)
		for _, r := range v.Breaks {
			assert.True(t, rules[r], "%s: rule %q", v.ID, r)
		}
		for _, name := range []string{v.ID, v.Slug} {
			assert.False(t, names[name], "%s is there twice", name)
			names[name] = true
			found, ok := broken.Find(name)
			assert.True(t, ok && found.ID == v.ID, name)
		}
		assert.Equal(t, "broken/"+v.ID+"-"+v.Slug, v.Backend().Name())
	}
	_, ok := broken.Find("F10")
	assert.False(t, ok)

	// The contract's failure catalogue; F10 and F13 are mistakes of a client.
	for n := 1; n <= 16; n++ {
		id := fmt.Sprintf("F%d", n)
		assert.Equal(t, n != 10 && n != 13, names[id], id)
	}
}

// The suite convicts every variant with every seed, in the section where it is
// expected, for a rule that it breaks, within the section's budget.
func TestEveryVariantIsConvicted(t *testing.T) {
	var scores []broken.Score
	for _, v := range broken.All() {
		t.Run(v.ID+"-"+v.Slug, func(t *testing.T) {
			if v.Large() && testing.Short() {
				t.Skip("thousands of operations, and as many again to make the history small")
			}
			score, err := v.Score(t.Context(), *seeds)
			require.NoError(t, err)
			scores = append(scores, score)
			require.Equal(t, *seeds, score.Convicted, "convicted by the seeds; the others let it pass")
			assert.Empty(t, score.Misplaced, "rules that were cited; it breaks %v", v.Breaks)
			assert.True(t, score.Killed())
			assert.LessOrEqual(t, score.Max(), budget[v.Section])
			for where := range score.Cases {
				assert.True(t, where == "capabilities" || strings.HasPrefix(where, v.Section+"/"), where)
			}
		})
	}
	if *board != "" {
		f, err := os.Create(*board)
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, broken.WriteMarkdown(f, scores))
	}
}

// The store that the variants share is convicted of nothing, with the same
// seeds in the same sections: what convicts a variant is its mistake.
func TestSoundIsNeverConvicted(t *testing.T) {
	var opts []conformance.Option
	if testing.Short() {
		opts = append(opts, conformance.Histories(20))
	}
	score, err := broken.ScoreSound(t.Context(), *seeds, opts...)
	require.NoError(t, err)
	if score.First != nil {
		t.Error(score.First)
	}
	assert.Zero(t, score.Convicted)
	assert.Empty(t, score.Undecided)
	t.Logf("%d histories", score.Executed)
}

// Nor is the one that those that forget share.
func TestForgettingSoundIsNeverConvicted(t *testing.T) {
	opts := []conformance.Option{conformance.Level(conformance.Quick), conformance.OnlySections("contract", "random", "concurrent", "fencing", "durable", "faults")}
	for _, opts := range [][]conformance.Option{opts, {conformance.OnlySections("purge")}} {
		r, err := conformance.Judge(t.Context(), broken.ForgettingSound(), opts...)
		require.NoError(t, err)
		for _, c := range r.Cases {
			if c.Conviction != nil {
				t.Errorf("%s\n%s", c.ID(), c.Conviction)
			}
			assert.NotEqual(t, conformance.Unknown, c.Verdict, "%s: %s", c.ID(), c.Reason)
			if c.Section == "purge" {
				assert.Equal(t, conformance.Pass, c.Verdict, "%s: %s", c.ID(), c.Reason)
			}
		}
	}
}

// Nothing of the sound store is skipped: it has every power that the suite
// knows, so that a variant's missing conviction is never a missing power.
func TestSoundHasEveryPower(t *testing.T) {
	report, err := conformance.Judge(t.Context(), broken.Sound(), conformance.OnlySections("contract"))
	require.NoError(t, err)
	for _, c := range report.Capabilities {
		if c.Capability == conformance.Purging {
			continue // [broken.ForgettingSound] has it
		}
		assert.True(t, c.Found && c.Problem == "", c.Capability)
	}
	assert.Zero(t, report.Count(conformance.Skipped))
}

func TestMarkdown(t *testing.T) {
	v, _ := broken.Find("F8")
	scores, err := broken.Scoreboard(t.Context(), 3, []broken.Variant{v}, nil)
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, broken.WriteMarkdown(&b, scores))
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 3)
	cells := strings.Split(lines[2], " | ")
	assert.Equal(t, []string{"| F8", v.Title, "3/3"}, cells[:3])
	assert.True(t, slices.ContainsFunc(v.Breaks, func(r conformance.RuleID) bool { return strings.Contains(cells[4], string(r)) }))
}

func ExampleFind() {
	v, _ := broken.Find("no-grace")
	fmt.Println(v.ID, v.Title)
	fmt.Println(v.Backend().Name())
	// Output:
	// F8 an actor is claimed at expiry, without grace
	// broken/F8-no-grace
}

func ExampleScoreboard() {
	v, _ := broken.Find("F8")
	_, err := broken.Scoreboard(context.Background(), 3, []broken.Variant{v}, func(s broken.Score) {
		fmt.Printf("%s: convicted %d/%d, as expected: %t\n", s.ID, s.Convicted, s.Seeds, s.Killed())
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// F8: convicted 3/3, as expected: true
}
