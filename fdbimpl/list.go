//go:build fdb

package fdbimpl

import (
	"cmp"
	"context"
	"fmt"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// ListActors implements [registry.Registry]. A page is one bounded range read of
// the holder's index, in the order of the actors' names. Its rows are true at one
// read version; between pages an actor that stays keeps its place, because its
// name is its place.
func (r *Registry) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	var after registry.ActorID
	arguments := cmp.Or(rules.CheckListActors(node, page), decodeCursor(page.After, &after.Namespace, &after.Name))
	if err := r.ready(ctx, arguments); err != nil {
		return nil, "", err
	}
	rows, err := transact(ctx, r, "ListActors", func(a *attempt) ([]registry.Placement, error) {
		index := r.keys.heldBy(node)
		_, end := index.FDBRangeKeys()
		// On the first page after is the empty name, which is before every name.
		begin := keyAfter(r.keys.heldRow(node, after))
		// One row more than asked for tells whether there is a next page.
		kvs, err := readRange(a.tr, fdb.KeyRange{Begin: begin, End: end}, page.Rows()+1)
		if err != nil {
			return nil, err
		}
		rows := make([]registry.Placement, len(kvs))
		for i, kv := range kvs {
			names, err := unpackNames(index, kv.Key, 2)
			if err != nil {
				return nil, err
			}
			row, err := decodeHeld(kv.Value)
			if err != nil {
				return nil, corrupt(kv.Key, err)
			}
			rows[i] = registry.Placement{
				Actor: registry.ActorID{Namespace: names[0], Name: names[1]}, Holder: node,
				Token: row.token, ClaimID: row.claimID, Version: row.version, Expiry: row.expiry,
			}
		}
		return rows, nil
	})
	if err != nil {
		return nil, "", err
	}
	if len(rows) <= page.Rows() {
		return rows, "", nil
	}
	rows = rows[:page.Rows()]
	last := rows[len(rows)-1].Actor
	return rows, encodeCursor(last.Namespace, last.Name), nil
}

// nodeScan bounds the nodes that one page of a filtered listing looks at.
const nodeScan = registry.MaxPageLimit

// ListNodes implements [registry.Membership]. A page is one bounded range read, in
// the order of the names. With a status it looks at 1000 nodes at most, and so may
// return fewer rows than asked for, even none, with a cursor to go on from.
func (r *Registry) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	var after string
	arguments := cmp.Or(rules.CheckListNodes(status, page), decodeCursor(page.After, &after))
	if err := r.ready(ctx, arguments); err != nil {
		return nil, "", err
	}
	scan := nodeScan
	if status == registry.AnyStatus {
		scan = page.Rows() + 1 // one more than asked for tells whether there is a next page
	}
	nodes, err := transact(ctx, r, "ListNodes", func(a *attempt) ([]registry.Node, error) {
		_, begin := r.keys.nodes.Sub(after).FDBRangeKeys() // as in ListActors
		_, end := r.keys.nodes.FDBRangeKeys()
		kvs, err := readRange(a.tr, fdb.KeyRange{Begin: begin, End: end}, 2*scan)
		if err != nil {
			return nil, err
		}
		return r.keys.decodeNodes(kvs)
	})
	if err != nil {
		return nil, "", err
	}
	return selectNodes(nodes, status, page.Rows(), len(nodes) == scan)
}

// selectNodes returns the first limit nodes of a status, and the cursor of the next
// page when more nodes were read or may exist.
func selectNodes(nodes []registry.Node, status registry.NodeStatus, limit int, more bool) (rows []registry.Node, next registry.Cursor, err error) {
	for _, n := range nodes {
		if status != registry.AnyStatus && n.Status != status {
			continue
		}
		if len(rows) == limit {
			return rows, encodeCursor(string(rows[limit-1].Ref.ID)), nil
		}
		rows = append(rows, n)
	}
	if more {
		next = encodeCursor(string(nodes[len(nodes)-1].Ref.ID))
	}
	return rows, next, nil
}

// decodeNodes reads the two keys of each node, which follow each other.
func (k keys) decodeNodes(kvs []fdb.KeyValue) ([]registry.Node, error) {
	nodes := make([]registry.Node, 0, len(kvs)/2)
	for ; len(kvs) > 0; kvs = kvs[2:] {
		names, err := unpackNames(k.nodes, kvs[0].Key, 2)
		if err != nil {
			return nil, err
		}
		id := registry.NodeID(names[0])
		if len(kvs) < 2 || string(kvs[0].Key) != string(k.standing(id)) || string(kvs[1].Key) != string(k.seen(id)) {
			return nil, corrupt(kvs[0].Key, fmt.Errorf("node %q has not its two keys", id))
		}
		n, err := decodeNode(id, kvs[0].Value, kvs[1].Value)
		if err != nil {
			return nil, corrupt(kvs[0].Key, err)
		}
		nodes = append(nodes, n.Node)
	}
	return nodes, nil
}

// readRange reads up to limit rows in one request. It is a snapshot read: listings
// write nothing.
func readRange(tr fdb.Transaction, keys fdb.KeyRange, limit int) ([]fdb.KeyValue, error) {
	return tr.Snapshot().GetRange(keys, fdb.RangeOptions{Limit: limit, Mode: fdb.StreamingModeExact}).GetSliceWithError()
}

func keyAfter(k fdb.Key) fdb.Key { return append(k[:len(k):len(k)], 0) }
