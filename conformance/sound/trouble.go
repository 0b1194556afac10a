package sound

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// trouble are the shares of attempts that suffer, and what of. What is told
// about each is true.
type trouble struct {
	unavailable float64 // nothing happened, and the caller is told so; reads too
	lostRequest float64 // nothing happened, and the caller cannot know; settled
	lostAnswer  float64 // it happened, and the caller cannot know; settled
	late        float64 // it happens later than told
	never       float64 // it was told that it may still apply, and never does
	fresh       bool    // what is late is decided by the clock as it reads then
}

// mixed is a share of every kind of trouble.
func mixed(share float64) trouble {
	return trouble{unavailable: share * 0.4, lostRequest: share * 0.2, lostAnswer: share * 0.2, late: share * 0.1, never: share * 0.1}
}

var errNetwork = errors.New("connection reset by peer")

// attempt takes the step, or what trouble leaves of it. What is late applies
// before the next attempt of anybody, each as one step of its own.
func (r *request) attempt() op.Result {
	for _, apply := range r.late {
		apply()
	}
	r.cluster.late = nil
	t := r.injected
	if t == (trouble{}) {
		t = r.own
	}
	if t == (trouble{}) {
		return r.apply()
	}
	p := r.rng().Float64()
	below := func(share float64) bool {
		p -= share
		return p < 0
	}
	switch {
	case below(t.unavailable):
		return op.Failed(fmt.Errorf("%w: %w", registry.ErrUnavailable, errNetwork))
	case below(t.lostRequest):
		return op.Failed(&registry.AmbiguousError{Cause: errNetwork})
	case below(t.lostAnswer):
		r.apply()
		return op.Failed(&registry.AmbiguousError{Cause: context.DeadlineExceeded})
	case below(t.late):
		late := *r
		r.cluster.late = append(r.late, func() {
			if t.fresh {
				late.now = late.clock.Now()
			}
			late.apply()
		})
		return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: errNetwork})
	case below(t.never):
		return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: context.Canceled})
	}
	return r.apply()
}

// takeLate returns the steps that are late, for land.
func (r *request) takeLate() []func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	late := r.late
	r.cluster.late = nil
	return late
}

// land takes steps that are late by themselves.
func (r *request) land(late []func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, apply := range late {
		apply()
	}
}

// unreadable reports whether the suite's trouble keeps a read from the store.
func (r *request) unreadable() bool {
	return r.injected.unavailable > 0 && r.rng().Float64() < r.injected.unavailable
}

// inTrouble is a store that is in trouble by itself, reads included.
func inTrouble(t trouble) func(*cluster) {
	return func(c *cluster) {
		c.own = t
		c.read = func(r *request) op.Result {
			if r.rng().Float64() < t.unavailable {
				return op.Failed(registry.ErrUnavailable)
			}
			return r.look()
		}
	}
}

// failing is a store of which the n-th call, from 1 on, fails if fails says so, in one
// of the ways in turn. A read is refused. fails is called under the store's mutex.
func failing(ways func() trouble, fails func(r *request, n int) bool) func(*cluster) {
	return func(c *cluster) {
		calls := 0
		now := func(r *request) bool { calls++; return fails(r, calls) }
		c.step = func(r *request) op.Result {
			r.cluster.own = trouble{}
			if now(r) {
				r.cluster.own = ways()
			}
			return r.attempt()
		}
		c.read = func(r *request) op.Result {
			if now(r) {
				return op.Failed(registry.ErrUnavailable)
			}
			return r.look()
		}
	}
}

// inThrees is a store of which every n-th request that writes is late. They apply
// together, before the first request that finds three of them.
func inThrees(n int) func(*cluster) {
	return func(c *cluster) {
		writes := 0
		c.step = func(r *request) op.Result {
			var waiting []func()
			if len(r.late) < 3 {
				waiting, r.cluster.late = r.late, nil
			}
			r.cluster.own = trouble{}
			if writes++; writes%n == 0 {
				r.cluster.own = trouble{late: 1}
			}
			answer := r.attempt()
			r.cluster.late = append(waiting, r.late...)
			return answer
		}
	}
}

// lateByCalls is a store of which one of n requests that write is late by one to most of
// them, which apply each before another.
func lateByCalls(n, most int) func(*cluster) {
	return func(c *cluster) {
		type message struct {
			due   int
			apply func()
		}
		var underWay []message
		writes := 0
		c.step = func(r *request) op.Result {
			writes++
			underWay = slices.DeleteFunc(underWay, func(m message) bool {
				if m.due <= writes {
					m.apply()
				}
				return m.due <= writes
			})
			rng := r.rng()
			r.cluster.own = trouble{}
			if rng.IntN(n) == 0 {
				r.cluster.own = trouble{late: 1}
			}
			answer := r.attempt()
			for _, apply := range r.late {
				underWay = append(underWay, message{writes + 1 + rng.IntN(most), apply})
			}
			r.cluster.late = nil
			return answer
		}
	}
}

// inTurn returns one trouble after the other.
func inTurn(list ...trouble) func() trouble {
	var n atomic.Uint64
	return func() trouble { return list[n.Add(1)%uint64(len(list))] }
}

var everyWay = inTurn(trouble{unavailable: 1}, trouble{lostRequest: 1}, trouble{lostAnswer: 1})

const ambiguous = "ErrAmbiguous: it may or may not have happened; its detail says which of two kinds"

var troubles = []Variant{
	{"trouble-1", "one of a hundred calls fails", ambiguous, inTrouble(mixed(0.01))},
	{"trouble-5", "one of twenty calls fails", ambiguous, inTrouble(mixed(0.05))},
	{"trouble-10", "one of ten calls fails", ambiguous, inTrouble(mixed(0.10))},
	{"trouble-20", "one of five calls fails", ambiguous, inTrouble(mixed(0.20))},
	{"often-unavailable", "one of four calls is refused by the store", "ErrUnavailable: nothing happened", inTrouble(trouble{unavailable: 0.25})},
	{"answers-lost", "one of five answers is lost, and the caller is told that the outcome is settled", "settled: it will not happen later than now", inTrouble(trouble{lostAnswer: 0.2})},
	{"requests-lost", "one of five requests is lost, and the caller is told that the outcome is settled", "settled: it will not happen later than now", inTrouble(trouble{lostRequest: 0.2})},
	{"requests-late", "one of ten requests applies before the next one, by the reading that it was sent with", "may still apply: it can yet take effect", inTrouble(trouble{late: 0.1})},
	{"requests-late-by-new-clocks", "one of ten requests applies before the next one, by the clock as it reads then", "may still apply: it can yet take effect", inTrouble(trouble{late: 0.1, fresh: true})},
	{"requests-late-before-eyes", "one of ten requests applies before the next one, and a watch tells the first change that came", "may still apply: it can yet take effect; a watch may miss intermediate versions, and may tell them", func(c *cluster) {
		inTrouble(trouble{late: 0.1})(c)
		tellingTheFirst(c)
	}},
	{"requests-late-after-a-while", "one of three calls fails, in one of four ways, and what is late applies a moment later by itself", "may still apply: it can yet take effect, at any later time", func(c *cluster) {
		inTrouble(trouble{unavailable: 0.1, lostRequest: 0.08, lostAnswer: 0.08, late: 0.08})(c)
		c.serve = func(r *request) op.Result {
			answer := r.serve()
			if answer.Outcome == op.Open {
				late := r.takeLate()
				time.AfterFunc(200*time.Microsecond, func() { r.land(late) })
			}
			return answer
		}
	}},
	{"requests-late-in-threes", "every sixteenth request waits until there are three, and these apply together", "may still apply: it can yet take effect, at any later time", inThrees(16)},
	{"requests-late-by-forty-writes", "one of twenty requests applies one to forty writes later, by the reading that it was sent with", "may still apply: it can yet take effect, at any later time", lateByCalls(20, 40)},
	{"requests-never", "one of twenty requests is said to be able to apply, and never does", "may still apply: it can yet take effect, or never", inTrouble(trouble{never: 0.05})},
	{"every-second-call-fails", "every second call is refused by the store", "ErrUnavailable: nothing happened", failing(inTurn(trouble{unavailable: 1}), func(_ *request, n int) bool { return n%2 == 0 })},
	{"every-third-call-fails", "every third call fails, each time in another way", ambiguous, failing(everyWay, func(_ *request, n int) bool { return n%3 == 0 })},
	{"failures-come-in-pairs", "two of five calls fail, one right after the other", ambiguous, failing(everyWay, func(_ *request, n int) bool { return n%5 < 2 })},
	{"first-calls-fail", "the first call of every handle fails", ambiguous, func(c *cluster) {
		called := map[*handle]bool{}
		failing(everyWay, func(r *request, _ int) bool {
			before := called[r.handle]
			called[r.handle] = true
			return !before
		})(c)
	}},
	{"opens-at-the-second-try", "every other handle cannot be opened", "ErrUnavailable: the store could not be asked, and nothing happened", func(c *cluster) {
		var tries atomic.Uint64
		c.opening = func() error {
			if tries.Add(1)%2 == 1 {
				return registry.ErrUnavailable
			}
			return nil
		}
	}},
	{"refuses-while-it-starts", "for 3 ms after a restart calls are refused, and no handle can be opened", "ErrUnavailable: the store could not be asked, and nothing happened", func(c *cluster) {
		var started atomic.Pointer[time.Time]
		c.restart = func() {
			at := time.Now().Add(3 * time.Millisecond)
			started.Store(&at)
		}
		starts := func() bool { at := started.Load(); return at != nil && time.Now().Before(*at) }
		c.opening = func() error {
			if starts() {
				return registry.ErrUnavailable
			}
			return nil
		}
		failing(inTurn(trouble{unavailable: 1}), func(*request, int) bool { return starts() })(c)
	}},
	{"down-now-and-then", "calls are refused for 2 of every 10 ms", "ErrUnavailable: nothing happened", func(c *cluster) {
		made := time.Now()
		failing(inTurn(trouble{unavailable: 1}), func(*request, int) bool { return time.Since(made)%(10*time.Millisecond) > 8*time.Millisecond })(c)
	}},
	{"reads-lost", "one of four answers to a read is lost, and told as unknown and settled", "any method may fail with ErrAmbiguous; of a read nothing can have happened", func(c *cluster) {
		c.read = func(r *request) op.Result {
			if r.rng().IntN(4) == 0 {
				return op.Failed(&registry.AmbiguousError{Cause: errNetwork})
			}
			return r.look()
		}
	}},
	{"unavailable-by-context", "ErrUnavailable has a context's error as its cause", "a context's error beside ErrUnavailable or ErrAmbiguous as its cause is allowed", func(c *cluster) {
		inTrouble(trouble{unavailable: 0.1})(c)
		c.answer = func(_ *request, a *op.Result) {
			if a.Outcome == op.Unavailable {
				*a = op.Failed(errors.Join(registry.ErrUnavailable, context.DeadlineExceeded))
			}
		}
	}},
	{"ambiguous-without-detail", "one of twenty answers is lost and told as the bare ErrAmbiguous", "without a detail it may still apply", func(c *cluster) {
		inTrouble(trouble{lostAnswer: 0.05})(c)
		c.answer = func(_ *request, a *op.Result) {
			if a.Outcome == op.Settled {
				*a = op.Failed(registry.ErrAmbiguous)
			}
		}
	}},
}
