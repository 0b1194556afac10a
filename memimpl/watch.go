package memimpl

import (
	"context"

	"github.com/kelpie-registry/registry"
)

// watch is where those meet who wait for the next change of one actor. It lives
// in its shard's map exactly while it has waiters: the last one to leave takes it
// down, so an abandoned wait leaves nothing behind, and an actor that was never
// claimed can be waited for without a record.
type watch struct {
	changed chan struct{} // closed by the next write
	waiters int
}

// Watch implements [registry.Watcher]. A wait costs one map entry per actor
// however many wait, and a write to an actor that nobody waits for costs one
// map lookup at most.
func (h *Registry) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	if err := actor.Validate(); err != nil {
		return registry.Placement{}, err
	}
	sh, sum := h.store.shard(actor)
	for {
		if err := h.begin(ctx); err != nil {
			return registry.Placement{}, err
		}
		step, p, w := h.seek(sh, sum, actor, seen)
		if w == nil {
			return answer(ctx, step, p, nil)
		}
		// The wait was entered under the mutex under which the version was still
		// the one seen, so a write since then has closed the channel.
		select {
		case <-w.changed:
		case <-ctx.Done():
		case <-h.closed:
		case <-h.store.closed:
		}
		sh.leave(actor, w)
	}
}

// seek returns the actor's record when its version is not the one seen, and
// otherwise a watch that the caller has joined.
func (h *Registry) seek(sh *shard, sum uint64, actor registry.ActorID, seen registry.Version) (basis, registry.Placement, *watch) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	v := sh.known(sh.find(actor, sum))
	if v.placement.Version != seen {
		return basis{batches: [2]*batch{v.batch}}, v.placement, nil
	}
	w := sh.watches[actor]
	if w == nil {
		w = &watch{changed: make(chan struct{})}
		if sh.watches == nil {
			sh.watches = map[registry.ActorID]*watch{}
		}
		sh.watches[actor] = w
	}
	w.waiters++
	return basis{}, registry.Placement{}, w
}

// leave ends one wait.
func (sh *shard) leave(actor registry.ActorID, w *watch) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	w.waiters--
	if w.waiters == 0 && sh.watches[actor] == w { // it may be a later one
		delete(sh.watches, actor)
	}
}

// wake ends all waits for the actor. The shard is locked.
func (sh *shard) wake(actor registry.ActorID) {
	if w := sh.watches[actor]; w != nil {
		close(w.changed)
		delete(sh.watches, actor)
	}
}
