//go:build yield

package conformance_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry/conformance"
)

var _ conformance.Scheduled = memCluster{}

// SetYield makes the clusters of memBackend conformance.Scheduled, with the tag
// under which memimpl has yield points.
func (c memCluster) SetYield(yield func(point string)) { c.store.SetYield(yield) }

// memimpl is linearizable under every schedule of its yield points.
func TestMemimplSchedules(t *testing.T) {
	r := innocent(t, memBackend{}, conformance.OnlySections("schedules"))
	assert.Zero(t, r.Count(conformance.Skipped))
	total := 0
	for _, c := range r.Cases {
		t.Logf("%s: %d situations, %d schedules in %v: %v", c.ID(), c.Schedules.Situations, c.Schedules.Schedules, c.Duration, c.Schedules.Points)
		total += c.Schedules.Schedules
	}
	t.Logf("%d schedules", total)
}
