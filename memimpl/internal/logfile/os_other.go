//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package logfile

import (
	"errors"
	"fmt"
	"runtime"
)

// OS would be the operating system's file system. This one has no lock that ends
// with its process, or does not let a file that is open be replaced.
type OS struct{}

var errUnsupported = fmt.Errorf("registry files on %s: %w", runtime.GOOS, errors.ErrUnsupported)

// Resolve implements [FS].
func (OS) Resolve(string) (path, target string, err error) { return "", "", errUnsupported }

// Open implements [FS].
func (OS) Open(string) (File, error) { return nil, errUnsupported }

// Create implements [FS].
func (OS) Create(string, File) (File, error) { return nil, errUnsupported }

// Stat implements [FS].
func (OS) Stat(string) (Info, error) { return Info{}, errUnsupported }

// Rename implements [FS].
func (OS) Rename(string, string) error { return errUnsupported }

// Remove implements [FS].
func (OS) Remove(string) error { return errUnsupported }

// SyncDir implements [FS].
func (OS) SyncDir(string) error { return errUnsupported }
