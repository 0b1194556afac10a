//go:build fdb && fdbsim

package fdbtest

import (
	"testing"

	"github.com/kelpie-registry/registry/conformance"
)

// fdbimpl is linearizable under every schedule of its transactions' read versions
// and commits (contract, section 3: one atomic step).
func TestSchedules(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has the other sections; one operation runs at a time here")
	}
	r, err := conformance.Judge(t.Context(), Scheduled{}, conformance.OnlySections("schedules"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cases {
		if c.Verdict != conformance.Pass {
			t.Errorf("%s: %s %s\n%v", c.ID(), c.Verdict, c.Reason, c.Conviction)
		}
	}
	s := r.Schedules()
	t.Logf("%d schedules of %d situations: %v", s.Schedules, s.Situations, s.Points)
	for _, op := range []string{"Claim", "Renew", "Release", "Transfer", "RegisterNode", "MarkFailed"} {
		if s.Points[op+": read-version"] == 0 || s.Points[op+": commit"] == 0 {
			t.Errorf("%s did not stop before its read version and its commit", op)
		}
	}
}
