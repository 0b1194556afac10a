package trial

import (
	"slices"
	"strings"

	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
)

// Waive reports whether a breach is waived, and keeps the first of each rule.
func (t *Trial) Waive(rule contract.RuleID, found string) bool {
	if !slices.Contains(t.Judge.Opts.Waived, rule) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.breaches = AppendBreach(t.breaches, report.Breach{Rule: rule, Found: found})
	return true
}

// Waived returns what was waived so far.
func (t *Trial) Waived() []report.Breach {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.breaches)
}

func WaivedText(list []report.Breach) string {
	var rules []string
	for _, b := range list {
		rules = append(rules, string(b.Rule))
	}
	return "waived: breaches of " + strings.Join(rules, ", ")
}

func AppendBreach(list []report.Breach, b report.Breach) []report.Breach {
	if slices.ContainsFunc(list, func(o report.Breach) bool { return o.Rule == b.Rule }) {
		return list
	}
	return append(list, b)
}

// waiveFirst reports whether the first wrong answer of an illegal history breaks a
// waived rule.
func (t *Trial) waiveFirst(h history.History, res linearizability.Result) bool {
	if res.Verdict != linearizability.Illegal || len(t.Judge.Opts.Waived) == 0 {
		return false
	}
	_, res = linearizability.First(h, res, linearizability.Options{Timeout: CheckTimeout})
	v := res.Violations[0]
	return t.Waive(v.Rule, v.Subject+": "+v.Found)
}
