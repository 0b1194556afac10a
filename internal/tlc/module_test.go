package tlc

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sampleModule = `prose before the module
---- MODULE M ----
EXTENDS Naturals, Base
CONSTANTS A, Op(_, _),
          B \* , NotOne
VARIABLE x, y
(* Commented == (* nested *) 1 *)
Plain == 1
Two(a, b) == a + b
Fun[n \in Nat, m \in {1, 2}] == n
Local == LET Inner == 2  Deep(q) == q IN Inner + Deep(1)
Quoted == "NotOne == 3"
I == INSTANCE Inst WITH p <- A
INSTANCE Bare
Act == Guard("First", x > 1) /\ Guard("Second", y = Plain) /\ ~Bug("F1") /\ Guard("First", TRUE)
====
After == 1
`

func TestModuleDeclarations(t *testing.T) {
	m, err := ParseModule(sampleModule)
	require.NoError(t, err)
	assert.Equal(t, Module{
		Name: "M", Extends: []string{"Naturals", "Base"}, Instances: []string{"Inst", "Bare"}, Imports: []string{"Bare"},
		Constants: []string{"A", "Op", "B"}, Variables: []string{"x", "y"},
		Definitions: map[string]int{"Plain": 0, "Two": 2, "Fun": 0, "Local": 0, "Quoted": 0, "I": 0, "Act": 0},
		Guards:      []string{"First", "Second"}, Bugs: []string{"F1"},
	}, m)
	_, err = ParseModule("nothing here")
	assert.ErrorContains(t, err, "MODULE Name")
}

func FuzzParseModule(f *testing.F) {
	f.Add(sampleModule)
	toy, err := os.ReadFile("testdata/Toy.tla")
	require.NoError(f, err)
	f.Add(string(toy))
	f.Add("---- MODULE M ----\nF(a)[b] == 1 ) == ( ==")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseModule(text)
		if err != nil {
			return
		}
		for n, params := range m.Definitions {
			require.True(t, isIdentifier(n), n)
			require.GreaterOrEqual(t, params, 0)
		}
	})
}

func folder(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// a root that extends one module and instantiates two, one of them by name
var rooted = map[string]string{
	"Root.tla":   "---- MODULE Root ----\nEXTENDS Integers, Base\nCONSTANT C\nINSTANCE Bare\nN == INSTANCE Named WITH K <- C\nSpec == TRUE\nWith(x) == x\n====",
	"Base.tla":   "---- MODULE Base ----\nCONSTANT D\nInv == TRUE\n====",
	"Bare.tla":   "---- MODULE Bare ----\nEXTENDS Deeper\nShared == TRUE\n====",
	"Deeper.tla": "---- MODULE Deeper ----\nDeep == TRUE\n====",
	"Named.tla":  "---- MODULE Named ----\nCONSTANT K\nHidden == TRUE\n====",
}

func TestLoadFollowsExtendsAndInstances(t *testing.T) {
	c, err := Load(folder(rooted), "Root")
	require.NoError(t, err)
	assert.Len(t, c.Files, 5)
	assert.Equal(t, "Base", c.home("Inv"))
	assert.Equal(t, "Root", c.home("Spec"))

	for name, broken := range map[string]map[string]string{
		"missing":   {"Root.tla": "---- MODULE Root ----\nEXTENDS Gone\n===="},
		"misnamed":  {"Root.tla": "---- MODULE Other ----\n===="},
		"no module": {"Root.tla": "EXTENDS Gone"},
	} {
		_, err := Load(folder(broken), "Root")
		assert.Error(t, err, name)
	}
}

func TestLintFindsWhatTLCIgnores(t *testing.T) {
	c, err := Load(folder(rooted), "Root")
	require.NoError(t, err)
	good := "SPECIFICATION Spec CONSTANTS C = 1 D = 2 "
	for text, want := range map[string]string{
		good + "INVARIANT Inv Shared": "",
		good + "Shared <- Inv":        "",
		good + "INVARIANT Deep":       "",

		good + "Bogus = 3":                  "declares no constant Bogus, and TLC would ignore it",
		good + "K = 3":                      "declares no constant K", // of an instance: given by WITH only
		good + "Inv = 3":                    "declares no constant Inv",
		good + "Bogus <- Inv":               "no constant and no definition Bogus",
		good + "Inv <- Bogus":               "no definition Bogus",
		good + "C = 2":                      "C is assigned twice",
		"SPECIFICATION Spec CONSTANT C = 1": "constant D is not assigned",
		good + "INVARIANT Nope":             "no definition Nope",
		good + "INVARIANT Hidden":           "no definition Hidden",
		good + "PROPERTY With":              "With takes parameters",
		good + "CONSTRAINT Nope":            "no definition Nope",
		good + "INIT Inv NEXT Inv":          "either SPECIFICATION or INIT and NEXT",
		"INIT Inv CONSTANTS C = 1 D = 2":    "either SPECIFICATION or INIT and NEXT",

		"SPECIFICATION Spec SYMMETRY Inv CONSTANTS C = {n1, n2} D = {n2, n1}": "",
		"SPECIFICATION Spec SYMMETRY Inv CONSTANTS C = {n1, n2} D = {\"n1\"}": "",
		"SPECIFICATION Spec CONSTANTS C = {n1, n2} D = {n1}":                  "",
		"SPECIFICATION Spec SYMMETRY Inv CONSTANTS C = {n1, n2} D = {n1}":     "D = {n1} names some of C = {n1, n2}",
	} {
		cfg, err := ParseConfig(text)
		require.NoError(t, err)
		err = Lint(c, cfg)
		if want == "" {
			assert.NoError(t, err, text)
		} else {
			assert.ErrorContains(t, err, want, text)
		}
	}
}
