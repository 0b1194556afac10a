package trial

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/dialect"
)

// MarginsOf are those of a cluster in real time: what the comparison goes by, and
// what the report tells.
func MarginsOf(cfg registry.Config, d dialect.Dialect) report.Margins {
	e := cfg.MaxClockSkew
	m := report.Margins{
		Store:    2 * e,
		Reading:  2 * e,
		Boundary: 4 * e, // the reading, and the one from which the boundary was worked out
		Call:     cfg.TTL / 8,
		Expiry:   2*e + cfg.TTL/4,
	}
	if d.StoreClock {
		m.Store = 2 * (e / 2)
	}
	return m
}
