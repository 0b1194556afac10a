package sections

import (
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/schedule"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
)

// pairs are all pairs of contenders, each joined by those given.
func pairs(with ...string) (groups [][]string) {
	names := []string{"claim", "retry", "rival", "renew", "release", "transfer", "lookup", "list", "fail", "register"}
	for i, a := range names {
		for _, b := range names[i:] {
			groups = append(groups, slices.Concat([]string{a, b}, with))
		}
	}
	return groups
}

// others are pairs with the operations that pairs leaves out, where the two touch
// the same thing.
var others = [][]string{
	{"heartbeat", "heartbeat"}, {"heartbeat", "fail"}, {"heartbeat", "register"}, {"heartbeat", "deregister"}, {"heartbeat", "node"},
	{"deregister", "claim"}, {"deregister", "transfer"}, {"deregister", "register"}, {"deregister", "fail"}, {"deregister", "node"},
	{"deregister", "deregister"}, {"node", "register"}, {"node", "fail"}, {"nodes", "register"}, {"nodes", "fail"}, {"nodes", "deregister"},
	{"validate", "claim"}, {"validate", "rival"}, {"validate", "renew"}, {"validate", "release"}, {"validate", "transfer"},
}

// batched are pairs with a batch that has a lease twice.
var batched = [][]string{
	{"batch", "batch"}, {"batch", "claim"}, {"batch", "renew"}, {"batch", "release"}, {"batch", "transfer"}, {"batch", "lookup"},
}

// endings are operations that the end of their context finds at each yield
// point, alone and beside a rival.
func endings() (groups [][]string) {
	for _, who := range []string{"claim", "renew", "release", "transfer", "register", "heartbeat", "fail", "deregister"} {
		groups = append(groups, []string{who, schedule.EndsFirst}, []string{who, "claim", schedule.EndsFirst})
	}
	return groups
}

// triples are three contenders of whom at least two change the same thing.
var triples = [][]string{
	{"claim", "retry", "rival"},
	{"claim", "rival", "renew"},
	{"claim", "rival", "release"},
	{"claim", "rival", "transfer"},
	{"claim", "rival", "lookup"},
	{"claim", "rival", "fail"},
	{"claim", "rival", "register"},
	{"claim", "retry", "release"},
	{"claim", "retry", "register"},
	{"claim", "renew", "release"},
	{"claim", "renew", "transfer"},
	{"claim", "fail", "register"},
	{"claim", "release", "list"},
	{"transfer", "renew", "release"},
	{"transfer", "fail", "register"},
	{"transfer", "rival", "list"},
	{"transfer", "register", "lookup"},
	{"transfer", "register", "validate"},
	{"transfer", "deregister", "lookup"},
	{"claim", "register", "validate"},
	{"claim", "deregister", "register"},
	{"heartbeat", "fail", "claim"},
	{"heartbeat", "fail", "register"},
	{"validate", "release", "rival"},
}

func schedulesSection() trial.Section {
	var (
		free     = schedule.Start{Name: "free", Now: schedule.Silent}
		released = schedule.Start{Name: "released", Claimed: true, Released: true, Now: schedule.Silent}
		live     = schedule.Start{Name: "live", Claimed: true, Now: func(_ registry.Config, expiry registry.Instant) registry.Instant {
			return expiry.Add(-time.Nanosecond)
		}}
		expiry = schedule.Start{Name: "expiry", Claimed: true, Now: func(_ registry.Config, expiry registry.Instant) registry.Instant {
			return expiry
		}}
		last        = schedule.Start{Name: "last-moment", Claimed: true, Skewed: true, Now: schedule.LastMoment}
		reclaimable = schedule.Start{Name: "reclaimable", Claimed: true, Skewed: true, Now: func(cfg registry.Config, expiry registry.Instant) registry.Instant {
			return schedule.LastMoment(cfg, expiry) + 1
		}}
	)
	explores := func(name, doc string, preemptions func(*trial.Trial) int, all []schedule.Situation) trial.Case {
		return trial.Case{
			Name: name, Doc: doc, Needs: []backend.Capability{backend.YieldPoints, backend.ClockControl},
			Rules: []contract.RuleID{contract.Linearizability, contract.SingleActivation, contract.TokenMonotonic, contract.VersionBump, contract.NoStaleWrite},
			Run:   func(t *trial.Trial) { schedule.Explore(t, all, preemptions(t)) },
		}
	}
	everyLevel := func(bound int) func(*trial.Trial) int { return func(*trial.Trial) int { return bound } }
	batches := explores("batches", "schedules of a batch and another operation with at most two preemptions", everyLevel(2), schedule.Situations(batched, live, last))
	batches.Needs = append(batches.Needs, backend.BatchRenew)
	two := func(doc string, st schedule.Start) trial.Case {
		return explores("pairs-"+st.Name, "all schedules of two operations "+doc, everyLevel(schedule.Unbounded), schedule.Situations(pairs(), st))
	}
	return trial.Section{
		Name: "schedules",
		Doc:  "operations that stop at the backend's yield points, in every order of their steps, checked for linearizability",
		Cases: []trial.Case{
			two("on an actor that was never claimed", free),
			two("on an actor that was released", released),
			two("in the last instant of a live lease", live),
			two("in the first instant of grace", expiry),
			two("in the last instant in which the holder may renew", last),
			two("in the first instant in which others may claim", reclaimable),
			explores("pairs-tick", "all schedules of two operations while the lease passes from its holder's to the others' reach", everyLevel(schedule.Unbounded),
				schedule.Situations(pairs(schedule.Ticking), last)),
			explores("others", "all schedules of two operations, one of which is about a registration or reads", everyLevel(schedule.Unbounded),
				schedule.Situations(others, free, live, reclaimable)),
			batches,
			explores("cancelled", "an operation whose context ends while it stands at a yield point, at most two preemptions", everyLevel(2),
				schedule.Situations(endings(), free, live, reclaimable)),
			explores("triples", "schedules of three operations with at most two preemptions, at level quick with one", func(t *trial.Trial) int { return trial.SizedBy(t, 1, 2, 3) },
				schedule.Situations(triples, free, live, last, reclaimable)),
			explores("triples-tick", "three operations while the lease passes out of its holder's reach, at most two preemptions", everyLevel(2),
				schedule.Situations([][]string{{"claim", "rival", "renew", schedule.Ticking}, {"claim", "renew", "fail", schedule.Ticking}}, last)),
		},
	}
}
