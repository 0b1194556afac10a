package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/remote"
	"github.com/kelpie-registry/registry/internal/usage"
)

type runFlags struct {
	seeds       int
	seed        uint64
	histories   int
	level       level
	duration    time.Duration
	sections    []string
	cases       string
	parallel    int
	report      string
	keep        string
	first       bool
	waive       []string
	exec        string
	callTimeout time.Duration
	bounds      registry.Config
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [BACKEND...]",
		Short: "Judge registries by name and report",
		Long: `Run judges each named registry. It prints each conviction when it is found (the
rule, the shortest history and the command that replays it) and a table of the
sections at the end.

A BACKEND is a shipped registry, a broken one by its id, a right but unusual one
as sound/NAME (conform list names them), or one of the groups shipped and broken.
With --exec the registry is a child process in any language that speaks the JSON
Lines protocol; "go doc ` + module + `/conformance/remote" and
the file PROTOCOL.md in that folder describe it.

Exit code 1 if any of them is convicted. An interrupt (Ctrl-C) ends the run: what
was found and judged until then is printed and reported, and the exit code is 130.`,
		Example: `  conform run memimpl
  conform run shipped --seeds 10 --report report
  conform run F8 --section concurrent --seed 42
  conform run --exec 'python3 my_registry.py'`,
		ValidArgsFunction: completes(backendNames),
		RunE:              func(cmd *cobra.Command, names []string) error { return f.run(cmd, names) },
	}
	fl := cmd.Flags()
	fl.IntVar(&f.seeds, "seeds", 1, "how many seeds every case runs with, from --seed on")
	fl.Uint64Var(&f.seed, "seed", 1, "the first seed; it decides everything but the schedule of goroutines")
	fl.IntVar(&f.histories, "histories", 0, "histories that each case draws per seed (0: the case decides)")
	levelFlag(cmd, &f.level)
	fl.DurationVar(&f.duration, "duration", 0, "go on drawing histories for that long (0: one round)")
	fl.StringSliceVar(&f.sections, "section", nil, "only these sections")
	fl.StringVar(&f.cases, "case", "", "only the cases whose section/name matches this regular expression")
	fl.IntVar(&f.parallel, "parallel", 0, "cases judged at the same time (0: one per processor, and of three registries)")
	fl.StringVar(&f.report, "report", "", "write a report and the histories of convictions to this directory, with index.html to begin with")
	fl.StringVar(&f.keep, "keep-histories", "", "save every history that the checker judges to this directory")
	fl.StringVar(&f.exec, "exec", "", "judge the registry that this shell command runs")
	fl.BoolVar(&f.first, "first", false, "stop at the first conviction")
	fl.StringSliceVar(&f.waive, "waive", nil, "go on past breaches of these rules, which are known, and list them")
	fl.DurationVar(&f.callTimeout, "call-timeout", 10*time.Second, "the deadline of every call; one that takes twice that long is convicted as hanging")
	f.bounds = registry.DefaultConfig()
	fl.DurationVar(&f.bounds.TTL, "ttl", f.bounds.TTL, "the cluster's length of a lease")
	fl.DurationVar(&f.bounds.Grace, "grace", f.bounds.Grace, "the cluster's grace")
	fl.DurationVar(&f.bounds.MaxClockSkew, "skew", f.bounds.MaxClockSkew, "the cluster's bound ε on the distance of a clock from true time")
	fl.DurationVar(&f.bounds.FailureTimeout, "failure-timeout", f.bounds.FailureTimeout, "the silence after which a node may be marked failed")
	for _, more := range moreFlags {
		more(fl)
	}
	completeFlag(cmd, "section", sectionNames)
	completeFlag(cmd, "waive", ruleIDs)
	completeFlag(cmd, "case", func() []string { return caseIDs(f.sections) })
	return cmd
}

// carried are the flags that a replay needs as well: they change what a case does.
var carried = []string{"level", "waive", "call-timeout", "ttl", "grace", "skew", "failure-timeout", "cluster-file"}

// replays makes the replay line of what is a registry's name, or --exec and its
// command, one that can be typed.
func replays(fl *pflag.FlagSet, what string) conformance.Option {
	var more strings.Builder
	fl.Visit(func(f *pflag.Flag) {
		if slices.Contains(carried, f.Name) {
			value := f.Value.String()
			if list, ok := f.Value.(pflag.SliceValue); ok {
				value = strings.Join(list.GetSlice(), ",")
			}
			fmt.Fprintf(&more, " --%s %s", f.Name, quoted(value))
		}
	})
	return conformance.Reproduce(func(section, name string, seed uint64) string {
		return fmt.Sprintf("%s run %s --section %s --case %s --seed %d%s", program, what, section, name, seed, more.String())
	})
}

func (f *runFlags) options() ([]conformance.Option, error) {
	if err := errors.Join(seedsInRange(f.seed, f.seeds), f.bounds.Validate()); err != nil {
		return nil, err
	}
	if f.callTimeout == 0 {
		return nil, usage.Errorf("--call-timeout is 0s, want more than 0")
	}
	if err := f.selection(); err != nil {
		return nil, err
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
		conformance.CallTimeout(f.callTimeout),
		conformance.Config(f.bounds),
	}
	if len(f.sections) > 0 {
		opts = append(opts, conformance.OnlySections(f.sections...))
	}
	if f.cases != "" {
		opts = append(opts, conformance.OnlyCases(regexp.MustCompile(f.cases)))
	}
	if f.keep != "" {
		opts = append(opts, conformance.KeepHistories(f.keep))
	}
	if f.parallel > 0 {
		opts = append(opts, conformance.Parallel(f.parallel))
	}
	for _, rule := range f.waive {
		if !slices.Contains(ruleIDs(), rule) {
			return nil, fmt.Errorf("--waive: %w (conform list rules)", usage.UnknownName("rule", rule, ruleIDs()))
		}
		opts = append(opts, conformance.Waive(conformance.RuleID(rule)))
	}
	if f.first {
		opts = append(opts, conformance.StopAtFirst())
	}
	return opts, nil
}

// selection says what is wrong with --section and --case, if anything is.
func (f *runFlags) selection() error {
	for _, s := range f.sections {
		if !slices.Contains(sectionNames(), s) {
			return fmt.Errorf("%w; the sections are %s", usage.UnknownName("section", s, sectionNames()), strings.Join(sectionNames(), ", "))
		}
	}
	cases, err := regexp.Compile(f.cases)
	if err != nil {
		return usage.Errorf("--case: %w", err)
	}
	ids := caseIDs(f.sections)
	if slices.ContainsFunc(ids, cases.MatchString) {
		return nil
	}
	if len(ids) == 0 {
		return usage.Errorf("the selected sections have no case in this build")
	}
	var names []string
	for _, id := range ids {
		_, name, _ := strings.Cut(id, "/")
		names = append(names, id, name)
	}
	return fmt.Errorf("nothing is selected: %w (conform list sections)", usage.UnknownName("case", f.cases, names))
}

// places makes the directories to be written to, before anything is judged.
func (f *runFlags) places() error {
	if err := placeReport(f.report); err != nil {
		return err
	}
	return place("keep-histories", f.keep)
}

func (f *runFlags) run(cmd *cobra.Command, names []string) error {
	if len(names) == 0 && f.exec == "" {
		return usage.Errorf("no registry is named, and there is no --exec; conform list backends names them")
	}
	backends, err := backendsNamed(names)
	if err != nil {
		return err
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	if err := f.places(); err != nil {
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
	reports, err := f.judgeAll(cmd, backends, opts)
	if len(reports) == 0 && err != nil {
		return err
	}
	printReports(cmd.OutOrStdout(), reports)
	printStores(cmd.OutOrStdout(), reports)
	printSum(cmd.OutOrStdout(), reports)
	err = errors.Join(err, f.write(cmd.OutOrStdout(), reports))
	if child != nil && child.Err() != nil && cmd.Context().Err() == nil {
		err = errors.Join(err, fmt.Errorf("%s is not judged: %w", child.Name(), child.Err()))
	}
	return outcome(cmd, verdict(reports), err)
}

// outcome makes a command's error of its verdict and of what else went wrong. A
// conviction stands, whatever else went wrong: that is only told.
func outcome(cmd *cobra.Command, verdict, err error) error {
	if err != nil && errors.Is(verdict, errConvicted) && cmd.Context().Err() == nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "conform:", err)
		return verdict
	}
	return cmp.Or(err, verdict)
}

// write writes the report that --report asks for.
func (f *runFlags) write(out io.Writer, reports []*conformance.Report) error {
	if f.report == "" || len(reports) == 0 {
		return nil
	}
	if err := writeReports(f.report, reports); err != nil {
		return fmt.Errorf("the report was not written: %w", err)
	}
	fmt.Fprintf(out, "report: %s\n", filepath.Join(f.report, homeFile))
	return nil
}

// sideBySide is how many registries are judged at the same time: one that waits for its
// disk or for a clock leaves the processors to the others. With --parallel there are no
// more cases at a time than that asks for.
func (f *runFlags) sideBySide() int {
	if f.parallel > 0 {
		return 1
	}
	return 3
}

// judgeAll judges the backends and returns their reports in the same order. When the
// command is interrupted it returns what was judged until then.
func (f *runFlags) judgeAll(cmd *cobra.Command, backends []conformance.Backend, opts []conformance.Option) ([]*conformance.Report, error) {
	m := newMeter(cmd.ErrOrStderr())
	defer m.stop()
	reports := make([]*conformance.Report, len(backends))
	var group errgroup.Group
	group.SetLimit(f.sideBySide())
	for i, b := range backends {
		what := b.Name()
		if f.exec != "" && i == len(backends)-1 {
			what = "--exec " + shellQuoted(f.exec)
		}
		group.Go(func() (err error) {
			if err = cmd.Context().Err(); err == nil {
				reports[i], err = f.judge(cmd, m, b, append(opts[:len(opts):len(opts)], replays(cmd.Flags(), what)))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", b.Name(), err)
			}
			return nil
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(reports, func(r *conformance.Report) bool { return r == nil }), err
}

// judge judges one backend with a line of progress, and prints convictions as they
// are found.
func (f *runFlags) judge(cmd *cobra.Command, m *meter, b conformance.Backend, opts []conformance.Option) (*conformance.Report, error) {
	move, end := m.track(b.Name())
	defer end()
	opts = append(opts, conformance.Progress(func(e conformance.Event) {
		move(e.Done, e.Total, e.Section+"/"+e.Case)
		if e.Result != nil && e.Result.Conviction != nil {
			m.aside(func() { printConviction(cmd.OutOrStdout(), b.Name(), e.Result) })
		}
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
		return nil, cmp.Or(cmd.Context().Err(), fmt.Errorf("--exec: %w", err))
	}
	return child, nil
}

// shellQuoted is one word of a POSIX shell's command line.
func shellQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// quoted is s as one word of a shell's command line, with quotes where it needs them.
func quoted(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return shellQuoted(s)
}

var plainWord = regexp.MustCompile(`^[\w./:=,+-]+$`)

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

func printConviction(w io.Writer, backend string, c *conformance.CaseResult) {
	told := strings.Replace(c.Conviction.String(), "CONVICTED", painted(w, text.FgRed, "CONVICTED"), 1)
	fmt.Fprintf(w, "%s is convicted by %s\n\n%s\n", backend, c.ID(), told)
}

// printReports prints what came of each registry.
func printReports(w io.Writer, reports []*conformance.Report) {
	for _, r := range reports {
		fmt.Fprintln(w, r.Backend, told(w, r))
		if r.Dialect != nil {
			paragraph(w, 2, "judged as: "+r.Dialect.String())
		}
		if r.RealTime != nil {
			paragraph(w, 2, "in real time: "+r.RealTime.String())
		}
		for _, c := range r.Capabilities {
			if c.Problem != "" {
				paragraph(w, 2, fmt.Sprintf("capability %s: %s", c.Capability, c.Problem))
			}
		}
		printSections(w, r)
		printWaived(w, r)
		printOpen(w, r)
		printCoverage(w, r)
		fmt.Fprintln(w)
	}
	if len(reports) == 1 {
		printExtent(w, reports[0])
	}
}

// told is a registry's outcome as the rest of a sentence.
func told(w io.Writer, r *conformance.Report) string {
	switch {
	case r.Count(conformance.Convicted) > 0:
		return painted(w, text.FgRed, "is convicted")
	case !r.Passed():
		return painted(w, text.FgYellow, "is not decided")
	}
	return painted(w, text.FgGreen, "passes") + ": no counterexample was found"
}

// printSections prints a row for each section.
func printSections(w io.Writer, r *conformance.Report) {
	t := newTable("section", "pass", "convicted", "unknown", "skipped", "histories", "operations", "time")
	for _, s := range bySection(r) {
		t.AppendRow(table.Row{s.name, s.count[conformance.Pass], s.count[conformance.Convicted],
			s.count[conformance.Unknown], s.count[conformance.Skipped], s.histories, s.operations, s.took.Round(time.Millisecond)})
	}
	fmt.Fprintln(w, t.Render())
}

// printWaived lists the breaches that --waive went past.
func printWaived(w io.Writer, r *conformance.Report) {
	for _, c := range r.Cases {
		for _, b := range c.Waived {
			paragraph(w, 1, fmt.Sprintf("waived: %s: %s: %s", c.ID(), b.Rule, b.Rule.Rule().Text))
		}
	}
}

// printOpen says why cases were skipped or not decided: each reason once.
func printOpen(w io.Writer, r *conformance.Report) {
	type reason struct{ verdict, why string }
	cases := map[reason][]string{}
	var reasons []reason
	for _, c := range r.Cases {
		if c.Verdict != conformance.Skipped && c.Verdict != conformance.Unknown {
			continue
		}
		k := reason{string(c.Verdict), c.Reason}
		if cases[k] == nil {
			reasons = append(reasons, k)
		}
		cases[k] = append(cases[k], c.ID())
	}
	for _, k := range reasons {
		why, story, _ := strings.Cut(k.why, "\n")
		paragraph(w, 1, fmt.Sprintf("%s: %s: %s", k.verdict, manyCases(r, cases[k]), why))
		if story != "" {
			fmt.Fprintf(w, "\n%s\n\n", story)
		}
	}
}

// manyCases names cases. A section stands for its cases if they are all of them, and of
// many that are left the first are named.
func manyCases(r *conformance.Report, cases []string) string {
	const most = 8
	var names []string
	for _, s := range bySection(r) {
		of := slices.DeleteFunc(slices.Clone(cases), func(id string) bool { return !strings.HasPrefix(id, s.name+"/") })
		if len(of) == s.cases && s.cases > 1 {
			of = []string{fmt.Sprintf("%s (all %d cases)", s.name, s.cases)}
		}
		names = append(names, of...)
	}
	if len(names) > most+1 {
		names = append(names[:most], fmt.Sprintf("… (%d cases in all)", len(cases)))
	}
	return strings.Join(names, ", ")
}

// printCoverage says how much of the specification's graphs was walked, and how
// many schedules were explored.
func printCoverage(w io.Writer, r *conformance.Report) {
	if c := r.Edges(); c.Edges > 0 {
		paragraph(w, 1, fmt.Sprintf("walked along all %d edges of the specification's graphs, through %d states, in %d walks on %d clusters", c.Edges, c.States, c.Walks, c.Scripts))
	}
	if s := r.Schedules(); s.Schedules > 0 {
		points := 0
		for _, n := range s.Points {
			points += n
		}
		paragraph(w, 1, fmt.Sprintf("taken through %d schedules of %d situations, with %d stops at %d kinds of yield points", s.Schedules, s.Situations, points, len(s.Points)))
	}
}

// printExtent says how far the run went.
func printExtent(w io.Writer, r *conformance.Report) {
	t := newTable("how far this run went", "")
	for _, m := range r.Extent {
		t.AppendRow(table.Row{m.Name, m.Text})
	}
	fmt.Fprintln(w, t.Render())
	fmt.Fprintln(w)
}

// level is the value of the flag --level.
type level conformance.Effort

func (l *level) String() string { return string(*l) }
func (l *level) Type() string   { return "level" }
func (l *level) Set(s string) error {
	if !slices.Contains(levelNames(), s) {
		return errors.New("there is no such level") // what there is tells Wanted
	}
	*l = level(s)
	return nil
}

// Wanted implements [usage.Choice].
func (l *level) Wanted() string { return "one of " + strings.Join(levelNames(), ", ") }

// levelFlag adds the flag --level.
func levelFlag(cmd *cobra.Command, l *level) {
	*l = level(conformance.Default)
	cmd.Flags().Var(l, "level", "how much the suite spends: "+l.Wanted())
	completeFlag(cmd, "level", levelNames)
}

// mostSeeds is more than anybody has the time for.
const mostSeeds = 1_000_000

// seedsInRange says what is wrong with that many seeds from first on, if anything is.
func seedsInRange(first uint64, n int) error {
	switch {
	case n < 1 || n > mostSeeds:
		return usage.Errorf("--seeds is %d, want 1 to %d", n, mostSeeds)
	case first+uint64(n-1) < first:
		return usage.Errorf("--seed is %d, after which there are no %d seeds", first, n)
	}
	return nil
}

// printSum says what has been judged, what came of it, and how fast it went.
func printSum(w io.Writer, reports []*conformance.Report) {
	histories, operations := 0, 0
	count := map[conformance.Verdict]int{}
	for _, r := range reports {
		histories += r.Speed.Histories
		operations += r.Speed.Operations
		for _, c := range r.Cases {
			count[c.Verdict]++
		}
	}
	waived := ""
	if n := count[conformance.Waived]; n > 0 {
		waived = fmt.Sprintf(", %d waived", n)
	}
	paragraph(w, 0, fmt.Sprintf("judged: %s, %d histories, %d operations: %d cases convicted, %d unknown, %d passed, %d skipped%s",
		counted(len(reports), "registry", "registries"), histories, operations,
		count[conformance.Convicted], count[conformance.Unknown], count[conformance.Pass], count[conformance.Skipped], waived))
	if len(reports) > 0 {
		fmt.Fprintln(w, "in "+speed(operations, elapsed(reports)))
	}
}

// elapsed returns the time from the beginning of the first judgement to the end of the
// last.
func elapsed(reports []*conformance.Report) time.Duration {
	first, last := reports[0].Started, reports[0].Started
	for _, r := range reports {
		first, last = min(first, r.Started), max(last, r.Started.Add(r.Duration))
	}
	return last.Sub(first)
}

// counted is n of something.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
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
