package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/docs/pictures"
)

// The files of a report's directory, beside the folders of the registries.
const (
	homeFile        = "index.html"
	scoresFile      = "scoreboard.json"
	scoreboardFile  = "scoreboard.md"
	brokenFile      = "broken.html"
	convictionsFile = "convictions.txt"
)

// writeHome writes the directory's home page, which tells what the directory has:
// the report of each registry and the scoreboard of the broken ones, of this command
// and of those before it.
func writeHome(dir string) error {
	h, err := readHome(dir)
	if err != nil {
		return err
	}
	if h.Scores != nil {
		if err := writeFile(filepath.Join(dir, brokenFile), func(w io.Writer) error { return brokenPage.Execute(w, h) }); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(dir, homeFile), func(w io.Writer) error { return indexPage.Execute(w, h) })
}

// readHome reads what the directory has.
func readHome(dir string) (home, error) {
	h := home{Lease: template.HTML(pictures.Lease), F1: template.HTML(pictures.F1)}
	paths, err := filepath.Glob(filepath.Join(dir, "*", "report.json"))
	if err != nil {
		return h, err
	}
	for _, path := range paths {
		r, err := readReport(path)
		if err != nil {
			return h, fmt.Errorf("%s: %w", path, err)
		}
		h.Reports = append(h.Reports, r)
	}
	text, err := os.ReadFile(filepath.Join(dir, scoresFile))
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &h.Scores)
	}
	if err != nil {
		return h, fmt.Errorf("%s: %w", filepath.Join(dir, scoresFile), err)
	}
	return h, nil
}

func readReport(path string) (*conformance.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return conformance.ReadReport(f)
}

// home is what the home page tells.
type home struct {
	Reports   []*conformance.Report
	Scores    []broken.Score // the sound store's first
	Lease, F1 template.HTML  // pictures
}

// Passed counts the registries that pass.
func (h home) Passed() (n int) {
	for _, r := range h.Reports {
		if r.Passed() {
			n++
		}
	}
	return n
}

// Broken are the scores without the sound store's.
func (h home) Broken() []broken.Score {
	if len(h.Scores) == 0 {
		return nil
	}
	return h.Scores[1:]
}

// Killed counts the broken registries that are convicted as they should be.
func (h home) Killed() (n int) {
	for _, s := range h.Broken() {
		if s.Killed() {
			n++
		}
	}
	return n
}

// Histories counts what was executed in all.
func (h home) Histories() (n int) {
	for _, r := range h.Reports {
		n += sum(r).Histories
	}
	for _, s := range h.Scores {
		n += s.Executed
	}
	return n
}

// Measures are the names of how far the runs went, in their order.
func (h home) Measures() (names []string) {
	for _, r := range h.Reports {
		if len(r.Extent) > 0 {
			for _, m := range r.Extent {
				names = append(names, m.Name)
			}
			return names
		}
	}
	return nil
}

// totals are a report's sums.
type totals struct{ Histories, Operations int }

func sum(r *conformance.Report) (t totals) {
	t.Histories, t.Operations = report.Executed(r.Cases)
	return t
}

// measured is how far a run went in one respect.
func measured(r *conformance.Report, name string) string {
	for _, m := range r.Extent {
		if m.Name == name {
			return m.Text
		}
	}
	return "–"
}

var (
	//go:embed index.html.tmpl
	indexText string
	//go:embed broken.html.tmpl
	brokenText string
	//go:embed style.css
	style string

	pageFuncs = template.FuncMap{
		"folder": folder, "sum": sum, "measured": measured,
		"style": func() template.CSS { return template.CSS(style) },
		"when":  func(r *conformance.Report) string { return r.Started.Time().UTC().Format("2006-01-02 15:04") },
		"took":  func(d time.Duration) time.Duration { return d.Round(time.Millisecond) },
		"rules": func(s broken.Score) string { return joined(sortedKeys(s.Rules)) },
	}
	indexPage  = template.Must(template.New("index").Funcs(pageFuncs).Parse(indexText))
	brokenPage = template.Must(template.New("broken").Funcs(pageFuncs).Parse(brokenText))
)
