// Package fates keeps what became of mutants in a file, a line each, so that a run that
// was interrupted goes on where it ended.
package fates

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Read returns the lines of a file that Append wrote, each with that many columns. A
// file that is not there has none.
func Read(file string, columns int) ([][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		c := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(c) != columns {
			return nil, fmt.Errorf("%s: %q is no fate", file, line)
		}
		all = append(all, c)
	}
	return all, nil
}

// Append adds a line. The last column is text, whose tabs and line ends become spaces.
func Append(file string, columns ...string) error {
	w, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	last := len(columns) - 1
	columns[last] = strings.NewReplacer("\t", " ", "\n", " ").Replace(columns[last])
	_, err = fmt.Fprintln(w, strings.Join(columns, "\t"))
	return errors.Join(err, w.Close())
}
