package sections

import (
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
)

// extremesSection goes where a small test does not: to the ends of the ranges that
// counters, times, sizes and names have.
func extremesSection() trial.Section {
	exact := []backend.Capability{backend.ClockControl}
	return trial.Section{
		Name: "extremes",
		Doc:  "counters, times, sizes and names at the ends of their ranges: hundreds of grants, years of silence, a thousand of everything, names that look alike",
		Cases: []trial.Case{
			{Name: "tokens", Doc: "one actor through hundreds of grants; at every step, and most at those where a width or a number of digits ends, earlier and later tokens",
				Rules: []contract.RuleID{contract.TokenMonotonic, contract.NoStaleWrite, contract.VersionBump, "Renew.fenced", "Release.fenced", "Transfer.fenced", "Validate.fenced", "Validate.granted"}, Needs: exact, Run: tokensGrow},
			{Name: "epochs", Doc: "one node through hundreds of registrations, each incarnation beside those before",
				Rules: []contract.RuleID{contract.EpochFresh, "RegisterNode.granted", "Heartbeat.granted", "Heartbeat.node-unknown", "Claim.node-unknown", "ListActors.answered"}, Needs: exact, Run: epochsGrow},
			{Name: "versions", Doc: "one tenure through hundreds of renewals, its claim repeated all along",
				Rules: []contract.RuleID{contract.VersionBump, "Renew.granted", "Claim.repeated"}, Needs: exact, Run: versionsGrow},
			{Name: "seeded-counters", Doc: "tokens, versions and epochs across every width and every number of digits up to 2^64-1",
				Rules: []contract.RuleID{contract.TokenMonotonic, contract.NoStaleWrite, contract.VersionBump, contract.EpochFresh}, Needs: []backend.Capability{backend.ClockControl, backend.Seeding}, Run: seededCounters},

			{Name: "silence", Doc: "minutes to years in which nothing happens: what was released, has lapsed, left or failed is still known, and who was silent is a member",
				Rules: []contract.RuleID{contract.RawLookup, contract.TokenMonotonic, contract.EpochFresh, contract.VersionBump, "GetNode.answered", "Release.repeated"}, Needs: exact, Run: longSilence},
			{Name: "long-tenure", Doc: "a tenure that is renewed for a day keeps its claim id, a node that heartbeats for a month its epoch",
				Rules: []contract.RuleID{"Claim.repeated", "Renew.granted", "Heartbeat.granted"}, Needs: exact, Run: longTenure},
			{Name: "dates", Doc: "leases across the dates at which a width or a number of digits ends: 1970, 2001, 2038, 2106, 2200",
				Rules: []contract.RuleID{"Claim.granted", "Claim.held", "Renew.granted", "Renew.lapsed", contract.GraceRespected, "MarkFailed.alive", "MarkFailed.granted"}, Needs: exact, Run: dates},
			{Name: "rounding", Doc: "readings and bounds one nanosecond off, and half of, every larger unit",
				Rules: []contract.RuleID{"Claim.granted", "Claim.held", "Renew.granted", "Renew.lapsed", contract.GraceRespected, "MarkFailed.alive", "MarkFailed.granted"}, Needs: exact, Run: rounding},
			{Name: "bounds", Doc: "clusters whose time bounds are at their limits",
				Rules: []contract.RuleID{"Claim.granted", "Claim.held", "Renew.granted", "Renew.lapsed", contract.GraceRespected, "MarkFailed.alive", "MarkFailed.granted", contract.ConfigMatches}, Needs: exact, Run: boundsAtLimits},

			{Name: "many-actors", Doc: "a node with over two thousand actors: every page size, and each record read again after all others were touched",
				Rules: []contract.RuleID{contract.RawLookup, "ListActors.answered", contract.PagedListing, "Claim.repeated", contract.VersionBump}, Needs: exact, Run: manyActors},
			{Name: "many-nodes", Doc: "over a thousand nodes of every status: every page size, and each registration read again after all others were touched",
				Rules: []contract.RuleID{"ListNodes.answered", contract.PagedListing, "GetNode.answered", contract.EpochFresh}, Needs: exact, Run: manyNodes},
			{Name: "large-batches", Doc: "batches of 1 to 1000 leases, with bad ones among them",
				Rules: []contract.RuleID{contract.BatchAsSingle}, Needs: []backend.Capability{backend.ClockControl, backend.BatchRenew}, Run: largeBatches},
			{Name: "many-watches", Doc: "a hundred watches of one actor, and one of each of a hundred actors",
				Rules: []contract.RuleID{contract.WatchWakes}, Needs: []backend.Capability{backend.ClockControl, backend.Watch}, Run: manyWatches},

			{Name: "alike-actors", Doc: "actors whose names look alike, side by side in every operation",
				Rules: []contract.RuleID{contract.NamesDistinct, "Claim.granted"}, Needs: exact, Run: alikeActors},
			{Name: "alike-nodes", Doc: "nodes and holders whose names look alike, side by side in every operation",
				Rules: []contract.RuleID{contract.NamesDistinct, "RegisterNode.granted", "ListActors.answered"}, Needs: exact, Run: alikeNodes},
			{Name: "joined-names", Doc: "names that are the same once two parts, or a name and an epoch, are joined",
				Rules: []contract.RuleID{contract.NamesDistinct, "ListActors.answered"}, Needs: exact, Run: joinedNames},
			{Name: "hashed-names", Doc: "actors and nodes whose names have a hash of 32 bits in common",
				Rules: []contract.RuleID{contract.NamesDistinct, "Claim.granted", "RegisterNode.granted"}, Needs: exact, Run: hashedNames},
			{Name: "alike-waiters", Doc: "batches and watches of actors whose names look alike",
				Rules: []contract.RuleID{contract.NamesDistinct, contract.WatchWakes, contract.BatchAsSingle}, Needs: []backend.Capability{backend.ClockControl, backend.BatchRenew, backend.Watch}, Run: alikeWaiters},
		},
	}
}
