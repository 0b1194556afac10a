package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// watchCases and batchCases are about the two optional interfaces where they are
// used otherwise than one at a time.
func watchCases() []Case {
	watch := func(name, doc string, run func(*lockstep)) Case {
		return Case{Name: name, Doc: doc, Rules: []RuleID{WatchWakes, CallsReturn}, Needs: []Capability{Watch},
			run: func(t *trial) { t.in(t.cfg, run) }}
	}
	return []Case{
		watch("watch-lifetimes", "a watch that began before the record, across release, hand-over and reclaim; a lease that runs out wakes nobody", watchLifetimes),
		watch("watch-crowd", "a hundred watches of one actor, and watches of many actors of which one changes", watchCrowd),
		watch("watch-others", "changes of other actors and of nodes wake nobody, nor do refused calls", watchOthers),
		{Name: "watch-crash", Doc: "the cluster crashes while watches wait: they end with their contexts, and new ones see every change",
			Rules: []RuleID{Durability, WatchWakes, CallsReturn}, Needs: []Capability{Restart, Watch}, run: crashedWatchers},
	}
}

func batchCases() []Case {
	batch := func(name, doc string, run func(*lockstep)) Case {
		return Case{Name: name, Doc: doc, Rules: []RuleID{BatchAsSingle, InvalidFirst, ErrorIdentity}, Needs: []Capability{BatchRenew, ClockControl},
			run: func(t *trial) { t.in(t.cfg, run) }}
	}
	return []Case{
		batch("batch-members", "each member of a batch by itself: invalid, of another node, released, handed over, several times", batchMembers),
		{Name: "batch-faults", Doc: "renewals in batches among other operations, each member in trouble by itself", draws: true,
			Rules: []RuleID{AmbiguousTruth, BatchAsSingle, Linearizability}, Needs: []Capability{BatchRenew, Faulty},
			run: func(t *trial) {
				t.scenarios(profile{clients: [2]int{2, 3}, actors: 3, rounds: 2, program: 2,
					mix:     mix{op.Claim: 16, op.RenewBatch: 14, op.Release: 4, op.Transfer: 4, op.Lookup: 3},
					between: mix{tick: 4, drift: 2}, faults: Faults{Unavailable: 0.1, LostAnswer: 0.1, LostRequest: 0.1, Late: 0.03}, histories: 80})
			}},
		batch("batch-size", "batches of every size up to a thousand", batchSizes),
	}
}

// waits starts a watch and lets it begin to wait.
func (w *lockstep) waits(n *node, a registry.ActorID, seen registry.Version) *watching {
	k := w.watching(w.t.ctx, n, a, seen)
	<-k.begun
	w.settle()
	return k
}

// undisturbed convicts a watch that has answered although nothing was changed. One
// that the store's trouble has ended, as it may at any time, is begun again.
func (w *lockstep) undisturbed(why string, watches ...*watching) {
	for attempt := 1; len(watches) > 0; attempt++ {
		pause(w.t.ctx, quiet)
		var again []*watching
		for _, k := range watches {
			select {
			case r := <-k.got:
				w.note(k.n, k.call, r)
				if !trouble(r.Err) && w.lateOn(k.call.Actor) {
					continue
				}
				if !trouble(r.Err) {
					w.convict(WatchWakes, 0, r, op.Result{Outcome: op.Pending}, "the record was as it had been seen: "+why)
				}
				if attempt == patientAttempts {
					w.t.unanswered(k.call.String(), r.Err)
				}
				w.t.troubles.Add(1)
				k.again()
				again = append(again, k)
			default:
			}
		}
		watches = again
	}
}

// again begins a watch anew that has ended.
func (k *watching) again() {
	k.stop()
	other := k.w.watching(k.w.t.ctx, k.n, k.call.Actor, k.call.Seen)
	<-other.begun
	k.got, k.stop = other.got, other.stop
}

func watchLifetimes(w *lockstep) {
	n1, n2, n3 := w.node("n1", 0), w.node("n2", 0), w.node("n3", 0)
	a := w.actor("a")
	early := w.waits(n3, a, 0)
	l := w.is(n1.claim(a), nil).Lease()
	w.woken(early)
	k := w.waits(n3, a, l.Version)
	w.is(n1.do(release(l)), nil)
	w.woken(k)
	k = w.waits(n3, a, l.Version+1) // of a record that nobody holds
	w.settle()
	w.is(n1.do(release(l)), nil) // changes nothing
	w.undisturbed("a repeated release", k)
	l = w.is(n2.claim(a), nil).Lease()
	w.woken(k)
	k = w.waits(n3, a, l.Version)
	w.lapse()
	w.undisturbed("a lease that runs out is not a change", k)
	l = w.is(n1.claim(a), nil).Lease()
	w.woken(k)
	k = w.waits(n3, a, l.Version)
	w.is(n1.do(transfer(l, n2.ref)), nil)
	w.woken(k)
}

func watchCrowd(w *lockstep) {
	n1, n2 := w.node("n1", 0), w.node("n2", 0)
	a := w.actor("a")
	l := w.is(n1.claim(a), nil).Lease()
	for range 2 {
		var crowd, others []*watching
		for i := range 100 {
			n := []*node{n1, n2}[i%2]
			crowd = append(crowd, w.watching(w.t.ctx, n, a, l.Version))
			if i%4 == 0 {
				others = append(others, w.watching(w.t.ctx, n, w.actor(fmt.Sprintf("other-%d", i)), 0))
			}
		}
		for _, k := range append(crowd[:len(crowd):len(crowd)], others...) {
			<-k.begun
			w.settle()
		}
		l = w.is(n1.do(renew(l)), nil).Lease()
		for _, k := range crowd {
			w.woken(k)
		}
		w.steps = w.steps[:len(w.steps)-2*len(crowd)+2] // their answers are all the same
		w.undisturbed("only another actor was changed", others...)
		for _, k := range others {
			k.stop()
		}
		for _, k := range others {
			if got := k.wait(); class(got.Err) != context.Canceled && !trouble(got.Err) {
				w.convict(WatchWakes, 0, got, op.Failed(context.Canceled), "nothing changed until the watch's context was cancelled")
			}
		}
	}
}

func watchOthers(w *lockstep) {
	n1, n2 := w.node("n1", 0), w.node("n2", 0)
	a := w.actor("a")
	l := w.is(n1.claim(a), nil).Lease()
	k := w.waits(n2, a, l.Version)
	for _, name := range []string{"b", "aa", "A"} {
		w.is(n2.claim(w.actor(name)), nil)
	}
	w.is(n2.claim(a), registry.ErrHeld)
	w.is(n1.do(heartbeat(n1.ref)), nil)
	w.is(n1.register(registry.Supersede), nil)
	w.undisturbed("only other actors and registrations were changed", k)
	w.is(n1.do(renew(l)), nil)
	w.woken(k)
}

func batchMembers(w *lockstep) {
	n1, n2 := w.node("n1", 0), w.node("n2", 0)
	var leases []registry.Lease
	for i := range 6 {
		leases = append(leases, w.is(n1.claim(w.actor(fmt.Sprintf("a%d", i))), nil).Lease())
	}
	of2 := w.is(n2.claim(w.actor("of2")), nil).Lease()
	w.is(n1.do(release(leases[1])), nil)
	moved := w.is(n1.do(transfer(leases[2], n2.ref)), nil).Lease()
	invalid := func(change func(*registry.Lease)) registry.Lease { l := leases[0]; change(&l); return l }
	for _, at := range []int{0, 3, 8} { // an invalid member first, in the middle, last
		batch := []registry.Lease{leases[0], leases[1], leases[2], leases[3], of2, moved, leases[4], leases[0]}
		for i, bad := range []registry.Lease{
			invalid(func(l *registry.Lease) { l.Actor.Name = "" }),
			invalid(func(l *registry.Lease) { l.Holder = registry.NodeRef{} }),
			invalid(func(l *registry.Lease) { l.Token = 0 }),
		} {
			mixed := append(append(append([]registry.Lease{}, batch[:min(at, len(batch))]...), bad), batch[min(at, len(batch)):]...)
			w.advance(w.cfg.TTL / 50)
			got := n1.do(renewBatchCall(mixed))
			var detail *registry.InvalidError
			if r := got.Renewals[at]; !errors.As(r.Err, &detail) {
				w.t.giveUp("member %d of kind %d is not invalid by the reference: %v", at, i, r.Err)
			}
			for _, l := range batch {
				w.auditOne(lookup(l.Actor), BatchAsSingle)
			}
		}
	}
	n1.do(renewBatchCall([]registry.Lease{}))
	n1.do(renewBatchCall(nil))
}

func batchSizes(w *lockstep) {
	n1 := w.node("n1", 0)
	var leases []registry.Lease
	w.audits = false
	for i := range sizedBy(w.t, 130, 300, 1000) {
		leases = append(leases, w.is(n1.claim(w.actor(fmt.Sprintf("a%d", i))), nil).Lease())
	}
	for _, size := range []int{1, 2, 10, 16, 17, 64, 65, 100, 101, 128, 129, 256, 257, 500, 512, 513, 1000} {
		if size > len(leases) {
			break
		}
		w.advance(w.cfg.TTL / 100)
		got := n1.do(renewBatchCall(leases[:size]))
		if slices.ContainsFunc(got.Renewals, func(r op.Result) bool { return r.Outcome.Ambiguous() }) {
			return // each unknown outcome doubles what may be there: a store in trouble is not asked for more at once
		}
		for _, i := range []int{0, size / 2, size - 1, min(size, len(leases)-1)} {
			w.auditOne(lookup(leases[i].Actor), BatchAsSingle)
		}
	}
	w.advance(w.cfg.TTL / 100)
	n1.do(renewBatchCall(append(leases[:len(leases):len(leases)], leases...))) // each twice
	w.auditOne(listActors(n1.ref, 0), BatchAsSingle)
}
