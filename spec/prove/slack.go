package prove

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// A table of steps says all that each step changes and leaves alone, if a step that does
// anything else breaks it. To find that out, each action is made to do one thing else:
// its definition gives one variable the value that it gives it, but for one scalar at one
// point. Both the step and what the table says of that action go by the same definition,
// so that the table cannot call it another step.

// swerve is one thing that an action does otherwise.
type swerve struct {
	action string
	of     *sany.Declaration
	field  string // of a record; "": the value is none
	place  string // of a function: whether the point is one of the action's arguments
	can    bool   // some branch of the action has such a point
}

// The places of a point.
const (
	here      = "here"
	elsewhere = "elsewhere"
)

func (s swerve) String() string {
	name := s.action + "/" + s.of.Name
	if s.field != "" {
		name += "." + s.field
	}
	if s.place != "" {
		name += " " + s.place
	}
	return name
}

// slack makes actions swerve, all in one translation: which of the swerves is taken is
// the value of a constant.
type slack struct {
	actions []string
	chosen  *smt.Term
	swerves []swerve
	values  map[string]spoiled // by action and variable
}

// spoiled is what an action may give a variable besides the right value: the other value
// at a point, which are constants.
type spoiled struct {
	points []value
	other  value
	ids    []int // into swerves
}

func newSlack(g algebra, actions []string) *slack {
	return &slack{actions: actions, chosen: g.Constant("swerve", smt.Int), values: map[string]spoiled{}}
}

// swerving is an action that may swerve, with the arguments that it is evaluated for.
type swerving struct {
	action string
	args   []value
}

// inside returns the environment of a definition that is entered: of an action that may
// swerve, or of a part of one.
func (t *translator) inside(d *sany.Definition, v env) env {
	if t.slack == nil || !slices.Contains(t.slack.actions, d.Name) {
		return v
	}
	w := &swerving{action: d.Name}
	for _, p := range d.Params {
		x, _ := v.lookup(p)
		w.args = append(w.args, t.eval(x.(thunk).expr, x.(thunk).env))
	}
	v.swerves = w
	return v
}

// among is that the points are arguments, each of some one that it can be compared with.
func (t *translator) among(points []value, args []value) *smt.Term {
	all := make([]*smt.Term, len(points))
	for i, p := range points {
		var some []*smt.Term
		for _, a := range args {
			if _, ok := unify(a.shape(), p.shape()); ok {
				some = append(some, t.equal(a, p))
			}
		}
		all[i] = t.Or(some...)
	}
	return t.And(all...)
}

// spoil returns what the action around gives a variable whose right value is x.
func (t *translator) spoil(of *sany.Declaration, x value, v env) value {
	if v.swerves == nil {
		return x
	}
	s := t.spoiled(v.swerves.action, of, x)
	at := t.among(s.points, v.swerves.args)
	return t.elseAt(x, s.points, s.other, func(field string) *smt.Term {
		var some []*smt.Term
		for _, id := range s.ids {
			if what := t.slack.swerves[id]; what.field == field {
				some = append(some, t.And(t.takes(id), what.where(t, at)))
			}
		}
		return t.Or(some...)
	})
}

// where is that the swerve is at its place, if at says whether the points are arguments.
func (s swerve) where(t *translator, at *smt.Term) *smt.Term {
	switch s.place {
	case here:
		return at
	case elsewhere:
		return t.Not(at)
	}
	return t.True
}

// takes is that the swerve is taken.
func (t *translator) takes(id int) *smt.Term { return t.Equal(t.slack.chosen, t.Number(int64(id))) }

func (t *translator) spoiled(action string, of *sany.Declaration, x value) spoiled {
	key := action + "/" + of.Name
	if s, ok := t.slack.values[key]; ok {
		return s
	}
	var s spoiled
	places := []string{""}
	to := x.shape()
	if d, ok := t.types[of]; ok {
		to = d.shape
	}
	for f, ok := to.(funcShape); ok; f, ok = to.(funcShape) {
		p, _ := t.constant(f.from, "point")
		s.points, to, places = append(s.points, p), f.to, []string{here, elsewhere}
	}
	fields := []string{""}
	switch of := to.(type) {
	case recordShape:
		fields = of.names
	case setShape:
		to = of.elem
	}
	s.other, _ = t.constant(to, "other")
	for _, place := range places {
		for _, field := range fields {
			s.ids = append(s.ids, len(t.slack.swerves))
			t.slack.swerves = append(t.slack.swerves, swerve{action: action, of: of, field: field, place: place})
		}
	}
	t.slack.values[key] = s
	return s
}

// elseAt is x but for what is else at the points: fields of a record, or whether the other
// value is an element.
func (t *translator) elseAt(x value, points []value, other value, isElse func(field string) *smt.Term) value {
	switch x := x.(type) {
	case funcValue:
		return funcValue{x.domain, x.to, func(e value) value {
			here := x.at(e)
			return t.choose(t.equal(e, points[0]), t.elseAt(here, points[1:], other, isElse), here)
		}}
	case recordValue:
		fields := make([]value, len(x.fields))
		for i, f := range other.(recordValue).fields {
			fields[i] = t.choose(isElse(x.names[i]), f, x.fields[i])
		}
		return recordValue{x.names, fields}
	case *setValue:
		single := t.enumeration([]value{other})
		return t.choose(isElse(""), t.choose(x.has(other), t.union(x, single, true), t.union(x, single, false)), x)
	}
	return t.choose(isElse(""), other, x)
}

// differs says of the swerves of a step that takes place that each does something else, and
// where: what is bound over a function's domain may be a point of it.
func (t *translator) differs(of *sany.Declaration, x value, v env, args []argument) (conds []*smt.Term) {
	if v.swerves == nil {
		return nil
	}
	s := t.spoiled(v.swerves.action, of, x)
	right, bound := x, t.True
	for _, p := range s.points {
		f := right.(funcValue)
		var some []*smt.Term
		for _, a := range args {
			if t.same(a.of, f.domain) {
				some = append(some, t.equal(a.value, p))
			} else if _, ok := unify(a.of.elem, p.shape()); ok {
				conds = append(conds, t.Not(t.has(a.of, p))) // an actor that is no node
			}
		}
		bound = t.And(bound, t.Or(some...))
		conds = append(conds, t.has(f.domain, p))
		right = f.at(p)
	}
	at := t.among(s.points, v.swerves.args)
	for _, id := range s.ids {
		what := t.slack.swerves[id]
		t.slack.swerves[id].can = what.can || what.where(t, bound) != t.False
		differs := t.True
		if _, set := right.(*setValue); !set {
			only := t.elseAt(right, nil, s.other, func(field string) *smt.Term {
				if field == what.field {
					return t.True
				}
				return t.False
			})
			differs = t.Not(t.equal(only, right))
		}
		conds = append(conds, t.Implies(t.takes(id), t.And(differs, what.where(t, bound), what.where(t, at))))
	}
	return conds
}

// loose returns what the proof's tables do not notice and nothing calls loose, and what is
// called so and is noticed, or no swerve.
func loose(ctx context.Context, opts Options, m *sany.Module, p Proof, actions []string) (problems []string, err error) {
	if len(p.Tables) == 0 {
		return nil, nil
	}
	told := slices.DeleteFunc(slices.Clone(actions), func(a string) bool {
		return !slices.ContainsFunc(p.Tables, func(table string) bool { return speaksOf(m.Definitions[table].Body, a) })
	})
	swerves := make([][]swerve, opts.Workers)
	group, ctx := errgroup.WithContext(ctx)
	for i := range swerves {
		var some []string
		for k := i; k < len(told); k += opts.Workers {
			some = append(some, told[k])
		}
		group.Go(func() (err error) {
			swerves[i], err = unnoticed(ctx, opts, m, p, some)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return slices.Contains(told, a) })
	for _, s := range slices.Concat(swerves...) {
		names = append(names, s.String())
	}
	for _, name := range names {
		if strings.TrimSpace(p.Loose[name]) == "" {
			problems = append(problems, fmt.Sprintf("no table notices what else a step does: %s", name))
		}
	}
	for name := range p.Loose {
		if !slices.Contains(names, name) {
			problems = append(problems, fmt.Sprintf("%s is called loose, and is none", name))
		}
	}
	slices.Sort(problems)
	return problems, nil
}

// unnoticed returns the swerves that no table notices with small sets.
func unnoticed(ctx context.Context, opts Options, m *sany.Module, p Proof, actions []string) ([]swerve, error) {
	if len(actions) == 0 {
		return nil, nil
	}
	s, err := opts.Solver.Start(ctx, opts.Limit, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	noticed := map[string]bool{}
	var left []swerve
	for scope := 2; scope <= maxScope; scope++ { // there has to be an elsewhere
		g, err := newTheory(m, p, variation{swerves: actions}, scope)
		if err != nil {
			return nil, err
		}
		if err := notice(s, g, noticed); err != nil {
			return nil, err
		}
		left = slices.DeleteFunc(g.slack.swerves, func(s swerve) bool { return !s.can || noticed[s.String()] })
		if len(left) == 0 {
			break
		}
	}
	return left, nil
}

// notice adds the swerves of which a step of the theory breaks a property.
func notice(s *smt.Session, g *theory, noticed map[string]bool) error {
	jobs, err := g.jobs()
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if err := j.notice(s, noticed); err != nil {
			return fmt.Errorf("%s: %w", j.action, err)
		}
	}
	return nil
}

func (j *job) notice(s *smt.Session, noticed map[string]bool) error {
	g := j.theory
	open := func(s swerve) bool { return s.action == j.action && s.can && !noticed[s.String()] }
	if !slices.ContainsFunc(g.slack.swerves, open) {
		return nil
	}
	var broken []*smt.Term
	for _, f := range j.goals {
		if !slices.Contains(g.proof.Tables, f.name) || !speaksOf(f.expr, j.action) {
			continue
		}
		var ways []breach
		if err := g.guarded(func() { ways = g.breaches(f.expr, f.env, breach{}) }); err != nil {
			return err
		}
		for _, w := range ways {
			broken = append(broken, g.And(w.conds...))
		}
	}
	if len(broken) == 0 {
		return nil
	}
	if err := (&hunt{}).open(s, j); err != nil {
		return err
	}
	if err := s.Assert(g.Or(broken...)); err != nil {
		return err
	}
	for id, what := range g.slack.swerves {
		if !open(what) {
			continue
		}
		if err := s.Push(); err != nil {
			return err
		}
		if err := s.Assert(g.takes(id)); err != nil {
			return err
		}
		v, err := s.Check()
		if err != nil {
			return err
		}
		noticed[what.String()] = v == smt.Sat
		if err := s.Pop(); err != nil {
			return err
		}
	}
	return s.Pop()
}

// speaksOf reports whether an expression calls the action.
func speaksOf(e sany.Expr, action string) (found bool) {
	calls(e, map[*sany.Definition]bool{}, func(c *sany.Call) { found = found || c.To.Name == action })
	return found
}
