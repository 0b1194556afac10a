package prove

import (
	"fmt"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// theory is a proof translated: everything that is assumed and is to be shown.
type theory struct {
	*translator
	proof     Proof
	now       state
	constants []*smt.Term // assumed about the constants
	invariant []formula   // in now
	init      []branch
	steps     []branch
}

// formula is a named part of a module with its meaning.
type formula struct {
	name string
	expr sany.Expr
	term *smt.Term
}

// variation is what a [Failure] changes before the translation.
type variation struct {
	drop, bug string
	assume    []string
}

func newTheory(m *sany.Module, p Proof, change variation) (*theory, error) {
	given := map[string]value{}
	g := &theory{proof: p}
	tr, err := newTranslator(m, p.Types, nil)
	if err != nil {
		return nil, err
	}
	for name, one := range map[string]string{"Dropped": change.drop, "Bugs": change.bug} {
		var items []value
		if one != "" {
			items = []value{scalarValue{tr.Literal(one)}}
		}
		given[name] = tr.enumeration(items)
	}
	for _, c := range m.Constants {
		if v, ok := given[c.Name]; ok {
			tr.constants[c] = v
		}
	}
	g.translator = tr
	return g, g.translate(change.assume)
}

func (g *theory) translate(assume []string) error {
	g.now = g.symbolic()
	for _, a := range g.module.Assumptions {
		if err := g.assumed(a.Body); err != nil {
			return err
		}
	}
	for _, name := range assume {
		d, err := g.definition(name)
		if err != nil {
			return err
		}
		if err := g.assumed(d.Body); err != nil {
			return err
		}
	}
	for _, name := range g.proof.Invariant {
		d, err := g.definition(name)
		if err != nil {
			return err
		}
		count := map[string]int{}
		parts := split(name, d.Body)
		for _, c := range parts {
			count[c.name]++
		}
		seen := map[string]int{}
		for _, c := range parts {
			f := formula{name: c.name, expr: c.expr}
			if seen[c.name]++; count[c.name] > 1 {
				f.name = fmt.Sprintf("%s/%d", c.name, seen[c.name])
			}
			if err := g.guarded(func() { f.term = g.truth(c.expr, env{moment: moment{now: g.now}}) }); err != nil {
				return err
			}
			g.invariant = append(g.invariant, f)
		}
	}
	init, err := g.definition(g.proof.Init)
	if err != nil {
		return err
	}
	next, err := g.definition(g.proof.Next)
	if err != nil {
		return err
	}
	if g.init, err = g.initial(init.Body); err != nil {
		return err
	}
	g.steps, err = g.branches(next.Body, g.now)
	return err
}

func (g *theory) assumed(e sany.Expr) error {
	return g.guarded(func() { g.constants = append(g.constants, g.truth(e, env{})) })
}

// after is the invariant's conjuncts in the state after a step, or at the start.
func (g *theory) after(s state) (out []formula, err error) {
	err = g.guarded(func() {
		for _, f := range g.invariant {
			f.term = g.truth(f.expr, env{moment: moment{now: s}})
			out = append(out, f)
		}
	})
	return out, err
}

// box returns A of a definition [][A]_v, nil for a state predicate.
func box(d *sany.Definition) *sany.Builtin {
	if b, ok := d.Body.(*sany.Builtin); ok && b.Op == "[]" {
		if sq, ok := b.Args[0].(*sany.Builtin); ok && sq.Op == "$SquareAct" {
			return sq
		}
	}
	return nil
}

// properties splits the proof's properties into state predicates, in now, and
// step properties, as functions of the state after.
func (g *theory) properties() (states []formula, steps func(next state) ([]formula, error), err error) {
	var boxes []formula
	for _, name := range g.proof.Properties {
		d, err := g.definition(name)
		if err != nil {
			return nil, nil, err
		}
		f := formula{name: name, expr: d.Body}
		if sq := box(d); sq != nil {
			f.expr = sq
			boxes = append(boxes, f)
			continue
		}
		if d.Level > sany.State {
			return nil, nil, &Error{d.Place, fmt.Sprintf("%s is neither a state predicate nor [][A]_v", name)}
		}
		if err := g.guarded(func() { f.term = g.truth(d.Body, env{moment: moment{now: g.now}}) }); err != nil {
			return nil, nil, err
		}
		states = append(states, f)
	}
	return states, func(next state) (out []formula, err error) {
		err = g.guarded(func() {
			for _, f := range boxes {
				f.term = g.square(f.expr.(*sany.Builtin), next)
				out = append(out, f)
			}
		})
		return out, err
	}, nil
}

// square is [A]_v: A, or v is unchanged.
func (g *theory) square(e *sany.Builtin, next state) *smt.Term {
	v := env{moment: moment{now: g.now, next: next}}
	same := g.equal(g.eval(e.Args[1], v), g.eval(e.Args[1], v.in(moment{now: next}, false)))
	return g.Or(g.truth(e.Args[0], v), same)
}
