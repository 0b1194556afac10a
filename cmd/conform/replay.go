package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/internal/console"
	"github.com/kelpie-registry/registry/internal/usage"
)

func newReplay() *cobra.Command {
	var name, command string
	var times int
	cmd := &cobra.Command{
		Use:   "replay SCRIPT",
		Short: "Carry out a script of operations and judge every answer",
		Long: `Replay carries out a script of operations ("-" reads standard input; the format is
in SCRIPTS.md of the package conformance): one written by hand, or one that conform
run --report saved with a conviction. Every answer is compared with the reference. A script with operations
at the same time is played many times, and each history is checked. What clients say that they serve is judged
where no answer is wrong.

Exit codes: 0 every answer is right, 1 convicted, 2 the script is wrong, 3 not
decided, or the registry lacks what the script needs.`,
		Example: `  conform replay conformance/testdata/scripts/grace.script --backend F8
  conform replay mine.script --exec 'python3 my_registry.py'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (name == "") == (command == "") {
				return usage.Errorf("want one of --backend and --exec")
			}
			s, err := readScript(cmd, args[0])
			if err != nil {
				return usage.Errorf("%s: %w", args[0], err)
			}
			if len(s.Steps) == 0 {
				return usage.Errorf("%s: the script has no step", args[0])
			}
			b, end, err := oneBackend(cmd, name, command)
			if err != nil {
				return err
			}
			defer end()
			on := "--backend " + name
			if command != "" {
				on = "--exec " + shellQuoted(command)
			}
			r, err := conformance.Replay(cmd.Context(), b, s, conformance.Histories(times),
				conformance.Reproduce(func(_, _ string, _ uint64) string { return program + " replay " + quoted(args[0]) + " " + on }))
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return outcome(cmd, printReplay(cmd.OutOrStdout(), b.Name(), r), cmd.Context().Err())
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&name, "backend", "", "the registry: a shipped one, or a broken one by its id")
	fl.StringVar(&command, "exec", "", "the registry that this shell command runs")
	fl.IntVar(&times, "times", 0, "how often a script with operations at the same time is played (0: 100 times)")
	completeFlag(cmd, "backend", backendNames)
	return cmd
}

func readScript(cmd *cobra.Command, path string) (history.Script, error) {
	in, err := console.Open(cmd.Context(), path, cmd.InOrStdin())
	if err != nil {
		return history.Script{}, err
	}
	defer in.Close()
	return history.ParseScript(in)
}

// oneBackend returns the registry that --backend or --exec means.
func oneBackend(cmd *cobra.Command, name, command string) (conformance.Backend, func(), error) {
	if command != "" {
		child, err := startChild(cmd, command)
		if err != nil {
			return nil, nil, err
		}
		return child.Backend(), func() { child.Close() }, nil
	}
	found, err := backendsNamed([]string{name})
	if err != nil {
		return nil, nil, err
	}
	if len(found) != 1 {
		return nil, nil, usage.Errorf("%s is a group, replay takes one registry", name)
	}
	return found[0], func() {}, nil
}

// printReplay prints the verdict and returns the exit that it means.
func printReplay(w io.Writer, backend string, r conformance.CaseResult) error {
	switch r.Verdict {
	case conformance.Convicted:
		fmt.Fprintf(w, "%s\n", r.Conviction)
		return errConvicted
	case conformance.Pass:
		fmt.Fprintf(w, "%s: every answer is right (%d histories, %d calls)\n", backend, r.Histories, r.Operations)
		return nil
	}
	fmt.Fprintf(w, "%s is not judged: %s: %s\n", backend, r.Verdict, r.Reason)
	return errUnknown
}
