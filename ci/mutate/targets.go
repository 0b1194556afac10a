package main

import "path/filepath"

// target is a package that is mutated, and who judges it.
type target struct {
	dir    string // from the module root
	tags   string
	env    func(root string) []string // besides the process's own
	stages []stage                    // who judges, in order: each is asked when those before it found nothing
}

// stage is one judge: the suite's binary or go test, with these arguments.
type stage struct {
	kills Fate
	args  []string
}

func suite(args ...string) stage { return stage{KilledBySuite, args} }
func tests(args ...string) stage { return stage{KilledByTests, args} }

// The slow tests of fdbimpl take minutes, those of memimpl seconds. They are asked
// when everything quick has passed, and before them the suite's scripts, which are
// slow as well.
const (
	slowMem = "^Test(FlippedBits|StoreUnderEveryFault|CompactionBesideCommits|(Durable)?EqualsReference|Killed|AnswersBeforeSyncAreConvicted|LockTimeout)$"
	slowFdb = "^Test(EveryInterleavingOf(ThreeClaims|GuardedWrites)|FaultsInTwoOperations|ReadsThatCommuteAreLeftOutWithoutLoss)$"
)

// targets are the packages that decide who owns an actor.
var targets = []target{
	{dir: "internal/rules", env: withoutC, stages: []stage{
		suite("memimpl"), tests("./internal/rules", "./memimpl"),
	}},
	{dir: "memimpl", env: withoutC, stages: []stage{
		suite("memimpl", "quick"), suite("memimpl-file", "quick"), tests("-skip", slowMem, "./memimpl"),
		suite("memimpl", "edges"), tests("-run", slowMem, "./memimpl"),
	}},
	{dir: "fdbimpl", tags: "fdb,fdbsim", env: onStandIn, stages: []stage{
		suite("fdbimpl", "quick"), tests("-skip", slowFdb, "./fdbimpl"),
		suite("fdbimpl", "edges"), tests("-run", slowFdb, "./fdbimpl"),
	}},
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
