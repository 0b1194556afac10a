package subtle_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/subtle"
)

type backend struct{}

func (backend) Name() string { return "subtle" }

func (backend) New(cfg registry.Config) (conformance.Cluster, error) {
	s, err := subtle.New(cfg)
	return cluster{s}, err
}

type cluster struct{ *subtle.Store }

func (cluster) Close() error { return nil }

// The suite finds the mistake and says it in a few lines.
func TestTheMistakeIsFound(t *testing.T) {
	r, err := conformance.Judge(t.Context(), backend{}, conformance.StopAtFirst(), conformance.Parallel(1),
		conformance.Reproduce(func(string, string, uint64) string { return "go test -v ./examples/subtle" }))
	require.NoError(t, err)
	var c *conformance.Conviction
	for _, result := range r.Cases {
		if result.Conviction != nil {
			c = result.Conviction
		}
	}
	require.NotNil(t, c)
	t.Logf("after %v:\n%s", r.Duration, c)
	assert.Equal(t, conformance.RuleID("Renew.fenced"), c.Rule)
	assert.LessOrEqual(t, c.Length, 6)
	text := c.String()
	for _, part := range []string{
		"CONVICTED of breaking Renew.fenced: a renewal under a token lower than the record's is refused with ErrFenced",
		"spec:   action Renew, guard TokenCurrent (spec/tla/Registry.tla:107)",
		"found:  n2: Renew(a, n2#1, token 2) = n2#1 token 3 version 4 expiry T+45s",
		"wanted: ErrFenced: n2#1 token 3 version 3 expiry T+45s",
	} {
		assert.Contains(t, text, part)
	}
}
