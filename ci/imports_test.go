// Package ci holds what continuous integration checks about the tree as a whole.
package ci

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/kelpie-registry/registry"

// allowedImports says which packages of this module each package may import outside
// its tests ("" is the root package). A package's sub-packages share its row unless
// they have their own, and may import one another. A package that is not listed fails
// the test.
var allowedImports = map[string][]string{
	"":                          {},
	"internal/rules":            {""},
	"internal/strictjson":       {},
	"internal/wire":             {"", "internal/strictjson"},
	"internal/usage":            {""},
	"internal/console":          {},
	"internal/child":            {},
	"internal/tlc":              {"internal/strictjson"},
	"internal/stategraph":       {},
	"internal/ticks":            {""},
	"op":                        {"", "internal/wire"},
	"dialect":                   {"", "op"},
	"adapt":                     {"", "op", "dialect"},
	"reference":                 {"", "op", "dialect"},
	"contract":                  {"", "op", "reference"},
	"history":                   {"", "op", "dialect", "internal/wire"},
	"linearizability":           {"", "op", "dialect", "reference", "contract", "history"},
	"linearizability/minimise":  {"", "op", "history", "linearizability"},
	"explain":                   {"", "op", "reference", "contract", "history", "linearizability", "linearizability/minimise", "serving", "spec"},
	"serving":                   {"", "op", "contract", "history"},
	"conformance":               {"", "op", "dialect", "contract", "explain", "history", "linearizability", "serving", "conformance/backend", "conformance/report", "conformance/internal/sections", "conformance/internal/lockstep", "conformance/internal/trial"},
	"conformance/backend":       {"", "dialect"},
	"conformance/report":        {"", "contract", "dialect", "explain", "conformance/backend", "internal/strictjson"},
	"conformance/scores":        {"conformance", "conformance/report"},
	"conformance/broken":        {"", "op", "reference", "conformance", "dialect", "conformance/scores", "internal/rules"},
	"conformance/sound":         {"", "op", "dialect", "reference", "conformance", "conformance/scores"},
	"memimpl":                   {"", "internal/rules"},
	"memimpl/memtest":           {"", "conformance", "dialect", "memimpl", "op"},
	"fdbimpl":                   {"", "internal/rules", "internal/audit"},
	"fdbimpl/fdbtest":           {"", "internal/rules", "internal/serverctl", "conformance", "dialect", "linearizability", "fdbimpl", "fdbsim"},
	"fdbsim":                    {"internal/serverctl"},
	"keeper":                    {""},
	"conformance/client":        {"", "op", "contract", "explain", "history", "serving", "conformance", "memimpl"},
	"conformance/client/plain":  {"", "conformance/client"},
	"conformance/client/broken": {"", "conformance", "conformance/client", "conformance/client/plain"},
	"conformance/client/sound":  {"", "conformance/client", "conformance/client/plain", "keeper"},
	"conformance/remote":        {"", "op", "dialect", "conformance", "internal/child", "internal/wire"},
	"keeper/keeperprom":         {"", "keeper"},
	"keeper/keepertest":         {""},
	"spec":                      {},
	"spec/sany":                 {"internal/tlc"},
	"spec/smt":                  {},
	"spec/prove":                {"internal/strictjson", "internal/tlc", "spec/sany", "spec/smt"},
	"docs/pictures":             {},
	"trace":                     {"", "op", "reference", "history", "spec", "internal/tlc", "internal/stategraph", "internal/ticks"},
	"internal/serverctl":        {},
	"internal/audit":            {""},
	"cmd/registryctl":           {"", "op", "memimpl", "fdbimpl", "fdbsim", "internal/audit", "internal/console", "internal/usage", "internal/wire"},
	"fdbimpl/fdbprom":           {"", "fdbimpl"},
	"fdbimpl/fdbotel":           {"", "fdbimpl"},
	"cmd/conform":               nil, // anything: it joins the packages
	"ci":                        nil,
	"examples":                  nil,

	// The suite's stages, lowest first.
	"conformance/internal/contexts":   {},
	"conformance/internal/tour":       {"", "op", "reference"},
	"conformance/internal/call":       {"", "op"},
	"conformance/internal/trial":      {"", "op", "contract", "dialect", "explain", "history", "linearizability", "conformance/backend", "conformance/report", "conformance/internal/call", "conformance/internal/contexts"},
	"conformance/internal/answers":    {"", "op", "contract", "dialect", "explain", "history", "linearizability", "conformance/internal/trial", "conformance/internal/call", "conformance/internal/contexts"},
	"conformance/internal/traffic":    {"", "op", "conformance/internal/call", "conformance/internal/contexts"},
	"conformance/internal/lockstep":   {"", "op", "reference", "contract", "dialect", "explain", "history", "linearizability", "linearizability/minimise", "conformance/backend", "conformance/report", "conformance/internal/traffic", "conformance/internal/answers", "conformance/internal/trial", "conformance/internal/call", "conformance/internal/contexts"},
	"conformance/internal/concurrent": {"", "op", "contract", "history", "linearizability", "linearizability/minimise", "conformance/backend", "conformance/internal/traffic", "conformance/internal/answers", "conformance/internal/trial", "conformance/internal/call", "conformance/internal/contexts"},
	"conformance/internal/schedule":   {"", "op", "contract", "explain", "history", "linearizability", "conformance/backend", "conformance/report", "conformance/internal/traffic", "conformance/internal/answers", "conformance/internal/trial", "conformance/internal/call", "conformance/internal/contexts"},
	"conformance/internal/sections": {"", "op", "reference", "contract", "explain", "conformance/backend", "conformance/report", "conformance/internal/schedule", "conformance/internal/concurrent", "conformance/internal/lockstep", "conformance/internal/tour",
		"conformance/internal/traffic", "conformance/internal/answers", "conformance/internal/trial", "conformance/internal/call", "conformance/internal/contexts"},

	"conformance/client/process": {"", "op", "conformance/client", "internal/child", "internal/wire"},
}

// light lists the packages that a backend author imports, and the third-party
// packages that come with each: no FoundationDB, no cgo, no assertion library.
var light = map[string][]string{
	"":                   {},
	"internal/rules":     {},
	"op":                 {},
	"dialect":            {},
	"adapt":              {},
	"reference":          {},
	"contract":           {},
	"history":            {},
	"serving":            {},
	"linearizability":    {"github.com/anishathalye/porcupine", "golang.org/x/sync/errgroup"},
	"explain":            {"github.com/anishathalye/porcupine"},
	"conformance":        {},
	"conformance/broken": {},
	"conformance/sound":  {},
	"fdbsim":             {},
}

type pkg struct {
	path    string
	imports []string
}

func list(t *testing.T) []pkg {
	cmd := exec.Command("go", "list", "-e", "-tags", "fdb fdbsim", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.Output()
	require.NoError(t, err)
	var pkgs []pkg
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		pkgs = append(pkgs, pkg{f[0], f[1:]})
	}
	require.NotEmpty(t, pkgs)
	return pkgs
}

// row returns the row of table that a package path falls under: the longest
// listed prefix, or the path itself.
func row[T any](path string, table map[string]T) string {
	rel := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	for r := rel; r != "." && r != ""; {
		if _, ok := table[r]; ok {
			return r
		}
		cut := strings.LastIndexByte(r, '/')
		if cut < 0 {
			break
		}
		r = r[:cut]
	}
	return rel
}

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

func TestAllowedImports(t *testing.T) {
	for _, p := range list(t) {
		from := row(p.path, allowedImports)
		allowed, known := allowedImports[from]
		if !assert.True(t, known, "%s has no row in allowedImports", p.path) {
			continue
		}
		if allowed == nil {
			continue
		}
		for _, imp := range p.imports {
			if to := row(imp, allowedImports); ours(imp) && to != from {
				assert.Contains(t, allowed, to, "%s imports %s", p.path, imp)
			}
		}
	}
}

func TestCoreIsLight(t *testing.T) {
	for _, p := range list(t) {
		allowed, listed := light[row(p.path, light)]
		if !listed || strings.HasPrefix(row(p.path, allowedImports), "cmd/") {
			continue
		}
		for _, imp := range p.imports {
			if first, _, _ := strings.Cut(imp, "/"); !ours(imp) && strings.Contains(first, ".") {
				assert.Contains(t, allowed, imp, "%s imports %s", p.path, imp)
			}
			if row(p.path, light) != "fdbsim" { // its entry points are cgo, under a tag
				assert.NotEqual(t, "C", imp, "%s uses cgo", p.path)
			}
		}
	}
}
