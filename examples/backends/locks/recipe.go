package locks

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/adapt"
)

// The recipe: SET NX PX as everybody does it, and four things more.
//
//   - The key outlives the lease by grace + 2ε: whoever claims by the server's clock
//     finds it until the holder's own clock, however slow, has passed expiry and grace.
//   - Its holder looks at its own clock before it renews: after expiry + grace it is
//     over, although the key is still there.
//   - Renewal and release compare the value in the same script that changes the key.
//   - INCR in the script that takes the lock makes a fencing token, which the data check.
var (
	take = redis.NewScript(`
		if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
		local token = redis.call('INCR', KEYS[2])
		redis.call('SET', KEYS[1], token .. ' ' .. ARGV[1], 'PX', ARGV[2])
		return token`)
	keep = redis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)
	give = redis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		return redis.call('DEL', KEYS[1])`)
)

// Lease is what the recipe's client keeps of a lock.
type Lease struct {
	key, value string
	token      uint64
	until      registry.Instant // expiry + grace by the holder's own clock
}

// Recipe is the Redis lock that passes. The counter of a name is never deleted.
func Recipe(client *redis.Client, prefix string, cfg registry.Config) adapt.Lock[*Lease] {
	clock := registry.SystemClock()
	outlives := (cfg.TTL + cfg.Grace + 2*cfg.MaxClockSkew).Milliseconds()
	return adapt.Lock[*Lease]{
		Acquire: func(ctx context.Context, key, owner string) (*Lease, adapt.Tenure, error) {
			before, key := clock.Now(), name(prefix, key)
			token, err := take.Run(ctx, client, []string{key, key + "token"}, owner, outlives).Uint64()
			if err == nil && token == 0 {
				err = registry.ErrHeld
			}
			return &Lease{key, format(token, owner), token, before.Add(cfg.TTL + cfg.Grace)}, adapt.Tenure{Token: token}, err
		},
		Renew: func(ctx context.Context, l *Lease) (adapt.Tenure, error) {
			before := clock.Now()
			if before >= l.until {
				return adapt.Tenure{}, registry.ErrNotHeld
			}
			kept, err := keep.Run(ctx, client, []string{l.key}, l.value, outlives).Int()
			if err == nil && kept == 0 {
				err = registry.ErrNotHeld
			}
			if err == nil {
				l.until = max(l.until, before.Add(cfg.TTL+cfg.Grace))
			}
			return adapt.Tenure{Token: l.token}, err
		},
		Release: func(ctx context.Context, l *Lease) error {
			gone, err := give.Run(ctx, client, []string{l.key}, l.value).Int()
			if err == nil && gone == 0 {
				err = registry.ErrNotHeld
			}
			return err
		},
		Inspect: func(ctx context.Context, key string) (adapt.Tenure, bool, error) {
			value, err := client.Get(ctx, name(prefix, key)).Result()
			if err != nil {
				return adapt.Tenure{}, false, as(err, redis.Nil, nil)
			}
			return parse(value), true, nil
		},
		Tokens: true, HoldsLonger: slow, StoreClock: true,
	}
}
