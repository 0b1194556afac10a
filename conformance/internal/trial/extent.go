package trial

import (
	"context"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/op"
)

// extent indexes the measures of [Maxima].
type extent int

const (
	highestToken extent = iota
	highestVersion
	highestEpoch
	mostRecords
	mostNodes
	mostOperations
	largestBatch
	largestPage
	longestSpan
	longestSilence
	mostInFlight
	mostAtClose
	contextsEnded
	crashesUnderWay
	newcomers
	extents
)

// extentNames are the measures' names; those of durations and of sums are told apart.
var extentNames = [extents]struct {
	name     string
	duration bool
}{
	highestToken:    {name: "highest token"},
	highestVersion:  {name: "highest version"},
	highestEpoch:    {name: "highest epoch"},
	mostRecords:     {name: "most records in a cluster"},
	mostNodes:       {name: "most nodes in a cluster"},
	mostOperations:  {name: "most operations on a cluster"},
	largestBatch:    {name: "most leases in a batch"},
	largestPage:     {name: "most rows in a page"},
	longestSpan:     {name: "longest span of a cluster's clock readings", duration: true},
	longestSilence:  {name: "longest silence between two operations", duration: true},
	mostInFlight:    {name: "most operations at the same time on a handle"},
	mostAtClose:     {name: "most operations under way at a Close"},
	contextsEnded:   {name: "contexts that ended during a mutating call"},
	crashesUnderWay: {name: "crashes with operations under way"},
	newcomers:       {name: "nodes that joined after others had claimed"},
}

// Maxima collects how far the histories of a run go. It is shared by all of
// its sessions and takes no lock, so that it orders nothing that a backend races.
type Maxima struct {
	most     [extents]atomic.Uint64
	readings span
}

// NewMaxima returns maxima of nothing.
func NewMaxima() *Maxima {
	o := new(Maxima)
	o.readings.reset()
	return o
}

// raise makes v the most of e, if it is.
func (o *Maxima) raise(e extent, v uint64) {
	a := &o.most[e]
	for old := a.Load(); v > old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// add counts one more of e.
func (o *Maxima) add(e extent) { o.most[e].Add(1) }

// span is from the earliest to the latest of some instants.
type span struct{ first, last atomic.Int64 }

func (s *span) reset() {
	s.first.Store(math.MaxInt64)
	s.last.Store(math.MinInt64)
}

// add makes i one of the instants and returns how long the span is now.
func (s *span) add(i registry.Instant) time.Duration {
	for old := s.first.Load(); int64(i) < old && !s.first.CompareAndSwap(old, int64(i)); old = s.first.Load() {
	}
	for old := s.last.Load(); int64(i) > old && !s.last.CompareAndSwap(old, int64(i)); old = s.last.Load() {
	}
	return time.Duration(s.last.Load() - s.first.Load())
}

// Measures lists what was reached.
func (o *Maxima) Measures() []report.Measure {
	var list []report.Measure
	for e, what := range extentNames {
		v := o.most[e].Load()
		m := report.Measure{Name: what.name, Value: strconv.FormatUint(v, 10)}
		m.Text = m.Value
		if what.duration {
			m.Text = time.Duration(v).String()
		}
		list = append(list, m)
	}
	first, last := registry.Instant(o.readings.first.Load()), registry.Instant(o.readings.last.Load())
	if first > last { // no clock was read
		return list
	}
	reading := func(name string, i registry.Instant) report.Measure {
		return report.Measure{Name: name, Value: strconv.FormatInt(int64(i), 10), Text: i.String()}
	}
	return append(list, reading("earliest clock reading", first), reading("latest clock reading", last))
}

// meter measures one cluster. Everything that a session's handles do
// and read passes through it.
type meter struct {
	run     *Maxima
	silence *Silence
	time    *registry.ManualClock // true time

	operations atomic.Uint64
	underWay   atomic.Int64
	last       atomic.Int64 // true time of the operation before
	claimed    atomic.Bool  // something was granted

	readings span

	mu      sync.Mutex // guards what follows; taken for first grants and first registrations only
	records map[registry.ActorID]struct{}
	nodes   map[registry.NodeID]struct{}
}

func newMeter(j *Judgement, time *registry.ManualClock) *meter {
	m := &meter{run: j.Maxima, silence: &j.Silence, time: time, records: map[registry.ActorID]struct{}{}, nodes: map[registry.NodeID]struct{}{}}
	m.readings.reset()
	return m
}

// clock passes readings on and notes them.
func (m *meter) clock(base registry.Clock) registry.Clock { return meteredClock{base, m} }

type meteredClock struct {
	base registry.Clock
	m    *meter
}

func (k meteredClock) Now() registry.Instant {
	now := k.base.Now()
	k.m.run.readings.add(now)
	k.m.run.raise(longestSpan, uint64(k.m.readings.add(now)))
	return now
}

// wrap passes the calls of a handle on and notes what they are and what they answer.
func (m *meter) wrap(h registry.Handle) registry.Handle {
	inFlight := new(atomic.Int64)
	var vain [32]inVain // by kind
	return op.Handle(func(ctx context.Context, c op.Call) op.Result {
		m.begin(&c, inFlight)
		defer m.underWay.Add(-1)
		defer inFlight.Add(-1)
		live := !contexts.HasEnded(ctx)
		r := op.Do(ctx, h, &c)
		if c.Kind.Mutates() && live && contexts.HasEnded(ctx) {
			m.run.add(contextsEnded)
		}
		m.learn(&c, &r)
		m.silence.hearsCall(ctx, &c, &r, &vain[c.Kind])
		return r
	}, op.PowersOf(h))
}

func (m *meter) begin(c *op.Call, inFlight *atomic.Int64) {
	m.underWay.Add(1)
	others := inFlight.Add(1) - 1
	if c.Kind == op.Close {
		m.run.raise(mostAtClose, uint64(others))
		return
	}
	m.run.raise(mostInFlight, uint64(others+1))
	m.run.raise(largestBatch, uint64(len(c.Leases)))
	now := int64(m.time.Now())
	silence, n := now-m.last.Swap(now), m.operations.Add(1)
	m.run.raise(mostOperations, n)
	if n > 1 && silence > 0 {
		m.run.raise(longestSilence, uint64(silence))
	}
}

func (m *meter) learn(c *op.Call, r *op.Result) {
	m.run.raise(largestPage, uint64(max(len(r.Actors), len(r.Nodes))))
	if r.Err != nil {
		return
	}
	m.run.raise(highestToken, uint64(r.Record.Token))
	m.run.raise(highestVersion, uint64(r.Record.Version))
	m.run.raise(highestEpoch, uint64(r.Node.Ref.Epoch))
	switch {
	case c.Kind == op.Claim && r.Record.Version == 1:
		m.claimed.Store(true)
		m.mu.Lock()
		m.records[c.Actor] = struct{}{}
		m.run.raise(mostRecords, uint64(len(m.records)))
		m.mu.Unlock()
	case c.Kind == op.RegisterNode && r.Node.Ref.Epoch == 1:
		m.mu.Lock()
		if _, known := m.nodes[c.Node.ID]; !known && m.claimed.Load() {
			m.run.add(newcomers)
		}
		m.nodes[c.Node.ID] = struct{}{}
		m.run.raise(mostNodes, uint64(len(m.nodes)))
		m.mu.Unlock()
	}
}

// crash notes that the cluster is about to be crashed.
func (m *meter) crash() {
	if m.underWay.Load() > 0 {
		m.run.add(crashesUnderWay)
	}
}

// ExtentText is the measures as a paragraph for a log.
func ExtentText(list []report.Measure) string {
	var parts []string
	for _, m := range list {
		parts = append(parts, m.Name+" "+m.Text)
	}
	return "how far this run went: " + strings.Join(parts, ", ")
}
