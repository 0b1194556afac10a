// Package python tests the example registry in Python with the suite.
package python

import (
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/remote"
)

func start(t *testing.T, script ...string) *remote.Process {
	python, err := exec.LookPath("python3")
	require.NoError(t, err, "ci/install.sh installs python3")
	p, err := remote.Start(exec.Command(python, script...), os.Stderr)
	require.NoError(t, err)
	return p
}

func TestConformance(t *testing.T) {
	p := start(t, "registry.py")
	defer func() {
		require.NoError(t, p.Err())
		require.NoError(t, p.Close())
	}()
	// The section edges makes some 100,000 calls, each through a pipe:
	// conform run --exec has it.
	conformance.Run(t, p.Backend(), conformance.OnlySections("contract", "membership", "random", "concurrent", "fencing"),
		conformance.Level(conformance.Quick))
}

// A registry on disk, with restarts, faults and seeded counters.
func TestStored(t *testing.T) {
	p := start(t, "stored.py")
	defer func() {
		require.NoError(t, p.Err())
		require.NoError(t, p.Close())
	}()
	conformance.Run(t, p.Backend(), conformance.OnlyCases(regexp.MustCompile("^durable/|^faults/(everything|late-members)|^extremes/seeded-counters$")),
		conformance.Level(conformance.Quick), conformance.Histories(5))
}

// TestTroubles: what README.md says of a dead, a garbage-printing, a slow and a
// lying child is so, and of those that deny, forget and round. Of the first three nobody knows;
// the others are convicted.
func TestTroubles(t *testing.T) {
	for name, want := range map[string]struct {
		asked   string // section and case
		verdict conformance.Verdict
		reason  string
		process string // what became of the child; "": nothing
	}{
		"dead":    {"contract/claim-repeats", conformance.Unknown, "registry is unavailable: python-example: it closed its output", "it closed its output"},
		"garbage": {"contract/transfer-grants", conformance.Unknown, "python-example: line", `"transferring {'namespace': 'conform', 'name': 'a'}"`},
		"slow":    {"contract/renew-grants", conformance.Unknown, "Renew(a, n1#1, token 1): outcome is unknown (may still apply): context deadline exceeded", ""},
		"lying":   {"contract/claim-grants", conformance.Convicted, "CONVICTED of breaking Release.granted", ""},

		"denying":   {"faults/lost-answers", conformance.Convicted, "CONVICTED of breaking ambiguous.truthful", ""},
		"forgetful": {"durable/keeps-everything", conformance.Convicted, "CONVICTED of breaking Durability", ""},
		"rounding":  {"extremes/seeded-counters", conformance.Convicted, "dialect: declared, sparse-tokens would allow this answer", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, "troubled.py", name)
			defer func() { _ = p.Close() }() // the dead have an exit code
			r, err := conformance.Judge(t.Context(), p.Backend(), conformance.CallTimeout(time.Second),
				conformance.OnlyCases(regexp.MustCompile("^"+want.asked+"$")))
			require.NoError(t, err)
			require.Len(t, r.Cases, 1)
			c := r.Cases[0]
			require.Equal(t, want.verdict, c.Verdict, c.Reason)
			if c.Conviction != nil {
				c.Reason = c.Conviction.String()
			}
			require.Contains(t, c.Reason, want.reason)
			if want.process == "" {
				require.NoError(t, p.Err())
			} else {
				require.ErrorContains(t, p.Err(), want.process)
			}
		})
	}
}
