package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/internal/tlc"
)

func newSpec() *cobra.Command {
	var dir, only string
	var workers int
	var markdown bool
	cmd := &cobra.Command{
		Use:   "spec",
		Short: "Run TLC on every configuration of the specification's manifest",
		Long: `Spec runs the model checker TLC on each entry of spec/tla/manifest.json and
compares verdict, violated property, distinct states and dead actions with what
the manifest expects. TLC comes through the Maven client, pinned and verified;
TLC_JAR names another jar. Without Java nothing is checked: exit code 3.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pattern, err := regexp.Compile(only)
			if err != nil {
				return usagef("--only: %w", err)
			}
			m := newMeter(cmd.ErrOrStderr())
			move, end := m.track("TLC")
			results, err := tlc.CheckManifest(cmd.Context(), os.DirFS(dir), tlc.Options{
				Workers:  workers,
				Select:   func(c tlc.Check) bool { return pattern.MatchString(c.ID) },
				Progress: func(p tlc.Progress) { move(p.Done, p.Total, p.Last.Check.ID) },
			})
			end()
			m.stop()
			if len(results) > 0 {
				printSpec(cmd, results, markdown)
			}
			if errors.Is(err, tlc.ErrDiffers) {
				fmt.Fprintln(cmd.ErrOrStderr(), "conform:", err)
				return errConvicted
			}
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&dir, "dir", "spec/tla", "the specification's folder")
	fl.StringVar(&only, "only", "", "only the configurations whose id matches this regular expression")
	fl.IntVar(&workers, "workers", 0, "configurations checked at the same time (0: two)")
	fl.BoolVar(&markdown, "markdown", false, "print the table as Markdown")
	return cmd
}

func printSpec(cmd *cobra.Command, results tlc.Results, markdown bool) {
	out := cmd.OutOrStdout()
	if markdown {
		fmt.Fprintln(out, results.Table().RenderMarkdown())
	} else {
		fmt.Fprintln(out, results.Table().Render())
	}
	for _, r := range results.Failed() {
		for _, p := range r.Problems {
			fmt.Fprintf(out, "%s: %s\n", r.Check.ID, p)
		}
	}
}
