// Package subtle is a registry by somebody who means well. Its one mistake is
// of a kind that reviews let through; the test shows what the conformance suite
// makes of it.
package subtle

import (
	"context"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
)

// Store is memimpl's, with forgiving renewals: nodes hand in leases that they
// have read a while ago, and a renewal should not fail for that.
type Store struct{ inner *memimpl.Store }

// New returns an empty store, or an error matching registry.ErrInvalid.
func New(cfg registry.Config) (*Store, error) {
	inner, err := memimpl.New(cfg)
	return &Store{inner}, err
}

// Open returns a handle that reads clock.
func (s *Store) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	inner, err := s.inner.Open(cfg, clock)
	if err != nil {
		return nil, err
	}
	return forgiving{inner}, nil
}

type forgiving struct{ registry.Handle }

// Renew extends the lease of l's holder. The lease that the holder has now is
// what counts, so the record is read first.
func (f forgiving) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	if err := l.Validate(); err != nil {
		return registry.Lease{}, err
	}
	now, found, err := f.Lookup(ctx, l.Actor)
	if err != nil {
		return registry.Lease{}, err
	}
	if found && now.Holder == l.Holder {
		l = now.Lease() // here is the mistake: it may be a later tenure
	}
	return f.Handle.Renew(ctx, l)
}
