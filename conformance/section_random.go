package conformance

import (
	"github.com/kelpie-registry/registry/op"
)

func randomSection() Section {
	sequences := func(name, doc string, m mix, needs ...Capability) Case {
		return Case{
			Name: name, Doc: doc, Needs: append([]Capability{ClockControl}, needs...), draws: true,
			Rules: []RuleID{SingleActivation, GraceRespected, TokenMonotonic, NoStaleWrite, VersionBump, RefusalTruthful, RefusalNothing, RefusalOrder, OneReading},
			run:   func(t *trial) { t.sequences(m) },
		}
	}
	return Section{
		Name: "random",
		Doc:  "random sequences of the specification's actions by several nodes with skewed clocks, every answer compared with the reference, shrunk when one differs",
		Cases: []Case{
			sequences("tenures", "claims, renewals, releases and hand-offs around the boundaries of leases",
				mix{op.Claim: 30, op.Renew: 14, op.Release: 8, op.Transfer: 12, op.Lookup: 4, op.Validate: 8, op.RegisterNode: 2, tick: 20, drift: 8}),
			sequences("everything", "all operations, nodes that fail, leave and come back",
				mix{op.Claim: 20, op.Renew: 8, op.Release: 6, op.Transfer: 8, op.Lookup: 3, op.Validate: 5, op.ListActors: 4, op.RegisterNode: 8, op.Heartbeat: 5,
					op.MarkFailed: 8, op.DeregisterNode: 3, op.GetNode: 2, op.ListNodes: 3, tick: 14, drift: 6}),
			sequences("batches", "renewals in batches among everything else",
				mix{op.Claim: 20, op.RenewBatch: 20, op.Release: 5, op.Transfer: 5, op.Lookup: 3, op.RegisterNode: 3, tick: 15, drift: 5}, BatchRenew),
		},
	}
}
