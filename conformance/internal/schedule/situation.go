// Package schedule decides which of several operations goes on: at the yield points
// of a backend that has them, in every order within a bound of preemptions, and
// elsewhere where an operation reads its clock or looks at its context.
package schedule

import (
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
)

// maxStops is at how many yield points an operation stops; it passes those that
// come later. Two operations with four stops have 252 schedules.
const maxStops = 4

// Unbounded stands for any number of preemptions.
const Unbounded = -1

// Start is the state in which the operations of a schedule begin. n1 holds the
// actor unless it is free or released; n2 and n3 want it.
type Start struct {
	Name     string
	Claimed  bool
	Released bool
	Skewed   bool                                                                // n1's clock is as slow as may be, the others' as fast
	Now      func(cfg registry.Config, expiry registry.Instant) registry.Instant // true time
}

// Silent is when n2, which registered at the beginning and kept still, may be
// marked failed.
func Silent(cfg registry.Config, _ registry.Instant) registry.Instant {
	return cfg.FailedAt(trial.Epoch0)
}

// LastMoment is the last instant at which n1 may renew and nobody else claim, by
// the clocks at both ends of the skew. One nanosecond later n1 may not renew, and others may claim.
func LastMoment(cfg registry.Config, expiry registry.Instant) registry.Instant {
	return expiry.Add(cfg.Grace + cfg.MaxClockSkew - 1)
}

// contender makes one operation of a schedule. Each has a handle of its own, with
// the clock of one of the nodes.
type contender struct {
	node  int // 0 is n1
	Call  func(s *Fixture) call.Call
	Needs backend.Capability // "": none
}

var Contenders = map[string]contender{
	"claim":    {1, func(s *Fixture) call.Call { return call.Claim(s.actor, s.refs[1], registry.ClaimID{2}) }, ""},
	"retry":    {1, func(s *Fixture) call.Call { return call.Claim(s.actor, s.refs[1], registry.ClaimID{2}) }, ""}, // of the same attempt
	"rival":    {2, func(s *Fixture) call.Call { return call.Claim(s.actor, s.refs[2], registry.ClaimID{3}) }, ""},
	"renew":    {0, func(s *Fixture) call.Call { return call.Renew(s.lease) }, ""},
	"release":  {0, func(s *Fixture) call.Call { return call.Release(s.lease) }, ""},
	"transfer": {0, func(s *Fixture) call.Call { return call.Transfer(s.lease, s.refs[1]) }, ""},
	"lookup":   {2, func(s *Fixture) call.Call { return call.Lookup(s.actor) }, ""},
	"list":     {2, func(s *Fixture) call.Call { return call.ListActors(s.refs[0], 1) }, ""},
	"fail":     {2, func(s *Fixture) call.Call { return call.MarkFailed(s.refs[1]) }, ""},
	"register": {1, func(s *Fixture) call.Call {
		return call.RegisterNode(s.refs[1].ID, registry.NodeInfo{}, registry.Supersede)
	}, ""},
	"heartbeat":  {1, func(s *Fixture) call.Call { return call.Heartbeat(s.refs[1]) }, ""},
	"deregister": {1, func(s *Fixture) call.Call { return call.Deregister(s.refs[1]) }, ""},
	"node":       {2, func(s *Fixture) call.Call { return call.GetNode(s.refs[1].ID) }, ""},
	"nodes":      {2, func(s *Fixture) call.Call { return call.ListNodes(registry.AnyStatus, 2) }, ""},
	"validate":   {2, func(s *Fixture) call.Call { return call.Validate(s.actor, s.lease.Token) }, ""},
	"batch":      {0, func(s *Fixture) call.Call { return call.RenewBatchCall([]registry.Lease{s.lease, s.lease}) }, backend.BatchRenew},
	"watch":      {2, func(s *Fixture) call.Call { return call.WatchCall(s.actor, 1<<40) }, backend.Watch}, // which answers at once
	"close":      {0, func(*Fixture) call.Call { return call.CloseHandle() }, ""},

	// The same operations about something else.
	"renew-later":    {0, func(s *Fixture) call.Call { return call.Renew(s.later()) }, ""},
	"release-later":  {0, func(s *Fixture) call.Call { return call.Release(s.later()) }, ""},
	"transfer-other": {0, func(s *Fixture) call.Call { return call.Transfer(s.lease, s.refs[2]) }, ""},
	"lookup-other":   {2, func(s *Fixture) call.Call { return call.Lookup(s.other()) }, ""},
	"list-other":     {2, func(s *Fixture) call.Call { return call.ListActors(s.refs[1], 1) }, ""},
	"fail-other":     {2, func(s *Fixture) call.Call { return call.MarkFailed(s.refs[0]) }, ""},
	"register-other": {1, func(s *Fixture) call.Call {
		return call.RegisterNode(s.refs[1].ID, registry.NodeInfo{}, registry.IfAbsent)
	}, ""},
	"heartbeat-other":  {1, func(s *Fixture) call.Call { return call.Heartbeat(s.refs[2]) }, ""},
	"deregister-other": {1, func(s *Fixture) call.Call { return call.Deregister(s.refs[2]) }, ""},
	"node-other":       {2, func(s *Fixture) call.Call { return call.GetNode(s.refs[0].ID) }, ""},
	"nodes-other":      {2, func(s *Fixture) call.Call { return call.ListNodes(registry.NodeFailed, 2) }, ""},
	"validate-later":   {2, func(s *Fixture) call.Call { return call.Validate(s.actor, s.later().Token) }, ""},
	"batch-later":      {0, func(s *Fixture) call.Call { return call.RenewBatchCall([]registry.Lease{s.later(), s.lease}) }, backend.BatchRenew},
	"watch-other":      {2, func(s *Fixture) call.Call { return call.WatchCall(s.other(), 1<<40) }, backend.Watch},
}

// Offered reports whether the backend has the operation of a contender.
func Offered(t *trial.Trial, who string) bool {
	c, calls := Contenders[who]
	return !calls || (c.Needs == "" || t.Judge.Found[c.Needs]) && t.Judge.Dialect.Offers(c.Call(new(Fixture)).Kind)
}

// Ticking is the contender that moves true time by the smallest step there is.
const Ticking = "tick"

// EndsFirst is the contender that ends the context of the first.
const EndsFirst = "end"

// Situation is a start and the group that begins in it.
type Situation struct {
	start Start
	group []string
}

func (s Situation) String() string { return fmt.Sprintf("%s %v", s.start.Name, s.group) }

func Situations(groups [][]string, starts ...Start) (all []Situation) {
	for _, st := range starts {
		for _, c := range groups {
			all = append(all, Situation{st, c})
		}
	}
	return all
}

// Fixture is what the operations of a schedule are about.
type Fixture struct {
	actor registry.ActorID
	refs  [3]registry.NodeRef
	lease registry.Lease // n1's, or one that n1 only believes in
}

// later is the lease under a token that has not been granted.
func (s *Fixture) later() registry.Lease {
	l := s.lease
	l.Token++
	return l
}

// other is an actor that nobody has claimed.
func (s *Fixture) other() registry.ActorID {
	return registry.ActorID{Namespace: s.actor.Namespace, Name: s.actor.Name + "-other"}
}
