package broken

import (
	"cmp"
	"encoding/json"
	"runtime"
	"slices"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// All returns every variant: the failure catalogue first, then the mistakes
// known from other systems.
func All() []Variant {
	all := slices.Concat(catalogue, claims, tenures, lifetimes, answers, membership, listings, troubles, handleMistakes, extremes, instances, habits, leftovers, forgetters, copies, seconds, rare, pairs, outsiders)
	slices.SortFunc(all, func(a, b Variant) int { // F2 before F10 before M1
		return cmp.Or(cmp.Compare(a.ID[0], b.ID[0]), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	return all
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
		bends:   outside(unversioned, op.Claim),
	},
	{
		ID: "F2", Slug: "check-then-act",
		Section: "concurrent",
		Title:   "the lock is let go between check and write",
		Doc:     "Failure catalogue F2: the record is checked in one critical section and written in the next, on top of whatever is there by then.",
		Breaks:  append(rules("Claim.repeated", "Claim.held"), interleaved...),
		bends:   outside(checkThenAct, op.Claim),
	},
	{
		ID: "F3", Slug: "expiry-checked-outside",
		Section: "concurrent",
		Title:   "the expiry is read before the transaction that claims",
		Doc:     "Failure catalogue F3: the transaction makes sure that the tenure is still the one that was read, but a renewal does not change the tenure.",
		Breaks:  append(rules("Claim.held"), interleaved...),
		bends:   outside(expiryReadBefore, op.Claim),
	},
	{
		ID: "F4", Slug: "generation-never-compared",
		Section: "concurrent",
		Title:   "a generation is stored with every record and never compared",
		Doc:     "Failure catalogue F4: renewals and releases write back what they read plus one. The later write wins, and a renewal brings a released tenure back to life.",
		Breaks:  append(rules("Release.granted"), interleaved...),
		bends:   outside(unversioned, op.Renew, op.Release),
	},
	{
		ID: "F5", Slug: "parallel-lease-manager",
		Section: "contract",
		Title:   "leases live in a manager of their own, which claims never ask",
		Doc:     "Failure catalogue F5: renewals move the deadline in the lease manager, the placement keeps the one of the grant. A renewed actor is claimed by somebody else.",
		Breaks:  rules(conformance.SingleActivation, conformance.Linearizability, conformance.RawLookup, "Renew.granted", "Claim.held"),
		bends:   parallelLeaseManager,
	},
	{
		ID: "F6", Slug: "tokens-not-compared",
		Section: "fencing",
		Title:   "tokens are handed out and never looked at",
		Doc:     "Failure catalogue F6: whoever holds the actor by name may write, in whichever tenure. The pause of a zombie outlasts its tenure, and its write is accepted.",
		Breaks:  rules(conformance.NoStaleWrite, "Validate.fenced", "Validate.not-held", "Renew.fenced", "Renew.not-held", "Release.fenced", "Release.not-held", "Transfer.fenced", "Transfer.not-held"),
		bends:   judging(theTokenOfTheRecord, op.Validate, op.Renew, op.Release, op.Transfer),
	},
	{
		ID: "F7", Slug: "release-deletes",
		Section: "contract",
		Title:   "a release deletes the record",
		Doc:     "Failure catalogue F7: token and version start again at 1, so that a late message of the earlier tenure cannot be told from one of the new.",
		Breaks:  rules(conformance.TokenMonotonic, conformance.VersionBump, conformance.NoStaleWrite, conformance.RawLookup, "Release.granted"),
		bends:   inside(deletingRelease, op.Release),
	},
	{
		ID: "F8", Slug: "no-grace",
		Section: "contract",
		Title:   "an actor is claimed at expiry, without grace",
		Doc:     "Failure catalogue F8: the holder may renew during grace, and somebody else may claim.",
		Breaks:  rules(conformance.GraceRespected, "Claim.held"),
		bends:   judging(func(a *attempt) { a.cfg.Grace = 0 }, op.Claim),
	},
	{
		ID: "F9", Slug: "skew-ignored",
		Section: "contract",
		Title:   "clocks are taken to agree: no margin before a reclaim",
		Doc:     "Failure catalogue F9. The lock of the FoundationDB operator for Kubernetes compared wall clocks of different machines (fdb-kubernetes-operator, 241).",
		Breaks:  rules(conformance.SingleActivation, conformance.GraceRespected, "Claim.held"),
		bends:   judging(func(a *attempt) { a.cfg.MaxClockSkew = 0 }, op.Claim),
	},
	{
		ID: "F11", Slug: "volatile",
		Section: "durable",
		Title:   "everything is forgotten at a restart",
		Doc:     "Failure catalogue F11: the backend can restart and says so, but the records were only in memory. Tokens and epochs start again at 1.",
		Breaks:  rules(conformance.Durability, conformance.TokenMonotonic, conformance.EpochFresh),
		bends:   losing(func(c *cluster) { c.state = newState(c.key) }),
	},
	{
		ID: "F12", Slug: "stale-cache",
		Section: "contract",
		Title:   "lookups are answered from a cache while the lease is live",
		Doc:     "Failure catalogue F12: a lease that is live cannot change hands, it was thought. It can be renewed, released and transferred.",
		Breaks:  rules(conformance.Linearizability, conformance.RawLookup),
		bends:   staleCache,
	},
	{
		ID: "F14", Slug: "stubs",
		Section: "contract",
		Title:   "methods that nobody has called yet do nothing and succeed",
		Doc:     "Failure catalogue F14: Validate and MarkFailed return nil, Transfer a zero lease, the listings no rows.",
		Breaks:  rules("Transfer.granted", "Validate.fenced", "Validate.not-held", "MarkFailed.granted", "MarkFailed.alive", "MarkFailed.node-unknown", "ListActors.answered", "ListNodes.answered", conformance.NoStaleWrite, conformance.PagedListing),
		bends:   outside(func(*request) op.Result { return op.Failed(nil) }, op.Transfer, op.Validate, op.MarkFailed, op.ListActors, op.ListNodes),
	},
	{
		ID: "F15", Slug: "suspicion-takes-away",
		Section: "membership",
		Title:   "the failure detector clears the placements of a node that it suspects",
		Doc:     "Failure catalogue F15: the node may only have paused. It serves on, and somebody else claims.",
		Breaks:  rules(conformance.SingleActivation, conformance.NoSuspicion, "MarkFailed.granted"),
		bends:   inside(freeingTheNode, op.MarkFailed),
	},
	{
		ID: "F16", Slug: "blind-retry",
		Section: "faults",
		Title:   "an ambiguous commit is tried again as if nothing had happened",
		Doc:     "Failure catalogue F16: the operation's own earlier commit is met as somebody else's, or applied a second time.",
		Breaks:  append(rules(conformance.RefusalTruthful), untold...),
		bends:   outside(blindRetry, op.Claim, op.Renew, op.Transfer),
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

// theTokenOfTheRecord takes any token for the current one.
func theTokenOfTheRecord(a *attempt) { a.Token = a.Record.Token }

// read is a critical section of its own.
func (r *request) read() (registry.Placement, registry.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record(r.call.Actor), r.nodes[r.call.Party()]
}

// overwrite is a critical section of its own.
func (r *request) overwrite(p registry.Placement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(p)
}

// decide reads and decides in one critical section, and leaves the writing to
// another.
func (r *request) decide() (a attempt, d reference.Decision, err error) {
	if err = r.begin(); err != nil {
		return a, d, err
	}
	defer r.mu.Unlock()
	r.now = r.clock.Now()
	a = r.attempt()
	return a, r.law.decide(a), nil
}

// unversioned writes what became of the record that it read, on top of whatever
// is there by then.
func unversioned(r *request) op.Result {
	a, d, err := r.decide()
	switch {
	case err != nil:
		return op.Failed(err)
	case d != reference.Decision{}:
		return a.answer(d)
	}
	r.at("decided")
	a.View = r.law.effect(a)
	r.overwrite(encode(a.Record))
	return a.answer(d)
}

// checkThenAct applies what it decided to whatever is there by then.
func checkThenAct(r *request) op.Result {
	a, d, err := r.decide()
	switch {
	case err != nil:
		return op.Failed(err)
	case d != reference.Decision{}:
		return a.answer(d)
	}
	encode(a.Record) // for the audit log
	r.at("decided")
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.decided(r.attempt(), d)
}

// expiryReadBefore judges the expiry that it read in a critical section before,
// as long as the tenure is the same.
func expiryReadBefore(r *request) op.Result {
	if err := r.begin(); err != nil {
		return op.Failed(err)
	}
	seen := r.record(r.call.Actor)
	r.mu.Unlock()
	seen = encode(seen)
	r.at("expiry read")
	r.now = r.clock.Now()

	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.attempt()
	believed := a
	if seen.Token == a.Record.Token && seen.Holder == a.Record.Holder {
		believed.Record = seen
	}
	if r.law.repeats(a) {
		return a.answer(reference.Decision{Repeats: true})
	}
	return r.decided(a, reference.Decision{Guard: r.law.guard(believed)})
}

// parallelLeaseManager is a second path to the same truth.
func parallelLeaseManager(c *cluster) {
	deadlines := map[registry.ActorID]registry.Instant{}
	inside(func(r *request) op.Result {
		a := r.attempt()
		placed := a.Record.Expiry
		a.Record.Expiry = max(placed, deadlines[a.Actor])
		if g := r.law.guard(a); g != reference.Enabled {
			return a.answer(reference.Decision{Guard: g})
		}
		a.View = r.law.effect(a)
		deadlines[a.Actor] = a.Record.Expiry
		placement := a.Record
		placement.Expiry = placed
		r.put(placement)
		return a.answer(reference.Decision{})
	}, op.Renew)(c)
}

func deletingRelease(r *request) op.Result {
	a := r.attempt()
	g := r.law.guard(a)
	if g == reference.Enabled {
		r.put(r.law.effect(a).Record) // takes it off the index
		delete(r.records, r.key(a.Actor))
	}
	return a.answer(reference.Decision{Guard: g})
}

// staleCache is a cache in each handle.
func staleCache(c *cluster) {
	type entry struct {
		in    *handle
		actor registry.ActorID
	}
	var cache sync.Map // of op.Result, by entry
	outside(func(r *request) op.Result {
		at := entry{r.handle, r.call.Actor}
		if hit, found := cache.Load(at); found && r.clock.Now() < hit.(op.Result).Record.Expiry {
			return hit.(op.Result)
		}
		answer := r.serve()
		if answer.Found {
			cache.Store(at, answer)
		}
		return answer
	}, op.Lookup)(c)
}

// freeingTheNode takes the node's actors away when the operation succeeds.
func freeingTheNode(r *request) op.Result {
	answer := r.step()
	if answer.Outcome == op.OK {
		r.free(r.call.Node)
	}
	return answer
}

// blindRetry hides ambiguity from its callers. A claim gets a new identity for
// each attempt, as a middleware would make one that knows requests, not claims.
func blindRetry(r *request) op.Result {
	answer := r.serve()
	for n := 0; answer.Outcome.Ambiguous() && n < 5; n++ {
		if r.call.Kind == op.Claim {
			r.call.ClaimID = registry.NewClaimID()
		}
		answer = r.serve()
	}
	return answer
}

// alike returns variants that have in common what of says and they do not.
func alike(of Variant, each ...Variant) []Variant {
	for i := range each {
		v := &each[i]
		v.Section, v.Case = cmp.Or(v.Section, of.Section), cmp.Or(v.Case, of.Case)
		v.Doc, v.Level = cmp.Or(v.Doc, of.Doc), cmp.Or(v.Level, of.Level)
		if v.Breaks == nil {
			v.Breaks = of.Breaks
		}
	}
	return each
}
