package host

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/client"
)

// Passes fails the test unless a client passes every case.
func Passes(t *testing.T, f client.Factory) {
	t.Helper()
	results := client.Judge(t, f, client.Waiters(100))
	require.NotEmpty(t, results)
	for _, r := range results {
		assert.Nil(t, r.Conviction, "%s: %s", r.Case.ID(), r.Conviction)
		assert.Empty(t, r.Unknown, r.Case.ID())
	}
}

// Convicted fails the test unless a client is convicted by a case, of breaking a rule.
func Convicted(t *testing.T, f client.Factory, id string, rule conformance.RuleID) {
	t.Helper()
	results := client.Judge(t, f, client.OnlyCases(regexp.MustCompile("^"+id+"$")))
	require.Len(t, results, 1, id)
	require.NotNil(t, results[0].Conviction, "%s: %s", id, results[0].Unknown)
	assert.Equal(t, rule, results[0].Conviction.Rule, "%s", results[0].Conviction)
	t.Logf("%s", results[0].Conviction)
}
