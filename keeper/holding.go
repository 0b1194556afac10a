package keeper

import (
	"errors"
	"time"

	"github.com/kelpie-registry/registry"
)

// holding is what a node knows of one lease it holds: a pure state machine
// without clock, timer or goroutine, driven by the keeper and by the
// simulation alike. Its methods are the rules of keeping a lease.
type holding struct {
	lease    registry.Lease
	deadline moment        // the node may serve before this moment, never after
	renewAt  time.Duration // elapsed time at which the next renewal is due
	sent     moment        // when the renewal in flight was sent
	inFlight bool
	failures int // consecutive failed renewals
	lost     error
}

// deadlineOf returns the moment up to which the node may believe in a lease
// that was answered to a request sent at sent. By the wall clock it is the earlier
// of two ends: the expiry that the registry recorded, and TTL after the request
// was sent. The second one holds even when the registry reads another clock than
// the node: its reading was made after sent. A deadline counted from the answer
// instead would outlive the record by the time the answer took.
//
// By the elapsed clock it is that same end, as far from sent as by the wall clock.
// The reading at sent was within ε of true time, so the belief ends at a true time
// of at most Expiry + ε, whatever the wall clock does afterwards; nobody else can
// be granted the actor before Expiry + Grace + ε. A renewal that did not extend
// the record does not extend the belief.
func (p Policy) deadlineOf(cfg registry.Config, l registry.Lease, sent moment) moment {
	wall := min(l.Expiry.Add(-p.SafetyMargin), sent.wall.Add(cfg.TTL-p.SafetyMargin))
	return moment{wall: wall, elapsed: sent.elapsed + wall.Sub(sent.wall)}
}

// hold begins to keep a lease that was granted to a request sent at sent. It
// returns an error when the answer came too late to serve under it.
func hold(cfg registry.Config, p Policy, l registry.Lease, sent, now moment, rng jitter) (*holding, error) {
	h := &holding{lease: l, deadline: p.deadlineOf(cfg, l, sent)}
	if !now.before(h.deadline) {
		return nil, &LostError{Lease: l, Cause: ErrDeadline}
	}
	h.renewAt = sent.elapsed + p.renewDelay(rng)
	return h, nil
}

// renewDelay spreads RenewEvery by a tenth in both directions, so that leases
// taken together do not stay together.
func (p Policy) renewDelay(rng jitter) time.Duration {
	tenth := p.RenewEvery / 10
	return p.RenewEvery - tenth + full(rng, 2*tenth)
}

// verdict is what a holding wants done now.
type verdict uint8

const (
	rest verdict = iota // nothing before wake
	renew
	stepDown // the deadline has passed: the tenure is lost
)

// next says what to do now, and when to ask again at the latest.
func (h *holding) next(now moment) (v verdict, wake time.Duration) {
	if h.lost != nil {
		return rest, 1<<63 - 1
	}
	if !now.before(h.deadline) {
		return stepDown, now.elapsed
	}
	end := now.elapsed + now.until(h.deadline)
	if h.inFlight {
		return rest, end
	}
	if now.elapsed >= h.renewAt {
		return renew, now.elapsed
	}
	return rest, min(end, h.renewAt)
}

// send notes that a renewal leaves now. The clock was read before it was sent.
func (h *holding) send(now moment) {
	h.sent, h.inFlight = now, true
}

// answer takes the outcome of the renewal in flight. An answer that comes after
// the tenure was lost changes nothing: the work was told to stop and may have.
func (h *holding) answer(cfg registry.Config, p Policy, l registry.Lease, err error, now moment, rng jitter) {
	h.inFlight = false
	switch {
	case h.lost != nil:
	case !now.before(h.deadline): // a good answer as well: it was not known in time
		h.lose(p, ErrDeadline)
	case err == nil:
		h.extend(cfg, p, l)
		h.failures = 0
		h.renewAt = h.sent.elapsed + p.renewDelay(rng)
	case fatal(err):
		h.lose(p, err)
	default:
		h.failures++
		h.renewAt = now.elapsed + p.pace().delay(h.failures, rng)
	}
}

// extend moves the deadline, never back: the registry keeps the later of the
// two expiries, so what was promised before still stands, and each part was
// reckoned from a reading that the node went by.
func (h *holding) extend(cfg registry.Config, p Policy, l registry.Lease) {
	d := p.deadlineOf(cfg, l, h.sent)
	h.deadline.wall = max(h.deadline.wall, d.wall)
	h.deadline.elapsed = max(h.deadline.elapsed, d.elapsed)
	h.lease = l
}

func (h *holding) lose(p Policy, cause error) {
	h.lost = &LostError{Lease: h.lease, Cause: cause, Degraded: h.failures >= p.DegradedAfter}
}

// fatal reports whether an error of Renew says that the tenure is over or can
// never be renewed through this handle. Everything else (unavailable,
// ambiguous, a context's error) is retried: renewing twice does no harm.
func fatal(err error) bool {
	if errors.Is(err, registry.ErrAmbiguous) {
		return false
	}
	return ended(err) || errors.Is(err, registry.ErrClosed) || errors.Is(err, registry.ErrInvalid)
}

// ended reports whether an error says that a tenure is over, for good.
func ended(err error) bool {
	return errors.Is(err, registry.ErrFenced) || errors.Is(err, registry.ErrNotHeld) || errors.Is(err, registry.ErrLapsed)
}
