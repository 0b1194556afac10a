package sections

import (
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/concurrent"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/schedule"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

// everyKind is a contender of each operation.
var everyKind = []string{
	"claim", "rival", "renew", "release", "transfer", "lookup", "validate", "list", "batch", "watch",
	"register", "heartbeat", "fail", "deregister", "node", "nodes",
}

// changing are the contenders that change a record or a registration.
var changing = []string{"claim", "renew", "release", "transfer", "batch", "register", "heartbeat", "fail", "deregister"}

// The states of the record in which calls are troubled.
var (
	freeActor = schedule.Start{Name: "free", Now: schedule.Silent}
	liveActor = schedule.Start{Name: "live", Claimed: true, Now: func(_ registry.Config, expiry registry.Instant) registry.Instant {
		return expiry.Add(-time.Nanosecond)
	}}
	reclaimableActor = schedule.Start{Name: "reclaimable", Claimed: true, Now: func(cfg registry.Config, expiry registry.Instant) registry.Instant {
		return schedule.LastMoment(cfg, expiry) + registry.Instant(cfg.MaxClockSkew) + 1
	}}
	troubledStarts = []schedule.Start{freeActor, liveActor, reclaimableActor}
)

func contextsSection() trial.Section {
	rules := []contract.RuleID{contract.AmbiguousTruth, contract.ContextOwn, contract.ErrorIdentity, contract.Linearizability, contract.CallsReturn}
	random := concurrent.Profile{Clients: [2]int{2, 5}, Actors: 2, Rounds: 3, Program: 3, Endings: true,
		Mix: traffic.Mix{op.Claim: 20, op.Renew: 10, op.Release: 10, op.Transfer: 8, op.Lookup: 4, op.Validate: 4, op.ListActors: 2, op.RegisterNode: 5,
			op.Heartbeat: 3, op.MarkFailed: 4, op.DeregisterNode: 3, op.GetNode: 2, op.ListNodes: 2},
		Between: traffic.Mix{traffic.Tick: 6, traffic.Drift: 2}, Histories: 260}
	batches := random
	batches.Mix, batches.Histories = traffic.Mix{op.Claim: 14, op.RenewBatch: 14, op.Release: 3, op.Transfer: 3}, 50
	return trial.Section{
		Name: "contexts",
		Doc:  "contexts that end before, during and after the effect of a call: a plain context error says that nothing happened, and nothing stays locked",
		Cases: []trial.Case{
			{Name: "one-call", Doc: "the context of one call ends at every point at which the backend looks at it or reads its clock",
				Rules: append([]contract.RuleID{contract.ContextThird}, rules...), Run: func(t *trial.Trial) {
					schedule.Interferences(t, everyNth(capable(t, endingCalls()), trial.SizedBy(t, 3, 1, 1)))
				}},
			{Name: "while-waiting", Doc: "one call is stopped while it reads its clock, another waits for it, and the context of one of them ends",
				Rules: rules, Needs: []backend.Capability{backend.ClockControl}, Run: func(t *trial.Trial) {
					schedule.Interferences(t, everyNth(capable(t, waitingCalls()), trial.SizedBy(t, 7, 3, 1)))
				}},
			{Name: "joined", Doc: "two equal calls at the same time, and the context of the first ends; two that are alike, and not equal",
				Rules: rules, Run: func(t *trial.Trial) { schedule.Interferences(t, capable(t, append(joinedCalls(), alikeCalls()...))) }},
			{Name: "many-waiters", Doc: "hundreds of calls wait behind one that is stopped while it reads its clock, until their contexts end",
				Rules: []contract.RuleID{contract.CallsReturn, contract.AmbiguousTruth}, Needs: []backend.Capability{backend.ClockControl}, Run: manyWaiters},
			{Name: "random", Doc: "clients race while the contexts of half of their calls end, checked for linearizability", Draws: true,
				Rules: rules, Run: func(t *trial.Trial) { concurrent.Scenarios(t, random) }},
			{Name: "random-batches", Doc: "batches whose contexts end among other operations", Draws: true,
				Rules: rules, Needs: []backend.Capability{backend.BatchRenew}, Run: func(t *trial.Trial) { concurrent.Scenarios(t, batches) }},
		},
	}
}

// endingCalls are single calls whose context ends in every way.
func endingCalls() (all []schedule.Interference) {
	for _, st := range troubledStarts {
		for _, who := range everyKind {
			for e := contexts.AtLook1; e < contexts.NEndings; e++ {
				all = append(all, schedule.Interference{Start: st, First: who, Ends: [2]contexts.Ending{e}})
			}
		}
	}
	return all
}

// waitingCalls are a call that is stopped and one that may have to wait for it.
func waitingCalls() (all []schedule.Interference) {
	for i, st := range troubledStarts {
		for j, first := range changing {
			for k, second := range everyKind {
				for whose := range 3 {
					all = append(all, schedule.Interference{Start: st, First: first, Second: second, Shared: (i+j+k+whose)%2 == 0, Stop: contexts.AtReading, Whose: whose})
				}
				all = append(all, schedule.Interference{Start: st, First: first, Second: second, Shared: (j+k)%2 == 0, Stop: contexts.AtLook1 + contexts.Ending((i+j+k)%3)})
			}
		}
	}
	return all
}

// joinedCalls are two equal calls, which a backend may like to make once: the
// context of the first ends, and the second is none the worse for it.
func joinedCalls() (all []schedule.Interference) {
	for i, who := range everyKind {
		for stop := contexts.AtLook1; stop <= contexts.AtReading; stop++ {
			all = append(all, schedule.Interference{Start: troubledStarts[(i+int(stop))%2], First: who, Second: who, Shared: i%2 == 0, Stop: stop, Whose: 1})
		}
	}
	return all
}

// alikeCalls are two calls of one operation about different things, which a backend
// that makes equal calls once may take for equal.
func alikeCalls() (all []schedule.Interference) {
	for i, who := range everyKind {
		other := who + "-other"
		switch who {
		case "claim":
			other = "rival"
		case "rival":
			other = "claim"
		case "renew", "release", "validate", "batch":
			other = who + "-later"
		}
		for stop := contexts.AtLook1; stop <= contexts.AtReading; stop++ {
			x := schedule.Interference{Start: troubledStarts[(i+int(stop))%2], First: who, Second: other, Shared: (i+int(stop))%2 == 0, Stop: stop}
			all = append(all, x)
			x.First, x.Second, x.Start = other, who, liveActor
			all = append(all, x)
		}
	}
	return all
}

// everyNth thins a list out.
func everyNth[T any](all []T, n int) (list []T) {
	for i := 0; i < len(all); i += n {
		list = append(list, all[i])
	}
	return list
}

// capable leaves out what the backend's handles cannot do.
func capable(t *trial.Trial, all []schedule.Interference) (list []schedule.Interference) {
	for _, x := range all {
		if schedule.Offered(t, x.First) && schedule.Offered(t, x.Second) {
			list = append(list, x)
		}
	}
	return list
}
