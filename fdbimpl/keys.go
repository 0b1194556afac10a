//go:build fdb

package fdbimpl

import (
	"fmt"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"

	"github.com/kelpie-registry/registry"
)

// keys makes the keys of one registry. The layout is in the package comment.
type keys struct {
	root                subspace.Subspace
	cluster             fdb.Key
	actors, held, nodes subspace.Subspace
}

func newKeys(root subspace.Subspace) keys {
	return keys{
		root:    root,
		cluster: root.Pack(tuple.Tuple{"c"}),
		actors:  root.Sub("a"),
		held:    root.Sub("h"),
		nodes:   root.Sub("n"),
	}
}

func (k keys) tenure(a registry.ActorID) fdb.Key {
	return k.actors.Pack(tuple.Tuple{a.Namespace, a.Name, "t"})
}

func (k keys) term(a registry.ActorID) fdb.Key {
	return k.actors.Pack(tuple.Tuple{a.Namespace, a.Name, "l"})
}

// heldBy is the index of one holder: one row per actor, in the order of their names.
func (k keys) heldBy(holder registry.NodeRef) subspace.Subspace {
	return k.held.Sub(string(holder.ID), uint64(holder.Epoch))
}

func (k keys) heldRow(holder registry.NodeRef, a registry.ActorID) fdb.Key {
	return k.heldBy(holder).Pack(tuple.Tuple{a.Namespace, a.Name})
}

func (k keys) standing(id registry.NodeID) fdb.Key {
	return k.nodes.Pack(tuple.Tuple{string(id), "s"})
}

func (k keys) seen(id registry.NodeID) fdb.Key {
	return k.nodes.Pack(tuple.Tuple{string(id), "t"})
}

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
