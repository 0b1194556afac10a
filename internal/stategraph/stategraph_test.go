package stategraph

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseValueIsCanonical(t *testing.T) {
	for text, want := range map[string]string{
		`-12`:                         `-12`,
		`TRUE`:                        `TRUE`,
		`"a\"b\\c"`:                   `"a\"b\\c"`,
		`{3, 1,  2, 1}`:               `{1, 2, 3}`,
		`<<"Claim", "n1", 1, FALSE>>`: `<<"Claim", "n1", 1, FALSE>>`,
		"[ b |-> 1,\n  a |-> {} ]":    `[a |-> {}, b |-> 1]`,
		`("n2" :> 1 @@ "n1" :> 2)`:    `[n1 |-> 2, n2 |-> 1]`,
		`(2 :> "x" @@ 1 :> "y")`:      `(1 :> "y" @@ 2 :> "x")`,
		`("a b" :> 1)`:                `("a b" :> 1)`,
	} {
		v, err := ParseValue(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, v.String())
	}
}

func TestParseValueRefuses(t *testing.T) {
	for text, problem := range map[string]string{
		``:                       "expected a value",
		`n1`:                     "expected a value",
		`1 2`:                    "expected the end",
		`{1`:                     "expected , or }",
		`{1 2}`:                  "expected , or }",
		`"open`:                  "expected a closed string",
		`[a |-> 1, a |-> 2]`:     `"a" appears twice`,
		`(1 :> 2 @@ 1 :> 3)`:     "1 appears twice",
		`[1 |-> 2]`:              "expected field |-> value",
		`-`:                      "expected a number",
		`99999999999999999999`:   "expected a number",
		strings.Repeat("{", 200): "expected less nesting",
	} {
		_, err := ParseValue(text)
		assert.ErrorContains(t, err, problem, text)
	}
}

func TestParseState(t *testing.T) {
	v, err := ParseState("/\\ x = [ n1 |->\n   1 ]\n/\\ a = <<>>")
	require.NoError(t, err)
	assert.Equal(t, "[a |-> <<>>, x |-> [n1 |-> 1]]", v.String())
	v, err = ParseState("x = 1")
	require.NoError(t, err)
	assert.EqualValues(t, 1, v.Get("x").Num)
	_, err = ParseState("/\\ x = 1\n/\\ x = 2")
	assert.ErrorContains(t, err, "appears twice")
	_, err = ParseState("/\\ x = 1 y = 2")
	assert.ErrorContains(t, err, `expected /\`)
}

// What is printed is read back as the same value, whatever was read.
func FuzzParseValue(f *testing.F) {
	for _, s := range []string{`[a |-> {1, -2}, b |-> <<"x\\", TRUE>>]`, `(1 :> 2 @@ 3 :> {})`, `("k" :> 1)`, `{{}, {1}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseValue(text)
		if err != nil {
			return
		}
		again, err := ParseValue(v.String())
		require.NoError(t, err, v.String())
		require.Zero(t, compare(v, again))
		require.Equal(t, v.String(), again.String())
	})
}

// A dump as TLC 2.18 writes it: two states that differ in the ghost, an initial
// state printed twice, wrapped values, layout.
const dotText = `strict digraph DiskGraph {
nodesep=0.35;
-52 [label="/\\ step = <<\"Init\">>\n/\\ x = [ n1 |->\n  0 ]",style = filled]
-52 -> 7 [label="GraphNext",color="black",fontcolor="black"];
7 [label="/\\ step = <<\"Add\", \"n1\">>\n/\\ x = [n1 |-> 1]"];
7 -> -52 [label="GraphNext",color="black",fontcolor="black"];
7 -> 9 [label="GraphNext",color="black",fontcolor="black"];
9 [label="/\\ step = <<\"Reset\">>\n/\\ x = [n1 |-> 0]"];
9 -> 7 [label="GraphNext",color="black",fontcolor="black"];
{rank = same; -52;7;9;}
-52 [label="/\\ step = <<\"Init\">>\n/\\ x = [ n1 |->\n  0 ]",style = filled]
}
}
`

func TestReadDotProjectsTheGhost(t *testing.T) {
	text := strings.Replace(dotText, "7 -> -52 [label=\"GraphNext\",color=\"black\",fontcolor=\"black\"];\n", "", 1)
	g, err := ReadDot(strings.NewReader(text))
	require.NoError(t, err)
	assert.Equal(t, Graph{
		States:  []string{"[x |-> [n1 |-> 0]]", "[x |-> [n1 |-> 1]]"},
		Initial: []int{0},
		Edges:   []Edge{{0, `<<"Add", "n1">>`, 1}, {1, `<<"Reset">>`, 0}},
	}, g)
}

func TestReadDotRefuses(t *testing.T) {
	cut := func(part string) string { return strings.ReplaceAll(dotText, part, "") }
	for name, c := range map[string]struct{ text, problem string }{
		"cut short":        {cut("9 -> 7 [label=\"GraphNext\",color=\"black\",fontcolor=\"black\"];\n"), "has 0 edges, its state has 1"},
		"end unknown":      {cut(`9 [label="/\\ step = <<\"Reset\">>\n/\\ x = [n1 |-> 0]"];` + "\n"), "an end that is no state"},
		"no ghost":         {strings.ReplaceAll(dotText, "step", "other"), "no ghost variable step"},
		"no initial state": {cut(",style = filled"), "no initial state"},
		"label open":       {`7 [label="/\\ x = 1`, "a label does not end"},
		"no label":         {`7 [color="black"]`, "a state has no label"},
		"edge to nowhere":  {`7 -> x;`, `an edge leads to "x"`},
	} {
		_, err := ReadDot(strings.NewReader(c.text))
		assert.ErrorContains(t, err, c.problem, name)
	}
}

// An answer is an edge from the state to itself; a call with two right answers
// has two.
func TestReadAnswersMakesEdges(t *testing.T) {
	const state = `7 [label="/\\ asked = [Release |-> { << <<\"Release\", 2>>, <<\"ErrNotHeld\">> >>,\n << <<\"Release\", 2>>, <<\"\">> >> }]\n/\\ x = 1",style = filled]` + "\n"
	g, err := ReadAnswers(strings.NewReader(state + state))
	require.NoError(t, err)
	assert.Equal(t, Graph{
		States: []string{"[x |-> 1]"}, Initial: []int{0},
		Edges: []Edge{{0, `<<<<"Release", 2>>, <<"">>>>`, 0}, {0, `<<<<"Release", 2>>, <<"ErrNotHeld">>>>`, 0}},
	}, g)
	_, err = ReadAnswers(strings.NewReader(strings.ReplaceAll(state, "asked", "other")))
	assert.ErrorContains(t, err, "no variable asked")
}

var example = Graph{
	Inputs:  "abc",
	States:  []string{"[x |-> 0]", "[x |-> 1]"},
	Initial: []int{0},
	Edges:   []Edge{{0, `<<"Add">>`, 1}, {1, `<<"Add">>`, 1}, {1, `<<"Reset">>`, 0}},
}

func TestGraphRoundTrip(t *testing.T) {
	var b, again bytes.Buffer
	require.NoError(t, example.Write(&b))
	require.NoError(t, example.Write(&again))
	assert.Equal(t, b.Bytes(), again.Bytes(), "the same graph has the same bytes")
	g, err := Read(&b)
	require.NoError(t, err)
	assert.Equal(t, example, g)
}

func zipped(t testing.TB, text string) io.Reader {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return &b
}

const exampleText = "state graph 1\ninputs abc\nstates 2\n[x |-> 0]\n[x |-> 1]\ninitial 1\n0\nactions 1\n<<\"Add\">>\nedges 1\n0 0 1\n"

func TestReadRefuses(t *testing.T) {
	for text, problem := range map[string]string{
		"":                     "line 1: ends early",
		"state graph 2\n":      "not a state graph",
		exampleText + "more\n": "text after the end",
		strings.TrimSuffix(exampleText, "0 0 1\n"):                      "ends early",
		strings.Replace(exampleText, "0 0 1", "0 0 2", 1):               "number 3 is out of bounds",
		strings.Replace(exampleText, "0 0 1", "0 1 1", 1):               "number 2 is out of bounds",
		strings.Replace(exampleText, "0 0 1", "0 0", 1):                 "want 3 numbers",
		strings.Replace(exampleText, "states 2", "states -2", 1):        "no count",
		strings.Replace(exampleText, "states 2", "states +2", 1):        "no count",
		strings.Replace(exampleText, "states 2", "states 02", 1):        "no count",
		strings.Replace(exampleText, "0 0 1", "0 0 +1", 1):              "number 3 is out of bounds",
		strings.Replace(exampleText, "initial 1\n0", "initial 1\n5", 1): "number 1 is out of bounds",
	} {
		_, err := Read(zipped(t, text))
		assert.ErrorContains(t, err, problem, "%q", text)
	}
	_, err := Read(strings.NewReader("plain"))
	assert.Error(t, err)
}

// Whatever is read can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add(exampleText)
	f.Add("state graph 1\ninputs x\nstates 0\ninitial 0\nactions 0\nedges 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := Read(zipped(t, text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		require.NoError(t, g.Write(&b))
		_, err = Read(&b)
		require.NoError(t, err)
	})
}

// A change of a module or of the configuration, in one byte, changes the hash
// that a graph is kept under.
func TestInputsChangeWithTheFiles(t *testing.T) {
	fsys := fstest.MapFS{
		"Registry.tla": {Data: []byte("r")}, "RegistryGraph.tla": {Data: []byte("g")}, "MCRegistryGraphOne.cfg": {Data: []byte("c")},
	}
	models, err := Models(fsys)
	require.NoError(t, err)
	require.Equal(t, []Model{{Name: "One", Module: Steps, Config: "MCRegistryGraphOne.cfg", File: "graphs/One.graph.gz"}}, models)
	was, err := models[0].Inputs(fsys)
	require.NoError(t, err)
	for name := range fsys {
		kept := fsys[name]
		fsys[name] = &fstest.MapFile{Data: append([]byte(" "), kept.Data...)}
		now, err := models[0].Inputs(fsys)
		require.NoError(t, err)
		assert.NotEqual(t, was, now, name)
		fsys[name] = kept
	}
	delete(fsys, "Registry.tla")
	_, err = models[0].Inputs(fsys)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
