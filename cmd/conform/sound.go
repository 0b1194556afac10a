package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/sound"
	"github.com/kelpie-registry/registry/internal/usage"
)

// judgeSound scores the right but unusual registries: every case of each has to
// pass.
func judgeSound(cmd *cobra.Command, names []string, seeds int, report string, opts ...conformance.Option) error {
	variants, err := soundNamed(names)
	if err != nil {
		return err
	}
	if err := place("report", report); err != nil {
		return err
	}
	scores, err := scoreSound(cmd, seeds, variants, opts)
	verdict := printSound(cmd.OutOrStdout(), scores)
	return outcome(cmd, verdict, errors.Join(err, writeSound(cmd.OutOrStdout(), report, scores)))
}

// scoreSound scores the registries with a line of progress. When the command is
// interrupted it returns the scores so far.
func scoreSound(cmd *cobra.Command, seeds int, variants []sound.Variant, opts []conformance.Option) ([]sound.Score, error) {
	m := newMeter(cmd.ErrOrStderr())
	defer m.stop()
	move, end := m.track("sound registries")
	defer end()
	done := 0
	return sound.Scoreboard(cmd.Context(), seeds, variants, func(s sound.Score) {
		done++
		move(done, len(variants), s.Name)
	}, opts...)
}

func soundNamed(names []string) ([]sound.Variant, error) {
	if len(names) == 0 {
		return sound.All(), nil
	}
	var variants []sound.Variant
	for _, name := range names {
		v, ok := sound.Find(name)
		if !ok {
			return nil, usage.UnknownName("sound registry", name, soundNames())
		}
		variants = append(variants, v)
	}
	return once(variants, func(v sound.Variant) string { return v.Name }), nil
}

func soundNames() []string {
	var names []string
	for _, v := range sound.All() {
		names = append(names, v.Name)
	}
	return names
}

// printSound prints the scoreboard and what is wrong, and returns the exit that it
// means.
func printSound(w io.Writer, scores []sound.Score) error {
	if len(scores) == 0 {
		return nil
	}
	t := newTable("registry", "what is unusual", "outcome", "histories", "time")
	t.SetColumnConfigs([]table.ColumnConfig{
		{Name: "registry", WidthMax: 24, WidthMaxEnforcer: text.WrapSoft}, {Name: "what is unusual", WidthMax: 23, WidthMaxEnforcer: text.WrapSoft},
		{Name: "outcome", WidthMax: 11, WidthMaxEnforcer: text.WrapSoft}, {Name: "histories", Align: text.AlignRight},
	})
	passed := 0
	for _, s := range scores {
		outcome := "passes"
		if s.Passed() {
			passed++
		} else {
			outcome = fmt.Sprintf("WRONG: %d convicted, %d undecided", s.Convicted, len(s.Undecided))
		}
		if s.First != nil {
			fmt.Fprintf(w, "%s, %s:\n\n%s\n", s.Name, s.Does, s.First)
		}
		for _, u := range s.Undecided {
			fmt.Fprintf(w, "%s: %s\n", s.Name, u)
		}
		t.AppendRow([]any{s.Name, s.Does, outcome, s.Executed, s.Duration.Round(time.Millisecond)})
	}
	fmt.Fprintln(w, t.Render())
	fmt.Fprintf(w, "%d of %d right registries pass\n", passed, len(scores))
	if passed < len(scores) {
		return errConvicted
	}
	return nil
}

const soundboardFile = "sound.md"

// writeSound writes the scoreboard where --report names a directory.
func writeSound(out io.Writer, dir string, scores []sound.Score) error {
	if dir == "" || len(scores) == 0 {
		return nil
	}
	var board bytes.Buffer
	if err := sound.WriteMarkdown(&board, scores); err != nil {
		return err
	}
	file := filepath.Join(dir, soundboardFile)
	if err := os.WriteFile(file, board.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "scoreboard: %s\n", file)
	return nil
}
