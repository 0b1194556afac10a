package main

import (
	"bytes"
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
)

// judgeSound scores the right but unusual registries: every case of each has to
// pass.
func judgeSound(cmd *cobra.Command, names []string, seeds int, report string, opts ...conformance.Option) error {
	variants, err := soundNamed(names)
	if err != nil {
		return err
	}
	m := newMeter(cmd.ErrOrStderr())
	defer m.stop()
	move, end := m.track("sound registries")
	defer end()
	done := 0
	scores, err := sound.Scoreboard(cmd.Context(), seeds, variants, func(s sound.Score) {
		done++
		move(done, len(variants), s.Name)
	}, opts...)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	failed := printSound(out, scores)
	if report != "" {
		if err := writeSound(report, scores); err != nil {
			return err
		}
		fmt.Fprintf(out, "scoreboard: %s\n", filepath.Join(report, soundboardFile))
	}
	if failed {
		return errConvicted
	}
	return nil
}

func soundNamed(names []string) ([]sound.Variant, error) {
	if len(names) == 0 {
		return sound.All(), nil
	}
	var variants []sound.Variant
	for _, name := range names {
		v, ok := sound.Find(name)
		if !ok {
			return nil, unknownName("sound registry", name, soundNames())
		}
		variants = append(variants, v)
	}
	return variants, nil
}

func soundNames() []string {
	var names []string
	for _, v := range sound.All() {
		names = append(names, v.Name)
	}
	return names
}

// printSound prints the scoreboard and what is wrong, and reports whether
// anything is.
func printSound(w io.Writer, scores []sound.Score) (failed bool) {
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
			outcome, failed = fmt.Sprintf("WRONG: %d convicted, %d undecided", s.Convicted, len(s.Undecided)), true
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
	return failed
}

const soundboardFile = "sound.md"

func writeSound(dir string, scores []sound.Score) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var board bytes.Buffer
	if err := sound.WriteMarkdown(&board, scores); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, soundboardFile), board.Bytes(), 0o644)
}
