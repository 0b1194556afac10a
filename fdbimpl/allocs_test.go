//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// A claim makes at most 36 allocations in this package and the binding; what the
// stand-in makes in the server's place is not counted.
func TestClaimAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	r := newStore(t).open(t, registry.NewManualClock(epochStart))
	node := register(t, r, "node")
	claim := func(i int) {
		_, err := r.Claim(context.Background(), actorID(fmt.Sprint(i)), node, claimID(1))
		require.NoError(t, err)
	}
	claim(-1)
	const n = 300
	before := clientAllocs()
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	for i := range n {
		claim(i)
	}
	runtime.MemProfileRate = rate
	made := float64(clientAllocs()-before) / n
	t.Logf("%.1f allocations", made)
	require.Greater(t, made, 10.0, "the count must count")
	require.LessOrEqual(t, made, 36.0)
}

// clientAllocs counts the sampled allocations whose stacks are of this package and not
// of the stand-in.
func clientAllocs() (n int64) {
	runtime.GC() // the profile is of the time before the last but one collection
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 20_000)
	count, ok := runtime.MemProfile(records, true)
	if !ok {
		panic("more kinds of allocations than expected")
	}
	for _, r := range records[:count] {
		ours := false
		for frames := runtime.CallersFrames(r.Stack()); ; {
			f, more := frames.Next()
			if strings.Contains(f.Function, "/fdbsim") {
				ours = false
				break
			}
			ours = ours || strings.Contains(f.Function, "(*Registry).Claim")
			if !more {
				break
			}
		}
		if ours {
			n += r.AllocObjects
		}
	}
	return n
}
