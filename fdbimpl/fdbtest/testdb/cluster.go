//go:build fdb && !fdbsim

package testdb

import (
	"errors"
	"fmt"
	"os"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
)

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
	clusterFile = fileOf(clusterFile)
	if clusterFile == "" {
		return nil, ErrNoCluster
	}
	db, err := open(clusterFile)
	if err != nil {
		return nil, err
	}
	return &DB{Database: db, Prefix: RandomPrefix()}, nil
}

func fileOf(clusterFile string) string {
	if clusterFile == "" {
		return os.Getenv("FDB_CLUSTER_FILE")
	}
	return clusterFile
}

// Store says what Open opens databases on, and whether that is a real cluster: it
// is one when it answers with its status.
func Store(clusterFile string) (name string, isReal bool) {
	clusterFile = fileOf(clusterFile)
	status, err := readStatus(clusterFile)
	if err != nil {
		return fmt.Sprintf("a FoundationDB cluster that gave no status (%v), cluster file %s", err, clusterFile), false
	}
	return describe(status, clusterFile), true
}

// readStatus reads the status document, which the client library composes.
func readStatus(clusterFile string) ([]byte, error) {
	if clusterFile == "" {
		return nil, ErrNoCluster
	}
	db, err := open(clusterFile)
	if err != nil {
		return nil, err
	}
	tr, err := db.CreateTransaction()
	if err != nil {
		return nil, err
	}
	if err := tr.Options().SetTimeout(10_000); err != nil {
		return nil, err
	}
	return tr.Get(fdb.Key("\xff\xff/status/json")).Get()
}

// Close clears the prefix.
func (d *DB) Close() error {
	_, err := d.Database.Transact(func(tr fdb.Transaction) (any, error) {
		tr.ClearRange(subspace.Sub(d.Prefix...))
		return nil, nil
	})
	return err
}
