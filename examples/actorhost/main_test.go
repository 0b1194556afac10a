package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The demonstration itself: kill -9, SIGSTOP and SIGCONT of real processes under
// load, and exact counters at the end.
func TestNoIncrementIsLostOrDoubled(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "bash", "run.sh", "12")
	cmd.Env = append(os.Environ(), fmt.Sprint("ACTORHOST_PORT=", 20000+4*(os.Getpid()%3000)), "FDB_CLUSTER_FILE=")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	assert.Contains(t, string(out), "increments lost: 0, counted twice: 0")
}
