package prove

import (
	"slices"

	"github.com/kelpie-registry/registry/spec/smt"
)

// value is a TLA+ value whose scalars are terms. Its dynamic type is one of the
// types below; all are immutable.
type value interface{ shape() shape }

type (
	scalarValue struct{ term *smt.Term }
	recordValue struct {
		names  []string // sorted
		fields []value
	}
	tupleValue []value
	// funcValue is a function: what it is outside of its domain means nothing.
	funcValue struct {
		domain *setValue
		to     shape
		at     func(value) value
	}
	// setValue is a set by its membership.
	setValue struct {
		elem shape
		has  func(value) *smt.Term
		// size is the number of elements, nil where it is not known.
		size *smt.Term
		// items are the elements of an enumeration, possibly equal ones.
		items []value
		// What the set was made of, for those that say how values are made: SUBSET
		// powerset, [from -> to], and a set of records by its sorted fields.
		powerset, from, to *setValue
		fields             []*setValue
	}
)

func (v scalarValue) shape() shape { return scalar(v.term.Sort) }
func (v *setValue) shape() shape   { return setShape{v.elem} }
func (v funcValue) shape() shape   { return funcShape{v.domain.elem, v.to} }

func (v recordValue) shape() shape {
	s := recordShape{names: v.names}
	for _, f := range v.fields {
		s.fields = append(s.fields, f.shape())
	}
	return s
}

func (v tupleValue) shape() shape {
	var s tupleShape
	for _, e := range v {
		s = append(s, e.shape())
	}
	return s
}

func (v recordValue) field(name string) (value, bool) {
	i, ok := slices.BinarySearch(v.names, name)
	if !ok {
		return nil, false
	}
	return v.fields[i], true
}

// with returns the record with a field replaced.
func (v recordValue) with(name string, f value) recordValue {
	i, _ := slices.BinarySearch(v.names, name)
	fields := slices.Clone(v.fields)
	fields[i] = f
	return recordValue{v.names, fields}
}

// flatten lists the scalars that a value consists of; ok is false for one that
// has a function or a set in it.
func flatten(v value) (terms []*smt.Term, ok bool) {
	var parts []value
	switch x := v.(type) {
	case scalarValue:
		return []*smt.Term{x.term}, true
	case recordValue:
		parts = x.fields
	case tupleValue:
		parts = x
	default:
		return nil, false
	}
	for _, p := range parts {
		t, ok := flatten(p)
		if !ok {
			return nil, false
		}
		terms = append(terms, t...)
	}
	return terms, true
}

// algebra combines values. A method that finds values of different shapes
// panics with a mismatch, which the evaluator turns into an error with a place.
type algebra struct{ *smt.Terms }

type mismatch struct{ a, b shape }

// symbol returns a value of shape s that is made of uninterpreted symbols: name
// for a scalar, name.field for a field, a function symbol over the scalars of
// the arguments of functions, a predicate for a set. domains gives the domain of
// a function by its path. index is what functions were applied to on the way.
func (g algebra) symbol(s shape, name string, domains func(path string) *setValue, index ...*smt.Term) value {
	switch s := s.(type) {
	case scalar:
		return scalarValue{g.Symbol(name, smt.Sort(s), index...)}
	case recordShape:
		r := recordValue{names: s.names}
		for i, n := range s.names {
			r.fields = append(r.fields, g.symbol(s.fields[i], name+"."+n, domains, index...))
		}
		return r
	case tupleShape:
		var t tupleValue
		for i, e := range s {
			t = append(t, g.symbol(e, name+"."+string(rune('1'+i)), domains, index...))
		}
		return t
	case funcShape:
		return funcValue{domain: domains(name), to: s.to, at: func(x value) value {
			return g.symbol(s.to, name+"[]", domains, append(slices.Clone(index), g.flat(x)...)...)
		}}
	case setShape:
		set := &setValue{elem: s.elem, has: func(x value) *smt.Term {
			return g.Symbol(name, smt.Bool, append(slices.Clone(index), g.flat(x)...)...)
		}}
		if len(index) == 0 {
			set.size = g.Symbol("#"+name, smt.Int)
		}
		return set
	}
	panic(mismatch{s, anyShape{}})
}

func (g algebra) flat(v value) []*smt.Term {
	t, ok := flatten(v)
	if !ok {
		panic(mismatch{v.shape(), anyShape{}})
	}
	return t
}

// constant returns a new value of shape s, made of scalars, and these scalars.
func (g algebra) constant(s shape, stem string) (value, []*smt.Term) {
	switch s := s.(type) {
	case scalar:
		t := g.Constant(stem, smt.Sort(s))
		return scalarValue{t}, []*smt.Term{t}
	case recordShape:
		r, vars := recordValue{names: s.names}, []*smt.Term(nil)
		for i, n := range s.names {
			v, t := g.constant(s.fields[i], stem+"."+n)
			r.fields, vars = append(r.fields, v), append(vars, t...)
		}
		return r, vars
	case tupleShape:
		var r tupleValue
		var vars []*smt.Term
		for i, e := range s {
			v, t := g.constant(e, stem+"."+string(rune('1'+i)))
			r, vars = append(r, v), append(vars, t...)
		}
		return r, vars
	}
	panic(mismatch{s, anyShape{}})
}

// equal compares two values of one shape. Functions are equal when their
// domains are and they agree on them; sets when they have the same elements.
func (g algebra) equal(a, b value) *smt.Term {
	switch x := a.(type) {
	case scalarValue:
		if y, ok := b.(scalarValue); ok && x.term.Sort == y.term.Sort {
			return g.Equal(x.term, y.term)
		}
	case recordValue:
		if y, ok := b.(recordValue); ok && slices.Equal(x.names, y.names) {
			return g.equalAll(x.fields, y.fields)
		}
	case tupleValue:
		if y, ok := b.(tupleValue); ok && len(x) == len(y) {
			return g.equalAll(x, y)
		}
	case *setValue:
		if y, ok := b.(*setValue); ok {
			return g.sameElements(x, y)
		}
	case funcValue:
		if y, ok := b.(funcValue); ok {
			return g.And(g.sameElements(x.domain, y.domain), g.forall(x.domain, "x", func(e value) *smt.Term {
				return g.equal(x.at(e), y.at(e))
			}))
		}
	}
	panic(mismatch{a.shape(), b.shape()})
}

func (g algebra) equalAll(a, b []value) *smt.Term {
	parts := make([]*smt.Term, len(a))
	for i := range a {
		parts[i] = g.equal(a[i], b[i])
	}
	return g.And(parts...)
}

func (g algebra) sameElements(a, b *setValue) *smt.Term {
	if a == b {
		return g.True
	}
	if a.elem == (anyShape{}) && b.elem == (anyShape{}) {
		return g.True
	}
	e, ok := unify(a.elem, b.elem)
	if !ok {
		panic(mismatch{a.shape(), b.shape()})
	}
	x, vars := g.constant(e, "x")
	return g.Forall(vars, g.Equal(g.has(a, x), g.has(b, x)))
}

// has is membership, with the shapes checked.
func (g algebra) has(s *setValue, x value) *smt.Term {
	if _, ok := unify(s.elem, x.shape()); !ok {
		panic(mismatch{setShape{x.shape()}, s.shape()})
	}
	return s.has(x)
}

// forall quantifies over a set; over an enumeration it lists the cases.
func (g algebra) forall(s *setValue, stem string, body func(value) *smt.Term) *smt.Term {
	if s.items != nil || s.elem == (anyShape{}) {
		var parts []*smt.Term
		for _, it := range s.items {
			parts = append(parts, body(it))
		}
		return g.And(parts...)
	}
	x, vars := g.constant(s.elem, stem)
	return g.Forall(vars, g.Implies(s.has(x), body(x)))
}

func (g algebra) exists(s *setValue, stem string, body func(value) *smt.Term) *smt.Term {
	return g.Not(g.forall(s, stem, func(x value) *smt.Term { return g.Not(body(x)) }))
}

// choose returns a if c, else b.
func (g algebra) choose(c *smt.Term, a, b value) value {
	if c == g.True {
		return a
	}
	if c == g.False {
		return b
	}
	switch x := a.(type) {
	case scalarValue:
		if y, ok := b.(scalarValue); ok && x.term.Sort == y.term.Sort {
			return scalarValue{g.Ite(c, x.term, y.term)}
		}
	case recordValue:
		if y, ok := b.(recordValue); ok && slices.Equal(x.names, y.names) {
			return recordValue{x.names, g.chooseAll(c, x.fields, y.fields)}
		}
	case tupleValue:
		if y, ok := b.(tupleValue); ok && len(x) == len(y) {
			return tupleValue(g.chooseAll(c, x, y))
		}
	case *setValue:
		if y, ok := b.(*setValue); ok {
			return g.chooseSet(c, x, y)
		}
	case funcValue:
		if y, ok := b.(funcValue); ok {
			to, ok := unify(x.to, y.to)
			if !ok {
				break
			}
			domain := x.domain
			if !g.same(x.domain, y.domain) {
				domain = g.chooseSet(c, x.domain, y.domain)
			}
			return funcValue{domain, to, func(e value) value { return g.choose(c, x.at(e), y.at(e)) }}
		}
	}
	panic(mismatch{a.shape(), b.shape()})
}

func (g algebra) chooseAll(c *smt.Term, a, b []value) []value {
	out := make([]value, len(a))
	for i := range a {
		out[i] = g.choose(c, a[i], b[i])
	}
	return out
}

func (g algebra) chooseSet(c *smt.Term, a, b *setValue) *setValue {
	if a == b {
		return a
	}
	elem, ok := unify(a.elem, b.elem)
	if !ok {
		panic(mismatch{a.shape(), b.shape()})
	}
	s := &setValue{elem: elem, has: func(x value) *smt.Term { return g.Ite(c, a.has(x), b.has(x)) }}
	if a.size != nil && b.size != nil {
		s.size = g.Ite(c, a.size, b.size)
	}
	return s
}

// same reports whether two sets are evidently the same: membership in both is
// the same term.
func (g algebra) same(a, b *setValue) bool {
	if a == b {
		return true
	}
	if _, ok := unify(a.elem, b.elem); !ok || a.elem == (anyShape{}) || b.elem == (anyShape{}) {
		return false
	}
	x, _ := g.constant(a.elem, "x")
	return a.has(x) == b.has(x)
}

// The sets.

func (g algebra) enumeration(items []value) *setValue {
	s := &setValue{elem: anyShape{}, items: items}
	for _, it := range items {
		e, ok := unify(s.elem, it.shape())
		if !ok {
			panic(mismatch{s.elem, it.shape()})
		}
		s.elem = e
	}
	s.has = func(x value) *smt.Term {
		var parts []*smt.Term
		for _, it := range items {
			parts = append(parts, g.equal(x, it))
		}
		return g.Or(parts...)
	}
	if len(items) < 2 {
		s.size = g.Number(int64(len(items)))
	}
	return s
}

// union, and with remove the difference.
func (g algebra) union(a, b *setValue, remove bool) *setValue {
	elem, ok := unify(a.elem, b.elem)
	if !ok {
		panic(mismatch{a.shape(), b.shape()})
	}
	s := &setValue{elem: elem}
	one := g.Number(1)
	if remove {
		s.has = func(x value) *smt.Term { return g.And(a.has(x), g.Not(b.has(x))) }
		if a.size != nil && len(b.items) == 1 {
			s.size = g.Ite(a.has(b.items[0]), g.Arithmetic(smt.Sub, a.size, one), a.size)
		}
		return s
	}
	s.has = func(x value) *smt.Term { return g.Or(a.has(x), b.has(x)) }
	if a.items != nil && b.items != nil {
		s.items = append(slices.Clone(a.items), b.items...)
	}
	if a.size != nil && len(b.items) == 1 {
		s.size = g.Ite(a.has(b.items[0]), a.size, g.Arithmetic(smt.Add, a.size, one))
	}
	return s
}

func (g algebra) numbers(has func(*smt.Term) *smt.Term) *setValue {
	return &setValue{elem: scalar(smt.Int), has: func(x value) *smt.Term { return has(x.(scalarValue).term) }}
}

func (g algebra) everything(s smt.Sort) *setValue {
	return &setValue{elem: scalar(s), has: func(value) *smt.Term { return g.True }}
}
