//go:build fdb && fdbsim

package fdbtest

import (
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/fdbsim"
)

// Scheduled is fdbimpl on a stand-in without faults whose clusters are
// [conformance.Scheduled]. An operation stops before it asks for its read version
// and before it commits. In between it reads from the version that it was given,
// whatever happens meanwhile, so that no order of its reads among the steps of
// others makes a difference.
type Scheduled struct{ Backend }

// Name implements [conformance.Backend].
func (Scheduled) Name() string { return "fdbimpl-scheduled" }

// Declared implements [conformance.Declarer].
func (Scheduled) Declared() []conformance.Capability {
	return []conformance.Capability{conformance.ClockControl, conformance.BatchRenew, conformance.Watch, conformance.YieldPoints}
}

// New implements [conformance.Backend].
func (Scheduled) New(registry.Config) (conformance.Cluster, error) {
	g := new(gate)
	d, err := testdb.OpenSim(fdbsim.Config{Seed: 1, Scheduler: g})
	if err != nil {
		return nil, err
	}
	return scheduled{base{db: d}, g}, nil
}

type scheduled struct {
	base
	gate *gate
}

var _ conformance.Scheduled = scheduled{}

// SetYield implements [conformance.Scheduled].
func (c scheduled) SetYield(yield func(point string)) { c.gate.yield.Store(&yield) }

// gate is a scheduler that processes each request as it is sent, in the goroutine
// that sends it, after it has let the suite decide who goes on.
type gate struct {
	yield atomic.Pointer[func(point string)]
}

// Submit implements [fdbsim.Scheduler].
func (g *gate) Submit(r *fdbsim.Request) {
	if yield := g.yield.Load(); yield != nil && *yield != nil {
		switch r.Kind {
		case fdbsim.KindReadVersion, fdbsim.KindCommit:
			(*yield)(r.Kind.String())
		}
	}
	r.Resolve(fdbsim.Deliver)
}
