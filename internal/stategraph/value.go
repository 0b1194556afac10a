package stategraph

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind says what a [Value] is.
type Kind uint8

// The kinds of values that TLC prints for the models here.
const (
	Int Kind = iota + 1
	Bool
	String
	Set
	Tuple
	Record   // a record, or a function whose domain is a set of strings: TLC prints both alike
	Function // any other function
)

// Value is a TLA+ value as TLC prints it. Sets and fields are sorted, so that
// equal values have equal strings.
type Value struct {
	Kind   Kind
	Num    int64   // Int; Bool: 0 or 1
	Str    string  // String
	Items  []Value // Set, Tuple
	Fields []Field // Record, Function
}

// Field is one entry of a record or function.
type Field struct {
	Key   Value // for a Record a String
	Value Value
}

// Get returns the record's field, the zero Value when there is none.
func (v Value) Get(name string) Value {
	for _, f := range v.Fields {
		if f.Key.Kind == String && f.Key.Str == name {
			return f.Value
		}
	}
	return Value{}
}

// String prints the value in its canonical form, which [ParseValue] reads.
func (v Value) String() string { return string(v.append(nil)) }

func (v Value) append(b []byte) []byte {
	list := func(open string, items []Value, end string) {
		b = append(b, open...)
		for i, it := range items {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = it.append(b)
		}
		b = append(b, end...)
	}
	switch v.Kind {
	case Int:
		return strconv.AppendInt(b, v.Num, 10)
	case Bool:
		return append(b, strings.ToUpper(strconv.FormatBool(v.Num != 0))...)
	case String:
		return append(append(append(b, '"'), escape.Replace(v.Str)...), '"')
	case Set:
		list("{", v.Items, "}")
	case Tuple:
		list("<<", v.Items, ">>")
	case Record:
		b = append(b, '[')
		for i, f := range v.Fields {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = f.Value.append(append(append(b, f.Key.Str...), " |-> "...))
		}
		b = append(b, ']')
	case Function:
		b = append(b, '(')
		for i, f := range v.Fields {
			if i > 0 {
				b = append(b, " @@ "...)
			}
			b = f.Value.append(append(f.Key.append(b), " :> "...))
		}
		b = append(b, ')')
	}
	return b
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// compare is a total order on values; which one does not matter.
func compare(a, b Value) int {
	if c := cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Num, b.Num), cmp.Compare(a.Str, b.Str),
		slices.CompareFunc(a.Items, b.Items, compare)); c != 0 {
		return c
	}
	return slices.CompareFunc(a.Fields, b.Fields, func(x, y Field) int {
		return cmp.Or(compare(x.Key, y.Key), compare(x.Value, y.Value))
	})
}

// ParseValue reads one value. Spaces and line breaks between its parts do not
// matter; TLC wraps long values.
func ParseValue(text string) (Value, error) {
	p := valueParser{text: text}
	v, err := p.value()
	if err == nil && p.rest() != "" {
		err = p.expected("the end")
	}
	if err != nil {
		return Value{}, err
	}
	return v, nil
}

// ParseState reads conjuncts "/\ name = value" into a record of the variables;
// without "/\ " it is one "name = value", as TLC prints a single variable.
func ParseState(text string) (Value, error) {
	p := valueParser{text: text}
	state := Value{Kind: Record}
	for first := true; first || p.rest() != ""; first = false {
		if !p.take(`/\`) && !first {
			return Value{}, p.expected(`/\`)
		}
		name := p.word()
		if name == "" || !p.take("=") {
			return Value{}, p.expected("variable = value")
		}
		v, err := p.value()
		if err != nil {
			return Value{}, err
		}
		state.Fields = append(state.Fields, Field{Key: Value{Kind: String, Str: name}, Value: v})
	}
	return state, p.sortFields(state.Fields)
}

const maxDepth = 100 // of nesting: the text may come from anywhere

type valueParser struct {
	text  string
	pos   int
	depth int
}

// rest skips white space and returns what is left.
func (p *valueParser) rest() string {
	p.pos += len(p.text[p.pos:]) - len(strings.TrimLeft(p.text[p.pos:], " \t\r\n"))
	return p.text[p.pos:]
}

func (p *valueParser) take(token string) bool {
	if !strings.HasPrefix(p.rest(), token) {
		return false
	}
	p.pos += len(token)
	return true
}

func (p *valueParser) expected(what string) error {
	found := p.rest()
	return fmt.Errorf("offset %d: expected %s, found %.20q", p.pos, what, found)
}

// word reads an identifier, or returns "".
func (p *valueParser) word() string {
	rest := p.rest()
	n := 0
	for n < len(rest) && isWordByte(rest[n]) && (n > 0 || rest[0] < '0' || rest[0] > '9') {
		n++
	}
	p.pos += n
	return rest[:n]
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func (p *valueParser) value() (Value, error) {
	if p.depth++; p.depth > maxDepth {
		return Value{}, p.expected("less nesting")
	}
	defer func() { p.depth-- }()
	rest := p.rest()
	if rest == "" {
		return Value{}, p.expected("a value")
	}
	switch c := rest[0]; {
	case c == '"':
		return p.string()
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case c == '{':
		p.take("{")
		return p.set()
	case p.take("<<"):
		items, err := p.items(">>")
		return Value{Kind: Tuple, Items: items}, err
	case p.take("["):
		return p.record()
	case p.take("("):
		return p.function()
	}
	switch word := p.word(); word {
	case "TRUE":
		return Value{Kind: Bool, Num: 1}, nil
	case "FALSE":
		return Value{Kind: Bool}, nil
	default:
		p.pos -= len(word)
		return Value{}, p.expected("a value")
	}
}

func (p *valueParser) string() (Value, error) {
	var b strings.Builder
	for i := p.pos + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			p.pos = i + 1
			return Value{Kind: String, Str: b.String()}, nil
		case c == '\\' && i+1 < len(p.text):
			i++
			b.WriteByte(p.text[i])
		default:
			b.WriteByte(c)
		}
	}
	return Value{}, p.expected("a closed string")
}

func (p *valueParser) number() (Value, error) {
	rest := p.rest()
	n := 1
	for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(rest[:n], 10, 64)
	if err != nil {
		return Value{}, p.expected("a number")
	}
	p.pos += n
	return Value{Kind: Int, Num: v}, nil
}

// items reads values up to the closing token.
func (p *valueParser) items(end string) ([]Value, error) {
	var items []Value
	for !p.take(end) {
		if len(items) > 0 && !p.take(",") {
			return nil, p.expected(", or " + end)
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	return items, nil
}

func (p *valueParser) set() (Value, error) {
	items, err := p.items("}")
	slices.SortFunc(items, compare)
	items = slices.CompactFunc(items, func(a, b Value) bool { return compare(a, b) == 0 })
	return Value{Kind: Set, Items: items}, err
}

func (p *valueParser) record() (Value, error) {
	v := Value{Kind: Record}
	for !p.take("]") {
		if len(v.Fields) > 0 && !p.take(",") {
			return Value{}, p.expected(", or ]")
		}
		name := p.word()
		if name == "" || !p.take("|->") {
			return Value{}, p.expected("field |-> value")
		}
		val, err := p.value()
		if err != nil {
			return Value{}, err
		}
		v.Fields = append(v.Fields, Field{Key: Value{Kind: String, Str: name}, Value: val})
	}
	return v, p.sortFields(v.Fields)
}

// function reads "(k :> v @@ k :> v)". One over strings is a record.
func (p *valueParser) function() (Value, error) {
	v := Value{Kind: Record}
	for {
		key, err := p.value()
		if err != nil {
			return Value{}, err
		}
		if !p.take(":>") {
			return Value{}, p.expected(":>")
		}
		val, err := p.value()
		if err != nil {
			return Value{}, err
		}
		if word := (&valueParser{text: key.Str}).word(); key.Kind != String || word == "" || word != key.Str {
			v.Kind = Function
		}
		v.Fields = append(v.Fields, Field{Key: key, Value: val})
		if p.take(")") {
			return v, p.sortFields(v.Fields)
		}
		if !p.take("@@") {
			return Value{}, p.expected("@@ or )")
		}
	}
}

// sortFields sorts by key and refuses a key that appears twice.
func (p *valueParser) sortFields(fields []Field) error {
	slices.SortFunc(fields, func(a, b Field) int { return compare(a.Key, b.Key) })
	for i := 1; i < len(fields); i++ {
		if compare(fields[i-1].Key, fields[i].Key) == 0 {
			return fmt.Errorf("offset %d: %v appears twice", p.pos, fields[i].Key)
		}
	}
	return nil
}
