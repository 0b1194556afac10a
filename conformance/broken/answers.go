package broken

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// Mistakes in what is accepted and what is answered.
var answers = []Variant{
	{
		ID: "M67", Slug: "stale-replica",
		Section: "contract",
		Title:   "lookups are answered by a replica that is one write behind",
		Doc:     "Contract, section 3: a lookup is never answered from a cache. Follower reads are fast and old.",
		Breaks:  rules(conformance.RawLookup, conformance.Linearizability),
		flaw: flaw{methods: func(*store) opener {
			replica := &replica{seen: map[registry.ActorID]registry.Placement{}, next: map[registry.ActorID]registry.Placement{}}
			return func(h *handle) registry.Handle { return following{h, replica} }
		}},
	},
	{
		ID: "M68", Slug: "answer-read-afterwards",
		Section: "concurrent",
		Title:   "the lease of a renewal is read after the step that wrote it",
		Doc:     "Contract, section 3: an operation takes effect at one instant. What is read back may be the tenure of somebody else by then.",
		Breaks:  append(rules("Renew.granted"), interleaved...),
		flaw:    flaw{methods: each(func(h *handle) readingBack { return readingBack{h} })},
	},
	{
		ID: "M69", Slug: "renewal-echoes-the-lease",
		Section: "contract",
		Title:   "a renewal answers the lease that it was given, with the new expiry",
		Doc:     "Contract, section 3: the answer carries the version of the renewed record.",
		Breaks:  rules("Renew.granted", conformance.VersionBump, conformance.Linearizability),
		flaw:    flaw{methods: each(func(h *handle) echoing { return echoing{h} })},
	},
	{
		ID: "M70", Slug: "errors-as-text",
		Section: "contract",
		Title:   "refusals are passed on as text",
		Doc:     "Contract, section 3: errors match with errors.Is. A holder cannot tell that it was fenced and goes on.",
		Breaks:  rules("Renew.fenced", "Renew.not-held", "Renew.lapsed"),
		flaw:    flaw{methods: each(func(h *handle) textual { return textual{h} })},
	},
	{
		ID: "M71", Slug: "closed-handle-works",
		Section: "contract",
		Title:   "a closed handle goes on working",
		Doc:     "Contract, section 3: ErrClosed. A node that is shutting down makes claims that nobody serves.",
		Breaks:  rules(conformance.ClosedSecond),
		flaw:    flaw{methods: each(func(h *handle) unclosable { return unclosable{h} })},
	},
	{
		ID: "M72", Slug: "close-only-once",
		Section: "contract",
		Title:   "a second Close fails",
		Doc:     "Contract: a second Close succeeds, or a deferred one turns every clean end into an error.",
		Breaks:  rules(conformance.ClosedSecond),
		flaw:    flaw{methods: each(func(h *handle) closingOnce { return closingOnce{h} })},
	},
	{
		ID: "M73", Slug: "context-ignored",
		Section: "contract",
		Title:   "a claim whose context is done is made all the same",
		Doc:     "Contract: it fails with the context's error and nothing happens. The caller has gone and nobody will release.",
		Breaks:  rules(conformance.ContextThird),
		flaw:    flaw{methods: each(func(h *handle) deaf { return deaf{h} })},
	},
	{
		ID: "M74", Slug: "context-after-the-write",
		Section: "contract",
		Title:   "a claim looks at its context when it has written",
		Doc:     "Contract, section 3: a context's error that is not ambiguous says that nothing happened.",
		Breaks:  rules(conformance.ContextThird, conformance.AmbiguousTruth, conformance.RefusalNothing),
		flaw:    flaw{methods: each(func(h *handle) tooLate { return tooLate{h} })},
	},
	{
		ID: "M75", Slug: "empty-names-stored",
		Section: "contract",
		Title:   "a claim does not check its arguments",
		Doc:     "Contract, section 1, limits, and section 3: ErrInvalid before anything is touched. A missing variable claims the actor with no name.",
		Breaks:  rules(conformance.NameLimits, conformance.InvalidFirst),
		flaw:    flaw{methods: each(func(h *handle) trusting { return trusting{h} })},
	},
	{
		ID: "M76", Slug: "names-cut",
		Section: "contract",
		Title:   "names longer than 128 bytes are cut to fit the column",
		Doc:     "Contract, section 1: each part has up to 256 bytes. Two long names become one actor.",
		Breaks:  rules(conformance.NameLimits, conformance.RawLookup, "Claim.granted", "ListActors.answered", conformance.SingleActivation),
		flaw: flaw{decide: func(do *actions) {
			whole := do.key
			do.key = func(a registry.ActorID) string {
				a.Namespace, a.Name = a.Namespace[:min(len(a.Namespace), 128)], a.Name[:min(len(a.Name), 128)]
				return whole(a)
			}
		}},
	},
	{
		ID: "M77", Slug: "names-folded",
		Section: "contract",
		Title:   "names are compared without regard to case",
		Doc:     "The default collation of many databases. Actors that differ in case share a record.",
		Breaks:  rules(conformance.NameLimits, conformance.RawLookup, "Claim.granted"),
		flaw: flaw{decide: func(do *actions) {
			whole := do.key
			do.key = func(a registry.ActorID) string { return strings.ToLower(whole(a)) }
		}},
	},
	{
		ID: "M78", Slug: "names-joined",
		Section: "contract",
		Title:   "a record's key is namespace/name",
		Doc:     `The actors "a/b","c" and "a","b/c" share a record: a separator that may be part of a name is none.`,
		Breaks:  rules(conformance.NameLimits, conformance.RawLookup, "Claim.granted"),
		flaw:    flaw{decide: func(do *actions) { do.key = registry.ActorID.String }},
	},
	{
		ID: "M79", Slug: "negative-page",
		Section: "contract",
		Title:   "a page with a negative limit panics",
		Doc:     "Contract, section 3: ErrInvalid. One bad request takes the process down, and every lease of the node with it.",
		Breaks:  rules(conformance.InvalidFirst, conformance.CallsReturn),
		flaw:    flaw{methods: each(func(h *handle) slicing { return slicing{h} })},
	},
	{
		ID: "M80", Slug: "refusal-keeps-the-lock",
		Section: "contract",
		Title:   "a refused transfer leaves the store locked",
		Doc:     "An early return between Lock and Unlock. The next call, whichever it is, never comes back.",
		Breaks:  rules(conformance.CallsReturn),
		flaw:    flaw{methods: each(func(h *handle) lockKeeper { return lockKeeper{h} })},
	},
	{
		ID: "M81", Slug: "any-configuration",
		Section: "contract",
		Title:   "a handle is opened with whatever time bounds it brings",
		Doc:     "Contract, section 1: ErrConfigMismatch. Two versions of a deployment disagree on when a lease is over.",
		Breaks:  rules(conformance.ConfigMatches),
		flaw:    flaw{config: func(registry.Config, registry.Config) error { return nil }},
	},
	{
		ID: "M82", Slug: "grace-may-differ",
		Section: "contract",
		Title:   "the comparison of configurations forgets Grace",
		Doc:     "Contract, section 1: each of the four bounds belongs to the cluster. The field was added later.",
		Breaks:  rules(conformance.ConfigMatches),
		flaw: flaw{config: func(given, store registry.Config) error {
			given.Grace = store.Grace
			return given.Match(store)
		}},
	},
	{
		ID: "M123", Slug: "refusal-names-the-asked",
		Section: "contract",
		Title:   "a refusal about a node tells the incarnation that was asked for",
		Doc:     "Contract, Refusal: Node is the latest registration. The one who is told that epoch 1 is failed does not learn that epoch 2 is there, and registers a third.",
		Breaks:  rules(conformance.RefusalTruthful),
		flaw:    flaw{methods: each(func(h *handle) askedFor { return askedFor{h} })},
	},
	{
		ID: "M124", Slug: "refusal-time-in-milliseconds",
		Section: "contract",
		Title:   "a refusal tells its clock reading in whole milliseconds",
		Doc:     "Contract, Refusal: Now is the reading of the refused attempt. It went over a wire that counts in milliseconds, and says that the lease was live when it had lapsed.",
		Breaks:  rules(conformance.RefusalTruthful),
		flaw:    flaw{methods: each(func(h *handle) rounding { return rounding{h} })},
	},
	{
		ID: "M125", Slug: "found-beside-an-error",
		Section: "contract",
		Title:   "a lookup under a context that has ended returns the record and the error",
		Doc:     "Contract, Lookup: with an error, found is false. Who looks at found first routes a call by a record that the registry did not vouch for.",
		Breaks:  rules(conformance.ErrorAlone),
		flaw:    flaw{methods: each(func(h *handle) generous { return generous{h} })},
	},
}

// replica lags behind its primary by the last change that it was asked about.
type replica struct {
	mu         sync.Mutex
	seen, next map[registry.ActorID]registry.Placement
}

type following struct {
	*handle
	replica *replica
}

func (h following) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	h.replica.mu.Lock()
	defer h.replica.mu.Unlock()
	p, found, err := h.handle.Lookup(ctx, actor)
	if err != nil || !found {
		return p, found, err
	}
	if p.Version != h.replica.next[actor].Version {
		h.replica.seen[actor], h.replica.next[actor] = h.replica.next[actor], p
	}
	p = h.replica.seen[actor]
	return p, p.Version > 0, nil
}

type readingBack struct{ *handle }

func (h readingBack) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	l, err := h.handle.Renew(ctx, held)
	if err != nil {
		return l, err
	}
	encode(registry.Placement(l)) // the request for the row as written
	r, _ := h.read(held.Actor, held.Holder.ID)
	return r.Lease(), nil
}

type echoing struct{ *handle }

func (h echoing) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	l, err := h.handle.Renew(ctx, held)
	if err != nil {
		return l, err
	}
	held.Expiry = l.Expiry
	return held, nil
}

type textual struct{ *handle }

func (h textual) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	l, err := h.handle.Renew(ctx, held)
	if refusal := new(registry.Refusal); errors.As(err, &refusal) {
		err = errors.New("renew: " + err.Error())
	}
	return l, err
}

type unclosable struct{ *handle }

func (unclosable) Close() error { return nil }

type closingOnce struct{ *handle }

func (h closingOnce) Close() error {
	h.mu.Lock()
	closed := h.closed
	h.mu.Unlock()
	if closed {
		return registry.ErrClosed
	}
	return h.handle.Close()
}

type deaf struct{ *handle }

func (h deaf) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return h.handle.Claim(context.WithoutCancel(ctx), actor, node, id)
}

type tooLate struct{ *handle }

func (h tooLate) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	l, err := h.handle.Claim(context.WithoutCancel(ctx), actor, node, id)
	if gone := ctx.Err(); err == nil && gone != nil {
		return registry.Lease{}, gone
	}
	return l, err
}

type trusting struct{ *handle }

func (h trusting) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, nil, func(c registry.Instant) error { return h.claim(&l, actor, node, id, c) })
	return answer(&l, err)
}

type slicing struct{ *handle }

func (h slicing) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	size := page.Limit
	page.Limit = registry.MaxPageLimit
	rows, next, err := h.handle.ListActors(ctx, node, page)
	if size == 0 {
		size = registry.DefaultPageLimit
	}
	if err != nil || size >= len(rows) {
		return slices.Clip(rows), next, err
	}
	last := rows[:size][size-1]
	return rows[:size], registry.Cursor(h.do.key(last.Actor)), nil
}

type lockKeeper struct{ *handle }

func (h lockKeeper) Transfer(ctx context.Context, held registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if err := h.begin(ctx, held, to); err != nil {
		return registry.Lease{}, err
	}
	var l registry.Lease
	if err := h.transfer(&l, held, to, h.clock.Now()); err != nil {
		return registry.Lease{}, err
	}
	h.mu.Unlock()
	return l, nil
}

type askedFor struct{ *handle }

// about puts the asked incarnation into a refusal about its node.
func about(node registry.NodeRef, err error) error {
	if refusal := new(registry.Refusal); errors.As(err, &refusal) && !refusal.Node.Ref.IsZero() {
		refusal.Node.Ref = node
	}
	return err
}

func (h askedFor) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	l, err := h.handle.Claim(ctx, actor, node, id)
	return l, about(node, err)
}

func (h askedFor) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	return about(node, h.handle.Heartbeat(ctx, node))
}

type rounding struct{ *handle }

func (h rounding) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	l, err := h.handle.Claim(ctx, actor, node, id)
	if refusal := new(registry.Refusal); errors.As(err, &refusal) {
		refusal.Now -= refusal.Now % registry.Instant(time.Millisecond)
	}
	return l, err
}

type generous struct{ *handle }

func (h generous) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	p, found, err := h.handle.Lookup(context.WithoutCancel(ctx), actor)
	return p, found, errors.Join(err, ctx.Err())
}
