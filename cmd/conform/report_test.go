package main

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
)

// The index has a column for real stores, which nothing else turns green: not a
// stand-in, and not the profile of faults.
func TestIndexTellsRealStores(t *testing.T) {
	report := func(name string, s *conformance.Store) *conformance.Report {
		return &conformance.Report{Backend: name, Store: s,
			Cases:    []conformance.CaseResult{{Section: "faults", Name: "x", Verdict: conformance.Pass}},
			Profiles: []conformance.ProfileResult{{Profile: "faults", Verdict: conformance.Pass}}}
	}
	var page bytes.Buffer
	require.NoError(t, indexPage.Execute(&page, home{Reports: []*conformance.Report{
		report("a", &conformance.Store{Name: "FoundationDB 7.3.79", Real: true}),
		report("b", &conformance.Store{Name: "the stand-in"}),
		report("c", nil),
	}}))
	text := page.String()
	assert.Equal(t, 1, strings.Count(text, `title="FoundationDB 7.3.79">✓ FoundationDB 7.3.79<`))
	assert.Contains(t, text, `<span class="chip skipped">– the stand-in</span>`)
	assert.Contains(t, text, `<span class="chip skipped">– none named</span>`)
	assert.NotContains(t, text, "✓ the stand-in")
}

// The home page tells what the directory has, of every command that wrote to it, and
// each of its links leads somewhere.
func TestHomePage(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := conform(t, "run", "memimpl", "F8", "--section", "contract", "--level", "quick", "--report", dir)
	require.Equal(t, exitConvicted, code, errs)
	assert.Contains(t, out, "report: "+filepath.Join(dir, "index.html"))
	code, _, errs = conform(t, "mutants", "F8", "M81", "--level", "quick", "--report", dir)
	require.Equal(t, exitOK, code, errs)

	page := read(t, dir, "index.html")
	for _, want := range []string{
		"<strong>1 of 2</strong>registries pass", "<strong>2 of 2</strong>deliberately broken ones",
		`<a href="memimpl/index.html">memimpl</a>`, "broken/F8-no-grace is convicted",
		`href="broken.html#M81"`, "highest token", "The life of a lease",
	} {
		assert.True(t, strings.Contains(page, want), want)
	}
	links := regexp.MustCompile(`href="([^"#]*)(?:#([^"]*))?"`).FindAllStringSubmatch(page, -1)
	require.Greater(t, len(links), 4)
	for _, l := range links {
		id, err := url.PathUnescape(l[2])
		require.NoError(t, err)
		target := read(t, dir, l[1])
		assert.True(t, id == "" || strings.Contains(target, fmt.Sprintf("id=%q", id)), l[0])
	}
	assert.Contains(t, read(t, dir, "broken.html"), "CONVICTED of breaking GraceRespected")
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(text)
}

// Whatever a program calls itself, its report is in a folder of its own in the directory.
func TestFolders(t *testing.T) {
	for name, want := range map[string]string{
		"memimpl":                 "memimpl",
		"redis 7/one:two":         "redis 7-one-two",
		"..":                      "-..",
		".":                       "-.",
		"":                        "-",
		"a\nb\x00c":               "a-b-c",
		strings.Repeat("ä", 3000): strings.Repeat("ä", 50),
	} {
		assert.Equal(t, want, folder(name), "%q", name)
	}
}

// What another program has put into the directory is told before anything is judged.
func TestForeignReports(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, scoresFile), []byte("hello"), 0o600))
	for _, args := range [][]string{{"run", "memimpl"}, {"mutants", "F1"}} {
		code, out, errs := conform(t, append(args, "--report", dir)...)
		assert.Equal(t, exitUsage, code)
		assert.Empty(t, out)
		assert.Contains(t, errs, filepath.Join(dir, scoresFile))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}
