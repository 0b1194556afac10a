package reference

import (
	"fmt"
	"strings"

	"github.com/kelpie-registry/registry"
)

// Action names an action of Registry.tla.
type Action string

// The actions: of the world, of a node by itself, and the operations.
const (
	Tick    Action = "Tick"    // true time passes by one
	Drift   Action = "Drift"   // a clock steps to another reading within the bound
	Crash   Action = "Crash"   // a process ends
	Restart Action = "Restart" // it starts again, without an epoch

	Claim       Action = "Claim"
	ClaimRepeat Action = "ClaimRepeat" // the repetition of the claim that began the tenure
	Renew       Action = "Renew"       // of the lease in the node's hand
	Release     Action = "Release"     // of the lease in the node's hand; it stops serving first
	Transfer    Action = "Transfer"    // of it to the latest incarnation of another; it stops serving first
	Lookup      Action = "Lookup"      // a read by a node that finds itself named, and learns of its lease

	Purge Action = "Purge" // an actor's record is forgotten, by the node's clock, and a floor stands for it

	RegisterNode   Action = "RegisterNode"
	Heartbeat      Action = "Heartbeat"  // under the epoch that the process runs under
	MarkFailed     Action = "MarkFailed" // of the latest incarnation of another, or its own, by the node's clock
	DeregisterNode Action = "DeregisterNode"

	BeginWrite  Action = "BeginWrite"  // a node checks its belief before a guarded write
	LandWrite   Action = "LandWrite"   // the write arrives and is accepted
	RefuseWrite Action = "RefuseWrite" // it arrives and is refused
)

// Label is one instance of an action: its name and its arguments. Nodes and
// actors go by their position in the bounds. Arguments that the action does not
// have are zero.
type Label struct {
	Action  Action
	Node    int                   // who acts
	Actor   int                   // Claim to Purge, and the writes
	To      int                   // Transfer, MarkFailed: the other node
	ClaimID int                   // Claim, ClaimRepeat
	Heard   bool                  // Claim, Renew, Transfer, RegisterNode: the answer arrives
	Mode    registry.RegisterMode // RegisterNode
	Reading registry.Instant      // Drift: what the clock reads from now on
	Token   registry.Token        // LandWrite, RefuseWrite; Purge: of the floor
	Version registry.Version      // Purge: of the floor
	Num     int                   // LandWrite, RefuseWrite: the tenure that the write was begun in
}

// write returns the write in flight that a LandWrite or RefuseWrite is about.
func (l Label) write() Write { return Write{l.Actor, l.Token, l.Num} }

// Text shows a label as in the specification: "Claim(n1, a, 1, TRUE)".
func (y *System) Text(l Label) string {
	node, actor := y.bounds.Nodes[l.Node], y.bounds.Actors[l.Actor]
	heard := strings.ToUpper(fmt.Sprint(l.Heard))
	switch l.Action {
	case Tick:
		return "Tick()"
	case Drift:
		return fmt.Sprintf("Drift(%s, %d)", node, l.Reading)
	case Claim:
		return fmt.Sprintf("Claim(%s, %s, %d, %s)", node, actor, l.ClaimID, heard)
	case ClaimRepeat:
		return fmt.Sprintf("ClaimRepeat(%s, %s, %d)", node, actor, l.ClaimID)
	case Renew:
		return fmt.Sprintf("Renew(%s, %s, %s)", node, actor, heard)
	case Transfer:
		return fmt.Sprintf("Transfer(%s, %s, %s, %s)", node, actor, y.bounds.Nodes[l.To], heard)
	case Release, Lookup, BeginWrite:
		return fmt.Sprintf("%s(%s, %s)", l.Action, node, actor)
	case Purge:
		return fmt.Sprintf("Purge(%s, %s, %d, %d)", node, actor, l.Token, l.Version)
	case RegisterNode:
		return fmt.Sprintf("RegisterNode(%s, %v, %s)", node, l.Mode, heard)
	case MarkFailed:
		return fmt.Sprintf("MarkFailed(%s, %s)", node, y.bounds.Nodes[l.To])
	case LandWrite, RefuseWrite:
		return fmt.Sprintf("%s(%s, %d, %d)", l.Action, actor, l.Token, l.Num)
	}
	return fmt.Sprintf("%s(%s)", l.Action, node)
}

var bools = []bool{false, true}

func (y *System) worldLabels(add func(Label)) {
	add(Label{Action: Tick})
	for n := range y.bounds.Nodes {
		for c := -y.bounds.Eps; c <= y.bounds.Eps; c++ {
			add(Label{Action: Drift, Node: n, Reading: registry.Instant(c)})
		}
		add(Label{Action: Crash, Node: n})
		add(Label{Action: Restart, Node: n})
	}
}

func (y *System) actorLabels(add func(Label)) {
	for n := range y.bounds.Nodes {
		for a := range y.bounds.Actors {
			for _, k := range y.bounds.ClaimIDs {
				for _, heard := range bools {
					add(Label{Action: Claim, Node: n, Actor: a, ClaimID: k, Heard: heard})
				}
				add(Label{Action: ClaimRepeat, Node: n, Actor: a, ClaimID: k})
			}
			for _, heard := range bools {
				add(Label{Action: Renew, Node: n, Actor: a, Heard: heard})
				for to := range y.bounds.Nodes {
					add(Label{Action: Transfer, Node: n, Actor: a, To: to, Heard: heard})
				}
			}
			add(Label{Action: Release, Node: n, Actor: a})
			add(Label{Action: Lookup, Node: n, Actor: a})
			for t := range y.bounds.MaxToken + 1 {
				for v := range y.bounds.MaxVersion + 1 {
					add(Label{Action: Purge, Node: n, Actor: a, Token: t, Version: v})
				}
			}
		}
	}
}

func (y *System) memberLabels(add func(Label)) {
	for n := range y.bounds.Nodes {
		for _, mode := range []registry.RegisterMode{registry.IfAbsent, registry.Supersede} {
			for _, heard := range bools {
				add(Label{Action: RegisterNode, Node: n, Mode: mode, Heard: heard})
			}
		}
		add(Label{Action: Heartbeat, Node: n})
		for to := range y.bounds.Nodes {
			add(Label{Action: MarkFailed, Node: n, To: to})
		}
		add(Label{Action: DeregisterNode, Node: n})
	}
}
