package broken

import (
	"maps"
	"slices"
	"strconv"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes in listings.
var listings = []Variant{
	{
		ID: "M98", Slug: "row-lost-at-page-border",
		Section: "contract",
		Title:   "the first row of every further page is missing",
		Doc:     "Contract, section 3, listing: the cursor names the first row of the next page, and the next page begins after it.",
		Breaks:  rules(conformance.PagedListing, "ListActors.answered"),
		bends:   outside(skippingTheNext, op.ListActors),
	},
	{
		ID: "M99", Slug: "row-twice-at-page-border",
		Section: "contract",
		Title:   "the last row of a page is also the first of the next",
		Doc:     "Contract, section 3, listing: each row once. >= for > in the query of the next page.",
		Breaks:  rules(conformance.PagedListing, "ListActors.answered"),
		bends: answering(func(r *request, answer *op.Result) {
			if rows := answer.Actors; answer.Next != "" && len(rows) > 1 {
				answer.Next = registry.Cursor(r.key(rows[len(rows)-2].Actor))
			}
		}, op.ListActors),
	},
	{
		ID: "M100", Slug: "offset-cursor",
		Section: "contract",
		Title:   "the cursor is the number of rows read",
		Doc:     "Contract, section 3, listing: an actor held throughout is in it exactly once. A release between two pages moves every row after it one place up.",
		Breaks:  rules(conformance.PagedListing, "ListActors.answered"),
		bends:   inside(offsetCursor, op.ListActors),
	},
	{
		ID: "M101", Slug: "limit-ignored",
		Section: "contract",
		Title:   "a page has all rows",
		Doc:     "Contract, section 3, listing: at most the limit. It works until a node has a million actors.",
		Breaks:  rules(conformance.PagedListing, "ListActors.answered"),
		bends:   inside(func(r *request) op.Result { return op.Result{Outcome: op.OK, Actors: r.rows(r.sortedKeys())} }, op.ListActors),
	},
	{
		ID: "M102", Slug: "index-misses-transfers",
		Section: "contract",
		Title:   "the listing's index is not updated by a transfer",
		Doc:     "A second path to one truth: claim and release maintain the index by node, the operation that came later does not.",
		Breaks:  rules("ListActors.answered", conformance.PagedListing),
		bends:   inside(forgettingTheIndex, op.Transfer),
	},
	{
		ID: "M103", Slug: "listing-by-clock",
		Section: "contract",
		Title:   "the listing leaves out lapsed leases",
		Doc:     "Contract, section 3: lapsed ones included. Their holder may be about to renew.",
		Breaks:  rules("ListActors.answered"),
		bends: answering(func(r *request, answer *op.Result) {
			c := r.clock.Now()
			answer.Actors = slices.DeleteFunc(answer.Actors, func(p registry.Placement) bool { return r.cfg.Phase(p.Expiry, c) >= registry.Lapsed })
		}, op.ListActors),
	},
	{
		ID: "M104", Slug: "listing-by-name",
		Section: "contract",
		Title:   "the listing of an incarnation has the actors of all incarnations",
		Doc:     "Contract, section 1: the holder is an incarnation. A restarted node takes its predecessor's actors for its own.",
		Breaks:  rules("ListActors.answered"),
		bends:   inside(allIncarnations, op.ListActors),
	},
	{
		ID: "M105", Slug: "any-is-active",
		Section: "membership",
		Title:   "ListNodes without a status lists the active nodes",
		Doc:     "Contract, section 3: AnyStatus is every node. Who left or failed is what an operator wants to see.",
		Breaks:  rules("ListNodes.answered"),
		bends:   outside(anyIsActive, op.ListNodes),
	},
}

// skippingTheNext asks for one row more, to know where the next page begins.
func skippingTheNext(r *request) op.Result {
	size := r.call.Page.Rows()
	r.call.Page.Limit = min(size+1, registry.MaxPageLimit)
	answer := r.serve()
	answer.Next = ""
	if len(answer.Actors) > size {
		answer.Next = registry.Cursor(r.key(answer.Actors[size].Actor))
		answer.Actors = answer.Actors[:size]
	}
	return answer
}

// sortedKeys are those of all records that the node of the call holds.
func (r *request) sortedKeys() []string { return slices.Sorted(maps.Keys(r.held[r.call.Node])) }

func offsetCursor(r *request) op.Result {
	keys, size := r.sortedKeys(), r.call.Page.Rows()
	from, _ := strconv.Atoi(string(r.call.Page.After))
	keys = keys[min(from, len(keys)):]
	answer := op.Result{Outcome: op.OK}
	if len(keys) > size {
		keys, answer.Next = keys[:size], registry.Cursor(strconv.Itoa(from+size))
	}
	answer.Actors = r.rows(keys)
	return answer
}

func forgettingTheIndex(r *request) op.Result {
	answer := r.step()
	if answer.Outcome == op.OK {
		key := r.key(r.call.Actor)
		delete(r.held[r.call.To], key)
		r.list(r.call.Node, key)
	}
	return answer
}

func allIncarnations(r *request) op.Result {
	var keys []string
	for holder, held := range r.held {
		if holder.ID == r.call.Node.ID {
			keys = slices.AppendSeq(keys, maps.Keys(held))
		}
	}
	keys, next := cut(keys, r.call.Page)
	return op.Result{Outcome: op.OK, Actors: r.rows(keys), Next: next}
}

func anyIsActive(r *request) op.Result {
	if r.call.Status == registry.AnyStatus {
		r.call.Status = registry.NodeActive
	}
	return r.serve()
}
