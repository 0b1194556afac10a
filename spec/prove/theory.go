package prove

import (
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// theory is a proof translated: everything that is assumed and is to be shown.
type theory struct {
	*translator
	proof     Proof
	now       state
	assumed   []*smt.Term // about the constants
	invariant []formula   // in now
	init      []branch
	steps     []branch
}

// formula is a named part of a module with its meaning.
type formula struct {
	name string
	expr sany.Expr
	env  env
	term *smt.Term

	redundant bool // a conjunct of the invariant that the proof calls so
}

// variation is what a [Failure] changes before the translation.
type variation struct {
	drop, bug string
	without   string
	assume    []string // the proof's own when empty
	swerves   []string // the actions that may, see slack
}

func newTheory(m *sany.Module, p Proof, change variation, scope int) (*theory, error) {
	terms := algebra{smt.NewTerms(), scope}
	given := map[string]value{}
	for name, literals := range map[string][]string{"Dropped": append(slices.Clone(p.Dropped), change.drop), "Bugs": {change.bug}} {
		var items []value
		for _, one := range literals {
			if one != "" {
				items = append(items, scalarValue{terms.Literal(one)})
			}
		}
		given[name] = terms.enumeration(items)
	}
	tr, err := newTranslator(terms, m, p.Types, given)
	if err != nil {
		return nil, err
	}
	if len(change.swerves) > 0 {
		tr.slack = newSlack(terms, change.swerves)
	}
	g := &theory{translator: tr, proof: p}
	if len(change.assume) == 0 {
		change.assume = p.Assume
	}
	return g, g.translate(change.assume)
}

func (g *theory) translate(assume []string) error {
	g.now = g.symbolic()
	for _, a := range g.module.Assumptions {
		if err := g.suppose(a.Body); err != nil {
			return err
		}
	}
	for _, name := range assume {
		d, err := g.definition(name)
		if err != nil {
			return err
		}
		if err := g.suppose(d.Body); err != nil {
			return err
		}
	}
	for _, name := range g.proof.Invariant {
		if err := g.addInvariant(name); err != nil {
			return err
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

// addInvariant adds the conjuncts of a definition, each under the name of the
// innermost definition that it stands in. One of several in a definition has the
// variable in its name whose type it is, else its number.
func (g *theory) addInvariant(name string) error {
	d, err := g.definition(name)
	if err != nil {
		return err
	}
	parts := split(name, d.Body)
	for i, c := range parts {
		others := slices.ContainsFunc(slices.Delete(slices.Clone(parts), i, i+1), func(o conjunct) bool { return o.name == c.name })
		f := formula{name: c.name, expr: c.expr}
		if of := g.memberships(c.expr); others && len(of) == 1 {
			f.name += "/" + of[0].Args[0].(*sany.Ref).To.Name
		} else if others {
			f.name = fmt.Sprintf("%s/%d", c.name, i+1)
		}
		_, f.redundant = g.proof.Redundant[f.name]
		if err := g.guarded(func() { f.term = g.truth(c.expr, env{moment: moment{now: g.now}}) }); err != nil {
			return err
		}
		g.invariant = append(g.invariant, f)
	}
	return nil
}

func (g *theory) suppose(e sany.Expr) error {
	return g.guarded(func() { g.assumed = append(g.assumed, g.truth(e, env{})) })
}

// after is the invariant's conjuncts in the state after a step, or at the start.
func (g *theory) after(s state) (out []formula, err error) {
	err = g.guarded(func() {
		for _, f := range g.invariant {
			f.env = env{moment: moment{now: s}}
			out = append(out, g.goal(f))
		}
	})
	return out, err
}

// goal gives a formula its meaning. In a small scope goals are taken apart where
// they are wanted, see [translator.breaches].
func (g *theory) goal(f formula) formula {
	if g.scope == 0 {
		f.term = g.truth(f.expr, f.env)
	}
	return f
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
		f := formula{name: name, expr: d.Body, env: env{moment: moment{now: g.now}}}
		if sq := box(d); sq != nil {
			f.expr = sq
			boxes = append(boxes, f)
			continue
		}
		if d.Level > sany.State {
			return nil, nil, &Error{d.Place, fmt.Sprintf("%s is neither a state predicate nor [][A]_v", name)}
		}
		if err := g.guarded(func() { f = g.goal(f) }); err != nil {
			return nil, nil, err
		}
		states = append(states, f)
	}
	return states, func(next state) (out []formula, err error) {
		err = g.guarded(func() {
			for _, f := range boxes {
				f.env.next = next
				out = append(out, g.goal(f))
			}
		})
		return out, err
	}, nil
}
