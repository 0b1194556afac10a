package sound

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
)

// Loop makes clients that do everything in one goroutine: it beats, claims, looks, renews
// what is due in a batch where the registry has one, serves and gives up. No call of it
// takes longer than what is left of the lease that ends first.
func Loop(n client.Node) (client.Client, error) {
	l := &loop{n: n, rng: rand.New(rand.NewPCG(n.Seed, 3)), actors: map[registry.ActorID]*place{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.instance = registry.NewInstanceID()
	for !l.register(registry.Supersede) {
		if l.err != nil {
			l.cancel()
			return nil, l.err
		}
		pause(l.ctx, n.Config.TTL/30)
	}
	l.beatAt = n.Clock.Now().Add(n.Config.FailureTimeout / 3)
	go l.run()
	return l, nil
}

type loop struct {
	n        client.Node
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{} // closed when the goroutine has ended
	wake     chan struct{} // something was asked
	instance registry.InstanceID

	mu    sync.Mutex
	asked []func() // of the goroutine, in their order

	// Of the goroutine.
	rng    *rand.Rand
	ref    registry.NodeRef
	err    error // why there is nothing to do any more
	beatAt registry.Instant
	actors map[registry.ActorID]*place
}

// place is an actor that is to be served, or given up.
type place struct {
	actor registry.ActorID
	id    registry.ClaimID
	maybe bool             // a claim under id may have been granted
	held  bool             // another held it when it was looked at last
	next  registry.Instant // when something is to be done
	lease registry.Lease
	until registry.Instant // what is served is served until then
	stop  func(error)      // nil while nothing is served

	leave  context.Context // of who gives it up; nil while it is wanted
	reply  chan error
	giving func(context.Context) error // what frees it
}

var (
	errEnd        = errors.New("the lease ends")
	errSuperseded = errors.New("another process has the name")
)

func (l *loop) now() registry.Instant { return l.n.Clock.Now() }

// do has the goroutine do something.
func (l *loop) do(f func()) {
	l.mu.Lock()
	l.asked = append(l.asked, f)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *loop) run() {
	defer close(l.done)
	for l.ctx.Err() == nil && l.err == nil {
		l.take()
		l.turn()
		wait := time.NewTimer(max(l.due().Sub(l.now()), 0))
		select {
		case <-wait.C:
		case <-l.wake:
		case <-l.ctx.Done():
		}
		wait.Stop()
	}
	for _, p := range l.actors {
		l.ends(p, l.err)
		if p.reply != nil {
			p.reply <- errors.New("closed")
		}
	}
	l.actors = nil
	for l.ctx.Err() == nil { // superseded: whoever asks is answered
		l.take()
		select {
		case <-l.wake:
		case <-l.ctx.Done():
		}
	}
	l.take()
}

func (l *loop) take() {
	l.mu.Lock()
	asked := l.asked
	l.asked = nil
	l.mu.Unlock()
	for _, f := range asked {
		f()
	}
}

// due returns when something is to be done next.
func (l *loop) due() registry.Instant {
	next := l.beatAt
	for _, p := range l.actors {
		next = min(next, p.next)
		if p.stop != nil {
			next = min(next, p.until)
		}
	}
	return next
}

// turn does what is due.
func (l *loop) turn() {
	l.sweep()
	if l.now() >= l.beatAt {
		l.beat()
	}
	l.renew()
	for _, p := range l.actors {
		if l.now() < p.next || p.stop != nil {
			continue
		}
		if p.leave != nil {
			l.free(p)
		} else {
			l.obtain(p)
		}
		l.sweep()
	}
}

// sweep ends what is served and whose lease ends.
func (l *loop) sweep() {
	for _, p := range l.actors {
		if p.stop != nil && l.now() >= p.until {
			l.ends(p, errEnd)
			p.lease, p.next = registry.Lease{}, l.now().Add(l.n.Config.TTL/30)
		}
	}
}

func (l *loop) ends(p *place, why error) {
	if p.stop != nil {
		p.stop(why)
		p.stop = nil
	}
}

// call returns the context of one call.
func (l *loop) call() (context.Context, context.CancelFunc) {
	bound := l.n.Config.TTL / 30
	for _, p := range l.actors {
		if p.stop != nil {
			bound = min(bound, p.until.Sub(l.now()))
		}
	}
	return context.WithTimeout(l.ctx, bound)
}

func (l *loop) register(mode registry.RegisterMode) bool {
	ctx, cancel := l.call()
	defer cancel()
	node, err := l.n.Handle.RegisterNode(ctx, l.n.ID, registry.NodeInfo{Instance: l.instance}, mode)
	if err == nil {
		l.ref = node.Ref
	}
	if errors.Is(err, registry.ErrClosed) {
		l.err = err
	}
	return err == nil
}

// beat keeps the node registered. What another process registered under the name is left
// alone.
func (l *loop) beat() {
	ctx, cancel := l.call()
	defer cancel()
	err := l.n.Handle.Heartbeat(ctx, l.ref)
	l.beatAt = l.now().Add(l.n.Config.FailureTimeout / 3)
	if !errors.Is(err, registry.ErrNodeFailed) && !errors.Is(err, registry.ErrNodeUnknown) {
		return
	}
	l.beatAt = l.now().Add(l.n.Config.TTL / 30)
	latest, found, err := l.n.Handle.GetNode(ctx, l.n.ID)
	switch {
	case err != nil:
	case found && latest.Ref.Epoch > l.ref.Epoch && latest.Info.Instance == l.instance:
		l.ref = latest.Ref // a registration whose answer was lost
	case found && latest.Ref.Epoch > l.ref.Epoch:
		l.err = errSuperseded
	default:
		l.instance = registry.NewInstanceID()
		l.register(registry.IfAbsent)
	}
}

// renew renews what is due, and what soon will be.
func (l *loop) renew() {
	var places []*place
	var leases []registry.Lease
	soon := l.n.Config.TTL / 20
	some := false
	for _, p := range l.actors {
		if p.stop != nil && l.now().Add(soon) >= p.next {
			places, leases = append(places, p), append(leases, p.lease)
			some = some || l.now() >= p.next
		}
	}
	if !some {
		return
	}
	batch, ok := l.n.Handle.(registry.BatchRenewer)
	if !ok {
		for i, p := range places {
			if p.stop == nil {
				continue
			}
			sent := l.now()
			ctx, cancel := l.call()
			lease, err := l.n.Handle.Renew(ctx, leases[i])
			cancel()
			l.renewed(p, sent, lease, err)
			l.sweep()
		}
		return
	}
	sent := l.now()
	ctx, cancel := l.call()
	defer cancel()
	for i, r := range batch.RenewBatch(ctx, leases) {
		l.renewed(places[i], sent, r.Lease, r.Err)
	}
	l.sweep()
}

func (l *loop) renewed(p *place, sent registry.Instant, lease registry.Lease, err error) {
	ttl := l.n.Config.TTL
	switch {
	case err == nil:
		p.lease, p.until = lease, max(p.until, l.ending(sent, lease))
		p.next = l.now().Add(ttl/4 + l.jitter(ttl/20))
	case errors.Is(err, registry.ErrFenced), errors.Is(err, registry.ErrNotHeld), errors.Is(err, registry.ErrLapsed):
		l.ends(p, err)
		p.lease, p.maybe, p.next = registry.Lease{}, false, l.now()
	default:
		p.next = l.now().Add(ttl/40 + l.jitter(ttl/40))
	}
}

func (l *loop) ending(sent registry.Instant, lease registry.Lease) registry.Instant {
	return min(sent.Add(l.n.Config.TTL), lease.Expiry).Add(-l.n.Config.TTL / 30)
}

func (l *loop) jitter(d time.Duration) time.Duration { return time.Duration(l.rng.Int64N(int64(d))) }

// obtain looks, if another had the actor, and claims if it can be had.
func (l *loop) obtain(p *place) {
	ttl := l.n.Config.TTL
	ctx, cancel := l.call()
	defer cancel()
	p.next = l.now().Add(ttl/40 + l.jitter(ttl/20))
	if p.held {
		found, _, err := l.n.Handle.Lookup(ctx, p.actor)
		if err != nil {
			return
		}
		if l.taken(p, found) {
			return
		}
	}
	if !p.maybe {
		p.id = registry.NewClaimID()
	}
	sent := l.now()
	lease, err := l.n.Handle.Claim(ctx, p.actor, l.ref, p.id)
	var r *registry.Refusal
	switch {
	case err == nil:
		p.maybe = true
		l.begin(p, sent, lease)
	case errors.Is(err, registry.ErrAmbiguous):
		p.maybe = true
	case errors.Is(err, registry.ErrHeld) && errors.As(err, &r):
		l.taken(p, r.Placement)
	}
}

// taken reports whether the record shows that the actor cannot be had yet, and notes
// when to look again. What this node holds and does not serve it renews, and then serves.
func (l *loop) taken(p *place, found registry.Placement) bool {
	cfg := l.n.Config
	p.held = found.Held() && found.Expiry.Add(cfg.Grace+2*cfg.MaxClockSkew) > l.now()
	if !p.held {
		return false
	}
	if found.Holder == l.ref && found.Expiry > l.now() {
		sent := l.now()
		ctx, cancel := l.call()
		defer cancel()
		if lease, err := l.n.Handle.Renew(ctx, found.Lease()); err == nil {
			l.begin(p, sent, lease)
			return true
		}
	}
	left := found.Expiry.Add(cfg.Grace + 2*cfg.MaxClockSkew).Sub(l.now())
	p.next = l.now().Add(max(min(left, cfg.TTL/3), 0) + l.jitter(cfg.TTL/5))
	return true
}

func (l *loop) begin(p *place, sent registry.Instant, lease registry.Lease) {
	p.lease, p.until, p.held = lease, l.ending(sent, lease), false
	if l.now() >= p.until || l.ctx.Err() != nil {
		p.next = l.now().Add(l.n.Config.TTL / 30)
		p.held = true // it is looked at before it is claimed again
		return
	}
	p.stop = l.n.Serve(p.actor, lease.Token)
	p.next = l.now().Add(l.n.Config.TTL/4 + l.jitter(l.n.Config.TTL/20))
}

// free tries once to free what is given up.
func (l *loop) free(p *place) {
	ctx, cancel := l.call()
	defer cancel()
	err := p.giving(ctx)
	if err == nil || errors.Is(err, registry.ErrFenced) || errors.Is(err, registry.ErrNotHeld) || errors.Is(err, registry.ErrLapsed) {
		p.reply <- nil
		delete(l.actors, p.actor)
		return
	}
	if p.leave.Err() != nil {
		p.reply <- err
		delete(l.actors, p.actor)
		return
	}
	p.next = l.now().Add(l.n.Config.TTL / 40)
}

// Want implements client.Client.
func (l *loop) Want(a registry.ActorID) {
	l.do(func() {
		if l.actors != nil && l.actors[a] == nil {
			l.actors[a] = &place{actor: a, next: l.now()}
		}
	})
}

// Drop implements client.Client.
func (l *loop) Drop(ctx context.Context, a registry.ActorID) error {
	reply := make(chan error, 1)
	l.do(func() {
		p := l.actors[a]
		if p == nil {
			reply <- nil
			return
		}
		l.ends(p, nil)
		p.leave, p.reply, p.next = ctx, reply, l.now()
		p.giving = func(ctx context.Context) error { return l.giveBack(ctx, p) }
		if p.lease.Token == 0 && !p.maybe {
			reply <- nil
			delete(l.actors, a)
		}
	})
	return <-reply
}

// giveBack releases the lease that is there, or the one that a claim may have got.
func (l *loop) giveBack(ctx context.Context, p *place) error {
	if p.lease.Token == 0 {
		found, _, err := l.n.Handle.Lookup(ctx, p.actor)
		if err != nil || found.Holder.ID != l.n.ID || found.ClaimID != p.id {
			return err
		}
		return l.n.Handle.Release(ctx, found.Lease())
	}
	return l.n.Handle.Release(ctx, p.lease)
}

// Close implements client.Client. What it holds lapses.
func (l *loop) Close() error {
	l.cancel()
	<-l.done
	return nil
}
