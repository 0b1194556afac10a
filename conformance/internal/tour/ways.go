package tour

import "slices"

// ways are the shortest ways to states, in calls.
type ways struct {
	at    []int32 // by state: how far it is
	via   []int32 // by state: the edge by which it is reached, -1 where a search begins
	found []int32 // by state: the search that found it last
	dead  []bool  // by state: nothing that is wanted can be reached from it
	order []int32 // what the last search looked at, nearest first
	round int32

	now, next []int32 // states to be looked at, and those that are a call further
}

func newWays(states int) *ways {
	return &ways{at: make([]int32, states), via: make([]int32, states), found: make([]int32, states), dead: make([]bool, states)}
}

// search looks for the nearest state that is wanted, -1 when there is none.
func (w *ways) search(p *planner, from []int32, wanted func(state int32) bool) int32 {
	w.round++
	w.order, w.now, w.next = w.order[:0], w.now[:0], w.next[:0]
	for _, s := range from {
		w.reach(s, -1, 0, &w.now)
	}
	for at := int32(0); len(w.now) > 0; at++ {
		for i := 0; i < len(w.now); i++ {
			s := w.now[i]
			if w.at[s] < at { // it was looked at before
				continue
			}
			w.order = append(w.order, s)
			if wanted(s) {
				return s
			}
			for _, e := range p.out[s] {
				to := int32(p.graph.Edges[e].To)
				if p.view.costs[e] == 0 {
					w.reach(to, e, at, &w.now)
				} else {
					w.reach(to, e, at+1, &w.next)
				}
			}
		}
		w.now, w.next = w.next, w.now[:0]
	}
	return -1
}

// reach notes a way to a state, to be looked at in its turn, unless a way as short
// is known.
func (w *ways) reach(s, via, at int32, turn *[]int32) {
	if w.dead[s] || w.found[s] == w.round && w.at[s] <= at {
		return
	}
	w.found[s], w.at[s], w.via[s] = w.round, at, via
	*turn = append(*turn, s)
}

// path returns the edges of the way to a state.
func (w *ways) path(g *Graph, s int32) (path []int32) {
	for e := w.via[s]; e >= 0; e = w.via[g.Edges[e].From] {
		path = append(path, e)
	}
	slices.Reverse(path)
	return path
}

// left returns an edge of a state that no walk has taken, -1 when there is none. The
// silent ones are taken on arrival.
func (p *planner) left(s int32) int32 {
	for _, e := range p.out[s] {
		if !p.taken[e] && p.view.edges[e] != silent {
			return e
		}
	}
	return -1
}

// nearest returns the shortest way from where the walk stands that ends with an edge
// that no walk has taken, nil when there is none. Edges only ever become taken, so
// that what a search without result has seen need not be searched again.
func (p *planner) nearest() []int32 {
	s := p.ways.search(p, p.stand, func(s int32) bool { return p.left(s) >= 0 })
	if s < 0 {
		for _, s := range p.ways.order {
			p.ways.dead[s] = true
		}
		return nil
	}
	return append(p.ways.path(p.graph, s), p.left(s))
}

// nearestFromStart is nearest from the initial state. The ways from there stay the
// same, and what has nothing left stays so.
func (p *planner) nearestFromStart() []int32 {
	for ; p.front < len(p.start.order); p.front++ {
		if s := p.start.order[p.front]; p.left(s) >= 0 {
			return append(p.start.path(p.graph, s), p.left(s))
		}
	}
	return nil
}
