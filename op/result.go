package op

import (
	"context"
	"errors"

	"github.com/kelpie-registry/registry"
)

// Outcome classifies how a call ended, by what that says about its effect.
type Outcome string

// The outcomes.
const (
	OK          Outcome = "ok"          // took effect between call and return
	Refused     Outcome = "refused"     // refused by the state, for Result.Reason; no effect
	Invalid     Outcome = "invalid"     // ErrInvalid; no effect
	Closed      Outcome = "closed"      // ErrClosed; no effect
	Unavailable Outcome = "unavailable" // ErrUnavailable; no effect
	Cancelled   Outcome = "cancelled"   // the context's error, not ambiguous; no effect
	Settled     Outcome = "settled"     // ambiguous: took effect between call and return, or never
	Open        Outcome = "open"        // ambiguous, may still apply: takes effect after the call, or never
	Pending     Outcome = "pending"     // never returned (a crash, or still running): as open
	Unlisted    Outcome = "unlisted"    // an error that the contract does not list: as open, and a breach by itself
)

// Outcomes lists them all.
func Outcomes() []Outcome {
	return []Outcome{OK, Refused, Invalid, Closed, Unavailable, Cancelled, Settled, Open, Pending, Unlisted}
}

// Ambiguous reports whether the operation may or may not have happened.
func (o Outcome) Ambiguous() bool { return o == Settled || o.Unbounded() }

// Unbounded reports whether the operation may take effect after its return.
func (o Outcome) Unbounded() bool { return o == Open || o == Pending || o == Unlisted }

// Reason names an error of the contract. It is the name of the Go variable.
type Reason string

// The reasons for refusals, in the contract's order of precedence.
const (
	NodeUnknown Reason = "ErrNodeUnknown"
	NodeFailed  Reason = "ErrNodeFailed"
	NodeExists  Reason = "ErrNodeExists"
	NodeAlive   Reason = "ErrNodeAlive"
	Fenced      Reason = "ErrFenced"
	NotHeld     Reason = "ErrNotHeld"
	Lapsed      Reason = "ErrLapsed"
	Held        Reason = "ErrHeld"
)

// NotListed is the reason of an error that is none of the contract's.
const NotListed Reason = "Error"

// errorNames has every error of the contract with its name and what it says
// about the effect. The most telling stand first: an ambiguous error may also
// match its cause.
var errorNames = [...]struct {
	name    Reason
	err     error
	outcome Outcome
}{
	{"ErrAmbiguous", registry.ErrAmbiguous, Open}, // or Settled, by its detail
	{"ErrInvalid", registry.ErrInvalid, Invalid},
	{"ErrClosed", registry.ErrClosed, Closed},
	{NodeUnknown, registry.ErrNodeUnknown, Refused},
	{NodeFailed, registry.ErrNodeFailed, Refused},
	{NodeExists, registry.ErrNodeExists, Refused},
	{NodeAlive, registry.ErrNodeAlive, Refused},
	{Fenced, registry.ErrFenced, Refused},
	{NotHeld, registry.ErrNotHeld, Refused},
	{Lapsed, registry.ErrLapsed, Refused},
	{Held, registry.ErrHeld, Refused},
	{"ErrConfigMismatch", registry.ErrConfigMismatch, Unlisted}, // of Open alone
	{"Canceled", context.Canceled, Cancelled},                   // also where the store says that it is unavailable: both say that nothing happened
	{"DeadlineExceeded", context.DeadlineExceeded, Cancelled},
	{"ErrUnavailable", registry.ErrUnavailable, Unavailable},
}

// ReasonOf returns the name of the contract's error that err matches: "" for
// nil, [NotListed] for an error that the contract does not have.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	for i := range errorNames {
		if errors.Is(err, errorNames[i].err) {
			return errorNames[i].name
		}
	}
	return NotListed
}

// Err returns the error value that the reason names, nil for other names.
func (r Reason) Err() error {
	for i := range errorNames {
		if errorNames[i].name == r {
			return errorNames[i].err
		}
	}
	return nil
}

// Refusal reports whether the reason is a refusal by the state of the registry.
func (r Reason) Refusal() bool { return r.outcome() == Refused }

func (r Reason) outcome() Outcome {
	for i := range errorNames {
		if errorNames[i].name == r {
			return errorNames[i].outcome
		}
	}
	return Unlisted
}

// Refusals lists the reasons for refusals, in the contract's order.
func Refusals() []Reason {
	var list []Reason
	for i := range errorNames {
		if errorNames[i].outcome == Refused {
			list = append(list, errorNames[i].name)
		}
	}
	return list
}

// Result is what a call answered. Parts that its operation and its outcome do
// not have are zero. A zero Result with the outcome [Pending] is a call that
// did not return.
type Result struct {
	Outcome  Outcome
	Reason   Reason               // of an error: its name
	Record   registry.Placement   // the lease granted or renewed, the record read, or what a refusal found
	Node     registry.Node        // the node registered or read, or what a refusal found
	Found    bool                 // Lookup, GetNode, Watch
	Actors   []registry.Placement // ListActors
	Nodes    []registry.Node      // ListNodes
	Next     registry.Cursor      // ListActors, ListNodes
	Renewals []Result             // RenewBatch: one for each lease, in order
	Now      registry.Instant     // a refusal's: the reading of the refusing attempt, 0 when not told
	Err      error                // as returned; nil with the outcome OK
}

// Failed returns the result of a call that ended with err, or OK for nil.
func Failed(err error) (r Result) {
	r.end(nil, err)
	return r
}

// Lease returns the record as a lease.
func (r Result) Lease() registry.Lease { return r.Record.Lease() }

// end completes what an operation returned: values beside an error mean
// nothing and are dropped, except those of Lookup and GetNode, which have a
// result, found, that a caller may look at by itself (see [Result.BesideError]).
func (r *Result) end(op *row, err error) {
	if err == nil {
		if op != nil && op.finds() && !r.Found {
			*r = Result{} // what was not found means nothing
		}
		r.Outcome = OK
		return
	}
	if op == nil || op.answers != aRecord && op.answers != aMember {
		*r = Result{}
	}
	r.Err, r.Reason = err, ReasonOf(err)
	r.Outcome = r.Reason.outcome()
	switch {
	case r.Outcome == Open:
		var detail *registry.AmbiguousError
		if errors.As(err, &detail) && !detail.MayStillApply {
			r.Outcome = Settled
		}
	case r.Outcome == Refused:
		detail := new(registry.Refusal)
		errors.As(err, &detail)
		r.Record, r.Node, r.Now, r.Found = detail.Placement, detail.Node, detail.Now, false
	}
}

// BesideError reports whether a Lookup or GetNode told something beside its
// error, which a caller could take for the answer.
func (r *Result) BesideError() bool {
	return r.Err != nil && r.Outcome != Refused &&
		(r.Found || r.Record != (registry.Placement{}) || r.Node != (registry.Node{}))
}

// Err returns an error of the outcome with the given text, for an outcome that
// is known without its error: not for [OK], [Refused] and [Pending].
func (o Outcome) Err(text string) error {
	switch o {
	case Settled, Open:
		return &registry.AmbiguousError{MayStillApply: o == Open, Cause: errors.New(text)}
	case Unlisted:
		return &toldError{text, nil}
	}
	for i := range errorNames {
		if errorNames[i].outcome == o {
			return &toldError{text, errorNames[i].err}
		}
	}
	return nil
}
