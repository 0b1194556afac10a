package broken

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Mistakes that show for the second of something, or for one of the ways in which a
// tenure, a registration or a call comes about. All others go well.
var seconds = slices.Concat(
	alike(
		Variant{
			Section: "contract", Case: "every-tenure",
			Doc: "A guard that asks more than the contract does, or less, for tenures of one kind. It was tried with one that was claimed once and is held by an active node.",
		},
		Variant{
			ID: "M285", Slug: "batches-of-those-who-left",
			Title:  "a lease is not renewed in a batch once its holder's node has left",
			Breaks: rules(conformance.BatchAsSingle),
			bends:  outside(batchOf(func(r *request, a attempt) bool { return r.nodes[a.Call.Node.ID].Status != registry.NodeLeft }), op.RenewBatch),
		},
		Variant{
			ID: "M286", Slug: "successor-renews-in-grace",
			Title:  "in grace a node's next incarnation may renew, under the token of the one before",
			Breaks: rules("Renew.not-held"),
			bends: judging(func(a *attempt) {
				if before := a.Record.Holder; a.now >= a.Record.Expiry && a.Call.Node.ID == before.ID && a.Call.Node.Epoch == before.Epoch+1 {
					a.Call.Node = before
				}
			}, op.Renew),
		},
		Variant{
			ID: "M287", Slug: "giver-takes-back",
			Title:  "who has handed an actor over may claim it after grace, without the margin of 2ε",
			Breaks: rules(conformance.GraceRespected, conformance.SingleActivation, "Claim.held"),
			bends:  giverTakesBack,
		},
		Variant{
			ID: "M288", Slug: "repeated-by-members-only",
			Title:  "a release is repeated for a node that is active only",
			Breaks: rules("Release.repeated"),
			bends: repeating(func(a attempt) bool {
				return specified.repeats(a) && a.by.nodes[a.Call.Node.ID].Standing(a.Call.Node) == registry.StandingActive
			}, op.Release),
		},
	),
	alike(
		Variant{
			Section: "contract", Case: "lease-fields",
			Doc: "Contract, Lease: Renew, Release and Transfer go by Actor, Holder and Token. The rest is what was true when it was answered.",
		},
		Variant{
			ID: "M289", Slug: "renewal-by-claim-id",
			Title:  "a renewal demands the claim id of the lease it is given",
			Breaks: rules("Renew.granted", conformance.BatchAsSingle),
			bends:  demanding(func(a attempt) bool { return a.Call.ClaimID == a.Record.ClaimID }, op.Renew),
		},
		Variant{
			ID: "M290", Slug: "hand-over-by-known-expiry",
			Title:  "a transfer is refused when the lease that is presented has run out, whatever it was renewed to",
			Breaks: rules("Transfer.granted"),
			bends:  demanding(func(a attempt) bool { return a.now < a.Call.Expiry }, op.Transfer),
		},
		Variant{
			ID: "M291", Slug: "version-from-the-future",
			Title:  "a release is refused when the lease's version is higher than the record's",
			Breaks: rules("Release.granted"),
			bends:  demanding(func(a attempt) bool { return a.Call.Version <= a.Record.Version }, op.Release),
		},
	),
	alike(
		Variant{
			Section: "contract", Case: "claim-repeats",
			Doc: "Contract, section 3, 2: a claim is repeated under its ClaimID, which is 128 bits, by its holder, of this actor, and as long as it was granted.",
		},
		Variant{
			ID: "M292", Slug: "claim-ids-as-text",
			Title:  "claim ids are stored as text, in which bytes that are none are all the same",
			Breaks: rules("Claim.held"),
			bends: repeating(func(a attempt) bool {
				if idAsText(a.Call.ClaimID) == idAsText(a.Record.ClaimID) {
					a.Record.ClaimID = a.Call.ClaimID
				}
				return specified.repeats(a)
			}, op.Claim),
		},
		Variant{
			ID: "M293", Slug: "one-claim-id-one-actor",
			Title:  "a claim is refused whose id was granted another actor",
			Breaks: rules("Claim.granted", conformance.NamesDistinct, conformance.ErrorIdentity),
			bends:  uniqueClaimIDs,
		},
		Variant{
			ID: "M294", Slug: "refusals-repeated",
			Title:  "a claim that was refused is refused again under its id, whatever has become of the actor",
			Breaks: rules("Claim.granted", conformance.RefusalTruthful),
			bends:  refusalsRepeated,
		},
	),
	[]Variant{
		{
			ID: "M295", Slug: "silence-from-the-latest-reading",
			Section: "membership", Case: "mark-failed-boundaries",
			Title:  "a node's silence is counted from the latest reading that it was ever seen at",
			Doc:    "Contract, section 3, 15: a heartbeat sets last-seen to the reading, also when that is earlier. The detector keeps a time of its own, which only grows.",
			Breaks: rules("MarkFailed.granted"),
			bends:  silentSinceTheLatest,
		},
		{
			ID: "M296", Slug: "answers-without-the-instance",
			Section: "membership", Case: "register-repeats",
			Title:  "a registration is answered without its instance",
			Doc:    "Contract, section 3, 14. The row is right; the answer is put together from what the client needs.",
			Breaks: rules("RegisterNode.granted"),
			bends:  answering(func(_ *request, answer *op.Result) { answer.Node.Info.Instance = registry.InstanceID{} }, op.RegisterNode),
		},
		{
			ID: "M297", Slug: "instances-on-the-first-page",
			Section: "membership", Case: "list-nodes",
			Title:  "pages after the first tell no instances",
			Doc:    "The query of the next page is another than that of the first, and a column was added to one.",
			Breaks: rules("ListNodes.answered"),
			bends: answering(func(r *request, answer *op.Result) {
				for i := range answer.Nodes {
					if r.call.Page.After != "" {
						answer.Nodes[i].Info.Instance = registry.InstanceID{}
					}
				}
			}, op.ListNodes),
		},
		{
			ID: "M298", Slug: "handed-over-and-gone",
			Section: "contract", Case: "listing",
			Title:  "the listing of a node that is gone lacks what was handed to it",
			Doc:    "Contract, section 3, 18: its actors stay its own until they lapse. The join of records and nodes is an inner one where the record has no claim.",
			Breaks: rules("ListActors.answered"),
			bends: answering(func(r *request, answer *op.Result) {
				r.mu.Lock()
				defer r.mu.Unlock()
				if r.nodes[r.call.Node.ID].Standing(r.call.Node) != registry.StandingActive {
					answer.Actors = slices.DeleteFunc(answer.Actors, func(p registry.Placement) bool { return p.ClaimID.IsZero() })
				}
			}, op.ListActors),
		},
		{
			ID: "M299", Slug: "batches-shorten",
			Section: "contract", Case: "renew-batch",
			Title:  "a batch by a slower clock shortens leases",
			Doc:    "Contract, section 3, 4: the expiry never moves back. Renew takes the later of both, the batch has a statement of its own.",
			Breaks: rules(conformance.BatchAsSingle),
			bends: outside(batchOf(func(r *request, a attempt) bool {
				a.Record = reference.RenewEffect(r.cfg, a.Record, r.now)
				a.Record.Expiry = r.now.Add(r.cfg.TTL)
				r.put(a.Record)
				return true
			}), op.RenewBatch),
		},
	},
	alike(
		Variant{
			Section: "concurrent",
			Doc:     "Contract, section 3: an operation takes effect between call and return. Whoever joins a read that is under way is told what was before he asked.",
			Breaks:  rules(conformance.Linearizability, conformance.TokenMonotonic, conformance.EpochFresh, conformance.NoStaleWrite),
		},
		Variant{
			ID: "M300", Slug: "listings-joined",
			Case:  "reads",
			Title: "equal listings at the same time are read once",
			bends: joined(func(c op.Call) string { return fmt.Sprint(c.Node, c.Page) }, op.ListActors),
		},
		Variant{
			ID: "M317", Slug: "node-reads-joined",
			Case:  "member-reads",
			Title: "equal reads of a node at the same time are made once",
			bends: joined(func(c op.Call) string { return string(c.Node.ID) }, op.GetNode),
		},
	),
	[]Variant{
		{
			ID: "M318", Slug: "receiver-checked-before",
			Section: "concurrent", Case: "newcomers",
			Title:  "a receiver's standing is checked before the step that hands over",
			Doc:    "As M18, by a transfer. The receiver leaves in between, and holds an actor that it was refused the moment before.",
			Breaks: rules(conformance.Linearizability),
			bends:  memberReadBefore(func(_, _ registry.Node) bool { return true }, op.Transfer),
		},
	},
	alike(
		Variant{
			Section: "handles", Breaks: rules(conformance.WatchWakes),
			Doc: "Contract, Watcher: a watch returns as soon as the version differs, whoever changed the record and how, and not before.",
		},
		Variant{
			ID: "M319", Slug: "hand-over-to-a-successor-untold",
			Case:  "watch-lifetimes",
			Title: "no watch wakes when an actor is handed to a later incarnation",
			bends: outside(waitingPast(func(p registry.Placement) bool { return p.ClaimID.IsZero() && p.Holder.Epoch > 1 }), op.Watch),
		},
		Variant{
			ID: "M320", Slug: "own-releases-untold",
			Case:  "watch-lifetimes",
			Title: "a watch does not wake for a release through its own handle",
			bends: ownReleasesUntold,
		},
		Variant{
			ID: "M321", Slug: "refused-releases-told",
			Case:  "watch-others",
			Title: "a release that is refused wakes the actor's watches",
			bends: refusedReleasesTold,
		},
		Variant{
			ID: "M322", Slug: "handed-over-before-the-crash",
			Case:  "watch-crash",
			Title: "after a restart no watch wakes for an actor that was handed over before",
			bends: untoldAfterCrash,
		},
	),
	alike(
		Variant{
			Section: "handles", Case: "left-behind", Breaks: rules(conformance.CloseFrees),
			Doc: "A goroutine that keeps alive what a call began, and that Close does not know of.",
		},
		Variant{
			ID: "M323", Slug: "registration-kept-alive",
			Title: "a registration starts a goroutine that nobody stops",
			bends: leaking(func(c op.Call, r op.Result) bool { return c.Kind == op.RegisterNode && r.Err == nil }),
		},
		Variant{
			ID: "M324", Slug: "claims-kept-alive",
			Title: "a claim that is granted starts a goroutine that nobody stops",
			bends: leaking(func(c op.Call, r op.Result) bool { return c.Kind == op.Claim && r.Err == nil }),
		},
		Variant{
			ID: "M325", Slug: "calls-after-close-left-behind",
			Title: "a call on a closed handle leaves a goroutine that waits for it to open",
			bends: leaking(func(_ op.Call, r op.Result) bool { return r.Outcome == op.Closed }),
		},
	),
	[]Variant{
		{
			ID: "M326", Slug: "closed-twice-at-once",
			Section: "handles", Case: "close-at-once",
			Title:  "two Close at the same time close a channel twice",
			Doc:    "Contract, section 3: all operations are safe for concurrent use. The check that it is closed already is not one step with the closing.",
			Breaks: rules(conformance.CallsReturn),
			bends: perHandle(func() middle {
				var closed atomic.Bool
				ended := make(chan struct{})
				return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
					if c.Kind == op.Close && !closed.Load() {
						runtime.Gosched()
						closed.Store(true)
						close(ended)
					}
					return pass(ctx, h, c)
				}
			}),
		},
	},
)

// demanding is a guard that asks more of the lease that is presented, before all else.
func demanding(more func(attempt) bool, kinds ...op.Kind) bend {
	return guarding(func(a attempt) reference.Guard {
		if g := specified.guard(a); g != reference.Enabled || more(a) {
			return g
		}
		return reference.TenureHeld
	}, kinds...)
}

// batchOf renews the leases of a batch one after the other. write may write the renewal
// itself, and may say that it is not to be.
func batchOf(write func(*request, attempt) bool) func(*request) op.Result {
	return func(r *request) op.Result {
		results := op.Result{Outcome: op.OK}
		for _, l := range r.call.Leases {
			one := &request{handle: r.handle, ctx: r.ctx, call: op.OnLease(op.Renew, l)}
			results.Renewals = append(results.Renewals, one.renews(write))
		}
		return results
	}
}

func (r *request) renews(write func(*request, attempt) bool) op.Result {
	if err := r.begin(); err != nil {
		return op.Failed(err)
	}
	defer r.mu.Unlock()
	r.now = r.clock.Now()
	a := r.attempt()
	before := a.Record.Version
	d := r.law.decide(a)
	switch {
	case d != (reference.Decision{}):
	case !write(r, a):
		d.Guard = reference.TenureHeld
	case r.record(a.Actor).Version != before: // it has written
		a.Record = r.record(a.Actor)
	default:
		a.View = r.law.effect(a)
		r.put(a.Record)
	}
	return a.answer(d)
}

func giverTakesBack(c *cluster) {
	gave := map[registry.ActorID]registry.Placement{}
	leaving(func(before attempt, after *reference.View) {
		gave[before.Actor] = registry.Placement{Holder: before.Record.Holder, Token: after.Record.Token}
	}, op.Transfer)(c)
	withoutMargin(func(a *attempt) bool {
		g := gave[a.Actor]
		return g.Holder == a.Call.Node && g.Token == a.Record.Token
	})(c)
}

func idAsText(id registry.ClaimID) string { return strings.ToValidUTF8(string(id[:]), "\ufffd") }

func uniqueClaimIDs(c *cluster) {
	granted := map[registry.ClaimID]registry.ActorID{}
	inside(func(r *request) op.Result {
		if other, known := granted[r.call.ClaimID]; known && other != r.call.Actor {
			a := r.attempt()
			a.Record = r.record(other)
			return a.answer(reference.Decision{Guard: reference.Claimable})
		}
		answer := r.step()
		if answer.Err == nil {
			granted[r.call.ClaimID] = r.call.Actor
		}
		return answer
	}, op.Claim)(c)
}

func refusalsRepeated(c *cluster) {
	refused := map[registry.ClaimID]op.Result{}
	inside(func(r *request) op.Result {
		if answer, known := refused[r.call.ClaimID]; known {
			return answer
		}
		answer := r.step()
		if answer.Reason == op.Held {
			refused[r.call.ClaimID] = answer
		}
		return answer
	}, op.Claim)(c)
}

func silentSinceTheLatest(c *cluster) {
	latest := map[registry.NodeRef]registry.Instant{}
	leaving(func(before attempt, after *reference.View) {
		ref := after.Member.Ref
		latest[ref] = max(latest[ref], before.Member.LastSeen, after.Member.LastSeen)
	}, op.Heartbeat)(c)
	judging(func(a *attempt) { a.Member.LastSeen = max(a.Member.LastSeen, latest[a.Member.Ref]) }, op.MarkFailed)(c)
}

// joined answers calls of these kinds that are alike by the key as the first of them
// that is under way.
func joined(key func(op.Call) string, kinds ...op.Kind) bend {
	return func(c *cluster) {
		var underWay sync.Map // by key
		type flight struct {
			done   chan struct{}
			answer op.Result
		}
		outside(func(r *request) op.Result {
			if !r.valid() {
				return r.serve()
			}
			mine, at := &flight{done: make(chan struct{})}, key(r.call)
			if first, found := underWay.LoadOrStore(at, mine); found {
				<-first.(*flight).done
				return first.(*flight).answer
			}
			mine.answer = r.serve()
			runtime.Gosched() // the answer is on its way
			underWay.Delete(at)
			close(mine.done)
			return mine.answer
		}, kinds...)(c)
	}
}

// memberReadBefore goes by the registration that it read in a critical section before the
// step, where that one is good enough beside the one that is found in the step.
func memberReadBefore(goesBy func(read, found registry.Node) bool, kinds ...op.Kind) bend {
	return outside(func(r *request) op.Result {
		if err := r.begin(); err != nil {
			return op.Failed(err)
		}
		read := r.nodes[r.call.Party()]
		r.mu.Unlock()
		r.at("member read")
		runtime.Gosched()
		if err := r.begin(); err != nil {
			return op.Failed(err)
		}
		defer r.mu.Unlock()
		r.now = r.clock.Now()
		a := r.attempt()
		if goesBy(read, a.Member) {
			a.Member = read
		}
		return r.decided(a, r.law.decide(a))
	}, kinds...)
}

// waitingPast passes over the versions of which this is so.
func waitingPast(over func(registry.Placement) bool) func(*request) op.Result {
	return func(r *request) op.Result {
		for {
			answer := r.serve()
			if answer.Err != nil || !over(answer.Record) {
				return answer
			}
			r.call.Seen = answer.Record.Version
		}
	}
}

func ownReleasesUntold(c *cluster) {
	released := map[registry.ActorID]*handle{} // through which it was released last; guarded by the cluster's mutex
	inside(func(r *request) op.Result {
		answer := r.step()
		if answer.Err == nil {
			released[r.call.Actor] = r.handle
		}
		return answer
	}, op.Release)(c)
	outside(func(r *request) op.Result {
		if now := r.other(op.Call{Kind: op.Lookup, Actor: r.call.Actor}); now.Err != nil || now.Record.Version != r.call.Seen {
			return r.serve()
		}
		return waitingPast(func(p registry.Placement) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return !p.Held() && released[p.Actor] == r.handle
		})(r)
	}, op.Watch)(c)
}

func refusedReleasesTold(c *cluster) {
	told := map[registry.ActorID]int{} // guarded by the cluster's mutex
	inside(func(r *request) op.Result {
		answer := r.step()
		if answer.Outcome == op.Refused {
			told[r.call.Actor]++
			r.wake()
		}
		return answer
	}, op.Release)(c)
	outside(func(r *request) op.Result {
		for before := -1; ; {
			if err := r.begin(); err != nil {
				return op.Failed(err)
			}
			found, changed, times := r.record(r.call.Actor), r.changed, told[r.call.Actor]
			r.mu.Unlock()
			if found.Version != r.call.Seen || before >= 0 && times != before {
				return op.Result{Outcome: op.OK, Record: found}
			}
			before = times
			r.wait(changed)
		}
	}, op.Watch)(c)
}

func untoldAfterCrash(c *cluster) {
	handed := map[registry.ActorID]bool{} // before the last crash; guarded by the cluster's mutex
	losing(func(c *cluster) {
		for _, rec := range c.records {
			handed[rec.Actor] = rec.Held() && rec.ClaimID.IsZero()
		}
	})(c)
	outside(func(r *request) op.Result {
		now := r.other(op.Call{Kind: op.Lookup, Actor: r.call.Actor})
		r.mu.Lock()
		untold := handed[r.call.Actor]
		r.mu.Unlock()
		if now.Err != nil || now.Record.Version != r.call.Seen || !untold {
			return r.serve()
		}
		<-r.ctx.Done()
		return op.Failed(r.ctx.Err())
	}, op.Watch)(c)
}

// leaking leaves a goroutine behind with every call that was answered so.
func leaking(when func(op.Call, op.Result) bool) bend {
	return each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		answer := pass(ctx, h, c)
		if when(c, answer) {
			go func() { select {} }()
		}
		return answer
	})
}
