package fdbsim

import (
	"container/heap"
	"time"
)

// ClockMode says who moves simulated time.
type ClockMode int

const (
	// ClockAuto advances time to the next thing a waiting caller waits for (a backoff, a timeout, a
	// delayed answer), so that nothing ever sleeps. Commits take CommitCost. The default.
	ClockAuto ClockMode = iota
	// ClockManual leaves time where it is until Advance moves it.
	ClockManual
)

// timer is something that will happen at a simulated time.
type timer struct {
	when    time.Duration
	seq     uint64 // among equals, first set first
	tr      *Transaction
	fire    func()
	stopped bool
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if h[i].when != h[j].when {
		return h[i].when < h[j].when
	}
	return h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)   { *h = append(*h, x.(*timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}

// after sets a timer for the sake of tr.
func (c *Cluster) after(d time.Duration, tr *Transaction, fire func()) *timer {
	c.seq++
	t := &timer{when: c.now + d, seq: c.seq, tr: tr, fire: fire}
	heap.Push(&c.timers, t)
	return t
}

// nextTimerOf is the earliest timer that concerns tr, nil if there is none.
func (c *Cluster) nextTimerOf(tr *Transaction) *timer {
	var next *timer
	for _, t := range c.timers {
		if t.tr == tr && !t.stopped && (next == nil || t.when < next.when) {
			next = t
		}
	}
	return next
}

// advanceTo moves time to when and lets everything happen that is due by then, in order.
func (c *Cluster) advanceTo(when time.Duration) {
	for len(c.timers) > 0 && c.timers[0].when <= when {
		c.setNow(c.timers[0].when)
		c.drain() // which fires it
	}
	c.setNow(when)
	c.drain()
}

// setNow moves time; the version clock moves along only while the cluster runs.
func (c *Cluster) setNow(when time.Duration) {
	if when <= c.now {
		return
	}
	passed := when - c.now
	c.now = when
	if c.state == serverRunning {
		c.versionClock += passed.Microseconds()
	} else {
		c.stoppedFor += passed
	}
}

// Advance moves simulated time by d.
func (c *Cluster) Advance(d time.Duration) { c.do(func() { c.advanceTo(c.now + d) }) }

// Now is the simulated time since the cluster was made.
func (c *Cluster) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}
