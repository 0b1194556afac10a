// Package tour plans walks that cover a state graph of the specification with few
// calls of the registry.
//
// A state of the graph says more than a registry knows: what is in the nodes' hands,
// which answers arrived, which writes are under way. Two states that differ only in
// that are the same to the registry, and so are two steps that ask it the same there.
// A walk therefore stands in several states at once: in all to which the calls that
// it has made can have led. One call takes it along every step, of any of them, that
// makes that call. Each of these steps is the end of a path of the graph whose calls
// were exactly those that were made, so that each is carried out by it.
package tour

import (
	"slices"

	"github.com/kelpie-registry/registry/reference"
)

// Plan is a set of walks, each from the initial state, that together take every step
// of a graph and try every refusal in every state. Steps that nobody but a node
// itself notices are taken in passing and are in no walk.
type Plan struct {
	System *reference.System
	Graph  *Graph
	Walks  [][]Step
}

// Step is one step of a walk.
type Step struct {
	From  int             // a state of the graph in which the walk stands
	Label reference.Label // what is done in it
	Guard reference.Guard // what refuses it; [reference.Enabled] where it is a step of the graph
	New   bool            // the registry, as it is then, was not asked this in an earlier step
}

// Graph is a whole graph of the reference, unpacked.
type Graph struct {
	States []reference.State
	Edges  []reference.Edge // by From
}

func explore(y *reference.System) *Graph {
	g, _ := y.Explore()
	whole := &Graph{States: make([]reference.State, g.Len()), Edges: slices.Collect(g.Edges())}
	for i := range whole.States {
		whole.States[i] = g.State(i)
	}
	return whole
}

// New plans walks through the whole graph of y. asked are the labels that are tried
// wherever the specification refuses them.
func New(y *reference.System, asked []reference.Label) *Plan {
	p := newPlanner(y, asked)
	p.begin()
	for {
		path := p.nearest()
		if path == nil {
			if path = p.nearestFromStart(); path == nil {
				break
			}
			p.begin()
		}
		for _, e := range path {
			p.take(e)
		}
	}
	p.plan.Walks = append(p.plan.Walks, p.walk)
	return p.plan
}

// planner is a plan in the making. States and edges go by their index in the graph.
type planner struct {
	plan   *Plan
	graph  *Graph
	view   *view
	out    [][]int32         // by state: its edges
	taken  []bool            // by edge
	labels []reference.Label // that are tried where they are refused

	walk    []Step
	stand   []int32        // where the walk stands
	arrived []bool         // by state: some walk has stood in it
	asked   map[place]bool // steps that were taken
	tried   map[place]bool // refusals that were tried

	ways  *ways   // from where the walk stands
	start *ways   // from the initial state
	front int     // start.order before it has nothing left
	mark  []int32 // by state: the round that saw it last
	round int32
}

// place is a question in a state, both as the registry sees them.
type place struct{ state, question int32 }

func newPlanner(y *reference.System, asked []reference.Label) *planner {
	g := explore(y)
	n := len(g.States)
	p := &planner{
		plan: &Plan{System: y, Graph: g}, graph: g, view: newView(y, g), labels: asked,
		out: make([][]int32, n), taken: make([]bool, len(g.Edges)), arrived: make([]bool, n), mark: make([]int32, n),
		asked: map[place]bool{}, tried: map[place]bool{},
	}
	for i, e := range g.Edges {
		p.out[e.From] = append(p.out[e.From], int32(i))
	}
	p.ways, p.start = newWays(n), newWays(n)
	p.start.search(p, []int32{0}, func(int32) bool { return false })
	return p
}

// begin ends the present walk and begins another in the initial state.
func (p *planner) begin() {
	if len(p.walk) > 0 {
		p.plan.Walks = append(p.plan.Walks, p.walk)
		p.walk = nil
	}
	p.arrive([]int32{0})
}

// take goes along an edge of a state in which the walk stands, and along all that
// are the same to the registry.
func (p *planner) take(edge int32) {
	e, what := p.graph.Edges[edge], p.view.edges[edge]
	if what == silent { // taken on arrival
		return
	}
	p.walk = append(p.walk, Step{From: e.From, Label: e.Label, Guard: reference.Enabled, New: first(p.asked, place{p.view.states[e.From], what})})
	var next []int32
	p.round++
	for _, s := range p.stand {
		for _, i := range p.out[s] {
			if p.view.edges[i] != what {
				continue
			}
			p.taken[i] = true
			next = p.add(next, p.graph.Edges[i].To)
		}
	}
	p.arrive(next)
}

// arrive has the walk stand in these states, and in those to which steps lead that
// the registry does not see, and tries what is refused there for the first time.
func (p *planner) arrive(at []int32) {
	p.round++
	var all []int32
	for _, s := range at {
		all = p.add(all, int(s))
	}
	for i := 0; i < len(all); i++ {
		for _, e := range p.out[all[i]] {
			if p.view.edges[e] == silent {
				p.taken[e] = true
				all = p.add(all, p.graph.Edges[e].To)
			}
		}
	}
	slices.Sort(all)
	p.stand = all
	for _, s := range all {
		if !p.arrived[s] {
			p.arrived[s] = true
			p.refusals(s)
		}
	}
}

// refusals tries what is refused in a state and was not tried where it is the same to
// the registry. Claims are tried in every state: who waits for an actor is told what
// it may remember when it claims again, and the way there is another in each state.
func (p *planner) refusals(s int32) {
	y := p.plan.System
	for _, l := range p.labels {
		_, g := y.Apply(p.graph.States[s], l)
		if g.Refusal() == nil { // enabled, or not a question to the registry
			continue
		}
		if fresh := first(p.tried, place{p.view.states[s], p.view.question(int(s), l)}); fresh || l.Action == reference.Claim {
			p.walk = append(p.walk, Step{From: int(s), Label: l, Guard: g, New: fresh})
		}
	}
}

// add appends a state unless the present round has seen it.
func (p *planner) add(list []int32, state int) []int32 {
	if p.mark[state] == p.round {
		return list
	}
	p.mark[state] = p.round
	return append(list, int32(state))
}

func first(seen map[place]bool, p place) bool {
	if seen[p] {
		return false
	}
	seen[p] = true
	return true
}
