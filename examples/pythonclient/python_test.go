// Package pythonclient tests the example client in Python with the suite.
package pythonclient

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/conformance/client/process"
)

func judge(t *testing.T, script string, cases ...string) []client.Result {
	python, err := exec.LookPath("python3")
	require.NoError(t, err, "ci/install.sh installs python3")
	t.Parallel()
	l := client.DefaultLive()
	l.Parallel = 8
	l.Only = func(c client.Case) bool { return slices.Contains(cases, c.ID()) }
	return l.Judge(t.Context(), process.New(func() *exec.Cmd { return exec.Command(python, script) }, os.Stderr))
}

// Contract 6. The client is stopped and continued, cut off, killed and asked to
// give up, and is never convicted. On a machine that is too busy a play is not
// decided.
func TestClient(t *testing.T) {
	all := judge(t, "client.py", "loss/one-link", "pauses/one", "restart/killed", "handover/drop", "close/serving")
	require.NotEmpty(t, all)
	for _, r := range all {
		assert.Nil(t, r.Conviction, "%s", r.Conviction)
		if r.Unknown != "" {
			t.Log(r.Case.ID(), "is not decided:", r.Unknown)
		}
	}
}

// The careless one serves past its deadline: after SIGCONT, and without a link.
func TestCareless(t *testing.T) {
	all := judge(t, "careless.py", "loss/one-link", "pauses/cut")
	require.NotEmpty(t, all)
	for _, r := range all {
		if r.Unknown != "" {
			t.Log(r.Case.ID(), "is not decided:", r.Unknown)
			continue
		}
		if assert.NotNil(t, r.Conviction, r.Case.ID()) {
			assert.Contains(t, []conformance.RuleID{conformance.ServesInTime, conformance.ServesAsHolder, conformance.ServesNotEnded}, r.Conviction.Rule, "%s", r.Conviction)
		}
	}
}

// What is no client of the protocol is not started, and not convicted of anything
// but that.
func TestNoClient(t *testing.T) {
	l := client.DefaultLive()
	l.Only = func(c client.Case) bool { return c.ID() == "grant/free" }
	var r client.Result
	for range 10 { // on a machine that is too busy nobody is convicted
		all := l.Judge(t.Context(), process.New(func() *exec.Cmd { return exec.Command("echo", "hello") }, os.Stderr))
		require.Len(t, all, 1)
		if r = all[0]; r.Unknown == "" {
			break
		}
		t.Log(r.Unknown)
	}
	require.NotNil(t, r.Conviction)
	assert.Contains(t, r.Conviction.Timeline, `its greeting is "hello"`)
}
