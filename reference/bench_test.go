package reference

import "testing"

// BenchmarkExplore searches whole models, as TLC does for the entries
// registry-time and registry-member of the manifest.
func BenchmarkExplore(b *testing.B) {
	for _, file := range []string{"MCRegistryTime.cfg", "MCRegistryMember.cfg"} {
		b.Run(file, func(b *testing.B) {
			y := loadSystem(b, file)
			states, steps := 0, 0
			for b.Loop() {
				g, violation := y.Explore(Properties()...)
				if violation != nil {
					b.Fatal(violation)
				}
				states += len(g.States)
				steps += len(g.Edges)
			}
			b.ReportMetric(float64(states)/b.Elapsed().Seconds(), "states/s")
			b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
			b.ReportMetric(float64(states)/float64(b.N), "states")
		})
	}
}
