// Package ticks writes instants as small integers for a model checker, so that a
// specification which compares them decides as it would on nanoseconds.
//
// A guard of the specification compares two instants with a sum of the cluster's
// durations between them. All such sums are multiples of one unit, the greatest
// common divisor of the durations. Of an instant only two things then matter: how
// many units it has, and how its remainder is ordered among the others' remainders.
// So the tick of an instant is its units times the number of different remainders,
// plus the rank of its own: for instants s and t, and a duration d that is a
// multiple of the unit,
//
//	s < t + d   exactly when   Tick(s) < Tick(t) + Ticks(d)
//
// and the same with = in the place of <, because both sides compare units first
// and remainders second. Nothing is rounded.
//
// A stretch of time without an instant that is longer than every sum is made as
// short as the longest sum and one unit more: the guards find the instants before
// it too far from those behind it either way.
package ticks

import (
	"slices"
	"sort"
	"time"

	"github.com/kelpie-registry/registry"
)

// Scale maps instants and durations to ticks. The zero Scale is not usable.
type Scale struct {
	unit       time.Duration
	remainders []time.Duration    // in order, each once
	starts     []registry.Instant // where the stretches that were not cut begin
	units      []int64            // and how many units precede each
}

// New makes the scale of a set of instants, which must contain all that Tick is asked
// for, up to sums with the durations. Durations must not be negative, and one must be positive.
// reach bounds the sums that are compared.
func New(reach time.Duration, durations []time.Duration, instants []registry.Instant) Scale {
	s := Scale{}
	for _, d := range durations {
		s.unit = gcd(s.unit, d)
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(instants)))
	if len(sorted) == 0 {
		sorted = []registry.Instant{0}
	}
	first := sorted[0]
	for _, i := range sorted {
		s.remainders = append(s.remainders, i.Sub(first)%s.unit)
	}
	slices.Sort(s.remainders)
	s.remainders = slices.Compact(s.remainders)
	longest := int64(reach/s.unit) + 1
	s.starts, s.units = []registry.Instant{first}, []int64{0}
	for n, i := range sorted[1:] {
		last := sorted[n]
		if i.Sub(last) > time.Duration(longest+2)*s.unit {
			s.cut(last, i, longest)
		}
	}
	return s
}

// cut makes the stretch between two instants the given number of units long. The next one begins a
// whole number of units after the first instant, so that remainders stay what they are.
func (s *Scale) cut(last, next registry.Instant, longest int64) {
	n := len(s.starts) - 1
	before, _ := floor(last.Sub(s.starts[n]), s.unit)
	until, _ := floor(next.Sub(s.starts[n]), s.unit)
	s.starts = append(s.starts, s.starts[n].Add(time.Duration(until)*s.unit))
	s.units = append(s.units, s.units[n]+before+longest+1)
}

func gcd(a, b time.Duration) time.Duration {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Tick returns the tick of an instant of the scale.
func (s Scale) Tick(i registry.Instant) int64 {
	n := max(0, sort.Search(len(s.starts), func(n int) bool { return s.starts[n] > i })-1)
	units, rest := floor(i.Sub(s.starts[n]), s.unit)
	rank, _ := slices.BinarySearch(s.remainders, rest)
	return (s.units[n]+units)*int64(len(s.remainders)) + int64(rank)
}

// Ticks returns a duration, one of the scale's or a sum of them, in ticks.
func (s Scale) Ticks(d time.Duration) int64 { return int64(d/s.unit) * int64(len(s.remainders)) }

// Instant returns the instant that a tick stands for.
func (s Scale) Instant(tick int64) registry.Instant {
	m := int64(len(s.remainders))
	units, rank := tick/m, tick%m
	if rank < 0 {
		units, rank = units-1, rank+m
	}
	n := max(0, sort.Search(len(s.units), func(n int) bool { return s.units[n] > units })-1)
	return s.starts[n].Add(time.Duration(units-s.units[n])*s.unit + s.remainders[rank])
}

// floor divides so that the remainder is not negative.
func floor(d, unit time.Duration) (int64, time.Duration) {
	units, rest := int64(d/unit), d%unit
	if rest < 0 {
		units, rest = units-1, rest+unit
	}
	return units, rest
}
