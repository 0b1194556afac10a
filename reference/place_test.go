package reference

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Messages point into the specification: each guard's place is the line of the
// definition under its name, and no guard of the reference lacks one.
func TestPlacesAreTheDefinitions(t *testing.T) {
	text, err := os.ReadFile(specDir + "/Registry.tla")
	require.NoError(t, err)
	spec := strings.Split(string(text), "\n")
	for g := range refusals {
		line := lines[g]
		require.NotZero(t, line, g)
		require.LessOrEqual(t, line, len(spec), g)
		assert.Regexp(t, "^"+regexp.QuoteMeta(string(g))+`\(`, spec[line-1], "line %d", line)
	}
	assert.Len(t, lines, len(refusals))
	assert.Equal(t, "spec/tla/Registry.tla:111", Claimable.Place())
	assert.Empty(t, Enabled.Place())
}
