package spec_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec"
)

const readme = "tla/README.md"

// Each variant is in a table of the failure catalogue, with every property that some
// entry says it violates, and no other.
func TestTheCatalogueIsTheManifests(t *testing.T) {
	m, err := tlc.LoadManifest(spec.TLA())
	require.NoError(t, err)
	refuted := map[string][]string{}
	for _, c := range m.Checks {
		second := strings.HasSuffix(c.Module, "Contract") || strings.HasSuffix(c.Module, "Mistakes")
		if c.Bug != "" && !second {
			v := c.Bug + " " + family.FindString(c.Module)
			refuted[v] = append(refuted[v], c.Violates)
		}
	}
	catalogue := map[string][]string{}
	for in, header := range map[string]string{"Registry": "| id | variant of Registry |", "ClaimTxn": "| id | variant |"} {
		for _, row := range table(t, readme, header) {
			require.Len(t, row, 3)
			names, module, found := strings.Cut(strings.TrimSuffix(row[0], ")"), " (")
			if !found {
				module = in
			}
			for _, name := range strings.Split(names, ", ") {
				violates, _, _ := strings.Cut(row[2], ";")
				catalogue[name+" "+module] = strings.Split(violates, ", ")
			}
		}
	}
	for variant, properties := range refuted {
		slices.Sort(properties)
		assert.ElementsMatch(t, catalogue[variant], slices.Compact(properties), variant)
	}
}

var family = regexp.MustCompile(`^(?:Registry|ClaimTxn|Keeper|Journal)`)

// Entries that the documents name are there: what a document rests on is not dropped
// without changing it.
func TestCitedEntriesExist(t *testing.T) {
	m, err := tlc.LoadManifest(spec.TLA())
	require.NoError(t, err)
	seen := 0
	for _, file := range []string{readme, "../docs/mutation.md", "../docs/dialects.md", "../docs/contract.md"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, cited := range entryName.FindAllStringSubmatch(string(text), -1) {
			seen++
			assert.True(t, slices.ContainsFunc(m.Checks, func(c tlc.Check) bool {
				prefix, all := strings.CutSuffix(cited[1], "...")
				return c.ID == cited[1] || all && strings.HasPrefix(c.ID, prefix)
			}), "%s names %s", file, cited[1])
		}
	}
	assert.Greater(t, seen, 40)
}

var entryName = regexp.MustCompile("`((?:registry|claimtxn|keeper|journal)-[a-z0-9-]+(?:\\.\\.\\.)?)`")
