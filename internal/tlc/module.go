package tlc

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// token is a lexeme of TLA+ or of a cfg file, comments left out.
type token struct{ text string }

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isWordByte(b byte) bool {
	return b == '_' || isDigit(b) || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// isIdentifier reports whether t is a TLA+ identifier: letters, digits and
// underscores, with at least one letter.
func isIdentifier(t string) bool {
	letter := false
	for i := range len(t) {
		if !isWordByte(t[i]) {
			return false
		}
		letter = letter || !isDigit(t[i]) && t[i] != '_'
	}
	return letter
}

// longest first, so that a prefix does not win
var symbols = []string{"<-", "==", "=>", "<=", ">=", "|->", "->", "<<", ">>", "/\\", "\\/", "[]", "<>"}

// tokenize splits text into words, strings, the symbols that matter here, and
// single bytes for the rest. A dashed or equals line is one token.
func tokenize(text string) []token {
	var out []token
	for i := 0; i < len(text); {
		rest := text[i:]
		n := 1
		switch {
		case strings.HasPrefix(rest, `\*`):
			n = lineLength(rest)
		case strings.HasPrefix(rest, "(*"):
			n = commentLength(rest)
		case strings.IndexByte(" \t\r\n\f", rest[0]) >= 0:
		case rest[0] == '"':
			n = stringLength(rest)
			out = append(out, token{rest[:n]})
		case strings.HasPrefix(rest, "----"):
			n = len(rest) - len(strings.TrimLeft(rest, "-"))
			out = append(out, token{"----"})
		case strings.HasPrefix(rest, "===="):
			n = len(rest) - len(strings.TrimLeft(rest, "="))
			out = append(out, token{"===="})
		case isWordByte(rest[0]):
			for n < len(rest) && isWordByte(rest[n]) {
				n++
			}
			out = append(out, token{rest[:n]})
		default:
			for _, s := range symbols {
				if strings.HasPrefix(rest, s) {
					n = len(s)
					break
				}
			}
			out = append(out, token{rest[:n]})
		}
		i += n
	}
	return out
}

func lineLength(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i
	}
	return len(s)
}

// commentLength measures a block comment, which may be nested.
func commentLength(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "(*"):
			depth++
			i++
		case strings.HasPrefix(s[i:], "*)"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

func stringLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		case '\n':
			return i
		}
	}
	return len(s)
}

// Module is what this package needs to know of a TLA+ module: which names it
// brings, and which guard conjuncts and variants its text has.
type Module struct {
	Name        string
	Extends     []string
	Instances   []string // every module instantiated, named or not
	Imports     []string // those instantiated without a name: their definitions are in scope
	Constants   []string
	Variables   []string
	Definitions map[string]int // name to number of parameters
	Guards      []string       // first arguments of Guard("..."), sorted
	Bugs        []string       // first arguments of Bug("..."), sorted
	Permuted    []string       // sets named in Permutations(...)
	Chosen      []string       // sets that CHOOSE takes an element of
}

// ParseModule reads the declarations of a module. It is no checker of TLA+: it
// looks only at what stands at the top level, outside of LET.
func ParseModule(text string) (Module, error) {
	p := moduleParser{tokens: tokenize(text)}
	p.module.Definitions = map[string]int{}
	if err := p.header(); err != nil {
		return Module{}, err
	}
	p.body()
	m := &p.module
	for _, list := range []*[]string{&m.Guards, &m.Bugs} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return *m, nil
}

type moduleParser struct {
	tokens []token
	pos    int
	module Module
}

func (p *moduleParser) at(i int) string {
	if i < 0 || i >= len(p.tokens) {
		return ""
	}
	return p.tokens[i].text
}

// header finds "---- MODULE Name ----"; what stands before it is prose.
func (p *moduleParser) header() error {
	for ; p.pos < len(p.tokens); p.pos++ {
		if p.at(p.pos) == "----" && p.at(p.pos+1) == "MODULE" && p.at(p.pos+3) == "----" {
			p.module.Name = p.at(p.pos + 2)
			p.pos += 4
			return nil
		}
	}
	return fmt.Errorf("no line ---- MODULE Name ---- found")
}

func (p *moduleParser) body() {
	lets := 0
	for ; p.pos < len(p.tokens); p.pos++ {
		switch t := p.at(p.pos); t {
		case "====":
			return
		case "EXTENDS":
			p.names(&p.module.Extends)
		case "CONSTANT", "CONSTANTS":
			p.names(&p.module.Constants)
		case "VARIABLE", "VARIABLES":
			p.names(&p.module.Variables)
		case "LET":
			lets++
		case "IN":
			lets--
		case "INSTANCE":
			p.instance()
		case "==":
			if lets == 0 {
				p.definition()
			}
		case "Guard":
			p.mention(&p.module.Guards)
		case "Bug":
			p.mention(&p.module.Bugs)
		case "Permutations":
			p.module.Permuted = append(p.module.Permuted, p.at(p.pos+2))
		case "CHOOSE":
			p.module.Chosen = append(p.module.Chosen, p.at(p.pos+4)) // CHOOSE x \in S
		}
	}
}

// names reads a comma separated list of names; a constant operator's
// parameters, as in Op(_, _), are skipped.
func (p *moduleParser) names(to *[]string) {
	for isIdentifier(p.at(p.pos + 1)) {
		p.pos++
		*to = append(*to, p.at(p.pos))
		if p.at(p.pos+1) == "(" {
			for p.pos < len(p.tokens) && p.at(p.pos) != ")" {
				p.pos++
			}
		}
		if p.at(p.pos+1) != "," {
			return
		}
		p.pos++
	}
}

func (p *moduleParser) instance() {
	name := p.at(p.pos + 1)
	p.module.Instances = append(p.module.Instances, name)
	if p.at(p.pos-1) != "==" {
		p.module.Imports = append(p.module.Imports, name)
	}
}

// definition looks back from == at Name, Name(a, b) or Name[x \in S].
func (p *moduleParser) definition() {
	i, params := p.pos-1, 0
	if end := p.at(i); end == ")" || end == "]" {
		depth := 0
		for ; i >= 0; i-- {
			switch p.at(i) {
			case ")", "]":
				depth++
			case "(", "[":
				depth--
			case ",":
				if depth == 1 && end == ")" {
					params++
				}
			}
			if depth == 0 {
				break
			}
		}
		if end == ")" {
			params++
		}
		i--
	}
	if name := p.at(i); isIdentifier(name) {
		p.module.Definitions[name] = params
	}
}

// mention notes the string that follows Guard( or Bug(.
func (p *moduleParser) mention(to *[]string) {
	if s := p.at(p.pos + 2); p.at(p.pos+1) == "(" && len(s) > 2 && s[0] == '"' {
		*to = append(*to, s[1:len(s)-1])
	}
}

// standardModules come with TLC.
var standardModules = map[string]bool{
	"Naturals": true, "Integers": true, "Reals": true, "Sequences": true, "FiniteSets": true,
	"Bags": true, "TLC": true, "Randomization": true, "Toolbox": true,
}

// Closure is a module with everything that it extends or instantiates.
type Closure struct {
	Root    Module
	Modules map[string]Module // by name, the root included, standard modules not
	Files   map[string][]byte // file name to content, for the same modules
}

// Load reads the module name from fsys and all modules that it needs.
func Load(fsys fs.FS, name string) (Closure, error) {
	c := Closure{Modules: map[string]Module{}, Files: map[string][]byte{}}
	if err := c.load(fsys, name); err != nil {
		return Closure{}, err
	}
	c.Root = c.Modules[name]
	return c, nil
}

func (c *Closure) load(fsys fs.FS, name string) error {
	if _, done := c.Modules[name]; done || standardModules[name] {
		return nil
	}
	file := name + ".tla"
	text, err := fs.ReadFile(fsys, file)
	if err != nil {
		return err
	}
	m, err := ParseModule(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if m.Name != name {
		return fmt.Errorf("%s contains module %s", file, m.Name)
	}
	c.Modules[name], c.Files[file] = m, text
	for _, dep := range slices.Concat(m.Extends, m.Instances) {
		if err := c.load(fsys, dep); err != nil {
			return fmt.Errorf("%s needs %w", name, err)
		}
	}
	return nil
}

// reach returns the root and every module reached from it through what follow
// names, each once, the root first.
func (c Closure) reach(follow func(Module) []string) []Module {
	var out []Module
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		m, ok := c.Modules[name]
		if !ok || seen[name] {
			return
		}
		seen[name] = true
		out = append(out, m)
		for _, dep := range follow(m) {
			visit(dep)
		}
	}
	visit(c.Root.Name)
	return out
}

// extended returns the modules whose constants and variables are the root's own.
func (c Closure) extended() []Module {
	return c.reach(func(m Module) []string { return m.Extends })
}

// visible returns the modules whose definitions the root can name without "!".
func (c Closure) visible() []Module {
	return c.reach(func(m Module) []string { return slices.Concat(m.Extends, m.Imports) })
}

// scope collects what a cfg of the root module may name.
func (c Closure) scope() (constants map[string]bool, definitions map[string]int) {
	constants, definitions = map[string]bool{}, map[string]int{}
	for _, m := range c.extended() {
		for _, n := range m.Constants {
			constants[n] = true
		}
	}
	for _, m := range c.visible() {
		maps.Copy(definitions, m.Definitions)
	}
	return constants, definitions
}

// chosenFrom names a set that symmetry permutes, if there is symmetry, and of which
// some definition of the root's own modules chooses an element: that one is not like
// the others. It is "" if there is none.
func (c Closure) chosenFrom(symmetry string) string {
	var permuted, chosen []string
	for _, m := range c.extended() {
		permuted, chosen = append(permuted, m.Permuted...), append(chosen, m.Chosen...)
	}
	i := slices.IndexFunc(permuted, func(set string) bool { return slices.Contains(chosen, set) })
	if symmetry == "" || i < 0 {
		return ""
	}
	return permuted[i]
}

// home names the module that defines name: the same property is the same in
// every model that extends it.
func (c Closure) home(name string) string {
	for _, m := range c.visible() {
		if _, ok := m.Definitions[name]; ok {
			return m.Name
		}
	}
	return c.Root.Name
}
