package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// manyWaiters lets hundreds of calls wait behind one that is stopped, and ends
// their contexts. Each may have had a place in a queue, a slot or a connection:
// when all have given up, as many calls must be answered as before.
func manyWaiters(t *trial) {
	stuck := t.crowd(true)
	if stuck == nil {
		return
	}
	for range stuckRuns - 1 { // a store that is slow by itself is so without the crowd too
		if t.crowd(false) != nil || t.crowd(true) == nil {
			t.giveUp("%s: %v was not answered within %v", stuck.client, stuck.call, t.judge.opts.callTimeout)
		}
	}
	c := t.conviction(CallsReturn, stuck.call.Kind.String(), "",
		fmt.Sprintf("%s: %v = %v\n%s", stuck.client, stuck.call, stuck.got.Err, stuck.found), stuck.wanted, "")
	c.Config = t.cfg
	panic(outcome{conviction: c})
}

// crowd carries it out, with the crowd or without, and returns a call that was
// not answered afterwards.
func (t *trial) crowd(crowded bool) (stuck *objection) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		l := w.is(n1.claim(w.actor("a")), nil).Lease()
		calls := []call{lookup(l.Actor), claim(l.Actor, n2.ref, w.claimID()), validate(l.Actor, l.Token), getNode(n1.ref.ID),
			listActors(n1.ref, 2), markFailed(n1.ref)}
		g := newGate()
		holder := w.open("holder", gatedClock{n1.clock, g.pass})
		handles := []registry.Handle{holder, n2.h}
		renewed := make(chan struct{})
		var renewal op.Result
		g.armed.Store(true)
		w.t.async(func() {
			defer close(renewed)
			renewal = w.session.do("holder", holder, renew(l))
		})
		defer g.opens()
		either(g.entered, renewed)
		ended := renewed
		if crowded {
			ended = w.giveUpWaiting(handles, calls)
		}
		g.opens()
		<-renewed
		<-ended
		if trouble(renewal.Err) {
			w.t.giveUp("the renewal that the others waited behind: %v", renewal.Err)
		}
		want, _ := w.specified(n1, renew(l), renewal)
		w.note(n1, renew(l), renewal)
		w.compare(n1, renew(l), false, renewal, want)
		for i := range 12 {
			c := calls[i%len(calls)]
			if got := w.session.do("afterwards", handles[i%2], c); got.Outcome == op.Cancelled && !errors.Is(got.Err, registry.ErrUnavailable) {
				stuck = &objection{client: "afterwards", call: c, got: got, wanted: "an answer",
					found: "nothing else was under way; hundreds of calls had waited behind another, until their contexts ended"}
				return
			}
		}
		w.auditOne(lookup(l.Actor), AmbiguousTruth)
		w.auditOne(getNode(n2.ref.ID), AmbiguousTruth)
	})
	return stuck
}

// giveUpWaiting makes calls that change nothing, and ends their contexts.
func (w *lockstep) giveUpWaiting(handles []registry.Handle, calls []call) (ended chan struct{}) {
	ctx, cancel := context.WithCancel(w.t.ctx)
	var crowd, begun sync.WaitGroup
	for i := range sizedBy(w.t, 60, 300, 3000) {
		crowd.Add(1)
		begun.Add(1)
		c, h := calls[i%len(calls)], handles[i/len(calls)%2]
		w.t.async(func() {
			defer crowd.Done()
			begun.Done()
			w.t.watch(func() string { return "one of many: " + c.String() }, func(context.Context) { c.do(ctx, h) })
		})
	}
	ended = make(chan struct{})
	go func() { crowd.Wait(); close(ended) }()
	begun.Wait()
	for range 4 {
		briefly(ended)
	}
	cancel()
	briefly(ended)
	return ended // of those that wait for a lock whatever their context says: when it is free
}
