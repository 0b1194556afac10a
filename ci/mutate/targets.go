package main

import "path/filepath"

// target is a package that is mutated, and who judges it.
type target struct {
	dir   string   // from the module root
	tests []string // packages whose own tests judge what the suite let live
	slow  string   // regexp of those tests that are asked last; "" for none
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

// passes are the arguments of the runs of go test that ask all tests, the quick
// ones first.
func (t target) passes() [][]string {
	if t.slow == "" {
		return [][]string{nil}
	}
	return [][]string{{"-skip", t.slow}, {"-run", t.slow}}
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
