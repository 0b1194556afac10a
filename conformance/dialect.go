package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// strictness collects which declared differences a backend was seen to need.
type strictness struct {
	mu     sync.Mutex
	needed []string
}

func (s *strictness) needs(f dialect.Difference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.needed, f.Name) {
		s.needed = append(s.needed, f.Name)
	}
}

func (s *strictness) has(f dialect.Difference) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.needed, f.Name)
}

// without returns d without a difference.
func without(d dialect.Dialect, f dialect.Difference) (less dialect.Dialect) {
	for _, g := range d.List() {
		if g.Name != f.Name {
			only := g.Only
			if only.HoldsLonger > 0 {
				only.HoldsLonger = d.HoldsLonger
			}
			less = less.And(only)
		}
	}
	return less
}

// promised are the guarantees in the order in which they are told, each with the
// differences under which it is not one.
var promised = []struct {
	rule    RuleID
	without dialect.Dialect
}{
	{SingleActivation, dialect.Dialect{}},
	{GraceRespected, dialect.Dialect{}},
	{TokenMonotonic, dialect.Dialect{NoTokens: true}},
	{NoStaleWrite, dialect.Dialect{NoTokens: true}},
	{VersionBump, dialect.Dialect{BareRecords: true, SparseVersions: true}},
	{Linearizability, dialect.Dialect{}},
}

// dialectResult sums up. It is nil for a backend that speaks the contract's own
// dialect.
func (j *judge) dialectResult(rules []RuleResult) *DialectResult {
	if j.dialect == (dialect.Dialect{}) {
		return nil
	}
	r := &DialectResult{Dialect: j.dialect}
	words := []string{j.dialect.Shape()}
	if j.opts.cfg.Grace == 0 {
		r.Lacks = append(r.Lacks, "grace")
	}
	for _, f := range j.dialect.List() {
		if covered := f.Only; j.dialect.Shape() == "registry" || covered != (dialect.Dialect{NoMembership: true}) &&
			(j.dialect.Shape() != "lock" || covered != (dialect.Dialect{NoTransfer: true}) && covered != (dialect.Dialect{NoListing: true})) {
			phrase := f.Phrase
			if f.Only.HoldsLonger > 0 && j.dialect.HoldsLonger != dialect.Unbounded {
				phrase += " by " + j.dialect.HoldsLonger.String()
			}
			words = append(words, phrase)
		}
		if f.Costs != "" {
			r.Lacks = append(r.Lacks, f.Costs)
		}
		if !j.strict.has(f) {
			r.Stricter = append(r.Stricter, f.Name)
		}
	}
	r.PassesAs = strings.Join(words, ", ")
	for _, p := range promised {
		i := slices.IndexFunc(rules, func(r RuleResult) bool { return r.Rule == p.rule })
		given := i >= 0 && rules[i].Verdict == Pass && !(p.rule == GraceRespected && j.opts.cfg.Grace == 0)
		for _, f := range p.without.List() {
			given = given && !j.dialect.Has(f)
		}
		if given {
			r.Keeps = append(r.Keeps, p.rule)
		}
	}
	return r
}

// probeOperations notes which operations a backend leaves out as it declared.
func (j *judge) probeOperations(h registry.Handle) {
	ctx, cancel := context.WithTimeout(context.Background(), j.opts.callTimeout)
	defer cancel()
	l := registry.Lease{Actor: registry.ActorID{Namespace: "conform", Name: "probe"}, Holder: registry.NodeRef{ID: "probe", Epoch: 1}, Token: 1}
	for _, f := range j.dialect.List() {
		var err error
		switch {
		case f.Only.NoMembership:
			_, _, err = h.GetNode(ctx, l.Holder.ID)
		case f.Only.NoTransfer:
			_, err = h.Transfer(ctx, l, l.Holder)
		case f.Only.NoListing:
			_, _, err = h.ListActors(ctx, l.Holder, registry.Page{})
		}
		if errors.Is(err, errors.ErrUnsupported) || f.Only.StoreClock && !j.found[ClockControl] {
			j.strict.needs(f)
		}
	}
}

// compareDialects notes which differences an answer needed in lockstep: those
// without which no right answer is the one that was given.
func (w *lockstep) compareDialects(v reference.View, n *node, c call, got op.Result) {
	j := w.t.judge
	if got.Outcome != op.OK && got.Outcome != op.Refused {
		return // it is not about the state
	}
	for _, f := range j.dialect.List() {
		if !j.strict.has(f) && !w.rightIn(without(j.dialect, f), v, n, c, got) {
			j.strict.needs(f)
		}
	}
}

// rightIn reports whether c may have been answered so in v in a dialect.
func (w *lockstep) rightIn(d dialect.Dialect, v reference.View, n *node, c call, got op.Result) bool {
	own := w.dialect
	defer func() { w.dialect = own }()
	w.dialect = d
	return slices.ContainsFunc(reference.Ways(w.cfg, d, v, &c.Call, n.reads.Now(), &got), func(way reference.Way) bool {
		return w.diff(n, got, way.Answer) == ""
	})
}

// allows names the differences any of which, declared too, would make the answer
// right, of a call that has reached the state.
func (w *lockstep) allows(v reference.View, n *node, c call, got, want op.Result) (names []string) {
	if want.Outcome != op.OK && want.Outcome != op.Refused || c.Kind.Lists() || c.Kind == op.RenewBatch || c.Kind == op.Close {
		return nil
	}
	for _, f := range dialect.Differences() {
		if f.Only.StoreClock && w.exact || f.Only.NoTokens && c.Kind != op.Claim {
			continue // it is not why
		}
		if d := w.dialect.And(f.Only); d != w.dialect && d.Validate() == nil && d.Offers(c.Kind) && w.rightIn(d, v, n, c, got) {
			names = append(names, f.Name)
		}
	}
	return names
}

// historyAllows names the differences any of which would make the history right.
func (t *trial) historyAllows(h history.History) (names []string) {
	for _, f := range dialect.Differences() {
		d := h.Dialect.And(f.Only)
		if d == h.Dialect || d.Validate() != nil {
			continue
		}
		in := h
		in.Dialect = d
		if linearizability.Check(in, linearizability.Options{Timeout: time.Second}).Verdict == linearizability.OK {
			names = append(names, f.Name)
		}
	}
	return names
}
