package sound

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry/conformance"
)

// Score is how the suite fared with one right registry over all seeds.
type Score struct {
	Name, Does, Why string
	Seeds           int                     // judgements, one for each seed
	Convicted       int                     // cases that ended in a conviction: none, or the suite is wrong
	Undecided       []string                // cases that were executed and not decided, with the reason
	Histories       int                     // executed in all
	Operations      int                     // made in all
	Troubles        int                     // calls that the registry's own trouble left unanswered
	Duration        time.Duration           // of all judgements
	First           *conformance.Conviction // of the lowest seed
}

// Passed reports whether every case was decided and none convicted.
func (s Score) Passed() bool { return s.Seeds > 0 && s.Convicted == 0 && len(s.Undecided) == 0 }

// long are the sections that execute the same operations again, tens of thousands
// of histories or operations whatever the level: too many for a slow registry.
var long = []string{"edges", "extremes", "schedules"}

// Sections are those in which the scoreboard judges: all but the long ones.
func Sections() []string {
	var names []string
	for _, s := range conformance.Sections() {
		if !slices.Contains(long, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Score has the suite judge the variant once for every seed from 1 to seeds, in
// [Sections] unless the options name others.
func (v Variant) Score(ctx context.Context, seeds int, opts ...conformance.Option) (Score, error) {
	s := Score{Name: v.Name, Does: v.Does, Why: v.Why}
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		all := append([]conformance.Option{conformance.Seeds(seed), conformance.Parallel(1), conformance.OnlySections(Sections()...)}, opts...)
		report, err := conformance.Judge(ctx, v.Backend(), all...)
		if err != nil {
			return s, fmt.Errorf("judging %s with seed %d: %w", v.Backend().Name(), seed, err)
		}
		s.add(report)
	}
	return s, nil
}

func (s *Score) add(report *conformance.Report) {
	s.Seeds++
	s.Duration += report.Duration
	for _, c := range report.Cases {
		s.Histories += c.Histories
		s.Operations += c.Operations
		s.Troubles += c.Troubles
		switch c.Verdict {
		case conformance.Convicted:
			s.Convicted++
			if s.First == nil {
				s.First = c.Conviction
			}
		case conformance.Unknown:
			s.Undecided = append(s.Undecided, c.ID()+": "+c.Reason)
		}
	}
}

// Scoreboard scores each variant and passes the score to done, which may be nil.
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

// WriteMarkdown writes the scores as a table.
func WriteMarkdown(w io.Writer, scores []Score) error {
	rows := []string{
		"| registry | what is unusual | why it is right | convicted | undecided | histories | unanswered calls |",
		"| --- | --- | --- | ---: | ---: | ---: | ---: |",
	}
	for _, s := range scores {
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %d | %d | %d | %d |",
			s.Name, s.Does, s.Why, s.Convicted, len(s.Undecided), s.Histories, s.Troubles))
	}
	_, err := io.WriteString(w, strings.Join(slices.Concat(rows, []string{""}), "\n"))
	return err
}
