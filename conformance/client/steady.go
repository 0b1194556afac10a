package client

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// turn is the begin or the end of a service.
type turn struct {
	actor registry.ActorID
	at    time.Duration
	by    int           // 1 or -1
	left  time.Duration // of the lease, at the end of a service that was not asked to end
}

// lastsAll is what is left of a lease that no service ends by itself with.
const lastsAll = time.Duration(math.MaxInt64)

// leftOf returns how much is left of a lease, by the registry's record.
func (w *world) leftOf(p *process, s *service, why error) time.Duration {
	rec := w.record(s.actor)
	if why == nil || rec.Holder.ID != p.id || rec.Token != s.token {
		return lastsAll
	}
	return rec.Expiry.Sub(registry.InstantOf(time.Now()))
}

// ranOut judges that no service ended because its lease was about to end.
func (w *world) ranOut(rule conformance.RuleID, a registry.ActorID, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.turns {
		if t.actor == a && t.by < 0 && t.left < w.cfg.TTL/5 {
			w.findings = append(w.findings, finding{rule, fmt.Sprintf("a service of %s ended at T+%v, %v before the end of its lease, %s", a.Name, t.at.Round(time.Millisecond), t.left.Round(time.Millisecond), what), "a renewal that failed is tried again while there is time", t.at})
			return
		}
	}
}

// steady lets d pass, in which nothing is wrong, and judges that who serves the
// actor does not stop. A client may stop for as long as a few calls take, as one
// does that renews while it does not serve; that nobody serves yet is not judged.
func (w *world) steady(rule conformance.RuleID, a registry.ActorID, d time.Duration, what string) {
	w.mu.Lock()
	n, from := w.servers(a), len(w.turns)
	w.mu.Unlock()
	w.pass(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	ended, longest, at := time.Duration(-1), time.Duration(0), time.Duration(0)
	look := func(now time.Duration) {
		if ended >= 0 && now-ended > longest {
			longest, at = now-ended, ended
		}
	}
	for _, t := range w.turns[from:] {
		if t.actor != a {
			continue
		}
		look(t.at)
		ended = -1
		if n += t.by; n == 0 {
			ended = t.at
		}
	}
	look(w.now())
	if most := w.cfg.TTL/100 + 4*w.judged.Reaction; longest > most {
		w.findings = append(w.findings, finding{rule, fmt.Sprintf("%s was served until T+%v, and then not for %v, %s", a.Name, at.Round(time.Millisecond), longest.Round(time.Millisecond), what), fmt.Sprintf("where nothing is wrong a service is not interrupted for more than %v", most), at + longest})
	}
}

// servers returns how many services of an actor there are. The caller holds w.mu.
func (w *world) servers(a registry.ActorID) (n int) {
	for _, p := range w.procs {
		for _, s := range p.services {
			if s.actor == a && !p.dead {
				n++
			}
		}
	}
	return n
}

// calm judges that who serves the actors after a trouble goes on to. What the
// trouble left under way has a lease's time to come to its end.
func (w *world) calm(what string, actors ...registry.ActorID) {
	w.pass(w.cfg.TTL)
	for _, a := range actors {
		w.steady(conformance.ClientServes, a, 2*w.cfg.TTL, fmt.Sprintf("more than %v after %s", w.cfg.TTL, what))
	}
}

// detect marks every node failed that the registry lets it, until it is stopped:
// nobody is, that sends heartbeats.
func (w *world) detect() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	w.errands.Go(func() {
		for sleep(ctx, w.cfg.FailureTimeout/5) {
			for n, err := range registry.AllNodes(ctx, w.exact, registry.NodeActive) {
				if err != nil || w.exact.MarkFailed(ctx, n.Ref) != nil {
					continue
				}
				w.find(conformance.ClientKeeps, "a client that can reach the registry sends its heartbeats", "%v was marked failed: its last heartbeat was %v old", n.Ref, time.Since(n.LastSeen.Time()).Round(time.Millisecond))
			}
		}
	})
	return cancel
}

// epochOf returns the latest epoch of a node.
func (w *world) epochOf(id registry.NodeID) registry.Epoch {
	n, _, _ := w.exact.GetNode(context.Background(), id) // of a store in memory that is open
	return n.Ref.Epoch
}
