package main

import (
	"bytes"
	"fmt"
	"strings"
)

// explanations are the survivors that somebody looked at: the reason by mutant ID.
type explanations map[string]string

// readExplanations reads lines of file, function, change and reason, with tabs
// between them. Empty lines and those that begin with # do not count.
func readExplanations(text []byte) (explanations, error) {
	all := explanations{}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		s := strings.TrimRight(string(line), "\n")
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		f := strings.Split(s, "\t")
		if len(f) != 4 || strings.TrimSpace(f[3]) == "" {
			return nil, fmt.Errorf("line %d: has %d fields, want file, function, change and reason", n, len(f))
		}
		id := strings.Join(f[:3], "\t")
		if _, twice := all[id]; twice {
			return nil, fmt.Errorf("line %d: explains what is explained already", n)
		}
		all[id] = f[3]
	}
	return all, nil
}

// unexplained returns the survivors that nobody has explained.
func (e explanations) unexplained(results []Result) (open []Result) {
	for _, r := range results {
		if _, ok := e[r.ID()]; r.Fate == Survived && !ok {
			open = append(open, r)
		}
	}
	return open
}

// stale returns the IDs in dirs that no mutant has: the code changed, and the
// reason must be thought of anew.
func (e explanations) stale(dirs []string, all []Mutant) (ids []string) {
	exists := map[string]bool{}
	for _, m := range all {
		exists[m.ID()] = true
	}
	for id := range e {
		for _, dir := range dirs {
			if strings.HasPrefix(id, dir+"/") && !exists[id] {
				ids = append(ids, id)
			}
		}
	}
	return ids
}
