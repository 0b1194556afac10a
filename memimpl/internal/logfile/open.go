package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// State is what a log keeps.
type State struct {
	// Header is written to a fresh file. It has at most 3,900 bytes or so.
	Header []byte
	// Check is told the header of a file that is there. Its error is Open's.
	Check func(header []byte) error
	// Apply is told the batches of the file, in order. Its error is damage.
	Apply func(batch []byte) error
	// Snapshot gives the whole state as batches.
	Snapshot func(emit func(batch []byte) error) error
}

// Open opens the log at path, or makes an empty one when there is none, and waits
// so long for one that somebody else has open.
//
// It reads the file and checks every byte of it, and then writes the state into a
// fresh file, syncs that, and puts it in the file's place. So whatever is answered
// afterwards is on the disk, though a process that was killed, a failed sync or a
// copied file may have left it in the memory of the operating system alone. Until
// the fresh file is complete and on the disk, the old one is as it was.
func Open(fs FS, path string, wait time.Duration, s State) (*Log, error) {
	w := waiting{wait: wait, until: time.Now().Add(wait)}
	for {
		l, err := open(fs, path, w, s)
		if !errors.Is(err, errOvertaken) {
			return l, err
		}
	}
}

// errOvertaken says that somebody else made the file meanwhile.
var errOvertaken = errors.New("somebody else created the file")

func open(fsys FS, path string, w waiting, s State) (_ *Log, err error) {
	l := &Log{fs: fsys, header: s.Header}
	if l.path, l.target, err = fsys.Resolve(path); err != nil {
		return nil, err
	}
	l.file, err = w.acquire(fsys, l.target, fsys.Open)
	if errors.Is(err, fs.ErrNotExist) {
		l.file = nil
	} else if err != nil {
		return nil, err
	}
	if err := l.load(w, s); err != nil {
		if l.file != nil {
			err = errors.Join(err, l.file.Close())
		}
		return nil, err
	}
	return l, nil
}

// load reads the file, if there is one, and replaces it.
func (l *Log) load(w waiting, s State) error {
	if l.file != nil {
		info, err := statFile(l.file)
		if err != nil {
			return err
		}
		l.known = info
		if l.end, err = scan(l.file, info.Size, visitor{header: s.Check, batch: s.Apply}); err != nil {
			return err
		}
	}
	r, err := l.begin(w)
	if err != nil {
		return err
	}
	if err = s.Snapshot(r.Append); err == nil {
		err = l.Replace(r)
	}
	if err != nil {
		return errors.Join(err, l.Discard(r))
	}
	return nil
}

// waiting is for how long to wait for a lock.
type waiting struct {
	wait  time.Duration
	until time.Time
}

// pollEvery is how often a lock is asked for while it is waited for.
const pollEvery = 5 * time.Millisecond

// acquire opens and locks a file. That it still has the name when it is locked
// makes it the one that everybody else who wants the lock opens.
func (w waiting) acquire(fsys FS, name string, open func(name string) (File, error)) (File, error) {
	for tries := 0; ; tries++ {
		f, err := acquireNow(fsys, name, open)
		switch left := time.Until(w.until); {
		case errors.Is(err, errRenamed) && tries < 10:
			// At once: the one that has the name now may be free.
		case !errors.Is(err, ErrLocked) && (!errors.Is(err, errRenamed) || left <= 0):
			return f, err
		case left <= 0:
			return nil, fmt.Errorf("%w (waited %v)", ErrInUse, w.wait)
		default:
			time.Sleep(min(left, pollEvery))
		}
	}
}

// errRenamed says that the name of a file became another file's, or nobody's,
// before it was locked.
var errRenamed = errors.New("file lost its name while it was opened")

func acquireNow(fsys FS, name string, open func(name string) (File, error)) (f File, err error) {
	if err := retry(func() error { f, err = open(name); return err }); err != nil {
		return nil, err
	}
	err = retry(f.Lock)
	if err == nil {
		err = sameFile(fsys, f, name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sameFile returns errRenamed when name has become another file's: of somebody who
// had the lock.
func sameFile(fsys FS, f File, name string) error {
	info, err := statFile(f)
	if err != nil {
		return err
	}
	named, err := statName(fsys, name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && named.ID != info.ID {
		return errRenamed
	}
	return err
}
