package prove

import (
	"slices"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// breach is one way in which a formula can be false: conditions, the values of
// the variables of its universal quantifiers, and the part that is false then.
type breach struct {
	conds     []*smt.Term
	witnesses []argument
	place     sany.Place
}

// breaches takes the negation of a formula apart. The formula is false exactly
// when the conditions of some breach can be met by some witnesses.
func (t *translator) breaches(e sany.Expr, v env, b breach) []breach {
	t.place = e.At()
	switch x := e.(type) {
	case *sany.Let:
		return t.breaches(x.Body, t.let(x, v), b)
	case *sany.Call:
		if parts(x.To.Body) {
			body, inner := t.enter(x, v)
			return t.breaches(body, inner, b)
		}
	case *sany.Builtin:
		switch x.Op {
		case "\\land", "$ConjList":
			var out []breach
			for _, a := range x.Args {
				out = append(out, t.breaches(a, v, b)...)
			}
			return out
		case "=>":
			return t.breaches(x.Args[1], v, b.when(t.truth(x.Args[0], v)))
		case "$BoundedForall":
			for _, bound := range x.Bounds {
				set := t.range_(x, bound, v)
				for _, p := range bound.Params {
					y, _ := t.constant(set.elem, p.Name)
					b = b.when(t.has(set, y))
					b.witnesses = append(slices.Clip(b.witnesses), argument{p.Name, y, set})
					v = v.bind(p, y)
				}
			}
			return t.breaches(x.Args[0], v, b)
		case "$SquareAct":
			same := t.equal(t.eval(x.Args[1], v), t.eval(x.Args[1], v.in(moment{now: v.next}, false)))
			return t.breaches(x.Args[0], v, b.when(t.Not(same)))
		}
	}
	out := b.when(t.Not(t.truth(e, v)))
	out.place = e.At()
	return []breach{out}
}

// parts reports whether breaches takes an expression apart.
func parts(e sany.Expr) bool {
	switch x := e.(type) {
	case *sany.Let:
		return true
	case *sany.Builtin:
		return slices.Contains([]string{"\\land", "$ConjList", "=>", "$BoundedForall", "$SquareAct"}, x.Op)
	}
	return false
}

func (b breach) when(c *smt.Term) breach {
	b.conds = append(slices.Clip(b.conds), c)
	return b
}
