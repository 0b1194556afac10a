package smt

import (
	"slices"
	"strconv"
	"strings"
)

// String prints the term in SMT-LIB 2.
func (x *Term) String() string {
	var b strings.Builder
	x.print(&b)
	return b.String()
}

func (x *Term) print(b *strings.Builder) {
	switch x.Op {
	case True, False:
		b.WriteString(string(x.Op))
	case Numeral:
		if x.Value < 0 {
			b.WriteString("(- " + strconv.FormatInt(-x.Value, 10) + ")")
		} else {
			b.WriteString(strconv.FormatInt(x.Value, 10))
		}
	case Literal:
		b.WriteString(quote("\"" + x.Name))
	case Symbol:
		if len(x.Args) == 0 {
			b.WriteString(quote(x.Name))
			return
		}
		printList(b, quote(x.Name), x.Args)
	case Forall, Exists:
		b.WriteString("(" + string(x.Op) + " (")
		for i, v := range x.Vars {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString("(" + quote(v.Name) + " " + string(v.Sort) + ")")
		}
		b.WriteString(") ")
		x.Args[0].print(b)
		b.WriteByte(')')
	default:
		printList(b, string(x.Op), x.Args)
	}
}

func printList(b *strings.Builder, head string, args []*Term) {
	b.WriteString("(" + head)
	for _, a := range args {
		b.WriteByte(' ')
		a.print(b)
	}
	b.WriteByte(')')
}

// quote writes a name as a quoted symbol, which may have any character but two.
func quote(name string) string { return "|" + unquotable.Replace(name) + "|" }

var unquotable = strings.NewReplacer("|", "_", `\`, "_")

// declare prints the declaration of a symbol.
func declare(x *Term) string {
	sorts := make([]string, len(x.Args))
	for i, a := range x.Args {
		sorts[i] = string(a.Sort)
	}
	return "(declare-fun " + quote(x.Name) + " (" + strings.Join(sorts, " ") + ") " + string(x.Sort) + ")"
}

// free calls visit for each symbol that is not bound in x, and each literal,
// at least once.
func (x *Term) free(visit func(*Term)) {
	seen := map[*Term]bool{} // a bound variable has a name that nothing else has
	var walk func(*Term)
	walk = func(x *Term) {
		if seen[x] {
			return
		}
		seen[x] = true
		for _, v := range x.Vars {
			seen[v] = true
		}
		if x.Op == Symbol || x.Op == Literal {
			visit(x)
		}
		for _, a := range x.Args {
			walk(a)
		}
	}
	walk(x)
}

// Literals lists the literals in terms, each once.
func Literals(terms ...*Term) (out []*Term) {
	for _, x := range terms {
		x.free(func(y *Term) {
			if y.Op == Literal && !slices.Contains(out, y) {
				out = append(out, y)
			}
		})
	}
	return out
}
