package sections

import (
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

func fencingSection() trial.Section {
	rules := []contract.RuleID{contract.NoStaleWrite, "Validate.fenced", "Renew.fenced", "Release.fenced", "Transfer.fenced", contract.TokenMonotonic}
	zombie := func(name, doc string, end func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) registry.Lease) trial.Case {
		return trial.Case{Name: name, Doc: doc, Rules: rules, Run: func(t *trial.Trial) { lockstep.In(t, t.Cfg, func(w *lockstep.Run) { zombies(w, end) }) }}
	}
	return trial.Section{
		Name: "fencing",
		Doc:  "zombies: a holder checks, is paused, its tenure ends, and then its writes arrive",
		Cases: []trial.Case{
			zombie("after-release", "the tenure was released and another began", func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) registry.Lease {
				w.Is(from.Do(call.Release(l)), nil)
				w.Is(from.Do(call.Validate(l.Actor, l.Token)), registry.ErrNotHeld) // nobody holds it yet
				return w.Is(to.Claim(l.Actor), nil).Lease()
			}),
			zombie("after-transfer", "the tenure was handed over", func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) registry.Lease {
				return w.Is(from.Do(call.Transfer(l, to.Ref)), nil).Lease()
			}),
			zombie("after-reclaim", "the lease ran out during the pause and another node claimed", func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) registry.Lease {
				w.Lapse()
				return w.Is(to.Claim(l.Actor), nil).Lease()
			}),
			zombie("after-own-reclaim", "the lease ran out and the same node claimed again: its own earlier writes are stale too", func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) registry.Lease {
				w.Lapse()
				return w.Is(from.Claim(l.Actor), nil).Lease()
			}),
			zombie("after-restart", "the process was restarted under its old name and claimed again when the lease had run out", func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) registry.Lease {
				w.Is(from.Register(registry.Supersede), nil)
				w.Is(from.Claim(l.Actor), registry.ErrHeld)
				w.Lapse()
				return w.Is(from.Claim(l.Actor), nil).Lease()
			}),
			{Name: "guarded-writes", Doc: "random tenures with many late writes, each write compared with the reference", Draws: true,
				Rules: []contract.RuleID{contract.NoStaleWrite, "Validate.granted", "Validate.fenced", "Validate.not-held"}, Needs: []backend.Capability{backend.ClockControl},
				Run: func(t *trial.Trial) {
					lockstep.Sequences(t, traffic.Mix{op.Claim: 16, op.Release: 8, op.Transfer: 8, op.Validate: 30, op.Renew: 4, op.RegisterNode: 2, traffic.Tick: 14, traffic.Drift: 4})
				}},
			{Name: "racing-writes", Doc: "several writes in flight while the tenure changes hands, checked for linearizability", Draws: true,
				Rules: []contract.RuleID{contract.NoStaleWrite, contract.Linearizability},
				Run: func(t *trial.Trial) {
					concurrent.Scenarios(t, concurrent.Profile{Clients: [2]int{3, 6}, Actors: 1, Rounds: 3, Program: 3,
						Mix:     traffic.Mix{op.Claim: 10, op.Release: 7, op.Transfer: 6, op.Validate: 20, op.Renew: 3},
						Between: traffic.Mix{traffic.Tick: 6, traffic.Drift: 2}, Histories: 100})
				}},
		},
	}
}

// zombies lets an actor change hands several times. After each change, every
// earlier tenure's messages arrive: its writes, two of them in flight through two
// handles, and its late renewals, hand-offs and releases. None may be accepted,
// and none may change anything.
func zombies(w *lockstep.Run, end func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) registry.Lease) {
	nodes := []*lockstep.Node{w.Node("n1", 0), w.Node("n2", 0), w.Node("n3", 0)}
	l := w.Is(nodes[0].Claim(w.Actor("a")), nil).Lease()
	past := []registry.Lease{}
	for generation := range 4 {
		from, heir := holder(w, l), nodes[(generation+1)%len(nodes)]
		w.Is(from.Do(call.Validate(l.Actor, l.Token)), nil) // the check, before the pause
		past = append(past, l)
		l = end(w, l, from, heir)
		w.Is(holder(w, l).Do(call.Validate(l.Actor, l.Token)), nil)
		for _, old := range past {
			for _, via := range nodes[:2] {
				w.Is(via.Do(call.Validate(old.Actor, old.Token)), registry.ErrFenced)
			}
			w.Is(from.Do(call.Renew(old)), registry.ErrFenced)
			w.Is(from.Do(call.Transfer(old, from.Ref)), registry.ErrFenced)
			w.Is(from.Do(call.Release(old)), registry.ErrFenced)
		}
		w.Is(holder(w, l).Do(call.Validate(l.Actor, l.Token)), nil)
		l = w.Is(holder(w, l).Do(call.Renew(l)), nil).Lease()
	}
}

func holder(w *lockstep.Run, l registry.Lease) *lockstep.Node {
	for _, n := range w.Nodes {
		if n.Ref == l.Holder {
			return n
		}
	}
	w.T.GiveUp("the suite knows no node %v\n%s", l.Holder, w.Table())
	return nil
}
