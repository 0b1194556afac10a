package conformance

import (
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Text of a history.

func (w *lockstep) rel(i registry.Instant) string { return w.text.Time(i) }

// stepText shows what a step was: a call, or something that happened.
func (w *lockstep) stepText(s step) string {
	if s.what != "" {
		return s.what
	}
	text := w.text.Call(&s.call.Call)
	if s.call.note != "" {
		text += " under a " + s.call.note
	}
	return text
}

func (w *lockstep) resultText(k op.Kind, r op.Result) string { return w.text.Result(k, &r) }

// distinguish has the claims so far shown as different where they are.
func (w *lockstep) distinguish() {
	var ids []registry.ClaimID
	for _, s := range w.steps {
		if s.call.Kind == op.Claim {
			ids = append(ids, s.call.ClaimID)
		}
	}
	w.text.Claims = op.Distinguish(ids)
}

// maxShown is how many steps of a history that could not be reduced are shown.
const maxShown = 40

// table returns the steps so far for a person. The last one is what it is about.
func (w *lockstep) table() string {
	w.distinguish()
	skipped := max(0, len(w.steps)-maxShown)
	rows := make([]explain.Row, 0, maxShown)
	for i, s := range w.steps[skipped:] {
		row := explain.Row{Number: skipped + i + 1, At: w.rel(s.at), Client: s.node, Clock: w.rel(s.clock), Call: w.stepText(s)}
		switch {
		case s.event == history.Crash && s.node == everybody:
			row.Answer = "the suite restarts the cluster and opens every handle anew"
		case s.event == history.Crash:
			row.Answer = "the suite closes the handle and opens another"
		case s.what == "":
			row.Answer = w.text.Answer(&s.call.Call, &s.result)
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		rows[len(rows)-1].Mark = ">"
	}
	text := "cluster: " + explain.Bounds(w.cfg) + "\n"
	if skipped > 0 {
		text += fmt.Sprintf("(%d steps before are left out)\n", skipped)
	}
	return text + explain.List(rows)
}

// tenures reads them off the steps of a world.
func (w *lockstep) tenures() []Tenure {
	ts := explain.Tenures{Began: w.began}
	for _, s := range w.steps {
		if !s.replay || s.event != "" || s.result.Err != nil {
			continue
		}
		c := &s.call
		if c.Kind == op.Transfer || c.Kind == op.Release {
			ts.Ended(c.Actor.Name, c.Token, s.at)
		}
		if c.Kind.Grants() {
			ts.Granted(s.result.Record, s.at, int64(s.clock-s.at))
		}
	}
	return ts.List
}
