package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// trouble is something that is wrong between a process and the registry. The
// zero values of its bounds mean every call.
type trouble struct {
	kind    kind
	name    string
	kinds   []op.Kind     // of calls; nil: all
	writes  bool          // only calls that change something
	percent int64         // of the calls; 0: all
	every   int           // only every so many of one kind about one actor; 0: all
	calls   int           // only so many; 0: no bound
	d       time.Duration // of slow, late, twice and shuffled

	seen map[about]int // guarded by world.mu, as is done
	done int
}

// about is what calls have in common that repeat each other.
type about struct {
	kind  op.Kind
	actor registry.ActorID
}

// kind says what becomes of a call.
type kind uint8

const (
	silent   kind = iota + 1 // the request is lost: no answer
	refused                  // the connection is refused: ErrUnavailable, at once
	unheard                  // it is done, and the answer is lost: no answer
	unsure                   // it is done or not, and the answer is ErrAmbiguous, settled
	open                     // it is done later or never, and the answer is ErrAmbiguous, may still apply
	late                     // the request arrives after d; nobody takes it back
	slow                     // request and answer take d each
	behind                   // it is done at once, and the answer takes d
	twice                    // it is done, and arrives a second time after up to d
	shuffled                 // request and answer take anything up to d each
)

// stops reports whether no call reaches the registry.
func (t *trouble) stops() bool {
	return (t.kind == silent || t.kind == refused) && t.kinds == nil && t.percent == 0 && t.every == 0 && t.calls == 0
}

// applies reports whether the trouble is with this call, and counts it. The
// caller holds w.mu.
func (t *trouble) applies(p *process, c *op.Call) bool {
	if t.kinds != nil && !slices.Contains(t.kinds, c.Kind) || t.writes && !c.Kind.Mutates() {
		return false
	}
	if t.every > 0 && t.again(c)%t.every != 0 || t.calls > 0 && t.done >= t.calls {
		return false
	}
	if t.percent > 0 && p.w.roll(fmt.Sprint(p.name, t.name, c.Kind, c.Actor.Name), 100) >= t.percent {
		return false
	}
	t.done++
	return true
}

// again counts the calls of one kind about one actor: a client that does something else
// between two of them, in turns, is not to fail each time with the same one. The caller
// holds w.mu.
func (t *trouble) again(c *op.Call) int {
	if t.seen == nil {
		t.seen = map[about]int{}
	}
	t.seen[about{c.Kind, c.Actor}]++
	return t.seen[about{c.Kind, c.Actor}]
}

// suffer begins a trouble for the process, and returns what ends it.
func (p *process) suffer(t trouble) (end func()) { return p.suffers(&t) }

func (p *process) suffers(mine *trouble) (end func()) {
	w, t := p.w, mine
	w.note(p.name, registry.ActorID{}, "its calls suffer: %s", t.name)
	w.mu.Lock()
	p.troubles = append(p.troubles, mine)
	w.mu.Unlock()
	return func() {
		w.mu.Lock()
		p.troubles = slices.DeleteFunc(p.troubles, func(o *trouble) bool { return o == mine })
		w.mu.Unlock()
		w.note(p.name, registry.ActorID{}, "its calls suffer no more: %s", t.name)
	}
}

// sufferOnce has one call suffer, and returns when it has, within d at the latest.
func (p *process) sufferOnce(t trouble, d time.Duration) {
	t.calls = 1
	defer p.suffers(&t)()
	for limit := p.w.now() + d; p.w.now() < limit; p.w.pass(p.w.cfg.TTL / 100) {
		p.w.mu.Lock()
		done := t.done
		p.w.mu.Unlock()
		if done > 0 {
			return
		}
	}
}

// travel is how long a message takes each way when nothing is wrong.
const travel = 2 * time.Millisecond

// link is what the client has of the registry.
func (p *process) link() registry.Handle { return op.Handle(p.do, p.w.powers) }

// errLost is what the client's side of a link makes of silence.
var errLost = errors.New("no answer")

func (p *process) do(ctx context.Context, c op.Call) op.Result {
	if c.Kind == op.Close {
		return op.Failed(nil)
	}
	p.count(ctx, &c)
	r := p.carry(ctx, &c)
	if !p.running(ctx) {
		return op.Failed(registry.ErrClosed)
	}
	p.told(&c, &r)
	return r
}

// carry takes a call to the registry and its answer back, as far as they come.
func (p *process) carry(ctx context.Context, c *op.Call) op.Result {
	if !p.running(ctx) {
		return op.Failed(registry.ErrClosed)
	}
	t := p.troubleOf(c)
	there, back := p.way(t, c)
	switch t.kind {
	case refused:
		sleep(ctx, travel)
		return op.Failed(registry.ErrUnavailable)
	case silent:
		return p.silence(ctx, c)
	case late:
		p.laterReach(t.d, c)
		return p.silence(ctx, c)
	case open:
		if c.Kind.Mutates() {
			if p.w.roll(p.name+"open"+c.Kind.String(), 2) == 0 {
				p.laterReach(time.Duration(p.w.roll(p.name+"delay", int64(p.w.cfg.TTL))), c)
			}
			sleep(ctx, travel)
			return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: errLost})
		}
	case unsure:
		if c.Kind.Mutates() && p.w.roll(p.name+"unsure"+c.Kind.String(), 2) == 0 {
			sleep(ctx, 2*travel)
			return op.Failed(&registry.AmbiguousError{Cause: errLost})
		}
	}
	p.w.underWay(there)
	if !sleep(ctx, there) {
		return p.lost(c, ctx.Err(), false)
	}
	r := p.reach(ctx, c)
	if t.kind == twice {
		p.laterReach(1+time.Duration(p.w.roll(p.name+"twice", int64(t.d))), c)
	}
	switch {
	case t.kind == unheard, c.Kind == op.Watch && p.troubleOf(c).kind == silent:
		return p.silence(ctx, c)
	case t.kind == unsure && c.Kind.Mutates():
		return op.Failed(&registry.AmbiguousError{Cause: errLost})
	case !sleep(ctx, back):
		return p.lost(c, ctx.Err(), true)
	}
	return r
}

// troubleOf returns what is wrong with a call; the zero trouble is nothing.
func (p *process) troubleOf(c *op.Call) trouble {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	for _, t := range p.troubles {
		if t.applies(p, c) {
			return *t
		}
	}
	return trouble{}
}

// way returns how long request and answer take.
func (p *process) way(t trouble, c *op.Call) (there, back time.Duration) {
	jitter := func(d time.Duration, way string) time.Duration {
		return 1 + time.Duration(p.w.roll(p.name+way+c.Kind.String()+c.Actor.Name, int64(d)))
	}
	switch t.kind {
	case slow:
		return t.d, t.d
	case behind:
		return travel, t.d
	case shuffled:
		return jitter(t.d, "there"), jitter(t.d, "back")
	}
	return jitter(travel, "there"), jitter(travel, "back")
}

// reach carries the call out in the registry. What has not begun when the process
// is dead still happens.
func (p *process) reach(ctx context.Context, c *op.Call) op.Result {
	if c.Kind != op.Watch {
		ctx = context.WithoutCancel(ctx) // it was sent
	}
	r := op.Do(ctx, p.raw, c)
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	switch {
	case r.Err != nil:
	case c.Kind == op.RegisterNode:
		p.is[r.Node.Ref] = true
	case (c.Kind == op.Claim || c.Kind == op.Transfer) && r.Record.Token > p.w.grants[c.Actor].Token:
		p.w.grants[c.Actor] = r.Record.Lease()
	}
	return r
}

// laterReach carries a call out when d has passed, whoever waits for it.
func (p *process) laterReach(d time.Duration, c *op.Call) {
	late := *c
	p.w.underWay(d)
	p.w.errands.Go(func() {
		time.Sleep(d)
		p.reach(context.Background(), &late)
	})
}

// silence waits for an answer that does not come.
func (p *process) silence(ctx context.Context, c *op.Call) op.Result {
	select {
	case <-ctx.Done():
		return p.lost(c, ctx.Err(), true)
	case <-p.w.over:
		return op.Failed(registry.ErrClosed)
	}
}

// lost is what the caller learns when it stops to wait.
func (p *process) lost(c *op.Call, cause error, sent bool) op.Result {
	if !c.Kind.Mutates() || !sent {
		return op.Failed(cause)
	}
	return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: cause})
}

// sleep waits for d, and reports whether ctx lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// running waits until the process runs, and reports whether it ever does again.
// One that is dead rests until the world ends; its calls fail then.
func (p *process) running(ctx context.Context) bool {
	for {
		p.w.mu.Lock()
		halted, dead := p.halted, p.dead
		p.w.mu.Unlock()
		switch {
		case dead:
			<-p.w.over
			return false
		case halted == nil:
			return true
		}
		select {
		case <-halted:
		case <-p.w.over:
			return false
		}
	}
}

// count notes a call, and convicts a client that makes too many.
func (p *process) count(ctx context.Context, c *op.Call) {
	w := p.w
	w.freeze()
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.closed {
		gives := c.Kind == op.Lookup || c.Kind == op.Release || c.Kind == op.DeregisterNode
		if since := w.now() - p.closedAt; !gives || since > w.times.Stop {
			p.after = fmt.Sprintf("calls %v %v later", c.Kind, since)
		}
	}
	switch c.Kind {
	case op.Claim:
		p.claims++
	case op.Release:
		if t := (tenure{c.Actor, c.Token}); !p.failing[t] {
			p.released[t] = true
		}
	}
	p.judgeOwn(c)
	over := false
	for _, a := range actorsOf(c) {
		if _, known := p.given[a]; !known {
			a = registry.ActorID{} // what it was never asked for is counted together
		}
		window := callWindow{a, int64(w.now() / w.cfg.TTL)}
		p.calls[window]++
		if p.calls[window] == w.times.Calls {
			w.findings = append(w.findings, finding{conformance.ClientPaced, fmt.Sprintf("%s has made %d calls about %s within %v, the last of them %v", p.name, w.times.Calls, nameOf(a), w.cfg.TTL, c.Kind), "a client pauses before it asks again", w.now()})
		}
		over = over || p.calls[window] > w.times.Calls
	}
	if over {
		w.mu.Unlock() // it has been convicted; it need not go on so fast
		select {
		case <-w.over:
		case <-ctx.Done():
		case <-time.After(w.cfg.TTL):
		}
		w.mu.Lock()
	}
}

// actorsOf returns the actors that a call is about; none is the registration.
func actorsOf(c *op.Call) []registry.ActorID {
	if c.Kind != op.RenewBatch {
		return []registry.ActorID{c.Actor}
	}
	var all []registry.ActorID
	for _, l := range c.Leases {
		all = append(all, l.Actor)
	}
	return all
}

// judgeOwn convicts a client that acts for another: who renews, releases or hands
// over a lease that is not his ends or prolongs a tenure that he does not serve.
// The caller holds w.mu.
func (p *process) judgeOwn(c *op.Call) {
	leases := c.Leases
	switch c.Kind {
	case op.Renew, op.Release, op.Transfer, op.Claim:
		leases = []registry.Lease{{Actor: c.Actor, Holder: c.Node, Token: c.Token}}
	}
	for _, l := range leases {
		if !l.Holder.IsZero() && !p.is[l.Holder] { // a lease of nobody does no harm
			p.w.findings = append(p.w.findings, finding{conformance.ClientOwn, fmt.Sprintf("%s asks for %v of %s, in the name of %v, which it is not", p.name, c.Kind, l.Actor.Name, l.Holder), "a client claims for itself, and presents its own leases only", p.w.now()})
			return
		}
	}
}

func nameOf(a registry.ActorID) string {
	if a.Name == "" {
		return "its registration and what it was not asked for"
	}
	return a.Name
}

// endsRegistration reports whether an answer tells that a registration is over, or
// that another one has begun after it: what is served or not may come from that.
func endsRegistration(c *op.Call, r *op.Result) bool {
	if c.Kind == op.RegisterNode && r.Err == nil {
		return r.Node.Ref.Epoch > 1
	}
	return errors.Is(r.Err, registry.ErrNodeFailed) || errors.Is(r.Err, registry.ErrNodeUnknown) || errors.Is(r.Err, registry.ErrNodeExists)
}

// told notes a call and its answer for the timeline.
func (p *process) told(c *op.Call, r *op.Result) {
	w := p.w
	text := op.Text{Origin: registry.InstantOf(w.began), Namespace: "client"}
	line := entry{who: p.name, actor: c.Actor, minor: c.Kind.OfNode() && !endsRegistration(c, r), text: text.Call(c) + " = " + text.Result(c.Kind, r)}
	if c.Kind == op.RenewBatch {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, l := range c.Leases {
			line.actor = l.Actor
			one := op.OnLease(op.Renew, l)
			answer := *r
			if i < len(r.Renewals) {
				answer = r.Renewals[i]
			}
			p.failing[tenure{l.Actor, l.Token}] = answer.Err != nil
			line.text = text.Call(&one) + " = " + text.Result(op.Renew, &answer)
			w.enter(line)
		}
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Kind == op.Renew {
		p.failing[tenure{c.Actor, c.Token}] = r.Err != nil
	}
	w.enter(line)
}
