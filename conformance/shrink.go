package conformance

import (
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// attempt runs f and returns how it ended.
func (t *trial) attempt(f func()) (end outcome) {
	defer t.catch(&end)
	f()
	return end
}

// pass goes on after an attempt that convicted nobody, unless it was undecided.
func (t *trial) pass(end outcome) {
	if end.undecided != "" || end.beyond != "" {
		panic(end)
	}
}

// reduce returns the last outcome of the shortest part of steps that still
// convicts of the same rule at the same guard: an answer that is wrong for another
// reason would explain another mistake.
func reduce[T any](steps []T, end outcome, play func([]T) outcome) outcome {
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

// repeatBudget is how many steps are repeated in all to make a history smaller: some
// seconds' worth. A long history may stay longer than it needs to be.
const (
	repeatBudget = 100_000
	repeatTime   = 5 * time.Second // and as long it may take, where calls wait
)

// minimise repeats the steps that led to a conviction without those that it
// does not need. Steps that cannot be repeated one by one, such as a page of a
// listing, make it keep the history as it was.
func (t *trial) minimise(end outcome, seed uint64) outcome {
	w := end.lockstep
	if w != nil && w.exact {
		steps := w.calls()
		budget, until := repeatBudget, registry.SystemClock().Now().Add(repeatTime)
		play := func(part []int) outcome {
			if budget -= len(part); budget < 0 || registry.SystemClock().Now() > until {
				return outcome{}
			}
			return t.attempt(func() { t.repeat(w, chosen(steps, part), nil) })
		}
		all := make([]int, len(steps))
		for i := range all {
			all[i] = i
		}
		if again := play(all); alike(again.conviction, end.conviction) {
			end = reduce(all, again, play)
			t.writeDown(end)
			t.record(end)
		}
	}
	end.conviction.Seed = seed
	end.conviction.Reproduce = t.judge.opts.reproduce(t.section, t.name, seed)
	return end
}

// chosen returns the steps of these numbers.
func chosen(steps []step, numbers []int) []step {
	part := make([]step, len(numbers))
	for i, n := range numbers {
		part[i] = steps[n]
	}
	return part
}

// calls returns the steps that can be repeated.
func (w *lockstep) calls() []step {
	return slices.DeleteFunc(slices.Clone(w.steps), func(s step) bool { return !s.replay })
}

// record repeats the minimal steps once more, recorded, and saves the history.
func (t *trial) record(end outcome) {
	if t.judge.opts.outDir == "" {
		return
	}
	rec := history.NewRecorder(end.lockstep.cfg)
	t.attempt(func() { t.repeat(end.lockstep, end.lockstep.calls(), rec) })
	h := rec.History()
	t.save(end.conviction, h, linearizability.Check(h, linearizability.Options{Timeout: checkTimeout}))
}

// auditedSteps is up to how many steps all are audited when they are repeated, those
// that were not included. A longer history would take the square of its length.
const auditedSteps = 500

// wouldWait reports whether the call is a watch of a record that has not changed: it
// was answered at once when there was more before it.
func (n *node) wouldWait(c call) bool {
	return c.Kind == op.Watch && c.Validate() == nil && c.under == nil && n.w.spec.View(&c.Call).Record.Version == c.Seen
}

// repeat makes the same calls at the same times on a new cluster, recorded if
// there is a recorder.
func (t *trial) repeat(from *lockstep, steps []step, rec *history.Recorder) {
	s := t.newSessionAt(from.cfg, from.began)
	s.recorder = rec
	w := t.lockstepOn(s, t.seed)
	w.text.Namespace = from.text.Namespace
	nodes := map[string]*node{}
	for _, n := range from.nodes {
		nodes[n.name] = w.unregistered(n.name, 0)
	}
	for _, s := range steps {
		w.time.Set(s.at)
		switch {
		case s.seeds != nil:
			w.seed(*s.seeds)
			continue
		case s.node == everybody:
			w.restart()
			continue
		}
		n := nodes[s.node]
		if n == nil {
			n = w.observer
		}
		n.clock.SetOffset(s.clock.Sub(s.at))
		if s.event == history.Crash {
			n.crash()
			continue
		}
		if n.wouldWait(s.call) {
			return
		}
		w.believe()
		w.audits = s.audited || len(steps) <= auditedSteps
		n.do(s.call)
	}
	w.close()
}
