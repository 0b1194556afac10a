package conformance

import (
	"github.com/kelpie-registry/registry/linearizability"
)

// explain turns an illegal history into a conviction.
func (t *trial) explain(seed uint64, h linearizability.History, res linearizability.Result) *Conviction {
	v := res.Violations[0]
	rule := RuleID(v.Rule)
	if v.Rule == linearizability.RuleContract {
		rule = tableRule(h.Ops[v.Op], v.Guard)
	}
	c := t.conviction(rule, string(v.Action), v.Guard, v.Found, v.Allowed, "")
	c.Config, c.Length, c.Tenures = h.Config, len(h.Ops), historyTenures(h)
	c.Seed = seed
	c.Reproduce = t.judge.opts.reproduce(t.section, t.name, seed)
	return c
}

// tableRule names the rule of the operations' table that an answer breaks by
// itself. The checker has one name for the whole table.
func tableRule(op linearizability.Op, guard string) RuleID {
	switch {
	case guard == "ErrInvalid":
		return InvalidFirst
	case op.Outcome == linearizability.OutcomeRefused:
		return RefusalTruthful
	default:
		return ruleOf(call{kind: string(op.Kind)}, nil)
	}
}
