package logfile

import (
	"os"
	"syscall"
)

// syncData leaves out what only fsync writes, such as times.
func syncData(f *os.File) error {
	return os.NewSyscallError("fdatasync", syscall.Fdatasync(int(f.Fd())))
}
