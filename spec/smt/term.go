package smt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Sort is a sort.
type Sort string

// The sorts. Str is uninterpreted: its elements are compared and nothing else.
const (
	Bool Sort = "Bool"
	Int  Sort = "Int"
	Str  Sort = "Str"
)

// Term is an immutable term. The zero Term is not usable; see [Terms].
type Term struct {
	Op    Op
	Sort  Sort
	Name  string // Symbol: its name; Literal: the string
	Value int64  // Numeral
	Args  []*Term
	Vars  []*Term // Forall, Exists: symbols without arguments

	id int
}

// Op is a term's operator.
type Op string

// The operators, under their names in SMT-LIB where there is one.
const (
	Symbol  Op = "symbol"  // a declared constant, or function with arguments
	Literal Op = "literal" // a constant of sort Str, different from every other literal
	Numeral Op = "numeral"
	True    Op = "true"
	False   Op = "false"
	Not     Op = "not"
	And     Op = "and"
	Or      Op = "or"
	Implies Op = "=>"
	Equal   Op = "="
	Ite     Op = "ite"
	Less    Op = "<"
	AtMost  Op = "<="
	Add     Op = "+"
	Sub     Op = "-"
	Mul     Op = "*"
	Forall  Op = "forall"
	Exists  Op = "exists"
)

// Terms makes terms. It is safe for concurrent use.
type Terms struct {
	mu    sync.Mutex
	made  map[string]*Term
	used  map[string]int    // symbols by their stem, for fresh names
	sorts map[string]string // of each symbol's value and arguments

	True, False *Term
}

// NewTerms returns an empty store.
func NewTerms() *Terms {
	t := &Terms{made: map[string]*Term{}, used: map[string]int{}, sorts: map[string]string{}}
	t.True = t.intern(Term{Op: True, Sort: Bool})
	t.False = t.intern(Term{Op: False, Sort: Bool})
	return t
}

func (t *Terms) intern(x Term) *Term {
	var key strings.Builder
	fmt.Fprintf(&key, "%s\x00%s\x00%s\x00%d", x.Op, x.Sort, x.Name, x.Value)
	for _, list := range [][]*Term{x.Vars, x.Args} {
		key.WriteByte(0)
		for _, a := range list {
			key.WriteString(strconv.Itoa(a.id))
			key.WriteByte(' ')
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.made[key.String()]; ok {
		return old
	}
	x.id = len(t.made)
	t.made[key.String()] = &x
	return &x
}

// Bool returns true or false.
func (t *Terms) Bool(v bool) *Term {
	if v {
		return t.True
	}
	return t.False
}

// Number returns a numeral.
func (t *Terms) Number(v int64) *Term { return t.intern(Term{Op: Numeral, Sort: Int, Value: v}) }

// Literal returns the constant of sort Str that stands for s.
func (t *Terms) Literal(s string) *Term { return t.intern(Term{Op: Literal, Sort: Str, Name: s}) }

// Symbol applies the symbol name. It panics when another use of the name does not
// agree in its sorts: for a solver both would be one symbol.
func (t *Terms) Symbol(name string, sort Sort, args ...*Term) *Term {
	signature := string(sort)
	for _, a := range args {
		signature += " " + string(a.Sort)
	}
	t.mu.Lock()
	other, used := t.sorts[name]
	t.sorts[name] = signature
	t.mu.Unlock()
	if used && other != signature {
		panic(fmt.Sprintf("smt: symbol %s is used as %s and as %s", name, other, signature))
	}
	return t.intern(Term{Op: Symbol, Sort: sort, Name: name, Args: args})
}

// Fresh returns a name that no symbol has yet, made from stem.
func (t *Terms) Fresh(stem string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used[stem]++
	return fmt.Sprintf("%s!%d", stem, t.used[stem])
}

// Constant returns a symbol without arguments that no term has yet, called
// after stem. Quantifiers bind such symbols.
func (t *Terms) Constant(stem string, sort Sort) *Term { return t.Symbol(t.Fresh(stem), sort) }

// Not negates.
func (t *Terms) Not(a *Term) *Term {
	switch a.Op {
	case True, False:
		return t.Bool(a.Op == False)
	case Not:
		return a.Args[0]
	}
	return t.intern(Term{Op: Not, Sort: Bool, Args: []*Term{a}})
}

// And is the conjunction, true of none.
func (t *Terms) And(args ...*Term) *Term { return t.junction(And, t.True, t.False, args) }

// Or is the disjunction, false of none.
func (t *Terms) Or(args ...*Term) *Term { return t.junction(Or, t.False, t.True, args) }

func (t *Terms) junction(op Op, unit, zero *Term, args []*Term) *Term {
	var kept []*Term
	for _, a := range args {
		switch {
		case a == zero:
			return zero
		case a == unit || slices.Contains(kept, a):
		case a.Op == op:
			kept = append(kept, a.Args...)
		default:
			kept = append(kept, a)
		}
	}
	switch len(kept) {
	case 0:
		return unit
	case 1:
		return kept[0]
	}
	return t.intern(Term{Op: op, Sort: Bool, Args: kept})
}

// Implies is the implication.
func (t *Terms) Implies(a, b *Term) *Term {
	switch {
	case a == t.True:
		return b
	case a == t.False || b == t.True || a == b:
		return t.True
	case b == t.False:
		return t.Not(a)
	}
	return t.intern(Term{Op: Implies, Sort: Bool, Args: []*Term{a, b}})
}

// Equal compares two terms of one sort.
func (t *Terms) Equal(a, b *Term) *Term {
	constant := func(x *Term) bool {
		return x.Op == Numeral || x.Op == Literal || x.Op == True || x.Op == False
	}
	switch {
	case a == b:
		return t.True
	case constant(a) && constant(b):
		return t.False // shared terms: different constants are different pointers
	case a == t.True:
		return b
	case b == t.True:
		return a
	case a == t.False:
		return t.Not(b)
	case b == t.False:
		return t.Not(a)
	}
	return t.intern(Term{Op: Equal, Sort: Bool, Args: []*Term{a, b}})
}

// Ite is a if c, else b.
func (t *Terms) Ite(c, a, b *Term) *Term {
	switch {
	case c == t.True || a == b:
		return a
	case c == t.False:
		return b
	case a.Sort == Bool && (a == t.True || b == t.False || a == t.False || b == t.True):
		return t.And(t.Implies(c, a), t.Or(c, b))
	}
	return t.intern(Term{Op: Ite, Sort: a.Sort, Args: []*Term{c, a, b}})
}

// Less is a < b.
func (t *Terms) Less(a, b *Term) *Term {
	if a.Op == Numeral && b.Op == Numeral {
		return t.Bool(a.Value < b.Value)
	}
	return t.intern(Term{Op: Less, Sort: Bool, Args: []*Term{a, b}})
}

// AtMost is a <= b.
func (t *Terms) AtMost(a, b *Term) *Term {
	if a.Op == Numeral && b.Op == Numeral {
		return t.Bool(a.Value <= b.Value)
	}
	return t.intern(Term{Op: AtMost, Sort: Bool, Args: []*Term{a, b}})
}

// Arithmetic is a op b with op one of Add, Sub and Mul.
func (t *Terms) Arithmetic(op Op, a, b *Term) *Term {
	return t.intern(Term{Op: op, Sort: Int, Args: []*Term{a, b}})
}

// Forall binds variables, those that occur in the body.
func (t *Terms) Forall(vars []*Term, body *Term) *Term { return t.quantifier(Forall, vars, body) }

// Exists binds variables, those that occur in the body.
func (t *Terms) Exists(vars []*Term, body *Term) *Term { return t.quantifier(Exists, vars, body) }

func (t *Terms) quantifier(op Op, vars []*Term, body *Term) *Term {
	if body == t.True || body == t.False {
		return body // no sort is empty
	}
	return t.intern(Term{Op: op, Sort: Bool, Args: []*Term{body}, Vars: vars})
}
