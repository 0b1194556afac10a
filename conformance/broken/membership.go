package broken

import (
	"context"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
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
		flaw:    flaw{methods: each(func(h *handle) forgetful { return forgetful{h} })},
	},
	{
		ID: "M84", Slug: "registers-over-the-living",
		Section: "membership",
		Title:   "a registration replaces an active one without being asked to",
		Doc:     "Contract, section 3: ErrNodeExists. Two machines with one configured name take turns in failing each other.",
		Breaks:  rules("RegisterNode.exists"),
		flaw: flaw{decide: func(do *actions) {
			do.registerGuard = func(registry.Node, registry.RegisterMode) reference.Guard { return reference.Enabled }
		}},
	},
	{
		ID: "M85", Slug: "failed-cannot-return",
		Section: "membership",
		Title:   "a failed node cannot register again without superseding",
		Doc:     "Contract, section 4, 10: a node can always re-register. IfAbsent refuses only an active registration.",
		Breaks:  rules("RegisterNode.granted", "RegisterNode.exists"),
		flaw: flaw{decide: func(do *actions) {
			do.registerGuard = func(n registry.Node, mode registry.RegisterMode) reference.Guard {
				if n.Status == registry.NodeFailed {
					n.Status = registry.NodeActive
				}
				return reference.RegisterNodeGuard(n, mode)
			}
		}},
	},
	{
		ID: "M86", Slug: "supersede-keeps-epoch",
		Section: "membership",
		Title:   "a superseding registration takes over the epoch",
		Doc:     "Contract, section 3: a superseded epoch is failed for good. The old process and its successor are one holder.",
		Breaks:  rules(conformance.EpochFresh, "RegisterNode.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.registerEffect = func(n registry.Node, id registry.NodeID, info registry.NodeInfo, c registry.Instant) registry.Node {
				if n.Status == registry.NodeActive {
					n.Ref.Epoch--
				}
				return reference.RegisterNodeEffect(n, id, info, c)
			}
		}},
	},
	{
		ID: "M87", Slug: "supersede-keeps-address",
		Section: "membership",
		Title:   "a superseding registration keeps the old address",
		Doc:     "Contract, section 3: a new incarnation brings its own information. Calls go to where the old process was.",
		Breaks:  rules("RegisterNode.granted", "GetNode.answered"),
		flaw: flaw{decide: func(do *actions) {
			do.registerEffect = func(n registry.Node, id registry.NodeID, info registry.NodeInfo, c registry.Instant) registry.Node {
				if n.Status == registry.NodeActive {
					info = n.Info
				}
				return reference.RegisterNodeEffect(n, id, info, c)
			}
		}},
	},
	{
		ID: "M88", Slug: "supersede-takes-away",
		Section: "membership",
		Title:   "a superseding registration frees what the old incarnation holds",
		Doc:     "Contract, section 3: membership never takes an actor away. The old process may only be cut off, and serving.",
		Breaks:  rules(conformance.NoSuspicion, conformance.SingleActivation, "RegisterNode.granted"),
		flaw:    flaw{methods: each(func(h *handle) heir { return heir{h} })},
	},
	{
		ID: "M89", Slug: "heartbeat-revives",
		Section: "membership",
		Title:   "a heartbeat makes a failed node active again",
		Doc:     "Contract, section 3: failed for good for that epoch. Others have already acted on the failure.",
		Breaks:  rules("Heartbeat.node-failed"),
		flaw: flaw{decide: func(do *actions) {
			do.heartbeatGuard = func(n registry.Node, node registry.NodeRef) reference.Guard {
				if n.Ref == node && n.Status == registry.NodeFailed {
					return reference.Enabled
				}
				return reference.HeartbeatGuard(n, node)
			}
			do.heartbeatEffect = func(n registry.Node, c registry.Instant) registry.Node {
				n.Status = registry.NodeActive
				return reference.HeartbeatEffect(n, c)
			}
		}},
	},
	{
		ID: "M90", Slug: "heartbeat-by-name",
		Section: "membership",
		Title:   "the heartbeat of an old incarnation keeps the new one alive",
		Doc:     "Contract, section 3: the epoch must be current. The old process, still running somewhere, hides that its successor is dead.",
		Breaks:  rules("Heartbeat.node-failed", "Heartbeat.node-unknown"),
		flaw: flaw{decide: func(do *actions) {
			do.heartbeatGuard = func(n registry.Node, _ registry.NodeRef) reference.Guard {
				return reference.HeartbeatGuard(n, n.Ref)
			}
		}},
	},
	{
		ID: "M91", Slug: "heartbeat-only-forward",
		Section: "contract",
		Title:   "a heartbeat by a slower clock does not count",
		Doc:     "Contract, section 3: last-seen = c, the reading of the attempt, also when an earlier one was later.",
		Breaks:  rules("Heartbeat.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.heartbeatEffect = func(n registry.Node, c registry.Instant) registry.Node {
				return reference.HeartbeatEffect(n, max(n.LastSeen, c))
			}
		}},
	},
	{
		ID: "M92", Slug: "marks-the-successor",
		Section: "membership",
		Title:   "marking an old incarnation failed fails the current one",
		Doc:     "Contract, section 3: an epoch that is over is failed already. A detector that is slow to notice a restart kills the restarted.",
		Breaks:  rules("MarkFailed.repeated", "MarkFailed.alive"),
		flaw: flaw{decide: func(do *actions) {
			do.markFailedRepeats = func(n registry.Node, node registry.NodeRef) bool {
				return n.Ref == node && n.Status == registry.NodeFailed
			}
			do.markFailedGuard = func(cfg registry.Config, n registry.Node, node registry.NodeRef, c registry.Instant) reference.Guard {
				if node.Epoch < n.Ref.Epoch {
					return reference.Enabled
				}
				return reference.MarkFailedGuard(cfg, n, node, c)
			}
		}},
	},
	{
		ID: "M93", Slug: "marks-anybody",
		Section: "membership",
		Title:   "a node can be marked failed at any time",
		Doc:     "Contract, section 3: ErrNodeAlive. A detector with a bug, or with a grudge, empties the cluster.",
		Breaks:  rules("MarkFailed.alive"),
		flaw: flaw{decide: func(do *actions) {
			do.markFailedGuard = func(cfg registry.Config, n registry.Node, node registry.NodeRef, _ registry.Instant) reference.Guard {
				return reference.MarkFailedGuard(cfg, n, node, cfg.FailedAt(n.LastSeen))
			}
		}},
	},
	{
		ID: "M94", Slug: "failed-is-unknown",
		Section: "membership",
		Title:   "marking a failed node again is refused",
		Doc:     "Contract, section 3: a no-op that succeeds. Detectors on all nodes mark the same one at the same time.",
		Breaks:  rules("MarkFailed.repeated"),
		flaw: flaw{decide: func(do *actions) {
			do.markFailedRepeats = func(registry.Node, registry.NodeRef) bool { return false }
		}},
	},
	{
		ID: "M95", Slug: "deregister-takes-away",
		Section: "membership",
		Title:   "a deregistration frees the node's actors",
		Doc:     "Contract, section 3: its leases are left to lapse. The process may still be finishing what it runs.",
		Breaks:  rules("DeregisterNode.granted", conformance.NoSuspicion, conformance.SingleActivation),
		flaw:    flaw{methods: each(func(h *handle) leaving { return leaving{h} })},
	},
	{
		ID: "M96", Slug: "deregister-by-name",
		Section: "membership",
		Title:   "an old incarnation can deregister the current one",
		Doc:     "Contract, section 3: the epoch must be current. The shutdown hook of the old process runs after its successor has started.",
		Breaks:  rules("DeregisterNode.node-unknown"),
		flaw: flaw{decide: func(do *actions) {
			do.deregisterGuard = func(n registry.Node, _ registry.NodeRef) reference.Guard {
				return reference.DeregisterNodeGuard(n, n.Ref)
			}
		}},
	},
	{
		ID: "M97", Slug: "failed-cannot-leave",
		Section: "membership",
		Title:   "a failed node cannot deregister",
		Doc:     "Contract, section 3: the current registration ends, active or failed.",
		Breaks:  rules("DeregisterNode.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.deregisterGuard = func(n registry.Node, node registry.NodeRef) reference.Guard {
				if n.Status == registry.NodeFailed {
					return reference.NodeKnown
				}
				return reference.DeregisterNodeGuard(n, node)
			}
		}},
	},
}

type forgetful struct{ *handle }

func (h forgetful) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	return h.mutate(ctx, []argument{node}, func(c registry.Instant) error {
		err := h.deregister(node, c)
		if err == nil {
			delete(h.nodes, node.ID)
		}
		return err
	})
}

type heir struct{ *handle }

func (h heir) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	var n registry.Node
	err := h.mutate(ctx, []argument{id, info, mode}, func(c registry.Instant) error {
		old := h.nodes[id].Ref
		err := h.register(&n, id, info, mode, c)
		if err == nil {
			h.free(old)
		}
		return err
	})
	return answer(&n, err)
}

type leaving struct{ *handle }

func (h leaving) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	return h.mutate(ctx, []argument{node}, func(c registry.Instant) error {
		err := h.deregister(node, c)
		if err == nil {
			h.free(node)
		}
		return err
	})
}
