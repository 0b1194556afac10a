package conformance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// Replay carries a script out on a new cluster of b and judges every answer.
// The script is the author's own or one that a [Conviction] came with.
//
// A script in which nothing happens at the same time is played in lockstep with
// the reference, which decides what is right: no answer has to be written down.
// Otherwise it is played as often as [Histories] says, default 100 times, and
// each history is checked for linearizability.
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
	steps, err := resolve(s)
	if err != nil {
		return CaseResult{}, err
	}
	c := Case{Name: "replay", Doc: "a script, every answer judged", Needs: scriptNeeds(s)}
	var surprise error // what the script expects, and the specification does not answer
	c.run = func(t *trial) { surprise = t.replay(s.Config, steps) }
	if slices.ContainsFunc(s.Steps, func(s history.Step) bool { return s.With }) {
		c.run = func(t *trial) { t.overlap(s, steps) }
	}
	r := j.judgeCase(ctx, Section{Name: "script"}, c)
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
		case step.Event == "" && step.Call.Kind == op.Watch:
			needs = append(needs, Watch)
		case step.Event == "" && step.Call.Kind == op.RenewBatch:
			needs = append(needs, BatchRenew)
		}
	}
	return needs
}

// cue is a step of a script with everything resolved: true time, and where the
// clock of its client stands.
type resolved struct {
	history.Step
	line  string
	at    time.Duration            // true time, since the beginning
	skews map[string]time.Duration // of the clocks that are not right
	call  call                     // of an operation
}

// resolve resolves a script. The true time of a line "Clock 9s" is the one it
// says; a client's own "n2: Clock 9.5s" is within ε of it, or, where it is
// further ahead, takes true time along: what passes between two readings has
// passed for everybody.
func resolve(s history.Script) ([]resolved, error) {
	wrong := func(c resolved, format string, args ...any) error {
		return &registry.InvalidError{Field: "script", Problem: fmt.Sprintf("%s: "+format, append([]any{c.line}, args...)...)}
	}
	skew := s.Config.MaxClockSkew
	now, skews := time.Duration(0), map[string]time.Duration{}
	concurrent := slices.ContainsFunc(s.Steps, func(s history.Step) bool { return s.With })
	var steps []resolved
	for _, step := range s.Steps {
		c := resolved{Step: step, line: step.String()}
		switch {
		case step.Event == history.Crash:
		case step.Event == "":
			c.call = call{Call: step.Call}
			if step.Call.Kind.Lists() && step.Call.Page.After != "" {
				return nil, wrong(c, "a listing is replayed whole, without after=")
			}
			if concurrent && step.Want != "" {
				return nil, wrong(c, "nothing can be expected where operations happen at the same time")
			}
		case step.Client != "":
			if ahead := step.At - skew; ahead > now {
				now = ahead
			}
			if now-step.At > skew {
				return nil, wrong(c, "the clock would be %v behind true time, MaxClockSkew is %v", now-step.At, skew)
			}
			skews[step.Client] = step.At - now
		case step.At < now:
			return nil, wrong(c, "true time is %v already; a single clock may step back, within MaxClockSkew", now)
		default:
			now = step.At
			clear(skews)
		}
		c.at, c.skews = now, make(map[string]time.Duration, len(skews))
		for client, d := range skews {
			c.skews[client] = d
		}
		steps = append(steps, c)
	}
	return steps, nil
}

// replay plays a script in lockstep with the reference. It returns the first
// expectation that the specification does not meet.
func (t *trial) replay(cfg registry.Config, steps []resolved) error {
	w := t.newLockstep(cfg, t.seed)
	nodes := map[string]*node{}
	for _, c := range steps {
		w.time.Set(w.began.Add(c.at))
		if c.Client != "" && nodes[c.Client] == nil {
			nodes[c.Client] = w.unregistered(c.Client, 0)
		}
		for name, n := range nodes {
			n.clock.SetOffset(c.skews[name])
		}
		switch c.Event {
		case history.Clock:
		case history.Crash:
			if n := nodes[c.Client]; n != nil {
				n.crash()
			} else {
				w.restart()
			}
		default:
			w.believe()
			got := nodes[c.Client].do(c.call) // ends the trial unless it is the specification's answer
			if answered := outcomeName(got.Err); c.Want != "" && c.Want != answered {
				return &registry.InvalidError{Field: "script", Problem: fmt.Sprintf("%s: the specification answers %s", c.line, w.resultText(c.call.Kind, got))}
			}
		}
	}
	w.close()
	return nil
}

func outcomeName(err error) string {
	if err == nil {
		return "ok"
	}
	return string(op.ReasonOf(err))
}

// overlaps is how often a script with operations at the same time is played.
const overlaps = 100

// overlap plays a script whose operations overlap, recorded, again and again.
func (t *trial) overlap(s history.Script, steps []resolved) {
	for range t.count(overlaps) {
		h := t.overlapOnce(s, steps)
		res := t.check(h)
		switch res.Verdict {
		case linearizability.Illegal:
			t.convictedAt = t.executed.Load()
			c := t.explain(t.seed, h, res)
			c.Script = s.String()
			panic(outcome{conviction: c})
		case linearizability.Unknown:
			t.giveUp("the check is not decided: %s", res.Reason)
		}
	}
}

func (t *trial) overlapOnce(s history.Script, steps []resolved) history.History {
	cluster, free := t.newCluster(s.Config)
	ctx, cancel := context.WithTimeout(t.ctx, time.Duration(len(steps)+1)*t.judge.opts.callTimeout)
	defer cancel()
	var h history.History
	var err error
	t.watch(func() string { return "the script" }, func(context.Context) {
		h, err = history.Play(ctx, s, scriptCluster{s.Config, cluster})
	})
	if err != nil {
		t.giveUp("%v", err)
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

// writeDown gives a conviction the script of its history, if there is one that
// has been seen to convict of the same rule.
func (t *trial) writeDown(end outcome) {
	s, ok := end.lockstep.script()
	if !ok {
		return
	}
	steps, err := resolve(s)
	if err != nil {
		return // for example clocks further off than the contract allows
	}
	again := t.attempt(func() { _ = t.replay(s.Config, steps) }) // it expects nothing
	if again.conviction != nil && again.conviction.Rule == end.conviction.Rule {
		end.conviction.Script = s.String()
	}
}

// script writes the steps so far down, not ok when no script says them all.
func (w *lockstep) script() (s history.Script, ok bool) {
	s.Config = w.cfg
	now := time.Duration(0)
	skews, said := map[string]time.Duration{}, map[string]time.Duration{}
	for _, step := range w.steps {
		switch {
		case step.seeds != nil:
			return s, false // nor does a script begin with state
		case !step.replay:
			continue // the observer's: a replay looks by itself
		case step.event == history.Crash:
			crash := history.Step{Event: history.Crash}
			if step.node != everybody {
				crash.Client = step.node
			}
			s.Steps = append(s.Steps, crash)
			continue
		case step.call.onePage || step.call.under != nil || step.call.Kind == op.Close:
			return s, false // a script does not say these
		}
		if at := step.at.Sub(w.began); at != now {
			now = at
			clear(said)
			s.Steps = append(s.Steps, history.Step{Event: history.Clock, At: at})
		}
		skews[step.node] = step.clock.Sub(step.at)
		for _, n := range w.nodes {
			if d := skews[n.name]; d != said[n.name] {
				said[n.name] = d
				s.Steps = append(s.Steps, history.Step{Client: n.name, Event: history.Clock, At: now + d})
			}
		}
		s.Steps = append(s.Steps, history.Step{Client: step.node, Call: step.call.Call})
	}
	return s, true
}
