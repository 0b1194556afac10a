package lockstep

import (
	"fmt"

	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/op"
)

// Convict ends the trial: the last step is not what the specification answers. k
// is the operation whose guard decides, 0 for the one that the rule names.
func (w *Run) Convict(rule contract.RuleID, k op.Kind, got, want op.Result, diff string) {
	if rule == contract.WatchWakes && got.Outcome == op.Unlisted {
		rule = contract.ErrorIdentity // it may have woken, and has not said so
	}
	w.distinguish()
	asked := &op.Call{Kind: k}
	found := w.Text.Answer(asked, &got)
	if n := len(w.Steps); n > 0 {
		last := w.Steps[n-1]
		if last.What == "" {
			asked = &last.call.Call
		}
		found = fmt.Sprintf("%s: %s = %s", last.Node, w.stepText(last), w.Text.Answer(asked, &got))
	}
	if diff != "" && diff != differs {
		found += "\n" + diff
	}
	action, guard := "", ""
	if k != 0 {
		action, guard = k.String(), string(contract.Answering(k, false, want.Err).Rule().Guard)
	}
	w.End(w.T.Conviction(rule, action, guard, found, w.Text.Answer(asked, &want), w.Table()))
}

// End ends the trial with a conviction that the steps of this run have led to. It
// returns when the rule is waived.
func (w *Run) End(c *explain.Conviction) {
	if w.T.Waive(c.Rule, c.Found) {
		w.excused = true
		return
	}
	c.Config, c.Length, c.Tenures, c.Dialects = w.Cfg, len(w.Steps), w.tenures(), w.allowed
	panic(trial.Outcome{Conviction: c, From: w})
}
