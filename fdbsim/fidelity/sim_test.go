//go:build fdb && fdbsim

package fidelity

import (
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry/fdbsim"
	_ "github.com/kelpie-registry/registry/fdbsim/libfdb"
)

type simulatedCluster struct{ *fdbsim.Cluster }

func newCluster(t *testing.T) cluster {
	c := fdbsim.NewCluster(fdbsim.Config{Seed: 7, Logf: t.Logf})
	t.Cleanup(c.Close)
	return simulatedCluster{c}
}

func (c simulatedCluster) Open() fdb.Database { return fdb.MustOpenDatabase(c.ClusterFile()) }
func (simulatedCluster) Simulated() bool      { return true }

func (c simulatedCluster) TimeOutCommits(on bool) {
	var f fdbsim.Faults
	if on {
		f = fdbsim.Faults{TimeoutLands: 0.8, TimeoutLost: 0.2}
	}
	c.SetFaults(f)
}

func (c simulatedCluster) CommitsSent() uint64 { return c.Stats().Of(fdbsim.KindCommit) }
