package keeper

import (
	"math"
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
//
// When a record is reclaimable the registry's clock decides. Where it runs behind
// the node's a claim by the node's clock is too early; a refusal that tells the
// registry's reading shows by how much, and any refused claim of a record that
// looked claimable makes the next one wait longer.
type waiting struct {
	token  registry.Token // tenure last seen
	poll   time.Duration  // upper end of the next unprompted look
	behind time.Duration  // how far the registry's clock was seen behind the node's
	early  int            // consecutive claims that were refused though they looked due
	woken  bool           // by a watch, since the last look
	failed int            // watches that failed in a row
	blind  bool           // a watch woke for nothing: poll instead
}

// refused takes the refusal of a claim, read at now.
func (w *waiting) refused(cfg registry.Config, r registry.Refusal, now registry.Instant) {
	if r.Now != 0 {
		w.behind = max(w.behind, min(now.Sub(r.Now), 2*cfg.MaxClockSkew)) // both are within ε
	}
	if due(cfg, r.Placement, now) {
		w.early++
	} else {
		w.early = 0
	}
}

// held takes a look at a record that cannot be claimed yet and returns the
// pause before the next look. watched says that the backend wakes the waiter
// when the record changes, so that no look is needed before the lease ends. The
// pause has a bound whatever the record says: no clock can have written an expiry
// further ahead than TTL and both clocks' skew.
func (w *waiting) held(cfg registry.Config, p Policy, found registry.Placement, now registry.Instant, watched bool, rng jitter) time.Duration {
	now = now.Add(-w.behind)
	left := cfg.TTL + cfg.Grace + 4*cfg.MaxClockSkew
	if at := reclaimableAt(cfg, found); at < now.Add(left) {
		left = 0
		if at > now {
			left = at.Sub(now)
		}
	}
	lapse := left + full(rng, p.Spread)
	if w.early > 0 {
		return max(lapse, p.pace().delay(w.early, rng))
	}
	if w.watches(watched) {
		return lapse
	}
	if found.Token != w.token || w.poll == 0 {
		w.token, w.poll = found.Token, p.Spread
	}
	look := max(full(rng, w.poll), p.RetryAfter/4)
	w.poll = min(2*w.poll, p.PollEvery)
	return min(lapse, look)
}

// looked compares a look with the one before. A watch that woke the waiter
// although nothing had changed is not relied on again.
func (w *waiting) looked(before, now registry.Placement) {
	if w.woken && before.Version == now.Version {
		w.blind = true
	}
	w.woken = false
}

// watches reports whether to wait for a change instead of polling.
func (w *waiting) watches(offered bool) bool { return offered && !w.blind }

// claimable reports whether a claim of that record can succeed, as far as the
// clock reading now can tell. It is advice: the registry decides in the claim.
func (w *waiting) claimable(cfg registry.Config, found registry.Placement, now registry.Instant) bool {
	return due(cfg, found, now.Add(-w.behind))
}

// due reports whether a record has no holder or is reclaimable at now.
func due(cfg registry.Config, found registry.Placement, now registry.Instant) bool {
	return !found.Held() || reclaimableAt(cfg, found) <= now
}

// reclaimableAt returns the first reading at which a record is reclaimable.
func reclaimableAt(cfg registry.Config, found registry.Placement) registry.Instant {
	wait := cfg.Grace + 2*cfg.MaxClockSkew
	if found.Expiry > registry.Instant(math.MaxInt64).Add(-wait) {
		return math.MaxInt64
	}
	return found.Expiry.Add(wait)
}
