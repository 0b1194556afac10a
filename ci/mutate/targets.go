package main

import "path/filepath"

// target is a package that is mutated, and who judges it.
type target struct {
	dir   string   // from the module root
	tests []string // packages whose own tests judge what the suite let live
	slow  string   // regexp of those tests that are asked last; "" when nothing is slow
	judge string   // the backend that the suite judges
	tags  string
	env   func(root string) []string // besides the process's own
}

// targets are the packages that decide who owns an actor.
var targets = []target{
	{dir: "internal/rules", tests: []string{"./internal/rules", "./memimpl"}, judge: "memimpl", env: withoutC},
	{dir: "memimpl", tests: []string{"./memimpl"}, judge: "memimpl", env: withoutC},
	{dir: "fdbimpl", tests: []string{"./fdbimpl"}, judge: "fdbimpl", tags: "fdb,fdbsim", env: onStandIn,
		slow: "^Test(EveryInterleavingOf(ThreeClaims|GuardedWrites)|FaultsInTwoOperations)$"},
}

// stage is one judge: the suite's binary or go test, with these arguments.
type stage struct {
	kills Fate
	args  []string
}

// stages are who judges, in order. Each is asked when those before it found nothing.
// A target with slow tests is slow in the suite's scripts as well; both come when
// everything quick has passed.
func (t target) stages() []stage {
	if t.slow == "" {
		return []stage{
			{KilledBySuite, []string{t.judge}},
			{KilledByTests, t.tests},
		}
	}
	return []stage{
		{KilledBySuite, []string{t.judge, "quick"}},
		{KilledByTests, append([]string{"-skip", t.slow}, t.tests...)},
		{KilledBySuite, []string{t.judge, "edges"}},
		{KilledByTests, append([]string{"-run", t.slow}, t.tests...)},
	}
}

func withoutC(string) []string { return []string{"CGO_ENABLED=0"} }

// onStandIn builds the binding against the stand-in for libfdb_c.
func onStandIn(root string) []string {
	sim := filepath.Join(root, "fdbsim")
	return []string{
		"CGO_ENABLED=1",
		"CGO_CFLAGS=-I" + filepath.Join(sim, "include"),
		"CGO_LDFLAGS=-L" + filepath.Join(sim, "lib"),
	}
}
