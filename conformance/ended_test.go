package conformance_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// A judgement that is ended, at whatever point, convicts no right registry, ends soon,
// and nothing that it did not come to passes.
func TestEndedJudgementConvictsNobody(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 150 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		r, err := conformance.Judge(ctx, mine{}, conformance.Level(conformance.Quick), conformance.OnlyCases(regexp.MustCompile("^(contract|membership|random|concurrent|contexts)/")))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, r.Count(conformance.Convicted))
		assert.Zero(t, r.Count(conformance.Skipped)-skippedAlways(r))
		assert.NotZero(t, r.Count(conformance.Unknown))
		assert.False(t, r.Passed())
		cancel()
	}
}

// skippedAlways counts the cases that the backend lacks a power for.
func skippedAlways(r *conformance.Report) int {
	n := 0
	for _, c := range r.Cases {
		if c.Verdict == conformance.Skipped && regexp.MustCompile("do(es)? not implement").MatchString(c.Reason) {
			n++
		}
	}
	return n
}

// stuck is a registry whose calls do not come back once the judgement has ended.
type stuck struct{ mine }

func (stuck) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := mine{}.New(cfg)
	return stuckCluster{c.(cluster)}, err
}

type stuckCluster struct{ cluster }

func (c stuckCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.store.Open(cfg, clock)
	return stuckHandle{h}, err
}

type stuckHandle struct{ registry.Handle }

func (h stuckHandle) Claim(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	<-ctx.Done()
	select {}
}

// An ended judgement waits for nobody.
func TestEndedJudgementDoesNotWait(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, err := conformance.Judge(ctx, stuck{}, conformance.OnlyCases(regexp.MustCompile("^contract/claim-grants$")), conformance.CallTimeout(time.Hour))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, conformance.Unknown, r.Cases[0].Verdict, "%+v", r.Cases[0])
	assert.Contains(t, r.Cases[0].Reason, "the judgement was ended meanwhile: context deadline exceeded")
}

func TestSelectionOfNothing(t *testing.T) {
	_, err := conformance.Judge(t.Context(), mine{}, conformance.OnlyCases(regexp.MustCompile("nosuch")))
	require.ErrorIs(t, err, registry.ErrInvalid)
	assert.Contains(t, err.Error(), "selection has no case")
}

const underDeadline = "CONFORMANCE_TEST_UNDER_DEADLINE"

// TestUnderDeadline is run by TestRunEndsBeforeItsDeadline in a process of its own.
func TestUnderDeadline(t *testing.T) {
	dir := os.Getenv(underDeadline)
	if dir == "" {
		t.Skip("it is run by TestRunEndsBeforeItsDeadline")
	}
	conformance.Run(t, mine{}, conformance.WriteReport(dir), conformance.OnlySections("fencing", "random"), conformance.Duration(time.Hour))
}

// Run ends before go test ends the process: the time limit is no panic, what was found
// until then is in the report, and what it did not come to is not decided.
func TestRunEndsBeforeItsDeadline(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "report")
	cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^TestUnderDeadline$", "-test.timeout", "10s", "-test.v")
	cmd.Env = append(os.Environ(), underDeadline+"="+dir)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.NotContains(t, string(out), "panic")
	assert.Regexp(t, `not decided: the judgement was ended (before|meanwhile): the test's deadline is near \(go test -timeout\)`, string(out))
	assert.Regexp(t, `run.go:\d+: \d+ histories, \d+ operations, \d`, string(out))
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	require.NoError(t, err, "%s", out)
	var r conformance.Report
	require.NoError(t, json.Unmarshal(text, &r))
	assert.NotZero(t, r.Count(conformance.Unknown))
	assert.Zero(t, r.Count(conformance.Convicted))
	for _, name := range []string{"index.html", "junit.xml"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
}
