// Command mutatespec changes the specification's modules in one small place at
// a time, and looks whether a property notices. A change that only the number of
// states notices is one that somebody could make and write the new number down.
//
//	go run ./ci/mutatespec [-module Registry,Keeper] [-run regexp] [-sample n -seed s] [-out file [-resume]] [-proofs] [-list]
//
// Without -module all modules that decide something are changed. The judges are the
// proofs, and then every entry of the manifest that has the module, those first
// that are likely to notice for little: the passing ones, of which a property must
// fail, and those that must find a mistake, which they then no longer find.
//
// It exits with 1 when a mutant that no property kills is not explained in
// explained.txt, and with 3 when TLC cannot be run.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry/ci/internal/fates"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec"
	"github.com/kelpie-registry/registry/spec/smt"
)

// Fate is what became of a mutant.
type Fate string

// The fates.
const (
	ByProperty Fate = "property" // a property of a proof or of a passing entry fails
	Unproved   Fate = "unproved" // a property is not proved any more, and no countermodel of it was found
	ByCount    Fate = "count"    // only the number of states differs, or the search does not end
	Senseless  Fate = "error"    // SANY rejects it or TLC cannot evaluate it: it is no specification
	Left       Fate = "left"     // by the proofs, to the manifest's entries
	Survived   Fate = "survived"
)

// Result is a mutant with its fate and what noticed it.
type Result struct {
	Mutant
	Fate Fate
	By   string // the property and the manifest's entry, or the entry whose number differs
}

//go:embed explained.txt
var explained string

type flags struct {
	modules, run, out    string
	sample, parallel     int
	seed                 uint64
	largest              int64
	timeout              time.Duration
	list, resume, proofs bool
}

func main() {
	var f flags
	flag.StringVar(&f.modules, "module", "", "the modules to change, divided by commas (default: all)")
	flag.StringVar(&f.run, "run", "", "only mutants whose module, definition and change match this `regexp`")
	flag.IntVar(&f.sample, "sample", 0, "only so many, drawn by the seed")
	flag.Uint64Var(&f.seed, "seed", 1, "of the sample")
	flag.IntVar(&f.parallel, "parallel", 2, "how many at a time")
	flag.DurationVar(&f.timeout, "timeout", 10*time.Minute, "for one entry; a search that takes longer does not end")
	flag.StringVar(&f.out, "out", "", "append each fate to this `file`")
	flag.BoolVar(&f.resume, "resume", false, "believe the fates in that file")
	flag.Int64Var(&f.largest, "largest", 100_000, "ask no passing entry that generates more states")
	flag.BoolVar(&f.proofs, "proofs", false, "ask the proofs alone")
	flag.BoolVar(&f.list, "list", false, "list the mutants, judge none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code, err := run(ctx, f, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run(ctx context.Context, f flags, out io.Writer) (int, error) {
	why, err := reasons(explained)
	if err != nil {
		return 2, err
	}
	chosen, err := chooseTargets(f.modules)
	if err != nil {
		return 2, err
	}
	var results []Result
	for _, t := range chosen {
		mutants, err := choose(t, f)
		if err != nil {
			return 2, err
		}
		if f.list {
			list(out, mutants)
			continue
		}
		of, err := judgeTarget(ctx, t, mutants, f)
		if errors.Is(err, tlc.ErrNoTLC) || errors.Is(err, smt.ErrNoSolver) {
			return 3, err
		}
		if err != nil {
			return 2, fmt.Errorf("%s: %w", t.module, err)
		}
		results = append(results, of...)
	}
	if f.list {
		return 0, nil
	}
	return report(out, results, why), nil
}

func judgeTarget(ctx context.Context, t judged, mutants []Mutant, f flags) ([]Result, error) {
	j, err := newJudge(ctx, t, f)
	if err != nil {
		return nil, err
	}
	defer j.machines.Close()
	return j.all(ctx, mutants, f)
}

func list(out io.Writer, mutants []Mutant) {
	for _, m := range mutants {
		fmt.Fprintf(out, "%s:%d\t%s\t%s\n", m.Module, m.Line, m.Def, m.Change)
	}
}

// chooseTargets finds the targets that the flag names, all for none.
func chooseTargets(modules string) (chosen []judged, err error) {
	if modules == "" {
		return targets, nil
	}
	for name := range strings.SplitSeq(modules, ",") {
		i := slices.IndexFunc(targets, func(t judged) bool { return t.module == name })
		if i < 0 {
			return nil, fmt.Errorf("no target %q", name)
		}
		chosen = append(chosen, targets[i])
	}
	return chosen, nil
}

func choose(t judged, f flags) ([]Mutant, error) {
	text, err := fs.ReadFile(spec.TLA(), t.module+".tla")
	if err != nil {
		return nil, err
	}
	all, err := t.Mutants(string(text))
	if err != nil {
		return nil, err
	}
	pattern, err := regexp.Compile(f.run)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m Mutant) bool { return !pattern.MatchString(m.ID()) })
	if f.sample > 0 && f.sample < len(all) {
		rng := rand.New(rand.NewPCG(f.seed, 0))
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:f.sample]
	}
	return all, nil
}

// known reads the results of a run that was interrupted, by mutant ID.
func known(f flags) (map[string]Result, error) {
	all := map[string]Result{}
	if !f.resume || f.out == "" {
		return all, nil
	}
	lines, err := fates.Read(f.out, 5)
	for _, c := range lines {
		all[strings.Join(c[:3], "\t")] = Result{Fate: Fate(c[3]), By: c[4]}
	}
	return all, err
}

func note(file string, r Result) error {
	if file == "" {
		return nil
	}
	return fates.Append(file, r.ID(), string(r.Fate), r.By)
}

// reason says why no property need notice some mutants.
type reason struct {
	module, def string
	change      *regexp.Regexp // the whole change, or one of several that have the reason in common
	why         string
}

// reasons reads explained.txt.
func reasons(text string) (out []reason, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p := strings.Split(line, "\t")
		if len(p) != 4 || p[3] == "" {
			return nil, fmt.Errorf("explained.txt: want module, definition, change and reason, divided by tabs: %q", line)
		}
		change, err := regexp.Compile("^(?:" + p[2] + ")$")
		if err != nil {
			return nil, fmt.Errorf("explained.txt: %w", err)
		}
		out = append(out, reason{p[0], p[1], change, p[3]})
	}
	return out, nil
}

func explain(list []reason, m Mutant) string {
	for _, r := range list {
		if r.module == m.Module && (r.def == "*" || slices.Contains(strings.Split(r.def, "|"), m.Def)) && r.change.MatchString(m.Change) {
			return r.why
		}
	}
	return ""
}

// report prints what no property killed and a table of who killed the others, and
// returns the exit code.
func report(out io.Writer, results []Result, why []reason) int {
	open := 0
	killers := map[string]int{}
	for _, r := range results {
		if r.Fate == ByProperty {
			killers[r.Module+"\t"+r.By]++
		}
		if r.Fate == ByProperty || r.Fate == Senseless {
			continue
		}
		reason := explain(why, r.Mutant)
		if reason == "" {
			open++
			reason = "NOT EXPLAINED"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", r.Fate, r.ID(), r.By, reason)
	}
	for _, k := range slices.Sorted(maps.Keys(killers)) {
		fmt.Fprintf(out, "%d killed by\t%s\n", killers[k], k)
	}
	summary(out, results, why)
	if open > 0 {
		return 1
	}
	return 0
}

// summary prints the counts of each module.
func summary(out io.Writer, results []Result, why []reason) {
	for _, t := range targets {
		count, explained, all := map[Fate]int{}, 0, 0
		for _, r := range results {
			if r.Module != t.module {
				continue
			}
			all++
			if r.Fate == ByProperty || r.Fate == Senseless || explain(why, r.Mutant) == "" {
				count[r.Fate]++
			} else {
				explained++
			}
		}
		if all > 0 {
			fmt.Fprintf(out, "%s: %d mutants: %d killed by a property, %d no specification, %d explained; not explained: %d without a proof, %d noticed by a number of states alone, %d survived, %d not asked of the entries\n",
				t.module, all, count[ByProperty], count[Senseless], explained, count[Unproved], count[ByCount], count[Survived], count[Left])
		}
	}
}
