package prove

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec/smt"
)

// solver finds z3, or skips the test where there is none.
func solver(t *testing.T) Options {
	t.Helper()
	z3, err := smt.Find(t.Context(), "z3")
	if errors.Is(err, smt.ErrNoSolver) {
		t.Skip("nothing was proven:", err)
	}
	require.NoError(t, err)
	if _, err := tlc.Find(t.Context()); errors.Is(err, tlc.ErrNoTLC) {
		t.Skip("SANY was not run, so that nothing was proven:", err)
	}
	return Options{Solver: z3, Limit: time.Minute}
}

// folder is a specification of one module M with one proof.
func folder(t *testing.T, module string, p Proof) fs.FS {
	t.Helper()
	p.ID, p.Doc, p.Module = "m", "a proof", "M"
	if len(p.Invariant) == 0 {
		p = Proof{ID: p.ID, Doc: p.Doc, Module: p.Module, Invariant: []string{"V"}, Properties: []string{"P"}, Failures: []Failure{{Drop: "d", Breaks: "P"}}}
	}
	p.Init, p.Next, p.Types = "Init", "Next", []string{"Types"}
	list, err := json.Marshal([]Proof{p})
	require.NoError(t, err)
	return fstest.MapFS{
		"M.tla":      {Data: []byte("---- MODULE M ----\n" + module + "\n====\n")},
		ManifestFile: {Data: list},
	}
}

// counter counts up to a limit by one or two.
const counter = `EXTENDS Integers
CONSTANTS Limit, Dropped, Bugs
VARIABLES x
ASSUME Sorts == Limit \in Nat
Guard(name, P) == name \in Dropped \/ P
Bug(name) == name \in Bugs
Types == x \in Int
Init == x = 0
Step(by) == /\ Guard("Step/Limit", x + by <= Limit)
            /\ x' = x + by
Reset == x = Limit /\ x' = IF Bug("Low") THEN -1 ELSE 0
Next == Reset \/ \E by \in {1, 2} : Step(by)
NotLow  == x >= 0
NotHigh == x <= Limit
Inv == NotLow /\ NotHigh
Up == [][x' = 0 \/ x' > x]_x
`

func counterProof() Proof {
	return Proof{
		Invariant: []string{"Inv"}, Properties: []string{"NotHigh", "Up"},
		Failures: []Failure{
			{Drop: "Step/Limit", Action: "Step", Breaks: "NotHigh"},
			{Bug: "Low", Action: "Reset", Breaks: "NotLow"},
			{Without: "NotHigh", Breaks: "NotHigh"},
		},
		Redundant: map[string]string{"NotLow": "for its own sake"},
	}
}

func TestAProofThatHolds(t *testing.T) {
	results, err := Run(t.Context(), folder(t, counter, counterProof()), solver(t))
	require.NoError(t, err)
	require.Len(t, results, 1)
	r := results[0]
	assert.True(t, r.OK())
	assert.Len(t, r.Obligations, 2+1+2*3, "initial states, invariant, and two actions")
	assert.Contains(t, r.Summary(), "9 of 9 obligations proved; 3 of 3 required failures")
	step := r.Failures[0].Step
	assert.Equal(t, "NotHigh", step.Breaks)
	assert.Regexp(t, `^Step\([12]\)$`, step.Action)
	assert.Regexp(t, `^x = `, step.Before[0])
	assert.Regexp(t, `^x = `, step.After[0])
	assert.Equal(t, "M", step.Place.Module)
}

// An entry that is like another shows the same of a module that differs: with a
// definition replaced, or without a conjunct of a guard.
func TestAProofLikeAnother(t *testing.T) {
	if testing.Short() {
		t.Skip("each module is exported by a run of Java; make prove has them all")
	}
	like := func(p Proof) fs.FS {
		base := counterProof()
		base.Failures = append(base.Failures, Failure{Drop: "Step/Limit", Action: "Step", Breaks: "Up"}) // says it, and is not asked
		fsys := folder(t, strings.Replace(counter, "Types ==", "Twice == 2 * Limit\nEnd == Limit\nTypes ==", 1), base).(fstest.MapFS)
		fsys["M.tla"].Data = []byte(strings.ReplaceAll(string(fsys["M.tla"].Data), "x + by <= Limit", "x + by <= End"))
		var list []Proof
		require.NoError(t, json.Unmarshal(fsys[ManifestFile].Data, &list))
		p.ID, p.Doc, p.Like = "other", "a proof", "m"
		data, err := json.Marshal(append(list, p))
		require.NoError(t, err)
		fsys[ManifestFile].Data = data
		return fsys
	}
	opts := solver(t)
	opts.Select = func(p Proof) bool { return p.ID == "other" }
	reset := []Failure{{Bug: "Low", Action: "Reset", Breaks: "NotLow"}}

	t.Run("replaced", func(t *testing.T) {
		results, err := Run(t.Context(), like(Proof{Failures: reset, Replace: map[string]string{"End": "Twice"}}), opts)
		require.ErrorIs(t, err, ErrNotProved)
		assert.Equal(t, []string{"Step: NotHigh"}, unproved(results[0]))
	})
	t.Run("dropped", func(t *testing.T) {
		results, err := Run(t.Context(), like(Proof{Failures: reset, Dropped: []string{"Step/Limit"}}), opts)
		require.ErrorIs(t, err, ErrNotProved)
		assert.Equal(t, []string{"Step: NotHigh"}, unproved(results[0]))
	})
	t.Run("excepted", func(t *testing.T) {
		results, err := Run(t.Context(), like(Proof{Failures: reset, Dropped: []string{"Step/Limit"}, Except: []string{"Up"}}), opts)
		require.ErrorIs(t, err, ErrNotProved)
		assert.Equal(t, []string{"Step: NotHigh"}, unproved(results[0]))
		assert.Len(t, results[0].Obligations, 2+1+2*2, "one property less of each action")
	})
	for name, p := range map[string]Proof{
		"Missing <- Twice": {Failures: reset, Replace: map[string]string{"Missing": "Twice"}},
		"0 and 1 param":    {Failures: reset, Replace: map[string]string{"End": "Step"}},
		"is no property":   {Failures: reset, Except: []string{"NotLow"}},
		"no failure of m":  {Failures: reset, Except: []string{"Up"}},
	} {
		_, err := Run(t.Context(), like(p), opts)
		assert.ErrorContains(t, err, name)
	}
}

func TestWhatIsNotAsTheManifestSays(t *testing.T) {
	if testing.Short() {
		t.Skip("each module is exported by a run of Java; make prove has them all")
	}
	for name, s := range map[string]struct {
		old, new string // in the module
		change   func(*Proof)
		want     func(*testing.T, ProofResult)
	}{
		"an invariant that is not inductive": {"x' = x + by", "x' = x + by + 1", nil, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{"Step: NotHigh"}, unproved(r))
			for _, o := range r.Obligations {
				if o.Status == Failed {
					require.NotNil(t, o.Step, "a failed obligation has a countermodel")
				}
			}
		}},
		"an initial state outside": {"Init == x = 0", "Init == x = -1", nil, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{"Init: NotLow"}, unproved(r))
		}},
		"a step property": {"x = Limit /\\ x' = IF", "x' = IF", func(p *Proof) { p.Properties = append(p.Properties, "Late") }, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{"Reset: Late", "Step: Late"}, unproved(r))
		}},
		"a state predicate": {"", "", func(p *Proof) { p.Properties = append(p.Properties, "Small") }, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{"Small"}, unproved(r))
		}},
		"an action that is never taken": {"Reset == x = Limit", "Reset == x > Limit", nil, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{"Reset"}, r.Dead)
		}},
		"an action that is none": {"Next == Reset", "Halt == FALSE /\\ x' = x\nNext == Halt \\/ Reset", nil, func(t *testing.T, r ProofResult) {
			require.Len(t, r.Problems, 1)
			assert.Regexp(t, `^M\.tla:\d+:\d+ is no step`, r.Problems[0])
		}},
		"no initial state": {"Init == x = 0", "Init == x = 0 /\\ FALSE", nil, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{"there is no initial state, so that nothing is shown of any"}, r.Problems)
		}},
		"a required failure that does not fail": {"", "", func(p *Proof) { p.Failures[0].Breaks = "NotLow" }, func(t *testing.T, r ProofResult) {
			assert.Nil(t, r.Failures[0].Step)
			assert.Empty(t, unproved(r))
		}},
		"a conjunct that nobody shows to be needed": {"", "", func(p *Proof) { p.Failures = p.Failures[1:2] }, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{
				"no failure shows that the invariant needs NotHigh",
				"no failure shows that the guard's conjunct Step/Limit is needed",
			}, r.Problems)
		}},
		"a variant that nobody tries": {"", "", func(p *Proof) { p.Failures = append(p.Failures[:1], p.Failures[2]) }, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{"no failure shows what the variant Low breaks"}, r.Problems)
		}},
		"a conjunct called redundant that is needed": {"", "", func(p *Proof) {
			p.Failures = p.Failures[:2]
			p.Redundant["NotHigh"] = "wrong"
		}, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{"NotHigh"}, unproved(r))
		}},
		"redundant without a reason": {"", "", func(p *Proof) { p.Redundant["NotLow"] = " " }, func(t *testing.T, r ProofResult) {
			assert.Equal(t, []string{"NotLow is called redundant, without a reason or beside a failure"}, r.Problems)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			module := counter + "Late == [][x' = 0 => x = Limit]_x\nSmall == x < 5\n"
			require.Contains(t, module, s.old)
			p := counterProof()
			if s.change != nil {
				s.change(&p)
			}
			results, err := Run(t.Context(), folder(t, strings.Replace(module, s.old, s.new, 1), p), solver(t))
			require.ErrorIs(t, err, ErrNotProved)
			require.False(t, results[0].OK())
			s.want(t, results[0])
		})
	}
}

func unproved(r ProofResult) (out []string) {
	for _, o := range r.Obligations {
		if o.Status != Proved {
			out = append(out, o.String())
		}
	}
	return out
}

// Mutants of the contract's module that a proof must not survive. Each is a
// change of a few characters.
func TestMutantsOfRegistryAreNotProved(t *testing.T) {
	if testing.Short() {
		t.Skip("each mutant is a module of its own")
	}
	opts := solver(t)
	opts.Limit, opts.Workers = 5*time.Second, 1
	for name, m := range map[string]struct{ file, old, new, breaks string }{
		"a token that stays":           {"Registry.tla", "token |-> r.token + 1,", "token |-> r.token,", "Claim: TokenMonotonic"},
		"a release that keeps version": {"Registry.tla", "[r EXCEPT !.version = Bump(r.version), !.holder = Nobody]", "[r EXCEPT !.holder = Nobody]", "Release: VersionBump"},
		"an expiry that can go back":   {"Registry.tla", "!.expiry = Max(r.expiry, c + TTL)", "!.expiry = c + TTL", "Renew: LiveHandIsRecorded"},
		"a name without its epoch":     {"Registry.tla", "token <= r.token /\\ r.holder = ref", "token <= r.token /\\ r.holder.id = ref.id", "Renew: LiveHandIsRecorded"},
		"a lease of longer than asked": {"Registry.tla", "until |-> Until(expiry)]", "until |-> Until(expiry + 1)]", "Claim: LiveHandIsRecorded"},
		"a crash that keeps the lease": {"Registry.tla", "/\\ proc' = [proc EXCEPT ![n] = Down]", "/\\ proc' = [proc EXCEPT ![n] = Down - 1]", "Crash: TypeOK/proc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results, err := Run(t.Context(), mutated(t, m.file, m.old, m.new), opts)
			require.ErrorIs(t, err, ErrNotProved)
			assert.Contains(t, unproved(results[0]), m.breaks)
		})
	}
}

// mutated is the specification with one change, and of its proofs the first
// without its failures, but for one that keeps the manifest complete.
func mutated(t *testing.T, file, old, new string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(os.DirFS(specDir), "*.tla")
	require.NoError(t, err)
	for _, name := range names {
		text, err := os.ReadFile(specDir + "/" + name)
		require.NoError(t, err)
		files[name] = &fstest.MapFile{Data: text}
	}
	text := string(files[file].Data)
	require.Contains(t, text, old)
	files[file] = &fstest.MapFile{Data: []byte(strings.Replace(text, old, new, 1))}
	proofs, err := LoadManifest(os.DirFS(specDir))
	require.NoError(t, err)
	p := proofs[0]
	p.Failures = p.Failures[:1]
	list, err := json.Marshal([]Proof{p})
	require.NoError(t, err)
	files[ManifestFile] = &fstest.MapFile{Data: list}
	return files
}

func TestWhatTheTranslatorDoesNotKnowIsAnErrorWithItsPlace(t *testing.T) {
	refused := []struct{ init, want string }{
		{"x \\in {z \\in S : z = CHOOSE y \\in S : y > z}", "22: CHOOSE is supported for constants alone"},
		{"x = Len(1 .. 2)", "9: this is not a sequence of a known length"},
		{"x = Head(<<>>)", "5: Head of the empty sequence"},
		{"x = SubSeq(<<1>>, 1, 1)", "5: the operator SubSeq of module Sequences is not supported"},
		{"x = <<1>>[x]", "11: the variable x has no value here"},
		{"x = 1 /\\ <<1>>[x] = 1 /\\ <<1>>[2] = 1", "26: this is not a function, nor a tuple or record applied to a constant that it has"},
		{"x \\in UNION {{s} : s \\in S}", "7: UNION of sets that are not listed is not supported"},
		{"x = 0 /\\ \\A y : y = y", "10: the operator $UnboundedForall is not supported"},
		{"x = 0 /\\ f = [t \\in T |-> Cardinality({y \\in S : y > x})]", "27: the size of this set is not known, and it depends on a quantifier's variable"},
		{"x = 0 /\\ x = \"a\"", "10: Int and Str do not fit together"},
		{"x \\in {1, \"a\"}", "11: Int and Str do not fit together"},
		{"x = \"a\"", "1: x is Int, and this is Str"},
		{"x = 0 /\\ f = [t \\in {\"a\"} |-> 0]", "10: the domain of f is not evidently the one in its type"},
		{"x = 0", "1:  does not say what f becomes"},
		{"x = [a |-> 1].b", "5: the record [a : Int] has no field b"},
		{"x = 1[2]", "5: this is not a function, nor a tuple"},
		{"x = 4 \\div 2", "5: the operator \\div of module Naturals is not supported"},
		{"x = 0 /\\ LET g[n \\in Nat] == IF n = 0 THEN 0 ELSE g[n - 1] IN g[1] = 0", "$RecursiveFcnSpec is not supported"},
		{"f = [t \\in T |-> 0] /\\ x = f[\"a\"].b", "b is selected from what is not a record"},
		{"f = [t \\in T |-> 0] /\\ x = f[1]", "the function takes Str, and this is Int"},
		{"x = 99999999999999999999", "is too large"},
		{"x = 0 /\\ f = [f EXCEPT ![1] = 0]", "the variable f has no value here"},
		{"x = {1} /\\ f = f", "x is Int, and this is SUBSET Int"},
	}
	// The last one is wrong in another place than where it is used.
	refused = append(refused, struct{ init, want string }{"x = Endless(1)", "Endless calls itself without an end that is evident"})
	module := "EXTENDS Integers, FiniteSets, Sequences\nCONSTANT S, T\nVARIABLES x, f\nASSUME S \\subseteq Int /\\ T \\subseteq STRING\n" +
		"Types == x \\in Int /\\ f \\in [T -> Int]\nRECURSIVE Endless(_)\nEndless(n) == Endless(n + 1)\n"
	const before = 8 // lines, with the one that names the module
	for i, r := range refused {
		module += fmt.Sprintf("D%02d == %s\n", i, r.init)
	}
	m := load(t, folder(t, module, Proof{}), "M")
	for i, r := range refused {
		tr, err := newTranslator(algebra{Terms: smt.NewTerms()}, m, []string{"Types"}, nil)
		require.NoError(t, err)
		d, err := tr.definition(fmt.Sprintf("D%02d", i))
		require.NoError(t, err)
		_, err = tr.initial(d.Body)
		var located *Error
		require.ErrorAs(t, err, &located, r.init)
		if i < len(refused)-1 {
			assert.Equal(t, before+i+1, located.Place.Line, r.init)
		}
		located.Place.Column -= len("D00 == ")
		assert.Contains(t, fmt.Sprintf("%d: %s", located.Place.Column, located.Problem), r.want, r.init)
	}
	_, err := newTranslator(algebra{Terms: smt.NewTerms()}, m, []string{"Nothing"}, nil)
	assert.ErrorContains(t, err, "module M has no definition Nothing without parameters")
}

// What SANY has other nodes for is refused when the export is read.
func TestOperatorsAsArgumentsAreRefused(t *testing.T) {
	fsys := folder(t, "EXTENDS Integers\nOp(F(_)) == F(1)\nInit == Op(LAMBDA y : y) = 1", Proof{})
	_, err := Run(t.Context(), fsys, solver(t))
	assert.ErrorContains(t, err, "M.tla:4:12: OpArgNode is not supported")
}

func TestTheManifestIsChecked(t *testing.T) {
	full := `[{"id":"a","doc":"d","module":"M","init":"I","next":"N","types":["T"],"assume":[],"invariant":["V"],"properties":["P"],"failures":[%s]}]`
	for name, s := range map[string]struct{ text, want string }{
		"unknown field":   {`[{"idd":"a"}]`, "idd"},
		"incomplete":      {`[{"id":"a"}]`, `proof "a" is incomplete`},
		"nothing taken":   {strings.Replace(full, "%s", `{"breaks":"P"}`, 1), "want one of drop, bug, without and instead"},
		"two taken":       {strings.Replace(full, "%s", `{"drop":"a","bug":"b","breaks":"P"}`, 1), "want one of drop, bug, without and instead"},
		"nothing broken":  {strings.Replace(full, "%s", `{"drop":"a"}`, 1), "and what it breaks"},
		"not a manifest":  {`{}`, "proofs.json"},
		"text behind it":  {`[] []`, "proofs.json"},
		"no such failure": {strings.Replace(full, "%s", "", 1), `proof "a" is incomplete`},
		"any premise":     {strings.Replace(strings.Replace(full, "%s", `{"drop":"a","breaks":"P"}`, 1), `"assume":[]`, `"assume":["A"]`, 1), "no failure shows that it needs"},
		"like nothing":    {`[{"id":"a","doc":"d","like":"b"}]`, `no proof "b" before it`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadManifest(fstest.MapFS{ManifestFile: {Data: []byte(s.text)}})
			assert.ErrorContains(t, err, s.want)
		})
	}
}
