package conformance

// extremesSection goes where a small test does not: to the ends of the ranges that
// counters, times, sizes and names have.
func extremesSection() Section {
	exact := []Capability{ClockControl}
	return Section{
		Name: "extremes",
		Doc:  "counters, times, sizes and names at the ends of their ranges: hundreds of grants, years of silence, a thousand of everything, names that look alike",
		Cases: []Case{
			{Name: "tokens", Doc: "one actor through hundreds of grants; at every step, and most at those where a width or a number of digits ends, earlier and later tokens",
				Rules: []RuleID{TokenMonotonic, NoStaleWrite, VersionBump, "Renew.fenced", "Release.fenced", "Transfer.fenced", "Validate.fenced", "Validate.granted"}, Needs: exact, run: tokensGrow},
			{Name: "epochs", Doc: "one node through hundreds of registrations, each incarnation beside those before",
				Rules: []RuleID{EpochFresh, "RegisterNode.granted", "Heartbeat.granted", "Heartbeat.node-unknown", "Claim.node-unknown", "ListActors.answered"}, Needs: exact, run: epochsGrow},
			{Name: "versions", Doc: "one tenure through hundreds of renewals, its claim repeated all along",
				Rules: []RuleID{VersionBump, "Renew.granted", "Claim.repeated"}, Needs: exact, run: versionsGrow},
			{Name: "seeded-counters", Doc: "tokens, versions and epochs across every width and every number of digits up to 2^64-1",
				Rules: []RuleID{TokenMonotonic, NoStaleWrite, VersionBump, EpochFresh}, Needs: []Capability{ClockControl, Seeding}, run: seededCounters},

			{Name: "silence", Doc: "minutes to years in which nothing happens: what was released, has lapsed, left or failed is still known",
				Rules: []RuleID{RawLookup, TokenMonotonic, EpochFresh, VersionBump, "GetNode.answered", "Release.repeated"}, Needs: exact, run: longSilence},
			{Name: "long-tenure", Doc: "a tenure that is renewed for a day keeps its claim id, a node that heartbeats for a month its epoch",
				Rules: []RuleID{"Claim.repeated", "Renew.granted", "Heartbeat.granted"}, Needs: exact, run: longTenure},
			{Name: "dates", Doc: "leases across the dates at which a width or a number of digits ends: 1970, 2001, 2038, 2106, 2200",
				Rules: []RuleID{"Claim.granted", "Claim.held", "Renew.granted", "Renew.lapsed", GraceRespected, "MarkFailed.alive", "MarkFailed.granted"}, Needs: exact, run: dates},
			{Name: "rounding", Doc: "readings and bounds one nanosecond off, and half of, every larger unit",
				Rules: []RuleID{"Claim.granted", "Claim.held", "Renew.granted", "Renew.lapsed", GraceRespected, "MarkFailed.alive", "MarkFailed.granted"}, Needs: exact, run: rounding},
			{Name: "bounds", Doc: "clusters whose time bounds are at their limits",
				Rules: []RuleID{"Claim.granted", "Claim.held", "Renew.granted", "Renew.lapsed", GraceRespected, "MarkFailed.alive", "MarkFailed.granted", ConfigMatches}, Needs: exact, run: boundsAtLimits},

			{Name: "many-actors", Doc: "a node with over two thousand actors: every page size, and each record read again after all others were touched",
				Rules: []RuleID{RawLookup, "ListActors.answered", PagedListing, "Claim.repeated", VersionBump}, Needs: exact, run: manyActors},
			{Name: "many-nodes", Doc: "over a thousand nodes of every status: every page size, and each registration read again after all others were touched",
				Rules: []RuleID{"ListNodes.answered", PagedListing, "GetNode.answered", EpochFresh}, Needs: exact, run: manyNodes},
			{Name: "large-batches", Doc: "batches of 1 to 1000 leases, with bad ones among them",
				Rules: []RuleID{BatchAsSingle}, Needs: []Capability{ClockControl, BatchRenew}, run: largeBatches},
			{Name: "many-watches", Doc: "a hundred watches of one actor, and one of each of a hundred actors",
				Rules: []RuleID{WatchWakes}, Needs: []Capability{ClockControl, Watch}, run: manyWatches},

			{Name: "alike-actors", Doc: "actors whose names look alike, side by side in every operation",
				Rules: []RuleID{NamesDistinct, "Claim.granted"}, Needs: exact, run: alikeActors},
			{Name: "alike-nodes", Doc: "nodes and holders whose names look alike, side by side in every operation",
				Rules: []RuleID{NamesDistinct, "RegisterNode.granted", "ListActors.answered"}, Needs: exact, run: alikeNodes},
			{Name: "joined-names", Doc: "names that are the same once two parts, or a name and an epoch, are joined",
				Rules: []RuleID{NamesDistinct, "ListActors.answered"}, Needs: exact, run: joinedNames},
			{Name: "alike-waiters", Doc: "batches and watches of actors whose names look alike",
				Rules: []RuleID{NamesDistinct, WatchWakes, BatchAsSingle}, Needs: []Capability{ClockControl, BatchRenew, Watch}, run: alikeWaiters},
		},
	}
}
