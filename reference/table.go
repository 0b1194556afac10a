package reference

import (
	"hash/maphash"
	"maps"
)

// table is a map of which a copy is made at once, and the first change after that takes
// a time that grows with what has changed lately, not with its size. The zero value is
// empty.
type table[K, V comparable] struct {
	base   *map[K]V // not changed any more once it is shared
	delta  *map[K]V // what differs from a shared base, nil: nothing; likewise
	shared bool     // base, with copies
	lent   bool     // delta, with copies
	sum    uint64   // of the hashes of all entries: tables of different sums differ
}

// mergeAfter is how many changes are kept apart from a shared base.
const mergeAfter = 64

func (t *table[K, V]) get(k K) (v V, found bool) {
	if t.delta != nil {
		v, found = (*t.delta)[k]
	}
	if !found && t.base != nil {
		v, found = (*t.base)[k]
	}
	return v, found
}

func (t *table[K, V]) put(k K, v V) {
	if old, found := t.get(k); found {
		t.sum -= hashOf(k, old)
	}
	t.sum += hashOf(k, v)
	if t.base == nil {
		t.base = &map[K]V{}
	}
	if !t.shared {
		(*t.base)[k] = v
		return
	}
	t.ownDelta()
	if (*t.delta)[k] = v; len(*t.delta) > mergeAfter {
		merged := maps.Clone(*t.base)
		maps.Copy(merged, *t.delta)
		*t = table[K, V]{base: &merged, sum: t.sum}
	}
}

// ownDelta makes a delta that can be changed.
func (t *table[K, V]) ownDelta() {
	switch {
	case t.delta == nil:
		t.delta = &map[K]V{}
	case t.lent:
		own := maps.Clone(*t.delta)
		t.delta = &own
	}
	t.lent = false
}

// remove copies what is left.
func (t *table[K, V]) remove(k K) {
	old, found := t.get(k)
	if !found {
		return
	}
	left := maps.Collect(t.all)
	delete(left, k)
	*t = table[K, V]{base: &left, sum: t.sum - hashOf(k, old)}
}

// all yields every entry, in no order.
func (t *table[K, V]) all(yield func(K, V) bool) {
	for k, v := range t.changes {
		if !yield(k, v) {
			return
		}
	}
	if t.base == nil {
		return
	}
	for k, v := range *t.base {
		if t.delta != nil {
			if _, changed := (*t.delta)[k]; changed {
				continue
			}
		}
		if !yield(k, v) {
			return
		}
	}
}

// changes yields what differs from the base.
func (t *table[K, V]) changes(yield func(K, V) bool) {
	if t.delta != nil {
		maps.All(*t.delta)(yield)
	}
}

// share returns a copy.
func (t *table[K, V]) share() table[K, V] {
	t.shared, t.lent = t.base != nil, t.delta != nil
	return *t
}

// equal reports whether both have the same entries.
func equal[K, V comparable](t, u *table[K, V]) bool {
	return t.sum == u.sum && (t.base == u.base && t.delta == u.delta || within(t, u) && within(u, t))
}

var tableSeed = maphash.MakeSeed()

func hashOf[K, V comparable](k K, v V) uint64 {
	return maphash.Comparable(tableSeed, struct {
		k K
		v V
	}{k, v})
}

// within reports whether every entry of t is one of u, but for those of a base
// that they share and that only u has changed.
func within[K, V comparable](t, u *table[K, V]) bool {
	entries := t.all
	if t.base == u.base {
		entries = t.changes
	}
	for k, v := range entries {
		if w, found := u.get(k); !found || w != v {
			return false
		}
	}
	return true
}
