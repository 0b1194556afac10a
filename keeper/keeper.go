package keeper

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
)

// Options are the optional parts of a [Keeper].
type Options struct {
	Policy   Policy
	Clock    Clock        // default SystemClock
	Logger   *slog.Logger // default: discards; called like the Observer, so a slow handler delays nothing
	Observer Observer     // default: ignores
	Seed     uint64       // of the jitter; default random
}

// Keeper keeps the leases of one incarnation of one node. It runs no goroutine
// but the calls in flight (Policy.Workers renewals at most, and those that the
// registry has not ended with their context), one timer, and one that tells observers
// while there is something to tell, whatever the number of tenures. All methods are
// safe for concurrent use.
type Keeper struct {
	registry registry.Registry
	batch    registry.BatchRenewer // nil where the backend has none
	watcher  registry.Watcher      // nil where the backend has none
	node     registry.NodeRef
	cfg      registry.Config
	observer Observer
	*patience

	base   context.Context // of every call; ends with the keeper
	cancel context.CancelCauseFunc

	mu      sync.Mutex                   // held for no call of others' code but the clock's
	tenures wakeHeap                     // by wake
	serving map[registry.ActorID]*Tenure // the same, by actor: never two of one
	ready   []*Tenure                    // due for renewal, waiting for a worker, first come first
	calls   int                          // workers in flight
	timer   *alarmClock                  // the one that is set; nil when none is
	over    error                        // why the keeper ended
}

// New returns a keeper for node on r. cfg must be the cluster's.
func New(r registry.Registry, cfg registry.Config, node registry.NodeRef, o Options) (*Keeper, error) {
	if err := present("registry", r); err != nil {
		return nil, err
	}
	if err := node.Validate(); err != nil {
		return nil, err
	}
	p, err := newPatience(cfg, o)
	if err != nil {
		return nil, err
	}
	return newKeeper(r, cfg, node, o.Observer, p), nil
}

func newKeeper(r registry.Registry, cfg registry.Config, node registry.NodeRef, o Observer, p *patience) *Keeper {
	k := &Keeper{registry: r, node: node, cfg: cfg, observer: o, patience: p, serving: map[registry.ActorID]*Tenure{}}
	k.batch, _ = r.(registry.BatchRenewer)
	k.watcher, _ = r.(registry.Watcher)
	if k.observer == nil {
		k.observer = NopObserver{}
	}
	k.base, k.cancel = context.WithCancelCause(context.Background())
	return k
}

// Node returns the incarnation that the keeper holds leases for.
func (k *Keeper) Node() registry.NodeRef { return k.node }

// Len returns the number of tenures held.
func (k *Keeper) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.tenures)
}

// Dropped returns the number of events that the observer and the logger were not
// told of because thousands of others were waiting for them.
func (k *Keeper) Dropped() uint64 { return k.events.count() }

// Close steps down from every tenure at once, with ErrNodeOver as the cause,
// and ends all calls in flight. It releases nothing: what was being done under
// the leases may not have stopped yet, so they are left to run out. Release the
// tenures first for a clean hand-off.
func (k *Keeper) Close() { k.End(ErrNodeOver) }

// End is Close with a cause of the caller's; nil stands for ErrNodeOver.
func (k *Keeper) End(cause error) {
	if cause == nil {
		cause = ErrNodeOver
	}
	k.mu.Lock()
	if k.over == nil {
		k.over = cause
	}
	ended := make([]*Tenure, 0, len(k.tenures))
	for len(k.tenures) > 0 {
		ended = append(ended, k.drop(k.tenures[0].tenure, cause))
	}
	k.tenures, k.serving = nil, nil
	k.disarm()
	k.announce(ended)
	k.mu.Unlock()
	k.cancel(cause)
}

// pump is the keeper's only engine: it does what is due and sets the timer for
// what is not. It runs when the timer fires, when a call returns and when a
// tenure begins.
func (k *Keeper) pump() {
	k.mu.Lock()
	var ended []*Tenure
	for len(k.tenures) > 0 {
		t, now := k.tenures[0].tenure, k.moment()
		if k.tenures[0].wake > now.elapsed {
			break
		}
		v, wake := t.h.next(now)
		switch v {
		case stepDown:
			ended = append(ended, k.drop(t, ErrDeadline))
			continue
		case renew:
			// Its deadline still has to be watched while it waits for a worker.
			if !t.queued {
				t.queued = true
				k.ready = append(k.ready, t)
			}
			wake = now.elapsed + now.until(t.h.deadline)
		}
		k.tenures.set(t, wake)
	}
	k.announce(ended)
	k.dispatch()
	k.arm()
	k.mu.Unlock()
}

// dispatch gives ready renewals to free workers, oldest first. The number of
// calls in flight is bounded, so a keeper that wakes from a pause with every
// lease due renews them one batch after the other.
func (k *Keeper) dispatch() {
	size := 1
	if k.batch != nil {
		size = k.policy.BatchSize
	}
	for k.calls < k.policy.Workers && len(k.ready) > 0 {
		batch := make([]*Tenure, 0, min(size, len(k.ready)))
		for len(k.ready) > 0 && len(batch) < size {
			t := k.ready[0]
			k.ready = k.ready[1:]
			t.queued = false
			if t.h.lost == nil {
				batch = append(batch, t)
			}
		}
		if len(batch) == 0 {
			continue
		}
		leases := make([]registry.Lease, len(batch))
		sent := k.moment()         // before the request leaves
		useful := time.Duration(0) // for so long an answer is of use, to the last of them
		for i, t := range batch {
			leases[i] = t.h.lease
			t.h.send(sent)
			useful = max(useful, sent.until(t.h.deadline))
		}
		k.calls++
		go k.renew(batch, leases, sent, min(useful, k.policy.CallTimeout))
	}
}

// renew makes one call and takes its answers to the holdings.
func (k *Keeper) renew(batch []*Tenure, leases []registry.Lease, sent moment, patience time.Duration) {
	ctx, cancel := context.WithTimeout(k.base, patience)
	results, err := ask(ctx, k.patience, k.policy.pace(), func(ctx context.Context) ([]registry.Renewal, error) {
		return k.askRenewals(ctx, leases), nil
	})
	cancel()
	if err != nil { // a call that does not end with its context is left behind: others need the worker
		results = slices.Repeat([]registry.Renewal{{Err: err}}, len(leases))
	}

	k.mu.Lock()
	now := k.moment()
	k.calls--
	var ended []*Tenure
	for i, t := range batch {
		r := &results[i]
		r.Err = k.renewed(leases[i], *r, sent, now)
		before := t.h.failures
		t.h.answer(k.cfg, k.policy, r.Lease, r.Err, now, k)
		if t.index < 0 {
			continue // stepped down while the call was under way
		}
		if t.h.lost != nil {
			ended = append(ended, k.drop(t, t.h.lost))
			continue
		}
		t.publish()
		_, wake := t.h.next(now)
		k.tenures.set(t, wake)
		k.alarm(t, before, r.Err)
	}
	k.events.postRoutine(func() {
		for i := range leases {
			k.observer.Renewed(leases[i], now.elapsed-sent.elapsed, results[i].Err)
		}
	})
	k.announce(ended)
	k.mu.Unlock()
	k.pump()
}

// askRenewals returns one answer for each lease. Where the registry returned
// another number of them nobody knows which is whose.
func (k *Keeper) askRenewals(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	if k.batch == nil {
		l, err := k.registry.Renew(ctx, leases[0])
		return []registry.Renewal{{Lease: l, Err: err}}
	}
	results := k.batch.RenewBatch(ctx, slices.Clone(leases)) // which it might write to
	if len(results) != len(leases) {
		err := question{op: "Renew"}.bad("%d answers to a batch of %d", len(results), len(leases))
		return slices.Repeat([]registry.Renewal{{Err: err}}, len(leases))
	}
	return slices.Clone(results)
}

// renewed judges the answer to the renewal of l: the same tenure, extended.
func (k *Keeper) renewed(l registry.Lease, r registry.Renewal, sent, now moment) error {
	q := question{op: "Renew", actor: l.Actor, held: l.Token}
	err := q.refused(r.Err)
	if err == nil {
		err = q.granted(k.cfg, r.Lease, grant{holder: l.Holder, token: l.Token, version: l.Version, expiry: l.Expiry, sent: sent}, now)
	}
	return k.complain(err)
}

// alarm tells when a tenure crossed the threshold of consecutive failures in
// either direction.
func (k *Keeper) alarm(t *Tenure, before int, err error) {
	after, threshold := t.h.failures, k.policy.DegradedAfter
	switch {
	case before < threshold && after >= threshold:
		k.tell(slog.LevelWarn, "lease is not being renewed", "actor", t.actor, "token", t.token, "failures", after, "error", err)
		k.events.post(func() { k.observer.Degraded(t, err) })
	case before >= threshold && after == 0:
		k.tell(slog.LevelInfo, "lease is being renewed again", "actor", t.actor, "token", t.token)
		k.events.post(func() { k.observer.Healthy(t) })
	}
}

// begin starts to keep a granted lease. A node serves an actor under one tenure:
// a lease of the tenure that it already serves begins none, and a later one ends
// it, since the registry grants nothing anew while the former may be served.
func (k *Keeper) begin(l registry.Lease, sent moment) (*Tenure, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over != nil {
		return nil, &LostError{Lease: l, Cause: k.over}
	}
	if prior := k.serving[l.Actor]; prior != nil {
		switch {
		case prior.token == l.Token:
			return prior, errServed
		case prior.token > l.Token:
			return nil, &LostError{Lease: l, Cause: fmt.Errorf("%w: this node serves it under token %d", registry.ErrFenced, prior.token)}
		}
		k.announce([]*Tenure{k.drop(prior, fmt.Errorf("%w: this node was granted token %d", registry.ErrFenced, l.Token))})
	}
	now := k.moment()
	h, err := hold(k.cfg, k.policy, l, sent, now, k)
	if err != nil {
		return nil, err
	}
	t := &Tenure{keeper: k, h: *h, token: l.Token, actor: l.Actor}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.publish()
	_, wake := t.h.next(now)
	heap.Push(&k.tenures, waker{wake, t})
	k.serving[l.Actor] = t
	k.arm()
	return t, nil
}

// errServed: the lease is that of a tenure which is being served already.
var errServed = errors.New("tenure is being served")

// drop ends a tenure: Check refuses from here on and the context is cancelled,
// before anybody is told. A cancellation runs no code of others (the context
// package starts what waits for it on goroutines of its own), so it cannot wait
// behind any, and k.mu may be held. The caller announces it.
func (k *Keeper) drop(t *Tenure, cause error) *Tenure {
	if t.h.lost == nil {
		t.h.lose(k.policy, cause)
	}
	t.publish()
	t.cancel(t.h.lost)
	heap.Remove(&k.tenures, t.index)
	delete(k.serving, t.actor)
	return t
}

// announce tells of tenures that were dropped.
func (k *Keeper) announce(ended []*Tenure) {
	if len(ended) == 0 {
		return
	}
	k.events.post(func() {
		for _, t := range ended {
			if !errors.Is(t.h.lost, ErrReleased) {
				k.log.Warn("lease lost", "actor", t.actor, "token", t.token, "cause", t.h.lost)
			}
			k.observer.Lost(t.h.lost.(*LostError))
		}
	})
}

// alarmClock is a timer that was set for the elapsed time at.
type alarmClock struct {
	at   time.Duration
	stop func()
}

// arm sets the one timer to the earliest wake.
func (k *Keeper) arm() {
	if len(k.tenures) == 0 || k.over != nil {
		k.disarm()
		return
	}
	wake := k.tenures[0].wake
	if k.timer != nil && k.timer.at == wake {
		return
	}
	k.disarm()
	set := &alarmClock{at: wake}
	k.timer = set
	set.stop = k.clock.AfterFunc(max(wake-k.clock.Elapsed(), 0), func() {
		k.mu.Lock()
		if k.timer == set {
			k.timer = nil
		}
		k.mu.Unlock()
		k.pump()
	})
}

func (k *Keeper) disarm() {
	if k.timer != nil {
		k.timer.stop()
		k.timer = nil
	}
}

// wakeHeap orders tenures by the elapsed time at which they need attention. The
// times are in the heap and not in the tenures: a comparison then looks at two
// neighbours, where it would miss the cache twice.
type wakeHeap []waker

type waker struct {
	wake   time.Duration
	tenure *Tenure
}

// set moves a tenure of the heap to the place that its new time gives it.
func (h *wakeHeap) set(t *Tenure, wake time.Duration) {
	(*h)[t.index].wake = wake
	heap.Fix(h, t.index)
}

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].wake < h[j].wake }
func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].tenure.index, h[j].tenure.index = i, j
}
func (h *wakeHeap) Push(x any) {
	w := x.(waker)
	w.tenure.index = len(*h)
	*h = append(*h, w)
}
func (h *wakeHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = waker{}
	*h = old[:len(old)-1]
	w.tenure.index = -1
	return w
}
