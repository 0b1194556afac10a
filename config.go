package registry

import (
	"fmt"
	"time"
)

// Limits and defaults of [Config].
const (
	MinTTL                = time.Second
	MaxTTL                = 5 * time.Minute
	DefaultTTL            = 30 * time.Second
	DefaultGrace          = 5 * time.Second
	DefaultMaxClockSkew   = 500 * time.Millisecond
	DefaultFailureTimeout = 15 * time.Second
	MaxFailureTimeout     = 24 * time.Hour // so that no sum of bounds overflows an Instant
)

// Config holds the time bounds of a cluster. They belong to the store: a handle
// opened with other values than the store was created with is refused with
// [ErrConfigMismatch]. A zero field is the value zero, not a default; start from
// [DefaultConfig].
type Config struct {
	TTL            time.Duration // lease length: MinTTL .. MaxTTL
	Grace          time.Duration // after expiry, when only the holder may act: 0 .. TTL
	MaxClockSkew   time.Duration // ε, distance of any clock from true time: 0 .. TTL/4
	FailureTimeout time.Duration // silence before a node may be marked failed: more than 2ε, at most MaxFailureTimeout

	// AllowShortTTL permits a TTL below MinTTL, for tests. It is a permission
	// of the caller, not part of the cluster's configuration.
	AllowShortTTL bool
}

// DefaultConfig returns the values that are right for production on machines
// with NTP: 30 s leases, 5 s grace, 500 ms skew, 15 s failure timeout.
func DefaultConfig() Config {
	return Config{
		TTL:            DefaultTTL,
		Grace:          DefaultGrace,
		MaxClockSkew:   DefaultMaxClockSkew,
		FailureTimeout: DefaultFailureTimeout,
	}
}

// Validate returns an [*InvalidError] that names the first value out of bounds.
func (c Config) Validate() error {
	minTTL := MinTTL
	if c.AllowShortTTL {
		minTTL = 1
	}
	for _, b := range []struct {
		field           string
		value, min, max time.Duration
	}{
		{"TTL", c.TTL, minTTL, MaxTTL},
		{"Grace", c.Grace, 0, c.TTL},
		{"MaxClockSkew", c.MaxClockSkew, 0, c.TTL / 4},
		{"FailureTimeout", c.FailureTimeout, 2*c.MaxClockSkew + 1, MaxFailureTimeout},
	} {
		if b.value < b.min || b.value > b.max {
			return &InvalidError{Field: "config " + b.field, Problem: fmt.Sprintf("is %v, want %v to %v", b.value, b.min, b.max)}
		}
	}
	return nil
}

// Match returns a [*ConfigMismatchError] naming the first value of c that
// differs from the store's configuration.
func (c Config) Match(store Config) error {
	for _, f := range []struct {
		field       string
		given, have time.Duration
	}{
		{"TTL", c.TTL, store.TTL},
		{"Grace", c.Grace, store.Grace},
		{"MaxClockSkew", c.MaxClockSkew, store.MaxClockSkew},
		{"FailureTimeout", c.FailureTimeout, store.FailureTimeout},
	} {
		if f.given != f.have {
			return &ConfigMismatchError{Field: f.field, Store: f.have, Given: f.given}
		}
	}
	return nil
}

// FailedAt returns the first reading at which a node last seen at seen may be
// marked failed: seen + FailureTimeout + 2ε.
func (c Config) FailedAt(seen Instant) Instant {
	return seen.Add(c.FailureTimeout).Add(2 * c.MaxClockSkew)
}
