package concurrent

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/answers"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

// watchUnderWay is a watch that has not been answered.
type watchUnderWay struct {
	call call.Call
	done chan struct{} // closed when it is

	due       registry.Placement                 // what it has to wake for, as last looked up
	overslept atomic.Pointer[registry.Placement] // what it has not woken for, in all the time it had
}

// watches are those under way in a scenario. They may be used by several goroutines.
type watches struct {
	mu       sync.Mutex
	underWay []*watchUnderWay
}

// begins notes a watch that begins; ends says that it is answered.
func (w *watches) begins(c call.Call) (k *watchUnderWay, ends func()) {
	k = &watchUnderWay{call: c, done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.underWay = append(w.underWay, k)
	return k, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.underWay = slices.DeleteFunc(w.underWay, func(other *watchUnderWay) bool { return other == k })
		close(k.done)
	}
}

// forget leaves out those under way: their processes have died, and nothing wakes them.
func (w *watches) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.underWay = nil
}

// awaken waits, when nobody else is at work, for each watch under way whose record
// is another than the one seen: it must answer. One that does not within the time
// that any call may take has missed the change, and is convicted when it ends. One
// that ends before that is not: a deadline of the store's own may have ended it.
// look reads the record that a watch waits for.
func (w *watches) awaken(limit time.Duration, look func(watch call.Call) op.Result) {
	for {
		w.mu.Lock()
		waiting := slices.Clone(w.underWay)
		w.mu.Unlock()
		due := slices.IndexFunc(waiting, func(k *watchUnderWay) bool { return k.isDue(look(k.call)) })
		if due < 0 {
			return
		}
		over, stop := trial.Expiry(limit)
		select {
		case <-waiting[due].done:
			stop()
		case <-over:
			waiting[due].overslept.Store(&waiting[due].due)
			return
		}
	}
}

// isDue reports whether the watch has something to wake for, by what a lookup answers.
func (k *watchUnderWay) isDue(got op.Result) bool {
	k.due = got.Record
	return got.Err == nil && got.Record.Version != k.call.Seen
}

// judge objects to a watch that has not woken.
func (k *watchUnderWay) judge(got *op.Result) *answers.Objection {
	missed := k.overslept.Load()
	if missed == nil || got.Outcome != op.Cancelled {
		return nil
	}
	return &answers.Objection{Rule: contract.WatchWakes,
		Found:  fmt.Sprintf("nobody else was at work, and it did not wake though the version was %d", missed.Version),
		Wanted: fmt.Sprintf("the record at version %d", missed.Version)}
}
