// Package answers judges an answer by itself: what no call may be answered,
// whatever the history is. It knows nothing of the reference.
package answers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// Objection is to an answer by itself: it is wrong whatever the history is.
type Objection struct {
	Rule   contract.RuleID
	Client string
	Call   call.Call
	Got    op.Result
	Found  string // what is wrong
	Wanted string
}

// JudgeAlone objects to what no answer to the call may be.
func JudgeAlone(d dialect.Dialect, c *call.Call, got *op.Result) *Objection {
	if got.BesideError() {
		return &Objection{Rule: contract.ErrorAlone, Found: "beside the error " + BesideError(*got), Wanted: "the error alone"}
	}
	if problem := misplaced(c, got); problem != "" {
		return &Objection{Rule: contract.BatchAsSingle, Found: problem, Wanted: "one result per lease, in the order of the leases"}
	}
	if problem := IdentityProblem(d, &c.Call, got); problem != "" {
		return &Objection{Rule: contract.ErrorIdentity, Found: problem, Wanted: "one error of the contract, with the detail of this call"}
	}
	return nil
}

// misplaced says what is wrong with the number of a batch's results or with their order.
func misplaced(c *call.Call, got *op.Result) string {
	if c.Kind != op.RenewBatch || got.Err != nil {
		return ""
	}
	if n := len(got.Renewals); n != len(c.Leases) {
		return fmt.Sprintf("%d results for %d leases", n, len(c.Leases))
	}
	for i, r := range got.Renewals {
		told := r.Record.Actor
		if refusal := new(registry.Refusal); errors.As(r.Err, &refusal) {
			told = refusal.Placement.Actor
		}
		if want := c.Leases[i].Actor; told != want && told != (registry.ActorID{}) {
			return fmt.Sprintf("result %d is of %v, lease %d of %v", i, told, i, want)
		}
	}
	return ""
}

// almostEnded is how near a deadline a backend may answer as if it had passed:
// a timer of its own, set to the same deadline, may be ahead of the context's.
const almostEnded = time.Second

// JudgeContext objects to a context's error of a call whose context has not ended.
// As the cause of ErrUnavailable it may be that of a context of the store's own.
func JudgeContext(ctx context.Context, got *op.Result) *Objection {
	if got.Outcome != op.Cancelled || contexts.HasEnded(ctx) || errors.Is(got.Err, registry.ErrUnavailable) {
		return nil
	}
	if at, limited := ctx.Deadline(); limited && time.Until(at) < almostEnded {
		return nil
	}
	return &Objection{Rule: contract.ContextOwn, Found: "the call's context has not ended", Wanted: "an answer that does not depend on the contexts of other calls"}
}

// JudgeDone objects to an answer to a call whose context had ended before it was
// made: it may be told that its arguments are invalid or its handle closed, or
// else the context's error.
func JudgeDone(c *call.Call, got *op.Result) *Objection {
	answers := []op.Result{*got}
	if c.Kind == op.RenewBatch && got.Err == nil {
		answers = got.Renewals
	}
	for _, r := range answers {
		if r.Outcome == op.OK && c.Kind != op.Close || r.Outcome == op.Refused {
			return &Objection{Rule: contract.ContextThird, Found: "the call's context had ended before it was made", Wanted: "the context's error"}
		}
	}
	return nil
}

// HandleEnd is what is known of the Close of a handle.
type HandleEnd struct {
	Closing atomic.Bool // Close was called
	Closed  atomic.Bool // Close has returned
}

// Judge objects to an answer after Close that is not ErrClosed, and to
// ErrClosed before. An operation that was under way may have either.
func (e *HandleEnd) Judge(c *call.Call, got *op.Result, wasClosed bool) *Objection {
	closed := got.Outcome == op.Closed
	for _, r := range got.Renewals {
		closed = closed || r.Outcome == op.Closed
	}
	switch {
	case closed && !e.Closing.Load():
		return &Objection{Rule: contract.ClosedSecond, Found: "this handle has not been closed", Wanted: "an answer"}
	case !wasClosed || call.Trouble(got.Err) || got.Outcome == op.Invalid:
		return nil
	case c.Kind == op.Close && got.Err != nil:
		return &Objection{Rule: contract.ClosedSecond, Found: "Close had returned before", Wanted: "ok"}
	case c.Kind == op.RenewBatch:
		return closedMembers(c, got)
	case c.Kind != op.Close && !closed:
		return &Objection{Rule: contract.ClosedSecond, Found: "Close of this handle had returned before", Wanted: registry.ErrClosed.Error()}
	}
	return nil
}

// closedMembers objects to a member of a batch that a closed handle answers.
func closedMembers(c *call.Call, got *op.Result) *Objection {
	for i, r := range got.Renewals {
		if r.Outcome != op.Closed && r.Outcome != op.Invalid && !call.Trouble(r.Err) {
			return &Objection{Rule: contract.ClosedSecond, Found: fmt.Sprintf("Close of this handle had returned before, and result %d is %v", i, r.Err),
				Wanted: registry.ErrClosed.Error()}
		}
	}
	return nil
}

// JudgeKept objects to an error whose details are no longer what they were.
func JudgeKept(got *op.Result) *Objection {
	now := op.Failed(got.Err)
	if now.Reason == got.Reason && now.Record == got.Record && now.Node == got.Node && now.Now == got.Now {
		return nil
	}
	return &Objection{Rule: contract.ErrorKept, Found: fmt.Sprintf("later the same error value tells %v", got.Err), Wanted: "the details that it was returned with"}
}

// Convict makes an objection a conviction. The history shows what led to it.
func Convict(t *trial.Trial, seed uint64, h history.History, o *Objection) *explain.Conviction {
	found := fmt.Sprintf("%s: %s = %s\n%s", o.Client, o.Call.String(), call.PlainText.Answer(&o.Call.Call, &o.Got), o.Found)
	about := slices.IndexFunc(h.Ops, func(other history.Op) bool {
		return other.Client == o.Client && other.Call.Kind == o.Call.Kind && other.Result.Err == o.Got.Err
	})
	table := explain.Table(h, linearizability.Violation{Op: max(0, about)})
	c := t.Conviction(o.Rule, o.Call.Kind.String(), "", found, o.Wanted, table)
	c.Config, c.Length, c.Tenures = h.Config, len(h.Ops), explain.TenuresOf(h)
	c.Seed, c.Reproduce = seed, t.Judge.Opts.Reproduce(t.Section, t.Name, seed)
	t.Save(c, h, linearizability.Result{})
	return c
}

// BesideError describes what an answer has beside its error.
func BesideError(r op.Result) string {
	var told []string
	if r.Found {
		told = append(told, "found is true")
	}
	if r.Record != (registry.Placement{}) {
		told = append(told, fmt.Sprintf("the record is %+v", r.Record))
	}
	if r.Node != (registry.Node{}) {
		told = append(told, fmt.Sprintf("the registration is %+v", r.Node))
	}
	return strings.Join(told, ", ")
}
