package linearizability

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sync/errgroup"
)

// frontier is the set of states in which the operations placed so far may have
// left a partition: more than one after an operation whose outcome is unknown.
type frontier []*state

func (f frontier) equal(o frontier) bool {
	if len(f) != len(o) {
		return false
	}
	for _, s := range f {
		if !o.has(s) {
			return false
		}
	}
	return true
}

func (f frontier) has(s *state) bool {
	for _, t := range f {
		if t.equal(s) {
			return true
		}
	}
	return false
}

func (f frontier) hash() uint64 {
	var h uint64
	for _, s := range f {
		h ^= s.hash // a set: the order must not matter
	}
	return h
}

// advance places an event: the states that it can leave the frontier in.
func (m *rules) advance(f frontier, e *event) frontier {
	if len(f) == 1 {
		next := m.step(f[0], e)
		if len(next) < 2 {
			return next
		}
	}
	var out frontier
	for _, s := range f {
		for _, t := range m.step(s, e) {
			if !out.has(t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// model is the Porcupine model of a segment. Once stop is set no step succeeds
// any more and the search runs out; its result then means nothing.
func (m *rules) model(from *state, stop *atomic.Bool) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return frontier{from} },
		Step: func(f, in, _ any) (bool, any) {
			if stop.Load() {
				return false, f
			}
			next := m.advance(f.(frontier), in.(*event))
			return len(next) > 0, next
		},
		Equal: func(a, b any) bool { return a.(frontier).equal(b.(frontier)) },
		Hash:  func(f any) uint64 { return f.(frontier).hash() },
	}
}

func operations(events []*event) []porcupine.Operation {
	clients := map[string]int{}
	ops := make([]porcupine.Operation, len(events))
	for i, e := range events {
		id := 0
		if e.op != nil {
			n, ok := clients[e.op.Client]
			if !ok {
				n = len(clients)
				clients[e.op.Client] = n
			}
			id = n
		}
		ops[i] = porcupine.Operation{ClientId: id, Input: e, Call: e.call, Return: e.ret}
	}
	return ops
}

// failure is a segment that has no linearization.
type failure struct {
	part *partition
	seg  segment
}

// maxSegment bounds a single search: Porcupine keeps a bit for every operation
// of it at every step, so its memory grows with the square.
const maxSegment = 20_000

// maxOptional bounds the operations of one search whose outcome is unknown:
// each doubles it.
const maxOptional = 16

// search judges every partition and returns the first that has no
// linearization, in the order of parts, or why one could not be judged. It cuts
// them into segments of least events or more, or not at all for 0.
func search(ctx context.Context, cfg *rules, parts []*partition, least int, stats *Stats) (*failure, string) {
	var (
		stop     atomic.Bool
		mu       sync.Mutex
		failed   = map[int]*failure{}
		undecide string
	)
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range parts {
		group.Go(func() error {
			segs := []segment{{p.initial(), p.events}}
			if least > 0 {
				segs = p.cut(least)
			}
			f, why := cfg.judge(p, segs, &stop)
			mu.Lock()
			defer mu.Unlock()
			stats.count(segs)
			if f != nil {
				failed[i] = f
			}
			if why != "" && undecide == "" {
				undecide = why
			}
			return nil
		})
	}
	_ = group.Wait() // the functions return no errors
	for i := range parts {
		if f := failed[i]; f != nil {
			return f, ""
		}
	}
	return nil, undecide
}

// judge searches the segments of a partition in turn.
func (m *rules) judge(p *partition, segs []segment, stop *atomic.Bool) (*failure, string) {
	var why string
	for _, seg := range segs {
		if seg.unresolved() > 0 && m.passes(seg.certain(), stop) {
			continue
		}
		if unresolved := seg.unresolved(); len(seg.events) > maxSegment || unresolved > maxOptional {
			why = tooMuch(p, len(seg.events), unresolved)
			continue
		}
		ok := m.passes(seg, stop)
		if stop.Load() {
			return nil, "out of time in " + p.subject
		}
		if !ok {
			return &failure{p, seg}, ""
		}
	}
	return nil, why
}

// passes reports whether the segment has a linearization.
func (m *rules) passes(s segment, stop *atomic.Bool) bool {
	return len(s.events) <= maxSegment && porcupine.CheckOperations(m.model(s.from, stop), operations(s.events)) && !stop.Load()
}

// certain is the segment without the operations that may have had no effect. A
// linearization of it is one of the whole, in which they had none.
func (s segment) certain() segment {
	return segment{s.from, slices.DeleteFunc(slices.Clone(s.events), (*event).optional)}
}

// unresolved counts the operations that may or may not have had an effect.
func (s segment) unresolved() int {
	n := 0
	for _, e := range s.events {
		if e.optional() {
			n++
		}
	}
	return n
}

func (s *Stats) count(segs []segment) {
	s.Partitions++
	s.Segments += len(segs)
	for _, seg := range segs {
		s.Longest = max(s.Longest, len(seg.events))
		s.Unresolved += seg.unresolved()
	}
}
