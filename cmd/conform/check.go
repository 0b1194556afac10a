package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/internal/console"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/internal/usage"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/serving"
	"github.com/kelpie-registry/registry/trace"
)

func newCheck() *cobra.Command {
	var c checking
	var named string
	var following bool
	cmd := &cobra.Command{
		Use:   "check HISTORY.jsonl",
		Short: "Give the verdict for a saved history",
		Long: `Check decides whether some order of atomic steps of the specification explains
a history in the JSON Lines format of the package history ("-" reads standard
input), and whether its clients served only what they held. Exit codes: 0 it is
explained, 1 it is not, 3 not decided.

With --follow it checks the operations of a file, or of the files of a folder,
while the history grows, in memory that does not grow with it, until the first
answer that cannot be explained, the end of standard input, or an interrupt.

A history is judged in the dialect that it names: what the clients' registry
declared. --dialect names another: differences from the contract, joined by
commas (conform list dialects), or contract for none. In a dialect, --follow
keeps the whole history and checks it each time it has doubled, and at its end.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := dialectNamed(cmd, named)
			if err != nil {
				return err
			}
			if following {
				if err := onlyWhole(cmd); err != nil {
					return err
				}
				return follow(cmd, args[0], in)
			}
			h, err := readHistory(cmd, args[0])
			if err != nil {
				return usage.Errorf("%s: %w", args[0], err)
			}
			if in != nil {
				h.Dialect = *in
			}
			return unlessEnded(cmd.Context(), func() error { return c.check(cmd, h, args[0]) })
		},
	}
	fl := cmd.Flags()
	fl.DurationVar(&c.search.Timeout, "timeout", linearizability.DefaultTimeout, "give up the search after that long: the verdict is then Unknown")
	fl.BoolVar(&following, "follow", false, "check while the history grows: a file is read on as it is written, until interrupted")
	fl.BoolVar(&c.search.Whole, "whole", false, "search the history as one: catches what only the order across actors shows; for small histories")
	fl.BoolVar(&c.search.NoHints, "no-hints", false, "do not cut the search at versions: the same verdict, slower")
	fl.BoolVar(&c.minimise, "minimise", true, "reduce a history that cannot be explained to the operations it takes")
	fl.BoolVar(&c.trace, "trace", false, "replay the order that was found through the reference, step by step")
	fl.BoolVar(&c.withTLC, "tlc", false, "and through spec/tla/Registry.tla with TLC")
	fl.StringVar(&named, "dialect", "", "judge in this dialect, and not in the one that the history names")
	fl.StringVar(&c.draw, "draw", "", "draw the history as HTML into this file")
	completeList(cmd, "dialect", dialectNames)
	return cmd
}

// onlyWhole refuses with --follow the flags that a whole history is needed for.
func onlyWhole(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "follow" && f.Name != "dialect" && err == nil {
			err = usage.Errorf("--%s is for whole histories, and --follow checks one that grows", f.Name)
		}
	})
	return err
}

// unlessEnded does work and returns its error, or the context's when that ends
// before: the process is about to end then, and with it what is left of the work.
func unlessEnded(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checking is how a whole history is checked.
type checking struct {
	search                   linearizability.Options
	minimise, trace, withTLC bool
	draw                     string // a file, or ""
}

// check tells the verdict on what was served, and then on what was answered.
func (c checking) check(cmd *cobra.Command, h history.History, path string) error {
	if broken := serving.Check(h, serving.Options{Steps: 2 * h.Config.MaxClockSkew}); len(broken) > 0 {
		return c.service(cmd, h, broken)
	}
	return c.answers(cmd, h, "conform check "+quoted(path))
}

// service tells what the clients of a history have served wrongly.
func (c checking) service(cmd *cobra.Command, h history.History, broken []serving.Violation) error {
	for _, v := range broken {
		fmt.Fprintf(cmd.OutOrStdout(), "a client breaks %s\nfound:  %s\nwanted: %s\n", v.Rule, v.Found, v.Wanted)
	}
	return outcome(cmd, errConvicted, c.drawn(func(w io.Writer) error { return explain.DrawService(w, h, broken[0]) }))
}

// answers searches an order of steps that explains what was answered, and tells the
// verdict.
func (c checking) answers(cmd *cobra.Command, h history.History, again string) error {
	out, clock := cmd.OutOrStdout(), registry.SystemClock()
	start := clock.Now()
	res := linearizability.Check(h, c.search)
	took, stats := clock.Now().Sub(start), res.Stats
	var found *explain.Conviction
	switch {
	case res.Verdict == linearizability.Illegal && c.minimise:
		found, h, res = explain.Of(h, res, c.search)
	case res.Verdict == linearizability.Illegal:
		found = explain.As(h, res.Violations[0])
	}
	undrawn := c.drawn(func(w io.Writer) error { return explain.Draw(w, h, res) })
	if found != nil {
		found.Reproduce = again
		if undrawn == nil {
			found.Drawing = c.draw
		}
		fmt.Fprintln(out, found)
	}
	fmt.Fprintf(out, "%s: %d operations in %d partitions, %d of them replayed, %d searches, the longest of %d operations, %d ambiguous operations unresolved, %s\n",
		res.Verdict, stats.Ops, stats.Partitions, stats.Replayed, stats.Segments, stats.Longest, stats.Unresolved, speed(stats.Ops, took))
	err := judged(out, res)
	if err == nil && (c.trace || c.withTLC) {
		err = replayTrace(cmd, h, c.withTLC)
	}
	return outcome(cmd, err, undrawn)
}

// drawn writes the drawing where one is wanted.
func (c checking) drawn(draw func(io.Writer) error) error {
	if c.draw == "" {
		return nil
	}
	if err := writeFile(c.draw, draw); err != nil {
		return usage.Errorf("--draw: %w", err)
	}
	return nil
}

// judged is a verdict as the command's outcome; what was not decided is told why.
func judged(out io.Writer, res linearizability.Result) error {
	switch res.Verdict {
	case linearizability.Illegal:
		return errConvicted
	case linearizability.OK:
		return nil
	}
	fmt.Fprintln(out, "not decided:", res.Reason)
	return errUnknown
}

// dialectNamed is the dialect that --dialect names; nil when it is not given.
func dialectNamed(cmd *cobra.Command, name string) (*dialect.Dialect, error) {
	if !cmd.Flags().Changed("dialect") {
		return nil, nil
	}
	for _, word := range strings.Split(name, ",") {
		if first, _, _ := strings.Cut(word, "="); !slices.Contains(dialectNames(), first) {
			return nil, usage.UnknownName("dialect", word, dialectNames())
		}
	}
	d, err := dialect.Parse(name)
	if err != nil {
		return nil, usage.Errorf("--dialect %s: %w", name, err)
	}
	return &d, nil
}

// replayTrace checks one order of the history's steps against the
// specification itself.
func replayTrace(cmd *cobra.Command, h history.History, withTLC bool) error {
	t, err := trace.Linearize(h)
	if err == nil {
		err = t.Check()
	}
	by := "the reference"
	if err == nil && withTLC {
		by = "the reference and TLC"
		var tool tlc.Tool
		if tool, err = tlc.Find(cmd.Context()); err == nil {
			err = t.CheckTLC(cmd.Context(), tool)
		}
	}
	var no *trace.Rejection
	switch {
	case errors.As(err, &no):
		fmt.Fprintln(cmd.OutOrStdout(), no)
		return errConvicted
	case err != nil:
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "a behaviour of Registry.tla: %d steps accepted by %s\n", len(t.Events), by)
	return nil
}

func readHistory(cmd *cobra.Command, path string) (history.History, error) {
	in, err := console.Open(cmd.Context(), path, cmd.InOrStdin())
	if err != nil {
		return history.History{}, err
	}
	defer in.Close()
	return history.Read(in)
}
