package broken

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Mistakes that show where a registry is rarely asked: for a page twice, for a
// registration again after long, by whoever was silent for hours, at the ends of ranges
// in what is not the first operation to be tried there.
var rare = slices.Concat(
	alike(
		Variant{
			Section: "contract", Case: "listing",
			Doc:    "Contract, Cursor: it stays valid across handles and changes of the store. The server has iterators, and a cursor is the number of one.",
			Breaks: rules(conformance.PagedListing),
		},
		Variant{
			ID: "M352", Slug: "cursor-used-up",
			Title: "a cursor of actors is good for one page",
			bends: iterating(op.ListActors, func(_ *request, it *iterator) bool { return it.pages > 0 }),
		},
		Variant{
			ID: "M353", Slug: "cursor-of-a-handle",
			Title: "a cursor of nodes is good for the handle that it was given to",
			bends: iterating(op.ListNodes, func(r *request, it *iterator) bool { return it.of != r.handle }),
		},
		Variant{
			ID: "M354", Slug: "cursor-ends-with-its-handle",
			Title: "a cursor is over when the handle is closed that it was given to",
			bends: both(iterating(op.ListActors, func(_ *request, it *iterator) bool { return it.of.closed }),
				iterating(op.ListNodes, func(_ *request, it *iterator) bool { return it.of.closed })),
		},
		Variant{
			ID: "M355", Slug: "first-limit-kept",
			Title: "all pages of a listing are as large as its first",
			bends: iterating(op.ListNodes, func(r *request, it *iterator) bool { r.call.Page.Limit = it.limit; return false }),
		},
	),
	alike(
		Variant{
			Doc:    "Contract, section 3, 14: as long as a registration is live it can be repeated under its instance.",
			Breaks: rules("RegisterNode.repeated", "RegisterNode.granted", conformance.EpochFresh, conformance.Durability, conformance.CloseFrees),
		},
		Variant{
			ID: "M356", Slug: "silent-process-is-another",
			Section: "membership", Case: "register-repeats",
			Title: "a process that was silent for long enough to be failed cannot repeat its registration",
			bends: repeatingFor(func(a attempt, _ registration) bool { return a.now < a.cfg.FailedAt(a.Member.LastSeen) }),
		},
		Variant{
			ID: "M357", Slug: "instances-for-an-hour",
			Section: "extremes", Case: "silence",
			Title: "instances are known for an hour",
			bends: repeatingFor(func(a attempt, first registration) bool { return a.now.Sub(first.at) <= time.Hour }),
		},
		Variant{
			ID: "M358", Slug: "a-hundred-instances",
			Section: "extremes", Case: "many-nodes",
			Title: "the last hundred instances are known",
			bends: repeatingFor(func(_ attempt, first registration) bool { return first.others <= 100 }),
		},
		Variant{
			ID: "M359", Slug: "instances-in-memory",
			Section: "durable", Case: "keeps-everything",
			Title: "instances are compared in memory, and a restart has none there",
			bends: repeatingFor(func(_ attempt, first registration) bool { return first.lives == 0 }),
		},
	),
	alike(
		Variant{
			Section: "extremes", Case: "seeded-counters",
			Doc:    "A number of 64 bits that goes through JSON, or an int, on its way: in one operation of many.",
			Breaks: rules(conformance.WatchWakes, conformance.BatchAsSingle, conformance.RefusalTruthful, conformance.SingleActivation, "MarkFailed.node-unknown", "MarkFailed.repeated", "DeregisterNode.node-unknown", "Transfer.node-unknown", "Transfer.node-failed", "Renew.not-held", "Release.not-held", "Transfer.not-held"),
		},
		Variant{
			ID: "M360", Slug: "watch-compares-floats",
			Title: "a watch compares versions as floating point",
			bends: outside(func(r *request) op.Result {
				same := func(found, seen registry.Version) bool { return asFloat(uint64(found), uint64(seen)) }
				return r.watchWhile(same)
			}, op.Watch),
		},
		Variant{
			ID: "M361", Slug: "batch-tells-short-versions",
			Title: "a batch tells versions of 32 bits",
			bends: answering(func(_ *request, answer *op.Result) {
				for i := range answer.Renewals {
					answer.Renewals[i].Record.Version &= 1<<32 - 1
				}
			}, op.RenewBatch),
		},
		Variant{
			ID: "M362", Slug: "held-tells-floats",
			Title: "ErrHeld tells tokens as floating point",
			bends: refusing(func(_ *request, told *registry.Refusal) {
				told.Placement.Token = registry.Token(float64(told.Placement.Token))
			}, op.Claim),
		},
		Variant{
			ID: "M363", Slug: "suspicions-compare-floats",
			Title: "MarkFailed and DeregisterNode compare epochs as floating point",
			bends: serially(forEpochs(asFloat, op.MarkFailed, op.DeregisterNode)),
		},
		Variant{
			ID: "M364", Slug: "receivers-compared-as-floats",
			Title: "a transfer compares its receiver's epoch as floating point",
			bends: judging(func(a *attempt) {
				if asFloat(uint64(a.To.Epoch), uint64(a.Member.Ref.Epoch)) {
					a.To.Epoch = a.Member.Ref.Epoch
				}
			}, op.Transfer),
		},
		Variant{
			ID: "M365", Slug: "holders-compared-as-floats",
			Title: "a tenure's holder is compared with its epoch as floating point",
			bends: judging(func(a *attempt) {
				if h := a.Record.Holder; h.ID == a.Call.Node.ID && asFloat(uint64(h.Epoch), uint64(a.Call.Node.Epoch)) {
					a.Call.Node = h
				}
			}, op.Renew, op.Release, op.Transfer),
		},
	),
	alike(
		Variant{
			Section: "extremes", Case: "rounding",
			Doc:    "A bound or a time goes through a larger unit, in one operation of many.",
			Breaks: rules(conformance.BatchAsSingle, conformance.WatchWakes, "Claim.repeated", "Claim.held"),
		},
		Variant{
			ID: "M366", Slug: "batch-counts-whole-seconds",
			Title: "a batch goes by Grace in whole seconds",
			bends: outside(batchWithin(func(cfg *registry.Config) { cfg.Grace = cfg.Grace.Truncate(time.Second) }), op.RenewBatch),
		},
		Variant{
			ID: "M367", Slug: "repetitions-count-whole-seconds",
			Title: "a claim is repeated within Grace in whole seconds",
			bends: repeating(func(a attempt) bool {
				a.cfg.Grace = a.cfg.Grace.Truncate(time.Second)
				return specified.repeats(a)
			}, op.Claim),
		},
		Variant{
			ID: "M368", Slug: "watch-tells-microseconds",
			Title: "a watch tells expiries in microseconds",
			bends: answering(func(_ *request, answer *op.Result) { answer.Record.Expiry = whole(1000)(answer.Record.Expiry) }, op.Watch),
		},
		Variant{
			ID: "M369", Slug: "batches-until-the-year",
			Case:  "dates",
			Title: "a batch writes expiries in 32 bits of seconds",
			bends: outside(batchOf(func(r *request, a attempt) bool {
				a.Record = reference.RenewEffect(r.cfg, a.Record, r.now)
				a.Record.Expiry = min(a.Record.Expiry, (1<<31-1)*registry.Instant(time.Second))
				r.put(a.Record)
				return true
			}), op.RenewBatch),
		},
	),
	alike(
		Variant{
			Section: "extremes", Case: "silence",
			Doc:    "Contract, section 3: silence alone ends nothing. A node that was not heard of is a member until it is marked failed, and a lease that has lapsed can be released.",
			Breaks: rules("RegisterNode.exists", "Claim.granted", "Transfer.granted", "Heartbeat.granted", "DeregisterNode.granted", "Release.granted", conformance.EpochFresh),
		},
		Variant{
			ID: "M370", Slug: "registers-over-the-silent",
			Title: "a name is free whose node was silent for an hour",
			bends: guarding(func(a attempt) reference.Guard {
				if a.silentFor(time.Hour) {
					return reference.Enabled
				}
				return specified.guard(a)
			}, op.RegisterNode),
		},
		Variant{
			ID: "M371", Slug: "silent-claim-nothing",
			Title: "a node that was silent for an hour is failed to whoever claims for it",
			bends: refusingWhen(reference.NodeNotFailed, func(a attempt) bool { return a.silentFor(time.Hour) }, op.Claim),
		},
		Variant{
			ID: "M372", Slug: "silent-receive-nothing",
			Title: "a node that was silent for an hour is failed to whoever hands over to it",
			bends: refusingWhen(reference.NodeNotFailed, func(a attempt) bool { return a.silentFor(time.Hour) }, op.Transfer),
		},
		Variant{
			ID: "M373", Slug: "silent-are-not-heard",
			Title: "a heartbeat after an hour is too late",
			bends: refusingWhen(reference.NodeNotFailed, func(a attempt) bool { return a.silentFor(time.Hour) }, op.Heartbeat),
		},
		Variant{
			ID: "M374", Slug: "silent-have-left",
			Title: "a node that was silent for a day cannot leave",
			bends: refusingWhen(reference.NodeKnown, func(a attempt) bool { return a.silentFor(24 * time.Hour) }, op.DeregisterNode),
		},
		Variant{
			ID: "M375", Slug: "lapsed-are-not-released",
			Title: "a lease that ended a day ago cannot be released",
			bends: refusingWhen(reference.TenureHeld, func(a attempt) bool { return a.now.Sub(a.Record.Expiry) > 24*time.Hour }, op.Release),
		},
	),
	alike(
		Variant{
			Section: "contract", Case: "closed-handle",
			Doc:    "Contract, section 3, 23: Close changes no record and no registration. What the handle began goes on through others.",
			Breaks: rules(conformance.CloseFrees, "Claim.repeated", "RegisterNode.repeated"),
		},
		Variant{
			ID: "M376", Slug: "close-releases-the-fresh",
			Title: "Close releases what was claimed through the handle and never renewed",
			bends: releasingTheFresh,
		},
		Variant{
			ID: "M377", Slug: "close-forgets-claim-ids",
			Title: "claim ids are known as long as the handle is open that brought them",
			bends: func(c *cluster) {
				by := map[registry.ClaimID]*handle{}
				repeating(func(a attempt) bool {
					if by[a.Call.ClaimID] == nil {
						by[a.Call.ClaimID] = a.by
					}
					return specified.repeats(a) && !by[a.Call.ClaimID].closed
				}, op.Claim)(c)
			},
		},
		Variant{
			ID: "M378", Slug: "close-forgets-instances",
			Title: "instances are known as long as the handle is open that brought them",
			bends: func(c *cluster) {
				by := map[registry.InstanceID]*handle{}
				repeating(func(a attempt) bool {
					if by[a.Info.Instance] == nil {
						by[a.Info.Instance] = a.by
					}
					return specified.repeats(a) && !by[a.Info.Instance].closed
				}, op.RegisterNode)(c)
			},
		},
	),
	alike(
		Variant{
			Section: "durable", Case: "many-writes",
			Doc:    "Contract, section 4, 7. The log is cut behind the snapshot, which was made before the write that set it off. Every kind of write has a way of its own to the log.",
			Breaks: rules(conformance.Durability),
		},
		Variant{
			ID: "M379", Slug: "snapshot-lacks-a-transfer",
			Title: "the snapshot of every 64th write lacks that write, when it is a transfer",
			bends: snapshotLacks(op.Transfer),
		},
		Variant{
			ID: "M380", Slug: "snapshot-lacks-a-registration",
			Title: "the snapshot of every 64th write lacks that write, when it is a registration",
			bends: snapshotLacks(op.RegisterNode),
		},
		Variant{
			ID: "M381", Slug: "snapshot-lacks-a-heartbeat",
			Title: "the snapshot of every 64th write lacks that write, when it is a heartbeat",
			bends: snapshotLacks(op.Heartbeat),
		},
		Variant{
			ID: "M382", Slug: "snapshot-lacks-a-suspicion",
			Title: "the snapshot of every 64th write lacks that write, when a node was marked failed",
			bends: snapshotLacks(op.MarkFailed),
		},
		Variant{
			ID: "M383", Slug: "snapshot-lacks-a-departure",
			Title: "the snapshot of every 64th write lacks that write, when a node has left",
			bends: snapshotLacks(op.DeregisterNode),
		},
	),
	[]Variant{
		{
			ID: "M384", Slug: "claim-ids-of-a-node",
			Section: "contract", Case: "claim-repeats",
			Title:  "a claim is repeated by its holder and id, whatever actor they hold",
			Doc:    "Contract, section 3, 2: the ClaimID is the record's. An index of ids that leaves the actor out tells the lease of another.",
			Breaks: rules("Claim.granted", conformance.NamesDistinct),
			bends: inside(func(r *request) op.Result {
				for _, p := range r.records {
					if reference.ClaimRepeats(r.cfg, p, r.call.Node, r.call.ClaimID, r.now) {
						return op.Result{Outcome: op.OK, Record: p}
					}
				}
				return r.step()
			}, op.Claim),
		},
		{
			ID: "M385", Slug: "receivers-have-addresses",
			Section: "contract", Case: "transfer-grants",
			Title:  "a node without an address is unknown to whoever hands over to it",
			Doc:    "Contract, section 1: an address may be empty. The transfer wants to tell the receiver, and does not find it.",
			Breaks: rules("Transfer.granted"),
			bends:  refusingWhen(reference.NodeKnown, func(a attempt) bool { return a.Member.Info.Address == "" }, op.Transfer),
		},
		{
			ID: "M386", Slug: "mismatch-the-wrong-way-round",
			Section: "contract", Case: "config-mismatch",
			Title:  "ErrConfigMismatch tells the store's bound for the one that was given",
			Doc:    "Two arguments of one type. Whoever reads it changes the configuration that was right.",
			Breaks: rules(conformance.ConfigMatches),
			bends:  matching(func(given, store registry.Config) error { return store.Match(given) }),
		},
		{
			ID: "M387", Slug: "the-gone-wake-nobody",
			Section: "handles", Case: "watch-lifetimes",
			Title:  "a watch does not wake for what a holder does whose registration is over",
			Doc:    "Contract, Watcher: as soon as the version differs. Changes are told in the name of a member, and this one is none any more.",
			Breaks: rules(conformance.WatchWakes),
			bends:  quietly(func(r *request) bool { h := r.record(r.call.Actor).Holder; return r.nodes[h.ID].Ref != h }, op.Renew, op.Release),
		},
		{
			ID: "M388", Slug: "batch-locks-in-its-order",
			Section: "concurrent", Case: "batches",
			Title:  "a batch locks its actors in the order of its leases",
			Doc:    "Two batches with two actors in common, in different orders: each has what the other waits for.",
			Breaks: rules(conformance.CallsReturn),
			bends:  lockingInOrder,
		},
		{
			ID: "M389", Slug: "address-is-trimmed",
			Section: "contract", Case: "names-limits",
			Title:  "an address loses the blanks around it",
			Doc:    "Contract, section 1: an address is any valid UTF-8 of at most 1024 bytes.",
			Breaks: rules("RegisterNode.granted", "GetNode.answered"),
			bends:  registeredAt(strings.TrimSpace),
		},
		{
			ID: "M390", Slug: "address-is-a-line",
			Section: "contract", Case: "names-limits",
			Title:  "an address ends at its first line",
			Doc:    "Contract, section 1: as above. The store's file has a line for each registration.",
			Breaks: rules("RegisterNode.granted", "GetNode.answered"),
			bends: registeredAt(func(address string) string {
				address, _, _ = strings.Cut(address, "\n")
				return address
			}),
		},
		{
			ID: "M391", Slug: "one-key-space",
			Section: "extremes", Case: "joined-names",
			Title:  "a record is kept under namespace/name, and a registration under the node's name, in one map",
			Doc:    "Contract, section 1: actors and nodes are different things. Without a prefix the node \"a/b\" and the actor b of the namespace a have one key.",
			Breaks: rules(conformance.NamesDistinct, "GetNode.answered", "Claim.granted"),
			bends: inside(func(r *request) op.Result {
				for _, p := range r.records {
					if p.Actor.Namespace+"/"+p.Actor.Name == string(r.call.Node.ID) {
						return op.Result{Outcome: op.OK} // no registration is there
					}
				}
				return r.step()
			}, op.GetNode),
		},
		{
			ID: "M392", Slug: "failed-and-left",
			Section: "membership", Case: "list-nodes",
			Title:  "a node that was failed and has left since is in the listings of both",
			Doc:    "An index by status: whoever leaves is taken out of that of the active ones, where this one was not.",
			Breaks: rules("ListNodes.answered"),
			bends:  failedAndLeft,
		},
		{
			ID: "M395", Slug: "index-misses-successors",
			Section: "contract", Case: "listing",
			Title:  "what a node's next incarnation claims stays in the listing of the one before",
			Doc:    "The index is moved when the node changes, and the node is the same.",
			Breaks: rules("ListActors.answered"),
			bends:  reclaimsLeave(func(was, is registry.Placement) bool { return was.Holder.ID == is.Holder.ID && was.Holder != is.Holder }),
		},
		{
			ID: "M396", Slug: "index-misses-the-handed",
			Section: "contract", Case: "listing",
			Title:  "what was handed to a node and is claimed by another stays in its listing",
			Doc:    "The index is moved by the claim that wrote it, and a transfer's entry has none.",
			Breaks: rules("ListActors.answered"),
			bends:  reclaimsLeave(func(was, is registry.Placement) bool { return was.ClaimID.IsZero() && was.Holder != is.Holder }),
		},
		{
			ID: "M397", Slug: "index-misses-late-releases",
			Section: "contract", Case: "listing",
			Title:  "what is released when it has lapsed stays in the listing of who held it",
			Doc:    "A lapsed lease was taken out of the index by a timer once, and a release leaves that to it.",
			Breaks: rules("ListActors.answered"),
			bends: inside(func(r *request) op.Result {
				was := r.record(r.call.Actor)
				answer := r.step()
				if answer.Err == nil && was.Held() && r.now >= was.Expiry.Add(r.cfg.Grace) {
					r.list(was.Holder, r.key(r.call.Actor))
				}
				return answer
			}, op.Release),
		},
		{
			ID: "M398", Slug: "close-cancels-watches",
			Section: "handles", Case: "watch-close",
			Title:  "a watch ends as if it had been cancelled when its handle is closed",
			Doc:    "Contract, section 3, 23: no call fails with a context's error while its own context goes on. The handle has a context of its own, and its error is passed on.",
			Breaks: rules(conformance.ContextOwn),
			bends: answering(func(r *request, answer *op.Result) {
				if answer.Outcome == op.Closed && r.version() == r.call.Seen {
					*answer = op.Failed(context.Canceled)
				}
			}, op.Watch),
		},
		{
			ID: "M393", Slug: "receivers-in-lower-case",
			Section: "extremes", Case: "alike-nodes",
			Title:  "a transfer finds its receiver by the name in lower case, where there is none under the name itself",
			Doc:    "Contract, section 1: names are compared byte by byte. Whoever holds the actor then was never registered.",
			Breaks: rules("Transfer.node-unknown", conformance.NamesDistinct),
			bends: judging(func(a *attempt) {
				lower := registry.NodeID(strings.ToLower(string(a.To.ID)))
				if n, found := a.by.nodes[lower]; found && a.Member.Ref.IsZero() {
					a.Member = n
					a.Member.Ref.ID = a.To.ID
				}
			}, op.Transfer),
		},
		{
			ID: "M394", Slug: "holders-in-any-case",
			Section: "extremes", Case: "alike-nodes",
			Title:  "a tenure's holder is compared without regard to case",
			Doc:    "Contract, section 1: names are compared byte by byte. Another node of the same epoch renews and releases.",
			Breaks: rules("Renew.not-held", "Release.not-held", conformance.NamesDistinct, conformance.SingleActivation),
			bends: judging(func(a *attempt) {
				if h := a.Record.Holder; strings.EqualFold(string(h.ID), string(a.Call.Node.ID)) && h.Epoch == a.Call.Node.Epoch {
					a.Call.Node = h
				}
			}, op.Renew, op.Release),
		},
		{
			ID: "M399", Slug: "long-gone-hand-over-nothing",
			Section: "contract", Case: "every-tenure",
			Title:  "a holder whose node has registered twice since cannot hand over",
			Doc:    "Contract, section 3, 10: only the receiver's standing counts. The incarnation before is remembered, and the one before that is not.",
			Breaks: rules("Transfer.granted"),
			bends: refusingWhen(reference.NodeNotFailed, func(a attempt) bool {
				return a.by.nodes[a.Record.Holder.ID].Ref.Epoch > a.Record.Holder.Epoch+1
			}, op.Transfer),
		},
		{
			ID: "M400", Slug: "leaves-twice",
			Section: "extremes", Case: "epochs",
			Title:  "from its third incarnation on a node can leave twice",
			Doc:    "Contract, section 3, 17: the incarnation has not left. A second departure is told from the first by a row that later incarnations overwrite.",
			Breaks: rules("DeregisterNode.node-unknown"),
			bends: repeating(func(a attempt) bool {
				return a.Member.Status == registry.NodeLeft && a.Member.Ref == a.Call.Node && a.Member.Ref.Epoch > 2
			}, op.DeregisterNode),
		},
		{
			ID: "M401", Slug: "names-of-an-object",
			Section: "extremes", Case: "alike-actors",
			Title:  "actors whose names every object of JavaScript has are one",
			Doc:    "A record looked up with obj[name]: __proto__ and constructor are always there.",
			Breaks: rules(conformance.NamesDistinct, "Claim.granted", conformance.RawLookup),
			bends: naming(func(a registry.ActorID) string {
				if slices.Contains([]string{"__proto__", "constructor", "toString"}, a.Name) {
					a.Name = "\x00"
				}
				return distinctKey(a)
			}),
		},
		{
			ID: "M402", Slug: "superseded-process-repeats",
			Section: "membership", Case: "register-repeats",
			Title:  "a process that was superseded by one without an instance repeats its registration still",
			Doc:    "COALESCE: a registration that brings no instance leaves the one that is there.",
			Breaks: rules("RegisterNode.exists", conformance.EpochFresh),
			bends: func(c *cluster) {
				latest := map[registry.NodeID]registry.InstanceID{}
				leaving(func(_ attempt, after *reference.View) {
					if n := after.Member; !n.Info.Instance.IsZero() {
						latest[n.Ref.ID] = n.Info.Instance
					}
				}, op.RegisterNode)(c)
				repeating(func(a attempt) bool {
					a.Member.Info.Instance = latest[a.Call.Node.ID]
					return specified.repeats(a)
				}, op.RegisterNode)(c)
			},
		},
		{
			ID: "M406", Slug: "recovers-the-latest-expiry",
			Section: "durable", Case: "keeps-everything",
			Title:  "of the records that the log has of an actor the one with the latest expiry is recovered",
			Doc:    "The last writer wins, by a time that clocks have written which differ. A transfer by a slower clock is undone.",
			Breaks: rules(conformance.Durability),
			bends:  recoversLatest(op.Claim, op.Renew, op.Release, op.Transfer),
		},
		{
			ID: "M407", Slug: "recovers-the-latest-seen",
			Section: "durable", Case: "keeps-everything",
			Title:  "of the registrations that the log has of a node the one that was last seen latest is recovered",
			Doc:    "The last writer wins, by a time that clocks have written which differ. A heartbeat by a slower clock is undone.",
			Breaks: rules(conformance.Durability),
			bends:  recoversLatest(op.RegisterNode, op.Heartbeat, op.MarkFailed, op.DeregisterNode),
		},
		{
			ID: "M408", Slug: "lost-suspicion-called-unavailable",
			Level:   conformance.Default, // chance tells it
			Section: "faults", Case: "late-members",
			Title:  "a suspicion of unknown outcome is told as one that did not happen",
			Doc:    "The detector asks again anyhow. The node is failed meanwhile, or will be.",
			Breaks: untold,
			bends:  calledUnavailable(op.MarkFailed),
		},
		{
			ID: "M409", Slug: "lost-departure-called-unavailable",
			Section: "faults", Case: "late-members",
			Title:  "a departure of unknown outcome is told as one that did not happen",
			Doc:    "Who leaves does not look back: the node that stays after all has left, or will have.",
			Breaks: untold,
			bends:  calledUnavailable(op.DeregisterNode),
		},
		{
			ID: "M403", Slug: "purge-by-name",
			Section: "purge", Case: "spares", speaks: forgetful,
			Title:  "a purge deletes by the name alone, whatever the namespace",
			Doc:    "DELETE WHERE name = ?. What is live in another namespace goes with it.",
			Breaks: rules(conformance.PurgeSpares),
			bends:  purgesLike(func(a, b registry.ActorID) bool { return a.Name == b.Name }),
		},
		{
			ID: "M404", Slug: "purge-in-any-case",
			Section: "purge", Case: "spares", speaks: forgetful,
			Title:  "a purge deletes by the name without regard to case",
			Doc:    "DELETE under a collation that folds case, of a table whose key does not.",
			Breaks: rules(conformance.PurgeSpares),
			bends: purgesLike(func(a, b registry.ActorID) bool {
				return a.Namespace == b.Namespace && strings.EqualFold(a.Name, b.Name)
			}),
		},
		{
			ID: "M405", Slug: "purge-counts-whole-milliseconds",
			Section: "purge", Case: "spares", speaks: forgetful,
			Title:  "a purge goes by bounds in whole milliseconds",
			Doc:    "What is left of the grace and of the margin is less than a millisecond, and the lease is not over.",
			Breaks: rules(conformance.PurgeSpares, conformance.GraceRespected, conformance.RawLookup),
			bends: forgets(func(_ *cluster, f *forgetter) {
				f.may = goneHolder(f.may, func(cfg *registry.Config) {
					cfg.Grace, cfg.MaxClockSkew = cfg.Grace.Truncate(time.Millisecond), cfg.MaxClockSkew.Truncate(time.Millisecond)
				})
			}),
		},
	},
)

// iterator is a listing that goes on where a page ended.
type iterator struct {
	after registry.Cursor
	of    *handle // which was given its number
	limit int     // of the page before
	pages int     // read from here on
}

// iterating gives out the numbers of iterators for cursors. over says that one has come
// to an end, or changes how it goes on.
func iterating(kind op.Kind, over func(r *request, it *iterator) bool) bend {
	return func(c *cluster) {
		var all []*iterator
		inside(func(r *request) op.Result {
			if n, err := strconv.Atoi(string(r.call.Page.After)); err == nil && 0 <= n && n < len(all) {
				it := all[n]
				if over(r, it) {
					return op.Result{Outcome: op.OK}
				}
				it.pages++
				r.call.Page.After = it.after
			}
			answer := r.step()
			if answer.Next != "" {
				all = append(all, &iterator{after: answer.Next, of: r.handle, limit: r.call.Page.Limit})
				answer.Next = registry.Cursor(strconv.Itoa(len(all) - 1))
			}
			return answer
		}, kind)(c)
	}
}

// registration is what is known of an instance since it registered first.
type registration struct {
	at     registry.Instant
	others int // instances that came after it
	lives  int // restarts since
}

// repeatingFor knows an instance as long as known says, of its first registration.
func repeatingFor(known func(a attempt, first registration) bool) bend {
	return func(c *cluster) {
		firsts := map[registry.InstanceID]*registration{}
		repeating(func(a attempt) bool {
			id := a.Info.Instance
			first, seen := firsts[id]
			if !seen && !id.IsZero() {
				for _, f := range firsts {
					f.others++
				}
				first = &registration{at: a.now}
				firsts[id] = first
			}
			return specified.repeats(a) && known(a, *first)
		}, op.RegisterNode)(c)
		losing(func(*cluster) {
			for _, f := range firsts {
				f.lives++
			}
		})(c)
	}
}

// watchWhile waits as long as the record's version is the same as the one seen.
func (r *request) watchWhile(same func(found, seen registry.Version) bool) op.Result {
	for {
		if err := r.begin(); err != nil {
			return op.Failed(err)
		}
		found, changed := r.record(r.call.Actor), r.changed
		r.mu.Unlock()
		if !same(found.Version, r.call.Seen) {
			return op.Result{Outcome: op.OK, Record: found}
		}
		r.wait(changed)
	}
}

// refusing changes what a refusal tells.
func refusing(wrong func(r *request, told *registry.Refusal), kinds ...op.Kind) bend {
	return answering(func(r *request, answer *op.Result) {
		if told := new(registry.Refusal); errors.As(answer.Err, &told) {
			other := *told
			wrong(r, &other)
			*answer = op.Failed(&other)
		}
	}, kinds...)
}

// refusingWhen refuses with g what would else be allowed.
func refusingWhen(g reference.Guard, when func(attempt) bool, kinds ...op.Kind) bend {
	return guarding(func(a attempt) reference.Guard {
		if found := specified.guard(a); found != reference.Enabled || !when(a) {
			return found
		}
		return g
	}, kinds...)
}

func (a *attempt) silentFor(d time.Duration) bool {
	return a.Member.Status == registry.NodeActive && a.now.Sub(a.Member.LastSeen) > d
}

// batchWithin renews the leases of a batch by other bounds.
func batchWithin(bounds func(*registry.Config)) func(*request) op.Result {
	return func(r *request) op.Result {
		results := op.Result{Outcome: op.OK}
		for _, l := range r.call.Leases {
			one := &request{handle: r.handle, ctx: r.ctx, call: op.OnLease(op.Renew, l)}
			results.Renewals = append(results.Renewals, one.renewsWithin(bounds))
		}
		return results
	}
}

func (r *request) renewsWithin(bounds func(*registry.Config)) op.Result {
	if err := r.begin(); err != nil {
		return op.Failed(err)
	}
	defer r.mu.Unlock()
	r.now = r.clock.Now()
	a := r.attempt()
	bounds(&a.cfg)
	return r.decided(a, r.law.decide(a))
}

// snapshotLacks loses in a crash the latest write whose number is a multiple of 64, when it
// was of that kind and nothing was written there since.
func snapshotLacks(kind op.Kind) bend {
	return func(c *cluster) {
		writes := 0
		restore := func() {}
		inside(func(r *request) op.Result {
			record, member := r.record(r.call.Actor), r.nodes[r.call.Node.ID]
			answer := r.step()
			written, registered := r.record(r.call.Actor), r.nodes[r.call.Node.ID]
			if written == record && registered == member {
				return answer
			}
			if writes++; writes%64 != 0 {
				return answer
			}
			switch restore = func() {}; {
			case r.call.Kind != kind:
			case kind.OfNode():
				restore = func() {
					if c.nodes[registered.Ref.ID] == registered {
						c.nodes[registered.Ref.ID] = member
					}
				}
			default:
				restore = func() {
					if c.record(written.Actor) == written {
						c.put(record)
					}
				}
			}
			return answer
		}, slices.Concat(tenureCalls, memberCalls)...)(c)
		losing(func(c *cluster) {
			restore()
			maps.DeleteFunc(c.nodes, func(_ registry.NodeID, n registry.Node) bool { return n.Ref.IsZero() })
		})(c)
	}
}

// quietly writes without waking anybody when that is so before.
func quietly(when func(*request) bool, kinds ...op.Kind) bend {
	return inside(func(r *request) op.Result {
		waiting := r.changed
		if when(r) {
			defer func() { r.cluster.changed = waiting }()
			r.cluster.changed = make(chan struct{})
		}
		return r.step()
	}, kinds...)
}

// lockingInOrder has batches lock each actor before they renew the first.
func lockingInOrder(c *cluster) {
	var locks sync.Map // by actor
	outside(func(r *request) op.Result {
		var mine []chanLock
		for i, l := range r.call.Leases {
			if slices.ContainsFunc(r.call.Leases[:i], func(before registry.Lease) bool { return before.Actor == l.Actor }) {
				continue
			}
			lock, _ := locks.LoadOrStore(l.Actor, newChanLock())
			lock.(chanLock) <- struct{}{}
			mine = append(mine, lock.(chanLock))
			runtime.Gosched()
		}
		defer func() {
			for _, lock := range mine {
				<-lock
			}
		}()
		return r.serve()
	}, op.RenewBatch)(c)
}

// registeredAt keeps another address than was given.
func registeredAt(keep func(string) string) bend {
	return leaving(func(_ attempt, after *reference.View) { after.Member.Info.Address = keep(after.Member.Info.Address) }, op.RegisterNode)
}

// failedAndLeft lists those that were marked failed as such, also when they have left.
func failedAndLeft(c *cluster) {
	failed := map[registry.NodeRef]bool{}
	leaving(func(before attempt, _ *reference.View) { failed[before.Call.Node] = true }, op.MarkFailed)(c)
	inside(func(r *request) op.Result {
		if r.call.Status != registry.NodeFailed {
			return r.step()
		}
		return r.nodesThat(func(n registry.Node) bool {
			return n.Status == registry.NodeFailed || n.Status == registry.NodeLeft && failed[n.Ref]
		})
	}, op.ListNodes)(c)
}

// reclaimsLeave has claims of what somebody held leave it in that one's listing.
func reclaimsLeave(when func(was, is registry.Placement) bool) bend {
	return inside(func(r *request) op.Result {
		was := r.record(r.call.Actor)
		answer := r.step()
		if answer.Err == nil && was.Held() && when(was, answer.Record) {
			r.list(was.Holder, r.key(r.call.Actor))
		}
		return answer
	}, op.Claim)
}

func (r *request) version() registry.Version {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record(r.call.Actor).Version
}

// purgesLike forgets, with each record, all those that are like it.
func purgesLike(like func(a, b registry.ActorID) bool) bend {
	return forgets(func(_ *cluster, f *forgetter) {
		raise := f.raise
		f.raise = func(h *handle, r registry.Placement) {
			raise(h, r)
			for key, p := range h.records {
				if like(p.Actor, r.Actor) {
					delete(h.records, key)
					delete(h.held[p.Holder], key)
					raise(h, p)
				}
			}
		}
	})
}

// recoversLatest recovers, of what calls of these kinds have written, the latest by its time.
func recoversLatest(kinds ...op.Kind) bend {
	return func(c *cluster) {
		records, nodes := map[string]registry.Placement{}, map[registry.NodeID]registry.Node{}
		inside(func(r *request) op.Result {
			answer := r.step()
			key, id := r.key(r.call.Actor), r.call.Node.ID
			if n := r.nodes[id]; r.call.Kind.OfNode() && n.LastSeen >= nodes[id].LastSeen {
				nodes[id] = n
			}
			if p := r.record(r.call.Actor); !r.call.Kind.OfNode() && p.Expiry >= records[key].Expiry {
				records[key] = p
			}
			return answer
		}, kinds...)(c)
		losing(func(c *cluster) {
			for _, p := range records {
				if p.Version > 0 {
					c.put(p)
				}
			}
			for id, n := range nodes {
				if n.Ref.Epoch > 0 {
					c.nodes[id] = n
				}
			}
		})(c)
	}
}

// releasingTheFresh releases at Close what is still as it was claimed through the handle.
func releasingTheFresh(c *cluster) {
	claimed := map[*handle][]registry.Placement{}
	inside(func(r *request) op.Result {
		answer := r.step()
		if answer.Err == nil {
			claimed[r.handle] = append(claimed[r.handle], answer.Record)
		}
		return answer
	}, op.Claim)(c)
	outside(func(r *request) op.Result {
		r.mu.Lock()
		for _, p := range claimed[r.handle] {
			if r.record(p.Actor) == p {
				r.put(reference.ReleaseEffect(p))
			}
		}
		delete(claimed, r.handle)
		r.mu.Unlock()
		return r.serve()
	}, op.Close)(c)
}

// calledUnavailable tells of a call whose outcome is unknown that nothing happened.
func calledUnavailable(k op.Kind) func(*cluster) {
	return answering(func(_ *request, answer *op.Result) {
		if answer.Outcome.Ambiguous() {
			*answer = op.Failed(registry.ErrUnavailable)
		}
	}, k)
}
