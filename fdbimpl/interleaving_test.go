//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

var ctxb = context.Background()

// The operations that the pairs are made of. x is held by node a, whose clock is
// slow in the second phase: its lease is in grace there, and reclaimable by the
// clocks of the others.
var (
	claimB = operation{"claim by b", "b", func(w *world, h registry.Handle) {
		_, _ = h.Claim(ctxb, actorID("x"), w.nodes["b"], claimID(1))
	}}
	claimC = operation{"claim by c", "c", func(w *world, h registry.Handle) {
		_, _ = h.Claim(ctxb, actorID("x"), w.nodes["c"], claimID(2))
	}}
	claimA = operation{"claim by a", "a", func(w *world, h registry.Handle) {
		_, _ = h.Claim(ctxb, actorID("x"), w.nodes["a"], claimID(3))
	}}
	renew    = operation{"renewal", "a", func(w *world, h registry.Handle) { _, _ = h.Renew(ctxb, w.lease) }}
	release  = operation{"release", "a", func(w *world, h registry.Handle) { _ = h.Release(ctxb, w.lease) }}
	transfer = operation{"transfer to b", "a", func(w *world, h registry.Handle) {
		_, _ = h.Transfer(ctxb, w.lease, w.nodes["b"])
	}}
	lookup     = operation{"lookup", "c", func(w *world, h registry.Handle) { _, _, _ = h.Lookup(ctxb, actorID("x")) }}
	validate   = operation{"validation", "c", func(w *world, h registry.Handle) { _ = h.Validate(ctxb, w.lease.Actor, w.lease.Token) }}
	listA      = operation{"list of a", "c", func(w *world, h registry.Handle) { _, _, _ = h.ListActors(ctxb, w.nodes["a"], registry.Page{}) }}
	heartbeatB = operation{"heartbeat of b", "b", func(w *world, h registry.Handle) { _ = h.Heartbeat(ctxb, w.nodes["b"]) }}
	failB      = operation{"failure of b", "c", func(w *world, h registry.Handle) { _ = h.MarkFailed(ctxb, w.nodes["b"]) }}
	supersedeB = operation{"restart of b", "b", func(w *world, h registry.Handle) {
		_, _ = h.RegisterNode(ctxb, "b", registry.NodeInfo{}, registry.Supersede)
	}}
	leaveB = operation{"departure of b", "b", func(w *world, h registry.Handle) { _ = h.DeregisterNode(ctxb, w.nodes["b"]) }}
	getB   = operation{"look at b", "c", func(w *world, h registry.Handle) { _, _, _ = h.GetNode(ctxb, "b") }}
)

var allOperations = []operation{
	claimB, renew, release, transfer, lookup, validate, listA,
	heartbeatB, failB, supersedeB, leaveB, getB,
}

// live: a holds x, nobody may take it.
func live(w *world) {
	w.register("a", "b")
	w.claim("a")
	w.setClocks(at(10e9))
}

// lapsing: a may just still renew by its own slow clock, the others may claim.
func lapsing(w *world) {
	w.register("a", "b")
	w.claim("a")
	w.setClocks(at(lapse))
	w.clocks["a"].Set(at(registry.DefaultTTL + registry.DefaultGrace - 1))
}

// lapsed: a held x, anybody may claim it by every clock.
func lapsed(w *world) {
	w.register("a", "b")
	w.claim("a")
	w.setClocks(at(lapse))
}

// free: nobody has ever held x.
func free(w *world) { w.register("a", "b") }

// withC registers a third node too.
func withC(before func(*world)) func(*world) {
	return func(w *world) { before(w); w.register("c") }
}

// pairs returns every unordered pair of operations, each also with itself.
func pairs(ops []operation) [][]operation {
	var out [][]operation
	for i, a := range ops {
		for _, b := range ops[i:] {
			b.name += " (2)"
			out = append(out, []operation{a, b})
		}
	}
	return out
}

var phases = []struct {
	name   string
	before func(*world)
}{{"live", live}, {"lapsing", lapsing}}

// report prints what was explored.
func (e *explorer) report(what string) {
	e.t.Logf("%s: %d schedules, %d steps; faults %v; ambiguous answers %v", what, e.runs-e.abandoned, e.steps, e.faults, e.ambiguous)
}

// all explores a scenario completely.
func (e *explorer) all(sc scenario, faults int) {
	e.t.Helper()
	_, all, wrong := e.explore(sc, faults, 1e6)
	require.Empty(e.t, wrong)
	require.True(e.t, all, "%s: not all schedules were run", sc.name)
}

func TestEveryInterleavingOfTwoOperations(t *testing.T) {
	e := newExplorer(t)
	for _, phase := range phases {
		for _, ops := range pairs(allOperations) {
			e.all(scenario{name: phase.name + ": " + ops[0].name + " and " + ops[1].name, before: phase.before, ops: ops}, 0)
		}
	}
	e.report("two operations")
}

// FDBIMPL_EXPLORE=most runs every schedule of two operations with a fault, which takes a
// minute; all runs those of three claims too, and every order of their reads, which takes
// ten.
var (
	exhaustive = os.Getenv("FDBIMPL_EXPLORE") == "most" || all
	all        = os.Getenv("FDBIMPL_EXPLORE") == "all"
)

// samples is how many schedules with up to two faults are drawn of a scenario otherwise.
const samples = 12

// Every fault at every step: of the pairs that decide about ownership in every run,
// of all pairs with FDBIMPL_EXPLORE=most; and of all pairs drawn schedules with up
// to two faults.
func TestFaultsInTwoOperations(t *testing.T) {
	e := newExplorer(t)
	e.joinReads, e.commute = true, true
	e.all(scenario{name: "claim and renewal", before: lapsing, ops: []operation{claimB, renew}}, 1)
	e.report("claim and renewal, one fault at every step")
	every, drawn := newExplorer(t), newExplorer(t)
	every.joinReads, every.commute = true, true
	seed := seedOf(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, phase := range phases {
		for _, ops := range pairs(allOperations) {
			sc := scenario{name: phase.name + ": " + ops[0].name + " and " + ops[1].name, before: phase.before, ops: ops}
			if exhaustive {
				every.all(sc, 1)
			}
			drawn.sample(sc, 2, samples, seed, rng)
		}
	}
	if exhaustive {
		every.report("all pairs, one fault at every step")
	}
	drawn.report("all pairs, up to two faults, drawn")
}

func seedOf(t *testing.T) uint64 {
	seed := uint64(1)
	if s := os.Getenv("FDBIMPL_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	return seed
}

func TestEveryInterleavingOfThreeClaims(t *testing.T) {
	claims := []operation{claimA, claimB, claimC}
	seed := seedOf(t)
	rng := rand.New(rand.NewPCG(seed, 3))
	for _, actor := range []struct {
		name   string
		before func(*world)
	}{{"free", free}, {"lapsed", lapsed}} {
		sc := scenario{name: "three claims of a " + actor.name + " actor", before: withC(actor.before), ops: claims}
		e := newExplorer(t)
		e.joinReads = !all
		e.all(sc, 0)
		e.report(sc.name)
		e = newExplorer(t)
		e.sample(sc, 2, 100*samples, seed, rng)
		e.report(sc.name + ", up to two faults, drawn")
		if all {
			e = newExplorer(t)
			e.joinReads, e.interchangeable, e.commute = true, true, true
			e.all(sc, 1)
			e.report(sc.name + ", one fault at every step")
		}
	}
}

// What an exploration leaves out is represented by what it keeps: the answers that
// three calls can get, taken together, are the same with the reduction and without.
func TestReadsThatCommuteAreLeftOutWithoutLoss(t *testing.T) {
	answers := func(commute bool) (map[string]bool, *explorer) {
		e := newExplorer(t)
		e.joinReads, e.commute = true, commute
		e.only = []string{"1021 applied", "1038"}
		seen := map[string]bool{}
		e.all(scenario{
			before: lapsing, ops: []operation{claimB, renew, release},
			after: func(w *world) error {
				var line strings.Builder
				for _, kind := range []op.Kind{op.Claim, op.Renew, op.Release} {
					for _, o := range w.rec.History().Ops {
						if o.Call.Kind == kind {
							fmt.Fprintln(&line, kind, o.Result.Outcome, o.Result)
						}
					}
				}
				seen[line.String()] = true
				return nil
			},
		}, 1)
		return seen, e
	}
	whole, e := answers(false)
	fewer, r := answers(true)
	require.Equal(t, whole, fewer)
	require.Greater(t, len(whole), 4)
	require.Less(t, r.runs-r.abandoned, e.runs)
	t.Logf("%d kinds of answers in %d schedules and in %d", len(whole), e.runs, r.runs-r.abandoned)
}

// Beyond what can be enumerated: more operations, more faults.
func TestDrawnSchedules(t *testing.T) {
	e := newExplorer(t)
	seed := seedOf(t)
	rng := rand.New(rand.NewPCG(seed, 2))
	for range 60 {
		sc := scenario{before: withC(phases[rng.IntN(2)].before)}
		for i := range 4 {
			o := allOperations[rng.IntN(len(allOperations))]
			o.name += fmt.Sprintf(" (%d)", i+1)
			sc.name += o.name + ", "
			sc.ops = append(sc.ops, o)
		}
		e.sample(sc, 3, 8, seed, rng)
	}
	e.report("four operations, up to three faults, drawn")
}
