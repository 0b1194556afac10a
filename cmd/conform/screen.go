package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"github.com/kelpie-registry/registry/internal/console"
)

// What is printed fits 80 columns, or the terminal's where it is narrower.
const widest = 80

// fileOf is the file that w writes to, if it is one.
func fileOf(w io.Writer) (*os.File, bool) {
	if o, ok := w.(*console.Output); ok {
		w = o.Writer
	}
	f, ok := w.(*os.File)
	return f, ok
}

func isTerminal(w io.Writer) bool {
	f, ok := fileOf(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns is the width to which text for w is wrapped.
func columns(w io.Writer) int {
	if f, ok := fileOf(w); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return min(width, widest)
		}
	}
	return widest
}

// painted is s in a colour where w is a terminal that has them. NO_COLOR is
// respected.
func painted(w io.Writer, c text.Color, s string) string {
	if !isTerminal(w) {
		return s
	}
	return c.Sprint(s)
}

// newTable is the one look of this command's tables: columns without lines.
func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Options.SeparateHeader = true
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "", "  "
	t.SuppressTrailingSpaces()
	t.Style().Format.Header = text.FormatDefault
	t.Style().Format.Footer = text.FormatDefault
	if len(header) > 0 {
		t.AppendHeader(header)
	}
	return t
}

// paragraph prints text wrapped and indented.
func paragraph(w io.Writer, indent int, s string) {
	margin := strings.Repeat(" ", indent)
	for line := range strings.SplitSeq(text.WrapSoft(s, max(columns(w)-indent, 20)), "\n") {
		fmt.Fprintln(w, margin+strings.TrimRight(line, " "))
	}
}
