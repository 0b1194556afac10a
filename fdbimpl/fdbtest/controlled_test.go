//go:build fdb && fdbsim

package fdbtest

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/fdbsim"
	"github.com/kelpie-registry/registry/internal/serverctl"
)

// stoppable is a simulated cluster as a control program sees a server.
type stoppable struct {
	*fdbsim.Cluster
	pauses, kills *atomic.Int64
}

func (s stoppable) Pause() error  { s.pauses.Add(1); s.Cluster.Pause(); return nil }
func (s stoppable) Resume() error { s.Cluster.Resume(); return nil }
func (s stoppable) Kill() error   { s.kills.Add(1); s.Cluster.Kill(); return nil }
func (s stoppable) Start() error  { s.Cluster.Restart(); return nil }

// byProgram is fdbimpl as it is judged on a real cluster with a control program, on
// simulated clusters that such programs stop.
type byProgram struct {
	Backend
	t             *testing.T
	pauses, kills atomic.Int64
}

func (b *byProgram) Declared() []conformance.Capability { return Backend{}.Declared() }

func (b *byProgram) New(registry.Config) (conformance.Cluster, error) {
	d, err := testdb.OpenSim(fdbsim.Config{Seed: 1, Proxies: 3})
	if err != nil {
		return nil, err
	}
	program, stop, err := serverctl.Handmade(b.t.TempDir(), stoppable{d.Cluster, &b.pauses, &b.kills})
	return programmed{newControlled(base{db: d}, program), stop}, err
}

type programmed struct {
	*controlled
	stop func() error
}

func (p programmed) Close() error {
	err := p.controlled.Close()
	if stopped := p.stop(); err == nil {
		err = stopped
	}
	return err
}

// The sections that need a server which can be stopped pass on one that a program
// stops, and the program is called.
func TestOnAStoppedServer(t *testing.T) {
	b := &byProgram{t: t}
	r, err := conformance.Judge(t.Context(), b, conformance.OnlySections("durable", "faults"), conformance.Histories(2),
		conformance.Level(conformance.Quick))
	require.NoError(t, err)
	for _, c := range r.Cases {
		assert.Equal(t, conformance.Pass, c.Verdict, "%s: %s\n%v", c.ID(), c.Reason, c.Conviction)
	}
	assert.Positive(t, b.pauses.Load())
	assert.Positive(t, b.kills.Load())
	t.Logf("%d pauses, %d kills", b.pauses.Load(), b.kills.Load())
}

// A control that fails is an error of the cluster, and convicts nobody.
func TestAControlThatFails(t *testing.T) {
	d, err := testdb.OpenSim(fdbsim.Config{Seed: 1})
	require.NoError(t, err)
	c := newControlled(base{db: d}, serverctl.New("/nowhere/control"))
	require.ErrorContains(t, c.Restart(), "/nowhere/control kill")
	c.SetFaults(conformance.Faults{Seed: 1, Late: 1})
	require.ErrorContains(t, c.Close(), "/nowhere/control pause")
}
