package keeper

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/kelpie-registry/registry"
)

// TryAcquire claims actor and returns its tenure, or an error at once when
// somebody else holds it (ErrHeld, with the placement). Otherwise it is as
// [Keeper.Acquire].
func (k *Keeper) TryAcquire(ctx context.Context, actor registry.ActorID) (*Tenure, error) {
	return k.acquire(ctx, actor, func(_ context.Context, _ *claimant, refusal error) error { return refusal })
}

// Acquire claims actor, waits while somebody else holds it, and returns its
// tenure. It fails with the context's error, with ErrNodeUnknown or
// ErrNodeFailed when the node's registration is over, with ErrInvalid and
// ErrClosed, with ErrClockSetBack, and with a *LostError when the keeper was
// closed; nothing is claimed by a keeper that is. Trouble of the registry
// (ErrUnavailable, ErrAmbiguous, answers that cannot be answers) is waited out.
// What a claim may have been granted when Acquire fails is given back in the
// background.
//
// Waiters spread out: see [Policy.Spread]. There is no queue; each attempt is
// as likely to win as any other node's. No two claims are made without a pause.
func (k *Keeper) Acquire(ctx context.Context, actor registry.ActorID) (*Tenure, error) {
	var w waiting
	return k.acquire(ctx, actor, func(ctx context.Context, c *claimant, refusal error) error {
		return c.await(ctx, &w, refusal)
	})
}

// Adopt begins to keep a lease that another node transferred to this one. The
// lease is renewed first: how long its message was under way is not known. A
// lease whose tenure this keeper serves already returns that tenure.
func (k *Keeper) Adopt(ctx context.Context, l registry.Lease) (*Tenure, error) {
	if err := errors.Join(present("context", ctx), l.Validate()); err != nil {
		return nil, err
	}
	if l.Holder != k.node {
		return nil, &registry.InvalidError{Field: "lease holder", Problem: fmt.Sprintf("is %v, this keeper is %v", l.Holder, k.node)}
	}
	if t, err := k.served(l); t != nil || err != nil {
		return t, err
	}
	ctx, stop := k.join(ctx, l)
	defer stop()
	t, err := k.refresh(ctx, l)
	if errors.Is(err, errServed) {
		return t, nil // by another Adopt of the same lease
	}
	return t, err
}

// served returns the tenure of l when this keeper serves it.
func (k *Keeper) served(l registry.Lease) (*Tenure, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over != nil {
		return nil, &LostError{Lease: l, Cause: k.over}
	}
	if t := k.serving[l.Actor]; t != nil && t.token == l.Token {
		return t, nil
	}
	return nil, nil
}

// acquire claims until it is granted, wait refuses to wait, or ctx ends. Every
// way around the loop is paused, by wait or by a sleep that ends with ctx.
func (k *Keeper) acquire(ctx context.Context, actor registry.ActorID, wait func(context.Context, *claimant, error) error) (*Tenure, error) {
	if err := errors.Join(present("context", ctx), actor.Validate()); err != nil {
		return nil, err
	}
	if _, err := k.served(registry.Lease{Actor: actor, Holder: k.node}); err != nil {
		return nil, err
	}
	ctx, stop := k.join(ctx, registry.Lease{Actor: actor, Holder: k.node})
	defer stop()
	c := &claimant{Keeper: k, actor: actor}
	c.anew()
	for failures := 0; ; {
		t, err := c.attempt(ctx)
		switch {
		case err == nil:
			return t, nil
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case errors.Is(err, registry.ErrHeld):
			failures = 0
			err = wait(ctx, c, err)
		case transient(err):
			failures++
			err = k.sleep(ctx, k.policy.pace().delay(failures, k))
		}
		if err != nil {
			c.abandon()
			return nil, err
		}
	}
}

// join returns a context that ends with ctx and with the keeper, each with its cause.
func (k *Keeper) join(ctx context.Context, l registry.Lease) (context.Context, func()) {
	joined, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(k.base, func() { cancel(&LostError{Lease: l, Cause: context.Cause(k.base)}) })
	return joined, func() { stop(); cancel(nil) }
}

// claimant is one caller's claim of one actor, made as often as it takes.
type claimant struct {
	*Keeper
	actor registry.ActorID
	above registry.Token // highest token seen of others' tenures: a grant's is higher

	// One identity for all attempts: whichever of them took effect, the next one
	// is answered with its lease.
	id    registry.ClaimID
	first moment // before the first request under it left
	maybe bool   // one of them may have been granted, and is not being served
}

// anew takes another identity: what was granted under the former one is over.
func (c *claimant) anew() {
	c.id, c.first, c.maybe = registry.NewClaimID(), c.moment(), false
}

// errTooLate: a claim was granted so late that its tenure is over.
var errTooLate = fmt.Errorf("%w: the grant came after its lease's end", registry.ErrUnavailable)

// attempt makes one claim, and begins the tenure that it is granted.
func (c *claimant) attempt(ctx context.Context) (*Tenure, error) {
	sent, back := c.reading() // before the request leaves
	if back > 0 {
		return nil, fmt.Errorf("%w by %v", ErrClockSetBack, back)
	}
	l, err := c.claim(ctx, sent)
	c.maybe = c.maybe || err == nil || errors.Is(err, registry.ErrAmbiguous)
	if err != nil {
		return nil, err
	}
	t, err := c.take(ctx, l, sent)
	switch {
	case err == nil:
		c.maybe = false
	case errors.Is(err, errServed):
		return nil, c.complain(c.question().bad("the lease of a tenure that is being served, token %d", l.Token))
	case errors.Is(err, ErrDeadline), ended(err): // somebody else may have it by now
		c.anew()
		return nil, errTooLate
	}
	return t, err
}

func (c *claimant) question() question {
	return question{op: "Claim", actor: c.actor, nodes: []registry.NodeID{c.node.ID}}
}

// claim makes one call and judges its answer.
func (c *claimant) claim(ctx context.Context, sent moment) (registry.Lease, error) {
	id := c.id
	l, answer := ask(ctx, c.patience, c.policy.pace(), func(ctx context.Context) (registry.Lease, error) {
		return c.registry.Claim(ctx, c.actor, c.node, id)
	})
	now := c.moment()
	err := c.question().refused(answer)
	if err == nil {
		err = c.question().granted(c.cfg, l, grant{holder: c.node, claim: id, above: c.above, sent: c.first}, now)
	}
	c.events.postRoutine(func() { c.observer.Claimed(c.actor, now.elapsed-sent.elapsed, err) })
	return l, c.complain(err)
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
	type answer struct {
		lease registry.Lease
		sent  moment
	}
	renewed, err := insist(ctx, k.patience, k.policy.pace(), func(ctx context.Context) (answer, error) {
		sent, back := k.reading()
		if back > 0 {
			return answer{}, fmt.Errorf("%w by %v", ErrClockSetBack, back)
		}
		renewed, err := k.registry.Renew(ctx, l)
		asked := l
		asked.Version, asked.Expiry = 0, 0 // of a message; they may be old, or wrong
		return answer{renewed, sent}, k.renewed(asked, registry.Renewal{Lease: renewed, Err: err}, sent, k.moment())
	})
	if err != nil {
		return nil, &LostError{Lease: l, Cause: err}
	}
	return k.begin(renewed.lease, renewed.sent)
}

// await returns when the record may have become claimable, after a pause at least.
func (c *claimant) await(ctx context.Context, w *waiting, refusal error) error {
	var detail *registry.Refusal
	if !errors.As(refusal, &detail) {
		return refusal
	}
	w.refused(c.cfg, *detail, c.moment().wall)
	found := detail.Placement
	for {
		c.above = max(c.above, found.Token)
		pause := w.held(c.cfg, c.policy, found, c.moment().wall, c.watcher != nil, c)
		if err := c.pause(ctx, w, found.Version, pause); err != nil {
			return err
		}
		was := found
		found = c.look(ctx, found)
		w.looked(was, found)
		switch {
		case found.Holder == c.node && found.ClaimID == c.id:
			return nil // an attempt that was given up has been granted after all
		case w.claimable(c.cfg, found, c.moment().wall):
			c.above = max(c.above, found.Token)
			return nil
		}
	}
}

// pause waits for d, or until the backend says that the record changed, and then
// for as long as it takes all that were woken with this one to spread out.
func (c *claimant) pause(ctx context.Context, w *waiting, seen registry.Version, d time.Duration) error {
	if !w.watches(c.watcher != nil) {
		return c.sleep(ctx, d)
	}
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := c.clock.AfterFunc(d, cancel)
	defer stop()
	at := c.policy.pace()
	at.bound = math.MaxInt64 // d is
	_, err := ask(watch, c.patience, at, func(ctx context.Context) (registry.Placement, error) { return c.watcher.Watch(ctx, c.actor, seen) })
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		w.woken, w.failed = true, 0
		return c.sleep(ctx, full(c, c.policy.Spread))
	case watch.Err() != nil: // d has passed
		w.blind = w.blind || errors.Is(err, registry.ErrAmbiguous) // it did not end with its context, and may never
		return nil
	case errors.Is(err, registry.ErrClosed):
		return err
	}
	_ = c.judge(question{op: "Watch", actor: c.actor}, err)
	w.failed++
	return c.sleep(ctx, min(d, c.policy.pace().delay(w.failed, c)))
}

// look returns the record as it is now, or as it was when it cannot be read.
func (c *claimant) look(ctx context.Context, found registry.Placement) registry.Placement {
	p, ok, err := c.lookup(ctx, c.actor)
	if err != nil || !ok {
		return found
	}
	return p
}

// lookup makes one call and judges its answer.
func (k *Keeper) lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	type answer struct {
		p     registry.Placement
		found bool
	}
	q := question{op: "Lookup", actor: actor}
	a, err := ask(ctx, k.patience, k.policy.pace(), func(ctx context.Context) (a answer, err error) {
		a.p, a.found, err = k.registry.Lookup(ctx, actor)
		return a, err
	})
	if err = q.refused(err); err == nil && a.found && a.p.Actor != actor {
		err = q.bad("the record of %v", a.p.Actor)
	}
	return a.p, a.found, k.complain(err)
}

// abandon gives back, in the background, what a claim that nobody waits for
// any more may have been granted. It is a courtesy: without it the lease runs
// out by itself, because nobody renews it. The keeper may be closed meanwhile; the
// claim was made, and what it got is not served by anybody.
func (c *claimant) abandon() {
	if !c.maybe {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.cfg.TTL)
		defer cancel()
		_, _ = insist(ctx, c.patience, c.policy.pace(), func(ctx context.Context) (done, error) {
			p, found, err := c.lookup(ctx, c.actor)
			if err != nil || !found || p.Holder != c.node || p.ClaimID != c.id {
				return done{}, err
			}
			return done{}, c.judge(question{op: "Release", actor: c.actor, held: p.Token}, c.registry.Release(ctx, p.Lease()))
		})
	}()
}
