package conformance

import (
	"context"

	"github.com/kelpie-registry/registry"
)

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
		end = reduce(s.actions, end, func(part []action) outcome {
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
	w := t.newLockstep(s.cfg, s.seed)
	b := newKnowledge(s.nodes, s.actors, w.rng, t.judge.found[Instances])
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
func (w *lockstep) act(b *knowledge, a action) {
	n := w.nodes[a.node]
	switch a.kind {
	case tick:
		r, _, _ := w.observer.model.Lookup(context.Background(), actorID(a.actor))
		m, _, _ := w.observer.model.GetNode(context.Background(), w.nodes[a.to].ref.ID)
		w.advance(a.target(w.cfg, w.time.Now(), n.clock.Offset(), r.Expiry, m.LastSeen).Sub(w.time.Now()))
		w.believe()
	case drift:
		n.clock.SetOffset(a.offset(w.cfg))
		w.believe()
	case crash:
		w.restart()
	default:
		got := n.do(b.call(a))
		b.learn(a, got)
	}
}
