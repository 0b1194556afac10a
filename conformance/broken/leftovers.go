package broken

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes of what is done, or left undone, when a handle or a call is over.
var leftovers = []Variant{
	{
		ID: "M218", Slug: "close-deregisters",
		Section: "contract", Case: "closed-handle",
		Title:  "Close deregisters the nodes that were registered through the handle",
		Doc:    "Tidying up. The process may hold its leases through another handle, or come back under its incarnation.",
		Breaks: rules(conformance.CloseFrees),
		bends: perHandle(func() middle {
			var mu sync.Mutex
			var nodes []registry.NodeRef
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				mu.Lock()
				defer mu.Unlock()
				if c.Kind == op.Close {
					for _, n := range nodes {
						_ = h.DeregisterNode(ctx, n)
					}
					nodes = nil
				}
				r := pass(ctx, h, c)
				if c.Kind == op.RegisterNode && r.Err == nil {
					nodes = append(nodes, r.Node.Ref)
				}
				return r
			}
		}),
	},
	{
		ID: "M219", Slug: "close-releases",
		Section: "contract", Case: "closed-handle",
		Title:  "Close releases the leases that were claimed through the handle",
		Doc:    "A lock that goes with its session. The holder may not have stopped yet, and whoever claims then serves beside it.",
		Breaks: rules(conformance.CloseFrees),
		bends: perHandle(func() middle {
			var mu sync.Mutex
			leases := map[registry.ActorID]registry.Lease{}
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				mu.Lock()
				defer mu.Unlock()
				if c.Kind == op.Close {
					for _, l := range leases {
						_ = h.Release(ctx, l)
					}
					clear(leases)
				}
				r := pass(ctx, h, c)
				if c.Kind == op.Claim && r.Err == nil {
					leases[c.Actor] = registry.Lease(r.Record)
				}
				return r
			}
		}),
	},
	{
		ID: "M220", Slug: "handle-leaves-a-goroutine",
		Section: "handles", Case: "left-behind",
		Title:  "the goroutine that a handle starts outlives it",
		Doc:    "A loop that nobody tells to stop. A process that opens a handle for each tenant ends by the limit of its memory.",
		Breaks: rules(conformance.CloseFrees),
		bends:  perHandle(func() middle { go func() { select {} }(); return pass }),
	},
	{
		ID: "M221", Slug: "given-up-watch-goes-on",
		Section: "handles", Case: "left-behind",
		Title:  "a watch that was given up waits on in a goroutine",
		Doc:    "The result goes to a channel without a buffer, whose reader has left with its context.",
		Breaks: rules(conformance.CloseFrees),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			if c.Kind != op.Watch {
				return pass(ctx, h, c)
			}
			got := make(chan op.Result)
			go func() { got <- pass(context.WithoutCancel(ctx), h, c) }()
			select {
			case r := <-got:
				return r
			case <-ctx.Done():
				return op.Failed(ctx.Err())
			}
		}),
	},
	{
		ID: "M222", Slug: "watch-subscribes-late",
		Section: "concurrent", Case: "watchers",
		Title:  "a watch reads the record and subscribes then",
		Doc:    "A change between the two is never heard of, and the next may not come.",
		Breaks: rules(conformance.WatchWakes),
		bends:  outside(subscribingLate, op.Watch),
	},
	{
		ID: "M223", Slug: "batch-of-the-closed-is-empty",
		Section: "contract", Case: "closed-handle",
		Title:  "a closed handle has no results for a batch",
		Doc:    "An early return. The keeper that counts failures counts none, and takes its leases for renewed.",
		Breaks: rules(conformance.BatchAsSingle),
		bends: answering(func(_ *request, answer *op.Result) {
			if n := len(answer.Renewals); n > 0 && errors.Is(answer.Renewals[n-1].Err, registry.ErrClosed) {
				answer.Renewals = nil
			}
		}, op.RenewBatch),
	},
	{
		ID: "M224", Slug: "late-heartbeat-called-settled",
		Level:   conformance.Default, // chance tells it
		Section: "faults", Case: "late-members",
		Title:  "a heartbeat that may still arrive is reported as settled",
		Doc:    "Heartbeats were thought not to matter. The node that gave its name back is seen alive afterwards.",
		Breaks: untold,
		bends: answering(func(_ *request, answer *op.Result) {
			if answer.Outcome == op.Open {
				*answer = op.Failed(&registry.AmbiguousError{Cause: errTimeout})
			}
		}, op.Heartbeat),
	},
	{
		ID: "M225", Slug: "bounds-forgotten-at-restart",
		Section: "durable", Case: "keeps-everything",
		Title:  "after a restart a handle is opened with whatever time bounds it brings",
		Doc:    "The bounds were in memory. A rolling deployment that changes them meets a store that has no opinion.",
		Breaks: rules(conformance.ConfigMatches),
		bends: losing(func(c *cluster) {
			c.match = func(registry.Config, registry.Config) error { return nil }
		}),
	},
	{
		ID: "M226", Slug: "cursors-are-of-a-process",
		Section: "durable", Case: "cursors",
		Title:  "a cursor is not known after a restart",
		Doc:    "An iterator that the server keeps, and the cursor is its number.",
		Breaks: rules(conformance.PagedListing),
		bends: func(c *cluster) {
			life := ""
			losing(func(*cluster) { life += "'" })(c)
			inside(marked(func(*request) string { return life }, func(_ *request, mark string) bool { return mark == life }), op.ListActors, op.ListNodes)(c)
		},
	},
	{
		ID: "M227", Slug: "cursors-expire",
		Section: "extremes", Case: "silence",
		Title:  "a cursor is refused after a minute",
		Doc:    "A snapshot that is kept for a minute. A listing that is read slowly never ends.",
		Breaks: rules(conformance.PagedListing),
		bends: inside(marked(
			func(r *request) string { return fmt.Sprint(int64(r.clock.Now())) },
			func(r *request, mark string) bool {
				at, err := strconv.ParseInt(mark, 10, 64)
				return err == nil && r.clock.Now().Sub(registry.Instant(at)) <= time.Minute
			}), op.ListActors, op.ListNodes),
	},
	{
		ID: "M229", Slug: "close-waits-for-watches",
		Section: "handles", Case: "watch-close",
		Title:  "Close waits for the watches of its handle",
		Doc:    "A wait group of all calls under way. A watch has no end of its own, and so the process cannot end either.",
		Breaks: rules(conformance.CallsReturn),
		bends: perHandle(func() middle {
			var under sync.WaitGroup
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				switch c.Kind {
				case op.Close:
					under.Wait()
				case op.Watch:
					under.Add(1)
					defer under.Done()
				}
				return pass(ctx, h, c)
			}
		}),
	},
	{
		ID: "M230", Slug: "watch-of-the-closed-tells-a-change",
		Section: "handles", Case: "watch-close",
		Title:  "a watch whose handle is closed returns as if there had been a change",
		Doc:    "A closed channel is ready to be read, and what is read is zero.",
		Breaks: rules(conformance.WatchWakes),
		bends: answering(func(r *request, answer *op.Result) {
			if errors.Is(answer.Err, registry.ErrClosed) && r.call.Seen > 0 {
				*answer = op.Result{Outcome: op.OK, Record: registry.Placement{Actor: r.call.Actor}}
			}
		}, op.Watch),
	},
	{
		ID: "M228", Slug: "cursor-is-an-index",
		Section: "contract", Case: "listing-foreign-cursors",
		Title:  "a cursor that is no number takes the process down",
		Doc:    "Must(strconv.Atoi): cursors come from the registry itself, it was thought. They come from whoever calls.",
		Breaks: rules(conformance.CallsReturn),
		bends: inside(func(r *request) op.Result {
			if after := r.call.Page.After; after != "" && !slices.ContainsFunc(slices.Collect(maps.Keys(r.nodes)), func(id registry.NodeID) bool { return string(id) == string(after) }) {
				panic("strconv.Atoi: parsing " + strconv.Quote(string(after)))
			}
			return r.step()
		}, op.ListNodes),
	},
}

// marked is a listing whose cursors carry a mark, and are refused when known says so.
func marked(mark func(*request) string, known func(r *request, mark string) bool) func(*request) op.Result {
	return func(r *request) op.Result {
		if after := string(r.call.Page.After); after != "" {
			was, rest, _ := strings.Cut(after, ":")
			if !known(r, was) {
				return op.Failed(&registry.InvalidError{Field: "cursor", Problem: "is not known"})
			}
			r.call.Page.After = registry.Cursor(rest)
		}
		answer := r.step()
		if answer.Next != "" {
			answer.Next = registry.Cursor(mark(r)+":") + answer.Next
		}
		return answer
	}
}

// subscribingLate takes the channel of the next change after it has let go of the
// mutex, and looks at nothing in between.
func subscribingLate(r *request) op.Result {
	if err := r.begin(); err != nil {
		return op.Failed(err)
	}
	found := r.record(r.call.Actor)
	r.mu.Unlock()
	for found.Version == r.call.Seen {
		encode(found) // the request to subscribe
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		r.wait(changed)
		if err := r.begin(); err != nil {
			return op.Failed(err)
		}
		found = r.record(r.call.Actor)
		r.mu.Unlock()
	}
	return op.Result{Outcome: op.OK, Record: found}
}
