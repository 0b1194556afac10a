package linearizability

import (
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// describer puts a history's values into words: those of package op, and the
// intervals that only the model has. Times count from the earliest reading in
// the history.
type describer struct{ op.Text }

func newDescriber(h *history.History) describer { return describer{h.Text()} }

func (d describer) span(s span) string { return history.Within(s.lo, s.hi).Text(d.Text) }

func (d describer) readings(r history.Readings) string { return r.Text(d.Text) }

func (d describer) spanRecord(r record) string {
	if r.Version == 0 {
		return "never claimed"
	}
	return d.RecordExpiring(r.Record, d.span(r.expiry()))
}

// asked shows the call, as Claim(a, n1#1, id 7f3a).
func (d describer) asked(o *history.Op) string { return d.Call(&o.Call) }

// answered shows the answer.
func (d describer) answered(o *history.Op) string { return d.Answer(&o.Call, &o.Result) }

// op shows a call and its answer.
func (d describer) op(o *history.Op) string { return d.asked(o) + " = " + d.answered(o) }

// refusalName names the contract's error for a guard.
func refusalName(g reference.Guard) string {
	if err := g.Refusal(); err != nil {
		return string(op.ReasonOf(err))
	}
	return string(g)
}

// phase shows the phase of a lease, with the distance to the boundary that was missed.
func (d describer) phase(cfg registry.Config, expiry, c registry.Instant) string {
	p := cfg.Phase(expiry, c).String()
	free := expiry.Add(cfg.Grace).Add(2 * cfg.MaxClockSkew)
	switch cfg.Phase(expiry, c) {
	case registry.Grace:
		p = "in grace"
	case registry.Reclaimable:
		return fmt.Sprintf("reclaimable since %s", d.Time(free))
	}
	return fmt.Sprintf("%s (expiry %s), reclaimable from %s, %v later", p, d.Time(expiry), d.Time(free), time.Duration(free-c))
}
