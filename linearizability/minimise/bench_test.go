package minimise

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/kelpie-registry/registry/linearizability"
)

// BenchmarkHistory measures how long a long history takes to become a short
// one: a stale lookup of one actor with 32 clients. left is the story's length.
func BenchmarkHistory(b *testing.B) {
	for _, ops := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("ops=%d", ops), func(b *testing.B) {
			h := staleLookup(ops)
			v := linearizability.Check(h, linearizability.Options{}).Violations[0]
			left, before := 0, processorTime()
			for b.Loop() {
				left = len(History(h, v, linearizability.Options{}).Ops)
			}
			b.ReportMetric((processorTime()-before).Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(left), "left")
		})
	}
}

// processorTime is what the process has used so far: it tells less of what else
// the machine does than the time on the wall.
func processorTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // 0 where there is none
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
