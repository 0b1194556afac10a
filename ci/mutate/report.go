package main

import (
	"fmt"
	"io"
	"slices"
)

// score counts the mutants of one file.
type score struct {
	mutants, suite, tests, explained, open int
}

func (s *score) add(o score) {
	s.mutants += o.mutants
	s.suite += o.suite
	s.tests += o.tests
	s.explained += o.explained
	s.open += o.open
}

// scoreOf counts one result. One that does not compile counts for nothing.
func scoreOf(r Result, explained explanations) score {
	_, known := explained[r.ID()]
	switch {
	case r.Fate == KilledBySuite:
		return score{mutants: 1, suite: 1}
	case r.Fate == KilledByTests:
		return score{mutants: 1, tests: 1}
	case r.Fate == Survived && known:
		return score{mutants: 1, explained: 1}
	case r.Fate == Survived:
		return score{mutants: 1, open: 1}
	default:
		return score{}
	}
}

// report prints the table and the survivors, and returns the exit code.
func report(w io.Writer, results []Result, explained explanations, stale []string) int {
	byFile, total := map[string]*score{}, score{}
	var files []string
	for _, r := range results {
		if byFile[r.File] == nil {
			byFile[r.File] = new(score)
			files = append(files, r.File)
		}
		byFile[r.File].add(scoreOf(r, explained))
		total.add(scoreOf(r, explained))
	}
	slices.Sort(files)
	fmt.Fprintln(w, "| file | mutants | killed by the suite | killed by own tests | survivors explained | survivors open |")
	fmt.Fprintln(w, "| --- | ---: | ---: | ---: | ---: | ---: |")
	for _, f := range files {
		row(w, f, *byFile[f])
	}
	row(w, "all", total)
	open := explained.unexplained(results)
	for _, r := range open {
		fmt.Fprintf(w, "survivor %s:%d\t%s\t%s\n", r.File, r.Line, r.Func, r.Change)
	}
	slices.Sort(stale)
	for _, id := range stale {
		fmt.Fprintf(w, "explained but no longer a mutant: %s\n", id)
	}
	for _, r := range results {
		if _, ok := explained[r.ID()]; ok && r.Fate != Survived {
			fmt.Fprintf(w, "note: explained but not a survivor (%s): %s:%d\t%s\n", r.Fate, r.File, r.Line, r.Change)
		}
	}
	if len(open)+len(stale) > 0 {
		return exitSurvivors
	}
	return 0
}

func row(w io.Writer, name string, s score) {
	fmt.Fprintf(w, "| %s | %d | %d | %d | %d | %d |\n", name, s.mutants, s.suite, s.tests, s.explained, s.open)
}
