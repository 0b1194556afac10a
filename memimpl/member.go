package memimpl

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kelpie-registry/registry"
)

// member is a node name with its latest registration. A member that ever had one
// that was not undone is never deleted, so a pointer to one stays right.
type member struct {
	id registry.NodeID

	mu    sync.RWMutex
	gone  bool          // it was deleted; its name may be another member's
	node  registry.Node // zero: not registered yet
	batch *batch        // that makes node durable, or has; nil when it was on the file or nothing does

	index sync.Mutex // a leaf of the lock order
	held  map[registry.Epoch]*ordered[*record]
}

// hold enters a record into the index of an incarnation.
func (m *member) hold(e registry.Epoch, r *record) {
	m.index.Lock()
	defer m.index.Unlock()
	set := m.held[e]
	if set == nil {
		set = &ordered[*record]{compare: compareRecords}
		m.held[e] = set
	}
	set.insert(r)
}

// unhold removes a record from the index of an incarnation.
func (m *member) unhold(e registry.Epoch, r *record) {
	m.index.Lock()
	defer m.index.Unlock()
	set := m.held[e]
	set.remove(r)
	if set.empty() {
		delete(m.held, e) // an incarnation that is over leaves nothing behind
	}
}

// holds returns up to n records of an incarnation after the actor.
func (m *member) holds(e registry.Epoch, after registry.ActorID, n int) []*record {
	m.index.Lock()
	defer m.index.Unlock()
	set := m.held[e]
	if set == nil {
		return nil
	}
	return set.after(func(r *record) bool { return compareActors(r.actor, after) > 0 }, n)
}

func compareActors(a, b registry.ActorID) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

func compareRecords(a, b *record) int { return compareActors(a.actor, b.actor) }

// nodeChange is a [change] of a registration.
type nodeChange struct {
	member       *member
	next, before registry.Node // before is zero when next is the first
	batch        *batch        // before
}

func (c *nodeChange) encode(b []byte) []byte { return appendNode(b, c.next) }

func (c *nodeChange) undo(s *Store) {
	c.member.mu.Lock()
	defer c.member.mu.Unlock()
	s.nodes.write(c.member, c.before, c.batch)
	s.nodes.deleteUnregistered(c.member)
}

// changeNode makes next the member's registration, as change does with a record.
// The member is locked for writing.
func (s *Store) changeNode(m *member, next registry.Node) (basis, error) {
	if s.journal == nil {
		s.nodes.write(m, next, nil)
		return basis{}, nil
	}
	b, err := s.journal.stage(&nodeChange{member: m, next: next, before: m.node, batch: m.batch})
	if err != nil {
		return basis{}, err
	}
	s.nodes.write(m, next, b)
	return basis{batches: [2]*batch{b}, wrote: true}, nil
}

// directory finds members by name, and lists them by status in the order of
// their names. Its lock is a leaf of the lock order.
type directory struct {
	mu   sync.RWMutex
	byID map[registry.NodeID]*member
	// By status; under AnyStatus are all that were ever registered, so that a
	// node is not missed while its status changes.
	byStatus [registry.NodeLeft + 1]ordered[*member]
}

func (d *directory) init() {
	d.byID = map[registry.NodeID]*member{}
	for i := range d.byStatus {
		d.byStatus[i].compare = func(a, b *member) int { return cmp.Compare(a.id, b.id) }
	}
}

// nobody stands for every name that has no member. It is never written.
var nobody member

// find returns the member of that name, or nobody.
func (d *directory) find(id registry.NodeID) *member {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if m := d.byID[id]; m != nil {
		return m
	}
	return &nobody
}

// enter returns the member of that name, a new one when there is none.
func (d *directory) enter(id registry.NodeID) *member {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.byID[id]
	if m == nil {
		m = &member{id: id, held: map[registry.Epoch]*ordered[*record]{}}
		d.byID[id] = m
	}
	return m
}

// lock returns the member of that name, a new one when there is none, locked for
// writing. It has the name until it is unlocked.
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
// or undone leaves nothing behind. The member is locked for writing. Whoever found
// it before is refused as of the instant of finding it, as with nobody; no record has
// it as holder, because what rested on its registration was undone before.
func (d *directory) deleteUnregistered(m *member) {
	if !m.node.Ref.IsZero() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byID, m.id)
	m.gone = true
}

// all returns every member.
func (d *directory) all() []*member {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Collect(maps.Values(d.byID))
}

// write sets the member's registration and keeps the directory in step with it.
// The member is locked for writing.
func (d *directory) write(m *member, next registry.Node, b *batch) {
	before := m.node.Status
	m.node, m.batch = next, b
	if before == next.Status {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	// AnyStatus is the status of a name that was never registered.
	if before == registry.AnyStatus {
		d.byStatus[registry.AnyStatus].insert(m)
	} else {
		d.byStatus[before].remove(m)
	}
	if next.Status == registry.AnyStatus { // the first registration is undone
		d.byStatus[registry.AnyStatus].remove(m)
	} else {
		d.byStatus[next.Status].insert(m)
	}
}

// list returns up to n members of a status after the name.
func (d *directory) list(status registry.NodeStatus, after registry.NodeID, n int) []*member {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byStatus[status].after(func(m *member) bool { return m.id > after }, n)
}
