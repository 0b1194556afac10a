package broken

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes in what is accepted and what is answered.
var answers = []Variant{
	{
		ID: "M67", Slug: "stale-replica",
		Section: "contract",
		Title:   "lookups are answered by a replica that is one write behind",
		Doc:     "Contract, section 3: a lookup is never answered from a cache. Follower reads are fast and old.",
		Breaks:  rules(conformance.RawLookup, conformance.Linearizability),
		bends:   replicaOneBehind,
	},
	{
		ID: "M68", Slug: "answer-read-afterwards",
		Section: "concurrent",
		Title:   "the lease of a renewal is read after the step that wrote it",
		Doc:     "Contract, section 3: an operation takes effect at one instant. What is read back may be the tenure of somebody else by then.",
		Breaks:  append(rules("Renew.granted"), interleaved...),
		bends: answering(func(r *request, answer *op.Result) {
			if answer.Err == nil {
				encode(answer.Record) // the request for the row as written
				answer.Record, _ = r.read()
			}
		}, op.Renew),
	},
	{
		ID: "M69", Slug: "renewal-echoes-the-lease",
		Section: "contract",
		Title:   "a renewal answers the lease that it was given, with the new expiry",
		Doc:     "Contract, section 3: the answer carries the version of the renewed record.",
		Breaks:  rules("Renew.granted", conformance.VersionBump, conformance.Linearizability),
		bends: answering(func(r *request, answer *op.Result) {
			expiry := answer.Record.Expiry
			answer.Record = registry.Placement(r.call.Lease())
			answer.Record.Expiry = expiry
		}, op.Renew),
	},
	{
		ID: "M70", Slug: "errors-as-text",
		Section: "contract",
		Title:   "refusals are passed on as text",
		Doc:     "Contract, section 3: errors match with errors.Is. A holder cannot tell that it was fenced and goes on.",
		Breaks:  rules("Renew.fenced", "Renew.not-held", "Renew.lapsed"),
		bends: answering(func(_ *request, answer *op.Result) {
			if answer.Outcome == op.Refused {
				*answer = op.Failed(errors.New("renew: " + answer.Err.Error()))
			}
		}, op.Renew),
	},
	{
		ID: "M71", Slug: "closed-handle-works",
		Section: "contract",
		Title:   "a closed handle goes on working",
		Doc:     "Contract, section 3: ErrClosed. A node that is shutting down makes claims that nobody serves.",
		Breaks:  rules(conformance.ClosedSecond),
		bends:   outside(func(*request) op.Result { return op.Failed(nil) }, op.Close),
	},
	{
		ID: "M72", Slug: "close-only-once",
		Section: "contract",
		Title:   "a second Close fails",
		Doc:     "Contract: a second Close succeeds, or a deferred one turns every clean end into an error.",
		Breaks:  rules(conformance.ClosedSecond),
		bends:   outside(closingOnce, op.Close),
	},
	{
		ID: "M73", Slug: "context-ignored",
		Section: "contract",
		Title:   "a claim whose context is done is made all the same",
		Doc:     "Contract: it fails with the context's error and nothing happens. The caller has gone and nobody will release.",
		Breaks:  rules(conformance.ContextThird),
		bends: outside(func(r *request) op.Result {
			r.ctx = context.WithoutCancel(r.ctx)
			return r.serve()
		}, op.Claim),
	},
	{
		ID: "M74", Slug: "context-after-the-write",
		Section: "contract",
		Title:   "a claim looks at its context when it has written",
		Doc:     "Contract, section 3: a context's error that is not ambiguous says that nothing happened.",
		Breaks:  rules(conformance.ContextThird, conformance.AmbiguousTruth, conformance.RefusalNothing),
		bends:   outside(contextAfterTheWrite, op.Claim),
	},
	{
		ID: "M75", Slug: "empty-names-stored",
		Section: "contract",
		Title:   "a claim does not check its arguments",
		Doc:     "Contract, section 1, limits, and section 3: ErrInvalid before anything is touched. A missing variable claims the actor with no name.",
		Breaks:  rules(conformance.NameLimits, conformance.InvalidFirst),
		bends: func(c *cluster) {
			c.check = func(call *op.Call) error {
				if call.Kind == op.Claim {
					return nil
				}
				return call.Validate()
			}
		},
	},
	{
		ID: "M76", Slug: "names-cut",
		Section: "contract",
		Title:   "names longer than 128 bytes are cut to fit the column",
		Doc:     "Contract, section 1: each part has up to 256 bytes. Two long names become one actor.",
		Breaks:  rules(conformance.NameLimits, conformance.NamesDistinct, conformance.RawLookup, "Claim.granted", "ListActors.answered", conformance.SingleActivation),
		bends: naming(func(a registry.ActorID) string {
			a.Namespace, a.Name = a.Namespace[:min(len(a.Namespace), 128)], a.Name[:min(len(a.Name), 128)]
			return distinctKey(a)
		}),
	},
	{
		ID: "M77", Slug: "names-folded",
		Section: "contract",
		Title:   "names are compared without regard to case",
		Doc:     "The default collation of many databases. Actors that differ in case share a record.",
		Breaks:  rules(conformance.NameLimits, conformance.NamesDistinct, conformance.RawLookup, "Claim.granted"),
		bends: naming(func(a registry.ActorID) string {
			return strings.ToLower(distinctKey(a))
		}),
	},
	{
		ID: "M78", Slug: "names-joined",
		Section: "contract",
		Title:   "a record's key is namespace/name",
		Doc:     `The actors "a/b","c" and "a","b/c" share a record: a separator that may be part of a name is none.`,
		Breaks:  rules(conformance.NameLimits, conformance.NamesDistinct, conformance.RawLookup, "Claim.granted"),
		bends:   naming(registry.ActorID.String),
	},
	{
		ID: "M79", Slug: "negative-page",
		Section: "contract",
		Title:   "a page with a negative limit panics",
		Doc:     "Contract, section 3: ErrInvalid. One bad request takes the process down, and every lease of the node with it.",
		Breaks:  rules(conformance.InvalidFirst, conformance.CallsReturn),
		bends:   outside(slicing, op.ListActors),
	},
	{
		ID: "M80", Slug: "refusal-keeps-the-lock",
		Section: "contract",
		Title:   "a refused transfer leaves the store locked",
		Doc:     "An early return between Lock and Unlock. The next call, whichever it is, never comes back.",
		Breaks:  rules(conformance.CallsReturn),
		bends:   outside(lockKeeping, op.Transfer),
	},
	{
		ID: "M81", Slug: "any-configuration",
		Section: "contract",
		Title:   "a handle is opened with whatever time bounds it brings",
		Doc:     "Contract, section 1: ErrConfigMismatch. Two versions of a deployment disagree on when a lease is over.",
		Breaks:  rules(conformance.ConfigMatches),
		bends:   matching(func(registry.Config, registry.Config) error { return nil }),
	},
	{
		ID: "M82", Slug: "grace-may-differ",
		Section: "contract",
		Title:   "the comparison of configurations forgets Grace",
		Doc:     "Contract, section 1: each of the four bounds belongs to the cluster. The field was added later.",
		Breaks:  rules(conformance.ConfigMatches),
		bends: matching(func(given, store registry.Config) error {
			given.Grace = store.Grace
			return given.Match(store)
		}),
	},
	{
		ID: "M123", Slug: "refusal-names-the-asked",
		Section: "contract",
		Title:   "a refusal about a node tells the incarnation that was asked for",
		Doc:     "Contract, Refusal: Node is the latest registration. The one who is told that epoch 1 is failed does not learn that epoch 2 is there, and registers a third.",
		Breaks:  rules(conformance.RefusalTruthful),
		bends: answering(func(r *request, answer *op.Result) {
			if refusal := new(registry.Refusal); errors.As(answer.Err, &refusal) && !refusal.Node.Ref.IsZero() {
				refusal.Node.Ref = r.call.Node
			}
		}, op.Claim, op.Heartbeat),
	},
	{
		ID: "M124", Slug: "refusal-time-in-milliseconds",
		Section: "contract",
		Title:   "a refusal tells its clock reading in whole milliseconds",
		Doc:     "Contract, Refusal: Now is the reading of the refused attempt. It went over a wire that counts in milliseconds, and says that the lease was live when it had lapsed.",
		Breaks:  rules(conformance.RefusalTruthful),
		bends: answering(func(_ *request, answer *op.Result) {
			if refusal := new(registry.Refusal); errors.As(answer.Err, &refusal) {
				refusal.Now -= refusal.Now % registry.Instant(time.Millisecond)
			}
		}, op.Claim),
	},
	{
		ID: "M125", Slug: "found-beside-an-error",
		Section: "contract",
		Title:   "a lookup under a context that has ended returns the record and the error",
		Doc:     "Contract, Lookup: with an error, found is false. Who looks at found first routes a call by a record that the registry did not vouch for.",
		Breaks:  rules(conformance.ErrorAlone),
		bends:   outside(foundBesideAnError, op.Lookup),
	},
}

// replicaOneBehind lags behind its primary by the last change that it was asked
// about.
func replicaOneBehind(c *cluster) {
	var mu sync.Mutex
	seen, next := map[registry.ActorID]registry.Placement{}, map[registry.ActorID]registry.Placement{}
	outside(func(r *request) op.Result {
		mu.Lock()
		defer mu.Unlock()
		answer := r.serve()
		if !answer.Found {
			return answer
		}
		actor := r.call.Actor
		if answer.Record.Version != next[actor].Version {
			seen[actor], next[actor] = next[actor], answer.Record
		}
		answer.Record = seen[actor]
		answer.Found = answer.Record.Version > 0
		return answer
	}, op.Lookup)(c)
}

func closingOnce(r *request) op.Result {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return op.Failed(registry.ErrClosed)
	}
	return r.serve()
}

func contextAfterTheWrite(r *request) op.Result {
	caller := r.ctx
	r.ctx = context.WithoutCancel(caller)
	answer := r.serve()
	if gone := caller.Err(); answer.Err == nil && gone != nil {
		return op.Failed(gone)
	}
	return answer
}

func foundBesideAnError(r *request) op.Result {
	caller := r.ctx
	r.ctx = context.WithoutCancel(caller)
	answer := r.serve()
	answer.Err = errors.Join(answer.Err, caller.Err())
	return answer
}

// slicing cuts the page out of the longest that there can be.
func slicing(r *request) op.Result {
	size := r.call.Page.Limit
	r.call.Page.Limit = registry.MaxPageLimit
	answer := r.serve()
	if size == 0 {
		size = registry.DefaultPageLimit
	}
	if answer.Err != nil || size >= len(answer.Actors) {
		return answer
	}
	answer.Actors = answer.Actors[:size]
	answer.Next = registry.Cursor(r.key(answer.Actors[size-1].Actor))
	return answer
}

// lockKeeping returns early, between Lock and Unlock.
func lockKeeping(r *request) op.Result {
	if err := r.begin(); err != nil {
		return op.Failed(err)
	}
	r.now = r.clock.Now()
	answer := r.step()
	if answer.Err != nil {
		return answer
	}
	r.mu.Unlock()
	return answer
}
