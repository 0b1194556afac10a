package ci

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
)

// testFile is a test file of a package that is built for FoundationDB.
type testFile struct {
	path           string
	standIn, real_ bool // whether it is built on the stand-in, on a real cluster
	tests          []string
}

// fdbTests are the test files of a package that one of the two builds has alone, or
// that need FoundationDB.
func fdbTests(t *testing.T, dir string) (files []testFile) {
	paths, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	require.NoError(t, err)
	require.NotEmpty(t, paths, dir)
	for _, path := range paths {
		x := constraintOf(t, path)
		if x == nil || x.Eval(func(string) bool { return false }) {
			continue // of every build
		}
		f := testFile{path: path}
		f.standIn = x.Eval(func(tag string) bool { return tag == "fdb" || tag == "fdbsim" })
		f.real_ = x.Eval(func(tag string) bool { return tag == "fdb" })
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range parsed.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Test") && fn.Name.Name != "TestMain" {
				f.tests = append(f.tests, fn.Name.Name)
			}
		}
		files = append(files, f)
	}
	return files
}

// constraintOf is the build constraint of a file, nil for none.
func constraintOf(t *testing.T, path string) constraint.Expr {
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan() && !strings.HasPrefix(lines.Text(), "package "); {
		if constraint.IsGoBuild(lines.Text()) {
			x, err := constraint.Parse(lines.Text())
			require.NoError(t, err)
			return x
		}
	}
	return nil
}

// testsRow counts a package's tests that both builds have, and those of the stand-in alone.
func testsRow(t *testing.T, dir string) (both, standIn []string) {
	for _, f := range fdbTests(t, dir) {
		switch {
		case f.standIn && f.real_:
			both = append(both, f.tests...)
		case f.standIn:
			standIn = append(standIn, f.tests...)
		}
	}
	return both, standIn
}

var trouble = regexp.MustCompile(`(?m)^\t\t"([a-z ]+)": `)

// weathers are the troubles of TestWeather in a file.
func weathers(t *testing.T, path string) (names []string) {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, m := range trouble.FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	require.NotEmpty(t, names, path)
	slices.Sort(names)
	return names
}

// The table of what runs where is what the code has: the build tags of the tests, the
// observations, what the suite's cases need, and the reasons for which tests are skipped.
func TestWhatRunsOnARealClusterIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	row := func(what, standIn, real_, controlled string) {
		want := fmt.Sprintf("| %s | %s | %s | %s |\n", what, standIn, real_, controlled)
		assert.True(t, strings.Contains(string(text), want), "docs/operations.md has no row\n%s", want)
	}
	for _, dir := range []string{"fdbimpl", "fdbimpl/fdbtest", "keeper"} {
		both, standIn := testsRow(t, dir)
		standIn = slices.DeleteFunc(standIn, func(name string) bool { return name == "TestWeather" })
		row(fmt.Sprintf("tests of `%s` for both: %d", dir, len(both)), "yes", "yes", "yes")
		row(fmt.Sprintf("tests of `%s` that need a scheduler, faults or a cluster of their own: %d", dir, len(standIn)), "yes", "no", "no")
	}

	sim, real_ := weathers(t, "../fdbimpl/weather_sim_test.go"), weathers(t, "../fdbimpl/weather_real_test.go")
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(sim), real_...)))) {
		standIn, uncontrolled, controlled := "no", "no", "no"
		if slices.Contains(sim, name) {
			standIn = "yes"
		}
		if slices.Contains(real_, name) {
			uncontrolled, controlled = "skipped", "yes"
		}
		if name == "a partition" {
			controlled = "with `FDB_SERVER_LINE`"
		}
		row("bad weather: "+name, standIn, uncontrolled, controlled)
	}

	table, err := os.ReadFile("../fdbsim/fidelity/FIDELITY.md")
	require.NoError(t, err)
	row(fmt.Sprintf("observations (`fdbsim/fidelity`): %d", strings.Count(string(table), "| agrees |")), "yes", "yes", "yes")
	row(fmt.Sprintf("observations that stop the server or let its versions age: %d", strings.Count(string(table), "| agrees (with control) |")), "yes", "skipped", "yes")

	free, stopping := 0, map[string]int{}
	for _, s := range conformance.Sections() {
		for _, c := range s.Cases {
			if slices.Contains(c.Needs, conformance.Restart) || slices.Contains(c.Needs, conformance.Faulty) {
				stopping[s.Name]++
			} else {
				free++
			}
		}
	}
	row(fmt.Sprintf("cases of the suite that need no server to be stopped: %d", free), "yes", "yes", "yes")
	script, err := os.ReadFile("fdb.sh")
	require.NoError(t, err)
	var stop []string
	for _, line := range regexp.MustCompile(`(?m)^(?:stopping|crashing)=(\S+)`).FindAllSubmatch(script, -1) {
		stop = append(stop, strings.Split(string(line[1]), ",")...)
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(stopping)), stop, "ci/fdb.sh runs other sections one case at a time")
	for section, n := range stopping {
		row(fmt.Sprintf("cases of the suite's section `%s` that need one: %d", section, n), "yes", "skipped", "yes, one at a time")
	}
}

// Where tests are skipped for want of control, and nowhere else: what the table says of
// a real cluster without one.
func TestWhatIsSkippedWithoutControl(t *testing.T) {
	var skip []string
	for _, dir := range []string{"fdbimpl", "fdbimpl/fdbtest", "fdbsim/fidelity", "keeper"} {
		paths, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			if strings.Contains(string(text), "serverctl.Missing") || strings.Contains(string(text), "serverctl.NoLine") {
				skip = append(skip, strings.TrimPrefix(path, "../"))
			}
		}
	}
	assert.Equal(t, []string{"fdbimpl/weather_real_test.go", "fdbimpl/fdbtest/cluster.go", "fdbsim/fidelity/suite_test.go"}, skip)
}
