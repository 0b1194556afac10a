package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
)

// TryAcquire claims actor and returns its tenure, or an error at once when
// somebody else holds it (ErrHeld, with the placement).
func (k *Keeper) TryAcquire(ctx context.Context, actor registry.ActorID) (*Tenure, error) {
	return k.acquire(ctx, actor, func(_ context.Context, refusal error) error { return refusal })
}

// Acquire claims actor, waits while somebody else holds it, and returns its
// tenure. It fails with the context's error, with ErrNodeUnknown or
// ErrNodeFailed when the node's registration is over, with ErrInvalid and
// ErrClosed, and with a *LostError when the keeper was closed. Trouble of the
// registry (ErrUnavailable, ErrAmbiguous) is waited out.
//
// Waiters spread out: see [Policy.Spread]. There is no queue; each attempt is
// as likely to win as any other node's.
func (k *Keeper) Acquire(ctx context.Context, actor registry.ActorID) (*Tenure, error) {
	var w waiting
	return k.acquire(ctx, actor, func(ctx context.Context, refusal error) error {
		var detail *registry.Refusal
		if !errors.As(refusal, &detail) {
			return refusal
		}
		return k.await(ctx, &w, detail.Placement)
	})
}

// Adopt begins to keep a lease that another node transferred to this one. The
// lease is renewed first: how long its message was under way is not known.
func (k *Keeper) Adopt(ctx context.Context, l registry.Lease) (*Tenure, error) {
	if l.Holder != k.node {
		return nil, &registry.InvalidError{Field: "lease holder", Problem: fmt.Sprintf("is %v, this keeper is %v", l.Holder, k.node)}
	}
	ctx, stop := k.join(ctx)
	defer stop()
	return k.refresh(ctx, l)
}

// acquire claims until it is granted, wait refuses to wait, or ctx ends.
func (k *Keeper) acquire(ctx context.Context, actor registry.ActorID, wait func(context.Context, error) error) (*Tenure, error) {
	ctx, stop := k.join(ctx)
	defer stop()
	// One identity for all attempts: whichever of them took effect, the next
	// one is answered with its lease.
	id := registry.NewClaimID()
	ambiguous := false
	for failures := 0; ; {
		sent := k.moment() // before the request leaves
		l, err := k.claim(ctx, actor, id)
		ambiguous = ambiguous || errors.Is(err, registry.ErrAmbiguous)
		switch {
		case err == nil:
			t, err := k.take(ctx, l, sent)
			if !errors.Is(err, ErrDeadline) && !errors.Is(err, registry.ErrLapsed) {
				return t, err
			}
			id = registry.NewClaimID() // that tenure is over; this is another
		case ctx.Err() != nil:
			k.abandon(actor, id, ambiguous)
			return nil, context.Cause(ctx)
		case errors.Is(err, registry.ErrHeld):
			failures = 0
			err = wait(ctx, err)
		case transient(err):
			failures++
			err = k.sleep(ctx, k.policy.retryDelay(failures, k))
		}
		if err != nil {
			k.abandon(actor, id, ambiguous)
			return nil, err
		}
	}
}

// join returns a context that ends with ctx and with the keeper, each with its cause.
func (k *Keeper) join(ctx context.Context) (context.Context, func()) {
	joined, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(k.base, func() { cancel(&LostError{Cause: context.Cause(k.base)}) })
	return joined, func() { stop(); cancel(nil) }
}

func (k *Keeper) claim(ctx context.Context, actor registry.ActorID, id registry.ClaimID) (registry.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, k.policy.CallTimeout)
	defer cancel()
	start := k.clock.Elapsed()
	l, err := k.registry.Claim(ctx, actor, k.node, id)
	k.observer.Claimed(actor, k.clock.Elapsed()-start, err)
	return l, err
}

// take begins the tenure. An answer that came after the deadline is renewed
// first: the lease is ours, but it must not be served under its old expiry.
func (k *Keeper) take(ctx context.Context, l registry.Lease, sent moment) (*Tenure, error) {
	t, err := k.begin(l, sent)
	if !errors.Is(err, ErrDeadline) {
		return t, err
	}
	return k.refresh(ctx, l)
}

// refresh renews a lease that is ours by right and begins its tenure.
func (k *Keeper) refresh(ctx context.Context, l registry.Lease) (*Tenure, error) {
	var sent moment
	renewed := l
	err := k.insist(ctx, func(ctx context.Context) (err error) {
		sent = k.moment()
		renewed, err = k.registry.Renew(ctx, l)
		return err
	})
	if err != nil {
		return nil, &LostError{Lease: l, Cause: err}
	}
	return k.begin(renewed, sent)
}

// await returns when the record may have become claimable.
func (k *Keeper) await(ctx context.Context, w *waiting, found registry.Placement) error {
	for !claimable(k.cfg, found, k.clock.Now()) {
		pause := w.held(k.cfg, k.policy, found, k.clock.Now(), k.watcher != nil, k)
		woken, err := k.pause(ctx, found, pause)
		if err == nil && woken {
			err = k.sleep(ctx, full(k, k.policy.Spread)) // all waiters were woken together
		}
		if err != nil {
			return err
		}
		found = k.look(ctx, found)
	}
	return nil
}

// pause waits for d, or until the backend says that the record changed.
func (k *Keeper) pause(ctx context.Context, found registry.Placement, d time.Duration) (woken bool, err error) {
	if k.watcher == nil {
		return false, k.sleep(ctx, d)
	}
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := k.clock.AfterFunc(d, cancel)
	defer stop()
	_, err = k.watcher.Watch(watch, found.Actor, found.Version)
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err == nil:
		return true, nil
	case watch.Err() != nil:
		return false, nil // d has passed
	case errors.Is(err, registry.ErrClosed):
		return false, err
	default:
		return false, k.sleep(ctx, d) // the watch is broken: look again later
	}
}

// look returns the record as it is now, or as it was when it cannot be read.
func (k *Keeper) look(ctx context.Context, found registry.Placement) registry.Placement {
	ctx, cancel := context.WithTimeout(ctx, k.policy.CallTimeout)
	defer cancel()
	if p, ok, err := k.registry.Lookup(ctx, found.Actor); err == nil && ok {
		return p
	}
	return found
}

// abandon gives back, in the background, what a claim that nobody waits for
// any more may have been granted. It is a courtesy: without it the lease runs
// out by itself, because nobody renews it.
func (k *Keeper) abandon(actor registry.ActorID, id registry.ClaimID, ambiguous bool) {
	if !ambiguous {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(k.base, k.cfg.TTL)
		defer cancel()
		_ = k.insist(ctx, func(ctx context.Context) error {
			p, found, err := k.registry.Lookup(ctx, actor)
			if err == nil && found && p.Holder == k.node && p.ClaimID == id {
				err = k.registry.Release(ctx, p.Lease())
			}
			return err
		})
	}()
}
