package explain

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// maxRows bounds the operations in a table.
const maxRows = 16

// Table renders a history: a line for each operation when they came one after the
// other, and otherwise side by side, a column for each client in the order of calls
// and returns; operations that overlap show it by their brackets. What was done to
// the cluster stands where it was done. The operation that v is about is marked >,
// those that it contradicts *. Of a long history it shows what concerns v's subject
// last.
func Table(h history.History, v linearizability.Violation) string {
	shown := relevant(h, v)
	var b strings.Builder
	fmt.Fprintln(&b, "cluster: "+Bounds(h.Config))
	t := &table{text: h.Text(), v: v, out: &b}
	for _, o := range shown {
		if !slices.Contains(t.clients, o.Client) {
			t.clients = append(t.clients, o.Client)
		}
	}
	slices.Sort(t.clients)
	if left := len(h.Ops) - len(shown); left > 0 {
		fmt.Fprintf(&b, "     (%d operations that came before or are about something else are left out)\n", left)
	}
	notes := slices.DeleteFunc(slices.Clone(h.Notes), func(n history.Note) bool {
		// what was done later, or to a call that is not shown, explains nothing
		return v.Op < len(h.Ops) && n.At > h.Ops[v.Op].Returned || n.Client != "" && about(n, shown) == nil
	})
	notes = notes[max(0, len(notes)-maxNotes):]
	if overlap(shown) {
		t.render(shown, notes)
	} else {
		b.WriteString(List(t.rows(shown, notes)))
	}
	return b.String()
}

// about returns the operation that a note of a client is about, nil when it is not
// among ops.
func about(n history.Note, ops []*history.Op) *history.Op {
	for _, o := range ops {
		if o.Client == n.Client && o.Invoked < n.At && n.At < o.Returned {
			return o
		}
	}
	return nil
}

// noteText is a note as it is shown between the operations.
func noteText(n history.Note, ops []*history.Op) string {
	if o := about(n, ops); n.Client != "" && o != nil {
		return fmt.Sprintf("%d suffers: %s", o.ID+1, n.Text)
	}
	return n.Text
}

// maxNotes is how many notes are shown, the last ones.
const maxNotes = 6

// overlap reports whether any of the operations, which are in the order of their
// calls, was called before another had returned.
func overlap(ops []*history.Op) bool {
	end := int64(0)
	for _, o := range ops {
		if o.Invoked < end {
			return true
		}
		end = max(end, o.Returned)
	}
	return false
}

func relevant(h history.History, v linearizability.Violation) []*history.Op {
	var ops []*history.Op
	for i := range h.Ops {
		ops = append(ops, &h.Ops[i])
	}
	if len(ops) <= maxRows {
		return ops
	}
	convicted := &h.Ops[v.Op]
	near := slices.DeleteFunc(ops, func(o *history.Op) bool {
		return o.Subject() != v.Subject || o.Invoked > convicted.Returned || o.ID == v.Op || slices.Contains(v.Others, o.ID)
	})
	out := []*history.Op{convicted}
	for _, id := range v.Others {
		out = append(out, &h.Ops[id])
	}
	out = append(out, near[max(0, len(near)-(maxRows-len(out))):]...)
	slices.SortFunc(out, func(a, b *history.Op) int { return cmp.Compare(a.Invoked, b.Invoked) })
	return out
}

type table struct {
	text    op.Text
	v       linearizability.Violation
	clients []string
	out     *strings.Builder
}

// Widths of a table, in characters.
const (
	tableWidth = 132
	minColumn  = 24
	maxColumn  = 52
)

func (t *table) width() int {
	return min(max(tableWidth/max(1, len(t.clients)), minColumn), maxColumn)
}

func (t *table) render(ops []*history.Op, notes []history.Note) {
	t.line("", "#", func(i int) string { return t.clients[i] })
	t.line("", "--", func(i int) string { return strings.Repeat("-", t.width()-2) })
	type half struct {
		op    *history.Op
		stamp int64
		ret   bool
	}
	var halves []half
	for _, o := range ops {
		halves = append(halves, half{o, o.Invoked, false})
		if o.Returned != history.Never {
			halves = append(halves, half{o, o.Returned, true})
		}
	}
	slices.SortStableFunc(halves, func(a, b half) int { return cmp.Compare(a.stamp, b.stamp) })
	for i := 0; i < len(halves); i++ {
		h := halves[i]
		for ; len(notes) > 0 && notes[0].At < h.stamp; notes = notes[1:] {
			fmt.Fprintf(t.out, "     -- %s\n", noteText(notes[0], ops))
		}
		head := t.text.Call(&h.op.Call)
		if clock := h.op.Clock.Text(t.text); clock != "none" {
			head = clock + " " + head
		}
		answer := "= " + t.text.Answer(&h.op.Call, &h.op.Result)
		switch {
		case h.ret:
			t.op(h.op, "└ "+answer)
		case i+1 < len(halves) && halves[i+1].op == h.op:
			t.op(h.op, head, answer)
			i++
		case h.op.Returned == history.Never:
			t.op(h.op, "┌ "+head, "  "+answer)
		default:
			t.op(h.op, "┌ "+head)
		}
	}
	for _, n := range notes {
		fmt.Fprintf(t.out, "     -- %s\n", noteText(n, ops))
	}
}

// op writes an operation, or half of one, into its client's column.
func (t *table) op(o *history.Op, parts ...string) {
	var lines []string
	for i, p := range parts {
		for j, l := range wrap(p, t.width()-5) {
			if i+j > 0 {
				l = "  " + l
			}
			lines = append(lines, l)
		}
	}
	mark := t.mark(o)
	col := slices.Index(t.clients, o.Client)
	for i, l := range lines {
		number := fmt.Sprint(o.ID + 1)
		if i > 0 {
			mark, number = "", ""
		}
		t.line(mark, number, func(c int) string {
			if c == col {
				return l
			}
			return ""
		})
	}
}

func (t *table) line(mark, number string, cell func(i int) string) {
	line := fmt.Sprintf("%1s%3s  ", mark, number)
	for i := range t.clients {
		s := cell(i)
		line += s + strings.Repeat(" ", max(0, t.width()-utf8.RuneCountInString(s)))
	}
	t.out.WriteString(strings.TrimRight(line, " ") + "\n")
}

// wrap breaks text at spaces into lines of at most width characters, if it can.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

func (t *table) mark(o *history.Op) string {
	switch {
	case o.ID == t.v.Op:
		return ">"
	case slices.Contains(t.v.Others, o.ID):
		return "*"
	}
	return ""
}

// rows are those of operations that came one after the other.
func (t *table) rows(ops []*history.Op, notes []history.Note) (rows []Row) {
	for _, o := range ops {
		for ; len(notes) > 0 && notes[0].At < o.Invoked; notes = notes[1:] {
			rows = append(rows, Row{Call: "--", Answer: noteText(notes[0], ops)})
		}
		rows = append(rows, Row{Mark: t.mark(o), Number: o.ID + 1, Client: o.Client, Clock: o.Clock.Text(t.text),
			Call: t.text.Call(&o.Call), Answer: t.text.Answer(&o.Call, &o.Result)})
	}
	for _, n := range notes {
		rows = append(rows, Row{Call: "--", Answer: noteText(n, ops)})
	}
	return rows
}

// Row is a line of a table of operations that came one after the other, or of what
// happened between them. Empty parts are left empty.
type Row struct {
	Mark   string // > or *
	Number int
	At     string // true time, where it is known
	Client string
	Clock  string // what its clock read
	Call   string
	Answer string
}

// List renders rows. What happened several times over is told once.
func List(rows []Row) string {
	var b bytes.Buffer
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	timed := slices.ContainsFunc(rows, func(r Row) bool { return r.At != "" })
	line := func(number, at string, r Row) {
		if timed {
			number += "\t" + at
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", number, r.Client, r.Clock, r.Call, r.Answer)
	}
	line("   #", "true time", Row{Client: "client", Clock: "its clock", Call: "call", Answer: "answer"})
	for i := 0; i < len(rows); {
		first := rows[i]
		times, last := 0, first
		for ; i < len(rows) && rows[i].same(first); i++ {
			times, last = times+1, rows[i]
		}
		number := ""
		if first.Number > 0 {
			number = fmt.Sprintf("%1s%3d", last.Mark, first.Number)
		}
		if times > 1 {
			first.Answer += fmt.Sprintf("  (%d times)", times)
		}
		line(number, first.At, first)
	}
	_ = tw.Flush() // a bytes.Buffer does not fail
	var trimmed strings.Builder
	for l := range strings.Lines(b.String()) {
		trimmed.WriteString(strings.TrimRight(l, " \n") + "\n")
	}
	return trimmed.String()
}

// same reports whether both tell the same, at two places.
func (r Row) same(o Row) bool {
	r.Mark, r.Number, o.Mark, o.Number = "", 0, "", 0
	return r == o
}
