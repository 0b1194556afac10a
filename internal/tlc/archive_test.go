package tlc

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The archive is made once, and one that Java cannot use only costs time: what
// TLC says is the same.
func TestArchiveOfClasses(t *testing.T) {
	tool, err := Find(t.Context())
	if err != nil {
		t.Skip(err)
	}
	t.Setenv(JarEnv, tool.Jar)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	tool, err = Find(t.Context())
	require.NoError(t, err)
	require.FileExists(t, tool.archive)
	made, err := os.Stat(tool.archive)
	require.NoError(t, err)
	again, err := Find(t.Context())
	require.NoError(t, err)
	require.Equal(t, tool, again)
	kept, err := os.Stat(again.archive)
	require.NoError(t, err)
	assert.Equal(t, made.ModTime(), kept.ModTime(), "it is made once")

	job := Job{FS: fstest.MapFS{"WarmUp.tla": {Data: []byte(warmUp)}}, Module: "WarmUp", Config: Config{Specification: "Spec", AllowDeadlock: true}}
	for _, damage := range []string{"", "no archive"} {
		if damage != "" {
			require.NoError(t, os.Remove(tool.archive))
			require.NoError(t, os.WriteFile(tool.archive, []byte(damage), 0o644))
		}
		out, err := Run(t.Context(), tool, job)
		require.NoError(t, err)
		assert.Equal(t, OK, out.Verdict, out.Message)
		assert.Equal(t, int64(3), out.Distinct)
	}
}

func TestToolWithoutACacheWorks(t *testing.T) {
	tool := Tool{Java: "no-such-java", Jar: "no-such-jar"}
	assert.Equal(t, tool, tool.shared(t.Context()))
}
