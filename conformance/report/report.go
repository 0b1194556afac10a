// Package report has what a judgement says, as values and as JSON, JUnit and one
// HTML page. Package conformance makes it, and has its types under the same names.
package report

import (
	"fmt"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/kelpie-registry/registry/conformance/backend"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/explain"
)

// Schema is the version of the report's JSON form. It grows with every
// change that a reader of the earlier form would misunderstand; fields that are
// only added leave it: profiles, level, extent, speed, store, sections, realTime, and of a
// conviction place, definition, order, often and script, of a coverage walks.
const Schema = 1

// Verdict is the outcome of a case.
type Verdict string

// The verdicts. Only Pass is a pass.
const (
	Pass      Verdict = "pass"
	Convicted Verdict = "convicted"
	Unknown   Verdict = "unknown" // not decided: the reason says why
	Skipped   Verdict = "skipped" // not executed: the reason says why
	Waived    Verdict = "waived"  // executed: nothing is wrong but breaches of rules that were waived
)

// Report is the outcome of one judgement.
type Report struct {
	Schema       int                `json:"schema"`
	Backend      string             `json:"backend"`
	Type         string             `json:"type"` // Go type of the backend
	Go           string             `json:"go"`
	Platform     string             `json:"platform"`
	Store        *backend.Store     `json:"store,omitempty"` // what the backend says it ran on; nil when it says nothing
	Config       registry.Config    `json:"config"`
	Seeds        []uint64           `json:"seeds"`
	Started      registry.Instant   `json:"started"`
	Duration     time.Duration      `json:"duration"`
	Dialect      *DialectResult     `json:"dialect,omitempty"`  // of a backend that declares one
	RealTime     *Margins           `json:"realTime,omitempty"` // of a backend whose clock the suite does not hold
	Capabilities []CapabilityResult `json:"capabilities"`
	Cases        []CaseResult       `json:"cases"`              // in the order of the suite's sections
	Rules        []RuleResult       `json:"rules"`              // in the contract's order
	Sections     []SectionResult    `json:"sections,omitempty"` // what the sections of the cases are about
	Profiles     []ProfileResult    `json:"profiles"`
	Level        Effort             `json:"level,omitempty"`  // "" in reports that are older than levels
	Extent       []Measure          `json:"extent,omitempty"` // how far this run went, over all cases
	Speed        Speed              `json:"speed,omitzero"`   // zero in reports that are older
}

// Speed says how much a judgement carried out and how fast.
type Speed struct {
	Histories  int     `json:"histories"`
	Operations int     `json:"operations"`
	PerSecond  float64 `json:"perSecond"` // operations
	Memory     uint64  `json:"memory"`    // bytes that the whole process has had from the system: the Go runtime keeps its peak
}

// Executed returns how many histories and operations the cases had together.
func Executed(cases []CaseResult) (histories, operations int) {
	for _, c := range cases {
		histories += c.Histories
		operations += c.Operations
	}
	return histories, operations
}

// SpeedOf is the speed of that much in that time, with the memory of this process.
func SpeedOf(histories, operations int, took time.Duration) Speed {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(sample)
	return Speed{histories, operations, float64(operations) / max(took.Seconds(), 1e-9), sample[0].Value.Uint64()}
}

// String returns the rate and the memory.
func (s Speed) String() string {
	return fmt.Sprintf("%.0f operations/s, %d MB at most", s.PerSecond, s.Memory/1e6)
}

// CapabilityResult compares a declared power with what was found.
type CapabilityResult struct {
	Capability backend.Capability `json:"capability"`
	Declared   bool               `json:"declared"`
	Found      bool               `json:"found"`
	Problem    string             `json:"problem,omitempty"` // declared and not there: rule capability.declared is broken
	Note       string             `json:"note,omitempty"`    // found and not declared
}

// CaseResult is the outcome of one case over all its seeds.
type CaseResult struct {
	Section    string              `json:"section"`
	Name       string              `json:"name"`
	Doc        string              `json:"doc"`
	Rules      []contract.RuleID   `json:"rules"`
	Verdict    Verdict             `json:"verdict"`
	Reason     string              `json:"reason,omitempty"` // of Skipped and Unknown
	Histories  int                 `json:"histories"`
	Operations int                 `json:"operations"`
	Troubles   int                 `json:"troubles,omitempty"` // calls that the store, being in trouble, left unanswered: made again, or found out
	Duration   time.Duration       `json:"duration"`
	Coverage   *Coverage           `json:"coverage,omitempty"` // of the specification's graph, in section edges
	Conviction *explain.Conviction `json:"conviction,omitempty"`
	Waived     []Breach            `json:"waived,omitempty"` // the first of each rule that was waived

	Schedules *ScheduleCoverage `json:"schedules,omitempty"` // in section schedules
}

// ID returns "section/name".
func (r CaseResult) ID() string { return r.Section + "/" + r.Name }

// SectionResult tells what a section is about.
type SectionResult struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// RuleResult lists the cases that test a rule and what they say together.
type RuleResult struct {
	Rule    contract.RuleID `json:"rule"`
	Section string          `json:"section"` // of the contract
	Text    string          `json:"text"`
	Cases   []string        `json:"cases"`
	Verdict Verdict         `json:"verdict"` // Convicted if any case is; Pass only if at least one passed and none is unknown
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
		sum.Add(*c.Coverage)
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

// DialectResult is what a judgement says of the dialect that a backend declared.
type DialectResult struct {
	Dialect  dialect.Dialect   `json:"dialect"`
	PassesAs string            `json:"passesAs"` // "lock, store's clock, sparse tokens"
	Keeps    []contract.RuleID `json:"keeps"`    // the guarantees that it promises, tested and not broken
	Lacks    []string          `json:"lacks"`    // what the dialect, or the configuration, does not promise
	Stricter []string          `json:"stricter"` // differences that were declared and never seen: "could be stricter"
}

// String returns the result in one line: what it passes as, what it keeps, what it
// does not promise.
func (r *DialectResult) String() string {
	s := r.PassesAs
	if len(r.Keeps) > 0 {
		keeps := make([]string, len(r.Keeps))
		for i, k := range r.Keeps {
			keeps[i] = string(k)
		}
		s += "; keeps " + strings.Join(keeps, ", ")
	}
	if len(r.Lacks) > 0 {
		s += "; does not promise: " + strings.Join(r.Lacks, ", ")
	}
	if len(r.Stricter) > 0 {
		s += "; could be stricter: never seen to need " + strings.Join(r.Stricter, ", ")
	}
	return s
}

// Coverage says what of a bounded state graph of the specification was carried out.
type Coverage struct {
	States   int            `json:"states"`
	Edges    int            `json:"edges"`    // labelled steps, every one carried out when the case passed
	Walks    int            `json:"walks"`    // from the initial state, that it took
	Scripts  int            `json:"scripts"`  // clusters on which they were carried out
	Executed map[string]int `json:"executed"` // by action, and by action and refusing guard; repetitions on the way included
}

// Note counts a step carried out.
func (c *Coverage) Note(what string) {
	if c.Executed == nil {
		c.Executed = map[string]int{}
	}
	c.Executed[what]++
}

// Add counts what another part of a graph's walks has carried out.
func (c *Coverage) Add(o Coverage) {
	c.States += o.States
	c.Edges += o.Edges
	c.Walks += o.Walks
	c.Scripts += o.Scripts
	if c.Executed == nil {
		c.Executed = map[string]int{}
	}
	for what, n := range o.Executed {
		c.Executed[what] += n
	}
}

// ScheduleCoverage says what of the schedules a case has explored. Each was
// executed once and is one of the case's histories.
type ScheduleCoverage struct {
	Situations  int            `json:"situations"`  // a state of the record and two or three operations that begin in it
	Schedules   int            `json:"schedules"`   // orders of their steps
	Preemptions int            `json:"preemptions"` // at most, in one schedule; -1: no bound, all schedules
	Points      map[string]int `json:"points"`      // how often a yield point was reached, by operation and point
}

// Measure is one line of how far a run went: the most of something that any of
// its histories reached, or how often something happened in all of them.
type Measure struct {
	Name  string `json:"name"`  // stable, for example "highest token"
	Value string `json:"value"` // decimal digits: a count, or nanoseconds of a duration, or since 1970 of a clock reading
	Text  string `json:"text"`  // the value for a person
}

// Effort is how much a judgement spends, see the suite's option Level.
type Effort string

// The levels. Each looks at everything that the one before looks at.
const (
	Quick    Effort = "quick"    // a quarter of the histories, the smallest sizes: while editing
	Default  Effort = "default"  // what a change should pass before it lands
	Thorough Effort = "thorough" // ten times the histories, and sizes that take minutes: before a release
)

// Efforts lists the levels, the cheapest first.
func Efforts() []Effort { return []Effort{Quick, Default, Thorough} }

// ProfileResult is what a judgement says of a profile. It passes only if every
// case of it was executed and passed.
type ProfileResult struct {
	Profile  string   `json:"profile"`
	Doc      string   `json:"doc"`
	Cases    []string `json:"cases"`
	Executed int      `json:"executed"` // how many of them
	Verdict  Verdict  `json:"verdict"`
	Reason   string   `json:"reason,omitempty"` // of Skipped
}

// Breach is a breach of a rule that was waived.
type Breach struct {
	Rule  contract.RuleID `json:"rule"`
	Found string          `json:"found"` // where it was seen first
}
