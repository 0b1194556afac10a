package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// Mutant is one small change of one file.
type Mutant struct {
	File   string // slash-separated, from the module root
	Line   int
	Func   string // the function or method that the change is in
	Change string // what the change is, unique within the function
	Locks  bool   // it loosens a lock, which the race detector sees best

	edits []edit
}

// ID names the mutant for as long as its function has the code that it changes:
// no line number is in it.
func (m Mutant) ID() string { return m.File + "\t" + m.Func + "\t" + m.Change }

// edit replaces the bytes [from, to) of a file.
type edit struct {
	from, to int
	text     string
}

// Apply returns the mutant's source.
func (m Mutant) Apply(src []byte) []byte {
	var out []byte
	at := 0
	for _, e := range m.edits { // in order, and apart
		out = append(append(out, src[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, src[at:]...)
}

// Mutants returns every mutant of the source, in the order of the text.
func Mutants(file string, src []byte) ([]Mutant, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	g := &generator{file: file, src: src, fset: fset, seen: map[string]int{}}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			g.function(fn)
		}
	}
	slices.SortStableFunc(g.found, func(a, b Mutant) int { return a.edits[0].from - b.edits[0].from })
	g.distinguish()
	return g.found, nil
}

// generator walks the functions of a file.
type generator struct {
	file  string
	src   []byte
	fset  *token.FileSet
	fn    string
	found []Mutant
	seen  map[string]int
}

// distinguish numbers the mutants of one function that read alike.
func (g *generator) distinguish() {
	for i, m := range g.found {
		g.seen[m.ID()]++
		if n := g.seen[m.ID()]; n > 1 {
			g.found[i].Change += fmt.Sprintf(" (%d)", n)
		}
	}
}

func (g *generator) function(fn *ast.FuncDecl) {
	g.fn = fn.Name.Name
	if fn.Recv != nil {
		g.fn = "(" + g.text(fn.Recv.List[0].Type) + ")." + g.fn
	}
	g.walk(fn.Body, fn.Type)
}

// walk visits a body. A literal's returns belong to the literal.
func (g *generator) walk(body *ast.BlockStmt, of *ast.FuncType) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			g.walk(n.Body, n.Type)
			return false
		case *ast.BlockStmt:
			g.statements(n.List)
		case *ast.CaseClause:
			g.statements(n.Body)
		case *ast.CommClause:
			g.statements(n.Body)
		case *ast.IfStmt:
			g.condition(n.Cond)
		case *ast.SwitchStmt:
			g.cases(n)
		case *ast.BinaryExpr:
			g.binary(n)
		case *ast.CallExpr:
			g.call(n)
		case *ast.CompositeLit:
			g.fields(n)
		case *ast.ReturnStmt:
			g.result(n, of)
		}
		return true
	})
}

func (g *generator) offset(p token.Pos) int { return g.fset.Position(p).Offset }

// text returns the source of a node on one line.
func (g *generator) text(n ast.Node) string {
	return strings.Join(strings.Fields(string(g.src[g.offset(n.Pos()):g.offset(n.End())])), " ")
}

// short is text for a description.
func (g *generator) short(n ast.Node) string {
	s := g.text(n)
	if r := []rune(s); len(r) > 90 {
		return string(r[:90]) + "…"
	}
	return s
}

func (g *generator) replacement(n ast.Node, with string) edit {
	return edit{g.offset(n.Pos()), g.offset(n.End()), with}
}

func (g *generator) add(change string, edits ...edit) {
	line := g.fset.Position(g.fset.File(1).Pos(edits[0].from)).Line
	g.found = append(g.found, Mutant{File: g.file, Line: line, Func: g.fn, Change: change, edits: edits})
}

// replace adds the mutant that has other code in the place of a node.
func (g *generator) replace(n ast.Node, with string) {
	g.add(g.short(n)+"  =>  "+with, g.replacement(n, with))
}

// condition decides an if beforehand. What the condition names stays used, so
// that the mutant compiles.
func (g *generator) condition(cond ast.Expr) {
	c := g.text(cond)
	if !isErrCheck(cond) { // always taken, it returns a nil error everywhere
		g.add("if "+g.short(cond)+"  =>  true", g.replacement(cond, "true || "+"("+c+")"))
	}
	g.add("if "+g.short(cond)+"  =>  false", g.replacement(cond, "false && "+"("+c+")"))
}

// isErrCheck recognises err != nil.
func isErrCheck(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	return ok && b.Op == token.NEQ && isIdent(b.X, "err") && isIdent(b.Y, "nil")
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// cases takes each case away, so that its values fall to the default.
func (g *generator) cases(s *ast.SwitchStmt) {
	for _, c := range s.Body.List {
		c := c.(*ast.CaseClause)
		for i, e := range c.List {
			if s.Tag == nil {
				g.add("case "+g.short(e)+"  =>  false", g.replacement(e, "false && ("+g.text(e)+")"))
				continue
			}
			cut := edit{g.offset(e.Pos()), g.offset(e.End()), ""}
			switch {
			case len(c.List) == 1:
				cut = g.replacement(c, "")
			case i > 0:
				cut.from = g.offset(c.List[i-1].End())
			default:
				cut.to = g.offset(c.List[1].Pos())
			}
			g.add("drop case "+g.short(e), cut)
		}
	}
}

// neighbours of an operator: the boundary moved, or the meaning turned.
var neighbours = map[token.Token][]string{
	token.LSS: {"<=", ">="}, token.LEQ: {"<", ">"},
	token.GTR: {">=", "<="}, token.GEQ: {">", "<"},
	token.EQL: {"!="}, token.NEQ: {"=="},
	token.LAND: {"||"}, token.LOR: {"&&"},
}

func (g *generator) binary(b *ast.BinaryExpr) {
	for _, op := range neighbours[b.Op] {
		if isErrCheck(b) {
			break // condition has it
		}
		at := g.offset(b.OpPos)
		g.add(fmt.Sprintf("%s  =>  %s", g.short(b), op), edit{at, at + len(b.Op.String()), op})
	}
	switch b.Op {
	case token.LAND, token.LOR:
		neutral := map[token.Token]string{token.LAND: "true", token.LOR: "false"}[b.Op]
		for _, operand := range []ast.Expr{b.X, b.Y} {
			g.add(fmt.Sprintf("in %s, drop %s", g.short(b), g.short(operand)),
				g.replacement(operand, fmt.Sprintf("(%s %s (%s))", neutral, map[token.Token]string{token.LAND: "||", token.LOR: "&&"}[b.Op], g.text(operand))))
		}
	case token.ADD, token.SUB:
		if one, ok := b.Y.(*ast.BasicLit); ok && one.Value == "1" {
			for _, other := range []string{"0", "2"} {
				g.add(fmt.Sprintf("%s  =>  %s %s", g.short(b), b.Op, other), g.replacement(one, other))
			}
		}
	}
}

// call takes one side of a bound, and moves a read of a transaction out of its
// read set or into it.
func (g *generator) call(c *ast.CallExpr) {
	if (isIdent(c.Fun, "max") || isIdent(c.Fun, "min")) && len(c.Args) == 2 {
		g.replace(c, g.text(c.Args[0]))
		g.replace(c, g.text(c.Args[1]))
	}
	for _, a := range c.Args {
		t := g.text(a)
		switch {
		case t == "tr", t == "a.tr":
			g.add(fmt.Sprintf("in %s, %s  =>  snapshot", g.short(c), t), g.replacement(a, t+".Snapshot()"))
		case strings.HasSuffix(t, "tr.Snapshot()"):
			g.add(fmt.Sprintf("in %s, %s  =>  no snapshot", g.short(c), t), g.replacement(a, strings.TrimSuffix(t, ".Snapshot()")))
		}
	}
}

// fields leaves each named field of a literal at zero.
func (g *generator) fields(lit *ast.CompositeLit) {
	for i, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if _, named := kv.Key.(*ast.Ident); !named {
			continue
		}
		cut := g.replacement(kv, "")
		if i+1 < len(lit.Elts) {
			cut.to = g.offset(lit.Elts[i+1].Pos())
		} else {
			cut.to = g.offset(lit.Rbrace) // with a trailing comma
		}
		g.add(fmt.Sprintf("in %s literal, drop %s", g.literalType(lit), g.short(kv)), cut)
	}
}

func (g *generator) literalType(lit *ast.CompositeLit) string {
	if lit.Type == nil {
		return "untyped"
	}
	return g.text(lit.Type)
}

// result turns the answer: no error in the place of one, and true for false.
func (g *generator) result(r *ast.ReturnStmt, of *ast.FuncType) {
	if of.Results == nil || len(r.Results) == 0 || len(r.Results) != of.Results.NumFields() {
		return
	}
	for i, e := range r.Results {
		switch {
		case isIdent(e, "true"):
			g.add(g.short(r)+fmt.Sprintf("  =>  result %d false", i+1), g.replacement(e, "false"))
		case isIdent(e, "false"):
			g.add(g.short(r)+fmt.Sprintf("  =>  result %d true", i+1), g.replacement(e, "true"))
		}
	}
	last := r.Results[len(r.Results)-1]
	if isIdent(of.Results.List[len(of.Results.List)-1].Type, "error") && !isIdent(last, "nil") {
		g.add(g.short(r)+"  =>  nil error", g.replacement(last, "nil"))
	}
}

// statements drops each statement that has an effect. A lock goes with the
// deferred unlock that follows it, and is once weakened to a reader's: what is
// lost is the exclusion and not the balance, which the runtime checks by itself.
func (g *generator) statements(list []ast.Stmt) {
	for i, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if lock, ok := lockOf(s.X); ok && i+1 < len(list) && isUnlock(list[i+1]) {
				g.critical(s, lock, list[i+1].(*ast.DeferStmt))
				continue
			}
			if g.isYield(s.X) {
				continue
			}
			g.add("drop "+g.short(s), g.replacement(s, ""))
		case *ast.IncDecStmt, *ast.GoStmt:
			g.add("drop "+g.short(s), g.replacement(s, ""))
		case *ast.DeferStmt:
			if i == 0 || !isLock(list[i-1]) {
				g.add("drop "+g.short(s), g.replacement(s, ""))
			}
		case *ast.AssignStmt:
			g.assignment(s)
		}
	}
}

func (g *generator) critical(s *ast.ExprStmt, lock *ast.SelectorExpr, unlock *ast.DeferStmt) {
	before := len(g.found)
	g.add("drop "+g.short(s)+" and its unlock", g.replacement(s, ""), g.replacement(unlock, ""))
	if lock.Sel.Name == "Lock" {
		g.add("weaken "+g.short(s), g.replacement(lock.Sel, "RLock"), g.replacement(unlock.Call.Fun.(*ast.SelectorExpr).Sel, "RUnlock"))
	}
	for i := range g.found[before:] {
		g.found[before+i].Locks = true
	}
}

func lockOf(e ast.Expr) (*ast.SelectorExpr, bool) {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return nil, false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return sel, ok && (sel.Sel.Name == "Lock" || sel.Sel.Name == "RLock")
}

// isYield recognises a yield point, which without its build tag is no code at all.
func (g *generator) isYield(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && strings.HasSuffix(g.text(call.Fun), ".yields.at")
}

func isLock(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return false
	}
	_, ok = lockOf(e.X)
	return ok
}

func isUnlock(s ast.Stmt) bool {
	d, ok := s.(*ast.DeferStmt)
	if !ok {
		return false
	}
	sel, ok := d.Call.Fun.(*ast.SelectorExpr)
	return ok && (sel.Sel.Name == "Unlock" || sel.Sel.Name == "RUnlock")
}

// assignment evaluates and does not assign, one left side at a time.
func (g *generator) assignment(s *ast.AssignStmt) {
	if s.Tok == token.DEFINE {
		return
	}
	for i, left := range s.Lhs {
		switch {
		case isIdent(left, "_"):
		case s.Tok != token.ASSIGN || len(s.Lhs) == 1 && isIdent(s.Rhs[0], "nil"):
			g.add("drop "+g.short(s), g.replacement(s, ""))
		default:
			change := "drop " + g.short(s)
			if len(s.Lhs) > 1 {
				change = fmt.Sprintf("in %s, drop %s", g.short(s), g.short(s.Lhs[i]))
			}
			g.add(change, g.replacement(left, "_"))
		}
	}
}
