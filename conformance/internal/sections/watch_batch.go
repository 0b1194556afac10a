package sections

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

// watchCases and batchCases are about the two optional interfaces where they are
// used otherwise than one at a time.
func watchCases() []trial.Case {
	watch := func(name, doc string, run func(*lockstep.Run)) trial.Case {
		return trial.Case{Name: name, Doc: doc, Rules: []contract.RuleID{contract.WatchWakes, contract.CallsReturn}, Needs: []backend.Capability{backend.Watch},
			Run: func(t *trial.Trial) { lockstep.In(t, t.Cfg, run) }}
	}
	return []trial.Case{
		watch("watch-lifetimes", "a watch that began before the record, and one across each change in each state; a lease that runs out wakes nobody", watchLifetimes),
		watch("watch-crowd", "a hundred watches of one actor, and watches of many actors of which one changes", watchCrowd),
		watch("watch-close", "a handle is closed while watches wait through it, which neither keep it from being closed nor are told of a change", watchClose),
		watch("watch-others", "changes of other actors and of nodes wake nobody, nor do refused calls", watchOthers),
		{Name: "watch-crash", Doc: "the cluster crashes while watches wait: they end with their contexts, and new ones see every change",
			Rules: []contract.RuleID{contract.Durability, contract.WatchWakes, contract.CallsReturn}, Needs: []backend.Capability{backend.Restart, backend.Watch}, Run: crashedWatchers},
	}
}

func batchCases() []trial.Case {
	batch := func(name, doc string, run func(*lockstep.Run)) trial.Case {
		return trial.Case{Name: name, Doc: doc, Rules: []contract.RuleID{contract.BatchAsSingle, contract.InvalidFirst, contract.ErrorIdentity}, Needs: []backend.Capability{backend.BatchRenew, backend.ClockControl},
			Run: func(t *trial.Trial) { lockstep.In(t, t.Cfg, run) }}
	}
	return []trial.Case{
		batch("batch-members", "each member of a batch by itself: invalid, of another node, released, handed over, several times", batchMembers),
		{Name: "batch-faults", Doc: "renewals in batches among other operations, each member in trouble by itself", Draws: true,
			Rules: []contract.RuleID{contract.AmbiguousTruth, contract.BatchAsSingle, contract.Linearizability}, Needs: []backend.Capability{backend.BatchRenew, backend.Faulty},
			Run: func(t *trial.Trial) {
				concurrent.Scenarios(t, concurrent.Profile{Clients: [2]int{2, 3}, Actors: 3, Rounds: 4, Program: 2,
					Mix:     traffic.Mix{op.Claim: 16, op.RenewBatch: 14, op.Release: 2, op.Transfer: 3, op.Lookup: 3},
					Between: traffic.Mix{traffic.Tick: 4, traffic.Drift: 2}, Faults: backend.Faults{Unavailable: 0.25, LostAnswer: 0.06, LostRequest: 0.06, Late: 0.02}, Histories: 400})
			}},
		batch("batch-size", "batches of every size up to a thousand", batchSizes),
	}
}

func watchLifetimes(w *lockstep.Run) {
	n1, n2, n3 := w.Node("n1", 0), w.Node("n2", 0), w.Node("n3", 0)
	a := w.Actor("a")
	early := w.Waits(n3, a, 0)
	l := w.Is(n1.Claim(a), nil).Lease()
	w.Woken(early)
	k := w.Waits(n3, a, l.Version)
	w.Is(n1.Do(call.Release(l)), nil)
	w.Woken(k)
	k = w.Waits(n3, a, w.Version(a)) // of a record that nobody holds
	w.Settle()
	w.Is(n1.Do(call.Release(l)), nil) // changes nothing
	w.Undisturbed("a repeated release", k)
	l = w.Is(n2.Claim(a), nil).Lease()
	w.Woken(k)
	k = w.Waits(n3, a, l.Version)
	w.Lapse()
	w.Undisturbed("a lease that runs out is not a change", k)
	l = w.Is(n1.Claim(a), nil).Lease()
	w.Woken(k)
	k = w.Waits(n3, a, l.Version)
	w.Is(n1.Do(call.Transfer(l, n2.Ref)), nil)
	w.Woken(k)
	everyChangeWakes(w, n3)
}

// everyChangeWakes makes each change of a record that was claimed, and of one that was
// handed over, for a first incarnation and for a second, and in each phase of the lease,
// while somebody else waits for it, and its author too.
func everyChangeWakes(w *lockstep.Run, watcher *lockstep.Node) {
	from, to := w.Node("from", 0), w.Node("to", 0)
	wakes := func(l registry.Lease, c call.Call) registry.Lease {
		others, own := w.Waits(watcher, l.Actor, l.Version), w.Waits(from, l.Actor, l.Version)
		got := w.Is(from.Do(c), nil)
		w.Woken(others, own)
		w.Woken(own)
		if c.Kind == op.Release {
			l.Version = w.Version(l.Actor)
			return l
		}
		return got.Lease()
	}
	for incarnation := range 2 {
		l := w.Is(from.Claim(w.Actor(fmt.Sprint("incarnation-", incarnation))), nil).Lease()
		for range 2 { // the second time around the record was handed over before
			l = wakes(l, call.Renew(l))
			w.Advance(w.Cfg.TTL + w.Cfg.Grace/2)
			l = wakes(l, call.Renew(l)) // in grace
			l = wakes(l, call.Transfer(l, from.Ref))
			l = wakes(l, call.Transfer(l, to.Ref))
			l = wakes(l, call.Release(l))
			l = wakes(l, call.Claim(l.Actor, to.Ref, w.ClaimID()))
			w.Lapse()
			l = wakes(l, call.Claim(l.Actor, to.Ref, w.ClaimID())) // by the node that held it
			l = wakes(l, call.Transfer(l, from.Ref))
		}
		w.Lapse()
		wakes(l, call.Release(l)) // long lapsed
		kept, lost := w.Is(from.Claim(w.Actor(fmt.Sprint("kept-", incarnation))), nil).Lease(), w.Is(from.Claim(w.Actor(fmt.Sprint("lost-", incarnation))), nil).Lease()
		w.Is(from.Register(registry.Supersede), nil)
		w.Is(to.Register(registry.Supersede), nil)
		kept = wakes(kept, call.Renew(kept)) // their holder is over
		wakes(kept, call.Release(kept))
		w.Lapse()
		wakes(lost, call.Claim(lost.Actor, to.Ref, w.ClaimID()))
	}
}

// watchClose closes a handle under watches without a deadline. They may end with it,
// or wait on until their contexts end.
func watchClose(w *lockstep.Run) {
	n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
	a := w.Actor("a")
	l := w.Is(n1.Claim(a), nil).Lease()
	mine, others := w.Waits(n2, a, l.Version), w.Waits(n1, a, l.Version)
	n2.Do(call.CloseHandle())
	w.Settle()
	byItself := mine.Answered()
	mine.Stop()
	switch got := mine.Wait(); {
	case byItself && call.Class(got.Err) == context.Canceled:
		w.Convict(contract.ContextOwn, 0, got, op.Failed(registry.ErrClosed), "the watch's handle was closed, and its context went on")
	case got.Err == nil && !mine.MayWake():
		w.Convict(contract.WatchWakes, 0, got, op.Failed(registry.ErrClosed), "nothing was changed, and the watch's handle was closed")
	case got.Outcome != op.Closed && !call.Trouble(got.Err) && call.Class(got.Err) != context.Canceled:
		w.Convict(contract.ClosedSecond, 0, got, op.Failed(registry.ErrClosed), "the watch's handle was closed")
	}
	w.Undisturbed("another handle was closed", others)
	w.Is(n1.Do(call.Renew(l)), nil)
	w.Woken(others)
	watchesAfterCloses(w, n1, l)
}

// watchesAfterCloses closes handles that have watched, the first that was opened too, and
// has watches that began before and after that see every change.
func watchesAfterCloses(w *lockstep.Run, n *lockstep.Node, l registry.Lease) {
	first, second, stays := w.Unregistered("first", 0), w.Unregistered("second", 0), w.Unregistered("stays", 0)
	for _, leaves := range []*lockstep.Node{first, second, w.Observer} {
		seen := w.Version(l.Actor)
		before, own, after := w.Waits(stays, l.Actor, seen), w.Waits(leaves, l.Actor, seen), w.Waits(n, l.Actor, seen)
		leaves.Do(call.CloseHandle())
		leaves.Do(call.CloseHandle())
		own.Stop()
		own.Wait()
		leaves.Reopen()
		late := w.Waits(stays, l.Actor, seen)
		w.Is(n.Do(call.Renew(l)), nil)
		for _, k := range []*lockstep.Watching{before, after, late} {
			w.Woken(k)
		}
	}
}

func watchCrowd(w *lockstep.Run) {
	n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
	a := w.Actor("a")
	l := w.Is(n1.Claim(a), nil).Lease()
	for range 2 {
		var crowd, others []*lockstep.Watching
		for i := range 100 {
			n := []*lockstep.Node{n1, n2}[i%2]
			crowd = append(crowd, w.Watching(w.T.Ctx, n, a, l.Version))
			if i%4 >= 2 { // the last of each handle, too
				others = append(others, w.Watching(w.T.Ctx, n, w.Actor(fmt.Sprintf("other-%d", i)), 0))
			}
		}
		for _, k := range append(crowd[:len(crowd):len(crowd)], others...) {
			<-k.Begun
			w.Settle()
		}
		l = w.Is(n1.Do(call.Renew(l)), nil).Lease()
		for _, k := range crowd {
			w.Woken(k)
		}
		w.Steps = w.Steps[:len(w.Steps)-2*len(crowd)+2] // their answers are all the same
		w.Undisturbed("only another actor was changed", others...)
		for _, k := range others {
			k.Stop()
		}
		for _, k := range others {
			if got := k.Wait(); call.Class(got.Err) != context.Canceled && !call.Trouble(got.Err) && !k.MayWake() {
				w.Convict(contract.WatchWakes, 0, got, op.Failed(context.Canceled), "nothing changed until the watch's context was cancelled")
			}
		}
	}
}

func watchOthers(w *lockstep.Run) {
	n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
	a := w.Actor("a")
	l := w.Is(n1.Claim(a), nil).Lease()
	k := w.Waits(n2, a, l.Version)
	for _, name := range []string{"b", "aa", "A"} {
		w.Is(n2.Claim(w.Actor(name)), nil)
	}
	w.Is(n2.Claim(a), registry.ErrHeld)
	w.Is(n1.Do(call.Heartbeat(n1.Ref)), nil)
	w.Is(n1.Register(registry.Supersede), nil)
	w.Undisturbed("only other actors and registrations were changed", k)
	refusedWakesNobody(w, n1, n2, l, k)
	w.Is(n1.Do(call.Renew(l)), nil)
	w.Woken(k)
}

// refusedWakesNobody makes calls about the actor that are refused or change nothing.
func refusedWakesNobody(w *lockstep.Run, n1, n2 *lockstep.Node, l registry.Lease, watch *lockstep.Watching) {
	for _, change := range []func(*registry.Lease){
		func(l *registry.Lease) { l.Token++ },
		func(l *registry.Lease) { l.Holder = n2.Ref },
	} {
		wrong := l
		change(&wrong)
		w.Is(n2.Do(call.Renew(wrong)), registry.ErrNotHeld)
		w.Is(n2.Do(call.Release(wrong)), registry.ErrNotHeld)
		w.Is(n2.Do(call.Transfer(wrong, n2.Ref)), registry.ErrNotHeld)
		if w.T.Judge.Found[backend.BatchRenew] {
			n2.Do(call.RenewBatchCall([]registry.Lease{wrong}))
		}
	}
	w.Is(n1.Do(call.Transfer(l, registry.NodeRef{ID: "never", Epoch: 1})), registry.ErrNodeUnknown)
	w.Is(n1.Do(call.Claim(l.Actor, l.Holder, l.ClaimID)), nil) // repeats
	w.Is(n2.Do(call.Validate(l.Actor, l.Token)), nil)
	w.Undisturbed("calls were refused or repeated", watch)
}

func batchMembers(w *lockstep.Run) {
	n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
	var leases []registry.Lease
	for i := range 6 {
		leases = append(leases, w.Is(n1.Claim(w.Actor(fmt.Sprintf("a%d", i))), nil).Lease())
	}
	of2 := w.Is(n2.Claim(w.Actor("of2")), nil).Lease()
	w.Is(n1.Do(call.Release(leases[1])), nil)
	moved := w.Is(n1.Do(call.Transfer(leases[2], n2.Ref)), nil).Lease()
	invalid := func(change func(*registry.Lease)) registry.Lease { l := leases[0]; change(&l); return l }
	for _, at := range []int{0, 3, 8} { // an invalid member first, in the middle, last
		batch := []registry.Lease{leases[0], leases[1], leases[2], leases[3], of2, moved, leases[4], leases[0]}
		for i, bad := range []registry.Lease{
			invalid(func(l *registry.Lease) { l.Actor.Name = "" }),
			invalid(func(l *registry.Lease) { l.Holder = registry.NodeRef{} }),
			invalid(func(l *registry.Lease) { l.Token = 0 }),
		} {
			mixed := append(append(append([]registry.Lease{}, batch[:min(at, len(batch))]...), bad), batch[min(at, len(batch)):]...)
			w.Advance(w.Cfg.TTL / 50)
			got := renewsAll(n1, mixed)
			var detail *registry.InvalidError
			if r := got.Renewals[at]; !errors.As(r.Err, &detail) {
				w.T.GiveUp("member %d of kind %d is not invalid by the reference: %v", at, i, r.Err)
			}
			for _, l := range batch {
				w.AuditOne(call.Lookup(l.Actor), contract.BatchAsSingle)
			}
		}
	}
	n1.Do(call.RenewBatchCall([]registry.Lease{}))
	n1.Do(call.RenewBatchCall(nil))
	if w.T.Judge.Found[backend.Watch] {
		batchWakes(w, n1, n2, leases[3:5])
		batchWakes(w, n1, n2, []registry.Lease{leases[1], leases[3], leases[2], leases[4]}) // each after one that is refused
	}
	w.Is(n1.Do(call.Deregister(n2.Ref)), nil)
	renewsAll(n1, []registry.Lease{leases[3], of2, moved, leases[4]}) // of one that is active, and of one that has left
	w.Advance(w.Cfg.TTL / 50)
	renewsAll(n1, []registry.Lease{leases[3], leases[3], leases[4], leases[3]})
	w.Is(n1.Do(call.Lookup(leases[3].Actor)), nil)
}

// batchWakes has others watch actors whose leases are renewed in a batch.
func batchWakes(w *lockstep.Run, holder, other *lockstep.Node, leases []registry.Lease) {
	var watches []*lockstep.Watching
	for _, l := range leases {
		latest := w.Is(other.Do(call.Lookup(l.Actor)), nil).Record
		if latest.Holder != l.Holder || latest.Token != l.Token {
			continue // it is refused
		}
		watches = append(watches, w.Waits(other, l.Actor, latest.Version))
	}
	w.Advance(w.Cfg.TTL / 50)
	renewsAll(holder, leases)
	for _, k := range watches {
		w.Woken(k)
	}
}

func batchSizes(w *lockstep.Run) {
	n1 := w.Node("n1", 0)
	var leases []registry.Lease
	w.Audits = false
	for i := range trial.SizedBy(w.T, 130, 300, 1000) {
		leases = append(leases, w.Is(n1.Claim(w.Actor(fmt.Sprintf("a%d", i))), nil).Lease())
	}
	for _, size := range []int{1, 2, 10, 16, 17, 64, 65, 100, 101, 128, 129, 256, 257, 500, 512, 513, 1000} {
		if size > len(leases) {
			break
		}
		w.Advance(w.Cfg.TTL / 100)
		got := n1.Do(call.RenewBatchCall(leases[:size]))
		if slices.ContainsFunc(got.Renewals, func(r op.Result) bool { return r.Outcome.Ambiguous() }) {
			return // each unknown outcome doubles what may be there: a store in trouble is not asked for more at once
		}
		for _, i := range []int{0, size / 2, size - 1, min(size, len(leases)-1)} {
			w.AuditOne(call.Lookup(leases[i].Actor), contract.BatchAsSingle)
		}
	}
	w.Advance(w.Cfg.TTL / 100)
	n1.Do(call.RenewBatchCall(append(leases[:len(leases):len(leases)], leases...))) // each twice
	w.AuditOne(call.ListActors(n1.Ref, 0), contract.BatchAsSingle)
}
