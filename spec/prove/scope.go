package prove

import (
	"fmt"

	"github.com/kelpie-registry/registry/spec/sany"
)

// state gives the variables their values.
type state map[*sany.Declaration]value

// moment is what an expression is evaluated in: the states that its unprimed
// and its primed variables belong to; next is nil where there is no step.
type moment struct{ now, next state }

// env is what the names in an expression mean.
type env struct {
	names *names
	// with replaces the declarations of the instantiated module whose operators
	// are being evaluated, nil outside of instances.
	with *replaced
	moment
	// bound is set below a quantifier: a new constant here would stand for one
	// value where there is one for each of the quantifier's.
	bound bool
	// swerves is the action that is being evaluated and may swerve, see slack; nil: none.
	swerves *swerving
}

// names is a list of bindings, the innermost first. A key is a *sany.Param, or
// a *sany.Definition of a LET, or at for @.
type names struct {
	outer *names
	key   any
	value any // value, thunk or closure
}

type at struct{}

// thunk is an argument that is evaluated where it is used, in the moment of
// the use: a prime around a parameter is one around its argument.
type thunk struct {
	expr sany.Expr
	env  env
}

// closure is the definition of a LET where it stands.
type closure struct{ env env }

type replaced struct {
	by    map[*sany.Declaration]sany.Expr
	outer env
}

func (v env) bind(key, val any) env {
	v.names = &names{v.names, key, val}
	return v
}

func (v env) lookup(key any) (any, bool) {
	for n := v.names; n != nil; n = n.outer {
		if n.key == key {
			return n.value, true
		}
	}
	return nil, false
}

// in returns the environment in another moment.
func (v env) in(m moment, bound bool) env {
	v.moment = m
	v.bound = v.bound || bound
	return v
}

// Error is what the translator says about a module that it cannot translate.
type Error struct {
	Place   sany.Place
	Problem string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Place, e.Problem) }
