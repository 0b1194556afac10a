package memimpl

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/memimpl/internal/logfile"
	"github.com/kelpie-registry/registry/op"
)

// The crash tests run a durable store in a child process, this test binary again,
// that answers calls on its standard streams. It is killed under load, at a named
// point of a commit or when so many calls were answered, and a new child opens the
// same file. The parent records what it asked and was told over the lives of all
// children and judges that as one history.

var (
	kills     = flag.Int("kills", 50, "how often the crash test kills the store's process")
	crashSeed = flag.Uint64("crash-seed", 1, "seed of the crash test")
)

// What the child is told by its environment.
const (
	childPath  = "MEMIMPL_CRASH_CHILD" // the file
	childPoint = "MEMIMPL_CRASH_POINT" // where to die
	childAfter = "MEMIMPL_CRASH_AFTER" // in which commit
	childLazy  = "MEMIMPL_CRASH_LAZY"  // answer before the sync
)

// The points of a commit, and of a compaction, at which a child kills itself.
const (
	pointBeforeWrite = "before write"                 // nothing written
	pointTornBatch   = "in the middle of a batch"     // half a batch written
	pointUnmarked    = "batch written, before mark"   // in the page cache only
	pointUnsynced    = "after write, before sync"     // in the page cache only
	pointUnanswered  = "after sync, before answer"    // durable, nobody knows
	pointTornRewrite = "in the middle of rewriting"   // half a fresh file
	pointUnnamed     = "rewritten, before rename"     // two files
	pointUnsyncedDir = "after rename, before sync"    // the name is in memory only
	pointRandom      = "whenever so much is answered" // by the parent
)

var points = []string{
	pointBeforeWrite, pointTornBatch, pointUnmarked, pointUnsynced, pointUnanswered,
	pointTornRewrite, pointUnnamed, pointUnsyncedDir, pointRandom,
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// dying is a disk that dies in its after'th commit, or in the first compaction
// since, and the file system below it.
type dying struct {
	logfile.FS
	disk
	point string
	after atomic.Int64
	begun atomic.Bool // the file is open: opening it is no commit
}

func (d *dying) at(point string) bool {
	return d.begun.Load() && d.after.Load() <= 0 && d.point == point
}

func (d *dying) commit(changes []change) error {
	d.begun.Store(true)
	d.after.Add(-1)
	if d.at(pointBeforeWrite) {
		die()
	}
	err := d.disk.commit(changes)
	if d.at(pointUnanswered) {
		die()
	}
	return err
}

func (d *dying) Open(name string) (logfile.File, error) { return d.file(d.FS.Open(name)) }

func (d *dying) Create(name string, _ logfile.File) (logfile.File, error) {
	return d.file(d.FS.Create(name, nil))
}

func (d *dying) file(f logfile.File, err error) (logfile.File, error) {
	return &dyingFile{f, d, false}, err
}

func (d *dying) Rename(from, to string) error {
	if d.at(pointUnnamed) {
		die()
	}
	err := d.FS.Rename(from, to)
	if d.at(pointUnsyncedDir) {
		die()
	}
	return err
}

type dyingFile struct {
	logfile.File
	d     *dying
	fresh bool // it was made when the log was open
}

func (f *dyingFile) Truncate(size int64) error {
	f.fresh = f.fresh || f.d.begun.Load() && size == 0
	return f.File.Truncate(size)
}

func (f *dyingFile) WriteAt(b []byte, at int64) (int, error) {
	mark := at < 3*4096
	switch {
	case f.d.at(pointTornBatch) && !mark, f.d.at(pointTornRewrite) && f.fresh:
		_, _ = f.File.WriteAt(b[:len(b)/2], at)
		die()
	case f.d.at(pointUnmarked) && mark:
		die()
	}
	return f.File.WriteAt(b, at)
}

func (f *dyingFile) Sync() error {
	if f.d.at(pointUnsynced) {
		die()
	}
	return f.File.Sync()
}

// lazy is a disk that lets the answers go when it has a change in memory, and
// brings it to the file some commits later: a store without sync, in which the
// changes it holds stand for the pages that a power loss would take. (Killing a
// process alone would not take them: the page cache outlives it.)
type lazy struct {
	disk
	unsynced []change
}

func (l *lazy) commit(changes []change) error {
	if l.unsynced = append(l.unsynced, changes...); len(l.unsynced) < 40 {
		return nil
	}
	changes, l.unsynced = l.unsynced, nil
	return l.disk.commit(changes)
}

// Request is one call. Its clock reading is the parent's, so that it is in the history.
type Request struct {
	Kind   op.Kind
	Actor  registry.ActorID
	Node   registry.NodeRef
	Lease  registry.Lease
	ID     registry.ClaimID
	Mode   registry.RegisterMode
	Info   registry.NodeInfo
	Page   registry.Page
	Status registry.NodeStatus
	Token  registry.Token
	Now    registry.Instant
}

// Response is its answer.
type Response struct {
	Lease   registry.Lease
	Record  registry.Placement
	Node    registry.Node
	Found   bool
	Records []registry.Placement
	Nodes   []registry.Node
	Next    registry.Cursor

	Reason  op.Reason        // of the refusal
	Refusal registry.Refusal // without its Reason, which gob cannot carry
	Error   string           // any other error: there should be none
}

// Child serves the calls.
type Child struct{ store *Store }

// fixed is the clock of one call.
type fixed registry.Instant

func (f fixed) Now() registry.Instant { return registry.Instant(f) }

// Call answers one request.
func (c *Child) Call(q Request, r *Response) error {
	h, err := c.store.Open(short, fixed(q.Now))
	if err == nil {
		err = call(h, q, r)
	}
	var refusal *registry.Refusal
	if errors.As(err, &refusal) {
		r.Reason, r.Refusal = op.ReasonOf(err), *refusal
		r.Refusal.Reason = nil
	} else if err != nil {
		r.Error = err.Error()
	}
	return nil
}

func call(h registry.Handle, q Request, r *Response) (err error) {
	switch q.Kind {
	case op.Claim:
		r.Lease, err = h.Claim(ctx, q.Actor, q.Node, q.ID)
	case op.Renew:
		r.Lease, err = h.Renew(ctx, q.Lease)
	case op.Release:
		err = h.Release(ctx, q.Lease)
	case op.Transfer:
		r.Lease, err = h.Transfer(ctx, q.Lease, q.Node)
	case op.Lookup:
		r.Record, r.Found, err = h.Lookup(ctx, q.Actor)
	case op.Validate:
		err = h.Validate(ctx, q.Actor, q.Token)
	case op.ListActors:
		r.Records, r.Next, err = h.ListActors(ctx, q.Node, q.Page)
	case op.RegisterNode:
		r.Node, err = h.RegisterNode(ctx, q.Node.ID, q.Info, q.Mode)
	case op.Heartbeat:
		err = h.Heartbeat(ctx, q.Node)
	case op.MarkFailed:
		err = h.MarkFailed(ctx, q.Node)
	case op.DeregisterNode:
		err = h.DeregisterNode(ctx, q.Node)
	case op.GetNode:
		r.Node, r.Found, err = h.GetNode(ctx, q.Node.ID)
	case op.ListNodes:
		r.Nodes, r.Next, err = h.ListNodes(ctx, q.Status, q.Page)
	default:
		err = fmt.Errorf("no operation %q", q.Kind)
	}
	return err
}

// stdio is the child's standard streams as one connection.
type stdio struct {
	io.Reader
	io.Writer
}

func (stdio) Close() error { return nil }

// serveChild is the child's main function.
func serveChild(path string) {
	after, _ := strconv.ParseInt(os.Getenv(childAfter), 10, 64)
	dies := &dying{FS: production.fs, point: os.Getenv(childPoint)}
	dies.after.Store(after)
	store, err := newStore(platform{
		fs:   dies,
		step: 1, // compact whenever the log has doubled
		between: func(d disk) disk {
			if os.Getenv(childLazy) != "" {
				return &lazy{disk: d}
			}
			dies.disk = d
			return dies
		},
	}, short, []Option{OnFile(path)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Child", &Child{store: store}); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	server.ServeConn(stdio{os.Stdin, os.Stdout})
}

// process is one life of the store.
type process struct {
	cmd    *exec.Cmd
	client *rpc.Client
	gone   chan struct{} // closed when it was waited for: nothing of it happens any more
}

// start runs a child on the file. It fails when the child cannot open it.
func start(t *testing.T, path, point string, after int, lazy bool) *process {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childPath+"="+path, childPoint+"="+point, childAfter+"="+strconv.Itoa(after))
	if lazy {
		cmd.Env = append(cmd.Env, childLazy+"=1")
	}
	stderr := new(safeBuffer)
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	// A pipe of our own: Wait closes StdoutPipe, and with it loses answers that
	// the child had given.
	out, childOut, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout = childOut
	require.NoError(t, cmd.Start())
	require.NoError(t, childOut.Close())
	reader := bufio.NewReader(out)
	line, err := reader.ReadString('\n')
	require.NoError(t, err, "the child did not open the file: %s", stderr)
	require.Equal(t, "ready\n", line)
	p := &process{cmd: cmd, client: rpc.NewClient(pipes{reader, in, out}), gone: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.gone) }()
	return p
}

type pipes struct {
	io.Reader
	io.WriteCloser
	out io.Closer
}

func (p pipes) Close() error { return errors.Join(p.WriteCloser.Close(), p.out.Close()) }

type safeBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = append(s.b, b...)
	return len(b), nil
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.b)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.gone
	_ = p.client.Close()
}

// remote is a handle on whichever process lives.
type remote struct {
	clock    registry.Clock
	process  func() *process
	answered *atomic.Int64
}

// do sends one request. When the process dies before the answer, the outcome is
// settled: it did or did not write the file, and does nothing any more.
func (r *remote) do(q Request) (Response, error) {
	q.Now = r.clock.Now() // once per call
	p, answer := r.process(), Response{}
	if err := p.client.Call("Child.Call", q, &answer); err != nil {
		<-p.gone
		return Response{}, &registry.AmbiguousError{Cause: err}
	}
	r.answered.Add(1)
	switch {
	case answer.Error != "":
		return Response{}, errors.New(answer.Error)
	case answer.Reason != "":
		answer.Refusal.Reason = answer.Reason.Err()
		return Response{}, &answer.Refusal
	}
	return answer, nil
}

func (r *remote) Claim(_ context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	a, err := r.do(Request{Kind: op.Claim, Actor: actor, Node: node, ID: id})
	return a.Lease, err
}
func (r *remote) Renew(_ context.Context, l registry.Lease) (registry.Lease, error) {
	a, err := r.do(Request{Kind: op.Renew, Lease: l})
	return a.Lease, err
}
func (r *remote) Release(_ context.Context, l registry.Lease) error {
	_, err := r.do(Request{Kind: op.Release, Lease: l})
	return err
}
func (r *remote) Transfer(_ context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	a, err := r.do(Request{Kind: op.Transfer, Lease: l, Node: to})
	return a.Lease, err
}
func (r *remote) Lookup(_ context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	a, err := r.do(Request{Kind: op.Lookup, Actor: actor})
	return a.Record, a.Found, err
}
func (r *remote) Validate(_ context.Context, actor registry.ActorID, token registry.Token) error {
	_, err := r.do(Request{Kind: op.Validate, Actor: actor, Token: token})
	return err
}
func (r *remote) ListActors(_ context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	a, err := r.do(Request{Kind: op.ListActors, Node: node, Page: page})
	return a.Records, a.Next, err
}
func (r *remote) RegisterNode(_ context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	a, err := r.do(Request{Kind: op.RegisterNode, Node: registry.NodeRef{ID: id}, Info: info, Mode: mode})
	return a.Node, err
}
func (r *remote) Heartbeat(_ context.Context, node registry.NodeRef) error {
	_, err := r.do(Request{Kind: op.Heartbeat, Node: node})
	return err
}
func (r *remote) MarkFailed(_ context.Context, node registry.NodeRef) error {
	_, err := r.do(Request{Kind: op.MarkFailed, Node: node})
	return err
}
func (r *remote) DeregisterNode(_ context.Context, node registry.NodeRef) error {
	_, err := r.do(Request{Kind: op.DeregisterNode, Node: node})
	return err
}
func (r *remote) GetNode(_ context.Context, id registry.NodeID) (registry.Node, bool, error) {
	a, err := r.do(Request{Kind: op.GetNode, Node: registry.NodeRef{ID: id}})
	return a.Node, a.Found, err
}
func (r *remote) ListNodes(_ context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	a, err := r.do(Request{Kind: op.ListNodes, Status: status, Page: page})
	return a.Nodes, a.Next, err
}
func (r *remote) Close() error { return nil }

// acknowledged is the highest that anybody was told, of every record and node.
type acknowledged struct {
	mu      sync.Mutex
	records map[registry.ActorID]registry.Placement
	nodes   map[registry.NodeID]registry.Epoch
}

func (a *acknowledged) record(p registry.Placement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.Version > a.records[p.Actor].Version {
		a.records[p.Actor] = p
	}
}

func (a *acknowledged) node(r registry.NodeRef) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nodes[r.ID] = max(a.nodes[r.ID], r.Epoch)
}

// lost reads back everything and says what went back.
func (a *acknowledged) lost(h registry.Handle) (lost []string, err error) {
	for actor, told := range a.records {
		p, _, err := h.Lookup(ctx, actor)
		if err != nil {
			return nil, err
		}
		if p.Version < told.Version || p.Token < told.Token || p.Version == told.Version && p != told {
			lost = append(lost, fmt.Sprintf("%+v was acknowledged, after the restart there is %+v", told, p))
		}
	}
	for id, told := range a.nodes {
		n, _, err := h.GetNode(ctx, id)
		if err != nil {
			return nil, err
		}
		if n.Ref.Epoch < told {
			lost = append(lost, fmt.Sprintf("epoch %d of %s was acknowledged, after the restart there is %v", told, id, n.Ref))
		}
	}
	return lost, nil
}

// ordeal is one file, the lives of the processes on it, and the history of all.
type ordeal struct {
	t        *testing.T
	path     string
	recorder *history.Recorder
	base     *registry.ManualClock
	current  atomic.Pointer[process]
	answered atomic.Int64
	clients  []registry.Handle
	told     acknowledged
	lazy     bool
}

const crashClients = 4

func newOrdeal(t *testing.T, lazy bool) *ordeal {
	o := &ordeal{t: t, path: filepath.Join(t.TempDir(), "registry"), lazy: lazy}
	o.record(func(clock registry.Clock) registry.Handle {
		return &remote{clock: clock, process: o.current.Load, answered: &o.answered}
	})
	return o
}

// record opens the clients' handles, with clocks all over the bound, and begins a history.
func (o *ordeal) record(open func(registry.Clock) registry.Handle) {
	o.recorder, o.base = history.NewRecorder(short), registry.NewManualClock(1000)
	o.told = acknowledged{records: map[registry.ActorID]registry.Placement{}, nodes: map[registry.NodeID]registry.Epoch{}}
	for i := range crashClients {
		name := fmt.Sprint("client", i)
		clock := o.recorder.Clock(name, registry.NewSkewedClock(o.base, time.Duration(i%5)-short.MaxClockSkew))
		o.clients = append(o.clients, o.recorder.Wrap(name, open(clock)))
	}
}

// life starts a process, reads back what was acknowledged, loads it until it dies,
// and returns what was lost over the death before.
func (o *ordeal) life(rnd *rand.Rand, point string) (lost []string) {
	p := start(o.t, o.path, point, 1+rnd.IntN(12), o.lazy)
	o.current.Store(p)
	defer p.kill()
	lost, err := o.told.lost(o.clients[0])
	require.NoError(o.t, err) // reads are no commits: nothing to die in yet
	until := o.answered.Load() + int64(rnd.IntN(40))
	var wg sync.WaitGroup
	for i, h := range o.clients {
		seed := rnd.Uint64()
		wg.Go(func() { o.load(h, i, rand.New(rand.NewPCG(seed, 1)), point, until) })
	}
	wg.Wait()
	return lost
}

// load makes calls until one is not answered. The process dies by itself, or after
// so many answers by the hand of the client that got the last.
func (o *ordeal) load(h registry.Handle, client int, rnd *rand.Rand, point string, until int64) {
	id := registry.NodeID(fmt.Sprintf("n%d", client))
	var self registry.NodeRef
	lease := registry.Lease{Holder: registry.NodeRef{ID: id, Epoch: 1}, Token: 1}
	for i := 0; ; i++ {
		err := o.step(h, rnd, id, &self, &lease)
		if _, ambiguous := errors.AsType[*registry.AmbiguousError](err); ambiguous {
			return
		}
		if _, refused := errors.AsType[*registry.Refusal](err); err != nil && !refused {
			assert.NoError(o.t, err)
			return
		}
		if point == pointRandom && o.answered.Load() >= until {
			_ = o.current.Load().cmd.Process.Kill()
		}
		if !assert.Less(o.t, i, 1000, "%q is never reached", point) {
			_ = o.current.Load().cmd.Process.Kill()
		}
		if rnd.IntN(8) == 0 {
			o.base.Advance(2)
		}
	}
}

// step makes one call.
func (o *ordeal) step(h registry.Handle, rnd *rand.Rand, id registry.NodeID, self *registry.NodeRef, lease *registry.Lease) error {
	actor := named([]string{"x", "y", "z"}[rnd.IntN(3)])
	if lease.Actor == (registry.ActorID{}) {
		lease.Actor = actor
	}
	granted := func(l registry.Lease, err error) error {
		if err == nil {
			*lease = l
			o.told.record(registry.Placement(l))
		}
		return err
	}
	pick := rnd.IntN(12)
	if self.IsZero() {
		pick = 0
	}
	switch pick {
	case 0:
		n, err := h.RegisterNode(ctx, id, registry.NodeInfo{}, registry.Supersede)
		if err == nil {
			*self = n.Ref
			o.told.node(n.Ref)
		}
		return err
	case 1, 2, 3:
		return granted(h.Claim(ctx, actor, *self, registry.ClaimID{byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), 1}))
	case 4, 5:
		return granted(h.Renew(ctx, *lease))
	case 6:
		return h.Release(ctx, *lease)
	case 7:
		return granted(h.Transfer(ctx, *lease, *self))
	case 8:
		return h.Heartbeat(ctx, *self)
	case 9:
		return h.MarkFailed(ctx, registry.NodeRef{ID: registry.NodeID(fmt.Sprintf("n%d", rnd.IntN(crashClients))), Epoch: self.Epoch})
	case 10:
		return h.Validate(ctx, actor, lease.Token)
	default:
		p, found, err := h.Lookup(ctx, actor)
		if found {
			o.told.record(p)
		}
		return err
	}
}

// livesPerFile bounds a history: every death leaves up to one unanswered call per
// client, and the check must decide about each.
const livesPerFile = 5

// TestKilled kills the store's process again and again, at every named point of a
// commit and at random, and demands (contract, section 4, Durability): nothing
// acknowledged is lost; tokens, versions and epochs never go back; what was not
// answered happened or did not; and what all clients saw over all lives is
// linearizable.
//
//	go test ./memimpl -run TestKilled -kills=1000 -crash-seed=7
func TestKilled(t *testing.T) {
	rnd, died := rand.New(rand.NewPCG(*crashSeed, 0)), map[string]int{}
	var calls, unanswered int
	for killed := 0; killed < *kills; {
		o := newOrdeal(t, false)
		for range min(livesPerFile, *kills-killed) {
			point := points[killed%len(points)]
			require.Empty(t, o.life(rnd, point), "kill %d (%s) of seed %d", killed, point, *crashSeed)
			died[point]++
			killed++
		}
		p := start(t, o.path, "", 0, false)
		o.current.Store(p)
		lost, err := o.told.lost(o.clients[0])
		p.kill()
		require.NoError(t, err)
		require.Empty(t, lost, "seed %d", *crashSeed)

		history := o.recorder.History()
		result := linearizability.Check(history, linearizability.Options{})
		require.Equal(t, linearizability.OK, result.Verdict, "kill %d of seed %d: %+v", killed, *crashSeed, result)
		calls += len(history.Ops)
		for _, o := range history.Ops {
			if o.Result.Outcome == op.Settled {
				unanswered++
			}
		}
	}
	t.Logf("%d kills, %d calls, %d of them unanswered, nothing lost; %v", *kills, calls, unanswered, died)
	require.GreaterOrEqual(t, unanswered, *kills, "every death leaves a call unanswered")
}

// TestAnswersBeforeSyncAreConvicted: the same harness against a store that answers
// first and writes later must find what is lost, by reading back and by the
// history alone.
func TestAnswersBeforeSyncAreConvicted(t *testing.T) {
	rnd := rand.New(rand.NewPCG(*crashSeed, 1))
	o := newOrdeal(t, true)
	var lost []string
	for lives := 0; lives < 4; lives++ {
		lost = append(lost, o.life(rnd, pointRandom)...)
	}
	require.NotEmpty(t, lost, "seed %d", *crashSeed)
	t.Logf("%d lost, the first: %s", len(lost), lost[0])
	result := linearizability.Check(o.recorder.History(), linearizability.Options{})
	require.Equal(t, linearizability.Illegal, result.Verdict, "seed %d", *crashSeed)
	t.Logf("%+v", result)
}

// TestConcurrentHistories: what concurrent clients see of a store in memory, by
// clocks that disagree, is linearizable (contract, section 4).
func TestConcurrentHistories(t *testing.T) {
	for round := range uint64(40) {
		store, err := New(short)
		require.NoError(t, err)
		o := &ordeal{t: t}
		o.record(func(clock registry.Clock) registry.Handle {
			h, err := store.Open(short, clock)
			require.NoError(t, err)
			return h
		})
		var wg sync.WaitGroup
		for i, h := range o.clients {
			rnd := rand.New(rand.NewPCG(round, uint64(i)))
			id := registry.NodeID(fmt.Sprintf("n%d", i))
			self, lease := registry.NodeRef{}, registry.Lease{Holder: registry.NodeRef{ID: id, Epoch: 1}, Token: 1}
			wg.Go(func() {
				for range 60 {
					err := o.step(h, rnd, id, &self, &lease)
					if _, refused := errors.AsType[*registry.Refusal](err); !refused {
						assert.NoError(t, err)
					}
					if rnd.IntN(4) == 0 {
						o.base.Advance(1)
						runtime.Gosched()
					}
				}
			})
		}
		wg.Wait()
		result := linearizability.Check(o.recorder.History(), linearizability.Options{})
		require.Equal(t, linearizability.OK, result.Verdict, "round %d: %+v", round, result)
	}
}
