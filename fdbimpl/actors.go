//go:build fdb

package fdbimpl

import (
	"context"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// Claim implements [registry.Registry].
//
// SingleActivation: the record (both keys) and the node's standing are in the read
// set of the transaction that grants. Whatever makes the decision wrong writes one
// of them: a renewal, claim, release or transfer the term; a failure, departure
// or new registration of the node the standing. If it commits first, this one
// conflicts and decides anew with a new reading of the clock; if it commits
// second, it conflicts with this one.
//
// A retry after an unknown outcome does not rest on the claim id alone: the id
// tells that a tenure is this claim's only while it lasts, and a claim granted,
// lost and released would be granted twice. The mark tells it of the attempt.
func (r *Registry) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	if err := r.ready(ctx, rules.CheckClaim(actor, node, id)); err != nil {
		return registry.Lease{}, err
	}
	return transact(ctx, r, "Claim", func(a *attempt) (registry.Lease, error) {
		record, standing := r.keys.readRecord(a.tr, a.tr, actor), r.keys.readStanding(a.tr, node.ID)
		floor := r.keys.readFloor(a.tr, actor)
		rec, n, err := awaitBoth(record, standing)
		if err != nil {
			return registry.Lease{}, err
		}
		if rec, err = floor.under(a, rec, actor); err != nil {
			return registry.Lease{}, err
		}
		next, changed, err := rules.Claim(r.cfg, rec, n.Node, actor, node, id, r.clock.Now())
		return a.answer(rec, next, changed, err)
	})
}

// Renew implements [registry.Registry].
//
// GraceRespected: the term is in the read set, so a claim that found the record
// reclaimable and this renewal cannot both commit: they read the same version and
// both write the next.
func (r *Registry) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	if err := r.ready(ctx, lease.Validate()); err != nil {
		return registry.Lease{}, err
	}
	return transact(ctx, r, "Renew", func(a *attempt) (registry.Lease, error) {
		rec, err := r.keys.readRecord(a.tr, a.tr, lease.Actor).await()
		if err != nil {
			return registry.Lease{}, err
		}
		next, changed, err := rules.Renew(r.cfg, rec, lease, r.clock.Now())
		return a.answer(rec, next, changed, err)
	})
}

// Release implements [registry.Registry].
//
// TokenMonotonic: the record stays, with its token, and only loses its holder; no
// key of a record is ever cleared but by Purge, above a floor.
func (r *Registry) Release(ctx context.Context, lease registry.Lease) error {
	if err := r.ready(ctx, lease.Validate()); err != nil {
		return err
	}
	_, err := transact(ctx, r, "Release", func(a *attempt) (registry.Lease, error) {
		rec, err := r.keys.readRecord(a.tr, a.tr, lease.Actor).await()
		if err != nil {
			return registry.Lease{}, err
		}
		next, changed, err := rules.Release(rec, lease)
		return a.answer(rec, next, changed, err)
	})
	return err
}

// Transfer implements [registry.Registry].
//
// SingleActivation: the old tenure ends and the new one begins in one write of the
// tenure key, with the record and the receiver's standing in the read set, as in
// [Registry.Claim].
func (r *Registry) Transfer(ctx context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if err := r.ready(ctx, rules.CheckTransfer(lease, to)); err != nil {
		return registry.Lease{}, err
	}
	return transact(ctx, r, "Transfer", func(a *attempt) (registry.Lease, error) {
		rec, n, err := awaitBoth(r.keys.readRecord(a.tr, a.tr, lease.Actor), r.keys.readStanding(a.tr, to.ID))
		if err != nil {
			return registry.Lease{}, err
		}
		next, changed, err := rules.Transfer(r.cfg, rec, n.Node, lease, to, r.clock.Now())
		return a.answer(rec, next, changed, err)
	})
}

// answer writes what a decision about an actor changed, and completes a refusal.
func (a *attempt) answer(rec, next registry.Placement, changed bool, err error) (registry.Lease, error) {
	if err != nil {
		return registry.Lease{}, a.seenToo(err)
	}
	if changed {
		a.writeRecord(rec, next)
	}
	return next.Lease(), nil
}

// awaitBoth awaits two reads that were both issued before it was called.
func awaitBoth(rr recordRead, nr standingRead) (rec registry.Placement, n node, err error) {
	if rec, err = rr.await(); err == nil {
		n, err = nr.await()
	}
	return rec, n, err
}

// Lookup implements [registry.Registry]. It reads the store at a read version that
// is no older than its call.
func (r *Registry) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	if err := r.ready(ctx, actor.Validate()); err != nil {
		return registry.Placement{}, false, err
	}
	p, err := r.lookup(ctx, "Lookup", actor)
	return p, p.Version > 0, err
}

// Validate implements [registry.Registry]. A writer that wants its write to fail
// with the tenure uses [Registry.Guard]: an answer of Validate is over when it arrives.
func (r *Registry) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	if err := r.ready(ctx, rules.CheckValidate(actor, token)); err != nil {
		return err
	}
	p, err := r.lookup(ctx, "Validate", actor)
	if err != nil {
		return err
	}
	return rules.Validate(p, token)
}

func (r *Registry) lookup(ctx context.Context, op string, actor registry.ActorID) (registry.Placement, error) {
	return transact(ctx, r, op, func(a *attempt) (registry.Placement, error) {
		return r.keys.readRecord(a.tr.Snapshot(), a.tr.Snapshot(), actor).await()
	})
}

// Guard makes the caller's own transaction depend on the tenure: when Guard returns
// nil, what tr writes is committed only if the lease's tenure is still the current
// one at that instant. The clock has no part in it.
//
// NoStaleWrite: the tenure key is in the read set of tr. Every grant, release and
// transfer writes it, and when one commits between the read version of tr and its
// commit, tr conflicts. Renewals do not write it, so they do not disturb tr.
//
// Call Guard in every attempt of the transaction, before or after the caller's own
// reads and writes. It makes one read round trip, which runs together with reads
// that the caller issued before. It does not protect snapshot reads, nor what tr does
// when it writes nothing: a transaction that only reads is true at its read version.
//
// Errors: ErrInvalid; ErrClosed; a Refusal with ErrFenced (a higher token was
// granted) or ErrNotHeld (released, or never granted to this holder); otherwise the
// binding's fdb.Error, as it is, so that fdb.Database.Transact retries.
func (r *Registry) Guard(tr fdb.Transaction, lease registry.Lease) error {
	if err := r.ready(context.Background(), lease.Validate()); err != nil {
		return err
	}
	rec, err := r.keys.readRecord(tr, tr.Snapshot(), lease.Actor).await()
	if err != nil {
		return err
	}
	if err := rules.Validate(rec, lease.Token); err != nil {
		return err
	}
	if rec.Holder != lease.Holder { // one token is one tenure: nobody granted this lease
		return &registry.Refusal{Reason: registry.ErrNotHeld, Placement: rec}
	}
	return nil
}
