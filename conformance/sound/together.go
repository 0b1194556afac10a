package sound

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// Peculiarities of calls that are served together.
var together = []Variant{
	{"joins-equal-reads", "a read that equals one of its handle which has not begun yet shares its answer", linearizable, joining(func(c *op.Call) bool {
		return c.Kind == op.Lookup || c.Kind == op.Validate || c.Kind == op.GetNode
	})},
	{"joins-repetitions", "a claim, a release or a registration that equals one which has not begun yet shares its answer", "each may be repeated: the same answer, and nothing changes", joining(func(c *op.Call) bool {
		return c.Kind == op.Claim || c.Kind == op.Release || c.Kind == op.RegisterNode && !c.Info.Instance.IsZero()
	})},
	{"group-commit", "calls that wait are carried out in one go, and answered when all of them are in", linearizable, inGroups},
	{"batch-in-one-step", "a batch is one step, by one reading, and begins with its last lease", "each renewal is atomic, in any order; the batch may be, too", func(c *cluster) { c.batch = (*request).atOnce }},
}

// joined is what several calls wait for.
type joined struct {
	done   chan struct{}
	answer op.Result
}

// joining lets calls for which joins holds share one. Whoever comes once it has begun
// does not: it may have been decided already.
func joining(joins func(*op.Call) bool) func(*cluster) {
	return func(c *cluster) {
		var mu sync.Mutex
		waiting := map[string]*joined{}
		c.serve = func(r *request) op.Result {
			if !joins(&r.call) || r.yield != nil || r.call.Validate() != nil || r.ctx.Err() != nil {
				return r.serve()
			}
			key := fmt.Sprintf("%p %s", r.handle, r.call.Script())
			mu.Lock()
			j, found := waiting[key]
			if !found {
				j = &joined{done: make(chan struct{})}
				waiting[key] = j
			}
			mu.Unlock()
			if found {
				<-j.done
				return own(j.answer)
			}
			runtime.Gosched()
			mu.Lock()
			delete(waiting, key)
			mu.Unlock()
			r.ctx = context.WithoutCancel(r.ctx) // the others go on when this caller has gone
			j.answer = r.serve()
			close(j.done)
			return own(j.answer)
		}
	}
}

// own returns the answer for one of several callers: a detail is of one call.
func own(a op.Result) op.Result {
	if refusal := new(registry.Refusal); errors.As(a.Err, &refusal) {
		alone := *refusal
		return op.Failed(&alone)
	}
	return a
}

// inGroups lets whoever has the turn serve all who wait for it.
func inGroups(c *cluster) {
	type seat struct {
		*request
		answer op.Result
		done   chan struct{}
	}
	var mu, turn sync.Mutex
	var waiting []*seat
	c.serve = func(r *request) op.Result {
		if r.yield != nil || r.call.Kind == op.Watch || r.call.Kind == op.RenewBatch {
			return r.serve()
		}
		mine := &seat{request: r, done: make(chan struct{})}
		mu.Lock()
		waiting = append(waiting, mine)
		mu.Unlock()
		runtime.Gosched()
		turn.Lock()
		defer turn.Unlock()
		mu.Lock()
		group := waiting
		waiting = nil
		mu.Unlock()
		for _, s := range group {
			s.answer = s.request.serve()
		}
		for _, s := range group {
			close(s.done)
		}
		<-mine.done
		return mine.answer
	}
}

// atOnce renews the leases of a batch in one step, which nothing comes between.
func (r *request) atOnce() op.Result {
	results := op.Result{Outcome: op.OK, Renewals: make([]op.Result, len(r.call.Leases))}
	r.at("asked")
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	for i := len(r.call.Leases) - 1; i >= 0; i-- {
		one := &request{handle: r.handle, ctx: r.ctx, call: op.OnLease(op.Renew, r.call.Leases[i]), now: now}
		err := one.call.Validate()
		if err == nil {
			err = one.refused()
		}
		if results.Renewals[i] = op.Failed(err); err == nil {
			results.Renewals[i] = r.step(one)
		}
	}
	return results
}
