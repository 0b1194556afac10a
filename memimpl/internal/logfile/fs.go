package logfile

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// FS is what a log asks of the operating system. [OS] is the real one; package
// faultfs has one whose calls fail and whose disk forgets.
type FS interface {
	// Resolve returns a name that is the same from every directory, and where its
	// symbolic links lead. A link that leads nowhere is an error; a name that is not
	// there is none.
	Resolve(name string) (path, target string, err error)
	// Open opens a regular file for reading and writing. Anything else is refused
	// with ErrForeign, without waiting and without effect on it.
	Open(name string) (File, error)
	// Create opens the regular file of that name, which it makes when there is
	// none, with the owner and permissions of like (nil: for the owner alone).
	Create(name string, like File) (File, error)
	Stat(name string) (Info, error)
	// Rename gives a file a name, which another file may have had.
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir puts the names in the directory of name on stable storage.
	SyncDir(name string) error
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	// Sync puts contents and size on stable storage.
	Sync() error
	Stat() (Info, error)
	// Lock locks the file against every other opening of it, of this process
	// too, until Close. It does not wait: a lock of somebody else is errLocked.
	// Locking what is locked by this opening succeeds.
	Lock() error
	Close() error
}

// Info is what the operating system says of a file.
type Info struct {
	ID       FileID
	Size     int64
	Modified time.Time
}

// FileID tells files apart, whatever their names.
type FileID struct{ Device, Inode uint64 }

// ErrLocked is File.Lock's when another opening has the lock.
var ErrLocked = errors.New("file is locked")

// maxInterrupts bounds how often an interrupted call is repeated: a file system
// that interrupts every call must not hang the store.
const maxInterrupts = 1000

var errNonsense = errors.New("the operating system counted bytes that it was not given")

// retry repeats a call that a signal interrupted.
func retry(call func() error) (err error) {
	for range maxInterrupts {
		if err = call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
	return err
}

// writeFull writes all of b, in as many calls as it takes.
func writeFull(f File, b []byte, at int64) error {
	return transfer(b, func(rest []byte, done int) (int, error) { return f.WriteAt(rest, at+int64(done)) }, io.ErrShortWrite)
}

// readFull fills b. The end of the file comes too early.
func readFull(f File, b []byte, at int64) error {
	return transfer(b, func(rest []byte, done int) (int, error) { return f.ReadAt(rest, at+int64(done)) }, io.ErrNoProgress)
}

// transfer repeats a call on the rest of b until all is done. One that does
// nothing and says nothing ends it with idle.
func transfer(b []byte, call func(rest []byte, done int) (int, error), idle error) error {
	interrupts := 0
	for done := 0; done < len(b); {
		n, err := call(b[done:], done)
		switch {
		case n < 0 || n > len(b)-done:
			return errors.Join(errNonsense, err)
		case errors.Is(err, syscall.EINTR) && (n > 0 || interrupts < maxInterrupts):
			interrupts++
		case errors.Is(err, io.EOF) && n == len(b)-done:
			return nil // a read up to the end of the file
		case err != nil:
			return err
		case n == 0:
			return idle
		}
		done += n
	}
	return nil
}

func statFile(f File) (info Info, err error) {
	err = retry(func() error { info, err = f.Stat(); return err })
	return info, err
}

func statName(fs FS, name string) (info Info, err error) {
	err = retry(func() error { info, err = fs.Stat(name); return err })
	return info, err
}

// reader reads a file of a known size in order.
type reader struct {
	f        File
	at, size int64
}

func (r *reader) Read(b []byte) (int, error) {
	b = b[:min(int64(len(b)), r.size-r.at)]
	if len(b) == 0 {
		return 0, io.EOF
	}
	if err := readFull(r.f, b, r.at); err != nil {
		return 0, fmt.Errorf("read at byte %d of %d: %w", r.at, r.size, err)
	}
	r.at += int64(len(b))
	return len(b), nil
}
