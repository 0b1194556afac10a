package sections

import (
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/op"
)

const day = 24 * time.Hour

// longSilence lets nothing happen for longer than any collector of what looks
// finished would wait. Records are never deleted, registrations neither, so that
// no token and no epoch is ever used twice.
func longSilence(t *trial.Trial) {
	silences := trial.SizedBy(t,
		[]time.Duration{2 * time.Hour, 366 * day},
		[]time.Duration{11 * time.Minute, 61 * time.Minute, 25 * time.Hour, 8 * day, 32 * day, 100 * day, 366 * day},
		[]time.Duration{time.Minute, 6 * time.Minute, 11 * time.Minute, 31 * time.Minute, 61 * time.Minute, 13 * time.Hour, 25 * time.Hour, 8 * day, 15 * day,
			32 * day, 91 * day, 181 * day, 366 * day, 3 * 366 * day, 11 * 366 * day, 101 * 366 * day})
	for _, silence := range silences {
		lockstep.In(t, t.Cfg, func(w *lockstep.Run) { afterSilence(w, silence) })
		if t.Judge.Dialect.Offers(op.ListActors) {
			lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
				cursorsAcross(w, w.Node("n1", 0), silence.String(), func() { w.Advance(silence) })
			})
		}
	}
}

// finished has the actors and nodes of a cluster with which nothing more seems to happen.
type finished struct {
	lapsed, released, handed registry.Lease
	abandoned                registry.Lease     // lapsed, and released late
	own                      []registry.Lease   // lapsed, and claimed again under their ids
	dead, gone, again        registry.NodeRef   // failed, left, superseded
	quiet                    []registry.NodeRef // active, and not heard of any more
	info                     registry.NodeInfo  // of the quiet ones
}

func finish(w *lockstep.Run, n1, n2 *lockstep.Node) (f finished) {
	dead, gone, again := w.Node("dead", 0), w.Node("gone", 0), w.Node("again", 0)
	for range 2 { // tokens above the first, so that one which begins anew is seen
		f.lapsed = w.Is(n1.Claim(w.Actor("lapsed")), nil).Lease()
		f.released = w.Is(dead.Claim(w.Actor("released")), nil).Lease()
		w.Is(n2.Do(call.Release(f.released)), nil)
		w.Lapse()
	}
	f.lapsed = w.Is(dead.Claim(w.Actor("lapsed")), nil).Lease()
	f.handed = w.Is(gone.Claim(w.Actor("handed")), nil).Lease()
	f.handed = w.Is(gone.Do(call.Transfer(f.handed, n2.Ref)), nil).Lease()
	w.Is(gone.Do(call.Deregister(gone.Ref)), nil)
	f.again = again.Ref
	w.Is(again.Register(registry.Supersede), nil)
	w.Is(n1.Do(call.Heartbeat(n1.Ref)), nil)
	w.Fail(n1, dead)
	f.dead, f.gone = dead.Ref, gone.Ref
	f.abandoned = w.Is(n2.Claim(w.Actor("abandoned")), nil).Lease()
	for i := range 2 {
		f.own = append(f.own, w.Is(n2.Claim(w.Actor(fmt.Sprint("own-", i))), nil).Lease())
	}
	if w.T.Judge.Found[backend.Instances] {
		f.info.Instance = registry.InstanceID{0: 0x0D}
	}
	for _, id := range []registry.NodeID{"quiet", "resting", "leaving"} {
		f.quiet = append(f.quiet, w.Is(n1.Do(call.RegisterNode(id, f.info, registry.IfAbsent)), nil).Node.Ref)
	}
	return f
}

// afterSilence looks at everything once before anybody writes, and again after
// writes elsewhere, which may set a collector going.
func afterSilence(w *lockstep.Run, silence time.Duration) {
	n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
	f := finish(w, n1, n2)
	w.Advance(silence)
	isKnown(w, n2, f)
	again := func(l registry.Lease) { w.Is(n2.Do(call.Claim(l.Actor, l.Holder, l.ClaimID)), nil) } // no repetition: it has lapsed
	again(f.own[0])
	w.Is(n1.Register(registry.Supersede), nil) // a write to a node
	w.Is(n1.Claim(w.Actor("fresh")), nil)      // and one to an actor
	w.Advance(silence)
	isKnown(w, n2, f)
	if _, ok := w.Cluster.(backend.Restarter); ok {
		w.Restart()
		isKnown(w, n2, f)
	}
	// Life goes on where it was.
	again(f.own[1])
	for _, l := range []registry.Lease{f.lapsed, f.released, f.handed} {
		w.Is(n1.Do(call.Renew(l)), call.Class(n1.Do(call.Renew(l)).Err))
		w.Is(n1.Claim(l.Actor), nil)
		w.Is(n1.Do(call.Validate(l.Actor, l.Token)), registry.ErrFenced)
		w.Is(n1.Do(call.Release(l)), registry.ErrFenced)
	}
	for _, ref := range []registry.NodeRef{f.dead, f.gone} {
		w.Is(n1.Do(call.RegisterNode(ref.ID, registry.NodeInfo{}, registry.IfAbsent)), nil)
		n1.Do(call.Heartbeat(ref))
	}
	w.Is(n1.Do(call.Release(f.abandoned)), nil) // whatever the clock says
	stillMembers(w, n1, f)
}

// stillMembers has nodes that were silent do what a node does, the last of them each by
// its first call: silence alone ends no registration.
func stillMembers(w *lockstep.Run, n *lockstep.Node, f finished) {
	quiet, resting, leaving := f.quiet[0], f.quiet[1], f.quiet[2]
	w.Is(n.Do(call.RegisterNode(quiet.ID, registry.NodeInfo{}, registry.IfAbsent)), registry.ErrNodeExists)
	if !f.info.Instance.IsZero() {
		w.Is(n.Do(call.RegisterNode(quiet.ID, f.info, registry.IfAbsent)), nil) // repeats
	}
	l := w.Is(n.Do(call.Claim(w.Actor("of the quiet"), quiet, w.ClaimID())), nil).Lease()
	w.Is(n.Do(call.Transfer(l, resting)), nil)
	w.Is(n.Do(call.Heartbeat(resting)), nil)
	w.Is(n.Do(call.Deregister(leaving)), nil)
	w.Is(n.Do(call.MarkFailed(quiet)), nil) // however long it was silent
}

// isKnown reads all that there is, and repeats what may be repeated.
func isKnown(w *lockstep.Run, n *lockstep.Node, f finished) {
	for _, l := range []registry.Lease{f.lapsed, f.released, f.handed} {
		w.Is(n.Do(call.Lookup(l.Actor)), nil)
		n.Do(call.Validate(l.Actor, l.Token))
		w.Is(n.Do(call.Validate(l.Actor, l.Token-1)), registry.ErrFenced)
	}
	w.Is(n.Do(call.Release(f.released)), nil) // repeats
	w.Is(n.Do(call.Renew(f.lapsed)), registry.ErrLapsed)
	for _, ref := range []registry.NodeRef{f.dead, f.gone, f.again, {ID: f.again.ID, Epoch: f.again.Epoch + 1}} {
		w.Is(n.Do(call.GetNode(ref.ID)), nil)
		n.Do(call.ListActors(ref, 0))
	}
	w.Is(n.Do(call.Heartbeat(f.dead)), registry.ErrNodeFailed)
	w.Is(n.Do(call.Heartbeat(f.gone)), registry.ErrNodeUnknown)
	n.Do(call.Claim(w.Actor("claimed"), f.dead, w.ClaimID()))
	n.Do(call.Claim(w.Actor("claimed"), f.gone, w.ClaimID()))
	for _, s := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
		w.Is(n.Do(call.ListNodes(s, 0)), nil)
	}
}

// longTenure renews one tenure for longer than anybody remembers a claim id by
// accident, and lets a node live as long.
func longTenure(t *trial.Trial) {
	lasts := trial.SizedBy(t, 2*time.Hour, 25*time.Hour, 32*day)
	cfg := t.Cfg
	cfg.TTL, cfg.FailureTimeout = registry.MaxTTL, registry.MaxFailureTimeout
	lockstep.In(t, cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		a, id := w.Actor("a"), w.ClaimID()
		l := w.Is(n1.Do(call.Claim(a, n1.Ref, id)), nil).Lease()
		w.Audits = false
		for i := 0; w.Time.Now().Sub(w.Began) < lasts; i++ {
			w.Advance(w.Cfg.TTL - time.Second)
			l = w.Is(n1.Do(call.Renew(l)), nil).Lease()
			if i%16 == 0 {
				w.Is(n1.Do(call.Claim(a, n1.Ref, id)), nil)
				w.Is(n2.Claim(a), registry.ErrHeld)
				w.Is(n2.Do(call.Validate(a, l.Token)), nil)
			}
		}
		w.Is(n1.Do(call.Claim(a, n1.Ref, id)), nil)
		for w.Time.Now().Sub(w.Began) < lasts+32*day {
			w.Advance(w.Cfg.FailureTimeout - time.Second)
			w.Is(n1.Do(call.Heartbeat(n1.Ref)), nil)
			w.Is(n2.Do(call.MarkFailed(n1.Ref)), registry.ErrNodeAlive)
			w.Is(n1.Register(registry.IfAbsent), registry.ErrNodeExists)
		}
		w.Is(n1.Claim(a), nil)
	})
}

// lifecycle takes leases and a node through their phases, one nanosecond before, at
// and after each boundary, by clocks at both ends of the skew.
func lifecycle(w *lockstep.Run) {
	slow, fast := w.Node("slow", -w.Cfg.MaxClockSkew), w.Node("fast", w.Cfg.MaxClockSkew)
	claimed := w.Is(slow.Claim(w.Actor("claimed")), nil).Lease()
	handed := w.Is(slow.Claim(w.Actor("handed")), nil).Lease()
	again := call.Claim(w.Actor("renewed"), slow.Ref, w.ClaimID())
	renewed := w.Is(slow.Do(again), nil).Lease()
	batch := call.RenewBatchCall([]registry.Lease{w.Is(slow.Claim(w.Actor("batched")), nil).Lease()})
	batches := w.T.Judge.Found[backend.BatchRenew]
	w.Advance(w.Cfg.TTL / 3)
	renewed = w.Is(slow.Do(call.Renew(renewed)), nil).Lease()
	if batches {
		slow.Do(batch)
	}
	w.Is(fast.Do(call.Heartbeat(fast.Ref)), nil)
	refusalsAbout(fast, fast.Ref)

	w.Until(slow, handed.Expiry-1)
	handed = w.Is(slow.Do(call.Transfer(handed, fast.Ref)), nil).Lease()
	for _, b := range lockstep.Boundaries(w.Cfg) {
		if at := claimed.Expiry.Add(b); at > fast.Clock.Now() {
			w.Until(fast, at)
		}
		fast.Do(call.Claim(claimed.Actor, fast.Ref, w.ClaimID())) // held, until it is reclaimable
		fast.Do(call.Validate(claimed.Actor, claimed.Token))
	}
	if at := renewed.Expiry.Add(w.Cfg.Grace - 1); at > slow.Clock.Now() {
		w.Until(slow, at) // the last moment
		slow.Do(again)    // repeats
		renewed = w.Is(slow.Do(call.Renew(renewed)), nil).Lease()
		if batches {
			slow.Do(batch)
		}
	}
	if w.T.Judge.Found[backend.Watch] {
		w.Is(fast.Do(call.WatchCall(renewed.Actor, renewed.Version+1)), nil) // differs: at once
	}
	w.Until(slow, renewed.Expiry.Add(w.Cfg.Grace))
	w.Is(slow.Do(call.Renew(renewed)), registry.ErrLapsed)
	slow.Do(call.Transfer(renewed, fast.Ref))
	if batches {
		slow.Do(batch)
	}
	slow.Do(again)
	w.Until(fast, fast.Clock.Now()) // nothing: the listing is at the same instant
	fast.Do(call.ListActors(slow.Ref, 0))
	fast.Do(call.ListActors(fast.Ref, 0))

	w.Is(slow.Do(call.Heartbeat(slow.Ref)), nil)
	seen := slow.Clock.Now()
	w.Until(fast, w.Cfg.FailedAt(seen)-1)
	w.Is(fast.Do(call.MarkFailed(slow.Ref)), registry.ErrNodeAlive)
	w.Advance(1)
	w.Is(fast.Do(call.MarkFailed(slow.Ref)), nil)
	w.Is(slow.Do(call.Heartbeat(slow.Ref)), registry.ErrNodeFailed)
	registersTwice(w, slow, registry.IfAbsent)
	fast.Do(call.ListNodes(registry.AnyStatus, 0))
}

// refusalsAbout makes calls that are refused and tell the registration of a node that was
// just heard of.
func refusalsAbout(by *lockstep.Node, ref registry.NodeRef) {
	next := registry.NodeRef{ID: ref.ID, Epoch: ref.Epoch + 1}
	for _, c := range []call.Call{call.RegisterNode(ref.ID, registry.NodeInfo{}, registry.IfAbsent), call.MarkFailed(ref), call.Heartbeat(next)} {
		if len(by.W.Late) == 0 { // each more would double what is possible
			by.Do(c)
		}
	}
}

// registersTwice begins n's next incarnation, and repeats the registration where the
// backend knows repetitions.
func registersTwice(w *lockstep.Run, n *lockstep.Node, mode registry.RegisterMode) {
	if !w.T.Judge.Found[backend.Instances] || len(w.Late) > 0 { // each more that is late would double what is possible
		w.Is(n.Register(mode), nil)
		return
	}
	c := call.RegisterNode(n.Ref.ID, registry.NodeInfo{Address: n.Name + ":7000", Instance: registry.InstanceID{0: 0x0D, 15: byte(n.Ref.Epoch)}}, mode)
	w.Is(n.Do(c), nil)
	w.Is(n.Do(c), nil)
}

// dates are instants at which a way of writing times ends.
func dates(t *trial.Trial) {
	second := registry.Instant(time.Second)
	const ms, us = registry.Instant(time.Millisecond), registry.Instant(time.Microsecond)
	list := []registry.Instant{
		0,                    // the first second of 1970
		1<<31 - 1, 1<<32 - 1, // of nanoseconds
		1 << 53, 10_000 * second, // of nanoseconds as a float; of seconds, four digits and five
		(1<<31 - 1) * us, (1<<32 - 1) * us, (1<<31 - 1) * ms, (1<<32 - 1) * ms,
		999_999_999 * second, // 2001: digits of seconds, and of nanoseconds
		(1<<31 - 1) * second, // 2038
		(1<<32 - 1) * second, // 2106
		registry.InstantOf(time.Date(2016, 12, 31, 23, 59, 59, 0, time.UTC)), // a leap second follows
		registry.InstantOf(time.Date(2023, 12, 31, 23, 59, 59, 0, time.UTC)),
		registry.InstantOf(time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC)),
		registry.InstantOf(time.Date(2024, 12, 31, 23, 59, 59, 0, time.UTC)), // the 366th day
		registry.InstantOf(time.Date(2026, 3, 29, 0, 59, 59, 0, time.UTC)),   // summer time begins and ends in Europe,
		registry.InstantOf(time.Date(2026, 10, 25, 0, 59, 59, 0, time.UTC)),
		registry.InstantOf(time.Date(2026, 3, 8, 6, 59, 59, 0, time.UTC)), // in New York,
		registry.InstantOf(time.Date(2026, 11, 1, 5, 59, 59, 0, time.UTC)),
		registry.InstantOf(time.Date(2026, 3, 8, 9, 59, 59, 0, time.UTC)), // in Los Angeles,
		registry.InstantOf(time.Date(2026, 11, 1, 8, 59, 59, 0, time.UTC)),
		registry.InstantOf(time.Date(2026, 4, 4, 15, 59, 59, 0, time.UTC)), // in Sydney
		registry.InstantOf(time.Date(2026, 10, 3, 15, 59, 59, 0, time.UTC)),
		registry.InstantOf(time.Date(2100, 2, 28, 23, 59, 59, 0, time.UTC)), // not a leap year
		registry.InstantOf(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)),
		(1<<53 - 1) * us, // 2255
	}
	for _, d := range list {
		// The lease begins before and ends after it. No clock reads less than a nanosecond after 1970 began.
		for _, before := range trial.SizedBy(t, []time.Duration{t.Cfg.TTL / 2}, []time.Duration{0, t.Cfg.TTL / 2}, []time.Duration{0, t.Cfg.TTL / 2, t.Cfg.TTL, t.Cfg.TTL + t.Cfg.Grace, t.Cfg.FailureTimeout}) {
			now := max(d.Add(-before), registry.Instant(1).Add(t.Cfg.MaxClockSkew))
			lockstep.At(t, now, t.Cfg, lifecycle)
		}
	}
}

// rounding has readings and bounds that no larger unit can hold.
func rounding(t *trial.Trial) {
	rest := []time.Duration{
		1, 499, 500, 501, 999, 1000, 1001, 499_999, 500_000, 500_001, 999_999, 1_000_001,
		499_999_999, 500_000_000, 500_000_001, 999_999_999, 123_456_789,
	}
	for i, r := range rest {
		lockstep.At(t, trial.Epoch0.Add(r), t.Cfg, lifecycle)
		cfg := t.Cfg // bounds that no larger unit can hold either
		cfg.TTL += rest[(i+5)%len(rest)]
		cfg.Grace = min(cfg.Grace+rest[(i+7)%len(rest)], cfg.TTL)
		cfg.MaxClockSkew = min(cfg.MaxClockSkew+rest[(i+11)%len(rest)]/2, cfg.TTL/4)
		cfg.FailureTimeout = max(cfg.FailureTimeout+rest[(i+13)%len(rest)], 2*cfg.MaxClockSkew+1)
		if cfg.Validate() == nil {
			lockstep.At(t, trial.Epoch0.Add(r), cfg, lifecycle)
		}
	}
}

// boundsAtLimits has clusters of every combination of the least and the most that
// each bound may be.
func boundsAtLimits(t *trial.Trial) {
	for _, ttl := range []time.Duration{registry.MinTTL, registry.MinTTL + 1, registry.MaxTTL - 1, registry.MaxTTL} {
		for _, grace := range []time.Duration{0, 1, ttl - 1, ttl} {
			for _, skew := range []time.Duration{0, 1, ttl / 4} {
				for _, failure := range []time.Duration{2*skew + 1, max(ttl, 2*skew+1), registry.MaxFailureTimeout} {
					cfg := registry.Config{TTL: ttl, Grace: grace, MaxClockSkew: skew, FailureTimeout: failure}
					if err := cfg.Validate(); err != nil {
						t.GiveUp("the suite chose a bad configuration: %v", err)
					}
					lockstep.In(t, cfg, lifecycle)
				}
			}
		}
	}
}
