package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/internal/child"
	"github.com/kelpie-registry/registry/internal/wire"
	"github.com/kelpie-registry/registry/op"
)

const (
	// patience is how long a child has for its greeting, and after its input was
	// closed to exit.
	patience = 10 * time.Second
	// morePatience is how long it has for what no call waits for: to make, open,
	// restart and drop a cluster.
	morePatience = time.Minute
)

// Process is a registry in a child process, as a backend for the suite. Its
// methods are safe for concurrent use.
type Process struct {
	greeting hello
	stop     func() error // ends the child

	write sync.Mutex
	out   *json.Encoder

	mu      sync.Mutex
	last    uint64 // identity given last, to requests, clusters and handles
	waiting map[uint64]chan response
	over    error // why nothing more can be asked
	ended   chan struct{}
}

// Start starts a command and reads its greeting. Close ends it. The command's
// standard error goes to stderr.
func Start(command *exec.Cmd, stderr io.Writer) (*Process, error) {
	c, err := child.Start(command, stderr)
	if err != nil {
		return nil, err
	}
	p, err := Connect(c, c.In, func() error { return c.End(patience) })
	if err != nil {
		c.Kill()
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	return p, nil
}

// Connect speaks the protocol with whatever is at the other end of in and out.
// stop is called once, by Close.
func Connect(in io.Reader, out io.Writer, stop func() error) (*Process, error) {
	p := &Process{stop: sync.OnceValue(stop), out: json.NewEncoder(out), waiting: map[uint64]chan response{}, ended: make(chan struct{})}
	greeted := make(chan error, 1)
	go p.listen(in, greeted)
	select {
	case err := <-greeted:
		return p, err
	case <-time.After(patience):
		return nil, fmt.Errorf("no greeting within %v", patience)
	}
}

// Close ends the child: its input is closed, and it is killed if it does not
// exit then.
func (p *Process) Close() error { return p.stop() }

// Err returns why the child can no longer be asked: it closed its output, or it
// broke the protocol. What the suite found from then on says nothing about the
// registry. It returns nil while all is well.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// Name implements [conformance.Backend].
func (p *Process) Name() string { return p.greeting.Name }

// Dialect implements [conformance.Speaker].
func (p *Process) Dialect() dialect.Dialect { return p.greeting.Dialect }

// Declared implements [conformance.Declarer].
func (p *Process) Declared() []conformance.Capability {
	c := p.greeting.Capabilities
	if p.greeting.Time == timePassed {
		c = append(c[:len(c):len(c)], conformance.ClockControl)
	}
	return c
}

// Backend returns the child as a backend: one whose time is real when the child
// reads a clock of its own.
func (p *Process) Backend() conformance.Backend {
	if p.greeting.Time == timeOwn {
		return realTime{p}
	}
	return p
}

type realTime struct{ *Process }

// RealTimeConfig implements [conformance.RealTime].
func (p realTime) RealTimeConfig() registry.Config { return p.greeting.Config.config() }

// listen reads the child's lines until its output ends or one of them is wrong.
func (p *Process) listen(in io.Reader, greeted chan<- error) {
	lines := wire.NewLines(in, MaxLine)
	fail := func(err error) {
		p.end(err)
		greeted <- err
	}
	if !lines.Scan() {
		fail(child.Ended("it ended without a greeting", lines.Err()))
		return
	}
	if err := wire.Decode(lines.Bytes(), &p.greeting); err != nil {
		fail(fmt.Errorf("its greeting is %.80q: %w", lines.Bytes(), err))
		return
	}
	if err := p.greeting.validate(); err != nil {
		fail(fmt.Errorf("its greeting is wrong: %w", err))
		return
	}
	greeted <- nil
	for n := 2; lines.Scan(); n++ {
		if err := p.deliver(lines.Bytes()); err != nil {
			p.end(fmt.Errorf("line %d of its output, %.80q: %w", n, lines.Bytes(), err))
			return
		}
	}
	p.end(child.Ended("it closed its output", lines.Err()))
}

func (p *Process) deliver(line []byte) error {
	var r response
	if err := wire.Decode(line, &r); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.waiting[r.ID]
	switch {
	case r.ID == 0 || r.ID > p.last:
		return fmt.Errorf("it answers request %d, which was not made", r.ID)
	case !ok:
		return fmt.Errorf("it answers request %d a second time", r.ID)
	}
	delete(p.waiting, r.ID)
	if c != nil { // nil: the caller no longer waits
		c <- r
	}
	return nil
}

// end notes why the child can no longer be asked, the first time.
func (p *Process) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over == nil {
		p.over = err
		close(p.ended)
	}
}

func (p *Process) identity() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	return p.last
}

func (p *Process) send(r request) error {
	p.write.Lock()
	defer p.write.Unlock()
	return p.out.Encode(r)
}

// unreachable is the error for a request that was never sent.
func (p *Process) unreachable(why error) error {
	return fmt.Errorf("%w: %s: %w", registry.ErrUnavailable, p.Name(), why)
}

// ask makes one request and waits for its answer. When none comes the outcome
// of a write is unknown, and it may still happen; a read has none.
func (p *Process) ask(ctx context.Context, r request, write bool) (response, error) {
	if err := ctx.Err(); err != nil {
		// The child answers all the same: ErrInvalid and ErrClosed come first.
		r.Ended = op.ReasonOf(err)
		ctx = context.WithoutCancel(ctx)
	}
	r.ID = p.identity()
	if deadline, ok := ctx.Deadline(); ok {
		r.Timeout = max(time.Until(deadline), 1)
	}
	answered := make(chan response, 1)
	p.mu.Lock()
	if p.over != nil {
		defer p.mu.Unlock()
		return response{}, p.unreachable(p.over)
	}
	p.waiting[r.ID] = answered
	p.mu.Unlock()
	if err := p.send(r); err != nil {
		return response{}, p.lost(write, err)
	}
	select {
	case a := <-answered:
		return a, nil
	case <-p.ended:
		return response{}, p.lost(write, p.Err())
	case <-ctx.Done():
	}
	p.mu.Lock()
	if _, waits := p.waiting[r.ID]; waits {
		p.waiting[r.ID] = nil
	}
	p.mu.Unlock()
	_ = p.send(request{ID: p.identity(), Op: opCancel, Of: r.ID})
	return response{}, p.lost(write, ctx.Err())
}

// control makes a request that is not a call on a handle. A child that does not answer
// it is not judged any further.
func (p *Process) control(r request) error {
	late := time.AfterFunc(morePatience, func() { p.end(fmt.Errorf("it did not answer %q within %v", r.Op, morePatience)) })
	defer late.Stop()
	a, err := p.ask(context.Background(), r, true)
	if err != nil {
		return err
	}
	told, wrong := a.Error.Err()
	return cmp.Or(p.breach(a, wrong), told)
}

// breach is the error for an answer that breaks the protocol, nil where wrong is.
func (p *Process) breach(a response, wrong error) error {
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("answer to request %d: %w", a.ID, wrong)
}

func (p *Process) lost(write bool, cause error) error {
	if write {
		return &registry.AmbiguousError{MayStillApply: true, Cause: cause}
	}
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return p.unreachable(cause)
}

// New implements [conformance.Backend].
func (p *Process) New(cfg registry.Config) (conformance.Cluster, error) {
	c := &cluster{p: p, name: fmt.Sprint("c", p.identity())}
	if err := p.control(request{Op: opNew, Cluster: c.name, Config: configOf(cfg)}); err != nil {
		return nil, err
	}
	return p.withPowers(c), nil
}

// withPowers gives a cluster the methods of the powers that the child declared.
func (p *Process) withPowers(c *cluster) conformance.Cluster {
	restart, faulty, seeding := p.has(conformance.Restart), p.has(conformance.Faulty), p.has(conformance.Seeding)
	switch {
	case restart && faulty && seeding:
		return struct {
			*cluster
			restarter
			injector
			seeder
		}{c, restarter{c}, injector{c}, seeder{c}}
	case restart && faulty:
		return struct {
			*cluster
			restarter
			injector
		}{c, restarter{c}, injector{c}}
	case restart && seeding:
		return struct {
			*cluster
			restarter
			seeder
		}{c, restarter{c}, seeder{c}}
	case faulty && seeding:
		return struct {
			*cluster
			injector
			seeder
		}{c, injector{c}, seeder{c}}
	case restart:
		return struct {
			*cluster
			restarter
		}{c, restarter{c}}
	case faulty:
		return struct {
			*cluster
			injector
		}{c, injector{c}}
	case seeding:
		return struct {
			*cluster
			seeder
		}{c, seeder{c}}
	}
	return c
}

func (p *Process) has(power conformance.Capability) bool {
	return slices.Contains(p.greeting.Capabilities, power)
}

type cluster struct {
	p    *Process
	name string
}

// Close implements [conformance.Cluster].
func (c *cluster) Close() error { return c.p.control(request{Op: opDrop, Cluster: c.name}) }

// Open implements [conformance.Cluster].
func (c *cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h := &handle{p: c.p, name: fmt.Sprint("h", c.p.identity()), clock: clock}
	if err := c.p.control(request{Op: opOpen, Cluster: c.name, Handle: h.name, Config: configOf(cfg)}); err != nil {
		return nil, err
	}
	return op.Handle(h.do, op.Powers{Batch: c.p.has(conformance.BatchRenew), Watch: c.p.has(conformance.Watch)}), nil
}

// The powers of a cluster. Its field has a name, so that what they have in common is
// the cluster's alone.
type (
	restarter struct{ of *cluster }
	injector  struct{ of *cluster }
	seeder    struct{ of *cluster }
)

// Restart implements [conformance.Restarter].
func (r restarter) Restart() error {
	return r.of.p.control(request{Op: opRestart, Cluster: r.of.name})
}

// SetFaults implements [conformance.FaultInjector]. A child that refuses is not judged
// any further: nobody would know what troubles it has.
func (i injector) SetFaults(f conformance.Faults) {
	told := faults(f)
	if err := i.of.p.control(request{Op: opFaults, Cluster: i.of.name, Faults: &told}); err != nil {
		i.of.p.end(fmt.Errorf("it was asked for faults: %w", err))
	}
}

// Seed implements [conformance.Seeder].
func (s seeder) Seed(nodes []registry.Node, records []registry.Placement) error {
	state := op.Result{Nodes: nodes, Actors: records}
	fields := state.Fields()
	err := s.of.p.control(request{Op: opSeed, Cluster: s.of.name, Nodes: fields.Nodes, Records: fields.Records})
	if errors.Is(err, registry.ErrInvalid) {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}

// handle is a handle of the child: every call is a request.
type handle struct {
	p     *Process
	name  string
	clock registry.Clock
}

// do sends one call with a reading of the clock, made now. Strings that JSON
// cannot carry are refused here, as the registry would have to.
func (h *handle) do(ctx context.Context, c op.Call) op.Result {
	if !h.p.greeting.Dialect.Offers(c.Kind) {
		return op.Failed(errors.ErrUnsupported)
	}
	if err := checkText(&c); err != nil {
		return op.Failed(err)
	}
	refused := make([]error, len(c.Leases))
	var rest []registry.Lease
	for i, l := range c.Leases {
		if refused[i] = checkText(&op.Call{Actor: l.Actor, Node: l.Holder}); refused[i] == nil {
			rest = append(rest, l)
		}
	}
	if len(rest) == len(c.Leases) {
		return h.send(ctx, c)
	}
	whole := op.Result{Outcome: op.OK}
	if c.Leases = rest; len(rest) > 0 {
		if whole = h.send(ctx, c); len(whole.Renewals) != len(rest) {
			return whole // no result for each
		}
	}
	whole.Renewals = merged(refused, whole.Renewals)
	return whole
}

// merged returns one result for each lease: its refusal, or the next of the others' results.
func merged(refused []error, others []op.Result) (all []op.Result) {
	for _, err := range refused {
		if err != nil {
			all = append(all, op.Failed(err))
			continue
		}
		all, others = append(all, others[0]), others[1:]
	}
	return all
}

// send is do, of strings that JSON can carry.
func (h *handle) send(ctx context.Context, c op.Call) op.Result {
	r := request{Op: c.Kind.String(), Handle: h.name, CallFields: h.p.known(c).Fields()}
	if h.p.greeting.Time == timePassed && c.Kind != op.Close {
		now := h.clock.Now()
		r.Now = &now
	}
	a, err := h.p.ask(ctx, r, c.Kind.Mutates() || c.Kind == op.Close)
	if err != nil {
		return op.Failed(err)
	}
	if a.Fault != "" {
		conformance.Suffers(ctx, a.Fault)
	}
	result, wrong := a.Result(c.Kind)
	if wrong == nil && c.Kind == op.RenewBatch && result.Err == nil && len(result.Renewals) != len(c.Leases) {
		wrong = fmt.Errorf("it has %d renewals for %d leases", len(result.Renewals), len(c.Leases))
	}
	if wrong != nil {
		return op.Failed(h.p.breach(a, wrong))
	}
	return result
}

// known leaves out of a call what the child does not know: of a lease all but the
// actor, the holder and the token, unless it has declared a dialect.
func (p *Process) known(c op.Call) *op.Call {
	if !p.has(conformance.Instances) {
		c.Info.Instance = registry.InstanceID{}
	}
	if p.greeting.Dialect != (dialect.Dialect{}) {
		return &c
	}
	c.Version, c.Expiry = 0, 0
	if c.Kind != op.Claim {
		c.ClaimID = registry.ClaimID{}
	}
	c.Leases = slices.Clone(c.Leases)
	for i, l := range c.Leases {
		c.Leases[i] = registry.Lease{Actor: l.Actor, Holder: l.Holder, Token: l.Token}
	}
	return &c
}

// checkText refuses strings that are not valid UTF-8.
func checkText(c *op.Call) error {
	for _, s := range []struct{ field, text string }{
		{"actor namespace", c.Actor.Namespace}, {"actor name", c.Actor.Name}, {"node id", string(c.Node.ID)},
		{"target node id", string(c.To.ID)}, {"node address", c.Info.Address}, {"cursor", string(c.Page.After)},
	} {
		if !utf8.ValidString(s.text) {
			return &registry.InvalidError{Field: s.field, Problem: "is not valid UTF-8"}
		}
	}
	return nil
}
