package sany

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
)

const sample = `---- MODULE M ----
EXTENDS Base, Integers
CONSTANT C
VARIABLES x, y
ASSUME Named == C > 0
ASSUME C # 7
Add(a, b) == a + b
Act == x' = Add(x, 1) /\ \E k \in {1, 2} : y' = [y EXCEPT !.f = @ + k]
I == INSTANCE Inner WITH K <- C
Use == I!Double
Pick == CASE x = 0 -> "" [] OTHER -> "more"
====
`

func files() fstest.MapFS {
	return fstest.MapFS{
		"M.tla":     {Data: []byte(sample)},
		"Base.tla":  {Data: []byte("---- MODULE Base ----\nCONSTANT B\nFromBase == B\n====\n")},
		"Inner.tla": {Data: []byte("---- MODULE Inner ----\nEXTENDS Integers\nCONSTANT K\nDouble == K + K\n====\n")},
	}
}

// exporters are the ways to run SANY; the test is skipped where there is none.
func exporters(t *testing.T) map[string]Exporter {
	t.Helper()
	tool, err := tlc.Find(t.Context())
	if errors.Is(err, tlc.ErrNoTLC) {
		t.Skip("SANY was not run:", err)
	}
	require.NoError(t, err)
	machines, err := tool.Machines(t.Context(), files())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, machines.Close()) })
	return map[string]Exporter{"a process": tool, "machines": machines}
}

func names(list []*Declaration) (out []string) {
	for _, d := range list {
		out = append(out, d.Name)
	}
	return out
}

func TestAModuleIsReadThroughSANY(t *testing.T) {
	for name, x := range exporters(t) {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				m, err := Load(t.Context(), x, files(), "M")
				require.NoError(t, err)
				isSample(t, m)
			}
		})
	}
}

func isSample(t *testing.T, m *Module) {
	assert.Equal(t, "M", m.Name)
	assert.Equal(t, []string{"B", "C"}, names(m.Constants))
	assert.Equal(t, []string{"x", "y"}, names(m.Variables))
	require.Len(t, m.Assumptions, 2)
	assert.Equal(t, "Named", m.Assumptions[0].Name)
	assert.Empty(t, m.Assumptions[1].Name)

	add := m.Definitions["Add"]
	assert.Equal(t, Place{"M", 7, 1, 7}, add.Place)
	assert.Equal(t, "M.tla:7:1", add.Place.String())
	assert.Len(t, add.Params, 2)
	plus := add.Body.(*Call)
	assert.Equal(t, "+", plus.To.Name)
	assert.True(t, Standard(plus.To.Place.Module))
	assert.Nil(t, plus.To.Body, "what the standard modules say of + is nothing")
	assert.Same(t, add.Params[0], plus.Args[0].(*ParamRef).To)

	act := m.Definitions["Act"]
	assert.Equal(t, Action, act.Level)
	exists := act.Body.(*Builtin).Args[1].(*Builtin)
	assert.Equal(t, "$BoundedExists", exists.Op)
	assert.Equal(t, "k", exists.Bounds[0].Params[0].Name)
	assert.Equal(t, "$SetEnumerate", exists.Bounds[0].Set.(*Builtin).Op)

	double := m.Definitions["Use"].Body.(*Call).To
	assert.Equal(t, "I!Double", double.Name)
	sub := double.Body.(*Substitution)
	require.Len(t, sub.With, 1)
	for of, by := range sub.With {
		assert.Equal(t, "K", of.Name)
		assert.Same(t, m.Constants[1], by.(*Ref).To)
	}
	pick := m.Definitions["Pick"].Body.(*Builtin)
	assert.Equal(t, "", pick.Args[0].(*Builtin).Args[1].(*String).Value)
	assert.IsType(t, &Other{}, pick.Args[1].(*Builtin).Args[0])
	assert.Contains(t, m.Definitions, "FromBase")
}

func TestWhatSANYRejectsIsAnErrorInItsWords(t *testing.T) {
	for name, x := range exporters(t) {
		t.Run(name, func(t *testing.T) {
			for text, want := range map[string]string{
				"X == Y + 1":         "Unknown operator: `Y'.",
				"X == 1 /\\ 2 \\/ 3": "Could not parse module M",
				"X == 1\nX == 2":     "",
			} {
				_, err := Load(t.Context(), x, fstest.MapFS{"M.tla": {Data: []byte("---- MODULE M ----\nEXTENDS Integers\n" + text + "\n====\n")}}, "M")
				require.ErrorContains(t, err, "SANY rejects module M", text)
				assert.ErrorContains(t, err, want)
				assert.NotContains(t, err.Error(), "IllegalArgumentException", "no stack traces")
			}
			_, err := Load(t.Context(), x, files(), "Missing")
			assert.Error(t, err)
			_, err = Load(t.Context(), x, files(), "M")
			assert.NoError(t, err, "an error leaves nothing behind")
		})
	}
}

func TestADamagedExportIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"empty":     "",
		"no XML":    "hello",
		"no module": "<modules><RootModule>M</RootModule><context/></modules>",
		"no symbol": "<modules><RootModule>M</RootModule><context><entry><UID>1</UID><ModuleNode><uniquename>M</uniquename>" +
			"<UserDefinedOpKindRef><UID>7</UID></UserDefinedOpKindRef></ModuleNode></entry></context></modules>",
		"no body": "<modules><RootModule>M</RootModule><context><entry><UID>1</UID><ModuleNode><uniquename>M</uniquename>" +
			"<AssumeNodeRef><UID>1</UID></AssumeNodeRef></ModuleNode></entry></context></modules>",
	} {
		_, err := Decode([]byte(text))
		assert.Error(t, err, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`<modules><RootModule>M</RootModule><context><entry><UID>1</UID><ModuleNode><uniquename>M</uniquename><UserDefinedOpKindRef><UID>2</UID></UserDefinedOpKindRef></ModuleNode></entry>` +
		`<entry><UID>2</UID><UserDefinedOpKind><uniquename>D</uniquename><body><OpApplNode><operator><BuiltInKindRef><UID>3</UID></BuiltInKindRef></operator><operands/><boundSymbols><bound><FormalParamNodeRef><UID>4</UID></FormalParamNodeRef></bound></boundSymbols></OpApplNode></body></UserDefinedOpKind></entry>` +
		`<entry><UID>3</UID><BuiltInKind><uniquename>TRUE</uniquename></BuiltInKind></entry><entry><UID>4</UID><FormalParamNode><uniquename>p</uniquename></FormalParamNode></entry></context></modules>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data)
		if (m == nil) == (err == nil) {
			t.Fatal("neither a module nor an error, or both")
		}
	})
}
