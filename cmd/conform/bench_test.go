package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
)

// BenchmarkSuite measures the wall time of a whole judgement, as conform run makes
// it, of each registry of this repository. Those with more powers are asked more
// cases.
func BenchmarkSuite(b *testing.B) {
	for _, name := range shippedNames() {
		b.Run("backend="+name, func(b *testing.B) {
			var passed, histories, ops int
			for b.Loop() {
				r, err := conformance.Judge(b.Context(), shipped[name]())
				require.NoError(b, err)
				require.True(b, r.Passed(), "%s did not pass", name)
				passed = r.Count(conformance.Pass)
				for _, c := range r.Cases {
					histories += c.Histories
					ops += c.Operations
				}
			}
			b.ReportMetric(float64(passed), "cases")
			b.ReportMetric(float64(histories)/float64(b.N), "histories")
			b.ReportMetric(float64(ops)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}
