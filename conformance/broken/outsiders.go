package broken

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Mistakes of a store that was written from the contract alone, with transactions that are
// tried again, numbered rows, a log and snapshots.
var outsiders = slices.Concat(
	alike(
		Variant{
			Section: "concurrent", Case: "standing",
			Level: conformance.Default, // chance tells it
			Doc:   "A transaction is tried again when what it has read has changed, and one of its reads is not among that.",
		},
		Variant{
			ID: "M454", Slug: "first-registrations-share-an-epoch",
			Title:  "two first registrations of a name at the same time are given one epoch",
			Breaks: rules(conformance.EpochFresh, conformance.Linearizability),
			bends:  memberReadBefore(func(read, _ registry.Node) bool { return read.Ref.Epoch == 0 }, op.RegisterNode),
		},
		Variant{
			ID: "M455", Slug: "suspicion-decided-before",
			Title:  "a suspicion is decided before the step that marks: a heartbeat in between does not count",
			Breaks: rules(conformance.Linearizability, "MarkFailed.alive", "Heartbeat.granted"),
			bends:  memberReadBefore(func(read, found registry.Node) bool { return read.Ref == found.Ref && read.Status == found.Status }, op.MarkFailed),
		},
	),
	alike(
		Variant{
			Section: "contract", Case: "every-refusal",
			Doc: "Contract, section 3: the order of the refusals is one for all operations, whatever became of the tenure that is presented.",
		},
		Variant{
			ID: "M456", Slug: "lapsed-before-held-by-another",
			Title:  "a hand-over by who is not the holder is told that the lease has run out, once it has lapsed",
			Breaks: rules("Transfer.not-held", conformance.RefusalOrder),
			bends: instead(reference.TenureHeld, reference.StillLive, func(a attempt) bool {
				return a.Record.Held() && a.Token == a.Record.Token && a.lapsed()
			}, op.Transfer),
		},
		Variant{
			ID: "M457", Slug: "tenures-before-the-last-released",
			Title:  "a tenure before the one that was released last is told that it is not held, unless that one came right after it",
			Breaks: rules("Renew.fenced", "Transfer.fenced", "Release.fenced", conformance.BatchAsSingle, conformance.RefusalOrder),
			bends: instead(reference.TokenCurrent, reference.TenureHeld, func(a attempt) bool {
				return !a.Record.Held() && a.Token+1 < a.Record.Token
			}, op.Renew, op.Transfer, op.Release),
		},
		Variant{
			ID: "M458", Slug: "lapsed-goes-to-all-of-an-actor",
			Title:  "who comes after a lapsed lease of the same actor in a batch is told that it has run out, too",
			Breaks: rules(conformance.BatchAsSingle),
			bends: answering(func(r *request, answer *op.Result) {
				r.afterAnother(answer, func(earlier, own *op.Result) {
					if earlier.Reason == op.Lapsed {
						*own = *earlier
					}
				})
			}, op.RenewBatch),
		},
	),
	alike(
		Variant{
			Section: "membership", Doc: "Contract, section 3: what is asked of an incarnation depends on the latest one, and not on how many there were.",
		},
		Variant{
			ID: "M459", Slug: "suspicion-of-long-gone",
			Case:   "mark-failed",
			Title:  "the incarnation before the one before is unknown to whoever marks it, once the latest has failed",
			Breaks: rules("MarkFailed.repeated"),
			bends: func(c *cluster) {
				longGone := func(a attempt) bool {
					return a.Member.Status == registry.NodeFailed && a.Call.Node.Epoch+1 < a.Member.Ref.Epoch
				}
				repeating(func(a attempt) bool { return specified.repeats(a) && !longGone(a) }, op.MarkFailed)(c)
				refusingWhen(reference.NodeKnown, longGone, op.MarkFailed)(c)
			},
		},
		Variant{
			ID: "M460", Slug: "heartbeats-to-come-failed",
			Case:   "heartbeat",
			Title:  "the heartbeat of an incarnation that was never there is told that it failed, when the latest has",
			Breaks: rules("Heartbeat.node-unknown"),
			bends: instead(reference.NodeKnown, reference.NodeNotFailed, func(a attempt) bool {
				return a.Member.Status == registry.NodeFailed && a.Call.Node.Epoch > a.Member.Ref.Epoch
			}, op.Heartbeat),
		},
		Variant{
			ID: "M461", Slug: "who-has-no-address-fails-early",
			Case:   "mark-failed-boundaries",
			Title:  "a second incarnation without an address is marked failed without the margin of 2ε",
			Breaks: rules("MarkFailed.alive"),
			bends: judging(func(a *attempt) {
				if a.Member.Info.Address == "" && a.Member.Ref.Epoch > 1 {
					a.cfg.MaxClockSkew = 0
				}
			}, op.MarkFailed),
		},
	),
	[]Variant{
		{
			ID: "M462", Slug: "third-incarnations-listed-last",
			Section: "contract", Case: "listing-under-change",
			Title:  "nodes that have begun anew twice are listed after all others",
			Doc:    "Rows are numbered when they are made, and a third registration makes a new one. Who comes back in the middle of a listing is in it twice.",
			Breaks: rules(conformance.PagedListing),
			bends: inside(nodesBy(func(n registry.Node) int64 {
				if n.Ref.Epoch > 2 {
					return 1
				}
				return 0
			}), op.ListNodes),
		},
		{
			ID: "M463", Slug: "snapshot-without-instances-of-the-gone",
			Section: "durable", Case: "keeps-everything",
			Title:  "a snapshot has no instances of nodes that have failed",
			Doc:    "They repeat nothing any more; but GetNode tells them.",
			Breaks: rules(conformance.Durability),
			bends: losing(func(c *cluster) {
				for id, n := range c.nodes {
					if n.Status == registry.NodeFailed {
						n.Info.Instance = registry.InstanceID{}
						c.nodes[id] = n
					}
				}
			}),
		},
		{
			ID: "M464", Slug: "second-of-an-actor-unavailable",
			Level:   conformance.Default, // chance tells it
			Section: "handles", Case: "batch-faults",
			Title:  "a renewal of unknown outcome is told as one that did not happen, when it is the second of its actor in a batch",
			Doc:    "What a batch has of one actor is joined, and the way back knows two kinds of answers.",
			Breaks: rules(conformance.AmbiguousTruth, conformance.BatchAsSingle, conformance.Linearizability),
			bends: answering(func(r *request, answer *op.Result) {
				r.afterAnother(answer, func(_, own *op.Result) {
					if own.Outcome.Ambiguous() {
						*own = op.Failed(registry.ErrUnavailable)
					}
				})
			}, op.RenewBatch),
		},
		{
			ID: "M465", Slug: "floor-of-the-first-fifty",
			Section: "purge", speaks: forgetful, Case: "many-names",
			Title:  "the floor rises above the first fifty records of a purge",
			Doc:    "It is read off the first page of what goes, in the order of the names.",
			Breaks: belowTheFloor,
			bends: forgets(func(_ *cluster, f *forgetter) {
				var keys []string // guarded by the cluster's mutex
				f.begins = func(h *handle) { keys = slices.Sorted(maps.Keys(h.records)) }
				raise := f.raise
				f.raise = func(h *handle, r registry.Placement) {
					if slices.Index(keys, h.key(r.Actor)) < 50 {
						raise(h, r)
					}
				}
			}),
		},
		{
			ID: "M466", Slug: "listing-begins-anew-after-its-end",
			Section: "contract", Case: "listing-under-change",
			Title:  "a listing begins anew when what its cursor names is released, and all that came after",
			Doc:    "The place is looked for by the row's name, and where there is none at or after it by the first.",
			Breaks: rules(conformance.PagedListing),
			bends: inside(func(r *request) op.Result {
				keys := slices.Collect(maps.Keys(r.held[r.call.Node]))
				if after := string(r.call.Page.After); !slices.ContainsFunc(keys, func(key string) bool { return key >= after }) {
					r.call.Page.After = ""
				}
				return r.step()
			}, op.ListActors),
		},
		{
			ID: "M467", Slug: "repetition-tells-when-it-began",
			Section: "membership", Case: "register-repeats",
			Title:  "a second incarnation's repeated registration is told as it was at first, whatever was heard of it since",
			Doc:    "Contract, section 3: the same incarnation is returned as it is. The answer of the first call was kept with the instance.",
			Breaks: rules("RegisterNode.repeated"),
			bends: func(c *cluster) {
				first := map[registry.NodeRef]registry.Node{} // guarded by the cluster's mutex
				inside(func(r *request) op.Result {
					answer := r.step()
					began, known := first[answer.Node.Ref]
					switch {
					case answer.Err != nil:
					case !known:
						first[answer.Node.Ref] = answer.Node
					case answer.Node.Ref.Epoch > 1:
						answer.Node = began
					}
					return answer
				}, op.RegisterNode)(c)
			},
		},
	}, alike(
		Variant{
			Section: "extremes", Doc: "A repeated registration is answered from a row that is read back, and not from what was just written.",
			Breaks: rules("RegisterNode.repeated", conformance.EpochFresh),
		},
		Variant{
			ID: "M468", Slug: "repetitions-until-the-year",
			Case:  "dates",
			Title: "a repeated registration tells when it was last heard of in 32 bits of seconds",
			bends: repeatedRegistrations(func(n *registry.Node) {
				s := registry.Instant(time.Second)
				n.LastSeen = registry.Instant(int32(n.LastSeen/s))*s + n.LastSeen%s
			}),
		},
		Variant{
			ID: "M469", Slug: "repetitions-tell-epochs-as-floats",
			Case:  "seeded-counters",
			Title: "a repeated registration tells its epoch as a floating point number",
			bends: repeatedRegistrations(func(n *registry.Node) { n.Ref.Epoch = registry.Epoch(float64(n.Ref.Epoch)) }),
		},
		Variant{
			ID: "M470", Slug: "repetitions-cut-addresses",
			Section: "contract", Case: "names-limits",
			Title: "a repeated registration tells 255 bytes of its address",
			bends: repeatedRegistrations(func(n *registry.Node) { n.Info.Address = n.Info.Address[:min(255, len(n.Info.Address))] }),
		},
	), alike(
		Variant{
			Doc:    "Contract, section 3: what a refusal tells is true or absent. Its details are written by another function than the answers of reads.",
			Breaks: rules(conformance.RefusalTruthful),
		},
		Variant{
			ID: "M471", Slug: "exists-in-microseconds",
			Section: "extremes", Case: "rounding",
			Title: "ErrNodeExists tells in microseconds when the node was last heard of",
			bends: tellingNodes(func(n *registry.Node) { n.LastSeen -= n.LastSeen % registry.Instant(time.Microsecond) }, op.RegisterNode),
		},
		Variant{
			ID: "M472", Slug: "unknown-until-the-year",
			Section: "extremes", Case: "dates",
			Title: "ErrNodeUnknown tells when the latest incarnation was last heard of in unsigned 32 bits of seconds",
			bends: tellingNodes(func(n *registry.Node) {
				s := registry.Instant(time.Second)
				n.LastSeen = registry.Instant(uint32(n.LastSeen/s))*s + n.LastSeen%s
			}, op.Heartbeat),
		},
		Variant{
			ID: "M473", Slug: "alive-in-short-numbers",
			Section: "extremes", Case: "seeded-counters",
			Title: "ErrNodeAlive tells epochs of 63 bits",
			bends: tellingNodes(func(n *registry.Node) { n.Ref.Epoch &= 1<<63 - 1 }, op.MarkFailed),
		},
		Variant{
			ID: "M474", Slug: "alive-cuts-addresses",
			Section: "contract", Case: "names-limits",
			Title: "ErrNodeAlive tells 255 bytes of an address",
			bends: tellingNodes(func(n *registry.Node) { n.Info.Address = n.Info.Address[:min(255, len(n.Info.Address))] }, op.MarkFailed),
		},
		Variant{
			ID: "M475", Slug: "alive-tells-instances-to-the-first-zero",
			Section: "membership", Case: "register-repeats",
			Title: "ErrNodeAlive tells an instance up to its first zero byte",
			bends: tellingNodes(func(n *registry.Node) {
				if i := slices.Index(n.Info.Instance[:], 0); i >= 0 {
					clear(n.Info.Instance[i:])
				}
			}, op.MarkFailed),
		},
	), []Variant{
		{
			ID: "M476", Slug: "unreadable-is-the-end",
			Level:   conformance.Default, // chance tells it
			Section: "faults", Case: "reads",
			Title:  "a page after the first that cannot be read is told to be the end of a listing of actors",
			Doc:    "As M271, for who comes so far.",
			Breaks: rules("ListActors.answered", conformance.Linearizability),
			bends: outside(func(r *request) op.Result {
				answer := r.serve()
				if answer.Outcome == op.Unavailable && r.call.Page.After != "" {
					return op.Result{Outcome: op.OK}
				}
				return answer
			}, op.ListActors),
		},
		{
			ID: "M477", Slug: "unknown-when-its-caller-is-gone",
			Level:   conformance.Default, // chance tells it
			Section: "faults", Case: "endings",
			Title:  "a hand-over, a suspicion or a departure of unknown outcome fails with its context's error, when that has ended meanwhile",
			Doc:    "Contract, section 3: a context's error alone says that nothing happened.",
			Breaks: append(rules(conformance.AmbiguousTruth, conformance.ContextThird), untold...),
			bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				answer := pass(ctx, h, c)
				if err := ctx.Err(); err != nil && answer.Outcome.Ambiguous() && slices.Contains([]op.Kind{op.Transfer, op.MarkFailed, op.DeregisterNode}, c.Kind) {
					return op.Failed(err)
				}
				return answer
			}),
		},
	},
)

// tellingNodes has refusals tell registrations otherwise than they are.
func tellingNodes(told func(*registry.Node), kinds ...op.Kind) bend {
	return refusing(func(_ *request, r *registry.Refusal) { told(&r.Node) }, kinds...)
}

// repeatedRegistrations are told otherwise than they are.
func repeatedRegistrations(told func(*registry.Node)) bend {
	return inside(func(r *request) op.Result {
		was := r.nodes[r.call.Node.ID].Ref
		answer := r.step()
		if answer.Err == nil && answer.Node.Ref == was {
			told(&answer.Node)
		}
		return answer
	}, op.RegisterNode)
}

// instead tells one refusal for another, when that is so.
func instead(of, told reference.Guard, when func(attempt) bool, kinds ...op.Kind) bend {
	return guarding(func(a attempt) reference.Guard {
		if g := specified.guard(a); g != of || !when(a) {
			return g
		}
		return told
	}, kinds...)
}

// afterAnother goes through the answers of a batch that come after another one of the same
// actor.
func (r *request) afterAnother(answer *op.Result, do func(earlier, own *op.Result)) {
	for i := range answer.Renewals {
		for j := range i {
			if r.call.Leases[i].Actor == r.call.Leases[j].Actor {
				do(&answer.Renewals[j], &answer.Renewals[i])
			}
		}
	}
}
