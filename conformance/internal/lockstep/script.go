package lockstep

import (
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Resolved is a step of a script with everything resolved: true time, and where the
// clock of its client stands.
type Resolved struct {
	history.Step
	line  string
	at    time.Duration            // true time, since the beginning
	skews map[string]time.Duration // of the clocks that are not right
	call  call.Call                // of an operation
}

// Resolve resolves a script. The true time of a line "Clock 9s" is the one it
// says; a client's own "n2: Clock 9.5s" is within ε of it, or, where it is
// further ahead, takes true time along: what passes between two readings has
// passed for everybody.
func Resolve(s history.Script) ([]Resolved, error) {
	wrong := func(c Resolved, format string, args ...any) error {
		return &registry.InvalidError{Field: "script", Problem: fmt.Sprintf("%s: "+format, append([]any{c.line}, args...)...)}
	}
	skew := s.Config.MaxClockSkew
	now, skews := time.Duration(0), map[string]time.Duration{}
	concurrent := slices.ContainsFunc(s.Steps, func(s history.Step) bool { return s.With })
	var steps []Resolved
	for _, step := range s.Steps {
		c := Resolved{Step: step, line: step.String()}
		switch {
		case step.Event == history.Crash, step.Event == history.Purge, step.Event == history.Serve, step.Event == history.Stop:
		case step.Event == "":
			c.call = call.Call{Call: step.Call}
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

// Replay plays a script in lockstep with the reference. It returns the first
// expectation that the specification does not meet.
func Replay(t *trial.Trial, cfg registry.Config, steps []Resolved) error {
	w := New(t, cfg, t.Seed)
	nodes := map[string]*Node{}
	for i, c := range steps {
		w.Audits = len(steps) <= auditedSteps || i == len(steps)-1
		w.Time.Set(w.Began.Add(c.at))
		if c.Client != "" && nodes[c.Client] == nil {
			nodes[c.Client] = w.Unregistered(c.Client, 0)
		}
		for name, n := range nodes {
			n.Clock.SetOffset(c.skews[name])
		}
		switch c.Event {
		case history.Clock, history.Serve, history.Stop: // what is served is the clients', and judged by itself
		case history.Crash:
			if n := nodes[c.Client]; n != nil {
				n.Crash()
			} else {
				w.Restart()
			}
		case history.Purge:
			nodes[c.Client].Purge()
		default:
			w.believe()
			got := nodes[c.Client].Do(c.call) // ends the trial unless it is the specification's answer
			if answered := outcomeName(got.Err); c.Want != "" && c.Want != answered {
				return &registry.InvalidError{Field: "script", Problem: fmt.Sprintf("%s: the specification answers %s", c.line, w.resultText(c.call.Kind, got))}
			}
		}
	}
	w.Close()
	return nil
}

// script writes the steps so far down, not ok when no script says them all.
func (w *Run) script() (s history.Script, ok bool) {
	s.Config = w.Cfg
	now := time.Duration(0)
	skews, said := map[string]time.Duration{}, map[string]time.Duration{}
	for _, step := range w.Steps {
		switch {
		case step.seeds != nil:
			return s, false // nor does a script begin with state
		case !step.replay:
			continue // the observer's: a replay looks by itself
		case step.event == history.Crash:
			crash := history.Step{Event: history.Crash}
			if step.Node != everybody {
				crash.Client = step.Node
			}
			s.Steps = append(s.Steps, crash)
			continue
		case step.call.OnePage || step.call.Under != nil || step.call.Kind == op.Close:
			return s, false // a script does not say these
		}
		if at := step.At.Sub(w.Began); at != now {
			now = at
			clear(said)
			s.Steps = append(s.Steps, history.Step{Event: history.Clock, At: at})
		}
		skews[step.Node] = step.Clock.Sub(step.At)
		for _, n := range w.Nodes {
			if d := skews[n.Name]; d != said[n.Name] {
				said[n.Name] = d
				s.Steps = append(s.Steps, history.Step{Client: n.Name, Event: history.Clock, At: now + d})
			}
		}
		if step.event == history.Purge {
			s.Steps = append(s.Steps, history.Step{Client: step.Node, Event: history.Purge})
			continue
		}
		s.Steps = append(s.Steps, history.Step{Client: step.Node, Call: step.call.Call})
	}
	return s, true
}

func outcomeName(err error) string {
	if err == nil {
		return "ok"
	}
	return string(op.ReasonOf(err))
}
