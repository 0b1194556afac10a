package sections

import (
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
)

// presenting is a cluster in which records of every kind are, whose leases end at one
// reading, so that whatever is refused can be presented in each phase.
type presenting struct {
	*lockstep.Run
	n1, n2    *lockstep.Node
	holders   []registry.NodeRef // n1's two incarnations, n2, and one that was never there
	receivers []registry.NodeRef // of every standing
	turn      int                // of the receivers
	records   []registry.Lease   // the latest of each
}

// everyRefusal makes each call that the reference refuses, of those that present a tenure
// and of claims, at the first reading of each phase.
func everyRefusal(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		p := &presenting{Run: w, n1: w.Node("n1", 0), n2: w.Node("n2", 0)}
		w.Audits = false // all is read at the end of each phase
		p.join()
		p.write()
		var last registry.Instant
		for _, r := range p.records {
			last = max(last, r.Expiry)
		}
		for _, at := range []registry.Instant{last - 1, last, last.Add(w.Cfg.Grace), last.Add(w.Cfg.Grace + 2*w.Cfg.MaxClockSkew)} {
			w.Until(p.n2, at)
			for _, r := range p.records {
				p.present(r)
			}
			w.AuditAll(contract.RefusalNothing)
		}
	})
}

// join has nodes of every standing.
func (p *presenting) join() {
	p.holders = []registry.NodeRef{p.n1.Ref, {ID: p.n1.Ref.ID, Epoch: 2}, p.n2.Ref, {ID: "stranger", Epoch: 1}}
	p.receivers = []registry.NodeRef{p.n2.Ref, {ID: "never", Epoch: 1}}
	left, failed := p.Node("left", 0), p.Node("failed", 0)
	if !p.Offers(call.Deregister(left.Ref)) {
		return
	}
	p.Is(left.Do(call.Deregister(left.Ref)), nil)
	p.Fail(p.n2, failed)
	p.receivers = append(p.receivers, left.Ref, failed.Ref, p.n1.Ref)
}

// write writes a record of each kind: at its first tenure, and at the third.
func (p *presenting) write() {
	reclaimed, own := p.Actor("reclaimed"), p.Actor("reclaimed by its holder")
	p.Is(p.n2.Claim(reclaimed), nil)
	p.Is(p.n1.Claim(own), nil)
	p.Lapse()
	add := func(l registry.Lease) { p.records = append(p.records, l) }
	for i, kind := range []string{"claimed", "released", "handed", "handed and back", "handed and released"} {
		for tenures := 0; tenures < 3; tenures += 2 {
			l := registry.Lease{Actor: p.Actor(fmt.Sprint(kind, " ", tenures))}
			for range tenures {
				l = p.Is(p.n2.Claim(l.Actor), nil).Lease()
				p.Is(p.n2.Do(call.Release(l)), nil)
			}
			l = p.Is(p.n1.Claim(l.Actor), nil).Lease()
			if i > 1 && p.Offers(call.Transfer(l, p.n2.Ref)) {
				l = p.Is(p.n1.Do(call.Transfer(l, p.n2.Ref)), nil).Lease()
				if i == 3 {
					l = p.Is(p.n2.Do(call.Transfer(l, p.n1.Ref)), nil).Lease()
				}
			}
			if i%3 == 1 {
				p.Is(p.n2.Do(call.Release(l)), nil)
			}
			add(l)
		}
	}
	add(p.Is(p.n1.Claim(reclaimed), nil).Lease())
	add(p.Is(p.n1.Claim(own), nil).Lease())
	add(registry.Lease{Actor: p.Actor("never claimed")})
	p.Is(p.n1.Register(registry.Supersede), nil)
}

// nearTokens is how far below the latest token tenures are presented: down to the first,
// unless tokens are sparse.
const nearTokens = 4

// present makes each call about a record that is refused. Of the receivers each tenure is
// presented to two, by turns.
func (p *presenting) present(latest registry.Lease) {
	makes := func(c call.Call) bool {
		refused := p.Offers(c) && p.n2.Refuses(c)
		if refused {
			p.n2.Do(c)
		}
		return refused
	}
	var batch []registry.Lease
	first := registry.Token(1)
	if latest.Token > nearTokens {
		first = latest.Token - nearTokens
	}
	for token := first; token <= latest.Token+1; token++ {
		for _, holder := range p.holders {
			l := registry.Lease{Actor: latest.Actor, Holder: holder, Token: token, Version: latest.Version, Expiry: latest.Expiry}
			if makes(call.Renew(l)) {
				batch = append(batch, l)
			}
			makes(call.Release(l))
			for range 2 {
				p.turn++
				makes(call.Transfer(l, p.receivers[p.turn%len(p.receivers)]))
			}
		}
		makes(call.Validate(latest.Actor, token))
	}
	for range 2 {
		for few := range slices.Chunk(batch, 3) { // of unknown outcomes in a batch every order is followed
			if p.T.Judge.Found[backend.BatchRenew] {
				p.n2.Do(call.RenewBatchCall(few))
			}
		}
		slices.Reverse(batch)
	}
	for _, node := range slices.Concat(p.receivers, p.holders) {
		for _, id := range []registry.ClaimID{latest.ClaimID, p.ClaimID()} {
			if !id.IsZero() {
				makes(call.Claim(latest.Actor, node, id))
			}
		}
	}
}
