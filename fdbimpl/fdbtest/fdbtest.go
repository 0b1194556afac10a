//go:build fdb

package fdbtest

import (
	"context"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/fdbimpl"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
)

// Backend is fdbimpl as a backend of the suite.
type Backend struct{ clusterFile string }

var (
	_ conformance.Declarer = Backend{}
	_ conformance.Stored   = Backend{}
)

// New returns the backend. clusterFile names the cluster; "" stands for what
// FDB_CLUSTER_FILE names, and is the only choice on the stand-in.
func New(clusterFile string) Backend { return Backend{clusterFile} }

// Name implements [conformance.Backend].
func (Backend) Name() string { return "fdbimpl" }

// Store implements [conformance.Stored].
func (b Backend) Store() conformance.Store {
	name, isReal := testdb.Store(b.clusterFile)
	return conformance.Store{Name: name, Real: isReal}
}

// New implements [conformance.Backend].
func (b Backend) New(registry.Config) (conformance.Cluster, error) {
	d, err := testdb.Open(b.clusterFile)
	if err != nil {
		return nil, err
	}
	return newCluster(base{db: d}), nil
}

// Forgetting is fdbimpl with [fdbimpl.Options.Forgets] and a retention of nothing, as a
// backend that forgets when it is asked to. Its powers are those of [Backend].
type Forgetting struct{ Backend }

// Name implements [conformance.Backend].
func (Forgetting) Name() string { return "fdbimpl-forgets" }

// Dialect implements [conformance.Speaker].
func (Forgetting) Dialect() dialect.Dialect { return dialect.Dialect{Forgets: true} }

// Declared implements [conformance.Declarer].
func (b Forgetting) Declared() []conformance.Capability {
	return append(b.Backend.Declared(), conformance.Purging)
}

// New implements [conformance.Backend].
func (b Forgetting) New(registry.Config) (conformance.Cluster, error) {
	d, err := testdb.Open(b.clusterFile)
	if err != nil {
		return nil, err
	}
	return newCluster(base{db: d, forgets: true}), nil
}

// base is a cluster without powers: an empty part of a database.
type base struct {
	db      *testdb.DB
	timeout time.Duration // of the handles' transactions; 0: the default
	forgets bool
}

// Open implements [conformance.Cluster].
func (c base) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	opts := fdbimpl.Options{Prefix: c.db.Prefix, TransactionTimeout: c.timeout, Forgets: c.forgets}
	r, err := fdbimpl.Open(context.Background(), c.db.Database, cfg, clock, opts)
	if err != nil {
		return nil, err // not a nil *Registry in a non-nil interface
	}
	return r, nil
}

// Close implements [conformance.Cluster].
func (c base) Close() error { return c.db.Close() }
