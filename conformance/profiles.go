package conformance

import (
	"slices"
	"strings"
)

// Profile is a part of the contract that a registry may claim to keep by itself.
type Profile struct {
	Name  string
	Doc   string
	Cases []string // beginnings of the "section/name" of its cases
}

// Profiles lists them. A case may belong to several; core is what belongs to
// no other and needs no optional interface.
func Profiles() []Profile {
	return []Profile{
		{coreProfile, "claims, renewals, releases and lookups: at most one holder", []string{"contract/", "edges/", "random/", "concurrent/", "extremes/", "handles/", "contexts/"}},
		{"transfer", "hand-off of a live lease without a gap", []string{"contract/transfer-", "contract/tenure-refusals"}},
		{"membership", "nodes, their epochs and their failure", []string{"membership/", "extremes/epochs", "extremes/many-nodes", "extremes/alike-nodes", "extremes/joined-names"}},
		{"durable", "nothing acknowledged is lost in a crash", []string{"durable/"}},
		{"guard", "tokens that fence off late writes", []string{"fencing/", "contract/tenure-refusals"}},
		{"listing", "paged listings", []string{"contract/listing"}},
		{"forgetting", "records that nobody will miss are forgotten above a floor", []string{"purge/"}},
		{"faults", "lost requests, lost answers and late effects, as a network has them", []string{"faults/"}},
	}
}

const coreProfile = "core"

// optionalCases need an interface or a power that no registry has to have, beside those
// that a profile is about. They are in no profile.
var optionalCases = []string{
	"durable/batches-under-way", "durable/shown-watches", "durable/in-trouble", "faults/watches",
	"contract/renew-batch", "contract/watch", "random/batches", "handles/watch-", "handles/batch-", "handles/arguments", "contexts/random-batches",
	"extremes/seeded-counters", "extremes/large-batches", "extremes/many-watches", "extremes/alike-waiters",
}

func (p Profile) has(id string) bool {
	begins := func(prefix string) bool { return strings.HasPrefix(id, prefix) }
	if !slices.ContainsFunc(p.Cases, begins) || slices.ContainsFunc(optionalCases, begins) {
		return false
	}
	if p.Name != coreProfile {
		return true
	}
	shared := id == "contract/tenure-refusals" // it is about renewals and releases too
	elsewhere := slices.ContainsFunc(Profiles(), func(q Profile) bool { return q.Name != coreProfile && q.has(id) })
	return shared || !elsewhere
}
