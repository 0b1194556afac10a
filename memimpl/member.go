package memimpl

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
)

// member is a node name with its latest registration.
type member struct {
	id   registry.NodeID
	hash uint64

	mu    lanes
	gone  bool // it was deleted; its name may be another member's
	value atomic.Pointer[memberValue]
}

// lanes is a lock that has many readers and seldom a writer. A reader holds one lane,
// a writer all of them, locked in their order: so it excludes every reader and every
// other writer, as [sync.RWMutex] does, but readers in different lanes share no memory
// that they write, and those on different cores do not wait for each other's caches.
type lanes [8]struct {
	sync.RWMutex
	_ [40]byte // a cache line each
}

// lane returns the lock that a reader holds who has to do with the sum.
func (l *lanes) lane(sum uint64) *sync.RWMutex { return &l[sum%uint64(len(l))].RWMutex }

// Lock locks for writing.
func (l *lanes) Lock() {
	for i := range l {
		l[i].Lock()
	}
}

// Unlock ends Lock.
func (l *lanes) Unlock() {
	for i := range l {
		l[i].Unlock()
	}
}

func (m *member) is(id registry.NodeID) bool { return m.id == id }
func (m *member) sum() uint64                { return m.hash }

// memberValue is a node's latest registration at one time.
type memberValue struct {
	node  registry.Node // zero: not registered yet
	batch *batch        // that makes it durable, or has; nil when it was on the file or nothing does
}

// unregistered is the registration of a name that has none.
var unregistered memberValue

// now returns the latest registration.
func (m *member) now() *memberValue {
	if v := m.value.Load(); v != nil {
		return v
	}
	return &unregistered
}

// nodeChange is a [change] of a registration.
type nodeChange struct {
	member *member
	next   registry.Node
	before *memberValue // unregistered when next is the first
}

func (c *nodeChange) encode(b []byte) []byte { return appendNode(b, c.next) }

func (c *nodeChange) undo(s *Store) {
	c.member.mu.Lock()
	defer c.member.mu.Unlock()
	s.nodes.write(c.member, c.before)
	s.nodes.deleteUnregistered(c.member)
}

// changeNode makes next the member's registration, as change does with a record.
// The member is locked for writing.
func (s *Store) changeNode(m *member, next registry.Node) (basis, error) {
	v := &memberValue{node: next}
	if s.journal != nil {
		b, err := s.journal.stage(&nodeChange{member: m, next: next, before: m.now()})
		if err != nil {
			return basis{}, err
		}
		v.batch = b
	}
	s.nodes.write(m, v)
	return wrote(v.batch), nil
}

// directory finds members by name, without a lock, and lists them by status in the
// order of their names. Its mutex is a leaf of the lock order.
type directory struct {
	seed maphash.Seed
	byID table[registry.NodeID, member, *member]

	mu sync.Mutex
	// By status; under AnyStatus are all that were ever registered, so that a
	// node is not missed while its status changes.
	byStatus [registry.NodeLeft + 1]ordered[*member]
}

func (d *directory) init(seed maphash.Seed) {
	d.seed = seed
	for i := range d.byStatus {
		d.byStatus[i].compare = func(a, b *member) int { return cmp.Compare(a.id, b.id) }
	}
}

// nobody stands for every name that has no member. It is never written.
var nobody member

// find returns the member of that name, or nobody.
func (d *directory) find(id registry.NodeID) *member {
	if m := d.byID.find(id, maphash.String(d.seed, string(id))); m != nil {
		return m
	}
	return &nobody
}

// enter returns the member of that name, a new one when there is none.
func (d *directory) enter(id registry.NodeID) *member {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.find(id)
	if m == &nobody {
		m = &member{id: id, hash: maphash.String(d.seed, string(id))}
		d.byID.enter(m)
	}
	return m
}

// lock returns the member of that name, a new one when there is none, locked. It
// has the name until it is unlocked.
func (d *directory) lock(id registry.NodeID) *member {
	for {
		m := d.enter(id)
		m.mu.Lock()
		if !m.gone {
			return m
		}
		m.mu.Unlock()
	}
}

// deleteUnregistered deletes a member that has no registration: one that was refused
// or undone leaves nothing behind. The member is locked for writing. Whoever has
// found it sees that it is not registered, as it is with nobody.
func (d *directory) deleteUnregistered(m *member) {
	if !m.now().node.Ref.IsZero() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byID.remove(m)
	m.gone = true
}

// all returns every member.
func (d *directory) all() []*member {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(d.byID.all)
}

// write sets the member's registration and keeps the directory in step with it.
// The member is locked for writing. Another status is set under the directory's mutex:
// whoever has seen it, and lists then, waits until the member is where it belongs.
func (d *directory) write(m *member, next *memberValue) {
	before, after := m.now().node.Status, next.node.Status
	if before == after {
		m.value.Store(next)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m.value.Store(next)
	// AnyStatus is the status of a name that was never registered.
	if before == registry.AnyStatus {
		d.byStatus[registry.AnyStatus].insert(m)
	} else {
		d.byStatus[before].remove(m)
	}
	if after == registry.AnyStatus { // the first registration is undone
		d.byStatus[registry.AnyStatus].remove(m)
	} else {
		d.byStatus[after].insert(m)
	}
}

// list returns up to n members of a status after the name.
func (d *directory) list(status registry.NodeStatus, after registry.NodeID, n int) []*member {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byStatus[status].after(func(m *member) bool { return m.id > after }, n)
}
