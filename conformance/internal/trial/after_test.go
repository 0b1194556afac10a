package trial

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// What is called after a time is called then, once, and not when it was stopped before.
func TestAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		stop := After(8*time.Second, func() { calls++ })
		over, _ := Expiry(8 * time.Second)
		never := After(8*time.Second, func() { t.Error("it was stopped") })
		time.Sleep(8*time.Second - 1)
		synctest.Wait()
		assert.Zero(t, calls)
		never()
		time.Sleep(time.Second)
		<-over
		assert.Equal(t, 1, calls)
		stop()
		stop()
	})
}
