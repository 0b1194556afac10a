package conformance

import (
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/explain"
)

// ReportSchema is the version of the report's JSON form. It grows with every
// change that a reader of the earlier form would misunderstand; fields that are
// only added (profiles, level, extent, store, place and script of a conviction) leave it.
const ReportSchema = 1

// Verdict is the outcome of a case.
type Verdict string

// The verdicts. Only Pass is a pass.
const (
	Pass      Verdict = "pass"
	Convicted Verdict = "convicted"
	Unknown   Verdict = "unknown" // not decided: the reason says why
	Skipped   Verdict = "skipped" // not executed: the reason says why
	Waived    Verdict = "waived"  // executed: nothing is wrong but breaches of rules that [Waive] names
)

// Report is the outcome of one judgement.
type Report struct {
	Schema       int                `json:"schema"`
	Backend      string             `json:"backend"`
	Type         string             `json:"type"` // Go type of the backend
	Go           string             `json:"go"`
	Platform     string             `json:"platform"`
	Store        *Store             `json:"store,omitempty"` // what the backend says it ran on; nil when it says nothing
	Config       registry.Config    `json:"config"`
	Seeds        []uint64           `json:"seeds"`
	Started      registry.Instant   `json:"started"`
	Duration     time.Duration      `json:"duration"`
	Dialect      *DialectResult     `json:"dialect,omitempty"` // of a Speaker
	Capabilities []CapabilityResult `json:"capabilities"`
	Cases        []CaseResult       `json:"cases"` // in the order of Sections
	Rules        []RuleResult       `json:"rules"` // in the order of Rules
	Profiles     []ProfileResult    `json:"profiles"`
	Level        Effort             `json:"level,omitempty"`  // "" in reports that are older than levels
	Extent       []Measure          `json:"extent,omitempty"` // how far this run went, over all cases
}

// CapabilityResult compares a declared power with what was found.
type CapabilityResult struct {
	Capability Capability `json:"capability"`
	Declared   bool       `json:"declared"`
	Found      bool       `json:"found"`
	Problem    string     `json:"problem,omitempty"` // declared and not there: rule capability.declared is broken
	Note       string     `json:"note,omitempty"`    // found and not declared
}

// CaseResult is the outcome of one case over all its seeds.
type CaseResult struct {
	Section    string        `json:"section"`
	Name       string        `json:"name"`
	Doc        string        `json:"doc"`
	Rules      []RuleID      `json:"rules"`
	Verdict    Verdict       `json:"verdict"`
	Reason     string        `json:"reason,omitempty"` // of Skipped and Unknown
	Histories  int           `json:"histories"`
	Operations int           `json:"operations"`
	Troubles   int           `json:"troubles,omitempty"` // calls that the store, being in trouble, left unanswered: made again, or found out
	Duration   time.Duration `json:"duration"`
	Coverage   *Coverage     `json:"coverage,omitempty"` // of the specification's graph, in section edges
	Conviction *Conviction   `json:"conviction,omitempty"`
	Waived     []Breach      `json:"waived,omitempty"` // the first of each rule that was waived

	Schedules *ScheduleCoverage `json:"schedules,omitempty"` // in section schedules
}

// ID returns "section/name".
func (r CaseResult) ID() string { return r.Section + "/" + r.Name }

// Conviction says what a backend did that no registry may do.
type Conviction = explain.Conviction

// Tenure is one stretch of time for which a backend granted an actor to a holder.
type Tenure = explain.Tenure

// RuleResult lists the cases that test a rule and what they say together.
type RuleResult struct {
	Rule    RuleID   `json:"rule"`
	Section string   `json:"section"` // of the contract
	Text    string   `json:"text"`
	Cases   []string `json:"cases"`
	Verdict Verdict  `json:"verdict"` // Convicted if any case is; Pass only if at least one passed and none is unknown
}

// OnRealStore reports whether anything was executed, and on a real store. It says
// nothing of what came of it.
func (r *Report) OnRealStore() bool {
	return r.Store != nil && r.Store.Real && r.Count(Skipped) < len(r.Cases)
}

// Edges sums up what was walked of the specification's state graphs; zero when
// section edges did not run.
func (r *Report) Edges() Coverage {
	sum := Coverage{Executed: map[string]int{}}
	for _, c := range r.Cases {
		if c.Coverage == nil || c.Verdict != Pass {
			continue
		}
		sum.States += c.Coverage.States
		sum.Edges += c.Coverage.Edges
		sum.Scripts += c.Coverage.Scripts
		for what, n := range c.Coverage.Executed {
			sum.Executed[what] += n
		}
	}
	return sum
}

// Schedules sums up what was explored of the schedules; zero when section
// schedules did not run. How many preemptions a schedule had at most is each
// case's own.
func (r *Report) Schedules() ScheduleCoverage {
	sum := ScheduleCoverage{Points: map[string]int{}}
	for _, c := range r.Cases {
		if c.Schedules == nil {
			continue
		}
		sum.Situations += c.Schedules.Situations
		sum.Schedules += c.Schedules.Schedules
		for p, n := range c.Schedules.Points {
			sum.Points[p] += n
		}
	}
	return sum
}

// Count returns the number of cases with that verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for _, c := range r.Cases {
		if c.Verdict == v {
			n++
		}
	}
	return n
}

// Passed reports whether no case was convicted or unknown and no capability is
// contradicted. Skipped and waived cases do not count, in either direction.
func (r *Report) Passed() bool {
	for _, c := range r.Capabilities {
		if c.Problem != "" {
			return false
		}
	}
	return r.Count(Convicted) == 0 && r.Count(Unknown) == 0
}

// Event tells the progress of a judgement.
type Event struct {
	Section string
	Case    string
	Done    int         // cases finished so far
	Total   int         // cases to run
	Result  *CaseResult // nil at the start of a case
}
