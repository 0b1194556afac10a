package keeper

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
)

// patience is what keepers, agents and detectors share: clocks to wait and to
// judge by, the rules of trying again, and who is told.
type patience struct {
	policy Policy
	clock  Clock
	steady *steady
	log    *slog.Logger // called from events only
	events *outbox      // nil: nobody listens

	draw sync.Mutex // guards rng; taken last
	rng  *rand.Rand
}

func newPatience(cfg registry.Config, o Options) (*patience, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	policy, err := o.Policy.withDefaults(cfg)
	if err != nil {
		return nil, err
	}
	p := &patience{policy: policy, clock: o.Clock, log: o.Logger, steady: newSteady(cfg), events: new(outbox)}
	if p.clock == nil {
		p.clock = SystemClock()
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.events.gap = func(n int) {
		p.log.Error("events were dropped: an observer, a callback or the log handler is too slow", "events", n)
	}
	seed := o.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	p.rng = rand.New(rand.NewPCG(seed, 0))
	return p, nil
}

func (p *patience) int64N(n int64) int64 {
	p.draw.Lock()
	defer p.draw.Unlock()
	return p.rng.Int64N(n)
}

// tell logs, behind all that happened before.
func (p *patience) tell(level slog.Level, text string, args ...any) {
	p.events.post(func() { p.log.Log(context.Background(), level, text, args...) })
}

// judge takes an error of the registry as the contract allows it, and logs it
// where the contract does not.
func (p *patience) judge(q question, err error) error { return p.complain(q.refused(err)) }

// complain logs a bad answer and returns err.
func (p *patience) complain(err error) error {
	if errors.Is(err, ErrBadAnswer) {
		p.tell(slog.LevelError, "registry breaks its contract", "error", err)
	}
	return err
}

// sleep waits for d by the clock, or until ctx ends.
func (p *patience) sleep(ctx context.Context, d time.Duration) error {
	woken := make(chan struct{})
	stop := p.clock.AfterFunc(d, func() { close(woken) })
	defer stop()
	select {
	case <-woken:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// insist calls f until it is answered for good or ctx ends, at the given pace.
// Only calls whose repetition does no harm may be insisted on.
func insist[T any](ctx context.Context, p *patience, at pace, f func(context.Context) (T, error)) (T, error) {
	for failures := 1; ; failures++ {
		v, err := ask(ctx, p, at, f)
		if err == nil || !transient(err) || ctx.Err() != nil {
			return v, err
		}
		if p.sleep(ctx, at.delay(failures, p)) != nil {
			return v, err
		}
	}
}

// ask makes one call within its bound. A registry ends with the context of a call.
// One that does not is waited for until the caller's context ends, and a moment
// longer for the answer of one that does; what it did is then unknown. So a caller
// has one call under way at most, and ends with its context whatever is answered.
func ask[T any](ctx context.Context, p *patience, at pace, f func(context.Context) (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		call, cancel := context.WithTimeout(ctx, at.bound)
		defer cancel()
		v, err := f(call)
		answered <- answer{v, err}
	}()
	select {
	case a := <-answered:
		return a.v, a.err
	case <-ctx.Done():
	}
	late := make(chan struct{})
	stop := p.clock.AfterFunc(at.retry, func() { close(late) })
	defer stop()
	select {
	case a := <-answered:
		return a.v, a.err
	case <-late:
		var none T
		return none, &registry.AmbiguousError{MayStillApply: true, Cause: context.Cause(ctx)}
	}
}

// done is the answer of a call that returns nothing.
type done = struct{}

// transient reports whether an error leaves room for another attempt.
func transient(err error) bool {
	return errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrAmbiguous) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// present refuses an argument that is nil, before anything is done.
func present(name string, v any) error {
	if v == nil {
		return &registry.InvalidError{Field: name, Problem: "is nil"}
	}
	return nil
}

// jitter is a source of random delays.
type jitter interface {
	int64N(n int64) int64 // from [0, n)
}

// upperHalf draws from [d/2, d]: spread out, but never at once.
func upperHalf(rng jitter, d time.Duration) time.Duration {
	return d - time.Duration(rng.int64N(int64(d)/2+1))
}

// full draws from [0, d]: full jitter.
func full(rng jitter, d time.Duration) time.Duration {
	return time.Duration(rng.int64N(int64(d) + 1))
}
