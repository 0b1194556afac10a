package prove

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// Options of [Run].
type Options struct {
	Solver  smt.Solver
	Second  *smt.Solver       // asked for every obligation as well; may be nil
	Limit   time.Duration     // of one question; 0 means five minutes, so that a busy machine proves as much as an idle one
	Workers int               // solver processes at the same time; 0 means 2
	Select  func(Proof) bool  // nil means all
	Needs   bool              // find out, for each conjunct, everything that fails without it
	Done    func(ProofResult) // called after each proof; may be nil
}

// Status is what became of an obligation.
type Status string

// The statuses.
const (
	Proved  Status = "proved"  // the solver finds that there is no countermodel
	Failed  Status = "failed"  // there is one
	Unknown Status = "unknown" // the solver does not know: not proved
)

// Obligation is one question to the solver.
type Obligation struct {
	Action   string // "Init"; the action; "" for what the invariant implies by itself
	Property string // the property, or the conjunct of the invariant
	Status   Status
	Second   Status        // the second solver's word; "" when it was not asked
	Time     time.Duration // of the first solver
	Step     *Step         // the countermodel of a failed one
}

func (o Obligation) String() string {
	if o.Action == "" {
		return o.Property
	}
	return o.Action + ": " + o.Property
}

// FailureResult is what became of a required failure.
type FailureResult struct {
	Failure Failure
	Step    *Step // nil when there was none with small sets: it did not fail
}

// ProofResult is what became of a proof.
type ProofResult struct {
	Proof       Proof
	Obligations []Obligation
	Dead        []string // actions that no step with small sets was found for
	Failures    []FailureResult
	Needs       []Need   // of every conjunct, when [Options].Needs asks for them
	Problems    []string // what else is wrong with the entry
	Time        time.Duration
}

// OK reports whether everything is proved, and everything that must fail fails.
func (r ProofResult) OK() bool {
	return len(r.Problems) == 0 && len(r.Dead) == 0 &&
		!slices.ContainsFunc(r.Obligations, func(o Obligation) bool { return o.Status != Proved || o.Second == Failed }) &&
		!slices.ContainsFunc(r.Failures, func(f FailureResult) bool { return f.Step == nil })
}

// ErrNotProved says that a proof was run and is not as its entry says. Match
// with [errors.Is]; the results tell what.
var ErrNotProved = errors.New("not everything is proved, or not everything fails that must")

// Run carries out the proofs of a specification folder. It returns
// [ErrNotProved], beside the results, when something is not as the manifest
// says; an [*Error] for a module that the translator refuses; and what
// [sany.Load] and the solver's process say when they cannot be run.
func Run(ctx context.Context, fsys fs.FS, opts Options) ([]ProofResult, error) {
	proofs, err := LoadManifest(fsys)
	if err != nil {
		return nil, err
	}
	tool, err := tlc.Find(ctx)
	if err != nil {
		return nil, err
	}
	machines, err := tool.Machines(ctx, fsys)
	if err != nil {
		return nil, err
	}
	defer machines.Close()
	if opts.Limit == 0 {
		opts.Limit = 5 * time.Minute
	}
	if opts.Workers == 0 {
		opts.Workers = 2
	}
	var results []ProofResult
	ok := true
	for _, p := range proofs {
		if opts.Select != nil && !opts.Select(p) {
			continue
		}
		r, err := runProof(ctx, fsys, machines, p, opts)
		if err != nil {
			err = fmt.Errorf("proof %s: %w", p.ID, err)
			if !ok {
				err = errors.Join(ErrNotProved, err)
			}
			return results, err
		}
		results = append(results, r)
		ok = ok && r.OK()
		if opts.Done != nil {
			opts.Done(r)
		}
	}
	if !ok {
		return results, ErrNotProved
	}
	return results, nil
}

func runProof(ctx context.Context, fsys fs.FS, exporter sany.Exporter, p Proof, opts Options) (ProofResult, error) {
	start := time.Now()
	m, err := sany.Load(ctx, exporter, fsys, p.Module)
	if err != nil {
		return ProofResult{}, err
	}
	for name, by := range p.Replace {
		if err := m.Replace(name, by); err != nil {
			return ProofResult{}, err
		}
	}
	r := ProofResult{Proof: p}
	g, err := newTheory(m, p, variation{}, 0)
	if err != nil {
		return r, err
	}
	jobs, err := g.jobs()
	if err != nil {
		return r, err
	}
	if err := ask(ctx, opts, jobs); err != nil {
		return r, err
	}
	r.collect(jobs)
	r.Problems = audit(g)
	free, err := loose(ctx, opts, m, p, slices.DeleteFunc(r.actions(), func(a string) bool { return a == "" || a == "Init" }))
	if err != nil {
		return r, err
	}
	r.Problems = append(r.Problems, free...)
	if opts.Needs {
		r.Needs, err = needs(ctx, opts, m, g)
	} else {
		err = r.seek(ctx, opts, m)
	}
	r.Time = time.Since(start)
	return r, err
}

// seek looks for what must be there: a step of each action, a countermodel of
// each required failure, and for the reader one of what was not proved.
func (r *ProofResult) seek(ctx context.Context, opts Options, m *sany.Module) error {
	var hunts []*hunt
	add := func(h *hunt) *hunt {
		hunts = append(hunts, h)
		return h
	}
	var possible, unproved, failures []*hunt
	for _, a := range r.actions() {
		if a != "" {
			possible = append(possible, add(&hunt{action: a}))
		}
	}
	for _, o := range r.Obligations {
		if o.Status != Proved {
			unproved = append(unproved, add(&hunt{action: o.Action, breaks: o.Property}))
		}
	}
	for _, f := range r.Proof.Failures {
		change := variation{drop: f.Drop, bug: f.Bug, without: f.Without, assume: f.Instead}
		failures = append(failures, add(&hunt{action: f.Action, breaks: f.Breaks, change: change}))
	}
	if err := seek(ctx, opts, m, r.Proof, hunts); err != nil {
		return err
	}
	for _, h := range possible {
		if !h.found {
			r.Dead = append(r.Dead, h.action)
		}
	}
	for i := range r.Obligations {
		if o := &r.Obligations[i]; o.Status != Proved {
			if o.Step = unproved[0].step; o.Step != nil {
				o.Status = Failed
			}
			unproved = unproved[1:]
		}
	}
	for i, f := range r.Proof.Failures {
		r.Failures = append(r.Failures, FailureResult{f, failures[i].step})
	}
	return nil
}

// job is one branch of an action with everything that must hold after it. The
// initial states are one, and what the invariant implies by itself is another.
type job struct {
	theory *theory
	action string
	branch branch // no next state for what the invariant implies
	assume []formula
	goals  []formula // the redundant ones last

	results []Obligation
}

// jobs lists what is to be shown.
func (g *theory) jobs() ([]*job, error) {
	states, steps, err := g.properties()
	if err != nil {
		return nil, err
	}
	var out []*job
	for _, b := range g.init {
		goals, err := g.after(b.next)
		if err != nil {
			return nil, err
		}
		out = append(out, &job{theory: g, action: "Init", branch: b, goals: goals})
	}
	if len(states) > 0 {
		out = append(out, &job{theory: g, assume: g.invariant, goals: states})
	}
	for _, b := range g.steps {
		goals, err := g.after(b.next)
		if err != nil {
			return nil, err
		}
		properties, err := steps(b.next)
		if err != nil {
			return nil, err
		}
		out = append(out, &job{theory: g, action: b.action, branch: b, assume: g.invariant, goals: append(properties, goals...)})
	}
	for _, j := range out {
		slices.SortStableFunc(j.goals, func(a, b formula) int { return cmp.Compare(rank(a), rank(b)) })
	}
	return out, nil
}

// rank sorts the redundant behind the others.
func rank(f formula) int {
	if f.redundant {
		return 1
	}
	return 0
}

// collect merges the branches of an action: it is proved when each is.
func (r *ProofResult) collect(jobs []*job) {
	index := map[string]int{}
	for _, j := range jobs {
		for _, o := range j.results {
			i, seen := index[o.String()]
			if !seen {
				index[o.String()] = len(r.Obligations)
				r.Obligations = append(r.Obligations, o)
				continue
			}
			r.Obligations[i] = merge(r.Obligations[i], o)
		}
	}
}

func merge(a, b Obligation) Obligation {
	worst := a
	if a.Status == Proved || a.Status == Unknown && b.Status == Failed {
		worst = b
	}
	worst.Time = a.Time + b.Time
	if a.Second != Proved && a.Second != "" {
		worst.Second = a.Second
	}
	return worst
}

// ask answers all jobs.
func ask(ctx context.Context, opts Options, jobs []*job) error {
	first := opts
	first.Limit = min(opts.Limit, firstLimit)
	if err := askOne(ctx, first, opts.Solver, jobs, (*job).ask); err != nil {
		return err
	}
	open := slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return !slices.ContainsFunc(j.results, unknown) })
	if len(open) > 0 {
		if err := askOne(ctx, opts, opts.Solver, open, (*job).askAgain); err != nil {
			return err
		}
	}
	if opts.Second == nil {
		return nil
	}
	opts.Limit = min(opts.Limit, secondLimit)
	return askOne(ctx, opts, *opts.Second, jobs, (*job).askSecond)
}

// firstLimit bounds a question that is asked for the first time. What can be proved takes a
// small part of it, but for once in a while, when a solver that has been asked much else
// before finds no end: a new one is asked then, for as long as [Options] allow.
const firstLimit = 20 * time.Second

func unknown(o Obligation) bool { return o.Status == Unknown }

// secondLimit bounds a question to the second solver: an opinion that is not had
// soon is none, and is counted so.
const secondLimit = time.Second / 2

func askOne(ctx context.Context, opts Options, solver smt.Solver, jobs []*job, f func(*job, *smt.Session) error) error {
	queue := make(chan *job, len(jobs))
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	g, ctx := errgroup.WithContext(ctx)
	for range opts.Workers {
		g.Go(func() error {
			s, err := solver.Start(ctx, opts.Limit, nil)
			if err != nil {
				return err
			}
			defer s.Close()
			for j := range queue {
				if err := f(j, s); err != nil {
					if ctx.Err() != nil {
						return ctx.Err()
					}
					return fmt.Errorf("%s: %w", j.action, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// open pushes a level and asserts what the job assumes, but for the redundant
// conjuncts of the invariant.
func (j *job) open(s *smt.Session) error {
	if err := s.Push(); err != nil {
		return err
	}
	for _, list := range [][]*smt.Term{j.theory.assumed, j.theory.facts, j.branch.conds, j.assumed(false)} {
		if err := s.Assert(list...); err != nil {
			return err
		}
	}
	return nil
}

// assumed lists the needed, or the redundant, conjuncts that are assumed.
func (j *job) assumed(redundant bool) (out []*smt.Term) {
	for _, f := range j.assume {
		if f.redundant == redundant {
			out = append(out, f.term)
		}
	}
	return out
}

// each asks about every goal. What the proof calls redundant is assumed for the
// conjuncts that are redundant themselves, and for nothing else.
func (j *job) each(s *smt.Session, ask func(f formula) error) error {
	weak := true
	for _, f := range j.goals {
		if weak && f.redundant {
			weak = false
			if err := s.Assert(j.assumed(true)...); err != nil {
				return err
			}
		}
		if err := ask(f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func (j *job) ask(s *smt.Session) error {
	if err := j.open(s); err != nil {
		return err
	}
	if err := j.each(s, func(f formula) error {
		start := time.Now()
		v, err := j.denied(s, f)
		j.results = append(j.results, Obligation{Action: j.action, Property: f.name, Status: statusOf(v), Time: time.Since(start)})
		return err
	}); err != nil {
		return err
	}
	return s.Pop()
}

// askAgain asks what is not known, of another process.
func (j *job) askAgain(s *smt.Session) error {
	if err := j.open(s); err != nil {
		return err
	}
	i := 0
	if err := j.each(s, func(f formula) error {
		o := &j.results[i]
		i++
		if o.Status != Unknown {
			return nil
		}
		start := time.Now()
		v, err := j.denied(s, f)
		o.Status, o.Time = statusOf(v), o.Time+time.Since(start)
		return err
	}); err != nil {
		return err
	}
	return s.Pop()
}

func (j *job) askSecond(s *smt.Session) error {
	if err := j.open(s); err != nil {
		return err
	}
	i := 0
	if err := j.each(s, func(f formula) error {
		v, err := j.denied(s, f)
		j.results[i].Second = statusOf(v)
		i++
		return err
	}); err != nil {
		return err
	}
	return s.Pop()
}

// denied asks whether a goal can be false.
func (j *job) denied(s *smt.Session, f formula) (smt.Verdict, error) {
	if err := s.Push(); err != nil {
		return "", err
	}
	if err := s.Assert(j.theory.Not(f.term)); err != nil {
		return "", err
	}
	v, err := s.Check()
	if err != nil {
		return "", err
	}
	return v, s.Pop()
}

func statusOf(v smt.Verdict) Status {
	switch v {
	case smt.Unsat:
		return Proved
	case smt.Sat:
		return Failed
	default:
		return Unknown
	}
}

// audit says what is wrong between an entry and its module: each conjunct of a
// guard and of the invariant must have a failure, or a reason for having none.
func audit(g *theory) (problems []string) {
	if len(g.init) == 0 {
		problems = append(problems, "there is no initial state, so that nothing is shown of any")
	}
	for _, place := range g.barren {
		problems = append(problems, fmt.Sprintf("%s is no step, so that nothing is shown of it", place))
	}
	named := map[string]bool{}
	for _, f := range g.proof.Failures {
		named[f.Drop], named[f.Bug], named[f.Without] = true, true, true
	}
	for name, why := range g.proof.Redundant {
		if named[name] || strings.TrimSpace(why) == "" {
			problems = append(problems, fmt.Sprintf("%s is called redundant, without a reason or beside a failure", name))
		}
		named[name] = true
	}
	if g.proof.Like != "" {
		return problems // the other entry shows what is needed
	}
	for _, f := range g.invariant {
		if !named[f.name] {
			problems = append(problems, fmt.Sprintf("no failure shows that the invariant needs %s", f.name))
		}
	}
	for _, name := range literalsOf(g.module, "Guard") {
		if !named[name] {
			problems = append(problems, fmt.Sprintf("no failure shows that the guard's conjunct %s is needed", name))
		}
	}
	for _, name := range literalsOf(g.module, "Bug") {
		if !named[name] {
			problems = append(problems, fmt.Sprintf("no failure shows what the variant %s breaks", name))
		}
	}
	return problems
}

// literalsOf lists the literals that op, which is Guard or Bug, is applied to first:
// the conjuncts that a module makes droppable, or its variants.
func literalsOf(m *sany.Module, op string) (names []string) {
	seen := map[*sany.Definition]bool{}
	for _, d := range m.Definitions {
		if !seen[d] && d.Body != nil {
			seen[d] = true
			calls(d.Body, seen, func(x *sany.Call) {
				if name, ok := firstLiteral(x, op); ok && !slices.Contains(names, name) {
					names = append(names, name)
				}
			})
		}
	}
	slices.Sort(names)
	return names
}

// calls calls each with what is called in an expression and in the definitions that it
// calls, each definition once. An instance is another module's: it has its own Dropped.
func calls(e sany.Expr, seen map[*sany.Definition]bool, each func(*sany.Call)) {
	inside := func(d *sany.Definition) {
		if d.Body != nil && !seen[d] {
			seen[d] = true
			calls(d.Body, seen, each)
		}
	}
	var parts []sany.Expr
	switch x := e.(type) {
	case *sany.Call:
		each(x)
		inside(x.To)
		parts = x.Args
	case *sany.Let:
		for _, d := range x.Definitions {
			inside(d)
		}
		parts = []sany.Expr{x.Body}
	case *sany.Builtin:
		for _, b := range x.Bounds {
			if b.Set != nil {
				parts = append(parts, b.Set)
			}
		}
		parts = append(parts, x.Args...)
	}
	for _, p := range parts {
		calls(p, seen, each)
	}
}

func firstLiteral(c *sany.Call, op string) (string, bool) {
	if c.To.Name != op || len(c.Args) == 0 {
		return "", false
	}
	s, ok := c.Args[0].(*sany.String)
	if !ok {
		return "", false
	}
	return s.Value, true
}
