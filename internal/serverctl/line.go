package serverctl

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
)

// LineVariable is the environment variable that names a line to the server as
// LISTEN=TO, two addresses: clients know the server as LISTEN, it listens at TO, and
// nothing is between the two but the [Line] that a test makes.
const LineVariable = "FDB_SERVER_LINE"

// NoLine is the reason for which what needs a [Line] is skipped.
const NoLine = "needs a server that is reached through the test: " + LineVariable + " names no line"

// Line is a TCP proxy that can be cut: what is sent while it is cut gets nowhere, no
// connection ends, and nobody is told, as in a network partition. When it is mended,
// what was held up goes on. It is safe for concurrent use.
type Line struct {
	to       string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while the line is whole
	ended bool
	conns map[net.Conn]struct{}
}

// LineFromEnv makes the line that the environment names.
func LineFromEnv() (line *Line, named bool, err error) {
	text := os.Getenv(LineVariable)
	if text == "" {
		return nil, false, nil
	}
	listen, to, ok := strings.Cut(text, "=")
	if !ok {
		return nil, true, fmt.Errorf("%s is %q, want LISTEN=TO", LineVariable, text)
	}
	line, err = NewLine(listen, to)
	return line, true, err
}

// NewLine listens at an address and joins each connection to one of its own to another.
// End it with Close.
func NewLine(listen, to string) (*Line, error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	l := &Line{to: to, listener: listener, open: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(l.open)
	l.running.Go(l.accept)
	return l, nil
}

// Addr is the address at which the line listens.
func (l *Line) Addr() string { return l.listener.Addr().String() }

// Cut cuts the line, or does nothing if it is cut.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	select {
	case <-l.open:
		l.open = make(chan struct{})
	default:
	}
}

// Mend makes the line whole again.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mend()
}

func (l *Line) mend() {
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

// Close ends the line and all connections, and returns when nothing of it runs any more.
func (l *Line) Close() error {
	l.mu.Lock()
	l.ended = true
	for c := range l.conns {
		c.Close()
	}
	l.mend()
	l.mu.Unlock()
	err := l.listener.Close()
	l.running.Wait()
	return err
}

func (l *Line) accept() {
	for {
		client, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			l.running.Go(func() { l.join(client) })
		}
	}
}

// join serves one connection. Its counterpart is made once the line is whole.
func (l *Line) join(client net.Conn) {
	if !l.enter(client) {
		return
	}
	defer l.leave(client)
	l.whole()
	server, err := net.Dial("tcp", l.to)
	if err != nil || !l.enter(server) {
		return
	}
	defer l.leave(server)
	l.running.Go(func() { l.pump(server, client) })
	l.pump(client, server)
}

// enter notes a connection for Close; false, and closed, when that was before.
func (l *Line) enter(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		c.Close()
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *Line) leave(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	c.Close()
}

// whole waits until the line is whole.
func (l *Line) whole() {
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()
	<-open
}

// pump carries what comes from one connection to the other until either ends, and then
// ends both: what is under way the other way is lost, as when a machine fails.
func (l *Line) pump(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		l.whole()
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
