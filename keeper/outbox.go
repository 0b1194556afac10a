package keeper

import "sync"

// backlog bounds the events that wait for an observer or a logger. An event may
// stand for many leases: those of a batch, those lost at one instant.
const backlog = 4096

// outbox tells observers, loggers and callbacks what happened: one after the
// other, in the order in which it happened, on a goroutine of its own that runs
// while there is something to tell. Posting appends to a list and never waits, so
// code that is called this way delays nothing but what it is told next, and may
// call back whatever it likes.
//
// When the backlog is full events are dropped and counted. Routine ones (calls
// that were answered) are dropped from half of it, so that a change of state
// (degraded, lost) is dropped only behind thousands of others.
type outbox struct {
	gap func(dropped int) // told, in its place, that events are missing

	mu      sync.Mutex
	events  []func()
	running bool
	missing int    // dropped since the last event that was kept
	dropped uint64 // in all
}

// post tells a change of state.
func (o *outbox) post(f func()) { o.add(f, backlog) }

// postRoutine tells what happens all the time.
func (o *outbox) postRoutine(f func()) { o.add(f, backlog/2) }

func (o *outbox) add(f func(), limit int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.events) >= limit {
		o.missing++
		o.dropped++
		return
	}
	if n := o.missing; n > 0 {
		o.missing = 0
		o.events = append(o.events, func() { o.gap(n) })
	}
	o.events = append(o.events, f)
	if !o.running {
		o.running = true
		go o.drain()
	}
}

// drain tells what there is and ends. Code that ends its goroutine is replaced
// by another one.
func (o *outbox) drain() {
	done := false
	defer func() {
		if !done {
			go o.drain()
		}
	}()
	for {
		o.mu.Lock()
		if len(o.events) == 0 {
			o.events, o.running = nil, false
			o.mu.Unlock()
			done = true
			return
		}
		f := o.events[0]
		o.events[0] = nil
		o.events = o.events[1:]
		o.mu.Unlock()
		f()
	}
}

func (o *outbox) count() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}
