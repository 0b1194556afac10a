package tour

import (
	"encoding/binary"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// silent is the question of a step that nobody but a node itself notices.
const silent int32 = -1

// view is what a registry sees of a graph. What it cannot tell apart has one number.
type view struct {
	system    *reference.System
	graph     *Graph
	states    []int32 // by state
	edges     []int32 // by edge: its question, or silent
	costs     []int32 // by edge: calls
	questions map[question]int32
}

// question is what a step asks of the registry, or does before its eyes, and by
// whose handle.
type question struct {
	action   reference.Action // of the world; "" for a call
	by       int
	reading  registry.Instant
	kind     op.Kind
	actor    registry.ActorID
	node, to registry.NodeRef
	token    registry.Token
	claim    registry.ClaimID
	mode     registry.RegisterMode
}

func newView(y *reference.System, g *Graph) *view {
	v := &view{system: y, graph: g, questions: map[question]int32{},
		states: make([]int32, len(g.States)), edges: make([]int32, len(g.Edges)), costs: make([]int32, len(g.Edges))}
	known := map[string]int32{}
	var key []byte
	for i := range g.States {
		key = appendVisible(key[:0], &g.States[i])
		n, ok := known[string(key)]
		if !ok {
			n = int32(len(known))
			known[string(key)] = n
		}
		v.states[i] = n
	}
	for i, e := range g.Edges {
		v.edges[i] = v.question(e.From, e.Label)
		v.costs[i] = cost(e.Label.Action)
	}
	return v
}

// question returns the number of what l asks in a state.
func (v *view) question(state int, l reference.Label) int32 {
	var q question
	switch l.Action {
	case reference.BeginWrite, reference.Restart:
		return silent
	case reference.Tick, reference.Drift, reference.Crash:
		q = question{action: l.Action, by: l.Node, reading: l.Reading}
	default:
		c := v.system.Call(v.graph.States[state], l)
		q = question{by: l.Node, kind: c.Kind, actor: c.Actor, node: c.Node, to: c.To, token: c.Token, claim: c.ClaimID, mode: c.Mode}
	}
	n, ok := v.questions[q]
	if !ok {
		n = int32(len(v.questions))
		v.questions[q] = n
	}
	return n
}

// cost is how many calls a step takes. A crash opens a handle.
func cost(a reference.Action) int32 {
	switch a {
	case reference.Tick, reference.Drift, reference.BeginWrite, reference.Restart:
		return 0
	}
	return 1
}

// appendVisible appends what a registry can know of a state: its records, its
// registrations and what the clocks of its handles read.
func appendVisible(b []byte, s *reference.State) []byte {
	num := func(n int64) { b = binary.AppendVarint(b, n) }
	for i := range s.Clock {
		m := &s.Members[i]
		for _, n := range []int64{int64(s.Clock[i]), int64(m.Ref.Epoch), int64(m.Status), int64(m.LastSeen)} {
			num(n)
		}
	}
	for i := range s.Records {
		r := &s.Records[i]
		b = append(append(b, r.Holder.ID...), 0)
		for _, n := range []int64{int64(r.Holder.Epoch), int64(r.Token), int64(r.Version), int64(r.Expiry)} {
			num(n)
		}
		b = append(b, r.ClaimID[:]...)
	}
	return b
}
