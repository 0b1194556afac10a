//go:build fdb

package fdbimpl

import (
	"context"
	"errors"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// RenewBatch implements [registry.BatchRenewer]: one transaction per 100 leases. A
// lease whose actor is already in a transaction goes into the next one.
func (r *Registry) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	results := make([]registry.Renewal, len(leases))
	var batch []int // positions in leases
	actors := make(map[registry.ActorID]bool, batchSize)
	flush := func() {
		r.renewAll(ctx, leases, batch, results)
		batch = batch[:0]
		clear(actors)
	}
	for i, l := range leases {
		if err := r.ready(ctx, l.Validate()); err != nil {
			results[i].Err = err
			continue
		}
		if len(batch) == batchSize || actors[l.Actor] {
			flush()
		}
		batch = append(batch, i)
		actors[l.Actor] = true
	}
	if len(batch) > 0 {
		flush()
	}
	return results
}

// renewAll renews the leases at the given positions, of different actors, in one
// transaction. When that fails because of one of them, it is split, so that an actor
// that never comes to rest does not cost the others their leases.
func (r *Registry) renewAll(ctx context.Context, leases []registry.Lease, batch []int, results []registry.Renewal) {
	renewals, err := transact(ctx, r, "RenewBatch", func(a *attempt) ([]registry.Renewal, error) {
		return a.renewBatch(leases, batch)
	})
	if len(batch) > 1 && isOneActors(err) {
		half := len(batch) / 2
		r.renewAll(ctx, leases, batch[:half], results)
		r.renewAll(ctx, leases, batch[half:], results)
		return
	}
	for n, i := range batch {
		if err != nil {
			results[i].Err = err
		} else {
			results[i] = renewals[n]
		}
	}
}

// isOneActors reports whether a batch may have failed because of one actor: a corrupt
// record, or conflicts until the attempts ran out. Nothing happened in either case.
func isOneActors(err error) bool {
	var record *CorruptError
	return errors.As(err, &record) || errorCode(err) == codeNotCommitted
}

// renewBatch decides each renewal as [Registry.Renew] does: every record is in the
// read set. The actors differ, so no decision depends on a write of the same
// transaction. One reading of the clock serves the attempt.
func (a *attempt) renewBatch(leases []registry.Lease, batch []int) ([]registry.Renewal, error) {
	reads := make([]recordRead, len(batch))
	for n, i := range batch {
		reads[n] = a.r.keys.readRecord(a.tr, a.tr, leases[i].Actor)
	}
	records := make([]registry.Placement, len(batch))
	for n := range batch {
		var err error
		if records[n], err = reads[n].await(); err != nil {
			return nil, err
		}
	}
	now := a.r.clock.Now()
	renewals := make([]registry.Renewal, len(batch))
	for n, i := range batch {
		next, changed, err := rules.Renew(a.r.cfg, records[n], leases[i], now)
		renewals[n].Lease, renewals[n].Err = a.answer(records[n], next, changed, err)
	}
	return renewals, nil
}
