// Package contract has the rules of the contract: one name and one wording for
// each, wherever it is cited.
package contract

import (
	"context"
	"errors"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// RuleID names a rule of the contract. Rules of the table of operations are
// "Operation.outcome"; guarantees have the contract's names.
type RuleID string

// Rule is one rule of the contract.
type Rule struct {
	ID      RuleID
	Section string          // of the contract
	Text    string          // the rule in one sentence
	Action  string          // of the specification; "" when the rule is not about one
	Guard   reference.Guard // the conjunct that decides; "" when none does
}

// The guarantees, and the rules that are not about one operation.
const (
	SingleActivation RuleID = "SingleActivation"
	GraceRespected   RuleID = "GraceRespected"
	TokenMonotonic   RuleID = "TokenMonotonic"
	NoStaleWrite     RuleID = "NoStaleWrite"
	VersionBump      RuleID = "VersionBump"
	Linearizability  RuleID = "Linearizability"
	Durability       RuleID = "Durability"

	NameLimits      RuleID = "names.limits"
	NamesDistinct   RuleID = "names.distinct"
	InvalidFirst    RuleID = "order.invalid"
	ClosedSecond    RuleID = "order.closed"
	ContextThird    RuleID = "order.context"
	RefusalOrder    RuleID = "order.refusals"
	RefusalNothing  RuleID = "refusal.changes-nothing"
	RefusalTruthful RuleID = "refusal.truthful"
	ConfigMatches   RuleID = "config.match"
	OneReading      RuleID = "clock.own"
	RawLookup       RuleID = "lookup.raw"
	PagedListing    RuleID = "listing.paged"
	NoSuspicion     RuleID = "membership.no-takeaway"
	EpochFresh      RuleID = "membership.epoch"
	AmbiguousTruth  RuleID = "ambiguous.truthful"
	CallsReturn     RuleID = "calls.return"
	Declared        RuleID = "capability.declared"
	BatchAsSingle   RuleID = "batch.as-single"
	WatchWakes      RuleID = "watch.wakes"
	ErrorAlone      RuleID = "error.alone"
	ErrorIdentity   RuleID = "error.one"
	ErrorKept       RuleID = "error.kept"
	ValuesOwn       RuleID = "values.own"
	ContextOwn      RuleID = "context.own"
	CloseFrees      RuleID = "close.frees"
	PurgeSpares     RuleID = "purge.spares"
)

// The rules of clients: of what they serve, and of how they keep their leases.
const (
	ServesGranted  RuleID = "service.granted"
	ServesInTime   RuleID = "service.deadline"
	ServesNotEnded RuleID = "service.ended"
	StopsFirst     RuleID = "service.release"
	ServesAsHolder RuleID = "service.holder"
	ServesAlone    RuleID = "service.overlap"

	ClientServes  RuleID = "client.serves"
	ClientKeeps   RuleID = "client.keeps"
	ClientRetries RuleID = "client.retries"
	ClientPaced   RuleID = "client.paced"
	ClientHerd    RuleID = "client.herd"
	ClientNoLeak  RuleID = "client.no-leak"
	ClientGivesUp RuleID = "client.gives-up"
	ClientSaysWhy RuleID = "client.says-why"
	ClientOwn     RuleID = "client.own"
	ClientCloses  RuleID = "client.closes"
)

// Rules lists every rule of registries that a case can cite, in the contract's order.
func Rules() []Rule { return slices.Clone(all) }

// ClientRules lists the rules of clients that keep leases. Their actions are of
// the specification's module Keeper. Package conformance/client judges by them.
func ClientRules() []Rule { return slices.Clone(clients) }

var clients = []Rule{
	{ServesGranted, "6", "nothing is served before an answer has told the grant", "AnswerOk", ""},
	{ServesInTime, "6", "nothing is served when the client's own clock has passed the end of its lease, as its answers told it", "StepDown", ""},
	{ServesNotEnded, "6", "nothing is served after an answer has told that the tenure is over", "AnswerRefused", ""},
	{StopsFirst, "6", "nothing is served after its release or transfer was asked for", "GiveUp", ""},
	{ServesAsHolder, "6", "nothing is served when another node has been granted the actor", "WorkerIsHolder", ""},
	{ServesAlone, "6", "no two clients serve an actor at once, and none serves it under two tokens", "NoOverlap", ""},
	{ClientServes, "6", "an actor that a client is to have is served within the stated time, and again when the trouble is over", "AlwaysServedAgain", ""},
	{ClientKeeps, "6", "a client that can reach the registry does not lose its lease, nor its registration", "KeepsLease", ""},
	{ClientRetries, "6", "trouble shorter than the stated time costs no lease: a failed renewal is tried again", "KeepsLease", ""},
	{ClientPaced, "6", "a client that is refused, or gets no answer, pauses before it asks again", "NoStampede", ""},
	{ClientHerd, "6", "of many that wait for one actor few claim it when it lapses", "NoStampede", ""},
	{ClientNoLeak, "6", "a lease that nobody serves is not kept: what a claim of unknown outcome was granted is served, given back or left to lapse", "AnswerOk", ""},
	{ClientGivesUp, "6", "an actor that was given up is not served, and can be claimed at once", "GiveUp", ""},
	{ClientSaysWhy, "6", "a client that loses a lease says why", "StepDown", ""},
	{ClientOwn, "6", "a client claims for itself, presents its own leases only, and does not take its name back from a process that superseded it", "OnlyHolderMutates", ""},
	{ClientCloses, "6", "a client that is closed serves nothing, asks for nothing, and leaves no goroutine and no timer behind", "Crash", ""},
}

var all = []Rule{
	{NameLimits, "1", "names keep their limits: at the limit accepted, one byte beyond refused; valid UTF-8, no control characters", "", ""},
	{NamesDistinct, "1", "names that differ in any byte are different names, and what is said of one is never said of another", "", ""},
	{ConfigMatches, "1", "a handle opened with other time bounds than the cluster's is refused with ErrConfigMismatch", "", ""},
	{OneReading, "2", "an operation goes by a reading of its own handle's clock, taken during the call, even when that clock steps backwards", "", ""},

	{"Claim.granted", "3", "a claim by an active node of an actor nobody holds, or whose lease is reclaimable, is granted: Token+1, Version+1, Expiry = c+TTL", "Claim", ""},
	{"Claim.repeated", "3", "a claim with the current record's ClaimID by its holder returns the same lease and changes nothing while the tenure has not lapsed", "Claim", ""},
	{"Claim.held", "3", "a claim before Expiry + Grace + 2ε is refused with ErrHeld and the placement found", "Claim", reference.Claimable},
	{"Claim.node-unknown", "3", "a claim for an incarnation that is not registered is refused with ErrNodeUnknown", "Claim", reference.NodeKnown},
	{"Claim.node-failed", "3", "a claim for a failed incarnation is refused with ErrNodeFailed", "Claim", reference.NodeNotFailed},
	{"Renew.granted", "3", "the holder renews before Expiry + Grace: Expiry = max(Expiry, c+TTL), Version+1, Token unchanged", "Renew", ""},
	{"Renew.fenced", "3", "a renewal under a token lower than the record's is refused with ErrFenced", "Renew", reference.TokenCurrent},
	{"Renew.not-held", "3", "a renewal of a released tenure, or of one never granted to that holder, is refused with ErrNotHeld", "Renew", reference.TenureHeld},
	{"Renew.lapsed", "3", "a renewal at or after Expiry + Grace is refused with ErrLapsed", "Renew", reference.NotLapsed},
	{"Release.granted", "3", "the holder releases whatever the clock says: no holder, Version+1, Token kept", "Release", ""},
	{"Release.repeated", "3", "releasing the latest tenure again succeeds and changes nothing", "Release", ""},
	{"Release.fenced", "3", "a release under a token lower than the record's is refused with ErrFenced", "Release", reference.TokenCurrent},
	{"Release.not-held", "3", "a release of a tenure never granted to that holder is refused with ErrNotHeld", "Release", reference.TenureHeld},
	{"Transfer.granted", "3", "the holder hands a live lease over without a gap: Holder = to, Token+1, Version+1, Expiry = c+TTL", "Transfer", ""},
	{"Transfer.node-unknown", "3", "a transfer to an incarnation that is not registered is refused with ErrNodeUnknown", "Transfer", reference.NodeKnown},
	{"Transfer.node-failed", "3", "a transfer to a failed incarnation is refused with ErrNodeFailed", "Transfer", reference.NodeNotFailed},
	{"Transfer.fenced", "3", "a transfer under a token lower than the record's is refused with ErrFenced", "Transfer", reference.TokenCurrent},
	{"Transfer.not-held", "3", "a transfer of a released tenure, or of one never granted to that holder, is refused with ErrNotHeld", "Transfer", reference.TenureHeld},
	{"Transfer.lapsed", "3", "a transfer at or after Expiry is refused with ErrLapsed: grace is too late", "Transfer", reference.StillLive},
	{RawLookup, "3", "a lookup returns the raw record, never filtered by a clock and never from a cache", "Lookup", ""},
	{"Validate.granted", "3", "the current token of a held actor is valid, whatever the clock says", "Validate", ""},
	{"Validate.fenced", "3", "a token lower than the record's is refused with ErrFenced", "Validate", reference.TokenCurrent},
	{"Validate.not-held", "3", "a token of a released actor, or one never granted, is refused with ErrNotHeld", "Validate", reference.TenureHeld},
	{"RegisterNode.granted", "3", "a registration starts the next epoch, active, last seen now; a superseded epoch is failed for good", "RegisterNode", ""},
	{"RegisterNode.repeated", "3", "a registration under the instance of the active one returns the same incarnation and changes nothing, whatever the mode", "RegisterNode", ""},
	{"RegisterNode.exists", "3", "a registration without supersede is refused with ErrNodeExists while an active one exists", "RegisterNode", reference.NodeAbsent},
	{"Heartbeat.granted", "3", "the heartbeat of an active incarnation sets last-seen to the clock's reading", "Heartbeat", ""},
	{"Heartbeat.node-unknown", "3", "the heartbeat of an incarnation that is not registered is refused with ErrNodeUnknown", "Heartbeat", reference.NodeKnown},
	{"Heartbeat.node-failed", "3", "the heartbeat of a failed incarnation is refused with ErrNodeFailed", "Heartbeat", reference.NodeNotFailed},
	{"MarkFailed.granted", "3", "an incarnation silent until last-seen + FailureTimeout + 2ε may be marked failed, for good", "MarkFailed", ""},
	{"MarkFailed.repeated", "3", "marking a failed incarnation again succeeds and changes nothing", "MarkFailed", ""},
	{"MarkFailed.node-unknown", "3", "marking an incarnation that is not registered is refused with ErrNodeUnknown", "MarkFailed", reference.NodeKnown},
	{"MarkFailed.alive", "3", "marking before last-seen + FailureTimeout + 2ε is refused with ErrNodeAlive", "MarkFailed", reference.NodeSilent},
	{"DeregisterNode.granted", "3", "the current incarnation's registration ends; its leases are left to lapse", "DeregisterNode", ""},
	{"DeregisterNode.node-unknown", "3", "deregistering another than the current incarnation is refused with ErrNodeUnknown", "DeregisterNode", reference.NodeKnown},
	{"GetNode.answered", "3", "GetNode returns the latest incarnation whatever its status, found false when there never was one", "GetNode", ""},
	{"ListNodes.answered", "3", "ListNodes returns the latest incarnation of every node of the status asked for", "ListNodes", ""},
	{"ListActors.answered", "3", "ListActors returns the records held by the incarnation, lapsed ones included", "ListActors", ""},
	{PagedListing, "3", "a listing comes in pages of at most the limit, each row once, and the cursor stays valid", "", ""},
	{NoSuspicion, "3", "failure detection never takes an actor away: a failed node's placements stay until they lapse", "MarkFailed", ""},
	{EpochFresh, "1", "epochs grow by one at each registration and are never reused", "RegisterNode", ""},
	{RefusalNothing, "3", "a refusal changes nothing", "", ""},
	{RefusalTruthful, "3", "what a refusal tells was the state that the refusing step saw; ErrHeld always tells it", "", ""},
	{InvalidFirst, "3", "a bad argument is refused with ErrInvalid before anything is touched", "", ""},
	{ClosedSecond, "3", "operations after Close fail with ErrClosed; a second Close succeeds", "", ""},
	{CloseFrees, "3", "Close changes no record and no registration, and leaves no goroutine of the handle behind", "", ""},
	{ContextThird, "3", "a context that is done when a method is called fails it with the context's error and nothing happens", "", ""},
	{RefusalOrder, "3", "when several refusals apply the order is: invalid, closed, node, fenced, not held, lapsed, held", "", ""},
	{AmbiguousTruth, "3", "an error tells the truth about the outcome: nothing happened, settled but unknown, or may still apply", "", ""},
	{ErrorAlone, "3", "a lookup that fails tells nothing: beside the error of Lookup and GetNode, found is false and the record or registration is zero", "", ""},
	{ErrorIdentity, "3", "an error matches exactly one of the contract's errors and carries the detail of it, which is of this call", "", ""},
	{ErrorKept, "3", "the details of an error stay as they were when it was returned, whatever is called later", "", ""},
	{ValuesOwn, "3", "what is returned is the caller's, and what was passed stays the caller's: neither is kept, changed or shared", "", ""},
	{ContextOwn, "3", "a call fails with a context's error only when its own context has ended", "", ""},
	{BatchAsSingle, "3", "RenewBatch renews each lease as Renew would, one result per lease, in order", "Renew", ""},
	{WatchWakes, "3", "Watch returns the record as soon as its version differs from the one seen, at once when it already does", "Lookup", ""},
	{PurgeSpares, "3", "Purge forgets only what nobody holds, or whose holder is not active, from Expiry + Grace + 2ε on, and tells no more than it forgot", "Purge", reference.HolderGone},

	{SingleActivation, "4", "at most one node believes, by its own clock, that it holds a live lease of an actor", "", ""},
	{GraceRespected, "4", "nobody else is granted an actor before its former holder's own clock has passed Expiry + Grace", "Claim", reference.Claimable},
	{TokenMonotonic, "4", "tokens of grants strictly increase; no two grants share one", "", ""},
	{NoStaleWrite, "4", "no guarded write of an earlier tenure is accepted, however late it arrives", "Validate", reference.TokenCurrent},
	{VersionBump, "4", "every mutation increases Version by exactly one, release included", "", ""},
	{Linearizability, "4", "every operation takes effect at one instant between its call and its return", "", ""},
	{Durability, "4", "whatever was acknowledged survives kill -9 and restart; tokens and epochs never go back", "", ""},
	{CallsReturn, "4", "every call is eventually answered, and none takes the caller's process down", "", ""},
	{Declared, "-", "a declared capability exists and works", "", ""},
}

var byID = func() map[RuleID]Rule {
	m := make(map[RuleID]Rule, len(all)+len(clients))
	for _, r := range slices.Concat(all, clients) {
		m[r.ID] = r
	}
	return m
}()

// Rule returns the rule of that name, the zero Rule when there is none.
func (id RuleID) Rule() Rule { return byID[id] }

// Answering returns the rule that demands the answer want of an operation: nil
// for success. repeats says that it succeeds and changes nothing.
func Answering(k op.Kind, repeats bool, want error) RuleID {
	reason := op.ReasonOf(want)
	switch reason.Err() {
	case registry.ErrInvalid:
		return InvalidFirst
	case registry.ErrClosed:
		return ClosedSecond
	case context.Canceled, context.DeadlineExceeded:
		return ContextThird
	}
	switch k {
	case op.Close:
		return ClosedSecond
	case op.Lookup:
		return RawLookup
	case op.RenewBatch:
		return BatchAsSingle
	case op.Watch:
		return WatchWakes
	case op.GetNode, op.ListNodes, op.ListActors:
		return RuleID(k.String() + ".answered")
	}
	if repeated := RuleID(k.String() + ".repeated"); repeats && repeated.Rule().ID == repeated {
		return repeated
	}
	return RuleID(k.String() + "." + outcomes[reason])
}

// outcomes are those of the table of operations, as rules name them.
var outcomes = map[op.Reason]string{
	"":             "granted",
	op.NodeUnknown: "node-unknown",
	op.NodeFailed:  "node-failed",
	op.NodeExists:  "exists",
	op.NodeAlive:   "alive",
	op.Fenced:      "fenced",
	op.NotHeld:     "not-held",
	op.Lapsed:      "lapsed",
	op.Held:        "held",
}

// TakingOver returns the rule that a grant breaks which took the actor from a
// lease that was not reclaimable: granted to by, by reading c of its clock. A node
// that claims its own actor anew makes no second activation.
func TakingOver(cfg registry.Config, from registry.Placement, by registry.NodeRef, c registry.Instant) RuleID {
	switch {
	case from.Holder == by:
		return "Claim.held"
	case cfg.Phase(from.Expiry, c) == registry.Grace:
		return GraceRespected
	}
	return SingleActivation
}

// WrongToken returns the rule that an operation breaks whose answer has the token
// got instead of want: one that went back is of an earlier grant, one that jumped
// ahead is not one more than the last.
func WrongToken(k op.Kind, got, want registry.Token) RuleID {
	if got != 0 && got < want {
		return TokenMonotonic
	}
	return Answering(k, false, nil)
}

// OfArgument returns the rule about an argument that is invalid, or was called so.
func OfArgument(err error) RuleID {
	var invalid *registry.InvalidError
	if errors.As(err, &invalid) && slices.Contains([]string{"actor namespace", "actor name", "node id"}, invalid.Field) {
		return NameLimits
	}
	return InvalidFirst
}

// Gravity orders rules by what a mistake costs, the gravest first: where one
// answer breaks several, that one is named.
func (id RuleID) Gravity() int {
	order := []RuleID{SingleActivation, GraceRespected, NoStaleWrite, "", TokenMonotonic, VersionBump, Linearizability}
	if i := slices.Index(order, id); i >= 0 {
		return i
	}
	return slices.Index(order, "") // a rule of one operation
}
