package sany

import "fmt"

// Place is where something stands in a module.
type Place struct {
	Module       string
	Line, Column int
	LastLine     int
}

func (p Place) String() string {
	return fmt.Sprintf("%s.tla:%d:%d", p.Module, p.Line, p.Column)
}

// Module is a root module with everything that it extends and instantiates.
type Module struct {
	Name        string
	Constants   []*Declaration // in the order of their places
	Variables   []*Declaration
	Assumptions []Assumption
	Definitions map[string]*Definition // of the root module and those it extends, by name
}

// Replace puts the definition by into the place of name, as name <- by in a
// configuration does, wherever name is used.
func (m *Module) Replace(name, by string) error {
	old, new := m.Definitions[name], m.Definitions[by]
	if old == nil || new == nil {
		return fmt.Errorf("module %s: %s <- %s: both must be defined", m.Name, name, by)
	}
	if len(old.Params) != len(new.Params) {
		return fmt.Errorf("module %s: %s <- %s: they have %d and %d parameters", m.Name, name, by, len(old.Params), len(new.Params))
	}
	old.Params, old.Body, old.Level = new.Params, new.Body, new.Level
	return nil
}

// Declaration is a CONSTANT or a VARIABLE.
type Declaration struct {
	Name     string
	Place    Place
	Variable bool
}

// Assumption is an ASSUME, with its name if it has one.
type Assumption struct {
	Name string
	Body Expr
}

// Definition is an operator definition, top-level, of a LET, or of the standard
// modules.
type Definition struct {
	Name   string // "R!Live" for one of an instance
	Place  Place
	Level  Level
	Params []*Param
	Body   Expr // nil for a parameter of an operator that takes operators
}

// Level is the level of an expression as SANY computes it.
type Level int

// The levels.
const (
	Constant Level = iota
	State
	Action
	Temporal
)

// Param is a parameter of a definition, or the variable of a quantifier, set
// constructor or function constructor.
type Param struct {
	Name  string
	Arity int
}

// Expr is an expression. Its dynamic type is one of the types below.
type Expr interface{ At() Place }

// At returns the place; embedded in each expression.
func (p Place) At() Place { return p }

type (
	// Number is a numeral.
	Number struct {
		Place
		Value string
	}
	// String is a string literal. The name of a record's field is one too.
	String struct {
		Place
		Value string
	}
	// At is the @ of an EXCEPT.
	At struct{ Place }
	// Other is the OTHER of a CASE.
	Other struct{ Place }
	// Let is LET ... IN Body.
	Let struct {
		Place
		Definitions []*Definition
		Body        Expr
	}
	// Substitution is the body of an operator of an instance: Body with the
	// instantiated module's declarations replaced.
	Substitution struct {
		Place
		With map[*Declaration]Expr
		Body Expr
	}
	// Ref refers to a declaration.
	Ref struct {
		Place
		To *Declaration
	}
	// ParamRef refers to a parameter or a bound variable, with arguments when the
	// parameter is an operator.
	ParamRef struct {
		Place
		To   *Param
		Args []Expr
	}
	// Call applies a defined operator.
	Call struct {
		Place
		To   *Definition
		Args []Expr
	}
	// Builtin applies an operator of the language, under the name that SANY gives
	// it, such as "\\in" or "$IfThenElse".
	Builtin struct {
		Place
		Op     string
		Args   []Expr
		Bounds []Bound
	}
)

// Bound is what a quantifier or constructor ranges over: its variables and
// their set, nil when the quantifier is unbounded.
type Bound struct {
	Params []*Param
	Tuple  bool // the variables are the components of one element
	Set    Expr
}
