package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/internal/usage"
	"github.com/kelpie-registry/registry/spec/prove"
	"github.com/kelpie-registry/registry/spec/smt"
)

func newProve() *cobra.Command {
	var dir, only string
	var opts prove.Options
	var show proveOutput
	cmd := &cobra.Command{
		Use:   "prove",
		Short: "Prove the specification's safety for any number of nodes",
		Long: `Prove shows that the specification's invariants are inductive and imply its
safety properties, for any number of nodes, actors, tokens, epochs and instants:
SANY exports the checked modules, their actions become formulas of first-order
logic, and the SMT solver z3 finds no countermodel. What must fail, because a
guard or a margin is taken away, must fail with a countermodel.

The environment variable Z3 names another z3. cvc5 is asked as well where it is
installed (CVC5 names another). Without z3 or Java nothing is proven: exit code 3.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pattern, err := regexp.Compile(only)
			if err != nil {
				return usage.Errorf("--only: %w", err)
			}
			folder, err := specFolder(dir, func(f fs.FS) error {
				_, err := prove.LoadManifest(f)
				return err
			})
			if err != nil {
				return err
			}
			if err := findSolvers(cmd, &opts); err != nil {
				return fmt.Errorf("the proof was not run: %w", err)
			}
			out := cmd.OutOrStdout()
			show.solvers(out, opts)
			opts.Select = func(p prove.Proof) bool { return pattern.MatchString(p.ID) }
			opts.Done = func(r prove.ProofResult) { show.proof(out, r) }
			opts.Needs = show.needs
			results, err := prove.Run(cmd.Context(), folder, opts)
			switch {
			case errors.Is(err, prove.ErrNotProved):
				return outcome(cmd, errConvicted, err)
			case err == nil && len(results) == 0:
				return usage.Errorf("--only %q: no proof has such an id", only)
			}
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&dir, "dir", "", "a folder with modules and "+prove.ManifestFile+" (default: the built-in specification)")
	fl.StringVar(&only, "only", "", "only the proofs whose id matches this regular expression")
	fl.IntVar(&opts.Workers, "workers", 0, "solver processes at the same time (0: two)")
	fl.DurationVar(&opts.Limit, "limit", 0, "the time that the solver has for one question (0: 5m)")
	fl.BoolVar(&show.all, "all", false, "print each obligation with its time")
	fl.BoolVar(&show.steps, "steps", false, "print the countermodel of each required failure")
	fl.BoolVar(&show.needs, "needs", false, "instead of the required failures: everything that fails without each conjunct")
	return cmd
}

// findSolvers finds z3, and cvc5 if it is there.
func findSolvers(cmd *cobra.Command, opts *prove.Options) (err error) {
	if opts.Solver, err = smt.Find(cmd.Context(), "z3"); err != nil {
		return err
	}
	second, err := smt.Find(cmd.Context(), "cvc5")
	switch {
	case err == nil:
		opts.Second = &second
	case !errors.Is(err, smt.ErrNoSolver):
		return err
	}
	return nil
}

// proveOutput prints what was proven.
type proveOutput struct{ all, steps, needs bool }

func (proveOutput) solvers(out io.Writer, opts prove.Options) {
	fmt.Fprintf(out, "solver %s %s (%s)\n", opts.Solver.Name, opts.Solver.Version, opts.Solver.Path)
	if opts.Second != nil {
		fmt.Fprintf(out, "second opinion of %s %s (%s)\n", opts.Second.Name, opts.Second.Version, opts.Second.Path)
	} else {
		fmt.Fprintln(out, "no second opinion: cvc5 is not installed")
	}
}

func (p proveOutput) proof(out io.Writer, r prove.ProofResult) {
	fmt.Fprintf(out, "\n%s: %s\n", r.Proof.ID, r.Proof.Doc)
	fmt.Fprintln(out, r.Table(p.all))
	for _, o := range r.Obligations {
		if o.Status != prove.Proved {
			fmt.Fprintf(out, "%s %s\n", o.Status, o)
			printStep(out, o.Step)
		}
		if o.Second == prove.Failed && o.Status == prove.Proved {
			fmt.Fprintf(out, "the second solver has a countermodel of %s\n", o)
		}
	}
	for _, a := range r.Dead {
		fmt.Fprintf(out, "no step of %s was found\n", a)
	}
	for _, text := range r.Problems {
		fmt.Fprintln(out, text)
	}
	p.failures(out, r)
	for _, n := range r.Needs {
		fmt.Fprintf(out, "%s: %d obligations fail\n", n.Failure.Name(), len(n.Fails))
		for _, o := range n.Fails {
			fmt.Fprintf(out, "  %s %s\n", o.Status, o)
		}
	}
	fmt.Fprintf(out, "%s\n", r.Summary())
}

func (p proveOutput) failures(out io.Writer, r prove.ProofResult) {
	if len(r.Failures) > 0 {
		fmt.Fprintln(out, "must fail:")
	}
	for _, f := range r.Failures {
		what := f.Failure.Breaks
		if f.Failure.Action != "" {
			what = f.Failure.Action + ": " + what
		}
		if f.Step == nil {
			fmt.Fprintf(out, "  WRONG %s: %s does not fail\n", f.Failure.Name(), what)
			continue
		}
		fmt.Fprintf(out, "  %s: %s fails\n", f.Failure.Name(), what)
		if p.steps {
			printStep(out, f.Step)
		}
	}
}

func printStep(out io.Writer, s *prove.Step) {
	if s != nil {
		fmt.Fprintf(out, "%s\n", s)
	}
}
