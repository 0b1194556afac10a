package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
	"github.com/kelpie-registry/registry/internal/usage"
)

func newMutants() *cobra.Command {
	var seeds int
	var report, show string
	var spent level
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
		ValidArgsFunction: completes(func() []string {
			if right {
				return soundNames()
			}
			return brokenIDs()
		}),
		RunE: func(cmd *cobra.Command, ids []string) error {
			if err := seedsInRange(1, seeds); err != nil {
				return err
			}
			opt := conformance.Level(conformance.Effort(spent))
			if right {
				if cmd.Flags().Changed("show") {
					return usage.Errorf("--show is of a broken registry, and --sound judges none")
				}
				return judgeSound(cmd, ids, seeds, report, opt)
			}
			variants, err := variantsNamed(ids)
			if err != nil {
				return err
			}
			if known := append(brokenIDs(), "none"); !slices.Contains(known, show) {
				return fmt.Errorf("--show: %w", usage.UnknownName("broken registry", show, known))
			}
			if err := placeReport(report); err != nil {
				return err
			}
			scores, err := scoreAll(cmd, seeds, variants, opt)
			verdict := printScores(cmd.OutOrStdout(), scores, show)
			return outcome(cmd, verdict, errors.Join(err, writeScores(cmd.OutOrStdout(), report, scores)))
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&seeds, "seeds", 1, "judge each registry with the seeds 1 to this")
	levelFlag(cmd, &spent)
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
			return nil, fmt.Errorf("%w (conform list failures)", usage.UnknownName("broken registry", id, brokenIDs()))
		}
		variants = append(variants, v)
	}
	return once(variants, func(v broken.Variant) string { return v.ID }), nil
}

// scoreAll scores the sound store that the others share, without which they would say
// nothing, and the others, several on each processor: some do little but wait. Those
// that take longest are begun first. When the command is interrupted it returns the
// scores so far.
func scoreAll(cmd *cobra.Command, seeds int, variants []broken.Variant, opts ...conformance.Option) ([]broken.Score, error) {
	m := newMeter(cmd.ErrOrStderr())
	defer m.stop()
	move, end := m.track("broken registries")
	defer end()
	scores := make([]broken.Score, 1+len(variants))
	var done atomic.Int64
	group, ctx := errgroup.WithContext(cmd.Context())
	group.SetLimit(besides * runtime.GOMAXPROCS(0))
	score := func(i int, name string, judge func() (broken.Score, error)) {
		group.Go(func() (err error) {
			move(int(done.Load()), len(variants), name)
			if scores[i], err = judge(); err != nil {
				scores[i] = broken.Score{}
			} else if i > 0 {
				move(int(done.Add(1)), len(variants), name)
			}
			return err
		})
	}
	score(0, "the sound store that they share", func() (broken.Score, error) { return broken.ScoreSound(ctx, seeds, opts...) })
	for _, large := range []bool{true, false} {
		for i, v := range variants {
			if v.Large() == large {
				score(1+i, v.ID+" "+v.Slug, func() (broken.Score, error) {
					return v.Score(ctx, seeds, append(opts[:len(opts):len(opts)], replays(cmd.Flags(), v.Backend().Name()))...)
				})
			}
		}
	}
	err := group.Wait()
	return slices.DeleteFunc(scores, func(s broken.Score) bool { return s.ID == "" }), err
}

// besides is how many registries are judged at the same time for each processor.
const besides = 3

// printScores prints the scoreboard and returns the exit that it means.
func printScores(w io.Writer, scores []broken.Score, show string) error {
	if i := slices.IndexFunc(scores, func(s broken.Score) bool { return s.ID == show && s.First != nil }); i >= 0 {
		fmt.Fprintf(w, "%s, %s:\n\n%s\n", scores[i].ID, scores[i].Title, scores[i].First)
	}
	t := newTable("id", "mistake", "for rule", "convicted", "histories")
	t.SetColumnConfigs([]table.ColumnConfig{
		{Name: "mistake", WidthMax: 31, WidthMaxEnforcer: text.WrapSoft}, {Name: "for rule", WidthMax: 17, WidthMaxEnforcer: text.WrapSoft},
		{Name: "histories", Align: text.AlignRight},
	})
	kills, wrong := 0, []string{}
	for _, s := range scores {
		if !s.AsExpected() {
			wrong = append(wrong, s.ID)
		}
		if s.Killed() && s.Section != "" {
			kills++
		}
		t.AppendRow([]any{s.ID, s.Title, joined(sortedKeys(s.Rules)), fmt.Sprintf("%d/%d", s.Convicted, s.Seeds), s.Median()})
	}
	if len(scores) == 0 {
		return nil
	}
	fmt.Fprintln(w, t.Render())
	fmt.Fprintf(w, "%d of %d broken registries convicted; histories: until the conviction, the median\n", kills, len(scores)-1)
	if len(wrong) > 0 {
		fmt.Fprintf(w, "%s: %s\n", painted(w, text.FgRed, "WRONG"), strings.Join(wrong, ", "))
		return errConvicted
	}
	return nil
}

// writeScores writes the scoreboard for programs, as Markdown and on the home page,
// and the convictions' texts, where --report names a directory.
func writeScores(out io.Writer, dir string, scores []broken.Score) error {
	if dir == "" || len(scores) == 0 {
		return nil
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
	data, err := json.MarshalIndent(scores, "", "  ")
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{scoreboardFile: board.Bytes(), convictionsFile: texts.Bytes(), scoresFile: data} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	if err := writeHome(dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "report: %s\n", filepath.Join(dir, homeFile))
	return nil
}
