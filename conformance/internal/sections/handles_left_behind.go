package sections

import (
	"context"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
)

// A handle that leaves a goroutine behind is seen by what many of them leave. A pool
// that the first handles fill is there before the count begins.
const (
	warmHandles  = 8
	leakyHandles = 24
)

// leakLabel is the key of the label of the goroutines that are counted.
const leakLabel = "conformance.left-behind"

func leftBehind(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		keeper, n := w.Node("n1", 0), w.Node("n2", 0)
		l := w.Is(keeper.Claim(w.Actor("a")), nil).Lease()
		trial.Labelled(t.Ctx, leakLabel, func(label string) {
			use := func(handles int) {
				for range handles {
					w.Is(keeper.Do(call.Release(l)), nil) // with it go its renewals that may still apply
					l = w.Is(keeper.Claim(l.Actor), nil).Lease()
					useAndClose(w, n, l)
				}
			}
			use(warmHandles)
			before := trial.GoroutinesUnder(leakLabel, label).Count()
			use(leakyHandles)
			noneLeft(w, label, before)
		})
	})
}

// useAndClose opens a handle in the place of n's, makes calls of every kind, which
// succeed, are refused or are given up, closes it, and makes some more.
func useAndClose(w *lockstep.Run, n *lockstep.Node, l registry.Lease) {
	n.Reopen()
	w.Steps = w.Steps[:0] // the last handle tells all
	w.Audits = false
	for _, c := range []call.Call{
		call.Renew(l), call.Lookup(l.Actor), call.Validate(l.Actor, l.Token), call.Claim(l.Actor, n.Ref, w.ClaimID()), call.Heartbeat(n.Ref),
		call.GetNode(n.Ref.ID), call.ListActors(l.Holder, 0), call.ListNodes(registry.AnyStatus, 0),
	} {
		n.Do(c)
	}
	if w.T.Judge.Found[backend.BatchRenew] {
		n.Do(call.RenewBatchCall([]registry.Lease{l, l}))
	}
	ended(w, n, call.Lookup(l.Actor), context.Canceled)
	ended(w, n, call.Renew(l), context.DeadlineExceeded)
	batchEnds(w, n, l, context.Canceled, func(c call.Call) call.Call { return c.In(cancelled) })
	if w.T.Judge.Found[backend.Watch] {
		leaveWatches(w, n, l)
	}
	succeed(w, n)
	n.Do(call.CloseHandle())
	for _, c := range []call.Call{call.Lookup(l.Actor), call.Renew(l), call.GetNode(n.Ref.ID), call.ListActors(l.Holder, 0)} {
		n.Do(c)
	}
}

// succeed makes each call that changes something.
func succeed(w *lockstep.Run, n *lockstep.Node) {
	n.Register(registry.Supersede)
	l := n.Do(call.Claim(w.Actor("own"), n.Ref, w.ClaimID())).Lease()
	if got := n.Do(call.Transfer(l, n.Ref)); got.Err == nil {
		l = got.Lease()
	}
	n.Do(call.Release(l))
	w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew)
	n.Do(call.MarkFailed(n.Ref))
	n.Do(call.Deregister(n.Ref))
	n.Register(registry.IfAbsent)
}

// leaveWatches lets one watch be answered and one be given up.
func leaveWatches(w *lockstep.Run, n *lockstep.Node, l registry.Lease) {
	now := w.Untroubled(w.Observer, call.Lookup(l.Actor)).Record
	n.Do(call.WatchCall(l.Actor, now.Version+1))
	ctx, cancel := contexts.WithTimeout(w.T.Ctx, time.Millisecond)
	defer cancel()
	w.Watching(ctx, n, l.Actor, now.Version).Wait()
}

// noneLeft gives the goroutines as long to end as a call may take. A right backend
// may have started some that are not of a handle, so each handle must leave one.
func noneLeft(w *lockstep.Run, label string, before int) {
	for wait := time.Millisecond; ; wait *= 2 {
		list := trial.GoroutinesUnder(leakLabel, label)
		left := list.Count() - before
		if left < leakyHandles {
			return
		}
		if wait > w.T.Judge.Opts.CallTimeout {
			last := w.Steps[len(w.Steps)-1]
			w.Convict(contract.CloseFrees, 0, last.Result, last.Result,
				fmt.Sprintf("%d handles were opened, used so and closed, and left %d goroutines behind:\n%v", leakyHandles, left, list))
			return
		}
		trial.Pause(w.T.Ctx, wait)
	}
}
