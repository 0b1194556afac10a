package broken

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes of handles: several callers on one, Close and contexts that end with
// calls under way, values that are kept, watches and batches.
var handleMistakes = []Variant{
	{
		ID: "M126", Slug: "close-panics",
		Section: "handles", Case: "close-under-way",
		Title:  "close panics under a call",
		Doc:    "A connection pool that is set to nil by Close.",
		Breaks: rules(conformance.CallsReturn),
		bends: perHandle(func() middle {
			var gone atomic.Bool
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				if c.Kind == op.Close {
					gone.Store(true)
					return pass(ctx, h, c)
				}
				before := gone.Load()
				r := pass(ctx, h, c)
				if gone.Load() && !before && c.Kind.Timed() {
					panic("send on closed channel")
				}
				return r
			}
		}),
	},
	{
		ID: "M127", Slug: "close-waits-for-calls",
		Section: "handles", Case: "close-under-way",
		Title:  "close waits for calls that wait for it",
		Doc:    "Net/http: Server.Shutdown under a handler that calls it.",
		Breaks: rules(conformance.CallsReturn),
		bends: perHandle(func() middle {
			var mu sync.RWMutex
			var calls sync.WaitGroup
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				if c.Kind == op.Close {
					mu.Lock()
					defer mu.Unlock()
					calls.Wait()
					return pass(ctx, h, c)
				}
				calls.Add(1)
				defer calls.Done()
				r := pass(ctx, h, c)
				mu.RLock() // to count it
				defer mu.RUnlock()
				return r
			}
		}),
	},
	{
		ID: "M128", Slug: "close-for-everybody",
		Section: "handles", Case: "close-race",
		Title:  "close closes for everybody",
		Doc:    "A connection shared by all handles.",
		Breaks: rules(conformance.ClosedSecond),
		bends: layered(func() func(registry.Clock) middle {
			var gone atomic.Bool
			return func(registry.Clock) middle {
				var mine atomic.Bool
				gone.Store(false)
				return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
					if c.Kind == op.Close {
						gone.Store(true)
						mine.Store(true)
					} else if gone.Load() && !mine.Load() {
						return op.Failed(registry.ErrClosed)
					}
					return pass(ctx, h, c)
				}
			}
		}),
	},
	{
		ID: "M129", Slug: "closed-though-applied",
		Section: "handles", Case: "close-under-way",
		Title:  "closed although it happened",
		Doc:    "GRPC: ErrClientConnClosing after the request was served.",
		Breaks: rules(conformance.AmbiguousTruth),
		bends: perHandle(func() middle {
			var gone atomic.Bool
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				if c.Kind == op.Close {
					gone.Store(true)
				}
				r := pass(ctx, h, c)
				if gone.Load() && r.Err == nil && c.Kind != op.Close && c.Kind != op.RenewBatch {
					return op.Failed(registry.ErrClosed)
				}
				return r
			}
		}),
	},
	{
		ID: "M130", Slug: "answers-after-close",
		Section: "handles", Case: "close-under-way",
		Title:  "answers after close",
		Doc:    "A reference count that is never looked at again.",
		Breaks: rules(conformance.ClosedSecond),
		bends: perHandle(func() middle {
			var busy, gone atomic.Int64
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				if c.Kind == op.Close {
					if busy.Load() > 0 { // somebody else closes it when it is idle, and does not
						gone.Store(1)
						return op.Result{Outcome: op.OK}
					}
					return pass(ctx, h, c)
				}
				busy.Add(1)
				defer busy.Add(-1)
				return pass(ctx, h, c)
			}
		}),
	},
	{
		ID: "M131", Slug: "one-request-buffer",
		Section: "contexts", Case: "while-waiting",
		Title:  "one request buffer for a handle",
		Doc:    "A client that is not safe for concurrent use.",
		Breaks: anyOperation,
		bends: perHandle(func() middle {
			var mu sync.Mutex
			var buffer op.Call
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				if !c.Kind.Mutates() || c.Kind == op.RenewBatch {
					return pass(ctx, h, c)
				}
				mu.Lock()
				buffer = c
				mu.Unlock()
				_ = ctx.Err() // somebody may come in between
				_ = ctx.Err()
				mu.Lock()
				c = buffer
				mu.Unlock()
				return pass(ctx, h, c)
			}
		}),
	},
	{
		ID: "M132", Slug: "one-row-buffer",
		Section: "handles", Case: "rows",
		Title:  "one row buffer for a handle",
		Doc:    "Database/sql: RawBytes.",
		Breaks: rules(conformance.ValuesOwn),
		bends: perHandle(func() middle {
			var mu sync.Mutex
			buffer := make([]registry.Placement, 0, 64)
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				r := pass(ctx, h, c)
				if c.Kind == op.ListActors && len(r.Actors) > 0 {
					mu.Lock()
					defer mu.Unlock()
					r.Actors = append(buffer[:0], r.Actors...)
				}
				return r
			}
		}),
	},
	{
		ID: "M133", Slug: "shared-row-cache",
		Section: "handles", Case: "rows",
		Title:  "rows from a cache that the caller can write to",
		Doc:    "A cache of member lists that returns its own slice.",
		Breaks: rules(conformance.ValuesOwn),
		bends: perHandle(func() middle {
			var mu sync.Mutex
			var rows, told []registry.Node
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				r := pass(ctx, h, c)
				if c.Kind == op.ListNodes && r.Err == nil {
					mu.Lock()
					defer mu.Unlock()
					if !slices.Equal(told, r.Nodes) {
						rows, told = slices.Clone(r.Nodes), slices.Clone(r.Nodes)
					}
					r.Nodes = rows
				}
				return r
			}
		}),
	},
	{
		ID: "M134", Slug: "batch-sorted-in-place",
		Section: "handles", Case: "arguments",
		Title:  "the batch is sorted in place",
		Doc:    "Keys sorted in the caller's slice to avoid deadlocks.",
		Breaks: rules(conformance.ValuesOwn),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			if c.Kind != op.RenewBatch {
				return pass(ctx, h, c)
			}
			leases := slices.Clone(c.Leases)
			slices.SortFunc(c.Leases, func(a, b registry.Lease) int {
				return len(b.Actor.Name) - len(a.Actor.Name) + int(a.Token) - int(b.Token)
			})
			slices.Reverse(c.Leases)
			c.Leases = leases
			return pass(ctx, h, c)
		}),
	},
	{
		ID: "M135", Slug: "one-error-value",
		Section: "handles", Case: "errors",
		Title:  "one error value for a handle",
		Doc:    "A sentinel error with fields.",
		Breaks: rules(conformance.ErrorKept, conformance.ErrorIdentity),
		bends: perHandle(func() middle {
			var mu sync.Mutex
			shared := new(registry.Refusal)
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				r := pass(ctx, h, c)
				var refusal *registry.Refusal
				if errors.As(r.Err, &refusal) {
					mu.Lock()
					defer mu.Unlock()
					*shared = *refusal
					r.Err = shared
				}
				return r
			}
		}),
	},
	{
		ID: "M136", Slug: "context-looked-at-late",
		Section: "contexts", Case: "one-call",
		Title:  "the context is looked at after the effect",
		Doc:    "A deadline after the apply, answered as a plain context error.",
		Breaks: rules(conformance.AmbiguousTruth, conformance.ContextThird),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			r := pass(context.WithoutCancel(ctx), h, c)
			if err := ctx.Err(); err != nil && r.Err == nil && c.Kind.Mutates() && c.Kind != op.RenewBatch {
				return op.Failed(err)
			}
			return r
		}),
	},
	{
		ID: "M277", Slug: "cause-for-error",
		Section: "contract",
		Title:   "a call whose context has ended fails with the context's cause",
		Doc:     "context.Cause in the place of ctx.Err. Where nobody gives a cause both are the same; a caller that gives one asks in vain whether it was context.Canceled.",
		Breaks:  rules(conformance.ContextThird),
		bends:   each(causeForError(op.Lookup, op.Claim, op.Renew, op.Release, op.Transfer, op.Validate)),
	},
	{
		ID: "M278", Slug: "watch-fails-with-the-cause",
		Section: "handles",
		Title:   "a watch whose caller gives up fails with the context's cause",
		Doc:     "As M277, and only while it waits.",
		Breaks:  rules(conformance.ErrorIdentity),
		bends:   each(causeForError(op.Watch)),
	},
	{
		ID: "M137", Slug: "left-behind-goes-on",
		Section: "contexts", Case: "one-call",
		Title:  "applied by another goroutine",
		Doc:    "A call that is left behind and goes on.",
		Breaks: rules(conformance.AmbiguousTruth, conformance.ContextThird),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			if !c.Kind.Mutates() || c.Kind == op.RenewBatch {
				return pass(ctx, h, c)
			}
			done := make(chan op.Result, 1)
			go func() { done <- pass(context.WithoutCancel(ctx), h, c) }()
			select {
			case r := <-done:
				return r
			case <-ctx.Done():
				return op.Failed(ctx.Err())
			}
		}),
	},
	{
		ID: "M138", Slug: "lock-left-behind",
		Section: "contexts", Case: "while-waiting",
		Title:  "a lock left behind",
		Doc:    "Etcd: a lock key that stays when the caller's context ends during the wait.",
		Breaks: rules(conformance.CallsReturn),
		bends: layered(func() func(registry.Clock) middle {
			lock := newChanLock()
			return func(registry.Clock) middle {
				return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
					if c.Kind == op.Close {
						return pass(ctx, h, c)
					}
					if err := ctx.Err(); err != nil {
						return pass(ctx, h, c)
					}
					locked := make(chan struct{})
					go func() { lock <- struct{}{}; close(locked) }()
					select {
					case <-locked:
					case <-ctx.Done():
						return op.Failed(ctx.Err()) // and nobody unlocks
					}
					defer func() { <-lock }()
					return pass(ctx, h, c)
				}
			}
		}),
	},
	{
		ID: "M139", Slug: "coalesced-context",
		Section: "contexts", Case: "joined",
		Title:  "coalesced under the first caller's context",
		Doc:    "Singleflight: all waiters get the leader's context error.",
		Breaks: rules(conformance.ContextOwn),
		bends: layered(func() func(registry.Clock) middle {
			type flight struct {
				done chan struct{}
				r    op.Result
			}
			var mu sync.Mutex
			flights := map[string]*flight{}
			return func(clock registry.Clock) middle {
				return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
					if c.Kind != op.Lookup && c.Kind != op.GetNode || c.Validate() != nil || ctx.Err() != nil {
						return pass(ctx, h, c)
					}
					key := fmt.Sprint(c.Kind, c.Actor, c.Node)
					mu.Lock()
					if f := flights[key]; f != nil {
						mu.Unlock()
						<-f.done
						return f.r
					}
					f := &flight{done: make(chan struct{})}
					flights[key] = f
					mu.Unlock()
					f.r = pass(ctx, h, c)
					if err := ctx.Err(); err != nil && !c.Kind.Mutates() {
						f.r = op.Failed(err)
					}
					mu.Lock()
					delete(flights, key)
					mu.Unlock()
					close(f.done)
					return f.r
				}
			}
		}),
	},
	{
		ID: "M140", Slug: "cleanup-errors-swallowed",
		Section: "contexts", Case: "one-call",
		Title:  "a release that gave up succeeds",
		Doc:    "Errors of clean-up calls are swallowed.",
		Breaks: rules(conformance.ContextThird, conformance.Linearizability, conformance.NoStaleWrite),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			r := pass(ctx, h, c)
			if c.Kind == op.Release && r.Outcome == op.Cancelled || c.Kind == op.Release && r.Err == nil && ctx.Err() != nil && c.Token > 1<<40 {
				return op.Result{Outcome: op.OK}
			}
			return r
		}),
	},
	{
		ID: "M141", Slug: "two-errors-in-one",
		Section: "handles", Case: "close-race",
		Title:  "two errors in one",
		Doc:    "Errors.Join of all that was found.",
		Breaks: rules(conformance.ErrorIdentity),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			r := pass(ctx, h, c)
			if c.Kind == op.Claim && errors.Is(r.Err, registry.ErrHeld) {
				r.Err = errors.Join(r.Err, registry.ErrFenced)
			}
			return r
		}),
	},
	{
		ID: "M142", Slug: "queue-slot-kept",
		Section: "contexts", Case: "many-waiters",
		Level:  conformance.Default,
		Title:  "a queue slot is kept by those who give up",
		Doc:    "A semaphore that is not released on the way out of an error.",
		Breaks: rules(conformance.CallsReturn),
		bends: layered(func() func(registry.Clock) middle {
			lock := newChanLock()
			return func(registry.Clock) middle {
				slots := make(chan struct{}, 32)
				return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
					if c.Kind == op.Watch || c.Kind == op.Close || c.Validate() != nil || ctx.Err() != nil {
						return pass(ctx, h, c)
					}
					select {
					case slots <- struct{}{}:
					case <-ctx.Done():
						return op.Failed(ctx.Err())
					}
					if err := lock.lock(ctx); err != nil {
						return op.Failed(err) // with its slot
					}
					defer func() { <-lock; <-slots }()
					return pass(ctx, h, c)
				}
			}
		}),
	},
	{
		ID: "M143", Slug: "watch-wakes-at-expiry",
		Section: "handles", Case: "watch-lifetimes",
		Title:  "a watch wakes when the lease runs out",
		Doc:    "A watch on keys with a time to live.",
		Breaks: rules(conformance.WatchWakes),
		bends: layered(func() func(registry.Clock) middle {
			return func(clock registry.Clock) middle {
				return polling(func(p registry.Placement) bool { return p.Held() && clock.Now() >= p.Expiry })
			}
		}),
	},
	{
		ID: "M144", Slug: "few-watches-woken",
		Section: "handles", Case: "watch-crowd",
		Title:  "no more than 64 watches are woken",
		Doc:    "A buffered channel that drops what does not fit.",
		Breaks: rules(conformance.WatchWakes),
		bends: layered(func() func(registry.Clock) middle {
			var waiting atomic.Int64
			return func(registry.Clock) middle {
				return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
					if c.Kind != op.Watch {
						return pass(ctx, h, c)
					}
					defer waiting.Add(-1)
					if waiting.Add(1) > 64 && c.Validate() == nil {
						<-ctx.Done()
						return op.Failed(ctx.Err())
					}
					return pass(ctx, h, c)
				}
			}
		}),
	},
	{
		ID: "M145", Slug: "broadcast-wakes-all",
		Section: "handles", Case: "watch-others",
		Title:  "every change wakes every watch",
		Doc:    "Sync.Cond.Broadcast without looking at the condition again.",
		Breaks: rules(conformance.WatchWakes),
		bends: layered(func() func(registry.Clock) middle {
			var changes atomic.Int64
			return func(registry.Clock) middle {
				watch := func() middle {
					seen := changes.Load()
					return polling(func(registry.Placement) bool { return changes.Load() != seen })
				}
				return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
					if c.Kind == op.Watch {
						return watch()(ctx, h, c)
					}
					r := pass(ctx, h, c)
					if c.Kind.Mutates() && r.Err == nil {
						changes.Add(1)
					}
					return r
				}
			}
		}),
	},
	{
		ID: "M146", Slug: "watches-lost-in-crash",
		Section: "handles", Case: "watch-crash",
		Title:  "watches after a crash wait for ever",
		Doc:    "A hub that is started once for a process.",
		Breaks: rules(conformance.WatchWakes),
		bends: layered(func() func(registry.Clock) middle {
			var handles atomic.Int64
			return func(registry.Clock) middle {
				late := handles.Add(1) > 3
				return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
					if c.Kind == op.Watch && late {
						<-ctx.Done()
						return op.Failed(ctx.Err())
					}
					return pass(ctx, h, c)
				}
			}
		}),
	},
	{
		ID: "M147", Slug: "one-invalid-spoils-batch",
		Section: "handles", Case: "batch-members",
		Title:  "one invalid member spoils the batch",
		Doc:    "A batch that is checked as a whole.",
		Breaks: rules(conformance.BatchAsSingle, conformance.InvalidFirst),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			if c.Kind == op.RenewBatch {
				if err := c.Validate(); err != nil {
					return op.Failed(err)
				}
				for _, l := range c.Leases {
					if one := op.OnLease(op.Renew, l); one.Validate() != nil {
						return op.Failed(one.Validate())
					}
				}
			}
			return pass(ctx, h, c)
		}),
	},
	{
		ID: "M148", Slug: "batches-cut",
		Section: "handles", Case: "batch-size",
		Title:  "batches end after 128",
		Doc:    "A page of a bulk request that is never followed by the next.",
		Breaks: rules(conformance.BatchAsSingle),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			if c.Kind != op.RenewBatch || len(c.Leases) <= 128 {
				return pass(ctx, h, c)
			}
			all := c.Leases
			c.Leases = all[:128]
			r := pass(ctx, h, c)
			for _, l := range all[128:] {
				r.Renewals = append(r.Renewals, op.Result{Outcome: op.OK, Record: registry.Placement(l)})
			}
			return r
		}),
	},
	{
		ID: "M149", Slug: "batch-members-unavailable-though-renewed",
		Level:   conformance.Default, // chance tells it
		Section: "handles", Case: "batch-faults",
		Title:  "members of a batch are unavailable although renewed",
		Doc:    "An answer that was lost within a bulk request.",
		Breaks: rules(conformance.AmbiguousTruth),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			r := pass(ctx, h, c)
			if c.Kind == op.RenewBatch && len(r.Renewals) > 1 && r.Renewals[1].Err == nil {
				r.Renewals[1] = op.Failed(registry.ErrUnavailable)
			}
			return r
		}),
	},
	{
		ID: "M150", Slug: "batch-members-cancelled-though-renewed",
		Section: "contexts", Case: "random-batches",
		Title:  "members of a batch are cancelled although renewed",
		Doc:    "A deadline after the apply, in a bulk request.",
		Breaks: rules(conformance.AmbiguousTruth),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			if c.Kind != op.RenewBatch || ctx.Err() != nil {
				return pass(ctx, h, c)
			}
			r := pass(context.WithoutCancel(ctx), h, c)
			for i := range r.Renewals {
				if err := ctx.Err(); err != nil && r.Renewals[i].Err == nil {
					r.Renewals[i] = op.Failed(err)
				}
			}
			return r
		}),
	},
	{
		ID: "M208", Slug: "transfer-context-looked-at-late",
		Level:   conformance.Default, // chance tells it
		Section: "contexts", Case: "random",
		Title:  "a transfer whose context ends during the call fails with its error, and has happened",
		Doc:    "A deadline after the apply, answered as a plain context error. The giver serves on, and so does the receiver.",
		Breaks: append(rules(conformance.ContextThird), untold...),
		bends: each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			if c.Kind != op.Transfer || ctx.Err() != nil {
				return pass(ctx, h, c)
			}
			r := pass(context.WithoutCancel(ctx), h, c)
			if err := ctx.Err(); err != nil && r.Err == nil {
				return op.Failed(err)
			}
			return r
		}),
	},
}

// polling answers a watch as a loop of lookups does, and also when wakes says so.
func polling(wakes func(registry.Placement) bool) middle {
	return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		if c.Kind != op.Watch || c.Validate() != nil || ctx.Err() != nil {
			return pass(ctx, h, c)
		}
		for ctx.Err() == nil {
			r := pass(ctx, h, op.Call{Kind: op.Lookup, Actor: c.Actor})
			if r.Err != nil || r.Record.Version != c.Seen || wakes(r.Record) {
				return r
			}
			time.Sleep(100 * time.Microsecond)
		}
		return op.Failed(ctx.Err())
	}
}

// causeForError tells the cause of what ended a call of these kinds.
func causeForError(kinds ...op.Kind) middle {
	return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		answer := pass(ctx, h, c)
		if slices.Contains(kinds, c.Kind) && ctx.Err() != nil && answer.Err == ctx.Err() {
			return op.Failed(context.Cause(ctx))
		}
		return answer
	}
}
