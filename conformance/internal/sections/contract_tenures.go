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
	ids           []registry.ClaimID
	leases        []registry.Lease
	lost          []bool // in trouble: a call that applied late came between
}

func (m *alikeTenures) each(do func(i int) op.Result) {
	for i := range m.leases {
		if m.lost[i] {
			continue
		}
		switch got := do(i); {
		case got.Outcome != op.OK:
			m.lost[i] = true
		case !got.Record.Holder.IsZero():
			m.leases[i] = got.Lease()
		}
	}
}

func (m *alikeTenures) claim(by *lockstep.Node) {
	m.each(func(i int) op.Result {
		m.ids[i] = m.ClaimID()
		return by.Do(call.Claim(m.Actor(fmt.Sprint("a", i)), by.Ref, m.ids[i]))
	})
}

func (m *alikeTenures) hand(to *lockstep.Node) {
	m.each(func(i int) op.Result { return m.other.Do(call.Transfer(m.leases[i], to.Ref)) })
}

func (m *alikeTenures) renew() {
	m.Advance(m.Cfg.TTL / 4)
	m.each(func(i int) op.Result { return m.other.Do(call.Renew(m.leases[i])) })
}

func (m *alikeTenures) release() {
	m.each(func(i int) op.Result { return m.other.Do(call.Release(m.leases[i])) })
}

// beginnings are the ways in which a tenure comes about.
var beginnings = []struct {
	name   string
	hands  bool
	begins func(m *alikeTenures)
}{
	{"claimed", false, func(m *alikeTenures) { m.claim(m.holder) }},
	{"renewed", false, func(m *alikeTenures) { m.claim(m.holder); m.renew() }},
	{"renewed twice", false, func(m *alikeTenures) { m.claim(m.holder); m.renew(); m.renew() }},
	{"claimed for the third time", false, func(m *alikeTenures) {
		m.claim(m.holder)
		m.release()
		m.claim(m.other)
		m.release()
		m.claim(m.holder)
	}},
	{"reclaimed", false, func(m *alikeTenures) { m.claim(m.other); m.Lapse(); m.claim(m.holder) }},
	{"handed over", true, func(m *alikeTenures) { m.claim(m.other); m.hand(m.holder) }},
	{"handed over and renewed", true, func(m *alikeTenures) { m.claim(m.other); m.hand(m.holder); m.renew() }},
	{"handed over and back", true, func(m *alikeTenures) { m.claim(m.holder); m.hand(m.other); m.hand(m.holder) }},
}

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
	{"left", nil, func(m *alikeTenures) { m.other.Do(call.Deregister(m.holder.Ref)) }},
	{"failed", nil, func(m *alikeTenures) { m.other.Do(call.MarkFailed(m.holder.Ref)) }},
}

// attempts are the calls that go by the phase of a lease.
var attempts = []func(m *alikeTenures, i int, l, successors registry.Lease) call.Call{
	func(m *alikeTenures, i int, l, _ registry.Lease) call.Call {
		return call.Claim(l.Actor, m.other.Ref, m.ClaimID())
	},
	func(m *alikeTenures, i int, l, successors registry.Lease) call.Call {
		return call.Claim(l.Actor, successors.Holder, m.ClaimID())
	},
	func(m *alikeTenures, i int, l, _ registry.Lease) call.Call {
		return call.Claim(l.Actor, l.Holder, m.ids[i])
	},
	func(m *alikeTenures, i int, l, _ registry.Lease) call.Call { return call.Renew(l) },
	func(m *alikeTenures, i int, _, successors registry.Lease) call.Call { return call.Renew(successors) },
	func(m *alikeTenures, i int, l, _ registry.Lease) call.Call { return call.Transfer(l, m.other.Ref) },
	func(m *alikeTenures, i int, l, successors registry.Lease) call.Call {
		return call.Transfer(l, successors.Holder)
	},
	func(m *alikeTenures, i int, l, _ registry.Lease) call.Call { return call.Release(l) },
	func(m *alikeTenures, i int, _, successors registry.Lease) call.Call { return call.Release(successors) },
	func(m *alikeTenures, i int, l, _ registry.Lease) call.Call {
		return call.RenewBatchCall([]registry.Lease{l})
	},
}

// everyTenure makes each call in the last moment of each phase and the first of the next.
func everyTenure(t *trial.Trial) {
	offers := t.Judge.Dialect.Offers
	for _, b := range beginnings {
		for _, f := range fates {
			if b.hands && !offers(op.Transfer) || f.name != "active" && !offers(op.RegisterNode) {
				continue
			}
			for _, at := range []time.Duration{0, t.Cfg.Grace, t.Cfg.Grace + 2*t.Cfg.MaxClockSkew} {
				for _, moment := range []time.Duration{-1, 0} {
					lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
						m := &alikeTenures{Run: w, holder: w.Node("n1", -w.Cfg.MaxClockSkew), other: w.Node("n2", w.Cfg.MaxClockSkew)}
						m.ids, m.leases, m.lost = make([]registry.ClaimID, len(attempts)), make([]registry.Lease, len(attempts)), make([]bool, len(attempts))
						w.Audits = false // all is read at the end
						if f.before != nil {
							f.before(m)
						}
						w.Advance(w.Cfg.FailureTimeout + 4*w.Cfg.MaxClockSkew) // the holder may be marked
						b.begins(m)
						if f.after != nil {
							f.after(m)
						}
						if first := slices.Index(m.lost, false); first >= 0 {
							w.Until(m.other, m.leases[first].Expiry.Add(at+moment))
							m.attempt()
						}
					})
				}
			}
		}
	}
}

// attempt makes each call, of an actor of its own.
func (m *alikeTenures) attempt() {
	for i, l := range m.leases {
		if m.lost[i] {
			continue
		}
		successors := l
		successors.Holder.Epoch++
		c := attempts[i](m, i, l, successors)
		if c.Kind == op.RenewBatch && !m.T.Judge.Found[backend.BatchRenew] {
			continue
		}
		m.other.Do(c)
		if c.Kind == op.Release {
			m.other.Do(c) // repeats
		}
	}
	for i := range m.leases {
		m.other.Do(call.Lookup(m.Actor(fmt.Sprint("a", i))))
	}
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
