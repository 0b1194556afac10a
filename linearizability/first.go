package linearizability

import (
	"slices"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// First returns the shortest beginning of a convicted history that is wrong by
// itself, and the result of checking it: what happened up to the first answer that
// no order explains. res must be the result of checking h with opts; of a history
// that is not Illegal both are returned as they are.
//
// A registry that has gone wrong gives further wrong answers, and the check may
// name one of those. Whatever explains a history explains each beginning of it, in
// which the calls that were under way have not been answered. So a beginning of one
// that is Illegal is Illegal from some answer on, which is searched for.
func First(h history.History, res Result, opts Options) (history.History, Result) {
	if res.Verdict != Illegal {
		return h, res
	}
	var ends []int64 // the stamps at which answers were given
	for i := range h.Ops {
		if h.Ops[i].Returned != history.Never {
			ends = append(ends, h.Ops[i].Returned)
		}
	}
	slices.Sort(ends)
	whole := h
	right, wrong := -1, len(ends)-1 // beginnings, by their last answer
	for tries := 0; wrong-right > 1; tries++ {
		at := (right + wrong) / 2
		// Mostly the answer that was named is the first wrong one.
		if named, _ := slices.BinarySearch(ends, h.Ops[res.Violations[0].Op].Returned); tries < maxNamed && named > right {
			at = min(named, wrong-1)
		}
		part := upTo(whole, ends[at])
		if r := Check(part, opts); r.Verdict == Illegal {
			wrong, h, res = at, part, r
		} else {
			right = at // right, or not known to be wrong
		}
	}
	return h, res
}

// maxNamed is how often First looks where the check says, before it bisects.
const maxNamed = 8

// upTo returns the beginning of a history up to a stamp. Calls that had not
// returned by then are Pending, with the readings that they made.
func upTo(h history.History, stamp int64) history.History {
	var ops []history.Op
	for _, o := range h.Ops {
		if o.Invoked > stamp {
			continue
		}
		if o.Returned > stamp {
			o.Returned, o.Result = history.Never, op.Result{Outcome: op.Pending}
		}
		ops = append(ops, o)
	}
	return h.With(ops)
}
