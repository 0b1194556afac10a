//go:build fdb && !fdbsim

package fidelity

import (
	"os"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry/internal/serverctl"
)

var started = time.Now()

// realCluster is the cluster that FDB_CLUSTER_FILE names.
type realCluster struct {
	programmed
	file string
}

func newCluster(t *testing.T) cluster {
	file := os.Getenv("FDB_CLUSTER_FILE")
	if file == "" {
		t.Skip("FDB_CLUSTER_FILE names no cluster")
	}
	program, has := serverctl.FromEnv()
	return realCluster{programmed{program, has}, file}
}

func (c realCluster) Open() fdb.Database    { return fdb.MustOpenDatabase(c.file) }
func (realCluster) Simulated() bool         { return false }
func (realCluster) Now() time.Duration      { return time.Since(started) }
func (realCluster) Advance(d time.Duration) { time.Sleep(d) }
func (realCluster) TimeOutCommits(bool)     {} // a millisecond is short enough by itself
func (realCluster) CommitsSent() uint64     { return 0 }

// AwaitCommits cannot see them leave; half a second is a thousand times what it takes.
func (c realCluster) AwaitCommits(uint64) { c.Advance(500 * time.Millisecond) }
