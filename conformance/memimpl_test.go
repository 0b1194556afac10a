package conformance_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl/memtest"
)

func TestMemimpl(t *testing.T) { conformance.Run(t, memtest.Volatile{}) }

// A registry that forgets all that it may passes in the dialect that says so: late
// writes, renewals and answers of tenures from before a purge are among all others. A
// purge before and after every call is not made of thousands of actors and nodes, and
// the one on a file, which forgets by the same code, has fewer histories.
func TestMemimplThatForgets(t *testing.T) {
	for _, b := range []memtest.Forgetting{{Eager: true}, {File: true, Eager: true}} {
		t.Run(b.Name(), func(t *testing.T) {
			r := innocent(t, b, allBut("edges", "schedules", "faults", "extremes"), conformance.Level(conformance.Quick))
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
			assert.True(t, c.Section == "purge" || slices.Contains([]string{"handles/batch-faults", "durable/in-trouble"}, c.ID()), "%s: it forgets nothing, and has no faults", c.ID())
		}
		if c.Section == "durable" {
			durable += c.Histories
		}
	}
	assert.Greater(t, durable, 100)
}

// One that forgets when it is asked to passes what asks it.
func TestMemimplThatPurges(t *testing.T) {
	for _, b := range []memtest.Forgetting{{}, {File: true}} {
		t.Run(b.Name(), func(t *testing.T) {
			r := innocent(t, b, conformance.OnlySections("purge"))
			assert.NotContains(t, r.Dialect.Stricter, "forgets")
			for _, c := range r.Cases {
				if c.Verdict == conformance.Skipped {
					assert.Contains(t, []string{"purge/faults", "purge/restarts"}, c.ID(), c.Reason)
				}
				t.Logf("%s: %s, %d histories, %d operations, %v", c.ID(), c.Verdict, c.Histories, c.Operations, c.Duration)
			}
		})
	}
}
