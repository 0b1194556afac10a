package client

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Case is a question that is put to a client, in one or several plays.
type Case struct {
	Section string
	Name    string
	Doc     string
	Rules   []conformance.RuleID // the first that it is there for; any may be broken

	plays func(cfg registry.Config, seed uint64) []play
}

// ID returns "section/name".
func (c Case) ID() string { return c.Section + "/" + c.Name }

// play is one run of a cluster.
type play struct {
	name    string
	run     func(w *world)
	shorter func() []play // the same with less in it; nil: it is as short as it gets
}

// Cases returns all cases, the simplest first.
func Cases() []Case {
	return slices.Concat(grantCases(), renewalCases(), lossCases(), ambiguityCases(), handOverCases(), clockCases(), pauseCases(), restartCases(), herdCases(), closeCases(), stormCases())
}

// one is a case of a single play.
func one(run func(w *world)) func(registry.Config, uint64) []play {
	return func(registry.Config, uint64) []play { return []play{{name: "the only play", run: run}} }
}

// withAndWithout is a case of two plays: with a registry that renews in batches and
// wakes who waits, and with one that does not.
func withAndWithout(run func(w *world)) func(registry.Config, uint64) []play {
	return func(registry.Config, uint64) []play {
		return []play{{name: "1 of 2", run: run}, {name: "2 of 2", run: run}}
	}
}

// each is a case with one play for each of a list.
func each[T any](list func(cfg registry.Config) []T, name func(T) string, run func(w *world, v T)) func(registry.Config, uint64) []play {
	return func(cfg registry.Config, _ uint64) []play {
		var plays []play
		for _, v := range list(cfg) {
			plays = append(plays, play{name: name(v), run: func(w *world) { run(w, v) }})
		}
		return plays
	}
}

// phases are moments of a lease's life, between two renewals and across them.
func phases(n int) func(registry.Config) []time.Duration {
	return func(cfg registry.Config) []time.Duration {
		var all []time.Duration
		for i := range n {
			all = append(all, cfg.TTL*time.Duration(i)/time.Duration(2*n))
		}
		return all
	}
}

func at(d time.Duration) string { return fmt.Sprintf("%v after it was served first", d) }

func grantCases() []Case {
	return []Case{
		{"grant", "free", "an actor that nobody holds is claimed, and served when the grant is known", []conformance.RuleID{conformance.ClientServes, conformance.ServesGranted}, one(func(w *world) {
			a := shop(0)
			w.start("n1", 0).want(a)
			w.await(a, w.times.Serve, "it was to be served")
		})},
		{"grant", "many", "one client serves thirty actors, some of which were served before", []conformance.RuleID{conformance.ClientServes, conformance.ServesGranted}, one(func(w *world) {
			p := w.start("n1", 0)
			tokens := map[registry.ActorID]registry.Token{}
			for i := range 30 {
				w.age(shop(i), i%4)
				p.want(shop(i))
			}
			for i := range 30 {
				w.await(shop(i), w.times.Serve, "it was to be served")
				tokens[shop(i)] = w.record(shop(i)).Token
			}
			w.pass(3 * w.cfg.TTL)
			for i := range 30 {
				w.kept(conformance.ClientKeeps, p, shop(i), tokens[shop(i)], "though nothing was wrong")
			}
		})},
		{"grant", "contended", "of four clients that want an actor one serves it, and none before its grant is known", []conformance.RuleID{conformance.ServesGranted, conformance.ServesAlone}, one(func(w *world) {
			a := shop(0)
			for i := range 4 {
				w.start(fmt.Sprint("n", i+1), 0).want(a)
			}
			w.await(a, w.times.Serve, "it was to be served")
			w.pass(2 * w.cfg.TTL)
			w.await(a, w.times.Serve, "it was served")
		})},
		{"grant", "beside", "who waits for an actor claims another one meanwhile, which is free", []conformance.RuleID{conformance.ClientServes}, one(func(w *world) {
			_, p, _ := w.contested(0, 0)
			w.pass(w.cfg.TTL / 10)
			p.want(shop(1))
			w.awaitOne(shop(1), p, w.times.Serve, "it was to be served, and nobody holds it")
		})},
		{"grant", "late-answer", "the answer to a claim comes when the lease is nearly, or long over", []conformance.RuleID{conformance.ServesInTime, conformance.ClientServes}, each(
			func(cfg registry.Config) []time.Duration {
				return []time.Duration{cfg.TTL / 2, cfg.TTL - cfg.TTL/50, cfg.TTL + cfg.TTL/50, cfg.TTL + cfg.Grace/2, cfg.TTL + cfg.Grace + cfg.TTL/4}
			},
			func(d time.Duration) string { return fmt.Sprintf("the answer takes %v", d) },
			func(w *world, d time.Duration) {
				a := shop(0)
				p, rival := w.start("n1", 0), w.start("n2", 0)
				<-p.made
				end := p.suffer(trouble{kind: behind, name: fmt.Sprintf("answers to claims take %v", d), kinds: claims, d: d})
				p.want(a)
				w.pass(w.cfg.TTL / 10)
				rival.want(a)
				w.pass(d + w.cfg.TTL)
				end()
				w.await(a, w.times.Resume, "its claims are answered in time")
			})},
	}
}

func renewalCases() []Case {
	skews := func(cfg registry.Config) []time.Duration {
		return []time.Duration{0, cfg.MaxClockSkew, -cfg.MaxClockSkew}
	}
	fails := []trouble{
		{kind: silent, name: "requests are lost"}, {kind: refused, name: "connections are refused"},
		{kind: unheard, name: "answers are lost"}, {kind: unsure, name: "outcomes are unknown"},
	}
	return []Case{
		{"renewal", "quiet", "nothing is wrong for a hundred lengths of a lease", []conformance.RuleID{conformance.ClientKeeps}, each(skews,
			func(d time.Duration) string { return fmt.Sprintf("its clock is %+v off", d) },
			func(w *world, d time.Duration) {
				p, a, token := w.served(d)
				if p == nil {
					return
				}
				defer w.detect()()
				w.steady(conformance.ClientKeeps, a, 100*w.cfg.TTL, "though nothing was wrong")
				w.kept(conformance.ClientKeeps, p, a, token, "though nothing was wrong")
				w.await(a, w.times.Serve, "nothing was wrong")
			})},
		{"renewal", "outage", "trouble that is shorter than the stated time costs no lease, and no registration", []conformance.RuleID{conformance.ClientRetries, conformance.ClientKeeps}, func(cfg registry.Config, _ uint64) []play {
			var plays []play
			for _, k := range fails {
				for i := range 5 {
					when := cfg.TTL * time.Duration(i) / 5
					plays = append(plays, play{name: k.name + " from " + at(when), run: func(w *world) {
						p, a, token := w.served(0)
						if p == nil {
							return
						}
						w.pass(when)
						end := p.suffer(k)
						w.pass(w.times.Outage)
						end()
						w.pass(w.cfg.TTL / 2)
						defer w.detect()() // heartbeats have failed as well
						w.steady(conformance.ClientRetries, a, 3*w.cfg.TTL/2, fmt.Sprintf("more than %v after trouble of %v", w.cfg.TTL/2, w.times.Outage))
						w.kept(conformance.ClientRetries, p, a, token, fmt.Sprintf("by trouble of %v", w.times.Outage))
						w.await(a, w.times.Serve, "the trouble is over")
					}})
				}
			}
			return plays
		}},
		{"renewal", "one-lost", "of the renewals one fails: it is tried again", []conformance.RuleID{conformance.ClientRetries}, each(
			func(registry.Config) []trouble { return fails },
			func(t trouble) string { return "of one renewal " + t.name },
			func(w *world, t trouble) {
				p, a, token := w.served(0)
				if p == nil {
					return
				}
				for range 4 {
					t.kinds = renewals
					p.sufferOnce(t, w.cfg.TTL)
					w.pass(w.cfg.TTL / 2)
					w.steady(conformance.ClientRetries, a, 3*w.cfg.TTL/2, "though but one renewal had failed")
				}
				w.kept(conformance.ClientRetries, p, a, token, "though but one renewal had failed at a time")
			})},
		{"renewal", "every-second", "every second call fails", []conformance.RuleID{conformance.ClientRetries, conformance.ClientKeeps}, one(func(w *world) {
			p, a, token := w.served(0)
			if p == nil {
				return
			}
			end := p.suffer(trouble{kind: refused, name: "every second connection is refused", every: 2})
			w.pass(40 * w.cfg.TTL)
			w.kept(conformance.ClientRetries, p, a, token, "though every second call is answered")
			w.ranOut(conformance.ClientRetries, a, "though every second call is answered")
			end()
			w.pass(w.cfg.TTL / 2)
			defer w.detect()() // heartbeats have failed as well
			w.calm("the trouble is over", a)
		})},
	}
}

// served starts a client and returns it when it serves an actor.
func (w *world) served(offset time.Duration) (*process, registry.ActorID, registry.Token) {
	a := shop(0)
	p := w.start("n1", offset)
	p.want(a)
	if w.await(a, w.times.Serve, "it was to be served") == nil {
		return nil, a, 0
	}
	return p, a, w.record(a).Token
}

// contested is served, with another client that waits.
func (w *world) contested(offset, other time.Duration) (p, rival *process, a registry.ActorID) {
	p, a, _ = w.served(offset)
	rival = w.start("n2", other)
	if p != nil {
		rival.want(a)
	}
	return p, rival, a
}

func lossCases() []Case {
	troubles := func(cfg registry.Config) []trouble {
		return []trouble{
			{kind: silent, name: "requests are lost"}, {kind: refused, name: "connections are refused"}, {kind: unheard, name: "answers are lost"},
			{kind: open, name: "outcomes are unknown and requests may arrive later"}, {kind: slow, name: "every message takes half a lease", d: cfg.TTL / 2},
			{kind: slow, name: "every message takes a whole lease", d: cfg.TTL}, {kind: late, name: "requests arrive late", d: cfg.TTL},
			{kind: silent, name: "renewals are lost", kinds: renewals}, {kind: behind, name: "answers to renewals take a lease", kinds: renewals, d: cfg.TTL},
		}
	}
	name := func(t trouble) string { return t.name }
	return []Case{
		{"loss", "one-link", "a client that can no longer renew stops in time, another takes over, and it comes back", []conformance.RuleID{conformance.ServesInTime, conformance.ClientSaysWhy, conformance.ClientServes}, each(troubles, name, losesItsLink)},
		{"loss", "store", "nobody can reach the registry; when the trouble is over somebody serves, and the other one still waits", []conformance.RuleID{conformance.ServesInTime, conformance.ClientServes}, each(troubles, name, losesTheStore)},
		{"loss", "lapsed", "a lease lapses while nobody else wants it; the client claims again", []conformance.RuleID{conformance.ServesInTime, conformance.ClientServes}, each(troubles, name, losesALapsedLease)},
		{"loss", "again", "a client loses its lease again and again, and comes back each time", []conformance.RuleID{conformance.ClientServes}, one(losesAgain)},
		{"loss", "long", "trouble lasts for forty lengths of a lease", []conformance.RuleID{conformance.ClientServes, conformance.ServesInTime}, each(
			func(registry.Config) []trouble {
				return []trouble{{kind: silent, name: "requests are lost"}, {kind: refused, name: "connections are refused"}}
			}, name, losesForLong)},
		{"loss", "ended", "a renewal is refused for good: an operator has released the lease, or handed it to a node of its own; another lease of the client is left alone", []conformance.RuleID{conformance.ServesNotEnded, conformance.ClientSaysWhy, conformance.ClientServes}, each(
			func(registry.Config) []bool { return []bool{false, true} },
			func(hands bool) string {
				return map[bool]string{false: "an operator releases it", true: "an operator takes it"}[hands]
			},
			losesToAnOperator)},
		{"loss", "marked-failed", "the registration is marked failed after its heartbeats were lost", []conformance.RuleID{conformance.ClientServes, conformance.ServesInTime}, each(
			func(registry.Config) []trouble {
				return []trouble{{}, {kind: silent, name: "its first look at its registration is lost", kinds: []op.Kind{op.GetNode}, calls: 1}, {kind: silent, name: "its first new registration is lost", kinds: []op.Kind{op.RegisterNode}, calls: 1}}
			},
			func(t trouble) string { return cmp.Or(t.name, "nothing else is lost") }, losesItsRegistration)},
	}
}

func losesItsLink(w *world, t trouble) {
	p, rival, a := w.contested(0, 0)
	if p == nil {
		return
	}
	w.pass(w.cfg.TTL / 2)
	end := p.suffer(t)
	if t.stops() {
		w.awaitOne(a, rival, w.cfg.TTL+w.times.Resume, "the other's calls fail")
	} else {
		w.pass(3 * w.cfg.TTL) // it may get its lease again, and lose it again
	}
	if w.failed() {
		return
	}
	end()
	w.pass(w.cfg.TTL)
	rival.drop(a, w.cfg.TTL)
	if w.awaitOne(a, p, w.times.Resume, "its trouble is over and nobody else wants it") != nil {
		w.calm("the trouble is over", a)
	}
}

func losesTheStore(w *world, t trouble) {
	p, rival, a := w.contested(0, 0)
	if p == nil {
		return
	}
	w.pass(w.cfg.TTL / 4)
	ends := []func(){p.suffer(t), rival.suffer(t)}
	w.pass(3 * w.cfg.TTL)
	for _, end := range ends {
		end()
	}
	server := w.await(a, w.times.Resume+t.d, "the trouble is over")
	if server == nil {
		return
	}
	w.calm("the trouble is over", a)
	if server.drop(a, w.cfg.TTL); server == p {
		p = rival
	}
	w.awaitOne(a, p, w.times.Resume, "the other gave it up, long after the trouble")
}

func losesALapsedLease(w *world, t trouble) {
	p, a, _ := w.served(0)
	if p == nil {
		return
	}
	end := p.suffer(t)
	w.pass(2 * w.times.Resume)
	end()
	if w.await(a, w.times.Resume, "the trouble is over") != nil {
		w.calm("the trouble is over", a)
	}
}

func losesAgain(w *world) {
	p, a, _ := w.served(0)
	for i := 0; p != nil && i < 12; i++ {
		end := p.suffer(trouble{kind: silent, name: "requests are lost"})
		w.pass(w.cfg.TTL + w.cfg.Grace + 3*w.cfg.MaxClockSkew)
		end()
		if p = w.await(a, w.times.Resume, "the trouble is over"); p != nil {
			w.pass(w.cfg.TTL)
		}
	}
}

func losesForLong(w *world, t trouble) {
	p, rival, a := w.contested(0, 0)
	if p == nil {
		return
	}
	ends := []func(){p.suffer(t), rival.suffer(t)}
	w.pass(40 * w.cfg.TTL)
	for _, end := range ends {
		end()
	}
	if w.await(a, w.times.Resume, "the trouble is over") != nil {
		w.calm("the trouble is over", a)
	}
}

func losesToAnOperator(w *world, hands bool) {
	p, a, _ := w.served(0)
	if p == nil {
		return
	}
	other := shop(1)
	p.want(other)
	w.await(other, w.times.Serve, "it was to be served")
	w.pass(w.cfg.TTL / 20)
	if hands {
		w.operatorTakes(a)
	} else {
		w.operatorReleases(a)
	}
	w.pass(w.cfg.TTL)
	for _, each := range []registry.ActorID{a, other} {
		if w.await(each, w.times.Resume, "a was taken away, and can be claimed") == nil {
			return
		}
	}
	w.calm("a was taken away", a, other)
}

func losesItsRegistration(w *world, also trouble) {
	p, a, _ := w.served(0)
	if p == nil {
		return
	}
	end := p.suffer(trouble{kind: silent, name: "heartbeats are lost", kinds: heartbeats})
	w.pass(w.cfg.FailureTimeout + 3*w.cfg.MaxClockSkew)
	end()
	w.operatorMarksFailed(p)
	if also.kind != 0 {
		defer p.suffer(also)()
	}
	w.pass(w.cfg.TTL)
	cut := p.suffer(trouble{kind: silent, name: "requests are lost"})
	w.pass(2 * w.cfg.TTL)
	cut()
	if w.await(a, w.times.Resume+w.cfg.FailureTimeout, "the trouble is over") != nil {
		w.pass(w.cfg.FailureTimeout)
		w.calm("the trouble is over", a)
	}
}
