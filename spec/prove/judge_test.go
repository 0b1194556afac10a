package prove

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec/smt"
)

func TestAJudgeNamesWhatAChangeBreaks(t *testing.T) {
	opts := solver(t)
	tool, err := tlc.Find(t.Context())
	require.NoError(t, err)
	j := &Judge{Exporter: tool, Solver: opts.Solver}
	p := counterProof()
	broken := func(old, changed string) *Obligation {
		t.Helper()
		require.Contains(t, counter, old)
		fsys := folder(t, strings.Replace(counter, old, changed, 1), p)
		proofs, err := LoadManifest(fsys)
		require.NoError(t, err)
		o, err := j.Broken(t.Context(), fsys, proofs[0])
		require.NoError(t, err)
		return o
	}
	require.Nil(t, broken("", ""))
	proved := len(j.proved)
	assert.Equal(t, 9, proved, "initial states, invariant, and two actions")

	o := broken("x' = x + by", "x' = x + by + 1")
	require.NotNil(t, o)
	assert.Equal(t, "Step: NotHigh", o.String())
	assert.Equal(t, Failed, o.Status)
	assert.Equal(t, "NotHigh", o.Step.Breaks)

	o = broken("x = Limit /\\ x' = IF Bug(\"Low\") THEN -1 ELSE 0", "x' = x - 1")
	require.NotNil(t, o)
	assert.Equal(t, "Reset: Up", o.String(), "a property before a conjunct of the invariant")

	before := len(j.proved)
	assert.Nil(t, broken("x + by <= Limit", "x <= Limit - by"))
	assert.Equal(t, before+3, len(j.proved), "only the changed action is asked about again")
	assert.Nil(t, broken("", ""))
	assert.Equal(t, before+3, len(j.proved), "nothing is asked twice")
}

// A countermodel is looked for with few elements. Where there is none with so few,
// the obligation is unknown, which is not proved.
func TestAJudgeDoesNotTakeUnknownForProved(t *testing.T) {
	opts := solver(t)
	tool, err := tlc.Find(t.Context())
	require.NoError(t, err)
	fsys := folder(t, `EXTENDS Integers
CONSTANTS Names, Dropped, Bugs
VARIABLES x
ASSUME Sorts == Names \subseteq STRING
Types == x \in Int
Init == x = 0
Next == x' = x
Inv == x = 0
Few == \A a, b, c, d \in Names : a = b \/ a = c \/ a = d \/ b = c \/ b = d \/ c = d
`, Proof{Invariant: []string{"Inv"}, Properties: []string{"Few"}, Failures: []Failure{{Without: "Inv", Breaks: "Few"}}})
	proofs, err := LoadManifest(fsys)
	require.NoError(t, err)
	j := &Judge{Exporter: tool, Solver: opts.Solver}
	o, err := j.Broken(t.Context(), fsys, proofs[0])
	require.NoError(t, err)
	require.NotNil(t, o)
	assert.Equal(t, Unknown, o.Status)
	assert.Equal(t, "Few", o.Property)
}

func TestQuestionsAreTheSameHoweverTheirSymbolsAreNumbered(t *testing.T) {
	terms := smt.NewTerms()
	key := func(list ...*smt.Term) [32]byte {
		var c canonical
		c.add(list...)
		return c.clone().sum
	}
	question := func() []*smt.Term {
		x, y := terms.Constant("x", smt.Int), terms.Constant("y", smt.Int)
		return []*smt.Term{terms.Less(x, y), terms.Less(y, terms.Number(1))}
	}
	first := key(question()...)
	terms.Fresh("y")
	assert.Equal(t, first, key(question()...))
	x := terms.Constant("x", smt.Int)
	assert.NotEqual(t, first, key(terms.Less(x, x), terms.Less(x, terms.Number(1))))
}
