package conformance

import (
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

func membershipSection() Section {
	exact := []Capability{ClockControl}
	return Section{
		Name: "membership",
		Doc:  "nodes and their incarnations: registration, failure detection, and that neither takes an actor away",
		Cases: []Case{
			{Name: "register", Doc: "epochs grow by one through registering, superseding, failing and leaving",
				Rules: []RuleID{"RegisterNode.granted", "RegisterNode.exists", EpochFresh, "GetNode.answered"}, run: registers},
			{Name: "register-repeats", Doc: "a registration repeated ten times under its instance, in both modes and from another handle; another process's is none, nor is one after the incarnation has ended",
				Rules: []RuleID{"RegisterNode.repeated", "RegisterNode.exists", "RegisterNode.granted", EpochFresh}, Needs: []Capability{Instances}, run: registerRepeats},
			{Name: "heartbeat", Doc: "heartbeats of incarnations of every standing, ten times",
				Rules: []RuleID{"Heartbeat.granted", "Heartbeat.node-unknown", "Heartbeat.node-failed"}, run: heartbeats},
			{Name: "mark-failed", Doc: "marking incarnations of every standing, ten times",
				Rules: []RuleID{"MarkFailed.granted", "MarkFailed.repeated", "MarkFailed.node-unknown", "MarkFailed.alive"}, run: marksFailed},
			{Name: "mark-failed-boundaries", Doc: "marking one nanosecond before, at and after the end of the silence, by clocks at both ends of the skew",
				Rules: []RuleID{"MarkFailed.granted", "MarkFailed.alive"}, Needs: exact, run: markFailedBoundaries},
			{Name: "deregister", Doc: "incarnations of every standing leave, once and again",
				Rules: []RuleID{"DeregisterNode.granted", "DeregisterNode.node-unknown"}, run: deregisters},
			{Name: "suspicion", Doc: "a node failed by suspicion, gone or superseded keeps its actors until they lapse",
				Rules: []RuleID{NoSuspicion, SingleActivation, "Claim.held"}, run: suspicion},
			{Name: "restart", Doc: "a restarted process is another holder: the old incarnation's leases are not its own",
				Rules: []RuleID{EpochFresh, "Claim.held", "Renew.not-held", "Release.not-held"}, run: restartedProcess},
			{Name: "list-nodes", Doc: "listings of nodes by status in pages of every size",
				Rules: []RuleID{"ListNodes.answered", PagedListing, "GetNode.answered"}, run: listsNodes},
		},
	}
}

func registers(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n, other := w.unregistered("n1", 0), w.unregistered("n2", 0)
		w.is(n.do(getNode("n1")), nil)
		w.is(n.register(registry.IfAbsent), nil)
		for range 10 {
			w.is(other.do(registerNode("n1", registry.NodeInfo{Address: "elsewhere"}, registry.IfAbsent)), registry.ErrNodeExists)
		}
		w.advance(w.cfg.FailureTimeout * 3)
		w.is(other.do(registerNode("n1", registry.NodeInfo{}, registry.IfAbsent)), registry.ErrNodeExists) // silence alone is no failure
		for range 10 {
			w.is(n.register(registry.Supersede), nil) // each is a new epoch: registering is not idempotent
		}
		w.fail(other, n)
		w.is(n.register(registry.IfAbsent), nil)
		w.is(n.do(deregister(n.ref)), nil)
		w.is(n.register(registry.IfAbsent), nil)
		w.is(n.do(deregister(n.ref)), nil)
		w.is(n.register(registry.Supersede), nil)
		w.fail(other, n)
		w.is(n.do(deregister(n.ref)), nil)
		w.is(n.register(registry.Supersede), nil)
		w.is(other.do(getNode("n1")), nil)
		w.is(other.register(registry.Supersede), nil) // with nobody to supersede
	})
}

// registerRepeats repeats registrations under their instance (contract, section 3,
// RegisterNode): by the same process, and by one that only looks like it.
func registerRepeats(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n, other := w.unregistered("n1", 0), w.unregistered("n2", 0)
		register := func(by *node, name registry.NodeID, instance byte, mode registry.RegisterMode) op.Result {
			info := registry.NodeInfo{Address: "at " + by.name}
			if instance > 0 {
				info.Instance = registry.InstanceID{0: 0xA0, 15: instance}
			}
			return by.do(registerNode(name, info, mode))
		}
		repeated := func(instance byte) {
			for i := range 10 {
				if len(w.late) > 3 {
					break // each can apply by each reading: a store in trouble is not asked so often
				}
				w.advance(w.cfg.FailureTimeout / 100) // a repetition is not a heartbeat
				mode := []registry.RegisterMode{registry.IfAbsent, registry.Supersede}[i%2]
				w.is(register([]*node{n, other}[i/5], "n1", instance, mode), nil) // from another address, too
			}
			w.is(register(other, "n1", instance+1, registry.IfAbsent), registry.ErrNodeExists)
			w.is(register(other, "n1", 0, registry.IfAbsent), registry.ErrNodeExists)
			w.is(other.do(getNode("n1")), nil)
		}
		w.is(register(n, "n1", 1, registry.IfAbsent), nil)
		repeated(1)
		l := w.is(n.claim(w.actor("a")), nil).Lease()
		w.advance(w.cfg.FailureTimeout / 2)
		w.is(n.do(heartbeat(n.ref)), nil)
		repeated(1)
		w.is(n.do(renew(l)), nil)
		w.is(register(other, "n2", 1, registry.IfAbsent), nil) // one instance under two names: two nodes
		w.is(register(other, "n1", 3, registry.Supersede), nil)
		w.is(register(n, "n1", 1, registry.IfAbsent), registry.ErrNodeExists) // its registration is over
		repeated(3)
		w.is(register(n, "n1", 1, registry.Supersede), nil) // a new epoch under an instance used before
		repeated(1)
		w.fail(other, n)
		w.is(register(n, "n1", 1, registry.IfAbsent), nil) // failed: not repeated
		w.is(n.do(deregister(n.ref)), nil)
		w.is(register(n, "n1", 1, registry.IfAbsent), nil) // left: not repeated
		repeated(1)
		w.is(register(n, "n1", 0, registry.Supersede), nil)
		w.is(register(n, "n1", 0, registry.Supersede), nil) // without an instance nothing is repeated
		w.is(register(n, "n1", 0, registry.IfAbsent), registry.ErrNodeExists)
	})
}

func heartbeats(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n := w.node("n1", 0)
		w.incarnations(n, func(ref registry.NodeRef, want error) {
			for range 10 {
				w.is(n.do(heartbeat(ref)), want)
				w.advance(w.cfg.MaxClockSkew / 10)
			}
		})
		late := w.node("late", 0)
		w.is(late.claim(w.actor("a")), nil)
		w.advance(w.cfg.FailureTimeout * 3)
		w.is(late.do(heartbeat(late.ref)), nil) // late, but nobody had marked it; its lease is no longer for that
		w.is(n.do(markFailed(late.ref)), registry.ErrNodeAlive)
	})
}

func marksFailed(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n := w.node("n1", 0)
		w.incarnations(n, func(ref registry.NodeRef, want error) {
			switch want {
			case nil:
				want = registry.ErrNodeAlive
			case registry.ErrNodeFailed:
				want = nil // failed already: a no-op
			}
			for range 10 {
				w.is(n.do(markFailed(ref)), want)
			}
		})
		victim := w.node("victim", 0)
		w.fail(n, victim)
		for range 10 {
			w.is(n.do(markFailed(victim.ref)), nil)
		}
		w.is(victim.do(heartbeat(victim.ref)), registry.ErrNodeFailed) // for good
		w.fail(n, n)                                                   // a node may mark itself
		w.is(n.claim(w.actor("a")), registry.ErrNodeFailed)
	})
}

func markFailedBoundaries(t *trial) {
	for _, cfg := range t.configs() {
		for _, by := range []time.Duration{-cfg.FailureTimeout / 2, -1, 0, 1} {
			for _, skew := range []time.Duration{-cfg.MaxClockSkew, 0, cfg.MaxClockSkew} {
				for _, beats := range []bool{false, true} {
					t.in(cfg, func(w *lockstep) {
						victim, judge := w.node("n1", skew), w.node("n2", -skew)
						if beats {
							w.advance(cfg.FailureTimeout / 2)
							w.is(victim.do(heartbeat(victim.ref)), nil)
						}
						seen := victim.clock.Now()
						w.until(judge, cfg.FailedAt(seen).Add(by))
						want := error(registry.ErrNodeAlive)
						if by >= 0 {
							want = nil
						}
						w.is(judge.do(markFailed(victim.ref)), want)
					})
				}
			}
		}
	}
}

func deregisters(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n := w.node("n1", 0)
		w.incarnations(n, func(ref registry.NodeRef, want error) {
			current := w.is(n.do(getNode(ref.ID)), nil).Node
			if current.Ref == ref && current.Status == registry.NodeFailed {
				want = nil // the current epoch may leave, failed or not
			} else if want != nil {
				want = registry.ErrNodeUnknown
			}
			w.is(n.do(deregister(ref)), want)
			for range 10 {
				w.is(n.do(deregister(ref)), registry.ErrNodeUnknown)
			}
			w.is(n.do(heartbeat(ref)), class(n.modelError(heartbeat(ref))))
		})
	})
}

// modelError asks the reference alone; the call must be one that is refused.
func (n *node) modelError(c call) error { return c.do(n.w.t.ctx, n.model).Err }

func suspicion(t *trial) {
	for _, end := range []string{"failed", "left", "superseded"} {
		t.in(t.cfg, func(w *lockstep) {
			n1, n2 := w.node("n1", 0), w.node("n2", 0)
			a, b := w.actor("a"), w.actor("b")
			w.advance(w.cfg.FailureTimeout + 4*w.cfg.MaxClockSkew) // n1 is silent, and yet it works
			old := n1.ref
			la, lb := w.is(n1.claim(a), nil).Lease(), w.is(n1.claim(b), nil).Lease()
			switch end {
			case "failed":
				w.is(n2.do(markFailed(old)), nil)
			case "left":
				w.is(n2.do(deregister(old)), nil)
			case "superseded":
				w.is(n2.do(registerNode("n1", registry.NodeInfo{}, registry.Supersede)), nil)
			}
			w.is(n2.do(lookup(a)), nil)
			w.is(n2.do(listActors(old, 0)), nil)
			w.is(n2.claim(a), registry.ErrHeld)
			w.is(n2.do(validate(a, la.Token)), nil)
			la = w.is(n1.do(renew(la)), nil).Lease() // it still holds what it holds
			w.is(n1.do(transfer(lb, n2.ref)), nil)   // and can hand it over
			w.advance(w.cfg.TTL + w.cfg.Grace/2)
			w.is(n2.claim(a), registry.ErrHeld)
			w.advance(w.cfg.Grace + 4*w.cfg.MaxClockSkew)
			w.is(n2.do(lookup(a)), nil)
			w.is(n2.claim(a), nil)
			w.is(n1.do(renew(la)), registry.ErrFenced)
		})
	}
}

func restartedProcess(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n := w.node("n1", 0)
		a, id := w.actor("a"), w.claimID()
		l := w.is(n.do(claim(a, n.ref, id)), nil).Lease()
		w.is(n.register(registry.Supersede), nil)
		w.is(n.claim(a), registry.ErrHeld)
		w.is(n.do(claim(a, n.ref, id)), registry.ErrHeld) // the ClaimID was the old incarnation's
		own := l
		own.Holder = n.ref
		w.is(n.do(renew(own)), registry.ErrNotHeld)
		w.is(n.do(release(own)), registry.ErrNotHeld)
		w.is(n.do(transfer(own, n.ref)), registry.ErrNotHeld)
		w.lapse()
		w.is(n.claim(a), nil)
		w.is(n.do(renew(l)), registry.ErrFenced)
	})
}

func listsNodes(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		w.audits = false
		var nodes []*node
		for i := range 13 {
			nodes = append(nodes, w.node(fmt.Sprintf("n%d", i), 0))
		}
		all := func() {
			for _, status := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
				for _, limit := range []int{1, 2, 5, 12, 13, 14, 0, registry.MaxPageLimit} {
					w.is(nodes[0].do(listNodes(status, limit)), nil)
				}
			}
		}
		all()
		w.is(nodes[1].do(deregister(nodes[1].ref)), nil)
		w.is(nodes[2].do(deregister(nodes[2].ref)), nil)
		w.is(nodes[2].register(registry.IfAbsent), nil)
		w.is(nodes[3].register(registry.Supersede), nil)
		all()
		w.fail(nodes[0], nodes[4])
		w.is(nodes[0].do(markFailed(nodes[5].ref)), nil)
		w.is(nodes[5].register(registry.IfAbsent), nil)
		w.is(nodes[0].do(heartbeat(nodes[0].ref)), nil)
		all()
		for _, n := range nodes {
			w.is(nodes[0].do(getNode(n.ref.ID)), nil)
		}
	})
}
