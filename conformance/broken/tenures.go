package broken

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Mistakes in what a tenure allows: renewal, release, transfer, guarded writes.
var tenures = []Variant{
	{
		ID: "M22", Slug: "release-by-anyone",
		Section: "contract",
		Title:   "a release does not ask whose the actor is",
		Doc:     "DEL without comparing the value first: the unlock of a client whose lock had expired removes somebody else's.",
		Breaks:  rules("Release.fenced", "Release.not-held", conformance.SingleActivation),
		bends:   judging(func(a *attempt) { a.Node, a.Token = a.Record.Holder, a.Record.Token }, op.Release),
	},
	{
		ID: "M23", Slug: "release-by-old-tenure",
		Section: "contract",
		Title:   "a release of an old tenure frees the same node's new one",
		Doc:     "The owner is compared, the token is not. A delayed release arrives after the node has claimed again.",
		Breaks:  rules("Release.fenced", conformance.SingleActivation),
		bends:   judging(theTokenOfTheRecord, op.Release),
	},
	{
		ID: "M24", Slug: "release-not-idempotent",
		Section: "contract",
		Title:   "a second release of the latest tenure is refused",
		Doc:     "Contract, section 3: it is a no-op that succeeds, or a lost answer could not be retried.",
		Breaks:  rules("Release.repeated"),
		bends:   neverRepeating(op.Release),
	},
	{
		ID: "M25", Slug: "release-of-the-released",
		Section: "contract",
		Title:   "a release of any tenure succeeds once the actor is free",
		Doc:     "Nobody holds it, so all is well, it was thought. A zombie is not told that it was fenced.",
		Breaks:  rules("Release.fenced", "Release.not-held"),
		bends: repeating(func(a attempt) bool {
			a.Token = a.Record.Token
			return specified.repeats(a)
		}, op.Release),
	},
	{
		ID: "M26", Slug: "release-only-in-time",
		Section: "contract",
		Title:   "a lapsed lease cannot be released",
		Doc:     "Contract, section 3: a release succeeds whatever the clock says. Here the actor stays blocked until it is reclaimable.",
		Breaks:  rules("Release.granted"),
		bends: guarding(func(a attempt) reference.Guard {
			if g := specified.guard(a); g != reference.Enabled || !a.lapsed() {
				return g
			}
			return reference.NotLapsed
		}, op.Release),
	},
	{
		ID: "M27", Slug: "release-keeps-version",
		Section: "contract",
		Title:   "a release does not bump the version",
		Doc:     "Contract, section 4, VersionBump: release included, so that every conditional write in flight is invalidated.",
		Breaks:  rules(conformance.VersionBump, "Release.granted"),
		bends:   leaving(func(before attempt, after *reference.View) { after.Record.Version = before.Record.Version }, op.Release),
	},
	{
		ID: "M28", Slug: "release-clears-token",
		Section: "fencing",
		Title:   "a release resets the token",
		Doc:     "The row is kept and its fields are cleared: a milder F7. The next tenure gets token 1 again.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.NoStaleWrite, "Release.granted"),
		bends: leaving(func(_ attempt, after *reference.View) {
			after.Record = registry.Placement{Actor: after.Record.Actor, Version: after.Record.Version}
		}, op.Release),
	},
	{
		ID: "M29", Slug: "renew-after-lapse",
		Section: "contract",
		Title:   "a lapsed lease can be renewed as long as nobody took it",
		Doc:     "Contract, section 3. A keepalive that arrives late brings the lease back, while a claimer with a fast clock is about to be granted it.",
		Breaks:  rules("Renew.lapsed"),
		bends:   judging(func(a *attempt) { a.now = a.Record.Expiry - 1 }, op.Renew),
	},
	{
		ID: "M30", Slug: "renew-shortens",
		Section: "contract",
		Title:   "a renewal by a slower clock shortens the lease",
		Doc:     "Contract, section 3: Expiry = max(Expiry, c+TTL). The holder was promised the later deadline and serves until then.",
		Breaks:  rules("Renew.granted", conformance.SingleActivation),
		bends:   starting(func(a *attempt) { a.Record.Expiry = a.now }, op.Renew),
	},
	{
		ID: "M31", Slug: "renew-adds-ttl",
		Section: "contract",
		Title:   "a renewal adds TTL to the expiry instead of to the time",
		Doc:     "Each retry of a renewal lengthens the lease; a holder that crashes leaves an actor blocked for many TTLs.",
		Breaks:  rules("Renew.granted"),
		bends:   starting(func(a *attempt) { a.now = a.Record.Expiry }, op.Renew),
	},
	{
		ID: "M32", Slug: "renew-bumps-token",
		Section: "contract",
		Title:   "a renewal makes a new token",
		Doc:     "Contract, section 3: the token stays. The holder's own guarded writes in flight are refused after each renewal.",
		Breaks:  rules("Renew.granted", conformance.TokenMonotonic),
		bends:   starting(func(a *attempt) { a.Record.Token++ }, op.Renew),
	},
	{
		ID: "M33", Slug: "renew-keeps-version",
		Section: "contract",
		Title:   "a renewal does not bump the version",
		Doc:     "Contract, section 4, VersionBump. A claim that read the record before the renewal still finds the version it expects.",
		Breaks:  rules(conformance.VersionBump, "Renew.granted"),
		bends:   leaving(func(before attempt, after *reference.View) { after.Record.Version = before.Record.Version }, op.Renew),
	},
	{
		ID: "M34", Slug: "renew-brings-back",
		Section: "contract",
		Title:   "a renewal brings a released tenure back",
		Doc:     "The heartbeat thread renews once more after the release: the token matches, so the holder is written back in.",
		Breaks:  rules("Renew.not-held", conformance.SingleActivation),
		bends:   both(judging(backFromRelease, op.Renew), starting(backFromRelease, op.Renew)),
	},
	{
		ID: "M35", Slug: "renew-by-version",
		Section: "contract",
		Title:   "a renewal demands the version of the lease it is given",
		Doc:     "Contract: only Actor, Holder and Token of a lease matter. A holder that lost the answer of one renewal cannot renew any more.",
		Breaks:  rules("Renew.granted", conformance.Linearizability),
		bends: guarding(func(a attempt) reference.Guard {
			if a.Record.Token == a.Token && a.Record.Version != a.Version {
				return reference.TenureHeld
			}
			return specified.guard(a)
		}, op.Renew),
	},
	{
		ID: "M36", Slug: "lapsed-before-fenced",
		Section: "contract",
		Title:   "a renewal of a fenced tenure is told that it lapsed",
		Doc:     "Contract, section 3, order of refusals: fenced before lapsed. The zombie takes it for its own lateness and claims again.",
		Breaks:  rules(conformance.RefusalOrder, "Renew.fenced", "Renew.not-held"),
		bends: guarding(func(a attempt) reference.Guard {
			if a.Record.Held() && a.lapsed() {
				return reference.NotLapsed
			}
			return specified.guard(a)
		}, op.Renew),
	},
	{
		ID: "M37", Slug: "owner-by-name",
		Section: "contract",
		Title:   "the holder is compared by the node's name, without its epoch",
		Doc:     "Contract, section 1: a restarted process is a different holder.",
		Breaks:  rules("Renew.not-held", "Release.not-held", "Transfer.not-held"),
		bends: judging(func(a *attempt) {
			if a.Record.Holder.ID == a.Node.ID {
				a.Node = a.Record.Holder
			}
		}, op.Renew, op.Release),
	},
	{
		ID: "M38", Slug: "transfer-leaves-gap",
		Section: "contract",
		Title:   "a transfer is a release and then a claim",
		Doc:     "Contract, section 3: an atomic hand-off, no gap. Between the two steps anybody may claim, and the version grows by two.",
		Breaks:  rules("Transfer.granted", conformance.VersionBump, conformance.Linearizability),
		bends:   outside(releaseAndClaim, op.Transfer),
	},
	{
		ID: "M39", Slug: "transfer-in-two-sections",
		Section: "concurrent",
		Title:   "a transfer takes the holder out in one critical section and puts the next in in another",
		Doc:     "The gap of M38 without its traces: counters are right, and a lookup or a claim in between sees an actor that nobody holds.",
		Breaks:  append(rules("Claim.held"), interleaved...),
		bends:   outside(emptyHanded, op.Transfer),
	},
	{
		ID: "M40", Slug: "transfer-keeps-token",
		Section: "fencing",
		Title:   "a transfer keeps the token",
		Doc:     "Contract, section 3: Token+1. The former holder's late writes are accepted after the hand-off.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.NoStaleWrite, "Transfer.granted"),
		bends:   starting(func(a *attempt) { a.Record.Token-- }, op.Transfer),
	},
	{
		ID: "M41", Slug: "transfer-keeps-expiry",
		Section: "contract",
		Title:   "a transfer hands over what is left of the lease",
		Doc:     "Contract, section 3: Expiry = c+TTL. The new holder starts with a lease that is nearly over.",
		Breaks:  rules("Transfer.granted"),
		bends:   leaving(func(before attempt, after *reference.View) { after.Record.Expiry = before.Record.Expiry }, op.Transfer),
	},
	{
		ID: "M42", Slug: "transfer-keeps-claim-id",
		Section: "contract",
		Title:   "a transfer leaves the former holder's ClaimID in the record",
		Doc:     "The tenure that a transfer begins was not claimed. Handed back, the actor answers a claim of two tenures ago as a repetition.",
		Breaks:  rules("Transfer.granted", "Claim.repeated"),
		bends:   leaving(func(before attempt, after *reference.View) { after.Record.ClaimID = before.Record.ClaimID }, op.Transfer),
	},
	{
		ID: "M43", Slug: "transfer-to-the-failed",
		Section: "contract",
		Title:   "a transfer does not ask for the target's standing",
		Doc:     "Contract, section 3: ErrNodeUnknown, ErrNodeFailed for the target. The actor is handed to a node that will never serve it.",
		Breaks:  rules("Transfer.node-unknown", "Transfer.node-failed"),
		bends:   judging((*attempt).newcomerIsActive, op.Transfer),
	},
	{
		ID: "M44", Slug: "transfer-in-grace",
		Section: "contract",
		Title:   "a lease can be handed over in grace",
		Doc:     "Contract, section 3: a transfer needs a live lease. In grace the holder has stopped, and only a renewal is left to it.",
		Breaks:  rules("Transfer.lapsed"),
		bends:   judging(func(a *attempt) { a.now = a.now.Add(-a.cfg.Grace) }, op.Transfer),
	},
	{
		ID: "M45", Slug: "validate-by-clock",
		Section: "contract",
		Title:   "a guarded write is refused once the lease has run out by the clock",
		Doc:     "Contract, section 3: Validate goes by the token, whatever the clock says; fencing must not depend on clocks.",
		Breaks:  rules("Validate.granted"),
		bends: guarding(func(a attempt) reference.Guard {
			a.now = a.by.clock.Now()
			if g := specified.guard(a); g != reference.Enabled || !a.lapsed() {
				return g
			}
			return reference.TenureHeld
		}, op.Validate),
	},
	{
		ID: "M46", Slug: "validate-after-release",
		Section: "contract",
		Title:   "the last token stays valid after the release",
		Doc:     "Contract, section 4, NoStaleWrite: after a release no write of the tenure is accepted.",
		Breaks:  rules(conformance.NoStaleWrite, "Validate.not-held"),
		bends:   judging(func(a *attempt) { a.Record.Holder = registry.NodeRef{ID: "anybody", Epoch: 1} }, op.Validate),
	},
	{
		ID: "M47", Slug: "validate-any-higher",
		Section: "contract",
		Title:   "a token that is higher than the record's is valid",
		Doc:     "The rule of a fenced storage server, which has not heard of the newer grant yet, applied in the registry, which makes the grants.",
		Breaks:  rules("Validate.not-held"),
		bends:   judging(func(a *attempt) { a.Token = min(a.Token, max(a.Record.Token, 1)) }, op.Validate),
	},
}

// backFromRelease takes a released tenure for one that is held, and live.
func backFromRelease(a *attempt) {
	if !a.Record.Held() && a.Record.Token == a.Token {
		a.Record.Holder = a.Node
		a.Record.Expiry = max(a.Record.Expiry, a.now)
	}
}

func releaseAndClaim(r *request) op.Result {
	a, d, err := r.decide()
	switch {
	case err != nil:
		return op.Failed(err)
	case d != reference.Decision{}:
		return a.answer(d)
	}
	if released := r.other(op.OnLease(op.Release, a.Lease())); released.Err != nil {
		return released
	}
	return r.other(op.Call{Kind: op.Claim, Actor: a.Actor, Node: a.To, ClaimID: registry.NewClaimID()})
}

// emptyHanded takes the holder out in the critical section that decides.
func emptyHanded(r *request) op.Result {
	if err := r.begin(); err != nil {
		return op.Failed(err)
	}
	r.now = r.clock.Now()
	a := r.attempt()
	d := r.law.decide(a)
	if d == (reference.Decision{}) {
		out := a.Record
		out.Holder = registry.NodeRef{}
		r.put(out)
	}
	r.mu.Unlock()
	if d == (reference.Decision{}) {
		a.View = r.law.effect(a)
		r.overwrite(encode(a.Record))
	}
	return a.answer(d)
}
