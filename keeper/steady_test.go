package keeper

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
)

// Readings within ε of true time are taken as they are, however the clock steps
// within its bound and however the two clocks drift apart.
func TestSteadyBelievesAClockWithinItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		skew := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "skew"))
		ppm := rapid.Int64Range(-900, 900).Draw(t, "drift")
		s := newSteady(registry.Config{TTL: 5 * time.Minute, MaxClockSkew: skew})
		var at time.Duration
		for range rapid.IntRange(1, 200).Draw(t, "readings") {
			at += time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "later"))
			offset := time.Duration(rapid.Int64Range(-int64(skew), int64(skew)).Draw(t, "offset"))
			read := moment{registry.Instant(1e18).Add(at + offset), at + at/1_000_000*time.Duration(ppm)}
			now, back := s.reckon(read)
			require.Zero(t, back)
			require.Equal(t, read, now)
		}
	})
}

// After any reading within ε, time as the node goes by it passes at least as fast
// as the elapsed clock, but for the drift and the steps that ε allows.
func TestSteadyNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSteady(testCfg)
		read := moment{wall: 1e18}
		s.reckon(read)
		highest := read
		for range rapid.IntRange(1, 200).Draw(t, "readings") {
			d := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "later"))
			step := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "step"))
			read = moment{read.wall.Add(d + step), read.elapsed + d}
			now, back := s.reckon(read)
			least := highest.wall.Add((read.elapsed - highest.elapsed) * (drift - 1) / drift)
			require.GreaterOrEqual(t, now.wall, least.Add(-s.bound-1))
			require.GreaterOrEqual(t, now.wall, read.wall)
			require.Equal(t, read.elapsed, now.elapsed)
			require.Equal(t, now.wall.Sub(read.wall) > 0, back > s.bound)
			if read.wall >= least {
				highest = read
			}
		}
	})
}

// stopped is a process that is stopped between its readings of the two clocks.
type stopped struct {
	*frozen
	stops int
}

func (s *stopped) Now() registry.Instant {
	now := s.frozen.Now()
	if s.stops > 0 {
		s.stops--
		s.Advance(time.Minute)
		s.elapsed += time.Minute
	}
	return now
}

// A stop between the two readings is no step of a clock.
func TestReadingsAreMadeTogether(t *testing.T) {
	clock := &stopped{frozen: &frozen{ManualClock: registry.NewManualClock(1e18)}}
	p, err := newPatience(testCfg, Options{Clock: clock})
	require.NoError(t, err)
	p.moment()
	for range 100 {
		clock.stops = 2
		now, back := p.reading()
		require.Zero(t, back)
		require.Equal(t, time.Duration(now.wall-1e18), now.elapsed)
	}
}
