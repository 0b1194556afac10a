package sections

import (
	"fmt"
	"time"

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

func loadedDurableCases() []trial.Case {
	crashed := concurrent.Profile{Clients: [2]int{2, 4}, Actors: 2, Rounds: 4, Program: 3,
		Mix: traffic.Mix{op.Claim: 16, op.Renew: 8, op.Release: 8, op.Transfer: 6, op.Validate: 4, op.RegisterNode: 3, op.Heartbeat: 2,
			op.DeregisterNode: 1, op.MarkFailed: 1},
		Between: traffic.Mix{traffic.Tick: 5}, During: traffic.Mix{traffic.Crash: 1}, Histories: 60}
	shown := crashed // what somebody was shown is as good as acknowledged
	shown.Mix, shown.Histories = traffic.Mix{op.Claim: 10, op.Renew: 4, op.Release: 6, op.Transfer: 4, op.Lookup: 12, op.Validate: 4, op.ListActors: 8}, 200
	watched := crashed
	watched.Clients, watched.Actors, watched.Rounds, watched.Program = [2]int{3, 4}, 1, 6, 1
	watched.Mix, watched.Watching, watched.Histories = traffic.Mix{op.Claim: 12, op.Renew: 6, op.Release: 8, op.Transfer: 5}, true, 240
	members := crashed
	members.Mix = traffic.Mix{op.RegisterNode: 10, op.Heartbeat: 8, op.MarkFailed: 2, op.DeregisterNode: 3, op.GetNode: 16, op.ListNodes: 12}
	batches := crashed
	batches.Mix = traffic.Mix{op.Claim: 14, op.RenewBatch: 14, op.Lookup: 8, op.Release: 3, op.Transfer: 3}
	troubled := crashed // what was told not to have happened, or to be settled, is not changed by a crash
	troubled.During, troubled.Between, troubled.Histories = nil, traffic.Mix{traffic.Crash: 10, traffic.Tick: 5}, 120
	troubled.Mix = traffic.Mix{op.Claim: 16, op.Renew: 8, op.Release: 8, op.Transfer: 6, op.Lookup: 6}
	troubled.Faults = backend.Faults{Unavailable: 0.2, LostAnswer: 0.15, LostRequest: 0.15}
	underWay := func(name, doc string, p concurrent.Profile, needs ...backend.Capability) trial.Case {
		return trial.Case{Name: name, Doc: doc, Needs: append([]backend.Capability{backend.Restart}, needs...), Draws: true,
			Rules: []contract.RuleID{contract.Durability, contract.Linearizability, contract.CallsReturn},
			Run:   func(t *trial.Trial) { concurrent.Scenarios(t, p) }}
	}
	return []trial.Case{
		{Name: "many-writes", Doc: "hundreds of writes between two restarts, among them the numbers at which a log is compacted",
			Rules: []contract.RuleID{contract.Durability, contract.TokenMonotonic, contract.EpochFresh}, Needs: []backend.Capability{backend.Restart, backend.ClockControl}, Run: manyWrites},
		underWay("under-way", "the cluster crashes while operations are under way, whose callers never hear an answer", crashed),
		underWay("shown", "the cluster crashes while operations are under way, and what others had been shown of them is still true", shown),
		underWay("shown-watches", "the same of what a watch was woken by", watched, backend.Watch),
		underWay("shown-members", "the same of registrations", members),
		underWay("in-trouble", "crashes between rounds in which answers and requests are lost: what has not happened does not, and what was seen to have stays", troubled, backend.Faulty),
		underWay("batches-under-way", "the cluster crashes while batches are under way", batches, backend.BatchRenew),
	}
}

// manyWrites writes up to and over each number at which a log may be cut or
// compacted, crashes, and compares everything. The last write is the one that
// such a step forgets most easily, so it is another kind each time.
func manyWrites(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		var leases []registry.Lease
		for i := range 3 {
			leases = append(leases, w.Is(n1.Claim(w.Actor(fmt.Sprintf("a%d", i))), nil).Lease())
		}
		w.Audits = false
		writes := 5
		write := func() {
			i := writes % len(leases)
			switch l := leases[i]; writes % 7 {
			case 0, 3:
				w.Is(n1.Do(call.Release(l)), nil)
				leases[i] = w.Is(n1.Claim(l.Actor), nil).Lease()
				writes++
			case 5:
				w.Is(n2.Do(call.Heartbeat(n2.Ref)), nil)
			default:
				leases[i] = w.Is(n1.Do(call.Renew(l)), nil).Lease()
			}
			writes++
		}
		for _, upTo := range append([]int{63, 64, 65, 100, 127, 128, 129, 130, 255, 256, 257, 258}, trial.SizedBy(t, nil, []int{512, 513}, []int{511, 512, 513, 1000, 1023, 1024, 1025, 2048, 4096, 4097})...) {
			for writes < upTo {
				write()
			}
			w.Restart()
		}
		w.Is(n1.Do(call.Renew(leases[0])), nil)
		if w.T.Troubles.Load() == 0 { // a store in trouble is not asked for so much
			onceEach(w, n1)
			w.Forget()
			onceEachNode(w, n1)
		}
	})
}

// onceEach writes each of many records once between two restarts, and does so for
// each kind of write: whichever write is lost, no later one makes up for it.
func onceEach(w *lockstep.Run, n *lockstep.Node) {
	leases := make([]registry.Lease, trial.SizedBy(w.T, 140, 300, 5000))
	eachOnce(w, len(leases),
		func(i int) { leases[i] = w.Is(n.Claim(w.Actor(fmt.Sprintf("once-%d", i))), nil).Lease() },
		func(i int) { w.Is(n.Do(call.Renew(leases[i])), nil) },
		func(i int) {
			if hands := call.Transfer(leases[i], n.Ref); w.Offers(hands) {
				leases[i] = w.Is(n.Do(hands), nil).Lease()
			}
		},
		func(i int) { w.Is(n.Do(call.Release(leases[i])), nil) },
	)
	if !w.T.Judge.Found[backend.BatchRenew] {
		return
	}
	for i := range leases[:9] {
		leases[i] = w.Is(n.Claim(leases[i].Actor), nil).Lease()
	}
	for upTo := range 9 { // nothing else is written that could take a batch along
		w.Is(n.Do(call.RenewBatchCall(leases[upTo/2:upTo+1])), nil)
		w.Restart()
	}
}

// onceEachNode is onceEach for what becomes of nodes.
func onceEachNode(w *lockstep.Run, n *lockstep.Node) {
	nodes := make([]registry.NodeRef, trial.SizedBy(w.T, 140, 300, 5000))
	if !w.Offers(call.Heartbeat(n.Ref)) {
		return
	}
	eachOnce(w, len(nodes),
		func(i int) {
			nodes[i] = w.Is(n.Do(call.RegisterNode(registry.NodeID(fmt.Sprintf("once-%d", i)), registry.NodeInfo{}, registry.IfAbsent)), nil).Node.Ref
		},
		func(i int) {
			w.Advance(time.Millisecond)
			w.Is(n.Do(call.Heartbeat(nodes[i])), nil)
		},
		func(i int) {
			if i == 0 {
				w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew)
			}
			w.Is(n.Do(call.MarkFailed(nodes[i])), nil)
		},
		func(i int) { w.Is(n.Do(call.Deregister(nodes[i])), nil) },
	)
}

// eachOnce makes so many writes of each kind, and restarts after each kind.
func eachOnce(w *lockstep.Run, many int, writes ...func(i int)) {
	for _, write := range writes {
		for i := range many {
			write(i)
		}
		w.Restart()
	}
}

// crashedWatchers has watches wait when the cluster crashes, and afterwards has new ones
// see changes of records of every kind that were there before.
func crashedWatchers(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		var leases []registry.Lease
		for i := range 3 {
			leases = append(leases, w.Is(n1.Claim(w.Actor(fmt.Sprintf("a%d", i))), nil).Lease())
		}
		changes := []func(l registry.Lease) call.Call{
			func(l registry.Lease) call.Call { return call.Renew(l) },
			func(l registry.Lease) call.Call { return call.Transfer(l, n2.Ref) },
			func(l registry.Lease) call.Call { return call.Release(l) },
			func(l registry.Lease) call.Call { return call.Claim(l.Actor, n2.Ref, w.ClaimID()) }, // of what was released
		}
		for round := range 4 {
			a, seen := leases[0].Actor, leases[0].Version
			var waiting []*lockstep.Watching
			for i := range 6 {
				waiting = append(waiting, w.Watching(w.T.Ctx, []*lockstep.Node{n1, n2}[i%2], a, seen))
			}
			w.Settle()
			w.Restart()
			for _, k := range waiting {
				k.Stop()
				k.Wait() // whatever it says: its process is gone
			}
			w.Steps = w.Steps[:len(w.Steps)-len(waiting)]
			for i, l := range leases {
				change := changes[i+round*(i/2)%2] // the last is released and claimed by turns
				k := w.Waits(n2, l.Actor, l.Version)
				got := w.Is(n1.Do(change(l)), nil)
				w.Woken(k)
				if leases[i].Version = w.Version(l.Actor); got.Record.Held() {
					leases[i] = got.Lease()
				}
			}
		}
	})
}
