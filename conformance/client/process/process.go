// Package process judges clients that keep leases in processes of their own, in
// any language: the suite is the registry, and the processes say on their standard
// output what they ask and what they serve. PROTOCOL.md describes it.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/internal/child"
	"github.com/kelpie-registry/registry/internal/wire"
	"github.com/kelpie-registry/registry/op"
)

// ProtocolName and ProtocolVersion are what a child's first line must name.
const (
	ProtocolName    = "kelpie-client"
	ProtocolVersion = 1
)

// maxLine bounds a line in both directions, in bytes.
const maxLine = 4 << 20

// patience is how long a child has for its greeting, and how long it need not read.
const patience = 10 * time.Second

// maxAsked bounds the requests of a child that are under way.
const maxAsked = 2000

// hello is the child's first line.
type hello struct {
	Protocol string `json:"protocol"`
	Version  int    `json:"version"`
	Name     string `json:"name,omitempty"`
}

// order is a line to the child: its node and the cluster's configuration, once;
// what it is to do; or the answer to one of its requests.
type order struct {
	Node   registry.NodeID `json:"node_id,omitempty"`
	Config *config         `json:"config,omitempty"`

	Want   *op.ActorFields `json:"want,omitempty"`
	Drop   *op.ActorFields `json:"drop,omitempty"`
	Within time.Duration   `json:"within_ns,omitempty"` // of Drop
	Close  bool            `json:"close,omitempty"`
}

type config struct {
	TTL            time.Duration `json:"ttl_ns"`
	Grace          time.Duration `json:"grace_ns"`
	MaxClockSkew   time.Duration `json:"max_clock_skew_ns"`
	FailureTimeout time.Duration `json:"failure_timeout_ns"`
}

type answer struct {
	ID uint64 `json:"id"`
	op.ResultFields
}

// line is a line from the child: a request, or what it has to say.
type line struct {
	ID      uint64        `json:"id"`
	Op      string        `json:"op"`
	Timeout time.Duration `json:"timeout_ns,omitempty"` // after which nobody waits for the answer
	op.CallFields

	Serves  *tenure         `json:"serves,omitempty"`
	Stops   *tenure         `json:"stops,omitempty"`
	Why     string          `json:"why,omitempty"`
	Dropped *op.ActorFields `json:"dropped,omitempty"`
}

type tenure struct {
	Actor op.ActorFields `json:"actor"`
	Token string         `json:"token"`
}

// Child is a client in another process. It implements client.Client and
// client.Machine.
type Child struct {
	node    client.Node
	process *child.Process
	over    context.Context // ends with the child
	end     context.CancelCauseFunc

	write sync.Mutex
	out   *json.Encoder

	asked atomic.Int64 // requests that are under way

	mu      sync.Mutex
	serving map[tenure]func(error)
	dropped map[op.ActorFields]chan struct{}
}

// New returns a factory that starts a process for each client. Its standard error
// goes to stderr.
func New(command func() *exec.Cmd, stderr io.Writer) client.Factory {
	return func(n client.Node) (client.Client, error) {
		cmd := command()
		p, err := child.Start(cmd, stderr)
		if err != nil {
			return nil, err
		}
		c := &Child{node: n, process: p, out: json.NewEncoder(p.In), serving: map[tenure]func(error){}, dropped: map[op.ActorFields]chan struct{}{}}
		c.over, c.end = context.WithCancelCause(context.Background())
		greeted := make(chan error, 1)
		go c.listen(greeted)
		if err := await(cmd, greeted); err != nil {
			p.Kill()
			return nil, err
		}
		cfg := n.Config
		return c, c.send(order{Node: n.ID, Config: &config{cfg.TTL, cfg.Grace, cfg.MaxClockSkew, cfg.FailureTimeout}})
	}
}

// Greets starts the command once, and kills it when it has greeted. The error says
// why it cannot be judged: it did not start, or it greets otherwise.
func Greets(command *exec.Cmd, stderr io.Writer) error {
	p, err := child.Start(command, stderr)
	if err != nil {
		return err
	}
	defer p.Kill()
	greeted := make(chan error, 1)
	go func() { greeted <- greeting(wire.NewLines(p, maxLine)) }()
	return await(command, greeted)
}

// await waits for a command's greeting.
func await(command *exec.Cmd, greeted <-chan error) (err error) {
	select {
	case err = <-greeted:
	case <-time.After(patience):
		err = fmt.Errorf("no greeting within %v", patience)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// greeting reads a child's first line.
func greeting(lines wire.Lines) error {
	var h hello
	switch {
	case !lines.Scan():
		return child.Ended("it ended without a greeting", lines.Err())
	case wire.Decode(lines.Bytes(), &h) != nil || h.Protocol != ProtocolName || h.Version != ProtocolVersion:
		return fmt.Errorf("its greeting is %.80q, want protocol %q, version %d", lines.Bytes(), ProtocolName, ProtocolVersion)
	}
	return nil
}

// send writes a line to the child. One that does not read what it is told is over.
func (c *Child) send(v any) error {
	c.write.Lock()
	defer c.write.Unlock()
	if pipe, ok := c.process.In.(*os.File); ok {
		_ = pipe.SetWriteDeadline(time.Now().Add(patience)) // of a pipe it can be set
	}
	err := c.out.Encode(v)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.finish(fmt.Errorf("it has read nothing for %v", patience))
	}
	if err != nil && c.over.Err() != nil {
		err = context.Cause(c.over)
	}
	return err
}

// listen reads the child's lines until its output ends or one of them is wrong.
// What it says that it serves is taken in the order of the lines; requests overlap.
func (c *Child) listen(greeted chan<- error) {
	lines := wire.NewLines(c.process, maxLine)
	err := greeting(lines)
	greeted <- err
	for err == nil && lines.Scan() {
		if err := c.take(lines.Bytes()); err != nil {
			c.finish(fmt.Errorf("its line %.80q: %w", lines.Bytes(), err))
			return
		}
	}
	c.finish(child.Ended("it closed its output", lines.Err()))
}

// finish ends the child and what it serves: it is over.
func (c *Child) finish(why error) {
	c.end(why) // before what it is told fails
	c.process.Kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	for t, stop := range c.serving {
		stop(why)
		delete(c.serving, t)
	}
}

func (c *Child) take(text []byte) error {
	var l line
	if err := wire.Decode(text, &l); err != nil {
		return err
	}
	switch {
	case l.Serves != nil:
		return c.begins(*l.Serves)
	case l.Stops != nil:
		return c.stops(*l.Stops, l.Why)
	case l.Dropped != nil:
		c.mu.Lock()
		defer c.mu.Unlock()
		if done := c.dropped[*l.Dropped]; done != nil {
			close(done)
			delete(c.dropped, *l.Dropped)
		}
		return nil
	}
	if l.CallFields.Op = op.KindOf(l.Op); l.CallFields.Op == 0 {
		return fmt.Errorf("unknown operation %q", l.Op)
	}
	call, err := l.Call()
	if err != nil {
		return err
	}
	if c.asked.Add(1) > maxAsked {
		return fmt.Errorf("it has more than %d requests under way", maxAsked)
	}
	go c.answer(l.ID, l.Timeout, call)
	return nil
}

func (c *Child) begins(t tenure) error {
	token, err := strconv.ParseUint(t.Token, 10, 64)
	if err != nil {
		return fmt.Errorf("serves: token: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.serving[t] != nil {
		return errors.New("it serves that already")
	}
	c.serving[t] = c.node.Serve(registry.ActorID(t.Actor), registry.Token(token))
	return nil
}

func (c *Child) stops(t tenure, why string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	stop := c.serving[t]
	if stop == nil {
		return errors.New("it does not serve that")
	}
	delete(c.serving, t)
	if why != "" {
		stop(errors.New(why))
	} else {
		stop(nil)
	}
	return nil
}

// answer carries a request out. One whose answer is lost gets none.
func (c *Child) answer(id uint64, timeout time.Duration, call op.Call) {
	defer c.asked.Add(-1)
	ctx := c.over
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	r := op.Do(ctx, c.node.Handle, &call)
	if ctx.Err() != nil {
		return // it would not have come
	}
	_ = c.send(answer{id, r.Fields()}) // a child that is over hears nothing
}

// Want implements client.Client.
func (c *Child) Want(a registry.ActorID) { _ = c.send(order{Want: fields(a)}) }

func fields(a registry.ActorID) *op.ActorFields { f := op.ActorFields(a); return &f }

// Drop implements client.Client.
func (c *Child) Drop(ctx context.Context, a registry.ActorID) error {
	done := make(chan struct{})
	c.mu.Lock()
	c.dropped[op.ActorFields(a)] = done
	c.mu.Unlock()
	within := patience
	if deadline, ok := ctx.Deadline(); ok {
		within = time.Until(deadline)
	}
	if err := c.send(order{Drop: fields(a), Within: within}); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.over.Done():
		return context.Cause(c.over)
	}
}

// Close implements client.Client: the child is to end by itself.
func (c *Child) Close() error {
	_ = c.send(order{Close: true})
	select {
	case <-c.over.Done():
		return nil
	case <-time.After(patience):
		c.Kill()
		return errors.New("it had to be killed")
	}
}

// Stop implements client.Machine. What the child wrote before is read first.
func (c *Child) Stop() {
	c.process.Signal(syscall.SIGSTOP)
	time.Sleep(50 * time.Millisecond)
}

// Continue implements client.Machine.
func (c *Child) Continue() { c.process.Signal(syscall.SIGCONT) }

// Kill implements client.Machine.
func (c *Child) Kill() { c.process.Signal(syscall.SIGKILL) }
