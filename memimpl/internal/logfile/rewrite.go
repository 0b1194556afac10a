package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

// FreshSuffix is what the name of a log's fresh file ends with while it is being
// written. A crash may leave one, which the next rewriting uses up.
const FreshSuffix = ".rewrite"

// Rewrite is the fresh file that will replace a log's. It is filled with the state
// beside the log, which goes on: what is appended to the log meanwhile comes after.
type Rewrite struct {
	fs   FS
	name string
	file File
	end  position
	buf  []byte

	mu      sync.Mutex
	late    [][]byte // batches appended to the log, and not here yet
	stopped bool
}

// ErrStopped is what a stopped Rewrite returns.
var ErrStopped = errors.New("rewriting was stopped")

// Rewrite begins a fresh file. Only one may be under way: it ends with Replace or Discard.
func (l *Log) Rewrite() (*Rewrite, error) {
	r, err := l.begin(waiting{until: time.Now()})
	if err == nil {
		l.rewrite = r
	}
	return r, err
}

// begin makes the fresh file. Its lock is the lock on the log's name while that
// names nothing, and on the new log from the moment that it has the name.
func (l *Log) begin(w waiting) (*Rewrite, error) {
	r := &Rewrite{fs: l.fs, name: l.target + FreshSuffix}
	file, err := w.acquire(l.fs, r.name, func(name string) (File, error) { return l.fs.Create(name, l.file) })
	if err != nil {
		return nil, err
	}
	r.file = file
	var head []byte
	head, r.end = encodeHeader(l.header)
	if err = retry(func() error { return file.Truncate(0) }); err == nil { // an earlier one's
		err = writeFull(file, append(head, make([]byte, batchesAt-len(head))...), 0)
	}
	if err != nil {
		return nil, errors.Join(err, l.Discard(r))
	}
	return r, nil
}

// add takes a batch that was appended to the log.
func (r *Rewrite) add(batch []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = append(r.late, bytes.Clone(batch))
}

// takeLate returns what was added since the last time, and its size.
func (r *Rewrite) takeLate() (late [][]byte, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	late, r.late = r.late, nil
	for _, b := range late {
		size += len(b)
	}
	return late, size
}

// Append writes a batch to the fresh file. It is on the disk after Replace.
func (r *Rewrite) Append(batch []byte) error {
	r.mu.Lock()
	stopped := r.stopped
	r.mu.Unlock()
	if stopped {
		return ErrStopped
	}
	frame, end := r.end.appendBatch(r.buf[:0], batch)
	if r.buf = frame; cap(frame) > maxKept {
		r.buf = nil
	}
	if err := writeFull(r.file, frame, r.end.offset); err != nil {
		return err
	}
	r.end = end
	return nil
}

// Stop makes Append and CatchUp return ErrStopped soon. It may be called at any time.
func (r *Rewrite) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
}

// CatchUp brings the fresh file near to the log and puts it on the disk, so that
// little is left for Replace to do, which holds up the log.
func (r *Rewrite) CatchUp() error {
	const near, rounds = 64 << 10, 8
	for range rounds {
		size, err := r.appendLate()
		if err == nil {
			err = retry(r.file.Sync)
		}
		if err != nil || size < near {
			return err
		}
	}
	return nil
}

func (r *Rewrite) appendLate() (int, error) {
	late, size := r.takeLate()
	for _, b := range late {
		if err := r.Append(b); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// Discard ends a Rewrite that has not replaced the log's file, and removes its own.
func (l *Log) Discard(r *Rewrite) error {
	l.rewrite = nil
	if r.file == nil {
		return nil
	}
	file := r.file
	r.file = nil
	err := sameFile(r.fs, file, r.name)
	if err == nil { // and not what somebody else put there
		err = retry(func() error { return r.fs.Remove(r.name) })
	}
	return errors.Join(err, file.Close())
}

// Replace puts the fresh file, which has the whole state up to some batch, in the
// place of the log's file, once it has the batches since then too and is on the
// disk. No append comes in between, so old and new file hold the same state: it
// does not matter which of them a crash leaves under the name, until the directory
// is synced and only the new one can be found. On an error the Rewrite is still to
// be discarded, and the log goes on with its old file; but when the name may be the
// new one's and is not on the disk, it takes nothing more.
func (l *Log) Replace(r *Rewrite) error {
	if l.broken != nil {
		return l.broken
	}
	if err := r.finish(); err != nil {
		return err
	}
	info, err := statFile(r.file)
	if err != nil {
		return err
	}
	if err := l.replaceable(); err != nil {
		return err
	}
	if err := l.rename(r, info.ID); err != nil {
		return err
	}
	old := l.file
	l.file, l.end, l.known = r.file, r.end, info
	l.rewrite, r.file = nil, nil
	if old != nil {
		_ = old.Close() // nobody finds it any more, and nothing of it was unsynced
	}
	err = retry(func() error { return l.fs.SyncDir(l.target) })
	if err == nil {
		_, err = l.look()
	}
	if err != nil {
		return l.breaks(fmt.Errorf("replace the file: %w", err))
	}
	return nil
}

// finish puts everything on the disk.
func (r *Rewrite) finish() error {
	if _, err := r.appendLate(); err != nil {
		return err
	}
	if err := writeMarks(r.file, r.end); err != nil {
		return err
	}
	return retry(r.file.Sync)
}

// replaceable says whether the name is the log's to give to another file.
func (l *Log) replaceable() error {
	if l.file != nil {
		return l.check()
	}
	switch _, err := statName(l.fs, l.target); {
	case err == nil:
		return errOvertaken
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// rename gives the name to the fresh file. An error of the call does not say that
// it did nothing: the name tells. If that cannot be read either, the next append
// finds out, as when somebody else had replaced the file.
func (l *Log) rename(r *Rewrite, fresh FileID) error {
	if err := sameFile(l.fs, r.file, r.name); err != nil {
		return err
	}
	err := retry(func() error { return l.fs.Rename(r.name, l.target) })
	if err == nil {
		return nil
	}
	if named, look := statName(l.fs, l.target); look == nil && named.ID == fresh {
		return nil
	}
	return err
}
