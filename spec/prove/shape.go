package prove

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry/spec/smt"
)

// shape is what a value is made of: the type that TLA+ does not ask for and
// first-order logic needs. Its dynamic type is one of the types below.
type shape interface{ String() string }

type (
	// scalar is a number, a string or a truth value.
	scalar smt.Sort
	// recordShape has named fields, sorted by name.
	recordShape struct {
		names  []string
		fields []shape
	}
	tupleShape []shape
	// funcShape is a function from values of one shape to values of another. The
	// domain itself, a set, is part of the value.
	funcShape struct{ from, to shape }
	setShape  struct{ elem shape }
	// anyShape is the shape of the elements of {}.
	anyShape struct{}
)

func (s scalar) String() string    { return string(s) }
func (s funcShape) String() string { return fmt.Sprintf("[%s -> %s]", s.from, s.to) }
func (s setShape) String() string  { return fmt.Sprintf("SUBSET %s", s.elem) }
func (anyShape) String() string    { return "anything" }

func (s recordShape) String() string {
	parts := make([]string, len(s.names))
	for i, n := range s.names {
		parts[i] = fmt.Sprintf("%s : %s", n, s.fields[i])
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (s tupleShape) String() string {
	parts := make([]string, len(s))
	for i, e := range s {
		parts[i] = e.String()
	}
	return "<<" + strings.Join(parts, ", ") + ">>"
}

// unify returns the shape of values that may have either shape: they agree, but
// for the elements of {}.
func unify(a, b shape) (shape, bool) {
	if _, ok := a.(anyShape); ok {
		return b, true
	}
	if _, ok := b.(anyShape); ok {
		return a, true
	}
	switch x := a.(type) {
	case scalar:
		return a, a == b
	case setShape:
		y, ok := b.(setShape)
		if !ok {
			return nil, false
		}
		e, ok := unify(x.elem, y.elem)
		return setShape{e}, ok
	case funcShape:
		y, ok := b.(funcShape)
		if !ok {
			return nil, false
		}
		from, ok1 := unify(x.from, y.from)
		to, ok2 := unify(x.to, y.to)
		return funcShape{from, to}, ok1 && ok2
	case tupleShape:
		y, ok := b.(tupleShape)
		if !ok {
			return nil, false
		}
		out, ok := unifyAll(x, y)
		return tupleShape(out), ok
	case recordShape:
		y, ok := b.(recordShape)
		if !ok || !slices.Equal(x.names, y.names) {
			return nil, false
		}
		out, ok := unifyAll(x.fields, y.fields)
		return recordShape{x.names, out}, ok
	}
	return nil, false
}

func unifyAll(a, b []shape) ([]shape, bool) {
	if len(a) != len(b) {
		return nil, false
	}
	out := make([]shape, len(a))
	for i := range a {
		s, ok := unify(a[i], b[i])
		if !ok {
			return nil, false
		}
		out[i] = s
	}
	return out, true
}
