package client

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/serving"
)

// Conviction says what a client did that no client may do.
type Conviction struct {
	Rule     conformance.RuleID
	Text     string // the rule's
	Action   string // of the specification's module Keeper
	Place    string // file and line of its definition
	Found    string
	Wanted   string
	Timeline string // of services, leases and calls, as far as they have to do with it

	Case string // "section/name"
	Play string // which of the case's plays
	Seed uint64
}

// String is the conviction as a person reads it.
func (c *Conviction) String() string {
	return fmt.Sprintf("CONVICTED of breaking %s: %s\nspec:   %s (%s)\nfound:  %s\nwanted: %s\n\n%s\ncase:   %s, %s, seed %d",
		c.Rule, c.Text, c.Action, c.Place, c.Found, c.Wanted, c.Timeline, c.Case, c.Play, c.Seed)
}

// verdict returns the conviction of the world's clients, nil for none. What is
// served wrongly comes first: it names the mistake, the rest is what came of it.
func (w *world) verdict() *Conviction {
	h := w.rec.History()
	w.mu.Lock()
	defer w.mu.Unlock()
	if broken := serving.Check(h, w.judged); len(broken) > 0 {
		v := broken[0]
		s := h.Served[v.Service]
		return w.convict(conformance.RuleID(v.Rule), v.Found, v.Wanted, s.Actor, v.At)
	}
	slices.SortStableFunc(w.findings, func(a, b finding) int { return cmp.Compare(a.at, b.at) })
	for _, f := range w.findings {
		return w.convict(f.rule, f.found, f.wanted, registry.ActorID{}, history.Never)
	}
	return nil
}

func (w *world) convict(rule conformance.RuleID, found, wanted string, actor registry.ActorID, at int64) *Conviction {
	c := &Conviction{Rule: rule, Found: found, Wanted: wanted, Timeline: w.timeline(actor, rule, at)}
	for _, r := range conformance.ClientRules() {
		if r.ID == rule {
			c.Text, c.Action, c.Place = r.Text, r.Action, explain.Place(r.Action)
		}
	}
	return c
}

// maxLines bounds a timeline: its beginning and its end are shown.
const maxLines = 40

// timeline shows what has to do with an actor, or with any for none: one line for
// what a process was asked, was answered, said that it serves, and suffered. Lines
// that repeat the one before but for the time are counted. It ends a little after
// the stamp at which the rule was broken.
func (w *world) timeline(actor registry.ActorID, rule conformance.RuleID, broken int64) string {
	c := w.cfg
	var rows []string
	last, repeats, end := "", 0, 0
	flush := func() {
		if repeats > 0 {
			rows = append(rows, fmt.Sprintf("%14s  (%d more times)", "", repeats))
		}
		repeats = 0
	}
	for _, e := range w.log {
		if e.minor || actor.Name != "" && e.actor.Name != "" && e.actor != actor {
			continue
		}
		if e.stamp >= broken && end == 0 {
			flush()
			rows = append(rows, fmt.Sprintf("%14s  --- %s is broken here", "", rule))
			end = len(rows) + 5
		}
		if end > 0 && len(rows) >= end {
			break
		}
		line := e.who + ": " + e.text
		if line == last {
			repeats++
			continue
		}
		flush()
		last = line
		rows = append(rows, fmt.Sprintf("%14s  %s", "T+"+e.at.Round(time.Millisecond).String(), line))
	}
	flush()
	if n := len(rows); n > maxLines {
		rows = slices.Concat(rows[:maxLines/4], []string{fmt.Sprintf("%14s  … %d lines …", "", n-maxLines)}, rows[n-3*maxLines/4:])
	}
	return fmt.Sprintf("cluster: TTL %v, Grace %v, MaxClockSkew (ε) %v\n     true time  process: what\n%s\n", c.TTL, c.Grace, c.MaxClockSkew, strings.Join(rows, "\n"))
}
