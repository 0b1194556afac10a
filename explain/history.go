package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/linearizability/minimise"
	"github.com/kelpie-registry/registry/op"
)

// Of explains the result of checking h, which must be Illegal. The history is cut
// after its first wrong answer, reduced to a right history and that answer, and
// shown as a table; what may have led to the answer stays. It returns the history
// that the conviction shows, with the result of checking it, within the time that
// opts set for each check.
func Of(h history.History, res linearizability.Result, opts linearizability.Options) (*Conviction, history.History, linearizability.Result) {
	ambiguous := linearizability.Check(doubted(h), opts).Verdict == linearizability.OK
	h, res = linearizability.First(h, res, opts)
	small := minimise.History(h, res.Violations[0], opts)
	if again := linearizability.Check(small, opts); again.Verdict == linearizability.Illegal {
		h, res = small, again
	}
	c := As(h, res.Violations[0])
	if ambiguous { // had its errors promised less, it would be right
		c.Rule, c.RuleText = contract.AmbiguousTruth, contract.AmbiguousTruth.Rule().Text
		c.Often = Cause(c.Rule, c.Action, c.Guard)
	}
	return c, h, res
}

// As explains a violation by h as it is.
func As(h history.History, v linearizability.Violation) *Conviction {
	c := New(v.Rule, v.Action.String(), v.Guard, v.Subject+": "+v.Found, v.Allowed)
	if len(v.Prefix) > 0 {
		c.Order = fmt.Sprintf("%s explains the calls before, and leaves %s", numbers(v.Prefix), strings.Join(v.States, "; or "))
	}
	c.History, c.Config, c.Length, c.Tenures = Table(h, v), h.Config, len(h.Ops), TenuresOf(h)
	return c
}

// numbers lists operations as tables number them, the last ones of many.
func numbers(ids []int) string {
	const most = 12
	var parts []string
	for _, id := range ids[max(0, len(ids)-most):] {
		parts = append(parts, fmt.Sprint(id+1))
	}
	if len(ids) > most {
		parts = append([]string{"…"}, parts...)
	}
	return strings.Join(parts, ", ")
}

// doubted returns h as if every error that promises anything about an effect
// had left it open.
func doubted(h history.History) history.History {
	h.Ops = slices.Clone(h.Ops)
	for i := range h.Ops {
		switch o := &h.Ops[i]; o.Result.Outcome {
		case op.Unavailable, op.Cancelled, op.Closed, op.Settled:
			o.Result.Outcome, o.Clock = op.Open, history.AnyReading()
		}
	}
	return h
}
