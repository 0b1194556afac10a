package broken

import (
	"slices"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Mistakes that need two things at once: a tenure that came about in one way, and a moment
// or a caller of another; a list that is long, and a member that is refused; a handle that
// is closed, and what goes on without it.
var pairs = slices.Concat(
	alike(
		Variant{
			Section: "contract", Case: "every-tenure",
			Doc: "A margin is kept by the statement that most claims take, and not by the one for records of this kind.",
			Breaks: rules(conformance.GraceRespected, conformance.SingleActivation, "Claim.held", "Claim.repeated", "Renew.granted",
				"Renew.lapsed", "Transfer.granted", "Validate.granted", "Release.not-held", "Renew.not-held", "ListActors.answered"),
		},
		Variant{
			ID: "M410", Slug: "third-incarnation-claims-early",
			Title: "a node's third incarnation claims what the first holds without the margin of 2ε",
			bends: withoutMargin(func(a *attempt) bool { return a.successor(2) }),
		},
		Variant{
			ID: "M411", Slug: "third-incarnation-renews",
			Title: "in grace a node's third incarnation may renew, under the token of the first",
			bends: judging(func(a *attempt) {
				if a.successor(2) && a.now >= a.Record.Expiry {
					a.Call.Node = a.Record.Holder
				}
			}, op.Renew),
		},
		Variant{
			ID: "M412", Slug: "batched-claimed-early",
			Title: "what was renewed in a batch is claimed without the margin of 2ε",
			bends: ofBatched(func(batched func(*attempt) bool) bend { return withoutMargin(batched) }),
		},
		Variant{
			ID: "M413", Slug: "batched-not-repeated-in-grace",
			Title: "the claim of what was renewed in a batch is not repeated in grace",
			bends: ofBatched(func(batched func(*attempt) bool) bend {
				return repeating(func(a attempt) bool { return specified.repeats(a) && !(batched(&a) && a.now >= a.Record.Expiry) }, op.Claim)
			}),
		},
		Variant{
			ID: "M414", Slug: "handed-thrice-claimed-early",
			Title: "what was handed over three times since its claim is claimed without the margin of 2ε",
			bends: func(c *cluster) {
				hands := map[string]int{}
				inside(func(r *request) op.Result {
					answer := r.step()
					switch key := r.key(r.call.Actor); {
					case answer.Err != nil:
					case r.call.Kind == op.Claim:
						hands[key] = 0
					default:
						hands[key]++
					}
					return answer
				}, op.Claim, op.Transfer)(c)
				withoutMargin(func(a *attempt) bool { return hands[c.key(a.Actor)] > 2 })(c)
			},
		},
		Variant{
			ID: "M415", Slug: "the-gone-shorten",
			Title: "a renewal by a slower clock shortens the lease of a holder whose registration is over",
			bends: affecting(func(a attempt) reference.View {
				after := specified.effect(a)
				if a.holderGone() {
					after.Record.Expiry = a.now.Add(a.cfg.TTL)
				}
				return after
			}, op.Renew),
		},
		Variant{
			ID: "M416", Slug: "handed-to-the-third-incarnation",
			Title: "an actor that is handed to the holder's third incarnation keeps its expiry",
			bends: leaving(func(before attempt, after *reference.View) {
				if h := before.Record.Holder; h.ID == before.To.ID && before.To.Epoch > h.Epoch+1 {
					after.Record.Expiry = before.Record.Expiry
				}
			}, op.Transfer),
		},
		Variant{
			ID: "M417", Slug: "gone-and-lapsed-invalid",
			Title: "a guarded write is refused once the lease has lapsed of a holder whose registration is over",
			bends: guarding(func(a attempt) reference.Guard {
				a.now = a.by.clock.Now()
				if g := specified.guard(a); g != reference.Enabled || !a.holderGone() || !a.lapsed() {
					return g
				}
				return reference.TenureHeld
			}, op.Validate),
		},
		Variant{
			ID: "M418", Slug: "grace-of-an-open-handle",
			Title: "a lease that was claimed through a handle which is closed is not renewed in grace",
			bends: ofClosed(func(closed func(*attempt) bool) bend {
				return refusingWhen(reference.NotLapsed, func(a attempt) bool { return a.now >= a.Record.Expiry && closed(&a) }, op.Renew)
			}),
		},
		Variant{
			ID: "M419", Slug: "margin-of-an-open-handle",
			Title: "what was claimed through a handle that is closed is claimed without the margin of 2ε",
			bends: ofClosed(func(closed func(*attempt) bool) bend { return withoutMargin(closed) }),
		},
		Variant{
			ID: "M420", Slug: "waiters-claim-early",
			Title: "what somebody waits for is claimed without the margin of 2ε",
			bends: whileWatched,
		},
		Variant{
			ID: "M421", Slug: "not-repeated-in-grace-after-a-crash",
			Title: "after a crash a claim from before it is not repeated in grace",
			bends: func(c *cluster) {
				before := map[string]registry.Placement{}
				losing(func(c *cluster) {
					for key, p := range c.records {
						before[key] = p
					}
				})(c)
				repeating(func(a attempt) bool {
					return specified.repeats(a) && !(before[c.key(a.Actor)] == a.Record && a.now >= a.Record.Expiry)
				}, op.Claim)(c)
			},
		},
		Variant{
			ID: "M422", Slug: "index-misses-what-the-superseded-hand-over",
			Title: "what a superseded holder hands over stays in its listing",
			bends: indexing(func(r *request, was, is registry.Placement) {
				if was.Holder != is.Holder && r.nodes[was.Holder.ID].Ref != was.Holder {
					r.list(was.Holder, r.key(is.Actor))
				}
			}, op.Transfer),
		},
	),
	[]Variant{
		{
			ID: "M423", Slug: "second-close-closes-the-next",
			Section: "contract", Case: "closed-handle",
			Title:  "a second Close closes the handle that was opened in the place of the first",
			Doc:    "A table of handles whose rows are used again. The handle is a number, and whoever closes twice closes another's.",
			Breaks: rules(conformance.ClosedSecond),
			bends:  closingTheSlot,
		},
		{
			ID: "M424", Slug: "registered-through-the-closed",
			Section: "contract", Case: "closed-handle",
			Title:  "the name of a node is free whose handle is closed",
			Doc:    "Contract, section 3, 23: Close changes no registration. An ephemeral entry, which its session takes along.",
			Breaks: rules("RegisterNode.exists", conformance.EpochFresh),
			bends: func(c *cluster) {
				by := throughHandles(c, op.RegisterNode)
				guarding(func(a attempt) reference.Guard {
					if h := by[string(a.Call.Node.ID)]; h != nil && h.closed {
						return reference.Enabled
					}
					return specified.guard(a)
				}, op.RegisterNode)(c)
			},
		},
		{
			ID: "M425", Slug: "watches-of-any-name",
			Section: "contract", Case: "bad-input",
			Title:  "a watch of a name that no actor can have is answered",
			Doc:    "Contract, section 3, 23: a bad argument is ErrInvalid, in every operation. The empty name is looked for, and no other.",
			Breaks: rules(conformance.NameLimits, conformance.InvalidFirst),
			bends: outside(func(r *request) op.Result {
				if a := r.call.Actor; r.call.Validate() != nil && a.Namespace != "" && a.Name != "" {
					return op.Result{Outcome: op.OK, Record: registry.Placement{Actor: a}}
				}
				return r.serve()
			}, op.Watch),
		},
		{
			ID: "M426", Slug: "watches-of-the-gone",
			Section: "contract", Case: "ended-context",
			Title:  "a watch whose context has ended is answered when the version differs",
			Doc:    "Contract, section 3, 23: a context that is done at the call ends it. It is looked at by who waits, and this one need not.",
			Breaks: rules(conformance.ContextThird),
			bends: outside(func(r *request) op.Result {
				if r.check(&r.call) != nil || r.ctx.Err() == nil {
					return r.serve()
				}
				r.mu.Lock()
				defer r.mu.Unlock()
				if p := r.record(r.call.Actor); !r.closed && p.Version != r.call.Seen {
					return op.Result{Outcome: op.OK, Record: p}
				}
				return op.Failed(r.ctx.Err())
			}, op.Watch),
		},
		{
			ID: "M427", Slug: "later-versions-of-the-free",
			Section: "contract", Case: "watch",
			Title:  "a watch that has seen a later version than that of a released record waits",
			Doc:    "Contract, Watcher: as soon as the version differs. It is compared with <, where nobody holds the actor.",
			Breaks: rules(conformance.WatchWakes),
			bends: outside(func(r *request) op.Result {
				r.mu.Lock()
				free := !r.record(r.call.Actor).Held()
				r.mu.Unlock()
				return r.watchWhile(func(found, seen registry.Version) bool { return found == seen || free && 0 < found && found < seen })
			}, op.Watch),
		},
	},
	alike(
		Variant{
			Section: "contract", Case: "listing-under-change", Breaks: rules(conformance.PagedListing),
			Doc: "Contract, Cursor: it stays valid when rows come and go. The row that the cursor names is looked for, where it was found.",
		},
		Variant{
			ID: "M428", Slug: "failed-row-gone",
			Title: "a listing of failed nodes ends when the node that its cursor names is failed no more",
			bends: endingWithoutItsRow(registry.NodeFailed),
		},
		Variant{
			ID: "M429", Slug: "left-row-gone",
			Title: "a listing of nodes that have left ends when the node that its cursor names is back",
			bends: endingWithoutItsRow(registry.NodeLeft),
		},
	),
	alike(
		Variant{
			Section: "membership", Breaks: rules(conformance.EpochFresh, "RegisterNode.repeated", "RegisterNode.granted", "MarkFailed.alive", "MarkFailed.granted", "Heartbeat.granted"),
			Doc: "Contract, section 3, 14 and 15: a registration is repeated as long as it is live, and silence is counted alike for all nodes.",
		},
		Variant{
			ID: "M430", Slug: "revived-by-superseding",
			Case:  "register-repeats",
			Title: "a process whose registration is over has it back when it supersedes under its instance",
			bends: repeating(func(a attempt) bool {
				over := a.Member.Status == registry.NodeFailed || a.Member.Status == registry.NodeLeft
				if over && a.Mode == registry.Supersede && !a.Info.Instance.IsZero() && a.Info.Instance == a.Member.Info.Instance {
					return true
				}
				return specified.repeats(a)
			}, op.RegisterNode),
		},
		Variant{
			ID: "M431", Slug: "processes-fail-early",
			Case:  "mark-failed-boundaries",
			Title: "a node with an instance is marked failed without the margin of 2ε",
			bends: judging(func(a *attempt) {
				if !a.Member.Info.Instance.IsZero() {
					a.cfg.MaxClockSkew = 0
				}
			}, op.MarkFailed),
		},
		Variant{
			ID: "M432", Slug: "slow-clocks-mark-nobody",
			Case:  "mark-failed-boundaries",
			Title: "nobody is marked failed by a clock that is behind another node's last heartbeat",
			bends: refusingWhen(reference.NodeSilent, func(a attempt) bool {
				for _, n := range a.by.nodes {
					if n.Ref != a.Member.Ref && n.Status == registry.NodeActive && n.LastSeen > a.now {
						return true
					}
				}
				return false
			}, op.MarkFailed),
		},
		Variant{
			ID: "M433", Slug: "processes-are-seen-late",
			Case:  "mark-failed-boundaries",
			Title: "a heartbeat by a slower clock does not count for a node with an instance",
			bends: starting(func(a *attempt) {
				if !a.Member.Info.Instance.IsZero() {
					a.now = max(a.now, a.Member.LastSeen)
				}
			}, op.Heartbeat),
		},
	),
	alike(
		Variant{
			Breaks: rules(conformance.BatchAsSingle),
			Doc:    "Contract, BatchRenewer: one result per lease, in the order of the leases, each as Renew's. It was tried with one bad member, which was fenced.",
		},
		Variant{
			ID: "M434", Slug: "after-the-lapsed",
			Section: "extremes", Case: "large-batches",
			Title: "in a batch of more than sixteen the lease after one that has lapsed is not renewed",
			bends: outside(skippingAfterTheLapsed, op.RenewBatch),
		},
		Variant{
			ID: "M435", Slug: "invalid-members-put-back",
			Section: "contract", Case: "bad-input",
			Title: "results of invalid members are put back at the wrong places, when there are several",
			bends: puttingBack(op.Invalid),
		},
		Variant{
			ID: "M436", Slug: "unavailable-members-put-back",
			Level:   conformance.Default, // chance tells it
			Section: "handles", Case: "batch-faults",
			Title:  "results of unavailable members are put back at the wrong places, when there are several",
			Breaks: rules(conformance.BatchAsSingle, conformance.Linearizability, conformance.AmbiguousTruth, "Renew.granted"),
			bends:  puttingBack(op.Unavailable),
		},
		Variant{
			ID: "M437", Slug: "thrice-in-a-batch",
			Section: "handles", Case: "batch-members",
			Title: "a lease that stands in a batch for the third time is answered as for the second",
			bends: outside(twiceAtMost, op.RenewBatch),
		},
		Variant{
			ID: "M438", Slug: "refusals-go-to-all-of-an-actor",
			Section: "handles", Case: "batch-members",
			Title: "a renewal is answered with the refusal of an earlier member of the same actor",
			bends: answering(func(r *request, answer *op.Result) {
				r.afterAnother(answer, func(earlier, own *op.Result) {
					if earlier.Err != nil && own.Err == nil {
						*own = *earlier
					}
				})
			}, op.RenewBatch),
		},
	),
	alike(
		Variant{
			Section: "handles", Breaks: rules(conformance.WatchWakes),
			Doc: "Contract, Watcher: as soon as the version differs, whoever else watches, has stopped to, or has been refused.",
		},
		Variant{
			ID: "M439", Slug: "batches-with-a-refusal-untold",
			Case:  "batch-members",
			Title: "renewals in a batch wake no watch, once a member was refused",
			bends: outside(quietAfterRefusals, op.RenewBatch),
		},
		Variant{
			ID: "M440", Slug: "watched-through-the-closed",
			Case:  "watch-close",
			Title: "a watch waits for ever once a handle is closed that has watched the actor",
			bends: watchedThroughTheClosed,
		},
		Variant{
			ID: "M441", Slug: "close-drops-the-one-before",
			Case:  "watch-close",
			Title: "when a handle is closed the watch is dropped that began before its own",
			bends: listening(func(all listeners, at int, why departing) {
				if why == withItsHandle && at > 0 {
					all[at-1].dropped = true
				}
			}),
		},
		Variant{
			ID: "M442", Slug: "one-of-four-gives-up",
			Section: "contract", Case: "watchers",
			Title: "a watch that is cancelled takes the latest with it, when there are three others",
			bends: listening(func(all listeners, _ int, why departing) {
				if why == givenUp && len(all) >= 3 {
					all[len(all)-1].dropped = true
				}
			}),
		},
		Variant{
			ID: "M443", Slug: "answered-at-once-unsubscribes",
			Section: "contract", Case: "watchers",
			Title: "a watch that is answered at once takes those with it that wait for the actor through the same handle",
			bends: listening(func(all listeners, at int, why departing) {
				for _, l := range all {
					if why == answeredAtOnce && l.of == all[at].of && l.actor == all[at].actor {
						l.dropped = true
					}
				}
			}),
		},
		Variant{
			ID: "M444", Slug: "channels-of-four-hundred-bytes",
			Section: "extremes", Case: "alike-waiters",
			Title: "watches of actors whose names have the first four hundred bytes in common are woken by one of them",
			bends: watchedUnder(func(a registry.ActorID) string { return cutAt(400)(distinctKey(a)) }),
		},
	),
	alike(
		Variant{
			Section: "extremes", Case: "many-actors", Breaks: rules(conformance.GraceRespected, "Claim.held", "Renew.lapsed"),
			Doc: "Rows of a node that has many are kept elsewhere, and looked at by another statement.",
		},
		Variant{
			ID: "M445", Slug: "from-those-who-hold-many",
			Title: "what a node holds that holds more than a hundred is claimed without the margin of 2ε",
			bends: withoutMargin(func(a *attempt) bool { return len(a.by.held[a.Record.Holder]) > 100 }),
		},
		Variant{
			ID: "M446", Slug: "those-who-hold-many-renew",
			Title: "a node that holds more than a hundred renews until they are reclaimable",
			bends: judging(func(a *attempt) {
				if end := a.Record.Expiry.Add(a.cfg.Grace); len(a.by.held[a.Record.Holder]) > 100 && a.now < end.Add(2*a.cfg.MaxClockSkew) {
					a.now = min(a.now, end-1)
				}
			}, op.Renew),
		},
	),
	[]Variant{
		{
			ID: "M447", Slug: "receivers-known-to-be-active",
			Section: "contract", Case: "transfer-membership",
			Title:  "a node that was handed three actors is not asked for its standing any more",
			Doc:    "Contract, section 3, 10: the receiver is registered and not failed, each time. A cache of those with whom it went well.",
			Breaks: rules("Transfer.node-unknown", "Transfer.node-failed"),
			bends: func(c *cluster) {
				received := map[registry.NodeRef]int{}
				judging(func(a *attempt) {
					if a.Member.Standing(a.To) == registry.StandingActive {
						received[a.To]++
					} else if received[a.To] > 2 {
						a.newcomerIsActive()
					}
				}, op.Transfer)(c)
			},
		},
		{
			ID: "M448", Slug: "watches-compose-holders",
			Section: "extremes", Case: "alike-nodes",
			Title:  "a watch tells its holder's name composed",
			Doc:    "Contract, section 1: names are compared byte by byte. Who asks for the node by that name finds none, or another.",
			Breaks: rules(conformance.WatchWakes, conformance.NamesDistinct),
			bends: answering(func(_ *request, answer *op.Result) {
				answer.Record.Holder.ID = registry.NodeID(composed(string(answer.Record.Holder.ID)))
			}, op.Watch),
		},
		{
			ID: "M449", Slug: "ticks-of-thirty-two-bits",
			Section: "extremes", Case: "silence",
			Title:  "ends of leases are compared in 32 bits of hundredths of a second, which wrap",
			Doc:    "Serial numbers: what is more than half of the range behind is ahead. What lapsed nine months ago is held again.",
			Breaks: rules("Claim.granted"),
			bends: judging(func(a *attempt) {
				const tick = registry.Instant(10 * time.Millisecond)
				end := a.Record.Expiry.Add(a.cfg.Grace + 2*a.cfg.MaxClockSkew)
				if a.now.Sub(end) > time.Hour && int32(a.now/tick-end/tick) < 0 {
					a.now = end - 1
				}
			}, op.Claim),
		},
		{
			ID: "M450", Slug: "recovers-until-the-year",
			Section: "durable", Case: "unusual-rows",
			Title:  "a snapshot keeps expiries in 32 bits of seconds",
			Doc:    "The store is right, and so is its log. What is compacted has another form.",
			Breaks: rules(conformance.Durability),
			bends: losing(func(c *cluster) {
				for key, p := range c.records {
					p.Expiry = min(p.Expiry, (1<<31-1)*registry.Instant(time.Second))
					c.records[key] = p
				}
			}),
		},
		{
			ID: "M451", Slug: "purges-what-the-first-held",
			Section: "purge", speaks: forgetful, Case: "spares",
			Title:  "what a node's first incarnation holds is purged after grace, without the margin of 2ε, once it has a third",
			Doc:    "The incarnation before is looked for among the present ones, and the one before that is long gone, it was thought.",
			Breaks: rules(conformance.PurgeSpares),
			bends: alsoForgets(func(h *handle, r registry.Placement, now registry.Instant) bool {
				return r.Held() && h.nodes[r.Holder.ID].Ref.Epoch > r.Holder.Epoch+1 && now >= r.Expiry.Add(h.cfg.Grace)
			}),
		},
		{
			ID: "M452", Slug: "no-floor-above-the-failed",
			Section: "purge", speaks: forgetful, Case: "late-calls",
			Title:  "the floor is not raised above what a failed node has held",
			Doc:    "The failed write no more, it was thought. Their writes are those that come late.",
			Breaks: belowTheFloor,
			bends: forgets(func(_ *cluster, f *forgetter) {
				raise := f.raise
				f.raise = func(h *handle, r registry.Placement) {
					if n := h.nodes[r.Holder.ID]; n.Ref != r.Holder || n.Status != registry.NodeFailed {
						raise(h, r)
					}
				}
			}),
		},
		{
			ID: "M453", Slug: "purge-ends-listings",
			Section: "purge", speaks: forgetful, Case: "many-names",
			Title:  "a purge ends the listings that are under way",
			Doc:    "Contract, Cursor: it stays valid across changes of the store. A purge makes a new table, of which the cursor knows nothing.",
			Breaks: rules(conformance.PagedListing),
			bends:  endingListings,
		},
	},
)

// withoutMargin has held actors claimed as if all clocks agreed, when that is so.
func withoutMargin(when func(*attempt) bool) bend {
	return judging(func(a *attempt) {
		if a.Record.Held() && when(a) {
			a.cfg.MaxClockSkew = 0
		}
	}, op.Claim)
}

// successor reports whether the call's node is the holder's incarnation so many later, or
// one after that.
func (a *attempt) successor(n registry.Epoch) bool {
	h := a.Record.Holder
	return a.Call.Node.ID == h.ID && a.Call.Node.Epoch >= h.Epoch+n
}

// ofBatched is a mistake about records that were last written by a batch.
func ofBatched(mistake func(batched func(*attempt) bool) bend) bend {
	return func(c *cluster) {
		latest := map[string]registry.Version{} // guarded by the cluster's mutex
		outside(batchOf(func(r *request, a attempt) bool {
			latest[r.key(a.Actor)] = a.Record.Version + 1
			return true
		}), op.RenewBatch)(c)
		mistake(func(a *attempt) bool { return a.Record.Held() && latest[c.key(a.Actor)] == a.Record.Version })(c)
	}
}

// throughHandles tells through which handle calls of these kinds about an actor, or about
// a node, have succeeded last.
func throughHandles(c *cluster, kinds ...op.Kind) map[string]*handle {
	by := map[string]*handle{} // guarded by the cluster's mutex
	inside(func(r *request) op.Result {
		answer := r.step()
		switch {
		case answer.Err != nil:
		case r.call.Kind.OfNode():
			by[string(r.call.Node.ID)] = r.handle
		default:
			by[r.key(r.call.Actor)] = r.handle
		}
		return answer
	}, kinds...)(c)
	return by
}

// ofClosed is a mistake about records that were claimed through a handle which is closed.
func ofClosed(mistake func(closed func(*attempt) bool) bend) bend {
	return func(c *cluster) {
		by := throughHandles(c, op.Claim)
		mistake(func(a *attempt) bool { h := by[c.key(a.Actor)]; return h != nil && h.closed })(c)
	}
}

// whileWatched lets actors be claimed early while somebody waits for them.
func whileWatched(c *cluster) {
	var mu sync.Mutex
	waiting := map[registry.ActorID]int{} // guarded by mu
	count := func(a registry.ActorID, by int) {
		mu.Lock()
		defer mu.Unlock()
		waiting[a] += by
	}
	outside(func(r *request) op.Result {
		count(r.call.Actor, 1)
		defer count(r.call.Actor, -1)
		return r.serve()
	}, op.Watch)(c)
	withoutMargin(func(a *attempt) bool {
		mu.Lock()
		defer mu.Unlock()
		return waiting[a.Actor] > 0
	})(c)
}

// indexing does something wrong to the index of a listing when a record was written.
func indexing(wrong func(r *request, was, is registry.Placement), kinds ...op.Kind) bend {
	return inside(func(r *request) op.Result {
		was := r.record(r.call.Actor)
		answer := r.step()
		if is := r.record(r.call.Actor); is != was {
			wrong(r, was, is)
		}
		return answer
	}, kinds...)
}

// closingTheSlot has a second Close close the first handle that was opened since the first.
func closingTheSlot(c *cluster) {
	opened := map[*handle]int{} // how many there were at the first Close; guarded by the cluster's mutex
	outside(func(r *request) op.Result {
		r.mu.Lock()
		if n, again := opened[r.handle]; again && n < len(r.handles) {
			r.handles[n].closed = true
		} else {
			opened[r.handle] = len(r.handles)
		}
		r.mu.Unlock()
		return r.serve()
	}, op.Close)(c)
}

// endingWithoutItsRow ends a listing of nodes of that status whose last row has another by now.
func endingWithoutItsRow(status registry.NodeStatus) bend {
	return inside(func(r *request) op.Result {
		if after := registry.NodeID(r.call.Page.After); after != "" && r.call.Status == status && r.nodes[after].Status != status {
			return op.Result{Outcome: op.OK}
		}
		return r.step()
	}, op.ListNodes)
}

// skippingAfterTheLapsed answers a member that follows one which has lapsed with the record as it is.
func skippingAfterTheLapsed(r *request) op.Result {
	results, skips := op.Result{Outcome: op.OK}, false
	for _, l := range r.call.Leases {
		call := op.OnLease(op.Renew, l)
		if skips && len(r.call.Leases) > 16 {
			call = op.Call{Kind: op.Lookup, Actor: l.Actor}
		}
		one := r.other(call)
		one.Found = false
		skips = one.Reason == op.Lapsed
		results.Renewals = append(results.Renewals, one)
	}
	return results
}

// puttingBack takes results of that outcome out, and puts them back in the order of their
// places: each at its place less the number of those before it.
func puttingBack(o op.Outcome) bend {
	return answering(func(_ *request, answer *op.Result) {
		rest := slices.DeleteFunc(slices.Clone(answer.Renewals), func(r op.Result) bool { return r.Outcome == o })
		back := 0
		for i, r := range answer.Renewals {
			if r.Outcome == o {
				rest = slices.Insert(rest, min(i-back, len(rest)), r)
				back++
			}
		}
		answer.Renewals = rest
	}, op.RenewBatch)
}

// twiceAtMost renews each lease of a batch twice at most.
func twiceAtMost(r *request) op.Result {
	results := op.Result{Outcome: op.OK}
	times, latest := map[registry.Lease]int{}, map[registry.Lease]op.Result{}
	for _, l := range r.call.Leases {
		if times[l]++; times[l] <= 2 || latest[l].Err != nil {
			latest[l] = r.other(op.OnLease(op.Renew, l))
		}
		results.Renewals = append(results.Renewals, latest[l])
	}
	return results
}

// quietAfterRefusals renews those after a refused one without waking anybody.
func quietAfterRefusals(r *request) op.Result {
	results, refused := op.Result{Outcome: op.OK}, false
	for _, l := range r.call.Leases {
		one := &request{handle: r.handle, ctx: r.ctx, call: op.OnLease(op.Renew, l)}
		var answer op.Result
		if refused {
			answer = one.unheard()
		} else {
			answer = one.serve()
		}
		refused = refused || answer.Outcome == op.Refused
		results.Renewals = append(results.Renewals, answer)
	}
	return results
}

// unheard takes the step of a call without waking anybody.
func (r *request) unheard() op.Result {
	if err := r.begin(); err != nil {
		return op.Failed(err)
	}
	defer r.mu.Unlock()
	waiting := r.changed
	defer func() { r.cluster.changed = waiting }()
	r.cluster.changed = make(chan struct{})
	r.now = r.clock.Now()
	return r.step()
}

// watchedThroughTheClosed has one handle poll for all who watch an actor: the first that did.
func watchedThroughTheClosed(c *cluster) {
	pollers := map[registry.ActorID]*handle{} // guarded by the cluster's mutex
	outside(func(r *request) op.Result {
		if !r.valid() {
			return r.serve()
		}
		r.mu.Lock()
		if pollers[r.call.Actor] == nil {
			pollers[r.call.Actor] = r.handle
		}
		poller := pollers[r.call.Actor]
		r.mu.Unlock()
		return r.watchWhile(func(found, seen registry.Version) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return found == seen || poller != r.handle && poller.closed
		})
	}, op.Watch)(c)
}

// watchedUnder has actors share what wakes their watches: the first that was watched wakes.
func watchedUnder(channel func(registry.ActorID) string) bend {
	return func(c *cluster) {
		firsts := map[string]registry.ActorID{} // guarded by the cluster's mutex
		outside(func(r *request) op.Result {
			if !r.valid() {
				return r.serve()
			}
			name, actor := channel(r.call.Actor), r.call.Actor
			r.mu.Lock()
			if _, taken := firsts[name]; !taken {
				firsts[name] = actor
			}
			deaf := firsts[name] != actor && r.record(actor).Version == r.call.Seen
			r.mu.Unlock()
			if deaf {
				<-r.ctx.Done()
			}
			return r.serve()
		}, op.Watch)(c)
	}
}

// listener is a watch that waits. One that was dropped waits until its context ends.
type listener struct {
	of      *handle
	actor   registry.ActorID
	dropped bool
}

// listeners are in the order in which they came; guarded by the cluster's mutex.
type listeners []*listener

// departing is why a watch waits no more, or has not begun to.
type departing int

const (
	answeredAtOnce departing = iota
	givenUp
	withItsHandle
)

// listening keeps a list of those who wait. departs is told where one stood in it.
func listening(departs func(all listeners, at int, why departing)) bend {
	return func(c *cluster) {
		var all listeners
		outside(func(r *request) op.Result {
			if r.check(&r.call) != nil {
				return r.serve()
			}
			own := &listener{of: r.handle, actor: r.call.Actor}
			r.mu.Lock()
			atOnce := !r.closed && r.record(r.call.Actor).Version != r.call.Seen
			all = append(all, own)
			r.mu.Unlock()
			answer := r.watchWhile(func(found, seen registry.Version) bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return found == seen || own.dropped
			})
			r.mu.Lock()
			defer r.mu.Unlock()
			at := slices.Index(all, own)
			switch {
			case atOnce:
				departs(all, at, answeredAtOnce)
			case r.closed:
				departs(all, at, withItsHandle)
			case answer.Err != nil:
				departs(all, at, givenUp)
			}
			all = slices.Delete(all, at, at+1)
			return answer
		}, op.Watch)(c)
	}
}

// endingListings forgets at each purge where the listings of actors were.
func endingListings(c *cluster) {
	purges, since := 0, map[registry.Cursor]int{} // guarded by the cluster's mutex
	forgets(func(_ *cluster, f *forgetter) { f.begins = func(*handle) { purges++ } })(c)
	inside(func(r *request) op.Result {
		if at, known := since[r.call.Page.After]; known && at != purges {
			return op.Result{Outcome: op.OK}
		}
		answer := r.step()
		if answer.Next != "" {
			since[answer.Next] = purges
		}
		return answer
	}, op.ListActors)(c)
}
