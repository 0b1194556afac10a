package ticks

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

var durations = []time.Duration{30 * time.Second, 5 * time.Second, 500 * time.Millisecond, 15 * time.Second}

const reach = 60 * time.Second

// Every comparison that a guard can make has the same outcome in ticks, of instants
// that are nanoseconds apart and of instants that are hours apart.
func TestEveryComparisonIsKept(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var instants []registry.Instant
		now := registry.Instant(1_700_000_000_000_000_000)
		for range 12 {
			switch rng.IntN(4) {
			case 0:
				now = now.Add(time.Duration(rng.Int64N(int64(3 * time.Hour))))
			case 1:
				now = now.Add(durations[rng.IntN(4)])
			default:
				now = now.Add(time.Duration(rng.IntN(3)) * durations[rng.IntN(4)]).Add(time.Duration(rng.IntN(3) - 1))
			}
			instants = append(instants, now)
		}
		s := New(reach, durations, instants)
		for _, a := range instants {
			require.Equal(t, a, s.Instant(s.Tick(a)))
			require.Less(t, s.Tick(a), int64(1<<29), "fits TLC's numbers")
			for _, b := range instants {
				for _, d := range []time.Duration{0, durations[0], durations[0] + durations[1], durations[0] + durations[1] + 2*durations[2], durations[3] + 2*durations[2], reach} {
					require.Equal(t, a < b.Add(d), s.Tick(a) < s.Tick(b)+s.Ticks(d), "%v < %v + %v", a, b, d)
					require.Equal(t, a == b.Add(d), s.Tick(a) == s.Tick(b)+s.Ticks(d), "%v = %v + %v", a, b, d)
				}
			}
		}
	}
}

// A day in nanoseconds between two readings costs no more than the longest sum.
func TestStretchesWithoutInstantsAreCut(t *testing.T) {
	s := New(reach, durations, []registry.Instant{0, 1, registry.Instant(24 * time.Hour)})
	assert.Less(t, s.Tick(registry.Instant(24*time.Hour)), 2*s.Ticks(reach))
	assert.Equal(t, int64(1), s.Tick(1))
}

func TestNoInstants(t *testing.T) {
	s := New(reach, durations, nil)
	assert.Zero(t, s.Tick(0))
	assert.Equal(t, int64(60), s.Ticks(30*time.Second))
}
