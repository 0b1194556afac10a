package ci

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// entryPoints are the packages that somebody outside this project begins with.
var entryPoints = []string{
	".", "adapt", "conformance", "conformance/client", "conformance/remote", "dialect", "explain", "fdbimpl", "fdbsim",
	"history", "keeper", "keeper/keeperprom", "linearizability", "memimpl", "op", "serving",
}

// go doc shows what each is for, and one example that go test executes or compiles.
func TestEntryPointsHaveExamples(t *testing.T) {
	for _, dir := range entryPoints {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		require.NoError(t, err)
		documented, shown := false, false
		for _, path := range files {
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			require.NoError(t, err)
			if strings.HasSuffix(path, "_test.go") {
				shown = shown || hasExample(f)
			} else {
				documented = documented || strings.HasPrefix(f.Doc.Text(), "Package ")
			}
		}
		assert.True(t, documented, "package %s has no doc comment", dir)
		assert.True(t, shown, "package %s has no example", dir)
	}
}

func hasExample(f *ast.File) bool {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Example") {
			return true
		}
	}
	return false
}

// Every other package says what it is as well.
func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || f.Doc.Text() != ""
		return nil
	})
	require.NoError(t, err)
	for dir, yes := range documented {
		assert.True(t, yes, "%s has no package comment", dir)
	}
}
