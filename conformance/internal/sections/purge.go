package sections

import (
	"context"
	"errors"
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

func purgeSection() trial.Section {
	rules := []contract.RuleID{contract.PurgeSpares, contract.TokenMonotonic, contract.VersionBump, contract.NoStaleWrite}
	needs := func(more ...backend.Capability) []backend.Capability {
		return append([]backend.Capability{backend.Purging, backend.ClockControl}, more...)
	}
	calls := traffic.Mix{op.Claim: 20, op.Renew: 8, op.Release: 12, op.Transfer: 5, op.Lookup: 4, op.Validate: 6, op.ListActors: 1,
		op.RegisterNode: 4, op.DeregisterNode: 4, traffic.Tick: 24, traffic.Drift: 4, traffic.Purge: 14}
	crashing := traffic.Mix{op.Claim: 16, op.Renew: 4, op.Release: 12, op.Transfer: 3, op.Validate: 3, op.RegisterNode: 2, op.DeregisterNode: 2,
		traffic.Tick: 18, traffic.Purge: 12, traffic.Crash: 12}
	racing := concurrent.Profile{Clients: [2]int{2, 4}, Nodes: 3, Actors: 2, Rounds: 5, Program: 2,
		Mix:     traffic.Mix{op.Claim: 20, op.Renew: 5, op.Release: 12, op.Transfer: 2, op.Validate: 6, op.Lookup: 3, op.DeregisterNode: 1, op.RegisterNode: 1},
		Between: traffic.Mix{traffic.Tick: 8, traffic.Purge: 2}, During: traffic.Mix{traffic.Purge: 6, traffic.Tick: 2}, Histories: 100}
	against := racing // a purge that looks first and then forgets meets what came in between
	against.Clients, against.Actors, against.Program, against.Rounds, against.Purging = [2]int{3, 4}, 1, 4, 6, true
	against.Mix = traffic.Mix{op.Claim: 20, op.Release: 18, op.Renew: 4, op.Validate: 4, op.Lookup: 2}
	against.Between, against.During, against.Histories = traffic.Mix{traffic.Tick: 1}, traffic.Mix{traffic.Tick: 1}, 240
	troubled := racing
	troubled.Histories = 80
	troubled.Faults = backend.Faults{Unavailable: 0.05, LostAnswer: 0.1, LostRequest: 0.05, Late: 0.1}
	return trial.Section{
		Name: "purge",
		Doc:  "a store that forgets is told to: what comes late is refused, and who comes next starts above the floor",
		Cases: []trial.Case{
			{Name: "late-calls", Doc: "writes, renewals, hand-offs and releases of tenures from before a purge, before the actor is claimed again and after it",
				Rules: rules, Needs: needs(), Run: lateAfterPurge},
			{Name: "spares", Doc: "what is live, in grace, not yet reclaimable, or of an active node is not forgotten, whatever has become of its holder, by clocks that differ, at each boundary and long after",
				Rules: rules, Needs: needs(), Run: purgeSpares},
			{Name: "many-names", Doc: "actors with tokens of every height are forgotten, the low ones last, and claimed again",
				Rules: rules, Needs: needs(), Run: purgesMany},
			{Name: "seeded-counters", Doc: "tokens and versions near the ends of their widths are forgotten, and the actor is claimed again",
				Rules: rules, Needs: needs(backend.Seeding), Run: purgesSeeded},
			{Name: "not-asked", Doc: "a purge through a handle that is closed, and under a context that has ended, forgets nothing",
				Rules: []contract.RuleID{contract.ClosedSecond, contract.ContextThird, contract.PurgeSpares}, Needs: needs(), Run: purgesNothing},
			{Name: "random", Doc: "random sequences with purges between any two steps", Draws: true, Rules: rules, Needs: needs(),
				Run: func(t *trial.Trial) { lockstep.Sequences(t, calls) }},
			{Name: "racing", Doc: "purges while others claim, renew and release, checked for linearizability", Draws: true, Needs: needs(),
				Rules: append([]contract.RuleID{contract.Linearizability}, rules...), Run: func(t *trial.Trial) { concurrent.Scenarios(t, racing) }},
			{Name: "against-claims", Doc: "one process purges again and again while others claim, release and claim: no record goes that was claimed meanwhile", Draws: true, Needs: needs(),
				Rules: append([]contract.RuleID{contract.Linearizability, contract.SingleActivation}, rules...), Run: func(t *trial.Trial) { concurrent.Scenarios(t, against) }},
			{Name: "restarts", Doc: "purges and restarts between any two steps: the floor is still there", Draws: true, Needs: needs(backend.Restart),
				Rules: append([]contract.RuleID{contract.Durability}, rules...), Run: func(t *trial.Trial) { lockstep.Sequences(t, crashing) }},
			{Name: "faults", Doc: "purges while requests and answers are lost or late: a claim of unknown outcome is not granted again under its token", Draws: true, Needs: needs(backend.Faulty),
				Rules: append([]contract.RuleID{contract.AmbiguousTruth}, rules...), Run: func(t *trial.Trial) { concurrent.Scenarios(t, troubled) }},
		},
	}
}

// lateAfterPurge ends tenures in every way, lets them be forgotten, and sends what
// their holders still had under way.
func lateAfterPurge(t *trial.Trial) {
	ends := map[string]func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) []registry.Lease{
		"released": func(w *lockstep.Run, l registry.Lease, from, _ *lockstep.Node) []registry.Lease {
			w.Is(from.Do(call.Release(l)), nil)
			return nil
		},
		"handed over and released": func(w *lockstep.Run, l registry.Lease, from, to *lockstep.Node) []registry.Lease {
			next := from.Do(call.Transfer(l, to.Ref))
			if next.Err != nil { // not in the dialect
				return nil
			}
			w.Is(to.Do(call.Release(next.Lease())), nil)
			return []registry.Lease{next.Lease()}
		},
		"left by a node that deregistered": func(w *lockstep.Run, l registry.Lease, from, _ *lockstep.Node) []registry.Lease {
			from.Do(call.Deregister(from.Ref))
			return nil
		},
		"left by a node that was marked failed": func(w *lockstep.Run, _ registry.Lease, from, to *lockstep.Node) []registry.Lease {
			w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew)
			to.Do(call.MarkFailed(from.Ref))
			return nil
		},
		"left by a process that was replaced": func(_ *lockstep.Run, _ registry.Lease, from, _ *lockstep.Node) []registry.Lease {
			from.Register(registry.Supersede)
			return nil
		},
	}
	for _, how := range []string{"released", "handed over and released", "left by a node that deregistered", "left by a node that was marked failed", "left by a process that was replaced"} {
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
			from, to := w.Node("n1", 0), w.Node("n2", 0)
			l := w.Is(from.Claim(w.Actor("a")), nil).Lease()
			l = w.Is(from.Do(call.Renew(l)), nil).Lease()
			past := append([]registry.Lease{l}, ends[how](w, l, from, to)...)
			for range 3 {
				w.Lapse()
				to.Purge()
				late(past, from, to)
				next := w.Is(to.Claim(l.Actor), nil).Lease()
				late(past, from, to)
				w.Is(to.Do(call.Validate(next.Actor, next.Token)), nil)
				next = w.Is(to.Do(call.Renew(next)), nil).Lease()
				w.Is(to.Do(call.Release(next)), nil)
				past = append(past, next)
			}
		})
	}
}

// late makes every call that presents one of the tenures, through both handles, and the
// claim of the latest again.
func late(past []registry.Lease, from, to *lockstep.Node) {
	for _, l := range past {
		for _, via := range []*lockstep.Node{from, to} {
			via.Do(call.Validate(l.Actor, l.Token))
			via.Do(call.Renew(l))
			via.Do(call.Transfer(l, to.Ref))
			via.Do(call.Release(l))
			via.Do(call.Lookup(l.Actor))
		}
	}
}

// departures are what becomes of a holder before a purge meets its records. All of them
// have been silent for so long that they may be failed.
var departures = []struct {
	name string
	ends func(holder registry.NodeRef) []call.Call
}{
	{"active", func(registry.NodeRef) []call.Call { return nil }},
	{"active-again", func(registry.NodeRef) []call.Call { return nil }},
	{"left", func(h registry.NodeRef) []call.Call { return []call.Call{call.Deregister(h)} }},
	{"failed", func(h registry.NodeRef) []call.Call { return []call.Call{call.MarkFailed(h)} }},
	{"failed-and-left", func(h registry.NodeRef) []call.Call { return []call.Call{call.MarkFailed(h), call.Deregister(h)} }},
	{"replaced", func(h registry.NodeRef) []call.Call {
		return []call.Call{call.RegisterNode(h.ID, registry.NodeInfo{Address: "later"}, registry.Supersede)}
	}},
	{"replaced-twice", func(h registry.NodeRef) []call.Call {
		again := call.RegisterNode(h.ID, registry.NodeInfo{Address: "later"}, registry.Supersede)
		return []call.Call{again, again}
	}},
}

// purgeSpares purges with the holders' leases at each boundary and long after, through the
// slower of two clocks and through the faster.
func purgeSpares(t *trial.Trial) {
	odd := t.Cfg // bounds that no larger unit can hold
	odd.Grace, odd.MaxClockSkew = max(odd.Grace-1, 0), max(odd.MaxClockSkew-1, 0)
	for _, cfg := range append(t.Configs(), odd) {
		at := []time.Duration{cfg.Grace + 2*cfg.MaxClockSkew - 1}
		if cfg == t.Cfg {
			at = append(lockstep.Boundaries(cfg), 10*cfg.TTL, 24*time.Hour, 400*24*time.Hour)
		}
		for _, at := range at {
			for by := range 2 {
				lockstep.In(t, cfg, func(w *lockstep.Run) { spares(w, at, by) })
			}
		}
	}
}

// spares has one of two nodes purge that long after the expiry of leases that holders of
// every standing have claimed, renewed and been handed.
func spares(w *lockstep.Run, at time.Duration, by int) {
	slow, fast := w.Node("slow", -w.Cfg.MaxClockSkew), w.Node("fast", w.Cfg.MaxClockSkew)
	w.Audits = false // all is read after the purge
	var holders []registry.NodeRef
	for _, d := range departures {
		got := slow.Do(call.RegisterNode(registry.NodeID(d.name), registry.NodeInfo{Address: "of " + d.name}, registry.IfAbsent))
		if got.Err != nil { // not in the dialect: whoever claims is a holder
			holders = append(holders, slow.Ref)
			break
		}
		if d.name == "active-again" {
			got = w.Is(slow.Do(call.RegisterNode(got.Node.Ref.ID, registry.NodeInfo{}, registry.Supersede)), nil)
		}
		holders = append(holders, got.Node.Ref)
	}
	w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew)
	leases := leasesOf(w, slow, holders)
	for i, h := range holders {
		for _, c := range departures[i].ends(h) {
			w.Is(fast.Do(c), nil)
		}
	}
	purger := []*lockstep.Node{slow, fast}[by]
	w.Until(purger, leases[0].Expiry.Add(at))
	for _, l := range leases { // names like those that may go
		upper, elsewhere := l.Actor, l.Actor
		upper.Name, elsewhere.Namespace = strings.ToUpper(upper.Name), "elsewhere"
		w.Is(fast.Claim(upper), nil)
		w.Is(fast.Claim(elsewhere), nil)
	}
	fast.Do(call.Heartbeat(fast.Ref)) // whose reading is not the purger's
	purger.Purge()
	for _, l := range leases {
		fast.Do(call.Lookup(l.Actor))
	}
	everybody := func() {
		for _, h := range holders {
			fast.Do(call.ListActors(h, 0))
			fast.Do(call.GetNode(h.ID))
		}
	}
	everybody()
	for _, l := range leases {
		fast.Claim(l.Actor)
	}
	purger.Purge() // now that some hold nothing any more
	everybody()
}

// leasesOf returns leases of each holder that end at the same instant: one that was
// renewed, and one that was handed over; and one that the first holder has released.
func leasesOf(w *lockstep.Run, n *lockstep.Node, holders []registry.NodeRef) (leases []registry.Lease) {
	claim := func(what string, of int, by registry.NodeRef) registry.Lease {
		return w.Is(n.Do(call.Claim(w.Actor(fmt.Sprint(what, "-", holders[of].ID)), by, w.ClaimID())), nil).Lease()
	}
	var claimed []registry.Lease
	for i, h := range holders {
		claimed = append(claimed, claim("renewed", i, h))
	}
	w.Advance(w.Cfg.TTL / 4)
	for i, h := range holders {
		leases = append(leases, w.Is(n.Do(call.Renew(claimed[i])), nil).Lease())
		if handed := n.Do(call.Transfer(claim("handed", i, n.Ref), h)); handed.Err == nil { // it is in the dialect
			leases = append(leases, handed.Lease())
		}
	}
	released := claim("released", 0, holders[0])
	w.Is(n.Do(call.Release(released)), nil)
	return append(leases, released)
}

// purgesMany lets actors reach tokens of every height and has them forgotten, then
// others that have the lowest, and claims all of them again.
func purgesMany(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		w.Audits = false // each claim's answer tells what it started from
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		many := trial.SizedBy(t, 160, 400, 2000)
		claim := func(i int) registry.Lease {
			return w.Is(n1.Claim(w.Actor(fmt.Sprintf("a%04d", i))), nil).Lease()
		}
		release := func(l registry.Lease) { w.Is(n1.Do(call.Release(l)), nil) }
		for i := 1; i < many; i += 2 {
			for range 2 + i%4 {
				release(claim(i))
			}
		}
		for range 9 { // one of them has had the most by far, whose name is the last
			release(claim(many - 1))
		}
		w.Lapse()
		var low []registry.Lease
		for i := 0; i < many; i += 2 {
			low = append(low, claim(i))
		}
		n2.Purge() // of the high ones: the low ones are live
		for _, l := range low {
			release(l)
		}
		w.Lapse()
		n2.Purge()
		for i := range many {
			release(claim(i))
		}
	})
	if t.Judge.Dialect.Offers(op.ListActors) {
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
			n := w.Node("n1", 0)
			cursorsAcross(w, n, "a purge", func() { n.Purge() })
		})
	}
}

// purgesSeeded lets a cluster forget a record whose counters stand near each width. Those
// near the last of all are left out: a floor may lie higher than it must.
func purgesSeeded(t *trial.Trial) {
	for _, base := range bases() {
		if base >= 1<<64-1<<32 {
			continue
		}
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
			n := w.Node("n1", 0)
			v := base - 2
			l := registry.Lease{Actor: w.Actor("a"), Holder: n.Ref, Token: registry.Token(v), Version: registry.Version(v), Expiry: w.Time.Now().Add(w.Cfg.TTL), ClaimID: w.ClaimID()}
			if !w.Seed(lockstep.Seeds{Records: []registry.Placement{registry.Placement(l)}}) {
				return
			}
			w.Audits = false // each claim's answer tells what it started from
			for range 2 {
				w.Is(n.Do(call.Release(l)), nil)
				n.Purge()
				l = w.Is(n.Claim(l.Actor), nil).Lease()
			}
		})
	}
}

// purgesNothing has what may be forgotten when nobody asks for it.
func purgesNothing(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		l := w.Is(n.Claim(w.Actor("a")), nil).Lease()
		w.Is(n.Do(call.Release(l)), nil)
		w.Lapse()
		ended := func(ctx context.Context, _ registry.Handle) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(errors.New("the caller has gone"))
			return ctx
		}
		closed := func(ctx context.Context, h registry.Handle) context.Context {
			_ = h.Close()
			return ctx
		}
		n.PurgesNothing(context.Canceled, ended)
		n.PurgesNothing(registry.ErrClosed, closed)
		n.PurgesNothing(registry.ErrClosed, func(ctx context.Context, h registry.Handle) context.Context { return ended(closed(ctx, h), h) })
	})
}
