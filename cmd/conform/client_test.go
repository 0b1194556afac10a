package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
)

// Contract 6. A saved history in which a client serves what it was not granted is
// convicted, with the rule.
func TestCheckJudgesServices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "served.jsonl")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, history.Write(f, history.History{Config: registry.DefaultConfig(), Served: []history.Service{
		{Client: "n1", Actor: registry.ActorID{Namespace: "room", Name: "42"}, Token: 1, From: 1, Until: 2},
	}}))
	require.NoError(t, f.Close())
	code, out, errs := conform(t, "check", path)
	assert.Equal(t, exitConvicted, code, errs)
	assert.Contains(t, out, "a client breaks service.granted")
	assert.Contains(t, out, "n1 serves room/42 under token 1")
}

func TestClientNeedsACommand(t *testing.T) {
	code, _, errs := conform(t, "client")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "there is no --exec")
}

// A command that is no client is not judged: one line says why.
func TestClientThatIsNone(t *testing.T) {
	for command, want := range map[string]string{
		"true":       "it ended without a greeting",
		"echo hello": `its greeting is "hello", want protocol "kelpie-client", version 1`,
	} {
		code, out, errs := conform(t, "client", "--exec", command)
		assert.Equal(t, exitUnknown, code)
		assert.Empty(t, out)
		assert.Contains(t, errs, want)
	}
}
