package broken

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/scores"
)

// Score is how the suite fared with one registry over all seeds.
type Score struct {
	Variant // the zero value with the ID "sound" for the store that all variants share
	scores.Tally
	Misplaced []conformance.RuleID // cited, and not broken by the variant
}

// Killed reports whether every judgement convicted, for a rule that the variant breaks.
func (s *Score) Killed() bool {
	return s.Seeds > 0 && s.Convicted == s.Seeds && len(s.Misplaced) == 0
}

// AsExpected reports whether a wrong registry was convicted with every seed, and
// the sound one with none.
func (s *Score) AsExpected() bool {
	if s.Section == "" {
		return s.Convicted == 0 && len(s.Undecided) == 0
	}
	return s.Killed()
}

// Scoreboard has the suite judge each variant once for every seed from 1 to
// seeds, in the section or the case that is expected to convict it, and passes each
// score to done as soon as it is known; done may be nil. The cases of the section
// run one after the other and end at the first conviction, so that histories are
// counted from the first case of the section on. Options are those of the
// suite; the sections, the seeds and the order are set here.
//
// It returns the scores so far and the context's error when the context ends.
func Scoreboard(ctx context.Context, seeds int, variants []Variant, done func(Score), opts ...conformance.Option) ([]Score, error) {
	return scores.Each(variants, func(v Variant) (Score, error) { return v.Score(ctx, seeds, opts...) }, done)
}

// Score is [Scoreboard] for one variant.
func (v Variant) Score(ctx context.Context, seeds int, opts ...conformance.Option) (Score, error) {
	opts = append(slices.Clone(opts), conformance.OnlySections(v.Section), conformance.StopAtFirst())
	if v.Case != "" {
		opts = append(opts, conformance.OnlyCases(regexp.MustCompile("^"+v.Section+"/"+v.Case+"$")))
	}
	if v.Level != "" {
		opts = append(opts, conformance.Level(v.Level))
	}
	if slices.ContainsFunc(v.Breaks, func(r conformance.RuleID) bool {
		return r == conformance.CallsReturn || r == conformance.WatchWakes || r == conformance.CloseFrees
	}) {
		// It hangs, does not wake or leaves something behind, and nothing is to be gained from waiting long to
		// see it; but longer than a busy machine keeps a call waiting.
		opts = append(opts, conformance.CallTimeout(500*time.Millisecond))
	}
	tally, err := scores.Judge(ctx, v.Backend(), seeds, opts...)
	s := Score{Variant: v, Tally: tally}
	for rule := range tally.Rules {
		if !slices.Contains(v.Breaks, rule) {
			s.Misplaced = append(s.Misplaced, rule)
		}
	}
	slices.Sort(s.Misplaced)
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
	tally, err := scores.Judge(ctx, Sound(), seeds, append(slices.Clone(opts), conformance.OnlySections(sections...))...)
	return Score{Variant: Variant{ID: "sound", Slug: "sound", Title: "none: the store that all variants share"}, Tally: tally}, err
}

// WriteMarkdown writes the scores as a table.
func WriteMarkdown(w io.Writer, all []Score) error {
	var rows [][]string
	for _, s := range all {
		rows = append(rows, []string{s.ID, s.Title, fmt.Sprintf("%d/%d", s.Convicted, s.Seeds),
			scores.MostFirst(s.Cases), scores.MostFirst(s.Rules), fmt.Sprint(s.Median()), fmt.Sprint(s.Max()), fmt.Sprint(s.PerJudgement())})
	}
	_, err := io.WriteString(w, scores.Table([]string{"id", "mistake", "convicted:", "by", "rule", "histories, median:", "max:", "time per judgement:"}, rows))
	return err
}
