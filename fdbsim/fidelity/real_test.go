//go:build fdb && !fdbsim

package fidelity

import (
	"os"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

var started = time.Now()

// realCluster is the cluster that FDB_CLUSTER_FILE names. Nothing but the passing of time can be asked
// of it.
type realCluster struct{ file string }

func newCluster(t *testing.T) cluster {
	file := os.Getenv("FDB_CLUSTER_FILE")
	if file == "" {
		t.Skip("FDB_CLUSTER_FILE names no cluster")
	}
	return realCluster{file}
}

func (c realCluster) Open() fdb.Database    { return fdb.MustOpenDatabase(c.file) }
func (realCluster) Simulated() bool         { return false }
func (realCluster) Now() time.Duration      { return time.Since(started) }
func (realCluster) Advance(d time.Duration) { time.Sleep(d) }
func (realCluster) Pause()                  { panic(beyondControl) }
func (realCluster) Resume()                 { panic(beyondControl) }
func (realCluster) Kill()                   { panic(beyondControl) }
func (realCluster) Restart()                { panic(beyondControl) }
func (realCluster) TimeOutCommits(bool)     { panic(beyondControl) }
func (realCluster) CommitsSent() uint64     { panic(beyondControl) }

const beyondControl = "fidelity: a fact that runs on a real cluster wants to control it"
