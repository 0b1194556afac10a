package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// objection is to an answer by itself: it is wrong whatever the history is.
type objection struct {
	rule   RuleID
	client string
	call   call
	got    op.Result
	found  string // what is wrong
	wanted string
}

// judgeAlone objects to what no answer to the call may be.
func judgeAlone(d dialect.Dialect, c *call, got *op.Result) *objection {
	if got.BesideError() {
		return &objection{rule: ErrorAlone, found: "beside the error " + besideError(*got), wanted: "the error alone"}
	}
	if problem := identityProblem(d, &c.Call, got); problem != "" {
		return &objection{rule: ErrorIdentity, found: problem, wanted: "one error of the contract, with the detail of this call"}
	}
	return nil
}

// almostEnded is how near a deadline a backend may answer as if it had passed:
// a timer of its own, set to the same deadline, may be ahead of the context's.
const almostEnded = time.Second

// judgeContext objects to a context's error of a call whose context has not ended.
// As the cause of ErrUnavailable it may be that of a context of the store's own.
func judgeContext(ctx context.Context, got *op.Result) *objection {
	if got.Outcome != op.Cancelled || hasEnded(ctx) || errors.Is(got.Err, registry.ErrUnavailable) {
		return nil
	}
	if at, limited := ctx.Deadline(); limited && time.Until(at) < almostEnded {
		return nil
	}
	return &objection{rule: ContextOwn, found: "the call's context has not ended", wanted: "an answer that does not depend on the contexts of other calls"}
}

// judgeDone objects to an answer to a call whose context had ended before it was
// made: it may be told that its arguments are invalid or its handle closed, or
// else the context's error.
func judgeDone(c *call, got *op.Result) *objection {
	answers := []op.Result{*got}
	if c.Kind == op.RenewBatch && got.Err == nil {
		answers = got.Renewals
	}
	for _, r := range answers {
		if r.Outcome == op.OK && c.Kind != op.Close || r.Outcome == op.Refused {
			return &objection{rule: ContextThird, found: "the call's context had ended before it was made", wanted: "the context's error"}
		}
	}
	return nil
}

// handleEnd is what is known of the Close of a handle.
type handleEnd struct {
	closing atomic.Bool // Close was called
	closed  atomic.Bool // Close has returned
}

// judge objects to an answer after Close that is not ErrClosed, and to
// ErrClosed before. An operation that was under way may have either.
func (e *handleEnd) judge(c *call, got *op.Result, wasClosed bool) *objection {
	closed := got.Outcome == op.Closed
	for _, r := range got.Renewals {
		closed = closed || r.Outcome == op.Closed
	}
	switch {
	case closed && !e.closing.Load():
		return &objection{rule: ClosedSecond, found: "this handle has not been closed", wanted: "an answer"}
	case !wasClosed || trouble(got.Err) || got.Outcome == op.Invalid:
		return nil
	case c.Kind == op.Close && got.Err != nil:
		return &objection{rule: ClosedSecond, found: "Close had returned before", wanted: "ok"}
	case c.Kind == op.RenewBatch:
		return closedMembers(c, got)
	case c.Kind != op.Close && !closed:
		return &objection{rule: ClosedSecond, found: "Close of this handle had returned before", wanted: registry.ErrClosed.Error()}
	}
	return nil
}

// closedMembers objects to a member of a batch that a closed handle answers.
func closedMembers(c *call, got *op.Result) *objection {
	for i, r := range got.Renewals {
		if r.Outcome != op.Closed && r.Outcome != op.Invalid && !trouble(r.Err) {
			return &objection{rule: ClosedSecond, found: fmt.Sprintf("Close of this handle had returned before, and result %d is %v", i, r.Err),
				wanted: registry.ErrClosed.Error()}
		}
	}
	return nil
}

// object keeps the first objection.
func (p *scenarioRun) object(client int, c *call, got *op.Result, o *objection) {
	if o != nil && !p.t.waive(o.rule, c.String()+": "+o.found) {
		o.client, o.call, o.got = clientName(client), *c, *got
		p.objection.CompareAndSwap(nil, o)
	}
}

// keptError is the error of an answer, and what it told then.
type keptError struct {
	client int
	call   call
	got    op.Result
}

// keep remembers the refusals, whose details must stay what they were.
func (p *scenarioRun) keep(client int, c *call, got *op.Result) {
	if got.Outcome != op.Refused {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = append(p.kept, keptError{client, *c, *got})
}

// errorsKept looks at the refusals again, at the end.
func (p *scenarioRun) errorsKept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kept {
		p.object(k.client, &k.call, &k.got, judgeKept(&k.got))
	}
}

// judgeKept objects to an error whose details are no longer what they were.
func judgeKept(got *op.Result) *objection {
	now := op.Failed(got.Err)
	if now.Reason == got.Reason && now.Record == got.Record && now.Node == got.Node && now.Now == got.Now {
		return nil
	}
	return &objection{rule: ErrorKept, found: fmt.Sprintf("later the same error value tells %v", got.Err), wanted: "the details that it was returned with"}
}

// objectTo makes an objection a conviction. The history shows what led to it.
func (t *trial) objectTo(seed uint64, h history.History, o *objection) *Conviction {
	found := fmt.Sprintf("%s: %s = %s\n%s", o.client, o.call.String(), plainText.Answer(&o.call.Call, &o.got), o.found)
	about := slices.IndexFunc(h.Ops, func(other history.Op) bool {
		return other.Client == o.client && other.Call.Kind == o.call.Kind && other.Result.Err == o.got.Err
	})
	table := explain.Table(h, linearizability.Violation{Op: max(0, about)})
	c := t.conviction(o.rule, o.call.Kind.String(), "", found, o.wanted, table)
	c.Config, c.Length, c.Tenures = h.Config, len(h.Ops), explain.TenuresOf(h)
	c.Seed, c.Reproduce = seed, t.judge.opts.reproduce(t.section, t.name, seed)
	t.save(c, h, linearizability.Result{})
	return c
}
