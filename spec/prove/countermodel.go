package prove

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// Step is a countermodel: values of the constants, a state that satisfies the
// invariant, a step from it, and what is broken then.
type Step struct {
	Constants []string // "TTL = 1"
	Before    []string // "clock[n1] = -1"
	Action    string   // "Claim(n1, a1, 1, TRUE)"; empty when the state alone breaks it
	After     []string // what the step changes
	Breaks    string   // the property
	Place     sany.Place
	For       []string // the values of the property's variables for which it is broken
}

func (s *Step) String() string {
	var b strings.Builder
	block := func(title string, lines []string) {
		for _, l := range lines {
			fmt.Fprintf(&b, "    %-7s %s\n", title, l)
			title = ""
		}
	}
	block("with", []string{strings.Join(s.Constants, ", ")})
	block("before", s.Before)
	if s.Action != "" {
		block("step", []string{s.Action})
	}
	block("after", s.After)
	block("breaks", []string{fmt.Sprintf("%s (%s)", s.Breaks, s.Place)})
	if len(s.For) > 0 {
		block("for", []string{strings.Join(s.For, ", ")})
	}
	return strings.TrimRight(b.String(), "\n")
}

// draw turns the model that the solver just found into a Step, after asking for
// one that is easier to read: with small numbers.
func draw(s *smt.Session, j *job, f formula, w breach) (*Step, error) {
	p := &picture{j: j, witnesses: w.witnesses}
	p.step(f, w) // says what values it wants
	for _, x := range p.wanted {
		if err := s.Declare(x); err != nil {
			return nil, err
		}
	}
	for _, limit := range []int64{1, 3, 8, 0} {
		if err := s.Push(); err != nil {
			return nil, err
		}
		if err := p.bound(s, limit); err != nil {
			return nil, err
		}
		v, err := s.Check()
		if err != nil {
			return nil, err
		}
		if v == smt.Sat {
			break
		}
		if limit == 0 {
			return nil, fmt.Errorf("the solver says first sat, then %s", v)
		}
		if err := s.Pop(); err != nil {
			return nil, err
		}
	}
	if err := p.evaluate(s); err != nil {
		return nil, err
	}
	return p.step(f, w), s.Pop()
}

// picture prints a model. Until it has one it notes what values it wants.
type picture struct {
	j         *job
	witnesses []argument
	wanted    []*smt.Term
	values    map[*smt.Term]string
	names     map[string]string // of elements of Str, by the solver's names
}

type namedSet struct {
	letter string
	set    *setValue
}

// namedSets are the module's constants that are sets of strings. Their elements
// are called after them.
func (p *picture) namedSets() (out []namedSet) {
	g := p.j.theory
	for _, c := range g.module.Constants {
		if s, ok := g.constants[c].(*setValue); ok && s.elem == scalar(smt.Str) && len(s.items) > 0 {
			out = append(out, namedSet{strings.ToLower(c.Name[:1]), s})
		}
	}
	return out
}

// strings lists the wanted terms of sort Str.
func (p *picture) strings() (out []*smt.Term) {
	for _, x := range p.wanted {
		if x.Sort == smt.Str {
			out = append(out, x)
		}
	}
	return out
}

// bound asserts what makes a picture easy to read: numbers are near zero, and no
// string is in two of the named sets. With 0 it asserts nothing.
func (p *picture) bound(s *smt.Session, limit int64) error {
	if limit == 0 {
		return nil
	}
	t := p.j.theory
	for _, x := range p.wanted {
		if x.Sort != smt.Int {
			continue
		}
		if err := s.Assert(t.AtMost(t.Number(-limit-2), x), t.AtMost(x, t.Number(limit))); err != nil {
			return err
		}
	}
	sets := p.namedSets()
	for i, a := range sets {
		for _, b := range sets[:i] {
			apart := t.forall(a.set, "x", func(x value) *smt.Term { return t.Not(b.set.has(x)) })
			if a.letter == b.letter { // Acts and Actors
				continue
			}
			if err := s.Assert(apart); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *picture) evaluate(s *smt.Session) error {
	got, err := s.Values(p.wanted)
	if err != nil {
		return err
	}
	p.values = map[*smt.Term]string{}
	for i, x := range p.wanted {
		p.values[x] = got[i]
	}
	p.names = map[string]string{}
	for _, x := range p.wanted {
		if x.Op == smt.Literal {
			p.names[p.values[x]] = fmt.Sprintf("%q", x.Name)
		}
	}
	count := map[string]int{}
	name := func(letter string, x *smt.Term) {
		v := p.values[x]
		if _, named := p.names[v]; !named {
			count[letter]++
			p.names[v] = fmt.Sprintf("%s%d", letter, count[letter])
		}
	}
	for _, set := range p.namedSets() {
		for i, it := range set.set.items {
			if x := it.(scalarValue).term; p.values[set.set.present[i]] == "true" {
				name(set.letter, x)
			}
		}
	}
	for _, x := range p.strings() {
		name("s", x)
	}
	return nil
}

// scalar is the text of a term's value.
func (p *picture) scalar(x *smt.Term) string {
	if p.values == nil {
		if !slices.Contains(p.wanted, x) {
			p.wanted = append(p.wanted, x)
		}
		return ""
	}
	switch v := p.values[x]; x.Sort {
	case smt.Bool:
		return strings.ToUpper(v)
	case smt.Str:
		return p.names[v]
	default:
		return v
	}
}

// elements calls visit for each element of a set that can be listed, once.
func (p *picture) elements(s *setValue, visit func(x value, text string)) {
	var seen []string
	for i, it := range s.items {
		in, text := p.scalar(s.present[i]), p.text(it)
		if p.values == nil || in == "TRUE" && !slices.Contains(seen, text) {
			seen = append(seen, text)
			visit(it, text)
		}
	}
}

func (p *picture) texts(values []value) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = p.text(v)
	}
	return out
}

func (p *picture) text(v value) string {
	switch x := v.(type) {
	case scalarValue:
		return p.scalar(x.term)
	case recordValue:
		parts := p.texts(x.fields)
		for i, n := range x.names {
			parts[i] = n + " |-> " + parts[i]
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case tupleValue:
		return "<<" + strings.Join(p.texts(x), ", ") + ">>"
	case *setValue:
		var in []string
		p.elements(x, func(_ value, text string) { in = append(in, text) })
		slices.Sort(in)
		return "{" + strings.Join(in, ", ") + "}"
	}
	return "..."
}

// line is what is shown of a part of the state.
type line struct{ left, right string }

// lines shows a value, a function argument by argument.
func (p *picture) lines(left string, v value) (out []line) {
	f, ok := v.(funcValue)
	if !ok {
		return []line{{left, p.text(v)}}
	}
	p.elements(f.domain, func(x value, text string) {
		out = append(out, p.lines(left+"["+text+"]", f.at(x))...)
	})
	slices.SortStableFunc(out, func(a, b line) int { return strings.Compare(a.left, b.left) })
	return out
}

// literals wants the strings that the module names, so that they are recognised.
func (p *picture) literals(terms ...*smt.Term) {
	for _, x := range smt.Literals(terms...) {
		p.scalar(x)
	}
}

func (p *picture) state(s state) (out []line) {
	for _, v := range p.j.theory.module.Variables {
		if x, ok := s[v]; ok && x != nil {
			out = append(out, p.lines(v.Name, x)...)
		}
	}
	return out
}

func (p *picture) step(f formula, w breach) *Step {
	g, b := p.j.theory, p.j.branch
	out := &Step{Breaks: f.name, Place: w.place}
	for _, c := range g.module.Constants {
		if x, ok := g.constants[c].(scalarValue); ok {
			out.Constants = append(out.Constants, c.Name+" = "+p.scalar(x.term))
		}
	}
	for _, x := range w.witnesses {
		out.For = append(out.For, x.name+" = "+p.text(x.value))
	}
	for _, f := range g.invariant {
		p.literals(f.term)
	}
	p.literals(slices.Concat(b.conds, w.conds)...)
	var before []line
	if p.j.action != "Init" {
		before = p.state(g.now)
	}
	for _, l := range before {
		out.Before = append(out.Before, l.left+" = "+l.right)
	}
	if b.next == nil {
		return out
	}
	out.Action = b.action
	var args []string
	for _, a := range b.args {
		args = append(args, p.text(a.value))
	}
	if len(args) > 0 {
		out.Action += "(" + strings.Join(args, ", ") + ")"
	}
	for _, l := range p.state(b.next) {
		if !slices.Contains(before, l) {
			out.After = append(out.After, l.left+" = "+l.right)
		}
	}
	return out
}
