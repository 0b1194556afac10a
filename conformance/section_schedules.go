package conformance

import (
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
)

// Scheduled is a Cluster whose operations can be stopped on their way, so that
// the suite decides who goes on.
//
// SetYield gives every handle of the cluster a function to call at its yield
// points, with the point's name; nil, as in the beginning, means that nothing is
// called. It is called before any operation of the schedule begins.
//
// A yield point is where another operation may come in between: the gap after a
// read, before a lock, around a transaction. It must be reached in the goroutine
// that made the call, and with no lock held and no transaction open that another
// operation waits for: yield returns only when the suite lets the operation go
// on, and the suite lets one operation run at a time. A backend that yields
// under a lock is not convicted, the case ends undecided and says who waited.
type Scheduled interface {
	SetYield(yield func(point string))
}

// maxStops is at how many yield points an operation stops; it passes those that
// come later. Two operations with four stops have 252 schedules.
const maxStops = 4

// unbounded stands for any number of preemptions.
const unbounded = -1

// start is the state in which the operations of a schedule begin. n1 holds the
// actor unless it is free or released; n2 and n3 want it.
type start struct {
	name     string
	claimed  bool
	released bool
	skewed   bool                                                                // n1's clock is as slow as may be, the others' as fast
	now      func(cfg registry.Config, expiry registry.Instant) registry.Instant // true time
}

// silent is when n2, which registered at the beginning and kept still, may be
// marked failed.
func silent(cfg registry.Config, _ registry.Instant) registry.Instant { return cfg.FailedAt(epoch0) }

// lastMoment is the last instant at which n1 may renew and nobody else claim, by
// the clocks at both ends of the skew. One tick later it is the other way round.
func lastMoment(cfg registry.Config, expiry registry.Instant) registry.Instant {
	return expiry.Add(cfg.Grace + cfg.MaxClockSkew - 1)
}

// contender makes one operation of a schedule. Each has a handle of its own, with
// the clock of one of the nodes.
type contender struct {
	node  int // 0 is n1
	call  func(s *fixture) call
	needs Capability // "": none
}

var contenders = map[string]contender{
	"claim":      {1, func(s *fixture) call { return claim(s.actor, s.refs[1], registry.ClaimID{2}) }, ""},
	"retry":      {1, func(s *fixture) call { return claim(s.actor, s.refs[1], registry.ClaimID{2}) }, ""}, // of the same attempt
	"rival":      {2, func(s *fixture) call { return claim(s.actor, s.refs[2], registry.ClaimID{3}) }, ""},
	"renew":      {0, func(s *fixture) call { return renew(s.lease) }, ""},
	"release":    {0, func(s *fixture) call { return release(s.lease) }, ""},
	"transfer":   {0, func(s *fixture) call { return transfer(s.lease, s.refs[1]) }, ""},
	"lookup":     {2, func(s *fixture) call { return lookup(s.actor) }, ""},
	"list":       {2, func(s *fixture) call { return listActors(s.refs[0], 1) }, ""},
	"fail":       {2, func(s *fixture) call { return markFailed(s.refs[1]) }, ""},
	"register":   {1, func(s *fixture) call { return registerNode(s.refs[1].ID, registry.NodeInfo{}, registry.Supersede) }, ""},
	"heartbeat":  {1, func(s *fixture) call { return heartbeat(s.refs[1]) }, ""},
	"deregister": {1, func(s *fixture) call { return deregister(s.refs[1]) }, ""},
	"node":       {2, func(s *fixture) call { return getNode(s.refs[1].ID) }, ""},
	"nodes":      {2, func(s *fixture) call { return listNodes(registry.AnyStatus, 2) }, ""},
	"validate":   {2, func(s *fixture) call { return validate(s.actor, s.lease.Token) }, ""},
	"batch":      {0, func(s *fixture) call { return renewBatchCall([]registry.Lease{s.lease, s.lease}) }, BatchRenew},
	"watch":      {2, func(s *fixture) call { return watchCall(s.actor, 1<<40) }, Watch}, // which answers at once
	"close":      {0, func(*fixture) call { return closeHandle() }, ""},
}

// ticking is the contender that moves true time by the smallest step there is.
const ticking = "tick"

// endsFirst is the contender that ends the context of the first.
const endsFirst = "end"

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
		groups = append(groups, []string{who, endsFirst}, []string{who, "claim", endsFirst})
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

// situation is a start and the group that begins in it.
type situation struct {
	start start
	group []string
}

func (s situation) String() string { return fmt.Sprintf("%s %v", s.start.name, s.group) }

func situations(groups [][]string, starts ...start) (all []situation) {
	for _, st := range starts {
		for _, c := range groups {
			all = append(all, situation{st, c})
		}
	}
	return all
}

func schedulesSection() Section {
	var (
		free     = start{name: "free", now: silent}
		released = start{name: "released", claimed: true, released: true, now: silent}
		live     = start{name: "live", claimed: true, now: func(_ registry.Config, expiry registry.Instant) registry.Instant {
			return expiry.Add(-time.Nanosecond)
		}}
		expiry = start{name: "expiry", claimed: true, now: func(_ registry.Config, expiry registry.Instant) registry.Instant {
			return expiry
		}}
		last        = start{name: "last-moment", claimed: true, skewed: true, now: lastMoment}
		reclaimable = start{name: "reclaimable", claimed: true, skewed: true, now: func(cfg registry.Config, expiry registry.Instant) registry.Instant {
			return lastMoment(cfg, expiry) + 1
		}}
	)
	explores := func(name, doc string, preemptions int, all []situation) Case {
		return Case{
			Name: name, Doc: doc, Needs: []Capability{YieldPoints, ClockControl},
			Rules: []RuleID{Linearizability, SingleActivation, TokenMonotonic, VersionBump, NoStaleWrite},
			run:   func(t *trial) { t.explore(all, preemptions) },
		}
	}
	batches := explores("batches", "schedules of a batch and another operation with at most two preemptions", 2, situations(batched, live, last))
	batches.Needs = append(batches.Needs, BatchRenew)
	two := func(doc string, st start) Case {
		return explores("pairs-"+st.name, "all schedules of two operations "+doc, unbounded, situations(pairs(), st))
	}
	return Section{
		Name: "schedules",
		Doc:  "operations that stop at the backend's yield points, in every order of their steps, checked for linearizability",
		Cases: []Case{
			two("on an actor that was never claimed", free),
			two("on an actor that was released", released),
			two("in the last instant of a live lease", live),
			two("in the first instant of grace", expiry),
			two("in the last instant in which the holder may renew", last),
			two("in the first instant in which others may claim", reclaimable),
			explores("pairs-tick", "all schedules of two operations while the lease passes from its holder's to the others' reach", unbounded,
				situations(pairs(ticking), last)),
			explores("others", "all schedules of two operations, one of which is about a registration or reads", unbounded,
				situations(others, free, live, reclaimable)),
			batches,
			explores("cancelled", "an operation whose context ends while it stands at a yield point, at most two preemptions", 2,
				situations(endings(), free, live, reclaimable)),
			explores("triples", "schedules of three operations with at most two preemptions", 2,
				situations(triples, free, live, last, reclaimable)),
			explores("triples-tick", "three operations while the lease passes out of its holder's reach, at most two preemptions", 2,
				situations([][]string{{"claim", "rival", "renew", ticking}, {"claim", "renew", "fail", ticking}}, last)),
		},
	}
}
