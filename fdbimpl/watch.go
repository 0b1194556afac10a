//go:build fdb

package fdbimpl

import (
	"context"
	"errors"
	"fmt"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry"
)

// Watch implements [registry.Watcher] with a watch of the actor's term, which
// every mutation writes with a new version.
//
// The record is read and the watch is set in one transaction, so a change after the
// read version fires the watch, and one before it is in the record. FoundationDB
// fires a watch when the value differs from the one read; versions never return,
// so none of the changes can hide.
func (r *Registry) Watch(ctx context.Context, actor registry.ActorID, version registry.Version) (registry.Placement, error) {
	if err := r.ready(ctx, actor.Validate()); err != nil {
		return registry.Placement{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.closing, func() { cancel(errWatchClosed) })()
	for failed := 0; ; {
		p, change, err := r.watchRecord(ctx, actor, version)
		if err == nil && change == nil {
			return p, nil
		}
		if err == nil {
			err = awaitChange(ctx, change)
		}
		switch {
		case ctx.Err() != nil:
			return registry.Placement{}, endOfWatch(ctx)
		case err == nil:
			failed = 0 // the watch fired, and the value may be the same again
			continue
		}
		if failed++; failed == r.opts.Attempts || !isRetry(err) {
			return registry.Placement{}, err
		}
		if r.pause(ctx, failed) != nil {
			return registry.Placement{}, endOfWatch(ctx)
		}
	}
}

// errWatchClosed is the cause of a watch's end by Close. The caller's context may have
// any other, ErrClosed among them.
var errWatchClosed = errors.New("the handle is closed")

func endOfWatch(ctx context.Context) error {
	if context.Cause(ctx) == errWatchClosed {
		return registry.ErrClosed
	}
	return ctx.Err()
}

// watchRecord returns the record when its version is not the one given, and
// otherwise a future that is ready after the next change.
func (r *Registry) watchRecord(ctx context.Context, actor registry.ActorID, version registry.Version) (registry.Placement, fdb.FutureNil, error) {
	type found struct {
		registry.Placement
		change fdb.FutureNil
	}
	f, err := transact(ctx, r, "Watch", func(a *attempt) (found, error) {
		rec, err := r.keys.readRecord(a.tr.Snapshot(), a.tr.Snapshot(), actor).await()
		if err != nil || rec.Version != version {
			return found{Placement: rec}, err
		}
		w := a.tr.Watch(r.keys.term(actor))
		// A commit without writes sends nothing; it makes the watch outlive the
		// transaction. When it fails, the watch has ended with the transaction.
		return found{change: w}, a.tr.Commit().Get()
	})
	return f.Placement, f.change, err
}

// awaitChange waits for the watch. Its errors are retried by setting another one,
// except too many watches and the like.
func awaitChange(ctx context.Context, change fdb.FutureNil) error {
	defer context.AfterFunc(ctx, change.Cancel)()
	err := change.Get()
	switch {
	case err == nil:
		return nil
	case readFate(errorCode(err)) == again:
		return retry{fmt.Errorf("%w: %w", registry.ErrUnavailable, err)}
	default:
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
}

func isRetry(err error) bool {
	var r retry
	return errors.As(err, &r)
}
