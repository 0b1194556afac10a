package trial

import (
	"context"
	"slices"
	"sync"
	"time"
)

// watchdog knows the calls of a trial that are under way, and finds those that do
// not return. One timer is enough for all of them: it counts how often it has fired
// during a call.
type watchdog struct {
	limit time.Duration // of a call, after which its context has ended
	bites func(hanging []*callUnderWay)

	mu    sync.Mutex
	calls map[*callUnderWay]struct{}
	timer *time.Timer
	over  bool
}

// callUnderWay is a call that has not returned.
type callUnderWay struct {
	describe func() string
	waits    context.Context // as long as this goes on it may wait; nil: it may not
	age      int             // how often the timer has fired since it began, or since it may not wait any more
}

// looksPerLimit is how often the watchdog looks while a call may take as long as it may.
const looksPerLimit = 4

func newWatchdog(limit time.Duration, bites func(hanging []*callUnderWay)) *watchdog {
	d := &watchdog{limit: limit, bites: bites, calls: map[*callUnderWay]struct{}{}}
	d.mu.Lock() // the first look may come before the timer is known
	defer d.mu.Unlock()
	d.timer = time.AfterFunc(limit/looksPerLimit, d.look)
	return d
}

// begin notes a call; what it returns ends it. describe is called only when it hangs.
func (d *watchdog) begin(describe func() string, waits context.Context) (end func()) {
	c := &callUnderWay{describe: describe, waits: waits}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls[c] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.calls, c)
	}
}

// look bites when a call takes twice as long as it may, and lists with it all whose
// time is over.
func (d *watchdog) look() {
	d.mu.Lock()
	var hanging []*callUnderWay
	oldest := 0
	for c := range d.calls {
		if c.waits != nil && c.waits.Err() == nil {
			continue
		}
		c.age++
		oldest = max(oldest, c.age)
		if c.age > looksPerLimit {
			hanging = append(hanging, c)
		}
	}
	bites := oldest > 2*looksPerLimit && !d.over
	if bites {
		d.over = true
	}
	if !d.over {
		d.timer.Reset(d.limit / looksPerLimit)
	}
	d.mu.Unlock()
	if bites {
		slices.SortStableFunc(hanging, func(a, b *callUnderWay) int { return b.age - a.age })
		d.bites(hanging)
	}
}

// stop ends the watch.
func (d *watchdog) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	d.timer.Stop()
}
