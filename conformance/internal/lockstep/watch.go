package lockstep

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// mayWait reports whether a call of unknown outcome may have brought about the version
// from which a watch begins, or may do so before it: then nothing might ever answer it.
func (w *Run) mayWait(c call.Call) bool {
	if c.Under != nil || c.Validate() != nil {
		return false
	}
	lates := 0
	for _, l := range w.Late {
		if changes(&l.call.Call, &c.Call) {
			lates++
		}
	}
	worlds := w.possible()
	defer w.spec.Restore(worlds[0].state)
	return slices.ContainsFunc(worlds, func(v world) bool {
		w.spec.Restore(v.state)
		view := w.spec.View(&c.Call)
		now, any := view.Record.Version, view.Least.Version || lates > 0 && (w.dialect.SparseVersions || w.dialect.Forgets)
		return now == c.Seen || now < c.Seen && (any || c.Seen-now <= registry.Version(lates))
	})
}

// Watching is a watch under way.
type Watching struct {
	w    *Run
	n    *Node
	call call.Call
	ctx  context.Context
	Stop context.CancelFunc
	got  chan op.Result

	Begun chan struct{} // closed when its goroutine runs
	ended chan struct{} // and when it has sent the answer
}

// Watching starts a watch through n.
func (w *Run) Watching(ctx context.Context, n *Node, a registry.ActorID, seen registry.Version) *Watching {
	ctx, cancel := contexts.WithCancel(ctx)
	k := &Watching{w: w, n: n, call: call.WatchCall(a, seen), ctx: ctx, Stop: cancel, got: make(chan op.Result, 1), Begun: make(chan struct{}), ended: make(chan struct{})}
	w.watching = append(w.watching, k)
	h := n.H // a crash opens the node's handle anew
	w.T.Async(func() {
		close(k.Begun)
		k.got <- k.call.Do(ctx, h)
		close(k.ended)
	})
	return k
}

// end ends the watch if it is still under way: nothing may be when the cluster is freed.
func (k *Watching) end() {
	k.Stop()
	select {
	case <-k.ended:
	default:
		k.w.T.Wait(k.ctx, k.call.String, func(context.Context) { <-k.ended })
	}
}

// Wait returns the answer, which is the last step then.
func (k *Watching) Wait() (r op.Result) {
	k.w.T.Wait(k.ctx, k.call.String, func(context.Context) { r = <-k.got })
	k.w.Note(k.n, k.call, r)
	return r
}

// Answered reports whether the watch has ended, and nobody has waited for it yet.
func (k *Watching) Answered() bool { return len(k.got) > 0 }

// Woken convicts a watch that does not answer, now that the version is another,
// with the record as it is: that is the only one that it can have woken for, unless
// a store in trouble has made the change more than once; then it may have woken for
// any of them. A watch that still waits is given as long as any call, and is then
// cancelled. The others, which waited beside it, belong to the history of a conviction.
func (w *Run) Woken(k *Watching, others ...*Watching) {
	look := call.Lookup(k.call.Actor)
	now := w.Is(w.Observer.Do(look), nil)
	now.Record = reference.Fill(w.dialect, w.spec.View(&look.Call).Record, now.Record) // a watch may tell what the lookup left out
	defer trial.After(w.T.Judge.Opts.CallTimeout, k.Stop)()
	woken := k.Wait()
	amid := w.T.Troubles.Load() > 0 && woken.Err == nil && k.call.Seen < woken.Record.Version && woken.Record.Version < now.Record.Version
	amid = amid || w.dialect.Forgets && k.call.Seen > 0 && now.Record.Version == 0 && k.beforeItWent(woken)
	for patience := (call.Patience{}); call.Trouble(woken.Err) && !patience.Over(woken.Err); {
		w.T.Troubles.Add(1)
		again := w.Watching(w.T.Ctx, k.n, k.call.Actor, k.call.Seen) // the version differs: it answers at once
		woken = again.Wait()
		again.Stop()
	}
	diff := w.Diff(k.n, woken, now)
	switch {
	case diff == "", amid:
		return
	case woken.Err == nil && woken.Record.Version > k.call.Seen && w.LateOn(k.call.Actor):
		return // it is not known what there was when it woke
	case woken.Err == nil && woken.Record.Version == 0 && w.dialect.Forgets:
		return // it woke when the record went
	case call.Class(woken.Err) == context.Canceled:
		diff = fmt.Sprintf("it did not wake within %v, and was cancelled", w.T.Judge.Opts.CallTimeout)
	case call.Trouble(woken.Err):
		w.T.GiveUp("%s: %v", k.call, woken.Err)
	}
	last := len(w.Steps) - 1
	for _, other := range others {
		other.Stop()
		other.Wait()
	}
	convicted := w.Steps[last]
	w.Steps = append(slices.Delete(w.Steps, last, last+1), convicted) // it comes last
	w.Convict(contract.WatchWakes, 0, woken, now, diff)
}

// beforeItWent reports whether the watch may have woken for what there was before the
// record went: its release or, in trouble, a renewal that was late.
func (k *Watching) beforeItWent(woken op.Result) bool {
	return woken.Err == nil && woken.Record.Version > k.call.Seen && (!woken.Record.Held() || k.w.T.Troubles.Load() > 0)
}

// LateOn reports whether a call may still apply that changes the actor: it can wake
// a watch at any time.
func (w *Run) LateOn(a registry.ActorID) bool {
	look := call.Lookup(a)
	return slices.ContainsFunc(w.Late, func(l *lateCall) bool { return changes(&l.call.Call, &look.Call) })
}

// MayWake reports whether the watch may answer although the case changes nothing: a call
// may still apply that changes the actor, or has applied since the version that was seen;
// or the record may go, in a dialect that forgets.
func (k *Watching) MayWake() bool {
	w, look := k.w, call.Lookup(k.call.Actor)
	defer w.spec.Restore(w.possible()[0].state)
	return w.LateOn(k.call.Actor) || slices.ContainsFunc(w.possible(), func(v world) bool {
		w.spec.Restore(v.state)
		now := w.spec.View(&look.Call).Record
		ended := !now.Held() || w.Cfg.Phase(now.Expiry, k.n.reads.Now()) >= registry.Lapsed
		return now.Version != k.call.Seen || w.dialect.Forgets && ended
	})
}

// Wakes makes a change while a watch waits for it.
func (w *Run) Wakes(n *Node, a registry.ActorID, seen registry.Version, change func() registry.Lease) registry.Lease {
	k := w.Watching(w.T.Ctx, n, a, seen)
	defer k.Stop()
	l := change()
	w.Woken(k)
	return l
}

// The suite cannot see whether a watch has begun to wait. It lets it begin for a
// moment: were that too short, the case would be weaker, not wrong.
const beginning = time.Millisecond

func (w *Run) Settle() { trial.Pause(w.T.Ctx, beginning) }

// Version is that of the actor's record, which need not be the next one after a release:
// in the dialect sparse-versions it is any that is higher.
func (w *Run) Version(a registry.ActorID) registry.Version {
	return w.Is(w.Observer.Do(call.Lookup(a)), nil).Record.Version
}

// quiet is how long a watch that nothing wakes is waited for.
const quiet = 20 * time.Millisecond

// GivesUp lets a watch that nothing wakes run into its deadline, or into one of the store's
// own each time.
func (w *Run) GivesUp(n *Node, a registry.ActorID, seen registry.Version) {
	var got op.Result
	var k *Watching
	for patience := (call.Patience{}); ; {
		ctx, cancel := contexts.WithTimeout(w.T.Ctx, quiet)
		k = w.Watching(ctx, n, a, seen)
		got = k.Wait()
		cancel()
		if call.Class(got.Err) != registry.ErrUnavailable {
			break
		}
		w.T.Troubles.Add(1)
		if patience.Over(got.Err) {
			return
		}
	}
	if call.Class(got.Err) != context.DeadlineExceeded && !k.MayWake() {
		w.Convict(contract.WatchWakes, 0, got, op.Failed(context.DeadlineExceeded), "nothing changed until the watch's deadline")
	}
}

// Waits starts a watch and lets it begin to wait.
func (w *Run) Waits(n *Node, a registry.ActorID, seen registry.Version) *Watching {
	k := w.Watching(w.T.Ctx, n, a, seen)
	<-k.Begun
	w.Settle()
	return k
}

// Undisturbed convicts a watch that has answered although nothing was changed. One
// that the store's trouble has ended, as it may at any time, is begun again, for a while;
// one that may have woken goes on from what it was told.
func (w *Run) Undisturbed(why string, watches ...*Watching) {
	for attempt := 1; len(watches) > 0 && attempt < call.PatientAttempts; attempt++ {
		trial.Pause(w.T.Ctx, quiet)
		var again []*Watching
		for _, k := range watches {
			select {
			case r := <-k.got:
				w.Note(k.n, k.call, r)
				switch {
				case call.Trouble(r.Err):
					w.T.Troubles.Add(1)
				case k.MayWake():
					k.call.Seen = r.Record.Version
				default:
					w.Convict(contract.WatchWakes, 0, r, op.Result{Outcome: op.Pending}, "the record was as it had been seen: "+why)
				}
				k.again()
				again = append(again, k)
			default:
			}
		}
		watches = again
	}
}

// again begins a watch anew that has ended.
func (k *Watching) again() {
	k.Stop()
	other := k.w.Watching(k.w.T.Ctx, k.n, k.call.Actor, k.call.Seen)
	<-other.Begun
	k.got, k.ctx, k.Stop = other.got, other.ctx, other.Stop
}
