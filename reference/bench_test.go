package reference

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
)

// BenchmarkExplore searches whole models, with the explorer and with TLC: the
// entries registry-time and registry-member of the manifest, and one of a single
// state, which says what a search costs before it begins (for TLC starting Java and
// reading the modules). Both judge the explorer's properties, on one core, and must
// find the same number of states.
func BenchmarkExplore(b *testing.B) {
	for _, m := range []struct {
		name, file string
		set        [][2]string
	}{
		{"empty", "MCRegistryTime.cfg", [][2]string{{"Acts", `{}`}}},
		{"time", "MCRegistryTime.cfg", nil},
		{"member", "MCRegistryMember.cfg", nil},
	} {
		text, err := os.ReadFile(specDir + "/" + m.file)
		require.NoError(b, err)
		cfg, err := tlc.ParseConfig(string(text))
		require.NoError(b, err)
		for _, s := range m.set {
			cfg.Set(s[0], s[1])
		}
		want := 0 // states
		b.Run("model="+m.name+"/impl=explorer", func(b *testing.B) {
			y := systemOf(b, cfg, m.file)
			for b.Loop() {
				g, violation := y.Explore(Properties()...)
				require.Nil(b, violation)
				want = len(g.States)
			}
			reportStates(b, want)
		})
		b.Run("model="+m.name+"/impl=tlc", func(b *testing.B) {
			tool, err := findTLC()
			if errors.Is(err, tlc.ErrNoTLC) {
				// Go hides a benchmark's reason to skip.
				fmt.Printf("skipped: %s: %v\n", b.Name(), err)
				b.SkipNow()
			}
			require.NoError(b, err)
			job := tlc.Job{FS: os.DirFS(specDir), Module: "Registry", Config: onlyExplored(cfg)}
			for b.Loop() {
				out, err := tlc.Run(b.Context(), tool, job)
				require.NoError(b, err)
				require.Equal(b, tlc.OK, out.Verdict, out.Message)
				if want != 0 { // the explorer was selected, too
					require.EqualValues(b, want, out.Distinct)
				}
				want = int(out.Distinct)
			}
			reportStates(b, want)
		})
	}
}

// findTLC fetches TLC once, and not while something is measured.
var findTLC = sync.OnceValues(func() (tlc.Tool, error) { return tlc.Find(context.Background()) })

// onlyExplored leaves of what TLC would check what the explorer checks.
func onlyExplored(cfg tlc.Config) tlc.Config {
	unknown := func(name string) bool {
		return !slices.ContainsFunc(Properties(), func(p Property) bool { return p.Name == name })
	}
	cfg.Invariants = slices.DeleteFunc(slices.Clone(cfg.Invariants), unknown)
	cfg.Properties = slices.DeleteFunc(slices.Clone(cfg.Properties), unknown)
	return cfg
}

func reportStates(b *testing.B, states int) {
	b.ReportMetric(float64(states)*float64(b.N)/b.Elapsed().Seconds(), "states/s")
	b.ReportMetric(float64(states), "states")
}
