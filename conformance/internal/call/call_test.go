package call

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// A call is made often against a store in trouble, and less often the longer each
// attempt takes: a deadline that ends is the caller's, or may be the store's own.
func TestPatience(t *testing.T) {
	for want, err := range map[int]error{
		PatientAttempts: registry.ErrAmbiguous,
		5:               context.DeadlineExceeded,
		10:              fmt.Errorf("%w: %w", registry.ErrAmbiguous, context.DeadlineExceeded),
	} {
		var p Patience
		attempts := 1
		for !p.Over(err) {
			attempts++
		}
		require.Equal(t, want, attempts, err)
	}
}

// What has become of a call is read after the first attempts, and then after more and
// more of them.
func TestReadsBetweenAttempts(t *testing.T) {
	var p Patience
	var read []int
	for attempt := 1; ; attempt++ {
		if p.Reads() {
			read = append(read, attempt)
		}
		if p.Over(registry.ErrUnavailable) {
			break
		}
	}
	require.Equal(t, []int{1, 2, 4, 7, 11, 16, 22, 29, 37}, read)
}
