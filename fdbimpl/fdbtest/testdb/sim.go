//go:build fdb && fdbsim

package testdb

import (
	"errors"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"

	"github.com/kelpie-registry/registry/fdbsim"
	_ "github.com/kelpie-registry/registry/fdbsim/libfdb" // the entry points that the binding calls
)

// Store says what Open opens databases on, and whether that is a real cluster.
func Store(string) (name string, isReal bool) { return "fdbsim, the stand-in for FoundationDB", false }

// ErrNoCluster means that a real cluster was named, which the stand-in is not.
var ErrNoCluster = errors.New("built on the stand-in: no cluster file can be used")

// DB is an empty part of a database, the whole of a simulated cluster.
type DB struct {
	Database fdb.Database
	Prefix   tuple.Tuple
	Cluster  *fdbsim.Cluster
}

// Open returns a healthy simulated cluster. clusterFile must be "".
func Open(clusterFile string) (*DB, error) {
	if clusterFile != "" {
		return nil, ErrNoCluster
	}
	return OpenSim(fdbsim.Config{Seed: 1})
}

// OpenSim returns a simulated cluster.
func OpenSim(cfg fdbsim.Config) (*DB, error) {
	c := fdbsim.NewCluster(cfg)
	db, err := open(c.ClusterFile())
	if err != nil {
		c.Close()
		return nil, err
	}
	return &DB{Database: db, Prefix: RandomPrefix(), Cluster: c}, nil
}

// Close ends the cluster.
func (d *DB) Close() error {
	opening.Lock()
	defer opening.Unlock()
	d.Database.Close()
	d.Cluster.Close()
	return nil
}
