package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
)

func newMutants() *cobra.Command {
	var seeds int
	var report, show, level string
	var right bool
	cmd := &cobra.Command{
		Use:   "mutants [ID...]",
		Short: "Judge the broken registries: every one must be convicted",
		Long: `Mutants has the suite judge each deliberately broken registry with many seeds,
and the sound store that they share. It prints who was convicted, by which case
and rule, and after how many histories. Exit code 1 when a broken registry was
not convicted with every seed, or for a rule that it does not break, or when the
sound one was convicted.

With --sound it judges the other side: registries that are right and unusual,
of which none may be convicted, and every case must be decided.`,
		Example: `  conform mutants
  conform mutants F8 --show F8
  conform mutants --seeds 100 --report report
  conform mutants --sound --seeds 5`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if seeds < 1 {
				return usagef("--seeds is %d, want 1 or more", seeds)
			}
			if right {
				return judgeSound(cmd, ids, seeds, report, conformance.Level(conformance.Effort(level)))
			}
			variants, err := variantsNamed(ids)
			if err != nil {
				return err
			}
			scores, err := scoreAll(cmd, seeds, variants, conformance.Level(conformance.Effort(level)))
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			failed := printScores(out, scores, show)
			if report != "" {
				if err := writeScores(report, scores); err != nil {
					return err
				}
				fmt.Fprintf(out, "scoreboard: %s\n", filepath.Join(report, scoreboardFile))
			}
			if failed {
				return errConvicted
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&seeds, "seeds", 1, "judge each registry with the seeds 1 to this")
	levelFlag(fl, &level)
	fl.BoolVar(&right, "sound", false, "judge the right but unusual registries instead")
	fl.StringVar(&report, "report", "", "write the scoreboard and every conviction's text to this directory")
	fl.StringVar(&show, "show", "F1", "print the conviction of this registry in full; none for no one")
	return cmd
}

func variantsNamed(ids []string) ([]broken.Variant, error) {
	if len(ids) == 0 {
		return broken.All(), nil
	}
	var variants []broken.Variant
	for _, id := range ids {
		v, ok := brokenNamed(id)
		if !ok {
			return nil, usagef("no broken registry %q; conform list failures names them", id)
		}
		variants = append(variants, v)
	}
	return variants, nil
}

// scoreAll scores the sound store first: were it convicted, the others would
// say nothing.
func scoreAll(cmd *cobra.Command, seeds int, variants []broken.Variant, opts ...conformance.Option) ([]broken.Score, error) {
	m := newMeter(cmd.ErrOrStderr())
	defer m.stop()
	move, end := m.track("broken registries")
	defer end()
	sound, err := broken.ScoreSound(cmd.Context(), seeds, opts...)
	if err != nil {
		return nil, err
	}
	done := 0
	scores, err := broken.Scoreboard(cmd.Context(), seeds, variants, func(s broken.Score) {
		done++
		move(done, len(variants), s.ID+" "+s.Slug)
	}, opts...)
	return append([]broken.Score{sound}, scores...), err
}

func asExpected(s broken.Score) bool {
	if s.Section == "" { // the sound store
		return s.Convicted == 0 && s.Undecided == 0
	}
	return s.Killed()
}

// printScores prints the scoreboard and reports whether anything is not as expected.
func printScores(w io.Writer, scores []broken.Score, show string) (failed bool) {
	t := newTable("id", "mistake", "convicted", "in section", "for rule", "histories (median)", "time", "")
	t.SetColumnConfigs([]table.ColumnConfig{
		{Name: "mistake", WidthMax: 60, WidthMaxEnforcer: text.Trim}, {Name: "for rule", WidthMax: 40, WidthMaxEnforcer: text.Trim},
	})
	kills := 0
	for _, s := range scores {
		mark := "ok"
		if !asExpected(s) {
			mark, failed = "WRONG", true
		}
		if s.Killed() && s.Section != "" {
			kills++
		}
		rules := sortedKeys(s.Rules)
		t.AppendRow([]any{s.ID, s.Title, fmt.Sprintf("%d/%d", s.Convicted, s.Seeds), s.Section, joined(rules), s.Median(), s.Duration.Round(time.Millisecond), mark})
	}
	t.AppendFooter([]any{"", fmt.Sprintf("%d of %d broken registries convicted", kills, len(scores)-1)})
	if i := slices.IndexFunc(scores, func(s broken.Score) bool { return s.ID == show && s.First != nil }); i >= 0 {
		fmt.Fprintf(w, "%s, %s:\n\n%s\n", scores[i].ID, scores[i].Title, scores[i].First)
	}
	fmt.Fprintln(w, t.Render())
	return failed
}

// The files of a report.
const (
	scoreboardFile  = "scoreboard.md"
	convictionsFile = "convictions.txt"
)

func writeScores(dir string, scores []broken.Score) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var board, texts bytes.Buffer
	if err := broken.WriteMarkdown(&board, scores); err != nil {
		return err
	}
	for _, s := range scores {
		if s.First != nil {
			fmt.Fprintf(&texts, "==== %s %s: %s\n\n%s\n\n", s.ID, s.Slug, s.Title, s.First)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, scoreboardFile), board.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, convictionsFile), texts.Bytes(), 0o644)
}
