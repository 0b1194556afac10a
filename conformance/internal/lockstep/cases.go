package lockstep

import (
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/reference"
)

// In runs f on a new cluster.
func In(t *trial.Trial, cfg registry.Config, f func(*Run)) {
	w := New(t, cfg, t.Seed)
	f(w)
	w.Close()
}

// patience is how often a piece of a case is begun anew that trouble in the store led astray.
const patience = 10

// Anew is In, again on another cluster where trouble in the store has led f astray: of
// many pieces of a case one is likely to be.
func Anew(t *trial.Trial, cfg registry.Config, f func(*Run)) {
	for n := 1; ; n++ {
		end := t.Attempt(func() { In(t, cfg, f) })
		if end.Conviction != nil {
			panic(end)
		}
		if n == patience || end.Undecided == "" || !t.Troubled() {
			t.Pass(end)
			return
		}
		t.Again.Add(1)
	}
}

// InParts is In, with f for all of list. From the first unknown outcome on it is run for a
// few of list at a time instead, each time on another cluster and as Anew: unknown
// outcomes about many that have nothing to do with each other multiply what is possible.
func InParts[T any](t *trial.Trial, cfg registry.Config, list []T, f func(*Run, []T)) {
	var known *Run
	end := t.Attempt(func() {
		In(t, cfg, func(w *Run) {
			known, w.Certain = w, true
			f(w, list)
		})
	})
	if known == nil || known.Certain {
		if end != (trial.Outcome{}) {
			panic(end)
		}
		return
	}
	parts := (len(list) + part - 1) / part
	for i := range parts {
		Anew(t, cfg, func(w *Run) { f(w, list[i*len(list)/parts:(i+1)*len(list)/parts]) })
	}
}

// part is how many of a list there are at a time, at most.
const part = 12

// AtEach runs f once for each configuration and boundary, with the holder's
// clock at that distance from the end of its lease.
func AtEach(t *trial.Trial, f func(w *Run, holder, other *Node, l registry.Lease, at time.Duration)) {
	for _, cfg := range t.Configs() {
		for _, at := range Boundaries(cfg) {
			In(t, cfg, func(w *Run) {
				holder, other := w.Node("n1", 0), w.Node("n2", 0)
				l := w.Is(holder.Claim(w.Actor("a")), nil).Lease()
				w.Until(holder, l.Expiry.Add(at))
				f(w, holder, other, l, at)
			})
		}
	}
}

// At runs f on a new cluster, whose true time begins at now.
func At(t *trial.Trial, now registry.Instant, cfg registry.Config, f func(*Run)) {
	w := newOn(t, t.NewSessionAt(cfg, now), t.Seed)
	f(w)
	w.Close()
}

// Lapse lets true time pass until every lease is reclaimable by any clock.
func (w *Run) Lapse() { w.Advance(w.Cfg.TTL + w.Cfg.Grace + 4*w.Cfg.MaxClockSkew) }

// Fail lets the node's silence grow long enough and marks it failed.
func (w *Run) Fail(by, victim *Node) {
	w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew)
	w.Is(by.Do(call.MarkFailed(victim.Ref)), nil)
}

// Incarnations calls f with one reference to an incarnation of each standing.
func (w *Run) Incarnations(by *Node, f func(ref registry.NodeRef, want error)) {
	node := func(name string) *Node { return w.Node(name, 0) }
	f(registry.NodeRef{ID: "never", Epoch: 1}, registry.ErrNodeUnknown)
	future := node("future").Ref
	future.Epoch++
	f(future, registry.ErrNodeUnknown)
	left := node("left").Ref
	w.Is(by.Do(call.Deregister(left)), nil)
	f(left, registry.ErrNodeUnknown)
	old := node("superseded")
	past := old.Ref
	w.Is(old.Register(registry.Supersede), nil)
	f(past, registry.ErrNodeFailed)
	w.Is(old.Do(call.Deregister(old.Ref)), nil)
	f(past, registry.ErrNodeFailed) // an epoch that is over stays failed
	f(old.Ref, registry.ErrNodeUnknown)
	failed := node("failed")
	w.Fail(by, failed)
	f(failed.Ref, registry.ErrNodeFailed)
	w.Is(failed.Register(registry.IfAbsent), nil)
	f(registry.NodeRef{ID: failed.Ref.ID, Epoch: 1}, registry.ErrNodeFailed)
	f(failed.Ref, nil) // the next epoch starts afresh
	for _, name := range []string{"often-left", "often-failed"} {
		n := node(name)
		for range 2 {
			w.Is(n.Register(registry.Supersede), nil)
		}
		last, latest := n.Ref, registry.ErrNodeUnknown
		if name == "often-left" {
			w.Is(by.Do(call.Deregister(last)), nil)
		} else {
			latest = registry.ErrNodeFailed
			w.Fail(by, n)
		}
		of := func(epoch registry.Epoch, want error) { f(registry.NodeRef{ID: last.ID, Epoch: epoch}, want) }
		of(1, registry.ErrNodeFailed)
		of(last.Epoch-1, registry.ErrNodeFailed)
		of(last.Epoch+1, registry.ErrNodeUnknown)
		of(last.Epoch+2, registry.ErrNodeUnknown)
		of(last.Epoch, latest)
	}
}

// Refuses reports whether the reference, as it is now, refuses the call.
func (n *Node) Refuses(c call.Call) bool {
	d := reference.Decide(n.W.Cfg, n.W.spec.View(&c.Call), &c.Call, n.reads.Now())
	return !d.Repeats && d.Guard != reference.Enabled
}

// ModelError asks the reference alone; the call must be one that is refused.
func (n *Node) ModelError(c call.Call) error { return c.Do(n.W.T.Ctx, n.model).Err }

// Unchanged runs f and then compares every record and listing with the
// reference, which f has left as it was or changed in the same way.
func (w *Run) Unchanged(n *Node, f func()) {
	f()
	for _, c := range []call.Call{
		call.Lookup(w.Actor("a")), call.Lookup(w.Actor("free")), call.ListActors(n.Ref, registry.MaxPageLimit), call.ListNodes(registry.AnyStatus, registry.MaxPageLimit),
	} {
		w.AuditOne(c, contract.RefusalNothing)
	}
}

// Boundaries are the times, from Expiry on, at which a lease changes its
// phase, each with its two neighbours.
func Boundaries(cfg registry.Config) []time.Duration {
	var at []time.Duration
	for _, b := range []time.Duration{0, cfg.Grace, cfg.Grace + 2*cfg.MaxClockSkew} {
		at = append(at, b-1, b, b+1)
	}
	slices.Sort(at)
	return slices.Compact(at)
}
