package broken

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry/conformance"
)

// Score is how the suite fared with one registry over all seeds.
type Score struct {
	ID, Slug, Title string
	Section         string                     // the one that is expected to convict it; "" for the sound registry, which meets all of them
	Seeds           int                        // judgements, one for each seed
	Convicted       int                        // judgements that ended in a conviction
	Undecided       int                        // judgements with a case that was executed and not decided
	Rules           map[conformance.RuleID]int // convictions that cited the rule
	Cases           map[string]int             // convictions that came from the case
	Misplaced       map[conformance.RuleID]int // convictions that cited a rule which the variant does not break
	Histories       []int                      // until each conviction, that history included, in ascending order
	Executed        int                        // histories executed in all
	Duration        time.Duration              // of all judgements
	First           *conformance.Conviction    // of the lowest seed that convicted
}

// Killed reports whether every judgement convicted, for a rule that the variant breaks.
func (s Score) Killed() bool {
	return s.Seeds > 0 && s.Convicted == s.Seeds && len(s.Misplaced) == 0
}

// Median returns the median of the histories until conviction, 0 when there was none.
func (s Score) Median() int {
	if len(s.Histories) == 0 {
		return 0
	}
	return s.Histories[len(s.Histories)/2]
}

// Max returns the most histories until conviction, 0 when there was none.
func (s Score) Max() int {
	if len(s.Histories) == 0 {
		return 0
	}
	return s.Histories[len(s.Histories)-1]
}

// Scoreboard has the suite judge each variant once for every seed from 1 to
// seeds, in the section that is expected to convict it, and passes each score
// to done as soon as it is known; done may be nil. The cases of the section run
// one after the other and end at the first conviction, so that histories are
// counted from the first case of the section on. Options are those of the
// suite; the sections, the seeds and the order are set here.
//
// It returns the scores so far and the context's error when the context ends.
func Scoreboard(ctx context.Context, seeds int, variants []Variant, done func(Score), opts ...conformance.Option) ([]Score, error) {
	var scores []Score
	for _, v := range variants {
		s, err := v.Score(ctx, seeds, opts...)
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

// Score is [Scoreboard] for one variant.
func (v Variant) Score(ctx context.Context, seeds int, opts ...conformance.Option) (Score, error) {
	s := Score{ID: v.ID, Slug: v.Slug, Title: v.Title, Section: v.Section}
	opts = append(slices.Clone(opts), conformance.OnlySections(v.Section))
	if slices.Contains(v.Breaks, conformance.CallsReturn) || slices.Contains(v.Breaks, conformance.WatchWakes) {
		// It hangs or does not wake, and nothing is to be gained from waiting long to
		// see it; but longer than a busy machine keeps a call waiting.
		opts = append(opts, conformance.CallTimeout(500*time.Millisecond))
	}
	err := s.judge(ctx, v.Backend(), seeds, v.Breaks, opts)
	return s, err
}

// ScoreSound has the suite judge the sound registry in every section in which a
// variant is expected to be convicted, once for every seed from 1 to seeds.
// Nothing may be convicted, or the convictions of the variants prove nothing.
func ScoreSound(ctx context.Context, seeds int, opts ...conformance.Option) (Score, error) {
	var sections []string
	for _, v := range All() {
		if !slices.Contains(sections, v.Section) {
			sections = append(sections, v.Section)
		}
	}
	s := Score{ID: "sound", Slug: "sound", Title: "none: the store that all variants share"}
	err := s.judge(ctx, Sound(), seeds, nil, append(slices.Clone(opts), conformance.OnlySections(sections...)))
	return s, err
}

func (s *Score) judge(ctx context.Context, b conformance.Backend, seeds int, breaks []conformance.RuleID, opts []conformance.Option) error {
	s.Rules, s.Cases, s.Misplaced = map[conformance.RuleID]int{}, map[string]int{}, map[conformance.RuleID]int{}
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		one := append(slices.Clone(opts), conformance.Seeds(seed), conformance.Parallel(1), conformance.StopAtFirst())
		report, err := conformance.Judge(ctx, b, one...)
		if err != nil {
			return fmt.Errorf("judging %s with seed %d: %w", b.Name(), seed, err)
		}
		s.add(report, breaks)
	}
	slices.Sort(s.Histories)
	return nil
}

// add counts one judgement.
func (s *Score) add(report *conformance.Report, breaks []conformance.RuleID) {
	s.Seeds++
	s.Duration += report.Duration
	if report.Count(conformance.Unknown) > 0 {
		s.Undecided++
	}
	before, convicted := 0, false
	for _, c := range report.Cases {
		if c.Verdict == conformance.Convicted {
			convicted = true
			s.convict(c.ID(), c.Conviction.Rule, before+c.Conviction.HistoryNo, breaks)
			if s.First == nil {
				s.First = c.Conviction
			}
		}
		before += c.Histories
	}
	s.Executed += before
	contradicted := func(c conformance.CapabilityResult) bool { return c.Problem != "" }
	if !convicted && slices.ContainsFunc(report.Capabilities, contradicted) {
		s.convict("capabilities", conformance.Declared, 0, breaks) // seen before the first history
	}
}

func (s *Score) convict(where string, rule conformance.RuleID, histories int, breaks []conformance.RuleID) {
	s.Convicted++
	s.Cases[where]++
	s.Rules[rule]++
	s.Histories = append(s.Histories, histories)
	if !slices.Contains(breaks, rule) {
		s.Misplaced[rule]++
	}
}

// WriteMarkdown writes the scores as a table.
func WriteMarkdown(w io.Writer, scores []Score) error {
	rows := []string{
		"| id | mistake | convicted | by | rule | histories, median | max | time per judgement |",
		"| --- | --- | ---: | --- | --- | ---: | ---: | ---: |",
	}
	for _, s := range scores {
		rows = append(rows, fmt.Sprintf("| %s | %s | %d/%d | %s | %s | %d | %d | %v |",
			s.ID, strings.ReplaceAll(s.Title, "|", "\\|"), s.Convicted, s.Seeds, mostFirst(s.Cases), mostFirst(s.Rules),
			s.Median(), s.Max(), s.perJudgement()))
	}
	_, err := io.WriteString(w, strings.Join(rows, "\n")+"\n")
	return err
}

func (s Score) perJudgement() time.Duration {
	if s.Seeds == 0 {
		return 0
	}
	return (s.Duration / time.Duration(s.Seeds)).Round(100 * time.Microsecond)
}

// mostFirst names what was counted, the most frequent first.
func mostFirst[K cmp.Ordered](counts map[K]int) string {
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
