package locks

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/adapt"
	"github.com/kelpie-registry/registry/dialect"
)

// Advisory adapts pg_try_advisory_lock: a lock of a session, for as long as that lives.
// A token is lent to each session's lock. The function that is returned too ends the
// sessions that still have one.
func Advisory(pool *pgxpool.Pool, prefix string) (adapt.Lock[*pgx.Conn], func() error) {
	var ids atomic.Int64
	var owners, open sync.Map
	end := func(c *pgx.Conn) error {
		open.Delete(c)
		return c.Close(context.Background())
	}
	lock := adapt.Lock[*pgx.Conn]{
		Acquire: func(ctx context.Context, key, owner string) (*pgx.Conn, adapt.Tenure, error) {
			c, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
			if err != nil {
				return nil, adapt.Tenure{}, fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
			}
			open.Store(c, true)
			id, taken := strconv.FormatInt(ids.Add(1), 10), false
			owners.Store(id, owner)
			err = c.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) FROM set_config('application_name', $2, false)", name(prefix, key), id).Scan(&taken)
			if err == nil && !taken {
				err = registry.ErrHeld
			}
			if err != nil {
				_ = end(c)
			}
			return c, adapt.Tenure{Name: id}, err
		},
		Renew: func(ctx context.Context, c *pgx.Conn) (adapt.Tenure, error) { return adapt.Tenure{}, alive(ctx, c) },
		Release: func(ctx context.Context, c *pgx.Conn) error {
			if err := alive(ctx, c); err != nil {
				return err
			}
			_, err := c.Exec(ctx, "SELECT pg_advisory_unlock_all()") // the end of a session takes its time
			return errors.Join(err, end(c))
		},
		Inspect: func(ctx context.Context, key string) (adapt.Tenure, bool, error) {
			var id string
			err := pool.QueryRow(ctx, `SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid),
				hashtextextended($1, 0) h WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = (h >> 32) & 4294967295
				AND l.objid::bigint = h & 4294967295`, name(prefix, key)).Scan(&id)
			owner, _ := owners.Load(id)
			who, _ := owner.(string)
			return adapt.Tenure{Name: id, Owner: who}, err == nil, as(err, pgx.ErrNoRows, nil)
		},
		HoldsLonger: dialect.Unbounded, StoreClock: true,
	}
	return lock, func() error {
		open.Range(func(c, _ any) bool { _ = end(c.(*pgx.Conn)); return true })
		return nil
	}
}

// alive asks the session whether it lives: as long as it does it has its lock.
func alive(ctx context.Context, c *pgx.Conn) error {
	if c.IsClosed() {
		return registry.ErrNotHeld
	}
	return c.Ping(ctx)
}

// Row is a tenure of RowLock.
type Row struct {
	key   string
	token uint64
}

// RowSchema is the table of RowLock.
const RowSchema = `CREATE TABLE IF NOT EXISTS locks (name text PRIMARY KEY, owner text, token bigint NOT NULL, until timestamptz NOT NULL)`

// RowLock is a lock in a row, by the server's clock: one statement takes it, keeps it
// or gives it back, on the condition that it is free, or still this tenure's.
func RowLock(pool *pgxpool.Pool, prefix string, cfg registry.Config) adapt.Lock[Row] {
	lasts := fmt.Sprintf("%d microseconds", (cfg.TTL + cfg.Grace + 2*cfg.MaxClockSkew).Microseconds())
	held := func(ctx context.Context, query string, args ...any) (token uint64, err error) {
		err = pool.QueryRow(ctx, query, args...).Scan(&token)
		return token, as(err, pgx.ErrNoRows, registry.ErrNotHeld)
	}
	return adapt.Lock[Row]{
		Acquire: func(ctx context.Context, key, owner string) (Row, adapt.Tenure, error) {
			token, err := held(ctx, `INSERT INTO locks AS l VALUES ($1, $2, 1, clock_timestamp() + $3::interval)
				ON CONFLICT (name) DO UPDATE SET owner = $2, token = l.token + 1, until = clock_timestamp() + $3::interval
				WHERE l.owner IS NULL OR l.until <= clock_timestamp() RETURNING token`, name(prefix, key), owner, lasts)
			if errors.Is(err, registry.ErrNotHeld) {
				err = registry.ErrHeld
			}
			return Row{name(prefix, key), token}, adapt.Tenure{Token: token}, err
		},
		Renew: func(ctx context.Context, r Row) (adapt.Tenure, error) {
			_, err := held(ctx, `UPDATE locks SET until = greatest(until, clock_timestamp() + $3::interval)
				WHERE name = $1 AND token = $2 AND owner IS NOT NULL AND until > clock_timestamp() + $4::interval RETURNING token`,
				r.key, r.token, lasts, fmt.Sprintf("%d microseconds", 2*cfg.MaxClockSkew.Microseconds()))
			return adapt.Tenure{Token: r.token}, err
		},
		Release: func(ctx context.Context, r Row) error {
			_, err := held(ctx, `UPDATE locks SET owner = NULL WHERE name = $1 AND token = $2 AND owner IS NOT NULL RETURNING token`, r.key, r.token)
			return err
		},
		Inspect: func(ctx context.Context, key string) (t adapt.Tenure, found bool, err error) {
			err = pool.QueryRow(ctx, `SELECT owner, token FROM locks WHERE name = $1 AND owner IS NOT NULL`, name(prefix, key)).Scan(&t.Owner, &t.Token)
			return t, err == nil, as(err, pgx.ErrNoRows, nil)
		},
		Tokens: true, HoldsLonger: slow, StoreClock: true,
	}
}
