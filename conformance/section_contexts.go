package conformance

import (
	"time"

	"github.com/kelpie-registry/registry"
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
	freeActor = start{name: "free", now: silent}
	liveActor = start{name: "live", claimed: true, now: func(_ registry.Config, expiry registry.Instant) registry.Instant {
		return expiry.Add(-time.Nanosecond)
	}}
	reclaimableActor = start{name: "reclaimable", claimed: true, now: func(cfg registry.Config, expiry registry.Instant) registry.Instant {
		return lastMoment(cfg, expiry) + registry.Instant(cfg.MaxClockSkew) + 1
	}}
	troubledStarts = []start{freeActor, liveActor, reclaimableActor}
)

func contextsSection() Section {
	rules := []RuleID{AmbiguousTruth, ContextOwn, ErrorIdentity, Linearizability, CallsReturn}
	random := profile{clients: [2]int{2, 5}, actors: 2, rounds: 3, program: 3, endings: true,
		mix: mix{op.Claim: 20, op.Renew: 10, op.Release: 10, op.Transfer: 8, op.Lookup: 4, op.Validate: 4, op.ListActors: 2, op.RegisterNode: 5,
			op.Heartbeat: 3, op.MarkFailed: 4, op.DeregisterNode: 3, op.GetNode: 2, op.ListNodes: 2},
		between: mix{tick: 6, drift: 2}, histories: 150}
	batches := random
	batches.mix, batches.histories = mix{op.Claim: 14, op.RenewBatch: 14, op.Release: 3, op.Transfer: 3}, 50
	return Section{
		Name: "contexts",
		Doc:  "contexts that end before, during and after the effect of a call: a plain context error says that nothing happened, and nothing stays locked",
		Cases: []Case{
			{Name: "one-call", Doc: "the context of one call ends at every point at which the backend looks at it or reads its clock",
				Rules: append([]RuleID{ContextThird}, rules...), run: func(t *trial) { t.interferences(everyNth(t.capable(endingCalls()), sizedBy(t, 3, 1, 1))) }},
			{Name: "while-waiting", Doc: "one call is stopped while it reads its clock, another waits for it, and the context of one of them ends",
				Rules: rules, Needs: []Capability{ClockControl}, run: func(t *trial) { t.interferences(everyNth(t.capable(waitingCalls()), sizedBy(t, 7, 3, 1))) }},
			{Name: "joined", Doc: "two equal calls at the same time, and the context of the first ends",
				Rules: rules, run: func(t *trial) { t.interferences(t.capable(joinedCalls())) }},
			{Name: "many-waiters", Doc: "hundreds of calls wait behind one that is stopped while it reads its clock, until their contexts end",
				Rules: []RuleID{CallsReturn, AmbiguousTruth}, Needs: []Capability{ClockControl}, run: manyWaiters},
			{Name: "random", Doc: "clients race while the contexts of half of their calls end, checked for linearizability", draws: true,
				Rules: rules, run: func(t *trial) { t.scenarios(random) }},
			{Name: "random-batches", Doc: "batches whose contexts end among other operations", draws: true,
				Rules: rules, Needs: []Capability{BatchRenew}, run: func(t *trial) { t.scenarios(batches) }},
		},
	}
}

// endingCalls are single calls whose context ends in every way.
func endingCalls() (all []interference) {
	for _, st := range troubledStarts {
		for _, who := range everyKind {
			for e := atLook1; e < nEndings; e++ {
				all = append(all, interference{start: st, first: who, ends: [2]ending{e}})
			}
		}
	}
	return all
}

// waitingCalls are a call that is stopped and one that may have to wait for it.
func waitingCalls() (all []interference) {
	for i, st := range troubledStarts {
		for j, first := range changing {
			for k, second := range everyKind {
				for whose := range 3 {
					all = append(all, interference{start: st, first: first, second: second, shared: (i+j+k+whose)%2 == 0, stop: atReading, whose: whose})
				}
				all = append(all, interference{start: st, first: first, second: second, shared: (j+k)%2 == 0, stop: atLook1 + ending((i+j+k)%3)})
			}
		}
	}
	return all
}

// joinedCalls are two equal calls, which a backend may like to make once: the
// context of the first ends, and the second is none the worse for it.
func joinedCalls() (all []interference) {
	for i, who := range everyKind {
		for stop := atLook1; stop <= atReading; stop++ {
			all = append(all, interference{start: troubledStarts[(i+int(stop))%2], first: who, second: who, shared: i%2 == 0, stop: stop, whose: 1})
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
func (t *trial) capable(all []interference) (list []interference) {
	can := func(who string) bool {
		need := contenders[who].needs
		return (need == "" || t.judge.found[need]) && t.judge.dialect.Offers(contenders[who].call(new(fixture)).Kind)
	}
	for _, x := range all {
		if can(x.first) && (x.second == "" || can(x.second)) {
			list = append(list, x)
		}
	}
	return list
}
