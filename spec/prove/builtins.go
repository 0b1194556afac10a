package prove

import (
	"cmp"
	"slices"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// builtins are the operators of the language, under SANY's names.
var builtins map[string]func(*translator, *sany.Builtin, env) value

func init() {
	builtins = map[string]func(*translator, *sany.Builtin, env) value{
		"TRUE":  func(t *translator, _ *sany.Builtin, _ env) value { return truthValue(t.True) },
		"FALSE": func(t *translator, _ *sany.Builtin, _ env) value { return truthValue(t.False) },
		"BOOLEAN": func(t *translator, _ *sany.Builtin, _ env) value {
			s := t.enumeration([]value{truthValue(t.True), truthValue(t.False)})
			s.has = func(value) *smt.Term { return t.True }
			return s
		},
		"STRING": func(t *translator, _ *sany.Builtin, _ env) value { return t.everything(smt.Str) },

		"\\land": junction, "$ConjList": junction, "\\lor": junction, "$DisjList": junction,
		"\\lnot": func(t *translator, e *sany.Builtin, v env) value { return truthValue(t.Not(t.truth(e.Args[0], v))) },
		"=>": func(t *translator, e *sany.Builtin, v env) value {
			return truthValue(t.Implies(t.truth(e.Args[0], v), t.truth(e.Args[1], v)))
		},
		"\\equiv": func(t *translator, e *sany.Builtin, v env) value {
			return truthValue(t.Equal(t.truth(e.Args[0], v), t.truth(e.Args[1], v)))
		},
		"=":  func(t *translator, e *sany.Builtin, v env) value { return truthValue(t.equalExprs(e, v)) },
		"/=": func(t *translator, e *sany.Builtin, v env) value { return truthValue(t.Not(t.equalExprs(e, v))) },

		"\\in":       func(t *translator, e *sany.Builtin, v env) value { return truthValue(t.member(e, v)) },
		"\\notin":    func(t *translator, e *sany.Builtin, v env) value { return truthValue(t.Not(t.member(e, v))) },
		"\\subseteq": subset,
		"\\union":    func(t *translator, e *sany.Builtin, v env) value { return t.combine(e, v, false) },
		"\\":         func(t *translator, e *sany.Builtin, v env) value { return t.combine(e, v, true) },
		"\\intersect": func(t *translator, e *sany.Builtin, v env) value {
			a := t.set(e.Args[0], v)
			return t.union(a, t.union(a, t.set(e.Args[1], v), true), true)
		},
		"UNION":          func(t *translator, e *sany.Builtin, v env) value { return t.unionOf(e, v) },
		"$CartesianProd": product,
		"$BoundedChoose": choice,
		"SUBSET":         func(t *translator, e *sany.Builtin, v env) value { return t.powerset(t.set(e.Args[0], v)) },
		"DOMAIN": func(t *translator, e *sany.Builtin, v env) value {
			f, ok := t.eval(e.Args[0], v).(funcValue)
			if !ok {
				t.fail(e, "DOMAIN of what is not a function")
			}
			return f.domain
		},

		"$BoundedForall": func(t *translator, e *sany.Builtin, v env) value { return truthValue(t.quantify(e, v, t.forall)) },
		"$BoundedExists": func(t *translator, e *sany.Builtin, v env) value { return truthValue(t.quantify(e, v, t.exists)) },

		"$SetEnumerate":   func(t *translator, e *sany.Builtin, v env) value { return t.enumeration(t.all(e.Args, v)) },
		"$Tuple":          func(t *translator, e *sany.Builtin, v env) value { return tupleValue(t.all(e.Args, v)) },
		"$SubsetOf":       filter,
		"$SetOfAll":       image,
		"$SetOfFcns":      functions,
		"$SetOfRcds":      records,
		"$RcdConstructor": record,
		"$RcdSelect":      selectField,
		"$FcnConstructor": function,
		"$FcnApply":       apply,
		"$Except":         except,

		"$IfThenElse": func(t *translator, e *sany.Builtin, v env) value {
			switch c := t.truth(e.Args[0], v); c {
			case t.True:
				return t.eval(e.Args[1], v)
			case t.False:
				return t.eval(e.Args[2], v)
			default:
				return t.choose(c, t.eval(e.Args[1], v), t.eval(e.Args[2], v))
			}
		},
		"$Case": func(t *translator, e *sany.Builtin, v env) value { return t.cases(e, e.Args, v) },

		"'": func(t *translator, e *sany.Builtin, v env) value {
			if v.next == nil {
				t.fail(e, "a prime where there is no step, or under a prime")
			}
			return t.eval(e.Args[0], v.in(moment{now: v.next}, false))
		},
		"$SquareAct": func(t *translator, e *sany.Builtin, v env) value { // [A]_v: A, or v is unchanged
			if v.next == nil {
				t.fail(e, "[A]_v where there is no step")
			}
			same := t.equal(t.eval(e.Args[1], v), t.eval(e.Args[1], v.in(moment{now: v.next}, false)))
			return truthValue(t.Or(t.truth(e.Args[0], v), same))
		},
		"UNCHANGED": func(t *translator, e *sany.Builtin, v env) value {
			if v.next == nil {
				t.fail(e, "UNCHANGED where there is no step")
			}
			return truthValue(t.unchangedIn(e.Args[0], v))
		},
	}
}

// standard are the operators of the standard modules, by name.
var standard map[string]func(*translator, *sany.Call, env) value

func init() {
	arithmetic := func(op smt.Op) func(*translator, *sany.Call, env) value {
		return func(t *translator, e *sany.Call, v env) value {
			return scalarValue{t.Arithmetic(op, t.term(e.Args[0], v, smt.Int), t.term(e.Args[1], v, smt.Int))}
		}
	}
	// order compares a with b, or b with a.
	order := func(compare func(t *translator, a, b *smt.Term) *smt.Term) func(*translator, *sany.Call, env) value {
		return func(t *translator, e *sany.Call, v env) value {
			return truthValue(compare(t, t.term(e.Args[0], v, smt.Int), t.term(e.Args[1], v, smt.Int)))
		}
	}
	standard = map[string]func(*translator, *sany.Call, env) value{
		"+": arithmetic(smt.Add), "-": arithmetic(smt.Sub), "*": arithmetic(smt.Mul),
		"-.": func(t *translator, e *sany.Call, v env) value {
			return scalarValue{t.Arithmetic(smt.Sub, t.Number(0), t.term(e.Args[0], v, smt.Int))}
		},
		"<":     order(func(t *translator, a, b *smt.Term) *smt.Term { return t.Less(a, b) }),
		">":     order(func(t *translator, a, b *smt.Term) *smt.Term { return t.Less(b, a) }),
		"\\leq": order(func(t *translator, a, b *smt.Term) *smt.Term { return t.AtMost(a, b) }),
		"\\geq": order(func(t *translator, a, b *smt.Term) *smt.Term { return t.AtMost(b, a) }),
		"..": func(t *translator, e *sany.Call, v env) value {
			a, b := t.term(e.Args[0], v, smt.Int), t.term(e.Args[1], v, smt.Int)
			return t.numbers(func(x *smt.Term) *smt.Term { return t.And(t.AtMost(a, x), t.AtMost(x, b)) })
		},
		"Int": func(t *translator, _ *sany.Call, _ env) value { return t.everything(smt.Int) },
		"Nat": func(t *translator, _ *sany.Call, _ env) value {
			return t.numbers(func(x *smt.Term) *smt.Term { return t.AtMost(t.Number(0), x) })
		},
		"Cardinality": cardinality,

		"\\o": func(t *translator, e *sany.Call, v env) value {
			return slices.Concat(t.sequence(e.Args[0], v), t.sequence(e.Args[1], v))
		},
		"Append": func(t *translator, e *sany.Call, v env) value {
			return append(slices.Clone(t.sequence(e.Args[0], v)), t.eval(e.Args[1], v))
		},
		"Len": func(t *translator, e *sany.Call, v env) value {
			return scalarValue{t.Number(int64(len(t.sequence(e.Args[0], v))))}
		},
		"Head": func(t *translator, e *sany.Call, v env) value { return t.nonEmpty(e, v)[0] },
		"Tail": func(t *translator, e *sany.Call, v env) value { return t.nonEmpty(e, v)[1:] },
	}
}

func (t *translator) all(exprs []sany.Expr, v env) []value {
	out := make([]value, len(exprs))
	for i, e := range exprs {
		out[i] = t.eval(e, v)
	}
	return out
}

func junction(t *translator, e *sany.Builtin, v env) value {
	parts := make([]*smt.Term, len(e.Args))
	conjunction := e.Op == "\\land" || e.Op == "$ConjList"
	for i, a := range e.Args {
		parts[i] = t.truth(a, v)
	}
	if conjunction {
		return truthValue(t.And(parts...))
	}
	return truthValue(t.Or(parts...))
}

func (t *translator) equalExprs(e *sany.Builtin, v env) *smt.Term {
	a, b := t.eval(e.Args[0], v), t.eval(e.Args[1], v)
	if target := (stepper{}).target(e.Args[0]); target != nil && v.with == nil {
		b = t.spoil(target, b, v)
	}
	t.place = e.Place
	return t.equal(a, b)
}

func (t *translator) member(e *sany.Builtin, v env) *smt.Term {
	x, s := t.eval(e.Args[0], v), t.set(e.Args[1], v)
	t.place = e.Place
	return t.has(s, x)
}

func subset(t *translator, e *sany.Builtin, v env) value {
	a, b := t.set(e.Args[0], v), t.set(e.Args[1], v)
	t.place = e.Place
	return truthValue(t.has(t.powerset(b), a))
}

func (t *translator) powerset(s *setValue) *setValue {
	return &setValue{elem: setShape{s.elem}, powerset: s, has: func(x value) *smt.Term {
		sub := x.(*setValue)
		return t.forall(sub, "x", func(y value) *smt.Term { return t.has(s, y) })
	}}
}

func (t *translator) combine(e *sany.Builtin, v env, remove bool) value {
	a, b := t.set(e.Args[0], v), t.set(e.Args[1], v)
	t.place = e.Place
	return t.union(a, b, remove)
}

// filter is {x \in S : P}.
func filter(t *translator, e *sany.Builtin, v env) value {
	p, s := t.single(e, v)
	return t.filter(s, func(x value) *smt.Term { return t.truth(e.Args[0], v.bind(p, x).in(v.moment, true)) })
}

// image is {f : x \in S, ...}.
func image(t *translator, e *sany.Builtin, v env) value {
	p, s, single := t.only(e, v)
	if single && s.items != nil {
		items := make([]value, len(s.items))
		for i, it := range s.items {
			items[i] = t.eval(e.Args[0], v.bind(p, it).in(v.moment, true))
		}
		return t.list(t.enumeration(items).elem, items, s.present)
	}
	var elem shape
	t.generic(e, v, func(x value) { elem = x.shape() })
	return &setValue{elem: elem, has: func(y value) *smt.Term {
		return t.quantified(e, v, t.exists, func(v env) *smt.Term { return t.equal(y, t.eval(e.Args[0], v)) })
	}}
}

// generic evaluates the body of a constructor for some values of its variables.
func (t *translator) generic(e *sany.Builtin, v env, use func(value)) {
	t.quantified(e, v, func(s *setValue, stem string, body func(value) *smt.Term) *smt.Term {
		x, _ := t.constant(s.elem, stem)
		return body(x)
	}, func(v env) *smt.Term {
		use(t.eval(e.Args[0], v))
		return t.True
	})
}

// product is S \X T.
func product(t *translator, e *sany.Builtin, v env) value {
	var sets []*setValue
	var elem tupleShape
	for _, a := range e.Args {
		s := t.set(a, v)
		sets, elem = append(sets, s), append(elem, s.elem)
	}
	return &setValue{elem: elem, has: func(x value) *smt.Term {
		parts := make([]*smt.Term, len(sets))
		for i, f := range x.(tupleValue) {
			parts[i] = t.has(sets[i], f)
		}
		return t.And(parts...)
	}}
}

// unionOf is UNION of sets that are listed.
func (t *translator) unionOf(e *sany.Builtin, v env) value {
	of := t.set(e.Args[0], v)
	if of.items == nil {
		t.fail(e, "UNION of sets that are not listed is not supported")
	}
	out := t.enumeration(nil)
	for i, it := range of.items {
		s, ok := it.(*setValue)
		if !ok || of.present[i] != t.True {
			t.fail(e, "UNION of what may not be a set")
		}
		out = t.union(out, s, false)
	}
	return out
}

// choice is CHOOSE x \in S : P where no variable and no parameter takes part: a
// constant, of which nothing is known but that it is as wanted if anything is.
func choice(t *translator, e *sany.Builtin, v env) value {
	if x, ok := t.chosen[e]; ok {
		return x
	}
	if v.names != nil || v.with != nil || !constantLevel(e) {
		t.fail(e, "CHOOSE is supported for constants alone")
	}
	p, s := t.single(e, v)
	x, _ := t.constant(s.elem, p.Name)
	t.chosen[e] = x
	wanted := func(x value) *smt.Term { return t.truth(e.Args[0], v.bind(p, x).in(v.moment, true)) }
	t.facts = append(t.facts, t.Implies(t.exists(s, p.Name, wanted), t.And(t.has(s, x), wanted(x))))
	return x
}

// constantLevel reports whether no variable takes part in an expression.
func constantLevel(e sany.Expr) bool { return !isAction(e, true) }

// functions is [S -> T].
func functions(t *translator, e *sany.Builtin, v env) value {
	from, to := t.set(e.Args[0], v), t.set(e.Args[1], v)
	return &setValue{elem: funcShape{from.elem, to.elem}, from: from, to: to, has: func(x value) *smt.Term {
		f := x.(funcValue)
		domain := t.True
		if !t.same(f.domain, from) {
			domain = t.sameElements(f.domain, from)
		}
		return t.And(domain, t.forall(from, "x", func(y value) *smt.Term { return t.has(to, f.at(y)) }))
	}}
}

// fields evaluates the $Pairs of a record, sorted by name.
func (t *translator) fields(e *sany.Builtin, v env) (names []string, values []value) {
	pairs := slices.Clone(e.Args)
	name := func(x sany.Expr) string { return x.(*sany.Builtin).Args[0].(*sany.String).Value }
	slices.SortFunc(pairs, func(a, b sany.Expr) int { return cmp.Compare(name(a), name(b)) })
	for _, p := range pairs {
		names = append(names, name(p))
		values = append(values, t.eval(p.(*sany.Builtin).Args[1], v))
	}
	return names, values
}

// records is [name : S, ...].
func records(t *translator, e *sany.Builtin, v env) value {
	names, values := t.fields(e, v)
	elem := recordShape{names: names}
	sets := make([]*setValue, len(values))
	for i, x := range values {
		s, ok := x.(*setValue)
		if !ok {
			t.fail(e, "%s is not given a set", names[i])
		}
		sets[i] = s
		elem.fields = append(elem.fields, s.elem)
	}
	return &setValue{elem: elem, fields: sets, has: func(x value) *smt.Term {
		parts := make([]*smt.Term, len(sets))
		for i, f := range x.(recordValue).fields {
			parts[i] = t.has(sets[i], f)
		}
		return t.And(parts...)
	}}
}

func record(t *translator, e *sany.Builtin, v env) value {
	names, values := t.fields(e, v)
	return recordValue{names, values}
}

func selectField(t *translator, e *sany.Builtin, v env) value {
	name := e.Args[1].(*sany.String).Value
	r, ok := t.eval(e.Args[0], v).(recordValue)
	if !ok {
		t.fail(e, "%s is selected from what is not a record", name)
	}
	f, ok := r.field(name)
	if !ok {
		t.fail(e, "the record %v has no field %s", r.shape(), name)
	}
	return f
}

// function is [x \in S |-> f].
func function(t *translator, e *sany.Builtin, v env) value {
	p, s := t.single(e, v)
	of := func(x value) value { return t.eval(e.Args[0], v.bind(p, x).in(v.moment, true)) }
	generic, _ := t.constant(s.elem, p.Name)
	return funcValue{domain: s, to: of(generic).shape(), at: of}
}

// apply is f[x]. A tuple is applied to a numeral, a record to a literal.
func apply(t *translator, e *sany.Builtin, v env) value {
	switch f := t.eval(e.Args[0], v).(type) {
	case funcValue:
		return f.at(t.argument(e.Args[1], f, v))
	case tupleValue:
		if i := t.term(e.Args[1], v, smt.Int); i.Op == smt.Numeral && i.Value >= 1 && i.Value <= int64(len(f)) {
			return f[i.Value-1]
		}
	case recordValue:
		if name := t.term(e.Args[1], v, smt.Str); name.Op == smt.Literal {
			if x, ok := f.field(name.Name); ok {
				return x
			}
		}
	}
	t.fail(e, "this is not a function, nor a tuple or record applied to a constant that it has")
	return nil
}

func (t *translator) argument(e sany.Expr, f funcValue, v env) value {
	x := t.eval(e, v)
	if _, ok := unify(f.domain.elem, x.shape()); !ok {
		t.fail(e, "the function takes %v, and this is %v", f.domain.elem, x.shape())
	}
	return x
}

// except is [f EXCEPT !path = e, ...].
func except(t *translator, e *sany.Builtin, v env) value {
	x := t.eval(e.Args[0], v)
	for _, a := range e.Args[1:] {
		pair := a.(*sany.Builtin)
		x = t.replace(x, pair.Args[0].(*sany.Builtin).Args, pair.Args[1], v)
	}
	return x
}

func (t *translator) replace(x value, path []sany.Expr, by sany.Expr, v env) value {
	if len(path) == 0 {
		y := t.eval(by, v.bind(at{}, x))
		if _, ok := unify(x.shape(), y.shape()); !ok {
			t.fail(by, "this replaces %v by %v", x.shape(), y.shape())
		}
		return y
	}
	switch x := x.(type) {
	case recordValue:
		name, ok := path[0].(*sany.String)
		if !ok {
			t.fail(path[0], "a field of a record is named by a literal")
		}
		f, ok := x.field(name.Value)
		if !ok {
			t.fail(path[0], "the record %v has no field %s", x.shape(), name.Value)
		}
		return x.with(name.Value, t.replace(f, path[1:], by, v))
	case funcValue:
		i := t.argument(path[0], x, v)
		at := t.replace(x.at(i), path[1:], by, v)
		return funcValue{x.domain, x.to, func(y value) value { return t.choose(t.equal(y, i), at, x.at(y)) }}
	}
	t.fail(path[0], "EXCEPT of what is neither a record nor a function")
	return nil
}

// cases takes the first case that applies.
func (t *translator) cases(e *sany.Builtin, arms []sany.Expr, v env) value {
	arm := arms[0].(*sany.Builtin)
	if _, other := arm.Args[0].(*sany.Other); other || len(arms) == 1 {
		return t.eval(arm.Args[1], v)
	}
	switch c := t.truth(arm.Args[0], v); c {
	case t.True:
		return t.eval(arm.Args[1], v)
	case t.False:
		return t.cases(e, arms[1:], v)
	default:
		return t.choose(c, t.eval(arm.Args[1], v), t.cases(e, arms[1:], v))
	}
}

func cardinality(t *translator, e *sany.Call, v env) value {
	s := t.set(e.Args[0], v)
	size := s.size
	if size == nil {
		if v.bound {
			t.fail(e, "the size of this set is not known, and it depends on a quantifier's variable")
		}
		size = t.Constant("size", smt.Int)
	}
	t.facts = append(t.facts, t.AtMost(t.Number(0), size))
	return scalarValue{size}
}

// sequence is a sequence whose length is known: a tuple.
func (t *translator) sequence(e sany.Expr, v env) tupleValue {
	x, ok := t.eval(e, v).(tupleValue)
	if !ok {
		t.fail(e, "this is not a sequence of a known length")
	}
	return x
}

func (t *translator) nonEmpty(e *sany.Call, v env) tupleValue {
	x := t.sequence(e.Args[0], v)
	if len(x) == 0 {
		t.fail(e, "%s of the empty sequence", e.To.Name)
	}
	return x
}
