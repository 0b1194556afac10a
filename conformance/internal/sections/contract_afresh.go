package sections

import (
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
)

// What a handle has read before is of the past: others change it through handles of
// their own, which tell it nothing.

// afreshWorld has an actor that n1 holds, one that is free, and a third node.
type afreshWorld struct {
	*lockstep.Run
	n1, n2, third *lockstep.Node
	held, free    registry.Lease // free: the lease that was released
}

// newAfreshWorld has the third node silent for so long that it may be failed, or not.
func newAfreshWorld(w *lockstep.Run, silent bool) *afreshWorld {
	f := &afreshWorld{Run: w, n1: w.Node("n1", 0), n2: w.Node("n2", 0), third: w.Node("third", 0)}
	w.Audits = false // nobody but the reader reads
	f.free = w.Is(f.n2.Claim(w.Actor("free")), nil).Lease()
	w.Is(f.n2.Do(call.Release(f.free)), nil)
	if silent {
		w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew)
	}
	f.held = w.Is(f.n1.Claim(w.Actor("held")), nil).Lease()
	w.Advance(time.Millisecond)
	return f
}

// afreshChanges are what others do, each in two steps, so that a copy which the first
// one drops is there again for the second.
var afreshChanges = []struct {
	silent bool // it needs a node that may be failed
	make   func(f *afreshWorld, again func())
}{
	{false, func(f *afreshWorld, again func()) {
		l := f.Is(f.n1.Do(call.Renew(f.held)), nil).Lease()
		again()
		f.Is(f.n1.Do(call.Release(l)), nil)
	}},
	{false, func(f *afreshWorld, again func()) {
		l := f.Is(f.n1.Do(call.Transfer(f.held, f.n2.Ref)), nil).Lease()
		again()
		f.Is(f.n2.Do(call.Transfer(l, f.n1.Ref)), nil)
	}},
	{false, func(f *afreshWorld, again func()) {
		f.Is(f.n1.Claim(f.free.Actor), nil)
		again()
		f.Is(f.n1.Claim(f.Actor("fresh")), nil)
	}},
	{true, func(f *afreshWorld, again func()) {
		f.Is(f.n2.Do(call.MarkFailed(f.third.Ref)), nil)
		again()
		f.Is(f.third.Register(registry.IfAbsent), nil)
	}},
	{false, func(f *afreshWorld, again func()) {
		f.Is(f.third.Do(call.Heartbeat(f.third.Ref)), nil)
		again()
		f.Is(f.third.Do(call.Deregister(f.third.Ref)), nil)
	}},
	{false, func(f *afreshWorld, again func()) {
		f.Is(f.third.Register(registry.Supersede), nil)
		again()
		f.Is(f.n2.Do(call.RegisterNode("newcomer", registry.NodeInfo{}, registry.IfAbsent)), nil)
	}},
}

// readsAfresh makes one and the same read before and after each change, with no time
// between them and no other call of the reader's handle.
func readsAfresh(t *trial.Trial) {
	reads := []func(f *afreshWorld) call.Call{
		func(f *afreshWorld) call.Call { return call.Lookup(f.held.Actor) },
		func(f *afreshWorld) call.Call { return call.Lookup(f.free.Actor) },
		func(f *afreshWorld) call.Call { return call.Validate(f.held.Actor, f.held.Token) },
		func(f *afreshWorld) call.Call { return call.Validate(f.free.Actor, f.free.Token+1) },
		func(f *afreshWorld) call.Call { return call.GetNode("third") },
		func(f *afreshWorld) call.Call { return call.GetNode("newcomer") },
		func(f *afreshWorld) call.Call { return call.ListNodes(registry.AnyStatus, 0) },
		func(f *afreshWorld) call.Call { return call.ListNodes(registry.NodeActive, 0) },
		func(f *afreshWorld) call.Call { return call.ListActors(f.n1.Ref, 0) },
		func(f *afreshWorld) call.Call { return call.ListActors(f.n2.Ref, 0) },
	}
	for _, read := range reads {
		aroundChanges(t, func(f *afreshWorld, reader *lockstep.Node) { reader.Do(read(f)) })
	}
}

// watchesAfresh watches for another version than one that is not there, which is answered
// at once, and then looks up what the next watch could be answered by.
func watchesAfresh(t *trial.Trial) {
	seen := registry.Version(0)
	if t.Judge.Dialect.Forgets {
		seen = 1 << 40 // a record that is forgotten is at version 0
	}
	aroundChanges(t, func(f *afreshWorld, reader *lockstep.Node) {
		reader.Do(call.WatchCall(f.held.Actor, seen))
		reader.Do(call.Lookup(f.held.Actor))
	})
}

// aroundChanges reads before and after each change.
func aroundChanges(t *trial.Trial, read func(*afreshWorld, *lockstep.Node)) {
	for _, change := range afreshChanges {
		if change.silent && !t.Exact() {
			continue // many waits, to see what others make too
		}
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
			f := newAfreshWorld(w, change.silent)
			reader := w.Unregistered("reader", 0)
			again := func() { read(f, reader) }
			again()
			change.make(f, again)
			again()
		})
	}
}

// decidesAfresh has a handle read what would decide its next write, somebody else
// change that, and the handle write.
func decidesAfresh(t *trial.Trial) {
	for _, look := range looks {
		for _, turn := range turns {
			lockstep.In(t, t.Cfg, func(w *lockstep.Run) { turn(newAfreshWorld(w, false), look) })
		}
	}
}

// looks are the ways to learn of an actor or a node, whose answer may be kept.
var looks = []func(by *lockstep.Node, a registry.ActorID, node registry.NodeRef){
	func(by *lockstep.Node, a registry.ActorID, node registry.NodeRef) {
		by.Do(call.Lookup(a))
		by.Do(call.GetNode(node.ID))
	},
	func(by *lockstep.Node, a registry.ActorID, node registry.NodeRef) {
		by.Do(call.ListNodes(registry.AnyStatus, 0))
		by.Do(call.ListActors(node, 0))
	},
	func(by *lockstep.Node, a registry.ActorID, node registry.NodeRef) { // by being refused
		by.Do(call.Claim(a, by.Ref, by.W.ClaimID()))
		by.Do(call.MarkFailed(node))
		by.Do(call.RegisterNode(node.ID, registry.NodeInfo{}, registry.IfAbsent))
	},
}

var turns = []func(f *afreshWorld, look func(*lockstep.Node, registry.ActorID, registry.NodeRef)){
	// A node that was silent is heard of: it cannot be marked.
	func(f *afreshWorld, look func(*lockstep.Node, registry.ActorID, registry.NodeRef)) {
		f.Is(f.third.Do(call.Heartbeat(f.third.Ref)), nil)
		silent := f.Cfg.FailedAt(f.third.Clock.Now())
		f.Advance(f.Cfg.FailureTimeout / 2)
		look(f.n2, f.held.Actor, f.third.Ref)
		f.Advance(f.Cfg.FailureTimeout / 4)
		f.Is(f.third.Do(call.Heartbeat(f.third.Ref)), nil)
		f.Until(f.n2, silent)
		f.Is(f.n2.Do(call.MarkFailed(f.third.Ref)), registry.ErrNodeAlive)
		f.n2.Do(call.GetNode("third"))
	},
	// A lease that would have lapsed is renewed: it cannot be claimed.
	func(f *afreshWorld, look func(*lockstep.Node, registry.ActorID, registry.NodeRef)) {
		look(f.n2, f.held.Actor, f.n1.Ref)
		f.Advance(f.Cfg.TTL / 2)
		l := f.Is(f.n1.Do(call.Renew(f.held)), nil).Lease()
		f.Until(f.n2, f.held.Expiry.Add(f.Cfg.Grace+2*f.Cfg.MaxClockSkew))
		f.n2.Do(call.Claim(f.held.Actor, f.n2.Ref, f.ClaimID()))
		f.n1.Do(call.Renew(l))
	},
	// An actor that was held is released, one that was free is claimed.
	func(f *afreshWorld, look func(*lockstep.Node, registry.ActorID, registry.NodeRef)) {
		look(f.n2, f.held.Actor, f.n1.Ref)
		f.Is(f.n1.Do(call.Release(f.held)), nil)
		l := f.Is(f.n2.Claim(f.held.Actor), nil).Lease()
		look(f.n1, f.held.Actor, f.n2.Ref)
		f.Is(f.n2.Do(call.Release(l)), nil)
		look(f.n2, f.held.Actor, f.n1.Ref)
		f.n1.Claim(f.held.Actor)
		f.n2.Claim(f.held.Actor)
	},
	// A receiver that was active has left, and one that had left is back.
	func(f *afreshWorld, look func(*lockstep.Node, registry.ActorID, registry.NodeRef)) {
		look(f.n1, f.held.Actor, f.third.Ref)
		f.Is(f.third.Do(call.Deregister(f.third.Ref)), nil)
		f.Is(f.n1.Do(call.Transfer(f.held, f.third.Ref)), registry.ErrNodeUnknown)
		look(f.n1, f.held.Actor, f.third.Ref)
		f.third.Register(registry.IfAbsent)
		f.Is(f.n1.Do(call.Transfer(f.held, f.third.Ref)), nil)
	},
	// A name that was taken is free, one that was free is taken.
	func(f *afreshWorld, look func(*lockstep.Node, registry.ActorID, registry.NodeRef)) {
		look(f.n1, f.held.Actor, f.third.Ref)
		f.Is(f.third.Do(call.Deregister(f.third.Ref)), nil)
		f.n1.Do(call.RegisterNode("third", registry.NodeInfo{}, registry.IfAbsent))
		f.n2.Do(call.RegisterNode("third", registry.NodeInfo{}, registry.IfAbsent))
		look(f.n1, f.held.Actor, registry.NodeRef{ID: "newcomer", Epoch: 1})
		f.n2.Do(call.RegisterNode("newcomer", registry.NodeInfo{}, registry.IfAbsent))
		f.n1.Do(call.RegisterNode("newcomer", registry.NodeInfo{}, registry.IfAbsent))
	},
	// The node itself is failed, or has another incarnation, by somebody else's doing.
	func(f *afreshWorld, look func(*lockstep.Node, registry.ActorID, registry.NodeRef)) {
		look(f.third, f.held.Actor, f.third.Ref)
		f.n2.Do(call.RegisterNode("third", registry.NodeInfo{}, registry.Supersede))
		f.third.Do(call.Claim(f.free.Actor, f.third.Ref, f.ClaimID()))
		f.third.Do(call.Heartbeat(f.third.Ref))
		f.third.Do(call.Deregister(f.third.Ref))
	},
}
