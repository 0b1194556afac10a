package conformance_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl/memtest"
)

func TestMemimpl(t *testing.T) { conformance.Run(t, memtest.Volatile{}) }

// A registry that forgets all that it may passes in the dialect that says so: late
// writes, renewals and answers of tenures from before a purge are among all others.
func TestMemimplThatForgets(t *testing.T) {
	for _, b := range []memtest.Forgetting{{}, {File: true}} {
		t.Run(b.Name(), func(t *testing.T) {
			r := innocent(t, b, allBut("edges", "schedules", "faults"))
			assert.NotContains(t, r.Dialect.Stricter, "forgets")
		})
	}
}

// The same registry on a file. Nothing is skipped, the durable section least of
// all; the 100,000 calls of the edges are left to conform run.
func TestMemimplOnFile(t *testing.T) {
	r := innocent(t, memtest.OnFile{}, allBut("edges", "schedules", "faults"))
	durable := 0
	for _, c := range r.Cases {
		if c.Verdict == conformance.Skipped {
			assert.Equal(t, "handles/batch-faults", c.ID(), "the one case beside the section faults that needs them")
		}
		if c.Section == "durable" {
			durable += c.Histories
		}
	}
	assert.Greater(t, durable, 100)
}
