package sections

import (
	"fmt"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/concurrent"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

func durableSection() trial.Section {
	needs := []backend.Capability{backend.Restart}
	return trial.Section{
		Name: "durable",
		Doc:  "kill -9 and restart: what was acknowledged is still there, tokens and epochs never go back",
		Cases: append([]trial.Case{
			{Name: "keeps-everything", Doc: "records and nodes in every state, ten restarts, and life goes on where it was",
				Rules: []contract.RuleID{contract.Durability, contract.TokenMonotonic, contract.EpochFresh}, Needs: needs, Run: keepsEverything},
			{Name: "unusual-rows", Doc: "names of every look and length, addresses at their limit, times of 1970 and of centuries to come: what is read after a restart is what was written",
				Rules: []contract.RuleID{contract.Durability}, Needs: []backend.Capability{backend.Restart, backend.ClockControl}, Run: keepsUnusualRows},
			{Name: "cursors", Doc: "listings that began before a restart go on after it",
				Rules: []contract.RuleID{contract.PagedListing, contract.Durability}, Needs: needs, Run: cursorsSurvive},
			{Name: "after-every-step", Doc: "random sequences with a restart between any two steps", Draws: true,
				Rules: []contract.RuleID{contract.Durability, contract.TokenMonotonic, contract.VersionBump}, Needs: []backend.Capability{backend.Restart, backend.ClockControl},
				Run: func(t *trial.Trial) {
					lockstep.Sequences(t, traffic.Mix{op.Claim: 16, op.Renew: 8, op.Release: 8, op.Transfer: 8, op.RegisterNode: 6, op.Heartbeat: 3, op.MarkFailed: 3,
						op.DeregisterNode: 3, op.Validate: 3, traffic.Tick: 10, traffic.Drift: 3, traffic.Crash: 20})
				}},
			{Name: "between-rounds", Doc: "concurrent histories with restarts between the rounds, checked for linearizability", Draws: true,
				Rules: []contract.RuleID{contract.Durability, contract.Linearizability}, Needs: needs,
				Run: func(t *trial.Trial) {
					concurrent.Scenarios(t, concurrent.Profile{Clients: [2]int{2, 5}, Actors: 2, Rounds: 4, Program: 2,
						Mix:     traffic.Mix{op.Claim: 16, op.Renew: 8, op.Release: 8, op.Transfer: 6, op.Validate: 6, op.RegisterNode: 3, op.Heartbeat: 2},
						Between: traffic.Mix{traffic.Crash: 10, traffic.Tick: 5}, Histories: 60})
				}},
		}, loadedDurableCases()...),
	}
}

// cursorsSurvive goes on with listings after a restart.
func cursorsSurvive(t *trial.Trial) {
	t.Needs(op.ListActors)
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) { cursorsAcross(w, w.Node("n1", 0), "a restart", w.Restart) })
}

// keepsUnusualRows writes what a file's form, a cut or a filter of a recovery may spoil.
func keepsUnusualRows(t *trial.Trial) {
	lockstep.At(t, registry.Instant(1).Add(t.Cfg.MaxClockSkew), t.Cfg, func(w *lockstep.Run) {
		n := w.Node("holder-of-some", 0)
		w.Audits = false // all is read after the restart
		address := strings.Repeat("\u00e9", registry.MaxAddressBytes/2-1) + "!?"
		names := append(lookalikes(registry.MaxNodeIDBytes), strings.Repeat("\U0001f986", registry.MaxNodeIDBytes/4))
		for i, name := range names {
			holder := w.Is(n.Do(call.RegisterNode(registry.NodeID(name), registry.NodeInfo{Address: address}, registry.IfAbsent)), nil).Node.Ref
			a := registry.ActorID{Namespace: strings.Repeat("q", registry.MaxActorPartBytes-len(name)) + name, Name: name}
			l := w.Is(n.Do(call.Claim(a, holder, w.ClaimID())), nil).Lease()
			switch i % 4 {
			case 0:
				w.Is(n.Do(call.Release(l)), nil)
			case 1:
				w.Is(n.Do(call.Transfer(l, n.Ref)), nil)
			}
			if len(w.Late) > 0 { // each more would double what is possible
				w.AuditOne(call.GetNode(holder.ID), contract.Durability)
				w.AuditOne(call.Lookup(a), contract.Durability)
			}
		}
		w.Restart()
		for _, name := range names {
			w.AuditOne(call.GetNode(registry.NodeID(name)), contract.Durability)
		}
	})
	for _, year := range []int{2039, 2107, 2255} {
		now := registry.InstantOf(time.Date(year, 1, 1, 0, 0, 0, 1, time.UTC))
		lockstep.At(t, now, t.Cfg, func(w *lockstep.Run) {
			n := w.Node("n1", 0)
			l := w.Is(n.Claim(w.Actor("a")), nil).Lease()
			w.Restart()
			w.Is(n.Do(call.Renew(l)), nil)
		})
	}
}

// processesThatAreOver registers with all that a process tells, and ends the registrations.
func processesThatAreOver(w *lockstep.Run, by *lockstep.Node) {
	for i, name := range []string{"failed-process", "left-process"} {
		p := w.Unregistered(name, 0)
		w.Is(p.Do(call.RegisterNode(p.Ref.ID, registry.NodeInfo{Address: name, Instance: registry.InstanceID{byte(i + 1)}}, registry.IfAbsent)), nil)
		if i == 0 {
			w.Fail(by, p)
		} else {
			w.Is(p.Do(call.Deregister(p.Ref)), nil)
		}
	}
}

func keepsEverything(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		if w.T.Judge.Found[backend.Instances] {
			processesThatAreOver(w, n1)
		}
		id := w.ClaimID()
		held := w.Is(n1.Do(call.Claim(w.Actor("held"), n1.Ref, id)), nil).Lease()
		released := w.Is(n1.Claim(w.Actor("released")), nil).Lease()
		w.Is(n1.Do(call.Release(released)), nil)
		moved := w.Is(n1.Claim(w.Actor("moved")), nil).Lease()
		moved = w.Is(n1.Do(call.Transfer(moved, n2.Ref)), nil).Lease()
		for i := range 12 {
			w.Is(n2.Claim(w.Actor(fmt.Sprintf("more-%d", i))), nil)
		}
		left, again := w.Node("left", 0), w.Node("again", 0)
		before := []registry.NodeRef{left.Ref, again.Ref} // incarnations that end, and hold something
		for _, n := range []*lockstep.Node{left, again} {
			w.Is(n.Claim(w.Actor("of-"+n.Name)), nil)
		}
		for i := range 9 { // so many that a snapshot may tidy up
			gone := w.Node(fmt.Sprintf("gone-%d", i), 0)
			w.Is(gone.Do(call.Deregister(gone.Ref)), nil)
		}
		w.Is(left.Do(call.Deregister(left.Ref)), nil)
		w.Is(again.Register(registry.Supersede), nil)
		slow, fast := w.Node("slow", -w.Cfg.MaxClockSkew), w.Node("fast", w.Cfg.MaxClockSkew)
		w.Is(slow.Do(call.Transfer(w.Is(fast.Claim(w.Actor("earlier")), nil).Lease(), slow.Ref)), nil) // its expiry goes back
		w.Is(slow.Do(call.Heartbeat(fast.Ref)), nil)                                                   // and so does when it was seen
		process := call.RegisterNode("process", registry.NodeInfo{Instance: registry.InstanceID{0: 0x0D}}, registry.IfAbsent)
		if w.T.Judge.Found[backend.Instances] {
			w.Is(n1.Do(process), nil)
		}
		for range 10 {
			w.Restart()
		}
		if w.T.Judge.Found[backend.Instances] {
			w.Is(n1.Do(process), nil) // repeats
		}
		for _, ref := range before {
			w.Is(n1.Do(call.ListActors(ref, 0)), nil)
		}
		otherwise := w.Cfg
		if otherwise.FailureTimeout++; otherwise.Validate() == nil {
			opens(w, otherwise, registry.ErrConfigMismatch) // the bounds are the cluster's still
		}
		w.Is(n1.Do(call.Claim(held.Actor, n1.Ref, id)), nil) // still the same attempt
		w.Is(n2.Claim(held.Actor), registry.ErrHeld)
		held = w.Is(n1.Do(call.Renew(held)), nil).Lease()
		w.Is(n1.Do(call.Validate(released.Actor, released.Token)), registry.ErrNotHeld)
		w.Is(n2.Claim(released.Actor), nil) // with a token above the one before
		w.Is(n1.Do(call.Release(released)), registry.ErrFenced)
		w.Is(n2.Do(call.Transfer(moved, n1.Ref)), nil)
		w.Is(left.Register(registry.IfAbsent), nil) // with an epoch above the one before
		w.Is(again.Register(registry.IfAbsent), registry.ErrNodeExists)
		w.Restart()
		w.Is(n1.Do(call.Renew(held)), nil)
		w.Is(n1.Do(call.ListActors(n2.Ref, 5)), nil)
		w.Fail(n1, again)
		w.Restart()
		w.Is(again.Do(call.Heartbeat(again.Ref)), registry.ErrNodeFailed) // failed for good
	})
}
