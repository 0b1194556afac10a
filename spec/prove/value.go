package prove

import (
	"fmt"
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
		// items are all that can be an element, possibly equal ones, and present
		// says under which condition each is one; nil where they cannot be listed.
		items   []value
		present []*smt.Term
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
type algebra struct {
	*smt.Terms
	// scope, if not 0, makes every set that is a symbol a finite one of at most so
	// many elements. Quantifiers over it become a case for each.
	scope int
}

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
			t = append(t, g.symbol(e, fmt.Sprintf("%s.%d", name, i+1), domains, index...))
		}
		return t
	case funcShape:
		return funcValue{domain: domains(name), to: s.to, at: func(x value) value {
			return g.symbol(s.to, name+"[]", domains, append(slices.Clone(index), g.flat(x)...)...)
		}}
	case setShape:
		if g.scope > 0 {
			return g.finite(s.elem, name, domains, index)
		}
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

// finite returns a set of at most scope elements, each a symbol that is in the
// set or is not.
func (g algebra) finite(elem shape, name string, domains func(string) *setValue, index []*smt.Term) *setValue {
	var items []value
	var present []*smt.Term
	for i := range g.scope {
		one := fmt.Sprintf("%s{%d}", name, i+1)
		items = append(items, g.symbol(elem, one, domains, index...))
		present = append(present, g.Symbol(one+"?", smt.Bool, index...))
	}
	return g.list(elem, items, present)
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
		parts, vars := g.constants(s.fields, func(i int) string { return stem + "." + s.names[i] })
		return recordValue{s.names, parts}, vars
	case tupleShape:
		parts, vars := g.constants(s, func(i int) string { return fmt.Sprintf("%s.%d", stem, i+1) })
		return tupleValue(parts), vars
	}
	panic(mismatch{s, anyShape{}})
}

func (g algebra) constants(shapes []shape, stem func(int) string) (parts []value, vars []*smt.Term) {
	for i, s := range shapes {
		v, t := g.constant(s, stem(i))
		parts, vars = append(parts, v), append(vars, t...)
	}
	return parts, vars
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
		} else if ok {
			return g.False
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
	if a.items != nil && b.items != nil {
		in := func(s *setValue) func(value) *smt.Term { return func(x value) *smt.Term { return s.has(x) } }
		return g.And(g.forall(a, "x", in(b)), g.forall(b, "x", in(a)))
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
		for i, it := range s.items {
			if s.present[i] != g.False {
				parts = append(parts, g.Implies(s.present[i], body(it)))
			}
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
	if a.items != nil && b.items != nil {
		var present []*smt.Term
		for _, p := range a.present {
			present = append(present, g.And(c, p))
		}
		for _, p := range b.present {
			present = append(present, g.And(g.Not(c), p))
		}
		return g.list(elem, slices.Concat(a.items, b.items), present)
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

// enumeration is the set of items.
func (g algebra) enumeration(items []value) *setValue {
	var elem shape = anyShape{}
	present := make([]*smt.Term, len(items))
	for i, it := range items {
		e, ok := unify(elem, it.shape())
		if !ok {
			panic(mismatch{elem, it.shape()})
		}
		elem, present[i] = e, g.True
	}
	if items == nil {
		items = []value{}
	}
	return g.list(elem, items, present)
}

// list is the set of the items that are present.
func (g algebra) list(elem shape, items []value, present []*smt.Term) *setValue {
	s := &setValue{elem: elem, items: items, present: present, size: g.Number(0)}
	s.has = func(x value) *smt.Term {
		var parts []*smt.Term
		for i, it := range items {
			parts = append(parts, g.And(present[i], g.equal(x, it)))
		}
		return g.Or(parts...)
	}
	for i, it := range items { // counts each element at its last place
		var again []*smt.Term
		for k := i + 1; k < len(items); k++ {
			again = append(again, g.And(present[k], g.equal(it, items[k])))
		}
		counts := g.And(present[i], g.Not(g.Or(again...)))
		s.size = g.Ite(counts, g.Arithmetic(smt.Add, s.size, g.Number(1)), s.size)
	}
	return s
}

// union, and with remove the difference.
func (g algebra) union(a, b *setValue, remove bool) *setValue {
	elem, ok := unify(a.elem, b.elem)
	if !ok {
		panic(mismatch{a.shape(), b.shape()})
	}
	if remove {
		return g.filter(a, func(x value) *smt.Term { return g.Not(b.has(x)) }).sized(func() *smt.Term {
			return g.Ite(a.has(b.items[0]), g.Arithmetic(smt.Sub, a.size, g.Number(1)), a.size)
		}, a, b)
	}
	if a.items != nil && b.items != nil {
		return g.list(elem, slices.Concat(a.items, b.items), slices.Concat(a.present, b.present))
	}
	s := &setValue{elem: elem, has: func(x value) *smt.Term { return g.Or(a.has(x), b.has(x)) }}
	return s.sized(func() *smt.Term {
		return g.Ite(a.has(b.items[0]), a.size, g.Arithmetic(smt.Add, a.size, g.Number(1)))
	}, a, b)
}

// sized gives a set that was made of a and the only element of b its size.
func (s *setValue) sized(size func() *smt.Term, a, b *setValue) *setValue {
	if s.size == nil && a.size != nil && len(b.items) == 1 && b.present[0].Op == smt.True {
		s.size = size()
	}
	return s
}

// filter is the subset of what satisfies p.
func (g algebra) filter(s *setValue, p func(value) *smt.Term) *setValue {
	if s.items == nil {
		return &setValue{elem: s.elem, has: func(x value) *smt.Term { return g.And(s.has(x), p(x)) }}
	}
	present := make([]*smt.Term, len(s.items))
	for i, it := range s.items {
		present[i] = g.And(s.present[i], p(it))
	}
	return g.list(s.elem, s.items, present)
}

func (g algebra) numbers(has func(*smt.Term) *smt.Term) *setValue {
	return &setValue{elem: scalar(smt.Int), has: func(x value) *smt.Term { return has(x.(scalarValue).term) }}
}

func (g algebra) everything(s smt.Sort) *setValue {
	return &setValue{elem: scalar(s), has: func(value) *smt.Term { return g.True }}
}
