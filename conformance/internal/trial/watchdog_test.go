package trial

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// The timer may fire before its maker goes on.
func TestWatchdogThatLooksAtOnce(t *testing.T) {
	for range 1000 {
		d := newWatchdog(looksPerLimit, func([]*callUnderWay) { t.Error("no call is under way") })
		d.stop()
	}
}

// A watch waits for as long as its context goes on, however slow those are whom it
// waits for. From then on it may take as long as any call.
func TestWatchdogLetsAWatchWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Second
		var hung string
		d := newWatchdog(limit, func(hanging []*callUnderWay) { hung = hanging[0].describe() })
		defer d.stop()
		ctx, cancel := context.WithCancel(t.Context())
		defer d.begin(func() string { return "the watch" }, ctx)()
		time.Sleep(10*limit + limit/2/looksPerLimit) // between two looks
		assert.Empty(t, hung)
		cancel()
		time.Sleep(2 * limit)
		assert.Empty(t, hung)
		time.Sleep(limit)
		assert.Equal(t, "the watch", hung)
	})
}
