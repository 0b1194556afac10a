package prove

import (
	"maps"
	"slices"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// branch is one way to take a step: an action with its arguments as constants,
// the conditions under which it can be taken, and the state after.
type branch struct {
	action string // the definition whose step it is
	args   []argument
	conds  []*smt.Term
	next   state
}

// argument is a variable that an existential quantifier around the action bound.
type argument struct {
	name  string
	value value
	of    *setValue // the quantifier's set
}

// branches takes an action apart: one branch for each disjunct and each arm of
// an IF or CASE that decides what changes. Every branch gives each variable a
// value of its shape.
func (t *translator) branches(e sany.Expr, now state) (out []branch, err error) {
	err = t.guarded(func() {
		out = t.act(e, env{}, branch{next: state{}}, stepper{now: now, naming: true})
		for _, b := range out {
			t.complete(e, b)
		}
	})
	return out, err
}

// initial does the same for an initial predicate.
func (t *translator) initial(e sany.Expr) (out []branch, err error) {
	err = t.guarded(func() {
		out = t.act(e, env{}, branch{next: state{}}, stepper{initial: true})
		for _, b := range out {
			t.complete(e, b)
		}
	})
	return out, err
}

func (t *translator) complete(e sany.Expr, b branch) {
	for _, v := range t.module.Variables {
		if _, ok := b.next[v]; !ok {
			t.fail(e, "%s does not say what %s becomes", b.action, v.Name)
		}
	}
}

// stepper is what act carries besides the environment.
type stepper struct {
	now     state
	initial bool // the variables that are given values are unprimed ones
	naming  bool // a definition that is entered names the action
}

// moment is what an expression is evaluated in when some variables have their
// next values.
func (s stepper) moment(b branch) moment {
	if s.initial {
		return moment{now: b.next}
	}
	return moment{now: s.now, next: b.next}
}

func (t *translator) act(e sany.Expr, v env, b branch, s stepper) []branch {
	t.place = e.At()
	switch x := e.(type) {
	case *sany.Let:
		return t.act(x.Body, t.let(x, v), b, s)
	case *sany.Substitution:
		return t.act(x.Body, t.instance(x, v), b, s)
	case *sany.Call:
		if isAction(x, s.initial) && !sany.Standard(x.To.Place.Module) {
			if s.naming {
				b.action = x.To.Name
			}
			body, inner := t.enter(x, v)
			return t.act(body, inner, b, s)
		}
	case *sany.Builtin:
		if out, ok := t.actBuiltin(x, v, b, s); ok {
			return out
		}
	}
	return t.require(t.truth(e, v.in(s.moment(b), false)), b)
}

// require adds a condition; a branch whose condition is false is none.
func (t *translator) require(c *smt.Term, b branch) []branch {
	if c == t.False {
		return nil
	}
	b.conds = append(slices.Clip(b.conds), c)
	return []branch{b}
}

func (t *translator) actBuiltin(e *sany.Builtin, v env, b branch, s stepper) ([]branch, bool) {
	switch e.Op {
	case "=", "\\in":
		if target := s.target(e.Args[0]); target != nil && v.with == nil {
			return t.assign(e, target, v, b, s)
		}
	case "UNCHANGED":
		s.naming = false
		return t.unchanged(e.Args[0], v, b, s), true
	case "\\land", "$ConjList":
		s.naming = s.naming && b.action == ""
		out := []branch{b}
		for _, a := range e.Args {
			var next []branch
			for _, x := range out {
				next = append(next, t.act(a, v, x, s)...)
			}
			s.naming = s.naming && !isAction(a, s.initial)
			out = next
		}
		return out, true
	}
	if !isAction(e, s.initial) {
		return nil, false
	}
	switch e.Op {
	case "\\lor", "$DisjList":
		var out []branch
		for _, a := range e.Args {
			some := t.act(a, v, b, s)
			if len(some) == 0 && s.naming {
				t.barren = append(t.barren, a.At())
			}
			out = append(out, some...)
		}
		return out, true
	case "$BoundedExists":
		return t.exist(e, v, b, s), true
	case "$IfThenElse":
		c := t.truth(e.Args[0], v.in(s.moment(b), false))
		return append(t.when(c, e.Args[1], v, b, s), t.when(t.Not(c), e.Args[2], v, b, s)...), true
	case "$Case":
		return t.actCases(e, v, b, s), true
	}
	return nil, false
}

func (t *translator) when(c *smt.Term, e sany.Expr, v env, b branch, s stepper) (out []branch) {
	s.naming = false
	for _, x := range t.require(c, b) {
		out = append(out, t.act(e, v, x, s)...)
	}
	return out
}

func (t *translator) actCases(e *sany.Builtin, v env, b branch, s stepper) (out []branch) {
	before := t.True
	for _, a := range e.Args {
		arm := a.(*sany.Builtin)
		c := t.True
		if _, other := arm.Args[0].(*sany.Other); !other {
			c = t.truth(arm.Args[0], v.in(s.moment(b), false))
		}
		out = append(out, t.when(t.And(before, c), arm.Args[1], v, b, s)...)
		before = t.And(before, t.Not(c))
	}
	return out
}

// exist turns the bound variables into arguments of the branch.
func (t *translator) exist(e *sany.Builtin, v env, b branch, s stepper) []branch {
	for _, bound := range e.Bounds {
		set := t.range_(e, bound, v.in(s.moment(b), false))
		for _, p := range bound.Params {
			x, _ := t.constant(set.elem, p.Name)
			b.args = append(slices.Clip(b.args), argument{p.Name, x, set})
			kept := t.require(set.has(x), b)
			if len(kept) == 0 {
				return nil
			}
			b, v = kept[0], v.bind(p, x)
		}
	}
	return t.act(e.Args[0], v, b, s)
}

// target is the variable that x = e or x' = e gives a value to, nil if e.Args[0]
// is none.
func (s stepper) target(e sany.Expr) *sany.Declaration {
	if b, ok := e.(*sany.Builtin); ok && b.Op == "'" && !s.initial {
		e = b.Args[0]
	} else if !s.initial {
		return nil
	}
	if r, ok := e.(*sany.Ref); ok && r.To.Variable {
		return r.To
	}
	return nil
}

// assign gives a variable its next value. The second time it is a condition.
func (t *translator) assign(e *sany.Builtin, target *sany.Declaration, v env, b branch, s stepper) ([]branch, bool) {
	if _, twice := b.next[target]; twice {
		return nil, false
	}
	x := t.eval(e.Args[1], v.in(s.moment(b), false))
	if e.Op == "\\in" {
		set, ok := x.(*setValue)
		if !ok {
			t.fail(e, "this is not a set")
		}
		d := declared{domains: map[string]*setValue{}}
		name := t.Fresh(target.Name)
		d.collect(set, name)
		x = t.symbol(set.elem, name, d.domain)
		kept := t.require(t.has(set, x), b)
		if len(kept) == 0 {
			return nil, true
		}
		b = kept[0]
	}
	t.fits(e, target, x)
	return t.becomes(target, x, v, b), true
}

// fits refuses a value that does not have the variable's shape, or a function
// whose domain is not evidently the variable's. A variable without a type may
// be given anything; nobody can read it.
func (t *translator) fits(e sany.Expr, v *sany.Declaration, x value) {
	d, ok := t.types[v]
	if !ok {
		return
	}
	if _, ok := unify(d.shape, x.shape()); !ok {
		t.fail(e, "%s is %v, and this is %v", v.Name, d.shape, x.shape())
	}
	t.sameDomains(e, x, d, v.Name)
}

func (t *translator) sameDomains(e sany.Expr, x value, d declared, path string) {
	switch x := x.(type) {
	case funcValue:
		if want := d.domains[path]; want == nil || !t.same(x.domain, want) {
			t.fail(e, "the domain of %s is not evidently the one in its type", path)
		}
		generic, _ := t.constant(x.domain.elem, "x")
		t.sameDomains(e, x.at(generic), d, path+"[]")
	case recordValue:
		for i, f := range x.fields {
			t.sameDomains(e, f, d, path+"."+x.names[i])
		}
	}
}

// unchanged keeps variables: a tuple of them, or definitions that name such.
func (t *translator) unchanged(e sany.Expr, v env, b branch, s stepper) []branch {
	switch x := e.(type) {
	case *sany.Builtin:
		if x.Op == "$Tuple" {
			out := []branch{b}
			for _, a := range x.Args {
				if len(out) == 1 {
					out = t.unchanged(a, v, out[0], s)
				}
			}
			return out
		}
	case *sany.Call:
		if x.To.Body != nil && len(x.To.Params) == 0 {
			return t.unchanged(x.To.Body, v, b, s)
		}
	case *sany.Ref:
		if _, twice := b.next[x.To]; x.To.Variable && !twice && v.with == nil {
			return t.becomes(x.To, s.now[x.To], v, b)
		}
	}
	return t.require(t.unchangedIn(e, v.in(s.moment(b), false)), b)
}

// becomes gives a variable its next value, or lets the action swerve.
func (t *translator) becomes(target *sany.Declaration, x value, v env, b branch) []branch {
	b.conds = append(slices.Clip(b.conds), t.differs(target, x, v, b.args)...)
	b.next = maps.Clone(b.next)
	b.next[target] = t.spoil(target, x, v)
	return []branch{b}
}

// unchangedIn is the truth of UNCHANGED e.
func (t *translator) unchangedIn(e sany.Expr, v env) *smt.Term {
	switch x := e.(type) {
	case *sany.Builtin:
		if x.Op == "$Tuple" {
			parts := make([]*smt.Term, len(x.Args))
			for i, a := range x.Args {
				parts[i] = t.unchangedIn(a, v)
			}
			return t.And(parts...)
		}
	case *sany.Call:
		if x.To.Body != nil && len(x.To.Params) == 0 {
			return t.unchangedIn(x.To.Body, v)
		}
	case *sany.Ref:
		if x.To.Variable && v.with == nil {
			return t.equal(v.next[x.To], t.spoil(x.To, v.now[x.To], v))
		}
	}
	return t.equal(t.eval(e, v.in(moment{now: v.next}, false)), t.eval(e, v))
}

// isAction reports whether an expression speaks about the next state, or in an
// initial predicate about the state.
func isAction(e sany.Expr, initial bool) bool {
	switch x := e.(type) {
	case *sany.Ref:
		return initial && x.To.Variable
	case *sany.Let:
		return isAction(x.Body, initial) || slices.ContainsFunc(x.Definitions, func(d *sany.Definition) bool { return isAction(d.Body, initial) })
	case *sany.Substitution:
		return isAction(x.Body, initial)
	case *sany.Call:
		level := sany.Action
		if initial {
			level = sany.State
		}
		return x.To.Level >= level || anyAction(x.Args, initial)
	case *sany.ParamRef:
		return anyAction(x.Args, initial)
	case *sany.Builtin:
		if !initial && (x.Op == "'" || x.Op == "UNCHANGED") {
			return true
		}
		for _, b := range x.Bounds {
			if b.Set != nil && isAction(b.Set, initial) {
				return true
			}
		}
		return anyAction(x.Args, initial)
	}
	return false
}

func anyAction(exprs []sany.Expr, initial bool) bool {
	return slices.ContainsFunc(exprs, func(e sany.Expr) bool { return isAction(e, initial) })
}
