// Package plain is a client that keeps leases in the plainest way: one goroutine
// for each actor claims, serves, renews and waits. It is right as it is; its
// [Policy] makes it unusual, or wrong, for the tests of the suite.
package plain

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
)

// Client implements client.Client, client.Mover and client.Adopter.
type Client struct {
	n client.Node
	p Policy

	ctx    context.Context // of everything; ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	rng   *rand.Rand
	ref   registry.NodeRef
	wants map[registry.ActorID]*want

	turn  chan struct{} // of who waits for an actor, one at a time
	lost  atomic.Bool   // a lease was
	token atomic.Uint64
}

// want is an actor that is to be served.
type want struct {
	actor  registry.ActorID
	cancel context.CancelFunc
	done   chan struct{}       // closed when its goroutine has ended
	handed chan registry.Lease // what another node has handed over

	// Of its goroutine; of Drop and Move when that has ended.
	id    registry.ClaimID
	maybe bool           // a claim under id may have been granted
	lease registry.Lease // zero, or what is held
	serve func(error)    // ends the service; nil while nothing is served
	first registry.Token // of its first tenure
	guess registry.Token // of the next one
	old   registry.Lease // its first lease
	gone  registry.Token // of the latest tenure whose release was asked for

	losses, failures int
}

// Errors by which a service ends.
var (
	errDeadline = errors.New("the lease was not renewed in time")
	errOver     = errors.New("another process of this name has registered")
	errRotates  = errors.New("others have their turn")
)

// New returns a factory for clients of the policy.
func New(p Policy) client.Factory {
	return func(n client.Node) (client.Client, error) {
		c := &Client{n: n, p: p.withDefaults(n.Config), rng: rand.New(rand.NewPCG(n.Seed, 1)), wants: map[registry.ActorID]*want{}, turn: make(chan struct{}, 1)}
		c.ctx, c.cancel = context.WithCancel(context.Background())
		instance, mode := registry.NewInstanceID(), registry.Supersede
		if p.InstanceByName {
			instance = registry.InstanceID{}
			copy(instance[:], n.ID)
		}
		if p.StartsIfAbsent {
			mode = registry.IfAbsent
		}
		for {
			err := c.register(instance, mode)
			if err == nil {
				break
			}
			if errors.Is(err, registry.ErrClosed) {
				c.cancel()
				return nil, err
			}
			c.pause(c.ctx, c.p.RetryAfter)
		}
		if !p.NeverBeats {
			c.wg.Go(c.beat)
		}
		if c.p.LeavesTicker {
			go c.tick()
		}
		if c.p.LeavesGoroutine {
			go func() { <-make(chan struct{}) }()
		}
		return c, nil
	}
}

func (c *Client) register(instance registry.InstanceID, mode registry.RegisterMode) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.p.CallTimeout)
	defer cancel()
	node, err := c.n.Handle.RegisterNode(ctx, c.n.ID, registry.NodeInfo{Instance: instance}, mode)
	if err == nil {
		c.mu.Lock()
		c.ref = node.Ref
		c.mu.Unlock()
	}
	return err
}

func (c *Client) node() registry.NodeRef {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ref
}

// beat keeps the node registered. A process that was superseded ends.
func (c *Client) beat() {
	for every := c.n.Config.FailureTimeout / 3; c.pause(c.ctx, every); {
		ref := c.node()
		ctx, cancel := context.WithTimeout(c.ctx, c.p.CallTimeout)
		err := c.n.Handle.Heartbeat(ctx, ref)
		cancel()
		if err != nil && c.p.BeatsLess {
			every *= 2
		}
		if err != nil && c.p.BeatsDie {
			return
		}
		if c.p.RenewsWhatItHolds {
			c.renewAll(ref)
		}
		if c.p.IgnoresMembership || !errors.Is(err, registry.ErrNodeFailed) && !errors.Is(err, registry.ErrNodeUnknown) {
			continue
		}
		ctx, cancel = context.WithTimeout(c.ctx, c.p.CallTimeout)
		if c.p.AsksForever {
			ctx = c.ctx
		}
		latest, found, err := c.n.Handle.GetNode(ctx, c.n.ID)
		cancel()
		switch {
		case err != nil:
		case c.p.Fights:
			_ = c.register(registry.NewInstanceID(), registry.Supersede)
		case found && latest.Ref.Epoch > ref.Epoch:
			c.endAll(errOver)
			return
		default:
			_ = c.register(registry.NewInstanceID(), registry.IfAbsent) // refused: superseded, found out by the next beat
		}
	}
}

// Want implements client.Client.
func (c *Client) Want(a registry.ActorID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wants[a] != nil && !c.p.WantsTwice || c.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	w := &want{actor: a, cancel: cancel, done: make(chan struct{}), handed: make(chan registry.Lease, 1), guess: 1}
	c.wants[a] = w
	c.wg.Go(func() {
		defer close(w.done)
		c.keep(ctx, w)
	})
}

// keep claims and serves until ctx ends.
func (c *Client) keep(ctx context.Context, w *want) {
	for ctx.Err() == nil {
		deadline, ok := c.obtain(ctx, w)
		if !ok {
			continue
		}
		err := c.hold(ctx, w, deadline)
		if errors.Is(err, errRotates) {
			c.rotate(ctx, w)
			continue
		}
		if w.losses++; err == nil || c.p.NeverAgain || w.losses == c.p.Losses {
			return
		}
		c.lost.Store(true)
		if c.p.RenewsWhatIsLost {
			c.renewForever(ctx, w)
		}
		w.lease, w.maybe = registry.Lease{}, w.maybe && !c.p.NeverRenews
		c.pause(ctx, c.p.RetryAfter)
	}
}

// obtain makes one claim; in turn with others, as many as it takes.
func (c *Client) obtain(ctx context.Context, w *want) (deadline registry.Instant, ok bool) {
	if !c.p.WaitsInTurn {
		return c.claim(ctx, w)
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
	}
	for !ok && ctx.Err() == nil {
		deadline, ok = c.claim(ctx, w)
	}
	return deadline, ok
}

// rotate gives up what is no longer served, or leaves it to lapse.
func (c *Client) rotate(ctx context.Context, w *want) {
	w.gone = w.lease.Token
	ctx, cancel := context.WithTimeout(ctx, c.p.CallTimeout)
	defer cancel()
	if c.insist(ctx, func(ctx context.Context) error { return c.n.Handle.Release(ctx, w.lease) }) == nil {
		w.lease = registry.Lease{}
	}
	w.maybe = false
}

// now reads the clock.
func (c *Client) now() registry.Instant { return c.n.Clock.Now() }

// claim claims until it is granted. A claim of unknown outcome is repeated under
// its id, so that there is one grant.
func (c *Client) claim(ctx context.Context, w *want) (deadline registry.Instant, ok bool) {
	if w.id.IsZero() || !w.maybe || c.p.NewIDs {
		w.id = registry.NewClaimID()
	}
	select {
	case l := <-w.handed:
		if c.p.TrustsAdopted {
			w.lease = l
			return l.Expiry, true
		}
		if l.Holder == c.node() && l.Token > w.gone {
			return c.adopt(ctx, w, l)
		}
	default:
	}
	if c.p.AdoptsByName {
		if p, found, err := c.lookup(ctx, w.actor); err == nil && found && p.Holder.ID == c.n.ID {
			w.lease = p.Lease()
			return p.Expiry, true
		}
	}
	if c.p.ServesEarly {
		c.begin(w, w.guess)
	}
	sent := c.now()
	calling := ctx
	if c.p.DropsAtOnce {
		calling = c.ctx
	}
	l, err := c.ask(calling, w)
	w.maybe = w.maybe || errors.Is(err, registry.ErrAmbiguous)
	if err == nil {
		w.lease, w.maybe, w.failures = l, true, 0
		deadline = c.p.Deadline(sent, c.now(), l)
		if c.now() < deadline || c.p.StartsLate {
			return deadline, true
		}
		return c.adopt(ctx, w, l) // the answer came late; the lease may still be renewed
	}
	c.end(w, err)
	var r *registry.Refusal
	switch {
	case errors.Is(err, registry.ErrHeld) && errors.As(err, &r):
		c.wait(ctx, w, r.Placement)
	case errors.Is(err, registry.ErrAmbiguous) && c.p.AssumesGranted:
		w.lease = registry.Lease{Actor: w.actor, Holder: c.node(), Token: w.guess, Version: 1}
		return sent.Add(c.n.Config.TTL), true
	case errors.Is(err, registry.ErrAmbiguous) && c.p.Adopts:
		return c.find(ctx, w)
	case errors.Is(err, registry.ErrAmbiguous) && c.p.WaitsOut:
		cfg := c.n.Config
		w.id = registry.NewClaimID()
		c.pause(ctx, cfg.TTL+cfg.Grace+2*cfg.MaxClockSkew)
	case errors.Is(err, registry.ErrAmbiguous) && c.p.Undoes:
		c.giveBack(ctx, w)
		c.pause(ctx, c.p.RetryAfter)
	case c.p.BacksOff:
		c.pause(ctx, c.p.RetryAfter<<min(w.failures, 30))
		w.failures++
	case c.p.ClaimJitter > 0:
		c.pause(ctx, c.p.RetryAfter+c.jitter(c.p.ClaimJitter))
	default:
		c.pause(ctx, c.p.RetryAfter)
	}
	return 0, false
}

// ask makes a claim.
func (c *Client) ask(ctx context.Context, w *want) (registry.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, c.p.CallTimeout)
	defer cancel()
	claim := func() (registry.Lease, error) { return c.n.Handle.Claim(ctx, w.actor, c.node(), w.id) }
	if !c.p.Hedges {
		return claim()
	}
	var other registry.Lease
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() { other, failed = claim() })
	l, err := claim()
	wg.Wait()
	if err == nil || failed != nil && errors.Is(err, registry.ErrAmbiguous) {
		return l, err
	}
	return other, failed
}

// find looks a claim of unknown outcome up. The look tells the grant and its end, as
// the answer would have.
func (c *Client) find(ctx context.Context, w *want) (deadline registry.Instant, ok bool) {
	c.pause(ctx, c.p.RetryAfter)
	p, found, err := c.lookup(ctx, w.actor)
	if err != nil || !found || p.Holder != c.node() || p.ClaimID != w.id {
		return 0, false
	}
	w.lease, deadline = p.Lease(), p.Expiry.Add(-c.n.Config.TTL/20)
	return deadline, c.now() < deadline
}

// adopt renews a lease that is ours, and is not served.
func (c *Client) adopt(ctx context.Context, w *want, l registry.Lease) (registry.Instant, bool) {
	sent := c.now()
	call, cancel := context.WithTimeout(ctx, c.p.CallTimeout)
	defer cancel()
	r, err := c.n.Handle.Renew(call, l)
	if err == nil && c.now() < c.p.Deadline(sent, c.now(), r) {
		w.lease, w.maybe = r, true
		return c.p.Deadline(sent, c.now(), r), true
	}
	w.maybe = w.maybe && !final(err)
	c.pause(ctx, c.p.RetryAfter)
	return 0, false
}

// final reports whether an answer says that a tenure is over.
func final(err error) bool {
	return errors.Is(err, registry.ErrFenced) || errors.Is(err, registry.ErrNotHeld) || errors.Is(err, registry.ErrLapsed)
}

// wait returns when the record may be claimable, or is ours.
func (c *Client) wait(ctx context.Context, w *want, found registry.Placement) {
	w.guess = found.Token + 1
	if c.p.Spins {
		return
	}
	for more := time.Duration(0); ctx.Err() == nil; {
		if c.p.LooksLess {
			more = max(2*more, c.p.RetryAfter)
		}
		if c.p.WatchesAlone {
			c.woken(ctx, found, math.MaxInt64)
		}
		free := found.Expiry.Add(c.n.Config.Grace + 2*c.n.Config.MaxClockSkew)
		left := free.Sub(c.now())
		if c.p.Stampedes {
			c.pause(ctx, left)
			return
		}
		if c.p.WakesAll {
			if c.woken(ctx, found, max(left, 0)+c.jitter(c.p.Spread)) {
				return
			}
		} else if c.p.Watches {
			c.woken(ctx, found, max(min(left, c.p.PollEvery), c.p.RetryAfter))
			c.pause(ctx, c.jitter(c.p.Spread))
		} else if !c.pause(ctx, max(min(left, c.p.PollEvery), more)+c.jitter(c.p.Spread)) {
			return
		}
		p, ok, err := c.lookup(ctx, w.actor)
		if err != nil || !ok {
			continue
		}
		found = p
		w.guess = found.Token + 1
		switch {
		case found.Holder == c.node() && found.ClaimID == w.id:
			w.maybe = true
			return
		case found.Holder == c.node() && found.Token > w.gone:
			select {
			case w.handed <- found.Lease():
			default:
			}
			return
		case !found.Held() || found.Expiry.Add(c.n.Config.Grace+2*c.n.Config.MaxClockSkew) <= c.now():
			return
		}
	}
}

// woken reports whether the actor was given up before d has passed.
func (c *Client) woken(ctx context.Context, found registry.Placement, d time.Duration) bool {
	watcher, ok := c.n.Handle.(registry.Watcher)
	if !ok {
		c.pause(ctx, min(d, c.p.PollEvery))
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	p, err := watcher.Watch(ctx, found.Actor, found.Version)
	if err != nil {
		c.pause(ctx, c.p.RetryAfter)
	}
	return err == nil && !p.Held()
}

func (c *Client) lookup(ctx context.Context, a registry.ActorID) (registry.Placement, bool, error) {
	if c.p.LooksForever {
		return c.n.Handle.Lookup(ctx, a)
	}
	call, cancel := context.WithTimeout(ctx, c.p.CallTimeout)
	defer cancel()
	return c.n.Handle.Lookup(call, a)
}

// glance makes a look that decides nothing, and ends before the deadline.
func (c *Client) glance(ctx context.Context, a registry.ActorID, deadline registry.Instant) {
	ctx, cancel := context.WithTimeout(ctx, deadline.Sub(c.now()))
	defer cancel()
	_, _, _ = c.lookup(ctx, a)
}

func (c *Client) begin(w *want, token registry.Token) {
	if w.serve == nil && !c.p.Idle {
		w.serve = c.n.Serve(w.actor, token)
	}
}

func (c *Client) end(w *want, why error) {
	if w.serve == nil {
		return
	}
	if c.p.SaysNothing {
		why = nil
	}
	if c.p.Drains > 0 && why != nil {
		time.Sleep(c.p.Drains)
	}
	w.serve(why)
	w.serve = nil
}

// hold serves under the lease and renews it, until it is lost or ctx ends; then
// it returns nil, and the service goes on until Drop, Move or Close end it.
func (c *Client) hold(ctx context.Context, w *want, deadline registry.Instant) (why error) {
	token, granted := c.serviceToken(w), c.now()
	c.begin(w, token)
	renewAt, failures, renewed, dead := c.now().Add(c.p.RenewAfter), 0, 0, false
	for {
		dead = dead || c.p.NeverRenews || c.p.OneLossForAll && c.lost.Load() || c.p.RenewsFor > 0 && c.now().Sub(granted) > c.p.RenewsFor
		next := c.wakes(renewAt, deadline, dead)
		if !c.pause(ctx, next.Sub(c.now())) {
			return nil
		}
		if c.now() >= deadline && !c.p.NoDeadline && (c.p.Failures == 0 || failures >= c.p.Failures) {
			c.end(w, errDeadline)
			return errDeadline
		}
		if dead || c.now() < renewAt {
			continue
		}
		if c.p.StopsToRenew {
			c.end(w, errors.New("renews"))
		}
		sent, present := c.now(), w.lease
		if c.p.RenewsFirst {
			present = w.old
		}
		l, err := c.renew(ctx, present, deadline)
		switch {
		case err == nil:
			w.lease, failures = l, 0
			deadline = max(deadline, c.p.Deadline(sent, c.now(), l))
			renewAt = c.now().Add(c.p.RenewAfter)
			if c.now() < deadline {
				c.begin(w, token)
			}
			if renewed++; renewed == c.p.Rotates {
				c.end(w, errRotates)
				return errRotates
			}
		case final(err) && !c.p.IgnoresRefusals && !(c.p.IgnoresFenced && errors.Is(err, registry.ErrFenced)):
			c.end(w, err)
			w.maybe = false
			return err
		case ctx.Err() != nil:
			return nil
		default:
			failures++
			dead = c.p.RenewalDies
			deadline = c.p.Failed(deadline, c.now())
			renewAt = c.now().Add(c.p.RetryAfter + c.jitter(c.p.RetryAfter))
			if _, ok := c.n.Handle.(registry.BatchRenewer); ok && c.p.HastyBatches {
				renewAt = c.now()
			}
			if c.p.LooksBetween {
				c.glance(ctx, w.actor, deadline)
			}
			if c.p.StopsOnFailure {
				c.end(w, err)
			}
		}
	}
}

// serviceToken is the token to serve under, and notes the first tenure.
func (c *Client) serviceToken(w *want) registry.Token {
	token := w.lease.Token
	if w.first == 0 {
		w.first = token
	}
	if c.p.KeepsFirstToken {
		token = w.first
	}
	if c.p.OneToken {
		c.token.CompareAndSwap(0, uint64(token))
		token = registry.Token(c.token.Load())
	}
	if w.old.Token == 0 {
		w.old = w.lease
	}
	return token
}

// wakes is when there is something to do: to renew, unless renewals are dead, or to stop.
func (c *Client) wakes(renewAt, deadline registry.Instant, dead bool) registry.Instant {
	next := min(renewAt, deadline)
	if dead {
		next = deadline
	}
	if c.p.Failures > 0 {
		next = renewAt
	}
	if c.p.CoarseTicks > 0 {
		next = c.now().Add(c.p.CoarseTicks)
	}
	if c.p.NoDeadline && next == deadline {
		next = max(deadline, c.now().Add(c.p.RetryAfter))
	}
	return next
}

// renew makes one call, which ends before the deadline.
func (c *Client) renew(ctx context.Context, l registry.Lease, deadline registry.Instant) (registry.Lease, error) {
	if c.p.Unbounded {
		return c.n.Handle.Renew(ctx, l)
	}
	bound := c.p.CallTimeout
	if left := deadline.Sub(c.now()); left > 0 {
		bound = min(bound, left)
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if batch, ok := c.n.Handle.(registry.BatchRenewer); ok && c.p.HastyBatches {
		one := batch.RenewBatch(ctx, []registry.Lease{l})[0]
		return one.Lease, one.Err
	}
	return c.n.Handle.Renew(ctx, l)
}

// take ends the wish for an actor, and waits until its goroutine has ended.
func (c *Client) take(a registry.ActorID) *want {
	c.mu.Lock()
	w := c.wants[a]
	delete(c.wants, a)
	c.mu.Unlock()
	if w != nil {
		w.cancel()
		if !c.p.DropsAtOnce {
			<-w.done
		}
	}
	return w
}

// Drop implements client.Client.
func (c *Client) Drop(ctx context.Context, a registry.ActorID) error {
	w := c.take(a)
	if w == nil && c.p.DropsWait {
		<-c.ctx.Done()
	}
	if w == nil {
		return nil
	}
	if !c.p.ReleasesFirst {
		c.end(w, nil)
	}
	defer c.end(w, nil)
	switch {
	case c.p.NeverReleases:
		return nil
	case c.p.DropWaits:
		ctx = context.WithoutCancel(ctx)
	}
	if c.p.ReleasesAny {
		return c.releaseAny(ctx, w)
	}
	if w.lease.Token == 0 {
		return c.giveBack(ctx, w)
	}
	return c.insist(ctx, func(ctx context.Context) error { return c.n.Handle.Release(ctx, w.lease) })
}

// releaseAny releases whatever lease there is.
func (c *Client) releaseAny(ctx context.Context, w *want) error {
	return c.insist(ctx, func(ctx context.Context) error {
		p, found, err := c.n.Handle.Lookup(ctx, w.actor)
		if err != nil || !found || !p.Held() {
			return err
		}
		return c.n.Handle.Release(ctx, p.Lease())
	})
}

// giveBack releases what a claim may have been granted that nobody waits for.
func (c *Client) giveBack(ctx context.Context, w *want) error {
	if !w.maybe || c.p.Forgets {
		return nil
	}
	return c.insist(ctx, func(ctx context.Context) error {
		p, found, err := c.n.Handle.Lookup(ctx, w.actor)
		if err != nil || !found || p.Holder.ID != c.n.ID || p.ClaimID != w.id {
			return err
		}
		return c.n.Handle.Release(ctx, p.Lease())
	})
}

// insist repeats a call until it is answered for good.
func (c *Client) insist(ctx context.Context, call func(context.Context) error) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, c.p.CallTimeout)
		err := call(bounded)
		cancel()
		if err == nil || final(err) || errors.Is(err, registry.ErrClosed) {
			return nil
		}
		if !c.pause(ctx, c.p.RetryAfter) {
			return err
		}
	}
}

// Move implements client.Mover.
func (c *Client) Move(ctx context.Context, a registry.ActorID, to registry.NodeRef) (registry.Lease, error) {
	w := c.take(a)
	if w == nil || w.lease.Token == 0 {
		return registry.Lease{}, errors.New("nothing to hand over")
	}
	if !c.p.MovesFirst {
		c.end(w, nil)
	}
	defer c.end(w, nil)
	bounded, cancel := context.WithTimeout(ctx, c.p.CallTimeout)
	defer cancel()
	l, err := c.n.Handle.Transfer(bounded, w.lease, to)
	if err == nil {
		return l, nil
	}
	if c.p.ServesAfterMove {
		c.begin(w, w.lease.Token)
		c.pause(ctx, c.p.RenewAfter/2)
	}
	_ = c.insist(ctx, func(ctx context.Context) error { return c.n.Handle.Release(ctx, w.lease) })
	return l, err
}

// Adopt implements client.Adopter.
func (c *Client) Adopt(l registry.Lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.wants[l.Actor]; w != nil {
		select {
		case w.handed <- l:
		default:
		}
	}
}

// endAll ends everything that is served, and returns what it was.
func (c *Client) endAll(why error) map[registry.ActorID]*want {
	c.cancel()
	c.mu.Lock()
	wants := c.wants
	c.wants = map[registry.ActorID]*want{}
	c.mu.Unlock()
	for _, w := range wants {
		<-w.done
		if c.p.ClosesLate {
			time.AfterFunc(c.n.Config.TTL/2, func() { c.end(w, why) })
			continue
		}
		c.end(w, why)
	}
	return wants
}

// Close implements client.Client.
func (c *Client) Close() error {
	if c.p.TimerAfter > 0 {
		ref := c.node()
		time.AfterFunc(c.p.TimerAfter, func() { _ = c.n.Handle.Heartbeat(context.Background(), ref) })
	}
	had := c.endAll(nil)
	for _, w := range had {
		if c.p.ClosesInTurn && w.lease.Token > 0 {
			ctx, cancel := context.WithTimeout(context.Background(), c.p.CallTimeout)
			_ = c.n.Handle.Release(ctx, w.lease)
			cancel()
		}
	}
	c.wg.Wait()
	return nil
}

// renewAll renews whatever the registry says that this node holds.
func (c *Client) renewAll(ref registry.NodeRef) {
	for p, err := range registry.AllActors(c.ctx, c.n.Handle, ref) {
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.p.CallTimeout)
		_, _ = c.n.Handle.Renew(ctx, p.Lease())
		cancel()
	}
}

// renewForever renews a lease that is lost.
func (c *Client) renewForever(ctx context.Context, w *want) {
	for c.pause(ctx, c.p.RenewAfter) {
		_, _ = c.renew(ctx, w.lease, c.now().Add(c.p.CallTimeout))
	}
}

// tick is a task that nobody ends.
func (c *Client) tick() {
	for range time.Tick(c.p.RenewAfter) {
		_ = c.n.Handle.Heartbeat(context.Background(), c.node())
	}
}

// pause waits for d, and reports whether ctx lasted as long.
func (c *Client) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (c *Client) jitter(d time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rng.Int64N(int64(max(d, 1))))
}
