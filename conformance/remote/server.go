package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/internal/wire"
	"github.com/kelpie-registry/registry/op"
)

// Serve answers requests from in on out for backend b, until in ends or ctx
// does, and returns why it ended: nil at the end of in. Requests are served
// concurrently. It is all that an adapter in Go needs:
//
//	func main() { remote.Serve(context.Background(), os.Stdin, os.Stdout, mybackend{}) }
func Serve(ctx context.Context, in io.Reader, out io.Writer, b conformance.Backend) error {
	s := &server{backend: b, out: json.NewEncoder(out), clusters: map[string]conformance.Cluster{}, handles: map[string]*lanes{}, running: map[uint64]context.CancelFunc{}}
	defer s.dropAll()
	if err := s.greet(); err != nil {
		return err
	}
	lines := wire.NewLines(in, MaxLine)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for n := 1; lines.Scan(); n++ {
		var r request
		if err := wire.Decode(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if r.Op == opCancel {
			s.cancel(r.Of)
			continue
		}
		call, done := s.begin(ctx, r)
		wg.Go(func() {
			defer done()
			answer := s.answer(call, r)
			answer.ID = r.ID
			s.send(answer)
		})
	}
	return lines.Err()
}

// server is one connection.
type server struct {
	backend conformance.Backend

	write sync.Mutex
	out   *json.Encoder

	mu       sync.Mutex
	clusters map[string]conformance.Cluster
	handles  map[string]*lanes
	running  map[uint64]context.CancelFunc
}

func (s *server) send(v any) error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.out.Encode(v)
}

// greet tries the backend's powers out, because a power is an interface of a
// cluster or a handle.
func (s *server) greet() error {
	h := hello{Protocol: ProtocolName, Version: ProtocolVersion, Name: s.backend.Name(), Time: timePassed}
	cfg := registry.DefaultConfig()
	if rt, ok := s.backend.(conformance.RealTime); ok {
		cfg = rt.RealTimeConfig()
		h.Time, h.Config = timeOwn, configOf(cfg)
	}
	if speaker, ok := s.backend.(conformance.Speaker); ok {
		h.Dialect = speaker.Dialect()
	}
	c, err := s.backend.New(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, ok := c.(conformance.Restarter); ok {
		h.Capabilities = append(h.Capabilities, conformance.Restart)
	}
	if _, ok := c.(conformance.FaultInjector); ok {
		h.Capabilities = append(h.Capabilities, conformance.Faulty)
	}
	if _, ok := c.(conformance.Seeder); ok {
		h.Capabilities = append(h.Capabilities, conformance.Seeding)
	}
	handle, err := c.Open(cfg, registry.SystemClock())
	if err != nil {
		return err
	}
	defer handle.Close()
	powers := op.PowersOf(handle)
	if powers.Batch {
		h.Capabilities = append(h.Capabilities, conformance.BatchRenew)
	}
	if powers.Watch {
		h.Capabilities = append(h.Capabilities, conformance.Watch)
	}
	if h.Dialect.Offers(op.RegisterNode) && conformance.RepeatsRegistrations(handle) {
		h.Capabilities = append(h.Capabilities, conformance.Instances)
	}
	return s.send(h)
}

func (s *server) begin(ctx context.Context, r request) (context.Context, func()) {
	var cancel context.CancelFunc
	switch {
	case r.Ended == "DeadlineExceeded":
		ctx, cancel = context.WithTimeout(ctx, 0)
	case r.Timeout > 0:
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
	default:
		ctx, cancel = context.WithCancel(ctx)
	}
	if r.Ended == "Canceled" {
		cancel()
	}
	s.mu.Lock()
	s.running[r.ID] = cancel
	s.mu.Unlock()
	return ctx, func() {
		s.cancel(r.ID)
		s.mu.Lock()
		delete(s.running, r.ID)
		s.mu.Unlock()
	}
}

func (s *server) cancel(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.running[id]; cancel != nil {
		cancel()
	}
}

func (s *server) dropAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clusters {
		_ = c.Close()
	}
}

// lanes are the handles behind one handle of the suite: one for each call in
// flight, because each call brings its own reading of the clock.
type lanes struct {
	open func() (*lane, error)

	mu     sync.Mutex
	idle   []*lane
	all    []*lane
	closed bool
}

type lane struct {
	handle registry.Handle
	clock  *registry.ManualClock
}

// take returns a lane that nobody uses. After Close it is a closed one.
func (l *lanes) take() (*lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.idle); n > 0 {
		free := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return free, nil
	}
	made, err := l.open()
	if err != nil {
		return nil, err
	}
	if l.closed {
		err = made.handle.Close()
	}
	l.all = append(l.all, made)
	return made, err
}

func (l *lanes) put(free *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, free)
}

func (l *lanes) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var errs []error
	for _, made := range l.all {
		errs = append(errs, made.handle.Close())
	}
	return errors.Join(errs...)
}

// answer carries out one request.
func (s *server) answer(ctx context.Context, r request) response {
	switch r.Op {
	case opNew, opDrop, opRestart, opFaults, opSeed, opOpen, op.Close.String():
		return failed(s.control(r))
	}
	c, err := r.call()
	if err != nil {
		return failed(err)
	}
	s.mu.Lock()
	l := s.handles[r.Handle]
	s.mu.Unlock()
	if l == nil {
		return failed(fmt.Errorf("handle %q was not opened", r.Handle))
	}
	free, err := l.take()
	if err != nil {
		return failed(err)
	}
	defer l.put(free)
	if r.Now != nil {
		free.clock.Set(*r.Now)
	}
	var suffered atomic.Value
	result := op.Do(conformance.HearFaults(ctx, func(f conformance.Fault) { suffered.Store(f) }), free.handle, &c)
	fault, _ := suffered.Load().(conformance.Fault)
	return response{Fault: fault, ResultFields: result.Fields()}
}

// call returns the call on a handle that the request makes.
func (r *request) call() (op.Call, error) {
	if r.CallFields.Op = op.KindOf(r.Op); r.CallFields.Op == 0 {
		return op.Call{}, fmt.Errorf("unknown operation %q", r.Op)
	}
	return r.Call()
}

func failed(err error) response {
	return response{ResultFields: op.ResultFields{Error: op.ErrorOf(err)}}
}

func (s *server) control(r request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cluster, known := s.clusters[r.Cluster]
	if !known && (r.Op != opNew && r.Op != op.Close.String()) {
		return fmt.Errorf("cluster %q was not made", r.Cluster)
	}
	if r.Config == nil && (r.Op == opNew || r.Op == opOpen) {
		return &registry.InvalidError{Field: "config", Problem: "is missing"}
	}
	switch r.Op {
	case opNew:
		c, err := s.backend.New(r.Config.config())
		if err == nil {
			s.clusters[r.Cluster] = c
		}
		return err
	case opDrop:
		delete(s.clusters, r.Cluster)
		return cluster.Close()
	case opRestart:
		restarter, ok := cluster.(conformance.Restarter)
		if !ok {
			return errors.New("this registry cannot restart")
		}
		return restarter.Restart()
	case opFaults:
		return r.setFaults(cluster)
	case opSeed:
		return r.seed(cluster)
	case opOpen:
		l := &lanes{open: func() (*lane, error) {
			var clock registry.ManualClock
			h, err := cluster.Open(r.Config.config(), &clock)
			return &lane{h, &clock}, err
		}}
		first, err := l.take()
		if err == nil {
			l.put(first)
			s.handles[r.Handle] = l
		}
		return err
	default: // Close
		l := s.handles[r.Handle]
		if l == nil {
			return fmt.Errorf("handle %q was not opened", r.Handle)
		}
		return l.close()
	}
}

// setFaults carries out the request on the cluster.
func (r *request) setFaults(cluster conformance.Cluster) error {
	injector, ok := cluster.(conformance.FaultInjector)
	switch {
	case !ok:
		return errors.New("this registry injects no faults")
	case r.Faults == nil:
		return &registry.InvalidError{Field: "faults", Problem: "are missing"}
	}
	injector.SetFaults(conformance.Faults(*r.Faults))
	return nil
}

// seed carries out the request on the cluster. That the store cannot hold these
// numbers is ErrInvalid.
func (r *request) seed(cluster conformance.Cluster) error {
	seeder, ok := cluster.(conformance.Seeder)
	if !ok {
		return errors.New("this registry cannot be given state")
	}
	state, err := (&op.ResultFields{Nodes: r.Nodes, Records: r.Records}).Result(op.ListActors)
	if err != nil {
		return err
	}
	err = seeder.Seed(state.Nodes, state.Actors)
	if errors.Is(err, errors.ErrUnsupported) {
		return &registry.InvalidError{Field: "state", Problem: err.Error()}
	}
	return err
}
