package storetest

import (
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry/conformance"
)

// Wire is what the network between client and server must know of their protocol
// to fail at the worst moment.
type Wire struct {
	// Begins reports whether the bytes ask for the first thing of an operation
	// that changes something. Nil: what Commits tells.
	Begins func(request []byte) bool
	// Refusal is the server's answer that it does not do what Begins tells; nil:
	// the connection breaks.
	Refusal []byte
	// Commits reports whether the bytes are the point of no return: once the
	// server has them, the change may happen.
	Commits func(request []byte) bool
	// Answers reports whether the bytes have the server's answer to that. Nil: any do.
	Answers func(reply []byte) bool
}

// trouble is what befalls a request.
type trouble string

// The troubles, of the kinds of conformance.Faults.
const (
	none        trouble = ""
	unavailable trouble = "unavailable"  // refused, or the connection breaks, before the operation has begun
	lostRequest trouble = "lost request" // the connection breaks instead of passing on the request
	lostAnswer  trouble = "lost answer"  // the request is passed on; the connection breaks instead of passing on the answer
	late        trouble = "late request" // the connection breaks; the request is passed on afterwards
)

// latest is by how much a late request is late, at most. An operation takes between
// a tenth of a millisecond and several, as the store and the machine are, so that
// others are late by half as much, a quarter, and so on, down to a millisecond.
const latest = 32 * time.Millisecond

// linger is how long the server is left with a late request before its connection
// ends, too: stores give up what they do for a client that is gone.
const linger = 50 * time.Millisecond

// Proxy passes on the bytes between clients and a server, and breaks connections
// as its faults say. To a client, an operation whose connection broke is one that
// may have happened.
type Proxy struct {
	wire     Wire
	server   string
	listener net.Listener
	links    sync.WaitGroup

	mu      sync.Mutex // guards the rest
	faults  conformance.Faults
	rng     *rand.Rand
	delay   func() time.Duration // of a late request
	befell  map[trouble]int
	open    map[*link]bool
	closing bool
}

// NewProxy returns a proxy to the server at that address, without faults.
func NewProxy(server string, wire Wire) (*Proxy, error) {
	if wire.Begins == nil {
		wire.Begins = wire.Commits
	}
	if wire.Answers == nil {
		wire.Answers = func([]byte) bool { return true }
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{wire: wire, server: server, listener: listener, befell: map[trouble]int{}, open: map[*link]bool{}}
	p.SetFaults(conformance.Faults{})
	p.delay = func() time.Duration { return latest >> p.rng.IntN(6) }
	p.links.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetFaults implements [conformance.FaultInjector].
func (p *Proxy) SetFaults(f conformance.Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.rng = f, rand.New(rand.NewPCG(f.Seed, 0x70726f7879))
}

// befallen returns how many requests had each trouble.
func (p *Proxy) befallen() map[trouble]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.befell)
}

// Close breaks every client's connection and waits until what is late has arrived.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closing = true
	for l := range p.open {
		_ = l.client.Close()
	}
	p.mu.Unlock()
	p.links.Wait()
	return err
}

// draw decides what befalls a request, and by how much it is late. A request may
// be both the beginning and the point of no return; it draws once.
func (p *Proxy) draw(request []byte) (trouble, time.Duration) {
	begins, commits := p.wire.Begins(request), p.wire.Commits(request)
	if !begins && !commits {
		return none, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.rng.Float64()
	for _, candidate := range []struct {
		trouble     trouble
		probability float64
		here        bool
	}{
		{unavailable, p.faults.Unavailable, begins},
		{lostRequest, p.faults.LostRequest, commits},
		{lostAnswer, p.faults.LostAnswer, commits},
		{late, p.faults.Late, commits},
	} {
		switch {
		case !candidate.here:
		case x < candidate.probability:
			p.befell[candidate.trouble]++
			return candidate.trouble, p.delay()
		default:
			x -= candidate.probability
		}
	}
	return none, 0
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close() // as the server would, were it there
			continue
		}
		l := &link{p: p, client: client, server: server}
		if !p.keep(l) {
			l.breaks()
			return
		}
		p.links.Go(l.requests)
		p.links.Go(l.answers)
	}
}

// keep notes the link, so that Close can break it.
func (p *Proxy) keep(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[l] = true
	return !p.closing
}

// link is a client's connection and the proxy's own to the server.
type link struct {
	p              *Proxy
	client, server net.Conn
	loses          atomic.Bool // the next answer
}

func (l *link) breaks() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// size is of a piece of the stream. A client writes a request at once, and those of
// a registry are smaller; one that came in two pieces would escape its trouble.
const size = 64 << 10

func (l *link) requests() {
	defer l.breaks()
	for piece := make([]byte, size); ; {
		n, err := l.client.Read(piece)
		if err != nil {
			return
		}
		switch t, delay := l.p.draw(piece[:n]); t {
		case unavailable:
			_, _ = l.client.Write(l.p.wire.Refusal)
			return
		case lostRequest:
			_ = l.server.Close()
			return
		case late:
			_ = l.client.Close()
			<-time.After(delay)
			_, _ = l.server.Write(piece[:n])
			<-time.After(linger)
			return
		case lostAnswer:
			l.loses.Store(true)
		}
		if _, err := l.server.Write(piece[:n]); err != nil {
			return
		}
	}
}

// answers reads on when the client's end is broken, until the server's is, too.
func (l *link) answers() {
	defer l.p.forget(l)
	defer l.breaks()
	for piece := make([]byte, size); ; {
		n, err := l.server.Read(piece)
		if err != nil {
			return
		}
		if l.loses.Load() && l.p.wire.Answers(piece[:n]) {
			_ = l.client.Close()
		}
		_, _ = l.client.Write(piece[:n])
	}
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, l)
}
