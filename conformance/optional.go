package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/linearizability"
)

// renewBatchCall makes a batch on handles that have it and, on the reference, the
// renewals one by one, which is what the batch must equal.
func renewBatchCall(leases []registry.Lease) call {
	return call{kind: "RenewBatch", args: fmt.Sprintf("%d leases", len(leases)), read: true, do: func(ctx context.Context, h registry.Handle) answer {
		var results []registry.Renewal
		if b, ok := h.(registry.BatchRenewer); ok {
			results = b.RenewBatch(ctx, leases)
		} else {
			for _, l := range leases {
				l, err := h.Renew(ctx, l)
				results = append(results, registry.Renewal{Lease: l, Err: err})
			}
		}
		return answer{batch: results}
	}}
}

func renewBatch(t *trial) {
	t.in(t.cfg, func(w *world) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		var leases []registry.Lease
		for i := range 12 {
			leases = append(leases, w.is(n1.claim(w.actor(fmt.Sprintf("a%d", i))), nil).lease())
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

// watchCall waits on handles that can and, on the reference, looks: both are
// made when the version differs already.
func watchCall(a registry.ActorID, seen registry.Version) call {
	return call{kind: "Watch", args: fmt.Sprintf("%s, seen version %d", nameText(a), seen), actor: a, read: true, ask: &linearizability.Ask{Actor: a, Seen: seen}, do: func(ctx context.Context, h registry.Handle) (r answer) {
		if watcher, ok := h.(registry.Watcher); ok {
			r.place, r.err = watcher.Watch(ctx, a, seen)
		} else {
			r.place, _, r.err = h.Lookup(ctx, a)
		}
		return r
	}}
}

func watchCase(t *trial) {
	t.in(t.cfg, func(w *world) {
		n1, n2, n3 := w.node("n1", 0), w.node("n2", 0), w.stranger("n3", 0)
		a := w.actor("a")
		l := w.wakes(n2, a, 0, func() registry.Lease { return w.is(n1.claim(a), nil).lease() })
		w.is(n2.do(watchCall(a, 0)), nil)
		w.is(n1.do(watchCall(a, l.Version+5)), nil) // differs: at once
		l = w.wakes(n2, a, l.Version, func() registry.Lease { return w.is(n1.do(renew(l)), nil).lease() })
		l = w.wakes(n1, a, l.Version, func() registry.Lease { return w.is(n1.do(transfer(l, n2.ref)), nil).lease() })
		w.wakes(n1, a, l.Version, func() registry.Lease { w.is(n2.do(release(l)), nil); return l })
		w.is(n1.do(watchCall(a, l.Version)), nil)
		w.givesUp(n1, a, l.Version+1)
		n3.do(closeHandle())
		w.is(n3.do(watchCall(a, 0)), registry.ErrClosed)
		w.is(n1.do(watchCall(registry.ActorID{}, 0)), registry.ErrInvalid)
	})
}

// watching starts a watch through n and returns how to wait for its answer.
func (w *world) watching(ctx context.Context, n *node, a registry.ActorID, seen registry.Version) (wait func() answer) {
	got := make(chan answer, 1)
	w.t.async(func() {
		p, err := n.h.(registry.Watcher).Watch(ctx, a, seen)
		got <- answer{place: p, err: err}
	})
	return func() (r answer) {
		c := watchCall(a, seen)
		w.t.watch(c.String, func(context.Context) { r = <-got })
		w.steps = append(w.steps, step{w.time.Now(), n.clock.Now(), n.name, c.String(), r, nil})
		return r
	}
}

// wakes makes a change while a watch waits for it. The watch must answer with
// the record after the change: it is the only one whose version differs from seen.
func (w *world) wakes(n *node, a registry.ActorID, seen registry.Version, change func() registry.Lease) registry.Lease {
	wait := w.watching(w.t.ctx, n, a, seen)
	l := change()
	woken, now := wait(), w.is(w.auditor.do(lookup(a)), nil)
	now.found = false // a watch does not tell
	if diff := w.diff(n, woken, now); diff != "" {
		w.convict(WatchWakes, "", woken, now, diff)
	}
	return l
}

// patience is how long a watch that nothing wakes is waited for.
const patience = 20 * time.Millisecond

// givesUp lets a watch that nothing wakes run into its deadline.
func (w *world) givesUp(n *node, a registry.ActorID, seen registry.Version) {
	ctx, cancel := context.WithTimeout(w.t.ctx, patience)
	defer cancel()
	if woken := w.watching(ctx, n, a, seen)(); class(woken.err) != context.DeadlineExceeded {
		w.convict(WatchWakes, "", woken, answer{err: context.DeadlineExceeded}, "nothing changed until the watch's deadline")
	}
}
