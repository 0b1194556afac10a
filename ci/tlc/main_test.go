package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
)

// What can be known of the manifest without Java: that every configuration fits
// its module, and that every property, conjunct and variant is accounted for.
func TestTheManifestIsSound(t *testing.T) {
	spec := os.DirFS("../../spec/tla")
	m, err := tlc.LoadManifest(spec)
	require.NoError(t, err)
	require.NotEmpty(t, m.Checks)
	require.NoError(t, tlc.Audit(spec, m))
}
