package history

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Log keeps what a recorder records in files of a folder, one after the other, while
// the service goes on: a Flush now and then, a Close at the end. The files, read in
// the order of their names, are one history; conform check --follow reads the folder
// while it grows. A Log is for one goroutine.
type Log struct {
	Recorder *Recorder
	Dir      string
	MaxBytes int64 // of a file, beyond which the next Flush begins another; 0 means 64 MB
	Patience int64 // as of Recorder.Take; 0 means 100,000

	// Compress, if set, wraps each file, for example by zstd.NewWriter of
	// github.com/klauspost/compress. Its output is closed with the file.
	Compress func(io.Writer) (io.WriteCloser, error)

	file  *os.File
	out   io.WriteCloser
	files int
	size  int64
}

// Flush writes what can be taken. After an error the history has a gap, and the
// Log is of no more use.
func (l *Log) Flush() error { return l.flush(l.patience()) }

// Close writes all that there is, calls in flight as pending, and ends the files.
func (l *Log) Close() error {
	err := l.flush(0)
	if end := l.end(); err == nil {
		err = end
	}
	return err
}

func (l *Log) patience() int64 {
	if l.Patience == 0 {
		return 100_000
	}
	return l.Patience
}

func (l *Log) flush(patience int64) error {
	h := l.Recorder.Take(patience)
	if len(h.Ops) == 0 {
		return nil
	}
	if most := l.MaxBytes; l.file == nil || l.size > most && (most > 0 || l.size > 64<<20) {
		if err := l.begin(); err != nil {
			return err
		}
	}
	return Write(l, h)
}

// Write counts, for the size of a file is that of what it holds.
func (l *Log) Write(p []byte) (int, error) {
	l.size += int64(len(p))
	return l.out.Write(p)
}

func (l *Log) begin() error {
	if err := l.end(); err != nil {
		return err
	}
	l.files++
	f, err := os.OpenFile(filepath.Join(l.Dir, fmt.Sprintf("history-%06d.jsonl", l.files)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	l.file, l.out, l.size = f, f, 0
	if l.Compress != nil {
		l.out, err = l.Compress(f)
	}
	return err
}

func (l *Log) end() error {
	if l.file == nil {
		return nil
	}
	var err error
	if l.out != io.WriteCloser(l.file) {
		err = l.out.Close()
	}
	if end := l.file.Close(); err == nil {
		err = end
	}
	l.file = nil
	return err
}
