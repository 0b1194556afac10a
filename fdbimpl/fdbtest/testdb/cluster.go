//go:build fdb && !fdbsim

package testdb

import (
	"errors"
	"os"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
)

// Name says what the databases are.
const Name = "FoundationDB cluster"

// ErrNoCluster means that no cluster was named.
var ErrNoCluster = errors.New("FDB_CLUSTER_FILE names no cluster")

// DB is an empty part of a database.
type DB struct {
	Database fdb.Database
	Prefix   tuple.Tuple
}

// Open returns a random prefix on the cluster of the given file, or of the one
// that FDB_CLUSTER_FILE names when clusterFile is "".
func Open(clusterFile string) (*DB, error) {
	if clusterFile == "" {
		clusterFile = os.Getenv("FDB_CLUSTER_FILE")
	}
	if clusterFile == "" {
		return nil, ErrNoCluster
	}
	db, err := open(clusterFile)
	if err != nil {
		return nil, err
	}
	return &DB{Database: db, Prefix: RandomPrefix()}, nil
}

// Close clears the prefix.
func (d *DB) Close() error {
	_, err := d.Database.Transact(func(tr fdb.Transaction) (any, error) {
		tr.ClearRange(subspace.Sub(d.Prefix...))
		return nil, nil
	})
	return err
}
