package conformance

import (
	"time"

	"github.com/kelpie-registry/registry"
)

// at runs f in a new world whose true time begins at now.
func (t *trial) at(now registry.Instant, cfg registry.Config, f func(*lockstep)) {
	w := t.lockstepOn(t.newSessionAt(cfg, now), t.seed)
	f(w)
	w.close()
}

const day = 24 * time.Hour

// longSilence lets nothing happen for longer than any collector of what looks
// finished would wait. Records are never deleted, registrations neither, so that
// no token and no epoch is ever used twice.
func longSilence(t *trial) {
	silences := sizedBy(t,
		[]time.Duration{2 * time.Hour, 366 * day},
		[]time.Duration{11 * time.Minute, 61 * time.Minute, 25 * time.Hour, 8 * day, 32 * day, 100 * day, 366 * day},
		[]time.Duration{time.Minute, 6 * time.Minute, 11 * time.Minute, 31 * time.Minute, 61 * time.Minute, 13 * time.Hour, 25 * time.Hour, 8 * day, 15 * day,
			32 * day, 91 * day, 181 * day, 366 * day, 3 * 366 * day, 11 * 366 * day, 101 * 366 * day})
	for _, silence := range silences {
		t.in(t.cfg, func(w *lockstep) { w.afterSilence(silence) })
	}
}

// finished is what a cluster has of actors and nodes whose story seems to be over.
type finished struct {
	lapsed, released, handed registry.Lease
	dead, gone, again        registry.NodeRef // failed, left, superseded
}

func (w *lockstep) finish(n1, n2 *node) (f finished) {
	dead, gone, again := w.node("dead", 0), w.node("gone", 0), w.node("again", 0)
	for range 2 { // tokens above the first, so that one which begins anew is seen
		f.lapsed = w.is(n1.claim(w.actor("lapsed")), nil).Lease()
		f.released = w.is(dead.claim(w.actor("released")), nil).Lease()
		w.is(n2.do(release(f.released)), nil)
		w.lapse()
	}
	f.lapsed = w.is(dead.claim(w.actor("lapsed")), nil).Lease()
	f.handed = w.is(gone.claim(w.actor("handed")), nil).Lease()
	f.handed = w.is(gone.do(transfer(f.handed, n2.ref)), nil).Lease()
	w.is(gone.do(deregister(gone.ref)), nil)
	f.again = again.ref
	w.is(again.register(registry.Supersede), nil)
	w.is(n1.do(heartbeat(n1.ref)), nil)
	w.fail(n1, dead)
	f.dead, f.gone = dead.ref, gone.ref
	return f
}

// afterSilence looks at everything once before anybody writes, and again after
// writes elsewhere, which may set a collector going.
func (w *lockstep) afterSilence(silence time.Duration) {
	n1, n2 := w.node("n1", 0), w.node("n2", 0)
	f := w.finish(n1, n2)
	w.advance(silence)
	w.isKnown(n2, f)
	w.is(n1.register(registry.Supersede), nil) // a write to a node
	w.is(n1.claim(w.actor("fresh")), nil)      // and one to an actor
	w.advance(silence)
	w.isKnown(n2, f)
	if _, ok := w.cluster.(Restarter); ok {
		w.restart()
		w.isKnown(n2, f)
	}
	// Life goes on where it was.
	for _, l := range []registry.Lease{f.lapsed, f.released, f.handed} {
		w.is(n1.do(renew(l)), class(n1.do(renew(l)).Err))
		w.is(n1.claim(l.Actor), nil)
		w.is(n1.do(validate(l.Actor, l.Token)), registry.ErrFenced)
		w.is(n1.do(release(l)), registry.ErrFenced)
	}
	for _, ref := range []registry.NodeRef{f.dead, f.gone} {
		w.is(n1.do(registerNode(ref.ID, registry.NodeInfo{}, registry.IfAbsent)), nil)
		n1.do(heartbeat(ref))
	}
}

// isKnown reads all that there is, and repeats what may be repeated.
func (w *lockstep) isKnown(n *node, f finished) {
	for _, l := range []registry.Lease{f.lapsed, f.released, f.handed} {
		w.is(n.do(lookup(l.Actor)), nil)
		n.do(validate(l.Actor, l.Token))
		w.is(n.do(validate(l.Actor, l.Token-1)), registry.ErrFenced)
	}
	w.is(n.do(release(f.released)), nil) // repeats
	w.is(n.do(renew(f.lapsed)), registry.ErrLapsed)
	for _, ref := range []registry.NodeRef{f.dead, f.gone, f.again, {ID: f.again.ID, Epoch: f.again.Epoch + 1}} {
		w.is(n.do(getNode(ref.ID)), nil)
		n.do(listActors(ref, 0))
	}
	w.is(n.do(heartbeat(f.dead)), registry.ErrNodeFailed)
	w.is(n.do(heartbeat(f.gone)), registry.ErrNodeUnknown)
	n.do(claim(w.actor("claimed"), f.dead, w.claimID()))
	n.do(claim(w.actor("claimed"), f.gone, w.claimID()))
	for _, s := range []registry.NodeStatus{registry.AnyStatus, registry.NodeActive, registry.NodeFailed, registry.NodeLeft} {
		w.is(n.do(listNodes(s, 0)), nil)
	}
}

// longTenure renews one tenure for longer than anybody remembers a claim id by
// accident, and lets a node live as long.
func longTenure(t *trial) {
	lasts := sizedBy(t, 2*time.Hour, 25*time.Hour, 32*day)
	cfg := t.cfg
	cfg.TTL, cfg.FailureTimeout = registry.MaxTTL, registry.MaxFailureTimeout
	t.in(cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		a, id := w.actor("a"), w.claimID()
		l := w.is(n1.do(claim(a, n1.ref, id)), nil).Lease()
		w.audits = false
		for i := 0; w.time.Now().Sub(w.began) < lasts; i++ {
			w.advance(w.cfg.TTL - time.Second)
			l = w.is(n1.do(renew(l)), nil).Lease()
			if i%16 == 0 {
				w.is(n1.do(claim(a, n1.ref, id)), nil)
				w.is(n2.claim(a), registry.ErrHeld)
				w.is(n2.do(validate(a, l.Token)), nil)
			}
		}
		w.is(n1.do(claim(a, n1.ref, id)), nil)
		for w.time.Now().Sub(w.began) < 32*day {
			w.advance(w.cfg.FailureTimeout - time.Second)
			w.is(n1.do(heartbeat(n1.ref)), nil)
			w.is(n2.do(markFailed(n1.ref)), registry.ErrNodeAlive)
			w.is(n1.register(registry.IfAbsent), registry.ErrNodeExists)
		}
		w.is(n1.claim(a), nil)
	})
}

// lifecycle takes leases and a node through their phases, one nanosecond before, at
// and after each boundary, by clocks at both ends of the skew.
func (w *lockstep) lifecycle() {
	slow, fast := w.node("slow", -w.cfg.MaxClockSkew), w.node("fast", w.cfg.MaxClockSkew)
	claimed := w.is(slow.claim(w.actor("claimed")), nil).Lease()
	handed := w.is(slow.claim(w.actor("handed")), nil).Lease()
	renewed := w.is(slow.claim(w.actor("renewed")), nil).Lease()
	w.advance(w.cfg.TTL / 3)
	renewed = w.is(slow.do(renew(renewed)), nil).Lease()
	w.is(fast.do(heartbeat(fast.ref)), nil)

	w.until(slow, handed.Expiry-1)
	handed = w.is(slow.do(transfer(handed, fast.ref)), nil).Lease()
	for _, b := range boundaries(w.cfg) {
		if at := claimed.Expiry.Add(b); at > fast.clock.Now() {
			w.until(fast, at)
		}
		fast.do(claim(claimed.Actor, fast.ref, w.claimID())) // held, until it is reclaimable
		fast.do(validate(claimed.Actor, claimed.Token))
	}
	if at := renewed.Expiry.Add(w.cfg.Grace - 1); at > slow.clock.Now() {
		w.until(slow, at)
		renewed = w.is(slow.do(renew(renewed)), nil).Lease() // the last moment
	}
	w.until(slow, renewed.Expiry.Add(w.cfg.Grace))
	w.is(slow.do(renew(renewed)), registry.ErrLapsed)
	slow.do(transfer(renewed, fast.ref))
	w.until(fast, fast.clock.Now()) // nothing: the listing is at the same instant
	fast.do(listActors(slow.ref, 0))
	fast.do(listActors(fast.ref, 0))

	w.is(slow.do(heartbeat(slow.ref)), nil)
	seen := slow.clock.Now()
	w.until(fast, w.cfg.FailedAt(seen)-1)
	w.is(fast.do(markFailed(slow.ref)), registry.ErrNodeAlive)
	w.advance(1)
	w.is(fast.do(markFailed(slow.ref)), nil)
	w.is(slow.do(heartbeat(slow.ref)), registry.ErrNodeFailed)
	w.is(slow.register(registry.IfAbsent), nil)
	fast.do(listNodes(registry.AnyStatus, 0))
}

// dates are instants at which a way of writing times ends.
func dates(t *trial) {
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
		registry.InstantOf(time.Date(2023, 12, 31, 23, 59, 59, 0, time.UTC)),
		registry.InstantOf(time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC)),
		registry.InstantOf(time.Date(2026, 3, 29, 0, 59, 59, 0, time.UTC)), // summer time
		registry.InstantOf(time.Date(2026, 10, 25, 0, 59, 59, 0, time.UTC)),
		registry.InstantOf(time.Date(2100, 2, 28, 23, 59, 59, 0, time.UTC)), // not a leap year
		registry.InstantOf(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)),
		(1<<53 - 1) * us, // 2255
	}
	for _, d := range list {
		// The lease begins before and ends after it. No clock reads less than a nanosecond after 1970 began.
		for _, before := range sizedBy(t, []time.Duration{t.cfg.TTL / 2}, []time.Duration{t.cfg.TTL / 2}, []time.Duration{0, t.cfg.TTL / 2, t.cfg.TTL, t.cfg.TTL + t.cfg.Grace, t.cfg.FailureTimeout}) {
			now := max(d.Add(-before), registry.Instant(1).Add(t.cfg.MaxClockSkew))
			t.at(now, t.cfg, (*lockstep).lifecycle)
		}
	}
}

// rounding has readings and bounds that no larger unit can hold.
func rounding(t *trial) {
	rest := []time.Duration{
		1, 499, 500, 501, 999, 1000, 1001, 499_999, 500_000, 500_001, 999_999, 1_000_001,
		499_999_999, 500_000_000, 500_000_001, 999_999_999, 123_456_789,
	}
	for i, r := range rest {
		t.at(epoch0.Add(r), t.cfg, (*lockstep).lifecycle)
		cfg := t.cfg // bounds that no larger unit can hold either
		cfg.TTL += rest[(i+5)%len(rest)]
		cfg.Grace = min(cfg.Grace+rest[(i+7)%len(rest)], cfg.TTL)
		cfg.MaxClockSkew = min(cfg.MaxClockSkew+rest[(i+11)%len(rest)]/2, cfg.TTL/4)
		cfg.FailureTimeout = max(cfg.FailureTimeout+rest[(i+13)%len(rest)], 2*cfg.MaxClockSkew+1)
		if cfg.Validate() == nil {
			t.at(epoch0.Add(r), cfg, (*lockstep).lifecycle)
		}
	}
}

// boundsAtLimits has clusters of every combination of the least and the most that
// each bound may be.
func boundsAtLimits(t *trial) {
	for _, ttl := range []time.Duration{registry.MinTTL, registry.MinTTL + 1, registry.MaxTTL - 1, registry.MaxTTL} {
		for _, grace := range []time.Duration{0, 1, ttl - 1, ttl} {
			for _, skew := range []time.Duration{0, 1, ttl / 4} {
				for _, failure := range []time.Duration{2*skew + 1, max(ttl, 2*skew+1), registry.MaxFailureTimeout} {
					cfg := registry.Config{TTL: ttl, Grace: grace, MaxClockSkew: skew, FailureTimeout: failure}
					if err := cfg.Validate(); err != nil {
						t.giveUp("the suite chose a bad configuration: %v", err)
					}
					t.in(cfg, (*lockstep).lifecycle)
				}
			}
		}
	}
}
