// Package logfile keeps a state on stable storage as an append-only log of its
// changes: batches of bytes whose meaning is the caller's.
//
// A batch that was appended is on the disk, and is there after any crash and power
// loss, as far as the disk keeps what a sync has acknowledged. [Open] and
// [Log.Replace] write the state anew into a fresh file, which takes the name of the
// log's when it is on the disk: a log is never longer than its callers let it grow,
// and nothing that was read from a file is relied upon before it was written again.
package logfile

import (
	"errors"
	"fmt"
	"io/fs"
)

// Why a file cannot be opened, or an open one not be written. None changes the file.
var (
	ErrInUse   = errors.New("registry file is in use by another process or store")
	ErrForeign = errors.New("file is not a registry file")
	ErrFormat  = errors.New("registry file has an unknown format version")
	ErrDamaged = errors.New("registry file is damaged")
	ErrChanged = errors.New("registry file was changed by somebody else while it was open")
)

// ErrUncertain marks an append whose outcome only the next opening will tell.
var ErrUncertain = errors.New("outcome of the commit is unknown")

// Log is an open log. It is not safe for concurrent use; a [Rewrite] may be filled
// meanwhile.
//
// What is on the disk is decided by syncs that succeeded alone. After one that
// failed the operating system may show in memory what the disk has not, and a next
// sync may succeed without writing it: the log then takes nothing more. Whoever
// opens it next reads what memory or disk have, whichever it is, and writes it anew.
type Log struct {
	fs     FS
	path   string // what others would open
	target string // path without symbolic links: what Replace renames to
	header []byte
	file   File // nil: there is none yet
	known  Info // of file, when it was last written
	end    position
	broken error // why nothing is appended any more
	buf    []byte

	rewrite *Rewrite // is told what is appended
}

// Size is how many bytes the batches take.
func (l *Log) Size() int64 { return l.end.offset - batchesAt }

// Append puts a batch on stable storage before it returns nil. An error that
// matches ErrUncertain says that it may or may not be there when the log is next
// opened, any other error that it is not and never will be.
func (l *Log) Append(batch []byte) error {
	if l.broken != nil {
		return l.broken
	}
	if err := l.check(); err != nil {
		return err
	}
	frame, end := l.end.appendBatch(l.buf[:0], batch)
	if l.buf = frame; cap(frame) > maxKept {
		l.buf = nil
	}
	mark, at := encodeMark(end)
	err := writeFull(l.file, frame, l.end.offset)
	if err == nil {
		err = writeFull(l.file, mark, at)
	}
	if err != nil {
		return l.takeBack(err)
	}
	if err := retry(l.file.Sync); err != nil {
		return l.breaks(fmt.Errorf("%w: sync: %w", ErrUncertain, err))
	}
	// The file was still the one that others open when the batch was on the disk.
	info, err := l.look()
	if err == nil && info.Size != end.offset {
		err = fmt.Errorf("%w: it has %d bytes, not %d", ErrChanged, info.Size, end.offset)
	}
	if err != nil {
		return l.breaks(fmt.Errorf("%w: %w", ErrUncertain, err))
	}
	l.known, l.end = info, end
	if l.rewrite != nil {
		l.rewrite.add(batch)
	}
	return nil
}

// maxKept bounds the buffer that is kept from one batch to the next.
const maxKept = 1 << 20

// breaks makes err what every later Append returns, of which none does anything.
func (l *Log) breaks(err error) error {
	l.broken = fmt.Errorf("nothing is written until the file is closed and opened anew: %v", err)
	if errors.Is(err, ErrChanged) {
		l.broken = fmt.Errorf("%w: %w", l.broken, ErrChanged)
	}
	return err
}

// takeBack removes what a failed write may have left of a batch, so that no later
// opening finds it, and makes that durable: from then on the batch never happened.
// A mark of it may stay, which without the batch means nothing (see check of marks).
func (l *Log) takeBack(cause error) error {
	err := retry(func() error { return l.file.Truncate(l.end.offset) })
	if err == nil {
		err = retry(l.file.Sync)
	}
	if err == nil {
		l.known, err = statFile(l.file)
	}
	if err == nil && l.known.Size != l.end.offset {
		err = fmt.Errorf("it has %d bytes, not %d", l.known.Size, l.end.offset)
	}
	if err != nil {
		return l.breaks(fmt.Errorf("%w: %w, and taking it back: %w", ErrUncertain, cause, err))
	}
	return cause
}

// check says whether the file is as the last append left it.
func (l *Log) check() error {
	info, err := l.look()
	switch {
	case err != nil && !errors.Is(err, ErrChanged):
		return err // nobody knows; the next append asks again
	case err != nil:
	case info.Size != l.known.Size:
		err = fmt.Errorf("%w: it has %d bytes, not %d", ErrChanged, info.Size, l.known.Size)
	case !info.Modified.Equal(l.known.Modified):
		// Touched, or written to by somebody else: its contents tell.
		if err = l.verify(info.Size); err == nil {
			l.known = info
		}
	}
	if err != nil {
		return l.breaks(err)
	}
	return nil
}

// look says whether the file that is open is the one that others would open, and
// is locked against them.
func (l *Log) look() (Info, error) {
	named, err := statName(l.fs, l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, fmt.Errorf("%w: it was removed", ErrChanged)
	} else if err != nil {
		return Info{}, err
	}
	info, err := statFile(l.file)
	if err != nil {
		return Info{}, err
	}
	if named.ID != info.ID {
		return Info{}, fmt.Errorf("%w: another file has its name", ErrChanged)
	}
	if err := retry(l.file.Lock); errors.Is(err, ErrLocked) {
		return Info{}, fmt.Errorf("%w: somebody else has locked it", ErrChanged)
	} else if err != nil {
		return Info{}, err
	}
	return info, nil
}

// verify reads the whole file and compares it with what was written to it.
func (l *Log) verify(size int64) error {
	ignore := func([]byte) error { return nil }
	end, err := scan(l.file, size, visitor{header: ignore, batch: ignore})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrChanged, err)
	case end != l.end:
		return fmt.Errorf("%w: it is another log, or an older state of this one", ErrChanged)
	}
	return nil
}

// Close closes the file. Before that it writes the newest mark into the place of
// the other one too: a file that was closed cannot lose its newest batch unnoticed.
func (l *Log) Close() error {
	return errors.Join(l.seal(), l.file.Close())
}

func (l *Log) seal() error {
	if l.broken != nil {
		return nil
	}
	if err := l.check(); err != nil {
		return err
	}
	if err := writeMarks(l.file, l.end); err != nil {
		return err
	}
	return retry(l.file.Sync)
}

// writeMarks writes the mark of p into both places.
func writeMarks(f File, p position) error {
	mark, _ := encodeMark(p)
	for i := range int64(2) {
		if err := writeFull(f, mark, marksAt+i*blockSize); err != nil {
			return err
		}
	}
	return nil
}
