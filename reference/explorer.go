package reference

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kelpie-registry/registry/op"
)

// Labels lists every instance of every action that takes part, in the order of
// Next in Registry.tla. Those of writes depend on what is in flight in s.
func (y *System) Labels(s State) []Label {
	out := slices.Clip(y.labels)
	y.writeLabels(&s, func(l Label) { out = append(out, l) })
	return out
}

func (y *System) writeLabels(s *State, add func(Label)) {
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
func (y *System) Next(s State) (out []Transition) {
	for _, l := range y.Labels(s) {
		if t, g := y.Apply(s, l); g == Enabled {
			out = append(out, Transition{l, t})
		}
	}
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
//
// All cores search, and the result is that of one: states are taken in the order
// in which they were found, a batch of them at a time. Cores work out the steps of
// a batch in pieces and only read the graph meanwhile; then one of them adds the
// pieces in the order of the batch. What a step is looked at for (its successor,
// the properties) depends on the step alone, so who looks at it, and when, makes no
// difference; and a state is new at its first step in that order, as it would be
// for a search that takes one step after the other.
//
// It panics when a state has a number that two bytes do not hold.
func (y *System) Explore(properties ...Property) (*Graph, *Violation) {
	g := newGraph(y)
	pieces := make([]piece, batch/pieceSize)
	for g.searched < g.Len() {
		end := min(g.Len(), g.searched+batch)
		inPieces(g.searched, end, func(i, from, to int) { pieces[i].search(g, from, to, properties) })
		for i := range pieces[:(end-g.searched+pieceSize-1)/pieceSize] {
			if v := g.add(&pieces[i]); v != nil {
				return g, v
			}
		}
	}
	return g, nil
}

const (
	batch     = 8192 // states: what lies between two additions
	pieceSize = 128  // states: small, so that cores are done at the same time
)

// inPieces calls do for each piece of the states from..end, on all cores.
func inPieces(from, end int, do func(i, from, to int)) {
	pieces := (end - from + pieceSize - 1) / pieceSize
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < pieces; i = int(next.Add(1)) - 1 {
			at := from + i*pieceSize
			do(i, at, min(end, at+pieceSize))
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), pieces) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// piece is what the search of some states found: all their steps, in order, up to
// one that violates a property. It is used again and again, with its room.
type piece struct {
	steps []foundStep
	ends  []int  // by state: where its steps end
	fresh []byte // packed, one after the other: the states that foundSteps with to 0 lead to

	violated string // by the last of steps; "" for nothing

	before, after State
	packed        []byte
	call          op.Call
}

// foundStep is a step to a state that the graph has, or to one that it did not have
// when the search of the batch began.
type foundStep struct {
	label uint32 // see Graph.label
	to    uint32 // the state's index and one; 0: it is the next one of piece.fresh
	hash  uint32 // of the state
}

// search works out the steps of the states from..to of g, which it only reads.
func (p *piece) search(g *Graph, from, to int, properties []Property) {
	p.steps, p.ends, p.fresh, p.violated = p.steps[:0], p.ends[:0], p.fresh[:0], ""
	for i := from; i < to && p.violated == ""; i++ {
		g.y.unpack(&p.before, g.packed(i))
		p.after.set(&p.before)
		for k := range g.y.labels {
			p.try(g, k, &g.y.labels[k], properties)
		}
		k := len(g.y.labels)
		g.y.writeLabels(&p.before, func(l Label) {
			p.try(g, k, &l, properties)
			k++
		})
		p.ends = append(p.ends, len(p.steps))
	}
}

// try takes the step of the k-th label in p.before, if it is enabled there. Between
// two calls p.after equals p.before.
func (p *piece) try(g *Graph, k int, l *Label, properties []Property) {
	if p.violated != "" || !g.y.possible(&p.before, l) || g.y.take(&p.after, l, &p.call) != Enabled {
		return
	}
	p.packed = g.y.pack(p.packed[:0], &p.after)
	s := foundStep{label: uint32(k), hash: hash(p.packed)}
	if s.to = g.index.find(s.hash, p.packed, g); s.to == 0 {
		p.fresh = append(p.fresh, p.packed...)
	}
	p.steps = append(p.steps, s)
	for i := range properties {
		if !properties[i].holds(g.y, &p.before, l, &p.after) {
			p.violated = properties[i].Name
			return
		}
	}
	p.after.set(&p.before)
}
