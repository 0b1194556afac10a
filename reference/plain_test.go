package reference

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plainSearch is the search that [System.Explore] must not differ from: one step
// after the other, states as they are. That their keys tell them apart is what the
// comparison with TLC's states shows.
func plainSearch(y *System, properties ...Property) (states []State, edges []Edge, v *Violation) {
	states = []State{y.Init()}
	found := []Edge{{}}
	index := map[string]int{y.key(states[0]): 0}
	for i := 0; i < len(states); i++ {
		for _, t := range y.Next(states[i]) {
			to, seen := index[y.key(t.State)]
			if !seen {
				to = len(states)
			}
			e := Edge{From: i, Label: t.Label, To: to}
			for _, p := range properties {
				if !p.holds(y, &states[i], &t.Label, &t.State) {
					trace := []Edge{e}
					for at := i; at > 0; at = found[at].From {
						trace = append(trace, found[at])
					}
					slices.Reverse(trace)
					return states, edges, &Violation{Property: p.Name, Trace: trace}
				}
			}
			if !seen {
				index[y.key(t.State)] = to
				states, found = append(states, t.State), append(found, e)
			}
			edges = append(edges, e)
		}
	}
	return states, edges, nil
}

// same demands that two states are equal, where an empty list is like none.
func same(t *testing.T, want, got State) {
	if len(want.Writes)+len(got.Writes) == 0 {
		want.Writes, got.Writes = nil, nil
	}
	require.True(t, reflect.DeepEqual(want, got), "want %+v\ngot  %+v", want, got)
}

// On one core and on several the explorer finds what the plain search finds, in the
// same order: states, steps, the first violation and its trace.
func TestExploreEqualsPlainSearch(t *testing.T) {
	searched := func(t *testing.T, y *System) *Violation {
		states, edges, violation := plainSearch(y, Properties()...)
		g, v := y.Explore(Properties()...)
		require.Equal(t, violation, v)
		require.Equal(t, edges, slices.Collect(g.Edges()))
		for i, s := range states {
			same(t, s, g.State(i))
		}
		if v == nil {
			require.Equal(t, len(states), g.Len())
		}
		return v
	}
	for _, cores := range []int{1, 4} {
		t.Run(fmt.Sprint(cores), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			for _, name := range []string{"Three", "Purge", "Write"} {
				_, y := model(t, name)
				assert.Nil(t, searched(t, y), name)
			}
			for _, b := range breakages {
				if b.property == "" {
					continue
				}
				_, y := model(t, b.model)
				y.step = b.step
				assert.NotNil(t, searched(t, y), b.name)
			}
		})
	}
}

// A graph's states come back as they were packed, and none is taken for another:
// also where all have one hash.
func TestStatesOfOneHashAreToldApart(t *testing.T) {
	_, y := model(t, "Three")
	g, _ := y.Explore()
	one := newGraph(y)
	for i := range g.Len() {
		assert.EqualValues(t, i+1, one.number(hash(g.packed(0)), g.packed(i), way{}))
		s := g.State(i)
		require.Equal(t, g.packed(i), y.pack(nil, &s))
	}
	assert.Equal(t, g.Len(), one.Len())
}

// A number that the packed form cannot hold is no other number.
func TestPackRefusesWhatItCannotHold(t *testing.T) {
	_, y := model(t, "Pair")
	s := y.Init()
	s.Clock[0] = 1 << 15
	assert.PanicsWithValue(t, "reference: 32768 is too large for an exploration", func() { y.pack(nil, &s) })
}
