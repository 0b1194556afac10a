package reference

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
)

// million is a model of a million states.
var million = changed{"million", "MCRegistryMember.cfg", [][2]string{
	{"Grace", "1"}, {"MaxEpoch", "3"}, {"MaxToken", "3"}, {"MaxVersion", "4"},
}}

// changed is a model of the specification folder with some constants set.
type changed struct {
	name, file string
	set        [][2]string
}

func (m changed) config(t testing.TB) tlc.Config {
	text, err := os.ReadFile(specDir + "/" + m.file)
	require.NoError(t, err)
	cfg, err := tlc.ParseConfig(string(text))
	require.NoError(t, err)
	for _, s := range m.set {
		cfg.Set(s[0], s[1])
	}
	return cfg
}

// BenchmarkExplore searches whole models, with the explorer and with TLC: the
// entries registry-time and registry-member of the manifest, one of a million states,
// and one of a single state, which says what a search costs before it begins (for TLC
// starting Java and reading the modules). Both judge the explorer's properties, on
// all cores, and must find the same number of states. On a busy machine only
// cpu-ms, the processor time of a search, says anything.
func BenchmarkExplore(b *testing.B) {
	for _, m := range []changed{
		{"empty", "MCRegistryTime.cfg", [][2]string{{"Acts", `{}`}}},
		{"time", "MCRegistryTime.cfg", nil},
		{"member", "MCRegistryMember.cfg", nil},
		million,
	} {
		cfg := m.config(b)
		want := 0 // states
		b.Run("model="+m.name+"/impl=explorer", func(b *testing.B) {
			y := systemOf(b, cfg, m.file)
			before := processorTime()
			for b.Loop() {
				g, violation := y.Explore(Properties()...)
				require.Nil(b, violation)
				want = g.Len()
			}
			reportStates(b, want, processorTime()-before)
		})
		b.Run("model="+m.name+"/impl=tlc", func(b *testing.B) {
			tool, err := findTLC()
			if errors.Is(err, tlc.ErrNoTLC) {
				// Go hides a benchmark's reason to skip.
				fmt.Printf("skipped: %s: %v\n", b.Name(), err)
				b.SkipNow()
			}
			require.NoError(b, err)
			job := tlc.Job{FS: os.DirFS(specDir), Module: "Registry", Config: onlyExplored(cfg),
				Args: []string{"-workers", strconv.Itoa(runtime.GOMAXPROCS(0))},
				JVM:  []string{"-XX:TieredStopAtLevel=4"}} // so long a run gains by the better compiler
			var used time.Duration
			for b.Loop() {
				out, err := tlc.Run(b.Context(), tool, job)
				require.NoError(b, err)
				require.Equal(b, tlc.OK, out.Verdict, out.Message)
				if want != 0 { // the explorer was selected, too
					require.EqualValues(b, want, out.Distinct)
				}
				want = int(out.Distinct)
				used += out.CPU
			}
			reportStates(b, want, used)
		})
	}
}

// findTLC fetches TLC once, and not while something is measured.
var findTLC = sync.OnceValues(func() (tlc.Tool, error) { return tlc.Find(context.Background()) })

// onlyExplored leaves of what TLC would check what the explorer checks, in all states
// that it looks at.
func onlyExplored(cfg tlc.Config) tlc.Config {
	unknown := func(name string) bool {
		return !slices.ContainsFunc(Properties(), func(p Property) bool { return p.Name == name })
	}
	cfg.Invariants = slices.DeleteFunc(slices.Clone(cfg.Invariants), unknown)
	cfg.Properties = slices.DeleteFunc(slices.Clone(cfg.Properties), unknown)
	cfg.Symmetry = ""
	return cfg
}

func reportStates(b *testing.B, states int, used time.Duration) {
	b.ReportMetric(float64(states)*float64(b.N)/b.Elapsed().Seconds(), "states/s")
	b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "cpu-ms")
	b.ReportMetric(float64(states), "states")
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // 0 where there is none
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
