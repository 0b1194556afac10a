package main

import (
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
		sub := filepath.Join(dir, folder(r.Backend))
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

var indexPage = template.Must(template.New("index").Funcs(template.FuncMap{"folder": folder}).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>conform</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884 }
.pass { color: light-dark(#17693a, #6fd19a) } .bad { color: light-dark(#a3241b, #ff9a8f) }
</style>
<h1>Registries judged</h1>
<table><tr><th>registry<th>verdict<th>cases<th>skipped
{{range .}}<tr><td><a href="{{folder .Backend}}/index.html">{{.Backend}}</a>
<td>{{if .Passed}}<span class="pass">passed</span>{{else}}<span class="bad">not passed</span>{{end}}
<td>{{len .Cases}}<td>{{.Count "skipped"}}
{{end}}</table>
</html>
`))
