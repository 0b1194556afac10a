//go:build fdb

package fdbimpl

import (
	"context"
	"fmt"
	"iter"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/audit"
	"github.com/kelpie-registry/registry/internal/rules"
)

// importSize is how many records or registrations Import writes in one transaction:
// three keys each, under a megabyte with the longest names.
const importSize = 300

// Import enters registrations and records of another registry where there is none:
// the space of keys under the prefix must be empty ([registry.ErrInvalid]), and
// nobody may use it meanwhile. The configuration, which makes it a registry, is
// written last, and with it the floor of the other registry ([Inspector.Floor]), which
// is asked for when the rest was read. Its transactions write fixed values, so that what is unknown is
// written again; an import that failed is cleared away and begun anew.
func (i *Inspector) Import(ctx context.Context, cfg registry.Config, nodes iter.Seq2[registry.Node, error], records iter.Seq2[registry.Placement, error], floor func() registry.Floor) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	begin, end := i.r.keys.root.FDBRangeKeys()
	kvs, err := transact(ctx, i.r, "Import", func(a *attempt) ([]fdb.KeyValue, error) {
		return readRange(a.tr, fdb.KeyRange{Begin: begin, End: end}, 1)
	})
	if err != nil {
		return err
	}
	if len(kvs) > 0 {
		return &registry.InvalidError{Field: "prefix", Problem: "holds something already: " + fdb.Printable(kvs[0].Key)}
	}
	epochs := map[registry.NodeID]registry.Node{}
	err = inBatches(ctx, i, nodes, func(tr fdb.Transaction, n registry.Node) error {
		if found := audit.Node(n); len(found) > 0 {
			return &registry.InvalidError{Field: "node", Problem: found[0].String()}
		}
		epochs[n.Ref.ID] = n
		s := standing{stamp: stamp{rev: 1}, epoch: n.Ref.Epoch, status: n.Status, info: n.Info}
		tr.Set(i.r.keys.standing(n.Ref.ID), s.encode())
		tr.Set(i.r.keys.seen(n.Ref.ID), seen{stamp: stamp{rev: 1}, at: n.LastSeen}.encode())
		return nil
	})
	if err != nil {
		return err
	}
	err = inBatches(ctx, i, records, func(tr fdb.Transaction, p registry.Placement) error {
		if found := append(audit.Record(p), audit.Holder(p, epochs[p.Holder.ID])...); len(found) > 0 {
			return &registry.InvalidError{Field: "record", Problem: found[0].String()}
		}
		tr.Set(i.r.keys.tenure(p.Actor), tenureOf(p).encode())
		tr.Set(i.r.keys.term(p.Actor), term{version: p.Version, expiry: p.Expiry}.encode())
		if p.Held() {
			row := held{token: p.Token, claimID: p.ClaimID, version: p.Version, expiry: p.Expiry}
			tr.Set(i.r.keys.heldRow(p.Holder, p.Actor), row.encode())
		}
		return nil
	})
	if err != nil {
		return err
	}
	return i.write(ctx, func(tr fdb.Transaction) error {
		cluster := encodeCluster(cfg)
		if f := floor(); f != (registry.Floor{}) {
			cluster, _ = withFloors(cluster)
			for part := range floorShards {
				tr.Set(i.r.keys.floor(byte(part)), floorValue{stamp: stamp{rev: 1}, Floor: f}.encode())
			}
		}
		tr.Set(i.r.keys.cluster, cluster)
		return nil
	})
}

// inBatches writes the items, importSize in each transaction.
func inBatches[T any](ctx context.Context, i *Inspector, items iter.Seq2[T, error], set func(fdb.Transaction, T) error) error {
	var batch []T
	flush := func() error {
		err := i.write(ctx, func(tr fdb.Transaction) error {
			for _, item := range batch {
				if err := set(tr, item); err != nil {
					return err
				}
			}
			return nil
		})
		batch = batch[:0]
		return err
	}
	for item, err := range items {
		if err != nil {
			return err
		}
		if batch = append(batch, item); len(batch) == importSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// write commits what set sets, again when that is unknown.
func (i *Inspector) write(ctx context.Context, set func(fdb.Transaction) error) error {
	_, err := i.r.db.Transact(func(tr fdb.Transaction) (any, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return nil, set(tr)
	})
	if errorCode(err) != 0 {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	return err
}

// ForceReleaseBreakingGrace takes an actor away from its holder, whatever the clock
// says: it breaks SingleActivation and GraceRespected unless the operator knows that
// the holder runs it no more, which nothing here can check. The tenure must be the
// one of the token given. The record stays; nobody holds it, and its token is one
// higher, so that every guarded write, renewal, release and transfer of the old
// tenure is refused with ErrFenced: NoStaleWrite, TokenMonotonic and VersionBump
// hold. The same record is in the read set, so whatever the holder does meanwhile
// makes this one decide anew.
//
// Errors: those of Release.
func (i *Inspector) ForceReleaseBreakingGrace(ctx context.Context, actor registry.ActorID, token registry.Token) (registry.Placement, error) {
	if err := actor.Validate(); err != nil {
		return registry.Placement{}, err
	}
	return transact(ctx, i.r, "ForceRelease", func(a *attempt) (registry.Placement, error) {
		rec, err := i.r.keys.readRecord(a.tr, a.tr, actor).await()
		if err == nil {
			err = rules.Validate(rec, token)
		}
		if err != nil {
			return registry.Placement{}, err
		}
		next := rec
		next.Holder, next.ClaimID = registry.NodeRef{}, registry.ClaimID{}
		next.Token++
		next.Version++
		a.writeRecord(rec, next)
		return next, nil
	})
}
