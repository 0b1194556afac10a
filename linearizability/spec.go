package linearizability

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// Spec knows where a TLA+ module defines its operators.
type Spec struct {
	path string
	defs map[string]specDef
}

type specDef struct {
	line int
	text string // the line of the definition
}

// ReadSpec reads the module at path. Explanations name the path as it is given.
func ReadSpec(path string) (*Spec, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return scanSpec(path, f)
}

// scanSpec finds the definitions: lines that begin, in the first column, with a
// name, perhaps parameters, and ==.
func scanSpec(path string, r io.Reader) (*Spec, error) {
	s := &Spec{path: path, defs: map[string]specDef{}}
	in := bufio.NewScanner(r)
	for line := 1; in.Scan(); line++ {
		head, _, ok := strings.Cut(in.Text(), "==")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimRight(head, " "), "(")
		if name == "" || strings.Trim(name, specName) != "" {
			continue
		}
		if _, ok := s.defs[name]; !ok {
			s.defs[name] = specDef{line, in.Text()}
		}
	}
	return s, in.Err()
}

const specName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// place returns path:line of an operator's definition and its first line.
func (s *Spec) place(operator string) (where, text string, ok bool) {
	if s == nil {
		return "", "", false
	}
	d, ok := s.defs[operator]
	return fmt.Sprintf("%s:%d", s.path, d.line), d.text, ok
}
