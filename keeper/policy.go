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

	// CallTimeout bounds one call about a lease. Default TTL/6. Calls about the
	// node's registration are bounded by FailureTimeout/6.
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

// pace is how a registry is asked for something until it answers: a bound for
// each call, and a pause after each failure that doubles up to most.
type pace struct{ bound, retry, most time.Duration }

// pace is that of leases: many attempts fit into one.
func (p Policy) pace() pace {
	return pace{p.CallTimeout, p.RetryAfter, max(p.RenewEvery/2, p.RetryAfter)}
}

// memberPace is that of the membership. It comes from the failure timeout and not
// from the lease's length, which may be many times longer: a lost heartbeat must
// leave time for others before the node counts as failed.
func memberPace(cfg registry.Config) pace {
	t := cfg.FailureTimeout
	return pace{max(t/6, 1), max(t/60, 1), max(t/6, 1)}
}

// delay returns the pause after a number of consecutive failures: none of it is
// at once, and it is drawn from its upper half.
func (p pace) delay(failures int, rng jitter) time.Duration {
	d := p.retry
	for range min(failures-1, 16) {
		d *= 2
	}
	return max(upperHalf(rng, min(d, p.most)), 1)
}
