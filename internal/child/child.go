// Package child runs a program that is judged in a process of its own: a registry or a
// client of one, which is asked by lines and answers by lines.
package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is such a program, with what it has started itself: a shell and its command
// are one. Its methods are safe for concurrent use.
type Process struct {
	In io.WriteCloser // what it reads; closing it asks it to exit

	command *exec.Cmd
	out     *os.File
	exited  chan struct{}
	how     error // it exited, other than with 0; to be read when it has
}

// linger is how long what a program has left behind may keep its output open.
const linger = time.Second

// Start starts a command. Its standard error goes to stderr, until it is killed.
func Start(command *exec.Cmd, stderr io.Writer) (_ *Process, err error) {
	p := &Process{command: command, exited: make(chan struct{})}
	if p.In, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.out = out
	command.Stdout, command.Stderr, command.WaitDelay = theirs, stderr, linger
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if command.Cancel != nil { // its context ends it as well
		command.Cancel = func() error { p.Signal(syscall.SIGKILL); return nil }
	}
	err = command.Start()
	_ = theirs.Close() // it has its own
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	go p.wait()
	return p, nil
}

func (p *Process) wait() {
	if err := p.command.Wait(); !errors.Is(err, exec.ErrWaitDelay) {
		p.how = err
	}
	close(p.exited)
	_ = p.out.SetReadDeadline(time.Now().Add(linger)) // what it wrote is there already
}

// Read reads what the program writes. At the end it says how the program exited, if it
// did and other than with 0.
func (p *Process) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	select {
	case <-p.exited:
		if p.how != nil {
			return n, p.how
		}
	case <-time.After(linger): // it has only closed its output
	}
	return n, err
}

// Ended says that a program did something at the end of its output, where reading it
// ended with that error or none.
func Ended(what string, end error) error {
	var exit *exec.ExitError
	switch {
	case end == nil:
		return errors.New(what)
	case errors.As(end, &exit):
		return fmt.Errorf("%s: %w", what, end)
	}
	return fmt.Errorf("reading its output: %w", end)
}

// End closes the program's input, which asks it to exit, and kills what does not within
// the patience.
func (p *Process) End(patience time.Duration) error {
	_ = p.In.Close()
	defer p.Kill()
	select {
	case <-p.exited:
		return p.how
	case <-time.After(patience):
		return fmt.Errorf("it had to be killed: it did not exit within %v after its input was closed", patience)
	}
}

// Kill ends the program and what it has started. From then on nothing can be read from it
// and nothing writes to its standard error.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.exited
	_ = p.out.Close() // it was only read
}

// Signal reaches the program and what it has started, if it still runs.
func (p *Process) Signal(s syscall.Signal) { _ = syscall.Kill(-p.command.Process.Pid, s) }
