package explain

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// maxDrawn is how many operations are drawn.
const maxDrawn = 200

// timeline is the layout of a history on a grid: time runs down, a row for each
// stamp at which something begins or ends.
type timeline struct {
	Columns template.CSS // widths
	Cells   []cell
	Left    int // operations that are not drawn
}

// cell is one box or bar of the grid. Rows and columns count from 1; To is the row
// after the last.
type cell struct {
	From, To, Column int
	Class            string
	Head             string // in bold
	Text             string
	Clock            string // what the clock read
	Tip              string // shown on pointing at it
}

// column is one of the grid: the clock, a bar of tenures, a bar of what a client serves,
// or a client's calls.
type column struct {
	client string // of calls, or who serves
	bar    string // what the bar is about; "" in a column of calls
}

var clockColumn = column{bar: "clock"}

func (c column) head() string {
	switch {
	case c.bar == "":
		return c.client
	case c.client == "":
		return c.bar
	}
	return c.client + " serves " + c.bar
}

// layout is a timeline in the making.
type layout struct {
	h    *history.History
	v    linearizability.Violation
	text op.Text

	ops     []*history.Op // drawn
	stamps  []int64       // at which something begins or ends, in order
	columns []column
	holders []string // for colours
	cells   []cell
}

// layOut lays a history out. v is the violation that is pointed at; none has Op -1.
func layOut(h *history.History, v linearizability.Violation) timeline {
	l := &layout{h: h, v: v, text: h.Text()}
	l.choose()
	granted := l.granted()
	l.mark(granted)
	l.order(granted)
	l.heads()
	l.drawTenures(granted)
	l.drawServices()
	l.drawCalls()
	l.drawNotes()
	return timeline{Columns: l.widths(), Cells: l.cells, Left: len(h.Ops) - len(l.ops)}
}

// choose takes the operations that are drawn.
func (l *layout) choose() {
	end := min(len(l.h.Ops), maxDrawn)
	if l.v.Op >= 0 {
		end = min(len(l.h.Ops), max(end, l.v.Op+1+maxDrawn/10))
	}
	for i := max(0, end-maxDrawn); i < end; i++ {
		l.ops = append(l.ops, &l.h.Ops[i])
	}
}

// mark collects the stamps that have a row.
func (l *layout) mark(granted []*grant) {
	var all []int64
	for _, o := range l.ops {
		all = append(all, o.Invoked, o.Returned)
	}
	if len(l.ops) > 0 { // what is told of the time before and after has no place
		first, last := l.ops[0].Invoked, slices.Max(all)
		for _, s := range l.h.Served {
			all = append(all, max(s.From, first), min(s.Until, last))
		}
		for _, n := range l.h.Notes {
			if first <= n.At && n.At <= last {
				all = append(all, n.At)
			}
		}
	}
	for _, g := range granted {
		all = append(all, g.from, g.until, g.free)
	}
	slices.Sort(all)
	l.stamps = slices.DeleteFunc(slices.Compact(all), func(s int64) bool { return s == history.Never })
}

// row returns the row of a stamp; the first is that of the heads.
func (l *layout) row(stamp int64) int {
	i, _ := slices.BinarySearch(l.stamps, stamp)
	return i + 2
}

// order puts the columns in theirs: the clock, the tenures, then for each client what it
// serves and its calls.
func (l *layout) order(granted []*grant) {
	l.columns = []column{clockColumn}
	for _, g := range granted {
		l.columns = appendNew(l.columns, g.column())
	}
	var clients []string
	for _, o := range l.ops {
		clients = appendNew(clients, o.Client)
	}
	for _, s := range l.h.Served {
		clients = appendNew(clients, s.Client)
	}
	slices.Sort(clients)
	for _, c := range clients {
		for _, s := range l.h.Served {
			if s.Client == c {
				l.columns = appendNew(l.columns, l.serves(s))
			}
		}
		l.columns = append(l.columns, column{client: c})
	}
}

func appendNew[T comparable](list []T, x T) []T {
	if slices.Contains(list, x) {
		return list
	}
	return append(list, x)
}

// serves is the column of a service.
func (l *layout) serves(s history.Service) column {
	return column{client: s.Client, bar: l.text.Actor(s.Actor)}
}

// at returns the number of a column.
func (l *layout) at(c column) int { return slices.Index(l.columns, c) + 1 }

// widths returns those of the columns.
func (l *layout) widths() template.CSS {
	widths := make([]string, len(l.columns))
	for i, c := range l.columns {
		switch {
		case c == clockColumn:
			widths[i] = "5.5rem"
		case c.bar != "":
			widths[i] = "1.7rem"
		default:
			widths[i] = "minmax(11rem, 1fr)"
		}
	}
	return template.CSS(strings.Join(widths, " "))
}

// hue returns the class of a holder's colour.
func (l *layout) hue(holder string) string {
	l.holders = appendNew(l.holders, holder)
	return fmt.Sprint("hue", slices.Index(l.holders, holder)%4)
}

func (l *layout) heads() {
	for i, c := range l.columns {
		class := "head"
		if c.bar != "" && c != clockColumn {
			class += " upright"
		}
		l.cells = append(l.cells, cell{From: 1, To: 2, Column: i + 1, Class: class, Text: c.head()})
	}
}

// grant is a tenure by stamps.
type grant struct {
	actor, holder string
	token         registry.Token
	expiry        registry.Instant
	from          int64
	until         int64 // it let go, or some clock read its expiry
	free          int64 // others may claim
	ended         bool  // it let go
}

func (g *grant) column() column { return column{bar: g.actor + " · " + g.holder} }

// granted returns the tenures that the drawn operations tell of.
func (l *layout) granted() (all []*grant) {
	for _, o := range l.ops {
		if o.Result.Outcome != op.OK {
			continue
		}
		if e := o.Call.Kind.Effect(); e == op.Passes || e == op.Ends {
			for _, g := range all {
				if g.actor == l.text.Actor(o.Call.Actor) && g.token == o.Call.Token && !g.ended {
					g.until, g.ended = o.Invoked, true
				}
			}
		}
		if r := o.Result.Record; o.Call.Kind.Grants() && r.Token != 0 {
			g := &grant{actor: l.text.Actor(o.Call.Actor), holder: l.text.Ref(r.Holder), token: r.Token, expiry: r.Expiry, from: o.Returned, until: history.Never}
			same := slices.IndexFunc(all, func(k *grant) bool { return k.column() == g.column() && k.token == g.token && !k.ended })
			if same >= 0 {
				all[same].expiry = max(all[same].expiry, g.expiry)
			} else {
				all = append(all, g)
			}
		}
	}
	wait := l.h.Config.Grace + 2*l.h.Config.MaxClockSkew
	for _, g := range all {
		if !g.ended {
			g.until = l.reads(g.from, g.expiry)
		}
		g.free = g.until
		if !g.ended {
			g.free = max(g.until, l.reads(g.from, g.expiry.Add(wait)))
		}
	}
	return all
}

// reads returns when, after a stamp, some client's clock first reads at or later.
func (l *layout) reads(after int64, at registry.Instant) int64 {
	for _, o := range l.ops {
		if o.Invoked > after && len(o.Clock.Seen) > 0 && slices.Max(o.Clock.Seen) >= at {
			return o.Invoked
		}
	}
	return history.Never
}

func (l *layout) drawTenures(granted []*grant) {
	for _, g := range granted {
		bar := cell{From: l.row(g.from), To: l.row(g.until), Column: l.at(g.column()), Class: "bar " + l.hue(g.holder),
			Text: fmt.Sprintf("token %d", g.token),
			Tip:  fmt.Sprintf("%s holds %s under token %d until %s", g.holder, g.actor, g.token, l.text.Time(g.expiry))}
		if g.ended {
			bar.Tip += ", and let go before"
		}
		bar.To = max(bar.To, bar.From+1)
		l.cells = append(l.cells, bar)
		if free := l.row(g.free); free > bar.To {
			l.cells = append(l.cells, cell{From: bar.To, To: free, Column: bar.Column, Class: bar.Class + " wait",
				Tip: "the lease has lapsed; grace and the margin of 2ε, in which nobody else may claim"})
		}
	}
}

func (l *layout) drawServices() {
	for _, s := range l.h.Served {
		on := l.serves(s)
		why := ""
		if s.Why != "" {
			why = ", and stopped: " + s.Why
		}
		from := l.row(s.From)
		l.cells = append(l.cells, cell{From: from, To: max(l.row(s.Until), from+1), Column: l.at(on), Class: "bar serves",
			Text: fmt.Sprintf("token %d", s.Token), Tip: fmt.Sprintf("%s under token %d%s", on.head(), s.Token, why)})
	}
}

func (l *layout) drawCalls() {
	clock := ""
	for _, o := range l.ops {
		from := l.row(o.Invoked)
		if len(o.Clock.Seen) > 0 {
			if now := l.text.Time(o.Clock.Seen[0]); now != clock {
				clock = now
				l.cells = append(l.cells, cell{From: from, To: from + 1, Column: l.at(clockColumn), Class: "clock", Text: now})
			}
		}
		c := cell{From: from, To: max(l.row(o.Returned), from+1) + 1, Column: l.at(column{client: o.Client}), Class: "call",
			Head: fmt.Sprintf("%d  %s", o.ID+1, l.text.Call(&o.Call)), Text: "= " + l.text.Answer(&o.Call, &o.Result)}
		if o.Returned == history.Never {
			c.To = len(l.stamps) + 2
		}
		if s := o.Clock.Text(l.text); s != "none" {
			c.Clock = "clock " + s
		}
		switch {
		case o.ID == l.v.Op:
			c.Class += " wrong"
		case l.v.Op >= 0 && slices.Contains(l.v.Others, o.ID):
			c.Class += " other"
		}
		switch o.Result.Outcome {
		case op.OK:
		case op.Open, op.Pending, op.Settled:
			c.Class += " unknown"
		default:
			c.Class += " refused"
		}
		l.cells = append(l.cells, c)
	}
}

func (l *layout) drawNotes() {
	for _, n := range l.h.Notes {
		if _, ok := slices.BinarySearch(l.stamps, n.At); ok {
			row := l.row(n.At)
			l.cells = append(l.cells, cell{From: row, To: row + 1, Class: "note", Text: n.Text})
		}
	}
}
