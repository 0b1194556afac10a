package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kelpie-registry/registry/internal/strictjson"
)

// WriteJSON writes the report as indented JSON. Durations are in nanoseconds,
// instants in nanoseconds since 1970; the field "schema" is [Schema].
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Read reads what WriteJSON wrote, up to the end of rd. It refuses other
// schemas, and what WriteJSON does not write.
func Read(rd io.Reader) (*Report, error) {
	var head struct{ Schema int }
	text, err := io.ReadAll(rd)
	if err == nil {
		err = json.Unmarshal(text, &head)
	}
	if err == nil && head.Schema != Schema {
		return nil, fmt.Errorf("conformance: the report has schema %d, this package reads %d", head.Schema, Schema)
	}
	r := new(Report)
	if err == nil {
		err = strictjson.Unmarshal(text, r)
	}
	if err != nil {
		return nil, fmt.Errorf("conformance: reading a report: %w", err)
	}
	return r, nil
}

// The JUnit form, as continuous integration systems read it.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Name    string       `xml:"name,attr"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string           `xml:"name,attr"`
		Tests      int              `xml:"tests,attr"`
		Failures   int              `xml:"failures,attr"`
		Errors     int              `xml:"errors,attr"`
		Skipped    int              `xml:"skipped,attr"`
		Time       string           `xml:"time,attr"`
		Properties *junitProperties `xml:"properties"`
		Cases      []junitCase      `xml:"testcase"`
	}
	junitProperties struct {
		List []junitProperty `xml:"property"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string     `xml:"classname,attr"`
		Name    string     `xml:"name,attr"`
		Time    string     `xml:"time,attr"`
		Failure *junitNote `xml:"failure"`
		Error   *junitNote `xml:"error"`
		Skipped *junitNote `xml:"skipped"`
	}
	junitNote struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// WriteJUnit writes the report as JUnit XML: a conviction is a failure, an
// undecided case an error, a case not executed is skipped. A contradicted
// capability is a failure of the suite "capabilities", whose properties say what
// the judgement ran on.
func (r *Report) WriteJUnit(w io.Writer) error {
	doc := junitSuites{Name: "conformance of " + r.Backend}
	capabilities := junitSuite{Name: "capabilities", Time: seconds(0)}
	if r.Store != nil {
		capabilities.Properties = &junitProperties{[]junitProperty{{"store", r.Store.Name}, {"real-store", strconv.FormatBool(r.OnRealStore())}}}
	}
	for _, c := range r.Capabilities {
		tc := junitCase{Class: r.Backend + ".capabilities", Name: string(c.Capability), Time: seconds(0)}
		if c.Problem != "" {
			tc.Failure = &junitNote{Message: c.Problem}
			capabilities.Failures++
		}
		capabilities.Cases = append(capabilities.Cases, tc)
	}
	capabilities.Tests = len(capabilities.Cases)
	doc.Suites = append(doc.Suites, capabilities)
	for _, s := range r.sections() {
		doc.Suites = append(doc.Suites, r.junitSection(s))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *Report) junitSection(section string) junitSuite {
	s := junitSuite{Name: section}
	var total time.Duration
	for _, c := range r.Cases {
		if c.Section != section {
			continue
		}
		tc := junitCase{Class: r.Backend + "." + section, Name: c.Name, Time: seconds(c.Duration)}
		switch c.Verdict {
		case Convicted:
			s.Failures++
			tc.Failure = &junitNote{Message: fmt.Sprintf("breaks %s: %s", c.Conviction.Rule, c.Conviction.RuleText), Text: c.Conviction.String()}
		case Unknown:
			s.Errors++
			tc.Error = &junitNote{Message: c.Reason}
		case Skipped, Waived:
			s.Skipped++
			tc.Skipped = &junitNote{Message: c.Reason}
		}
		total += c.Duration
		s.Cases = append(s.Cases, tc)
	}
	s.Tests, s.Time = len(s.Cases), seconds(total)
	return s
}

// sections returns the names of the sections that the report has cases of.
func (r *Report) sections() []string {
	var names []string
	for _, c := range r.Cases {
		if len(names) == 0 || names[len(names)-1] != c.Section {
			names = append(names, c.Section)
		}
	}
	return names
}

// WriteFiles writes the report to a directory, which is made when needed, in each of
// its forms: report.json, junit.xml and index.html.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{
		"report.json": r.WriteJSON,
		"junit.xml":   r.WriteJUnit,
		"index.html":  r.WriteHTML,
	} {
		var text bytes.Buffer
		if err := write(&text); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
