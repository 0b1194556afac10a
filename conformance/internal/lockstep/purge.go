package lockstep

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Purge has a process with n's clock forget what it may. The reference forgets nothing:
// in the dialect "forgets" it allows both, so that nothing has to be forgotten. What
// Purge must leave alone is compared here: [registry.Purger] promises more than the
// dialect, in which a store may also forget by itself what has lapsed.
func (n *Node) Purge() {
	w := n.W
	w.ReadTime()
	there := w.found(n)
	forgot := w.purged(n)
	w.Steps = append(w.Steps, Step{At: w.Time.Now(), Clock: n.Clock.Now(), Node: n.Name, What: "Purge", replay: true, event: history.Purge, forgot: forgot})
	if there == nil {
		return
	}
	may := 0
	for _, r := range there {
		if r.spared == reference.Enabled {
			may++
			continue
		}
		c := call.Lookup(r.record.Actor)
		if got := w.Untroubled(w.Observer, c); got.Err == nil && !got.Found {
			w.Note(w.Observer, c, got)
			w.Convict(contract.PurgeSpares, 0, got, op.Result{Outcome: op.OK, Found: true, Record: r.record}, "the purge forgot it, though "+spares[r.spared])
			w.adopt(&c.Call) // it was waived
		}
	}
	if forgot > may {
		told := op.Result{Outcome: op.OK}
		w.Convict(contract.PurgeSpares, 0, told, told, fmt.Sprintf("Purge says that it forgot %d records, and there were %d that it could forget", forgot, may))
	}
}

// PurgesNothing has a process with n's clock ask for a purge that must fail so, for what
// was done to its handle first, or for the context that it is under.
func (n *Node) PurgesNothing(want error, first func(context.Context, registry.Handle) context.Context) {
	w := n.W
	there := w.found(n)
	forgot := 0
	err := trial.Untroubled(func() (err error) {
		forgot, err = w.Session.PurgeAfter(n.reads, first)
		return err
	})
	got := op.Failed(err)
	w.Steps = append(w.Steps, Step{At: w.Time.Now(), Clock: n.Clock.Now(), Node: n.Name, What: "Purge", Result: got})
	switch {
	case call.Trouble(err):
		w.T.Unanswered(n.Name+": Purge", err)
	case call.Class(err) != want:
		rule := contract.ContextThird
		if want == registry.ErrClosed {
			rule = contract.ClosedSecond
		}
		w.Convict(rule, 0, got, op.Failed(want), fmt.Sprintf("it forgot %d records", forgot))
	}
	for _, r := range there {
		c := call.Lookup(r.record.Actor)
		if got := w.Untroubled(w.Observer, c); got.Err == nil && !got.Found {
			w.Note(w.Observer, c, got)
			w.Convict(contract.PurgeSpares, 0, got, op.Result{Outcome: op.OK, Found: true, Record: r.record}, "the purge that failed has forgotten it")
		}
	}
}

// spares says why a record may not be forgotten.
var spares = map[reference.Guard]string{
	reference.Claimable:  "its lease is not reclaimable by this clock",
	reference.HolderGone: "it names an active incarnation",
}

// foundRecord is a record that the backend had before a purge.
type foundRecord struct {
	record registry.Placement
	spared reference.Guard // why it must be left alone; Enabled: it may be forgotten
}

// found looks at all that was granted. It returns nil when it cannot be known what a
// purge by n's clock may forget.
func (w *Run) found(n *Node) []foundRecord {
	if !w.Exact || len(w.possible()) > 1 || len(w.Late) > 0 {
		return nil
	}
	there := []foundRecord{}
	for _, a := range w.Actors {
		c := call.Lookup(a)
		if got := w.Untroubled(w.Observer, c); got.Err != nil || !got.Found {
			continue
		}
		r := w.spec.View(&c.Call).Record
		holder := registry.StandingUnknown // without membership nobody is known to be active
		if !w.dialect.NoMembership {
			holder = w.spec.View(&op.Call{Kind: op.GetNode, Node: r.Holder}).Member.Standing(r.Holder)
		}
		floor := reference.Floor{Token: math.MaxUint64, Version: math.MaxUint64}
		there = append(there, foundRecord{r, reference.PurgeGuard(w.Cfg, r, holder, floor, n.reads.Now())})
	}
	return slices.Clip(there)
}

// purged calls Purge until it was not in trouble, and returns how many records it says
// that it forgot.
func (w *Run) purged(n *Node) (forgot int) {
	var patience call.Patience
	for {
		more, err := w.Session.Purge(n.reads)
		forgot += more
		switch {
		case err == nil:
			return forgot
		case !call.Trouble(err) || patience.Over(err):
			w.T.Unanswered(n.Name+": Purge", err)
		}
	}
}
