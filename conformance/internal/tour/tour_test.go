package tour_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/tour"
	"github.com/kelpie-registry/registry/reference"
)

// models are small ones that have every action between them.
var models = map[string]reference.Bounds{
	"tenures": {Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 1, FailureTimeout: 1, Grace: 1,
		MaxToken: 2, MaxEpoch: 1, MaxVersion: 1, Joined: []registry.NodeID{"n1", "n2"},
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.ClaimRepeat, reference.Renew, reference.Release, reference.Transfer, reference.Lookup}},
	"clocks": {Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 2, Eps: 1, FailureTimeout: 3,
		MaxToken: 1, MaxEpoch: 1, MaxVersion: 1, Joined: []registry.NodeID{"n1", "n2"},
		Acts: []reference.Action{reference.Tick, reference.Drift, reference.Claim, reference.Renew}},
	"writes": {Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 1, FailureTimeout: 1,
		MaxToken: 2, MaxEpoch: 1, MaxVersion: 1, MaxWrites: 1, Joined: []registry.NodeID{"n1", "n2"},
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.Release, reference.BeginWrite, reference.LandWrite, reference.RefuseWrite}},
	"members": {Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 1, FailureTimeout: 1,
		MaxToken: 1, MaxEpoch: 1, MaxVersion: 1, Joined: []registry.NodeID{"n2"},
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.RegisterNode, reference.Heartbeat, reference.MarkFailed, reference.DeregisterNode}},
	"crashes": {Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 1, FailureTimeout: 1,
		MaxToken: 1, MaxEpoch: 2, MaxVersion: 1, Joined: []registry.NodeID{"n1", "n2"},
		Acts: []reference.Action{reference.Claim, reference.RegisterNode, reference.Crash, reference.Restart}},
}

// labels are tried where they are refused.
func labels(b reference.Bounds) (list []reference.Label) {
	for n := range b.Nodes {
		for _, a := range []reference.Action{reference.Claim, reference.Renew, reference.Release} {
			list = append(list, reference.Label{Action: a, Node: n, ClaimID: 1})
		}
		list = append(list, reference.Label{Action: reference.Heartbeat, Node: n}, reference.Label{Action: reference.MarkFailed, Node: n, To: 1 - n})
	}
	return list
}

// visible is what a registry can know of a state.
func visible(s reference.State) string { return fmt.Sprint(s.Clock, s.Records, s.Members) }

// question is what a step asks, "" when nobody but the node notices it.
func question(y *reference.System, s reference.State, l reference.Label) string {
	switch l.Action {
	case reference.BeginWrite, reference.Restart:
		return ""
	case reference.Tick, reference.Drift, reference.Crash:
		return y.Text(l)
	}
	c := y.Call(s, l)
	return fmt.Sprintf("%d %+v", l.Node, c)
}

// follower walks along a plan by the definition: it keeps every state to which the
// calls so far can have led.
type follower struct {
	t     *testing.T
	p     *tour.Plan
	out   map[int][]int
	taken map[int]bool
	stand map[int]bool
}

func (f *follower) settle() {
	for more := true; more; {
		more = false
		for s := range f.stand {
			for _, i := range f.out[s] {
				if e := f.p.Graph.Edges[i]; question(f.p.System, f.p.Graph.States[s], e.Label) == "" {
					f.taken[i] = true
					more = more || !f.stand[e.To]
					f.stand[e.To] = true
				}
			}
		}
	}
	seen := map[string]bool{}
	for s := range f.stand {
		seen[visible(f.p.Graph.States[s])] = true
	}
	require.Len(f.t, seen, 1, "the states in which a walk stands are the same to the registry")
}

func (f *follower) step(s tour.Step) {
	require.True(f.t, f.stand[s.From], "the walk stands where the step is taken")
	_, g := f.p.System.Apply(f.p.Graph.States[s.From], s.Label)
	require.Equal(f.t, s.Guard, g)
	if g != reference.Enabled {
		return // a refusal changes nothing
	}
	what, next := question(f.p.System, f.p.Graph.States[s.From], s.Label), map[int]bool{}
	for from := range f.stand {
		for _, i := range f.out[from] {
			if e := f.p.Graph.Edges[i]; question(f.p.System, f.p.Graph.States[from], e.Label) == what {
				f.taken[i], next[e.To] = true, true
			}
		}
	}
	f.stand = next
	f.settle()
}

func TestEveryEdgeIsOnAPathWhoseCallsWereMade(t *testing.T) {
	for name, b := range models {
		t.Run(name, func(t *testing.T) {
			p := tour.New(reference.NewSystem(b), labels(b))
			f := &follower{t: t, p: p, out: map[int][]int{}, taken: map[int]bool{}}
			for i, e := range p.Graph.Edges {
				f.out[e.From] = append(f.out[e.From], i)
			}
			steps := 0
			for _, walk := range p.Walks {
				f.stand = map[int]bool{0: true}
				f.settle()
				for _, s := range walk {
					f.step(s)
				}
				steps += len(walk)
			}
			assert.Len(t, f.taken, len(p.Graph.Edges))
			t.Logf("%d steps in %d walks along %d edges", steps, len(p.Walks), len(p.Graph.Edges))
		})
	}
}

func TestEveryRefusalIsTriedInEveryState(t *testing.T) {
	for name, b := range models {
		t.Run(name, func(t *testing.T) {
			y, tried, claims := reference.NewSystem(b), map[string]bool{}, map[int]bool{}
			p := tour.New(y, labels(b))
			for _, walk := range p.Walks {
				for _, s := range walk {
					if s.Guard != reference.Enabled {
						key := visible(p.Graph.States[s.From]) + question(y, p.Graph.States[s.From], s.Label)
						require.Equal(t, !tried[key], s.New)
						require.True(t, s.New || s.Label.Action == reference.Claim, "once where it is the same to the registry: %s", key)
						tried[key] = true
						claims[s.From] = claims[s.From] || s.Label.Action == reference.Claim
					}
				}
			}
			refused := 0
			for i, s := range p.Graph.States {
				for _, l := range labels(b) {
					if _, g := y.Apply(s, l); g.Refusal() != nil {
						refused++
						require.True(t, claims[i] || l.Action != reference.Claim, "a claim in each of them")
						require.True(t, tried[visible(s)+question(y, s, l)], "%s in %s", y.Text(l), visible(s))
					}
				}
			}
			assert.Greater(t, refused, len(tried))
			assert.NotEmpty(t, tried)
		})
	}
}

// A step is new where it is the first that asks this of the registry, as it is then.
func TestNew(t *testing.T) {
	for name, b := range models {
		t.Run(name, func(t *testing.T) {
			y, asked := reference.NewSystem(b), map[string]bool{}
			p := tour.New(y, labels(b))
			for _, walk := range p.Walks {
				for _, s := range walk {
					key := visible(p.Graph.States[s.From]) + question(y, p.Graph.States[s.From], s.Label)
					require.Equal(t, !asked[key], s.New)
					asked[key] = true
				}
			}
		})
	}
}

func TestThePlanIsTheSameEveryTime(t *testing.T) {
	b := models["members"]
	assert.Equal(t, tour.New(reference.NewSystem(b), labels(b)).Walks, tour.New(reference.NewSystem(b), labels(b)).Walks)
}
