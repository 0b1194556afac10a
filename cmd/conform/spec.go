package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/internal/usage"
	"github.com/kelpie-registry/registry/spec"
)

func newSpec() *cobra.Command {
	var dir, only string
	var workers int
	var markdown, trace bool
	cmd := &cobra.Command{
		Use:   "spec",
		Short: "Run TLC on every configuration of the specification's manifest",
		Long: `Spec runs the model checker TLC on each entry of the specification's manifest and
compares verdict, violated property, distinct states and dead actions with what
the manifest expects. TLC comes through the Maven client, pinned and verified;
TLC_JAR names another jar. Without Java nothing is checked: exit code 3.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pattern, err := regexp.Compile(only)
			if err != nil {
				return usage.Errorf("--only: %w", err)
			}
			folder, err := specFolder(dir, func(f fs.FS) error {
				manifest, err := tlc.LoadManifest(f)
				return cmp.Or(err, tlc.Audit(f, manifest))
			})
			if err != nil {
				return err
			}
			m := newMeter(cmd.ErrOrStderr())
			move, end := m.track("TLC")
			results, err := tlc.CheckManifest(cmd.Context(), folder, tlc.Options{
				Workers:  workers,
				Select:   func(c tlc.Check) bool { return pattern.MatchString(c.ID) },
				Progress: func(p tlc.Progress) { move(p.Done, p.Total, p.Last.Check.ID) },
			})
			end()
			m.stop()
			if len(results) > 0 {
				printSpec(cmd.OutOrStdout(), results, markdown, trace)
			}
			switch {
			case err == nil && len(results) == 0:
				return usage.Errorf("--only %q: no configuration has such an id", only)
			case len(results.Failed()) > 0 || errors.Is(err, tlc.ErrDiffers):
				return outcome(cmd, errConvicted, err)
			}
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&dir, "dir", "", "a folder with modules and a manifest (default: the built-in specification)")
	fl.StringVar(&only, "only", "", "only the configurations whose id matches this regular expression")
	fl.IntVar(&workers, "workers", 0, "configurations checked at the same time (0: three)")
	fl.BoolVar(&markdown, "markdown", false, "print the tables of spec/tla/README.md, as Markdown")
	fl.BoolVar(&trace, "trace", false, "print each counterexample, the expected ones too")
	return cmd
}

// specFolder is the folder that --dir names, whose manifest can be loaded, or the
// built-in specification.
func specFolder(dir string, load func(fs.FS) error) (fs.FS, error) {
	if dir == "" {
		return spec.TLA(), nil
	}
	folder := os.DirFS(dir)
	if err := load(folder); err != nil {
		return nil, usage.Errorf("--dir %s: %w", dir, err)
	}
	return folder, nil
}

func printSpec(out io.Writer, results tlc.Results, markdown, trace bool) {
	if markdown {
		fmt.Fprintf(out, "%s\n\n%s\n", results.Table().RenderMarkdown(), results.Conjuncts().RenderMarkdown())
	} else {
		fmt.Fprintln(out, results.Table().Render())
	}
	for _, r := range results {
		for _, p := range r.Problems {
			fmt.Fprintf(out, "%s: %s\n", r.Check.ID, p)
		}
		if trace || len(r.Problems) > 0 {
			printCounterexample(out, r.Output)
		}
	}
}

func printCounterexample(out io.Writer, o tlc.Output) {
	for _, s := range o.Trace {
		fmt.Fprintf(out, "%d: %s\n%s\n\n", s.Number, s.Action, s.Text)
	}
	if o.Stutters {
		fmt.Fprintln(out, "and stays there for ever")
	}
	if o.LoopsTo > 0 {
		fmt.Fprintf(out, "and returns to state %d\n", o.LoopsTo)
	}
}
