package keeper

import (
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
)

// drift is the reciprocal of the rate by which a wall clock and an elapsed clock
// may run apart: one part in a thousand, twice what an NTP client slews at most.
const drift = 1000

// steady notices a wall clock that was set back. While all readings are within ε
// of true time, none can be more than 2ε lower than an earlier one plus the time
// elapsed since. One that is lower proves that the bound does not hold, and is
// replaced by that sum: the node goes by a reading that was within ε, if any was,
// and by the clock that never steps. A smaller step back is the clock's right and
// stays as it is.
//
// This is what makes the two parts of a deadline agree, see [Policy.deadlineOf]:
// a renewal that is sent under a clock set back by an hour must not add the
// lease's length to a record that the registry, by the same clock, did not extend.
type steady struct {
	bound time.Duration // of a step back that is the clock's right

	mu    sync.Mutex
	high  moment // the reading that the lowest credible one is reckoned from
	known bool
}

// newSteady allows for 2ε, and for two clocks that are not read at one instant
// and have their own resolution; that is far less than any safety margin.
func newSteady(cfg registry.Config) *steady {
	return &steady{bound: 2*cfg.MaxClockSkew + min(10*time.Millisecond, cfg.TTL/100)}
}

// reckon takes what the two clocks read and returns the moment that the node
// goes by, and by how much the wall clock was set back; 0 while it is credible.
func (s *steady) reckon(read moment) (now moment, back time.Duration) {
	since := read.elapsed - s.high.elapsed
	credible := s.high.wall.Add(since - since/drift)
	if !s.known || read.wall >= credible {
		s.high, s.known = read, true
		return read, 0
	}
	if back = credible.Sub(read.wall); back <= s.bound {
		return read, 0
	}
	return moment{credible, read.elapsed}, back
}

// read reads both clocks close together: a process that was stopped between the
// two would otherwise see one that stepped. The wall clock is read first, so that
// what remains of such a stop makes a deadline no later than it should be by the
// wall clock.
func (p *patience) read() moment {
	for try := 0; ; try++ {
		before := p.clock.Elapsed()
		m := moment{p.clock.Now(), p.clock.Elapsed()}
		if m.elapsed-before <= time.Millisecond || try == 3 {
			return m
		}
	}
}

// reading returns the moment that the node goes by, and by how much its wall
// clock was set back.
func (p *patience) reading() (now moment, back time.Duration) {
	p.steady.mu.Lock()
	defer p.steady.mu.Unlock()
	return p.steady.reckon(p.read())
}

func (p *patience) moment() moment {
	now, _ := p.reading()
	return now
}

// moment is one look at a node's two clocks. The wall clock is the one that
// expiries are written in and may step; the elapsed clock never steps and may
// stand still while the machine sleeps. A belief must hold by both.
type moment struct {
	wall    registry.Instant
	elapsed time.Duration
}

// before reports whether m has reached neither part of the deadline.
func (m moment) before(deadline moment) bool {
	return m.wall < deadline.wall && m.elapsed < deadline.elapsed
}

// until returns the time from m to the first part of the deadline.
func (m moment) until(deadline moment) time.Duration {
	return min(deadline.wall.Sub(m.wall), deadline.elapsed-m.elapsed)
}
