//go:build fdb

// Package infdb has a demonstration's store in FoundationDB, where it is built with the tag
// fdb. With the tag fdbsim as well it is the stand-in, in the store's own process.
package infdb

import (
	"context"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/spf13/pflag"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/internal/counters"
	"github.com/kelpie-registry/registry/fdbimpl"
)

// Elsewhere are the backings that a store can have beside files.
var Elsewhere = []counters.Elsewhere{func(flags *pflag.FlagSet) func(registry.Config) (counters.Backing, error) {
	file := flags.String("cluster-file", "", "a FoundationDB cluster that has the registry and the actors' state, instead of --dir; \"fdbsim\" where it is the stand-in")
	name := flags.String("prefix", "counters", "what their keys begin with")
	return func(registry.Config) (counters.Backing, error) {
		if *file == "" {
			return nil, nil
		}
		if err := fdb.APIVersion(730); err != nil {
			return nil, err
		}
		db, err := open(*file)
		if err != nil {
			return nil, err
		}
		return newDatabase(db, *name), nil
	}
}}

// database keeps the registry and the actors' state in FoundationDB. The state has a
// fence of its own, as in files, so that nodes see the same store.
type database struct {
	db    fdb.Database
	opts  fdbimpl.Options
	state subspace.Subspace
}

func newDatabase(db fdb.Database, name string) database {
	return database{db, fdbimpl.Options{Prefix: tuple.Tuple{name, "registry"}}, subspace.Sub(name, "state")}
}

func (d database) Registry(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	r, err := fdbimpl.Open(context.Background(), d.db, cfg, clock, d.opts)
	if err != nil {
		return nil, err // not a nil *Registry in a non-nil interface
	}
	return r, nil
}

// Update repeats a commit of unknown outcome: change then begins with what is stored by
// then, and refuses if a later tenure has taken the state over meanwhile.
func (d database) Update(actor string, change func(stored []byte) ([]byte, error)) error {
	_, err := d.db.Transact(func(tr fdb.Transaction) (any, error) {
		key := d.state.Pack(tuple.Tuple{actor})
		stored, err := tr.Get(key).Get()
		if err != nil {
			return nil, err
		}
		text, err := change(stored)
		if err != nil {
			return nil, err
		}
		tr.Set(key, text)
		return nil, nil
	})
	return err
}

func (d database) Close() error { return nil } // the binding shares one handle, and the process ends
