// Package python tests the example registry in Python with the suite.
package python

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/remote"
)

func TestConformance(t *testing.T) {
	python, err := exec.LookPath("python3")
	require.NoError(t, err, "ci/install.sh installs python3")
	p, err := remote.Start(exec.Command(python, "registry.py"), os.Stderr)
	require.NoError(t, err)
	defer func() {
		require.NoError(t, p.Err())
		require.NoError(t, p.Close())
	}()
	// The section edges makes some 350,000 calls, a minute through a pipe:
	// conform run --exec has it.
	conformance.Run(t, p.Backend(), conformance.OnlySections("contract", "membership", "random", "concurrent", "fencing"))
}
