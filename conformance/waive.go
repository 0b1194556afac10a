package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// Waive goes on past breaches of these rules, which are known already, so that the
// next mistake is heard. What was waived is in the report: a case in which it
// happened is [Waived], which is no pass.
//
// A lockstep goes on from the state that the backend is in after the breach. A
// concurrent history whose first wrong answer breaks a waived rule is not judged
// any further, since what follows may be its consequence. Anything else that a
// waived breach stops, such as a call that hangs, ends that history only.
func Waive(rules ...RuleID) Option {
	return func(o *options) error {
		for _, id := range rules {
			if id.Rule().ID == "" {
				return &registry.InvalidError{Field: "waive", Problem: fmt.Sprintf("there is no rule %q", id)}
			}
		}
		o.waived = append(slices.Clone(o.waived), rules...)
		return nil
	}
}

// waive reports whether a breach is waived, and keeps the first of each rule.
func (t *trial) waive(rule RuleID, found string) bool {
	if !slices.Contains(t.judge.opts.waived, rule) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.breaches = appendBreach(t.breaches, Breach{Rule: rule, Found: found})
	return true
}

// waived returns what was waived so far.
func (t *trial) waived() []Breach {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.breaches)
}

func waivedText(list []Breach) string {
	var rules []string
	for _, b := range list {
		rules = append(rules, string(b.Rule))
	}
	return "waived: breaches of " + strings.Join(rules, ", ")
}

func appendBreach(list []Breach, b Breach) []Breach {
	if slices.ContainsFunc(list, func(o Breach) bool { return o.Rule == b.Rule }) {
		return list
	}
	return append(list, b)
}

// waiveFirst reports whether the first wrong answer of an illegal history breaks a
// waived rule.
func (t *trial) waiveFirst(h history.History, res linearizability.Result) bool {
	if res.Verdict != linearizability.Illegal || len(t.judge.opts.waived) == 0 {
		return false
	}
	_, res = linearizability.First(h, res, linearizability.Options{Timeout: checkTimeout})
	v := res.Violations[0]
	return t.waive(v.Rule, v.Subject+": "+v.Found)
}

// adopt has the reference go on from what the backend's records say, after a
// waived breach by the call.
func (w *lockstep) adopt(c *op.Call) {
	w.breached, w.worlds, w.late = true, nil, nil
	delete(w.beliefs, c.Actor)
	reads := []call{}
	for _, a := range append([]registry.ActorID{c.Actor}, actorsOf(c.Leases)...) {
		if a.Validate() == nil {
			reads = append(reads, lookup(a))
		}
	}
	for _, id := range []registry.NodeID{c.Node.ID, c.To.ID} {
		if id.Validate() == nil {
			reads = append(reads, getNode(id))
		}
	}
	for _, read := range reads {
		w.spec.Adopt(&read.Call, w.session.do(w.observer.name, w.observer.h, read))
	}
}

func actorsOf(leases []registry.Lease) []registry.ActorID {
	var list []registry.ActorID
	for _, l := range leases {
		list = append(list, l.Actor)
	}
	return list
}
