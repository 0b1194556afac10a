package spec_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec"
)

// What can be known of the manifest without Java: that every configuration fits
// its module, and that every property, conjunct and variant is accounted for.
func TestTheManifestIsSound(t *testing.T) {
	m, err := tlc.LoadManifest(spec.TLA())
	require.NoError(t, err)
	require.NotEmpty(t, m.Checks)
	require.NoError(t, tlc.Audit(spec.TLA(), m))
}

var update = flag.Bool("update", false, "write the manifest in its format")

// One entry a line: go test ./spec -update brings the file into this form.
func TestTheManifestIsFormatted(t *testing.T) {
	m, err := tlc.LoadManifest(spec.TLA())
	require.NoError(t, err)
	want, err := m.Format()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("tla/"+tlc.ManifestFile, want, 0o644))
		return
	}
	have, err := fs.ReadFile(spec.TLA(), tlc.ManifestFile)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, have), "run: go test ./spec -update")
}
