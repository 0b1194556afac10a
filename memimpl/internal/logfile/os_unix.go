//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// OS is the operating system's file system.
type OS struct{}

// Resolve implements [FS].
func (OS) Resolve(name string) (path, target string, err error) {
	if path, err = filepath.Abs(name); err != nil {
		return "", "", err
	}
	for {
		target, err = filepath.EvalSymlinks(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return path, target, err
		}
		info, missing := os.Lstat(path)
		if errors.Is(missing, fs.ErrNotExist) {
			return path, path, nil
		}
		if missing != nil || info.Mode()&fs.ModeSymlink != 0 { // a link that leads nowhere
			return path, target, err
		}
		// Somebody has made it since it was looked for.
	}
}

// Open implements [FS].
func (OS) Open(name string) (File, error) {
	// Looked at first: to open a device can do something by itself.
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if err := regular(name, info); err != nil {
		return nil, err
	}
	return openRegular(name, 0, 0)
}

// Create implements [FS].
func (OS) Create(name string, like File) (File, error) {
	f, err := openRegular(name, os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil || like == nil {
		return f, err
	}
	info, err := like.(osFile).File.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// As far as they are ours to give: the file is usable without.
	owner := info.Sys().(*syscall.Stat_t)
	_ = f.Chown(int(owner.Uid), int(owner.Gid))
	_ = f.Chmod(info.Mode().Perm())
	return f, nil
}

// openRegular opens without waiting: a FIFO put in place of a file must not hang.
func openRegular(name string, flags int, mode fs.FileMode) (osFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK|flags, mode)
	if err != nil {
		return osFile{}, err
	}
	info, err := f.Stat()
	if err == nil {
		err = regular(name, info)
	}
	if err != nil {
		return osFile{}, errors.Join(err, f.Close())
	}
	return osFile{f}, nil
}

func regular(name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w: it is no regular file (%v)", name, ErrForeign, info.Mode())
	}
	return nil
}

// Stat implements [FS].
func (OS) Stat(name string) (Info, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Info{}, err
	}
	return infoOf(info), nil
}

func infoOf(info fs.FileInfo) Info {
	s := info.Sys().(*syscall.Stat_t)
	return Info{ID: FileID{uint64(s.Dev), uint64(s.Ino)}, Size: info.Size(), Modified: info.ModTime()}
}

// Rename implements [FS].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements [FS].
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir implements [FS].
func (OS) SyncDir(name string) error {
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// osFile is an open file. Its errors leave out its name, which is the one it was
// opened by: it may have another since.
type osFile struct{ *os.File }

// ReadAt implements [File].
func (f osFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	return n, nameless(err)
}

// WriteAt implements [File].
func (f osFile) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(b, at)
	return n, nameless(err)
}

// Truncate implements [File].
func (f osFile) Truncate(size int64) error { return nameless(f.File.Truncate(size)) }

func nameless(err error) error {
	if named, ok := errors.AsType[*fs.PathError](err); ok {
		return os.NewSyscallError(named.Op, named.Err)
	}
	return err
}

// Stat implements [File].
func (f osFile) Stat() (Info, error) {
	info, err := f.File.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(info), nil
}

// Lock implements [File].
func (f osFile) Lock() error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return os.NewSyscallError("flock", err)
}

// Sync implements [File].
func (f osFile) Sync() error { return syncData(f.File) }
