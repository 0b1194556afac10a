package conformance

import (
	"fmt"

	"github.com/kelpie-registry/registry"
)

func fencingSection() Section {
	rules := []RuleID{NoStaleWrite, "Validate.fenced", "Renew.fenced", "Release.fenced", "Transfer.fenced", TokenMonotonic}
	zombie := func(name, doc string, end func(w *world, l registry.Lease, from, to *node) registry.Lease) Case {
		return Case{Name: name, Doc: doc, Rules: rules, run: func(t *trial) { t.in(t.cfg, func(w *world) { w.zombies(end) }) }}
	}
	return Section{
		Name: "fencing",
		Doc:  "zombies: a holder checks, is paused, its tenure ends, and then its writes arrive",
		Cases: []Case{
			zombie("after-release", "the tenure was released and another began", func(w *world, l registry.Lease, from, to *node) registry.Lease {
				w.is(from.do(release(l)), nil)
				w.is(from.do(validate(l.Actor, l.Token)), registry.ErrNotHeld) // nobody holds it yet
				return w.is(to.claim(l.Actor), nil).lease()
			}),
			zombie("after-transfer", "the tenure was handed over", func(w *world, l registry.Lease, from, to *node) registry.Lease {
				return w.is(from.do(transfer(l, to.ref)), nil).lease()
			}),
			zombie("after-reclaim", "the lease ran out during the pause and another node claimed", func(w *world, l registry.Lease, from, to *node) registry.Lease {
				w.lapse()
				return w.is(to.claim(l.Actor), nil).lease()
			}),
			zombie("after-own-reclaim", "the lease ran out and the same node claimed again: its own earlier writes are stale too", func(w *world, l registry.Lease, from, to *node) registry.Lease {
				w.lapse()
				return w.is(from.claim(l.Actor), nil).lease()
			}),
			zombie("after-restart", "the process was restarted under its old name and claimed again when the lease had run out", func(w *world, l registry.Lease, from, to *node) registry.Lease {
				w.is(from.register(registry.Supersede), nil)
				w.is(from.claim(l.Actor), registry.ErrHeld)
				w.lapse()
				return w.is(from.claim(l.Actor), nil).lease()
			}),
			{Name: "guarded-writes", Doc: "random tenures with many late writes, each write compared with the reference", draws: true,
				Rules: []RuleID{NoStaleWrite, "Validate.granted", "Validate.fenced", "Validate.not-held"}, Needs: []Capability{ClockControl},
				run: func(t *trial) {
					t.sequences(mix{"Claim": 16, "Release": 8, "Transfer": 8, "Validate": 30, "Renew": 4, "RegisterNode": 2, kindTick: 14, kindDrift: 4})
				}},
			{Name: "racing-writes", Doc: "several writes in flight while the tenure changes hands, checked for linearizability", draws: true,
				Rules: []RuleID{NoStaleWrite, Linearizability},
				run: func(t *trial) {
					t.performAll(profile{clients: [2]int{3, 6}, actors: 1, rounds: 3, program: 3,
						mix:     mix{"Claim": 10, "Release": 7, "Transfer": 6, "Validate": 20, "Renew": 3},
						between: mix{kindTick: 6, kindDrift: 2}, histories: 100})
				}},
		},
	}
}

// zombies lets an actor change hands several times. After each change, every
// earlier tenure's messages arrive: its writes, two of them in flight through two
// handles, and its late renewals, hand-offs and releases. None may be accepted,
// and none may change anything.
func (w *world) zombies(end func(w *world, l registry.Lease, from, to *node) registry.Lease) {
	nodes := []*node{w.node("n1", 0), w.node("n2", 0), w.node("n3", 0)}
	l := w.is(nodes[0].claim(w.actor("a")), nil).lease()
	past := []registry.Lease{}
	for generation := range 4 {
		holder, heir := w.holder(l), nodes[(generation+1)%len(nodes)]
		w.is(holder.do(validate(l.Actor, l.Token)), nil) // the check, before the pause
		past = append(past, l)
		l = end(w, l, holder, heir)
		w.is(w.holder(l).do(validate(l.Actor, l.Token)), nil)
		for _, old := range past {
			for _, via := range nodes[:2] {
				w.is(via.do(validate(old.Actor, old.Token)), registry.ErrFenced)
			}
			w.is(holder.do(renew(old)), registry.ErrFenced)
			w.is(holder.do(transfer(old, holder.ref)), registry.ErrFenced)
			w.is(holder.do(release(old)), registry.ErrFenced)
		}
		w.is(w.holder(l).do(validate(l.Actor, l.Token)), nil)
		l = w.is(w.holder(l).do(renew(l)), nil).lease()
	}
}

func (w *world) holder(l registry.Lease) *node {
	for _, n := range w.nodes {
		if n.ref == l.Holder {
			return n
		}
	}
	w.t.giveUp("the suite knows no node %v\n%s", l.Holder, w.table())
	return nil
}

func durableSection() Section {
	needs := []Capability{Restart}
	return Section{
		Name: "durable",
		Doc:  "kill -9 and restart: what was acknowledged is still there, tokens and epochs never go back",
		Cases: []Case{
			{Name: "keeps-everything", Doc: "records and nodes in every state, ten restarts, and life goes on where it was",
				Rules: []RuleID{Durability, TokenMonotonic, EpochFresh}, Needs: needs, run: keepsEverything},
			{Name: "after-every-step", Doc: "random sequences with a restart between any two steps", draws: true,
				Rules: []RuleID{Durability, TokenMonotonic, VersionBump}, Needs: []Capability{Restart, ClockControl},
				run: func(t *trial) {
					t.sequences(mix{"Claim": 16, "Renew": 8, "Release": 8, "Transfer": 8, "RegisterNode": 6, "Heartbeat": 3, "MarkFailed": 3,
						"DeregisterNode": 3, "Validate": 3, kindTick: 10, kindDrift: 3, kindCrash: 20})
				}},
			{Name: "between-rounds", Doc: "concurrent histories with restarts between the rounds, checked for linearizability", draws: true,
				Rules: []RuleID{Durability, Linearizability}, Needs: needs,
				run: func(t *trial) {
					t.performAll(profile{clients: [2]int{2, 5}, actors: 2, rounds: 4, program: 2,
						mix:     mix{"Claim": 16, "Renew": 8, "Release": 8, "Transfer": 6, "Validate": 6, "RegisterNode": 3, "Heartbeat": 2},
						between: mix{kindCrash: 10, kindTick: 5}, histories: 60})
				}},
		},
	}
}

func keepsEverything(t *trial) {
	t.in(t.cfg, func(w *world) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		id := w.claimID()
		held := w.is(n1.do(claim(w.actor("held"), n1.ref, id)), nil).lease()
		released := w.is(n1.claim(w.actor("released")), nil).lease()
		w.is(n1.do(release(released)), nil)
		moved := w.is(n1.claim(w.actor("moved")), nil).lease()
		moved = w.is(n1.do(transfer(moved, n2.ref)), nil).lease()
		for i := range 12 {
			w.is(n2.claim(w.actor(fmt.Sprintf("more-%d", i))), nil)
		}
		left, again := w.node("left", 0), w.node("again", 0)
		w.is(left.do(deregister(left.ref)), nil)
		w.is(again.register(registry.Supersede), nil)
		for range 10 {
			w.restart()
		}
		w.is(n1.do(claim(held.Actor, n1.ref, id)), nil) // still the same attempt
		w.is(n2.claim(held.Actor), registry.ErrHeld)
		held = w.is(n1.do(renew(held)), nil).lease()
		w.is(n1.do(validate(released.Actor, released.Token)), registry.ErrNotHeld)
		w.is(n2.claim(released.Actor), nil) // with a token above the one before
		w.is(n1.do(release(released)), registry.ErrFenced)
		w.is(n2.do(transfer(moved, n1.ref)), nil)
		w.is(left.register(registry.IfAbsent), nil) // with an epoch above the one before
		w.is(again.register(registry.IfAbsent), registry.ErrNodeExists)
		w.restart()
		w.is(n1.do(renew(held)), nil)
		w.is(n1.do(listActors(n2.ref, 5)), nil)
		w.fail(n1, again)
		w.restart()
		w.is(again.do(heartbeat(again.ref)), registry.ErrNodeFailed) // failed for good
	})
}

func faultsSection() Section {
	alone := profile{clients: [2]int{1, 1}, actors: 1, rounds: 3, program: 4,
		mix:     mix{"Claim": 20, "Renew": 10, "Release": 8, "Transfer": 5, "Lookup": 8, "Validate": 3, "RegisterNode": 2, "Heartbeat": 4, "GetNode": 1},
		between: mix{kindTick: 4, kindDrift: 2}, histories: 120}
	race := alone
	race.clients, race.rounds, race.program, race.histories = [2]int{2, 4}, 2, 2, 120
	retry := race
	retry.nodes, retry.mix = 2, mix{"Claim": 20, "Release": 4, "Lookup": 3}
	with := func(p profile, f Faults) profile { p.faults = f; return p }
	faulty := func(name, doc string, p profile) Case {
		return Case{Name: name, Doc: doc, Needs: []Capability{Faulty}, draws: true,
			Rules: []RuleID{AmbiguousTruth, Linearizability, TokenMonotonic, "Claim.repeated"},
			run:   func(t *trial) { t.performAll(p) }}
	}
	return Section{
		Name: "faults",
		Doc:  "a store in trouble: each error tells the truth about the outcome, and a claim can be repeated safely under its ClaimID",
		Cases: []Case{
			faulty("unavailable", "the store refuses, and nothing happens", with(alone, Faults{Unavailable: 0.4})),
			faulty("lost-answers", "it happened, and the answer is lost", with(alone, Faults{LostAnswer: 0.4})),
			faulty("lost-requests", "it did not happen, and nobody can know", with(alone, Faults{LostRequest: 0.4})),
			faulty("late-requests", "it may happen later than told", with(alone, Faults{Late: 0.3})),
			faulty("claim-retry", "claims are repeated under their ClaimID while others claim", with(retry, Faults{LostAnswer: 0.25, LostRequest: 0.15})),
			faulty("everything", "all troubles at once while several clients race", with(race, Faults{Unavailable: 0.1, LostAnswer: 0.1, LostRequest: 0.1, Late: 0.05})),
		},
	}
}
