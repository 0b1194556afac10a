package broken

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// faults are the troubles of the store's imagined network. They sit between an
// operation and its atomic step, and what they make of its answer is true.
type faults struct {
	conformance.Faults
	draw *rand.Rand         // nil: no trouble
	late []func() op.Result // steps whose caller was told that they may still apply
}

func (f *faults) set(to conformance.Faults) {
	*f = faults{Faults: to, late: f.late}
	if to != (conformance.Faults{}) {
		f.draw = rand.New(rand.NewPCG(to.Seed, 0))
	}
}

var (
	errConnection = errors.New("connection reset")
	errTimeout    = errors.New("no answer in time")
)

// refuses reports whether the store refuses to be read.
func (f *faults) refuses(ctx context.Context) bool {
	if f.draw == nil || f.draw.Float64() >= f.Unavailable {
		return false
	}
	conformance.Suffers(ctx, conformance.FaultUnavailable)
	return true
}

// attempt applies the step, or what a fault leaves of it. A step that is late
// is decided when it applies, against the record of that moment, by the clock
// reading of the moment when it was asked for: a delayed message carries its
// time with it. Late steps apply before the next attempt, in their order.
func (f *faults) attempt(ctx context.Context, step func() op.Result) op.Result {
	for _, apply := range f.late {
		apply() // nobody waits for the answer
	}
	f.late = nil
	if f.draw == nil {
		return step()
	}
	p := f.draw.Float64()
	below := func(share float64) bool {
		p -= share
		return p < 0
	}
	switch {
	case below(f.Unavailable):
		conformance.Suffers(ctx, conformance.FaultUnavailable)
		return op.Failed(registry.ErrUnavailable)
	case below(f.LostRequest):
		conformance.Suffers(ctx, conformance.FaultLostRequest)
		return op.Failed(&registry.AmbiguousError{Cause: errConnection})
	case below(f.LostAnswer):
		conformance.Suffers(ctx, conformance.FaultLostAnswer)
		step() // the answer is what gets lost
		return op.Failed(&registry.AmbiguousError{Cause: errConnection})
	case below(f.Late):
		conformance.Suffers(ctx, conformance.FaultLate)
		f.late = append(f.late, step)
		return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: errTimeout})
	default:
		return step()
	}
}
