package conformance

import (
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

func durableSection() Section {
	needs := []Capability{Restart}
	return Section{
		Name: "durable",
		Doc:  "kill -9 and restart: what was acknowledged is still there, tokens and epochs never go back",
		Cases: append([]Case{
			{Name: "keeps-everything", Doc: "records and nodes in every state, ten restarts, and life goes on where it was",
				Rules: []RuleID{Durability, TokenMonotonic, EpochFresh}, Needs: needs, run: keepsEverything},
			{Name: "after-every-step", Doc: "random sequences with a restart between any two steps", draws: true,
				Rules: []RuleID{Durability, TokenMonotonic, VersionBump}, Needs: []Capability{Restart, ClockControl},
				run: func(t *trial) {
					t.sequences(mix{op.Claim: 16, op.Renew: 8, op.Release: 8, op.Transfer: 8, op.RegisterNode: 6, op.Heartbeat: 3, op.MarkFailed: 3,
						op.DeregisterNode: 3, op.Validate: 3, tick: 10, drift: 3, crash: 20})
				}},
			{Name: "between-rounds", Doc: "concurrent histories with restarts between the rounds, checked for linearizability", draws: true,
				Rules: []RuleID{Durability, Linearizability}, Needs: needs,
				run: func(t *trial) {
					t.scenarios(profile{clients: [2]int{2, 5}, actors: 2, rounds: 4, program: 2,
						mix:     mix{op.Claim: 16, op.Renew: 8, op.Release: 8, op.Transfer: 6, op.Validate: 6, op.RegisterNode: 3, op.Heartbeat: 2},
						between: mix{crash: 10, tick: 5}, histories: 60})
				}},
		}, loadedDurableCases()...),
	}
}

func keepsEverything(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		id := w.claimID()
		held := w.is(n1.do(claim(w.actor("held"), n1.ref, id)), nil).Lease()
		released := w.is(n1.claim(w.actor("released")), nil).Lease()
		w.is(n1.do(release(released)), nil)
		moved := w.is(n1.claim(w.actor("moved")), nil).Lease()
		moved = w.is(n1.do(transfer(moved, n2.ref)), nil).Lease()
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
		held = w.is(n1.do(renew(held)), nil).Lease()
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
