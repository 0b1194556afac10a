package process_test

import (
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/conformance/client/process"
	"github.com/kelpie-registry/registry/internal/child/childtest"
	"github.com/kelpie-registry/registry/memimpl"
)

const greeting = `{"protocol":"kelpie-client","version":1}`

// A client that has exited serves no more, and what it has left behind ends with it,
// though that keeps its output open.
func TestLeftBehind(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	serves := `{"serves":{"actor":{"namespace":"a","name":"b"},"token":"1"}}`
	script := `echo "$1"; read order; echo "$2"; sleep 1000 & echo $! > "$3"; exit 7`
	stopped := make(chan error, 1)
	c, err := process.New(func() *exec.Cmd { return exec.Command("sh", "-c", script, "sh", greeting, serves, pid) }, io.Discard)(client.Node{
		ID: "n1", Config: registry.DefaultConfig(),
		Serve: func(registry.ActorID, registry.Token) func(error) { return func(why error) { stopped <- why } },
	})
	require.NoError(t, err)
	select {
	case why := <-stopped:
		require.EqualError(t, why, "it closed its output: exit status 7")
	case <-time.After(10 * time.Second):
		t.Fatal("it serves on")
	}
	require.NoError(t, c.Close())
	childtest.Gone(t, pid)
}

// A client that asks faster than it is answered, or does not read what it is told, is
// over, and takes neither memory nor time without end.
func TestFloodsAndDeafClients(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for a client that does not read")
	}
	store, err := memimpl.New(registry.DefaultConfig())
	require.NoError(t, err)
	h, err := store.Open(registry.DefaultConfig(), registry.SystemClock())
	require.NoError(t, err)
	lookup := `{"id":1,"op":"Watch","actor":{"namespace":"a","name":"b"},"version":"0"}`
	for script, want := range map[string]string{
		`echo "$1"; yes "$2"`:        "it has more than 2000 requests under way",
		`echo "$1"; exec sleep 1000`: "it has read nothing for 10s",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			c, err := process.New(func() *exec.Cmd { return exec.Command("sh", "-c", script, "sh", greeting, lookup) }, io.Discard)(client.Node{
				ID: "n1", Config: registry.DefaultConfig(), Handle: h,
			})
			require.NoError(t, err)
			for range 3000 {
				c.Want(registry.ActorID{Namespace: "a", Name: "b"})
			}
			err = c.Drop(t.Context(), registry.ActorID{Namespace: "a", Name: "b"})
			require.ErrorContains(t, err, want)
			require.NoError(t, c.Close())
		})
	}
}

// Why a program that has no right greeting has none.
func TestNoGreeting(t *testing.T) {
	for script, want := range map[string]string{
		"true":                           "it ended without a greeting",
		"exit 7":                         "it ended without a greeting: exit status 7",
		"echo hello":                     `its greeting is "hello", want protocol "kelpie-client", version 1`,
		"head -c 5000000 /dev/zero; cat": "reading its output: the line is longer than 4194304 bytes",
	} {
		err := process.Greets(exec.Command("sh", "-c", script), io.Discard)
		require.Error(t, err)
		assert.True(t, strings.HasSuffix(err.Error(), want), err)
	}
}
