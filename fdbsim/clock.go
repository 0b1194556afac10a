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
	when  time.Duration
	seq   uint64 // among equals, first set first
	index int    // in the heap, -1 when it has fired or was stopped
	tr    *Transaction
	fire  func()
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if h[i].when != h[j].when {
		return h[i].when < h[j].when
	}
	return h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}

// stop takes a timer back, so that nothing of its transaction is kept for its sake.
func (c *Cluster) stop(t *timer) {
	if t != nil && t.index >= 0 {
		heap.Remove(&c.timers, t.index)
	}
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
		if t.tr == tr && (next == nil || t.when < next.when) {
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
