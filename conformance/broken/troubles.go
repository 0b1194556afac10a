package broken

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes that show when something goes wrong, and in optional powers.
var troubles = []Variant{
	{
		ID: "M106", Slug: "unavailable-but-applied",
		Section: "faults",
		Title:   "an operation whose answer was lost is reported as ErrUnavailable",
		Doc:     "Contract, section 3: ErrUnavailable says that nothing happened. The claimer forgets a lease that it holds.",
		Breaks:  untold,
		bends: answering(func(_ *request, answer *op.Result) {
			if answer.Outcome == op.Settled {
				*answer = op.Failed(registry.ErrUnavailable)
			}
		}, tenureCalls...),
	},
	{
		ID: "M107", Slug: "timeout-but-applied",
		Section: "faults",
		Title:   "an operation whose answer was lost is reported as the context's error alone",
		Doc:     "Contract, section 3: the context's error is told apart from ambiguous, and without it says that nothing happened.",
		Breaks:  append(rules(conformance.ContextThird, conformance.ContextOwn), untold...),
		bends: answering(func(_ *request, answer *op.Result) {
			if answer.Outcome == op.Settled {
				*answer = op.Failed(context.DeadlineExceeded)
			}
		}, tenureCalls...),
	},
	{
		ID: "M108", Slug: "late-called-settled",
		Section: "faults",
		Title:   "an operation that may still apply is reported as settled",
		Doc:     "A cancelled commit of FoundationDB can land later; commit_unknown_result cannot. The claimer reads the record, finds nothing, and is placed a moment later.",
		Breaks:  untold,
		bends: answering(func(_ *request, answer *op.Result) {
			if late := new(registry.AmbiguousError); errors.As(answer.Err, &late) {
				*answer = op.Failed(&registry.AmbiguousError{Cause: late.Cause})
			}
		}, tenureCalls...),
	},
	{
		ID: "M109", Slug: "success-before-landing",
		Section: "faults",
		Title:   "a release is reported as done before its retry has landed",
		Doc:     "The write goes to a queue that retries, and the caller is told that all is well. The request that was lost never happens at all.",
		Breaks:  append(rules("Release.granted"), untold...),
		bends: answering(func(_ *request, answer *op.Result) {
			if answer.Outcome.Ambiguous() {
				*answer = op.Failed(nil)
			}
		}, op.Release),
	},
	{
		ID: "M110", Slug: "heartbeat-failure-surrenders",
		Section: "faults",
		Title:   "one heartbeat that fails gives up all leases of the node",
		Doc:     "The handle takes an error of its own heartbeat for the end of its membership and cleans up after itself, while the runtime above goes on serving.",
		Breaks:  untold,
		bends:   answering(surrendering, op.Heartbeat),
	},
	{
		ID: "M269", Slug: "validate-fails-open",
		Section: "faults", Case: "reads",
		Title:  "a token that cannot be checked is held to be good",
		Doc:    "An error of the store lets the caller go on, so that an outage stops nobody. A zombie's write passes while the store is down.",
		Breaks: rules(conformance.NoStaleWrite, conformance.Linearizability),
		bends:  whenUnreadable(op.Result{Outcome: op.OK}, op.Validate),
	},
	{
		ID: "M270", Slug: "unreadable-is-not-there",
		Section: "faults", Case: "reads",
		Title:  "an actor whose record cannot be read is told not to be there",
		Doc:    "Contract, section 2: a record is never deleted. An error of the store taken for a missing row invites whoever asks to begin anew.",
		Breaks: rules(conformance.RawLookup, conformance.VersionBump, conformance.Linearizability),
		bends:  whenUnreadable(op.Result{Outcome: op.OK}, op.Lookup),
	},
	{
		ID: "M271", Slug: "unreadable-is-empty",
		Section: "faults", Case: "reads",
		Title:  "a listing that cannot be read is answered as the last page, without a row",
		Doc:    "Whoever drains a node is told that nothing is left on it.",
		Breaks: rules("ListActors.answered", "ListNodes.answered", conformance.Linearizability),
		bends:  whenUnreadable(op.Result{Outcome: op.OK}, op.ListActors, op.ListNodes),
	},
	{
		ID: "M111", Slug: "released-records-lost",
		Section: "durable",
		Title:   "a restart forgets the records of released actors",
		Doc:     "Contract, section 2: a record is never deleted. The snapshot holds the placements in force only, so that tokens start again at 1.",
		Breaks:  rules(conformance.Durability, conformance.TokenMonotonic),
		bends: losing(func(c *cluster) {
			maps.DeleteFunc(c.records, func(_ string, r registry.Placement) bool { return !r.Held() })
		}),
	},
	{
		ID: "M112", Slug: "membership-is-volatile",
		Section: "durable",
		Title:   "a restart forgets the nodes, and epochs start again at 1",
		Doc:     "Contract, section 4, 7: epochs never go back. The actors were thought to be the state, the nodes would come back by themselves.",
		Breaks:  rules(conformance.Durability, conformance.EpochFresh),
		bends:   losing(func(c *cluster) { clear(c.nodes) }),
	},
	{
		ID: "M113", Slug: "renewals-not-synced",
		Section: "durable",
		Title:   "a restart loses the last renewal of a lease",
		Doc:     "Contract, section 4, 7: whatever was acknowledged survives. Renewals are many and were written without waiting for the disk.",
		Breaks:  rules(conformance.Durability, conformance.SingleActivation, conformance.VersionBump),
		bends:   renewalsNotSynced,
	},
	{
		ID: "M114", Slug: "batch-stops-at-failure",
		Section: "contract",
		Title:   "a batch of renewals ends at the first refusal",
		Doc:     "Contract, BatchRenewer: each lease is renewed as Renew would. One fenced lease costs the node all that come after it.",
		Breaks:  rules(conformance.BatchAsSingle),
		bends:   outside(stoppingAtFailure, op.RenewBatch),
	},
	{
		ID: "M115", Slug: "batch-without-failures",
		Section: "contract",
		Title:   "a batch of renewals returns the renewed leases only",
		Doc:     "Contract, BatchRenewer: one result per lease, in order. The caller attributes the results by place and keeps a lease it has lost.",
		Breaks:  rules(conformance.BatchAsSingle),
		bends: answering(func(_ *request, answer *op.Result) {
			answer.Renewals = slices.DeleteFunc(answer.Renewals, func(renewal op.Result) bool { return renewal.Err != nil })
		}, op.RenewBatch),
	},
	{
		ID: "M116", Slug: "watch-waits-for-the-next",
		Section: "contract",
		Title:   "a watch waits for the next change even when the version differs already",
		Doc:     "Contract, Watcher: at once when it already does. The change between the read and the watch is missed.",
		Breaks:  rules(conformance.WatchWakes),
		bends:   outside(waitingForTheNext, op.Watch),
	},
	{
		ID: "M117", Slug: "watch-misses-releases",
		Section: "contract",
		Title:   "a watch does not wake for a release",
		Doc:     "Contract, Watcher: the last version is never missed. Those who wait for the actor wait for the very change that is not told.",
		Breaks:  rules(conformance.WatchWakes),
		bends:   outside(waitingPast(func(p registry.Placement) bool { return !p.Held() }), op.Watch),
	},
	{
		ID: "M118", Slug: "declares-what-it-lacks",
		Section:  "contract",
		Title:    "the backend declares batches and watches that it does not have",
		Doc:      "F14 by declaration: without a look at what is there, everything that the sections skip would count as promised and kept.",
		Breaks:   rules(conformance.Declared),
		bends:    func(c *cluster) { c.powers = op.Powers{} },
		declares: conformance.Capabilities(),
	},
	{
		ID: "M119", Slug: "answers-before-sync",
		Section: "durable",
		Title:   "a write is answered when it is queued for the disk",
		Doc:     "Contract, section 4, 7: whatever was acknowledged survives. The disk is synced every few writes, for throughput, and nobody waits for it.",
		Breaks:  rules(conformance.Durability, conformance.TokenMonotonic, conformance.EpochFresh, conformance.VersionBump),
		bends:   syncedEveryThird,
	},
	{
		ID: "M120", Slug: "watch-wakes-one",
		Section: "contract",
		Title:   "a change wakes one of those who watch the actor",
		Doc:     "Contract, Watcher: each watch returns. The notification is put into a channel of one place, and the first to come takes it.",
		Breaks:  rules(conformance.WatchWakes),
		bends:   wakingOne,
	},
	{
		ID: "M121", Slug: "leaving-takes-the-watch-down",
		Section: "contract",
		Title:   "a watch that is cancelled takes the actor's other watches down with it",
		Doc:     "Contract, Watcher: one caller's context says nothing about another's. The entry that all waiters of an actor share goes with the first of them.",
		Breaks:  rules(conformance.WatchWakes),
		bends:   subscribing(whenCancelled),
	},
	{
		ID: "M122", Slug: "late-leave-takes-the-next-watch",
		Section: "contract",
		Title:   "a watch that was answered unsubscribes when its context ends, by the actor's name",
		Doc:     "Contract, Watcher. The cleanup runs with the caller's deferred cancel, long after the wake-up, and meets the subscription of whoever waits by then.",
		Breaks:  rules(conformance.WatchWakes),
		bends:   subscribing(onceAnswered),
	},
	{
		ID: "M280", Slug: "shown-before-sync",
		Section: "durable", Case: "shown",
		Title:  "records are shown to others before they are on the disk",
		Doc:    "Contract, section 4, 7. Who writes waits for the disk, who reads does not: a restart takes back what others have gone by.",
		Breaks: append(rules(conformance.Durability, "Claim.held", "Claim.repeated"), interleaved...),
		bends:  savedLater(slices.Concat(tenureCalls, []op.Kind{op.RenewBatch})...),
	},
	{
		ID: "M281", Slug: "batches-not-synced",
		Section: "durable", Case: "many-writes",
		Title:  "renewals in a batch are not written to the disk",
		Doc:    "Contract, section 4, 7: whatever was acknowledged survives. The batch has a way of its own, and the disk was forgotten on it.",
		Breaks: rules(conformance.Durability),
		bends:  savedLater(op.Renew),
	},
	{
		ID: "M344", Slug: "unavailable-until-the-log-is-read",
		Section: "durable", Case: "in-trouble",
		Title:  "what failed with ErrUnavailable is in the log, and a restart carries it out",
		Doc:    "Contract, section 3, 24: nothing happened. The request was logged before there was no leader to answer it, and nobody took it out again.",
		Breaks: untold,
		bends:  replaying(func(answer op.Result) bool { return errors.Is(answer.Err, registry.ErrUnavailable) }),
	},
	{
		ID: "M345", Slug: "settled-until-the-log-is-read",
		Section: "durable", Case: "in-trouble",
		Title:  "what was settled is carried out again by a restart",
		Doc:    "Contract, section 3, 24: it will not happen later than now. As M344, of a request whose answer was lost.",
		Breaks: untold,
		bends:  replaying(func(answer op.Result) bool { return answer.Outcome == op.Settled }),
	},
	{
		ID: "M282", Slug: "unknown-outcome-wakes-nobody",
		Section: "faults", Case: "watches",
		Title:  "a change whose outcome is unknown wakes no watch",
		Doc:    "Contract, Watcher: whoever waits is told once. The call that wakes is the last line of the good way.",
		Breaks: rules(conformance.WatchWakes),
		bends:  wakingOnceAnswered,
	},
	{
		ID: "M284", Slug: "watchers-told-before-sync",
		Section: "durable", Case: "shown-watches",
		Title:  "who waits for a record is told of a change before it is on the disk",
		Doc:    "As M280, though every read waits for the disk: the watch is woken from memory, by the write itself.",
		Breaks: append(rules(conformance.Durability, "Claim.held", "Claim.repeated"), interleaved...),
		bends:  savedBefore([]op.Kind{op.Lookup, op.Validate, op.ListActors}, slices.Concat(tenureCalls, []op.Kind{op.RenewBatch})...),
	},
	{
		ID: "M283", Slug: "members-shown-before-sync",
		Section: "durable", Case: "shown-members",
		Title:  "registrations are shown to others before they are on the disk",
		Doc:    "As M280. An epoch that others have seen is given out a second time.",
		Breaks: rules(conformance.Durability, conformance.Linearizability, conformance.EpochFresh),
		bends:  savedLater(memberCalls...),
	},
}

var (
	tenureCalls = []op.Kind{op.Claim, op.Renew, op.Release, op.Transfer}
	memberCalls = []op.Kind{op.RegisterNode, op.Heartbeat, op.MarkFailed, op.DeregisterNode}
)

// replaying has a crash carry out once more what was answered so.
func replaying(when func(op.Result) bool) bend {
	return func(c *cluster) {
		var log []*request // guarded by the cluster's mutex
		outside(func(r *request) op.Result {
			answer := r.serve()
			if when(answer) {
				r.mu.Lock()
				defer r.mu.Unlock()
				again := *r
				again.now = r.clock.Now()
				log = append(log, &again)
			}
			return answer
		}, op.Claim, op.Renew, op.Release, op.Transfer)(c)
		losing(func(*cluster) {
			for _, r := range log {
				r.step()
			}
			log = nil
		})(c)
	}
}

func surrendering(r *request, answer *op.Result) {
	if answer.Outcome.Ambiguous() || answer.Outcome == op.Unavailable {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.free(r.call.Node)
	}
}

// renewalsNotSynced renews in memory only.
func renewalsNotSynced(c *cluster) {
	onDisk := map[string]registry.Placement{} // what was there before the last renewal
	inside(func(r *request) op.Result {
		before := r.record(r.call.Actor)
		answer := r.step()
		if answer.Outcome == op.OK {
			onDisk[r.key(r.call.Actor)] = before
		}
		return answer
	}, op.Renew)(c)
	losing(func(c *cluster) {
		for key, r := range onDisk {
			if c.records[key].Version == r.Version+1 {
				c.records[key] = r
			}
		}
	})(c)
}

// syncedEveryThird writes in memory, and with every third call to the disk.
func syncedEveryThird(c *cluster) {
	disk, writes := c.state.clone(), 0
	outside(func(r *request) op.Result {
		answer := r.serve()
		r.mu.Lock()
		defer r.mu.Unlock()
		if writes++; writes%3 == 0 {
			disk = r.state.clone()
		}
		return answer
	}, op.Claim, op.Renew, op.Release, op.Transfer, op.RegisterNode, op.Heartbeat)(c)
	losing(func(c *cluster) { c.state = disk.clone() })(c)
}

func stoppingAtFailure(r *request) op.Result {
	results := op.Result{Outcome: op.OK}
	var renewed op.Result
	for _, l := range r.call.Leases {
		if renewed.Err == nil {
			renewed = r.other(op.OnLease(op.Renew, l))
		}
		results.Renewals = append(results.Renewals, renewed)
	}
	return results
}

func waitingForTheNext(r *request) op.Result {
	found := r.other(op.Call{Kind: op.Lookup, Actor: r.call.Actor})
	if found.Err != nil {
		return found
	}
	r.call.Seen = found.Record.Version
	return r.serve()
}

// wakingOne lets a version wake one watch.
func wakingOne(c *cluster) {
	taken := map[registry.ActorID]registry.Version{}
	outside(func(r *request) op.Result {
		for waited := false; ; waited = true {
			if err := r.begin(); err != nil {
				return op.Failed(err)
			}
			actor := r.call.Actor
			found, changed := r.record(actor), r.changed
			mine := found.Version != r.call.Seen && (!waited || taken[actor] != found.Version)
			if mine && waited {
				taken[actor] = found.Version
			}
			r.mu.Unlock()
			if mine {
				return op.Result{Outcome: op.OK, Record: found}
			}
			r.wait(changed)
		}
	}, op.Watch)(c)
}

// subscription is what all who wait for an actor share until its next change.
type subscription struct{ down bool }

// subscriptions are guarded by the cluster's mutex.
type subscriptions map[registry.ActorID]*subscription

func (s subscriptions) drop(actor registry.ActorID) {
	if sub := s[actor]; sub != nil {
		sub.down = true
		delete(s, actor)
	}
}

// When a watch takes the actor's subscription down that is there by then,
// whosever it is.
type departure int

const (
	whenCancelled departure = iota
	onceAnswered            // when its context ends after that
)

// subscribing watches by subscriptions.
func subscribing(when departure) bend {
	return func(c *cluster) {
		subs := subscriptions{}
		outside(func(r *request) op.Result { return r.subscribed(subs, when) }, op.Watch)(c)
	}
}

func (r *request) subscribed(subs subscriptions, when departure) op.Result {
	for {
		if err := r.begin(); err != nil {
			return op.Failed(err)
		}
		found, changed, own := r.record(r.call.Actor), r.changed, subs[r.call.Actor]
		if found.Version == r.call.Seen && own == nil {
			own = new(subscription)
			subs[r.call.Actor] = own
		}
		r.mu.Unlock()
		if found.Version != r.call.Seen {
			return op.Result{Outcome: op.OK, Record: found}
		}
		r.wait(changed)
		if down := r.leave(subs, own, when); down {
			<-r.ctx.Done() // there is nothing left that could wake it
		}
	}
}

// leave ends a wait and reports whether its subscription had been taken down.
func (r *request) leave(subs subscriptions, own *subscription, when departure) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	actor := r.call.Actor
	woken := r.record(actor).Version != r.call.Seen
	if woken && subs[actor] == own {
		delete(subs, actor)
	}
	switch {
	case when == whenCancelled && r.ctx.Err() != nil:
		subs.drop(actor)
	case when == onceAnswered && woken:
		context.AfterFunc(r.ctx, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			subs.drop(actor)
		})
	}
	return own.down
}

// whenUnreadable is what calls are answered that the store does not let read.
func whenUnreadable(with op.Result, kinds ...op.Kind) bend {
	return answering(func(_ *request, answer *op.Result) {
		if answer.Outcome == op.Unavailable {
			*answer = with
		}
	}, kinds...)
}

// savedLater has calls of these kinds reach the disk before they are answered, but
// after others may have seen their effect.
func savedLater(kinds ...op.Kind) bend { return savedBefore(nil, kinds...) }

// savedBefore is savedLater, and has what these reads show be on the disk before.
func savedBefore(reads []op.Kind, kinds ...op.Kind) bend {
	return func(c *cluster) {
		disk, life := newState(c.key), 0
		losing(func(c *cluster) { life++; c.state = disk.clone() })(c)
		inside(func(r *request) op.Result {
			answer := r.step()
			if !slices.Contains(kinds, r.call.Kind) {
				r.save(&disk)
			}
			return answer
		}, slices.Concat(tenureCalls, memberCalls, reads)...)(c)
		outside(func(r *request) op.Result {
			r.mu.Lock()
			mine := life
			r.mu.Unlock()
			answer := r.serve()
			r.at("shown")
			runtime.Gosched()
			r.mu.Lock()
			defer r.mu.Unlock()
			if life == mine {
				r.save(&disk)
			}
			return answer
		}, kinds...)(c)
	}
}

// save writes to the disk what the call was about.
func (r *request) save(disk *state) {
	switch {
	case r.call.Kind.OfNode():
		if n, found := r.nodes[r.call.Node.ID]; found {
			disk.nodes[n.Ref.ID] = n
		}
	case r.call.Kind == op.RenewBatch:
		for _, l := range r.call.Leases {
			r.saveRecord(disk, l.Actor)
		}
	case r.call.Kind == op.ListActors:
		for key := range r.held[r.call.Node] {
			disk.put(r.records[key])
		}
	default:
		r.saveRecord(disk, r.call.Actor)
	}
}

func (r *request) saveRecord(disk *state, a registry.ActorID) {
	if rec := r.record(a); rec.Version != 0 {
		disk.put(rec)
	}
}

// wakingOnceAnswered wakes watches after a call that was answered.
func wakingOnceAnswered(c *cluster) {
	told := make(chan struct{})
	tell := func(c *cluster) { // with its mutex held
		close(told)
		told = make(chan struct{})
	}
	losing(tell)(c)
	outside(func(r *request) op.Result {
		answer := r.serve()
		r.mu.Lock()
		defer r.mu.Unlock()
		if answer.Err == nil {
			tell(r.cluster)
		}
		return answer
	}, slices.Concat(tenureCalls, []op.Kind{op.RenewBatch, op.Close})...)(c)
	outside(func(r *request) op.Result {
		for {
			r.mu.Lock()
			next := told
			r.mu.Unlock()
			found := r.other(op.Call{Kind: op.Lookup, Actor: r.call.Actor})
			if found.Err != nil || found.Record.Version != r.call.Seen {
				return op.Result{Outcome: found.Outcome, Reason: found.Reason, Err: found.Err, Record: found.Record}
			}
			r.wait(next)
		}
	}, op.Watch)(c)
}
