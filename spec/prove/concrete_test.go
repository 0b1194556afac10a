package prove

import (
	"fmt"
	"hash/fnv"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/stategraph"
	"github.com/kelpie-registry/registry/spec/smt"
)

// concrete evaluates terms: the formulas as the solver gets them, under an
// interpretation of their symbols. Truth values are 0 and 1, strings numbers.
type concrete struct {
	symbols map[string]map[key]int64 // name -> arguments -> value
	strings []string
	vars    map[*smt.Term]int64 // bound variables, and arguments of branches
	ints    []int64             // what quantified integers range over
}

func newConcrete() *concrete {
	return &concrete{symbols: map[string]map[key]int64{}, vars: map[*smt.Term]int64{}}
}

// str returns the number of a string.
func (c *concrete) str(s string) int64 {
	i := slices.Index(c.strings, s)
	if i < 0 {
		c.strings = append(c.strings, s)
		i = len(c.strings) - 1
	}
	return int64(i)
}

// key is what a symbol is applied to.
type key [6]int64

func keyOf(args []int64) (k key) {
	if copy(k[:], args) < len(args) {
		panic("a symbol with more arguments than a key has")
	}
	return k
}

func (c *concrete) set(name string, index []int64, v int64) {
	if c.symbols[name] == nil {
		c.symbols[name] = map[key]int64{}
	}
	c.symbols[name][keyOf(index)] = v
}

// symbol looks a symbol up. What a set does not have is not in it. A function
// outside of its domain has a value that nobody can rely on.
func (c *concrete) symbol(x *smt.Term, args []int64) int64 {
	if v, ok := c.symbols[x.Name][keyOf(args)]; ok {
		return v
	}
	if x.Sort == smt.Bool {
		return 0
	}
	h := fnv.New32()
	fmt.Fprint(h, x.Name, args)
	if x.Sort == smt.Str {
		return -1 - int64(h.Sum32()%7)
	}
	return int64(h.Sum32()%11) - 5
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (c *concrete) eval(x *smt.Term) int64 {
	arg := func(i int) int64 { return c.eval(x.Args[i]) }
	switch x.Op {
	case smt.True:
		return 1
	case smt.False:
		return 0
	case smt.Numeral:
		return x.Value
	case smt.Literal:
		return c.str(x.Name)
	case smt.Symbol:
		if v, ok := c.vars[x]; ok {
			return v
		}
		args := make([]int64, len(x.Args))
		for i := range args {
			args[i] = arg(i)
		}
		return c.symbol(x, args)
	case smt.Not:
		return 1 - arg(0)
	case smt.And:
		return truth(!slices.ContainsFunc(x.Args, func(a *smt.Term) bool { return c.eval(a) == 0 }))
	case smt.Or:
		return truth(slices.ContainsFunc(x.Args, func(a *smt.Term) bool { return c.eval(a) == 1 }))
	case smt.Implies:
		return truth(arg(0) == 0 || arg(1) == 1)
	case smt.Equal:
		return truth(arg(0) == arg(1))
	case smt.Ite:
		if arg(0) == 1 {
			return arg(1)
		}
		return arg(2)
	case smt.Less:
		return truth(arg(0) < arg(1))
	case smt.AtMost:
		return truth(arg(0) <= arg(1))
	case smt.Add:
		return arg(0) + arg(1)
	case smt.Sub:
		return arg(0) - arg(1)
	case smt.Mul:
		return arg(0) * arg(1)
	case smt.Forall:
		return truth(c.all(x.Vars, x.Args[0], 1))
	case smt.Exists:
		return truth(!c.all(x.Vars, x.Args[0], 0))
	}
	panic("an operator that no test knows: " + string(x.Op))
}

// all reports whether body has the value want for all values of the variables.
func (c *concrete) all(vars []*smt.Term, body *smt.Term, want int64) bool {
	if len(vars) == 0 {
		return c.eval(body) == want
	}
	defer delete(c.vars, vars[0])
	for _, v := range c.universe(vars[0].Sort) {
		c.vars[vars[0]] = v
		if !c.all(vars[1:], body, want) {
			return false
		}
	}
	return true
}

func (c *concrete) universe(s smt.Sort) []int64 {
	switch s {
	case smt.Bool:
		return []int64{0, 1}
	case smt.Int:
		return c.ints
	}
	out := make([]int64, len(c.strings))
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

// scalar is the number of a scalar of TLC's.
func (c *concrete) scalar(v stategraph.Value) int64 {
	if v.Kind == stategraph.String {
		return c.str(v.Str)
	}
	return v.Num
}

func (c *concrete) flat(s shape, v stategraph.Value) []int64 {
	switch s := s.(type) {
	case recordShape:
		var out []int64
		for i, n := range s.names {
			out = append(out, c.flat(s.fields[i], v.Get(n))...)
		}
		return out
	case tupleShape:
		var out []int64
		for i, e := range s {
			out = append(out, c.flat(e, v.Items[i])...)
		}
		return out
	}
	return []int64{c.scalar(v)}
}

// load gives the symbols of a variable the values of a state of TLC's.
func (c *concrete) load(s shape, name string, index []int64, v stategraph.Value) {
	switch s := s.(type) {
	case recordShape:
		for i, n := range s.names {
			c.load(s.fields[i], name+"."+n, index, v.Get(n))
		}
	case funcShape:
		for _, f := range v.Fields {
			c.load(s.to, name+"[]", append(slices.Clone(index), c.flat(s.from, f.Key)...), f.Value)
		}
	case setShape:
		for _, it := range v.Items {
			c.set(name, append(slices.Clone(index), c.flat(s.elem, it)...), 1)
		}
		c.set("#"+name, index, int64(len(v.Items)))
	default:
		c.set(name, index, c.scalar(v))
	}
}

// text prints a value as TLC does, in canonical form. candidates lists what may
// be in a set of a shape.
func (c *concrete) text(v value, candidates func(shape) []value) stategraph.Value {
	switch x := v.(type) {
	case scalarValue:
		n := c.eval(x.term)
		switch x.term.Sort {
		case smt.Bool:
			return stategraph.Value{Kind: stategraph.Bool, Num: n}
		case smt.Str:
			return stategraph.Value{Kind: stategraph.String, Str: c.strings[n]}
		}
		return stategraph.Value{Kind: stategraph.Int, Num: n}
	case recordValue:
		out := stategraph.Value{Kind: stategraph.Record}
		for i, n := range x.names {
			k := stategraph.Value{Kind: stategraph.String, Str: n}
			out.Fields = append(out.Fields, stategraph.Field{Key: k, Value: c.text(x.fields[i], candidates)})
		}
		return out
	case tupleValue:
		out := stategraph.Value{Kind: stategraph.Tuple}
		for _, e := range x {
			out.Items = append(out.Items, c.text(e, candidates))
		}
		return out
	case funcValue:
		out := stategraph.Value{Kind: stategraph.Record}
		for _, k := range x.domain.items {
			out.Fields = append(out.Fields, stategraph.Field{Key: c.text(k, candidates), Value: c.text(x.at(k), candidates)})
		}
		return out
	case *setValue:
		out := stategraph.Value{Kind: stategraph.Set}
		for _, k := range candidates(x.elem) {
			if c.eval(x.has(k)) == 1 {
				out.Items = append(out.Items, c.text(k, candidates))
			}
		}
		return out
	}
	panic("a value that no state has")
}

// given turns a constant of a configuration into a value of the translator.
func given(t *testing.T, g algebra, v stategraph.Value) value {
	switch v.Kind {
	case stategraph.Int:
		return scalarValue{g.Number(v.Num)}
	case stategraph.Bool:
		return scalarValue{g.Bool(v.Num == 1)}
	case stategraph.String:
		return scalarValue{g.Literal(v.Str)}
	case stategraph.Set:
		var items []value
		for _, it := range v.Items {
			items = append(items, given(t, g, it))
		}
		return g.enumeration(items)
	}
	require.Fail(t, "a constant of an unknown kind", "%v", v)
	return nil
}
