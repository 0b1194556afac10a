// Package postgres is a single-activation actor registry on PostgreSQL, as an
// example of the reasoning that such a registry needs.
//
// # Why it is safe
//
// An operation is one READ COMMITTED transaction. It locks the registration that
// it decides by (FOR SHARE) and the record or registration that it changes (FOR
// UPDATE), reads the clock, decides, writes and commits. A locking read returns
// the latest committed row, after waiting for whoever is changing it, and nobody
// changes the row before the transaction ends. So the values decided by are the
// current ones at the commit: the operation takes effect at that instant. Locks are
// taken registration first, record second, one of each: there is no cycle.
//
//   - FOR SHARE, not FOR KEY SHARE: the latter lets a MarkFailed through, and
//     the claim would commit after the failure that it should have seen.
//   - A row that does not exist cannot be locked. The write is therefore an
//     upsert that takes effect only on the version (of a registration: the epoch)
//     that was read, where none is 0. If another transaction inserted the row in
//     between, no row is written and the step starts over. The condition also
//     makes the store itself enforce that every mutation raises the version by one.
//   - A refusal decided by a missing registration holds as of the read of it.
//
// Commits are visible to others only after their log is flushed, so nobody is
// told of a state that a crash takes back, provided that synchronous_commit and
// fsync are on, and that a fail-over goes to a synchronous standby.
//
// # Unknown outcomes
//
// Until COMMIT is sent nothing can happen. After it, a lost answer is settled by
// evidence: the write returned the transaction's id, a transaction still in
// progress is ended, and pg_xact_status tells whether it committed, unless the server
// crashed in between and the id may be another's. See [store.settle].
package postgres

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/backends/internal/decided"
)

//go:embed schema.sql
var schema string

// CreateSchema makes the tables unless they exist. Any number of clusters share them.
func CreateSchema(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, schema)
	return err
}

// Open returns a handle on the cluster of that name, which is created with cfg
// when it does not exist. It fails with registry.ErrInvalid,
// registry.ErrConfigMismatch, registry.ErrUnavailable or the context's error.
// Closing the handle leaves the pool open.
func Open(ctx context.Context, pool *pgxpool.Pool, cluster string, cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	_, err := pool.Exec(ctx, `INSERT INTO clusters VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		cluster, cfg.TTL, cfg.Grace, cfg.MaxClockSkew, cfg.FailureTimeout)
	if err != nil {
		return nil, nothingHappened(ctx, err)
	}
	var have registry.Config
	err = pool.QueryRow(ctx, `SELECT ttl, grace, max_clock_skew, failure_timeout FROM clusters WHERE cluster = $1`, cluster).
		Scan(&have.TTL, &have.Grace, &have.MaxClockSkew, &have.FailureTimeout)
	if err != nil {
		return nil, nothingHappened(ctx, err)
	}
	if err := cfg.Match(have); err != nil {
		return nil, err
	}
	return decided.Handle(&store{pool, cluster}, cfg, clock), nil
}

type store struct {
	pool    *pgxpool.Pool
	cluster string
}

var (
	// errMoved: the row to be written is not the one that was read.
	errMoved = errors.New("row changed since it was read")
	// errUnborn: the server's life has no name yet, and a lost answer could not be
	// found out. The first to write after a crash gives it one.
	errUnborn = errors.New("first write since a crash")
)

// written is what a transaction that wrote is known by, zero for none: its number,
// and the life of the server, which is its time between two crashes.
type written struct{ xid, life string }

// returning is the clause that tells written. The table life is unlogged: crash
// recovery empties it.
const returning = ` RETURNING pg_current_xact_id()::text, coalesce((SELECT id::text FROM life), '')`

// UpdateActor implements [decided.Store].
func (s *store) UpdateActor(ctx context.Context, actor registry.ActorID, node registry.NodeID, decide decided.DecideActor) (next registry.Placement, err error) {
	err = s.transact(ctx, func(tx pgx.Tx) (wrote written, refused error, err error) {
		var n registry.Node
		if node != "" {
			if n, err = s.node(ctx, tx, node, "FOR SHARE"); err != nil {
				return written{}, nil, err
			}
		}
		rec, err := s.actor(ctx, tx, actor, "FOR UPDATE")
		if err != nil {
			return written{}, nil, err
		}
		var changed bool
		if next, changed, refused = decide(rec, n); changed {
			wrote, err = s.writeActor(ctx, tx, next)
		}
		return wrote, refused, err
	})
	return next, err
}

// UpdateNode implements [decided.Store].
func (s *store) UpdateNode(ctx context.Context, id registry.NodeID, decide decided.DecideNode) (next registry.Node, err error) {
	err = s.transact(ctx, func(tx pgx.Tx) (wrote written, refused error, err error) {
		n, err := s.node(ctx, tx, id, "FOR UPDATE")
		if err != nil {
			return written{}, nil, err
		}
		var changed bool
		if next, changed, refused = decide(n); changed {
			wrote, err = s.writeNode(ctx, tx, next, n.Ref.Epoch)
		}
		return wrote, refused, err
	})
	return next, err
}

// transact runs one attempt after another until one is not in another's way.
// attempt returns what it has written, and the refusal.
func (s *store) transact(ctx context.Context, attempt func(pgx.Tx) (wrote written, refused, err error)) error {
	for {
		retry, err := s.once(ctx, attempt)
		if !retry {
			return err
		}
		if ctx.Err() != nil {
			return nothingHappened(ctx, err)
		}
	}
}

func (s *store) once(ctx context.Context, attempt func(pgx.Tx) (written, error, error)) (retry bool, err error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return false, nothingHappened(ctx, err)
	}
	wrote, refused, err := attempt(tx)
	if err != nil || wrote == (written{}) {
		// Without COMMIT it cannot take effect, whether or not the rollback arrives.
		_ = tx.Rollback(context.WithoutCancel(ctx))
		if errors.Is(err, errUnborn) {
			_, err = s.pool.Exec(ctx, `INSERT INTO life DEFAULT VALUES ON CONFLICT DO NOTHING`)
			return err == nil, nothingHappened(ctx, cmp.Or(err, errUnborn))
		}
		if err != nil {
			return conflict(err), nothingHappened(ctx, err)
		}
		return false, refused
	}
	err = tx.Commit(ctx)
	switch {
	case err == nil:
		return false, nil
	case conflict(err), errors.Is(err, pgx.ErrTxCommitRollback):
		return true, err
	default:
		return false, s.settle(ctx, wrote, err)
	}
}

// conflict reports whether the transaction was rolled back, or must be, because
// of another one: serialization failure, deadlock, or a row that moved.
func conflict(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, errMoved) || errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// settle finds out what became of a transaction whose COMMIT was not answered.
// The server's commit log decides: committed and aborted are final. While the
// transaction is in progress its COMMIT may be anywhere between here and the log,
// and it may still apply. So its backend is told to end, which is a rollback
// unless the commit came first, and the log is asked again. This also frees the
// row, which a backend that waits for a lost client keeps locked.
//
// A crash takes back the numbers of transactions that were not in the log and gives
// them out again: then the log tells of another transaction. In another life of the
// server than the transaction's, all that is certain is that it has no backend and
// will not happen any more.
//
// It stays unknown when the server cannot be asked.
func (s *store) settle(ctx context.Context, wrote written, cause error) error {
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), settling)
	defer cancel()
	again := time.NewTicker(settling / 100)
	defer again.Stop()
	for {
		status, life, err := s.fate(ask, wrote)
		switch {
		case err != nil:
			return &registry.AmbiguousError{MayStillApply: true, Cause: cause}
		case life != wrote.life:
			return &registry.AmbiguousError{Cause: cause}
		case status == "committed":
			return nil
		case status == "aborted":
			return nothingHappened(ctx, cause)
		}
		select {
		case <-again.C:
		case <-ask.Done(): // the next question fails
		}
	}
}

// settling is the longest time that a lost answer is looked for.
const settling = time.Second

// fate returns the status of a transaction by the commit log, and the server's
// life. In the same life it tells the transaction's backend, if there is one, to end.
// A backend is known by the transaction that it runs: its process number may be
// another's by now.
func (s *store) fate(ctx context.Context, wrote written) (status, life string, err error) {
	var known *string
	err = s.pool.QueryRow(ctx, `SELECT coalesce((SELECT id::text FROM life), ''),
		(SELECT pg_xact_status($1::text::xid8) FROM life WHERE id::text = $2),
		(SELECT pg_terminate_backend(pid) FROM pg_stat_activity, life WHERE backend_xid = $1::text::xid8::xid AND id::text = $2)`,
		wrote.xid, wrote.life).Scan(&life, &known, new(*bool))
	if known != nil {
		status = *known
	}
	return status, life, err
}

// nothingHappened is for troubles before the point of no return.
func nothingHappened(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("postgres: %w", ctx.Err())
	}
	return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
}

// querier is a transaction or, for a read of one row, the pool.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const (
	actorColumns = `namespace, name, holder_id, holder_epoch, token, version, expiry, claim_id`
	nodeColumns  = `id, epoch, address, status, last_seen`
)

func scanActor(row pgx.Row) (p registry.Placement, err error) {
	var claim []byte
	err = row.Scan(&p.Actor.Namespace, &p.Actor.Name, &p.Holder.ID, &p.Holder.Epoch, &p.Token, &p.Version, &p.Expiry, &claim)
	copy(p.ClaimID[:], claim)
	return p, err
}

func scanNode(row pgx.Row) (n registry.Node, err error) {
	var address []byte
	err = row.Scan(&n.Ref.ID, &n.Ref.Epoch, &address, &n.Status, &n.LastSeen)
	n.Info.Address = string(address)
	return n, err
}

// orNone makes the zero value of no row.
func orNone[T any](v T, err error) (T, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		var none T
		return none, nil
	}
	return v, err
}

func (s *store) actor(ctx context.Context, q querier, a registry.ActorID, lock string) (registry.Placement, error) {
	return orNone(scanActor(q.QueryRow(ctx, `SELECT `+actorColumns+` FROM actors WHERE cluster = $1 AND namespace = $2 AND name = $3 `+lock,
		s.cluster, a.Namespace, a.Name)))
}

func (s *store) node(ctx context.Context, q querier, id registry.NodeID, lock string) (registry.Node, error) {
	return orNone(scanNode(q.QueryRow(ctx, `SELECT `+nodeColumns+` FROM nodes WHERE cluster = $1 AND id = $2 `+lock,
		s.cluster, string(id))))
}

// writeActor writes p over the record of the version before, or over none.
func (s *store) writeActor(ctx context.Context, tx pgx.Tx, p registry.Placement) (wrote written, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO actors (cluster, `+actorColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (cluster, namespace, name) DO UPDATE SET
			holder_id = EXCLUDED.holder_id, holder_epoch = EXCLUDED.holder_epoch, token = EXCLUDED.token,
			version = EXCLUDED.version, expiry = EXCLUDED.expiry, claim_id = EXCLUDED.claim_id
		WHERE actors.version = EXCLUDED.version - 1
		`+returning,
		s.cluster, p.Actor.Namespace, p.Actor.Name, string(p.Holder.ID), int64(p.Holder.Epoch),
		int64(p.Token), int64(p.Version), int64(p.Expiry), p.ClaimID[:]).Scan(&wrote.xid, &wrote.life)
	return known(wrote, err)
}

// writeNode writes n over the registration of the epoch read, or over none.
func (s *store) writeNode(ctx context.Context, tx pgx.Tx, n registry.Node, read registry.Epoch) (wrote written, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO nodes (cluster, `+nodeColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (cluster, id) DO UPDATE SET
			epoch = EXCLUDED.epoch, address = EXCLUDED.address, status = EXCLUDED.status, last_seen = EXCLUDED.last_seen
		WHERE nodes.epoch = $7
		`+returning,
		s.cluster, string(n.Ref.ID), int64(n.Ref.Epoch), []byte(n.Info.Address), int16(n.Status), int64(n.LastSeen), int64(read)).Scan(&wrote.xid, &wrote.life)
	return known(wrote, err)
}

// known tells why what was written must not be committed.
func known(wrote written, err error) (written, error) {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return written{}, errMoved
	case err == nil && wrote.life == "":
		return written{}, errUnborn
	default:
		return wrote, err
	}
}

// Actor implements [decided.Store].
func (s *store) Actor(ctx context.Context, a registry.ActorID) (registry.Placement, error) {
	p, err := s.actor(ctx, s.pool, a, "")
	if err != nil {
		return registry.Placement{}, nothingHappened(ctx, err)
	}
	return p, nil
}

// Node implements [decided.Store].
func (s *store) Node(ctx context.Context, id registry.NodeID) (registry.Node, error) {
	n, err := s.node(ctx, s.pool, id, "")
	if err != nil {
		return registry.Node{}, nothingHappened(ctx, err)
	}
	return n, nil
}

// ListActors implements [decided.Store]. A page is one statement, which sees
// one snapshot.
func (s *store) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	if node.Epoch > math.MaxInt64 {
		return nil, "", nil // never given out, and no bigint
	}
	namespace, name, _ := strings.Cut(string(page.After), "\x00")
	rows, err := s.pool.Query(ctx, `SELECT `+actorColumns+` FROM actors
		WHERE cluster = $1 AND holder_id = $2 AND holder_epoch = $3 AND (namespace, name) > ($4, $5)
		ORDER BY namespace, name LIMIT $6`,
		s.cluster, string(node.ID), int64(node.Epoch), namespace, name, page.Rows()+1)
	return list(ctx, page, rows, err, scanActor, func(p registry.Placement) string {
		return p.Actor.Namespace + "\x00" + p.Actor.Name // no name has a NUL
	})
}

// ListNodes implements [decided.Store].
func (s *store) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+nodeColumns+` FROM nodes
		WHERE cluster = $1 AND id > $2 AND ($3 = 0 OR status = $3) ORDER BY id LIMIT $4`,
		s.cluster, string(page.After), int16(status), page.Rows()+1)
	return list(ctx, page, rows, err, scanNode, func(n registry.Node) string { return string(n.Ref.ID) })
}

// list collects a page from a query that asked for one row more.
func list[T any](ctx context.Context, page registry.Page, rows pgx.Rows, err error, scan func(pgx.Row) (T, error), key func(T) string) ([]T, registry.Cursor, error) {
	if err != nil {
		return nil, "", nothingHappened(ctx, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (T, error) { return scan(row) })
	if err != nil {
		return nil, "", nothingHappened(ctx, err)
	}
	if len(all) <= page.Rows() {
		return all, "", nil
	}
	all = all[:page.Rows()]
	return all, registry.Cursor(key(all[len(all)-1])), nil
}
