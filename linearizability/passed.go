package linearizability

import (
	"math"
	"slices"
	"sort"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
)

// moment says of a call that no clock had read more than latest by then.
type moment struct {
	invoked int64
	latest  registry.Instant
}

// moments are those of a history's calls, in their order. Whoever reads a clock after
// its call reads no less than true time then less ε, and nobody's clock shows more than
// true time and ε.
func moments(h *history.History) []moment {
	list := make([]moment, len(h.Ops))
	latest := registry.Instant(math.MaxInt64)
	for i, o := range slices.Backward(h.Ops) {
		switch {
		case o.Clock.Interval:
			latest = min(latest, plus(o.Clock.Hi, 2*h.Config.MaxClockSkew))
		case len(o.Clock.Seen) > 0:
			latest = min(latest, plus(slices.Min(o.Clock.Seen), 2*h.Config.MaxClockSkew))
		}
		list[i] = moment{o.Invoked, latest}
	}
	return list
}

// latest is a reading that no clock had passed when the event had its effect.
func (m *rules) latest(e *event) registry.Instant {
	i := sort.Search(len(m.passed), func(i int) bool { return m.passed[i].invoked > e.ret })
	if i == len(m.passed) {
		return math.MaxInt64
	}
	return m.passed[i].latest
}
