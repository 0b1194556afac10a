// Package locks adapts locks and elections as they are found: the libraries are not
// changed, and each adapter only calls them. The tests judge them on real servers, in
// their dialects; README.md has the verdicts.
package locks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/adapt"
)

// slow is how much later than it is told a lease of Redis may end: the time that a
// command takes, on a busy machine.
const slow = 50 * time.Millisecond

// name is a key that is no beginning of another and has no character of meaning.
func name(prefix, key string) string { return prefix + hex.EncodeToString([]byte(key)) + "$" }

// Redislock adapts github.com/bsm/redislock.
func Redislock(client *redis.Client, prefix string, ttl time.Duration) adapt.Lock[*redislock.Lock] {
	locker := redislock.New(client)
	return adapt.Lock[*redislock.Lock]{
		Acquire: func(ctx context.Context, key, owner string) (*redislock.Lock, adapt.Tenure, error) {
			l, err := locker.Obtain(ctx, name(prefix, key), ttl, &redislock.Options{Metadata: owner})
			if err != nil {
				return nil, adapt.Tenure{}, as(err, redislock.ErrNotObtained, registry.ErrHeld)
			}
			return l, adapt.Tenure{Name: l.Token()}, nil
		},
		Renew: func(ctx context.Context, l *redislock.Lock) (adapt.Tenure, error) {
			return adapt.Tenure{Name: l.Token()}, as(l.Refresh(ctx, ttl, nil), redislock.ErrNotObtained, registry.ErrNotHeld)
		},
		Release: func(ctx context.Context, l *redislock.Lock) error {
			return as(l.Release(ctx), redislock.ErrLockNotHeld, registry.ErrNotHeld)
		},
		Inspect: func(ctx context.Context, key string) (adapt.Tenure, bool, error) {
			value, err := client.Get(ctx, name(prefix, key)).Result()
			if err != nil {
				return adapt.Tenure{}, false, as(err, redis.Nil, nil)
			}
			return adapt.Tenure{Name: value[:22], Owner: value[22:]}, true, nil
		},
		HoldsLonger: slow, StoreClock: true,
	}
}

// as returns to where err is from.
func as(err, from, to error) error {
	if errors.Is(err, from) {
		return to
	}
	return err
}

// Redsync adapts github.com/go-redsync/redsync on one server.
func Redsync(client *redis.Client, prefix string, ttl time.Duration) adapt.Lock[*redsync.Mutex] {
	rs := redsync.New(goredis.NewPool(client))
	return adapt.Lock[*redsync.Mutex]{
		Acquire: func(ctx context.Context, key, owner string) (*redsync.Mutex, adapt.Tenure, error) {
			value := fmt.Sprintf("%s %s", registry.NewClaimID(), owner)
			m := rs.NewMutex(name(prefix, key), redsync.WithExpiry(ttl), redsync.WithTries(1),
				redsync.WithGenValueFunc(func() (string, error) { return value, nil }))
			if err := m.TryLockContext(ctx); err != nil {
				return nil, adapt.Tenure{}, taken(err, registry.ErrHeld)
			}
			return m, adapt.Tenure{Name: value, Expiry: m.Until()}, nil
		},
		Renew: func(ctx context.Context, m *redsync.Mutex) (adapt.Tenure, error) {
			ok, err := m.ExtendContext(ctx)
			if !ok {
				return adapt.Tenure{}, taken(err, registry.ErrNotHeld)
			}
			return adapt.Tenure{Name: m.Value(), Expiry: m.Until()}, nil
		},
		Release: func(ctx context.Context, m *redsync.Mutex) error {
			ok, err := m.UnlockContext(ctx)
			if !ok {
				return taken(err, registry.ErrNotHeld)
			}
			return nil
		},
		Inspect: func(ctx context.Context, key string) (adapt.Tenure, bool, error) {
			value, err := client.Get(ctx, name(prefix, key)).Result()
			if err != nil {
				return adapt.Tenure{}, false, as(err, redis.Nil, nil)
			}
			return adapt.Tenure{Name: value, Owner: value[33:]}, true, nil
		},
		HoldsLonger: slow, StoreClock: true,
	}
}

// taken returns refused for what redsync says of a lock that is another's.
func taken(err, refused error) error {
	var other *redsync.ErrTaken
	if err == nil || errors.As(err, &other) || errors.Is(err, redsync.ErrLockAlreadyExpired) || errors.Is(err, redsync.ErrExtendFailed) {
		return refused
	}
	return err
}
