package adapt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
)

// Election is a leader election. T is what it gives to a leader.
type Election[T any] struct {
	// Campaign waits until the candidate leads, or ctx ends: then it has withdrawn when
	// Campaign returns.
	Campaign func(ctx context.Context, key, candidate string) (T, Tenure, error)

	// Renew keeps the leadership for another TTL: registry.ErrNotHeld when it is lost.
	Renew func(ctx context.Context, leader T) (Tenure, error)

	// Resign gives the leadership up: registry.ErrNotHeld when it was lost before.
	Resign func(ctx context.Context, leader T) error

	// Observe tells who leads, and found false when nobody does.
	Observe func(ctx context.Context, key string) (t Tenure, found bool, err error)

	Patience    time.Duration // how long a candidate waits in Campaign, at most
	Tokens      bool          // as Lock.Tokens
	HoldsLonger time.Duration // as Lock.HoldsLonger; a candidate that observes before it takes over holds longer
	StoreClock  bool          // as Lock.StoreClock
}

// led is what a candidate is told that has withdrawn: it is held, when somebody leads;
// otherwise nothing has happened.
func (e Election[T]) led(ctx context.Context, key string) error {
	switch _, found, err := e.Observe(ctx, key); {
	case err != nil:
		return fmt.Errorf("%w: the candidate has withdrawn: %w", registry.ErrUnavailable, err)
	case !found:
		return fmt.Errorf("%w: the candidate has withdrawn, and nobody leads", registry.ErrUnavailable)
	}
	return registry.ErrHeld
}

// Lock returns the election as a lock: a candidate that does not lead within its
// patience is told that it is held.
func (e Election[T]) Lock() Lock[T] {
	return Lock[T]{
		Acquire: func(ctx context.Context, key, owner string) (T, Tenure, error) {
			patient, cancel := context.WithTimeout(ctx, e.Patience)
			defer cancel()
			lock, t, err := e.Campaign(patient, key, owner)
			if err != nil && ctx.Err() == nil && errors.Is(patient.Err(), context.DeadlineExceeded) {
				err = e.led(ctx, key)
			}
			return lock, t, err
		},
		Renew: e.Renew, Release: e.Resign, Inspect: e.Observe,
		Tokens: e.Tokens, HoldsLonger: e.HoldsLonger, StoreClock: e.StoreClock,
	}
}
