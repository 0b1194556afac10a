// Package tutorial is the registry of docs/tutorial.md: a complete one on SQLite, in
// the order in which the tutorial writes it.
package tutorial

import (
	"context"
	"database/sql"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

const schema = `
CREATE TABLE IF NOT EXISTS nodes (
	cluster INTEGER, id TEXT, epoch INTEGER, address TEXT, instance BLOB, status INTEGER, seen INTEGER,
	PRIMARY KEY (cluster, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
	cluster INTEGER, namespace TEXT, name TEXT, holder TEXT, epoch INTEGER,
	token INTEGER, version INTEGER, expiry INTEGER, claim BLOB,
	PRIMARY KEY (cluster, namespace, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held ON records (cluster, holder, epoch, namespace, name);`

// Database is one SQLite database, in which any number of clusters live. Their rows
// are told apart by a number.
type Database struct {
	db       *sql.DB
	lock     chan struct{} // SQLite has one writer; a transaction holds this
	clusters atomic.Int64
}

// OpenDatabase opens the database in a file, or ":memory:".
func OpenDatabase(file string) (*Database, error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return nil, err
	}
	return &Database{db: db, lock: make(chan struct{}, 1)}, nil
}

// Cluster is one registry in a database.
type Cluster struct {
	database *Database
	number   int64
	cfg      registry.Config
}

// NewCluster begins an empty cluster.
func (d *Database) NewCluster(cfg registry.Config) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Cluster{d, d.clusters.Add(1), cfg}, nil
}

// Drop deletes what the cluster has written.
func (c *Cluster) Drop() error {
	for _, table := range []string{"nodes", "records"} {
		if _, err := c.database.db.Exec("DELETE FROM "+table+" WHERE cluster = ?", c.number); err != nil {
			return err
		}
	}
	return nil
}

// Handle is one node's access to a cluster. It implements registry.Handle.
type Handle struct {
	*Cluster
	clock  registry.Clock
	closed atomic.Bool
}

// Open returns a handle that reads clock.
func (c *Cluster) Open(cfg registry.Config, clock registry.Clock) (*Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Match(c.cfg); err != nil {
		return nil, err
	}
	return &Handle{Cluster: c, clock: clock}, nil
}

// Close implements registry.Registry.
func (h *Handle) Close() error { h.closed.Store(true); return nil }

// atomically runs one operation as one transaction, with one reading of the clock.
// The context can end it while it waits for its turn. From then on it cannot, so that
// a context's error always means that nothing happened.
func (h *Handle) atomically(ctx context.Context, f func(t *transaction) error) error {
	if h.closed.Load() {
		return registry.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.database.lock <- struct{}{}:
		defer func() { <-h.database.lock }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := h.database.db.BeginTx(ctx, nil)
	if err != nil {
		return unavailable{err}
	}
	defer tx.Rollback()
	if err := f(&transaction{ctx: ctx, tx: tx, cluster: h.number, cfg: h.cfg, now: h.clock.Now()}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return &registry.AmbiguousError{Cause: err}
	}
	return nil
}

// unavailable is a failure of the database before the commit: nothing happened.
type unavailable struct{ cause error }

func (e unavailable) Error() string { return registry.ErrUnavailable.Error() + ": " + e.cause.Error() }
func (e unavailable) Unwrap() error { return registry.ErrUnavailable }
