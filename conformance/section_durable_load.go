package conformance

import (
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

func loadedDurableCases() []Case {
	return []Case{
		{Name: "many-writes", Doc: "hundreds of writes between two restarts, among them the numbers at which a log is compacted",
			Rules: []RuleID{Durability, TokenMonotonic, EpochFresh}, Needs: []Capability{Restart, ClockControl}, run: manyWrites},
		{Name: "under-way", Doc: "the cluster crashes while operations are under way, whose callers never hear an answer", draws: true,
			Rules: []RuleID{Durability, Linearizability, CallsReturn}, Needs: []Capability{Restart},
			run: func(t *trial) {
				t.scenarios(profile{clients: [2]int{2, 4}, actors: 2, rounds: 4, program: 3,
					mix: mix{op.Claim: 16, op.Renew: 8, op.Release: 8, op.Transfer: 6, op.Validate: 4, op.RegisterNode: 3, op.Heartbeat: 2,
						op.DeregisterNode: 1, op.MarkFailed: 1},
					between: mix{tick: 5}, during: mix{crash: 1}, histories: 60})
			}},
	}
}

// manyWrites writes up to and over each number at which a log may be cut or
// compacted, crashes, and compares everything. The last write is the one that
// such a step forgets most easily, so it is another kind each time.
func manyWrites(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		var leases []registry.Lease
		for i := range 3 {
			leases = append(leases, w.is(n1.claim(w.actor(fmt.Sprintf("a%d", i))), nil).Lease())
		}
		w.audits = false
		writes := 5
		write := func() {
			i := writes % len(leases)
			switch l := leases[i]; writes % 7 {
			case 0, 3:
				w.is(n1.do(release(l)), nil)
				leases[i] = w.is(n1.claim(l.Actor), nil).Lease()
				writes++
			case 5:
				w.is(n2.do(heartbeat(n2.ref)), nil)
			default:
				leases[i] = w.is(n1.do(renew(l)), nil).Lease()
			}
			writes++
		}
		for _, upTo := range append([]int{63, 64, 65, 100, 127, 128, 129, 130, 255, 256, 257, 258}, sizedBy(t, nil, []int{512, 513}, []int{511, 512, 513, 1000, 1023, 1024, 1025, 2048, 4096, 4097})...) {
			for writes < upTo {
				write()
			}
			w.restart()
		}
		w.is(n1.do(renew(leases[0])), nil)
		if w.t.troubles.Load() == 0 { // a store in trouble is not asked for so much
			w.onceEach(n1)
		}
	})
}

// onceEach writes each of many records once between two restarts, and does so for
// each kind of write: whichever write is lost, no later one makes up for it.
func (w *lockstep) onceEach(n *node) {
	leases := make([]registry.Lease, sizedBy(w.t, 140, 300, 5000))
	for _, write := range []func(i int){
		func(i int) { leases[i] = w.is(n.claim(w.actor(fmt.Sprintf("once-%d", i))), nil).Lease() },
		func(i int) { w.is(n.do(renew(leases[i])), nil) },
		func(i int) { w.is(n.do(release(leases[i])), nil) },
	} {
		for i := range leases {
			write(i)
		}
		w.restart()
	}
}

func crashedWatchers(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		a := w.actor("a")
		l := w.is(n1.claim(a), nil).Lease()
		for range 3 {
			var waiting []*watching
			for i := range 6 {
				waiting = append(waiting, w.watching(w.t.ctx, []*node{n1, n2}[i%2], a, l.Version))
			}
			w.settle()
			w.restart()
			for _, k := range waiting {
				k.stop()
				k.wait() // whatever it says: its process is gone
			}
			w.steps = w.steps[:len(w.steps)-len(waiting)]
			l = w.wakes(n2, a, l.Version, func() registry.Lease { return w.is(n1.do(renew(l)), nil).Lease() })
		}
	})
}
