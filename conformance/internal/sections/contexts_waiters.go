package sections

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/answers"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/schedule"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

// manyWaiters lets hundreds of calls wait behind one that is stopped, and ends
// their contexts. Each may have had a place in a queue, a slot or a connection:
// when all have given up, as many calls must be answered as before.
func manyWaiters(t *trial.Trial) {
	stuck := crowd(t, true)
	if stuck == nil {
		return
	}
	again := func() bool { // on a busy machine some crowds give up before they wait
		for range crowdTries {
			if crowd(t, true) != nil {
				return true
			}
		}
		return false
	}
	for range schedule.StuckRuns - 1 { // a store that is slow by itself is so without the crowd too
		if crowd(t, false) != nil || !again() {
			t.GiveUp("%s: %v was not answered within %v", stuck.Client, stuck.Call, t.Judge.Opts.CallTimeout)
		}
	}
	c := t.Conviction(contract.CallsReturn, stuck.Call.Kind.String(), "",
		fmt.Sprintf("%s: %v = %v\n%s", stuck.Client, stuck.Call, stuck.Got.Err, stuck.Found), stuck.Wanted, "")
	c.Config = t.Cfg
	panic(trial.Outcome{Conviction: c})
}

// crowdTries is how often a crowd may pass that was stuck before.
const crowdTries = 3

// crowd carries it out, with the crowd or without, and returns a call that was
// not answered afterwards.
func crowd(t *trial.Trial, crowded bool) (stuck *answers.Objection) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		l := w.Is(n1.Claim(w.Actor("a")), nil).Lease()
		calls := []call.Call{call.Lookup(l.Actor), call.Claim(l.Actor, n2.Ref, w.ClaimID()), call.Validate(l.Actor, l.Token), call.GetNode(n1.Ref.ID),
			call.ListActors(n1.Ref, 2), call.MarkFailed(n1.Ref)}
		holder := w.Unregistered("holder", 0)
		var gate atomic.Pointer[schedule.Gate]
		gate.Store(schedule.NewGate())
		holder.H = w.Open("holder", schedule.GatedClock{Clock: holder.Clock, Passed: func() { gate.Load().Pass() }})
		handles := []registry.Handle{holder.H, n2.H}
		w.Audits = false // before it is seen whether anybody is answered
		attempts := 0
		holder.DoBy(call.Renew(l), func() op.Result {
			holder.OutOfStep(attempts)
			attempts++
			g := schedule.NewGate()
			gate.Store(g)
			return renewBefore(w, holder.H, l, g, func() <-chan struct{} {
				if !crowded || attempts > call.PatientAttempts/2 { // a store that tries only so often may never get past a crowd
					return nil
				}
				return giveUpWaiting(w, handles, calls)
			})
		})
		for i := range 12 {
			c := calls[i%len(calls)]
			if got := w.Session.Do("afterwards", handles[i%2], c); got.Outcome == op.Cancelled && !errors.Is(got.Err, registry.ErrUnavailable) {
				stuck = &answers.Objection{Client: "afterwards", Call: c, Got: got, Wanted: "an answer",
					Found: "nothing else was under way; hundreds of calls had waited behind another, until their contexts ended"}
				return
			}
		}
		w.AuditOne(call.Lookup(l.Actor), contract.AmbiguousTruth)
		w.AuditOne(call.GetNode(n2.Ref.ID), contract.AmbiguousTruth)
	})
	return stuck
}

// renewBefore renews l, stops it at the gate, and lets it go on after meanwhile, which
// returns what ends when nobody waits any more, nil for nobody.
func renewBefore(w *lockstep.Run, h registry.Handle, l registry.Lease, g *schedule.Gate, meanwhile func() <-chan struct{}) (renewal op.Result) {
	renewed := make(chan struct{})
	g.Armed.Store(true)
	w.T.Async(func() {
		defer close(renewed)
		renewal = w.Session.Do("holder", h, call.Renew(l))
	})
	defer g.Opens()
	schedule.Either(g.Entered, renewed)
	ended := meanwhile()
	g.Opens()
	<-renewed
	if ended != nil {
		<-ended
	}
	return renewal
}

// giveUpWaiting makes calls that change nothing, and ends their contexts when all are on
// their way: each has looked at its context, as who waits for a free place does, or has
// had as long as it takes otherwise. Were that too short, the case would be weaker, not wrong.
func giveUpWaiting(w *lockstep.Run, handles []registry.Handle, calls []call.Call) (ended chan struct{}) {
	ctx, cancel := contexts.WithCancel(w.T.Ctx)
	var crowd, looking sync.WaitGroup
	for i := range trial.SizedBy(w.T, 60, 300, 3000) {
		crowd.Add(1)
		looking.Add(1)
		c, h := calls[i%len(calls)], handles[i/len(calls)%2]
		w.T.Async(func() {
			defer crowd.Done()
			looks := lookedAt{ctx, sync.OnceFunc(looking.Done)}
			defer looks.seen()
			w.T.Watch(func() string { return "one of many: " + c.String() }, func(context.Context) { c.Do(looks, h) })
		})
	}
	ended = make(chan struct{})
	go func() { crowd.Wait(); close(ended) }()
	all := make(chan struct{})
	go func() { looking.Wait(); close(all) }()
	for range 16 {
		schedule.Briefly(all)
	}
	for range 4 {
		schedule.Briefly(ended)
	}
	cancel()
	schedule.Briefly(ended)
	return ended // of those that wait for a lock whatever their context says: when it is free
}

// lookedAt is a context that tells when it is looked at.
type lookedAt struct {
	context.Context
	seen func()
}

// Err implements context.Context.
func (c lookedAt) Err() error { c.seen(); return c.Context.Err() }

// Done implements context.Context.
func (c lookedAt) Done() <-chan struct{} { c.seen(); return c.Context.Done() }
