package conformance

import (
	"context"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/linearizability"
)

func randomSection() Section {
	sequences := func(name, doc string, m mix, needs ...Capability) Case {
		return Case{
			Name: name, Doc: doc, Needs: append([]Capability{ClockControl}, needs...), draws: true,
			Rules: []RuleID{SingleActivation, GraceRespected, TokenMonotonic, NoStaleWrite, VersionBump, RefusalTruthful, RefusalNothing, RefusalOrder, OneReading},
			run:   func(t *trial) { t.sequences(m) },
		}
	}
	return Section{
		Name: "random",
		Doc:  "random sequences of the specification's actions by several nodes with skewed clocks, every answer compared with the reference, shrunk when one differs",
		Cases: []Case{
			sequences("tenures", "claims, renewals, releases and hand-offs around the boundaries of leases",
				mix{"Claim": 30, "Renew": 14, "Release": 8, "Transfer": 12, "Lookup": 4, "Validate": 8, "RegisterNode": 2, kindTick: 20, kindDrift: 8}),
			sequences("everything", "all operations, nodes that fail, leave and come back",
				mix{"Claim": 20, "Renew": 8, "Release": 6, "Transfer": 8, "Lookup": 3, "Validate": 5, "ListActors": 4, "RegisterNode": 8, "Heartbeat": 5,
					"MarkFailed": 8, "DeregisterNode": 3, "GetNode": 2, "ListNodes": 3, kindTick: 14, kindDrift: 6}),
			sequences("batches", "renewals in batches among everything else",
				mix{"Claim": 20, "RenewBatch": 20, "Release": 5, "Transfer": 5, "Lookup": 3, "RegisterNode": 3, kindTick: 15, kindDrift: 5}, BatchRenew),
		},
	}
}

const (
	sequencesPerTrial = 120
	sequenceLength    = 45
)

// sequences draws scripts and plays them in lockstep with the reference. A
// convicted one is shrunk: played again without some of its steps, as long as
// the same rule stays broken.
func (t *trial) sequences(m mix) {
	for i := range t.count(sequencesPerTrial) {
		seed := t.historySeed(i)
		s := drawSequence(m, seed, t.configs())
		end := t.attempt(func() { t.play(s) })
		if end.conviction == nil {
			t.pass(end)
			continue
		}
		t.convictedAt = t.executed.Load()
		end = reduce(s.actions, end, func(part []action) ending {
			shorter := s
			shorter.actions = part
			return t.attempt(func() { t.play(shorter) })
		})
		panic(t.minimise(end, seed))
	}
}

// sequence is a script for one caller at a time.
type sequence struct {
	cfg     registry.Config
	seed    uint64
	nodes   int
	actors  int
	actions []action
}

func drawSequence(m mix, seed uint64, configs []registry.Config) sequence {
	rng := newRand(seed)
	s := sequence{cfg: configs[rng.IntN(len(configs))], seed: seed, nodes: 2 + rng.IntN(3), actors: 1 + rng.IntN(2)}
	for range sequenceLength {
		s.actions = append(s.actions, m.draw(rng, s.nodes, s.actors))
	}
	return s
}

// play carries a sequence out on a new cluster.
func (t *trial) play(s sequence) {
	w := t.newWorld(s.cfg, s.seed)
	b := newBoard(s.nodes, s.actors, w.rng)
	for i := range s.nodes {
		w.node(b.names[i], 0)
	}
	for i, a := range s.actions {
		w.audits = i%2 == 0 // a backend must not be put right by being looked at
		w.act(b, a)
	}
	w.close()
}

// act carries out one action of a sequence.
func (w *world) act(b *board, a action) {
	n := w.nodes[a.node]
	switch a.kind {
	case kindTick:
		r, _, _ := w.auditor.twin.Lookup(context.Background(), actorID(a.actor))
		m, _, _ := w.auditor.twin.GetNode(context.Background(), w.nodes[a.to].ref.ID)
		w.advance(a.target(w.cfg, w.time.Now(), n.clock.Offset(), r.Expiry, m.LastSeen).Sub(w.time.Now()))
		w.believe()
	case kindDrift:
		n.clock.SetOffset(a.offset(w.cfg))
		w.believe()
	case kindCrash:
		w.restart()
	default:
		got := n.do(b.call(a))
		b.learn(a, got)
	}
}

// attempt runs f and returns how it ended.
func (t *trial) attempt(f func()) (end ending) {
	defer t.catch(&end)
	f()
	return end
}

// pass goes on after an attempt that convicted nobody, unless it was undecided.
func (t *trial) pass(end ending) {
	if end.undecided != "" {
		panic(end)
	}
}

// reduce returns the last ending of the shortest part of steps that still
// convicts of the same rule at the same guard: an answer that is wrong for another
// reason would explain another mistake.
func reduce[T any](steps []T, end ending, play func([]T) ending) ending {
	linearizability.Reduce(steps, func(part []T) bool {
		e := play(part)
		if !alike(e.conviction, end.conviction) {
			return false
		}
		end = e
		return true
	})
	return end
}

func alike(again, first *Conviction) bool {
	return again != nil && again.Rule == first.Rule && again.Guard == first.Guard
}

// minimise repeats the steps that led to a conviction without those that it
// does not need. Steps that cannot be repeated one by one, such as a page of a
// listing, make it keep the history as it was.
func (t *trial) minimise(end ending, seed uint64) ending {
	w := end.world
	if w != nil && w.exact {
		steps := w.calls()
		play := func(steps []step) ending { return t.attempt(func() { t.repeat(w, steps, nil) }) }
		if again := play(steps); alike(again.conviction, end.conviction) {
			end = reduce(steps, again, play)
			t.writeDown(end)
			t.record(end)
		}
	}
	end.conviction.Seed = seed
	end.conviction.Reproduce = t.judge.opts.reproduce(t.section, t.name, seed)
	return end
}

// calls returns the steps that can be repeated.
func (w *world) calls() []step {
	return slices.DeleteFunc(slices.Clone(w.steps), func(s step) bool { return s.replay == nil })
}

// record repeats the minimal steps once more, recorded, and saves the history.
func (t *trial) record(end ending) {
	if t.judge.opts.outDir == "" {
		return
	}
	rec := linearizability.NewRecorder(end.world.cfg)
	t.attempt(func() { t.repeat(end.world, end.world.calls(), rec) })
	h := rec.History()
	t.save(end.conviction, h, linearizability.Check(h, linearizability.Options{Timeout: checkTimeout}))
}

// repeat makes the same calls at the same times on a new cluster, recorded if
// there is a recorder.
func (t *trial) repeat(from *world, steps []step, rec *linearizability.Recorder) {
	w := t.newWorld(from.cfg, t.seed)
	w.recorder = rec
	nodes := map[string]*node{}
	for _, n := range from.nodes {
		nodes[n.name] = w.stranger(n.name, 0)
	}
	for _, s := range steps {
		w.time.Set(s.at)
		if s.node == everybody {
			w.restart()
			continue
		}
		n := nodes[s.node]
		if n == nil {
			n = w.auditor
		}
		n.clock.SetOffset(s.clock.Sub(s.at))
		if s.replay.kind == kindCrash {
			n.crash()
			continue
		}
		w.believe()
		n.do(*s.replay)
	}
	w.close()
}
