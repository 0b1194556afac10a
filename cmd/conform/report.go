package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/internal/usage"
)

// writeReports writes each judgement's report in three forms to a folder of
// its own, and the directory's home page.
func writeReports(dir string, reports []*conformance.Report) error {
	for _, r := range reports {
		if err := r.WriteFiles(reportOf(dir, r.Backend)); err != nil {
			return err
		}
	}
	return writeHome(dir)
}

// placeReport makes the directory of the reports, and fails where its home page could
// not be written beside what is there.
func placeReport(dir string) error {
	if err := place("report", dir); err != nil || dir == "" {
		return err
	}
	if _, err := readHome(dir); err != nil {
		return usage.Errorf("--report: what is there already is not of this command: %w", err)
	}
	return nil
}

// place makes the directory that a flag names, if it names one, and fails where
// nothing can be written to it.
func place(flag, dir string) error {
	if dir == "" {
		return nil
	}
	if err := writable(dir); err != nil {
		return usage.Errorf("--%s: %w", flag, err)
	}
	return nil
}

func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// reportOf is the folder of a backend's report, and of the histories it links to.
func reportOf(dir, backend string) string { return filepath.Join(dir, folder(backend)) }

// folder is a backend's name as a file name. A backend that is another program says its
// name itself.
func folder(backend string) string {
	const longest = 100 // bytes; file systems have 255, and histories add to it
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:`, r) || !unicode.IsPrint(r) {
			return '-'
		}
		return r
	}, backend)
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "")
	}
	if strings.Trim(name, ".") == "" { // the directory itself, or the one above
		name = "-" + name
	}
	return name
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
