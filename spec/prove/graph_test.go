package prove

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/stategraph"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

const specDir = "../tla"

// load reads a module through SANY, or skips the test where SANY cannot run.
func load(t *testing.T, fsys fs.FS, module string) *sany.Module {
	t.Helper()
	tool, err := tlc.Find(t.Context())
	if errors.Is(err, tlc.ErrNoTLC) {
		t.Skip("SANY was not run, so that the translator was not tested:", err)
	}
	require.NoError(t, err)
	m, err := sany.Load(t.Context(), tool, fsys, module)
	require.NoError(t, err)
	return m
}

// model is a configuration of RegistryGraph, translated.
type model struct {
	*translator
	now   state
	steps []branch
	args  [][]map[*smt.Term]int64 // by branch: the arguments that its constant conditions allow
	conds [][]*smt.Term           // by branch: the other conditions
	c     *concrete
	elems map[string][]value // by shape: what may be in a set
}

func newModel(t *testing.T, m *sany.Module, config string) *model {
	text, err := os.ReadFile(specDir + "/" + config)
	require.NoError(t, err)
	cfg, err := tlc.ParseConfig(string(text))
	require.NoError(t, err)
	constants := map[string]value{}
	g := algebra{Terms: smt.NewTerms()}
	x := &model{c: newConcrete(), elems: map[string][]value{}}
	for _, a := range cfg.Constants {
		require.False(t, a.Substitute)
		v, err := stategraph.ParseValue(a.Value)
		require.NoError(t, err)
		constants[a.Name] = given(t, g, v)
	}
	x.translator, err = newTranslator(g, m, []string{"TypeOK"}, constants)
	require.NoError(t, err)
	x.now = x.symbolic()
	next, err := x.definition("GraphNext")
	require.NoError(t, err)
	x.steps, err = x.branches(next.Body, x.now)
	require.NoError(t, err)
	for i := int64(-12); i <= 12; i++ {
		x.c.ints = append(x.c.ints, i)
	}
	x.learnStrings()
	for _, b := range x.steps {
		x.prepare(b)
	}
	return x
}

// learnStrings makes every literal of the module known before anything ranges
// over the strings.
func (x *model) learnStrings() {
	for _, b := range x.steps {
		for _, l := range smt.Literals(b.conds...) {
			x.c.str(l.Name)
		}
	}
	for _, v := range x.constants {
		if s, ok := v.(*setValue); ok && s.elem == scalar(smt.Str) {
			for _, it := range s.items {
				x.c.eval(it.(scalarValue).term)
			}
		}
	}
	for _, s := range []string{"", "none", "active", "failed", "left", "if-absent", "supersede"} {
		x.c.str(s)
	}
}

// prepare enumerates the arguments of a branch: every value of their sorts that
// satisfies the conditions on arguments alone.
func (x *model) prepare(b branch) {
	var args []*smt.Term
	for _, a := range b.args {
		terms, _ := flatten(a.value)
		args = append(args, terms...)
	}
	all := []map[*smt.Term]int64{{}}
	left := slices.Clone(b.conds)
	for i, a := range args {
		var more []map[*smt.Term]int64
		var check []*smt.Term
		left = slices.DeleteFunc(left, func(c *smt.Term) bool {
			constant := constantBut(c, args[:i+1])
			if constant {
				check = append(check, c)
			}
			return constant
		})
		for _, m := range all {
			for _, v := range x.c.universe(a.Sort) {
				x.c.vars = maps.Clone(m)
				x.c.vars[a] = v
				if !slices.ContainsFunc(check, func(c *smt.Term) bool { return x.c.eval(c) == 0 }) {
					more = append(more, x.c.vars)
				}
			}
		}
		all = more
	}
	x.args, x.conds = append(x.args, all), append(x.conds, left)
}

// constantBut reports whether a term has no symbols but those.
func constantBut(t *smt.Term, symbols []*smt.Term) bool {
	if t.Op == smt.Symbol && !slices.Contains(symbols, t) {
		return false
	}
	return !slices.ContainsFunc(t.Args, func(a *smt.Term) bool { return !constantBut(a, symbols) })
}

// candidates lists what may be in a set of the module's variables: all arguments
// of that shape that any branch can have.
func (x *model) candidates(s shape) []value {
	if out, ok := x.elems[s.String()]; ok {
		return out
	}
	var out []value
	for i, b := range x.steps {
		for _, a := range b.args {
			if a.value.shape().String() != s.String() || len(out) > 0 {
				continue
			}
			for _, vars := range x.args[i] {
				out = append(out, x.literal(a.value, vars))
			}
		}
	}
	x.elems[s.String()] = out
	return out
}

// literal replaces the scalars of a value by what they are.
func (x *model) literal(v value, vars map[*smt.Term]int64) value {
	switch y := v.(type) {
	case scalarValue:
		if y.term.Sort == smt.Str {
			return scalarValue{x.Literal(x.c.strings[vars[y.term]])}
		}
		return scalarValue{x.Number(vars[y.term])}
	case recordValue:
		out := recordValue{names: y.names}
		for _, f := range y.fields {
			out.fields = append(out.fields, x.literal(f, vars))
		}
		return out
	}
	panic("an argument that no test knows")
}

func (x *model) enter(text string) error {
	v, err := stategraph.ParseValue(text)
	if err != nil {
		return err
	}
	x.c.symbols = map[string]map[key]int64{}
	for _, d := range x.module.Variables {
		if typ, ok := x.types[d]; ok {
			x.c.load(typ.shape, d.Name, nil, v.Get(d.Name))
		}
	}
	return nil
}

// successors evaluates every branch in the state that was entered: label and
// state after, as the graph has them.
func (x *model) successors() []string {
	var out []string
	for i, b := range x.steps {
		for _, vars := range x.args[i] {
			x.c.vars = vars
			if slices.ContainsFunc(x.conds[i], func(c *smt.Term) bool { return x.c.eval(c) == 0 }) {
				continue
			}
			next := stategraph.Value{Kind: stategraph.Record}
			label := ""
			for _, d := range x.module.Variables {
				v := x.c.text(b.next[d], x.candidates)
				if d.Name == "step" {
					label = v.String()
					continue
				}
				next.Fields = append(next.Fields, stategraph.Field{Key: stategraph.Value{Kind: stategraph.String, Str: d.Name}, Value: v})
			}
			canonical, err := stategraph.ParseValue(next.String())
			if err != nil {
				panic(err)
			}
			out = append(out, label+" -> "+canonical.String())
		}
	}
	x.c.vars = map[*smt.Term]int64{}
	slices.Sort(out)
	return slices.Compact(out)
}

// sampled is the distance between the states that are compared. Every state is
// with PROVE_GRAPHS=all in the environment, as make prove does.
func sampled() int {
	if os.Getenv("PROVE_GRAPHS") == "all" {
		return 1
	}
	return 11
}

// The translator is trusted: what the solver is asked must mean what the module
// says. TLC said what RegistryGraph means, state by state and step by step; the
// formulas, evaluated in these states, must say the same.
func TestFormulasAgreeWithTheStateGraphs(t *testing.T) {
	folder := os.DirFS(specDir)
	module := load(t, folder, stategraph.Steps)
	models, err := stategraph.Models(folder)
	require.NoError(t, err)
	require.NotEmpty(t, models)
	for _, m := range models {
		if m.Module != stategraph.Steps {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			graph, err := m.Load(specDir)
			require.NoError(t, err)
			compareGraph(t, newModel(t, module, m.Config), graph)
		})
	}
}

func compareGraph(t *testing.T, x *model, graph stategraph.Graph) {
	edges := make([][]string, len(graph.States))
	for _, e := range graph.Edges {
		edges[e.From] = append(edges[e.From], e.Action+" -> "+graph.States[e.To])
	}
	states, steps := 0, 0
	for i := 0; i < len(graph.States); i += sampled() {
		text := graph.States[i]
		require.NoError(t, x.enter(text))
		slices.Sort(edges[i])
		if got := x.successors(); !slices.Equal(edges[i], got) {
			require.Equal(t, edges[i], got, "the steps from %s", text)
		}
		states, steps = states+1, steps+len(edges[i])
	}
	require.NotZero(t, steps)
	t.Logf("%d of %d states, %d of %d steps compared", states, len(graph.States), steps, len(graph.Edges))
}
