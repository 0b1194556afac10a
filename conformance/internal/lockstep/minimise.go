package lockstep

import (
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/linearizability/minimise"
	"github.com/kelpie-registry/registry/op"
)

// reduce returns the last outcome of the shortest part of steps that still
// convicts of the same rule at the same guard: an answer that is wrong for another
// reason would explain another mistake.
func reduce[T any](steps []T, end trial.Outcome, play func([]T) trial.Outcome) trial.Outcome {
	minimise.Reduce(steps, func(part []T) bool {
		e := play(part)
		if !alike(e.Conviction, end.Conviction) {
			return false
		}
		end = e
		return true
	})
	return end
}

func alike(again, first *explain.Conviction) bool {
	return again != nil && again.Rule == first.Rule && again.Guard == first.Guard
}

// repeatBudget is how many steps are repeated to make a history smaller, in all and
// since it became smaller last: some seconds' worth, and less than one where a long
// history needs nearly all that it has. It may stay longer than it needs to be.
const (
	repeatBudget = 100_000
	repeatInVain = 20_000
	repeatTime   = 5 * time.Second // and as long it may take, where calls wait
)

// Minimise repeats the steps that led to a conviction without those that it
// does not need. Steps that cannot be repeated one by one, such as a page of a
// listing, make it keep the history as it was.
func (w *Run) Minimise(end trial.Outcome) trial.Outcome {
	t := w.T
	if w.Exact {
		steps := w.calls()
		budget, inVain, until := repeatBudget, 0, registry.SystemClock().Now().Add(repeatTime)
		play := func(part []int) trial.Outcome {
			if budget -= len(part); budget < 0 || inVain > repeatInVain || registry.SystemClock().Now() > until {
				return trial.Outcome{}
			}
			inVain += len(part)
			e := t.Attempt(func() { repeat(t, w, chosen(steps, part), nil) })
			if alike(e.Conviction, end.Conviction) {
				inVain = 0
			}
			return e
		}
		for _, part := range [][]int{related(steps), numbers(steps)} {
			if again := play(part); alike(again.Conviction, end.Conviction) {
				end = reduce(part, again, play)
				writeDown(t, end)
				record(t, end)
				break
			}
		}
	}
	return end
}

// numbers returns the numbers of all steps.
func numbers(steps []Step) (all []int) {
	for i := range steps {
		all = append(all, i)
	}
	return all
}

// related returns the numbers of those steps that are about an actor of the last one, or
// about no actor: mostly they are what the last answer is wrong for.
func related(steps []Step) (part []int) {
	if len(steps) == 0 {
		return nil
	}
	actors := actorsOf(&steps[len(steps)-1].call.Call)
	for i := range steps {
		if of := actorsOf(&steps[i].call.Call); len(of) == 0 || slices.ContainsFunc(of, func(a registry.ActorID) bool { return slices.Contains(actors, a) }) {
			part = append(part, i)
		}
	}
	return part
}

// chosen returns the steps of these numbers.
func chosen(steps []Step, numbers []int) []Step {
	part := make([]Step, len(numbers))
	for i, n := range numbers {
		part[i] = steps[n]
	}
	return part
}

// calls returns the steps that can be repeated.
func (w *Run) calls() []Step {
	return slices.DeleteFunc(slices.Clone(w.Steps), func(s Step) bool { return !s.replay })
}

// record repeats the minimal steps once more, recorded, and saves the history.
func record(t *trial.Trial, end trial.Outcome) {
	if t.Judge.Opts.OutDir == "" {
		return
	}
	w := end.From.(*Run)
	rec := history.NewRecorder(w.Cfg)
	t.Attempt(func() { repeat(t, w, w.calls(), rec) })
	h := rec.History()
	t.Save(end.Conviction, h, linearizability.Check(h, linearizability.Options{Timeout: trial.CheckTimeout}))
}

// wouldWait reports whether the call is a watch of a record that has not changed: it
// was answered at once when there was more before it.
func (n *Node) wouldWait(c call.Call) bool {
	return c.Kind == op.Watch && c.Validate() == nil && c.Under == nil && n.W.spec.View(&c.Call).Record.Version == c.Seen
}

// repeat makes the same calls at the same times on a new cluster, recorded if
// there is a recorder.
func repeat(t *trial.Trial, from *Run, steps []Step, rec *history.Recorder) {
	s := t.NewSessionAt(from.Cfg, from.Began)
	s.Recorder = rec
	w := newOn(t, s, t.Seed)
	w.Text.Namespace = from.Text.Namespace
	nodes := map[string]*Node{w.Observer.Name: w.Observer}
	for _, n := range from.Nodes {
		nodes[n.Name] = w.Unregistered(n.Name, 0)
	}
	for _, s := range steps {
		w.Time.Set(s.At)
		switch {
		case s.seeds != nil:
			w.Seed(*s.seeds)
			continue
		case s.Node == everybody:
			w.Restart()
			continue
		}
		n := nodes[s.Node]
		if n == nil { // it has left since
			n = w.Unregistered(s.Node, 0)
			nodes[s.Node] = n
		}
		n.Clock.SetOffset(s.Clock.Sub(s.At))
		if s.event == history.Crash {
			n.Crash()
			continue
		}
		if s.event == history.Purge {
			n.Purge()
			continue
		}
		if n.wouldWait(s.call) {
			return
		}
		w.believe()
		w.Audits = s.audited || len(steps) <= auditedRepeats
		n.Do(s.call)
	}
	w.Close()
}

// writeDown gives a conviction the script of its history, if there is one that
// has been seen to convict of the same rule.
func writeDown(t *trial.Trial, end trial.Outcome) {
	s, ok := end.From.(*Run).script()
	if !ok {
		return
	}
	steps, err := Resolve(s)
	if err != nil {
		return // for example clocks further off than the contract allows
	}
	again := t.Attempt(func() { _ = Replay(t, s.Config, steps) }) // it expects nothing
	if again.Conviction != nil && again.Conviction.Rule == end.Conviction.Rule {
		end.Conviction.Script = s.String()
	}
}
