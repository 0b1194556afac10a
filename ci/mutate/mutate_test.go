package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sample = `package p

func (s *store) claim(a, b int) (int, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a < 1 && b != 2 {
		return 0, false, errHeld
	}
	s.version++
	s.token, s.expiry = a+1, max(a, b)
	s.yields.at("decided")
	s.wake()
	if err != nil {
		return 0, true, err
	}
	switch a {
	case one, two:
		s.x = record{Token: a, Holder: b}
	}
	return a, true, nil
}

func read(tr T) { get(a.tr.Snapshot(), tr) }
`

// changes lists the changes of the sample, which tell apart what the generator does.
func changes(t *testing.T) (all []string) {
	ms, err := Mutants("p.go", []byte(sample))
	require.NoError(t, err)
	for _, m := range ms {
		all = append(all, m.Change)
	}
	return all
}

func TestEachKindOfMutantIsMade(t *testing.T) {
	assert.ElementsMatch(t, []string{
		"drop s.mu.Lock() and its unlock",
		"weaken s.mu.Lock()",
		"if a < 1 && b != 2  =>  true",
		"if a < 1 && b != 2  =>  false",
		"a < 1 && b != 2  =>  ||",
		"in a < 1 && b != 2, drop a < 1",
		"in a < 1 && b != 2, drop b != 2",
		"a < 1  =>  <=",
		"a < 1  =>  >=",
		"b != 2  =>  ==",
		"return 0, false, errHeld  =>  result 2 true",
		"return 0, false, errHeld  =>  nil error",
		"drop s.version++",
		"in s.token, s.expiry = a+1, max(a, b), drop s.token",
		"in s.token, s.expiry = a+1, max(a, b), drop s.expiry",
		"a+1  =>  + 0",
		"a+1  =>  + 2",
		"max(a, b)  =>  a",
		"max(a, b)  =>  b",
		"drop s.wake()",
		"if err != nil  =>  false",
		"return 0, true, err  =>  result 2 false",
		"return 0, true, err  =>  nil error",
		"drop case one",
		"drop case two",
		"drop s.x = record{Token: a, Holder: b}",
		"in record literal, drop Token: a",
		"in record literal, drop Holder: b",
		"return a, true, nil  =>  result 2 false",
		"drop get(a.tr.Snapshot(), tr)",
		"in get(a.tr.Snapshot(), tr), a.tr.Snapshot()  =>  no snapshot",
		"in get(a.tr.Snapshot(), tr), tr  =>  snapshot",
	}, changes(t))
}

func TestMutantsChangeWhatTheySay(t *testing.T) {
	ms, err := Mutants("p.go", []byte(sample))
	require.NoError(t, err)
	for change, line := range map[string]string{
		"drop s.mu.Lock() and its unlock":                               "",
		"weaken s.mu.Lock()":                                            "s.mu.RLock()",
		"if a < 1 && b != 2  =>  true":                                  "if true || (a < 1 && b != 2) {",
		"if a < 1 && b != 2  =>  false":                                 "if false && (a < 1 && b != 2) {",
		"in a < 1 && b != 2, drop a < 1":                                "if (true || (a < 1)) && b != 2 {",
		"a < 1  =>  <=":                                                 "if a <= 1 && b != 2 {",
		"in s.token, s.expiry = a+1, max(a, b), drop s.expiry":          "s.token, _ = a+1, max(a, b)",
		"max(a, b)  =>  b":                                              "s.token, s.expiry = a+1, b",
		"return 0, false, errHeld  =>  nil error":                       "return 0, false, nil",
		"drop case one":                                                 "case two:",
		"drop case two":                                                 "case one:",
		"in record literal, drop Token: a":                              "s.x = record{Holder: b}",
		"in record literal, drop Holder: b":                             "s.x = record{Token: a, }",
		"in get(a.tr.Snapshot(), tr), tr  =>  snapshot":                 "func read(tr T) { get(a.tr.Snapshot(), tr.Snapshot()) }",
		"in get(a.tr.Snapshot(), tr), a.tr.Snapshot()  =>  no snapshot": "func read(tr T) { get(a.tr, tr) }",
	} {
		i := -1
		for j, m := range ms {
			if m.Change == change {
				i = j
			}
		}
		require.GreaterOrEqual(t, i, 0, change)
		before, after := strings.Split(sample, "\n"), strings.Split(string(ms[i].Apply([]byte(sample))), "\n")
		require.Len(t, after, len(before), "lines keep their numbers")
		assert.Equal(t, line, strings.TrimSpace(after[ms[i].Line-1]), change)
	}
}

// Two changes that read alike in one function have IDs of their own.
func TestIDsAreUnique(t *testing.T) {
	ms, err := Mutants("p.go", []byte("package p\nfunc f() { g(); g() }\n"))
	require.NoError(t, err)
	require.Len(t, ms, 2)
	assert.Equal(t, []string{"drop g()", "drop g() (2)"}, []string{ms[0].Change, ms[1].Change})
}

func TestOnlyUnexplainedSurvivorsFail(t *testing.T) {
	of := func(change string, f Fate) Result {
		return Result{Mutant: Mutant{File: "a/b.go", Line: 1, Func: "f", Change: change}, Fate: f}
	}
	explained, err := readExplanations([]byte("# head\n\na/b.go\tf\tx\tit has no effect\n"))
	require.NoError(t, err)

	var out bytes.Buffer
	results := []Result{of("x", Survived), of("y", KilledBySuite), of("z", KilledByTests), of("n", NotCompiled)}
	assert.Equal(t, 0, report(&out, results, explained, nil))
	assert.Contains(t, out.String(), "| a/b.go | 3 | 1 | 1 | 1 | 0 |")

	out.Reset()
	assert.Equal(t, exitSurvivors, report(&out, append(results, of("new", Survived)), explained, nil))
	assert.Contains(t, out.String(), "survivor a/b.go:1\tf\tnew")

	assert.Empty(t, explained.stale([]string{"a"}, []Mutant{results[0].Mutant}))
	assert.Empty(t, explained.stale([]string{"other"}, nil), "of packages that were not looked at nothing is said")
	stale := explained.stale([]string{"a"}, nil)
	assert.Equal(t, []string{"a/b.go\tf\tx"}, stale)
	assert.Equal(t, exitSurvivors, report(&out, nil, explained, stale))
}

func TestAnExplanationNeedsAReason(t *testing.T) {
	for _, text := range []string{"a\tb\tc\n", "a\tb\tc\t \n", "a\tb\tc\td\na\tb\tc\te\n"} {
		_, err := readExplanations([]byte(text))
		assert.Error(t, err, "%q", text)
	}
}

// The committed explanations are of mutants that exist.
func TestExplanationsAreCurrent(t *testing.T) {
	explained, err := readExplanations(equivalent)
	require.NoError(t, err)
	root, err := moduleRoot()
	require.NoError(t, err)
	for _, target := range targets {
		all, err := mutantsOf(root, target.dir)
		require.NoError(t, err)
		require.NotEmpty(t, all)
		assert.Empty(t, explained.stale([]string{target.dir}, all), target.dir)
	}
}

// Real mutants of the decisions, through the overlay: one that the suite must
// kill, one that nothing can, one that is no program. The tree stays as it is.
func TestMutantsAreJudged(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the suite for every mutant")
	}
	root, err := moduleRoot()
	require.NoError(t, err)
	const file = "internal/rules/rules.go"
	path := filepath.Join(root, filepath.FromSlash(file))
	src, err := os.ReadFile(path)
	require.NoError(t, err)
	all, err := Mutants(file, src)
	require.NoError(t, err)
	find := func(fn, change string) Mutant {
		for _, m := range all {
			if m.Func == fn && m.Change == change {
				return m
			}
		}
		t.Fatalf("no mutant %s: %s", fn, change)
		return Mutant{}
	}
	target := targets[0]
	target.stages = []stage{suite("memimpl"), tests("./internal/rules")}
	r := runner{root: root, work: t.TempDir(), target: target, timeout: 2 * time.Minute}
	judge := func(m Mutant) Fate {
		res, err := r.mutant(context.Background(), "m", m)
		require.NoError(t, err)
		t.Log(m.Change, res.Fate, res.By)
		return res.Fate
	}
	assert.Equal(t, KilledBySuite, judge(find("Claim", "phase < registry.Reclaimable  =>  >=")))
	assert.Equal(t, Survived, judge(find("Release", "rec.Version > 0  =>  >=")))
	broken := find("Claim", "phase < registry.Reclaimable  =>  >=")
	broken.edits[0].text = "~"
	assert.Equal(t, NotCompiled, judge(broken))

	after, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, src, after)
}

func TestTheFailedTestIsNamed(t *testing.T) {
	for out, name := range map[string]string{
		"ok  \tp\t0.1s\n": "ok  \tp\t0.1s",
		"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/b (0.00s)\nFAIL\n":                  "TestA",
		"panic: test timed out after 45s\n\trunning tests:\n\t\tTestB (44s)\n\ngoroutine": "TestB",
		"panic: here\n\ngoroutine 7": "panic: here",
	} {
		assert.Equal(t, name, failedTest([]byte(out)))
	}
}

// A run that goes on judges what has no fate yet, and reports all.
func TestResume(t *testing.T) {
	ms, err := Mutants("p.go", []byte(sample))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "fates")
	for i, m := range ms {
		require.NoError(t, appendFate(file, Result{Mutant: m, Fate: Survived}))
		if i > 0 {
			require.NoError(t, appendFate(file, Result{Mutant: m, Fate: KilledByTests, By: "Test\tX"}))
		}
	}
	done, err := judgeAll(context.Background(), runner{}, slices.Clone(ms), flags{out: file, resume: true}, io.Discard)
	require.NoError(t, err)
	require.Len(t, done, len(ms))
	assert.Equal(t, Result{Mutant: ms[0], Fate: Survived}, done[0])
	assert.Equal(t, Result{Mutant: ms[1], Fate: KilledByTests, By: "Test X"}, done[1])

	require.NoError(t, os.WriteFile(file, []byte("survived\tp.go\n"), 0o600))
	_, err = judgeAll(context.Background(), runner{}, ms, flags{out: file, resume: true}, io.Discard)
	assert.Error(t, err)
}

func TestBadFlagsAreRefused(t *testing.T) {
	for _, f := range []flags{{dirs: "spec"}, {dirs: "memimpl", files: "("}, {dirs: "memimpl", run: "("}} {
		assert.Equal(t, exitUsage, mutate(context.Background(), f, io.Discard, io.Discard))
	}
}

func TestASampleIsDrawnByItsSeed(t *testing.T) {
	ms, err := Mutants("p.go", []byte(sample))
	require.NoError(t, err)
	draw := func(seed uint64) []Mutant {
		s, err := choose(ms, flags{sample: 5, seed: seed})
		require.NoError(t, err)
		require.Len(t, s, 5)
		return s
	}
	assert.Equal(t, draw(1), draw(1))
	assert.NotEqual(t, draw(1), draw(2))
}
