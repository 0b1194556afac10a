package lockstep

import (
	"slices"

	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// compareDialects notes which differences an answer needed in lockstep: those
// without which no right answer is the one that was given.
func (w *Run) compareDialects(v reference.View, n *Node, c call.Call, got op.Result) {
	j := w.T.Judge
	if got.Outcome != op.OK && got.Outcome != op.Refused {
		return // it is not about the state
	}
	for _, f := range j.Dialect.List() {
		if f.Only.NoMembership {
			continue // nobody is asked to register: the probe has looked whether anybody could
		}
		if !j.Strict.Has(f) && !w.rightIn(trial.Without(j.Dialect, f), v, n, c, got) {
			j.Strict.Needs(f)
		}
	}
}

// rightIn reports whether c may have been answered so in v in a dialect.
func (w *Run) rightIn(d dialect.Dialect, v reference.View, n *Node, c call.Call, got op.Result) bool {
	own := w.dialect
	defer func() { w.dialect = own }()
	w.dialect = d
	return slices.ContainsFunc(reference.Ways(w.Cfg, d, v, &c.Call, n.reads.Now(), &got), func(way reference.Way) bool {
		return w.Diff(n, got, way.Answer) == ""
	})
}

// allows names the differences any of which, declared too, would make the answer
// right, of a call that has reached the state.
func (w *Run) allows(v reference.View, n *Node, c call.Call, got, want op.Result) (names []string) {
	if names = trial.Lacking(w.dialect, c.Kind, got.Err); names != nil {
		return names
	}
	if want.Outcome != op.OK && want.Outcome != op.Refused || c.Kind.Lists() || c.Kind == op.RenewBatch || c.Kind == op.Close {
		return nil
	}
	for _, f := range dialect.Differences() {
		if f.Only.StoreClock && w.byTrueTime(n, c, got) {
			names = append(names, f.Name)
		}
		if f.Only.StoreClock && w.Exact || f.Only.NoTokens && c.Kind != op.Claim {
			continue // it is not why
		}
		if d := w.dialect.And(f.Only); d != w.dialect && d.Validate() == nil && d.Offers(c.Kind) && w.rightIn(d, v, n, c, got) {
			names = append(names, f.Name)
		}
	}
	return names
}

// byTrueTime reports whether an answer tells a reading of true time where the clock that
// the handle was given reads another: the store has a clock of its own.
func (w *Run) byTrueTime(n *Node, c call.Call, got op.Result) bool {
	now := w.Time.Now()
	switch {
	case !w.Exact || got.Err != nil || n.reads.Now() == now:
		return false
	case c.Kind.Grants():
		return got.Record.Expiry == now.Add(w.Cfg.TTL)
	}
	return c.Kind == op.RegisterNode && got.Node.LastSeen == now
}
