package linearizability

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/anishathalye/porcupine"
)

// model is the Porcupine model of a search from a state, in which the pending
// operations may take effect at any place. Once stop is set no step succeeds any
// more and the search runs out; its result then means nothing. tooMany is set when
// a place of the order can be reached in more ways than can be followed.
//
// Porcupine's NondeterministicModel would keep the set of points. It boxes each of
// them and merges them pair by pair: with it, the search of one actor's partition of
// eight clients allocated 35 % more often and took 17 % more processor time (median
// of three paired runs). Its timeout bounds one search and takes no context; stop
// bounds all the searches of a check.
func (m *rules) model(from *state, pending []unknown, stop, tooMany *atomic.Bool) porcupine.Model {
	steps := 0 // Porcupine searches one part of operations by one goroutine
	return porcupine.Model{
		Init: func() any { return frontier{points: []point{{state: from}}} },
		Step: func(f, in, _ any) (bool, any) {
			if stop.Load() || tooMany.Load() {
				return false, f
			}
			steps++
			next, many := m.advance(f.(frontier), in.(*event), pending)
			many = many || m.effort > 0 && steps > m.effort
			if many {
				tooMany.Store(true)
			}
			return len(next.points) > 0 && !many, next
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
	stats.Partitions = stats.Replayed + len(parts)
	one := func(i int) {
		p := parts[i]
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
	}
	inTurn(runtime.GOMAXPROCS(0), len(parts), func() func(int) { return one })
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
		pending := unknowns(seg.events)
		if len(seg.events) > maxSegment || len(pending) > maxUnknown {
			why = tooMuch(p, len(seg.events), len(pending))
			continue
		}
		ok, tooMany := m.passes(seg, pending, stop)
		switch {
		case stop.Load():
			return nil, "out of time in " + p.subject
		case tooMany:
			why = fmt.Sprintf("%s: %d unknown outcomes of %d operations in one search can have left more than %d states", p.subject, len(pending), len(seg.events), maxPoints)
		case !ok:
			return &failure{p, seg}, ""
		}
	}
	return nil, why
}

// passes reports whether the segment has a linearization.
func (m *rules) passes(s segment, pending []unknown, stop *atomic.Bool) (ok, tooMany bool) {
	if len(pending) > 0 { // often none of them is needed
		if ok, _ := m.search(s, nil, stop); ok || stop.Load() {
			return ok, false
		}
	}
	return m.search(s, pending, stop)
}

// search has Porcupine order the segment's certain events.
func (m *rules) search(s segment, pending []unknown, stop *atomic.Bool) (ok, tooMany bool) {
	var many atomic.Bool
	ok = porcupine.CheckOperations(m.model(s.from, pending, stop, &many), operations(s.certain()))
	return ok && !stop.Load() && !many.Load(), many.Load()
}

// certain are the events that took effect, or were answered.
func (s segment) certain() []*event {
	return slices.DeleteFunc(slices.Clone(s.events), (*event).optional)
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
	s.Segments += len(segs)
	for _, seg := range segs {
		s.Longest = max(s.Longest, len(seg.events))
		s.Unresolved += seg.unresolved()
	}
}
