package conformance

import "github.com/kelpie-registry/registry/conformance/report"

// The levels. Each looks at everything that the one before looks at.
const (
	Quick    = report.Quick
	Default  = report.Default
	Thorough = report.Thorough
)

// Efforts lists the levels, the cheapest first.
func Efforts() []Effort { return report.Efforts() }
