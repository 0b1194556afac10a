package keeper

import (
	"time"

	"github.com/kelpie-registry/registry"
)

// waiting is what a node knows while it waits for an actor that another node
// holds: a pure state machine like [holding].
//
// A waiter looks before it claims, and looks at an instant of its own: nobody
// can claim before the record is reclaimable, and from there on every waiter
// draws from the whole window Spread. The first to claim is seen by all that
// look later, so of W waiters only those claim whose look fell between the
// first look and the first claim's effect: about W·d/Spread for calls of
// length d, whatever W.
type waiting struct {
	token registry.Token // tenure last seen
	poll  time.Duration  // upper end of the next unprompted look
}

// held takes a look at a record that cannot be claimed yet and returns the
// pause before the next look. watched says that the backend wakes the waiter
// when the record changes, so that no look is needed before the lease ends.
func (w *waiting) held(cfg registry.Config, p Policy, found registry.Placement, now registry.Instant, watched bool, rng jitter) time.Duration {
	claimable := found.Expiry.Add(cfg.Grace).Add(2 * cfg.MaxClockSkew)
	lapse := max(claimable.Sub(now), 0) + full(rng, p.Spread)
	if watched {
		return lapse
	}
	if found.Token != w.token || w.poll == 0 {
		w.token, w.poll = found.Token, p.Spread
	}
	look := full(rng, w.poll)
	w.poll = min(2*w.poll, p.PollEvery)
	return min(lapse, look)
}

// claimable reports whether a claim of that record can succeed by the clock
// reading now. It is advice: the registry decides in the claim itself.
func claimable(cfg registry.Config, found registry.Placement, now registry.Instant) bool {
	return !found.Held() || cfg.Phase(found.Expiry, now) == registry.Reclaimable
}
