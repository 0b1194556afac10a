package conformance_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
)

// A history that the suite has convicted and saved is told in the same words when
// it is checked again.
func TestASavedHistoryIsToldTheSame(t *testing.T) {
	dir := t.TempDir()
	r := judgeOne(t, twistNamed(t, "a hand-off keeps the token"), "concurrent/hand-off", conformance.OutDir(dir), conformance.Histories(50))
	require.Equal(t, conformance.Convicted, r.Verdict)
	told := r.Conviction
	f, err := os.Open(filepath.Clean(told.Saved))
	require.NoError(t, err)
	defer f.Close()
	h, err := history.Read(f)
	require.NoError(t, err)
	c, _, _ := explain.Of(h, linearizability.Check(h, linearizability.Options{}), linearizability.Options{})
	for _, part := range [][2]string{
		{string(told.Rule), string(c.Rule)}, {told.Cite(), c.Cite()}, {told.Found, c.Found}, {told.Wanted, c.Wanted},
		{told.Order, c.Order}, {told.Often, c.Often}, {told.History, c.History},
	} {
		assert.Equal(t, part[0], part[1])
	}
}
