package linearizability

import (
	"fmt"
	"testing"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

// benchHistory is made of about so many overlapping claims, renewals, releases, validations
// and look-ups of 8 clients.
func benchHistory(ops, actors int) History {
	return simulation{choose: seeded(1), clients: 8, actors: actors, steps: ops * 3, quiet: true}.run()
}

// The throughput of the checker, by the size of the history and the number of
// actors, with and without cutting at versions. A check without has 10 s; one
// that does not finish reports how far the limit goes as its Unknown verdict.
func BenchmarkCheck(b *testing.B) {
	for _, hints := range []bool{true, false} {
		for _, ops := range []int{1_000, 10_000, 100_000} {
			for _, actors := range []int{1, 10, 1_000} {
				b.Run(fmt.Sprintf("hints=%v/ops=%d/actors=%d", hints, ops, actors), func(b *testing.B) {
					h := benchHistory(ops, actors)
					var res Result
					for b.Loop() {
						res = Check(h, Options{NoHints: !hints, Timeout: 10 * time.Second})
					}
					if res.Verdict == Illegal {
						b.Fatalf("%+v", res.Violations)
					}
					decided := 1.0
					if res.Verdict == Unknown {
						decided = 0
					}
					b.ReportMetric(decided, "decided")
					b.ReportMetric(float64(len(h.Ops))*float64(b.N)/b.Elapsed().Seconds(), "ops/s")
					b.ReportMetric(float64(res.Stats.Longest), "longest")
				})
			}
		}
	}
}

// What recording costs: a Validate on the reference, bare and recorded.
func BenchmarkRecorder(b *testing.B) {
	for _, recorded := range []bool{false, true} {
		b.Run(fmt.Sprintf("recorded=%v", recorded), func(b *testing.B) {
			store, err := reference.NewStore(testConfig)
			if err != nil {
				b.Fatal(err)
			}
			clock := registry.Clock(registry.NewManualClock(testStart))
			rec := NewRecorder(testConfig)
			if recorded {
				clock = rec.Clock("n", clock)
			}
			var h registry.Handle
			if h, err = store.Open(testConfig, clock); err != nil {
				b.Fatal(err)
			}
			if recorded {
				h = rec.Wrap("n", h)
			}
			ctx := b.Context()
			n, err := h.RegisterNode(ctx, "n", registry.NodeInfo{}, registry.IfAbsent)
			if err != nil {
				b.Fatal(err)
			}
			l, err := h.Claim(ctx, registry.ActorID{Namespace: "ns", Name: "a"}, n.Ref, registry.NewClaimID())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Renew(ctx, l); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
