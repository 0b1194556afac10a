package conformance

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

func fencingSection() Section {
	rules := []RuleID{NoStaleWrite, "Validate.fenced", "Renew.fenced", "Release.fenced", "Transfer.fenced", TokenMonotonic}
	zombie := func(name, doc string, end func(w *lockstep, l registry.Lease, from, to *node) registry.Lease) Case {
		return Case{Name: name, Doc: doc, Rules: rules, run: func(t *trial) { t.in(t.cfg, func(w *lockstep) { w.zombies(end) }) }}
	}
	return Section{
		Name: "fencing",
		Doc:  "zombies: a holder checks, is paused, its tenure ends, and then its writes arrive",
		Cases: []Case{
			zombie("after-release", "the tenure was released and another began", func(w *lockstep, l registry.Lease, from, to *node) registry.Lease {
				w.is(from.do(release(l)), nil)
				w.is(from.do(validate(l.Actor, l.Token)), registry.ErrNotHeld) // nobody holds it yet
				return w.is(to.claim(l.Actor), nil).Lease()
			}),
			zombie("after-transfer", "the tenure was handed over", func(w *lockstep, l registry.Lease, from, to *node) registry.Lease {
				return w.is(from.do(transfer(l, to.ref)), nil).Lease()
			}),
			zombie("after-reclaim", "the lease ran out during the pause and another node claimed", func(w *lockstep, l registry.Lease, from, to *node) registry.Lease {
				w.lapse()
				return w.is(to.claim(l.Actor), nil).Lease()
			}),
			zombie("after-own-reclaim", "the lease ran out and the same node claimed again: its own earlier writes are stale too", func(w *lockstep, l registry.Lease, from, to *node) registry.Lease {
				w.lapse()
				return w.is(from.claim(l.Actor), nil).Lease()
			}),
			zombie("after-restart", "the process was restarted under its old name and claimed again when the lease had run out", func(w *lockstep, l registry.Lease, from, to *node) registry.Lease {
				w.is(from.register(registry.Supersede), nil)
				w.is(from.claim(l.Actor), registry.ErrHeld)
				w.lapse()
				return w.is(from.claim(l.Actor), nil).Lease()
			}),
			{Name: "guarded-writes", Doc: "random tenures with many late writes, each write compared with the reference", draws: true,
				Rules: []RuleID{NoStaleWrite, "Validate.granted", "Validate.fenced", "Validate.not-held"}, Needs: []Capability{ClockControl},
				run: func(t *trial) {
					t.sequences(mix{op.Claim: 16, op.Release: 8, op.Transfer: 8, op.Validate: 30, op.Renew: 4, op.RegisterNode: 2, tick: 14, drift: 4})
				}},
			{Name: "racing-writes", Doc: "several writes in flight while the tenure changes hands, checked for linearizability", draws: true,
				Rules: []RuleID{NoStaleWrite, Linearizability},
				run: func(t *trial) {
					t.scenarios(profile{clients: [2]int{3, 6}, actors: 1, rounds: 3, program: 3,
						mix:     mix{op.Claim: 10, op.Release: 7, op.Transfer: 6, op.Validate: 20, op.Renew: 3},
						between: mix{tick: 6, drift: 2}, histories: 100})
				}},
		},
	}
}

// zombies lets an actor change hands several times. After each change, every
// earlier tenure's messages arrive: its writes, two of them in flight through two
// handles, and its late renewals, hand-offs and releases. None may be accepted,
// and none may change anything.
func (w *lockstep) zombies(end func(w *lockstep, l registry.Lease, from, to *node) registry.Lease) {
	nodes := []*node{w.node("n1", 0), w.node("n2", 0), w.node("n3", 0)}
	l := w.is(nodes[0].claim(w.actor("a")), nil).Lease()
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
		l = w.is(w.holder(l).do(renew(l)), nil).Lease()
	}
}

func (w *lockstep) holder(l registry.Lease) *node {
	for _, n := range w.nodes {
		if n.ref == l.Holder {
			return n
		}
	}
	w.t.giveUp("the suite knows no node %v\n%s", l.Holder, w.table())
	return nil
}
