package lockstep

import (
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Text of a history.

func (w *Run) rel(i registry.Instant) string { return w.Text.Time(i) }

// stepText shows what a step was: a call, or something that happened.
func (w *Run) stepText(s Step) string {
	if s.What != "" {
		return s.What
	}
	text := w.Text.Call(&s.call.Call)
	if s.call.Note != "" {
		text += " under a " + s.call.Note
	}
	return text
}

func (w *Run) resultText(k op.Kind, r op.Result) string { return w.Text.Result(k, &r) }

// distinguish has the claims and processes so far shown as different where they are.
func (w *Run) distinguish() {
	var ids []registry.ClaimID
	for _, s := range w.Steps {
		ids = append(ids, s.call.Attempt())
	}
	w.Text.Claims = op.Distinguish(ids)
}

// maxShown is how many steps of a history that could not be reduced are shown.
const maxShown = 40

// Table returns the steps so far for a person. The last one is what it is about.
func (w *Run) Table() string {
	w.distinguish()
	skipped := max(0, len(w.Steps)-maxShown)
	rows := make([]explain.Row, 0, maxShown)
	for i, s := range w.Steps[skipped:] {
		row := explain.Row{Number: skipped + i + 1, At: w.rel(s.At), Client: s.Node, Clock: w.rel(s.Clock), Call: w.stepText(s)}
		switch {
		case s.event == history.Crash && s.Node == everybody:
			row.Answer = "the suite restarts the cluster and opens every handle anew"
		case s.event == history.Crash:
			row.Answer = "the suite closes the handle and opens another"
		case s.event == history.Purge:
			row.Answer = fmt.Sprintf("a process with this clock purges: %d forgotten", s.forgot)
		case s.What == "":
			row.Answer = w.Text.Answer(&s.call.Call, &s.Result)
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		rows[len(rows)-1].Mark = ">"
	}
	text := "cluster: " + explain.Bounds(w.Cfg) + "\n"
	if skipped > 0 {
		text += fmt.Sprintf("(%d steps before are left out)\n", skipped)
	}
	return text + explain.List(rows)
}

// tenures reads them off the steps.
func (w *Run) tenures() []explain.Tenure {
	ts := explain.Tenures{Began: w.Began}
	for _, s := range w.Steps {
		if !s.replay || s.event != "" || s.Result.Err != nil {
			continue
		}
		c := &s.call
		if e := c.Kind.Effect(); e == op.Passes || e == op.Ends {
			ts.Ended(c.Actor.Name, c.Token, s.At)
		}
		if c.Kind.Grants() {
			ts.Granted(s.Result.Record, s.At, int64(s.Clock-s.At))
		}
	}
	return ts.List
}
