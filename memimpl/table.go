package memimpl

import "sync/atomic"

// table is a hash table that is read without a lock while it is written. Writers
// exclude one another.
//
// A slot changes from empty to an element, and from an element to the grave, which
// no name matches; it becomes empty never again. Who looks for a name therefore
// walks from its first slot to an empty one, past every element that was entered
// there before the walk began. A table that is full is copied, and the copy takes
// its place: who still walks the old one misses what was entered since, and answers
// as of the instant at which it found the old one.
type table[K comparable, V any, E element[K, V]] struct {
	slots atomic.Pointer[[]slot[V]]
	grave V   // in the place of what was removed
	used  int // slots that are not empty
	live  int // elements
}

// slot is a place for an element. The sum is written once, before the element is
// stored, and read after one was loaded: who walks past others reads only the slots.
type slot[V any] struct {
	sum     uint64
	element atomic.Pointer[V]
}

// element is a pointer to what a table holds: it has a name and the hash of it,
// which never change.
type element[K comparable, V any] interface {
	*V
	is(name K) bool
	sum() uint64
}

// minSlots is how many slots a table begins with. Their number is a power of two.
const minSlots = 8

// find returns the element of that name, or nil.
func (t *table[K, V, E]) find(name K, sum uint64) E {
	slots := t.slots.Load()
	if slots == nil {
		return nil
	}
	mask := uint64(len(*slots) - 1)
	for i := sum & mask; ; i = (i + 1) & mask {
		e := E((*slots)[i].element.Load())
		if e == nil || (*slots)[i].sum == sum && e.is(name) {
			return e
		}
	}
}

// enter adds an element, whose name the table must not have.
func (t *table[K, V, E]) enter(e E) {
	slots := t.slots.Load()
	if slots == nil || (t.used+1)*4 > len(*slots)*3 {
		slots = t.grow()
	}
	put(*slots, e)
	t.used++
	t.live++
}

// grow puts a copy in the table's place that has room for half as many again.
func (t *table[K, V, E]) grow() *[]slot[V] {
	size := minSlots
	for t.live*2 >= size {
		size *= 2
	}
	slots := make([]slot[V], size)
	for e := range t.all {
		put(slots, e)
	}
	t.slots.Store(&slots)
	t.used = t.live
	return &slots
}

func put[K comparable, V any, E element[K, V]](slots []slot[V], e E) {
	mask := uint64(len(slots) - 1)
	i := e.sum() & mask
	for slots[i].element.Load() != nil {
		i = (i + 1) & mask
	}
	slots[i].sum = e.sum()
	slots[i].element.Store(e)
}

// remove takes out an element that the table has.
func (t *table[K, V, E]) remove(e E) {
	slots := *t.slots.Load()
	mask := uint64(len(slots) - 1)
	i := e.sum() & mask
	for slots[i].element.Load() != (*V)(e) {
		i = (i + 1) & mask
	}
	slots[i].element.Store(&t.grave)
	t.live--
}

// all yields the elements, in no order.
func (t *table[K, V, E]) all(yield func(E) bool) {
	slots := t.slots.Load()
	if slots == nil {
		return
	}
	for i := range *slots {
		if e := (*slots)[i].element.Load(); e != nil && e != &t.grave && !yield(e) {
			return
		}
	}
}
