package conformance

import (
	"context"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/serving"
)

// Replay carries a script out on a new cluster of b and judges every answer.
// The script is the author's own or one that a [Conviction] came with.
//
// A script in which nothing happens at the same time is played in lockstep with
// the reference, which decides what is right: no answer has to be written down.
// Otherwise it is played as often as [Histories] says, default 100 times, and
// each history is checked for linearizability.
//
// What the script's clients say that they serve is judged as package serving does, by
// the answers that they got: a breach convicts the client, where no answer does the
// registry.
//
// A script whose clocks are further than MaxClockSkew from each other than the
// contract allows, or that expects what the specification does not answer, is
// an error matching registry.ErrInvalid and convicts nobody.
func Replay(ctx context.Context, b Backend, s history.Script, opts ...Option) (CaseResult, error) {
	line := Reproduce(func(_, _ string, _ uint64) string { return "conform replay SCRIPT --backend " + b.Name() })
	j, err := newJudge(b, append([]Option{line}, opts...))
	if err != nil {
		return CaseResult{}, err
	}
	steps, err := lockstep.Resolve(s)
	if err != nil {
		return CaseResult{}, err
	}
	c := trial.Case{Name: "replay", Doc: "a script, every answer judged", Needs: scriptNeeds(s)}
	var surprise error // what the script expects, and the specification does not answer
	c.Run = func(t *trial.Trial) {
		surprise = lockstep.Replay(t, s.Config, steps)
		if serves := func(s history.Step) bool { return s.Event == history.Serve }; surprise == nil && slices.ContainsFunc(s.Steps, serves) {
			judgeServices(t, s, overlapOnce(t, s, steps))
		}
	}
	if slices.ContainsFunc(s.Steps, func(s history.Step) bool { return s.With }) {
		c.Run = func(t *trial.Trial) { overlap(t, s, steps) }
	}
	r := j.judgeCase(ctx, trial.Section{Name: "script"}, c)
	if surprise != nil {
		return CaseResult{}, surprise
	}
	return r, ctx.Err()
}

func scriptNeeds(s history.Script) []Capability {
	needs := []Capability{ClockControl}
	for _, step := range s.Steps {
		switch {
		case step.Event == history.Crash && step.Client == "":
			needs = append(needs, Restart)
		case step.Event == history.Purge:
			needs = append(needs, Purging)
		case step.Event == "" && step.Call.Kind == op.Watch:
			needs = append(needs, Watch)
		case step.Event == "" && step.Call.Kind == op.RenewBatch:
			needs = append(needs, BatchRenew)
		}
	}
	return needs
}

// overlaps is how often a script with operations at the same time is played.
const overlaps = 100

// overlap plays a script whose operations overlap, recorded, again and again.
func overlap(t *trial.Trial, s history.Script, steps []lockstep.Resolved) {
	for range t.Count(overlaps) {
		h := overlapOnce(t, s, steps)
		res := t.Check(h)
		switch res.Verdict {
		case linearizability.Illegal:
			t.ConvictedAt = t.Executed.Load()
			c := t.Explain(t.Seed, h, res)
			c.Script = s.String()
			panic(trial.Outcome{Conviction: c})
		case linearizability.Unknown:
			t.GiveUp("the check is not decided: %s", res.Reason)
		}
		judgeServices(t, s, h)
	}
}

// judgeServices convicts a client of a script by what it serves, where the registry's
// answers were right.
func judgeServices(t *trial.Trial, s history.Script, h history.History) {
	o := serving.Options{}
	if slices.ContainsFunc(s.Steps, func(s history.Step) bool { return s.Event == history.Clock && s.Client != "" }) {
		o.Steps = 2 * s.Config.MaxClockSkew
	}
	broken := serving.Check(h, o)
	if len(broken) == 0 {
		return
	}
	t.ConvictedAt = t.Executed.Load()
	c := explain.Service(h, broken[0])
	c.Seed, c.Reproduce, c.Script = t.Seed, t.Judge.Opts.Reproduce(t.Section, t.Name, t.Seed), s.String()
	t.Save(c, h, linearizability.Result{})
	panic(trial.Outcome{Conviction: c})
}

func overlapOnce(t *trial.Trial, s history.Script, steps []lockstep.Resolved) history.History {
	cluster, free := t.NewCluster(s.Config)
	ctx, cancel := context.WithTimeout(t.Ctx, time.Duration(len(steps)+1)*t.Judge.Opts.CallTimeout)
	defer cancel()
	var h history.History
	var err error
	t.Watch(func() string { return "the script" }, func(context.Context) {
		h, err = history.Play(ctx, s, scriptCluster{s.Config, cluster})
	})
	if err != nil {
		t.GiveUp("%v", err)
	}
	free()
	return h
}

// scriptCluster is a cluster as history.Play sees it.
type scriptCluster struct {
	cfg     registry.Config
	cluster Cluster
}

func (s scriptCluster) Open(_ string, clock registry.Clock) (registry.Handle, error) {
	return s.cluster.Open(s.cfg, clock)
}

func (s scriptCluster) Crash() error { return s.cluster.(Restarter).Restart() }
