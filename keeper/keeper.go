package keeper

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
)

// Options are the optional parts of a [Keeper].
type Options struct {
	Policy   Policy
	Clock    Clock        // default SystemClock
	Logger   *slog.Logger // default: discards
	Observer Observer     // default: ignores
	Seed     uint64       // of the jitter; default random
}

// Keeper keeps the leases of one incarnation of one node. It runs no goroutine
// but the calls in flight (Policy.Workers at most) and one timer, whatever the
// number of tenures. All methods are safe for concurrent use.
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

	mu      sync.Mutex
	tenures wakeHeap    // by wake
	ready   []*Tenure   // due for renewal, waiting for a worker, first come first
	calls   int         // workers in flight
	timer   *alarmClock // the one that is set; nil when none is
	over    error       // why the keeper ended
}

// New returns a keeper for node on r. cfg must be the cluster's.
func New(r registry.Registry, cfg registry.Config, node registry.NodeRef, o Options) (*Keeper, error) {
	if err := node.Validate(); err != nil {
		return nil, err
	}
	p, err := newPatience(cfg, o)
	if err != nil {
		return nil, err
	}
	k := &Keeper{registry: r, node: node, cfg: cfg, observer: o.Observer, patience: p}
	k.batch, _ = r.(registry.BatchRenewer)
	k.watcher, _ = r.(registry.Watcher)
	if k.observer == nil {
		k.observer = NopObserver{}
	}
	k.base, k.cancel = context.WithCancelCause(context.Background())
	return k, nil
}

// Node returns the incarnation that the keeper holds leases for.
func (k *Keeper) Node() registry.NodeRef { return k.node }

// Len returns the number of tenures held.
func (k *Keeper) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.tenures)
}

// Close steps down from every tenure at once, with ErrNodeOver as the cause,
// and ends all calls in flight. It releases nothing: what was being done under
// the leases may not have stopped yet, so they are left to run out. Release the
// tenures first for a clean hand-off.
func (k *Keeper) Close() { k.End(ErrNodeOver) }

// End is Close with a cause of the caller's.
func (k *Keeper) End(cause error) {
	k.mu.Lock()
	if k.over == nil {
		k.over = cause
	}
	ended := make([]*Tenure, 0, len(k.tenures))
	for len(k.tenures) > 0 {
		ended = append(ended, k.drop(k.tenures[0].tenure, cause))
	}
	k.disarm()
	k.mu.Unlock()
	k.cancel(cause)
	k.announce(ended)
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
	k.dispatch()
	k.arm()
	k.mu.Unlock()
	k.announce(ended)
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
		sent := k.moment() // before the request leaves
		patience := k.policy.CallTimeout
		for i, t := range batch {
			leases[i] = t.h.lease
			t.h.send(sent)
			patience = min(patience, sent.until(t.h.deadline))
		}
		k.calls++
		go k.renew(batch, leases, sent, patience)
	}
}

// renew makes one call and takes its answers to the holdings.
func (k *Keeper) renew(batch []*Tenure, leases []registry.Lease, sent moment, patience time.Duration) {
	ctx, cancel := context.WithTimeout(k.base, patience)
	var results []registry.Renewal
	if k.batch != nil {
		results = k.batch.RenewBatch(ctx, leases)
	} else {
		l, err := k.registry.Renew(ctx, leases[0])
		results = []registry.Renewal{{Lease: l, Err: err}}
	}
	cancel()

	k.mu.Lock()
	now := k.moment()
	k.calls--
	var ended []*Tenure
	var changed []func()
	for i, t := range batch {
		before := t.h.failures
		t.h.answer(k.cfg, k.policy, results[i].Lease, results[i].Err, now, k)
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
		if f := k.alarm(t, before, results[i].Err); f != nil {
			changed = append(changed, f)
		}
	}
	k.mu.Unlock()
	for i := range batch {
		k.observer.Renewed(leases[i], now.elapsed-sent.elapsed, results[i].Err)
	}
	for _, f := range changed {
		f()
	}
	k.announce(ended)
	k.pump()
}

// alarm returns what to tell, outside the lock, when a tenure crossed the
// threshold of consecutive failures in either direction.
func (k *Keeper) alarm(t *Tenure, before int, err error) func() {
	after, threshold := t.h.failures, k.policy.DegradedAfter
	lease := t.h.lease
	switch {
	case before < threshold && after >= threshold:
		return func() {
			k.log.Warn("lease is not being renewed", "actor", lease.Actor, "token", lease.Token, "failures", after, "error", err)
			k.observer.Degraded(t, err)
		}
	case before >= threshold && after == 0:
		return func() {
			k.log.Info("lease is being renewed again", "actor", lease.Actor, "token", lease.Token)
			k.observer.Healthy(t)
		}
	}
	return nil
}

// begin starts to keep a granted lease.
func (k *Keeper) begin(l registry.Lease, sent moment) (*Tenure, error) {
	k.mu.Lock()
	if k.over != nil {
		defer k.mu.Unlock()
		return nil, &LostError{Lease: l, Cause: k.over}
	}
	now := k.moment()
	h, err := hold(k.cfg, k.policy, l, sent, now, k)
	if err != nil {
		k.mu.Unlock()
		return nil, err
	}
	t := &Tenure{keeper: k, h: *h, token: l.Token, actor: l.Actor}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.publish()
	_, wake := t.h.next(now)
	heap.Push(&k.tenures, waker{wake, t})
	k.arm()
	k.mu.Unlock()
	return t, nil
}

// drop ends a tenure's bookkeeping. The caller announces it after unlocking.
func (k *Keeper) drop(t *Tenure, cause error) *Tenure {
	if t.h.lost == nil {
		t.h.lose(k.policy, cause)
	}
	t.publish()
	heap.Remove(&k.tenures, t.index)
	return t
}

// announce cancels the contexts of ended tenures: outside the lock, because a
// cancellation runs code of others.
func (k *Keeper) announce(ended []*Tenure) {
	for _, t := range ended {
		t.cancel(t.h.lost)
		if !errors.Is(t.h.lost, ErrReleased) {
			k.log.Warn("lease lost", "actor", t.actor, "token", t.token, "cause", t.h.lost)
		}
		k.observer.Lost(t.h.lost.(*LostError))
	}
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
