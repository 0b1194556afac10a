package broken

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Mistakes in who belongs to the cluster, and in what follows from it.
var membership = []Variant{
	{
		ID: "M83", Slug: "epoch-reused",
		Section: "membership",
		Title:   "a deregistered node is deleted, and its next registration has epoch 1 again",
		Doc:     "Contract, section 1: an epoch is never reused. A process of the earlier epoch 1 passes for the new one.",
		Breaks:  rules(conformance.EpochFresh, "DeregisterNode.granted", "RegisterNode.granted", "GetNode.answered"),
		bends:   inside(deletingTheNode, op.DeregisterNode),
	},
	{
		ID: "M84", Slug: "registers-over-the-living",
		Section: "membership",
		Title:   "a registration replaces an active one without being asked to",
		Doc:     "Contract, section 3: ErrNodeExists. Two machines with one configured name take turns in failing each other.",
		Breaks:  rules("RegisterNode.exists"),
		bends:   judging(func(a *attempt) { a.Mode = registry.Supersede }, op.RegisterNode),
	},
	{
		ID: "M85", Slug: "failed-cannot-return",
		Section: "membership",
		Title:   "a failed node cannot register again without superseding",
		Doc:     "Contract, section 4, 10: a node can always re-register. IfAbsent refuses only an active registration.",
		Breaks:  rules("RegisterNode.granted", "RegisterNode.exists"),
		bends: judging(func(a *attempt) {
			if a.Member.Status == registry.NodeFailed {
				a.Member.Status = registry.NodeActive
			}
		}, op.RegisterNode),
	},
	{
		ID: "M86", Slug: "supersede-keeps-epoch",
		Section: "membership",
		Title:   "a superseding registration takes over the epoch",
		Doc:     "Contract, section 3: a superseded epoch is failed for good. The old process and its successor are one holder.",
		Breaks:  rules(conformance.EpochFresh, "RegisterNode.granted"),
		bends: starting(func(a *attempt) {
			if a.Member.Status == registry.NodeActive {
				a.Member.Ref.Epoch--
			}
		}, op.RegisterNode),
	},
	{
		ID: "M87", Slug: "supersede-keeps-address",
		Section: "membership",
		Title:   "a superseding registration keeps the old address",
		Doc:     "Contract, section 3: a new incarnation brings its own information. Calls go to where the old process was.",
		Breaks:  rules("RegisterNode.granted", "GetNode.answered"),
		bends: starting(func(a *attempt) {
			if a.Member.Status == registry.NodeActive {
				a.Info = a.Member.Info
			}
		}, op.RegisterNode),
	},
	{
		ID: "M88", Slug: "supersede-takes-away",
		Section: "membership",
		Title:   "a superseding registration frees what the old incarnation holds",
		Doc:     "Contract, section 3: membership never takes an actor away. The old process may only be cut off, and serving.",
		Breaks:  rules(conformance.NoSuspicion, conformance.SingleActivation, "RegisterNode.granted"),
		bends:   inside(freeingTheSuperseded, op.RegisterNode),
	},
	{
		ID: "M89", Slug: "heartbeat-revives",
		Section: "membership",
		Title:   "a heartbeat makes a failed node active again",
		Doc:     "Contract, section 3: failed for good for that epoch. Others have already acted on the failure.",
		Breaks:  rules("Heartbeat.node-failed"),
		bends:   both(judging(backFromFailure, op.Heartbeat), starting(backFromFailure, op.Heartbeat)),
	},
	{
		ID: "M90", Slug: "heartbeat-by-name",
		Section: "membership",
		Title:   "the heartbeat of an old incarnation keeps the new one alive",
		Doc:     "Contract, section 3: the epoch must be current. The old process, still running somewhere, hides that its successor is dead.",
		Breaks:  rules("Heartbeat.node-failed", "Heartbeat.node-unknown"),
		bends:   judging(theCurrentIncarnation, op.Heartbeat),
	},
	{
		ID: "M91", Slug: "heartbeat-only-forward",
		Section: "contract",
		Title:   "a heartbeat by a slower clock does not count",
		Doc:     "Contract, section 3: last-seen = c, the reading of the attempt, also when an earlier one was later.",
		Breaks:  rules("Heartbeat.granted"),
		bends:   starting(func(a *attempt) { a.now = max(a.Member.LastSeen, a.now) }, op.Heartbeat),
	},
	{
		ID: "M92", Slug: "marks-the-successor",
		Section: "membership",
		Title:   "marking an old incarnation failed fails the current one",
		Doc:     "Contract, section 3: an epoch that is over is failed already. A detector that is slow to notice a restart kills the restarted.",
		Breaks:  rules("MarkFailed.repeated", "MarkFailed.alive"),
		bends: both(
			repeating(func(a attempt) bool { return !olderIncarnation(a) && specified.repeats(a) }, op.MarkFailed),
			guarding(func(a attempt) reference.Guard {
				if olderIncarnation(a) {
					return reference.Enabled
				}
				return specified.guard(a)
			}, op.MarkFailed),
		),
	},
	{
		ID: "M93", Slug: "marks-anybody",
		Section: "membership",
		Title:   "a node can be marked failed at any time",
		Doc:     "Contract, section 3: ErrNodeAlive. A detector with a bug, or with a grudge, empties the cluster.",
		Breaks:  rules("MarkFailed.alive"),
		bends:   judging(func(a *attempt) { a.now = a.cfg.FailedAt(a.Member.LastSeen) }, op.MarkFailed),
	},
	{
		ID: "M94", Slug: "failed-is-unknown",
		Section: "membership",
		Title:   "marking a failed node again is refused",
		Doc:     "Contract, section 3: a no-op that succeeds. Detectors on all nodes mark the same one at the same time.",
		Breaks:  rules("MarkFailed.repeated"),
		bends:   neverRepeating(op.MarkFailed),
	},
	{
		ID: "M95", Slug: "deregister-takes-away",
		Section: "membership",
		Title:   "a deregistration frees the node's actors",
		Doc:     "Contract, section 3: its leases are left to lapse. The process may still be finishing what it runs.",
		Breaks:  rules("DeregisterNode.granted", conformance.NoSuspicion, conformance.SingleActivation),
		bends:   inside(freeingTheNode, op.DeregisterNode),
	},
	{
		ID: "M96", Slug: "deregister-by-name",
		Section: "membership",
		Title:   "an old incarnation can deregister the current one",
		Doc:     "Contract, section 3: the epoch must be current. The shutdown hook of the old process runs after its successor has started.",
		Breaks:  rules("DeregisterNode.node-unknown"),
		bends:   judging(theCurrentIncarnation, op.DeregisterNode),
	},
	{
		ID: "M97", Slug: "failed-cannot-leave",
		Section: "membership",
		Title:   "a failed node cannot deregister",
		Doc:     "Contract, section 3: the current registration ends, active or failed.",
		Breaks:  rules("DeregisterNode.granted"),
		bends: guarding(func(a attempt) reference.Guard {
			if a.Member.Status == registry.NodeFailed {
				return reference.NodeKnown
			}
			return specified.guard(a)
		}, op.DeregisterNode),
	},
}

// theCurrentIncarnation takes any incarnation for the current one.
func theCurrentIncarnation(a *attempt) { a.Node = a.Member.Ref }

// backFromFailure takes a failed incarnation for an active one.
func backFromFailure(a *attempt) {
	if a.Member.Ref == a.Node && a.Member.Status == registry.NodeFailed {
		a.Member.Status = registry.NodeActive
	}
}

func deletingTheNode(r *request) op.Result {
	answer := r.step()
	if answer.Outcome == op.OK {
		delete(r.nodes, r.call.Node.ID)
	}
	return answer
}

func freeingTheSuperseded(r *request) op.Result {
	old := r.nodes[r.call.Node.ID].Ref
	answer := r.step()
	if answer.Outcome == op.OK {
		r.free(old)
	}
	return answer
}

func olderIncarnation(a attempt) bool { return a.Node.Epoch < a.Member.Ref.Epoch }
