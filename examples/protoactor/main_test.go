package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// run runs the demonstration: kill -9, SIGSTOP, SIGCONT and SIGTERM of real processes
// under load, exact counters at the end, and no actor that was active twice.
func run(t *testing.T, file string) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "run.sh", "registry", "20")
	cmd.Env = append(os.Environ(), fmt.Sprint("PROTOACTOR_PORT=", 20000+40*(os.Getpid()%700)), "FDB_CLUSTER_FILE="+file)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	assert.Contains(t, string(out), "; 0 pairs of one actor's at once; stale writes: 0 stored")
	assert.Contains(t, string(out), "increments lost: 0, counted twice: 0")
}

func TestNoIncrementIsLostOrDoubled(t *testing.T) { run(t, "") }
