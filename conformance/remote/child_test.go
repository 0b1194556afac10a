package remote_test

import (
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/remote"
	"github.com/kelpie-registry/registry/internal/child/childtest"
)

// A child that has exited is not waited for, though what it has left behind keeps its
// output open; that ends with the child.
func TestLeftBehind(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	c := exec.Command("sh", "-c", `echo "$1"; sleep 1000 & echo $! > "$2"; exit 7`, "sh", greeting, pid)
	p, err := remote.Start(c, io.Discard)
	require.NoError(t, err)
	_, err = p.New(registry.DefaultConfig())
	require.Error(t, err)
	require.Eventually(t, func() bool { return p.Err() != nil }, 10*time.Second, time.Millisecond) // the request may fail before
	require.EqualError(t, p.Err(), "it closed its output: exit status 7")
	require.EqualError(t, p.Close(), "exit status 7")
	childtest.Gone(t, pid)
}

// A child that does not answer what no call waits for is not judged.
func TestNoAnswerToNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests, toChild := io.Pipe()
		fromChild, responses := io.Pipe()
		go io.Copy(io.Discard, requests)
		go io.WriteString(responses, greeting+"\n")
		p, err := remote.Connect(fromChild, toChild, toChild.Close)
		require.NoError(t, err)
		_, err = p.New(registry.DefaultConfig())
		require.ErrorIs(t, err, registry.ErrAmbiguous)
		require.EqualError(t, p.Err(), `it did not answer "New" within 1m0s`)
		require.NoError(t, p.Close())
		require.NoError(t, responses.Close())
	})
}

// Why a child that has no right greeting has none.
func TestNoGreeting(t *testing.T) {
	for command, want := range map[string]string{
		"true":                           "it ended without a greeting",
		"exit 7":                         "it ended without a greeting: exit status 7",
		"head -c 5000000 /dev/zero; cat": "reading its output: the line is longer than 4194304 bytes",
	} {
		_, err := remote.Start(exec.Command("sh", "-c", command), io.Discard)
		require.Error(t, err)
		assert.True(t, strings.HasSuffix(err.Error(), want), err)
	}
}
