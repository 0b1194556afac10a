package keeper

import (
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
)

// Policy says how a keeper holds its leases and waits for others'. The zero
// value of a field is its default; see [Policy.withDefaults].
type Policy struct {
	// SafetyMargin is how long before a lease's end its holder steps down:
	// room for the work to notice the cancelled context. Default TTL/10, at
	// most TTL/3.
	SafetyMargin time.Duration

	// RenewEvery is the time from one successful renewal to the next, spread
	// by a tenth in both directions. Default TTL/3, at most TTL/2.
	RenewEvery time.Duration

	// RetryAfter is the pause after a first failed attempt; it doubles with
	// every further failure up to RenewEvery/2 and is drawn from its upper
	// half. Default TTL/60.
	RetryAfter time.Duration

	// CallTimeout bounds one call of the registry. Default TTL/6.
	CallTimeout time.Duration

	// DegradedAfter is the number of consecutive failed renewals of a tenure
	// after which it is reported as degraded. Default 2.
	DegradedAfter int

	// Spread is the window over which waiters distribute themselves after the
	// instant at which an actor becomes claimable: each draws a delay from 0
	// to Spread (full jitter), so that W waiters, whose calls take d each, make
	// about W·d/Spread claims. Default TTL/10.
	Spread time.Duration

	// PollEvery bounds how long a waiter goes without looking, where the
	// backend cannot wake it: a release becomes visible after that time at the
	// latest. Drawn from 0 to PollEvery, growing from Spread. Default TTL/2.
	PollEvery time.Duration

	// Workers is the number of renewal calls in flight at most, each of up to
	// BatchSize leases where the backend renews in batches. Defaults 4 and 100.
	Workers   int
	BatchSize int
}

// withDefaults returns p with every zero field filled in and checks it.
func (p Policy) withDefaults(cfg registry.Config) (Policy, error) {
	ttl := cfg.TTL
	for _, d := range []struct {
		name     string
		field    *time.Duration
		standard time.Duration
		limit    time.Duration
	}{
		{"SafetyMargin", &p.SafetyMargin, ttl / 10, ttl / 3},
		{"RenewEvery", &p.RenewEvery, ttl / 3, ttl / 2},
		{"RetryAfter", &p.RetryAfter, ttl / 60, ttl / 4},
		{"CallTimeout", &p.CallTimeout, ttl / 6, ttl / 2},
		{"Spread", &p.Spread, ttl / 10, ttl},
		{"PollEvery", &p.PollEvery, ttl / 2, ttl},
	} {
		if *d.field == 0 {
			*d.field = max(d.standard, 1)
		}
		if *d.field < 0 || *d.field > d.limit {
			return p, &registry.InvalidError{Field: "policy " + d.name, Problem: fmt.Sprintf("is %v, want 0 to %v", *d.field, d.limit)}
		}
	}
	for _, n := range []struct {
		name            string
		field           *int
		standard, limit int
	}{
		{"DegradedAfter", &p.DegradedAfter, 2, 1 << 20},
		{"Workers", &p.Workers, 4, 1 << 10},
		{"BatchSize", &p.BatchSize, 100, 1 << 14},
	} {
		if *n.field == 0 {
			*n.field = n.standard
		}
		if *n.field < 0 || *n.field > n.limit {
			return p, &registry.InvalidError{Field: "policy " + n.name, Problem: fmt.Sprintf("is %d, want 0 to %d", *n.field, n.limit)}
		}
	}
	return p, nil
}

// moment is one look at a node's two clocks. The wall clock is the one that
// expiries are written in and may step; the elapsed clock never steps and may
// stand still while the machine sleeps. A belief must hold by both.
type moment struct {
	wall    registry.Instant
	elapsed time.Duration
}

// before reports whether m has reached neither part of the deadline.
func (m moment) before(deadline moment) bool {
	return m.wall < deadline.wall && m.elapsed < deadline.elapsed
}

// until returns the time from m to the first part of the deadline.
func (m moment) until(deadline moment) time.Duration {
	return min(deadline.wall.Sub(m.wall), deadline.elapsed-m.elapsed)
}
