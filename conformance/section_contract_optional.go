package conformance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

func renewBatch(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		var leases []registry.Lease
		for i := range 12 {
			leases = append(leases, w.is(n1.claim(w.actor(fmt.Sprintf("a%d", i))), nil).Lease())
		}
		n1.do(renewBatchCall(nil))
		n1.do(renewBatchCall(leases[:1]))
		w.advance(w.cfg.TTL / 3)
		n1.do(renewBatchCall(leases))
		w.is(n1.do(release(leases[1])), nil)
		w.is(n1.do(transfer(leases[2], n2.ref)), nil)
		bad := append([]registry.Lease{}, leases...)
		bad[4].Token += 2
		bad[5].Actor.Name = ""
		bad[6].Holder = n2.ref
		bad = append(bad, leases[3], leases[3]) // twice in one batch is two renewals
		n1.do(renewBatchCall(bad))
		w.advance(w.cfg.TTL + w.cfg.Grace/2)
		n1.do(renewBatchCall(bad)) // in grace
		for _, l := range leases {
			w.is(n2.do(lookup(l.Actor)), nil)
		}
		w.lapse()
		n1.do(renewBatchCall(bad)) // lapsed, every one
		for _, l := range leases {
			w.is(n2.do(lookup(l.Actor)), nil)
		}
	})
}

func watchCase(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2, n3 := w.node("n1", 0), w.node("n2", 0), w.unregistered("n3", 0)
		a := w.actor("a")
		l := w.wakes(n2, a, 0, func() registry.Lease { return w.is(n1.claim(a), nil).Lease() })
		w.is(n2.do(watchCall(a, 0)), nil)
		w.is(n1.do(watchCall(a, l.Version+5)), nil) // differs: at once
		l = w.wakes(n2, a, l.Version, func() registry.Lease { return w.is(n1.do(renew(l)), nil).Lease() })
		l = w.wakes(n1, a, l.Version, func() registry.Lease { return w.is(n1.do(transfer(l, n2.ref)), nil).Lease() })
		w.wakes(n1, a, l.Version, func() registry.Lease { w.is(n2.do(release(l)), nil); return l })
		w.is(n1.do(watchCall(a, l.Version)), nil)
		w.givesUp(n1, a, l.Version+1)
		n3.do(closeHandle())
		w.is(n3.do(watchCall(a, 0)), registry.ErrClosed)
		w.is(n1.do(watchCall(registry.ActorID{}, 0)), registry.ErrInvalid)
	})
}

// watchersCase lets two wait for one actor, through one handle and through two. One
// change wakes both, and whoever stops waiting, before the change or after having
// been woken, takes nothing from the other.
func watchersCase(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		a := w.actor("a")
		l := w.is(n1.claim(a), nil).Lease()
		change := func() { l = w.is(n1.do(renew(l)), nil).Lease() }
		watch := func(n *node) *watching { return w.watching(w.t.ctx, n, a, l.Version) }
		for _, second := range []*node{n1, n2} {
			both := []*watching{watch(n1), watch(second)}
			w.settle()
			change()
			w.woken(both[0], both[1])
			w.woken(both[1])

			for leaves := range 2 { // the first to come, or the last
				both := []*watching{watch(n1), watch(second)}
				w.settle()
				both[leaves].stop()
				if got := both[leaves].wait(); class(got.Err) != context.Canceled && !trouble(got.Err) && !w.lateOn(a) {
					w.convict(WatchWakes, 0, got, op.Failed(context.Canceled), "nothing changed until the watch's context was cancelled")
				}
				change()
				w.woken(both[1-leaves])
			}

			woken := watch(n1)
			w.settle()
			change()
			w.woken(woken)
			next := watch(second)
			w.settle()
			woken.stop() // long after its answer, as deferred calls are
			w.settle()
			change()
			w.woken(next)

			for range 10 { // a new watch begins while others that were woken are still leaving
				var crowd []*watching
				for range 8 {
					crowd = append(crowd, watch(n1))
				}
				w.settle()
				change()
				w.woken(crowd[0])
				next := watch(second)
				for _, k := range crowd[1:] {
					w.woken(k)
				}
				w.settle()
				change()
				w.woken(next)
			}
		}
	})
}

// watching is a watch under way.
type watching struct {
	w    *lockstep
	n    *node
	call call
	stop context.CancelFunc
	got  chan op.Result

	begun chan struct{} // closed when its goroutine runs
}

// watching starts a watch through n.
func (w *lockstep) watching(ctx context.Context, n *node, a registry.ActorID, seen registry.Version) *watching {
	ctx, cancel := context.WithCancel(ctx)
	k := &watching{w: w, n: n, call: watchCall(a, seen), stop: cancel, got: make(chan op.Result, 1), begun: make(chan struct{})}
	w.t.async(func() {
		close(k.begun)
		k.got <- k.call.do(ctx, n.h)
	})
	return k
}

// wait returns the answer, which is the last step then.
func (k *watching) wait() (r op.Result) {
	k.w.t.watch(k.call.String, func(context.Context) { r = <-k.got })
	k.w.note(k.n, k.call, r)
	return r
}

// woken convicts a watch that does not answer, now that the version is another,
// with the record as it is: that is the only one that it can have woken for. A
// watch that still waits is given as long as any call, and is then cancelled. The
// others, which waited beside it, belong to the history of a conviction.
func (w *lockstep) woken(k *watching, others ...*watching) {
	now := w.is(w.observer.do(lookup(k.call.Actor)), nil)
	overslept := time.AfterFunc(w.t.judge.opts.callTimeout, k.stop)
	defer overslept.Stop()
	woken := k.wait()
	for attempt := 1; trouble(woken.Err) && attempt < patientAttempts; attempt++ {
		w.t.troubles.Add(1)
		again := w.watching(w.t.ctx, k.n, k.call.Actor, k.call.Seen) // the version differs: it answers at once
		woken = again.wait()
		again.stop()
	}
	diff := w.diff(k.n, woken, now)
	switch {
	case diff == "":
		return
	case woken.Err == nil && woken.Record.Version > k.call.Seen && w.lateOn(k.call.Actor):
		return // it is not known what there was when it woke
	case class(woken.Err) == context.Canceled:
		diff = fmt.Sprintf("it did not wake within %v, and was cancelled", w.t.judge.opts.callTimeout)
	case trouble(woken.Err):
		w.t.giveUp("%s: %v", k.call, woken.Err)
	}
	last := len(w.steps) - 1
	for _, other := range others {
		other.stop()
		other.wait()
	}
	convicted := w.steps[last]
	w.steps = append(slices.Delete(w.steps, last, last+1), convicted) // it comes last
	w.convict(WatchWakes, 0, woken, now, diff)
}

// lateOn reports whether a call may still apply that changes the actor: it can wake
// a watch at any time.
func (w *lockstep) lateOn(a registry.ActorID) bool {
	look := lookup(a)
	return slices.ContainsFunc(w.late, func(l *lateCall) bool { return changes(&l.call.Call, &look.Call) })
}

// wakes makes a change while a watch waits for it.
func (w *lockstep) wakes(n *node, a registry.ActorID, seen registry.Version, change func() registry.Lease) registry.Lease {
	k := w.watching(w.t.ctx, n, a, seen)
	defer k.stop()
	l := change()
	w.woken(k)
	return l
}

// The suite cannot see whether a watch has begun to wait. It lets it begin for a
// moment: were that too short, the case would be weaker, not wrong.
const beginning = time.Millisecond

func (w *lockstep) settle() { pause(w.t.ctx, beginning) }

// quiet is how long a watch that nothing wakes is waited for.
const quiet = 20 * time.Millisecond

// givesUp lets a watch that nothing wakes run into its deadline.
func (w *lockstep) givesUp(n *node, a registry.ActorID, seen registry.Version) {
	var got op.Result
	for patience := (patience{}); ; {
		ctx, cancel := context.WithTimeout(w.t.ctx, quiet)
		got = w.watching(ctx, n, a, seen).wait()
		cancel()
		if class(got.Err) != registry.ErrUnavailable {
			break
		}
		w.t.troubles.Add(1)
		if patience.over(got.Err) {
			w.t.unanswered(watchCall(a, seen).String(), got.Err)
		}
	}
	if class(got.Err) != context.DeadlineExceeded && !w.lateOn(a) {
		w.convict(WatchWakes, 0, got, op.Failed(context.DeadlineExceeded), "nothing changed until the watch's deadline")
	}
}

// overslept convicts a watch, the last step, that ran into its deadline although
// the version differed when it was called. A store that is merely slow does not
// answer the observer either, and is given up.
func (w *lockstep) overslept(c call, got op.Result) {
	if c.Kind != op.Watch || class(got.Err) != context.DeadlineExceeded {
		return
	}
	w.auditOne(lookup(c.Actor), WatchWakes)
	look := lookup(c.Actor)
	if want := look.do(context.WithoutCancel(w.t.ctx), w.observer.model); want.Record.Version != c.Seen {
		w.convict(WatchWakes, 0, got, want, "the version differed from the beginning")
	}
}
