package conformance

import (
	"context"
	"time"
)

// pause waits for d of real time. It serves backends whose time the suite
// cannot move.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
