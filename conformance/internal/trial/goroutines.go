package trial

import (
	"context"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/kelpie-registry/registry/op"
)

// Goroutines are told apart by labels of the profiler, which every goroutine inherits
// from the one that starts it: so those of one trial are found, whatever else runs in
// the process.

// trialLabel is the key of the label of all goroutines of a trial.
const trialLabel = "conformance.trial"

var labels atomic.Uint64

// Labelled runs f, and what it starts, under the key with a value of its own.
func Labelled(ctx context.Context, key string, f func(value string)) {
	value := strconv.FormatUint(labels.Add(1), 10)
	pprof.Do(ctx, pprof.Labels(key, value), func(context.Context) { f(value) })
}

// goroutineGroup is some goroutines at the same place.
type goroutineGroup struct {
	count int
	stack []string // functions, the innermost first, without those of the runtime and of the suite
}

// Goroutines are those of a backend, the most numerous group first.
type Goroutines []goroutineGroup

var profileGroup = regexp.MustCompile(`(?m)^(\d+) @[^\n]*\n# labels: (\{[^\n]*\})\n((?:#\t[^\n]*\n)*)`)

// GoroutinesUnder returns the goroutines under a label, but for those that do nothing
// of the backend.
func GoroutinesUnder(key, value string) (list Goroutines) {
	var b strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return nil
	}
	for _, group := range profileGroup.FindAllStringSubmatch(b.String(), -1) {
		if stack := ofBackend(group[3]); len(stack) > 0 && strings.Contains(group[2], fmt.Sprintf("%q:%q", key, value)) {
			n, _ := strconv.Atoi(group[1])
			list = append(list, goroutineGroup{n, stack})
		}
	}
	slices.SortStableFunc(list, func(a, b goroutineGroup) int { return b.count - a.count })
	return list
}

// Count returns how many there are.
func (list Goroutines) Count() (n int) {
	for _, g := range list {
		n += g.count
	}
	return n
}

// The most that is shown of goroutines.
const (
	shownGroups = 8
	shownFrames = 6
)

// String shows a line for each group, indented.
func (list Goroutines) String() string {
	var lines []string
	for _, g := range list[:min(len(list), shownGroups)] {
		lines = append(lines, fmt.Sprintf("  %d in %s", g.count, strings.Join(g.stack[:min(len(g.stack), shownFrames)], " < ")))
	}
	if more := len(list) - shownGroups; more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d groups more", more))
	}
	return strings.Join(lines, "\n")
}

// suitePackages begin the names of functions that are the suite's way to a backend.
var suitePackages = func() (prefixes []string) {
	own := reflect.TypeFor[Goroutines]().PkgPath() // conformance/internal/trial
	return []string{path.Dir(own) + "/", path.Dir(path.Dir(own)) + ".", reflect.TypeFor[op.Call]().PkgPath() + "."}
}()

// ofBackend returns the functions of a stack of the profile, up to the suite's own.
func ofBackend(stack string) (names []string) {
	for line := range strings.Lines(stack) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		name, _, _ := strings.Cut(f[2], "+")
		switch {
		case slices.ContainsFunc(suitePackages, func(p string) bool { return strings.HasPrefix(name, p) }):
			return names
		case !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "runtime/pprof.") && !strings.HasPrefix(name, "sync.") && !strings.HasPrefix(name, "internal/"):
			names = append(names, name[strings.LastIndexByte(name, '/')+1:])
		}
	}
	return names
}
