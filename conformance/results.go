package conformance

import (
	"io"

	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/explain"
)

// What a judgement says; package report has it.
type (
	Report           = report.Report
	CapabilityResult = report.CapabilityResult
	CaseResult       = report.CaseResult
	RuleResult       = report.RuleResult
	ProfileResult    = report.ProfileResult
	SectionResult    = report.SectionResult
	DialectResult    = report.DialectResult
	Margins          = report.Margins
	Coverage         = report.Coverage
	ScheduleCoverage = report.ScheduleCoverage
	Measure          = report.Measure
	Speed            = report.Speed
	Effort           = report.Effort
	Breach           = report.Breach
	Verdict          = report.Verdict
	Conviction       = explain.Conviction
	Tenure           = explain.Tenure
)

// The verdicts. Only Pass is a pass.
const (
	Pass      = report.Pass
	Convicted = report.Convicted
	Unknown   = report.Unknown
	Skipped   = report.Skipped
	Waived    = report.Waived
)

// ReportSchema is the version of the report's JSON form.
const ReportSchema = report.Schema

// ReadReport reads what Report.WriteJSON wrote.
func ReadReport(r io.Reader) (*Report, error) { return report.Read(r) }

// Event tells the progress of a judgement.
type Event struct {
	Section string
	Case    string
	Done    int         // cases finished so far
	Total   int         // cases to run
	Result  *CaseResult // nil at the start of a case
}
