package broken

import (
	"context"
	"errors"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/reference"
)

func isHeld(err error) bool { return errors.Is(err, registry.ErrHeld) }

// Mistakes in what a tenure allows: renewal, release, transfer, guarded writes.
var tenures = []Variant{
	{
		ID: "M22", Slug: "release-by-anyone",
		Section: "contract",
		Title:   "a release does not ask whose the actor is",
		Doc:     "DEL without comparing the value first: the unlock of a client whose lock had expired removes somebody else's.",
		Breaks:  rules("Release.fenced", "Release.not-held", conformance.SingleActivation),
		flaw: flaw{decide: func(do *actions) {
			do.releaseGuard = func(r registry.Placement, _ registry.NodeRef, _ registry.Token) reference.Guard {
				return reference.ReleaseGuard(r, r.Holder, r.Token)
			}
		}},
	},
	{
		ID: "M23", Slug: "release-by-old-tenure",
		Section: "contract",
		Title:   "a release of an old tenure frees the same node's new one",
		Doc:     "The owner is compared, the token is not. A delayed release arrives after the node has claimed again.",
		Breaks:  rules("Release.fenced", conformance.SingleActivation),
		flaw: flaw{decide: func(do *actions) {
			do.releaseGuard = func(r registry.Placement, holder registry.NodeRef, _ registry.Token) reference.Guard {
				return reference.ReleaseGuard(r, holder, r.Token)
			}
		}},
	},
	{
		ID: "M24", Slug: "release-not-idempotent",
		Section: "contract",
		Title:   "a second release of the latest tenure is refused",
		Doc:     "Contract, section 3: it is a no-op that succeeds, or a lost answer could not be retried.",
		Breaks:  rules("Release.repeated"),
		flaw: flaw{decide: func(do *actions) {
			do.releaseRepeats = func(registry.Placement, registry.Token) bool { return false }
		}},
	},
	{
		ID: "M25", Slug: "release-of-the-released",
		Section: "contract",
		Title:   "a release of any tenure succeeds once the actor is free",
		Doc:     "Nobody holds it, so all is well, it was thought. A zombie is not told that it was fenced.",
		Breaks:  rules("Release.fenced", "Release.not-held"),
		flaw: flaw{decide: func(do *actions) {
			do.releaseRepeats = func(r registry.Placement, _ registry.Token) bool { return r.Version > 0 && !r.Held() }
		}},
	},
	{
		ID: "M26", Slug: "release-only-in-time",
		Section: "contract",
		Title:   "a lapsed lease cannot be released",
		Doc:     "Contract, section 3: a release succeeds whatever the clock says. Here the actor stays blocked until it is reclaimable.",
		Breaks:  rules("Release.granted"),
		flaw:    flaw{methods: each(func(h *handle) punctualRelease { return punctualRelease{h} })},
	},
	{
		ID: "M27", Slug: "release-keeps-version",
		Section: "contract",
		Title:   "a release does not bump the version",
		Doc:     "Contract, section 4, VersionBump: release included, so that every conditional write in flight is invalidated.",
		Breaks:  rules(conformance.VersionBump, "Release.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.releaseEffect = func(r registry.Placement) registry.Placement {
				r.Holder = registry.NodeRef{}
				return r
			}
		}},
	},
	{
		ID: "M28", Slug: "release-clears-token",
		Section: "fencing",
		Title:   "a release resets the token",
		Doc:     "The row is kept and its fields are cleared: a milder F7. The next tenure gets token 1 again.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.NoStaleWrite, "Release.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.releaseEffect = func(r registry.Placement) registry.Placement {
				return registry.Placement{Actor: r.Actor, Version: r.Version + 1}
			}
		}},
	},
	{
		ID: "M29", Slug: "renew-after-lapse",
		Section: "contract",
		Title:   "a lapsed lease can be renewed as long as nobody took it",
		Doc:     "Contract, section 3. A keepalive that arrives late brings the lease back, while a claimer with a fast clock is about to be granted it.",
		Breaks:  rules("Renew.lapsed"),
		flaw: flaw{decide: func(do *actions) {
			do.renewGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, token registry.Token, _ registry.Instant) reference.Guard {
				return reference.RenewGuard(cfg, r, holder, token, r.Expiry-1)
			}
		}},
	},
	{
		ID: "M30", Slug: "renew-shortens",
		Section: "contract",
		Title:   "a renewal by a slower clock shortens the lease",
		Doc:     "Contract, section 3: Expiry = max(Expiry, c+TTL). The holder was promised the later deadline and serves until then.",
		Breaks:  rules("Renew.granted", conformance.SingleActivation),
		flaw: flaw{decide: func(do *actions) {
			do.renewEffect = func(cfg registry.Config, r registry.Placement, c registry.Instant) registry.Placement {
				r.Expiry = c.Add(cfg.TTL)
				r.Version++
				return r
			}
		}},
	},
	{
		ID: "M31", Slug: "renew-adds-ttl",
		Section: "contract",
		Title:   "a renewal adds TTL to the expiry instead of to the time",
		Doc:     "Each retry of a renewal lengthens the lease; a holder that crashes leaves an actor blocked for many TTLs.",
		Breaks:  rules("Renew.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.renewEffect = func(cfg registry.Config, r registry.Placement, _ registry.Instant) registry.Placement {
				r.Expiry = r.Expiry.Add(cfg.TTL)
				r.Version++
				return r
			}
		}},
	},
	{
		ID: "M32", Slug: "renew-bumps-token",
		Section: "contract",
		Title:   "a renewal makes a new token",
		Doc:     "Contract, section 3: the token stays. The holder's own guarded writes in flight are refused after each renewal.",
		Breaks:  rules("Renew.granted", conformance.TokenMonotonic),
		flaw: flaw{decide: func(do *actions) {
			do.renewEffect = func(cfg registry.Config, r registry.Placement, c registry.Instant) registry.Placement {
				r.Token++
				return reference.RenewEffect(cfg, r, c)
			}
		}},
	},
	{
		ID: "M33", Slug: "renew-keeps-version",
		Section: "contract",
		Title:   "a renewal does not bump the version",
		Doc:     "Contract, section 4, VersionBump. A claim that read the record before the renewal still finds the version it expects.",
		Breaks:  rules(conformance.VersionBump, "Renew.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.renewEffect = func(cfg registry.Config, r registry.Placement, c registry.Instant) registry.Placement {
				r.Expiry = max(r.Expiry, c.Add(cfg.TTL))
				return r
			}
		}},
	},
	{
		ID: "M34", Slug: "renew-brings-back",
		Section: "contract",
		Title:   "a renewal brings a released tenure back",
		Doc:     "The heartbeat thread renews once more after the release: the token matches, so the holder is written back in.",
		Breaks:  rules("Renew.not-held", conformance.SingleActivation),
		flaw:    flaw{methods: each(func(h *handle) bringingBack { return bringingBack{h} })},
	},
	{
		ID: "M35", Slug: "renew-by-version",
		Section: "contract",
		Title:   "a renewal demands the version of the lease it is given",
		Doc:     "Contract: only Actor, Holder and Token of a lease matter. A holder that lost the answer of one renewal cannot renew any more.",
		Breaks:  rules("Renew.granted", conformance.Linearizability),
		flaw:    flaw{methods: each(func(h *handle) renewByVersion { return renewByVersion{h} })},
	},
	{
		ID: "M36", Slug: "lapsed-before-fenced",
		Section: "contract",
		Title:   "a renewal of a fenced tenure is told that it lapsed",
		Doc:     "Contract, section 3, order of refusals: fenced before lapsed. The zombie takes it for its own lateness and claims again.",
		Breaks:  rules(conformance.RefusalOrder, "Renew.fenced", "Renew.not-held"),
		flaw: flaw{decide: func(do *actions) {
			do.renewGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, token registry.Token, c registry.Instant) reference.Guard {
				if r.Held() && c >= r.Expiry.Add(cfg.Grace) {
					return reference.NotLapsed
				}
				return reference.RenewGuard(cfg, r, holder, token, c)
			}
		}},
	},
	{
		ID: "M37", Slug: "owner-by-name",
		Section: "contract",
		Title:   "the holder is compared by the node's name, without its epoch",
		Doc:     "Contract, section 1: a restarted process is a different holder.",
		Breaks:  rules("Renew.not-held", "Release.not-held", "Transfer.not-held"),
		flaw: flaw{decide: func(do *actions) {
			same := func(r registry.Placement, holder registry.NodeRef) registry.NodeRef {
				if r.Holder.ID == holder.ID {
					return r.Holder
				}
				return holder
			}
			do.renewGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, token registry.Token, c registry.Instant) reference.Guard {
				return reference.RenewGuard(cfg, r, same(r, holder), token, c)
			}
			do.releaseGuard = func(r registry.Placement, holder registry.NodeRef, token registry.Token) reference.Guard {
				return reference.ReleaseGuard(r, same(r, holder), token)
			}
		}},
	},
	{
		ID: "M38", Slug: "transfer-leaves-gap",
		Section: "contract",
		Title:   "a transfer is a release and then a claim",
		Doc:     "Contract, section 3: an atomic hand-off, no gap. Between the two steps anybody may claim, and the version grows by two.",
		Breaks:  rules("Transfer.granted", conformance.VersionBump, conformance.Linearizability),
		flaw:    flaw{methods: each(func(h *handle) releaseAndClaim { return releaseAndClaim{h} })},
	},
	{
		ID: "M39", Slug: "transfer-in-two-sections",
		Section: "concurrent",
		Title:   "a transfer takes the holder out in one critical section and puts the next in in another",
		Doc:     "The gap of M38 without its traces: counters are right, and a lookup or a claim in between sees an actor that nobody holds.",
		Breaks:  interleaved,
		flaw:    flaw{methods: each(func(h *handle) emptyHanded { return emptyHanded{h} })},
	},
	{
		ID: "M40", Slug: "transfer-keeps-token",
		Section: "fencing",
		Title:   "a transfer keeps the token",
		Doc:     "Contract, section 3: Token+1. The former holder's late writes are accepted after the hand-off.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.NoStaleWrite, "Transfer.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.transferEffect = func(cfg registry.Config, r registry.Placement, to registry.NodeRef, c registry.Instant) registry.Placement {
				r.Token--
				return reference.TransferEffect(cfg, r, to, c)
			}
		}},
	},
	{
		ID: "M41", Slug: "transfer-keeps-expiry",
		Section: "contract",
		Title:   "a transfer hands over what is left of the lease",
		Doc:     "Contract, section 3: Expiry = c+TTL. The new holder starts with a lease that is nearly over.",
		Breaks:  rules("Transfer.granted"),
		flaw: flaw{decide: func(do *actions) {
			do.transferEffect = func(cfg registry.Config, r registry.Placement, to registry.NodeRef, c registry.Instant) registry.Placement {
				next := reference.TransferEffect(cfg, r, to, c)
				next.Expiry = r.Expiry
				return next
			}
		}},
	},
	{
		ID: "M42", Slug: "transfer-keeps-claim-id",
		Section: "contract",
		Title:   "a transfer leaves the former holder's ClaimID in the record",
		Doc:     "The tenure that a transfer begins was not claimed. Handed back, the actor answers a claim of two tenures ago as a repetition.",
		Breaks:  rules("Transfer.granted", "Claim.repeated"),
		flaw: flaw{decide: func(do *actions) {
			do.transferEffect = func(cfg registry.Config, r registry.Placement, to registry.NodeRef, c registry.Instant) registry.Placement {
				next := reference.TransferEffect(cfg, r, to, c)
				next.ClaimID = r.ClaimID
				return next
			}
		}},
	},
	{
		ID: "M43", Slug: "transfer-to-the-failed",
		Section: "contract",
		Title:   "a transfer does not ask for the target's standing",
		Doc:     "Contract, section 3: ErrNodeUnknown, ErrNodeFailed for the target. The actor is handed to a node that will never serve it.",
		Breaks:  rules("Transfer.node-unknown", "Transfer.node-failed"),
		flaw: flaw{decide: func(do *actions) {
			do.transferGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, token registry.Token, _ registry.Standing, c registry.Instant) reference.Guard {
				return reference.TransferGuard(cfg, r, holder, token, registry.StandingActive, c)
			}
		}},
	},
	{
		ID: "M44", Slug: "transfer-in-grace",
		Section: "contract",
		Title:   "a lease can be handed over in grace",
		Doc:     "Contract, section 3: a transfer needs a live lease. In grace the holder has stopped, and only a renewal is left to it.",
		Breaks:  rules("Transfer.lapsed"),
		flaw: flaw{decide: func(do *actions) {
			do.transferGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, token registry.Token, to registry.Standing, c registry.Instant) reference.Guard {
				return reference.TransferGuard(cfg, r, holder, token, to, c.Add(-cfg.Grace))
			}
		}},
	},
	{
		ID: "M45", Slug: "validate-by-clock",
		Section: "contract",
		Title:   "a guarded write is refused once the lease has run out by the clock",
		Doc:     "Contract, section 3: Validate goes by the token, whatever the clock says; fencing must not depend on clocks.",
		Breaks:  rules("Validate.granted"),
		flaw:    flaw{methods: each(func(h *handle) clockedValidate { return clockedValidate{h} })},
	},
	{
		ID: "M46", Slug: "validate-after-release",
		Section: "contract",
		Title:   "the last token stays valid after the release",
		Doc:     "Contract, section 4, NoStaleWrite: after a release no write of the tenure is accepted.",
		Breaks:  rules(conformance.NoStaleWrite, "Validate.not-held"),
		flaw: flaw{decide: func(do *actions) {
			do.validateGuard = func(r registry.Placement, token registry.Token) reference.Guard {
				r.Holder = registry.NodeRef{ID: "anybody", Epoch: 1}
				return reference.ValidateGuard(r, token)
			}
		}},
	},
	{
		ID: "M47", Slug: "validate-any-higher",
		Section: "contract",
		Title:   "a token that is higher than the record's is valid",
		Doc:     "The rule of a fenced storage server, which has not heard of the newer grant yet, applied in the registry, which makes the grants.",
		Breaks:  rules("Validate.not-held"),
		flaw: flaw{decide: func(do *actions) {
			do.validateGuard = func(r registry.Placement, token registry.Token) reference.Guard {
				return reference.ValidateGuard(r, min(token, max(r.Token, 1)))
			}
		}},
	},
}

type punctualRelease struct{ *handle }

func (h punctualRelease) Release(ctx context.Context, held registry.Lease) error {
	return h.mutate(ctx, []argument{held}, func(c registry.Instant) error {
		r := h.record(held.Actor)
		if r.Holder == held.Holder && r.Token == held.Token && c >= r.Expiry.Add(h.cfg.Grace) {
			return refuse(reference.NotLapsed, r, registry.Node{}, c)
		}
		return h.release(held, c)
	})
}

type bringingBack struct{ *handle }

func (h bringingBack) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{held}, func(c registry.Instant) error {
		if r := h.record(held.Actor); !r.Held() && r.Token == held.Token {
			r.Holder = held.Holder
			l = h.put(h.do.renewEffect(h.cfg, r, c))
			return nil
		}
		return h.renew(&l, held, c)
	})
	return answer(&l, err)
}

type renewByVersion struct{ *handle }

func (h renewByVersion) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{held}, func(c registry.Instant) error {
		if r := h.record(held.Actor); r.Token == held.Token && r.Version != held.Version {
			return refuse(reference.TenureHeld, r, registry.Node{}, c)
		}
		return h.renew(&l, held, c)
	})
	return answer(&l, err)
}

type releaseAndClaim struct{ *handle }

func (h releaseAndClaim) Transfer(ctx context.Context, held registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if err := h.begin(ctx, held, to); err != nil {
		return registry.Lease{}, err
	}
	r, n, c := h.record(held.Actor), h.nodes[to.ID], h.clock.Now()
	g := h.do.transferGuard(h.cfg, r, held.Holder, held.Token, h.do.standing(n, to), c)
	h.mu.Unlock()
	if g != reference.Enabled {
		return registry.Lease{}, refuse(g, r, n, c)
	}
	if err := h.Release(ctx, held); err != nil {
		return registry.Lease{}, err
	}
	return h.Claim(ctx, held.Actor, to, registry.NewClaimID())
}

type emptyHanded struct{ *handle }

func (h emptyHanded) Transfer(ctx context.Context, held registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if err := h.begin(ctx, held, to); err != nil {
		return registry.Lease{}, err
	}
	r, n, c := h.record(held.Actor), h.nodes[to.ID], h.clock.Now()
	g := h.do.transferGuard(h.cfg, r, held.Holder, held.Token, h.do.standing(n, to), c)
	if g == reference.Enabled {
		out := r
		out.Holder = registry.NodeRef{}
		h.put(out)
	}
	h.mu.Unlock()
	if g != reference.Enabled {
		return registry.Lease{}, refuse(g, r, n, c)
	}
	return h.write(encode(h.do.transferEffect(h.cfg, r, to, c))), nil
}

type clockedValidate struct{ *handle }

func (h clockedValidate) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	if err := h.begin(ctx, actor, token); err != nil {
		return err
	}
	defer h.mu.Unlock()
	r, c := h.record(actor), h.clock.Now()
	if g := h.do.validateGuard(r, token); g != reference.Enabled {
		return refuse(g, r, registry.Node{}, c)
	}
	if c >= r.Expiry.Add(h.cfg.Grace) {
		return refuse(reference.TenureHeld, r, registry.Node{}, c)
	}
	return nil
}
