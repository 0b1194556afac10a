package linearizability

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// handful is how many operations are worth a goroutine of their own.
const handful = 500

// hands is how many goroutines look at that many operations.
func hands(operations int) int { return min(runtime.GOMAXPROCS(0), 1+operations/handful) }

// spread calls f for 0 to n-1, each in a goroutine of its own unless there is only one.
func spread(n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	var group errgroup.Group
	for i := range n {
		group.Go(func() error { f(i); return nil })
	}
	_ = group.Wait() // the functions return no errors
}

// inTurn has n goroutines do the jobs 0 to jobs-1, each the next that nobody does yet.
// What one of them keeps between its jobs is made by begin.
func inTurn(n, jobs int, begin func() func(job int)) {
	var next atomic.Int64
	spread(min(n, jobs), func(int) {
		do := begin()
		for i := int(next.Add(1)) - 1; i < jobs; i = int(next.Add(1)) - 1 {
			do(i)
		}
	})
}
