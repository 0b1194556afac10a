package explain

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/serving"
)

// Service explains a breach of a rule of clients by a service in h. Its table has the
// calls about the actor and about nodes until then, and who served when.
func Service(h history.History, v serving.Violation) *Conviction {
	s := h.Served[v.Service]
	c := New(contract.RuleID(v.Rule), "", "", v.Found, v.Wanted)
	c.Config, c.Length, c.Tenures = h.Config, len(h.Ops), TenuresOf(h)
	for _, o := range h.Served {
		if o.Actor != s.Actor {
			continue
		}
		h.Notes = append(slices.Clip(h.Notes), history.Note{At: o.From, Text: fmt.Sprintf("%s serves %s under token %d", o.Client, h.Text().Actor(o.Actor), o.Token)})
		if o.Until != history.Never {
			h.Notes = append(h.Notes, history.Note{At: o.Until, Text: fmt.Sprintf("%s stops serving %s", o.Client, h.Text().Actor(o.Actor))})
		}
	}
	h.Notes = append(h.Notes, history.Note{At: v.At, Text: fmt.Sprintf("%s is broken here by %s", v.Rule, s.Client)})
	h.Notes = slices.DeleteFunc(h.Notes, func(n history.Note) bool { return n.At > v.At })
	slices.SortStableFunc(h.Notes, func(a, b history.Note) int { return cmp.Compare(a.At, b.At) })
	h.Ops = slices.DeleteFunc(slices.Clone(h.Ops), func(o history.Op) bool {
		return o.Invoked > v.At || !o.Call.Kind.OfNode() && o.Call.Actor != s.Actor
	})
	h.Ops = h.Ops[max(0, len(h.Ops)-maxRows):]
	c.History = Table(h, linearizability.Violation{Op: len(h.Ops)})
	return c
}
