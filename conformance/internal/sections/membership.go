package sections

import (
	"fmt"
	"math"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

func membershipSection() trial.Section {
	exact := []backend.Capability{backend.ClockControl}
	return trial.Section{
		Name: "membership",
		Doc:  "nodes and their incarnations: registration, failure detection, and that neither takes an actor away",
		Cases: []trial.Case{
			{Name: "register", Doc: "epochs grow by one through registering, superseding, failing and leaving",
				Rules: []contract.RuleID{"RegisterNode.granted", "RegisterNode.exists", contract.EpochFresh, "GetNode.answered"}, Run: registers},
			{Name: "register-repeats", Doc: "a registration repeated ten times under its instance, in both modes and from another handle; another process's is none, nor is one after the incarnation has ended",
				Rules: []contract.RuleID{"RegisterNode.repeated", "RegisterNode.exists", "RegisterNode.granted", contract.EpochFresh}, Needs: []backend.Capability{backend.Instances}, Run: registerRepeats},
			{Name: "heartbeat", Doc: "heartbeats of incarnations of every standing, ten times",
				Rules: []contract.RuleID{"Heartbeat.granted", "Heartbeat.node-unknown", "Heartbeat.node-failed"}, Run: heartbeats},
			{Name: "mark-failed", Doc: "marking incarnations of every standing, ten times",
				Rules: []contract.RuleID{"MarkFailed.granted", "MarkFailed.repeated", "MarkFailed.node-unknown", "MarkFailed.alive"}, Run: marksFailed},
			{Name: "mark-failed-boundaries", Doc: "marking one nanosecond before, at and after the end of the silence, by clocks at both ends of the skew",
				Rules: []contract.RuleID{"MarkFailed.granted", "MarkFailed.alive"}, Needs: exact, Run: markFailedBoundaries},
			{Name: "deregister", Doc: "incarnations of every standing leave, once and again",
				Rules: []contract.RuleID{"DeregisterNode.granted", "DeregisterNode.node-unknown"}, Run: deregisters},
			{Name: "suspicion", Doc: "a node failed by suspicion, gone or superseded keeps its actors until they lapse",
				Rules: []contract.RuleID{contract.NoSuspicion, contract.SingleActivation, "Claim.held"}, Run: suspicion},
			{Name: "restart", Doc: "a restarted process is another holder: the old incarnation's leases are not its own",
				Rules: []contract.RuleID{contract.EpochFresh, "Claim.held", "Renew.not-held", "Release.not-held"}, Run: restartedProcess},
			{Name: "list-nodes", Doc: "listings of nodes by status in pages of every size",
				Rules: []contract.RuleID{"ListNodes.answered", contract.PagedListing, "GetNode.answered"}, Run: listsNodes},
		},
	}
}

func registers(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n, other := w.Unregistered("n1", 0), w.Unregistered("n2", 0)
		w.Is(n.Do(call.GetNode("n1")), nil)
		w.Is(n.Register(registry.IfAbsent), nil)
		for range 10 {
			w.Is(other.Do(call.RegisterNode("n1", registry.NodeInfo{Address: "elsewhere"}, registry.IfAbsent)), registry.ErrNodeExists)
		}
		w.Advance(w.Cfg.FailureTimeout * 3)
		w.Is(other.Do(call.RegisterNode("n1", registry.NodeInfo{}, registry.IfAbsent)), registry.ErrNodeExists) // silence alone is no failure
		for range 10 {
			w.Is(n.Register(registry.Supersede), nil) // each is a new epoch: registering is not idempotent
		}
		w.Fail(other, n)
		w.Is(n.Register(registry.IfAbsent), nil)
		w.Is(n.Do(call.Deregister(n.Ref)), nil)
		w.Is(n.Register(registry.IfAbsent), nil)
		w.Is(n.Do(call.Deregister(n.Ref)), nil)
		w.Is(n.Register(registry.Supersede), nil)
		w.Fail(other, n)
		w.Is(n.Do(call.Deregister(n.Ref)), nil)
		w.Is(n.Register(registry.Supersede), nil)
		w.Is(other.Do(call.GetNode("n1")), nil)
		w.Is(other.Register(registry.Supersede), nil) // with nobody to supersede
	})
}

// registerRepeats repeats registrations under their instance (contract, section 3,
// RegisterNode): by the same process, and by one that only looks like it.
func registerRepeats(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n, other := w.Unregistered("n1", 0), w.Unregistered("n2", 0)
		register := func(by *lockstep.Node, name registry.NodeID, instance byte, mode registry.RegisterMode) op.Result {
			info := registry.NodeInfo{Address: "at " + by.Name}
			if instance > 0 {
				info.Instance = registry.InstanceID{0: 0xA0, 15: instance}
			}
			return by.Do(call.RegisterNode(name, info, mode))
		}
		repeated := func(instance byte) {
			for i := range 10 {
				if len(w.Late) > 3 {
					break // each can apply by each reading: a store in trouble is not asked so often
				}
				w.Advance(w.Cfg.FailureTimeout / 100) // a repetition is not a heartbeat
				mode := []registry.RegisterMode{registry.IfAbsent, registry.Supersede}[i%2]
				w.Is(register([]*lockstep.Node{n, other}[i/5], "n1", instance, mode), nil) // from another address, too
			}
			w.Is(register(other, "n1", instance+1, registry.IfAbsent), registry.ErrNodeExists)
			w.Is(register(other, "n1", 0, registry.IfAbsent), registry.ErrNodeExists)
			w.Is(other.Do(call.GetNode("n1")), nil)
		}
		w.Is(register(n, "n1", 1, registry.IfAbsent), nil)
		repeated(1)
		w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew) // it may be marked failed, and is not
		repeated(1)
		for i := range len(registry.InstanceID{}) { // instances that differ in one byte are of two processes
			if len(w.Late) > 0 {
				break
			}
			one := registry.InstanceID{0: 0xA0, 15: 1}
			one[i] ^= 0x10
			w.Is(other.Do(call.RegisterNode("n1", registry.NodeInfo{Instance: one}, registry.IfAbsent)), registry.ErrNodeExists)
		}
		for i, pair := range alikeIDs() {
			if len(w.Late) > 0 {
				break
			}
			id := registry.NodeID(fmt.Sprint("like-", i))
			w.Is(n.Do(call.RegisterNode(id, registry.NodeInfo{Instance: registry.InstanceID(pair[0])}, registry.IfAbsent)), nil)
			w.Is(other.Do(call.RegisterNode(id, registry.NodeInfo{Instance: registry.InstanceID(pair[1])}, registry.IfAbsent)), registry.ErrNodeExists)
			refusalsAbout(other, registry.NodeRef{ID: id, Epoch: 1})
		}
		w.Advance(w.Cfg.FailureTimeout / 2)
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
		repeated(1)
		w.Is(n.Do(call.Renew(w.Is(n.Claim(w.Actor("a")), nil).Lease())), nil)
		w.Is(register(other, "n2", 1, registry.IfAbsent), nil) // one instance under two names: two nodes
		w.Is(register(other, "n1", 3, registry.Supersede), nil)
		w.Is(register(n, "n1", 1, registry.IfAbsent), registry.ErrNodeExists) // its registration is over
		repeated(3)
		w.Is(n.Do(call.Heartbeat(w.Is(n.Do(call.GetNode("n1")), nil).Node.Ref)), nil)
		repeated(3)
		w.Is(register(n, "n1", 1, registry.Supersede), nil) // a new epoch under an instance used before
		repeated(1)
		holds := func() { w.Is(n.Claim(w.Actor(fmt.Sprint("of ", n.Ref))), nil) } // a lease does not keep its holder's registration
		holds()
		w.Fail(other, n)
		w.Is(register(n, "n1", 1, registry.IfAbsent), nil) // failed: not repeated
		holds()
		w.Is(n.Do(call.Deregister(n.Ref)), nil)
		w.Is(register(n, "n1", 1, registry.IfAbsent), nil) // left: not repeated
		repeated(1)
		for _, ends := range []func(){func() { w.Fail(other, n) }, func() { w.Is(n.Do(call.Deregister(n.Ref)), nil) }} {
			holds()
			ends()
			w.Is(register(n, "n1", 1, registry.Supersede), nil) // nor is it with supersede
		}
		w.Is(register(n, "n1", 0, registry.Supersede), nil)
		w.Is(register(n, "n1", 0, registry.Supersede), nil) // without an instance nothing is repeated
		w.Is(register(n, "n1", 0, registry.IfAbsent), registry.ErrNodeExists)
		w.Is(register(n, "n1", 1, registry.IfAbsent), registry.ErrNodeExists) // its registration is over
	})
}

func heartbeats(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		w.Incarnations(n, func(ref registry.NodeRef, want error) {
			for range 10 {
				w.Is(n.Do(call.Heartbeat(ref)), want)
				w.Advance(w.Cfg.MaxClockSkew / 10)
			}
			w.Is(n.Do(call.Heartbeat(ref)), want)
			for d := range 8 { // however soon one follows the other, the later counts: from one nanosecond to ten milliseconds
				w.Advance(time.Duration(math.Pow10(d)))
				w.Is(n.Do(call.Heartbeat(ref)), want)
			}
		})
		late := w.Node("late", 0)
		w.Is(late.Claim(w.Actor("a")), nil)
		w.Advance(w.Cfg.FailureTimeout * 3)
		w.Is(late.Do(call.Heartbeat(late.Ref)), nil) // late, but nobody had marked it; its lease is no longer for that
		w.Is(n.Do(call.MarkFailed(late.Ref)), registry.ErrNodeAlive)
	})
}

func marksFailed(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		w.Incarnations(n, func(ref registry.NodeRef, want error) {
			switch want {
			case nil:
				want = registry.ErrNodeAlive
			case registry.ErrNodeFailed:
				want = nil // failed already: a no-op
			}
			for range 10 {
				w.Is(n.Do(call.MarkFailed(ref)), want)
			}
		})
		victim := w.Node("victim", 0)
		w.Fail(n, victim)
		for range 10 {
			w.Is(n.Do(call.MarkFailed(victim.Ref)), nil)
		}
		w.Is(victim.Do(call.Heartbeat(victim.Ref)), registry.ErrNodeFailed) // for good
		again := w.Node("again", 0)
		old := again.Ref
		w.Is(again.Register(registry.Supersede), nil)
		w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew) // the new one may be marked; it is the old one that is
		w.Is(n.Do(call.MarkFailed(old)), nil)
		w.Is(n.Do(call.GetNode("again")), nil)
		w.Is(again.Do(call.Heartbeat(again.Ref)), nil)
		w.Fail(n, n) // a node may mark itself
		w.Is(n.Claim(w.Actor("a")), registry.ErrNodeFailed)
	})
}

// lastSeens are the ways in which a node is heard of for the last time.
var lastSeens = []func(w *lockstep.Run, n *lockstep.Node){
	func(*lockstep.Run, *lockstep.Node) {},
	func(w *lockstep.Run, n *lockstep.Node) {
		for range 3 {
			w.Advance(w.Cfg.FailureTimeout / 2)
			w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
		}
	},
	func(w *lockstep.Run, n *lockstep.Node) { w.Is(n.Register(registry.Supersede), nil) },
	func(w *lockstep.Run, n *lockstep.Node) { // once failed
		w.Fail(n, n)
		w.Is(n.Register(registry.IfAbsent), nil)
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
	},
	func(w *lockstep.Run, n *lockstep.Node) { // by a clock that has stepped back since
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
		n.Clock.SetOffset(-w.Cfg.MaxClockSkew)
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
	},
	func(w *lockstep.Run, n *lockstep.Node) { // as another incarnation, by such a clock
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
		w.Is(n.Do(call.Deregister(n.Ref)), nil)
		n.Clock.SetOffset(-w.Cfg.MaxClockSkew)
		w.Is(n.Register(registry.IfAbsent), nil)
	},
	func(w *lockstep.Run, n *lockstep.Node) { // as a third one, by such a clock, and by a heartbeat
		for range 2 {
			n.Clock.SetOffset(w.Cfg.MaxClockSkew)
			w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
			n.Clock.SetOffset(-w.Cfg.MaxClockSkew)
			w.Is(n.Register(registry.Supersede), nil)
		}
		n.Clock.SetOffset(w.Cfg.MaxClockSkew)
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
		n.Clock.SetOffset(-w.Cfg.MaxClockSkew)
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
	},
	func(w *lockstep.Run, n *lockstep.Node) { // failed again and again
		for range 3 {
			w.Fail(n, n)
			w.Is(n.Register(registry.IfAbsent), nil)
		}
	},
	func(w *lockstep.Run, n *lockstep.Node) { // with all that a registration may have, and a lease
		info := registry.NodeInfo{Address: "somewhere"}
		if w.T.Judge.Found[backend.Instances] {
			info.Instance = registry.InstanceID{0: 0x0D}
		}
		for range 2 {
			w.Is(n.Do(call.Deregister(n.Ref)), nil)
			w.Is(n.Do(call.RegisterNode(n.Ref.ID, info, registry.IfAbsent)), nil)
		}
		w.Is(n.Claim(w.Actor("a")), nil)
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
		n.Clock.SetOffset(-w.Cfg.MaxClockSkew)
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
	},
	func(w *lockstep.Run, n *lockstep.Node) { // with nothing that it need not have
		w.Is(n.Do(call.RegisterNode(n.Ref.ID, registry.NodeInfo{}, registry.Supersede)), nil)
	},
	func(w *lockstep.Run, n *lockstep.Node) { // and its handle is closed
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
		n.Do(call.CloseHandle())
	},
	func(w *lockstep.Run, n *lockstep.Node) { // and the cluster crashes
		w.Is(n.Do(call.Heartbeat(n.Ref)), nil)
		if w.T.Judge.Found[backend.Restart] {
			w.Restart()
		}
	},
}

func markFailedBoundaries(t *trial.Trial) {
	for _, cfg := range t.Configs() {
		for _, by := range []time.Duration{-cfg.FailureTimeout / 2, -1, 0, 1} {
			for _, skew := range []time.Duration{-cfg.MaxClockSkew, 0, cfg.MaxClockSkew} {
				for i, heard := range lastSeens {
					if i > 1 && cfg != t.Cfg {
						continue
					}
					lockstep.In(t, cfg, func(w *lockstep.Run) {
						victim, judge, third := w.Node("n1", skew), w.Node("n2", -skew), w.Node("n3", cfg.MaxClockSkew)
						heard(w, victim)
						seen := victim.Clock.Now()
						w.Until(judge, cfg.FailedAt(seen).Add(by))
						w.Is(third.Do(call.Heartbeat(third.Ref)), nil) // which is nobody else's
						want := error(registry.ErrNodeAlive)
						if by >= 0 {
							want = nil
						}
						w.Is(judge.Do(call.MarkFailed(victim.Ref)), want)
					})
				}
			}
		}
	}
}

func deregisters(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		w.Incarnations(n, func(ref registry.NodeRef, want error) {
			current := w.Is(n.Do(call.GetNode(ref.ID)), nil).Node
			if current.Ref == ref && current.Status == registry.NodeFailed {
				want = nil // the current epoch may leave, failed or not
			} else if want != nil {
				want = registry.ErrNodeUnknown
			}
			w.Is(n.Do(call.Deregister(ref)), want)
			for range 10 {
				w.Is(n.Do(call.Deregister(ref)), registry.ErrNodeUnknown)
			}
			w.Is(n.Do(call.Heartbeat(ref)), call.Class(n.ModelError(call.Heartbeat(ref))))
		})
	})
}

func suspicion(t *trial.Trial) {
	for _, end := range []string{"failed", "left", "superseded"} {
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
			n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
			a, b := w.Actor("a"), w.Actor("b")
			w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew) // n1 is silent, and yet it works
			old := n1.Ref
			la, lb := w.Is(n1.Claim(a), nil).Lease(), w.Is(n1.Claim(b), nil).Lease()
			switch end {
			case "failed":
				w.Is(n2.Do(call.MarkFailed(old)), nil)
			case "left":
				w.Is(n2.Do(call.Deregister(old)), nil)
			case "superseded":
				w.Is(n2.Do(call.RegisterNode("n1", registry.NodeInfo{}, registry.Supersede)), nil)
			}
			w.Is(n2.Do(call.Lookup(a)), nil)
			w.Is(n2.Do(call.ListActors(old, 0)), nil)
			w.Is(n2.Claim(a), registry.ErrHeld)
			w.Is(n2.Do(call.Validate(a, la.Token)), nil)
			la = w.Is(n1.Do(call.Renew(la)), nil).Lease() // it still holds what it holds
			w.Is(n1.Do(call.Transfer(lb, n2.Ref)), nil)   // and can hand it over
			w.Advance(w.Cfg.TTL + w.Cfg.Grace/2)
			if w.Cfg.Grace+w.Cfg.MaxClockSkew > 0 {
				w.Is(n2.Claim(a), registry.ErrHeld)
			}
			w.Advance(w.Cfg.Grace + 4*w.Cfg.MaxClockSkew)
			w.Is(n2.Do(call.Lookup(a)), nil)
			w.Is(n2.Claim(a), nil)
			w.Is(n1.Do(call.Renew(la)), registry.ErrFenced)
		})
	}
}

func restartedProcess(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		a, id := w.Actor("a"), w.ClaimID()
		l := w.Is(n.Do(call.Claim(a, n.Ref, id)), nil).Lease()
		w.Is(n.Register(registry.Supersede), nil)
		w.Is(n.Claim(a), registry.ErrHeld)
		w.Is(n.Do(call.Claim(a, n.Ref, id)), registry.ErrHeld) // the ClaimID was the old incarnation's
		own := l
		own.Holder = n.Ref
		w.Is(n.Do(call.Renew(own)), registry.ErrNotHeld)
		w.Is(n.Do(call.Release(own)), registry.ErrNotHeld)
		w.Is(n.Do(call.Transfer(own, n.Ref)), registry.ErrNotHeld)
		w.Lapse()
		w.Is(n.Claim(a), nil)
		w.Is(n.Do(call.Renew(l)), registry.ErrFenced)
	})
}

func listsNodes(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		w.Audits = false
		var nodes []*lockstep.Node
		for i := range 13 {
			nodes = append(nodes, w.Node(fmt.Sprintf("n%d", i), 0))
		}
		all := func() {
			for _, status := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
				for _, limit := range []int{1, 2, 5, 12, 13, 14, 0, registry.MaxPageLimit} {
					w.Is(nodes[0].Do(call.ListNodes(status, limit)), nil)
				}
			}
		}
		all()
		w.Is(nodes[1].Do(call.Deregister(nodes[1].Ref)), nil)
		w.Is(nodes[2].Do(call.Deregister(nodes[2].Ref)), nil)
		w.Is(nodes[2].Register(registry.IfAbsent), nil)
		w.Is(nodes[3].Register(registry.Supersede), nil)
		if w.T.Judge.Found[backend.Instances] {
			for i := range 4 {
				id := registry.NodeID(fmt.Sprint("process-", i))
				w.Is(nodes[0].Do(call.RegisterNode(id, registry.NodeInfo{Instance: registry.InstanceID{byte(i + 1)}}, registry.IfAbsent)), nil)
			}
		}
		all()
		w.Fail(nodes[0], nodes[4])
		w.Is(nodes[0].Do(call.MarkFailed(nodes[5].Ref)), nil)
		w.Is(nodes[5].Register(registry.IfAbsent), nil)
		for _, n := range nodes[6:8] {
			w.Is(nodes[0].Do(call.MarkFailed(n.Ref)), nil)
		}
		w.Is(nodes[0].Do(call.Deregister(nodes[6].Ref)), nil) // failed, and has left then
		w.Is(nodes[7].Register(registry.Supersede), nil)
		w.Is(nodes[0].Do(call.Heartbeat(nodes[0].Ref)), nil)
		all()
		w.Is(nodes[6].Register(registry.IfAbsent), nil)
		all()
		for _, n := range nodes {
			w.Is(nodes[0].Do(call.GetNode(n.Ref.ID)), nil)
		}
	})
}
