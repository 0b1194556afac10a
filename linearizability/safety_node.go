package linearizability

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// nodeSighting is an answer that showed a node's registration.
type nodeSighting struct {
	op   *history.Op
	node registry.Node
}

// nodeView is what a history says of one node.
type nodeView struct {
	subject   string
	events    []*event
	sightings []nodeSighting // by call
}

func nodeViews(h *history.History, only *subjects) []*nodeView {
	views := map[registry.NodeID]*nodeView{}
	var order []*nodeView
	for o := range observe(h) {
		if o.actor != nil || !only.has(&o) {
			continue
		}
		v := views[*o.standOf]
		if v == nil {
			v = &nodeView{subject: "node " + string(*o.standOf)}
			views[*o.standOf] = v
			order = append(order, v)
		}
		e := o.event
		v.events = append(v.events, &e)
		if n, ok := e.showsNode(); ok {
			v.sightings = append(v.sightings, nodeSighting{e.op, n})
		}
	}
	for _, v := range order {
		slices.SortStableFunc(v.sightings, func(a, b nodeSighting) int { return cmp.Compare(a.op.Invoked, b.op.Invoked) })
	}
	return order
}

// showsNode returns the registration that an answer showed, right after the event.
func (e *event) showsNode() (registry.Node, bool) {
	if n, ok := e.readsNode(); ok {
		return n, true
	}
	if e.role != asked {
		return registry.Node{}, false
	}
	n := e.op.Result.Node
	switch {
	case e.op.Result.Outcome == op.OK && e.op.Call.Kind == op.RegisterNode:
		return n, true
	case e.op.Result.Outcome == op.Refused:
		return n, !n.Ref.IsZero()
	}
	return registry.Node{}, false
}

func (s *scan) node(v *nodeView) {
	s.epochsOnce(v)
	s.oneInfoPerEpoch(v)
	s.membersForward(v)
}

// epochsOnce: each registration has an epoch of its own, unless it repeats one
// under its instance.
func (s *scan) epochsOnce(v *nodeView) {
	registered := map[registry.Epoch]*history.Op{}
	for _, e := range v.events {
		if e.role != asked || e.op.Call.Kind != op.RegisterNode || e.op.Result.Outcome != op.OK {
			continue
		}
		epoch := e.op.Result.Node.Ref.Epoch
		if o := registered[epoch]; o != nil && (e.op.Call.Info.Instance.IsZero() || e.op.Call.Info.Instance != o.Call.Info.Instance) {
			s.report(e.op, contract.EpochFresh, "Epoch", v.subject,
				fmt.Sprintf("%s and %s were both given epoch %d", s.d().asked(o), s.d().asked(e.op), epoch),
				"an epoch of its own for each registration", o)
			return
		}
		registered[epoch] = e.op
	}
}

// oneInfoPerEpoch: only a registration sets a node's info.
func (s *scan) oneInfoPerEpoch(v *nodeView) {
	first := map[registry.Epoch]nodeSighting{}
	for _, g := range v.sightings {
		f, ok := first[g.node.Ref.Epoch]
		if !ok {
			first[g.node.Ref.Epoch] = g
			continue
		}
		if f.node.Info != g.node.Info {
			s.report(g.op, contract.Linearizability, "Info", v.subject,
				fmt.Sprintf("%v with info %q, and with info %q", g.node.Ref, f.node.Info.Address, g.node.Info.Address),
				"one info for each incarnation", f.op)
			return
		}
	}
}

// membersForward: epochs only grow, and within one a node goes from active to
// failed to left, never back.
func (s *scan) membersForward(v *nodeView) {
	byReturn := slices.Clone(v.sightings)
	slices.SortStableFunc(byReturn, func(a, b nodeSighting) int { return cmp.Compare(a.op.Returned, b.op.Returned) })
	progress := func(a, b registry.Node) int {
		return cmp.Or(cmp.Compare(a.Ref.Epoch, b.Ref.Epoch), cmp.Compare(a.Status, b.Status))
	}
	var newest nodeSighting
	i := 0
	for _, g := range v.sightings {
		for ; i < len(byReturn) && byReturn[i].op.Returned < g.op.Invoked; i++ {
			if newest.op == nil || progress(byReturn[i].node, newest.node) > 0 {
				newest = byReturn[i]
			}
		}
		if newest.op == nil || progress(g.node, newest.node) >= 0 {
			continue
		}
		s.report(g.op, contract.Linearizability, "Status", v.subject,
			fmt.Sprintf("%s; %s had been answered with %s before", s.d().op(g.op), s.d().asked(newest.op), s.d().Node(newest.node)),
			"that registration or a later one", newest.op)
		return
	}
}
