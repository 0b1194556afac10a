package sections

import (
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/concurrent"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

func purgeSection() trial.Section {
	rules := []contract.RuleID{contract.PurgeSpares, contract.TokenMonotonic, contract.VersionBump, contract.NoStaleWrite}
	needs := func(more ...backend.Capability) []backend.Capability {
		return append([]backend.Capability{backend.Purging, backend.ClockControl}, more...)
	}
	calls := traffic.Mix{op.Claim: 20, op.Renew: 8, op.Release: 12, op.Transfer: 5, op.Lookup: 4, op.Validate: 6, op.ListActors: 1,
		op.RegisterNode: 4, op.DeregisterNode: 4, traffic.Tick: 24, traffic.Drift: 4, traffic.Purge: 14}
	crashing := traffic.Mix{op.Claim: 16, op.Renew: 4, op.Release: 12, op.Transfer: 3, op.Validate: 3, op.RegisterNode: 2, op.DeregisterNode: 2,
		traffic.Tick: 18, traffic.Purge: 12, traffic.Crash: 12}
	racing := concurrent.Profile{Clients: [2]int{2, 4}, Nodes: 3, Actors: 2, Rounds: 5, Program: 2,
		Mix:     traffic.Mix{op.Claim: 20, op.Renew: 5, op.Release: 12, op.Transfer: 2, op.Validate: 6, op.Lookup: 3, op.DeregisterNode: 1, op.RegisterNode: 1},
		Between: traffic.Mix{traffic.Tick: 8, traffic.Purge: 2}, During: traffic.Mix{traffic.Purge: 6, traffic.Tick: 2}, Histories: 100}
	troubled := racing
	troubled.Histories = 80
	troubled.Faults = backend.Faults{Unavailable: 0.05, LostAnswer: 0.1, LostRequest: 0.05, Late: 0.1}
	return trial.Section{
		Name: "purge",
		Doc:  "a store that forgets is told to: what comes late is refused, and who comes next starts above the floor",
		Cases: []trial.Case{
			{Name: "late-calls", Doc: "writes, renewals, hand-offs and releases of tenures from before a purge, before the actor is claimed again and after it",
				Rules: rules, Needs: needs(), Run: lateAfterPurge},
			{Name: "spares", Doc: "what is live, in grace, not yet reclaimable, or of an active node is not forgotten, by clocks that differ and at each boundary",
				Rules: rules, Needs: needs(), Run: purgeSpares},
			{Name: "many-names", Doc: "actors with tokens of every height are forgotten, the low ones last, and claimed again",
				Rules: rules, Needs: needs(), Run: purgesMany},
			{Name: "random", Doc: "random sequences with purges between any two steps", Draws: true, Rules: rules, Needs: needs(),
				Run: func(t *trial.Trial) { lockstep.Sequences(t, calls) }},
			{Name: "racing", Doc: "purges while others claim, renew and release, checked for linearizability", Draws: true, Needs: needs(),
				Rules: append([]contract.RuleID{contract.Linearizability}, rules...), Run: func(t *trial.Trial) { concurrent.Scenarios(t, racing) }},
			{Name: "restarts", Doc: "purges and restarts between any two steps: the floor is still there", Draws: true, Needs: needs(backend.Restart),
				Rules: append([]contract.RuleID{contract.Durability}, rules...), Run: func(t *trial.Trial) { lockstep.Sequences(t, crashing) }},
			{Name: "faults", Doc: "purges while requests and answers are lost or late: a claim of unknown outcome is not granted again under its token", Draws: true, Needs: needs(backend.Faulty),
				Rules: append([]contract.RuleID{contract.AmbiguousTruth}, rules...), Run: func(t *trial.Trial) { concurrent.Scenarios(t, troubled) }},
		},
	}
}

// lateAfterPurge ends tenures in every way, lets them be forgotten, and sends what
// their holders still had under way.
func lateAfterPurge(t *trial.Trial) {
	ends := map[string]func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) []registry.Lease{
		"released": func(w *lockstep.Run, l registry.Lease, from, _ *lockstep.Node) []registry.Lease {
			w.Is(from.Do(call.Release(l)), nil)
			return nil
		},
		"handed over and released": func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) []registry.Lease {
			next := from.Do(call.Transfer(l, to.Ref))
			if next.Err != nil { // not in the dialect
				return nil
			}
			w.Is(to.Do(call.Release(next.Lease())), nil)
			return []registry.Lease{next.Lease()}
		},
		"left by a node that deregistered": func(w *lockstep.Run, l registry.Lease, from, _ *lockstep.Node) []registry.Lease {
			from.Do(call.Deregister(from.Ref))
			return nil
		},
		"left by a process that was replaced": func(_ *lockstep.Run, _ registry.Lease, from, _ *lockstep.Node) []registry.Lease {
			from.Register(registry.Supersede)
			return nil
		},
	}
	for _, how := range []string{"released", "handed over and released", "left by a node that deregistered", "left by a process that was replaced"} {
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
			from, to := w.Node("n1", 0), w.Node("n2", 0)
			l := w.Is(from.Claim(w.Actor("a")), nil).Lease()
			l = w.Is(from.Do(call.Renew(l)), nil).Lease()
			past := append([]registry.Lease{l}, ends[how](w, l, from, to)...)
			for range 3 {
				w.Lapse()
				to.Purge()
				late(past, from, to)
				next := w.Is(to.Claim(l.Actor), nil).Lease()
				late(past, from, to)
				w.Is(to.Do(call.Validate(next.Actor, next.Token)), nil)
				next = w.Is(to.Do(call.Renew(next)), nil).Lease()
				w.Is(to.Do(call.Release(next)), nil)
				past = append(past, next)
			}
		})
	}
}

// late makes every call that presents one of the tenures, through both handles, and the
// claim of the latest again.
func late(past []registry.Lease, from, to *lockstep.Node) {
	for _, l := range past {
		for _, via := range []*lockstep.Node{from, to} {
			via.Do(call.Validate(l.Actor, l.Token))
			via.Do(call.Renew(l))
			via.Do(call.Transfer(l, to.Ref))
			via.Do(call.Release(l))
			via.Do(call.Lookup(l.Actor))
		}
	}
}

// purgeSpares purges with the holders' leases at each boundary, by the clocks that are
// furthest apart.
func purgeSpares(t *trial.Trial) {
	for _, cfg := range t.Configs() {
		for _, at := range lockstep.Boundaries(cfg) {
			lockstep.In(t, cfg, func(w *lockstep.Run) {
				active, gone, janitor := w.Node("n1", -cfg.MaxClockSkew), w.Node("n2", 0), w.Node("n3", cfg.MaxClockSkew)
				var leases []registry.Lease
				for i, n := range []*lockstep.Node{active, gone, active} {
					leases = append(leases, w.Is(n.Claim(w.Actor(fmt.Sprintf("a%d", i))), nil).Lease())
				}
				gone.Do(call.Deregister(gone.Ref))
				w.Is(active.Do(call.Release(leases[2])), nil)
				for _, by := range []*lockstep.Node{janitor, active} {
					w.Until(by, max(leases[0].Expiry.Add(at), by.Clock.Now()))
					by.Purge()
					for i, l := range leases {
						janitor.Do(call.Lookup(l.Actor))
						[]*lockstep.Node{active, gone, active}[i].Do(call.Renew(l))
					}
				}
				for _, l := range leases {
					janitor.Claim(l.Actor)
				}
			})
		}
	}
}

// purgesMany lets actors reach tokens of every height and has them forgotten, then
// others that have the lowest, and claims all of them again.
func purgesMany(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		w.Audits = false // each claim's answer tells what it started from
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		many := trial.SizedBy(t, 80, 400, 2000)
		claim := func(i int) registry.Lease {
			return w.Is(n1.Claim(w.Actor(fmt.Sprintf("a%d", i))), nil).Lease()
		}
		release := func(l registry.Lease) { w.Is(n1.Do(call.Release(l)), nil) }
		for i := 1; i < many; i += 2 {
			for range 2 + i%4 {
				release(claim(i))
			}
		}
		w.Lapse()
		var low []registry.Lease
		for i := 0; i < many; i += 2 {
			low = append(low, claim(i))
		}
		n2.Purge() // of the high ones: the low ones are live
		for _, l := range low {
			release(l)
		}
		w.Lapse()
		n2.Purge()
		for i := range many {
			release(claim(i))
		}
	})
}
