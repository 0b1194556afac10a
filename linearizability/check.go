package linearizability

import (
	"context"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Verdict is the result of a check. Only OK is a pass.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "OK"      // some order of atomic steps explains the history
	Illegal Verdict = "Illegal" // none does
	Unknown Verdict = "Unknown" // not decided: out of time, or too many unknown outcomes
)

// Options sets the bounds of a check. The zero value is right for most uses.
type Options struct {
	Timeout time.Duration // for the whole check; 0 means DefaultTimeout, below 0 none
	Whole   bool          // search the history as one partition: catches what only the order across actors shows; for small histories
	NoHints bool          // search without cutting at versions: the same verdict, slower
	Search  bool          // search only, without the checks that need none: the same verdict, slower
	Effort  int           // steps of the model in one search at most, beyond which it is Unknown; 0 means any number
}

// DefaultTimeout bounds a check whose Options set none.
const DefaultTimeout = 30 * time.Second

// Result is a verdict and what it rests on.
type Result struct {
	Verdict    Verdict
	Reason     string      // of Unknown: what could not be decided, and why
	Violations []Violation // of Illegal: the first is the one to read
	Stats      Stats
}

// Violation is one contradiction between a history and the contract.
type Violation struct {
	Rule    contract.RuleID
	Action  op.Kind  // the specification's action
	Guard   string   // its conjunct, or the part of its effect, that disagrees; may be empty
	Subject string   // "actor ns/name" or "node id"
	Op      int      // the operation that cannot be explained
	Others  []int    // the operations that it contradicts
	Found   string   // what was answered, and what contradicts it
	Allowed string   // what the contract would have allowed
	States  []string // when a search failed: the states that the operations before can have left
	Prefix  []int    // when a search failed: the longest order of operations found
}

// Stats counts the work of a check.
type Stats struct {
	Ops        int // operations in the history
	Partitions int
	Replayed   int // of them, those that a replay explained without a search
	Segments   int // independent searches that the partitions were cut into
	Longest    int // operations in the largest of them
	Unresolved int // ambiguous operations that no evidence settled
}

// Check decides whether h, which begins with an empty cluster, is linearizable.
//
// Illegal is final: no order of atomic steps of the reference, consistent with
// real time and with the clocks, gives these answers. OK holds within what
// partitioning can see (see the package's documentation). A check that runs out
// of time, or meets more unknown outcomes than it can follow, is Unknown.
func Check(h history.History, opts Options) Result { return check(h, opts, opts.plan(h.Dialect)) }

func check(h history.History, opts Options, p plan) Result {
	for i := range h.Ops {
		if h.Ops[i].ID != i { // written by hand
			h = h.With(h.Ops)
			break
		}
	}
	res := Result{Verdict: OK, Stats: Stats{Ops: len(h.Ops)}}
	for i := range h.Ops {
		if k := h.Ops[i].Call.Kind; !history.Recorded(k) {
			res.Verdict, res.Reason = Unknown, fmt.Sprintf("operation %d is a %v, which histories do not have", i, k)
			return res
		}
	}
	m := rulesOf(&h)
	m.effort = opts.Effort
	var hard *subjects // nil for all
	if p.replays {
		res.Stats.Partitions, hard = replayed(&h, m)
		res.Stats.Replayed = res.Stats.Partitions - len(hard.actors) - len(hard.nodes)
	}
	if !opts.Search {
		if res.Violations = safety(&h, hard); len(res.Violations) > 0 {
			res.Verdict = Illegal
			return res
		}
	}
	if hard.empty() {
		return res
	}
	ctx, cancel := context.Background(), func() {}
	switch {
	case opts.Timeout == 0:
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
	case opts.Timeout > 0:
		ctx, cancel = context.WithTimeout(ctx, opts.Timeout)
	}
	defer cancel()
	failed, why := search(ctx, m, partitions(&h, opts.Whole, hard), p.least, &res.Stats)
	switch {
	case failed != nil:
		res.Verdict = Illegal
		res.Violations = []Violation{m.explain(&h, failed)}
	case why != "":
		res.Verdict, res.Reason = Unknown, why
	}
	return res
}

// plan is how a history is checked.
type plan struct {
	replays bool // what a replay explains is not searched
	least   int  // events in a segment at least; 0: partitions are not cut
}

// plan returns how histories in a dialect are checked. Versions are hints only where
// each mutation adds one to them.
func (o Options) plan(d dialect.Dialect) plan {
	p := plan{replays: !o.Search && !o.NoHints && !o.Whole && d == dialect.Dialect{}}
	if !o.NoHints && !o.Whole && d.Strict() {
		p.least = minSegment
	}
	return p
}

func tooMuch(p *partition, events, unresolved int) string {
	return fmt.Sprintf("%s: %d operations with %d unknown outcomes in one search, the limits are %d and %d", p.subject, events, unresolved, maxSegment, maxUnknown)
}
