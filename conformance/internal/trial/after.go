package trial

import (
	"sync"
	"time"
)

// After calls f in a goroutine of its own when d has passed, unless it is stopped
// before. The time is counted in parts: a machine that stood still meanwhile, or gave
// this process no time, has used up one of them.
func After(d time.Duration, f func()) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		part := time.NewTicker(max(1, d/looksPerLimit))
		defer part.Stop()
		for range looksPerLimit {
			select {
			case <-part.C:
			case <-stopped:
				return
			}
		}
		f()
	}()
	return sync.OnceFunc(func() { close(stopped) })
}

// Expiry returns a channel that is closed [After] d.
func Expiry(d time.Duration) (expired <-chan struct{}, stop func()) {
	over := make(chan struct{})
	return over, After(d, func() { close(over) })
}
