package broken

import (
	"context"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
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
		flaw: flaw{decide: func(do *actions) {
			do.claimRepeats = func(_ registry.Config, r registry.Placement, node registry.NodeRef, id registry.ClaimID, _ registry.Instant) bool {
				return r.Holder == node && r.ClaimID == id
			}
		}},
	},
	{
		ID: "M2", Slug: "acquire-overwrites",
		Section: "contract",
		Title:   "a claim overwrites the record whatever it found there",
		Doc:     "SET without NX, PUT without If-Match: the record is read for its counters only.",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held"),
		flaw: flaw{decide: func(do *actions) {
			do.claimGuard = func(cfg registry.Config, r registry.Placement, n registry.Standing, c registry.Instant) reference.Guard {
				r.Holder = registry.NodeRef{}
				return reference.ClaimGuard(cfg, r, n, c)
			}
		}},
	},
	{
		ID: "M3", Slug: "claim-not-idempotent",
		Section: "contract",
		Title:   "the ClaimID is stored and never compared",
		Doc:     "Contract, section 3, second row: after a lost answer the claimer's retry meets its own claim as somebody else's.",
		Breaks:  rules("Claim.repeated"),
		flaw: flaw{decide: func(do *actions) {
			do.claimRepeats = func(registry.Config, registry.Placement, registry.NodeRef, registry.ClaimID, registry.Instant) bool {
				return false
			}
		}},
	},
	{
		ID: "M4", Slug: "claim-id-of-another-node",
		Section: "contract",
		Title:   "a known ClaimID is answered with the lease, whoever asks",
		Doc:     "Idempotency keys that are not bound to their owner. Two nodes that replay one request both believe that they hold the actor.",
		Breaks:  rules("Claim.repeated", "Claim.held", conformance.SingleActivation, conformance.Linearizability),
		flaw: flaw{decide: func(do *actions) {
			do.claimRepeats = func(cfg registry.Config, r registry.Placement, _ registry.NodeRef, id registry.ClaimID, c registry.Instant) bool {
				return reference.ClaimRepeats(cfg, r, r.Holder, id, c)
			}
		}},
	},
	{
		ID: "M5", Slug: "repeat-renews",
		Section: "contract",
		Title:   "a repeated claim extends the lease",
		Doc:     "Contract, section 3: a repetition changes nothing. Here a retry in the network becomes a renewal that nobody asked for.",
		Breaks:  rules("Claim.repeated", conformance.VersionBump, conformance.Linearizability),
		flaw:    flaw{methods: each(func(h *handle) repeatRenews { return repeatRenews{h} })},
	},
	{
		ID: "M6", Slug: "repeat-asks-membership",
		Section: "contract",
		Title:   "a repeated claim is refused when its node has failed meanwhile",
		Doc:     "Contract, section 3: the repetition is always answered. The node holds the actor and is told that it does not.",
		Breaks:  rules("Claim.repeated"),
		flaw:    flaw{methods: each(func(h *handle) membershipFirst { return membershipFirst{h} })},
	},
	{
		ID: "M7", Slug: "remembered-expiry",
		Section: "random",
		Title:   "a waiter goes by the expiry that its last refusal told it",
		Doc:     "The waiter sleeps until the lease it saw must be over and then claims without looking again. The holder has renewed.",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held", conformance.Linearizability),
		flaw: flaw{methods: each(func(h *handle) rememberingWaiter {
			return rememberingWaiter{h, map[registry.ActorID]registry.Placement{}}
		})},
	},
	{
		ID: "M8", Slug: "version-restarts",
		Section: "contract",
		Title:   "a claim writes the record anew, at version 1",
		Doc:     "The takeover replaces the row instead of updating it. A conditional write that was in flight at version 1 passes.",
		Breaks:  rules(conformance.VersionBump, "Claim.granted", conformance.Linearizability),
		flaw: flaw{decide: func(do *actions) {
			do.claimEffect = func(cfg registry.Config, r registry.Placement, node registry.NodeRef, id registry.ClaimID, c registry.Instant) registry.Placement {
				r.Version = 0
				return reference.ClaimEffect(cfg, r, node, id, c)
			}
		}},
	},
	{
		ID: "M9", Slug: "token-from-local-counter",
		Section: "contract",
		Title:   "tokens come from a counter in the handle",
		Doc:     "A counter in each process is only unique there. Leases of two nodes carry one token, and a zombie's passes every check.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.NoStaleWrite, "Claim.granted", conformance.Linearizability),
		flaw: flaw{methods: each(func(h *handle) localTokens {
			return localTokens{h, new(registry.Token)}
		})},
	},
	{
		ID: "M10", Slug: "same-node-same-token",
		Section: "fencing",
		Title:   "a node that claims again after its lease ran out keeps its token",
		Doc:     "Same owner, same token, it was thought. Writes of its lapsed tenure that are still on their way are accepted in the new one.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.NoStaleWrite, "Claim.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.claimEffect = func(cfg registry.Config, r registry.Placement, node registry.NodeRef, id registry.ClaimID, c registry.Instant) registry.Placement {
				if r.Holder == node {
					r.Token--
				}
				return reference.ClaimEffect(cfg, r, node, id, c)
			}
		}},
	},
	{
		ID: "M11", Slug: "restarted-node-inherits",
		Section: "membership",
		Title:   "a restarted process may claim what its earlier incarnation holds",
		Doc:     "Contract, section 1: a restarted process is a different holder. The supervisor started the new one because the old one did not answer, not because it was gone.",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held"),
		flaw:    flaw{methods: each(func(h *handle) inheriting { return inheriting{h} })},
	},
	{
		ID: "M12", Slug: "no-grace-for-the-failed",
		Section: "membership",
		Title:   "grace lets a stranger in once the holder's node is marked failed",
		Doc:     "Contract, section 3: failure detection never takes an actor away. The suspected holder may be alive and renew within grace.",
		Breaks:  rules(conformance.GraceRespected, "Claim.held"),
		flaw:    flaw{methods: each(func(h *handle) graceless { return graceless{h} })},
	},
	{
		ID: "M13", Slug: "failed-holder-is-no-holder",
		Section: "membership",
		Title:   "an actor whose holder's node is marked failed counts as free",
		Doc:     "The eager takeover that membership-based directories do: eviction alone decides, and the evicted node may still be serving (orleans 2428).",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held", conformance.NoSuspicion),
		flaw:    flaw{methods: each(func(h *handle) overTheFailed { return overTheFailed{h} })},
	},
	{
		ID: "M14", Slug: "silent-holder-is-no-holder",
		Section: "contract",
		Title:   "an actor whose holder has been silent for FailureTimeout counts as free",
		Doc:     "One late heartbeat surrenders a live lease that was renewed in time: the claimer makes its own judgement of who is alive.",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held", conformance.NoSuspicion),
		flaw:    flaw{methods: each(func(h *handle) overTheSilent { return overTheSilent{h} })},
	},
	{
		ID: "M15", Slug: "claim-by-failed-node",
		Section: "contract",
		Title:   "a node that is marked failed may claim",
		Doc:     "Contract, section 3: a failed node makes no new claims.",
		Breaks:  rules("Claim.node-failed", "Transfer.node-failed"),
		flaw: flaw{decide: func(do *actions) {
			do.standing = func(n registry.Node, ref registry.NodeRef) registry.Standing {
				if n.Ref == ref && n.Status == registry.NodeFailed {
					return registry.StandingActive
				}
				return n.Standing(ref)
			}
		}},
	},
	{
		ID: "M16", Slug: "claim-by-old-epoch",
		Section: "contract",
		Title:   "membership is asked by the node's name alone",
		Doc:     "Contract, section 1: the holder is an incarnation. The process that was replaced goes on claiming under its old epoch.",
		Breaks:  rules("Claim.node-failed", "Claim.node-unknown", "Transfer.node-failed", "Transfer.node-unknown"),
		flaw: flaw{decide: func(do *actions) {
			do.standing = func(n registry.Node, _ registry.NodeRef) registry.Standing { return n.Standing(n.Ref) }
		}},
	},
	{
		ID: "M17", Slug: "claim-by-stranger",
		Section: "contract",
		Title:   "nodes that never registered may claim",
		Doc:     "Contract, section 3. Membership is only asked whether it knows something bad about the node.",
		Breaks:  rules("Claim.node-unknown", "Transfer.node-unknown"),
		flaw: flaw{decide: func(do *actions) {
			do.standing = func(n registry.Node, ref registry.NodeRef) registry.Standing {
				if s := n.Standing(ref); s == registry.StandingFailed {
					return s
				}
				return registry.StandingActive
			}
		}},
	},
	{
		ID: "M18", Slug: "membership-checked-outside",
		Section: "concurrent",
		Title:   "membership is checked before the step that claims",
		Doc:     "Contract, section 3: the membership check and the write are one step. The node is marked failed in between, and claims all the same.",
		Breaks:  append(rules("Claim.node-failed", "Claim.node-unknown"), interleaved...),
		flaw:    flaw{methods: each(func(h *handle) membershipOutside { return membershipOutside{h} })},
	},
	{
		ID: "M19", Slug: "held-without-placement",
		Section: "contract",
		Title:   "ErrHeld does not say by whom",
		Doc:     "Contract, section 3: the refusal carries the placement, so that the loser can route to the winner without another read.",
		Breaks:  rules(conformance.RefusalTruthful, "Claim.held"),
		flaw:    flaw{methods: each(func(h *handle) taciturn { return taciturn{h} })},
	},
	{
		ID: "M20", Slug: "held-before-membership",
		Section: "contract",
		Title:   "a claim by an unknown node of a held actor is refused with ErrHeld",
		Doc:     "Contract, section 3, order of refusals: the node comes before the record. A node that should stop waits instead.",
		Breaks:  rules(conformance.RefusalOrder, "Claim.node-unknown", "Claim.node-failed"),
		flaw: flaw{decide: func(do *actions) {
			do.claimGuard = func(cfg registry.Config, r registry.Placement, n registry.Standing, c registry.Instant) reference.Guard {
				if g := reference.ClaimGuard(cfg, r, registry.StandingActive, c); g != reference.Enabled {
					return g
				}
				return reference.ClaimGuard(cfg, r, n, c)
			}
		}},
	},
	{
		ID: "M21", Slug: "refused-claims-are-counted",
		Section: "contract",
		Title:   "a refused claim writes its attempt into the record",
		Doc:     "Contract: a refusal changes nothing. The count of contenders goes into the same row, and every write of the row is a version.",
		Breaks:  rules(conformance.RefusalNothing, conformance.VersionBump, conformance.Linearizability),
		flaw:    flaw{methods: each(func(h *handle) counting { return counting{h} })},
	},
}

type repeatRenews struct{ *handle }

func (h repeatRenews) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{actor, node, id}, func(c registry.Instant) error {
		if r := h.record(actor); h.do.claimRepeats(h.cfg, r, node, id, c) {
			return h.renew(&l, r.Lease(), c)
		}
		return h.claim(&l, actor, node, id, c)
	})
	return answer(&l, err)
}

type membershipFirst struct{ *handle }

func (h membershipFirst) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{actor, node, id}, func(c registry.Instant) error {
		n := h.nodes[node.ID]
		if g := h.do.claimGuard(h.cfg, registry.Placement{}, h.do.standing(n, node), c); g != reference.Enabled {
			return refuse(g, registry.Placement{}, n, c)
		}
		return h.claim(&l, actor, node, id, c)
	})
	return answer(&l, err)
}

// claimOver claims as if the record that is there were another one.
func (h *handle) claimOver(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID, pretend func(registry.Placement, registry.Instant) registry.Placement) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{actor, node, id}, func(c registry.Instant) error {
		found, n := h.record(actor), h.nodes[node.ID]
		if h.do.claimRepeats(h.cfg, found, node, id, c) {
			l = found.Lease()
			return nil
		}
		if g := h.do.claimGuard(h.cfg, pretend(found, c), h.do.standing(n, node), c); g != reference.Enabled {
			return refuse(g, found, n, c)
		}
		l = h.put(h.do.claimEffect(h.cfg, found, node, id, c))
		return nil
	})
	return answer(&l, err)
}

type rememberingWaiter struct {
	*handle
	seen map[registry.ActorID]registry.Placement // guarded by the store's mutex
}

func (h rememberingWaiter) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return h.claimOver(ctx, actor, node, id, func(r registry.Placement, _ registry.Instant) registry.Placement {
		if seen, waited := h.seen[actor]; waited && seen.Token == r.Token {
			r.Expiry = seen.Expiry
		}
		h.seen[actor] = r
		return r
	})
}

type inheriting struct{ *handle }

func (h inheriting) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return h.claimOver(ctx, actor, node, id, func(r registry.Placement, _ registry.Instant) registry.Placement {
		if r.Holder.ID == node.ID && r.Holder.Epoch < node.Epoch {
			r.Holder = registry.NodeRef{}
		}
		return r
	})
}

type graceless struct{ *handle }

func (h graceless) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return h.claimOver(ctx, actor, node, id, func(r registry.Placement, _ registry.Instant) registry.Placement {
		if h.nodes[r.Holder.ID].Standing(r.Holder) == registry.StandingFailed {
			r.Expiry = r.Expiry.Add(-h.cfg.Grace)
		}
		return r
	})
}

type overTheFailed struct{ *handle }

func (h overTheFailed) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return h.claimOver(ctx, actor, node, id, func(r registry.Placement, _ registry.Instant) registry.Placement {
		if h.nodes[r.Holder.ID].Standing(r.Holder) == registry.StandingFailed {
			r.Holder = registry.NodeRef{}
		}
		return r
	})
}

type overTheSilent struct{ *handle }

func (h overTheSilent) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return h.claimOver(ctx, actor, node, id, func(r registry.Placement, c registry.Instant) registry.Placement {
		if c >= h.cfg.FailedAt(h.nodes[r.Holder.ID].LastSeen) {
			r.Holder = registry.NodeRef{}
		}
		return r
	})
}

type localTokens struct {
	*handle
	last *registry.Token // guarded by the store's mutex
}

func (h localTokens) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{actor, node, id}, func(c registry.Instant) error {
		before := h.record(actor)
		err := h.claim(&l, actor, node, id, c)
		if err == nil && l.Version != before.Version {
			*h.last++
			l.Token = *h.last
			h.put(registry.Placement(l))
		}
		return err
	})
	return answer(&l, err)
}

type membershipOutside struct{ *handle }

func (h membershipOutside) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	if err := h.begin(ctx, actor, node, id); err != nil {
		return registry.Lease{}, err
	}
	n := h.nodes[node.ID]
	h.mu.Unlock()
	standing := h.do.standing(n, node)
	encode(registry.Placement{Actor: actor, Holder: node, ClaimID: id}) // the request to the store
	h.at("membership checked")
	c := h.clock.Now()

	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.record(actor)
	if h.do.claimRepeats(h.cfg, r, node, id, c) {
		return r.Lease(), nil
	}
	if g := h.do.claimGuard(h.cfg, r, standing, c); g != reference.Enabled {
		return registry.Lease{}, refuse(g, r, n, c)
	}
	return h.put(h.do.claimEffect(h.cfg, r, node, id, c)), nil
}

type taciturn struct{ *handle }

func (h taciturn) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	l, err := h.handle.Claim(ctx, actor, node, id)
	if isHeld(err) {
		err = registry.ErrHeld
	}
	return l, err
}

type counting struct{ *handle }

func (h counting) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{actor, node, id}, func(c registry.Instant) error {
		err := h.claim(&l, actor, node, id, c)
		if isHeld(err) {
			r := h.record(actor)
			r.Version++
			h.put(r)
		}
		return err
	})
	return answer(&l, err)
}
