package linearizability

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

// describer puts a history's values into words. Times are shown relative to the
// earliest reading in the history, as t+1.2s.
type describer struct{ origin registry.Instant }

func newDescriber(h *History) describer {
	origin := registry.Instant(math.MaxInt64)
	for i := range h.Ops {
		clock := &h.Ops[i].Clock
		for _, c := range clock.Seen {
			origin = min(origin, c)
		}
		if clock.Interval && clock.Lo > math.MinInt64 {
			origin = min(origin, clock.Lo)
		}
	}
	if origin == math.MaxInt64 {
		origin = 0
	}
	return describer{origin}
}

func (d describer) time(i registry.Instant) string {
	if i == 0 && d.origin != 0 { // none
		return "0"
	}
	if s := i.Sub(d.origin).String(); strings.HasPrefix(s, "-") {
		return "t" + s
	} else {
		return "t+" + s
	}
}

func (d describer) span(s span) string {
	if s.lo == s.hi {
		return d.time(s.lo)
	}
	lo, hi := "-inf", "+inf"
	if s.lo > math.MinInt64 {
		lo = d.time(s.lo)
	}
	if s.hi < math.MaxInt64 {
		hi = d.time(s.hi)
	}
	return lo + ".." + hi
}

func (d describer) readings(r Readings) string {
	if r.Interval {
		return d.span(span{r.Lo, r.Hi})
	}
	if len(r.Seen) == 0 {
		return "none"
	}
	parts := make([]string, len(r.Seen))
	for i, c := range r.Seen {
		parts[i] = d.time(c)
	}
	return strings.Join(parts, ", ")
}

func (d describer) record(p registry.Placement) string { return d.spanRecord(known(p)) }

func (d describer) spanRecord(r record) string {
	if r.Version == 0 {
		return "never claimed"
	}
	return fmt.Sprintf("v%d held by %v, token %d, expiry %s", r.Version, r.Holder, r.Token, d.span(r.expiry()))
}

func (d describer) node(n registry.Node) string {
	if n.Ref.IsZero() {
		return "never registered"
	}
	return fmt.Sprintf("%v %v, last seen %s", n.Ref, n.Status, d.time(n.LastSeen))
}

// asked renders the call, as Claim(ns/a, n1#1).
func (d describer) asked(op *Op) string {
	a := &op.Ask
	var args []string
	add := func(format string, v ...any) { args = append(args, fmt.Sprintf(format, v...)) }
	switch op.Kind {
	case KindClaim:
		add("%v", a.Actor)
		add("%v", a.Node)
		add("id %s", shortID(a.ClaimID))
	case KindRenew, KindRelease, KindTransfer:
		add("%v", a.Actor)
		add("%v", a.Node)
		add("token %d", a.Token)
		if op.Kind == KindTransfer {
			add("to %v", a.To)
		}
	case KindLookup, KindWatch:
		add("%v", a.Actor)
		if op.Kind == KindWatch {
			add("seen v%d", a.Seen)
		}
	case KindValidate:
		add("%v", a.Actor)
		add("token %d", a.Token)
	case KindListActors, KindHeartbeat, KindMarkFailed, KindDeregisterNode:
		add("%v", a.Node)
	case KindGetNode:
		add("%s", a.Node.ID)
	case KindRegisterNode:
		add("%s", a.Node.ID)
		add("%v", a.Mode)
	case KindListNodes:
		add("%v", a.Status)
	}
	if p := a.Page; p.After != "" {
		add("after %q", string(p.After))
	}
	return string(op.Kind) + "(" + strings.Join(args, ", ") + ")"
}

// shortID is a claim's identity for people: its first 8 digits, without the
// zeros around them.
func shortID(id registry.ClaimID) string {
	s := strings.Trim(id.String(), "0")
	if s == "" {
		return "0"
	}
	return s[:min(len(s), 8)]
}

// answered renders the answer.
func (d describer) answered(op *Op) string {
	a := &op.Answer
	switch op.Outcome {
	case OutcomeOK:
		return d.success(op)
	case OutcomeRefused:
		s := string(a.Reason)
		if a.Record.Version != 0 {
			s += " (found " + d.record(a.Record) + ")"
		}
		if !a.Node.Ref.IsZero() {
			s += " (found " + d.node(a.Node) + ")"
		}
		return s
	case OutcomeSettled:
		return "unknown outcome, settled"
	case OutcomeOpen:
		return "unknown outcome, may still apply"
	case OutcomePending:
		return "no answer"
	case OutcomeUnlisted:
		return fmt.Sprintf("error %q", a.Error)
	}
	return string(op.Outcome)
}

func (d describer) success(op *Op) string {
	a := &op.Answer
	switch op.Kind {
	case KindClaim, KindRenew, KindTransfer:
		return d.record(a.Record)
	case KindLookup, KindWatch:
		if !a.Found {
			return "no record"
		}
		return d.record(a.Record)
	case KindRegisterNode, KindGetNode:
		return d.node(a.Node)
	case KindListActors:
		names := make([]string, len(a.Actors))
		for i, p := range a.Actors {
			names[i] = fmt.Sprintf("%v v%d", p.Actor, p.Version)
		}
		return "[" + strings.Join(names, ", ") + "]"
	case KindListNodes:
		names := make([]string, len(a.Nodes))
		for i, n := range a.Nodes {
			names[i] = fmt.Sprintf("%v %v", n.Ref, n.Status)
		}
		return "[" + strings.Join(names, ", ") + "]"
	}
	return "ok"
}

// op renders a call and its answer.
func (d describer) op(op *Op) string { return d.asked(op) + " = " + d.answered(op) }

// refusalName names the contract's error for a guard.
func refusalName(g reference.Guard) string {
	for _, r := range reasons {
		if errors.Is(g.Refusal(), r.err) {
			return string(r.name)
		}
	}
	return string(g)
}

// lease phase in words, with the distance to the boundary that was missed.
func (d describer) phase(cfg registry.Config, expiry, c registry.Instant) string {
	p := cfg.Phase(expiry, c).String()
	free := expiry.Add(cfg.Grace).Add(2 * cfg.MaxClockSkew)
	switch cfg.Phase(expiry, c) {
	case registry.Grace:
		p = "in grace"
	case registry.Reclaimable:
		return fmt.Sprintf("reclaimable since %s", d.time(free))
	}
	return fmt.Sprintf("%s (expiry %s), reclaimable from %s, %v later", p, d.time(expiry), d.time(free), time.Duration(free-c))
}
