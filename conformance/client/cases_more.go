package client

import (
	"context"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

var (
	claims     = []op.Kind{op.Claim}
	renewals   = []op.Kind{op.Renew, op.RenewBatch}
	heartbeats = []op.Kind{op.Heartbeat}
	givings    = []op.Kind{op.Release, op.Transfer}
)

// operatorReleases gives an actor up under its holder's lease. Nobody else may
// want it: its holder has not stopped.
func (w *world) operatorReleases(a registry.ActorID) {
	w.note("operator", a, "releases %s, token %d", a.Name, w.record(a).Token)
	_ = w.exact.Release(context.Background(), w.record(a).Lease())
}

// operatorTakes hands an actor to a node that does not serve it.
func (w *world) operatorTakes(a registry.ActorID) {
	l, err := w.exact.Transfer(context.Background(), w.record(a).Lease(), w.operator())
	w.note("operator", a, "takes %s: token %d, %v", a.Name, l.Token, err)
}

// operator returns a node that no process is.
func (w *world) operator() registry.NodeRef {
	n, _ := w.exact.RegisterNode(context.Background(), "operator", registry.NodeInfo{}, registry.Supersede) // of a store in memory that is open
	return n.Ref
}

// age has an actor claimed and released so many times.
func (w *world) age(a registry.ActorID, times int) {
	for range times {
		l, _ := w.exact.Claim(context.Background(), a, w.operator(), registry.NewClaimID()) // nobody has it
		_ = w.exact.Release(context.Background(), l)
	}
}

// operatorMarksFailed ends a registration that has been silent for long enough.
func (w *world) operatorMarksFailed(p *process) {
	n, _, _ := w.exact.GetNode(context.Background(), p.id)
	err := w.exact.MarkFailed(context.Background(), n.Ref)
	w.note("operator", registry.ActorID{}, "marks %v failed: %v", n.Ref, err)
}

func ambiguityCases() []Case {
	outcomes := func(cfg registry.Config) []trouble {
		return []trouble{
			{kind: unheard, name: "a claim is granted and its answer lost", kinds: claims, calls: 1},
			{kind: silent, name: "a claim is lost", kinds: claims, calls: 1},
			{kind: unsure, name: "the outcome of claims is unknown", kinds: claims, calls: 3},
			{kind: open, name: "the outcome of claims is unknown, and they may arrive later", kinds: claims, calls: 3},
			{kind: late, name: "a claim arrives late", kinds: claims, calls: 1, d: cfg.TTL / 2},
			{kind: late, name: "a claim arrives when nobody thinks of it", kinds: claims, calls: 1, d: cfg.TTL + cfg.Grace},
			{kind: twice, name: "claims arrive twice", kinds: claims, d: cfg.TTL},
		}
	}
	name := func(t trouble) string { return t.name }
	meanwhile := func(cfg registry.Config) []trouble {
		return append(outcomes(cfg), trouble{kind: behind, name: "answers to claims are slow", kinds: claims, d: cfg.TTL / 20}, trouble{kind: slow, name: "claims and their answers are slow", kinds: claims, d: cfg.TTL / 40})
	}
	return []Case{
		{"ambiguity", "claim", "a claim of unknown outcome is found out: the actor is served in the stated time", []conformance.RuleID{conformance.ServesGranted, conformance.ClientServes, conformance.ClientNoLeak}, each(outcomes, name, func(w *world, t trouble) {
			a := shop(0)
			p := w.start("n1", 0)
			<-p.made
			end := p.suffer(t)
			p.want(a)
			// Each of the claims may have been granted, and be left to lapse.
			w.await(a, w.times.Resume*time.Duration(max(t.calls, 1))+w.times.Serve, "it was to be served")
			end()
			w.pass(2 * w.cfg.TTL)
			w.await(a, w.times.Resume, "the trouble is over")
		})},
		{"ambiguity", "then-cut", "a claim's answer was lost and the repeated one is answered; then the link is cut: the lease runs since the first", []conformance.RuleID{conformance.ServesInTime}, one(func(w *world) {
			a := shop(0)
			p := w.start("n1", 0)
			<-p.made
			p.suffer(trouble{kind: unheard, name: "a claim is granted and its answer lost", kinds: claims, calls: 1})
			p.want(a)
			if w.await(a, w.times.Resume+w.times.Serve, "it was to be served") == nil {
				return
			}
			p.suffer(trouble{kind: silent, name: "requests are lost"})
			w.pass(2 * w.cfg.TTL)
		})},
		{"ambiguity", "given-up", "who gives an actor up while its claim is under way keeps no lease", []conformance.RuleID{conformance.ClientNoLeak, conformance.ClientGivesUp}, each(meanwhile, name, func(w *world, t trouble) {
			a := shop(0)
			p, rival := w.start("n1", 0), w.start("n2", 0)
			<-p.made
			end := p.suffer(t)
			p.want(a)
			w.pass(w.cfg.TTL / 60)
			p.drop(a, w.cfg.TTL/2)
			end()
			rival.want(a)
			if w.awaitOne(a, rival, 2*w.times.Resume, "the other gave it up") != nil {
				w.pass(w.cfg.TTL)
			}
		})},
	}
}

func handOverCases() []Case {
	troubles := func(cfg registry.Config) []trouble {
		return []trouble{
			{}, {kind: unheard, name: "answers are lost", kinds: givings}, {kind: silent, name: "requests are lost", kinds: givings},
			{kind: unsure, name: "outcomes are unknown", kinds: givings}, {kind: open, name: "outcomes are unknown and requests may arrive later", kinds: givings},
			{kind: slow, name: "messages are slow", d: cfg.TTL / 80}, {kind: refused, name: "connections are refused", kinds: givings},
			{kind: shuffled, name: "messages overtake each other", d: cfg.TTL / 100},
		}
	}
	name := func(t trouble) string {
		if t.kind == 0 {
			return "no trouble"
		}
		return t.name
	}
	return []Case{
		{"handover", "drop", "a client stops before it releases; the next one serves in the stated time", []conformance.RuleID{conformance.StopsFirst, conformance.ClientGivesUp}, each(troubles, name, handOver(func(p, _ *process, a registry.ActorID, d time.Duration) error { return p.drop(a, d) }))},
		{"handover", "move", "a client stops before it hands over; a receiver that is told serves soon", []conformance.RuleID{conformance.StopsFirst, conformance.ClientGivesUp}, each(troubles, name, handOver((*process).move))},
		{"handover", "again", "an actor goes back and forth over links on which messages overtake each other and arrive twice", []conformance.RuleID{conformance.StopsFirst, conformance.ServesAlone, conformance.ServesNotEnded}, each(
			func(cfg registry.Config) []trouble {
				return []trouble{{kind: shuffled, name: "messages overtake each other", d: cfg.TTL / 100}, {kind: twice, name: "messages arrive twice", d: cfg.TTL / 10}}
			}, name, givesBackAndForth)},
		{"handover", "refused", "the receiver is not registered: the actor is given up like any other", []conformance.RuleID{conformance.StopsFirst, conformance.ClientGivesUp}, one(givesToNobody)},
		{"handover", "twice", "an actor is asked for twice and given up twice: it is served once, and then no longer", []conformance.RuleID{conformance.ClientGivesUp, conformance.ServesAlone}, one(func(w *world) {
			p, a, _ := w.served(0)
			if p == nil {
				return
			}
			p.want(a)
			w.pass(w.cfg.TTL / 3)
			p.drop(a, w.cfg.TTL/2)
			p.drop(a, w.cfg.TTL/2)
			w.pass(w.cfg.TTL)
			rival := w.start("n2", 0)
			rival.want(a)
			w.awaitOne(a, rival, w.times.Resume, "the other gave it up twice")
		})},
		{"handover", "not-its-own", "a client that waits for an actor, or has lost it, gives it up: whoever serves it goes on", []conformance.RuleID{conformance.ClientOwn}, each(
			func(registry.Config) []bool { return []bool{false, true} },
			func(lost bool) string { return map[bool]string{false: "it waits", true: "it has lost it"}[lost] },
			givesWhatIsNotItsOwn)},
		{"handover", "told", "of a lease that was handed over a client is told late, twice, and when it wants the actor no longer", []conformance.RuleID{conformance.StopsFirst, conformance.ServesInTime, conformance.ClientGivesUp}, each(
			func(cfg registry.Config) []time.Duration { return []time.Duration{0, cfg.TTL + cfg.TTL/10} },
			func(d time.Duration) string { return fmt.Sprintf("after %v", d) },
			(*world).told)},
	}
}

// handOver has a process give an actor to another, which waits for it.
func handOver(give func(p, to *process, a registry.ActorID, d time.Duration) error) func(w *world, t trouble) {
	return func(w *world, t trouble) {
		p, rival, a := w.contested(0, 0)
		if p == nil {
			return
		}
		w.pass(w.cfg.TTL/3 - travel) // renewals are under way
		if t.kind != 0 {
			defer p.suffer(t)()
		}
		token := w.record(a).Token
		err := give(p, rival, a, w.cfg.TTL/2)
		rec := w.record(a)
		if err == nil && rec.Token == token && rec.Held() {
			w.find(conformance.ClientGivesUp, "what was given up can be claimed at once", "%s has given %s up, without an error, and the record still says %v token %d", p.name, a.Name, rec.Holder, rec.Token)
			return
		}
		within := w.times.Resume
		if _, tells := rival.client.(Adopter); err == nil && tells && rec.Held() {
			within = w.cfg.TTL + w.cfg.TTL/10
		}
		w.awaitOne(a, rival, within, "the other gave it up")
	}
}

func givesBackAndForth(w *world, t trouble) {
	a := shop(0)
	p, rival := w.start("n1", 0), w.start("n2", 0)
	p.want(a)
	w.await(a, w.times.Serve, "it was to be served")
	p.suffer(t)
	rival.suffer(t)
	for range 10 {
		rival.want(a)
		w.pass(w.cfg.TTL / 7)
		p.drop(a, w.cfg.TTL/2)
		if w.awaitOne(a, rival, w.times.Resume, "the other gave it up") == nil {
			return
		}
		p, rival = rival, p
	}
}

func givesToNobody(w *world) {
	p, rival, a := w.contested(0, 0)
	if p == nil {
		return
	}
	w.pass(w.cfg.TTL / 3)
	nobody := registry.NodeRef{ID: "nobody", Epoch: 1}
	if err := p.moveTo(nobody, rival, a, w.cfg.TTL/2); err == nil && w.record(a).Token == 1 && w.record(a).Held() {
		w.find(conformance.ClientGivesUp, "a transfer that is refused is told", "%s says that it handed %s to %v, which is not registered", p.name, a.Name, nobody)
	}
	w.awaitOne(a, rival, w.times.Resume, "the other gave it up")
}

func givesWhatIsNotItsOwn(w *world, lost bool) {
	p, waits, a := w.contested(0, 0)
	if p == nil {
		return
	}
	w.pass(w.cfg.TTL / 3)
	if lost {
		end := p.suffer(trouble{kind: silent, name: "requests are lost"})
		w.awaitOne(a, waits, w.cfg.TTL+w.times.Resume, "the other's calls fail")
		end()
		p, waits = waits, p
	}
	token := w.record(a).Token
	waits.drop(a, w.cfg.TTL/2)
	w.pass(w.cfg.TTL)
	w.kept(conformance.ClientOwn, p, a, token, "though it was another that gave it up")
}

// told hands an actor over, and tells the receiver of it after d, and again later.
func (w *world) told(d time.Duration) {
	p, rival, a := w.contested(0, 0)
	if p == nil {
		return
	}
	receiver, tells := rival.client.(Adopter)
	giver, moves := p.client.(Mover)
	if !tells || !moves {
		return
	}
	w.pass(w.cfg.TTL / 3)
	latest, _, _ := w.exact.GetNode(context.Background(), rival.id)
	var handed registry.Lease
	if err := p.giveUp(a, w.cfg.TTL/2, "is to hand "+a.Name+" to "+latest.Ref.String(), func(ctx context.Context) (err error) {
		handed, err = giver.Move(ctx, a, latest.Ref)
		return err
	}); err != nil {
		return
	}
	tell := func() {
		w.note(rival.name, a, "is told of its lease of %s, token %d", a.Name, handed.Token)
		receiver.Adopt(handed)
	}
	w.pass(d)
	tell()
	if w.awaitOne(a, rival, w.times.Resume+w.cfg.TTL, "it was told of its lease") == nil {
		return
	}
	w.pass(w.cfg.TTL / 20)
	tell()
	w.pass(w.cfg.TTL)
	rival.drop(a, w.cfg.TTL/2)
	tell()
	w.pass(w.cfg.TTL / 20)
	rival.want(a)
	tell()
	w.awaitOne(a, rival, w.times.Resume, "it is to have it again")
	w.pass(w.cfg.TTL)
}

func clockCases() []Case {
	return []Case{
		{"clocks", "apart", "clocks are 2ε apart; a client that is cut off stops before the other can claim", []conformance.RuleID{conformance.ServesInTime, conformance.ServesAlone}, each(
			func(cfg registry.Config) []time.Duration {
				return []time.Duration{cfg.MaxClockSkew, -cfg.MaxClockSkew}
			},
			func(d time.Duration) string {
				return fmt.Sprintf("the server's clock is %+v off, the other's %+v", d, -d)
			},
			func(w *world, d time.Duration) {
				p, rival, a := w.contested(d, -d)
				if p == nil {
					return
				}
				w.pass(w.cfg.TTL / 3)
				p.suffer(trouble{kind: silent, name: "requests are lost"})
				w.awaitOne(a, rival, w.cfg.TTL+w.times.Resume, "the other's calls fail")
			})},
		{"clocks", "steps", "clocks step within their bound all the time, links come and go", []conformance.RuleID{conformance.ServesInTime, conformance.ServesAlone, conformance.ClientServes}, one(func(w *world) {
			eps := w.cfg.MaxClockSkew
			w.judged.Steps = 2 * eps
			p, rival, a := w.contested(0, 0)
			if p == nil {
				return
			}
			for range 3 {
				end := p.suffer(trouble{kind: silent, name: "requests are lost"})
				for range 20 {
					w.pass(w.cfg.TTL / 10)
					p.step(time.Duration(w.rng.Int64N(int64(2*eps)+1)) - eps)
					rival.step(time.Duration(w.rng.Int64N(int64(2*eps)+1)) - eps)
				}
				end()
				p, rival = rival, p
			}
			w.await(a, w.times.Resume, "the trouble is over")
		})},
		{"clocks", "beyond", "a clock is set an hour back or ahead, beyond its bound, and put right: what does not rest on time is kept, and somebody serves again", []conformance.RuleID{conformance.ServesNotEnded, conformance.ServesGranted, conformance.ClientServes}, each(
			func(registry.Config) []time.Duration { return []time.Duration{time.Hour, -time.Hour} },
			func(d time.Duration) string { return fmt.Sprintf("by %+v", d) },
			func(w *world, d time.Duration) {
				w.judged.ClocksBroken, w.judged.Steps = true, 100*time.Hour
				p, _, a := w.contested(0, 0)
				if p == nil {
					return
				}
				p.step(d)
				w.pass(2 * w.cfg.TTL)
				p.step(0)
				within := w.times.Resume
				if d > 0 {
					within += d // what was claimed by that clock runs out by it
				}
				w.await(a, within, "the clock is right again")
			})},
	}
}

func pauseCases() []Case {
	return []Case{
		{"pauses", "one", "a process is stopped for a while at every phase of its lease: when it goes on it serves nothing that is over", []conformance.RuleID{conformance.ServesInTime, conformance.ServesAlone}, func(cfg registry.Config, _ uint64) []play {
			var plays []play
			for _, d := range []time.Duration{cfg.TTL / 2, cfg.TTL - cfg.TTL/50, cfg.TTL + cfg.Grace/2, 3 * cfg.TTL} {
				for _, when := range phases(5)(cfg) {
					plays = append(plays, play{name: fmt.Sprintf("for %v from %s", d, at(when)), run: func(w *world) {
						p, _, a := w.contested(0, 0)
						if p == nil {
							return
						}
						w.pass(when)
						p.halt()
						w.pass(d)
						p.resume()
						w.pass(w.cfg.TTL / 2)
						if w.await(a, w.times.Resume, "the process goes on") != nil {
							w.calm("the process goes on", a)
						}
					}})
				}
			}
			return plays
		}},
		{"pauses", "cut", "a process wakes without a link: nobody tells it that its lease is over", []conformance.RuleID{conformance.ServesInTime}, each(phases(4), at, func(w *world, when time.Duration) {
			p, rival, a := w.contested(0, 0)
			if p == nil {
				return
			}
			w.pass(when)
			end := p.suffer(trouble{kind: silent, name: "requests are lost"})
			p.halt()
			w.pass(2 * w.cfg.TTL)
			p.resume()
			w.pass(w.cfg.TTL / 10)
			w.look()
			w.pass(w.cfg.TTL)
			end()
			w.await(a, w.times.Resume, "the process goes on")
			_ = rival
		})},
	}
}

func restartCases() []Case {
	return []Case{
		{"restart", "killed", "a process is killed; another takes over in the stated time", []conformance.RuleID{conformance.ClientServes}, one(func(w *world) {
			p, rival, a := w.contested(0, 0)
			if p == nil {
				return
			}
			w.pass(w.cfg.TTL)
			p.kill()
			w.awaitOne(a, rival, w.times.Resume, "its server was killed")
		})},
		{"restart", "same-name", "a process is killed and started again under its old name, with nobody else there", []conformance.RuleID{conformance.ClientServes, conformance.ServesGranted}, each(phases(3), func(d time.Duration) string { return fmt.Sprintf("after %v", d+time.Second) }, func(w *world, d time.Duration) {
			p, a, _ := w.served(0)
			if p == nil {
				return
			}
			w.pass(w.cfg.TTL / 2)
			p.kill()
			w.pass(d + time.Second)
			w.start("n1", 0).want(a)
			if w.await(a, w.times.Resume, "it was started again") != nil {
				w.calm("it was started again", a)
			}
		})},
		{"restart", "two-of-a-name", "a process is stopped, started anew under its name, and the old one goes on; one of them ends", []conformance.RuleID{conformance.ClientOwn, conformance.ServesAlone, conformance.ServesGranted, conformance.ServesInTime}, each(
			func(cfg registry.Config) []time.Duration {
				return []time.Duration{cfg.TTL / 10, cfg.TTL / 2, 2 * cfg.TTL}
			},
			func(d time.Duration) string { return fmt.Sprintf("the old one goes on after %v", d) },
			func(w *world, d time.Duration) {
				p, a, _ := w.served(0)
				if p == nil {
					return
				}
				p.halt()
				successor := w.start("n1", 0)
				go func() { successor.want(a) }()
				w.pass(d)
				p.resume()
				w.pass(w.times.Resume)
				if w.await(a, w.times.Resume, "there were two processes of one name") == nil {
					return
				}
				before := w.epochOf(p.id)
				w.calm("there were two processes of one name", a)
				if after := w.epochOf(p.id); after != before {
					w.find(conformance.ClientOwn, "a process that was superseded ends", "two processes of the name %s supersede each other: epoch %d became %d in %v", p.id, before, after, 3*w.cfg.TTL)
				}
			})},
	}
}

func herdCases() []Case {
	herd := func(w *world, how string, leave func(p *process, a registry.ActorID)) {
		p, a, _ := w.served(0)
		if p == nil {
			return
		}
		var all []*process
		for i := range w.waiters {
			all = append(all, w.start(fmt.Sprint("w", i), 0))
		}
		for _, q := range all {
			q.want(a)
		}
		w.pass(w.cfg.TTL)
		before := w.claimsOf(all, a)
		leave(p, a)
		w.await(a, w.times.Resume, "its server "+how)
		w.pass(w.cfg.TTL / 2)
		if n, most := w.claimsOf(all, a)-before, w.waiters/5+10; n > most {
			w.find(conformance.ClientHerd, fmt.Sprintf("at most %d claims", most), "%d clients waited for %s, whose server %s; they made %d claims until it was served again and for %v", w.waiters, a.Name, how, n, w.cfg.TTL/2)
		}
	}
	return []Case{
		{"herd", "held", "a client waits for an actor that another keeps: it asks now and then", []conformance.RuleID{conformance.ClientPaced}, one(func(w *world) {
			p, _, a := w.contested(0, 0)
			if p != nil {
				w.pass(3 * w.cfg.TTL)
				w.await(a, w.times.Serve, "nothing was wrong")
			}
		})},
		{"herd", "long", "a client has waited for a hundred lengths of a lease when the actor is given up: it still looks in time", []conformance.RuleID{conformance.ClientServes}, one(func(w *world) {
			p, rival, a := w.contested(0, 0)
			if p == nil {
				return
			}
			w.pass(100 * w.cfg.TTL)
			p.drop(a, w.cfg.TTL)
			w.awaitOne(a, rival, w.times.Resume, "its server gave up, after a hundred leases")
		})},
		{"herd", "refused", "the registry fails every call at once: a client pauses before it asks again", []conformance.RuleID{conformance.ClientPaced}, withAndWithout(func(w *world) {
			p, rival, a := w.contested(0, 0)
			if p == nil {
				return
			}
			ends := []func(){p.suffer(trouble{kind: refused, name: "connections are refused"}), rival.suffer(trouble{kind: refused, name: "connections are refused"})}
			w.pass(2 * w.cfg.TTL)
			for _, end := range ends {
				end()
			}
			w.await(a, w.times.Resume, "the trouble is over")
		})},
		{"herd", "lapse", "a server dies, and a thousand wait: few of them claim", []conformance.RuleID{conformance.ClientHerd, conformance.ClientServes}, one(func(w *world) { herd(w, "was killed", func(p *process, _ registry.ActorID) { p.kill() }) })},
		{"herd", "released", "a server gives up, and a thousand wait: few of them claim", []conformance.RuleID{conformance.ClientHerd, conformance.ClientServes}, withAndWithout(func(w *world) {
			herd(w, "gave up", func(p *process, a registry.ActorID) { p.drop(a, w.cfg.TTL) })
		})},
	}
}

// claimsOf returns how many claims of an actor the processes have made.
func (w *world) claimsOf(procs []*process, a registry.ActorID) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range procs {
		n += p.claims
	}
	return n
}

func closeCases() []Case {
	return []Case{
		{"close", "serving", "a client is closed while it serves", []conformance.RuleID{conformance.ClientCloses}, one(func(w *world) {
			p, rival, a := w.contested(0, 0)
			if p == nil {
				return
			}
			w.pass(w.cfg.TTL / 2)
			p.close(w.times.Stop)
			w.awaitOne(a, rival, w.times.Resume, "its server was closed")
		})},
		{"close", "waiting", "a client is closed while it waits for an actor", []conformance.RuleID{conformance.ClientCloses}, one(func(w *world) {
			p, rival, a := w.contested(0, 0)
			if p == nil {
				return
			}
			w.pass(w.cfg.TTL / 2)
			rival.close(w.times.Stop)
			w.pass(w.cfg.TTL)
			w.await(a, w.times.Serve, "another client was closed")
		})},
		{"close", "cut", "a client is closed while it has no link", []conformance.RuleID{conformance.ClientCloses}, each(
			func(cfg registry.Config) []trouble {
				return []trouble{{kind: silent, name: "requests are lost"}, {kind: refused, name: "connections are refused"}, {kind: slow, name: "messages are slow", d: cfg.TTL / 4}}
			}, func(t trouble) string { return t.name }, func(w *world, t trouble) {
				p, a, _ := w.served(0)
				if p == nil {
					return
				}
				p.want(shop(1))
				p.suffer(t)
				w.pass(w.cfg.TTL / 2)
				p.close(w.times.Stop)
				w.pass(w.cfg.TTL)
				if q := w.server(a); q != nil {
					w.find(conformance.ClientCloses, "a closed client serves nothing", "%s was closed and serves %s", q.name, a.Name)
				}
			})},
		{"close", "many", "a client that serves thirty actors is closed while it has no link", []conformance.RuleID{conformance.ClientCloses}, one(func(w *world) {
			p := w.start("n1", 0)
			for i := range 30 {
				p.want(shop(i))
			}
			for i := range 30 {
				w.await(shop(i), w.times.Serve, "it was to be served")
			}
			p.suffer(trouble{kind: silent, name: "requests are lost"})
			p.close(w.times.Stop)
		})},
		{"close", "at-once", "a client is closed as soon as it was asked for something", []conformance.RuleID{conformance.ClientCloses, conformance.ClientNoLeak}, one(func(w *world) {
			p, rival, a := w.start("n1", 0), w.start("n2", 0), shop(0)
			p.want(a)
			p.close(w.times.Stop)
			rival.want(a)
			w.awaitOne(a, rival, w.times.Resume+w.times.Serve, "the other was closed")
		})},
	}
}
