package conformance

import (
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
)

// The levels. Each looks at everything that the one before looks at.
const (
	Quick    Effort = "quick"    // a quarter of the histories, the smallest sizes: while editing
	Default  Effort = "default"  // what a change should pass before it lands
	Thorough Effort = "thorough" // ten times the histories, and sizes that take minutes: before a release
)

// Efforts lists the levels, the cheapest first.
func Efforts() []Effort { return []Effort{Quick, Default, Thorough} }

// Level sets how much the judgement spends; default [Default], and [Quick] in
// [Run] under testing.Short. The cases are the same at every level: it decides
// how many histories they draw, unless [Histories] says so, and how many actors,
// nodes, grants and configurations the large ones go through.
func Level(e Effort) Option {
	return func(o *options) error {
		if !slices.Contains(Efforts(), e) {
			return &registry.InvalidError{Field: "level", Problem: fmt.Sprintf("is %q, want one of %v", e, Efforts())}
		}
		o.level, o.levelSet = e, true
		return nil
	}
}

// historiesAt returns how many histories a case draws that draws n by default.
func historiesAt(e Effort, n int) int {
	switch e {
	case Quick:
		return max(1, n/4)
	case Thorough:
		return 10 * n
	}
	return n
}

// level is how much this trial spends.
func (t *trial) level() Effort { return t.judge.opts.level }

// sizedBy returns the size for the trial's level.
func sizedBy[T any](t *trial, quick, normal, thorough T) T {
	switch t.level() {
	case Quick:
		return quick
	case Thorough:
		return thorough
	}
	return normal
}
