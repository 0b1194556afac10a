package tlc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Config is a model configuration: the content of a cfg file.
type Config struct {
	Specification     string // or Init and Next
	Init, Next        string
	Constants         []Assignment
	Invariants        []string
	Properties        []string
	Constraints       []string
	ActionConstraints []string
	Symmetry, View    string
	AllowDeadlock     bool // CHECK_DEADLOCK FALSE
}

// Assignment gives a constant its value, or replaces a definition by another.
type Assignment struct {
	Name       string
	Value      string // a TLA+ value, or for a substitution the name of a definition
	Substitute bool   // Name <- Value instead of Name = Value
}

// Set gives the constant name a value: a TLA+ value, or "<- Def".
func (c *Config) Set(name, value string) {
	a := Assignment{Name: name, Value: value}
	if def, ok := strings.CutPrefix(value, "<-"); ok {
		a.Value, a.Substitute = strings.TrimSpace(def), true
	}
	i := slices.IndexFunc(c.Constants, func(o Assignment) bool { return o.Name == name })
	if i < 0 {
		c.Constants = append(c.Constants, a)
		return
	}
	c.Constants = slices.Clone(c.Constants)
	c.Constants[i] = a
}

// add puts a string into the set that the constant name has.
func (c *Config) add(name, element string) {
	has := []string{strconv.Quote(element)}
	for _, a := range c.Constants {
		if a.Name == name {
			has = append(members(a.Value), has...)
		}
	}
	c.Set(name, "{"+strings.Join(has, ", ")+"}")
}

// String returns the configuration as a cfg file.
func (c Config) String() string {
	var b strings.Builder
	one := func(keyword, name string) {
		if name != "" {
			fmt.Fprintf(&b, "%s %s\n", keyword, name)
		}
	}
	list := func(keyword string, names []string) {
		for _, n := range names {
			one(keyword, n)
		}
	}
	one("SPECIFICATION", c.Specification)
	one("INIT", c.Init)
	one("NEXT", c.Next)
	for _, a := range c.Constants {
		op := "="
		if a.Substitute {
			op = "<-"
		}
		fmt.Fprintf(&b, "CONSTANT %s %s %s\n", a.Name, op, a.Value)
	}
	list("INVARIANT", c.Invariants)
	list("PROPERTY", c.Properties)
	list("CONSTRAINT", c.Constraints)
	list("ACTION_CONSTRAINT", c.ActionConstraints)
	one("SYMMETRY", c.Symmetry)
	one("VIEW", c.View)
	if c.AllowDeadlock {
		one("CHECK_DEADLOCK", "FALSE")
	}
	return b.String()
}

// ParseConfig reads a cfg file.
func ParseConfig(text string) (Config, error) {
	p := configParser{tokens: tokenize(text)}
	for p.pos < len(p.tokens) {
		if err := p.section(); err != nil {
			return Config{}, err
		}
	}
	return p.config, nil
}

type configParser struct {
	tokens []token
	pos    int
	config Config
}

// peek returns the next token's text, empty at the end.
func (p *configParser) peek(ahead int) string {
	if p.pos+ahead >= len(p.tokens) {
		return ""
	}
	return p.tokens[p.pos+ahead].text
}

func (p *configParser) next() string {
	t := p.peek(0)
	p.pos++
	return t
}

var configKeywords = map[string]bool{
	"SPECIFICATION": true, "INIT": true, "NEXT": true, "CONSTANT": true, "CONSTANTS": true,
	"INVARIANT": true, "INVARIANTS": true, "PROPERTY": true, "PROPERTIES": true,
	"CONSTRAINT": true, "CONSTRAINTS": true, "ACTION_CONSTRAINT": true, "ACTION_CONSTRAINTS": true,
	"SYMMETRY": true, "VIEW": true, "CHECK_DEADLOCK": true,
}

func (p *configParser) section() error {
	c := &p.config
	switch keyword := p.next(); keyword {
	case "SPECIFICATION":
		return p.name(keyword, &c.Specification)
	case "INIT":
		return p.name(keyword, &c.Init)
	case "NEXT":
		return p.name(keyword, &c.Next)
	case "SYMMETRY":
		return p.name(keyword, &c.Symmetry)
	case "VIEW":
		return p.name(keyword, &c.View)
	case "INVARIANT", "INVARIANTS":
		return p.names(&c.Invariants)
	case "PROPERTY", "PROPERTIES":
		return p.names(&c.Properties)
	case "CONSTRAINT", "CONSTRAINTS":
		return p.names(&c.Constraints)
	case "ACTION_CONSTRAINT", "ACTION_CONSTRAINTS":
		return p.names(&c.ActionConstraints)
	case "CONSTANT", "CONSTANTS":
		return p.assignments()
	case "CHECK_DEADLOCK":
		v := p.next()
		if v != "TRUE" && v != "FALSE" {
			return fmt.Errorf("CHECK_DEADLOCK %q is neither TRUE nor FALSE", v)
		}
		c.AllowDeadlock = v == "FALSE"
		return nil
	default:
		return fmt.Errorf("%q is not a keyword of a configuration", keyword)
	}
}

func (p *configParser) name(keyword string, to *string) error {
	n := p.next()
	if !isIdentifier(n) || *to != "" {
		return fmt.Errorf("%s takes one name, once; found %q", keyword, n)
	}
	*to = n
	return nil
}

func (p *configParser) names(to *[]string) error {
	for isIdentifier(p.peek(0)) && !configKeywords[p.peek(0)] {
		*to = append(*to, p.next())
	}
	return nil
}

func (p *configParser) assignments() error {
	for isIdentifier(p.peek(0)) && !configKeywords[p.peek(0)] {
		a := Assignment{Name: p.next()}
		switch op := p.next(); op {
		case "=":
			v, err := p.value()
			if err != nil {
				return fmt.Errorf("value of %s: %w", a.Name, err)
			}
			a.Value = v
		case "<-":
			a.Substitute, a.Value = true, p.next()
			if !isIdentifier(a.Value) {
				return fmt.Errorf("%s <- %q does not name a definition", a.Name, a.Value)
			}
		default:
			return fmt.Errorf("after %s: want = or <-, found %q", a.Name, op)
		}
		p.config.Constants = append(p.config.Constants, a)
	}
	return nil
}

// value reads a number, string, model value or set of values.
func (p *configParser) value() (string, error) {
	switch t := p.next(); {
	case t == "-":
		n, err := p.value()
		return "-" + n, err
	case t == "{":
		var items []string
		for p.peek(0) != "}" {
			v, err := p.value()
			if err != nil {
				return "", err
			}
			items = append(items, v)
			if p.peek(0) == "," {
				p.next()
			} else if p.peek(0) != "}" {
				return "", fmt.Errorf("in a set: want , or }, found %q", p.peek(0))
			}
		}
		p.next()
		return "{" + strings.Join(items, ", ") + "}", nil
	case t == "" || !isIdentifier(t) && t[0] != '"' && !isDigit(t[0]):
		return "", fmt.Errorf("%q is not a value", t)
	default:
		return t, nil
	}
}

// Choice is a TLA+ expression for the item with the number i, counted from 1. TLC
// goes down one branch of it; a sequence of the items it would evaluate as a whole,
// at every use.
func Choice(items []string) string { return choice(items, 1) }

func choice(items []string, first int) string {
	if len(items) == 1 {
		return items[0]
	}
	half := len(items) / 2
	return fmt.Sprintf("IF i < %d THEN %s\nELSE %s", first+half, choice(items[:half], first), choice(items[half:], first+half))
}
