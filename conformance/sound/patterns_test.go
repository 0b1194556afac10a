package sound

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
)

// A store of which only every fourth call is answered is brought into the start of a
// schedule: what was asked beside a repeated registration is asked again by itself.
func TestPreparedByEveryFourthCall(t *testing.T) {
	v := Variant{Name: "three-of-four-calls-fail", peculiar: failing(everyWay, func(_ *request, n int) bool { return n%4 > 0 })}
	score, err := v.Score(t.Context(), 1, conformance.Level(conformance.Quick), conformance.OnlySections("handles"), conformance.OnlyCases(regexp.MustCompile("/close-under-way$")))
	require.NoError(t, err)
	require.Nil(t, score.First, "%v", score.First)
	require.Empty(t, score.Undecided)
}
