package sections

import (
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

func randomSection() trial.Section {
	sequences := func(name, doc string, m traffic.Mix, needs ...backend.Capability) trial.Case {
		return trial.Case{
			Name: name, Doc: doc, Needs: append([]backend.Capability{backend.ClockControl}, needs...), Draws: true,
			Rules: []contract.RuleID{contract.SingleActivation, contract.GraceRespected, contract.TokenMonotonic, contract.NoStaleWrite, contract.VersionBump, contract.RefusalTruthful, contract.RefusalNothing, contract.RefusalOrder, contract.OneReading},
			Run:   func(t *trial.Trial) { lockstep.Sequences(t, m) },
		}
	}
	return trial.Section{
		Name: "random",
		Doc:  "random sequences of the specification's actions by several nodes with skewed clocks, every answer compared with the reference, shrunk when one differs",
		Cases: []trial.Case{
			sequences("tenures", "claims, renewals, releases and hand-offs around the boundaries of leases",
				traffic.Mix{op.Claim: 30, op.Renew: 14, op.Release: 8, op.Transfer: 12, op.Lookup: 4, op.Validate: 8, op.RegisterNode: 2, traffic.Tick: 20, traffic.Drift: 8}),
			sequences("everything", "all operations, nodes that fail, leave and come back",
				traffic.Mix{op.Claim: 20, op.Renew: 8, op.Release: 6, op.Transfer: 8, op.Lookup: 3, op.Validate: 5, op.ListActors: 4, op.RegisterNode: 8, op.Heartbeat: 5,
					op.MarkFailed: 8, op.DeregisterNode: 3, op.GetNode: 2, op.ListNodes: 3, traffic.Tick: 14, traffic.Drift: 6}),
			sequences("batches", "renewals in batches among everything else",
				traffic.Mix{op.Claim: 20, op.RenewBatch: 20, op.Release: 5, op.Transfer: 5, op.Lookup: 3, op.RegisterNode: 3, traffic.Tick: 15, traffic.Drift: 5}, backend.BatchRenew),
		},
	}
}
