// Command mutate measures how much of the code that decides who owns an actor
// the conformance suite and the packages' own tests guard: it changes the code in
// one small place at a time and looks who notices.
//
//	go run ./ci/mutate [-dir memimpl,fdbimpl] [-files regexp] [-run regexp] [-sample N] [-seed N] [-parallel 2] [-out file] [-resume] [-list]
//
// It exits with 1 when a mutant survives that ci/mutate/equivalent.txt does not
// explain, or when that file explains one that no longer exists, and with 3 when
// it ended early. See docs/mutation.md.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelpie-registry/registry/ci/internal/fates"
)

const (
	exitSurvivors = 1
	exitUsage     = 2
	exitEarly     = 3
)

//go:embed equivalent.txt
var equivalent []byte

type flags struct {
	dirs     string
	files    string
	run      string
	sample   int
	seed     uint64
	parallel int
	timeout  time.Duration
	list     bool
	out      string
	resume   bool
}

func main() {
	var f flags
	flag.StringVar(&f.dirs, "dir", "internal/rules,memimpl,fdbimpl", "packages, comma separated")
	flag.StringVar(&f.files, "files", defaultFiles, "only the files whose path matches this `regexp`")
	flag.StringVar(&f.run, "run", "", "only the mutants whose file, function and change match this `regexp`")
	flag.IntVar(&f.sample, "sample", 0, "only so many mutants of each package, drawn by -seed (0: all)")
	flag.Uint64Var(&f.seed, "seed", 1, "decides the sample")
	flag.IntVar(&f.parallel, "parallel", min(2, runtime.NumCPU()), "mutants judged at the same time")
	flag.DurationVar(&f.timeout, "timeout", 2*time.Minute, "of one run of the suite or of the tests")
	flag.BoolVar(&f.list, "list", false, "list the mutants and judge none")
	flag.StringVar(&f.out, "out", "", "append each mutant's fate to this file as it is known")
	flag.BoolVar(&f.resume, "resume", false, "believe the fates that -out has already, of code and tests that did not change since")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(mutate(ctx, f, os.Stdout, os.Stderr))
}

// defaultFiles leaves out the files that hold no decision about ownership: the
// layouts of stored bytes, which have fuzz tests of their own, and the log file
// below memimpl, under which every fault is placed.
const defaultFiles = `^internal/rules/|^memimpl/(registry|membership|store|member|watch|ordered|journal)\.go$|^fdbimpl/(actors|attempt|batch|nodes|outcome|record|stamp|registry|watch|list)\.go$`

func mutate(ctx context.Context, f flags, out, progress io.Writer) int {
	usage := func(err error) int { fmt.Fprintln(progress, err); return exitUsage }
	explained, err := readExplanations(equivalent)
	if err != nil {
		return usage(fmt.Errorf("ci/mutate/equivalent.txt: %w", err))
	}
	root, err := moduleRoot()
	if err != nil {
		return usage(err)
	}
	chosen, err := chooseTargets(f.dirs)
	if err != nil {
		return usage(err)
	}
	work, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return usage(err)
	}
	defer os.RemoveAll(work)
	var results []Result
	var stale []string
	for _, t := range chosen {
		all, err := mutantsOf(root, t.dir)
		if err != nil {
			return usage(err)
		}
		stale = append(stale, explained.stale([]string{t.dir}, all)...)
		ms, err := choose(all, f)
		if err != nil {
			return usage(err)
		}
		if f.list {
			for _, m := range ms {
				fmt.Fprintf(out, "%s:%d\t%s\t%s\n", m.File, m.Line, m.Func, m.Change)
			}
			continue
		}
		r := runner{root: root, work: work, target: t, timeout: f.timeout}
		done, err := judgeAll(ctx, r, ms, f, progress)
		results = append(results, done...)
		if err != nil {
			fmt.Fprintln(progress, err)
			report(out, results, explained, stale)
			return exitEarly
		}
	}
	if f.list {
		return 0
	}
	return report(out, results, explained, stale)
}

// moduleRoot is the folder of go.mod, here or above.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod here or above")
		}
	}
}

func chooseTargets(dirs string) (chosen []target, err error) {
	for _, d := range strings.Split(dirs, ",") {
		d = path.Clean(filepath.ToSlash(d))
		i := slices.IndexFunc(targets, func(t target) bool { return t.dir == d })
		if i < 0 {
			return nil, fmt.Errorf("no target %q", d)
		}
		chosen = append(chosen, targets[i])
	}
	return chosen, nil
}

// mutantsOf returns every mutant of a package.
func mutantsOf(root, dir string) (all []Mutant, err error) {
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		ms, err := Mutants(path.Join(dir, filepath.Base(file)), src)
		if err != nil {
			return nil, err
		}
		all = append(all, ms...)
	}
	return all, nil
}

// choose applies the selection of the flags.
func choose(all []Mutant, f flags) ([]Mutant, error) {
	files, err := regexp.Compile(f.files)
	if err != nil {
		return nil, err
	}
	run, err := regexp.Compile(f.run)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(m Mutant) bool {
		return !files.MatchString(m.File) || !run.MatchString(m.ID())
	})
	if f.sample > 0 && f.sample < len(all) {
		rng := rand.New(rand.NewPCG(f.seed, 0))
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:f.sample]
	}
	return all, nil
}

// judgeAll judges the mutants, some at a time, after the unchanged code.
func judgeAll(ctx context.Context, r runner, ms []Mutant, f flags, progress io.Writer) ([]Result, error) {
	var results []Result
	if f.resume {
		known, err := readFates(f.out)
		if err != nil {
			return nil, err
		}
		ms = slices.DeleteFunc(ms, func(m Mutant) bool {
			res, done := known[m.ID()]
			if done {
				res.Mutant = m
				results = append(results, res)
			}
			return done
		})
	}
	if len(ms) == 0 {
		return results, nil
	}
	if err := r.baseline(ctx); err != nil {
		return nil, err
	}
	before := len(results)
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(f.parallel)
	for i, m := range ms {
		g.Go(func() error {
			res, err := r.mutant(ctx, fmt.Sprintf("m%d", i), m)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			results = append(results, res)
			fmt.Fprintf(progress, "%d/%d %s:%d %s: %s: %s %s\n", len(results)-before, len(ms), m.File, m.Line, m.Func, m.Change, res.Fate, res.By)
			return appendFate(f.out, res)
		})
	}
	err := g.Wait()
	slices.SortFunc(results, func(a, b Result) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return results, err
}

// readFates reads what appendFate wrote, by mutant ID; the last of one counts.
func readFates(file string) (map[string]Result, error) {
	lines, err := fates.Read(file, 6)
	known := map[string]Result{}
	for _, c := range lines {
		known[strings.Join(c[1:4], "\t")] = Result{Fate: Fate(c[0]), By: c[5]}
	}
	return known, err
}

func appendFate(file string, r Result) error {
	if file == "" {
		return nil
	}
	return fates.Append(file, string(r.Fate), r.ID(), strconv.Itoa(r.Line), r.By)
}
