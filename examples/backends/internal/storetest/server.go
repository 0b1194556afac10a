// Package storetest judges a registry on a real store: it starts the store's
// server, puts a network that can fail in front of it, runs the conformance
// suite, and kills the server where the suite, or a test, wants to see what is
// left. Every store brings a [Store]; the rest is the same for all.
//
// A test whose server is not installed, or that runs with -short, is skipped and
// says "not judged". No server of one's own is used: it is killed again and again.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Program says how the server of a store is run.
type Program struct {
	Name string                                       // of the executable
	Dirs string                                       // pattern of directories with it, looked into before PATH
	Init func(dir string) []string                    // a command that makes the data directory, in the same place; nil: none
	Args func(dir string, port, second int) []string  // of the server: data in dir, clients at port
	Up   func(ctx context.Context, addr string) error // nil when the server at addr answers
	User string                                       // to run as in place of root; "": root will do
}

// find returns the path of the executable name.
func (p Program) find(name string) (string, error) {
	if dirs, _ := filepath.Glob(p.Dirs); len(dirs) > 0 {
		return filepath.Join(slices.Max(dirs), name), nil
	}
	return exec.LookPath(name)
}

// Server is the process of a store on loopback. Its address and its data outlive
// the process.
type Server struct {
	Addr string

	program Program
	path    string
	dir     string
	ports   [2]int
	as      *syscall.Credential
	log     *os.File
	process *exec.Cmd
	exited  chan error
}

// limit is how long a server may take to come up.
const limit = 30 * time.Second

// Start runs the program until the test ends, with its data in a temporary
// directory. It skips the test when there is nothing to run.
func Start(t *testing.T, p Program) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("not judged: -short starts no servers")
	}
	path, err := p.find(p.Name)
	if err != nil {
		t.Skipf("not judged: %s is not installed; examples/backends/run.sh installs it", p.Name)
	}
	s := &Server{program: p, path: path}
	s.dir, err = os.MkdirTemp("", "storetest-"+p.Name+"-*")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(s.dir)) })
	s.log, err = os.Create(filepath.Join(s.dir, "log"))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = s.log.Close()
		if text, err := os.ReadFile(s.log.Name()); t.Failed() && err == nil {
			t.Logf("the last of %s:\n%s", p.Name, text[max(0, len(text)-4000):])
		}
	})
	require.NoError(t, s.settleIn())
	s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.ports[0]))
	t.Cleanup(s.stop)
	require.NoError(t, s.start())
	return s
}

// settleIn chooses user and ports and makes the data directory.
func (s *Server) settleIn() (err error) {
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		return err
	}
	if s.program.User != "" && os.Getuid() == 0 {
		if s.as, err = credential(s.program.User); err != nil {
			return err
		}
		if err := errors.Join(os.Chmod(s.dir, 0o755), os.Chown(s.data(), int(s.as.Uid), int(s.as.Gid))); err != nil {
			return err
		}
	}
	var held [2]net.Listener
	for i := range held {
		if held[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		defer held[i].Close()
		s.ports[i] = held[i].Addr().(*net.TCPAddr).Port
	}
	if s.program.Init == nil {
		return nil
	}
	words := s.program.Init(s.data())
	path, err := s.program.find(words[0])
	if err != nil {
		return err
	}
	return s.command(path, words[1:]).Run()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// command dies with the test process, which may be killed itself.
func (s *Server) command(path string, args []string) *exec.Cmd {
	c := exec.Command(path, args...)
	c.Dir, c.Stdout, c.Stderr = s.dir, s.log, s.log
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGKILL}
	return c
}

// start runs the server and waits until it answers.
func (s *Server) start() error {
	c, exited := s.command(s.path, s.program.Args(s.data(), s.ports[0], s.ports[1])), make(chan error, 1)
	if err := c.Start(); err != nil {
		return err
	}
	go func() { exited <- c.Wait() }()
	s.process, s.exited = c, exited
	return poll(func(ctx context.Context) (bool, error) {
		select {
		case err := <-exited:
			exited <- err
			return true, fmt.Errorf("%s has ended: %v", s.program.Name, err)
		default:
			return s.program.Up(ctx, s.Addr) == nil, nil
		}
	})
}

// Restart ends the server as a crash would, and starts it again on what is left.
func (s *Server) Restart() error {
	if err := s.Kill(); err != nil {
		return err
	}
	return s.start()
}

// stop ends the server in order, so that it leaves no shared memory behind.
func (s *Server) stop() {
	_ = s.process.Process.Signal(os.Interrupt)
	select {
	case err := <-s.exited:
		s.exited <- err
	case <-time.After(limit):
	}
	_ = s.Kill()
}

// Kill ends the server with kill -9, its children included: PostgreSQL's would
// otherwise end in their own time, and could still answer. The parent is stopped
// first, so that it makes no more of them. When Kill returns nothing of it runs.
func (s *Server) Kill() error {
	pid := s.process.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	children := childrenOf(pid)
	for _, child := range append(children, pid) {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	err := <-s.exited
	s.exited <- err // Kill may be called again
	return poll(func(context.Context) (bool, error) {
		return !slices.ContainsFunc(children, runs), nil
	})
}

func childrenOf(pid int) (children []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			children = append(children, child)
		}
	}
	return children
}

// runs reports whether the process is there and no zombie, which has let go of
// everything it had.
func runs(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// poll asks until the answer is yes, an error, or the limit has passed.
func poll(ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if done, err := ask(ctx); done || err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %v", limit)
		}
	}
}
