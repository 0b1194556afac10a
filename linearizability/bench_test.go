package linearizability

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// benchClients is how many operations of a benchmarked history overlap at most.
const benchClients = 8

// benchRun is a cluster of 8 nodes on the reference, each with one operation
// under way. A step calls one, lets it take effect or lets it return, so that the
// history is linearizable by construction; memory and time are linear in it.
type benchRun struct {
	rand    *rand.Rand
	actors  []registry.ActorID
	clock   *registry.ManualClock
	handle  registry.Handle
	nodes   [benchClients]registry.NodeRef
	leases  [benchClients]map[int]registry.Lease
	flying  [benchClients]func() // the next step of the client's operation
	stamp   int64
	claims  uint64
	unknown float64 // share of operations whose answer is lost
	history history.History
}

// benchHistory has that many operations: who holds an actor mostly renews, who
// does not mostly claims; leases lapse now and then. An actor is visited every
// half second on average, however many there are. Of the share unknown nobody
// learns whether they took effect, which every second does.
func benchHistory(b testing.TB, ops, actors int, unknown float64) history.History {
	store, err := reference.NewStore(simulate.Config)
	if err != nil {
		b.Fatal(err)
	}
	r := &benchRun{rand: rand.New(rand.NewPCG(1, uint64(actors))), clock: registry.NewManualClock(simulate.Start), unknown: unknown}
	r.history = history.History{Config: simulate.Config, Ops: make([]history.Op, 0, ops)}
	if r.handle, err = store.Open(simulate.Config, r.clock); err != nil {
		b.Fatal(err)
	}
	for i := range actors {
		r.actors = append(r.actors, registry.ActorID{Namespace: "bench", Name: fmt.Sprintf("actor-%06d", i)})
	}
	for c := range r.leases {
		r.leases[c] = map[int]registry.Lease{}
	}
	pace := int64(time.Second) / int64(3*actors) // three steps are an operation
	for under := 0; under > 0 || len(r.history.Ops) < ops; {
		r.clock.Advance(time.Duration(r.rand.Int64N(pace)))
		c := r.rand.IntN(benchClients)
		switch {
		case r.flying[c] != nil:
			if r.flying[c](); r.flying[c] == nil {
				under--
			}
		case len(r.history.Ops) < ops:
			r.begin(c)
			under++
		}
	}
	return r.history
}

// begin calls an operation of client c; then flying takes it on.
func (r *benchRun) begin(c int) {
	id, actor := len(r.history.Ops), r.rand.IntN(len(r.actors))
	r.stamp++
	r.history.Ops = append(r.history.Ops, history.Op{
		ID: id, Client: fmt.Sprintf("c%d", c), Call: r.draw(c, actor), Result: op.Result{Outcome: op.Pending}, Invoked: r.stamp, Returned: history.Never,
	})
	finish := func() {
		r.stamp++
		r.history.Ops[id].Returned = r.stamp
		r.flying[c] = nil
	}
	r.flying[c] = func() {
		o := &r.history.Ops[id]
		o.Clock = history.Seen(r.clock.Now())
		r.flying[c] = finish
		if o.Call.Kind != op.RegisterNode && r.rand.Float64() < r.unknown {
			if r.rand.IntN(2) == 0 {
				r.do(c, actor, &o.Call)
			}
			o.Result = op.Failed(op.Settled.Err("lost"))
			return
		}
		o.Result = r.do(c, actor, &o.Call)
	}
}

// draw says what the next operation of client c is.
func (r *benchRun) draw(c, actor int) op.Call {
	name := r.actors[actor]
	if r.nodes[c].IsZero() {
		return op.Call{Kind: op.RegisterNode, Node: registry.NodeRef{ID: registry.NodeID(fmt.Sprintf("n%d", c))}, Mode: registry.Supersede}
	}
	lease, held := r.leases[c][actor]
	switch n := r.rand.IntN(10); {
	case n == 0:
		return op.Call{Kind: op.Lookup, Actor: name}
	case held && n == 1:
		return op.Call{Kind: op.Validate, Actor: name, Token: lease.Token}
	case held && n == 2:
		delete(r.leases[c], actor)
		return op.OnLease(op.Release, lease)
	case held:
		return op.OnLease(op.Renew, lease)
	}
	r.claims++
	var id registry.ClaimID
	binary.BigEndian.PutUint64(id[:], r.claims)
	return op.Call{Kind: op.Claim, Actor: name, Node: r.nodes[c], ClaimID: id}
}

// do lets the operation take effect, and client c learn from it.
func (r *benchRun) do(c, actor int, call *op.Call) op.Result {
	result := op.Do(context.Background(), r.handle, call)
	switch call.Kind {
	case op.RegisterNode:
		r.nodes[c] = result.Node.Ref
	case op.Renew:
		if result.Err != nil {
			delete(r.leases[c], actor)
		}
	case op.Claim:
		if result.Err == nil {
			r.leases[c][actor] = result.Lease()
		}
	}
	return result
}

// BenchmarkCheck measures the checker, by the size of the history and the number
// of actors, with and without cutting at versions ("hints"). A check that does not
// decide the history within 5 minutes, or cannot, says why and has no ops/s; what a
// check keeps beside the history is its peak-MB.
func BenchmarkCheck(b *testing.B) {
	for _, ops := range []int{1_000, 10_000, 100_000, 1_000_000} {
		for _, actors := range []int{1, 10, 1_000} {
			for _, unknown := range []float64{0, 0.01} {
				if unknown > 0 && ops != 10_000 && ops != 1_000_000 {
					continue // what unknown outcomes do to a search shows there
				}
				b.Run(fmt.Sprintf("ops=%d/actors=%d/unknown=%v", ops, actors, unknown), func(b *testing.B) {
					if need, free := ops*2_500/1e6, availableMB(); free < need {
						// Go hides a benchmark's reason to skip.
						fmt.Printf("skipped: %s: out of memory: %d operations need up to %d MB, %d MB are free\n", b.Name(), ops, need, free)
						b.SkipNow()
					}
					h := benchHistory(b, ops, actors, unknown)
					for _, hints := range []bool{true, false} {
						if !hints && unknown > 0 && ops > 10_000 {
							continue // not decided, after a long time
						}
						b.Run(fmt.Sprintf("hints=%v", hints), func(b *testing.B) { measureCheck(b, h, Options{NoHints: !hints, Timeout: 5 * time.Minute}) })
					}
				})
			}
		}
	}
}

func measureCheck(b *testing.B, h history.History, opts Options) {
	runtime.GC()
	peak, before := watchHeap(), processorTime()
	var res Result
	for b.Loop() {
		res = Check(h, opts)
	}
	mb, used, decided := peak(), processorTime()-before, 0.0
	b.ReportMetric(used.Seconds()*1e9/float64(len(h.Ops)*b.N), "cpu-ns/operation")
	switch res.Verdict {
	case OK:
		decided = 1
		b.ReportMetric(float64(len(h.Ops))*float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	case Illegal:
		b.Fatalf("%+v", res.Violations)
	default:
		b.Log("undecided: " + res.Reason)
	}
	b.ReportMetric(decided, "decided")
	b.ReportMetric(float64(res.Stats.Longest), "longest")
	b.ReportMetric(mb, "peak-MB")
}

// BenchmarkStream measures the check of a history while it grows. What it keeps is
// its peak-MB, whatever the length.
var streamOps = flag.Int("stream.ops", 10_000_000, "the operations of the longest stream")

func BenchmarkStream(b *testing.B) {
	for _, ops := range []int{1_000_000, *streamOps} {
		for _, actors := range []int{1, 1_000} {
			b.Run(fmt.Sprintf("ops=%d/actors=%d", ops, actors), func(b *testing.B) {
				e := newEndless(benchHistory(b, 100_000, actors, 0))
				for b.Loop() {
					measureStream(b, e, ops)
				}
			})
		}
	}
}

func measureStream(b *testing.B, e *endless, ops int) {
	s := NewStream(e.h.Config)
	runtime.GC()
	peak, before := watchHeap(), processorTime()
	for i := range ops {
		o := e.op(i)
		if !s.Add(&o) {
			_, res := s.Result()
			b.Fatalf("%+v", res.Violations)
		}
	}
	s.End()
	if _, res := s.Result(); res.Verdict != OK {
		b.Fatal(res.Reason)
	}
	mb, used := peak(), processorTime()-before
	b.ReportMetric(mb, "peak-MB")
	b.ReportMetric(used.Seconds()*1e9/float64(ops), "cpu-ns/operation")
}

// endless is a history that goes on: each round is the one before, an hour later,
// with the records as that left them and the nodes registered anew.
type endless struct {
	h    history.History
	span int64 // of its stamps
	last map[registry.ActorID]registry.Placement
}

func newEndless(h history.History) *endless {
	e := &endless{h: h, last: map[registry.ActorID]registry.Placement{}}
	// That there is no record yet is true in one round only.
	e.h.Ops = slices.DeleteFunc(h.Ops, func(o history.Op) bool { return o.Call.Kind == op.Lookup && !o.Result.Found })
	for i := range e.h.Ops {
		o := &e.h.Ops[i]
		e.span = max(e.span, o.Returned+1)
		if r := o.Result.Record; r.Version > e.last[r.Actor].Version {
			e.last[r.Actor] = r
		}
	}
	for i := range e.h.Ops {
		o := &e.h.Ops[i]
		if r := e.last[o.Call.Actor]; o.Call.Kind == op.Release && o.Result.Outcome == op.OK && r.Held() && r.Token == o.Call.Token {
			r.Version++ // nobody has seen it
			r.Holder = registry.NodeRef{}
			e.last[o.Call.Actor] = r
		}
	}
	return e
}

func (e *endless) op(i int) history.Op {
	round := i / len(e.h.Ops)
	o := e.h.Ops[i%len(e.h.Ops)]
	last := e.last[o.Call.Actor]
	stamps, later := int64(round)*e.span, registry.Instant(int64(round)*int64(24*time.Hour))
	o.Invoked, o.Returned = o.Invoked+stamps, o.Returned+stamps
	o.Clock = history.Seen(o.Clock.Seen[0] + later)
	epoch := func(r *registry.NodeRef) {
		if r.Epoch > 0 {
			r.Epoch += registry.Epoch(round)
		}
	}
	token, version := last.Token*registry.Token(round), last.Version*registry.Version(round)
	q, r := &o.Call, &o.Result
	epoch(&q.Node)
	epoch(&r.Node.Ref)
	epoch(&r.Record.Holder)
	r.Node.LastSeen += later
	if q.Token > 0 {
		q.Token += token
	}
	if r.Record.Version > 0 {
		r.Record.Token, r.Record.Version, r.Record.Expiry = r.Record.Token+token, r.Record.Version+version, r.Record.Expiry+later
	}
	if r.Now != 0 {
		r.Now += later
	}
	return o
}

// processorTime is what the process has used so far: it tells less of what else
// the machine does than the time on the wall.
func processorTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // 0 where there is none
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// watchHeap begins to sample the heap; what it returns ends that and tells by how
// much it grew at most.
func watchHeap() (end func() float64) {
	heap := func() float64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		return float64(s[0].Value.Uint64()) / 1e6
	}
	before, stop, most := heap(), make(chan struct{}), make(chan float64)
	go func() {
		peak := before
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, heap())
			select {
			case <-tick.C:
			case <-stop:
				most <- peak - before
				return
			}
		}
	}()
	return func() float64 { close(stop); return <-most }
}

// availableMB is what Linux would give without swapping; elsewhere it is not asked.
func availableMB() int {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return math.MaxInt
	}
	var kB int
	if _, after, ok := strings.Cut(string(text), "MemAvailable:"); !ok {
		return math.MaxInt
	} else if _, err := fmt.Sscan(after, &kB); err != nil {
		return math.MaxInt
	}
	return kB / 1000
}

// BenchmarkRecorder measures what recording costs: operations on memimpl from
// several goroutines, each a node with a handle and a clock of its own, bare and
// through a Recorder.
func BenchmarkRecorder(b *testing.B) {
	for _, o := range []string{"renew", "lookup"} {
		for _, goroutines := range []int{1, 8} {
			for _, recorded := range []bool{false, true} {
				b.Run(fmt.Sprintf("op=%s/goroutines=%d/recorded=%v", o, goroutines, recorded), func(b *testing.B) {
					b.ReportAllocs()
					measureRecorder(b, o, goroutines, recorded)
				})
			}
		}
	}
}

func measureRecorder(b *testing.B, o string, goroutines int, recorded bool) {
	store, err := memimpl.New(simulate.Config)
	if err != nil {
		b.Fatal(err)
	}
	rec, ctx := history.NewRecorder(simulate.Config), b.Context()
	handles, leases := make([]registry.Handle, goroutines), make([]registry.Lease, goroutines)
	for g := range goroutines {
		name, clock := fmt.Sprintf("n%d", g), registry.SystemClock()
		if recorded {
			clock = rec.Clock(name, clock)
		}
		if handles[g], err = store.Open(simulate.Config, clock); err != nil {
			b.Fatal(err)
		}
		if recorded {
			handles[g] = rec.Wrap(name, handles[g])
		}
		n, err := handles[g].RegisterNode(ctx, registry.NodeID(name), registry.NodeInfo{}, registry.IfAbsent)
		if err != nil {
			b.Fatal(err)
		}
		if leases[g], err = handles[g].Claim(ctx, registry.ActorID{Namespace: "bench", Name: name}, n.Ref, registry.NewClaimID()); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	before := processorTime()
	b.ResetTimer()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range b.N/goroutines + 1 {
				var err error
				if o == "renew" {
					_, err = handles[g].Renew(ctx, leases[g])
				} else {
					_, _, err = handles[g].Lookup(ctx, leases[g].Actor)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric((processorTime()-before).Seconds()*1e9/float64(b.N), "cpu-ns/operation")
}
