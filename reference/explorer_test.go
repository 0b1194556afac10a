package reference

import (
	"slices"
	"testing"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// without returns the specification's step for a registry that forgot the
// dropped conjuncts of one operation and makes no other check behind them.
func without(k op.Kind, dropped ...Guard) StepFunc {
	return func(cfg registry.Config, v View, c *op.Call, now registry.Instant) (View, Decision) {
		after, d := Step(cfg, v, c, now)
		if c.Kind == k && slices.Contains(dropped, d.Guard) {
			return Effect(cfg, v, c, now), Decision{}
		}
		return after, d
	}
}

// hasty decides claims by a clock that is one tick ahead.
func hasty(cfg registry.Config, v View, c *op.Call, now registry.Instant) (View, Decision) {
	if c.Kind == op.Claim && Decide(cfg, v, c, now).Guard == Claimable && Decide(cfg, v, c, now+1).Guard == Enabled {
		return Effect(cfg, v, c, now), Decision{}
	}
	return Step(cfg, v, c, now)
}

// breakages are registries with one guard wrong, each with the property that
// the explorer must find violated and the shortest trace that shows it. ""
// where the guarantees do not see the guard: only the graphs do.
var breakages = []struct {
	name     string
	model    string
	step     StepFunc
	property string
	trace    []string
}{
	{
		name: "Claim without Claimable: steals (contract 3, Claim)", model: "Time",
		step:     without(op.Claim, Claimable),
		property: "GraceRespected",
		trace:    []string{"Claim(n1, a, 1, FALSE)", "Claim(n2, a, 1, FALSE)"},
	},
	{
		name: "Claim one tick before 2ε (contract 2, reclaimable)", model: "Time",
		step:     hasty,
		property: "GraceRespected",
		trace: []string{
			"Drift(n1, -1)", "Drift(n2, 1)", "Claim(n1, a, 1, FALSE)", "Tick()", "Tick()", "Tick()", "Tick()", "Claim(n2, a, 1, FALSE)",
		},
	},
	{
		name: "Renew without TokenCurrent and TenureHeld (contract 3, Renew)", model: "Time",
		step:     without(op.Renew, TokenCurrent, TenureHeld),
		property: "BelieverIsHolder",
		trace:    []string{"Claim(n1, a, 1, TRUE)", "Transfer(n1, a, n1, FALSE)", "Renew(n1, a, TRUE)"},
	},
	{
		name: "Renew without NotLapsed (contract 2, lapsed)", model: "Time",
		step: without(op.Renew, NotLapsed),
	},
	{
		name: "Release by anyone (contract 3, Release)", model: "Time",
		step:     without(op.Release, TokenCurrent, TenureHeld),
		property: "BelieverIsHolder",
		trace:    []string{"Claim(n1, a, 1, TRUE)", "Transfer(n1, a, n2, TRUE)", "Release(n1, a)"},
	},
	{
		name: "Transfer to a failed node (contract 3, Transfer)", model: "Handover",
		step: without(op.Transfer, NodeNotFailed),
	},
	{
		name: "Transfer to a node that left (contract 3, Transfer)", model: "Handover",
		step: without(op.Transfer, NodeKnown),
	},
	{
		name: "Claim by a failed node (contract 3, Claim)", model: "Member",
		step: without(op.Claim, NodeNotFailed),
	},
	{
		name: "Transfer in grace (contract 3, Transfer)", model: "Time",
		step: without(op.Transfer, StillLive),
	},
	{
		name: "Guarded write accepted after release (contract 4.4)", model: "Write",
		step:     without(op.Validate, TenureHeld),
		property: "NoStaleWrite",
		trace:    []string{"Claim(n1, a, 1, TRUE)", "BeginWrite(n1, a)", "Release(n1, a)", "LandWrite(a, 1, 1)"},
	},
	{
		name: "Guarded write without TokenCurrent (contract 4.4)", model: "Write",
		step:     without(op.Validate, TokenCurrent),
		property: "NoStaleWrite",
		trace:    []string{"Claim(n1, a, 1, TRUE)", "BeginWrite(n1, a)", "Transfer(n1, a, n1, FALSE)", "LandWrite(a, 1, 1)"},
	},
}

// A reference with one guard wrong is found out by its graph always, and by the
// guarantees with a shortest trace where the guard protects one.
func TestExplorerFindsBrokenGuards(t *testing.T) {
	for _, b := range breakages {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			g, y := model(t, b.model)
			y.step = b.step
			err := compareGraph(y, g)
			require.ErrorContains(t, err, "the reference differs from the specification")
			_, violation := y.Explore(Properties()...)
			if b.property == "" {
				assert.Nil(t, violation)
				return
			}
			require.NotNil(t, violation)
			var steps []string
			for _, e := range violation.Trace {
				steps = append(steps, y.Text(e.Label))
			}
			assert.Equal(t, b.property, violation.Property)
			assert.Equal(t, b.trace, steps)
		})
	}
}

// Contract 4.1 to 4.5 hold in every reachable state and step of a model larger
// than those whose graphs are kept.
func TestGuaranteesHold(t *testing.T) {
	for _, file := range []string{"MCRegistryTime.cfg", "MCRegistryWrite.cfg"} {
		y := loadSystem(t, file)
		g, violation := y.Explore(Properties()...)
		require.Nil(t, violation, file)
		t.Logf("%s: %d states, %d steps, depth %d", file, g.Len(), g.Steps(), g.Depth)
		assert.Greater(t, g.Len(), 5_000)
	}
}

// The trace to a state replays: each step is enabled where it is taken and
// leads where the trace says.
func TestTraceReplays(t *testing.T) {
	_, y := model(t, "Three")
	g, _ := y.Explore()
	last := g.Len() - 1
	trace := g.Trace(last)
	require.Len(t, trace, g.Depth-1, "the state found last is one of the farthest")
	s := y.Init()
	for _, e := range trace {
		found := false
		for _, n := range y.Next(s) {
			if n.Label == e.Label {
				s, found = n.State, true
				break
			}
		}
		require.True(t, found, y.Text(e.Label))
		require.Equal(t, y.key(g.State(e.To)), y.key(s))
	}
	assert.Equal(t, y.key(g.State(last)), y.key(s))
}

// A state that the reference would make differently is reported with both.
func TestDifferenceNamesStateActionAndBoth(t *testing.T) {
	g, y := model(t, "Pair")
	y.cfg.TTL++
	err := compareGraph(y, g)
	require.Error(t, err)
	for _, part := range []string{
		"in state", `record  = [a |-> [claim |-> 0, expiry |-> 0, holder |-> [epoch |-> 0, id |-> ""]`,
		"step          Claim(n1, a, 1, FALSE)", "Registry.tla  leads to", "reference     leads to",
	} {
		assert.Contains(t, err.Error(), part)
	}
	assert.NotContains(t, err.Error(), "%!")
}
