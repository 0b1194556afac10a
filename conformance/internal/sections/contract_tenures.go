package sections

import (
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/op"
)

// A rule holds for every tenure, however it came about and whatever has become of its
// holder since: a condition too many in a guard shows for one of them only.

// alikeTenures are tenures of many actors that one node holds and that began alike, so
// that as many calls can be tried at one instant.
type alikeTenures struct {
	*lockstep.Run
	holder, other *lockstep.Node
	all           []tenure // one for each of attempts
	then          func()   // what follows once the holder is what it will be
}

type tenure struct {
	actor registry.ActorID
	id    registry.ClaimID // of the latest claim
	lease registry.Lease
	lost  bool // in trouble: a call that applied late came between
}

func newAlikeTenures(w *lockstep.Run) *alikeTenures {
	m := &alikeTenures{Run: w, holder: w.Node("n1", -w.Cfg.MaxClockSkew), other: w.Node("n2", w.Cfg.MaxClockSkew)}
	for i := range attempts {
		m.all = append(m.all, tenure{actor: w.Actor(fmt.Sprint("a", i))})
	}
	return m
}

func (m *alikeTenures) each(do func(t *tenure) op.Result) {
	for i := range m.all {
		t := &m.all[i]
		if t.lost {
			continue
		}
		switch got := do(t); {
		case got.Outcome != op.OK:
			t.lost = true
		case !got.Record.Holder.IsZero():
			t.lease = got.Lease()
		}
	}
}

func (m *alikeTenures) claim(by *lockstep.Node) {
	m.each(func(t *tenure) op.Result {
		t.id = m.ClaimID()
		return by.Do(call.Claim(t.actor, by.Ref, t.id))
	})
}

func (m *alikeTenures) hand(to *lockstep.Node) {
	m.each(func(t *tenure) op.Result { return m.other.Do(call.Transfer(t.lease, to.Ref)) })
}

func (m *alikeTenures) renew() {
	m.Advance(m.Cfg.TTL / 4)
	m.each(func(t *tenure) op.Result { return m.other.Do(call.Renew(t.lease)) })
}

// renewSlowly renews all of them at once, by a clock that is behind that of the latest write.
func (m *alikeTenures) renewSlowly() {
	m.other.Clock.SetOffset(-m.Cfg.MaxClockSkew)
	m.each(func(t *tenure) op.Result { return m.other.Do(call.Renew(t.lease)) })
	m.other.Clock.SetOffset(m.Cfg.MaxClockSkew)
}

// watch has somebody wait for a change of each of them.
func (m *alikeTenures) watch() {
	for _, t := range m.all {
		m.Waits(m.other, t.actor, t.lease.Version)
	}
}

// renewAsBatch renews all of them in one batch.
func (m *alikeTenures) renewAsBatch() {
	m.Advance(m.Cfg.TTL / 4)
	var leases []registry.Lease
	for _, t := range m.all {
		leases = append(leases, t.lease)
	}
	renewals := renewsAll(m.other, leases).Renewals
	m.each(func(t *tenure) op.Result {
		return renewals[slices.IndexFunc(m.all, func(o tenure) bool { return o.actor == t.actor })]
	})
}

func (m *alikeTenures) release() {
	m.each(func(t *tenure) op.Result { return m.other.Do(call.Release(t.lease)) })
}

// beginnings are the ways in which a tenure comes about. Those of alone are tried for an
// active holder only.
var beginnings = []struct {
	name   string
	needs  func(t *trial.Trial) bool
	alone  bool
	begins func(m *alikeTenures)
}{
	{"claimed", nil, false, func(m *alikeTenures) { m.claim(m.holder) }},
	{"renewed", nil, false, func(m *alikeTenures) { m.claim(m.holder); m.renew() }},
	{"renewed twice", nil, false, func(m *alikeTenures) { m.claim(m.holder); m.renew(); m.renew() }},
	{"renewed in a batch", batches, false, func(m *alikeTenures) { m.claim(m.holder); m.renewAsBatch() }},
	{"claimed for the third time", nil, false, func(m *alikeTenures) {
		m.claim(m.holder)
		m.release()
		m.claim(m.other)
		m.release()
		m.claim(m.holder)
	}},
	{"reclaimed", nil, false, func(m *alikeTenures) { m.claim(m.other); m.Lapse(); m.claim(m.holder) }},
	{"reclaimed by its holder", nil, true, func(m *alikeTenures) { m.claim(m.holder); m.Lapse(); m.claim(m.holder) }},
	{"handed over", hands, false, func(m *alikeTenures) { m.claim(m.other); m.hand(m.holder) }},
	{"handed over and renewed", hands, false, func(m *alikeTenures) { m.claim(m.other); m.hand(m.holder); m.renew() }},
	{"handed over, and renewed by a slower clock", hands, false, func(m *alikeTenures) {
		m.claim(m.other)
		m.hand(m.holder)
		m.then = m.renewSlowly
	}},
	{"handed over and back", hands, false, func(m *alikeTenures) { m.claim(m.holder); m.hand(m.other); m.hand(m.holder) }},
	{"handed over again and again", hands, false, func(m *alikeTenures) {
		m.claim(m.holder)
		for range 2 {
			m.hand(m.holder)
			m.hand(m.other)
		}
		m.hand(m.holder)
	}},
	{"claimed through a handle that is closed", nil, true, func(m *alikeTenures) { m.claim(m.holder); m.holder.Do(call.CloseHandle()) }},
	{"claimed before a crash", restarts, true, func(m *alikeTenures) { m.claim(m.holder); m.Restart() }},
	{"renewed before a crash", restarts, true, func(m *alikeTenures) { m.claim(m.holder); m.renew(); m.Restart() }},
	{"waited for", watches, true, func(m *alikeTenures) { m.claim(m.holder); m.watch() }},
}

func hands(t *trial.Trial) bool    { return t.Judge.Dialect.Offers(op.Transfer) }
func batches(t *trial.Trial) bool  { return t.Judge.Found[backend.BatchRenew] }
func restarts(t *trial.Trial) bool { return t.Judge.Found[backend.Restart] }
func watches(t *trial.Trial) bool  { return t.Judge.Found[backend.Watch] }

// fates are what becomes of a holder's registration before its tenure begins, or after.
var fates = []struct {
	name          string
	before, after func(m *alikeTenures)
}{
	{"active", nil, nil},
	{"of a second incarnation", func(m *alikeTenures) { m.holder.Register(registry.Supersede) }, nil},
	{"superseded", nil, func(m *alikeTenures) {
		m.other.Do(call.RegisterNode(m.holder.Ref.ID, registry.NodeInfo{}, registry.Supersede))
	}},
	{"superseded twice", nil, func(m *alikeTenures) {
		for range 2 {
			m.other.Do(call.RegisterNode(m.holder.Ref.ID, registry.NodeInfo{}, registry.Supersede))
		}
	}},
	{"left", nil, func(m *alikeTenures) { m.other.Do(call.Deregister(m.holder.Ref)) }},
	{"failed", nil, func(m *alikeTenures) { m.other.Do(call.MarkFailed(m.holder.Ref)) }},
}

// attempts are the calls that go by the phase of a lease: of t, whose holder's next
// incarnation may present the lease as its own.
var attempts = []func(m *alikeTenures, t *tenure, successors registry.Lease) call.Call{
	func(m *alikeTenures, t *tenure, _ registry.Lease) call.Call {
		return call.Claim(t.actor, m.other.Ref, m.ClaimID())
	},
	func(m *alikeTenures, t *tenure, successors registry.Lease) call.Call {
		return call.Claim(t.actor, successors.Holder, m.ClaimID())
	},
	func(m *alikeTenures, t *tenure, successors registry.Lease) call.Call {
		return call.Claim(t.actor, nextOf(successors).Holder, m.ClaimID())
	},
	func(_ *alikeTenures, t *tenure, _ registry.Lease) call.Call {
		return call.Claim(t.actor, t.lease.Holder, t.id)
	},
	func(_ *alikeTenures, t *tenure, _ registry.Lease) call.Call { return call.Renew(t.lease) },
	func(_ *alikeTenures, _ *tenure, successors registry.Lease) call.Call { return call.Renew(successors) },
	func(_ *alikeTenures, _ *tenure, successors registry.Lease) call.Call {
		return call.Renew(nextOf(successors))
	},
	func(m *alikeTenures, t *tenure, _ registry.Lease) call.Call {
		return call.Transfer(t.lease, m.other.Ref)
	},
	func(_ *alikeTenures, t *tenure, successors registry.Lease) call.Call {
		return call.Transfer(t.lease, successors.Holder)
	},
	func(_ *alikeTenures, t *tenure, successors registry.Lease) call.Call {
		return call.Transfer(t.lease, nextOf(successors).Holder)
	},
	func(_ *alikeTenures, t *tenure, _ registry.Lease) call.Call { return call.Release(t.lease) },
	func(_ *alikeTenures, _ *tenure, successors registry.Lease) call.Call { return call.Release(successors) },
	func(_ *alikeTenures, _ *tenure, successors registry.Lease) call.Call {
		return call.Release(nextOf(successors))
	},
	func(_ *alikeTenures, t *tenure, _ registry.Lease) call.Call {
		return call.Validate(t.actor, t.lease.Token)
	},
	func(_ *alikeTenures, t *tenure, _ registry.Lease) call.Call {
		return call.RenewBatchCall([]registry.Lease{t.lease})
	},
}

// everyTenure makes each call in the last moment of each phase and the first of the next.
func everyTenure(t *trial.Trial) {
	var moments []time.Duration // after the expiry
	for _, phase := range []time.Duration{0, t.Cfg.Grace, t.Cfg.Grace + 2*t.Cfg.MaxClockSkew} {
		moments = append(moments, phase-1, phase)
	}
	for _, b := range beginnings {
		for _, f := range fates {
			active := f.name == "active"
			if b.needs != nil && !b.needs(t) || b.alone && !active || !active && !t.Judge.Dialect.Offers(op.RegisterNode) {
				continue
			}
			for _, moment := range moments {
				lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
					m := newAlikeTenures(w)
					w.Audits = false // all is read at the end
					if f.before != nil {
						f.before(m)
					}
					w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew) // the holder may be marked
					b.begins(m)
					if f.after != nil {
						f.after(m)
					}
					if m.then != nil {
						m.then()
					}
					m.attempt(moment)
				})
			}
		}
	}
}

// attempt makes each call that long after the expiry, of an actor of its own.
func (m *alikeTenures) attempt(moment time.Duration) {
	first := slices.IndexFunc(m.all, func(t tenure) bool { return !t.lost })
	if first < 0 {
		return
	}
	m.Until(m.other, m.all[first].lease.Expiry.Add(moment))
	for i := range m.all {
		t := &m.all[i]
		if t.lost {
			continue
		}
		c := attempts[i](m, t, nextOf(t.lease))
		if c.Kind == op.RenewBatch && !m.T.Judge.Found[backend.BatchRenew] {
			continue
		}
		m.other.Do(c)
		if c.Kind == op.Release {
			m.other.Do(c) // repeats
		}
	}
	for _, t := range m.all {
		m.other.Do(call.Lookup(t.actor))
	}
	for _, n := range []registry.NodeRef{m.all[first].lease.Holder, m.other.Ref} {
		m.other.Do(call.ListActors(n, 0))
	}
}

// nextOf is a lease as the holder's next incarnation presents it.
func nextOf(l registry.Lease) registry.Lease {
	l.Holder.Epoch++
	return l
}

// leaseFields presents leases of which all but the actor, the holder and the token is
// another than was granted, or older. They go by these three (Lease).
func leaseFields(t *trial.Trial) {
	changes := []func(l *registry.Lease, w *lockstep.Run){
		func(l *registry.Lease, _ *lockstep.Run) {}, // as granted, and renewed since
		func(l *registry.Lease, _ *lockstep.Run) { l.Version = 0 },
		func(l *registry.Lease, _ *lockstep.Run) { l.Version += 1000 },
		func(l *registry.Lease, _ *lockstep.Run) { l.Expiry = 0 },
		func(l *registry.Lease, w *lockstep.Run) { l.Expiry = w.Time.Now() },
		func(l *registry.Lease, w *lockstep.Run) { l.Expiry = l.Expiry.Add(24 * w.Cfg.TTL) },
		func(l *registry.Lease, _ *lockstep.Run) { l.ClaimID = registry.ClaimID{} },
		func(l *registry.Lease, w *lockstep.Run) { l.ClaimID = w.ClaimID() },
	}
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		for i, change := range changes {
			l := w.Is(n1.Claim(w.Actor(fmt.Sprint("a", i))), nil).Lease()
			w.Advance(w.Cfg.TTL / 50)
			for range 2 {
				w.Is(n1.Do(call.Renew(l)), nil)
			}
			change(&l, w)
			w.Is(n1.Do(call.Renew(l)), nil)
			if w.T.Judge.Found[backend.BatchRenew] {
				n1.Do(call.RenewBatchCall([]registry.Lease{l}))
				w.AuditOne(call.Lookup(l.Actor), "Renew.granted")
			}
			if w.Offers(call.Transfer(l, n2.Ref)) {
				l = w.Is(n1.Do(call.Transfer(l, n2.Ref)), nil).Lease()
				w.Is(n2.Do(call.Renew(l)), nil)
				change(&l, w)
			}
			w.Is(n2.Do(call.Release(l)), nil)
			w.Is(n2.Do(call.Release(l)), nil) // repeats
		}
	})
}
