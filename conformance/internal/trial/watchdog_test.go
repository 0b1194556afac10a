package trial

import "testing"

// The timer may fire before its maker goes on.
func TestWatchdogThatLooksAtOnce(t *testing.T) {
	for range 1000 {
		d := newWatchdog(looksPerLimit, func([]*callUnderWay) { t.Error("no call is under way") })
		d.stop()
	}
}
