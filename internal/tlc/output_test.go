package tlc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// saved outputs of TLC 2.18 on testdata/Toy.tla, with the exit code of each run.
var saved = []struct {
	name     string
	exit     int
	verdict  Verdict
	violated string
	message  string // part of
	trace    int    // states in the counterexample
}{
	{name: "ok", exit: 0, verdict: OK},
	{name: "ignored-constant", exit: 0, verdict: OK},
	{name: "invariant", exit: 12, verdict: Invariant, violated: "Small", trace: 4},
	{name: "invariant-initial", exit: 12, verdict: Invariant, violated: "Small", trace: 1},
	{name: "invariant-constant", exit: 151, verdict: Invariant, violated: "Nowhere"},
	{name: "action", exit: 13, verdict: Action, violated: "Up", trace: 3},
	{name: "property-initial", exit: 13, verdict: Action, violated: "InitOnly", trace: 1},
	{name: "temporal", exit: 13, verdict: Temporal, trace: 2},
	{name: "temporal-loop", exit: 13, verdict: Temporal, trace: 5},
	{name: "deadlock", exit: 11, verdict: Deadlock, trace: 5},
	{name: "assert", exit: 14, verdict: Assertion, message: `"boom"`, trace: 3},
	{name: "assume", exit: 10, verdict: Assumption, violated: "line 6, col 8 to line 6, col 22 of module Toy"},
	{name: "underspecified", exit: 75, verdict: Failed, message: "not assigned: log", trace: 4},
	{name: "evaluation", exit: 75, verdict: Failed, message: `non-integer argument "x"`, trace: 3},
	{name: "missing-constant", exit: 151, verdict: Failed, message: "constant parameter Mode"},
	{name: "unknown-invariant", exit: 151, verdict: Failed, message: "invariant Nope"},
	{name: "bad-cfg", exit: 255, verdict: Failed, message: "configuration file at line 3"},
	{name: "parse", exit: 150, verdict: Failed, message: `at line 20, column 1`},
}

func read(t testing.TB, name string) string {
	text, err := os.ReadFile(filepath.Join("testdata", "output", name+".txt"))
	require.NoError(t, err)
	return string(text)
}

func TestEveryVerdictIsReadFromRealOutput(t *testing.T) {
	for _, s := range saved {
		t.Run(s.name, func(t *testing.T) {
			out := Parse(read(t, s.name), s.exit)
			assert.Equal(t, s.verdict, out.Verdict, out.Message)
			assert.Equal(t, s.violated, out.Violated)
			assert.Contains(t, out.Message, s.message)
			assert.Len(t, out.Trace, s.trace)
			assert.Equal(t, "TLC2 Version 2.18 of 20 March 2023", out.Version)
		})
	}
	files, err := filepath.Glob("testdata/output/*.txt")
	require.NoError(t, err)
	assert.Len(t, saved, len(files), "a saved output is not tested")
}

func TestCountsDepthAndCoverage(t *testing.T) {
	out := Parse(read(t, "ok"), 0)
	assert.Equal(t, int64(15), out.Distinct)
	assert.Equal(t, int64(40), out.Generated)
	assert.Equal(t, 9, out.Depth)
	assert.Contains(t, out.Coverage, Coverage{Action: "Inc", Distinct: 4, Generated: 14})
	assert.Equal(t, []string{"Never", "Fail", "Under", "Oops"}, out.Dead())
}

func TestCounterexampleStates(t *testing.T) {
	out := Parse(read(t, "invariant"), 12)
	assert.Equal(t, State{Number: 1, Text: "/\\ n = 0\n/\\ log = <<>>"}, out.Trace[0])
	assert.Equal(t, State{
		Number: 4, Action: "Inc", Location: "line 9, col 8 to line 9, col 85 of module Toy",
		Text: "/\\ n = 3\n/\\ log = <<[kind |-> \"inc\", at |-> 2, set |-> {1, 2}]>>",
	}, out.Trace[3])
	assert.True(t, Parse(read(t, "temporal"), 13).Stutters)
	assert.Equal(t, 2, Parse(read(t, "temporal-loop"), 13).LoopsTo)
}

// A pass needs TLC's word, its exit code and an empty queue; each alone is not enough.
func TestNothingButACleanEndIsAPass(t *testing.T) {
	text := read(t, "ok")
	silent := strings.ReplaceAll(text, "2193", "2999")
	unfinished := strings.ReplaceAll(text, "0 states left on queue.", "7 states left on queue.")
	require.NotEqual(t, text, silent)
	require.NotEqual(t, text, unfinished)
	for name, out := range map[string]Output{
		"killed":             Parse(text, -1),
		"no success message": Parse(silent, 0),
		"states left":        Parse(unfinished, 0),
		"cut off":            Parse(text[:len(text)/2], 0),
		"nothing":            Parse("", 0),
	} {
		assert.Equal(t, Failed, out.Verdict, name)
		assert.NotEmpty(t, out.Message, name)
	}
	wrong := Parse(read(t, "invariant"), 0)
	assert.Equal(t, Failed, wrong.Verdict)
	assert.Empty(t, wrong.Violated, "a name from a run that is not understood proves nothing")
}

func FuzzParse(f *testing.F) {
	for _, s := range saved {
		f.Add(read(f, s.name), s.exit)
	}
	f.Fuzz(func(t *testing.T, text string, exit int) {
		out := Parse(text, exit)
		if want, fixed := exitCodes[out.Verdict]; fixed {
			require.True(t, exit == want || out.Verdict == Invariant && exit == exitConfig, exit)
		} else {
			require.Equal(t, Failed, out.Verdict)
			require.NotEmpty(t, out.Message)
		}
		if out.Verdict == OK {
			require.Zero(t, out.Left)
			require.Contains(t, text, "STARTMSG 2193:")
		}
	})
}

// An expression of an action that is never taken says no more than that: where TLC lists it
// under a live action, it may stand at another place.
func TestPlacesOfDeadActionsAreLeftOut(t *testing.T) {
	frame := func(code, text string) string {
		return "@!@!@STARTMSG " + code + ":0 @!@!@\n" + text + "\n@!@!@ENDMSG " + code + " @!@!@\n"
	}
	out := Parse(frame("2772", "<Live line 1, col 1 to line 1, col 4 of module M>: 1:2")+
		frame("2221", "  line 2, col 1 to line 2, col 9 of module M: 2")+
		frame("2221", "  |line 3, col 1 to line 3, col 9 of module M: 0")+
		frame("2772", "<Dead line 5, col 1 to line 5, col 4 of module M>: 0:0")+
		frame("2221", "  line 6, col 1 to line 6, col 9 of module M: 0"), 0)
	assert.Equal(t, map[string]int64{
		"line 2, col 1 to line 2, col 9 of module M": 2, "line 3, col 1 to line 3, col 9 of module M": 0,
	}, out.Places)
}
