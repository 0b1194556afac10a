package sections

import (
	"context"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

func renewBatch(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		var leases []registry.Lease
		for i := range 12 {
			leases = append(leases, w.Is(n1.Claim(w.Actor(fmt.Sprintf("a%d", i))), nil).Lease())
		}
		n1.Do(call.RenewBatchCall(nil))
		n1.Do(call.RenewBatchCall(leases[:1]))
		w.Advance(w.Cfg.TTL / 3)
		n1.Do(call.RenewBatchCall(leases))
		n1.Clock.SetOffset(-w.Cfg.MaxClockSkew)
		n1.Do(call.RenewBatchCall(leases)) // by a clock that stepped back
		n1.Clock.SetOffset(0)
		w.Is(n1.Do(call.Release(leases[1])), nil)
		w.Is(n1.Do(call.Transfer(leases[2], n2.Ref)), nil)
		bad := append([]registry.Lease{}, leases...)
		bad[4].Token += 2
		bad[5].Actor.Name = ""
		bad[6].Holder = n2.Ref
		bad = append(bad, leases[3], leases[3]) // twice in one batch is two renewals
		renewsAll(n1, bad)
		w.Advance(w.Cfg.TTL + w.Cfg.Grace/2)
		n1.Do(call.RenewBatchCall(bad)) // in grace
		for _, l := range leases {
			w.Is(n2.Do(call.Lookup(l.Actor)), nil)
		}
		w.Lapse()
		n1.Do(call.RenewBatchCall(bad)) // lapsed, every one
		for _, l := range leases {
			w.Is(n2.Do(call.Lookup(l.Actor)), nil)
		}
	})
}

// renewsAll renews leases in a batch until each of its members has been answered, and
// returns the last answer to all of them. A store in trouble leaves out one or another;
// where it gives a batch up at the first trouble, those that are left are at last asked
// for alone. One that always leaves out the same ends the trial undecided, as it would
// if it left a single call without an answer.
func renewsAll(n *lockstep.Node, leases []registry.Lease) (whole op.Result) {
	var all []int
	for i := range leases {
		all = append(all, i)
	}
	left := slices.Clone(all)
	for attempt := range call.PatientAttempts {
		which := all
		if attempt >= call.PatientAttempts/2 {
			which = slices.Clone(left)
		}
		n.OutOfStep(attempt)
		got := renewsSome(n, leases, which)
		if len(which) == len(all) {
			whole = got
		}
		left = slices.DeleteFunc(left, func(i int) bool {
			k := slices.Index(which, i)
			return k < len(got.Renewals) && !call.Trouble(got.Renewals[k].Err)
		})
		if len(left) == 0 {
			return whole
		}
	}
	w := n.W
	w.T.Unanswered(fmt.Sprintf("%s: result %d of %v", n.Name, left[0], call.RenewBatchCall(leases)), whole.Renewals[left[0]].Err)
	return whole
}

// renewsSome renews those of the leases in a batch, and reads what has become of each
// whose outcome is unknown.
func renewsSome(n *lockstep.Node, leases []registry.Lease, which []int) op.Result {
	var batch []registry.Lease
	for _, i := range which {
		batch = append(batch, leases[i])
	}
	got := n.Do(call.RenewBatchCall(batch))
	for k, r := range got.Renewals {
		if r.Outcome.Ambiguous() {
			n.W.AuditOne(call.Lookup(batch[k].Actor), contract.BatchAsSingle)
		}
	}
	return got
}

func watchCase(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2, n3 := w.Node("n1", 0), w.Node("n2", 0), w.Unregistered("n3", 0)
		a := w.Actor("a")
		l := w.Wakes(n2, a, 0, func() registry.Lease { return w.Is(n1.Claim(a), nil).Lease() })
		w.Is(n2.Do(call.WatchCall(a, 0)), nil)
		w.Is(n1.Do(call.WatchCall(a, l.Version+5)), nil) // differs: at once
		w.Is(n1.Do(call.WatchCall(w.Actor("never claimed"), 5)), nil)
		l = w.Wakes(n2, a, l.Version, func() registry.Lease { return w.Is(n1.Do(call.Renew(l)), nil).Lease() })
		l = w.Wakes(n1, a, l.Version, func() registry.Lease { return w.Is(n1.Do(call.Transfer(l, n2.Ref)), nil).Lease() })
		w.Wakes(n1, a, l.Version, func() registry.Lease { w.Is(n2.Do(call.Release(l)), nil); return l })
		w.Is(n1.Do(call.WatchCall(a, l.Version)), nil)
		w.Is(n1.Do(call.WatchCall(a, l.Version+5)), nil)
		if !w.T.Judge.Dialect.Forgets {
			w.Is(n1.Do(call.WatchCall(a, 0)), nil) // nobody holds it, and yet it has a record
		}
		w.GivesUp(n1, a, w.Version(a))
		n3.Do(call.CloseHandle())
		w.Is(n3.Do(call.WatchCall(a, 0)), registry.ErrClosed)
		w.Is(n1.Do(call.WatchCall(registry.ActorID{}, 0)), registry.ErrInvalid)
	})
}

// watchersCase lets two wait for one actor, through one handle and through two. One
// change wakes both, and whoever stops waiting, before the change or after having
// been woken, takes nothing from the other.
func watchersCase(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		a := w.Actor("a")
		l := w.Is(n1.Claim(a), nil).Lease()
		change := func() { l = w.Is(n1.Do(call.Renew(l)), nil).Lease() }
		watch := func(n *lockstep.Node) *lockstep.Watching { return w.Watching(w.T.Ctx, n, a, l.Version) }
		for _, second := range []*lockstep.Node{n1, n2} {
			both := []*lockstep.Watching{watch(n1), watch(second)}
			w.Settle()
			change()
			w.Woken(both[0], both[1])
			w.Woken(both[1])

			for leaves := range 4 { // the first to come, one in between, or the last
				four := []*lockstep.Watching{watch(n1), watch(second), watch(n1), watch(second)}
				w.Settle()
				four[leaves].Stop()
				if got := four[leaves].Wait(); call.Class(got.Err) != context.Canceled && !call.Trouble(got.Err) && !four[leaves].MayWake() {
					w.Convict(contract.WatchWakes, 0, got, op.Failed(context.Canceled), "nothing changed until the watch's context was cancelled")
				}
				change()
				for _, k := range slices.Delete(four, leaves, leaves+1) {
					w.Woken(k)
				}
			}

			waits := watch(second)
			w.Settle()
			w.Is(second.Do(call.WatchCall(a, l.Version+1)), nil)                        // answered at once
			ended(w, second, call.WatchCall(a, l.Version), context.Canceled)            // given up before it began
			w.Is(second.Do(call.WatchCall(registry.ActorID{}, 0)), registry.ErrInvalid) // refused
			change()
			w.Woken(waits)

			woken := watch(n1)
			w.Settle()
			change()
			w.Woken(woken)
			next := watch(second)
			w.Settle()
			woken.Stop() // long after its answer, as deferred calls are
			w.Settle()
			change()
			w.Woken(next)

			for range 10 { // a new watch begins while others that were woken are still leaving
				var crowd []*lockstep.Watching
				for range 8 {
					crowd = append(crowd, watch(n1))
				}
				w.Settle()
				change()
				w.Woken(crowd[0])
				next := watch(second)
				for _, k := range crowd[1:] {
					w.Woken(k)
				}
				w.Settle()
				change()
				w.Woken(next)
			}
		}
	})
}
