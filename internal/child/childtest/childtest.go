// Package childtest helps tests of programs that are judged in processes of their own.
package childtest

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Gone demands that the process whose number is in the file ends soon.
func Gone(t testing.TB, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	id, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return syscall.Kill(id, 0) == syscall.ESRCH }, 10*time.Second, time.Millisecond)
}
