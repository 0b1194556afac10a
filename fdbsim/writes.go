package fdbsim

import (
	"bytes"
	"sort"
)

// mutation is one write in the order in which the transaction made it.
type mutation struct {
	op    MutationType
	key   []byte // the begin of a cleared range; the unstamped key of a versionstamped key
	param []byte // the end of a cleared range
}

// ownWrites is what a transaction's reads see of its own mutations.
type ownWrites struct {
	ops        map[string][]mutation // of each written key, since it was last cleared or set
	keys       []string              // of ops, in order
	cleared    rangeSet
	unreadable rangeSet   // touched by versionstamp operations
	stampKeys  []mutation // versionstamped keys, visible only with BypassUnreadable
}

func (w *ownWrites) apply(m mutation) {
	switch m.op {
	case mutationClearRange:
		w.clear(KeyRange{m.key, m.param})
	case MutationSetVersionstampedKey:
		w.unreadable = w.unreadable.add(stampKeyRange(m.key))
		w.stampKeys = append(w.stampKeys, m)
	case MutationSetVersionstamped:
		w.unreadable = w.unreadable.add(singleKey(m.key))
		w.put(m, true)
	default:
		// Setting a key does not make it readable again (row R16).
		w.put(m, m.op == mutationSet)
	}
}

func (w *ownWrites) put(m mutation, replaces bool) {
	if w.ops == nil {
		w.ops = make(map[string][]mutation)
	}
	k := string(m.key)
	old, known := w.ops[k]
	if !known {
		i := sort.SearchStrings(w.keys, k)
		w.keys = append(w.keys, "")
		copy(w.keys[i+1:], w.keys[i:])
		w.keys[i] = k
	}
	if replaces {
		old = nil
	}
	w.ops[k] = append(old[:len(old):len(old)], m)
}

func (w *ownWrites) clear(r KeyRange) {
	i := sort.SearchStrings(w.keys, string(r.Begin))
	j := i
	for ; j < len(w.keys) && w.keys[j] < string(r.End); j++ {
		delete(w.ops, w.keys[j])
	}
	w.keys = append(w.keys[:i], w.keys[j:]...)
	w.cleared = w.cleared.add(r)
	w.unreadable = w.unreadable.subtract(r)
	kept := w.stampKeys[:0:0]
	for _, m := range w.stampKeys {
		if !r.contains(m.key) {
			kept = append(kept, m)
		}
	}
	w.stampKeys = kept
}

// independent reports whether the key's value follows from the own writes alone. Then reading it
// neither asks the cluster nor conflicts with anybody (rows C30, C32, C37). A versionstamped value
// counts as dependent: a read of its range conflicts.
func (w *ownWrites) independent(key []byte) bool {
	ops := w.ops[string(key)]
	return len(ops) > 0 && ops[0].op == mutationSet || w.cleared.contains(key)
}

// value is the key's value in front of what the cluster has for it.
func (w *ownWrites) value(key []byte, old []byte, exists bool) ([]byte, bool) {
	if w.cleared.contains(key) {
		old, exists = nil, false
	}
	for _, m := range w.ops[string(key)] {
		if m.op == MutationSetVersionstamped {
			old, exists = m.param, true // with BypassUnreadable: the unfinished parameter (row R15)
		} else {
			old, exists = applyAtomic(m.op, old, exists, m.param)
		}
	}
	return old, exists
}

// over is the database with the own writes on top.
func (w *ownWrites) over(base *tree, withStampKeys bool) *tree {
	t := base
	for _, r := range w.cleared {
		t = t.without(r.Begin, r.End)
	}
	for _, k := range w.keys {
		key := []byte(k)
		old, exists := base.get(key)
		if v, present := w.value(key, old, exists); present {
			t = t.with(key, v)
		} else {
			t = t.without(key, keyAfter(key))
		}
	}
	if withStampKeys {
		for _, m := range w.stampKeys {
			t = t.with(m.key, m.param)
		}
	}
	return t
}

// dependentPart is the part of a read range whose content follows from the cluster and not from the
// own writes alone: only that part conflicts (row C34).
func (w *ownWrites) dependentPart(r KeyRange) rangeSet {
	s := rangeSet(nil).add(r)
	for _, c := range w.cleared {
		s = s.subtract(c)
	}
	from := sort.SearchStrings(w.keys, string(r.Begin))
	for _, k := range w.keys[from:] {
		if bytes.Compare([]byte(k), r.End) >= 0 {
			break
		}
		key := []byte(k)
		if ops := w.ops[k]; ops[0].op == mutationSet {
			s = s.subtract(singleKey(key))
		}
	}
	return s
}

// replay builds the own writes of a prefix of the mutations: a read sees the writes made before it was
// issued, also when it is answered later (row R23).
func replay(mutations []mutation) *ownWrites {
	w := &ownWrites{}
	for _, m := range mutations {
		w.apply(m)
	}
	return w
}
