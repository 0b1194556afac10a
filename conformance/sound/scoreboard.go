package sound

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/scores"
)

// Score is how the suite fared with one right registry over all seeds. A case that
// convicted it shows a mistake of the suite.
type Score struct {
	Variant
	scores.Tally
}

// Passed reports whether every case was decided and none convicted.
func (s *Score) Passed() bool { return s.Seeds > 0 && s.Convicted == 0 && len(s.Undecided) == 0 }

// long are the sections that execute tens of thousands of operations, whatever the
// level. One registry of each kind goes through them, and some through what they are about.
var (
	long    = []string{"edges", "extremes", "schedules"}
	also    = map[string][]string{"names-by-digest": {"extremes"}}
	through = []string{"plain", "optimistic", "reordering", "polling-watch", "batch-shuffled", "empty-pages", "remembers-the-last-holder", "signed-numbers"}
)

// Long returns the names of the registries that go through the long sections, the
// plain one first.
func Long() []string { return slices.Clone(through) }

// Sections are those in which the scoreboard judges the variant.
func (v Variant) Sections() []string {
	var names []string
	for _, s := range conformance.Sections() {
		if slices.Contains(through, v.Name) || !slices.Contains(long, s.Name) || slices.Contains(also[v.Name], s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Score has the suite judge the variant once for every seed from 1 to seeds, in
// its [Variant.Sections] unless the options name others.
func (v Variant) Score(ctx context.Context, seeds int, opts ...conformance.Option) (Score, error) {
	opts = append([]conformance.Option{conformance.OnlySections(v.Sections()...)}, opts...)
	tally, err := scores.Judge(ctx, v.Backend(), seeds, opts...)
	return Score{v, tally}, err
}

// Scoreboard scores each variant and passes the score to done, which may be nil.
// It returns the scores so far and the context's error when the context ends.
func Scoreboard(ctx context.Context, seeds int, variants []Variant, done func(Score), opts ...conformance.Option) ([]Score, error) {
	return scores.Each(variants, func(v Variant) (Score, error) { return v.Score(ctx, seeds, opts...) }, done)
}

// WriteMarkdown writes the scores as a table.
func WriteMarkdown(w io.Writer, all []Score) error {
	var rows [][]string
	for _, s := range all {
		rows = append(rows, []string{s.Name, s.Does, s.Why, fmt.Sprint(len(s.Cases)), fmt.Sprint(len(s.Undecided)), fmt.Sprint(s.Executed), fmt.Sprint(s.Troubles)})
	}
	_, err := io.WriteString(w, scores.Table([]string{"registry", "what is unusual", "why it is right", "convicted:", "undecided:", "histories:", "unanswered calls:"}, rows))
	return err
}
