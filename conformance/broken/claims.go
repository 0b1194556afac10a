package broken

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Mistakes in who is granted an actor, and with what.
var claims = []Variant{
	{
		ID: "M1", Slug: "lease-ran-out-while-waiting",
		Section: "contract",
		Title:   "a repeated claim gets its lease back after that lease has run out",
		Doc:     "etcd answered a waiting Lock with success although the waiter's own lease had expired meanwhile (etcd 11456, found by Jepsen).",
		Breaks:  rules(conformance.SingleActivation, conformance.Linearizability, "Claim.repeated", "Claim.held", "Claim.granted"),
		bends: repeating(func(a attempt) bool {
			a.now = a.Record.Expiry - 1
			return specified.repeats(a)
		}, op.Claim),
	},
	{
		ID: "M2", Slug: "acquire-overwrites",
		Section: "contract",
		Title:   "a claim overwrites the record whatever it found there",
		Doc:     "SET without NX, PUT without If-Match: the record is read for its counters only.",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held"),
		bends:   judging(func(a *attempt) { a.Record.Holder = registry.NodeRef{} }, op.Claim),
	},
	{
		ID: "M3", Slug: "claim-not-idempotent",
		Section: "contract",
		Title:   "the ClaimID is stored and never compared",
		Doc:     "Contract, section 3, second row: after a lost answer the claimer's retry meets its own claim as somebody else's.",
		Breaks:  rules("Claim.repeated"),
		bends:   neverRepeating(op.Claim),
	},
	{
		ID: "M4", Slug: "claim-id-of-another-node",
		Section: "contract",
		Title:   "a known ClaimID is answered with the lease, whoever asks",
		Doc:     "Idempotency keys that are not bound to their owner. Two nodes that replay one request both believe that they hold the actor.",
		Breaks:  rules("Claim.repeated", "Claim.held", conformance.SingleActivation, conformance.Linearizability),
		bends: repeating(func(a attempt) bool {
			a.Node = a.Record.Holder
			return specified.repeats(a)
		}, op.Claim),
	},
	{
		ID: "M5", Slug: "repeat-renews",
		Section: "contract",
		Title:   "a repeated claim extends the lease",
		Doc:     "Contract, section 3: a repetition changes nothing. Here a retry in the network becomes a renewal that nobody asked for.",
		Breaks:  rules("Claim.repeated", conformance.VersionBump, conformance.Linearizability),
		bends:   inside(renewingRepetition, op.Claim),
	},
	{
		ID: "M6", Slug: "repeat-asks-membership",
		Section: "contract",
		Title:   "a repeated claim is refused when its node has failed meanwhile",
		Doc:     "Contract, section 3: the repetition is always answered. The node holds the actor and is told that it does not.",
		Breaks:  rules("Claim.repeated"),
		bends: repeating(func(a attempt) bool {
			return specified.repeats(a) && a.Member.Standing(a.Node) == registry.StandingActive
		}, op.Claim),
	},
	{
		ID: "M7", Slug: "remembered-expiry",
		Section: "random",
		Title:   "a waiter goes by the expiry that its last refusal told it",
		Doc:     "The waiter sleeps until the lease it saw must be over and then claims without looking again. The holder has renewed.",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held", conformance.Linearizability),
		bends:   rememberedExpiry,
	},
	{
		ID: "M8", Slug: "version-restarts",
		Section: "contract",
		Title:   "a claim writes the record anew, at version 1",
		Doc:     "The takeover replaces the row instead of updating it. A conditional write that was in flight at version 1 passes.",
		Breaks:  rules(conformance.VersionBump, "Claim.granted", conformance.Linearizability),
		bends:   starting(func(a *attempt) { a.Record.Version = 0 }, op.Claim),
	},
	{
		ID: "M9", Slug: "token-from-local-counter",
		Section: "contract",
		Title:   "tokens come from a counter in the handle",
		Doc:     "A counter in each process is only unique there. Leases of two nodes carry one token, and a zombie's passes every check.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.NoStaleWrite, "Claim.granted", conformance.Linearizability),
		bends:   localTokens,
	},
	{
		ID: "M10", Slug: "same-node-same-token",
		Section: "fencing",
		Title:   "a node that claims again after its lease ran out keeps its token",
		Doc:     "Same owner, same token, it was thought. Writes of its lapsed tenure that are still on their way are accepted in the new one.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.NoStaleWrite, "Claim.granted"),
		bends: starting(func(a *attempt) {
			if a.Record.Holder == a.Node {
				a.Record.Token--
			}
		}, op.Claim),
	},
	{
		ID: "M11", Slug: "restarted-node-inherits",
		Section: "membership",
		Title:   "a restarted process may claim what its earlier incarnation holds",
		Doc:     "Contract, section 1: a restarted process is a different holder. The supervisor started the new one because the old one did not answer, not because it was gone.",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held"),
		bends: judging(func(a *attempt) {
			if a.Record.Holder.ID == a.Node.ID && a.Record.Holder.Epoch < a.Node.Epoch {
				a.Record.Holder = registry.NodeRef{}
			}
		}, op.Claim),
	},
	{
		ID: "M12", Slug: "no-grace-for-the-failed",
		Section: "membership",
		Title:   "grace lets others in once the holder's node is marked failed",
		Doc:     "Contract, section 3: failure detection never takes an actor away. The suspected holder may be alive and renew within grace.",
		Breaks:  rules(conformance.GraceRespected, "Claim.held"),
		bends: judging(func(a *attempt) {
			if a.holderFailed() {
				a.Record.Expiry = a.Record.Expiry.Add(-a.cfg.Grace)
			}
		}, op.Claim),
	},
	{
		ID: "M13", Slug: "failed-holder-is-no-holder",
		Section: "membership",
		Title:   "an actor whose holder's node is marked failed counts as free",
		Doc:     "The eager takeover that membership-based directories do: eviction alone decides, and the evicted node may still be serving (orleans 2428).",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held", conformance.NoSuspicion),
		bends: judging(func(a *attempt) {
			if a.holderFailed() {
				a.Record.Holder = registry.NodeRef{}
			}
		}, op.Claim),
	},
	{
		ID: "M14", Slug: "silent-holder-is-no-holder",
		Section: "contract",
		Title:   "an actor whose holder has been silent for FailureTimeout counts as free",
		Doc:     "One late heartbeat surrenders a live lease that was renewed in time: the claimer makes its own judgement of who is alive.",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held", conformance.NoSuspicion),
		bends: judging(func(a *attempt) {
			if a.now >= a.cfg.FailedAt(a.by.nodes[a.Record.Holder.ID].LastSeen) {
				a.Record.Holder = registry.NodeRef{}
			}
		}, op.Claim),
	},
	{
		ID: "M15", Slug: "claim-by-failed-node",
		Section: "contract",
		Title:   "a node that is marked failed may claim",
		Doc:     "Contract, section 3: a failed node makes no new claims.",
		Breaks:  rules("Claim.node-failed", "Transfer.node-failed"),
		bends: judging(func(a *attempt) {
			if a.Member.Ref == *a.newcomer() && a.Member.Status == registry.NodeFailed {
				a.Member.Status = registry.NodeActive
			}
		}, op.Claim, op.Transfer),
	},
	{
		ID: "M16", Slug: "claim-by-old-epoch",
		Section: "contract",
		Title:   "membership is asked by the node's name alone",
		Doc:     "Contract, section 1: the holder is an incarnation. The process that was replaced goes on claiming under its old epoch.",
		Breaks:  rules("Claim.node-failed", "Claim.node-unknown", "Transfer.node-failed", "Transfer.node-unknown"),
		bends:   judging(func(a *attempt) { *a.newcomer() = a.Member.Ref }, op.Claim, op.Transfer),
	},
	{
		ID: "M17", Slug: "claim-by-stranger",
		Section: "contract",
		Title:   "nodes that never registered may claim",
		Doc:     "Contract, section 3. Membership is only asked whether it knows something bad about the node.",
		Breaks:  rules("Claim.node-unknown", "Transfer.node-unknown"),
		bends: judging(func(a *attempt) {
			if a.Member.Standing(*a.newcomer()) == registry.StandingUnknown {
				a.newcomerIsActive()
			}
		}, op.Claim, op.Transfer),
	},
	{
		ID: "M18", Slug: "membership-checked-outside",
		Level:   conformance.Default, // chance tells it
		Section: "concurrent",
		Title:   "membership is checked before the step that claims",
		Doc:     "Contract, section 3: the membership check and the write are one step. The node is marked failed in between, and claims all the same.",
		Breaks:  append(rules("Claim.node-failed", "Claim.node-unknown"), interleaved...),
		bends:   outside(membershipCheckedBefore, op.Claim),
	},
	{
		ID: "M19", Slug: "held-without-placement",
		Section: "contract",
		Title:   "ErrHeld does not say by whom",
		Doc:     "Contract, section 3: the refusal carries the placement, so that the loser can route to the winner without another read.",
		Breaks:  rules(conformance.RefusalTruthful, "Claim.held"),
		bends: answering(func(_ *request, answer *op.Result) {
			if answer.Reason == op.Held {
				*answer = op.Failed(registry.ErrHeld)
			}
		}, op.Claim),
	},
	{
		ID: "M20", Slug: "held-before-membership",
		Section: "contract",
		Title:   "a claim by an unknown node of a held actor is refused with ErrHeld",
		Doc:     "Contract, section 3, order of refusals: the node comes before the record. A node that should stop waits instead.",
		Breaks:  rules(conformance.RefusalOrder, "Claim.node-unknown", "Claim.node-failed"),
		bends: guarding(func(a attempt) reference.Guard {
			member := a
			member.newcomerIsActive()
			if g := specified.guard(member); g != reference.Enabled {
				return g
			}
			return specified.guard(a)
		}, op.Claim),
	},
	{
		ID: "M21", Slug: "refused-claims-are-counted",
		Section: "contract",
		Title:   "a refused claim writes its attempt into the record",
		Doc:     "Contract: a refusal changes nothing. The count of contenders goes into the same row, and every write of the row is a version.",
		Breaks:  rules(conformance.RefusalNothing, conformance.VersionBump, conformance.Linearizability),
		bends:   inside(countingContenders, op.Claim),
	},
}

// holdersStanding is that of the incarnation that the record names.
func (a *attempt) holdersStanding() registry.Standing {
	holder := a.Record.Holder
	return a.by.nodes[holder.ID].Standing(holder)
}

func (a *attempt) holderFailed() bool { return a.holdersStanding() == registry.StandingFailed }

func (a *attempt) holderGone() bool { return a.holdersStanding() != registry.StandingActive }

// newcomerIsActive pretends that the next holder is registered and alive.
func (a *attempt) newcomerIsActive() {
	a.Member = registry.Node{Ref: *a.newcomer(), Status: registry.NodeActive}
}

func renewingRepetition(r *request) op.Result {
	if a := r.attempt(); r.law.repeats(a) {
		r.call = op.OnLease(op.Renew, a.Record.Lease())
	}
	return r.step()
}

// rememberedExpiry goes by what the handle's last claim of the actor found.
func rememberedExpiry(c *cluster) {
	type waiter struct {
		on    *handle
		actor registry.ActorID
	}
	found := map[waiter]registry.Placement{}
	judging(func(a *attempt) {
		w := waiter{a.by, a.Actor}
		if before, waited := found[w]; waited && before.Token == a.Record.Token {
			a.Record.Expiry = before.Expiry
		}
		found[w] = a.Record
	}, op.Claim)(c)
}

// localTokens counts tokens in each handle.
func localTokens(c *cluster) {
	last := map[*handle]registry.Token{}
	inside(func(r *request) op.Result {
		before := r.record(r.call.Actor)
		answer := r.step()
		if answer.Outcome == op.OK && answer.Record.Version != before.Version {
			last[r.handle]++
			answer.Record.Token = last[r.handle]
			r.put(answer.Record)
		}
		return answer
	}, op.Claim)(c)
}

func membershipCheckedBefore(r *request) op.Result {
	if err := r.begin(); err != nil {
		return op.Failed(err)
	}
	member := r.nodes[r.call.Node.ID]
	r.mu.Unlock()
	encode(registry.Placement{Actor: r.call.Actor, Holder: r.call.Node, ClaimID: r.call.ClaimID}) // the request to the store
	r.at("membership checked")
	r.now = r.clock.Now()

	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.attempt()
	a.Member = member
	return r.decided(a, r.law.decide(a))
}

func countingContenders(r *request) op.Result {
	answer := r.step()
	if answer.Reason == op.Held {
		contended := r.record(r.call.Actor)
		contended.Version++
		r.put(contended)
	}
	return answer
}
