//go:build !race

package reference

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A model of more than a million states is searched within a test. BenchmarkExplore
// has TLC count them.
func TestMillionStates(t *testing.T) {
	if testing.Short() {
		t.Skip("10 s of processor time")
	}
	y := systemOf(t, million.config(t), million.file)
	before := processorTime()
	g, violation := y.Explore(Properties()...)
	t.Logf("%d states, %d steps, depth %d: %v of processor time", g.Len(), g.Steps(), g.Depth, processorTime()-before)
	require.Nil(t, violation)
	assert.Equal(t, 1_546_902, g.Len())
}
