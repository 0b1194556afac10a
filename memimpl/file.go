package memimpl

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
)

// Why a file cannot be opened. None of them changes the file.
var (
	ErrInUse   = logfile.ErrInUse
	ErrForeign = logfile.ErrForeign
	ErrFormat  = logfile.ErrFormat
	ErrDamaged = logfile.ErrDamaged
)

// ErrChanged says that the file was removed, replaced, truncated, overwritten or
// unlocked by somebody else while the store had it open. The store then takes no
// more changes and shows nothing more: another store may have opened what is there.
var ErrChanged = logfile.ErrChanged

// logDisk is a disk on a log file. The committer calls its methods.
//
// The log grows by every commit and is compacted when it has grown enough: a
// goroutine writes the state as it is in memory into a fresh file, beside the
// commits, and a later commit puts that in the log's place.
type logDisk struct {
	path      string
	log       *logfile.Log
	snapshot  func(emit func(batch []byte) error) error // what the log should hold, once it holds what memory does
	buf       []byte
	compactAt int64 // the size at which to begin
	step      int64 // what it may grow by at least

	rewrite *logfile.Rewrite // under way
	filled  chan error       // of the goroutine that fills it
}

// compactStep is what a log may grow by, however small the state: it bounds the
// work of compaction for small files, as the state's own size does for large ones.
const compactStep = 16 << 20

// openDisk opens the registry file, made when there is none, and enters everything
// that is on it into s.
func openDisk(on platform, o options, s *Store) (*logDisk, error) {
	l := &loader{store: s}
	log, err := logfile.Open(on.fs, o.path, o.lockTimeout, logfile.State{
		Header: encodeHeader(s.cfg),
		Check:  l.header,
		Apply:  l.batch,
		Snapshot: func(emit func([]byte) error) error {
			if err := l.finish(); err != nil {
				return err
			}
			return l.store.write(emit)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("registry file %s: %w", o.path, err)
	}
	d := &logDisk{path: o.path, log: log, snapshot: s.snapshot, step: on.step, filled: make(chan error, 1)}
	d.compacted()
	return d, nil
}

// commit implements disk.
func (d *logDisk) commit(changes []change) error {
	d.endCompaction()
	b := d.buf[:0]
	for _, c := range changes {
		b = c.encode(b)
	}
	if d.buf = b; cap(b) > maxBatchKept {
		d.buf = nil
	}
	if err := d.log.Append(b); err != nil {
		return fmt.Errorf("registry file %s: %w", d.path, err)
	}
	if d.rewrite == nil && d.log.Size() >= d.compactAt {
		d.beginCompaction()
	}
	return nil
}

// maxBatchKept bounds the buffer that is kept from one commit to the next.
const maxBatchKept = 1 << 20

// compacted sets when to compact next: when the log is twice what it is now.
func (d *logDisk) compacted() { d.compactAt = d.log.Size() + max(d.log.Size(), d.step) }

// beginCompaction begins a fresh file. What memory shows from here on was committed
// before, or will be appended to the log from here on and so reaches the fresh file
// too. The fresh file may get a value first and the batch that it is of later: it is
// the same state in the end.
func (d *logDisk) beginCompaction() {
	r, err := d.log.Rewrite()
	if err != nil {
		d.postpone()
		return
	}
	d.rewrite = r
	go func() {
		err := d.snapshot(r.Append)
		if err == nil {
			err = r.CatchUp()
		}
		d.filled <- err
	}()
}

// endCompaction puts a fresh file that is complete in the log's place. What goes
// wrong is wrong with the fresh file alone, or keeps the log from taking anything more.
func (d *logDisk) endCompaction() {
	if d.rewrite == nil {
		return
	}
	select {
	case err := <-d.filled:
		d.adopt(err)
	default:
	}
}

func (d *logDisk) adopt(err error) {
	if err == nil {
		err = d.log.Replace(d.rewrite)
	}
	if err != nil {
		_ = d.log.Discard(d.rewrite) // the next one uses up what it leaves
		d.postpone()
	} else {
		d.compacted()
	}
	d.rewrite = nil
}

// postpone tries again when the log has grown by another step.
func (d *logDisk) postpone() { d.compactAt = d.log.Size() + d.step }

// close implements disk.
func (d *logDisk) close() error {
	if d.rewrite != nil {
		d.rewrite.Stop()
		d.adopt(errors.Join(<-d.filled, logfile.ErrStopped))
	}
	return d.log.Close()
}

// loader enters what is on a file into a store.
type loader struct {
	store *Store
	floor registry.Floor
	decoder
}

func (l *loader) header(b []byte) error {
	version, cfg, err := decodeHeader(b)
	l.version = version
	if err != nil {
		return err
	}
	return l.store.cfg.Match(cfg)
}

func (l *loader) batch(b []byte) error {
	return l.decoder.batch(b, visitor{l.record, l.node, l.forget})
}

// forget takes out the record, and raises the floor of the whole store: which actors
// share a shard is decided anew by each process.
func (l *loader) forget(f registry.Floor, forgotten registry.ActorID) {
	l.floor = l.floor.Over(f.Token, f.Version)
	sh, sum := l.store.shard(forgotten)
	if r := sh.find(forgotten, sum); r != &none {
		sh.records.remove(r)
	}
}

func (l *loader) node(n registry.Node) {
	l.store.nodes.write(l.store.nodes.enter(n.Ref.ID), &memberValue{node: n})
}

// record enters a record, of which the index comes later.
func (l *loader) record(p registry.Placement) {
	sh, sum := l.store.shard(p.Actor)
	r := sh.find(p.Actor, sum)
	if r == &none {
		r = &record{actor: p.Actor, hash: sum}
		sh.records.enter(r)
	}
	r.value.Store(&recordValue{placement: p})
}

// finish compares the records with the registrations, once all are known. The index of
// the holders is made by the first listing.
func (l *loader) finish() error {
	for i := range l.store.shards {
		sh := &l.store.shards[i]
		if l.floor != (registry.Floor{}) {
			sh.floor.Store(&floor{Floor: l.floor})
		}
		for r := range sh.records.all {
			holder := r.now().placement.Holder
			if holder.Epoch > l.store.nodes.find(holder.ID).now().node.Ref.Epoch {
				return fmt.Errorf("%w: %v is held by %v, which was never registered", ErrDamaged, r.actor, holder)
			}
			if !holder.IsZero() {
				r.unfiled = true
				sh.unfiled = append(sh.unfiled, r)
			}
		}
	}
	return nil
}

// snapshotBatch is about how much a batch of a snapshot holds.
const snapshotBatch = 256 << 10

// snapshot gives all that is in memory, once it is on the file too: what could be
// undone is in no snapshot. Like a listing, it reads every row at an instant of its own.
func (s *Store) snapshot(emit func(batch []byte) error) error {
	rollbacks := s.journal.rollbacks()
	if err := s.write(emit); err != nil {
		return err
	}
	shown, err := s.journal.everything(rollbacks)
	if err != nil {
		return err
	}
	return shown.await(context.Background()) // every batch comes to an end
}

// write gives all that is in memory.
//
// No change that was committed before it began is missed: its step holds the lock of
// the shard or member from before it stages the change until memory shows it, and
// write takes the locks of all of them. (The lists by status would not do: a member
// is entered there last.)
func (s *Store) write(emit func(batch []byte) error) error {
	w := batchWriter{emit: emit}
	for _, m := range s.nodes.all() {
		w.node(m)
	}
	for i := range s.shards {
		w.shard(&s.shards[i])
	}
	if w.floor != (registry.Floor{}) {
		w.add(appendFloor(w.b, w.floor, registry.ActorID{}))
	}
	return w.flush()
}

// batchWriter collects values into batches.
type batchWriter struct {
	emit  func(batch []byte) error
	b     []byte
	err   error
	floor registry.Floor // over the shards so far
}

func (w *batchWriter) node(m *member) {
	m.mu.Lock()
	n := m.now().node
	m.mu.Unlock()
	if !n.Ref.IsZero() {
		w.add(appendNode(w.b, n))
	}
}

// shard adds the records of a shard. No disk is waited for under the lock.
func (w *batchWriter) shard(sh *shard) {
	sh.mu.Lock()
	values := make([]*recordValue, 0, sh.records.live)
	for r := range sh.records.all {
		values = append(values, r.now())
	}
	f := sh.ground().Floor // with the records: one that is missing is covered
	sh.mu.Unlock()
	w.floor = w.floor.Over(f.Token, f.Version)
	for _, v := range values {
		w.add(appendRecord(w.b, v.placement))
	}
}

// add makes b, which is w.b with a value behind it, the batch.
func (w *batchWriter) add(b []byte) {
	if w.b = b; len(w.b) >= snapshotBatch {
		_ = w.flush()
	}
}

func (w *batchWriter) flush() error {
	if len(w.b) > 0 && w.err == nil {
		w.err = w.emit(w.b)
	}
	w.b = w.b[:0]
	return w.err
}
