package memimpl

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
// What is known of an actor, and of a node, is a value that is never written again:
// a step reads it by one load of a pointer and changes it by storing another. Who
// only reads needs no lock, and reads as of that load.
//
// A shard's mutex guards what is known of its actors, a member's lock the
// registration of its node: a step that changes one holds its lock over clock
// reading, decision and store. A step that reads a registration and writes a record
// (Claim, Transfer) holds the member's lock for reading and then the shard's mutex,
// both until the record is stored: at that instant the registration and the record
// are what the decision saw, so the step is atomic against every other step on the
// actor and against MarkFailed, RegisterNode and DeregisterNode on the node, which
// hold the member's lock for writing. (Without the member's lock a lookup could come
// after the end of the registration and before the grant that rests on it.) Claims of
// one node do not exclude each other there.
//
// The order is: one member's lock, one shard's mutex, then for a few instructions
// one of the leaves, the directory's mutex or the journal's. No step takes two locks
// of one level, none takes them in another order, and nothing waits for anything but
// a lock while it holds one: there is no cycle to deadlock in.
type Store struct {
	cfg     registry.Config
	seed    maphash.Seed
	shards  [shardCount]shard
	nodes   directory
	journal *journal // nil: volatile
	yields  yielder  // nothing, without the build tag "yield"

	forgets   bool // Retain
	retention time.Duration

	once     sync.Once
	closed   chan struct{}
	closeErr error
}

// Option is an option of [New].
type Option func(*options)

type options struct {
	forgets     bool
	retention   time.Duration
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
	case o.retention < 0:
		return &registry.InvalidError{Field: "retention", Problem: fmt.Sprintf("is %v, which is negative", o.retention)}
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
		if opt == nil {
			return nil, &registry.InvalidError{Field: "option", Problem: "is nil"}
		}
		opt(&o)
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, seed: maphash.MakeSeed(), closed: make(chan struct{}), forgets: o.forgets, retention: o.retention}
	s.nodes.init(s.seed)
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
// Errors: [registry.ErrInvalid], also for what cannot be a record or a registration; for a
// durable store those of a mutating
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
	if err := checkNode(n); err != nil {
		return &registry.InvalidError{Field: "node", Problem: err.Error()}
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

// importInto enters a registration. The member is locked.
func (s *Store) importInto(m *member, n registry.Node) (basis, error) {
	if m.now().node.Ref.Epoch > 0 {
		return basis{}, &registry.InvalidError{Field: "node", Problem: fmt.Sprintf("%v is registered already", n.Ref.ID)}
	}
	return s.changeNode(m, n)
}

func (s *Store) importRecord(ctx context.Context, p registry.Placement) error {
	if err := checkRecord(p); err != nil {
		return &registry.InvalidError{Field: "record", Problem: err.Error()}
	}
	b, err := s.importHeld(p)
	if err != nil {
		return err
	}
	return b.await(ctx)
}

// importHeld enters a record, as a claim does.
func (s *Store) importHeld(p registry.Placement) (basis, error) {
	m := s.nodes.find(p.Holder.ID)
	sh, sum := s.shard(p.Actor)
	registration := m.mu.lane(sum)
	registration.RLock()
	defer registration.RUnlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if p.Held() && m.now().node.Ref.Epoch < p.Holder.Epoch {
		return basis{}, &registry.InvalidError{Field: "record", Problem: fmt.Sprintf("of %v is held by %v, which was never registered", p.Actor, p.Holder)}
	}
	r := sh.find(p.Actor, sum)
	if r != &none {
		return basis{}, &registry.InvalidError{Field: "record", Problem: fmt.Sprintf("of %v is there already", p.Actor)}
	}
	return s.change(sh, r, sum, p)
}

// shard holds a part of the actors. Its parts are made when they are needed: a
// store is cheap to make.
type shard struct {
	records table[registry.ActorID, record, *record] // nothing is removed, as the contract wants, but what was undone or purged
	floor   atomic.Pointer[floor]                    // stored under the mutex; see ground

	mu      sync.Mutex
	held    ordered[*record]            // records by the holder under which they are filed, and actor; see index
	unfiled []*record                   // those whose holder has changed since, each once
	watches map[registry.ActorID]*watch // of the actors that somebody waits for
}

// record is an actor with what is known of it.
type record struct {
	actor registry.ActorID
	hash  uint64
	value atomic.Pointer[recordValue] // stored under the shard's mutex

	filed   registry.NodeRef // the holder under which the index has it; zero: it has not
	unfiled bool             // it is among the shard's unfiled
}

func (r *record) is(actor registry.ActorID) bool { return r.actor == actor }
func (r *record) sum() uint64                    { return r.hash }

// recordValue is what is known of an actor at one time.
type recordValue struct {
	placement registry.Placement
	batch     *batch // that makes it durable, or has; nil when it was on the file or nothing does
}

// absent is what is known of an actor without a record.
var absent recordValue

// now returns what is known of the actor.
func (r *record) now() *recordValue {
	if v := r.value.Load(); v != nil {
		return v
	}
	return &absent
}

// recordChange is a [change] of a record.
type recordChange struct {
	next   registry.Placement
	before *recordValue // absent when next is the first
}

func (c *recordChange) encode(b []byte) []byte { return appendRecord(b, c.next) }

func (c *recordChange) undo(s *Store) {
	sh, sum := s.shard(c.next.Actor)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.find(c.next.Actor, sum)
	sh.write(r, c.before)
	if c.before == &absent {
		sh.records.remove(r) // after the write: who has found it sees that there is none
	}
}

// shard returns the shard of an actor, and the sum by which the shard finds it.
func (s *Store) shard(actor registry.ActorID) (*shard, uint64) {
	sum := maphash.Comparable(s.seed, actor)
	return &s.shards[sum%shardCount], sum / shardCount
}

// lookup returns what is known of an actor, at one instant.
func (s *Store) lookup(actor registry.ActorID) *recordValue {
	sh, sum := s.shard(actor)
	return sh.known(sh.find(actor, sum))
}

// known returns what is known of the actor whose record find has returned.
func (sh *shard) known(r *record) *recordValue {
	if r == &none {
		return &sh.ground().gone
	}
	return r.now()
}

// none stands for every actor that has no record. It is never written.
var none record

// find returns the actor's record, or none. Without the shard's mutex it may be
// none any moment later, or not.
func (sh *shard) find(actor registry.ActorID, sum uint64) *record {
	if r := sh.records.find(actor, sum); r != nil {
		return r
	}
	return &none
}

// change makes next the actor's record, in memory and, for a durable store, in the
// open batch. It returns what an answer that tells of it rests on. The shard is
// locked, since r was found for the actor: it is still what is to be changed. On an
// error nothing was changed.
func (s *Store) change(sh *shard, r *record, sum uint64, next registry.Placement) (basis, error) {
	v := &recordValue{placement: next}
	if s.journal != nil {
		b, err := s.journal.stage(&recordChange{next: next, before: r.now()})
		if err != nil {
			return basis{}, err
		}
		v.batch = b
	}
	if r == &none {
		r = &record{actor: next.Actor, hash: sum}
		defer sh.records.enter(r) // with its value
	}
	sh.write(r, v)
	return wrote(v.batch), nil
}

// write stores what is known of an actor from now on and wakes who waits for the
// actor. The shard is locked.
func (sh *shard) write(r *record, next *recordValue) {
	r.value.Store(next)
	if next.placement.Holder != r.filed && !r.unfiled {
		r.unfiled = true
		sh.unfiled = append(sh.unfiled, r)
		if len(sh.unfiled) > sh.records.live+unfiledSpare { // most of these are records that are gone
			sh.file()
		}
	}
	sh.wake(r.actor)
}

// unfiledSpare is how many more than its records a shard has unfiled at most.
const unfiledSpare = 64

// index returns the records that somebody holds, by holder and actor. Only a listing
// asks for it, so it is brought up to date by the listing: an actor that is claimed and
// released in between costs its owners nothing. The shard is locked.
func (sh *shard) index() *ordered[*record] {
	sh.file()
	return &sh.held
}

// file files the records under who holds them now. All are taken out before one is put
// in: of an actor that was forgotten and claimed again there are two records, of which
// one is held, and the index finds by name.
func (sh *shard) file() {
	sh.held.compare = compareFiled
	for _, r := range sh.unfiled {
		if !r.filed.IsZero() {
			sh.held.remove(r)
		}
	}
	for _, r := range sh.unfiled {
		r.filed, r.unfiled = r.now().placement.Holder, false
	}
	slices.SortFunc(sh.unfiled, compareFiled) // what is inserted in order is inserted fast
	for _, r := range sh.unfiled {
		if !r.filed.IsZero() {
			sh.held.insert(r)
		}
	}
	clear(sh.unfiled)
	sh.unfiled = sh.unfiled[:0]
}

// compareFiled orders records by the holder under which they are filed, and actor.
func compareFiled(a, b *record) int {
	return cmp.Or(compareHolders(a.filed, b.filed), compareActors(a.actor, b.actor))
}

func compareHolders(a, b registry.NodeRef) int {
	return cmp.Or(strings.Compare(string(a.ID), string(b.ID)), cmp.Compare(a.Epoch, b.Epoch))
}

func compareActors(a, b registry.ActorID) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// listed returns up to n of the records of the shard that node holds, in order,
// beginning after the actor, as they are at one instant.
func (sh *shard) listed(node registry.NodeRef, after registry.ActorID, n int) []registry.Placement {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var rows []registry.Placement
	for _, r := range sh.index().after(func(r *record) bool {
		return cmp.Or(compareHolders(r.filed, node), compareActors(r.actor, after)) > 0
	}, n) {
		if r.filed != node {
			break
		}
		rows = append(rows, r.now().placement)
	}
	return rows
}

// holds returns up to n of the records that node holds, in the order of the actors,
// beginning after the actor. Each row was so at an instant of its own; an actor that
// the node holds all along is not missed, since it stays in its shard.
func (s *Store) holds(node registry.NodeRef, after registry.ActorID, n int) []registry.Placement {
	var rows []registry.Placement
	part := n/shardCount*2 + 8 // of a shard at a time: a few more than it is likely to give
	for more := true; more && len(rows) < n; {
		var round []registry.Placement
		var bound *registry.ActorID // from here on a shard may have more than it gave
		for i := range s.shards {
			listed := s.shards[i].listed(node, after, part)
			round = append(round, listed...)
			if len(listed) == part {
				if last := listed[part-1].Actor; bound == nil || compareActors(last, *bound) < 0 {
					bound = &last
				}
			}
		}
		slices.SortFunc(round, func(a, b registry.Placement) int { return compareActors(a.Actor, b.Actor) })
		if more = bound != nil; more {
			round = slices.DeleteFunc(round, func(p registry.Placement) bool { return compareActors(p.Actor, *bound) > 0 })
			after = *bound
		}
		rows = append(rows, round...)
	}
	return rows[:min(n, len(rows))]
}
