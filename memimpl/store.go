package memimpl

import (
	"hash/maphash"
	"sync"

	"github.com/kelpie-registry/registry"
)

// shardCount is a power of two, several times the cores of a large machine, so
// that two operations on different actors seldom meet in one shard.
const shardCount = 256

// Store is the state that the handles opened on it share. It is safe for
// concurrent use.
//
// # Locks
//
// A shard's mutex guards the records of its actors, a member's lock the
// registration of its node. A step that reads a registration and writes a record
// (Claim, Transfer) holds the member's lock for reading and then the shard's
// mutex, both over clock reading, decision and write: at that instant the
// registration and the record are what the decision saw, so the step is atomic
// against every other step on the actor and against MarkFailed, RegisterNode and
// DeregisterNode on the node, which hold the member's lock for writing. Claims of
// one node do not exclude each other there.
//
// The order is: one member's lock, one shard's mutex, then for a few instructions
// one of the leaves (a member's index, the directory). No step takes two locks of
// one level, none takes them in another order, and nothing waits for anything but
// a lock while it holds one: there is no cycle to deadlock in.
type Store struct {
	cfg    registry.Config
	seed   maphash.Seed
	shards [shardCount]shard
	nodes  directory
}

// New returns an empty store for a cluster with the bounds of cfg, or an error
// matching [registry.ErrInvalid].
func New(cfg registry.Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, seed: maphash.MakeSeed()}
	s.nodes.init()
	for i := range s.shards {
		s.shards[i].records = map[registry.ActorID]*record{}
		s.shards[i].watches = map[registry.ActorID]*watch{}
	}
	return s, nil
}

// Open returns a handle that reads the time from clock. cfg must be valid and
// match the store's ([registry.ErrInvalid], [registry.ErrConfigMismatch]).
func (s *Store) Open(cfg registry.Config, clock registry.Clock) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Match(s.cfg); err != nil {
		return nil, err
	}
	if clock == nil {
		return nil, &registry.InvalidError{Field: "clock", Problem: "is nil"}
	}
	return &Registry{store: s, clock: clock, closed: make(chan struct{})}, nil
}

// shard holds a part of the actors.
type shard struct {
	mu      sync.Mutex
	records map[registry.ActorID]*record // never deleted from, as the contract wants
	watches map[registry.ActorID]*watch  // of the actors that somebody waits for

	_ [64 - 24]byte // so that neighbours do not share a cache line
}

// record is an actor's record. All but the actor's name, which never changes, is
// guarded by the shard's mutex.
type record struct {
	actor     registry.ActorID
	placement registry.Placement
	holder    *member // of placement.Holder; nil when there is none
}

// shard returns the shard of an actor.
func (s *Store) shard(actor registry.ActorID) *shard {
	return &s.shards[maphash.Comparable(s.seed, actor)%shardCount]
}

// read returns the actor's placement, zero when there is no record. The shard is locked.
func (sh *shard) read(actor registry.ActorID) registry.Placement {
	if r := sh.records[actor]; r != nil {
		return r.placement
	}
	return registry.Placement{}
}

// holder returns the member that holds the actor, nil for none. The shard is locked.
func (sh *shard) holder(actor registry.ActorID) *member {
	if r := sh.records[actor]; r != nil {
		return r.holder
	}
	return nil
}

// write makes next the actor's record, held by the member holder (nil: nobody),
// keeps the holders' indexes in step with it and wakes who waits for the actor.
// The shard is locked: nobody sees the record and the indexes disagree except a
// listing, which reads the record again under the shard's mutex.
func (sh *shard) write(next registry.Placement, holder *member) {
	r := sh.records[next.Actor]
	if r == nil {
		r = &record{actor: next.Actor}
		sh.records[next.Actor] = r
	}
	// The new index first: a tenure that passes between two incarnations is
	// found in one of them at any time. The same tenure of holder stays put.
	if before := r.placement.Holder; before != next.Holder {
		if holder != nil {
			holder.hold(next.Holder.Epoch, r)
		}
		if r.holder != nil {
			r.holder.unhold(before.Epoch, r)
		}
	}
	r.placement, r.holder = next, holder
	sh.wake(next.Actor)
}
