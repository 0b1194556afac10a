package reference

import (
	"slices"

	"github.com/kelpie-registry/registry"
)

// attempt is one instance of an action in a state: what it leads to, or the
// guard that forbids it.
type attempt struct {
	step  Step
	state State
	guard Guard
}

// attempts lists every instance of every action that takes part, in the order
// of Next in Registry.tla.
func (y *System) attempts(s State) []attempt {
	var out []attempt
	try := func(t State, g Guard, action string, args ...any) {
		if g != impossible {
			out = append(out, attempt{stepOf(action, args...), t, g})
		}
	}
	y.worldAttempts(s, try)
	y.actorAttempts(s, try)
	y.memberAttempts(s, try)
	y.writeAttempts(s, try)
	return out
}

type tryFunc func(t State, g Guard, action string, args ...any)

var bools = []bool{false, true}

func (y *System) worldAttempts(s State, try tryFunc) {
	if y.acts["Tick"] {
		t, g := y.Tick(s)
		try(t, g, "Tick")
	}
	for n, id := range y.bounds.Nodes {
		if y.acts["Drift"] {
			for c := -y.bounds.Eps; c <= y.bounds.Eps; c++ {
				t, g := y.Drift(s, n, registry.Instant(c))
				try(t, g, "Drift", id, c)
			}
		}
		if y.acts["Crash"] {
			t, g := y.Crash(s, n)
			try(t, g, "Crash", id)
		}
		if y.acts["Restart"] {
			t, g := y.Restart(s, n)
			try(t, g, "Restart", id)
		}
	}
}

func (y *System) actorAttempts(s State, try tryFunc) {
	for n, id := range y.bounds.Nodes {
		for a, name := range y.bounds.Actors {
			y.claimAttempts(s, n, a, try)
			for _, heard := range bools {
				if y.acts["Renew"] {
					t, g := y.Renew(s, n, a, heard)
					try(t, g, "Renew", id, name, heard)
				}
				for m, to := range y.bounds.Nodes {
					if y.acts["Transfer"] {
						t, g := y.Transfer(s, n, a, m, heard)
						try(t, g, "Transfer", id, name, to, heard)
					}
				}
			}
			if y.acts["Release"] {
				t, g := y.Release(s, n, a)
				try(t, g, "Release", id, name)
			}
			if y.acts["Lookup"] {
				t, g := y.Lookup(s, n, a)
				try(t, g, "Lookup", id, name)
			}
		}
	}
}

func (y *System) claimAttempts(s State, n, a int, try tryFunc) {
	id, name := y.bounds.Nodes[n], y.bounds.Actors[a]
	for _, k := range y.bounds.ClaimIDs {
		for _, heard := range bools {
			if y.acts["Claim"] {
				t, g := y.Claim(s, n, a, k, heard)
				try(t, g, "Claim", id, name, k, heard)
			}
		}
		if y.acts["ClaimRepeat"] {
			t, g := y.ClaimRepeat(s, n, a, k)
			try(t, g, "ClaimRepeat", id, name, k)
		}
	}
}

func (y *System) memberAttempts(s State, try tryFunc) {
	for n, id := range y.bounds.Nodes {
		for _, mode := range []registry.RegisterMode{registry.IfAbsent, registry.Supersede} {
			for _, heard := range bools {
				if y.acts["RegisterNode"] {
					t, g := y.RegisterNode(s, n, mode, heard)
					try(t, g, "RegisterNode", id, mode, heard)
				}
			}
		}
		if y.acts["Heartbeat"] {
			t, g := y.Heartbeat(s, n)
			try(t, g, "Heartbeat", id)
		}
		for m, of := range y.bounds.Nodes {
			if y.acts["MarkFailed"] {
				t, g := y.MarkFailed(s, n, m)
				try(t, g, "MarkFailed", id, of)
			}
		}
		if y.acts["DeregisterNode"] {
			t, g := y.DeregisterNode(s, n)
			try(t, g, "DeregisterNode", id)
		}
	}
}

func (y *System) writeAttempts(s State, try tryFunc) {
	for n, id := range y.bounds.Nodes {
		for a, name := range y.bounds.Actors {
			if y.acts["BeginWrite"] {
				t, g := y.BeginWrite(s, n, a)
				try(t, g, "BeginWrite", id, name)
			}
		}
	}
	for _, w := range s.Writes {
		name := y.bounds.Actors[w.Actor]
		if y.acts["LandWrite"] {
			t, g := y.LandWrite(s, w)
			try(t, g, "LandWrite", name, w.Token, w.Num)
		}
		if y.acts["RefuseWrite"] {
			t, g := y.RefuseWrite(s, w)
			try(t, g, "RefuseWrite", name, w.Token, w.Num)
		}
	}
}

// Transition is an enabled step and the state that it leads to.
type Transition struct {
	Step  Step
	State State
}

// Next returns the steps that are enabled in s, in a fixed order.
func (y *System) Next(s State) []Transition {
	var out []Transition
	for _, a := range y.attempts(s) {
		if a.guard == Enabled {
			out = append(out, Transition{a.step, a.state})
		}
	}
	return out
}

// key returns the state as a map key, two bytes a number: bounded models stay
// far within them.
func (s State) key() string {
	b := make([]byte, 0, 128)
	num := func(n int64) { b = append(b, byte(n), byte(n>>8)) }
	for n := range s.Clock {
		m := s.Members[n]
		num(int64(s.Clock[n]))
		num(int64(s.Proc[n]))
		num(int64(m.Ref.Epoch))
		num(int64(m.Status))
		num(int64(m.LastSeen))
	}
	for a, r := range s.Records {
		b = append(append(b, r.Holder.ID...), 0)
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
	return string(b)
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
	From int
	Step Step
	To   int
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
	g := &Graph{States: []State{init}, found: []Edge{{}}, index: map[string]int{init.key(): 0}}
	depth := []int{1}
	for i := 0; i < len(g.States); i++ {
		g.Depth = max(g.Depth, depth[i])
		for _, t := range y.Next(g.States[i]) {
			key := t.State.key()
			j, seen := g.index[key]
			if !seen {
				j = len(g.States)
			}
			e := Edge{From: i, Step: t.Step, To: j}
			for _, p := range properties {
				if !p.holds(y, g.States[i], t) {
					return g, &Violation{Property: p.Name, Trace: append(g.Trace(i), e)}
				}
			}
			if !seen {
				g.index[key] = j
				g.States = append(g.States, t.State)
				g.found = append(g.found, e)
				depth = append(depth, depth[i]+1)
			}
			g.Edges = append(g.Edges, e)
		}
	}
	return g, nil
}
