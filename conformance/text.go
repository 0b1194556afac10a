package conformance

import (
	"bytes"
	"fmt"
	"text/tabwriter"

	"github.com/kelpie-registry/registry"
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

func configText(c registry.Config) string {
	return fmt.Sprintf("TTL %v, Grace %v, MaxClockSkew (ε) %v, FailureTimeout %v", c.TTL, c.Grace, c.MaxClockSkew, c.FailureTimeout)
}

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

// table returns the steps so far for a person.
func (w *lockstep) table() string {
	w.distinguish()
	var b bytes.Buffer
	fmt.Fprintf(&b, "cluster: %s\n", configText(w.cfg))
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "#\ttrue time\tnode\tits clock\tcall\tanswer")
	row := func(s step) string {
		answer := ""
		switch {
		case s.event == history.Crash && s.node == everybody:
			answer = "the suite restarts the cluster and opens every handle anew"
		case s.event == history.Crash:
			answer = "the suite closes the handle and opens another"
		case s.what == "":
			answer = w.text.Answer(&s.call.Call, &s.result)
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", w.rel(s.at), s.node, w.rel(s.clock), w.stepText(s), answer)
	}
	skipped := max(0, len(w.steps)-maxShown)
	if skipped > 0 {
		fmt.Fprintf(&b, "(%d steps before are left out)\n", skipped)
	}
	for i := skipped; i < len(w.steps); {
		first, line := i, row(w.steps[i])
		for i++; i < len(w.steps) && row(w.steps[i]) == line; i++ {
		}
		if times := i - first; times > 1 {
			line += fmt.Sprintf("  (%d times)", times)
		}
		fmt.Fprintf(tw, "%d\t%s\n", first+1, line)
	}
	_ = tw.Flush() // a bytes.Buffer does not fail
	return b.String()
}
