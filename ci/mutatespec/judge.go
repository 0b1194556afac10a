package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing/fstest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec"
	"github.com/kelpie-registry/registry/spec/prove"
	"github.com/kelpie-registry/registry/spec/smt"
)

// judge asks the proofs and the manifest's entries of one target about mutants.
type judge struct {
	judged
	machines *tlc.Machines
	prover   *prove.Judge
	proofs   []prove.Proof
	checks   []tlc.Check // every entry whose modules have the target's among them
	files    fstest.MapFS
	timeout  time.Duration

	mu    sync.Mutex
	kills map[kill]int
}

// kill is of mutants of one definition, or of all for "", by one entry.
type kill struct{ def, entry string }

func newJudge(ctx context.Context, t judged, f flags) (*judge, error) {
	j := &judge{judged: t, files: fstest.MapFS{}, timeout: f.timeout, kills: map[kill]int{}}
	if err := j.load(f.largest); err != nil {
		return nil, err
	}
	tool, err := tlc.Find(ctx)
	if err != nil {
		return nil, err
	}
	solver, err := smt.Find(ctx, "z3")
	if err != nil {
		return nil, err
	}
	if j.machines, err = tool.Machines(ctx, spec.TLA()); err != nil {
		return nil, err
	}
	j.prover = &prove.Judge{Exporter: j.machines, Solver: solver}
	// What holds of the unchanged module is remembered, and it must hold.
	for _, p := range j.proofs {
		o, err := j.prover.Broken(ctx, j.files, p)
		if err == nil && o != nil {
			err = fmt.Errorf("%s is %s without any change", o, o.Status)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("proof %s: %w", p.ID, err), j.machines.Close())
		}
	}
	return j, nil
}

// load reads the specification's files and finds the target's judges in them. An
// entry of more than largest states is none.
func (j *judge) load(largest int64) error {
	names, err := fs.Glob(spec.TLA(), "*.*")
	if err != nil {
		return err
	}
	for _, n := range names {
		text, err := fs.ReadFile(spec.TLA(), n)
		if err != nil {
			return err
		}
		j.files[n] = &fstest.MapFile{Data: text}
	}
	m, err := tlc.LoadManifest(j.files)
	if err != nil {
		return err
	}
	proofs, err := prove.LoadManifest(j.files)
	if err != nil {
		return err
	}
	for _, id := range j.provedBy {
		i := slices.IndexFunc(proofs, func(p prove.Proof) bool { return p.ID == id })
		if i < 0 {
			return fmt.Errorf("there is no proof %s", id)
		}
		j.proofs = append(j.proofs, proofs[i])
	}
	for _, c := range m.Checks {
		modules, err := tlc.Load(j.files, c.Module)
		if err != nil {
			return err
		}
		if modules.Files[j.module+".tla"] != nil && c.Generated <= largest {
			j.checks = append(j.checks, c)
		}
	}
	return nil
}

// refutedCost is how many states an entry that must find a mistake is taken to
// generate: it ends with the first violation.
const refutedCost = 3000

// order is in which order the entries are asked about a mutant of a definition:
// first those that killed others of it, or of the module, for what they cost.
func (j *judge) order(def string) []tlc.Check {
	cost := func(c tlc.Check) int64 { return cmp.Or(c.Generated, refutedCost) }
	j.mu.Lock()
	defer j.mu.Unlock()
	worth := func(c tlc.Check) float64 {
		return float64(10*j.kills[kill{def, c.ID}]+j.kills[kill{"", c.ID}]) / float64(cost(c))
	}
	return slices.SortedStableFunc(slices.Values(j.checks), func(a, b tlc.Check) int {
		return cmp.Or(cmp.Compare(worth(b), worth(a)), cmp.Compare(cost(a), cost(b)))
	})
}

func (j *judge) killed(def, entry string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kills[kill{def, entry}]++
	j.kills[kill{"", entry}]++
}

// all asks the proofs about every mutant, which is quick, and then TLC about those
// that no property of a proof killed.
func (j *judge) all(ctx context.Context, mutants []Mutant, f flags) ([]Result, error) {
	before, err := known(f)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(mutants))
	for i, m := range mutants {
		results[i] = before[m.ID()]
		results[i].Mutant = m
	}
	stages := []func(context.Context, *Result) error{j.byProofs, j.byChecks}
	if f.proofs {
		stages = stages[:1]
	}
	for _, ask := range stages {
		if err := j.each(ctx, results, f, ask); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// each asks about the mutants whose fate is open, and notes what becomes of them.
func (j *judge) each(ctx context.Context, results []Result, f flags, ask func(context.Context, *Result) error) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(f.parallel)
	for i := range results {
		r := &results[i]
		if r.Fate != "" && r.Fate != Left {
			continue
		}
		g.Go(func() error {
			before := r.Fate
			if err := ask(ctx, r); err != nil || r.Fate == before {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(os.Stderr, "%s:%d %s: %s: %s %s\n", r.Module, r.Line, r.Def, r.Change, r.Fate, r.By)
			return note(f.out, *r)
		})
	}
	return g.Wait()
}

func (j *judge) changed(m Mutant) fs.FS {
	files := maps.Clone(j.files)
	files[m.Module+".tla"] = &fstest.MapFile{Data: []byte(m.Text)}
	return files
}

// byProofs asks one proof after the other, unless they were asked in an earlier run.
func (j *judge) byProofs(ctx context.Context, r *Result) error {
	if r.Fate == Left || len(j.proofs) == 0 {
		return nil
	}
	for _, p := range j.proofs {
		if err := j.prove(ctx, r, j.changed(r.Mutant), p); err != nil || r.Fate != "" {
			return err
		}
	}
	r.Fate = Left
	return nil
}

// byChecks asks one entry after the other, until a property fails.
func (j *judge) byChecks(ctx context.Context, r *Result) error {
	r.Fate = ""
	for _, c := range j.order(r.Def) {
		if err := j.check(ctx, r, j.changed(r.Mutant), c); err != nil || r.Fate == ByProperty || r.Fate == Senseless {
			j.killed(r.Def, c.ID)
			return err
		}
	}
	switch {
	case r.Fate == "" && r.By != "":
		r.Fate = Unproved
	case r.Fate == "":
		r.Fate = Survived
	}
	return nil
}

// prove asks a proof. What its translator does not know is left to TLC.
func (j *judge) prove(ctx context.Context, r *Result, files fs.FS, p prove.Proof) error {
	o, err := j.prover.Broken(ctx, files, p)
	switch unknown := (*prove.Error)(nil); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &unknown):
	case err != nil:
		r.Fate, r.By = Senseless, "SANY"
	case o != nil && o.Status == prove.Failed:
		r.Fate, r.By = ByProperty, fmt.Sprintf("%s proof %s", o, p.ID)
	case o != nil:
		r.By = fmt.Sprintf("%s proof %s", o, p.ID)
	}
	return nil
}

// check runs an entry of the manifest.
func (j *judge) check(ctx context.Context, r *Result, files fs.FS, c tlc.Check) error {
	cfg, err := c.Resolve(files)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	out, err := j.machines.Run(limited, c.Job(files, cfg))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		r.notice("no end: " + c.ID)
	case err != nil:
		r.Fate, r.By = Senseless, strings.Join(strings.Fields(err.Error()), " ")
	case out.Verdict == tlc.Failed && r.Fate == "":
		r.Fate, r.By = Senseless, c.ID
	case out.Verdict == tlc.Failed:
		r.notice("not evaluated: " + c.ID)
	case c.Expect != tlc.OK:
		if out.Verdict != c.Expect || out.Violated != c.Violates {
			r.Fate, r.By = ByProperty, c.Violates+" no longer refutes "+c.ID
		}
	case out.Verdict != tlc.OK:
		r.Fate, r.By = ByProperty, strings.TrimSpace(out.Violated+" "+c.ID)
	case out.Distinct != c.States || c.Generated > 0 && out.Generated != c.Generated:
		r.notice(c.ID)
	}
	return nil
}

// notice takes down what noticed a mutant first without a property.
func (r *Result) notice(by string) {
	if r.Fate == "" {
		r.Fate, r.By = ByCount, by
	}
}
