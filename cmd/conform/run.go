package main

import (
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/remote"
)

type runFlags struct {
	seeds     int
	seed      uint64
	histories int
	level     string
	duration  time.Duration
	sections  []string
	cases     string
	parallel  int
	report    string
	keep      string
	first     bool
	waive     []string
	exec      string
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [BACKEND...]",
		Short: "Judge registries by name and report",
		Long: `Run judges each named registry and prints a table of its sections, and for
each conviction the rule, the minimal history and the command that replays it.

A BACKEND is a shipped registry, a broken one by its id (see conform list), or
one of the groups shipped and broken. With --exec the registry is a child process
that speaks the JSON Lines protocol of conformance/remote/PROTOCOL.md, in any
language. Exit code 1 if any of them is convicted.`,
		Example: `  conform run memimpl
  conform run shipped --seeds 10 --report report
  conform run F8 --section concurrent --seed 42
  conform run --exec 'python3 my_registry.py'`,
		RunE: func(cmd *cobra.Command, names []string) error { return f.run(cmd, names) },
	}
	fl := cmd.Flags()
	fl.IntVar(&f.seeds, "seeds", 1, "how many seeds every case runs with, from --seed on")
	fl.Uint64Var(&f.seed, "seed", 1, "the first seed; it decides everything but the schedule of goroutines")
	fl.IntVar(&f.histories, "histories", 0, "histories that each case draws per seed (0: the case decides)")
	levelFlag(fl, &f.level)
	fl.DurationVar(&f.duration, "duration", 0, "go on drawing histories for that long (0: one round)")
	fl.StringSliceVar(&f.sections, "section", nil, "only these sections")
	fl.StringVar(&f.cases, "case", "", "only the cases whose section/name matches this regular expression")
	fl.IntVar(&f.parallel, "parallel", 0, "cases judged at the same time (0: one per processor)")
	fl.StringVar(&f.report, "report", "", "write report.json, junit.xml, index.html and convicting histories to this directory")
	fl.StringVar(&f.keep, "keep-histories", "", "save every history that the checker judges to this directory")
	fl.StringVar(&f.exec, "exec", "", "judge the registry that this shell command runs")
	for _, more := range moreFlags {
		more(fl)
	}
	fl.StringSliceVar(&f.waive, "waive", nil, "go on past breaches of these rules, which are known, and list them")
	fl.BoolVar(&f.first, "first", false, "stop at the first conviction")
	return cmd
}

func (f *runFlags) options() ([]conformance.Option, error) {
	if f.seeds < 1 {
		return nil, usagef("--seeds is %d, want 1 or more", f.seeds)
	}
	cases, err := regexp.Compile(f.cases)
	if err != nil {
		return nil, usagef("--case: %w", err)
	}
	seeds := make([]uint64, f.seeds)
	for i := range seeds {
		seeds[i] = f.seed + uint64(i)
	}
	opts := []conformance.Option{
		conformance.Seeds(seeds...),
		conformance.Histories(f.histories),
		conformance.Level(conformance.Effort(f.level)),
		conformance.Duration(f.duration),
	}
	if len(f.sections) > 0 {
		opts = append(opts, conformance.OnlySections(f.sections...))
	}
	if f.cases != "" {
		opts = append(opts, conformance.OnlyCases(cases))
	}
	if f.keep != "" {
		opts = append(opts, conformance.KeepHistories(f.keep))
	}
	if f.parallel > 0 {
		opts = append(opts, conformance.Parallel(f.parallel))
	}
	for _, rule := range f.waive {
		opts = append(opts, conformance.Waive(conformance.RuleID(rule)))
	}
	if f.first {
		opts = append(opts, conformance.StopAtFirst())
	}
	return opts, nil
}

func (f *runFlags) run(cmd *cobra.Command, names []string) error {
	if len(names) == 0 && f.exec == "" {
		return usagef("no registry is named, and there is no --exec")
	}
	backends, err := backendsNamed(names)
	if err != nil {
		return err
	}
	var child *remote.Process
	if f.exec != "" {
		if child, err = startChild(cmd, f.exec); err != nil {
			return err
		}
		defer child.Close()
		backends = append(backends, child.Backend())
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	m := newMeter(cmd.ErrOrStderr())
	var reports []*conformance.Report
	for i, b := range backends {
		own := opts
		if child != nil && i == len(backends)-1 {
			own = append(opts[:len(opts):len(opts)], f.replayExec())
		}
		r, err := f.judge(cmd, m, b, own)
		if err != nil {
			m.stop()
			return fmt.Errorf("%s: %w", b.Name(), err)
		}
		reports = append(reports, r)
	}
	m.stop()
	out := cmd.OutOrStdout()
	for _, r := range reports {
		printConvictions(out, r)
	}
	printSections(out, reports)
	printCoverage(out, reports)
	printExtent(out, reports)
	printStores(out, reports)
	printSum(out, reports)
	if f.report != "" {
		if err := writeReports(f.report, reports); err != nil {
			return err
		}
		fmt.Fprintf(out, "report: %s\n", f.report+"/index.html")
	}
	if child != nil && child.Err() != nil {
		return fmt.Errorf("%s is not judged: %w", child.Name(), child.Err())
	}
	return verdict(reports)
}

// judge judges one backend with a line of progress.
func (f *runFlags) judge(cmd *cobra.Command, m *meter, b conformance.Backend, opts []conformance.Option) (*conformance.Report, error) {
	move, end := m.track(b.Name())
	defer end()
	opts = append(opts[:len(opts):len(opts)], conformance.Progress(func(e conformance.Event) {
		move(e.Done, e.Total, e.Section+"/"+e.Case)
	}))
	if f.report != "" {
		opts = append(opts, conformance.OutDir(reportOf(f.report, b.Name())))
	}
	return conformance.Judge(cmd.Context(), b, opts...)
}

// startChild starts the registry that --exec means.
func startChild(cmd *cobra.Command, command string) (*remote.Process, error) {
	child, err := remote.Start(exec.CommandContext(cmd.Context(), "sh", "-c", command), cmd.ErrOrStderr())
	if err != nil {
		return nil, fmt.Errorf("--exec: %w", err)
	}
	return child, nil
}

// replayExec makes the replay line of a child name the command that starts it.
func (f *runFlags) replayExec() conformance.Option {
	return conformance.Reproduce(func(section, name string, seed uint64) string {
		line := fmt.Sprintf("conform run --exec %s --section %s --case %s --seed %d", shellQuoted(f.exec), section, name, seed)
		if f.level != string(conformance.Default) {
			line += " --level " + f.level
		}
		return line
	})
}

// shellQuoted is one word of a POSIX shell's command line.
func shellQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// verdict is the exit of a command that judged registries which should pass.
func verdict(reports []*conformance.Report) error {
	for _, r := range reports {
		if r.Count(conformance.Convicted) > 0 {
			return errConvicted
		}
	}
	for _, r := range reports {
		if !r.Passed() {
			return errUnknown
		}
	}
	return nil
}

func printConvictions(w io.Writer, r *conformance.Report) {
	for _, c := range r.Cases {
		if c.Conviction != nil {
			fmt.Fprintf(w, "%s is convicted by %s\n\n%s\n", r.Backend, c.ID(), c.Conviction)
		}
	}
	for _, c := range r.Capabilities {
		if c.Problem != "" {
			fmt.Fprintf(w, "%s: capability %s: %s\n", r.Backend, c.Capability, c.Problem)
		}
	}
}

// newTable is the one look of this command's tables.
func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.Style().Format.Footer = text.FormatDefault
	t.AppendHeader(header)
	return t
}

// printSections prints a row per backend and section, and why cases were skipped.
func printSections(w io.Writer, reports []*conformance.Report) {
	t := newTable("registry", "section", "cases", "pass", "convicted", "unknown", "skipped", "histories", "operations", "time")
	skips := map[string][]string{}
	for _, r := range reports {
		for _, s := range bySection(r) {
			t.AppendRow(table.Row{r.Backend, s.name, s.cases, s.count[conformance.Pass], s.count[conformance.Convicted],
				s.count[conformance.Unknown], s.count[conformance.Skipped], s.histories, s.operations, s.took.Round(time.Millisecond)})
		}
		t.AppendSeparator()
		for _, c := range r.Cases {
			for _, b := range c.Waived {
				why := fmt.Sprintf("%s waived: %s: %s", r.Backend, b.Rule, b.Rule.Rule().Text)
				skips[why] = append(skips[why], c.ID())
			}
			if c.Verdict == conformance.Skipped || c.Verdict == conformance.Unknown {
				why := fmt.Sprintf("%s %s: %s", r.Backend, c.Verdict, c.Reason)
				skips[why] = append(skips[why], c.ID())
			}
		}
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 1, AutoMerge: true}})
	fmt.Fprintln(w, t.Render())
	for _, why := range sortedKeys(skips) {
		fmt.Fprintf(w, "%s (%s)\n", why, strings.Join(skips[why], ", "))
	}
}

// printCoverage says how much of the specification's graphs was walked, and how
// many schedules were explored.
func printCoverage(w io.Writer, reports []*conformance.Report) {
	for _, r := range reports {
		if c := r.Edges(); c.Edges > 0 {
			fmt.Fprintf(w, "%s was walked along all %d edges of the specification's graphs, through %d states, on %d clusters\n", r.Backend, c.Edges, c.States, c.Scripts)
		}
		if s := r.Schedules(); s.Schedules > 0 {
			points := 0
			for _, n := range s.Points {
				points += n
			}
			fmt.Fprintf(w, "%s was taken through %d schedules of %d situations, with %d stops at %d kinds of yield points\n", r.Backend, s.Schedules, s.Situations, points, len(s.Points))
		}
	}
}

// printExtent says how far the runs went, a column for each registry.
func printExtent(w io.Writer, reports []*conformance.Report) {
	header := []any{"how far this run went"}
	values := map[string][]any{}
	var names []string
	for i, r := range reports {
		header = append(header, r.Backend)
		for _, m := range r.Extent {
			if values[m.Name] == nil {
				names = append(names, m.Name)
				values[m.Name] = make([]any, len(reports))
			}
			values[m.Name][i] = m.Text
		}
	}
	t := newTable(header...)
	for _, name := range names {
		t.AppendRow(append([]any{name}, values[name]...))
	}
	fmt.Fprintln(w, t.Render())
}

// levelFlag adds the flag --level.
func levelFlag(fl *pflag.FlagSet, level *string) {
	fl.StringVar(level, "level", string(conformance.Default), fmt.Sprintf("how much the suite spends: one of %v", conformance.Efforts()))
}

// printSum says in one line what has been judged and what came of it.
func printSum(w io.Writer, reports []*conformance.Report) {
	histories, operations := 0, 0
	count := map[conformance.Verdict]int{}
	for _, r := range reports {
		for _, c := range r.Cases {
			histories += c.Histories
			operations += c.Operations
			count[c.Verdict]++
		}
	}
	waived := ""
	if n := count[conformance.Waived]; n > 0 {
		waived = fmt.Sprintf(", %d waived", n)
	}
	fmt.Fprintf(w, "judged: %d registries, %d histories, %d operations: %d cases convicted, %d unknown, %d passed, %d skipped%s\n", len(reports), histories, operations,
		count[conformance.Convicted], count[conformance.Unknown], count[conformance.Pass], count[conformance.Skipped], waived)
}

// printStores says what the judgements ran on, where the backends tell.
func printStores(w io.Writer, reports []*conformance.Report) {
	for _, r := range reports {
		switch {
		case r.OnRealStore():
			fmt.Fprintf(w, "%s ran on a real store: %s\n", r.Backend, r.Store.Name)
		case r.Store != nil:
			fmt.Fprintf(w, "%s ran on: %s, no real store\n", r.Backend, r.Store.Name)
		}
	}
}

type sectionSum struct {
	name                         string
	cases, histories, operations int
	count                        map[conformance.Verdict]int
	took                         time.Duration
}

func bySection(r *conformance.Report) []sectionSum {
	var sums []sectionSum
	for _, c := range r.Cases {
		if len(sums) == 0 || sums[len(sums)-1].name != c.Section {
			sums = append(sums, sectionSum{name: c.Section, count: map[conformance.Verdict]int{}})
		}
		s := &sums[len(sums)-1]
		s.cases++
		s.histories += c.Histories
		s.operations += c.Operations
		s.took += c.Duration
		s.count[c.Verdict]++
	}
	return sums
}
