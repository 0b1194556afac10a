package broken

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// Mistakes in listings.
var listings = []Variant{
	{
		ID: "M98", Slug: "row-lost-at-page-border",
		Section: "contract",
		Title:   "the first row of every further page is missing",
		Doc:     "Contract, section 3, listing: the cursor names the first row of the next page, and the next page begins after it.",
		Breaks:  rules(conformance.PagedListing, "ListActors.answered"),
		flaw:    flaw{methods: each(func(h *handle) skipping { return skipping{h} })},
	},
	{
		ID: "M99", Slug: "row-twice-at-page-border",
		Section: "contract",
		Title:   "the last row of a page is also the first of the next",
		Doc:     "Contract, section 3, listing: each row once. >= for > in the query of the next page.",
		Breaks:  rules(conformance.PagedListing, "ListActors.answered"),
		flaw:    flaw{methods: each(func(h *handle) repeating { return repeating{h} })},
	},
	{
		ID: "M100", Slug: "offset-cursor",
		Section: "contract",
		Title:   "the cursor is the number of rows read",
		Doc:     "Contract, section 3, listing: an actor held throughout is in it exactly once. A release between two pages moves every row after it one place up.",
		Breaks:  rules(conformance.PagedListing, "ListActors.answered"),
		flaw:    flaw{methods: each(func(h *handle) counted { return counted{h} })},
	},
	{
		ID: "M101", Slug: "limit-ignored",
		Section: "contract",
		Title:   "a page has all rows",
		Doc:     "Contract, section 3, listing: at most the limit. It works until a node has a million actors.",
		Breaks:  rules(conformance.PagedListing, "ListActors.answered"),
		flaw:    flaw{methods: each(func(h *handle) limitless { return limitless{h} })},
	},
	{
		ID: "M102", Slug: "index-misses-transfers",
		Section: "contract",
		Title:   "the listing's index is not updated by a transfer",
		Doc:     "A second path to one truth: claim and release maintain the index by node, the operation that came later does not.",
		Breaks:  rules("ListActors.answered", conformance.PagedListing),
		flaw:    flaw{methods: each(func(h *handle) unindexed { return unindexed{h} })},
	},
	{
		ID: "M103", Slug: "listing-by-clock",
		Section: "contract",
		Title:   "the listing leaves out lapsed leases",
		Doc:     "Contract, section 3: lapsed ones included. Their holder may be about to renew.",
		Breaks:  rules("ListActors.answered"),
		flaw:    flaw{methods: each(func(h *handle) onlyLive { return onlyLive{h} })},
	},
	{
		ID: "M104", Slug: "listing-by-name",
		Section: "contract",
		Title:   "the listing of an incarnation has the actors of all incarnations",
		Doc:     "Contract, section 1: the holder is an incarnation. A restarted node takes its predecessor's actors for its own.",
		Breaks:  rules("ListActors.answered"),
		flaw:    flaw{methods: each(func(h *handle) allEpochs { return allEpochs{h} })},
	},
	{
		ID: "M105", Slug: "any-is-active",
		Section: "membership",
		Title:   "ListNodes without a status lists the active nodes",
		Doc:     "Contract, section 3: AnyStatus is every node. Who left or failed is what an operator wants to see.",
		Breaks:  rules("ListNodes.answered"),
		flaw:    flaw{methods: each(func(h *handle) onlyActive { return onlyActive{h} })},
	},
}

type skipping struct{ *handle }

func (h skipping) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	size := page.Rows()
	page.Limit = min(size+1, registry.MaxPageLimit) // one more, to know where the next page begins
	rows, _, err := h.handle.ListActors(ctx, node, page)
	if err != nil || len(rows) <= size {
		return rows, "", err
	}
	return rows[:size], registry.Cursor(h.do.key(rows[size].Actor)), nil
}

type repeating struct{ *handle }

func (h repeating) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	rows, next, err := h.handle.ListActors(ctx, node, page)
	if next != "" && len(rows) > 1 {
		next = registry.Cursor(h.do.key(rows[len(rows)-2].Actor))
	}
	return rows, next, err
}

// listAll returns every row of a node, in the order of the keys.
func (h *handle) listAll(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, error) {
	if err := h.begin(ctx, node, page); err != nil {
		return nil, err
	}
	defer h.mu.Unlock()
	var rows []registry.Placement
	for _, key := range slices.Sorted(maps.Keys(h.held[node])) {
		rows = append(rows, h.records[key])
	}
	return rows, nil
}

type counted struct{ *handle }

func (h counted) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	rows, err := h.listAll(ctx, node, page)
	from, _ := strconv.Atoi(string(page.After))
	rows = rows[min(from, len(rows)):]
	if err != nil || len(rows) <= page.Rows() {
		return rows, "", err
	}
	return rows[:page.Rows()], registry.Cursor(strconv.Itoa(from + page.Rows())), nil
}

type limitless struct{ *handle }

func (h limitless) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	rows, err := h.listAll(ctx, node, page)
	return rows, "", err
}

type unindexed struct{ *handle }

func (h unindexed) Transfer(ctx context.Context, held registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{held, to}, func(c registry.Instant) error {
		err := h.transfer(&l, held, to, c)
		if key := h.do.key(held.Actor); err == nil {
			h.unlist(to, key)
			h.list(held.Holder, key)
		}
		return err
	})
	return answer(&l, err)
}

type onlyLive struct{ *handle }

func (h onlyLive) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	rows, next, err := h.handle.ListActors(ctx, node, page)
	c := h.clock.Now()
	rows = slices.DeleteFunc(rows, func(r registry.Placement) bool { return h.cfg.Phase(r.Expiry, c) >= registry.Lapsed })
	return rows, next, err
}

type allEpochs struct{ *handle }

func (h allEpochs) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	if err := h.begin(ctx, node, page); err != nil {
		return nil, "", err
	}
	defer h.mu.Unlock()
	var keys []string
	for holder, held := range h.held {
		if holder.ID == node.ID {
			keys = slices.AppendSeq(keys, maps.Keys(held))
		}
	}
	keys, next := cut(keys, page)
	var rows []registry.Placement
	for _, key := range keys {
		rows = append(rows, h.records[key])
	}
	return rows, next, nil
}

type onlyActive struct{ *handle }

func (h onlyActive) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	if status == registry.AnyStatus {
		status = registry.NodeActive
	}
	return h.handle.ListNodes(ctx, status, page)
}
