//go:build fdb && fdbsim

package fdbtest

import (
	"math/rand/v2"
	"time"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/fdbsim"
)

// Declared implements [conformance.Declarer].
func (Backend) Declared() []conformance.Capability {
	return []conformance.Capability{
		conformance.ClockControl, conformance.BatchRenew, conformance.Watch,
		conformance.Restart, conformance.Faulty,
	}
}

func newCluster(b base) conformance.Cluster { return simulated{b} }

// simulated is a cluster whose troubles can be chosen.
type simulated struct{ base }

var (
	_ conformance.Restarter     = simulated{}
	_ conformance.FaultInjector = simulated{}
)

// Restart implements [conformance.Restarter]: the database's process is killed with
// everything in flight, and comes back with a version far ahead.
func (c simulated) Restart() error {
	c.db.Cluster.Kill()
	c.db.Cluster.Restart()
	return nil
}

// SetFaults implements [conformance.FaultInjector]. Each trouble befalls commits in
// the shapes that FoundationDB gives it.
func (c simulated) SetFaults(f conformance.Faults) {
	if f == (conformance.Faults{Seed: f.Seed}) {
		c.db.Cluster.SetIntercept(nil)
		return
	}
	rng := rand.New(rand.NewPCG(f.Seed, 0x666462)) // used with the cluster locked
	later := func() time.Duration { return time.Duration(1+rng.IntN(5_000)) * time.Microsecond }
	c.db.Cluster.SetIntercept(func(r *fdbsim.Request) fdbsim.Verdict {
		if r.Kind != fdbsim.KindCommit {
			return fdbsim.Deliver
		}
		draw := rng.Float64()
		for _, trouble := range []struct {
			probability float64
			shapes      []fdbsim.Verdict
		}{
			{f.Unavailable, []fdbsim.Verdict{fdbsim.Fail(1020), fdbsim.Fail(1007), fdbsim.Fail(1042)}},
			{f.LostRequest, []fdbsim.Verdict{fdbsim.CommitUnknown(false), fdbsim.TimeOut(-1), fdbsim.VersionChanged(-1)}},
			{f.LostAnswer, []fdbsim.Verdict{fdbsim.CommitUnknown(true), fdbsim.TimeOut(0), fdbsim.VersionChanged(0)}},
			{f.Late, []fdbsim.Verdict{fdbsim.TimeOut(later()), fdbsim.VersionChanged(later())}},
		} {
			if draw < trouble.probability {
				return trouble.shapes[rng.IntN(len(trouble.shapes))]
			}
			draw -= trouble.probability
		}
		return fdbsim.Deliver
	})
}
