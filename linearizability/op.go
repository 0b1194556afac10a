package linearizability

import (
	"errors"
	"math"
	"slices"

	"github.com/kelpie-registry/registry"
)

// Kind names an operation of the contract.
type Kind string

// The operations. A renewal that was part of a RenewBatch is a KindRenew; a
// Watch is recorded when it answers, as the read that it is.
const (
	KindClaim      Kind = "Claim"
	KindRenew      Kind = "Renew"
	KindRelease    Kind = "Release"
	KindTransfer   Kind = "Transfer"
	KindLookup     Kind = "Lookup"
	KindValidate   Kind = "Validate"
	KindListActors Kind = "ListActors"
	KindWatch      Kind = "Watch"

	KindRegisterNode   Kind = "RegisterNode"
	KindHeartbeat      Kind = "Heartbeat"
	KindMarkFailed     Kind = "MarkFailed"
	KindDeregisterNode Kind = "DeregisterNode"
	KindGetNode        Kind = "GetNode"
	KindListNodes      Kind = "ListNodes"
)

// Outcome classifies how a call ended, by what it says about the effect.
type Outcome string

// The outcomes.
const (
	OutcomeOK          Outcome = "ok"          // took effect between call and return
	OutcomeRefused     Outcome = "refused"     // refused by the state, for Answer.Reason; no effect
	OutcomeInvalid     Outcome = "invalid"     // ErrInvalid; no effect
	OutcomeClosed      Outcome = "closed"      // ErrClosed; no effect
	OutcomeUnavailable Outcome = "unavailable" // ErrUnavailable; no effect
	OutcomeCancelled   Outcome = "cancelled"   // the context's error, not ambiguous; no effect
	OutcomeSettled     Outcome = "settled"     // ambiguous: took effect between call and return, or never
	OutcomeOpen        Outcome = "open"        // ambiguous, may still apply: takes effect after the call, or never
	OutcomePending     Outcome = "pending"     // never returned (a crash, or still running): as open
	OutcomeUnlisted    Outcome = "unlisted"    // an error that the contract does not list: as open, and a breach by itself
)

var outcomes = []Outcome{
	OutcomeOK, OutcomeRefused, OutcomeInvalid, OutcomeClosed, OutcomeUnavailable,
	OutcomeCancelled, OutcomeSettled, OutcomeOpen, OutcomePending, OutcomeUnlisted,
}

// Ambiguous reports whether the operation may or may not have happened.
func (o Outcome) Ambiguous() bool {
	return o == OutcomeSettled || o.Unbounded()
}

// Unbounded reports whether the operation may take effect after its return.
func (o Outcome) Unbounded() bool {
	return o == OutcomeOpen || o == OutcomePending || o == OutcomeUnlisted
}

// Reason names a refusal by the name of its error value.
type Reason string

// The reasons for refusals, in the contract's order of precedence.
const (
	ReasonNodeUnknown Reason = "ErrNodeUnknown"
	ReasonNodeFailed  Reason = "ErrNodeFailed"
	ReasonNodeExists  Reason = "ErrNodeExists"
	ReasonNodeAlive   Reason = "ErrNodeAlive"
	ReasonFenced      Reason = "ErrFenced"
	ReasonNotHeld     Reason = "ErrNotHeld"
	ReasonLapsed      Reason = "ErrLapsed"
	ReasonHeld        Reason = "ErrHeld"
)

var reasons = []struct {
	name Reason
	err  error
}{
	{ReasonNodeUnknown, registry.ErrNodeUnknown},
	{ReasonNodeFailed, registry.ErrNodeFailed},
	{ReasonNodeExists, registry.ErrNodeExists},
	{ReasonNodeAlive, registry.ErrNodeAlive},
	{ReasonFenced, registry.ErrFenced},
	{ReasonNotHeld, registry.ErrNotHeld},
	{ReasonLapsed, registry.ErrLapsed},
	{ReasonHeld, registry.ErrHeld},
}

// ReasonOf returns the name of the refusal that err matches, "" for none.
func ReasonOf(err error) Reason {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return ""
}

// Err returns the error value that the reason names, nil for "" and unknown names.
func (r Reason) Err() error {
	for _, k := range reasons {
		if k.name == r {
			return k.err
		}
	}
	return nil
}

// Never is the Return stamp of an operation that did not return.
const Never = math.MaxInt64

// Op is one call of one operation: what was asked, what was answered, when,
// and what the handle's clock read meanwhile.
//
// Call and Return are stamps of one order for the whole history: the operation
// was called before another one returned exactly if its Call is lower than the
// other's Return. Stamps are no times; times are in Clock.
type Op struct {
	ID      int    // position in the history
	Client  string // the handle, by the name given to Recorder.Wrap
	Kind    Kind
	Ask     Ask
	Outcome Outcome
	Answer  Answer
	Call    int64
	Return  int64 // Never for OutcomePending
	Clock   Readings
}

// Ask holds the arguments of a call; those that its Kind does not take are zero.
type Ask struct {
	Actor   registry.ActorID      // Claim, Renew, Release, Transfer, Lookup, Validate, Watch
	Node    registry.NodeRef      // Claim: who claims; Renew, Release, Transfer: the lease's holder; ListActors, Heartbeat, MarkFailed, DeregisterNode; RegisterNode and GetNode: epoch 0
	Token   registry.Token        // Renew, Release, Transfer: the lease's; Validate
	ClaimID registry.ClaimID      // Claim
	To      registry.NodeRef      // Transfer
	Seen    registry.Version      // Watch
	Info    registry.NodeInfo     // RegisterNode
	Mode    registry.RegisterMode // RegisterNode
	Status  registry.NodeStatus   // ListNodes
	Page    registry.Page         // ListActors, ListNodes
}

// Answer holds what a call answered; what its Kind and Outcome do not answer is zero.
type Answer struct {
	Record registry.Placement   // the lease granted or renewed, the record read, or what a refusal found
	Node   registry.Node        // the node registered or read, or what a refusal found
	Found  bool                 // Lookup, GetNode
	Actors []registry.Placement // ListActors
	Nodes  []registry.Node      // ListNodes
	Next   registry.Cursor      // ListActors, ListNodes
	Reason Reason               // OutcomeRefused
	Now    registry.Instant     // OutcomeRefused: the reading of the refusing attempt, 0 when not told
	Error  string               // the error's text, for people
}

// Readings says what a clock may have read for an operation: one of Seen or,
// when Interval is set, anything from Lo to Hi.
type Readings struct {
	Seen     []registry.Instant // in the order read
	Interval bool
	Lo, Hi   registry.Instant // both included; only with Interval
}

// Read returns the readings that were seen, exactly.
func Read(seen ...registry.Instant) Readings { return Readings{Seen: seen} }

// Within returns the readings of a clock known to be between lo and hi, both included.
func Within(lo, hi registry.Instant) Readings { return Readings{Interval: true, Lo: lo, Hi: hi} }

// AnyReading returns the readings of a clock of which nothing is known.
func AnyReading() Readings { return Within(math.MinInt64, math.MaxInt64) }

// Contains reports whether the clock may have read c.
func (r Readings) Contains(c registry.Instant) bool {
	if r.Interval {
		return r.Lo <= c && c <= r.Hi
	}
	return slices.Contains(r.Seen, c)
}

// History is what the clients of one cluster saw.
type History struct {
	Config registry.Config
	Ops    []Op              // by Call; Ops[i].ID == i
	Meta   map[string]string // free: backend, seed, section, how to replay
}
