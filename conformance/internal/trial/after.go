package trial

import (
	"sync"
	"time"
)

// After calls f in a goroutine of its own when d has passed, unless it is stopped
// before. The time is counted in parts: a machine that stood still meanwhile, or gave
// this process no time, has used up one of them.
func After(d time.Duration, f func()) (stop func()) {
	var (
		mu    sync.Mutex
		timer *time.Timer
		part  = max(1, d/looksPerLimit)
		left  = looksPerLimit
	)
	tick := func() (over bool) {
		mu.Lock()
		defer mu.Unlock()
		if left--; left > 0 {
			timer.Reset(part)
		}
		return left == 0
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(part, func() {
		if tick() {
			f()
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		left = 0 // the next part is not the last one
		timer.Stop()
	}
}

// Expiry returns a channel that is closed [After] d.
func Expiry(d time.Duration) (expired <-chan struct{}, stop func()) {
	over := make(chan struct{})
	return over, After(d, func() { close(over) })
}
