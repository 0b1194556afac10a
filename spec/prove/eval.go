package prove

import (
	"fmt"
	"strconv"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// translator evaluates the expressions of one module symbolically. It is what a
// proof trusts besides SANY and the solver: a formula that it makes must mean
// what the module's text means. It refuses what it does not know, with the
// place; it never guesses.
//
// Three things are weaker than TLA+, each so that what is proven still holds. A
// function outside of its domain, and a CASE without a case that applies, have
// some value instead of none that is known. The size of a set that is not a
// variable with elements added and removed one by one is any natural number.
type translator struct {
	algebra
	module    *sany.Module
	constants map[*sany.Declaration]value
	types     map[*sany.Declaration]declared
	facts     []*smt.Term             // about constants that the translation introduced
	chosen    map[*sany.Builtin]value // by CHOOSE
	depth     int                     // of calls
	place     sany.Place              // of the expression under evaluation
	barren    []sany.Place            // disjuncts of the next-state relation that are no step, whatever the state
	slack     *slack                  // nil: every action does what it says
}

func (t *translator) fail(e sany.Expr, format string, args ...any) {
	panic(&Error{e.At(), fmt.Sprintf(format, args...)})
}

// guarded runs f and returns what it refuses as an error.
func (t *translator) guarded(f func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Error:
			err = p
		case mismatch:
			err = &Error{t.place, fmt.Sprintf("%v and %v do not fit together", p.a, p.b)}
		default:
			panic(p)
		}
	}()
	f()
	return nil
}

func (t *translator) eval(e sany.Expr, v env) value {
	t.place = e.At()
	switch e := e.(type) {
	case *sany.Number:
		n, err := strconv.ParseInt(e.Value, 10, 64)
		if err != nil {
			t.fail(e, "%s is too large", e.Value)
		}
		return scalarValue{t.Number(n)}
	case *sany.String:
		return scalarValue{t.Literal(e.Value)}
	case *sany.At:
		if x, ok := v.lookup(at{}); ok {
			return x.(value)
		}
	case *sany.Let:
		return t.eval(e.Body, t.let(e, v))
	case *sany.Substitution:
		return t.eval(e.Body, t.instance(e, v))
	case *sany.Ref:
		return t.declared(e, v)
	case *sany.ParamRef:
		return t.parameter(e, v)
	case *sany.Call:
		return t.call(e, v)
	case *sany.Builtin:
		if f, ok := builtins[e.Op]; ok {
			return f(t, e, v)
		}
		t.fail(e, "the operator %s is not supported", e.Op)
	}
	t.fail(e, "this is not supported here")
	return nil
}

func (t *translator) let(e *sany.Let, v env) env {
	for _, d := range e.Definitions {
		v = v.bind(d, nil)
	}
	for n, i := v.names, 0; i < len(e.Definitions); n, i = n.outer, i+1 {
		n.value = closure{v} // a definition sees those beside it
	}
	return v
}

// instance enters an instantiated module: nothing around is visible there but
// through the substitution.
func (t *translator) instance(e *sany.Substitution, v env) env {
	inner := v
	inner.with = &replaced{by: e.With, outer: v}
	return inner
}

// declared is the value of a constant or variable.
func (t *translator) declared(e *sany.Ref, v env) value {
	if v.with != nil {
		by, ok := v.with.by[e.To]
		if !ok {
			t.fail(e, "the instance does not say what %s is", e.To.Name)
		}
		return t.eval(by, v.with.outer.in(v.moment, v.bound))
	}
	if !e.To.Variable {
		if c, ok := t.constants[e.To]; ok {
			return c
		}
		t.fail(e, "what kind of value %s has is not declared", e.To.Name)
	}
	x, ok := v.now[e.To]
	if !ok {
		t.fail(e, "the variable %s has no value here", e.To.Name)
	}
	return x
}

func (t *translator) parameter(e *sany.ParamRef, v env) value {
	x, ok := v.lookup(e.To)
	if !ok || len(e.Args) > 0 {
		t.fail(e, "the operator parameter %s is not supported", e.To.Name)
	}
	if th, ok := x.(thunk); ok {
		return t.eval(th.expr, th.env.in(v.moment, v.bound))
	}
	return x.(value)
}

// enter returns the body of a defined operator and the environment for it.
func (t *translator) enter(e *sany.Call, v env) (sany.Expr, env) {
	if e.To.Body == nil {
		t.fail(e, "the operator %s of module %s is not supported", e.To.Name, e.To.Place.Module)
	}
	inner := v
	inner.names = nil
	if c, ok := v.lookup(e.To); ok {
		inner = c.(closure).env.in(v.moment, v.bound)
	}
	if len(e.Args) != len(e.To.Params) {
		t.fail(e, "%s takes %d arguments", e.To.Name, len(e.To.Params))
	}
	for i, p := range e.To.Params {
		if p.Arity > 0 {
			t.fail(e, "%s takes operators as arguments, which is not supported", e.To.Name)
		}
		inner = inner.bind(p, thunk{e.Args[i], v})
	}
	return e.To.Body, t.inside(e.To, inner)
}

func (t *translator) call(e *sany.Call, v env) value {
	if sany.Standard(e.To.Place.Module) {
		f, ok := standard[e.To.Name]
		if !ok {
			t.fail(e, "the operator %s of module %s is not supported", e.To.Name, e.To.Place.Module)
		}
		return f(t, e, v)
	}
	if t.depth++; t.depth > maxDepth {
		t.fail(e, "%s calls itself without an end that is evident", e.To.Name)
	}
	defer func() { t.depth-- }()
	body, inner := t.enter(e, v)
	return t.eval(body, inner)
}

const maxDepth = 200

// Typed evaluation.

func (t *translator) term(e sany.Expr, v env, sort smt.Sort) *smt.Term {
	x, ok := t.eval(e, v).(scalarValue)
	if !ok || x.term.Sort != sort {
		t.fail(e, "this is not of sort %s", sort)
	}
	return x.term
}

func (t *translator) truth(e sany.Expr, v env) *smt.Term { return t.term(e, v, smt.Bool) }

func (t *translator) set(e sany.Expr, v env) *setValue {
	x, ok := t.eval(e, v).(*setValue)
	if !ok {
		t.fail(e, "this is not a set")
	}
	return x
}

func truthValue(x *smt.Term) value { return scalarValue{x} }

// fold combines what body is for the elements of a set.
type fold func(s *setValue, stem string, body func(value) *smt.Term) *smt.Term

// quantify is the truth of e's body for values of all its bound variables.
func (t *translator) quantify(e *sany.Builtin, v env, f fold) *smt.Term {
	return t.quantified(e, v, f, func(v env) *smt.Term { return t.truth(e.Args[0], v) })
}

// quantified calls body with values of all bound variables of e and combines
// with f, from the inside out.
func (t *translator) quantified(e *sany.Builtin, v env, f fold, body func(env) *smt.Term) *smt.Term {
	var rest func(bounds []sany.Bound, i int, v env) *smt.Term
	rest = func(bounds []sany.Bound, i int, v env) *smt.Term {
		if len(bounds) == 0 {
			return body(v)
		}
		b := bounds[0]
		if i == len(b.Params) {
			return rest(bounds[1:], 0, v)
		}
		return f(t.range_(e, b, v), b.Params[i].Name, func(x value) *smt.Term {
			return rest(bounds, i+1, v.bind(b.Params[i], x).in(v.moment, true))
		})
	}
	return rest(e.Bounds, 0, v)
}

// range_ is the set of a bound variable.
func (t *translator) range_(e *sany.Builtin, b sany.Bound, v env) *setValue {
	if b.Set == nil || b.Tuple {
		t.fail(e, "a variable without a set, or a tuple of variables, is not supported")
	}
	return t.set(b.Set, v)
}

// only returns the bound variable of a constructor that has no other, and its
// set.
func (t *translator) only(e *sany.Builtin, v env) (*sany.Param, *setValue, bool) {
	if len(e.Bounds) != 1 || len(e.Bounds[0].Params) != 1 {
		return nil, nil, false
	}
	return e.Bounds[0].Params[0], t.range_(e, e.Bounds[0], v), true
}

// single is only, where more than one is not supported.
func (t *translator) single(e *sany.Builtin, v env) (*sany.Param, *setValue) {
	p, s, ok := t.only(e, v)
	if !ok {
		t.fail(e, "more than one variable is not supported here")
	}
	return p, s
}
