package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry/conformance/internal/sections"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/dialect"
)

// ruleResults turns the cases' results around: what they say of each rule.
func ruleResults(cases []CaseResult, capabilities []CapabilityResult) []RuleResult {
	var results []RuleResult
	for _, rule := range Rules() {
		r := RuleResult{Rule: rule.ID, Section: rule.Section, Text: rule.Text, Verdict: Skipped}
		rank := map[Verdict]int{Skipped: 0, Pass: 1, Waived: 2, Unknown: 3, Convicted: 4}
		for _, c := range cases {
			v := c.Verdict
			if c.Conviction != nil && c.Conviction.Rule != rule.ID {
				// The case was stopped by another rule; it says nothing about this one.
				v = Unknown
			}
			broken := slices.ContainsFunc(c.Waived, func(b Breach) bool { return b.Rule == rule.ID })
			switch {
			case broken && v != Convicted:
				v = Waived
			case v == Waived:
				v = Pass // what was waived is another rule
			}
			if broken || slices.Contains(c.Rules, rule.ID) || c.Conviction != nil && c.Conviction.Rule == rule.ID {
				r.Cases = append(r.Cases, c.ID())
				if rank[v] > rank[r.Verdict] {
					r.Verdict = v
				}
			}
		}
		if rule.ID == Declared {
			r.Cases, r.Verdict = []string{"capabilities"}, Pass
			if slices.ContainsFunc(capabilities, func(c CapabilityResult) bool { return c.Problem != "" }) {
				r.Verdict = Convicted
			}
		}
		results = append(results, r)
	}
	return results
}

// sectionResults are those that the cases are of.
func sectionResults(cases []CaseResult) (list []SectionResult) {
	for _, s := range sections.All() {
		if slices.ContainsFunc(cases, func(c CaseResult) bool { return c.Section == s.Name }) {
			list = append(list, SectionResult{Name: s.Name, Doc: s.Doc})
		}
	}
	return list
}

// position is where a case stands in the order of execution.
func position(id string) int {
	n := 0
	for _, s := range sections.All() {
		for _, c := range s.Cases {
			if s.Name+"/"+c.Name == id {
				return n
			}
			n++
		}
	}
	return n
}

func storeOf(b Backend) *Store {
	if on, ok := b.(Stored); ok {
		s := on.Store()
		return &s
	}
	return nil
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
func dialectResult(j *trial.Judgement, rules []RuleResult) *DialectResult {
	if j.Dialect == (dialect.Dialect{}) {
		return nil
	}
	r := &DialectResult{Dialect: j.Dialect}
	words := []string{j.Dialect.Shape()}
	if j.Opts.Cfg.Grace == 0 {
		r.Lacks = append(r.Lacks, "grace")
	}
	for _, f := range j.Dialect.List() {
		if covered := f.Only; j.Dialect.Shape() == "registry" || covered != (dialect.Dialect{NoMembership: true}) &&
			(j.Dialect.Shape() != "lock" || covered != (dialect.Dialect{NoTransfer: true}) && covered != (dialect.Dialect{NoListing: true})) {
			phrase := f.Phrase
			if f.Only.HoldsLonger > 0 && j.Dialect.HoldsLonger != dialect.Unbounded {
				phrase += " by " + j.Dialect.HoldsLonger.String()
			}
			words = append(words, phrase)
		}
		if f.Costs != "" {
			r.Lacks = append(r.Lacks, f.Costs)
		}
		if !j.Strict.Has(f) {
			r.Stricter = append(r.Stricter, f.Name)
		}
	}
	r.PassesAs = strings.Join(words, ", ")
	for _, p := range promised {
		i := slices.IndexFunc(rules, func(r RuleResult) bool { return r.Rule == p.rule })
		given := i >= 0 && rules[i].Verdict == Pass && !(p.rule == GraceRespected && j.Opts.Cfg.Grace == 0)
		for _, f := range p.without.List() {
			given = given && !j.Dialect.Has(f)
		}
		if given {
			r.Keeps = append(r.Keeps, p.rule)
		}
	}
	return r
}

// realTime is nil for a backend that reads the clocks that it is given.
func realTime(j *trial.Judgement) *Margins {
	if j.Found[ClockControl] {
		return nil
	}
	m := trial.MarginsOf(j.Opts.Cfg, j.Dialect)
	return &m
}

func profileResults(cases []CaseResult) []ProfileResult {
	verdicts := map[string]Verdict{}
	for _, c := range cases {
		verdicts[c.ID()] = c.Verdict
	}
	var results []ProfileResult
	for _, p := range Profiles() {
		r := ProfileResult{Profile: p.Name, Doc: p.Doc}
		count := map[Verdict]int{}
		for _, s := range sections.All() {
			for _, c := range s.Cases {
				if id := s.Name + "/" + c.Name; p.has(id) {
					r.Cases = append(r.Cases, id)
					count[verdicts[id]]++
				}
			}
		}
		r.Executed = count[Pass] + count[Waived] + count[Convicted] + count[Unknown]
		switch {
		case count[Convicted] > 0:
			r.Verdict = Convicted
		case count[Unknown] > 0:
			r.Verdict = Unknown
		case r.Executed < len(r.Cases):
			r.Verdict = Skipped
			r.Reason = fmt.Sprintf("%d of %d cases were not executed", len(r.Cases)-r.Executed, len(r.Cases))
		case count[Waived] > 0:
			r.Verdict = Waived
		default:
			r.Verdict = Pass
		}
		results = append(results, r)
	}
	return results
}
