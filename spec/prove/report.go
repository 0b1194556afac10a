package prove

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Table shows the obligations: one line an action with the number of
// obligations proved and their time, or with each of them.
func (r ProofResult) Table(each bool) string {
	var b strings.Builder
	for _, a := range r.actions() {
		var of []Obligation
		for _, o := range r.Obligations {
			if o.Action == a {
				of = append(of, o)
			}
		}
		proved, total := 0, time.Duration(0)
		for _, o := range of {
			if o.Status == Proved {
				proved++
			}
			total += o.Time
		}
		name := a
		if a == "" {
			name = "(invariant)"
		}
		fmt.Fprintf(&b, "  %-16s %3d of %3d proved %8s\n", name, proved, len(of), total.Round(time.Millisecond))
		for _, o := range of {
			if each {
				fmt.Fprintf(&b, "    %-28s %-8s %8s\n", o.Property, o.Status, o.Time.Round(time.Millisecond))
			}
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// actions lists the actions in the order of their obligations.
func (r ProofResult) actions() (out []string) {
	for _, o := range r.Obligations {
		if !slices.Contains(out, o.Action) {
			out = append(out, o.Action)
		}
	}
	return out
}

// Summary is one line: what was proved, how the second solver sees it, and what
// failed as it must.
func (r ProofResult) Summary() string {
	proved, agreed, asked := 0, 0, 0
	for _, o := range r.Obligations {
		if o.Status == Proved {
			proved++
		}
		if o.Second != "" {
			asked++
		}
		if o.Second == Proved && o.Status == Proved {
			agreed++
		}
	}
	failed := 0
	for _, f := range r.Failures {
		if f.Step != nil {
			failed++
		}
	}
	s := fmt.Sprintf("%s: %d of %d obligations proved", r.Proof.ID, proved, len(r.Obligations))
	if asked > 0 {
		s += fmt.Sprintf(", the second solver proves %d of them", agreed)
	}
	return fmt.Sprintf("%s; %d of %d required failures; %s", s, failed, len(r.Failures), r.Time.Round(10*time.Millisecond))
}
