package keeper

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

func (m *machine) join(t *testing.T, id registry.NodeID, o AgentOptions) *Agent {
	o.Keeper.Clock, o.Keeper.Seed = WithTimers(m.wall), 1
	a, err := Join(t.Context(), m, testCfg, id, o)
	require.NoError(t, err)
	t.Cleanup(func() { a.stop(ErrNodeOver); <-a.done })
	return a
}

func (m *machine) node(t *testing.T, id registry.NodeID) registry.Node {
	n, found, err := m.GetNode(t.Context(), id)
	require.NoError(t, err)
	require.True(t, found)
	return n
}

// A node that keeps heartbeating is never failed, whatever the detectors do.
func TestAgentStaysRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m, other := w.machine("m", -testCfg.MaxClockSkew), w.machine("other", testCfg.MaxClockSkew)
		a := m.join(t, "n1", AgentOptions{Info: registry.NodeInfo{Address: "10.0.0.1:80"}})
		d, err := NewDetector(other, testCfg, DetectorOptions{Options: Options{Clock: WithTimers(other.wall), Seed: 2}})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		time.Sleep(time.Hour)
		stop()
		assert.ErrorIs(t, <-ended, context.Canceled)
		n := m.node(t, "n1")
		assert.Equal(t, registry.NodeActive, n.Status)
		assert.EqualValues(t, 1, n.Ref.Epoch)
		assert.Equal(t, "10.0.0.1:80", n.Info.Address)
		require.NoError(t, a.Leave(t.Context()))
		assert.Equal(t, registry.NodeLeft, m.node(t, "n1").Status)
		assert.ErrorIs(t, a.Err(), ErrNodeOver)
	})
}

// A node that was cut off is marked failed; its placements stay. When it comes
// back it steps down from everything of the old epoch and registers anew.
func TestAgentComesBackUnderANewEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m, other := w.machine("m", 0), w.machine("other", 0)
		var keepers []*Keeper
		a := m.join(t, "n1", AgentOptions{Changed: func(k *Keeper) { keepers = append(keepers, k) }})
		tenure := acquire(t, a.Keeper())
		var failed []registry.NodeRef
		d, err := NewDetector(other, testCfg, DetectorOptions{
			Options: Options{Clock: WithTimers(other.wall), Seed: 2},
			Failed:  func(n registry.NodeRef) { failed = append(failed, n) },
		})
		require.NoError(t, err)
		go func() { _ = d.Run(t.Context()) }()

		m.set(failing("Heartbeat", registry.ErrUnavailable), nil) // but renewals pass
		time.Sleep(40 * time.Second)
		synctest.Wait() // for the callback
		require.Equal(t, registry.NodeFailed, m.node(t, "n1").Status)
		require.Contains(t, failed, a.Keeper().Node())
		require.NoError(t, tenure.Check(), "a suspicion takes no actor away")
		require.Equal(t, a.Keeper().Node(), m.record(t).Holder)

		m.set(nil, nil)
		lost := over(t, tenure)
		assert.ErrorIs(t, lost, ErrNodeOver)
		assert.ErrorIs(t, lost, registry.ErrNodeFailed)
		time.Sleep(time.Minute)
		synctest.Wait()
		n := m.node(t, "n1")
		assert.Equal(t, registry.NodeActive, n.Status)
		assert.EqualValues(t, 2, n.Ref.Epoch)
		require.Len(t, keepers, 2)
		assert.Same(t, keepers[1], a.Keeper())
		assert.Equal(t, n.Ref, a.Keeper().Node())
		acquire(t, a.Keeper())
	})
}

// A superseded process does not fight for its name.
func TestSupersededAgentEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old, restarted := w.machine("a", 0), w.machine("b", 0)
		first := old.join(t, "n1", AgentOptions{})
		tenure := acquire(t, first.Keeper())
		_, err := Join(t.Context(), restarted, testCfg, "n1", AgentOptions{})
		require.ErrorIs(t, err, registry.ErrNodeExists)
		second := restarted.join(t, "n1", AgentOptions{Mode: registry.Supersede})
		<-first.Done()
		require.ErrorIs(t, first.Err(), ErrSuperseded)
		assert.ErrorIs(t, over(t, tenure), ErrNodeOver)
		time.Sleep(time.Hour)
		assert.Equal(t, second.Keeper().Node(), old.node(t, "n1").Ref)
		assert.NoError(t, second.Err())
		require.NoError(t, first.Leave(t.Context()), "and cannot end its successor's registration")
		assert.Equal(t, registry.NodeActive, old.node(t, "n1").Status)
	})
}

// losesFirst takes the answer of the first registration away.
func losesFirst(m *machine) {
	lost := true
	m.set(nil, func(op string) error {
		if op == "RegisterNode" && lost {
			lost = false
			return &registry.AmbiguousError{MayStillApply: true, Cause: registry.ErrUnavailable}
		}
		return nil
	})
}

// A registration whose answer was lost is told again to the next attempt
// (contract, section 3, RegisterNode).
func TestAmbiguousRegistration(t *testing.T) {
	for _, mode := range []registry.RegisterMode{registry.IfAbsent, registry.Supersede} {
		synctest.Test(t, func(t *testing.T) {
			m := newWorld(t).machine("m", 0)
			losesFirst(m)
			a := m.join(t, "n1", AgentOptions{Mode: mode})
			assert.EqualValues(t, 1, a.Keeper().Node().Epoch)
			assert.Equal(t, a.Keeper().Node(), m.node(t, "n1").Ref)
		})
	}
}

// A refusal that was lost is no reason to supersede the live process that was the
// reason for it.
func TestLostRefusalSupersedesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alive, late := w.machine("alive", 0), w.machine("late", 0)
		first := alive.join(t, "n1", AgentOptions{})
		tenure := acquire(t, first.Keeper())
		losesFirst(late)
		_, err := Join(t.Context(), late, testCfg, "n1", AgentOptions{})
		require.ErrorIs(t, err, registry.ErrNodeExists)
		time.Sleep(time.Hour)
		assert.NoError(t, first.Err())
		assert.NoError(t, tenure.Check())
	})
}

// Hysteresis: one late round, a round after an outage, or a heartbeat in
// between clears the suspicion.
func TestSuspicions(t *testing.T) {
	const every = 5 * time.Second
	node := registry.Node{Ref: registry.NodeRef{ID: "n", Epoch: 1}, Status: registry.NodeActive}
	at := func(d time.Duration) moment { return moment{registry.Instant(d), d} }
	observe := func(s *suspicions, d time.Duration) int { return len(s.observe(testCfg, []registry.Node{node}, at(d))) }
	first := testCfg.FailureTimeout + 2*testCfg.MaxClockSkew

	s := &suspicions{every: every, threshold: 3}
	assert.Equal(t, []int{0, 0, 0, 1, 1}, []int{
		observe(s, first-1), observe(s, first+every-1), observe(s, first+2*every-1), observe(s, first+3*every-1), observe(s, first+4*every-1),
	}, "the third round in a row that finds it silent")

	s = &suspicions{every: every, threshold: 2}
	observe(s, first)
	s.clear() // the registry could not be read
	assert.Zero(t, observe(s, first+every))
	assert.Equal(t, 1, observe(s, first+2*every))
	assert.Zero(t, observe(s, first+5*every), "a late round begins anew")

	s = &suspicions{every: every, threshold: 2}
	observe(s, first)
	node.LastSeen = 1
	assert.Zero(t, observe(s, first+every), "it heartbeat")
}
