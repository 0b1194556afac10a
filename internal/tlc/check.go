package tlc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// ErrDiffers says that TLC was run and did not say what the manifest expects.
// Match with [errors.Is]; the [Results] tell which entries.
var ErrDiffers = errors.New("TLC's verdicts differ from the manifest")

// Options of [CheckManifest]. The zero value checks everything, three at a time.
type Options struct {
	Workers  int              // configurations checked at the same time; 0 means 3
	Select   func(Check) bool // which entries to run; nil means all. The audit always sees all
	Progress func(Progress)   // called after each entry, never twice at the same time; may be nil
}

// Progress says how far a manifest's run has come.
type Progress struct {
	Done, Total int
	Last        Result
}

// Result is what one entry gave.
type Result struct {
	Check    Check
	Output   Output
	Problems []string // how the output differs from the entry; empty when it does not
}

// Results are in the manifest's order.
type Results []Result

// Failed returns the results that differ from the manifest.
func (rs Results) Failed() Results {
	return slices.DeleteFunc(slices.Clone(rs), func(r Result) bool { return len(r.Problems) == 0 })
}

// CheckManifest audits the manifest of a specification folder (see [Audit]),
// runs its entries and compares: verdict, violated property, distinct states and
// dead actions, each exactly. It returns an error that matches [ErrNoTLC] when
// nothing could be run, and [ErrDiffers], beside the results, when some entry
// differs; other errors are of the audit, a folder that cannot be read, or ctx.
func CheckManifest(ctx context.Context, fsys fs.FS, opts Options) (Results, error) {
	m, err := LoadManifest(fsys)
	if err != nil {
		return nil, err
	}
	if err := Audit(fsys, m); err != nil {
		return nil, err
	}
	tool, err := Find(ctx)
	if err != nil {
		return nil, err
	}
	checks := m.Checks
	if opts.Select != nil {
		checks = slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return !opts.Select(c) })
	}
	results, err := runAll(ctx, fsys, tool, checks, opts)
	if err != nil {
		return results, err
	}
	if failed := results.Failed(); len(failed) > 0 {
		return results, fmt.Errorf("%w: %d of %d", ErrDiffers, len(failed), len(results))
	}
	if idle := results.idle(m.Evaluated); len(checks) == len(m.Checks) && len(idle) > 0 {
		return results, fmt.Errorf("%w: no passing entry ever evaluates:\n%s", ErrDiffers, strings.Join(idle, "\n"))
	}
	return results, nil
}

// idle returns the places of the modules' expressions that no entry that counts
// ever evaluates: a disjunct whose guard is never true, a case that never
// comes.
func (rs Results) idle(modules []string) []string {
	most := map[string]int64{}
	for _, r := range rs {
		for place, n := range r.Output.Places {
			most[place] = max(most[place], n)
		}
	}
	maps.DeleteFunc(most, func(place string, n int64) bool {
		_, module, _ := strings.Cut(place, " of module ")
		return n > 0 || !slices.Contains(modules, module)
	})
	return slices.Sorted(maps.Keys(most))
}

func runAll(ctx context.Context, fsys fs.FS, tool Tool, checks []Check, opts Options) (Results, error) {
	workers := opts.Workers
	if workers == 0 {
		workers = 3 // one more than two cores have to do: a run waits for Java and for files
	}
	machines, err := tool.Machines(ctx, fsys)
	if err != nil {
		return nil, err
	}
	defer machines.Close()
	results := make(Results, len(checks))
	var mu sync.Mutex
	done := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, i := range longestFirst(checks) {
		c := checks[i]
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r, err := runCheck(ctx, fsys, machines, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.ID, err)
			}
			results[i] = r
			mu.Lock()
			defer mu.Unlock()
			done++
			if opts.Progress != nil {
				opts.Progress(Progress{Done: done, Total: len(checks), Last: r})
			}
			return nil
		})
	}
	err = g.Wait()
	return slices.DeleteFunc(results, func(r Result) bool { return r.Check.ID == "" }), err
}

// longestFirst is the order in which entries are begun: a long one that comes last
// would keep one worker busy and the others idle.
func longestFirst(checks []Check) []int {
	order := make([]int, len(checks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(checks[b].Generated, checks[a].Generated) })
	return order
}

func runCheck(ctx context.Context, fsys fs.FS, machines *Machines, c Check) (Result, error) {
	cfg, err := c.Resolve(fsys)
	if err != nil {
		return Result{}, err
	}
	job := c.Job(fsys, cfg)
	job.Coverage = c.Fires > 0
	out, err := machines.Run(ctx, job)
	if err != nil {
		return Result{}, err
	}
	return Result{Check: c, Output: out, Problems: compare(c, out)}, nil
}

// compare says how out differs from what the entry expects.
func compare(c Check, out Output) []string {
	var problems []string
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if out.Verdict != c.Expect {
		complain("verdict %s, want %s: %s", violation(out.Verdict, out.Violated), violation(c.Expect, c.Violates), out.Message)
		return problems
	}
	if c.Violates != "" && out.Violated != c.Violates {
		complain("%q is violated, want %s: %s", out.Violated, c.Violates, out.Message)
	}
	if c.Purpose.mustHold() && out.Distinct != c.States {
		complain("%d distinct states, want %d", out.Distinct, c.States)
	}
	if c.Purpose.mustHold() && out.Generated != c.Generated {
		complain("%d generated states, want %d", out.Generated, c.Generated)
	}
	if c.Fires > 0 {
		problems = append(problems, compareCoverage(c, out)...)
	}
	return problems
}

func compareCoverage(c Check, out Output) []string {
	if len(out.Coverage) == 0 {
		return []string{"TLC reported no coverage, so that it is not known whether any action fired"}
	}
	var problems []string
	dead := out.Dead()
	for _, a := range dead {
		if !slices.Contains(c.Dead, a) {
			problems = append(problems, fmt.Sprintf("action %s never fires", a))
		}
	}
	if fires := len(out.Coverage) - len(dead); fires != c.Fires {
		problems = append(problems, fmt.Sprintf("%d actions fire, want %d", fires, c.Fires))
	}
	for _, a := range c.Dead {
		if !slices.Contains(dead, a) {
			problems = append(problems, fmt.Sprintf("action %s is listed as dead, but it fires or does not exist", a))
		}
	}
	return problems
}

func violation(v Verdict, name string) string {
	return strings.TrimSpace(string(v) + " " + name)
}
