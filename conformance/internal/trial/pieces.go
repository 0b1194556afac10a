package trial

import (
	"sync"
	"sync/atomic"
)

// Idle are the places of cases of a judgement that has none left to judge. A case that
// is under way can work on several of its pieces in them.
type Idle chan struct{}

// Leave leaves one place to the cases that are under way.
func (i Idle) Leave() { i <- struct{}{} }

// InOrder carries out pieces 0 to n-1 of a case that have nothing to do with each
// other: one after the other, and as many more at the same time as there are idle
// places. A piece begins after all before it have begun. When one returns false none
// begins any more, so that of those that were carried out the first that returned
// false is the same as if they had been carried out alone.
func (t *Trial) InOrder(n int, carryOut func(piece int) (goOn bool)) {
	var next atomic.Int64
	var ended atomic.Bool
	var helpers sync.WaitGroup
	var work func()
	work = func() {
		for !ended.Load() {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			select {
			case <-t.Judge.Idle:
				helpers.Go(func() {
					defer t.Judge.Idle.Leave()
					work()
				})
			default:
			}
			if !carryOut(i) {
				ended.Store(true)
			}
		}
	}
	work()
	helpers.Wait()
}
