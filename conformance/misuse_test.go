package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/memimpl/memtest"
	"github.com/kelpie-registry/registry/op"
)

// middle answers the calls of one handle, with the handle behind it.
type middle func(ctx context.Context, h registry.Handle, c op.Call) op.Result

// layered is memimpl behind a layer of somebody's own. layer is called once for
// each cluster and what it returns once for each handle.
type layered struct {
	name  string
	layer func() func(registry.Clock) middle
	base  conformance.Backend // nil: in memory
}

func (b layered) Name() string { return "layered" }

func (b layered) New(cfg registry.Config) (conformance.Cluster, error) {
	if b.base != nil {
		c, err := b.base.New(cfg)
		return &troubledLayers{layeredCluster{c, b.layer()}}, err
	}
	c, err := memtest.Volatile{}.New(cfg)
	return layeredCluster{c, b.layer()}, err
}

// troubledLayers is on a base that restarts, and has faults by name only: what
// they do is the layer's.
type troubledLayers struct{ layeredCluster }

func (c *troubledLayers) Restart() error               { return c.Cluster.(conformance.Restarter).Restart() }
func (c *troubledLayers) SetFaults(conformance.Faults) {}

type layeredCluster struct {
	conformance.Cluster
	layer func(registry.Clock) middle
}

func (c layeredCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.Cluster.Open(cfg, clock)
	if err != nil {
		return nil, err
	}
	do := c.layer(clock)
	return op.Handle(func(ctx context.Context, call op.Call) op.Result { return do(ctx, h, call) }, op.PowersOf(h)), nil
}

// each makes the same layer for every handle of every cluster.
func each(m middle) func() func(registry.Clock) middle {
	return func() func(registry.Clock) middle { return func(registry.Clock) middle { return m } }
}

func pass(ctx context.Context, h registry.Handle, c op.Call) op.Result { return op.Do(ctx, h, &c) }

// wrong is a layer with a mistake, which the rest of the suite does not see.
type wrong struct {
	layered
	incident string
	convicts []string // the cases that convict it
	rules    []conformance.RuleID
}

// chanLock is a lock that can be given up when a context ends.
type chanLock chan struct{}

func newChanLock() chanLock { return make(chanLock, 1) }

func (l chanLock) lock(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var wrongs = []wrong{
	{layered{"close panics under a call", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
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
		}
	}, nil}, "a connection pool that is set to nil by Close", []string{"handles/close-under-way"}, []conformance.RuleID{conformance.CallsReturn}},

	{layered{"close waits for calls that wait for it", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
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
		}
	}, nil}, "net/http: Server.Shutdown under a handler that calls it", []string{"handles/close-under-way"}, []conformance.RuleID{conformance.CallsReturn}},

	{layered{"close closes for everybody", func() func(registry.Clock) middle {
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
	}, nil}, "a connection shared by all handles", []string{"handles/close-race"}, []conformance.RuleID{conformance.ClosedSecond}},

	{layered{"closed although it happened", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
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
		}
	}, nil}, "gRPC: ErrClientConnClosing after the request was served", []string{"handles/close-under-way"}, []conformance.RuleID{conformance.AmbiguousTruth}},

	{layered{"answers after close", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
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
		}
	}, nil}, "a reference count that is never looked at again", []string{"handles/close-under-way"}, []conformance.RuleID{conformance.ClosedSecond}},

	{layered{"one request buffer for a handle", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
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
		}
	}, nil}, "a client that is not safe for concurrent use", []string{"contexts/while-waiting"}, nil},

	{layered{"one row buffer for a handle", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
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
		}
	}, nil}, "database/sql: RawBytes", []string{"handles/rows"}, []conformance.RuleID{conformance.ValuesOwn}},

	{layered{"rows from a cache that the caller can write to", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
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
		}
	}, nil}, "a cache of member lists that returns its own slice", []string{"handles/rows"}, []conformance.RuleID{conformance.ValuesOwn}},

	{layered{"the batch is sorted in place", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
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
	}), nil}, "keys sorted in the caller's slice to avoid deadlocks", []string{"handles/arguments"}, []conformance.RuleID{conformance.ValuesOwn}},

	{layered{"one error value for a handle", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
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
		}
	}, nil}, "a sentinel error with fields", []string{"handles/errors"}, []conformance.RuleID{conformance.ErrorKept, conformance.ErrorIdentity}},

	{layered{"the context is looked at after the effect", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		r := pass(context.WithoutCancel(ctx), h, c)
		if err := ctx.Err(); err != nil && r.Err == nil && c.Kind.Mutates() && c.Kind != op.RenewBatch {
			return op.Failed(err)
		}
		return r
	}), nil}, "a deadline after the apply, answered as a plain context error", []string{"contexts/one-call", "contexts/random"}, []conformance.RuleID{conformance.AmbiguousTruth, conformance.ContextThird}},

	{layered{"applied by another goroutine", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
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
	}), nil}, "a call that is left behind and goes on", []string{"contexts/one-call"}, []conformance.RuleID{conformance.AmbiguousTruth, conformance.ContextThird}},

	{layered{"a lock left behind", func() func(registry.Clock) middle {
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
	}, nil}, "etcd: a lock key that stays when the caller's context ends during the wait", []string{"contexts/while-waiting"}, []conformance.RuleID{conformance.CallsReturn}},

	{layered{"coalesced under the first caller's context", func() func(registry.Clock) middle {
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
	}, nil}, "singleflight: all waiters get the leader's context error", []string{"contexts/joined"}, []conformance.RuleID{conformance.ContextOwn}},

	{layered{"a release that gave up succeeds", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		r := pass(ctx, h, c)
		if c.Kind == op.Release && r.Outcome == op.Cancelled || c.Kind == op.Release && r.Err == nil && ctx.Err() != nil && c.Token > 1<<40 {
			return op.Result{Outcome: op.OK}
		}
		return r
	}), nil}, "errors of clean-up calls are swallowed", []string{"contexts/one-call"}, []conformance.RuleID{conformance.ContextThird, conformance.Linearizability, conformance.NoStaleWrite}},

	{layered{"two errors in one", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		r := pass(ctx, h, c)
		if c.Kind == op.Claim && errors.Is(r.Err, registry.ErrHeld) {
			r.Err = errors.Join(r.Err, registry.ErrFenced)
		}
		return r
	}), nil}, "errors.Join of all that was found", []string{"handles/close-race"}, []conformance.RuleID{conformance.ErrorIdentity}},

	{layered{"a queue slot is kept by those who give up", func() func(registry.Clock) middle {
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
	}, nil}, "a semaphore that is not released on the way out of an error", []string{"contexts/many-waiters"}, []conformance.RuleID{conformance.CallsReturn}},

	{layered{"a watch wakes when the lease runs out", func() func(registry.Clock) middle {
		return func(clock registry.Clock) middle {
			return polling(func(p registry.Placement) bool { return p.Held() && clock.Now() >= p.Expiry })
		}
	}, nil}, "a watch on keys with a time to live", []string{"handles/watch-lifetimes"}, []conformance.RuleID{conformance.WatchWakes}},

	{layered{"no more than 64 watches are woken", func() func(registry.Clock) middle {
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
	}, nil}, "a buffered channel that drops what does not fit", []string{"handles/watch-crowd"}, []conformance.RuleID{conformance.WatchWakes}},

	{layered{"every change wakes every watch", func() func(registry.Clock) middle {
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
	}, nil}, "sync.Cond.Broadcast without looking at the condition again", []string{"handles/watch-others"}, []conformance.RuleID{conformance.WatchWakes}},

	{layered{"watches after a crash wait for ever", func() func(registry.Clock) middle {
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
	}, memtest.OnFile{}}, "a hub that is started once for a process", []string{"handles/watch-crash"}, []conformance.RuleID{conformance.WatchWakes}},

	{layered{"one invalid member spoils the batch", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
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
	}), nil}, "a batch that is checked as a whole", []string{"handles/batch-members"}, []conformance.RuleID{conformance.BatchAsSingle, conformance.InvalidFirst}},

	{layered{"batches end after 128", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
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
	}), nil}, "a page of a bulk request that is never followed by the next", []string{"handles/batch-size"}, []conformance.RuleID{conformance.BatchAsSingle}},

	{layered{"members of a batch are unavailable although renewed", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		r := pass(ctx, h, c)
		if c.Kind == op.RenewBatch && len(r.Renewals) > 1 && r.Renewals[1].Err == nil {
			r.Renewals[1] = op.Failed(registry.ErrUnavailable)
		}
		return r
	}), memtest.OnFile{}}, "an answer that was lost within a bulk request", []string{"handles/batch-faults"}, []conformance.RuleID{conformance.AmbiguousTruth}},

	{layered{"members of a batch are cancelled although renewed", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
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
	}), nil}, "a deadline after the apply, in a bulk request", []string{"contexts/random-batches"}, []conformance.RuleID{conformance.AmbiguousTruth}},
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

// Each wrong layer is convicted by its case, by the right rule. A layer that polls
// may miss its moment on a busy machine, and does nothing wrong then: the next run
// has it.
func TestWrongLayers(t *testing.T) {
	for _, w := range wrongs {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for _, id := range w.convicts {
				var r conformance.CaseResult
				for range 10 {
					r = judgeOne(t, w.layered, id, conformance.CallTimeout(500*time.Millisecond))
					if r.Verdict == conformance.Convicted {
						break
					}
				}
				require.Equal(t, conformance.Convicted, r.Verdict, "%s: %s", w.incident, r.Reason)
				if w.rules != nil {
					assert.Contains(t, w.rules, r.Conviction.Rule, r.Conviction.String())
				}
			}
		})
	}
}

// Right layers that are unusual: each keeps the contract in a way of its own.
var unusual = []layered{
	{"one worker for all calls", func() func(registry.Clock) middle {
		lock := newChanLock()
		return func(registry.Clock) middle {
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				if c.Kind == op.Watch || c.Kind == op.Close || c.Validate() != nil {
					return pass(ctx, h, c)
				}
				if lock.lock(ctx) != nil {
					return pass(ctx, h, c) // which says what a context that has ended is told
				}
				defer func() { <-lock }()
				return pass(ctx, h, c)
			}
		}
	}, nil},
	{"contexts are not looked at after the beginning", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		if c.Kind == op.Watch || ctx.Err() != nil {
			return pass(ctx, h, c)
		}
		return pass(context.WithoutCancel(ctx), h, c)
	}), nil},
	{"calls that are left behind may still apply", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		if !c.Kind.Mutates() || c.Kind == op.RenewBatch || ctx.Err() != nil {
			return pass(ctx, h, c)
		}
		done := make(chan op.Result, 1)
		go func() { done <- pass(context.WithoutCancel(ctx), h, c) }()
		select {
		case r := <-done:
			return r
		case <-ctx.Done():
			return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: ctx.Err()})
		}
	}), nil},
	{"an effect whose caller has gone is unknown but settled", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		if c.Kind == op.Watch || ctx.Err() != nil {
			return pass(ctx, h, c)
		}
		r := pass(context.WithoutCancel(ctx), h, c)
		if err := ctx.Err(); err != nil && r.Err == nil && c.Kind.Mutates() && c.Kind != op.RenewBatch {
			return op.Failed(&registry.AmbiguousError{Cause: err})
		}
		return r
	}), nil},
	{"an ended context makes the store unavailable", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		r := pass(ctx, h, c)
		if r.Outcome == op.Cancelled && c.Kind != op.Watch && c.Kind != op.RenewBatch {
			return op.Failed(unavailableBecause{r.Err})
		}
		return r
	}), nil},
	{"close waits for the calls under way", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
			var calls sync.RWMutex
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				switch c.Kind {
				case op.Watch:
				case op.Close:
					calls.Lock()
					defer calls.Unlock()
				default:
					calls.RLock()
					defer calls.RUnlock()
				}
				return pass(ctx, h, c)
			}
		}
	}, nil},
	{"an answer that comes after close is unknown", func() func(registry.Clock) middle {
		return func(registry.Clock) middle {
			var gone atomic.Bool
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				if c.Kind == op.Close {
					gone.Store(true)
				}
				r := pass(ctx, h, c)
				if gone.Load() && r.Err == nil && c.Kind.Mutates() && c.Kind != op.RenewBatch {
					return op.Failed(&registry.AmbiguousError{Cause: errors.New("the connection was closed")})
				}
				return r
			}
		}
	}, nil},
	{"errors are wrapped", each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		r := pass(ctx, h, c)
		if r.Err != nil {
			r.Err = fmt.Errorf("%v: %w", c.Kind, r.Err)
		}
		return r
	}), nil},
}

// unavailableBecause is ErrUnavailable with its cause.
type unavailableBecause struct{ cause error }

func (e unavailableBecause) Error() string {
	return registry.ErrUnavailable.Error() + ": " + e.cause.Error()
}
func (e unavailableBecause) Unwrap() []error { return []error{registry.ErrUnavailable, e.cause} }

// No right layer is convicted (contract, section 3): what is not forbidden is allowed.
func TestUnusualLayers(t *testing.T) {
	for _, b := range unusual {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			r, err := conformance.Judge(t.Context(), b, conformance.OnlySections("handles", "contexts"), conformance.Parallel(2))
			require.NoError(t, err)
			for _, c := range r.Cases {
				if c.Verdict != conformance.Pass && c.Verdict != conformance.Skipped {
					t.Errorf("%s: %s %s %v", c.ID(), c.Verdict, c.Reason, c.Conviction)
				}
			}
		})
	}
}
