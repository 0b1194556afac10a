package reference

import "maps"

// table is a map that is copied in a time that grows with what has changed since
// the copy before, not with its size. The zero value is empty.
type table[K, V comparable] struct {
	base   *map[K]V // not changed any more once it is shared
	shared bool     // with copies
	delta  map[K]V  // what differs from a shared base
}

// mergeAfter is how many changes are kept apart from a shared base.
const mergeAfter = 64

func (t *table[K, V]) get(k K) (v V, found bool) {
	if v, found = t.delta[k]; !found && t.base != nil {
		v, found = (*t.base)[k]
	}
	return v, found
}

func (t *table[K, V]) put(k K, v V) {
	if t.base == nil {
		t.base = &map[K]V{}
	}
	if !t.shared {
		(*t.base)[k] = v
		return
	}
	if t.delta == nil {
		t.delta = map[K]V{}
	}
	if t.delta[k] = v; len(t.delta) > mergeAfter {
		merged := maps.Clone(*t.base)
		maps.Copy(merged, t.delta)
		*t = table[K, V]{base: &merged}
	}
}

// remove copies what is left.
func (t *table[K, V]) remove(k K) {
	left := maps.Collect(t.all)
	delete(left, k)
	*t = table[K, V]{base: &left}
}

// all yields every entry, in no order.
func (t *table[K, V]) all(yield func(K, V) bool) {
	for k, v := range t.delta {
		if !yield(k, v) {
			return
		}
	}
	if t.base == nil {
		return
	}
	for k, v := range *t.base {
		if _, changed := t.delta[k]; !changed && !yield(k, v) {
			return
		}
	}
}

// share returns a copy.
func (t *table[K, V]) share() table[K, V] {
	t.shared = t.base != nil
	return table[K, V]{base: t.base, shared: t.shared, delta: maps.Clone(t.delta)}
}

// equal reports whether both have the same entries.
func equal[K, V comparable](t, u *table[K, V]) bool { return within(t, u) && within(u, t) }

// within reports whether every entry of t is one of u, but for those of a base
// that they share and that only u has changed.
func within[K, V comparable](t, u *table[K, V]) bool {
	entries := t.all
	if t.base == u.base {
		entries = maps.All(t.delta)
	}
	for k, v := range entries {
		if w, found := u.get(k); !found || w != v {
			return false
		}
	}
	return true
}
