package conformance_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl/memtest"
)

// A profile passes only if all of it was executed and passed.
func TestProfileVerdicts(t *testing.T) {
	verdicts := func(b conformance.Backend, sections ...string) map[string]conformance.ProfileResult {
		r, err := conformance.Judge(t.Context(), b, conformance.OnlySections(sections...), conformance.Histories(1), conformance.Level(conformance.Quick))
		require.NoError(t, err)
		m := map[string]conformance.ProfileResult{}
		for _, p := range r.Profiles {
			m[p.Profile] = p
			assert.LessOrEqual(t, p.Executed, len(p.Cases))
			assert.NotEmpty(t, p.Cases, p.Profile)
		}
		return m
	}
	right := verdicts(memtest.Volatile{}, "contract", "fencing", "membership", "extremes", "durable")
	for _, name := range []string{"transfer", "membership", "guard", "listing"} {
		assert.Equal(t, conformance.Pass, right[name].Verdict, "%+v", right[name])
	}
	assert.Equal(t, conformance.Skipped, right["core"].Verdict, "edges, random and concurrent were not asked for")
	assert.Equal(t, conformance.Skipped, right["durable"].Verdict, "the cluster cannot restart")
	assert.Regexp(t, `^(\d+) of \d+ cases were not executed$`, right["durable"].Reason)
	assert.Zero(t, right["faults"].Executed)

	wrong := verdicts(twistNamed(t, "every token is valid"), "contract", "fencing")
	assert.Equal(t, conformance.Convicted, wrong["guard"].Verdict)
	assert.Equal(t, conformance.Pass, wrong["listing"].Verdict)
}

// Every case that needs no optional interface belongs to a profile, and core
// has nothing that only another is about.
func TestProfilesCoverTheSuite(t *testing.T) {
	r, err := conformance.Judge(t.Context(), memtest.Volatile{}, conformance.OnlySections("fencing"), conformance.Histories(1))
	require.NoError(t, err)
	in := map[string][]string{}
	for _, p := range r.Profiles {
		for _, id := range p.Cases {
			in[id] = append(in[id], p.Profile)
		}
	}
	var none []string
	for _, s := range conformance.Sections() {
		for _, c := range s.Cases {
			if id := s.Name + "/" + c.Name; len(in[id]) == 0 && s.Name != "schedules" {
				none = append(none, id)
			}
		}
	}
	assert.ElementsMatch(t, []string{"contract/renew-batch", "contract/watch", "contract/watchers", "contract/watches-afresh", "random/batches",
		"extremes/seeded-counters", "extremes/large-batches", "extremes/many-watches", "extremes/alike-waiters",
		"handles/arguments", "handles/watch-lifetimes", "handles/watch-close", "handles/watch-crowd", "handles/watch-others", "handles/watch-crash",
		"handles/batch-members", "handles/batch-faults", "handles/batch-size", "contexts/random-batches",
		"durable/batches-under-way", "durable/shown-watches", "durable/in-trouble", "faults/watches"}, none)
	for id, profiles := range in {
		if id != "contract/tenure-refusals" {
			assert.Len(t, profiles, 1, id)
		}
	}
	assert.Equal(t, []string{"core", "transfer", "guard"}, in["contract/tenure-refusals"])
	assert.True(t, slices.ContainsFunc(r.Profiles, func(p conformance.ProfileResult) bool {
		return p.Profile == "core" && slices.ContainsFunc(p.Cases, func(id string) bool { return strings.HasPrefix(id, "concurrent/") })
	}))
}

// excused says why it cannot restart.
type excused struct{ memtest.Volatile }

func (excused) WhyNot(c conformance.Capability) string {
	if c == conformance.Restart {
		return "no program stops its server"
	}
	return ""
}

// What is not executed is skipped with the backend's own reason, or the usual one.
func TestSkippedWithTheBackendsReason(t *testing.T) {
	r, err := conformance.Judge(t.Context(), excused{}, conformance.OnlySections("durable", "faults"))
	require.NoError(t, err)
	for _, c := range r.Cases {
		want := "no program stops its server"
		if c.Section == "faults" {
			want = "the cluster does not implement conformance.FaultInjector"
		}
		assert.Equal(t, conformance.Skipped, c.Verdict, c.ID())
		assert.Equal(t, want, c.Reason, c.ID())
	}
}
