//go:build yield

package conformance_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl/memtest"
)

// memimpl is linearizable under every schedule of its yield points, in memory
// and on a file.
func TestMemimplSchedules(t *testing.T) {
	for _, b := range []conformance.Backend{memtest.Volatile{}, memtest.OnFile{}} {
		t.Run(b.Name(), func(t *testing.T) {
			r := innocent(t, b, conformance.OnlySections("schedules"))
			assert.Zero(t, r.Count(conformance.Skipped))
			total := 0
			for _, c := range r.Cases {
				t.Logf("%s: %d situations, %d schedules in %v: %v", c.ID(), c.Schedules.Situations, c.Schedules.Schedules, c.Duration, c.Schedules.Points)
				total += c.Schedules.Schedules
			}
			t.Logf("%d schedules", total)
		})
	}
}
