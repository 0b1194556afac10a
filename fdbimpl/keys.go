//go:build fdb

package fdbimpl

import (
	"fmt"
	"math/bits"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"

	"github.com/kelpie-registry/registry"
)

// keys makes the keys of one registry. The layout is in the package comment. They are
// appended by hand, in the tuple layer's encoding, because the tuple layer makes five
// allocations for each; a test compares the two.
type keys struct {
	root                subspace.Subspace
	cluster             fdb.Key
	actors, held, nodes subspace.Subspace
	floors              subspace.Subspace

	actorsAt, heldAt, nodesAt, floorsAt []byte // what these subspaces begin with
}

func newKeys(root subspace.Subspace) keys {
	k := keys{
		root:    root,
		cluster: root.Pack(tuple.Tuple{"c"}),
		actors:  root.Sub("a"),
		held:    root.Sub("h"),
		nodes:   root.Sub("n"),
		floors:  root.Sub("f"),
	}
	k.actorsAt, k.heldAt, k.nodesAt, k.floorsAt = k.actors.Bytes(), k.held.Bytes(), k.nodes.Bytes(), k.floors.Bytes()
	return k
}

// recordKeys are the two keys of an actor's record. The binding takes keys as
// interfaces, for which pointers into this cost nothing.
type recordKeys struct{ tenure, term fdb.Key }

// nodeKeys are the two keys of a node's registration.
type nodeKeys struct{ standing, seen fdb.Key }

func (k keys) record(a registry.ActorID) *recordKeys {
	r := new(recordKeys)
	r.tenure, r.term = twoKeys(k.actorsAt, 't', 'l', a.Namespace, a.Name)
	return r
}

func (k keys) node(id registry.NodeID) *nodeKeys {
	n := new(nodeKeys)
	n.standing, n.seen = twoKeys(k.nodesAt, 's', 't', string(id))
	return n
}

// twoKeys returns the two keys that begin with the same names and end with one letter
// each, in one allocation.
func twoKeys(at []byte, first, second byte, names ...string) (fdb.Key, fdb.Key) {
	size := len(at) + 3
	for _, n := range names {
		size += len(n) + 2
	}
	b := append(make([]byte, 0, 2*size), at...)
	for _, n := range names {
		b = appendString(b, n)
	}
	common := len(b)
	b = append(b, stringCode, first, 0)
	end := len(b)
	b = append(b, b[:common]...)
	b = append(b, stringCode, second, 0)
	return fdb.Key(b[:end:end]), fdb.Key(b[end:])
}

// The tuple layer's codes of strings and of the integer 0.
const (
	stringCode = 0x02
	zeroCode   = 0x14
)

// appendString appends a string as the tuple layer does: it ends with a zero byte, and
// a zero byte in it is followed by 0xff.
func appendString(b []byte, s string) []byte {
	b = append(b, stringCode)
	for i := range len(s) {
		if b = append(b, s[i]); s[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return append(b, 0)
}

// appendUint appends a number as the tuple layer does: a code that tells its bytes, and
// those without leading zeros.
func appendUint(b []byte, n uint64) []byte {
	size := (bits.Len64(n) + 7) / 8
	b = append(b, byte(zeroCode+size))
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

// floor is the key of a part's floor.
func (k keys) floor(part byte) fdb.Key {
	return appendUint(append(make(fdb.Key, 0, len(k.floorsAt)+2), k.floorsAt...), uint64(part))
}

func (k keys) tenure(a registry.ActorID) fdb.Key { return k.record(a).tenure }

func (k keys) term(a registry.ActorID) fdb.Key { return k.record(a).term }

// heldBy is the index of one holder: one row per actor, in the order of their names.
func (k keys) heldBy(holder registry.NodeRef) subspace.Subspace {
	return k.held.Sub(string(holder.ID), uint64(holder.Epoch))
}

func (k keys) heldRow(holder registry.NodeRef, a registry.ActorID) fdb.Key {
	b := make([]byte, 0, len(k.heldAt)+len(holder.ID)+len(a.Namespace)+len(a.Name)+3*2+9)
	b = appendUint(appendString(append(b, k.heldAt...), string(holder.ID)), uint64(holder.Epoch))
	return appendString(appendString(b, a.Namespace), a.Name)
}

func (k keys) standing(id registry.NodeID) fdb.Key { return k.node(id).standing }

func (k keys) seen(id registry.NodeID) fdb.Key { return k.node(id).seen }

// unpackNames takes a key of n strings apart, less the prefix of s.
func unpackNames(s subspace.Subspace, key fdb.Key, n int) (names []string, err error) {
	elements, err := unpack(s, key)
	if err != nil {
		return nil, corrupt(key, err)
	}
	for _, e := range elements {
		if name, ok := e.(string); ok {
			names = append(names, name)
		}
	}
	if len(elements) != n || len(names) != n {
		return nil, corrupt(key, fmt.Errorf("key is %v, want %d names", elements, n))
	}
	return names, nil
}

// unpack takes a key apart, less the prefix of s.
func unpack(s subspace.Subspace, key fdb.Key) (elements tuple.Tuple, err error) {
	defer func() { // the binding's decoder indexes past the end of some malformed keys
		if p := recover(); p != nil {
			err = fmt.Errorf("key cannot be decoded: %v", p)
		}
	}()
	return s.Unpack(key)
}

func corrupt(key fdb.Key, err error) error {
	return &CorruptError{Key: fdb.Printable(key), Problem: err.Error()}
}
