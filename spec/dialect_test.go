package spec_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec"
	"github.com/kelpie-registry/registry/spec/prove"
)

// Each difference has a row that says by which entries of the manifests it is known
// what remains, and those entries are what the column says.
func TestDialectsAreInTheSpecification(t *testing.T) {
	m, err := tlc.LoadManifest(spec.TLA())
	require.NoError(t, err)
	entries := map[string]tlc.Check{}
	for _, c := range m.Checks {
		entries[c.ID] = c
	}
	proofs, err := prove.LoadManifest(spec.TLA())
	require.NoError(t, err)

	rows := table(t, "../docs/dialects.md", "| difference | in the specification |")
	var names []string
	for _, row := range rows {
		require.Len(t, row, 6)
		name := strings.Trim(row[0], "`")
		names = append(names, name)
		holds := quoted(row[3])
		assert.NotEmpty(t, holds, "%s: nothing is shown to hold", name)
		for _, id := range holds {
			assert.Equal(t, tlc.OK, entries[id].Expect, "%s: %s", name, id)
		}
		for _, id := range quoted(row[4]) {
			assert.NotEmpty(t, entries[id].Violates, "%s: %s", name, id)
		}
		for _, id := range quoted(row[5]) {
			known := slices.ContainsFunc(proofs, func(p prove.Proof) bool { return p.ID == id })
			assert.True(t, known, "%s: no proof %s", name, id)
		}
	}
	var want []string
	for _, f := range dialect.Differences() {
		want = append(want, f.Name)
	}
	assert.Equal(t, want, names)
}

// table returns the cells of the Markdown table whose header begins so.
func table(t *testing.T, file, header string) (rows [][]string) {
	t.Helper()
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "\n"+header)
	require.True(t, found, "%s has no table %s", file, header)
	for _, line := range strings.Split(rest, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

var code = regexp.MustCompile("`([^`]*)`")

func quoted(cell string) (words []string) {
	for _, w := range code.FindAllStringSubmatch(cell, -1) {
		words = append(words, w[1])
	}
	return words
}
