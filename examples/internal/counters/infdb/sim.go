//go:build fdb && fdbsim

package infdb

import (
	"errors"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry/fdbsim"
	_ "github.com/kelpie-registry/registry/fdbsim/libfdb" // the entry points that the binding calls
)

// open opens a cluster of the stand-in, which ends with the process.
func open(file string) (fdb.Database, error) {
	if file != "fdbsim" {
		return fdb.Database{}, errors.New("built on the stand-in: the cluster file is fdbsim, and no other can be used")
	}
	return fdb.OpenDatabase(fdbsim.NewCluster(fdbsim.Config{Seed: 1}).ClusterFile())
}
