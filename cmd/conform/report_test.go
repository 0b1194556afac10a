package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
)

// The index has a column for real stores, which nothing else turns green: not a
// stand-in, and not the profile of faults.
func TestIndexTellsRealStores(t *testing.T) {
	report := func(name string, s *conformance.Store) *conformance.Report {
		return &conformance.Report{Backend: name, Store: s,
			Cases:    []conformance.CaseResult{{Section: "faults", Name: "x", Verdict: conformance.Pass}},
			Profiles: []conformance.ProfileResult{{Profile: "faults", Verdict: conformance.Pass}}}
	}
	var page bytes.Buffer
	require.NoError(t, indexPage.Execute(&page, []*conformance.Report{
		report("a", &conformance.Store{Name: "FoundationDB 7.3.79", Real: true}),
		report("b", &conformance.Store{Name: "the stand-in"}),
		report("c", nil),
	}))
	text := page.String()
	assert.Equal(t, 1, strings.Count(text, `title="FoundationDB 7.3.79">✓ FoundationDB 7.3.79<`))
	assert.Contains(t, text, `<span class="chip skipped">– the stand-in</span>`)
	assert.Contains(t, text, `<span class="chip skipped">– none named</span>`)
	assert.NotContains(t, text, "✓ the stand-in")
}
