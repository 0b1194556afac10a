package answers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// contractErrors are the errors of the contract, which exclude each other, and
// a context's errors, which may stand beside two of them as their cause.
var contractErrors = []error{
	registry.ErrInvalid, registry.ErrClosed, registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists,
	registry.ErrNodeAlive, registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed, registry.ErrHeld,
	registry.ErrConfigMismatch, registry.ErrUnavailable, registry.ErrAmbiguous,
}

// IdentityProblem says in which way the error of an answer is not one error of
// the contract with the detail that belongs to it, "" when it is. An error that
// the contract does not have at all is judged elsewhere, as an answer like others.
func IdentityProblem(d dialect.Dialect, c *op.Call, r *op.Result) string {
	for i := range r.Renewals {
		if i < len(c.Leases) {
			one := op.OnLease(op.Renew, c.Leases[i])
			if problem := IdentityProblem(d, &one, &r.Renewals[i]); problem != "" {
				return fmt.Sprintf("result %d: %s", i, problem)
			}
		}
	}
	if r.Err == nil {
		return ""
	}
	var matched []string
	for _, e := range contractErrors {
		if errors.Is(r.Err, e) && !(e == registry.ErrUnavailable && errors.Is(r.Err, registry.ErrAmbiguous)) { // there it is the cause
			matched = append(matched, string(op.ReasonOf(e)))
		}
	}
	ended := errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, context.DeadlineExceeded)
	causes := errors.Is(r.Err, registry.ErrUnavailable) || errors.Is(r.Err, registry.ErrAmbiguous)
	switch {
	case len(matched) > 1:
		return "it matches " + strings.Join(matched, " and ")
	case len(matched) == 1 && ended && !causes:
		return "it matches " + matched[0] + " and a context's error"
	}
	if d.BareRecords && r.Reason == op.Held {
		return "" // it need not tell the holder
	}
	return detailProblem(c, r)
}

// detailProblem says which detail an error lacks, or carries although it is of
// another call. Details may be absent where the contract does not demand them.
func detailProblem(c *op.Call, r *op.Result) string {
	var refusal *registry.Refusal
	var invalid *registry.InvalidError
	switch r.Outcome {
	case op.Invalid:
		if !errors.As(r.Err, &invalid) || invalid.Field == "" {
			return "no registry.InvalidError that names the argument is in it"
		}
	case op.Refused:
		if !errors.As(r.Err, &refusal) { // details may be absent, but for the holder's
			if r.Reason == op.Held {
				return "no registry.Refusal, which tells the holder, is in it"
			}
			return ""
		}
		if op.ReasonOf(refusal.Reason) != r.Reason {
			return fmt.Sprintf("the reason of its registry.Refusal is %v", refusal.Reason)
		}
		return refusalProblem(c, refusal)
	}
	return ""
}

// refusalProblem says which detail of a refusal is of another actor or node than
// the call, "" when none is: the record is the actor's; the registration is that
// of a node the call names or, with ErrHeld, the holder's.
func refusalProblem(c *op.Call, r *registry.Refusal) string {
	held := errors.Is(r.Reason, registry.ErrHeld)
	if held && !r.Placement.Held() {
		return "it does not tell who holds the actor"
	}
	if p := r.Placement; c.Actor != (registry.ActorID{}) && p != (registry.Placement{}) && p.Actor != c.Actor {
		return fmt.Sprintf("it tells the record of %v", p.Actor)
	}
	named := []registry.NodeID{"", c.Node.ID, c.To.ID}
	if held {
		named = append(named, r.Placement.Holder.ID)
	}
	if !slices.Contains(named, r.Node.Ref.ID) {
		return fmt.Sprintf("it tells the registration of %v", r.Node.Ref)
	}
	return ""
}
