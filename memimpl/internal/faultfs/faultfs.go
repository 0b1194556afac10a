// Package faultfs is a file system in memory for tests of what survives: it keeps
// apart what the operating system shows and what the disk has, forgets what a sync
// failed to write, loses power, and can make any of its calls fail.
//
// The model. A file's contents are sectors. A write changes the shown contents and
// leaves its sectors dirty; a sync that succeeds writes the dirty sectors and the
// size to the disk; one that fails leaves them clean all the same, whether written
// or not, and shown or not, as operating systems do. Names are changed as shown and
// reach the disk in order, at the latest when the directory is synced. A power loss
// leaves of the dirty sectors, the size and the names any part on the disk, and
// that is what is shown afterwards. A process that is killed loses its open files
// with their locks, and nothing that is shown.
package faultfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
)

// SectorSize is what a disk writes as a whole or not at all.
const SectorSize = 512

// Fault is what goes wrong with one call.
type Fault int

// The faults. Some make sense for some calls alone, see [Faults].
const (
	None     Fault = iota
	EIO            // nothing is done
	ENOSPC         // nothing is done
	EINTR          // nothing is done
	Done           // it is done and fails with EIO
	Short          // half of the bytes, and no error
	Torn           // half of the bytes, and EIO
	Forget         // of a sync: nothing reaches the disk, EIO, the contents are still shown
	Drop           // of a sync: nothing reaches the disk, EIO, the contents are shown no more
	Half           // of a sync: every other sector reaches the disk, EIO, the contents are still shown
	Lie            // of a sync: nothing reaches the disk, and no error
	Kill           // the process dies before the call
	KillDone       // the process dies when it is done
)

func (f Fault) String() string {
	return [...]string{"none", "EIO", "ENOSPC", "EINTR", "done and EIO", "short", "torn", "forget", "drop", "half", "lie", "kill", "done and kill"}[f]
}

// Call is one call of the file system.
type Call struct {
	Number int // from 1
	Name   string
	Of     string // the file's name
}

func (c Call) String() string { return fmt.Sprintf("call %d, %s of %s", c.Number, c.Name, c.Of) }

// Faults returns the faults that a call can have, but for lies.
func (c Call) Faults() []Fault {
	switch c.Name {
	case "read":
		return []Fault{EIO, EINTR, Short, Torn, Kill}
	case "write":
		return []Fault{EIO, ENOSPC, EINTR, Done, Short, Torn, Kill, KillDone}
	case "sync":
		return []Fault{EIO, ENOSPC, EINTR, Done, Forget, Drop, Half, Kill, KillDone}
	case "truncate", "rename", "create", "syncdir", "remove":
		return []Fault{EIO, ENOSPC, EINTR, Done, Kill, KillDone}
	case "stat", "statfile", "lock":
		return []Fault{EIO, EINTR, Kill}
	case "close":
		return []Fault{Done, Kill, KillDone}
	default:
		return []Fault{EIO, EINTR, Kill, KillDone}
	}
}

// Loss decides what of the unsynced a power loss leaves on the disk.
type Loss struct {
	Sector func(n int) bool // is sector n, of those that are dirty, written?
	Size   bool             // is the size?
	Names  func(n int) int  // how many of n changes of names are?
}

// Losses are those that tests try: nothing, everything, and mixtures.
func Losses() map[string]Loss {
	all := func(int) bool { return true }
	odd := func(n int) bool { return n%2 == 1 }
	even := func(n int) bool { return n%2 == 0 }
	never := func(int) bool { return false }
	every := func(n int) int { return n }
	none := func(int) int { return 0 }
	half := func(n int) int { return (n + 1) / 2 }
	return map[string]Loss{
		"nothing written":        {never, false, none},
		"everything written":     {all, true, every},
		"names alone":            {never, false, every},
		"names and sizes":        {never, true, every},
		"contents alone":         {all, true, none},
		"contents without sizes": {all, false, half},
		"odd sectors":            {odd, true, half},
		"even sectors":           {even, true, every},
	}
}

// Disk is a file system and the disk below it. Its own methods are for a test whose
// processes do nothing at the time.
type Disk struct {
	mu sync.Mutex // held over each call of a process

	// Plan says what goes wrong with a call; nil: nothing.
	Plan func(Call) Fault
	// Eager makes what is written reach the disk at once, as the operating system may
	// do at any time. What is cut off or renamed still waits for a sync.
	Eager bool
	// Calls counts the calls.
	Calls int

	shown   map[string]*inode
	durable map[string]*inode
	pending []naming // changes of names that are shown only

	inodes  uint64
	clock   int64
	process int // the number of the process that is alive
}

// naming is a change of names: one name is given to a file and one is taken away.
type naming struct {
	give, take string
	inode      *inode
}

func (n naming) apply(names map[string]*inode) {
	if n.give != "" {
		names[n.give] = n.inode
	}
	delete(names, n.take)
}

// New returns an empty disk.
func New() *Disk { return &Disk{shown: map[string]*inode{}, durable: map[string]*inode{}} }

// inode is a file.
type inode struct {
	id       uint64
	name     string // the last it was given, for a Call
	shown    []byte
	disk     []byte // its length is the size on the disk
	dirty    map[int]bool
	modified int64
	lock     *file
}

// Clone returns another disk in the same state, without a process or a plan.
func (d *Disk) Clone() *Disk {
	c := &Disk{Calls: d.Calls, Eager: d.Eager, inodes: d.inodes, clock: d.clock}
	files := map[*inode]*inode{}
	file := func(i *inode) *inode {
		if files[i] == nil {
			files[i] = &inode{
				id: i.id, name: i.name, shown: slices.Clone(i.shown), disk: slices.Clone(i.disk),
				dirty: maps.Clone(i.dirty), modified: i.modified,
			}
		}
		return files[i]
	}
	names := func(from map[string]*inode) map[string]*inode {
		to := make(map[string]*inode, len(from))
		for name, i := range from {
			to[name] = file(i)
		}
		return to
	}
	c.shown, c.durable = names(d.shown), names(d.durable)
	for _, p := range d.pending {
		p.inode = file(p.inode)
		c.pending = append(c.pending, p)
	}
	return c
}

// Kill ends the process: its open files are closed.
func (d *Disk) Kill() {
	d.process++
	for _, i := range d.all() {
		i.lock = nil
	}
}

// PowerLoss ends the process and makes what is on the disk what is shown.
func (d *Disk) PowerLoss(l Loss) {
	d.Kill()
	for _, change := range d.pending[:l.Names(len(d.pending))] {
		change.apply(d.durable)
	}
	d.pending = nil
	files := d.all()
	d.shown = map[string]*inode{}
	for name, i := range d.durable {
		d.shown[name] = i
	}
	for _, i := range files {
		i.reach(l.Sector, l.Size)
		i.shown, i.dirty = append([]byte(nil), i.disk...), map[int]bool{}
	}
}

// all returns every file that has a name, or may have one after a power loss.
func (d *Disk) all() map[uint64]*inode {
	all := map[uint64]*inode{}
	for _, p := range d.pending {
		all[p.inode.id] = p.inode
	}
	for _, names := range []map[string]*inode{d.shown, d.durable} {
		for _, i := range names {
			all[i.id] = i
		}
	}
	return all
}

// reach writes sectors, and the size, to the disk.
func (i *inode) reach(sector func(int) bool, size bool) {
	content := make([]byte, max(len(i.disk), len(i.shown)))
	copy(content, i.disk)
	for n := range i.dirty {
		if at := n * SectorSize; sector(n) && at < len(content) {
			part := content[at:min(at+SectorSize, len(content))]
			clear(part)
			if at < len(i.shown) {
				copy(part, i.shown[at:])
			}
		}
	}
	if size {
		i.disk = content[:len(i.shown)]
	} else {
		i.disk = content[:len(i.disk)]
	}
}

// touch marks bytes as changed.
func (d *Disk) touch(i *inode, from, to int) {
	for n := from / SectorSize; n*SectorSize < to; n++ {
		i.dirty[n] = true
	}
	d.clock++
	i.modified = d.clock
}

// Read returns what is shown of a file; nil when there is none of that name.
func (d *Disk) Read(name string) []byte {
	if i := d.shown[name]; i != nil {
		return append([]byte(nil), i.shown...)
	}
	return nil
}

// Write makes content the file of that name, shown and on the disk, as a new file
// or as what the present one is overwritten with.
func (d *Disk) Write(name string, content []byte, overwrite bool) {
	i := d.shown[name]
	if i == nil || !overwrite {
		i = d.newInode()
		i.name = name
		d.shown[name], d.durable[name] = i, i
	}
	i.shown, i.disk = append([]byte(nil), content...), append([]byte(nil), content...)
	d.clock++
	i.modified = d.clock
}

// Delete removes a name, on the disk too.
func (d *Disk) Delete(name string) {
	delete(d.shown, name)
	delete(d.durable, name)
}

// Move renames a file, on the disk too.
func (d *Disk) Move(from, to string) {
	i := d.shown[from]
	d.Delete(from)
	d.shown[to], d.durable[to] = i, i
}

// Steal makes the lock of a file somebody else's.
func (d *Disk) Steal(name string) { d.shown[name].lock = &file{} }

// Names returns the names that are shown.
func (d *Disk) Names() (names []string) {
	for name := range d.shown {
		names = append(names, name)
	}
	return names
}

func (d *Disk) newInode() *inode {
	d.inodes++
	return &inode{id: d.inodes, dirty: map[int]bool{}}
}

// change changes names as shown; the disk follows later.
func (d *Disk) change(n naming) {
	n.apply(d.shown)
	d.pending = append(d.pending, n)
}

// errDead is what a process that was killed gets, if it looks.
var errDead = fmt.Errorf("the process is dead")

// Mount returns the file system as a new process sees it. The one before is dead.
func (d *Disk) Mount() logfile.FS {
	d.Kill()
	return &mount{d, d.process}
}

type mount struct {
	disk    *Disk
	process int
}

// call carries out one call, with its fault. What is special to a kind of call is
// left to do.
func (m *mount) call(name, of string, do func(Fault) error) error {
	d := m.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.process != d.process {
		return errDead
	}
	d.Calls++
	fault := None
	if d.Plan != nil {
		fault = d.Plan(Call{d.Calls, name, of})
	}
	switch fault {
	case EIO:
		return syscall.EIO
	case ENOSPC:
		return syscall.ENOSPC
	case EINTR:
		return syscall.EINTR
	case Kill:
		d.Kill()
		return errDead
	}
	err := do(fault)
	switch fault {
	case Done:
		return syscall.EIO
	case KillDone:
		d.Kill()
		return errDead
	}
	return err
}

// part returns how many of n bytes a call with that fault does, and its error.
func part(n int, fault Fault) (int, error) {
	switch fault {
	case Short:
		return (n + 1) / 2, nil
	case Torn:
		return n / 2, syscall.EIO
	}
	return n, nil
}

// Resolve implements [logfile.FS]. There are no links.
func (m *mount) Resolve(name string) (path, target string, err error) { return name, name, nil }

// Open implements [logfile.FS].
func (m *mount) Open(name string) (f logfile.File, err error) {
	err = m.call("open", name, func(Fault) error {
		i := m.disk.shown[name]
		if i == nil {
			return &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
		}
		f = &file{mount: m, inode: i}
		return nil
	})
	return f, err
}

// Create implements [logfile.FS].
func (m *mount) Create(name string, _ logfile.File) (f logfile.File, err error) {
	err = m.call("create", name, func(Fault) error {
		i := m.disk.shown[name]
		if i == nil {
			i = m.disk.newInode()
			i.name = name
			m.disk.change(naming{give: name, inode: i})
		}
		f = &file{mount: m, inode: i}
		return nil
	})
	return f, err
}

// Stat implements [logfile.FS].
func (m *mount) Stat(name string) (info logfile.Info, err error) {
	err = m.call("stat", name, func(Fault) error {
		i := m.disk.shown[name]
		if i == nil {
			return &fs.PathError{Op: "stat", Path: name, Err: syscall.ENOENT}
		}
		info = i.info()
		return nil
	})
	return info, err
}

func (i *inode) info() logfile.Info {
	return logfile.Info{ID: logfile.FileID{Inode: i.id}, Size: int64(len(i.shown)), Modified: time.Unix(0, i.modified)}
}

// Rename implements [logfile.FS].
func (m *mount) Rename(from, to string) error {
	return m.call("rename", from, func(Fault) error {
		i := m.disk.shown[from]
		if i == nil {
			return &fs.PathError{Op: "rename", Path: from, Err: syscall.ENOENT}
		}
		i.name = to
		m.disk.change(naming{give: to, take: from, inode: i})
		return nil
	})
}

// Remove implements [logfile.FS].
func (m *mount) Remove(name string) error {
	return m.call("remove", name, func(Fault) error {
		i := m.disk.shown[name]
		if i == nil {
			return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOENT}
		}
		m.disk.change(naming{take: name, inode: i})
		return nil
	})
}

// SyncDir implements [logfile.FS].
func (m *mount) SyncDir(name string) error {
	return m.call("syncdir", name, func(Fault) error {
		for _, change := range m.disk.pending {
			change.apply(m.disk.durable)
		}
		m.disk.pending = nil
		return nil
	})
}

// file is an open file.
type file struct {
	*mount
	inode *inode
}

// ReadAt implements [logfile.File].
func (f *file) ReadAt(b []byte, at int64) (n int, err error) {
	err = f.call("read", f.inode.name, func(fault Fault) error {
		want, err := part(len(b), fault)
		if at < int64(len(f.inode.shown)) {
			n = copy(b[:want], f.inode.shown[at:])
		}
		if n < want {
			return io.EOF
		}
		return err
	})
	return n, err
}

// WriteAt implements [logfile.File].
func (f *file) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.call("write", f.inode.name, func(fault Fault) error {
		var err error
		n, err = part(len(b), fault)
		i := f.inode
		f.disk.resize(i, max(len(i.shown), int(at)+n))
		copy(i.shown[at:], b[:n])
		f.disk.touch(i, int(at), int(at)+n)
		if f.disk.Eager {
			i.reach(func(int) bool { return true }, true)
			i.dirty = map[int]bool{}
		}
		return err
	})
	return n, err
}

// Truncate implements [logfile.File].
func (f *file) Truncate(size int64) error {
	return f.call("truncate", f.inode.name, func(Fault) error {
		f.disk.resize(f.inode, int(size))
		return nil
	})
}

// resize changes the shown size; what is new is zero.
func (d *Disk) resize(i *inode, size int) {
	was := len(i.shown)
	if size > was {
		i.shown = append(i.shown, make([]byte, size-was)...)
	}
	i.shown = i.shown[:size:size]
	d.touch(i, min(was, size), max(was, size))
}

// Sync implements [logfile.File].
func (f *file) Sync() error {
	return f.call("sync", f.inode.name, func(fault Fault) error {
		i := f.inode
		switch fault {
		case Lie:
			return nil
		case Forget:
			i.dirty = map[int]bool{}
			return syscall.EIO
		case Drop:
			i.shown, i.dirty = append([]byte(nil), i.disk...), map[int]bool{}
			return syscall.EIO
		case Half:
			i.reach(func(n int) bool { return n%2 == 0 }, true)
			i.dirty = map[int]bool{}
			return syscall.EIO
		}
		i.reach(func(int) bool { return true }, true)
		i.dirty = map[int]bool{}
		return nil
	})
}

// Stat implements [logfile.File].
func (f *file) Stat() (info logfile.Info, err error) {
	err = f.call("statfile", f.inode.name, func(Fault) error { info = f.inode.info(); return nil })
	return info, err
}

// Lock implements [logfile.File].
func (f *file) Lock() error {
	return f.call("lock", f.inode.name, func(Fault) error {
		if f.inode.lock != nil && f.inode.lock != f {
			return logfile.ErrLocked
		}
		f.inode.lock = f
		return nil
	})
}

// Close implements [logfile.File].
func (f *file) Close() error {
	return f.call("close", f.inode.name, func(Fault) error {
		if f.inode.lock == f {
			f.inode.lock = nil
		}
		return nil
	})
}
