package conformance

import (
	"github.com/kelpie-registry/registry/linearizability"
)

// explain turns an illegal history into a conviction.
func (t *trial) explain(seed uint64, h linearizability.History, res linearizability.Result) *Conviction {
	v := res.Violations[0]
	c := t.conviction(RuleID(v.Rule), string(v.Action), v.Guard, v.Found, v.Allowed, "")
	c.Config, c.Length, c.Tenures = h.Config, len(h.Ops), historyTenures(h)
	c.Seed = seed
	c.Reproduce = t.judge.opts.reproduce(t.section, t.name, seed)
	return c
}
