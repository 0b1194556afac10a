package spec_test

import (
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
