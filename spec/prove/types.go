package prove

import (
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry/spec/sany"
)

// declared is the kind of value that a constant or variable has.
type declared struct {
	shape   shape
	domains map[string]*setValue // of the functions in it, by their path
}

// newTranslator prepares a module: it gives each constant a symbolic value, or
// the one in given, and finds out the shapes of the declarations. They are read
// off the conjuncts x \in S and x \subseteq S of the module's assumptions and of
// the definitions named by types. That a variable has its shape in every state
// needs no proof beyond the translation: [translator.branches] refuses an
// action that gives it another.
func newTranslator(g algebra, m *sany.Module, types []string, given map[string]value) (*translator, error) {
	t := &translator{
		algebra: g, module: m,
		constants: map[*sany.Declaration]value{}, types: map[*sany.Declaration]declared{}, chosen: map[*sany.Builtin]value{},
	}
	for _, c := range m.Constants {
		if v, ok := given[c.Name]; ok {
			t.constants[c] = v
		}
	}
	var memberships []*sany.Builtin
	for _, a := range m.Assumptions {
		memberships = append(memberships, t.memberships(a.Body)...)
	}
	for _, name := range types {
		d, err := t.definition(name)
		if err != nil {
			return nil, err
		}
		memberships = append(memberships, t.memberships(d.Body)...)
	}
	t.declareAll(memberships)
	for _, d := range m.Constants {
		if t.constants[d] == nil {
			return nil, &Error{d.Place, fmt.Sprintf("what kind of value %s has is nowhere said: no assumption is %s \\in S or %s \\subseteq S", d.Name, d.Name, d.Name)}
		}
	}
	return t, nil
}

func (t *translator) definition(name string) (*sany.Definition, error) {
	d, ok := t.module.Definitions[name]
	if !ok || d.Body == nil || len(d.Params) > 0 {
		return nil, fmt.Errorf("module %s has no definition %s without parameters", t.module.Name, name)
	}
	return d, nil
}

// memberships lists the conjuncts of e that say where a declaration's value is
// from.
func (t *translator) memberships(e sany.Expr) (out []*sany.Builtin) {
	for _, c := range conjuncts(e) {
		b, ok := c.expr.(*sany.Builtin)
		if !ok || b.Op != "\\in" && b.Op != "\\subseteq" {
			continue
		}
		if _, ok := b.Args[0].(*sany.Ref); ok {
			out = append(out, b)
		}
	}
	return out
}

// declareAll takes the memberships in an order in which each set is known when
// it is used. What stays unknown is complained about by those who need it.
func (t *translator) declareAll(memberships []*sany.Builtin) {
	for again := true; again; {
		again = false
		memberships = slices.DeleteFunc(memberships, func(b *sany.Builtin) bool {
			err := t.guarded(func() { t.declare(b) })
			again = again || err == nil
			return err == nil
		})
	}
}

func (t *translator) declare(b *sany.Builtin) {
	decl := b.Args[0].(*sany.Ref).To
	if _, known := t.types[decl]; known {
		return
	}
	s := t.set(b.Args[1], env{})
	if b.Op == "\\subseteq" {
		s = t.powerset(s)
	}
	d := declared{shape: s.elem, domains: map[string]*setValue{}}
	d.collect(s, decl.Name)
	t.types[decl] = d
	if _, given := t.constants[decl]; !decl.Variable && !given {
		t.constants[decl] = t.symbol(d.shape, decl.Name, d.domain)
	}
}

// collect finds the domains of the functions in elements of s.
func (d declared) collect(s *setValue, path string) {
	switch {
	case s.from != nil:
		d.domains[path] = s.from
		d.collect(s.to, path+"[]")
	case s.fields != nil:
		for i, f := range s.fields {
			d.collect(f, path+"."+s.elem.(recordShape).names[i])
		}
	}
}

func (d declared) domain(path string) *setValue { return d.domains[path] }

// conjunct is a conjunct of a definition, with the innermost definition that it
// stands in.
type conjunct struct {
	name string
	expr sany.Expr
}

// conjuncts takes a conjunction apart, through definitions without parameters.
func conjuncts(e sany.Expr) []conjunct { return split("", e) }

func split(name string, e sany.Expr) (out []conjunct) {
	switch x := e.(type) {
	case *sany.Builtin:
		if x.Op == "\\land" || x.Op == "$ConjList" {
			for _, a := range x.Args {
				out = append(out, split(name, a)...)
			}
			return out
		}
	case *sany.Call:
		if x.To.Body != nil && len(x.To.Params) == 0 {
			return split(x.To.Name, x.To.Body)
		}
	}
	return []conjunct{{name, e}}
}

// symbolic returns a state of which nothing is known but the shapes. Its symbols
// are called after the variables.
func (t *translator) symbolic() state {
	s := state{}
	for _, v := range t.module.Variables {
		d, ok := t.types[v]
		if !ok {
			continue // whoever reads it is told
		}
		x := t.symbol(d.shape, v.Name, d.domain)
		s[v] = x
		if set, ok := x.(*setValue); ok {
			t.facts = append(t.facts, t.AtMost(t.Number(0), set.size))
		}
	}
	return s
}
