package broken

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/reference"
)

// All returns every variant: the failure catalogue first, then the mistakes
// known from other systems.
func All() []Variant {
	return slices.Concat(catalogue, claims, tenures, lifetimes, answers, membership, listings, troubles)
}

// Find returns the variant with that ID or slug.
func Find(name string) (Variant, bool) {
	all := All()
	i := slices.IndexFunc(all, func(v Variant) bool { return v.ID == name || v.Slug == name })
	if i < 0 {
		return Variant{}, false
	}
	return all[i], true
}

// The contract's failure catalogue, but for F10 and F13.
var catalogue = []Variant{
	{
		ID: "F1", Slug: "claim-without-version-check",
		Section: "concurrent",
		Title:   "two claims that read version 1 both write version 2",
		Doc:     "Failure catalogue F1: read, decide and write without comparing the version that was read. Two claimers get the same token.",
		Breaks:  interleaved,
		flaw:    flaw{methods: each(func(h *handle) unversionedClaim { return unversionedClaim{h} })},
	},
	{
		ID: "F2", Slug: "check-then-act",
		Section: "concurrent",
		Title:   "the lock is let go between check and write",
		Doc:     "Failure catalogue F2: the record is checked in one critical section and written in the next, on top of whatever is there by then.",
		Breaks:  interleaved,
		flaw:    flaw{methods: each(func(h *handle) twoSections { return twoSections{h} })},
	},
	{
		ID: "F3", Slug: "expiry-checked-outside",
		Section: "concurrent",
		Title:   "the expiry is read before the transaction that claims",
		Doc:     "Failure catalogue F3: the transaction makes sure that the tenure is still the one that was read, but a renewal does not change the tenure.",
		Breaks:  interleaved,
		flaw:    flaw{methods: each(func(h *handle) expiryOutside { return expiryOutside{h} })},
	},
	{
		ID: "F4", Slug: "generation-never-compared",
		Section: "concurrent",
		Title:   "a generation is stored with every record and never compared",
		Doc:     "Failure catalogue F4: renewals and releases write back what they read plus one. The later write wins, and a renewal brings a released tenure back to life.",
		Breaks:  interleaved,
		flaw:    flaw{methods: each(func(h *handle) lastWriteWins { return lastWriteWins{h} })},
	},
	{
		ID: "F5", Slug: "parallel-lease-manager",
		Section: "contract",
		Title:   "leases live in a manager of their own, which claims never ask",
		Doc:     "Failure catalogue F5: renewals move the deadline in the lease manager, the placement keeps the one of the grant. A renewed actor is claimed by somebody else.",
		Breaks:  rules(conformance.SingleActivation, conformance.Linearizability, conformance.RawLookup, "Renew.granted", "Claim.held"),
		flaw: flaw{methods: func(*store) opener {
			leases := &leaseManager{deadlines: map[registry.ActorID]registry.Instant{}}
			return func(h *handle) registry.Handle { return managed{h, leases} }
		}},
	},
	{
		ID: "F6", Slug: "tokens-not-compared",
		Section: "fencing",
		Title:   "tokens are handed out and never looked at",
		Doc:     "Failure catalogue F6: whoever holds the actor by name may write, in whichever tenure. The pause of a zombie outlasts its tenure, and its write is accepted.",
		Breaks:  rules(conformance.NoStaleWrite, "Validate.fenced", "Validate.not-held", "Renew.fenced", "Renew.not-held", "Release.fenced", "Release.not-held", "Transfer.fenced", "Transfer.not-held"),
		flaw: flaw{decide: func(do *actions) {
			do.validateGuard = func(r registry.Placement, _ registry.Token) reference.Guard {
				return reference.ValidateGuard(r, r.Token)
			}
			do.renewGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, _ registry.Token, c registry.Instant) reference.Guard {
				return reference.RenewGuard(cfg, r, holder, r.Token, c)
			}
			do.releaseGuard = func(r registry.Placement, holder registry.NodeRef, _ registry.Token) reference.Guard {
				return reference.ReleaseGuard(r, holder, r.Token)
			}
			do.transferGuard = func(cfg registry.Config, r registry.Placement, holder registry.NodeRef, _ registry.Token, to registry.Standing, c registry.Instant) reference.Guard {
				return reference.TransferGuard(cfg, r, holder, r.Token, to, c)
			}
		}},
	},
	{
		ID: "F7", Slug: "release-deletes",
		Section: "contract",
		Title:   "a release deletes the record",
		Doc:     "Failure catalogue F7: token and version start again at 1, so that a late message of the earlier tenure cannot be told from one of the new.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.VersionBump, conformance.NoStaleWrite, conformance.RawLookup, "Release.granted"),
		flaw:    flaw{methods: each(func(h *handle) deleting { return deleting{h} })},
	},
	{
		ID: "F8", Slug: "no-grace",
		Section: "contract",
		Title:   "an actor is claimed at expiry, without grace",
		Doc:     "Failure catalogue F8: the holder may renew during grace, and somebody else may claim.",
		Breaks:  rules(conformance.GraceRespected, "Claim.held"),
		flaw: flaw{decide: func(do *actions) {
			do.claimGuard = func(cfg registry.Config, r registry.Placement, n registry.Standing, c registry.Instant) reference.Guard {
				cfg.Grace = 0
				return reference.ClaimGuard(cfg, r, n, c)
			}
		}},
	},
	{
		ID: "F9", Slug: "skew-ignored",
		Section: "contract",
		Title:   "clocks are taken to agree: no margin before a reclaim",
		Doc:     "Failure catalogue F9. The lock of the FoundationDB operator for Kubernetes compared wall clocks of different machines (fdb-kubernetes-operator, 241).",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held"),
		flaw: flaw{decide: func(do *actions) {
			do.claimGuard = func(cfg registry.Config, r registry.Placement, n registry.Standing, c registry.Instant) reference.Guard {
				cfg.MaxClockSkew = 0
				return reference.ClaimGuard(cfg, r, n, c)
			}
		}},
	},
	{
		ID: "F11", Slug: "volatile",
		Section: "durable",
		Title:   "everything is forgotten at a restart",
		Doc:     "Failure catalogue F11: the backend can restart and says so, but the records were only in memory. Tokens and epochs start again at 1.",
		Breaks:  rules(conformance.Durability, conformance.TokenMonotonic, conformance.EpochFresh),
		flaw:    flaw{methods: atCrash((*store).forget)},
	},
	{
		ID: "F12", Slug: "stale-cache",
		Section: "contract",
		Title:   "lookups are answered from a cache while the lease is live",
		Doc:     "Failure catalogue F12: a lease that is live cannot change hands, it was thought. It can be renewed, released and transferred.",
		Breaks:  rules(conformance.Linearizability, conformance.RawLookup),
		flaw: flaw{methods: each(func(h *handle) caching {
			return caching{h, new(sync.Mutex), map[registry.ActorID]registry.Placement{}}
		})},
	},
	{
		ID: "F14", Slug: "stubs",
		Section: "contract",
		Title:   "methods that nobody has called yet do nothing and succeed",
		Doc:     "Failure catalogue F14: Validate and MarkFailed return nil, Transfer a zero lease, the listings no rows.",
		Breaks:  rules("Transfer.granted", "Validate.fenced", "Validate.not-held", "MarkFailed.granted", "MarkFailed.alive", "MarkFailed.node-unknown", "ListActors.answered", "ListNodes.answered", conformance.NoStaleWrite, conformance.PagedListing),
		flaw:    flaw{methods: each(func(h *handle) stubs { return stubs{h} })},
	},
	{
		ID: "F15", Slug: "suspicion-takes-away",
		Section: "membership",
		Title:   "the failure detector clears the placements of a node that it suspects",
		Doc:     "Failure catalogue F15: the node may only have paused. It serves on, and somebody else claims.",
		Breaks:  rules(conformance.SingleActivation, conformance.NoSuspicion, "MarkFailed.granted"),
		flaw:    flaw{methods: each(func(h *handle) evicting { return evicting{h} })},
	},
	{
		ID: "F16", Slug: "blind-retry",
		Section: "faults",
		Title:   "an ambiguous commit is tried again as if nothing had happened",
		Doc:     "Failure catalogue F16: the operation's own earlier commit is met as somebody else's, or applied a second time.",
		Breaks:  append(rules(conformance.RefusalTruthful), untold...),
		flaw:    flaw{methods: each(func(h *handle) blindRetry { return blindRetry{h} })},
	},
}

// interleaved are the guarantees that operations break whose steps mix. Which of
// them is seen broken first depends on who came in between.
var interleaved = rules(conformance.SingleActivation, conformance.GraceRespected, conformance.TokenMonotonic,
	conformance.NoStaleWrite, conformance.VersionBump, conformance.Linearizability)

// untold are the guarantees that are seen broken when something happened, or
// did not, and the caller was told otherwise.
var untold = rules(conformance.AmbiguousTruth, conformance.SingleActivation, conformance.GraceRespected,
	conformance.TokenMonotonic, conformance.NoStaleWrite, conformance.VersionBump, conformance.Linearizability)

func rules(ids ...conformance.RuleID) []conformance.RuleID { return ids }

// encode brings a record into the form in which it is stored: the work that
// lies between a read and a write in a registry that has forgotten about others.
func encode(r registry.Placement) registry.Placement {
	form, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(form, &r)
	}
	if err != nil {
		panic(err) // a Placement is plain data
	}
	runtime.Gosched() // a store that is not in this process is at least this far away
	return r
}

// read is a critical section of its own.
func (h *handle) read(actor registry.ActorID, node registry.NodeID) (registry.Placement, registry.Node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.record(actor), h.nodes[node]
}

// write is a critical section of its own.
func (h *handle) write(r registry.Placement) registry.Lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.put(r)
}

// decideClaim reads and decides in one critical section, and leaves the writing
// to another. The record to write is the one found when the claim is a repetition.
func (h *handle) decideClaim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (found, next registry.Placement, c registry.Instant, err error) {
	if err = h.begin(ctx, actor, node, id); err != nil {
		return found, next, c, err
	}
	defer h.mu.Unlock()
	r, n := h.record(actor), h.nodes[node.ID]
	c = h.clock.Now()
	if h.do.claimRepeats(h.cfg, r, node, id, c) {
		return r, r, c, nil
	}
	if g := h.do.claimGuard(h.cfg, r, h.do.standing(n, node), c); g != reference.Enabled {
		return found, next, c, refuse(g, r, n, c)
	}
	return r, h.do.claimEffect(h.cfg, r, node, id, c), c, nil
}

type unversionedClaim struct{ *handle }

func (h unversionedClaim) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	found, next, _, err := h.decideClaim(ctx, actor, node, id)
	if err != nil || next == found {
		return next.Lease(), err
	}
	h.at("decided")
	return h.write(encode(next)), nil
}

type twoSections struct{ *handle }

func (h twoSections) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	found, next, c, err := h.decideClaim(ctx, actor, node, id)
	if err != nil || next == found {
		return next.Lease(), err
	}
	encode(next) // for the audit log
	h.at("decided")
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.put(h.do.claimEffect(h.cfg, h.record(actor), node, id, c)), nil
}

type expiryOutside struct{ *handle }

func (h expiryOutside) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	if err := h.begin(ctx, actor, node, id); err != nil {
		return registry.Lease{}, err
	}
	seen := h.record(actor)
	h.mu.Unlock()
	seen = encode(seen)
	h.at("expiry read")
	c := h.clock.Now()

	h.mu.Lock()
	defer h.mu.Unlock()
	r, n := h.record(actor), h.nodes[node.ID]
	if h.do.claimRepeats(h.cfg, r, node, id, c) {
		return r.Lease(), nil
	}
	if seen.Token != r.Token || seen.Holder != r.Holder {
		seen = r // another tenure by now: look again
	}
	if g := h.do.claimGuard(h.cfg, seen, h.do.standing(n, node), c); g != reference.Enabled {
		return registry.Lease{}, refuse(g, r, n, c)
	}
	return h.put(h.do.claimEffect(h.cfg, r, node, id, c)), nil
}

type lastWriteWins struct{ *handle }

func (h lastWriteWins) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	if err := h.begin(ctx, held); err != nil {
		return registry.Lease{}, err
	}
	r, c := h.record(held.Actor), h.clock.Now()
	h.mu.Unlock()
	if g := h.do.renewGuard(h.cfg, r, held.Holder, held.Token, c); g != reference.Enabled {
		return registry.Lease{}, refuse(g, r, registry.Node{}, c)
	}
	return h.write(encode(h.do.renewEffect(h.cfg, r, c))), nil
}

func (h lastWriteWins) Release(ctx context.Context, held registry.Lease) error {
	if err := h.begin(ctx, held); err != nil {
		return err
	}
	r := h.record(held.Actor)
	h.mu.Unlock()
	if h.do.releaseRepeats(r, held.Token) {
		return nil
	}
	if g := h.do.releaseGuard(r, held.Holder, held.Token); g != reference.Enabled {
		return refuse(g, r, registry.Node{}, 0)
	}
	h.write(encode(h.do.releaseEffect(r)))
	return nil
}

// leaseManager is the second path to the same truth. It is guarded by the store's mutex.
type leaseManager struct {
	deadlines map[registry.ActorID]registry.Instant
}

type managed struct {
	*handle
	leases *leaseManager
}

func (h managed) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	if err := h.begin(ctx, held); err != nil {
		return registry.Lease{}, err
	}
	defer h.mu.Unlock()
	r, c := h.record(held.Actor), h.clock.Now()
	placed := r.Expiry
	r.Expiry = max(r.Expiry, h.leases.deadlines[held.Actor])
	if g := h.do.renewGuard(h.cfg, r, held.Holder, held.Token, c); g != reference.Enabled {
		return registry.Lease{}, refuse(g, r, registry.Node{}, c)
	}
	renewed := h.do.renewEffect(h.cfg, r, c)
	h.leases.deadlines[held.Actor] = renewed.Expiry
	placement := renewed
	placement.Expiry = placed
	h.put(placement)
	return renewed.Lease(), nil
}

type deleting struct{ *handle }

func (h deleting) Release(ctx context.Context, held registry.Lease) error {
	return h.mutate(ctx, []argument{held}, func(c registry.Instant) error {
		r := h.record(held.Actor)
		if g := h.do.releaseGuard(r, held.Holder, held.Token); g != reference.Enabled {
			return refuse(g, r, registry.Node{}, c)
		}
		h.put(h.do.releaseEffect(r)) // takes it off the index
		delete(h.records, h.do.key(held.Actor))
		return nil
	})
}

type caching struct {
	*handle
	cacheMu *sync.Mutex
	cache   map[registry.ActorID]registry.Placement
}

func (h caching) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	h.cacheMu.Lock()
	defer h.cacheMu.Unlock()
	if p, hit := h.cache[actor]; hit && h.clock.Now() < p.Expiry {
		return p, true, nil
	}
	p, found, err := h.handle.Lookup(ctx, actor)
	if found {
		h.cache[actor] = p
	}
	return p, found, err
}

type stubs struct{ *handle }

func (stubs) Transfer(context.Context, registry.Lease, registry.NodeRef) (registry.Lease, error) {
	return registry.Lease{}, nil
}

func (stubs) Validate(context.Context, registry.ActorID, registry.Token) error { return nil }

func (stubs) MarkFailed(context.Context, registry.NodeRef) error { return nil }

func (stubs) ListActors(context.Context, registry.NodeRef, registry.Page) ([]registry.Placement, registry.Cursor, error) {
	return nil, "", nil
}

func (stubs) ListNodes(context.Context, registry.NodeStatus, registry.Page) ([]registry.Node, registry.Cursor, error) {
	return nil, "", nil
}

type evicting struct{ *handle }

func (h evicting) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	return h.mutate(ctx, []argument{node}, func(c registry.Instant) error {
		if err := h.markFailed(node, c); err != nil {
			return err
		}
		h.free(node)
		return nil
	})
}

// blindRetry hides ambiguity from its callers. A claim gets a new identity for
// each attempt, as a middleware would make one that knows requests, not claims.
type blindRetry struct{ *handle }

const retries = 5

func again(err error) bool { return errors.Is(err, registry.ErrAmbiguous) }

func (h blindRetry) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	l, err := h.handle.Claim(ctx, actor, node, id)
	for n := 0; again(err) && n < retries; n++ {
		l, err = h.handle.Claim(ctx, actor, node, registry.NewClaimID())
	}
	return l, err
}

func (h blindRetry) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	l, err := h.handle.Renew(ctx, held)
	for n := 0; again(err) && n < retries; n++ {
		l, err = h.handle.Renew(ctx, held)
	}
	return l, err
}

func (h blindRetry) Transfer(ctx context.Context, held registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	l, err := h.handle.Transfer(ctx, held, to)
	for n := 0; again(err) && n < retries; n++ {
		l, err = h.handle.Transfer(ctx, held, to)
	}
	return l, err
}
