package prove

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/stategraph"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec/smt"
)

// expressions has every construct that the translator knows, in places where a
// wrong meaning changes the value. TLC says what each one is.
var expressions = []string{
	`1 + 2 * 3 - 4`, `-(2 - 5)`, `- 3 + 1`, `2 < 3`, `3 < 3`, `3 > 2`, `3 <= 3`, `3 >= 4`,
	`TRUE /\ FALSE`, `TRUE \/ FALSE`, `FALSE => FALSE`, `TRUE => FALSE`, `TRUE <=> FALSE`, `FALSE <=> FALSE`, `~TRUE`,
	`1 = 2`, `1 # 2`, `"a" = "b"`, `"a" # "b"`, `<<1, "a">> = <<1, "a">>`, `[a |-> 1, b |-> 2] = [b |-> 2, a |-> 1]`,
	`2 \in {1, 2}`, `2 \notin {1, 2}`, `{1} \subseteq {1, 2}`, `{1, 3} \subseteq {1, 2}`, `{} \subseteq {1}`,
	`{1, 2, 2} = {2, 1}`, `{1} = {}`, `1 .. 0 = {}`, `2 \in 1 .. 3`, `0 \in Nat`, `-1 \in Nat`, `-1 \in Int`, `"a" \in STRING`,
	`{1, 2} \cup {3}`, `{1, 2, 3} \ {2}`, `{1, 2, 3} \cap {2, 3, 4}`, `{x \in -2 .. 2 : x * x = 4}`, `{x + 1 : x \in {1, 2}}`,
	`{x * x : x \in -2 .. 2}`, `Cardinality({})`, `Cardinality({7})`, `Cardinality({1, 2, 1})`, `Cardinality({1, 2} \cup {2, 3})`,
	`Cardinality({1, 2, 3} \ {2})`, `Cardinality({x \in {1, 2, 3} : x > 1})`, `Cardinality({x * x : x \in {-1, 1, 2}})`,
	`\A x \in 1 .. 3 : x < 4`, `\A x \in 1 .. 3 : x < 3`, `\E x \in 1 .. 3 : x = 3`, `\E x \in {} : TRUE`, `\A x \in {} : FALSE`,
	`\A x \in {1, 2}, y \in {2, 3} : x <= y`, `\A x, y \in {1, 2} : x = y`, `\E x, y \in {1, 2} : x < y`,
	`\A x \in 0 .. 2 : \E y \in 0 .. 2 : x + y = 2`, `\E y \in 0 .. 2 : \A x \in 0 .. 2 : x + y = 2`, `\A b \in BOOLEAN : b \/ ~b`,
	`IF 1 < 2 THEN 3 ELSE 4`, `IF 2 < 1 THEN 3 ELSE 4`, `IF TRUE THEN {1} ELSE {2, 3}`,
	`CASE 1 = 2 -> 5 [] 2 = 2 -> 6 [] OTHER -> 7`, `CASE 1 = 2 -> 5 [] 2 = 3 -> 6 [] OTHER -> 7`,
	`LET a == 1 b == a + 1 IN a + b`, `LET f(x) == x + 1 IN f(f(1))`, `LET x == 1 IN LET y == x IN LET x2 == y + 1 IN x2`,
	`[a |-> 1, b |-> "x"].b`, `[[a |-> 1, b |-> 2] EXCEPT !.a = 5]`, `[[a |-> 1, b |-> 2] EXCEPT !.a = @ + 5, !.b = @ * 2]`,
	`[[a |-> 1, b |-> 2] EXCEPT !.a = 5, !.a = @ + 1]`, `[[a |-> [c |-> 1], b |-> 2] EXCEPT !.a.c = @ + 1]`,
	`[x \in {"p", "q"} |-> IF x = "p" THEN 1 ELSE 2]`, `[x \in {"p", "q"} |-> 1]["q"]`, `DOMAIN [x \in {1, 2} |-> x] = {1, 2}`,
	`[[x \in {"p", "q"} |-> 1] EXCEPT !["p"] = @ + 1]`, `[[x \in {"p", "q"} |-> 1] EXCEPT !["p"] = @ + 1, !["p"] = @ + 1]`,
	`[[x \in {"p", "q"} |-> [n |-> 0, o |-> 1]] EXCEPT !["q"].n = 3]`,
	`[[x \in {"p"} |-> [y \in {"r", "s"} |-> 0]] EXCEPT !["p"]["s"] = 4]["p"]`,
	`[x \in {1, 2} |-> x] = [x \in {2, 1} |-> x]`, `[x \in {1, 2} |-> x] = [x \in {1, 2} |-> 1]`, `[x \in {1} |-> x] = [x \in {1, 2} |-> x]`,
	`[x \in {1, 2} |-> x] \in [{1, 2} -> 1 .. 2]`, `[x \in {1, 2} |-> x] \in [{1, 2} -> {1}]`, `[x \in {1} |-> x] \in [{1, 2} -> {1}]`,
	`[a |-> 1, b |-> 2] \in [a : {1}, b : {2}]`, `[a |-> 1, b |-> 2] \in [a : {1}, b : {1}]`, `{1} \in SUBSET {1, 2}`, `{3} \in SUBSET {1, 2}`,
	`Twice(3)`, `Apply(2, 5)`, `I!Sum(1)`, `I!Deep(1)`, `Shadow(1)`, `<<1, TRUE, "a">>`, `{<<1, 2>>, <<2, 1>>}`,
	`<<1, "a">> \in {1, 2} \X {"a"}`, `<<3, "a">> \in {1, 2} \X {"a"}`, `{1, 2} \X {3}`, `UNION {{1}, {2, 3}, {1, 3}}`, `UNION {}`,
	`<<1, 2>> \o <<3>>`, `Head(<<4, 5>>)`, `Tail(<<4, 5>>)`, `Len(<<4, 5>>)`, `Len(<<>>)`, `Append(<<1>>, 2)`, `<<1, 2>> = <<1>>`, `<<7, 8>>[2]`,
	`[a |-> 1, b |-> 2]["b"]`, `{x + y : x \in {1, 2}, y \in {10, 20}}`, `{x + 2 * y : x \in 0 .. 1, y \in 0 .. 1}`, `Length(<<5, 6, 7>>)`,
}

const helpers = `EXTENDS Integers, FiniteSets, Sequences
CONSTANTS Seven
Twice(x) == x + x
Apply(x, y) == Twice(x) - y
Shadow(x) == LET f(y) == x + y IN f(10)
I == INSTANCE Inner WITH K <- Twice(Seven)
RECURSIVE Length(_)
Length(s) == IF s = <<>> THEN 0 ELSE 1 + Length(Tail(s))
`

const inner = `---- MODULE Inner ----
EXTENDS Integers
CONSTANT K
Sum(x) == K + x
Deep(x) == Sum(Sum(x)) + K
====
`

// The state graphs use what the modules use. This is the rest: the value of each
// expression, as TLC prints it, against that of its translation.
func TestExpressionsAgreeWithTLC(t *testing.T) {
	var module strings.Builder
	module.WriteString("---- MODULE M ----\nEXTENDS TLC, Defs\n")
	for i, e := range expressions {
		fmt.Fprintf(&module, "E%d == %s\nASSUME PrintT(<<\"value\", %d, E%d>>)\n", i, e, i, i)
	}
	module.WriteString("VARIABLE v\nInit == v = 0\nNext == UNCHANGED v\n====\n")
	files := fstest.MapFS{
		"M.tla": {Data: []byte(module.String())}, "Inner.tla": {Data: []byte(inner)},
		"Defs.tla": {Data: []byte("---- MODULE Defs ----\n" + helpers + "====\n")},
	}
	want := printed(t, files)
	m := load(t, files, "M")
	c := newConcrete()
	for i := int64(-30); i <= 30; i++ {
		c.ints = append(c.ints, i)
	}
	for _, s := range []string{"a", "b", "x", "p", "q"} {
		c.str(s)
	}
	_, err := newTranslator(algebra{Terms: smt.NewTerms()}, m, nil, nil)
	require.ErrorContains(t, err, "what kind of value Seven has is nowhere said")
	g := algebra{Terms: smt.NewTerms()}
	tr, err := newTranslator(g, m, nil, map[string]value{"Seven": scalarValue{g.Number(7)}})
	require.NoError(t, err)
	for i, e := range expressions {
		d, err := tr.definition(fmt.Sprintf("E%d", i))
		require.NoError(t, err)
		var got stategraph.Value
		require.NoError(t, tr.guarded(func() { got = c.text(tr.eval(d.Body, env{}), c.everything(tr)) }), e)
		canonical, err := stategraph.ParseValue(got.String())
		require.NoError(t, err, e)
		assert.Equal(t, want[i], canonical.String(), e)
	}
}

// printed runs TLC on the module and reads what each expression is.
func printed(t *testing.T, files fstest.MapFS) map[int]string {
	tool, err := tlc.Find(t.Context())
	if err != nil {
		t.Skip("TLC was not run, so that nothing was compared:", err)
	}
	log := t.TempDir() + "/out"
	cfg := tlc.Config{Init: "Init", Next: "Next", AllowDeadlock: true}
	cfg.Set("Seven", "7")
	out, err := tlc.Run(t.Context(), tool, tlc.Job{FS: files, Module: "M", Config: cfg, Args: []string{"-userFile", log}})
	require.NoError(t, err)
	require.Equal(t, tlc.OK, out.Verdict, out.Message)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	values := map[int]string{}
	for _, part := range regexp.MustCompile(`(?s)<<"value".*?>>\n`).FindAllString(string(text), -1) {
		v, err := stategraph.ParseValue(part)
		require.NoError(t, err, part)
		values[int(v.Items[1].Num)] = v.Items[2].String()
	}
	require.Len(t, values, len(expressions))
	return values
}

// everything lists the values of a shape in the universe.
func (c *concrete) everything(tr *translator) func(shape) []value {
	var list func(s shape) []value
	product := func(parts []shape, build func([]value) value) []value {
		rows := [][]value{nil}
		for _, p := range parts {
			var more [][]value
			for _, row := range rows {
				for _, v := range list(p) {
					more = append(more, append(slices.Clip(row), v))
				}
			}
			rows = more
		}
		out := make([]value, len(rows))
		for i, row := range rows {
			out[i] = build(row)
		}
		return out
	}
	list = func(s shape) (out []value) {
		switch s := s.(type) {
		case recordShape:
			return product(s.fields, func(row []value) value { return recordValue{s.names, row} })
		case tupleShape:
			return product(s, func(row []value) value { return tupleValue(row) })
		case scalar:
			switch smt.Sort(s) {
			case smt.Int:
				for _, n := range c.ints {
					out = append(out, scalarValue{tr.Number(n)})
				}
			case smt.Str:
				for _, n := range c.strings {
					out = append(out, scalarValue{tr.Literal(n)})
				}
			default:
				out = []value{scalarValue{tr.True}, scalarValue{tr.False}}
			}
		}
		return out
	}
	return list
}
