package keeper

import (
	"time"

	"github.com/kelpie-registry/registry"
)

// Clock is a node's clock with the two powers that keeping a lease needs
// beyond a reading: a clock that never steps, and timers. Implementations are
// safe for concurrent use. No method blocks; stop does not wait for f.
type Clock interface {
	registry.Clock

	// Elapsed returns the time since some fixed instant by a clock that never
	// steps. A wall clock that was set back cannot prolong a belief past it.
	Elapsed() time.Duration

	// AfterFunc calls f on its own goroutine once d has passed, unless stop is
	// called before.
	AfterFunc(d time.Duration, f func()) (stop func())
}

// SystemClock returns the machine's clocks and timers.
func SystemClock() Clock { return WithTimers(registry.SystemClock()) }

// WithTimers adds the machine's timers and its monotonic clock to a node's wall
// clock. It panics when wall is nil.
func WithTimers(wall registry.Clock) Clock {
	if err := present("wall clock", wall); err != nil {
		panic("keeper.WithTimers: " + err.Error())
	}
	return systemTimers{wall, time.Now()}
}

type systemTimers struct {
	registry.Clock
	start time.Time
}

func (c systemTimers) Elapsed() time.Duration { return time.Since(c.start) }

func (c systemTimers) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}
