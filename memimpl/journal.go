package memimpl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
)

// disk keeps changes on stable storage.
type disk interface {
	// commit puts all changes on stable storage, in one atomic step and in
	// order, before it returns nil. An error that matches errUncertain says that
	// they may or may not be there when the file is next opened, any other error
	// that they are not and never will be.
	commit(changes []change) error
	close() error
}

// errUncertain marks a commit whose outcome only the next opening will tell.
var errUncertain = logfile.ErrUncertain

// change is one write of a step: how it goes to the file and how it is undone.
type change interface {
	encode(b []byte) []byte // appended to b
	undo(s *Store)
}

// journal makes the changes of a durable store durable, many with one sync.
//
// A step changes the memory and stages its change in one critical section, so
// changes of one record are staged in the order in which they were made, and a
// change that rests on another (a claim on a registration) is staged after it.
// Batches are committed one after another. What is on the file is therefore at any
// time a prefix of the changes, and a prefix is a state the registry was in.
//
// Memory runs ahead of the file, but no answer does: what a step saw and what it
// wrote refers to its batch, and the answer waits until that batch is on the file. This holds for refusals, lookups and no-ops as for writes. If the
// process dies in between, what it had not written had been seen by nobody, so the
// prefix that is left is what everybody who was answered knows.
//
// If a commit fails with nothing written, every change since is undone, in
// reverse: memory is back at the state of the file, whoever waits gets
// ErrUnavailable, and the store goes on. If its outcome is unknown, memory cannot
// be brought in line with the file by anything but reading it again: the journal
// takes no more changes, and what is not known to be on the file is not shown,
// until the store is opened anew.
type journal struct {
	store *Store
	disk  disk
	work  chan struct{} // there is something to commit, or stopped
	ended chan struct{} // the committer is gone

	undone atomic.Uint64         // how often changes were undone
	lost   atomic.Pointer[error] // why nothing is answered any more, if so

	mu      sync.Mutex // a leaf of the lock order
	flying  *batch     // being committed, or failed for good
	open    *batch     // collects changes
	refusal error      // why no change is taken, if so
	stopped bool
}

// batch is the changes that share a commit.
type batch struct {
	changes []change      // nil when they are on the file: they refer to earlier batches
	done    chan struct{} // closed when err is final
	err     error         // as a writer is told; nil: on the file
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func newJournal(s *Store, d disk) *journal {
	j := &journal{store: s, disk: d, work: make(chan struct{}, 1), ended: make(chan struct{}), open: newBatch()}
	go j.run()
	return j
}

// stage adds a change to the open batch. The caller holds the lock under which it
// makes the change in memory, and makes it before it lets go.
func (j *journal) stage(c change) (*batch, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refusal != nil {
		return nil, j.refusal
	}
	j.open.changes = append(j.open.changes, c)
	j.wakeCommitter()
	return j.open, nil
}

func (j *journal) wakeCommitter() {
	select {
	case j.work <- struct{}{}:
	default:
	}
}

// run commits batch after batch.
func (j *journal) run() {
	defer close(j.ended)
	for range j.work {
		b, stopped := j.take()
		if b != nil {
			if err := j.disk.commit(b.changes); err != nil {
				j.fail(b, err)
			} else {
				j.land(b)
			}
		}
		if stopped {
			return
		}
	}
}

// take makes the open batch the flying one; nil when there is nothing in it.
func (j *journal) take() (b *batch, stopped bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.open.changes) == 0 || j.flying != nil {
		return nil, j.stopped
	}
	j.flying, j.open = j.open, newBatch()
	return j.flying, j.stopped
}

// land announces that a batch is on the file.
func (j *journal) land(b *batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.flying = nil
	b.changes = nil
	close(b.done)
}

// fail ends a batch that could not be committed, and the open one, whose changes
// rest on it and were never tried.
func (j *journal) fail(b *batch, err error) {
	j.mu.Lock()
	unavailable := fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	j.refusal = unavailable
	rest := j.open // takes nothing more from here on
	j.mu.Unlock()
	if errors.Is(err, ErrChanged) {
		j.lost.Store(&unavailable)
	}

	rest.err = unavailable
	if errors.Is(err, errUncertain) {
		// Both batches stay where a listing finds them.
		b.err = &registry.AmbiguousError{Cause: err}
		close(b.done)
		close(rest.done)
		return
	}
	b.err = unavailable
	for _, c := range slices.Backward(slices.Concat(b.changes, rest.changes)) {
		c.undo(j.store)
	}
	// Only now may changes be taken again: until here a step may have rested on
	// something that is now undone.
	j.mu.Lock()
	j.refusal = nil
	if j.stopped {
		j.refusal = registry.ErrClosed
	}
	j.undone.Add(1)
	j.flying, j.open = nil, newBatch()
	j.mu.Unlock()
	close(b.done)
	close(rest.done)
}

// close commits what is staged, takes no more, and closes the file.
func (j *journal) close() error {
	j.mu.Lock()
	j.refusal, j.stopped = registry.ErrClosed, true
	j.wakeCommitter()
	j.mu.Unlock()
	<-j.ended
	return j.disk.close()
}

// basis is what an answer rests on and must not be given before: the batches of
// what its step read, or of what it wrote.
type basis struct {
	batches [2]*batch
	wrote   bool
}

// wrote is the basis of a step that wrote, into b if the store is durable.
func wrote(b *batch) basis { return basis{batches: [2]*batch{b}, wrote: b != nil} }

// await returns once the basis is on the file, or an error to answer instead.
// A write whose caller stops waiting may still be committed; what only looked has
// nothing to be uncertain about.
func (r basis) await(ctx context.Context) error {
	for _, b := range r.batches {
		if b == nil {
			continue
		}
		if err := b.await(ctx); err != nil {
			if r.wrote {
				return &registry.AmbiguousError{MayStillApply: true, Cause: err}
			}
			return err
		}
		if b.err != nil {
			if r.wrote {
				return b.err
			}
			return fmt.Errorf("%w: what was read could not be made durable: %v", registry.ErrUnavailable, b.err)
		}
	}
	return nil
}

// await returns nil once the batch's err is final, or the context's error.
func (b *batch) await(ctx context.Context) error {
	select {
	case <-b.done: // first, when both are done
		return nil
	default:
	}
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer gives the answer of a step once what it rests on is on the file: the
// value, or an error alone.
func answer[T any](ctx context.Context, r basis, value T, err error) (T, error) {
	if awaited := r.await(ctx); awaited != nil {
		err = awaited
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return value, nil
}

// usable returns an error once the file is known to be the store's no more: another
// store may have opened what has its name, and decide otherwise. Even what this one
// knows to be on its own file must not be told then: a token that it calls current
// may be fenced there.
func (j *journal) usable() error {
	if j == nil {
		return nil
	}
	if err := j.lost.Load(); err != nil {
		return *err
	}
	return nil
}

// rollbacks counts how often changes were undone.
func (j *journal) rollbacks() uint64 {
	if j == nil {
		return 0
	}
	return j.undone.Load()
}

// everything is the basis of a listing, taken after its rows: all changes of which
// it may show the presence, or by a missing row the absence. It fails when changes
// were undone since the listing began, of which it may show some.
func (j *journal) everything(rollbacks uint64) (basis, error) {
	if j == nil {
		return basis{}, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.undone.Load() != rollbacks {
		return basis{}, fmt.Errorf("%w: what was read could not be made durable", registry.ErrUnavailable)
	}
	r := basis{batches: [2]*batch{j.flying, j.open}}
	if len(j.open.changes) == 0 {
		r.batches[1] = nil
	}
	return r, nil
}
