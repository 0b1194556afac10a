package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

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
