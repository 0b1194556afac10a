package memimpl

import (
	"context"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// Retain lets [Registry.Purge] forget records: those that nobody holds, or that name
// an incarnation which is not active any more, once their last lease has been
// reclaimable for d. Without it nothing is ever forgotten. A negative d is
// [registry.ErrInvalid].
//
// A store that forgets tells less: whoever comes late with a tenure of a forgotten
// record is told that it is not held and not why. It never grants a token again, nor
// accepts a write under one that has ended. It is judged in the dialect "forgets".
func Retain(d time.Duration) Option { return func(o *options) { o.forgets, o.retention = true, d } }

var _ registry.Purger = (*Registry)(nil)

// floor is a shard's floor at one time.
type floor struct {
	registry.Floor
	gone recordValue // what is known of an actor without a record; its batch is the latest purge's
}

// noFloor is the floor of a shard that has forgotten nothing.
var noFloor floor

// ground returns the shard's floor. Who has not found a record reads it after that:
// a purge raises it before it takes the record out.
func (sh *shard) ground() *floor {
	if f := sh.floor.Load(); f != nil {
		return f
	}
	return &noFloor
}

// Purge implements [registry.Purger]. It holds a shard's lock for a record at a time,
// and waits for the file once for each of 256 shards, where it forgot something. It
// needs the option [Retain].
func (h *Registry) Purge(ctx context.Context) (int, error) {
	if !h.store.forgets {
		return 0, &registry.InvalidError{Field: "purge", Problem: "is of a store that forgets nothing: it has no retention"}
	}
	forgotten := 0
	for i := range h.store.shards {
		if err := h.begin(ctx); err != nil {
			return forgotten, err
		}
		n, step, err := h.purgeShard(&h.store.shards[i])
		if _, err = answer(ctx, step, struct{}{}, err); err != nil {
			return forgotten, err
		}
		forgotten += n
	}
	return forgotten, nil
}

// purgeShard returns how many records of the shard it forgot, and the basis of the last.
func (h *Registry) purgeShard(sh *shard) (n int, last basis, err error) {
	for r := range sh.records.all { // without the lock: what is missed is found the next time
		// An active holder is asked for under the locks; most records are decided here.
		if !rules.Forgettable(h.store.cfg, r.now().placement, registry.Node{}, h.store.retention, h.clock.Now()) {
			continue
		}
		step, done, err := h.purgeRecord(sh, r)
		if err != nil {
			return n, last, err
		}
		if done {
			last = step
			n++
		}
	}
	return n, last, nil
}

// purgeRecord is the step that forgets one record. It reads the registration of the
// holder and removes the record under the locks of both, as a claim that takes the
// actor over would.
func (h *Registry) purgeRecord(sh *shard, r *record) (basis, bool, error) {
	holder := r.now().placement.Holder
	m := h.store.nodes.find(holder.ID)
	registration := m.mu.lane(r.hash)
	registration.RLock()
	defer registration.RUnlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	p := r.now().placement
	if p.Holder != holder || !rules.Forgettable(h.store.cfg, p, m.now().node, h.store.retention, h.clock.Now()) {
		return basis{}, false, nil // somebody was here first; a record that is gone has no version
	}
	step, err := h.store.forget(sh, r)
	return step, err == nil, err
}

// forget takes a record out of the store and raises the floor above it, in one step:
// the shard is locked, and every claim of an actor without a record reads the floor
// under that lock. On the file both are one value. So no claim starts from a floor
// that does not cover what the actor had, whether before or after a crash.
func (s *Store) forget(sh *shard, r *record) (basis, error) {
	before := r.now()
	next := &floor{Floor: sh.ground().Over(before.placement.Token, before.placement.Version)}
	if s.journal != nil {
		b, err := s.journal.stage(&purgeChange{actor: r.actor, floor: next.Floor, before: before})
		if err != nil {
			return basis{}, err
		}
		next.gone.batch = b
	}
	sh.floor.Store(next)
	sh.write(r, &next.gone)
	sh.records.remove(r) // after the write: who has found it sees that there is none
	return wrote(next.gone.batch), nil
}

// purgeChange is a [change] that takes a record out.
type purgeChange struct {
	actor  registry.ActorID
	floor  registry.Floor
	before *recordValue
}

func (c *purgeChange) encode(b []byte) []byte { return appendFloor(b, c.floor, c.actor) }

// undo puts the record back. The floor stays: one that is too high is as good.
func (c *purgeChange) undo(s *Store) {
	sh, sum := s.shard(c.actor)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := &record{actor: c.actor, hash: sum} // later changes are undone: there is none
	sh.write(r, c.before)
	sh.records.enter(r)
}

// ImportFloor raises the floor of an empty store to that of another registry, whose
// records [Store.Import] enters: its actors without a record start above it.
//
// Errors: for a durable store those of a mutating operation.
func (s *Store) ImportFloor(ctx context.Context, f registry.Floor) error {
	var last basis // what is staged before a batch is on the file with it
	for i := range s.shards {
		var err error
		if last, err = s.raise(&s.shards[i], f); err != nil {
			return err
		}
	}
	return last.await(ctx)
}

func (s *Store) raise(sh *shard, f registry.Floor) (basis, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	next := &floor{Floor: sh.ground().Over(f.Token, f.Version)}
	if s.journal != nil {
		b, err := s.journal.stage(floorChange(next.Floor))
		if err != nil {
			return basis{}, err
		}
		next.gone.batch = b
	}
	sh.floor.Store(next)
	return wrote(next.gone.batch), nil
}

// floorChange is a [change] that raises the floor and takes nothing out.
type floorChange registry.Floor

func (c floorChange) encode(b []byte) []byte {
	return appendFloor(b, registry.Floor(c), registry.ActorID{})
}

func (c floorChange) undo(*Store) {} // as with a purge
