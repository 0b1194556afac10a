// Package console is how the commands of this module meet their streams and signals.
package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// Interrupts returns a context that ends with Ctrl-C, SIGTERM, or when the terminal is
// gone (which nohup has ignored). A second signal ends the process at once.
func Interrupts() context.Context {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx
}

// Tell prints what went wrong, each joined error on a line of its own that begins with
// the program's name, but for those that the others are or wrap.
func Tell(w io.Writer, program string, err error, but ...error) {
	for _, e := range parts(err) {
		if !slices.ContainsFunc(but, func(known error) bool { return errors.Is(e, known) }) {
			fmt.Fprintf(w, "%s: %s\n", program, strings.ReplaceAll(e.Error(), "\n", "; "))
		}
	}
}

// parts are the errors that [errors.Join] has joined.
func parts(err error) (all []error) {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(joined.Unwrap()...).Error() != err.Error() {
		return []error{err}
	}
	for _, e := range joined.Unwrap() {
		all = append(all, parts(e)...)
	}
	return all
}

// Output is standard output. It remembers that it could not be written to.
type Output struct {
	io.Writer
	err error
}

func (o *Output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	o.err = cmp.Or(o.err, err)
	return n, err
}

// Lost adds to a command's error that some of its output could not be written.
func (o *Output) Lost(err error) error {
	switch {
	case o.err == nil:
		return err
	case errors.Is(err, o.err):
		err = nil // it is about the same
	}
	return errors.Join(err, fmt.Errorf("standard output: %w", o.err))
}

// Open opens the file at path, or in for "-", to be read from its beginning to its end.
// Reading ends with ctx, and its error: a pipe that nobody writes to, a terminal or a
// program that says nothing keeps nobody.
func Open(ctx context.Context, path string, in io.Reader) (io.ReadCloser, error) {
	if path == "-" {
		return until(ctx, io.NopCloser(in)), nil
	}
	type opened struct {
		*os.File
		error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		if o.error != nil {
			return nil, o.error
		}
		return until(ctx, o.File), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// until reads from in before ctx ends.
func until(ctx context.Context, in io.ReadCloser) io.ReadCloser {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(w, in)
		_ = in.Close() // it was only read
		w.CloseWithError(err)
	}()
	return r
}
