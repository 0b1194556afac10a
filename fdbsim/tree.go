package fdbsim

import (
	"bytes"
	"hash/maphash"
)

// tree is an immutable ordered map from keys to values: a treap whose nodes are never changed once
// built, so that the root of every committed version stays readable for as long as somebody holds
// it. That is all of multi-version storage: one root per commit. Subtree sizes make a key selector
// with any offset a walk down the tree.
type tree struct {
	key, value  []byte
	prio        uint64
	size        int
	left, right *tree
}

// treapSeed makes priorities a function of the key within one process; the shape of the tree is
// never visible, only its order is.
var treapSeed = maphash.MakeSeed()

func (t *tree) len() int {
	if t == nil {
		return 0
	}
	return t.size
}

func newTree(left *tree, of *tree, right *tree) *tree {
	return &tree{key: of.key, value: of.value, prio: of.prio, size: left.len() + right.len() + 1, left: left, right: right}
}

// get returns the value of key.
func (t *tree) get(key []byte) ([]byte, bool) {
	for t != nil {
		switch c := bytes.Compare(key, t.key); {
		case c == 0:
			return t.value, true
		case c < 0:
			t = t.left
		default:
			t = t.right
		}
	}
	return nil, false
}

// rank is the number of keys below key.
func (t *tree) rank(key []byte) int {
	n := 0
	for t != nil {
		if bytes.Compare(t.key, key) < 0 {
			n += t.left.len() + 1
			t = t.right
		} else {
			t = t.left
		}
	}
	return n
}

// at returns the i-th row in key order, 0 <= i < len.
func (t *tree) at(i int) KeyValue {
	for {
		l := t.left.len()
		switch {
		case i < l:
			t = t.left
		case i == l:
			return KeyValue{t.key, t.value}
		default:
			i -= l + 1
			t = t.right
		}
	}
}

// split divides t into the keys below key and the keys from key on.
func (t *tree) split(key []byte) (below, from *tree) {
	if t == nil {
		return nil, nil
	}
	if bytes.Compare(t.key, key) < 0 {
		b, f := t.right.split(key)
		return newTree(t.left, t, b), f
	}
	b, f := t.left.split(key)
	return b, newTree(f, t, t.right)
}

// merge joins two trees, every key of a being below every key of b.
func merge(a, b *tree) *tree {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.prio >= b.prio:
		return newTree(a.left, a, merge(a.right, b))
	default:
		return newTree(merge(a, b.left), b, b.right)
	}
}

// with returns the tree with key set to value. Both are kept, not copied.
func (t *tree) with(key, value []byte) *tree {
	n := &tree{key: key, value: value, prio: maphash.Bytes(treapSeed, key), size: 1}
	return t.insert(n)
}

func (t *tree) insert(n *tree) *tree {
	if t == nil {
		return n
	}
	c := bytes.Compare(n.key, t.key)
	if c == 0 {
		return &tree{key: n.key, value: n.value, prio: t.prio, size: t.size, left: t.left, right: t.right}
	}
	if n.prio > t.prio {
		// The key is not in t: a node of the same key has the same priority, and the heap order would
		// have put it above t.
		below, from := t.split(n.key)
		return newTree(below, n, from)
	}
	if c < 0 {
		return newTree(t.left.insert(n), t, t.right)
	}
	return newTree(t.left, t, t.right.insert(n))
}

// without returns the tree with the keys of [begin, end) removed.
func (t *tree) without(begin, end []byte) *tree {
	if t.rank(begin) == t.rank(end) {
		return t
	}
	below, rest := t.split(begin)
	_, from := rest.split(end)
	return merge(below, from)
}
