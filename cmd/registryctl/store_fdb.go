//go:build fdb

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/spf13/pflag"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl"
	"github.com/kelpie-registry/registry/internal/usage"
)

// fdbFlags say where in FoundationDB a registry is.
type fdbFlags struct {
	clusterFile string
	prefix      string
}

func (f *fdbFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.clusterFile, "cluster-file", "", "the FoundationDB cluster of an fdbimpl (default $FDB_CLUSTER_FILE)")
	fl.StringVar(&f.prefix, "prefix", "kelpie-registry", "the prefix of its keys, strings with / between them")
}

func (f *fdbFlags) named() bool { return f.clusterFile != "" }

func (f *fdbFlags) open() (store, func(), error) {
	file := f.clusterFile
	if file == "" {
		file = os.Getenv("FDB_CLUSTER_FILE")
	}
	if file == "" {
		return nil, nil, usage.Errorf("neither --file nor --cluster-file names a registry")
	}
	if err := fdb.APIVersion(730); err != nil {
		return nil, nil, err
	}
	db, err := fdb.OpenDatabase(file)
	if err != nil {
		return nil, nil, err
	}
	opts := fdbimpl.Options{TransactionTimeout: 5 * time.Second}
	for part := range strings.SplitSeq(f.prefix, "/") {
		opts.Prefix = append(opts.Prefix, part)
	}
	s, err := newFDBStore(db, opts)
	return s, func() {}, err // the process ends with it, and the binding shares one handle
}

// fdbStore is fdbimpl's keys.
type fdbStore struct {
	*fdbimpl.Inspector
	db   fdb.Database
	opts fdbimpl.Options
}

func newFDBStore(db fdb.Database, opts fdbimpl.Options) (fdbStore, error) {
	i, err := fdbimpl.NewInspector(db, opts)
	return fdbStore{i, db, opts}, err
}

func (s fdbStore) Config(ctx context.Context) (registry.Config, error) {
	cfg, found, err := s.Inspector.Config(ctx)
	if err == nil && !found {
		err = fmt.Errorf("%s: there is no registry", tuple.Tuple(s.opts.Prefix))
	}
	return cfg, err
}

// handle opens an ordinary handle, with the configuration that is stored.
func (s fdbStore) handle(ctx context.Context) (*fdbimpl.Registry, error) {
	cfg, err := s.Config(ctx)
	if err != nil {
		return nil, err
	}
	return fdbimpl.Open(ctx, s.db, cfg, registry.SystemClock(), s.opts)
}

func (s fdbStore) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	h, err := s.handle(ctx)
	if err != nil {
		return registry.Placement{}, false, err
	}
	defer h.Close()
	return h.Lookup(ctx, actor)
}

func (s fdbStore) HeldBy(ctx context.Context, node registry.NodeRef, visit func(registry.Placement) error) error {
	h, err := s.handle(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	for page := (registry.Page{Limit: registry.MaxPageLimit}); ; {
		rows, next, err := h.ListActors(ctx, node, page)
		if err != nil {
			return err
		}
		if err := each(ctx, rows, visit); err != nil || next == "" {
			return err
		}
		page.After = next
	}
}

func (s fdbStore) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	h, err := s.handle(ctx)
	if err != nil {
		return registry.Placement{}, err
	}
	defer h.Close()
	return h.Watch(ctx, actor, seen)
}

func (s fdbStore) ForceRelease(ctx context.Context, actor registry.ActorID, token registry.Token) (registry.Placement, error) {
	return s.ForceReleaseBreakingGrace(ctx, actor, token)
}
