package lockstep

import (
	"context"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
)

const (
	sequencesPerTrial = 120
	sequenceLength    = 45
)

// Sequences draws sequences and carries them out in lockstep with the reference. A
// convicted one is shrunk: played again without some of its steps, as long as
// the same rule stays broken.
func Sequences(t *trial.Trial, m traffic.Mix) {
	for i := range t.Count(sequencesPerTrial) {
		seed := t.HistorySeed(i)
		s := drawSequence(m, seed, t.Configs())
		end := t.Attempt(func() { play(t, s) })
		if end.Conviction == nil {
			t.Pass(end)
			continue
		}
		t.ConvictedAt = t.Executed.Load()
		end = reduce(s.actions, end, func(part []traffic.Action) trial.Outcome {
			shorter := s
			shorter.actions = part
			return t.Attempt(func() { play(t, shorter) })
		})
		panic(t.Minimised(end, seed))
	}
}

// sequence is what several nodes do one after the other.
type sequence struct {
	cfg     registry.Config
	seed    uint64
	nodes   int
	actors  int
	actions []traffic.Action
}

func drawSequence(m traffic.Mix, seed uint64, configs []registry.Config) sequence {
	rng := trial.NewRand(seed)
	s := sequence{cfg: configs[rng.IntN(len(configs))], seed: seed, nodes: 2 + rng.IntN(3), actors: 1 + rng.IntN(2)}
	for range sequenceLength {
		s.actions = append(s.actions, m.Draw(rng, s.nodes, s.actors))
	}
	return s
}

// play carries a sequence out on a new cluster.
func play(t *trial.Trial, s sequence) {
	w := New(t, s.cfg, s.seed)
	b := traffic.NewKnowledge(s.nodes, s.actors, w.Rng, t.Judge.Found[backend.Instances])
	for i := range s.nodes {
		w.Node(b.Names[i], 0)
	}
	for i, a := range s.actions {
		w.Audits = i%2 == 0 // a backend must not be put right by being looked at
		w.act(b, a)
	}
	w.Close()
}

// act carries out one action of a sequence.
func (w *Run) act(b *traffic.Knowledge, a traffic.Action) {
	n := w.Nodes[a.Node]
	switch a.Kind {
	case traffic.Tick:
		r, _, _ := w.Observer.model.Lookup(context.Background(), traffic.ActorID(a.Actor))
		m, _, _ := w.Observer.model.GetNode(context.Background(), w.Nodes[a.To].Ref.ID)
		w.Advance(a.Target(w.Cfg, w.Time.Now(), n.Clock.Offset(), r.Expiry, m.LastSeen).Sub(w.Time.Now()))
		w.believe()
	case traffic.Drift:
		n.Clock.SetOffset(a.Offset(w.Cfg))
		w.believe()
	case traffic.Crash:
		w.Restart()
	case traffic.Purge:
		n.Purge()
	default:
		got := n.Do(b.Call(a))
		b.Learn(a, got)
	}
}
