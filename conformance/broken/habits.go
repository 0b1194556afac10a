package broken

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Mistakes that come of a habit which is right elsewhere: to reserve, to cache, to
// clean up, to compare in short. The suite was not written with them in mind.
var habits = []Variant{
	{
		ID: "M209", Slug: "claim-ids-by-their-half",
		Section: "contract", Case: "claim-repeats",
		Title:  "claim ids are compared by their first eight bytes",
		Doc:    "A column of 64 bits for an identifier of 128. Two attempts of a client that counts in the last bytes are one.",
		Breaks: rules("Claim.held", "Claim.repeated"),
		bends: repeating(func(a attempt) bool {
			id := a.Record.ClaimID
			if copy(id[8:], a.Call.ClaimID[8:]); id != a.Call.ClaimID {
				return specified.repeats(a)
			}
			a.Record.ClaimID = a.Call.ClaimID
			return specified.repeats(a)
		}, op.Claim),
	},
	{
		ID: "M210", Slug: "members-cached",
		Section: "random",
		Title:   "each handle believes for ever that a node is active which it has seen to be so",
		Doc:     "A cache of members that only additions go to. A failed node claims on through the handle that knew it.",
		Breaks:  anyOperation,
		bends:   membersCached,
	},
	{
		ID: "M211", Slug: "transfer-leaves-the-index",
		Section: "contract",
		Title:   "a transfer leaves the actor in the giver's listing",
		Doc:     "Two writes for one change: the record, and the index of the holder, which the transfer forgets.",
		Breaks:  rules("ListActors.answered", conformance.PagedListing),
		bends: inside(func(r *request) op.Result {
			giver := r.record(r.call.Actor).Holder
			answer := r.step()
			if answer.Err == nil && giver != r.call.To {
				r.list(giver, r.key(r.call.Actor))
			}
			return answer
		}, op.Transfer),
	},
	{
		ID: "M212", Slug: "compaction-loses-one",
		Section: "durable", Case: "many-writes",
		Title:  "the snapshot of every 64th write lacks that write",
		Doc:    "The log is cut at the number of the write that the snapshot was taken before.",
		Breaks: rules(conformance.Durability, conformance.TokenMonotonic, conformance.VersionBump, conformance.SingleActivation),
		bends:  compactionLosesOne,
	},
	{
		ID: "M213", Slug: "stranger-fences",
		Section: "contract",
		Title:   "a validation of a token that was never granted raises the record's",
		Doc:     "A resource's fence, which remembers the highest token that it has seen, written into the registry itself.",
		Breaks:  anyOperation,
		bends: inside(func(r *request) op.Result {
			answer := r.step()
			if rec := r.record(r.call.Actor); rec.Held() && r.call.Token > rec.Token {
				rec.Token = r.call.Token
				r.put(rec)
			}
			return answer
		}, op.Validate),
	},
	{
		ID: "M272", Slug: "no-renewal-across-two-registrations",
		Section: "extremes", Case: "epochs",
		Title:  "a node that has registered twice since its claim cannot renew",
		Doc:    "The registration is kept beside the one before it. A tenure ends when it lapses or is taken, not because its holder's node began anew.",
		Breaks: rules("Renew.granted"),
		bends: inside(func(r *request) op.Result {
			a := r.attempt()
			d := r.law.decide(a)
			if d == (reference.Decision{}) && r.nodes[a.Call.Node.ID].Ref.Epoch > a.Call.Node.Epoch+1 {
				d = reference.Decision{Guard: reference.NotLapsed}
			}
			return r.decided(a, d)
		}, op.Renew),
	},
	{
		ID: "M273", Slug: "a-hundred-nodes",
		Section: "extremes", Case: "many-nodes",
		Title:  "a newcomer beyond the hundredth node takes the place of one that has left or failed",
		Doc:    "A table of fixed size for what grows with every name ever used. Whoever comes back under a name that was dropped has epoch 1 again.",
		Breaks: rules("GetNode.answered", "ListNodes.answered", "Claim.node-failed", "Claim.node-unknown", conformance.EpochFresh, conformance.PagedListing),
		bends: inside(func(r *request) op.Result {
			answer := r.step()
			gone := slices.Sorted(maps.Keys(r.nodes))
			gone = slices.DeleteFunc(gone, func(id registry.NodeID) bool { return r.nodes[id].Status == registry.NodeActive })
			if len(r.nodes) > 100 && len(gone) > 0 {
				delete(r.nodes, gone[0])
			}
			return answer
		}, op.RegisterNode),
	},
	{
		ID: "M274", Slug: "transfers-counted",
		Section: "contexts", Case: "one-call",
		Title:  "a transfer whose context ends on its way keeps its place among those that may be under way",
		Doc:    "A semaphore that is not left where the caller is gone. After as many such calls as it has places nobody hands over any more.",
		Breaks: rules(conformance.CallsReturn),
		bends:  transfersCounted,
	},
	{
		ID: "M275", Slug: "validations-joined",
		Section: "contexts", Case: "joined",
		Title:  "validations of one actor at the same time are answered as the first of them",
		Doc:    "Calls under way are joined by a key that lacks the token. A stale token is good while a current one is being checked.",
		Breaks: rules(conformance.NoStaleWrite, conformance.ContextOwn, conformance.Linearizability, "Validate.granted", "Validate.fenced", "Validate.not-held"),
		bends:  joined(func(c op.Call) string { return fmt.Sprint(c.Actor) }, op.Validate),
	},
	{
		ID: "M214", Slug: "heartbeat-renews",
		Section: "membership",
		Title:   "a heartbeat renews all leases of the node",
		Doc:     "One message instead of many. Versions move that nobody has asked for, and a lease that its holder let go by lives on.",
		Breaks:  anyOperation,
		bends: inside(func(r *request) op.Result {
			answer := r.step()
			if answer.Err == nil {
				for key := range r.held[r.call.Node] {
					rec := r.records[key]
					rec.Expiry = max(rec.Expiry, r.now.Add(r.cfg.TTL))
					r.records[key] = rec
				}
			}
			return answer
		}, op.Heartbeat),
	},
	{
		ID: "M215", Slug: "prefix-search",
		Section: "extremes", Case: "epochs",
		Level:  conformance.Default,
		Title:  "the listing of a node has the actors of all incarnations of the name",
		Doc:    "A search by prefix: n1# where n1#1 was meant.",
		Breaks: rules("ListActors.answered", conformance.PagedListing),
		bends: inside(func(r *request) op.Result {
			var keys []string
			for key, rec := range r.records {
				if rec.Held() && strings.HasPrefix(rec.Holder.String(), r.call.Node.String()) {
					keys = append(keys, key)
				}
			}
			page, next := cut(keys, r.call.Page)
			return op.Result{Outcome: op.OK, Actors: r.rows(page), Next: next}
		}, op.ListActors),
	},
	{
		ID: "M216", Slug: "lapsed-hidden-from-listing",
		Section: "contract",
		Title:   "a listing leaves out actors whose lease is reclaimable by the handle's clock",
		Doc:     "Contract, section 3, 11: what is read is raw, never filtered by a clock.",
		Breaks:  rules("ListActors.answered", conformance.PagedListing),
		bends: answering(func(r *request, answer *op.Result) {
			now := r.clock.Now()
			answer.Actors = slices.DeleteFunc(answer.Actors, func(p registry.Placement) bool {
				return now >= p.Expiry.Add(r.cfg.Grace+2*r.cfg.MaxClockSkew)
			})
		}, op.ListActors),
	},
	{
		ID: "M217", Slug: "failed-again-by-anyone",
		Section: "membership",
		Title:   "a node that has left can be marked failed",
		Doc:     "The latest registration is looked at, and not whether it still runs. Who left in order shows as a casualty.",
		Breaks:  rules("MarkFailed.node-unknown", "MarkFailed.alive", "GetNode.answered"),
		bends: guarding(func(a attempt) reference.Guard {
			if a.Member.Status == registry.NodeLeft && a.Member.Ref == a.Call.Node {
				return reference.Enabled
			}
			return specified.guard(a)
		}, op.MarkFailed),
	},
}

// membersCached keeps in each handle what it has seen of active nodes.
func membersCached(c *cluster) {
	var mu sync.Mutex
	seen := map[*handle]map[registry.NodeRef]registry.Node{}
	c.law.guard = forKinds(func(a attempt) reference.Guard {
		mu.Lock()
		defer mu.Unlock()
		ref := *a.newcomer()
		if known, ok := seen[a.by][ref]; ok {
			a.Member = known
		} else if a.Member.Ref == ref && a.Member.Status == registry.NodeActive {
			if seen[a.by] == nil {
				seen[a.by] = map[registry.NodeRef]registry.Node{}
			}
			seen[a.by][ref] = a.Member
		}
		return specified.guard(a)
	}, c.law.guard, attempt.kind, []op.Kind{op.Claim, op.Transfer})
}

// compactionLosesOne forgets at a restart the record of the last write whose number
// is a multiple of 64, unless it was written again.
func compactionLosesOne(c *cluster) {
	writes, before := 0, registry.Placement{}
	inside(func(r *request) op.Result {
		found := r.record(r.call.Actor)
		answer := r.step()
		if after := r.record(r.call.Actor); after != found {
			if writes++; writes%64 == 0 {
				before = found
			} else if after.Actor == before.Actor {
				before = registry.Placement{}
			}
		}
		return answer
	}, op.Claim, op.Renew, op.Release, op.Transfer)(c)
	losing(func(c *cluster) {
		if before.Version > 0 {
			c.put(before)
		}
	})(c)
}

// valid reports whether the call has good arguments and a context that has not ended:
// what is none of the store's business is left to serve.
func (r *request) valid() bool { return r.check(&r.call) == nil && r.ctx.Err() == nil }

func transfersCounted(c *cluster) {
	place := make(chan struct{}, 1)
	outside(func(r *request) op.Result {
		if !r.valid() {
			return r.serve()
		}
		select {
		case place <- struct{}{}:
		case <-r.ctx.Done():
			return op.Failed(r.ctx.Err())
		}
		answer := r.serve()
		if r.ctx.Err() == nil {
			<-place
		}
		return answer
	}, op.Transfer)(c)
}
