package reference

import (
	"slices"
)

// Labels lists every instance of every action that takes part, in the order of
// Next in Registry.tla. Those of writes depend on what is in flight in s.
func (y *System) Labels(s State) []Label {
	out := slices.Clip(y.labels)
	y.writeLabels(s, func(l Label) { out = append(out, l) })
	return out
}

func (y *System) writeLabels(s State, add func(Label)) {
	for _, w := range s.Writes {
		for _, a := range []Action{LandWrite, RefuseWrite} {
			if y.acts[a] {
				add(Label{Action: a, Actor: w.Actor, Token: w.Token, Num: w.Num})
			}
		}
	}
}

// everyLabel lists the labels that do not depend on a state.
func (y *System) everyLabel() (out []Label) {
	add := func(l Label) {
		if y.acts[l.Action] {
			out = append(out, l)
		}
	}
	y.worldLabels(add)
	y.actorLabels(add)
	y.memberLabels(add)
	for n := range y.bounds.Nodes {
		for a := range y.bounds.Actors {
			add(Label{Action: BeginWrite, Node: n, Actor: a})
		}
	}
	return out
}

// Transition is an enabled step and the state that it leads to.
type Transition struct {
	Label Label
	State State
}

// Next returns the steps that are enabled in s, in a fixed order.
func (y *System) Next(s State) []Transition { return y.next(nil, s) }

// next appends them to out.
func (y *System) next(out []Transition, s State) []Transition {
	add := func(l Label) {
		if t, g := y.Apply(s, l); g == Enabled {
			out = append(out, Transition{l, t})
		}
	}
	for _, l := range y.labels {
		add(l)
	}
	y.writeLabels(s, add)
	return out
}

// appendKey appends what tells the state from others, two bytes a number: bounded
// models stay far within them. Equal states have equal keys.
func (y *System) appendKey(b []byte, s *State) []byte {
	num := func(n int64) { b = append(b, byte(n), byte(n>>8)) }
	for n := range s.Clock {
		m := &s.Members[n]
		num(int64(s.Clock[n]))
		num(int64(s.Proc[n]))
		num(int64(m.Ref.Epoch))
		num(int64(m.Status))
		num(int64(m.LastSeen))
	}
	for a := range s.Records {
		r := &s.Records[a]
		b = append(b, byte(1+slices.Index(y.bounds.Nodes, r.Holder.ID)))
		num(int64(r.Holder.Epoch))
		num(int64(r.Token))
		num(int64(r.Version))
		num(int64(r.Expiry))
		num(int64(r.ClaimID[15]))
		num(int64(s.Tenures[a].Num))
		if s.Tenures[a].Open {
			num(1)
		} else {
			num(0)
		}
	}
	for _, h := range s.Leases {
		num(int64(h.Epoch))
		num(int64(h.Token))
		num(int64(h.Until))
	}
	for _, w := range s.Writes {
		num(int64(w.Actor))
		num(int64(w.Token))
		num(int64(w.Num))
	}
	return b
}

// Graph is what an exploration found: all reachable states, each with the way
// it was found first, and all steps between them.
type Graph struct {
	States []State // in breadth-first order; States[0] is the initial one
	Edges  []Edge  // by From, in the order of [System.Next]
	Depth  int     // states on the longest of the shortest paths

	found []Edge // by state: the step that found it first
	index map[string]int
}

// Edge is a step from one state of a [Graph] to another, by index.
type Edge struct {
	From  int
	Label Label
	To    int
}

// Trace returns the shortest sequence of steps that leads to state i.
func (g *Graph) Trace(i int) []Edge {
	var out []Edge
	for i > 0 {
		out = append(out, g.found[i])
		i = g.found[i].From
	}
	slices.Reverse(out)
	return out
}

// Violation is a property that does not hold, with a shortest way to see it.
type Violation struct {
	Property string
	Trace    []Edge // ends with the step that violates it, or with one to the state that does
}

// Explore searches all reachable states breadth first and stops at the first
// step or state that violates one of the properties. The violation is nil when
// there is none; the graph is then complete.
func (y *System) Explore(properties ...Property) (*Graph, *Violation) {
	init := y.Init()
	g := &Graph{States: []State{init}, found: []Edge{{}}, index: map[string]int{string(y.appendKey(nil, &init)): 0}}
	depth := []int{1}
	var steps []Transition
	var key []byte
	for i := 0; i < len(g.States); i++ {
		g.Depth = max(g.Depth, depth[i])
		steps = y.next(steps[:0], g.States[i])
		for _, t := range steps {
			key = y.appendKey(key[:0], &t.State)
			j, seen := g.index[string(key)]
			if !seen {
				j = len(g.States)
			}
			e := Edge{From: i, Label: t.Label, To: j}
			for _, p := range properties {
				if !p.holds(y, g.States[i], t) {
					return g, &Violation{Property: p.Name, Trace: append(g.Trace(i), e)}
				}
			}
			if !seen {
				g.index[string(key)] = j
				g.States = append(g.States, t.State)
				g.found = append(g.found, e)
				depth = append(depth, depth[i]+1)
			}
			g.Edges = append(g.Edges, e)
		}
	}
	return g, nil
}
