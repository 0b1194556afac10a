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

// patience is what keepers, agents and detectors share: a clock to wait by, and
// the rules of trying again.
type patience struct {
	policy Policy
	clock  Clock
	log    *slog.Logger

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
	p := &patience{policy: policy, clock: o.Clock, log: o.Logger}
	if p.clock == nil {
		p.clock = SystemClock()
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
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

func (p *patience) moment() moment { return moment{p.clock.Now(), p.clock.Elapsed()} }

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

// insist calls f until it is answered for good or ctx ends. Only calls whose
// repetition does no harm may be insisted on.
func (p *patience) insist(ctx context.Context, f func(context.Context) error) error {
	for failures := 1; ; failures++ {
		call, cancel := context.WithTimeout(ctx, p.policy.CallTimeout)
		err := f(call)
		cancel()
		if err == nil || !transient(err) || ctx.Err() != nil {
			return err
		}
		if p.sleep(ctx, p.policy.retryDelay(failures, p)) != nil {
			return err
		}
	}
}

// transient reports whether an error leaves room for another attempt.
func transient(err error) bool {
	return errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrAmbiguous) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
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
