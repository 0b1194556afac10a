package sany

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// node is an element of SANY's export, as it stands.
type node struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
	Nodes   []node `xml:",any"`
}

func (n *node) child(tag string) *node {
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == tag {
			return &n.Nodes[i]
		}
	}
	return nil
}

// path follows tags; the text of what it does not find is empty.
func (n *node) path(tags ...string) *node {
	for _, t := range tags {
		if n = n.child(t); n == nil {
			return &node{}
		}
	}
	return n
}

func (n *node) text() string { return strings.TrimSpace(n.Text) }

func (n *node) number() int {
	v, _ := strconv.Atoi(n.text())
	return v
}

func (n *node) place() Place {
	l := n.path("location")
	return Place{
		Module: l.path("filename").text(),
		Line:   l.path("line", "begin").number(), Column: l.path("column", "begin").number(),
		LastLine: l.path("line", "end").number(),
	}
}

// Decode reads SANY's export of one root module.
func Decode(data []byte) (m *Module, err error) {
	var root node
	if err := xml.NewDecoder(bytes.NewReader(data)).Decode(&root); err != nil {
		return nil, fmt.Errorf("SANY's export: %w", err)
	}
	d := decoder{
		symbols: map[string]*node{}, declarations: map[string]*Declaration{},
		definitions: map[string]*Definition{}, params: map[string]*Param{},
	}
	defer func() {
		if e, ok := recover().(decodeError); ok {
			m, err = nil, e
		}
	}()
	return d.module(&root), nil
}

type decodeError struct{ error }

type decoder struct {
	symbols      map[string]*node // by UID
	declarations map[string]*Declaration
	definitions  map[string]*Definition
	params       map[string]*Param
}

func (d *decoder) fail(n *node, format string, args ...any) {
	panic(decodeError{fmt.Errorf("%s: %s", n.place(), fmt.Sprintf(format, args...))})
}

func (d *decoder) module(root *node) *Module {
	m := &Module{Name: root.path("RootModule").text(), Definitions: map[string]*Definition{}}
	entries := root.path("context").Nodes
	for i := range entries {
		e := &entries[i]
		for j := range e.Nodes {
			if e.Nodes[j].XMLName.Local != "UID" {
				d.symbols[e.path("UID").text()] = &e.Nodes[j]
			}
		}
	}
	rootModule := d.moduleNode(m.Name, root)
	for i := range rootModule.Nodes {
		d.unit(m, &rootModule.Nodes[i])
	}
	byPlace := func(a, b *Declaration) int { return compare(a.Place, b.Place) }
	slices.SortFunc(m.Constants, byPlace)
	slices.SortFunc(m.Variables, byPlace)
	slices.SortFunc(m.Assumptions, func(a, b Assumption) int { return compare(a.Body.At(), b.Body.At()) })
	return m
}

func compare(a, b Place) int {
	return cmp.Or(cmp.Compare(a.Module, b.Module), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

func (d *decoder) moduleNode(name string, root *node) *node {
	for _, n := range d.symbols {
		if n.XMLName.Local == "ModuleNode" && n.path("uniquename").text() == name {
			return n
		}
	}
	d.fail(root, "SANY's export has no module %q", name)
	return nil
}

// unit takes one reference of the root module's list of what it declares,
// defines and assumes, inherited or not.
func (d *decoder) unit(m *Module, ref *node) {
	switch ref.XMLName.Local {
	case "OpDeclNodeRef":
		decl := d.declaration(ref)
		if decl.Variable {
			m.Variables = append(m.Variables, decl)
		} else {
			m.Constants = append(m.Constants, decl)
		}
	case "UserDefinedOpKindRef":
		def := d.definition(ref)
		m.Definitions[def.Name] = def
	case "AssumeNodeRef":
		n := d.symbol(ref)
		a := Assumption{Body: d.expr(d.first(n, "body"))}
		if def := n.path("definition", "AssumeDefRef"); def.child("UID") != nil {
			a.Name = d.symbol(def).path("uniquename").text()
		}
		m.Assumptions = append(m.Assumptions, a)
	}
}

func (d *decoder) symbol(ref *node) *node {
	uid := ref.path("UID").text()
	n, ok := d.symbols[uid]
	if !ok {
		d.fail(ref, "%s refers to a symbol %q that the export does not have", ref.XMLName.Local, uid)
	}
	return n
}

func (d *decoder) declaration(ref *node) *Declaration {
	uid := ref.path("UID").text()
	if v, ok := d.declarations[uid]; ok {
		return v
	}
	n := d.symbol(ref)
	const variable = 3 // SANY's kind of a VARIABLE; a CONSTANT's is 2
	v := &Declaration{Name: n.path("uniquename").text(), Place: n.place(), Variable: n.path("kind").number() == variable}
	if n.path("arity").number() != 0 {
		d.fail(n, "constant %s takes parameters", v.Name)
	}
	d.declarations[uid] = v
	return v
}

func (d *decoder) param(ref *node) *Param {
	uid := ref.path("UID").text()
	if p, ok := d.params[uid]; ok {
		return p
	}
	n := d.symbol(ref)
	p := &Param{Name: n.path("uniquename").text(), Arity: n.path("arity").number()}
	d.params[uid] = p
	return p
}

func (d *decoder) definition(ref *node) *Definition {
	uid := ref.path("UID").text()
	if def, ok := d.definitions[uid]; ok {
		return def
	}
	n := d.symbol(ref)
	def := &Definition{Name: n.path("uniquename").text(), Place: n.place(), Level: Level(n.path("level").number())}
	d.definitions[uid] = def // before the body, which may be recursive
	params := n.path("params").Nodes
	for i := range params {
		def.Params = append(def.Params, d.param(params[i].path("FormalParamNodeRef")))
	}
	if body := n.path("body").Nodes; len(body) > 0 && !Standard(def.Place.Module) {
		def.Body = d.expr(&body[0])
	}
	return def
}

// Standard reports whether a module is one of TLA+'s own. Their definitions are
// known by name; the bodies that SANY has for them say nothing.
func Standard(module string) bool {
	switch module {
	case "Naturals", "Integers", "Reals", "Sequences", "FiniteSets", "TLC", "Bags":
		return true
	}
	return false
}

func (d *decoder) expr(n *node) Expr {
	at := n.place()
	switch tag := n.XMLName.Local; tag {
	case "NumeralNode":
		return &Number{at, n.path("IntValue").text()}
	case "StringNode":
		if n.text() == "$Other" {
			return &Other{at}
		}
		return &String{at, n.path("StringValue").Text}
	case "AtNode":
		return &At{at}
	case "LetInNode":
		return d.let(n)
	case "SubstInNode":
		return d.substitution(n)
	case "OpApplNode":
		return d.application(n)
	default:
		d.fail(n, "%s is not supported", tag)
		return nil
	}
}

// first is the first element in a child.
func (d *decoder) first(n *node, tag string) *node {
	if in := n.path(tag).Nodes; len(in) > 0 {
		return &in[0]
	}
	d.fail(n, "%s has no %s", n.XMLName.Local, tag)
	return nil
}

func (d *decoder) exprs(n *node) []Expr {
	var out []Expr
	for i := range n.Nodes {
		out = append(out, d.expr(&n.Nodes[i]))
	}
	return out
}

func (d *decoder) let(n *node) Expr {
	l := &Let{Place: n.place(), Body: d.expr(d.first(n, "body"))}
	defs := n.path("opDefs").Nodes
	for i := range defs {
		l.Definitions = append(l.Definitions, d.definition(&defs[i]))
	}
	return l
}

func (d *decoder) substitution(n *node) Expr {
	s := &Substitution{Place: n.place(), With: map[*Declaration]Expr{}, Body: d.expr(d.first(n, "body"))}
	substs := n.path("substs").Nodes
	for i := range substs {
		x := &substs[i]
		if len(x.Nodes) != 2 {
			d.fail(n, "a substitution has %d parts", len(x.Nodes))
		}
		s.With[d.declaration(x.path("OpDeclNodeRef"))] = d.expr(&x.Nodes[1])
	}
	return s
}

func (d *decoder) application(n *node) Expr {
	at := n.place()
	ref := d.first(n, "operator")
	args := n.path("operands")
	bounds := n.path("boundSymbols").Nodes
	switch tag := ref.XMLName.Local; tag {
	case "OpDeclNodeRef":
		return &Ref{at, d.declaration(ref)}
	case "FormalParamNodeRef":
		return &ParamRef{at, d.param(ref), d.exprs(args)}
	case "UserDefinedOpKindRef":
		return &Call{at, d.definition(ref), d.exprs(args)}
	case "BuiltInKindRef":
		b := &Builtin{Place: at, Op: d.symbol(ref).path("uniquename").text(), Args: d.exprs(args)}
		for i := range bounds {
			b.Bounds = append(b.Bounds, d.bound(&bounds[i]))
		}
		return b
	default:
		d.fail(n, "applying a %s is not supported", tag)
		return nil
	}
}

func (d *decoder) bound(n *node) Bound {
	var b Bound
	for i := range n.Nodes {
		switch c := &n.Nodes[i]; c.XMLName.Local {
		case "FormalParamNodeRef":
			b.Params = append(b.Params, d.param(c))
		case "tuple":
			b.Tuple = true
		default:
			b.Set = d.expr(c)
		}
	}
	return b
}
