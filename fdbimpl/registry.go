//go:build fdb

package fdbimpl

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/directory"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"

	"github.com/kelpie-registry/registry"
)

// Defaults of [Options].
const (
	DefaultTransactionTimeout = 5 * time.Second
	DefaultSettleTimeout      = time.Second
	DefaultAttempts           = 20
	DefaultMaxBackoff         = time.Second
)

// Options says where in the database a registry lives and how patient a handle
// is. The zero value of a field stands for its default.
type Options struct {
	// Prefix is the tuple before all keys; default ("kelpie-registry"). All
	// handles of one registry have the same, and nothing else writes below it.
	Prefix tuple.Tuple

	// Directory, when it is not empty, is used in place of Prefix: the path of a
	// directory of FoundationDB's directory layer, which is made when there is
	// none, with the layer "kelpie-registry". Open then makes a few transactions
	// of the directory layer's own, which end by their database's options and
	// not with the context. A directory that was moved is another's to find.
	Directory []string

	// Priority is that of all transactions.
	Priority Priority

	// Tag, when it is not empty, is set on all transactions, so that FoundationDB
	// can throttle them together, by itself or by hand. It has 16 bytes at most.
	Tag string

	// Observer, when it is not nil, is told what the operations do.
	Observer Observer

	// TransactionTimeout is the longest that one transaction may take; default
	// 5 s, about what FoundationDB allows one anyway. A context's deadline
	// makes it shorter.
	TransactionTimeout time.Duration

	// SettleTimeout limits the search for the fate of a commit whose outcome is
	// unknown; default 1 s. The search is not ended by the context, whose end
	// is often what made the outcome unknown: an operation may return later
	// than its context ends by this much, and a little more.
	SettleTimeout time.Duration

	// Attempts is how many transactions an operation may try before it fails
	// with registry.ErrUnavailable; default 20.
	Attempts int

	// Forgets lets Purge forget records, from Retention after they could be claimed
	// by anybody on. It says so in the store, which no program can open any more that
	// does not know of it; end those that have it open before. Without it nothing is
	// forgotten; what others forget is known all the same. A registry that forgets is
	// judged in the dialect "forgets".
	Forgets   bool
	Retention time.Duration

	// MaxBackoff bounds the pause before an attempt; default 1 s. The bound
	// doubles from 2 ms with every attempt, the pause is drawn evenly from 0 to
	// the bound.
	MaxBackoff time.Duration
}

// Priority is the priority of transactions in FoundationDB.
type Priority int

// The priorities. Batch gives way to all others when the cluster is busy, and is for
// scans. Immediate goes before all others, also past the limits that protect the
// cluster, and is for nothing but renewals that must not lapse.
const (
	PriorityDefault Priority = iota
	PriorityBatch
	PriorityImmediate
)

// minAPIVersion is the first with tags, and with reads of the committed version that
// say -1 in place of an error.
const minAPIVersion = 630

// maxTag is FoundationDB's limit for tags, in bytes.
const maxTag = 16

// directoryLayer is written with the directory, so that no other layer opens it.
var directoryLayer = []byte("kelpie-registry")

func (o Options) withDefaults() (Options, error) {
	if o.Attempts == 0 {
		o.Attempts = DefaultAttempts
	}
	switch {
	case len(o.Tag) > maxTag:
		return o, &registry.InvalidError{Field: "option Tag", Problem: fmt.Sprintf("has %d bytes, the limit is %d", len(o.Tag), maxTag)}
	case o.Priority < PriorityDefault || o.Priority > PriorityImmediate:
		return o, &registry.InvalidError{Field: "option Priority", Problem: fmt.Sprintf("is %d", o.Priority)}
	case len(o.Directory) > 0 && len(o.Prefix) > 0:
		return o, &registry.InvalidError{Field: "option Directory", Problem: "is set beside Prefix"}
	}
	if len(o.Prefix) == 0 && len(o.Directory) == 0 {
		o.Prefix = tuple.Tuple{"kelpie-registry"}
	}
	if o.Attempts < 1 {
		return o, &registry.InvalidError{Field: "option Attempts", Problem: fmt.Sprintf("is %d, want 1 or more", o.Attempts)}
	}
	if o.Retention < 0 || o.Retention > 0 && !o.Forgets {
		return o, &registry.InvalidError{Field: "option Retention", Problem: fmt.Sprintf("is %v, Forgets is %v", o.Retention, o.Forgets)}
	}
	for _, d := range []struct {
		field string
		value *time.Duration
		def   time.Duration
	}{
		{"TransactionTimeout", &o.TransactionTimeout, DefaultTransactionTimeout},
		{"SettleTimeout", &o.SettleTimeout, DefaultSettleTimeout},
		{"MaxBackoff", &o.MaxBackoff, DefaultMaxBackoff},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < time.Millisecond {
			return o, &registry.InvalidError{Field: "option " + d.field, Problem: fmt.Sprintf("is %v, want %v or more", *d.value, time.Millisecond)}
		}
	}
	return o, nil
}

// Registry is one node's handle. It implements [registry.Handle],
// [registry.BatchRenewer] and [registry.Watcher], and is safe for concurrent use.
type Registry struct {
	db    fdb.Database
	cfg   registry.Config
	clock registry.Clock
	opts  Options
	keys  keys
	marks *marks

	closed  atomic.Bool
	closing context.Context // done from Close on
	close   context.CancelFunc

	sleep func(context.Context, time.Duration) error // a variable for tests
}

var (
	_ registry.Handle       = (*Registry)(nil)
	_ registry.BatchRenewer = (*Registry)(nil)
	_ registry.Watcher      = (*Registry)(nil)
)

// Open returns a handle on the registry under opts.Prefix. The first handle ever
// opened there writes cfg as the cluster's; every other must bring the same
// ([registry.ErrConfigMismatch]). The caller keeps db and closes it after the
// handle, if at all.
//
// The application selects the API version, before it opens db; nothing here does. It
// must be 630 or later ([registry.ErrInvalid]).
func Open(ctx context.Context, db fdb.Database, cfg registry.Config, clock registry.Clock, opts Options) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if v, err := fdb.GetAPIVersion(); err != nil || v < minAPIVersion {
		return nil, &registry.InvalidError{Field: "API version", Problem: fmt.Sprintf("is %d, want %d or more", v, minAPIVersion)}
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	root, err := opts.root(db)
	if err != nil {
		return nil, err
	}
	r := newRegistry(db, root, cfg, clock, opts)
	if err := r.checkCluster(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// root is the space of the registry's keys.
func (o Options) root(db fdb.Database) (subspace.Subspace, error) {
	if len(o.Directory) == 0 {
		return subspace.Sub(o.Prefix...), nil
	}
	dir, err := directory.CreateOrOpen(db, o.Directory, directoryLayer)
	if err != nil {
		return nil, fmt.Errorf("%w: directory %q: %w", registry.ErrUnavailable, o.Directory, err)
	}
	return dir, nil
}

func newRegistry(db fdb.Database, root subspace.Subspace, cfg registry.Config, clock registry.Clock, opts Options) *Registry {
	r := &Registry{
		db: db, cfg: cfg, clock: clock, opts: opts,
		keys: newKeys(root), marks: newMarks(), sleep: sleep,
	}
	r.closing, r.close = context.WithCancel(context.Background())
	return r
}

// checkCluster compares the handle's configuration with the cluster's, and writes
// it when there is none.
//
// Of two creators one commits first; the other read that there was no record, so
// it conflicts, and its next attempt compares. The record carries no mark, so after
// a commit of unknown outcome its presence counts as another's, and the next attempt
// compares as well.
func (r *Registry) checkCluster(ctx context.Context) error {
	_, err := transact(ctx, r, "Open", func(a *attempt) (struct{}, error) {
		stored, err := a.tr.Get(r.keys.cluster).Get()
		if err != nil {
			return struct{}{}, err
		}
		if stored == nil {
			stored = encodeCluster(r.cfg)
			if r.opts.Forgets {
				stored, _ = withFloors(stored)
			}
			a.write(&r.keys.cluster, 0, stampOfCluster, stored)
			return struct{}{}, nil
		}
		cluster, err := decodeCluster(stored)
		if err != nil {
			return struct{}{}, corrupt(r.keys.cluster, err)
		}
		if err := r.cfg.Match(cluster); err != nil || !r.opts.Forgets {
			return struct{}{}, err
		}
		if with, other := withFloors(stored); other { // after an unknown outcome the next attempt looks again
			a.write(&r.keys.cluster, 1, stampOfCluster, with)
		}
		return struct{}{}, nil
	})
	return err
}

// Close implements [registry.Registry]. Operations under way are left to finish,
// except Watch, which ends with [registry.ErrClosed].
func (r *Registry) Close() error {
	r.closed.Store(true)
	r.close()
	return nil
}

// ready reports what stands before the state, in the contract's order: the
// arguments, the handle, the context.
func (r *Registry) ready(ctx context.Context, arguments error) error {
	switch {
	case arguments != nil:
		return arguments
	case r.closed.Load():
		return registry.ErrClosed
	default:
		return ctx.Err()
	}
}

// pause waits before attempt n+1, for a time drawn from a bound that doubles.
// Attempts that failed together do not meet again.
func (r *Registry) pause(ctx context.Context, n int) error {
	bound := min(r.opts.MaxBackoff, time.Millisecond<<min(n, 20))
	return r.sleep(ctx, rand.N(bound))
}

func sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
