package concurrent

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/answers"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

// watchUnderWay is a watch that has not been answered.
type watchUnderWay struct {
	call call.Call
	done chan struct{} // closed when it is

	overslept atomic.Pointer[registry.Placement] // what it should have woken for
}

// begins notes a watch that begins; ends says that it is answered.
func (p *scenarioRun) begins(c call.Call) (k *watchUnderWay, ends func()) {
	k = &watchUnderWay{call: c, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watches = append(p.watches, k)
	return k, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.watches = slices.DeleteFunc(p.watches, func(other *watchUnderWay) bool { return other == k })
		close(k.done)
	}
}

// awaken waits, when nobody else is at work, for each watch under way whose record
// is another than the one seen: it must answer. One that does not within the time
// that any call may take has missed the change, and is convicted when it ends.
func (p *scenarioRun) awaken() {
	for {
		p.mu.Lock()
		waiting := slices.Clone(p.watches)
		p.mu.Unlock()
		due := slices.IndexFunc(waiting, p.due)
		if due < 0 {
			return
		}
		select {
		case <-waiting[due].done:
		case <-time.After(p.T.Judge.Opts.CallTimeout):
			return
		}
	}
}

// due reports whether a watch has something to wake for. It looks through a handle
// that is not recorded.
func (p *scenarioRun) due(k *watchUnderWay) bool {
	h, err := p.Cluster.Open(p.s.cfg, p.clocks[0])
	if err != nil {
		return false
	}
	defer h.Close()
	var got op.Result
	p.T.Watch(func() string { return "a lookup beside " + k.call.String() }, func(ctx context.Context) {
		look := call.Lookup(k.call.Actor)
		got = look.Do(ctx, h)
	})
	if got.Err != nil || got.Record.Version == k.call.Seen {
		return false
	}
	k.overslept.Store(&got.Record)
	return true
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
