package remote

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is a registry's process, with what it has started itself: a shell and its
// command are one.
type child struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *os.File
	exited  chan struct{}
	how     error // it exited, other than with 0; to be read when it has
}

// linger is how long what a child has left behind may keep its output open.
const linger = time.Second

func launch(command *exec.Cmd, stderr io.Writer) (_ *child, err error) {
	c := &child{command: command, exited: make(chan struct{})}
	if c.in, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.out = out
	command.Stdout, command.Stderr, command.WaitDelay = theirs, stderr, linger
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if command.Cancel != nil { // its context ends it as well
		command.Cancel = func() error { c.signal(syscall.SIGKILL); return nil }
	}
	err = command.Start()
	_ = theirs.Close() // the child has its own
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	go c.wait()
	return c, nil
}

func (c *child) wait() {
	if err := c.command.Wait(); !errors.Is(err, exec.ErrWaitDelay) {
		c.how = err
	}
	close(c.exited)
	_ = c.out.SetReadDeadline(time.Now().Add(linger)) // what it wrote is there already
}

// Read reads what the child writes. At the end it says how the child exited, if it did
// and other than with 0.
func (c *child) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	select {
	case <-c.exited:
		if c.how != nil {
			return n, c.how
		}
	case <-time.After(linger): // it has only closed its output
	}
	return n, err
}

// end closes the child's input, which asks it to exit, and kills what does not.
func (c *child) end() error {
	_ = c.in.Close()
	defer c.kill()
	select {
	case <-c.exited:
		return c.how
	case <-time.After(patience):
		return fmt.Errorf("it had to be killed: it did not exit within %v after its input was closed", patience)
	}
}

// kill ends the child; from then on nothing writes to its standard error.
func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	<-c.exited
	_ = c.out.Close() // it was only read
}

func (c *child) signal(s syscall.Signal) { _ = syscall.Kill(-c.command.Process.Pid, s) }
