package main

import (
	_ "embed"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kelpie-registry/registry/conformance"
)

// writeReports writes each judgement's report in three forms to a folder of
// its own, and an index of them.
func writeReports(dir string, reports []*conformance.Report) error {
	for _, r := range reports {
		sub := reportOf(dir, r.Backend)
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		for name, write := range map[string]func(io.Writer) error{
			"report.json": r.WriteJSON,
			"junit.xml":   r.WriteJUnit,
			"index.html":  r.WriteHTML,
		} {
			if err := writeFile(filepath.Join(sub, name), write); err != nil {
				return err
			}
		}
	}
	return writeFile(filepath.Join(dir, "index.html"), func(w io.Writer) error {
		return indexPage.Execute(w, reports)
	})
}

// reportOf is the folder of a backend's report, and of the histories it links to.
func reportOf(dir, backend string) string { return filepath.Join(dir, folder(backend)) }

// folder is a backend's name as a file name.
func folder(backend string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == ':' {
			return '-'
		}
		return r
	}, backend)
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

//go:embed index.html.tmpl
var indexText string

var indexPage = template.Must(template.New("index").Funcs(template.FuncMap{"folder": folder}).Parse(indexText))
