// Package scores counts how the suite fares with registries of which it is
// known whether they are right: packages broken and sound have one each.
package scores

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry/conformance"
)

// Tally is what the judgements of one registry came to, one for each seed.
type Tally struct {
	Seeds      int                        // judgements
	Convicted  int                        // judgements that ended in a conviction
	Undecided  []string                   // cases that were executed and not decided, with the reason
	Rules      map[conformance.RuleID]int // convictions that cited the rule
	Cases      map[string]int             // convictions that came from the case; "capabilities" for a declared power that is not there
	Histories  []int                      // until the first conviction of each judgement, that history included, in ascending order
	Executed   int                        // histories in all
	Operations int                        // made in all
	Troubles   int                        // calls that the registry's own trouble left unanswered
	Duration   time.Duration              // of all judgements
	First      *conformance.Conviction    // of the lowest seed that convicted
}

// Judge has the suite judge b once for every seed from 1 to seeds, one case after
// the other. It returns the tally so far and the context's error when the context
// ends. Options are those of the suite but for the seeds and the order.
func Judge(ctx context.Context, b conformance.Backend, seeds int, opts ...conformance.Option) (Tally, error) {
	t := Tally{Rules: map[conformance.RuleID]int{}, Cases: map[string]int{}}
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		report, err := conformance.Judge(ctx, b, append(slices.Clone(opts), conformance.Seeds(seed), conformance.Parallel(1))...)
		if err != nil {
			return t, fmt.Errorf("judging %s with seed %d: %w", b.Name(), seed, err)
		}
		t.add(report)
	}
	slices.Sort(t.Histories)
	return t, nil
}

// add counts one judgement.
func (t *Tally) add(report *conformance.Report) {
	t.Seeds++
	t.Duration += report.Duration
	before, convicted := 0, t.Convicted
	convict := func(where string, rule conformance.RuleID, histories int) {
		t.Cases[where]++
		t.Rules[rule]++
		if t.Convicted == convicted {
			t.Convicted++
			t.Histories = append(t.Histories, histories)
		}
	}
	for _, c := range report.Cases {
		switch c.Verdict {
		case conformance.Convicted:
			convict(c.ID(), c.Conviction.Rule, before+c.Conviction.HistoryNo)
			if t.First == nil {
				t.First = c.Conviction
			}
		case conformance.Unknown:
			t.Undecided = append(t.Undecided, c.ID()+": "+c.Reason)
		}
		before += c.Histories
		t.Operations += c.Operations
		t.Troubles += c.Troubles
	}
	t.Executed += before
	contradicted := func(c conformance.CapabilityResult) bool { return c.Problem != "" }
	if t.Convicted == convicted && slices.ContainsFunc(report.Capabilities, contradicted) {
		convict("capabilities", conformance.Declared, 0) // seen before the first history
	}
}

// Median returns the median of the histories until conviction, 0 when there was none.
func (t *Tally) Median() int {
	if len(t.Histories) == 0 {
		return 0
	}
	return t.Histories[len(t.Histories)/2]
}

// Max returns the most histories until conviction, 0 when there was none.
func (t *Tally) Max() int {
	if len(t.Histories) == 0 {
		return 0
	}
	return t.Histories[len(t.Histories)-1]
}

// PerJudgement returns the mean duration of a judgement.
func (t *Tally) PerJudgement() time.Duration {
	return (t.Duration / time.Duration(max(1, t.Seeds))).Round(100 * time.Microsecond)
}

// MostFirst names what was counted, the most frequent first.
func MostFirst[K cmp.Ordered](counts map[K]int) string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var names []string
	for _, k := range keys {
		name := fmt.Sprint(k)
		if len(keys) > 1 {
			name += fmt.Sprintf(" (%d)", counts[k])
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// Each scores the variants one after the other and passes each score to done,
// which may be nil. It returns the scores so far and the first error.
func Each[V, S any](variants []V, score func(V) (S, error), done func(S)) ([]S, error) {
	var scores []S
	for _, v := range variants {
		s, err := score(v)
		if err != nil {
			return scores, err
		}
		scores = append(scores, s)
		if done != nil {
			done(s)
		}
	}
	return scores, nil
}

// Table writes rows as a table in Markdown. A heading that ends with ":" is of
// numbers, which stand on the right.
func Table(headings []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", "\\|")
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	rule := make([]string, len(headings))
	heads := slices.Clone(headings)
	for i, h := range headings {
		rule[i] = "---"
		if name, number := strings.CutSuffix(h, ":"); number {
			heads[i], rule[i] = name, "---:"
		}
	}
	line(heads)
	line(rule)
	for _, r := range rows {
		line(r)
	}
	return b.String()
}
