package memimpl

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
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
// one of the leaves (a member's index, the directory, the journal). No step takes
// two locks of one level, none takes them in another order, and nothing waits for
// anything but a lock while it holds one: there is no cycle to deadlock in.
type Store struct {
	cfg     registry.Config
	seed    maphash.Seed
	shards  [shardCount]shard
	nodes   directory
	journal *journal // nil: volatile
	yields  yielder  // nothing, without the build tag "yield"

	once     sync.Once
	closed   chan struct{}
	closeErr error
}

// Option is an option of [New].
type Option func(*options)

type options struct {
	onFile      bool
	path        string
	lockTimeout time.Duration
}

// platform is what a durable store stands on.
type platform struct {
	fs      logfile.FS
	step    int64           // see compactStep
	between func(disk) disk // stands between the journal and the file
}

var production = platform{fs: logfile.OS{}, step: compactStep, between: func(d disk) disk { return d }}

func (o *options) validate() error {
	switch {
	case o.onFile && o.path == "":
		return &registry.InvalidError{Field: "path of the registry file", Problem: "is empty"}
	case o.lockTimeout < 0:
		return &registry.InvalidError{Field: "lock timeout", Problem: "is negative"}
	}
	return nil
}

// OnFile makes the store durable: it is what the file at path holds, which is
// created when there is none, and every answer is on stable storage before it is
// given. One store at a time can have the file open. The empty path is
// [registry.ErrInvalid].
//
// The file is replaced by a fresh one whenever it is opened and when it has grown
// enough, so the store writes in its directory: the name path, and the same with
// ".rewrite" behind it, are the store's. Symbolic links are followed. A file that is
// a mount by itself cannot be replaced.
func OnFile(path string) Option { return func(o *options) { o.onFile, o.path = true, path } }

// LockTimeout sets how long [New] waits for a file that another store has open,
// before it fails with [ErrInUse]. The default is one second; 0 is not to wait, and
// less is [registry.ErrInvalid].
func LockTimeout(d time.Duration) Option { return func(o *options) { o.lockTimeout = d } }

// New returns a store for a cluster with the bounds of cfg: an empty one in
// memory, or with [OnFile] what a file holds.
//
// Errors: [registry.ErrInvalid]; for a file [registry.ErrConfigMismatch],
// [ErrInUse], [ErrForeign], [ErrFormat], [ErrDamaged], or the operating system's.
// A file that cannot be opened is left as it is.
func New(cfg registry.Config, opts ...Option) (*Store, error) { return newStore(production, cfg, opts) }

func newStore(on platform, cfg registry.Config, opts []Option) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	o := options{lockTimeout: time.Second}
	for _, opt := range opts {
		opt(&o)
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, seed: maphash.MakeSeed(), closed: make(chan struct{})}
	s.nodes.init()
	if o.onFile {
		d, err := openDisk(on, o, s)
		if err != nil {
			return nil, err
		}
		s.journal = newJournal(s, on.between(d))
	}
	return s, nil
}

// Close ends all handles with [registry.ErrClosed]. A durable store then finishes
// what was begun and closes its file; an operation that was waiting is answered
// as ever. A volatile store is lost. A second Close returns what the first did.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closed)
		if s.journal != nil {
			s.closeErr = s.journal.close()
		}
	})
	return s.closeErr
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

// Import enters registrations and records of another registry as the latest of
// their node and actor, which have none in this one. The holder of each record
// is among the nodes, in that epoch or an earlier one. It is for a store that
// nobody uses yet: not atomic, and a failure leaves what was entered before it.
//
// Errors: [registry.ErrInvalid]; for a durable store those of a mutating
// operation.
func (s *Store) Import(ctx context.Context, nodes []registry.Node, records []registry.Placement) error {
	for _, n := range nodes {
		if err := s.importNode(ctx, n); err != nil {
			return err
		}
	}
	for _, p := range records {
		if err := s.importRecord(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) importNode(ctx context.Context, n registry.Node) error {
	if err := n.Ref.Validate(); err != nil {
		return err
	}
	m := s.nodes.lock(n.Ref.ID)
	b, err := s.importInto(m, n)
	s.nodes.deleteUnregistered(m)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return b.await(ctx)
}

// importInto enters a registration. The member is locked for writing.
func (s *Store) importInto(m *member, n registry.Node) (basis, error) {
	if m.node.Ref.Epoch > 0 {
		return basis{}, &registry.InvalidError{Field: "node", Problem: fmt.Sprintf("%v is registered already", n.Ref.ID)}
	}
	return s.changeNode(m, n)
}

func (s *Store) importRecord(ctx context.Context, p registry.Placement) error {
	if err := p.Actor.Validate(); err != nil {
		return err
	}
	b, err := s.importHeld(p)
	if err != nil {
		return err
	}
	return b.await(ctx)
}

// importHeld enters a record, under the locks that a claim takes.
func (s *Store) importHeld(p registry.Placement) (basis, error) {
	var holder *member
	if p.Held() {
		holder = s.nodes.find(p.Holder.ID)
		holder.mu.RLock()
		defer holder.mu.RUnlock()
		if holder.node.Ref.Epoch < p.Holder.Epoch {
			return basis{}, &registry.InvalidError{Field: "record", Problem: fmt.Sprintf("of %v is held by %v, which was never registered", p.Actor, p.Holder)}
		}
	}
	sh := s.shard(p.Actor)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.find(p.Actor)
	if r != &none || p.Token == 0 || p.Version == 0 {
		return basis{}, &registry.InvalidError{Field: "record", Problem: fmt.Sprintf("of %v is there already, or is none", p.Actor)}
	}
	return s.change(sh, r, p, holder)
}

// shard holds a part of the actors. Its maps are made when they are needed: a
// store is cheap to make.
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
	batch     *batch  // that makes placement durable, or has; nil when it was on the file or nothing does
}

// recordChange is a [change] of a record.
type recordChange struct {
	next   registry.Placement
	before record // none when next is the first
}

func (c *recordChange) encode(b []byte) []byte { return appendRecord(b, c.next) }

func (c *recordChange) undo(s *Store) {
	sh := s.shard(c.next.Actor)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	before := c.before.placement
	before.Actor = c.next.Actor
	sh.write(sh.find(before.Actor), before, c.before.holder, c.before.batch)
	if before.Version == 0 {
		delete(sh.records, before.Actor)
	}
}

// shard returns the shard of an actor.
func (s *Store) shard(actor registry.ActorID) *shard {
	return &s.shards[maphash.Comparable(s.seed, actor)%shardCount]
}

// none stands for every actor that has no record. It is never written.
var none record

// find returns the actor's record, or none. The shard is locked.
func (sh *shard) find(actor registry.ActorID) *record {
	if r := sh.records[actor]; r != nil {
		return r
	}
	return &none
}

// enter makes an actor's record, of which there is none. The shard is locked.
func (sh *shard) enter(actor registry.ActorID) *record {
	r := &record{actor: actor}
	if sh.records == nil {
		sh.records = map[registry.ActorID]*record{}
	}
	sh.records[actor] = r
	return r
}

// change makes next the actor's record, held by the member holder (nil: nobody),
// in memory and, for a durable store, in the open batch. It returns what an answer
// that tells of it rests on. The shard is locked, since r was found for the actor:
// it is still what is to be changed. On an error nothing was changed.
func (s *Store) change(sh *shard, r *record, next registry.Placement, holder *member) (basis, error) {
	if s.journal == nil {
		sh.write(r, next, holder, nil)
		return basis{}, nil
	}
	b, err := s.journal.stage(&recordChange{next: next, before: *r})
	if err != nil {
		return basis{}, err
	}
	sh.write(r, next, holder, b)
	return basis{batches: [2]*batch{b}, wrote: true}, nil
}

// write sets the actor's record, which find found as r, keeps the holders' indexes
// in step with it and wakes who waits for the actor. The shard is locked: nobody
// sees the record and the indexes disagree except a listing, which reads the record
// again under the shard's mutex.
func (sh *shard) write(r *record, next registry.Placement, holder *member, b *batch) {
	if r == &none {
		r = sh.enter(next.Actor)
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
	r.placement, r.holder, r.batch = next, holder, b
	sh.wake(next.Actor)
}
