package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A module with a target that holds, one behind a tag that fails, and functions
// that only look like targets.
func tree(t *testing.T) string {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                "module m\ngo 1.24\n",
		"a_test.go":             "package m\nimport \"testing\"\nfunc FuzzGood(f *testing.F) { f.Add(1); f.Fuzz(func(*testing.T, int) {}) }\nfunc Fuzzy() string { return \"\" }\nfunc TestFuzz(*testing.T) { Fuzzy() }\n",
		"b/b_test.go":           "//go:build hidden\n\npackage b\nimport \"testing\"\nfunc FuzzBad(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, n int) { if n == 1 { t.Fatal(\"one\") } }) }\n",
		"testdata/c_test.go":    "not Go",
		".cache/mod/x_test.go":  "not Go",
		"b/testdata/fuzz/x.txt": "",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

func TestEveryTargetIsFoundAndRun(t *testing.T) {
	t.Chdir(tree(t))
	found, err := find(".")
	require.NoError(t, err)
	assert.Equal(t, []target{{".", "FuzzGood"}, {"b", "FuzzBad"}}, found)
	require.NoError(t, run(t.Context(), time.Second, 0, "Good", ""))
	require.ErrorContains(t, run(t.Context(), time.Second, 0, "", "hidden"), "1 of 2 targets failed: b.FuzzBad")
	require.ErrorContains(t, run(t.Context(), time.Second, 0, "Nothing", ""), "no such target")
}

// The targets that decode what others wrote are there, those behind tags as well.
func TestTheDecodersOfThisTreeAreFuzzed(t *testing.T) {
	found, err := find("../..")
	require.NoError(t, err)
	for _, want := range []target{
		{"../../fdbimpl", "FuzzCursor"}, {"../../internal/tlc", "FuzzParse"}, {"../../internal/strictjson", "FuzzUnmarshal"}, {"../..", "FuzzParseClaimID"},
	} {
		assert.Contains(t, found, want)
	}
}

func TestExecutions(t *testing.T) {
	assert.Equal(t, 7, executions("fuzz: elapsed: 3s, execs: 5 (1/sec)\nfuzz: elapsed: 6s, execs: 7 (1/sec)\n"))
	assert.Zero(t, executions("no fuzzing"))
}
