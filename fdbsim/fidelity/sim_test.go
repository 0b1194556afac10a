//go:build fdb && fdbsim

package fidelity

import (
	"runtime"
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/fdbsim"
	_ "github.com/kelpie-registry/registry/fdbsim/libfdb"
	"github.com/kelpie-registry/registry/internal/serverctl"
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

func (simulatedCluster) Controlled() bool { return true }

func (c simulatedCluster) AwaitCommits(n uint64) {
	for c.CommitsSent() < n {
		runtime.Gosched()
	}
}

func (c simulatedCluster) CommitsSent() uint64 { return c.Stats().Of(fdbsim.KindCommit) }

// asReal is a simulated cluster that is stopped by a program and treated like a real one.
type asReal struct {
	simulatedCluster
	programmed
}

func (asReal) Simulated() bool    { return false }
func (c asReal) Controlled() bool { return c.programmed.Controlled() }
func (c asReal) Pause()           { c.programmed.Pause() }
func (c asReal) Resume()          { c.programmed.Resume() }
func (c asReal) Kill()            { c.programmed.Kill() }
func (c asReal) Restart()         { c.programmed.Restart() }

// server is a simulated cluster as a control program sees it.
type server struct{ *fdbsim.Cluster }

func (s server) Pause() error  { s.Cluster.Pause(); return nil }
func (s server) Resume() error { s.Cluster.Resume(); return nil }
func (s server) Kill() error   { s.Cluster.Kill(); return nil }
func (s server) Start() error  { s.Cluster.Restart(); return nil }

// What needs control is checked on a real cluster through a program, and with limits that a busy
// machine meets. Here the same is done to the stand-in.
func TestThroughAProgram(t *testing.T) {
	fdb.MustAPIVersion(730)
	c := newCluster(t).(simulatedCluster)
	program, stop, err := serverctl.Handmade(t.TempDir(), server(c))
	require.NoError(t, err)
	controlled := 0
	for _, f := range facts {
		if f.control {
			controlled++
			f.test(t, asReal{c, programmed{program, true}})
		}
	}
	require.NoError(t, stop())
	require.Equal(t, 25, controlled)
}

// Without a program they are skipped, and say why.
func TestWithoutAProgram(t *testing.T) {
	c := newCluster(t).(simulatedCluster)
	for _, f := range facts {
		if f.control {
			f.check = func(e *env) { e.Fail("not skipped") }
			f.test(t, asReal{c, programmed{}})
		}
	}
}
