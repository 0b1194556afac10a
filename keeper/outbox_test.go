package keeper

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// Events are told in their order, by one goroutine that ends when all are told.
func TestOutboxTellsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(outbox)
		var told []int
		for i := range 1000 {
			if i%100 == 0 {
				synctest.Wait()
			}
			o.post(func() { told = append(told, i) })
		}
		synctest.Wait()
		assert.Len(t, told, 1000)
		assert.IsIncreasing(t, told)
		assert.False(t, o.running)
	})
}

// A consumer that stands still loses routine events first, is told how many are
// missing and where, and holds nobody up.
func TestOutboxDropsBehindItsBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		var told []string
		var missing []int
		o := &outbox{gap: func(n int) { told = append(told, "gap"); missing = append(missing, n) }}
		o.post(func() { <-free })
		synctest.Wait()
		for range backlog {
			o.postRoutine(func() { told = append(told, "routine") })
		}
		for range backlog {
			o.post(func() { told = append(told, "state") })
		}
		assert.LessOrEqual(t, len(o.events), backlog+1)
		close(free)
		synctest.Wait()
		o.post(func() { told = append(told, "later") })
		synctest.Wait()
		count := map[string]int{}
		for _, what := range told {
			count[what]++
		}
		assert.Equal(t, backlog/2, count["routine"])
		assert.GreaterOrEqual(t, count["state"], backlog/2-1)
		assert.Equal(t, []string{"gap", "later"}, told[len(told)-2:])
		sum := 0
		for _, n := range missing {
			sum += n
		}
		assert.EqualValues(t, sum, o.count())
		assert.Equal(t, 2*backlog, count["routine"]+count["state"]+sum)
	})
}

// Code that ends its goroutine does not end the telling.
func TestOutboxSurvivesGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(outbox)
		told := false
		o.post(runtime.Goexit)
		o.post(func() { told = true })
		synctest.Wait()
		assert.True(t, told)
	})
}
