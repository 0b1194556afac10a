package tlc

import (
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table returns the results as a table, one row per entry, with measured states
// and processor time, ready to be rendered as text or Markdown.
func (rs Results) Table() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.Style().Format.Footer = text.FormatDefault
	t.AppendHeader(table.Row{"configuration", "shows", "verdict", "states", "depth", "CPU s", ""})
	var states int64
	var cpu time.Duration
	for _, r := range rs {
		mark := "ok"
		if len(r.Problems) > 0 {
			mark = "DIFFERS"
		}
		states += r.Output.Distinct
		cpu += r.Output.CPU
		depth := any(r.Output.Depth)
		if r.Output.Depth == 0 {
			depth = "" // TLC does not say how deep a liveness check or an initial violation went
		}
		t.AppendRow(table.Row{r.Check.ID, r.Check.Purpose, violation(r.Output.Verdict, r.Output.Violated), r.Output.Distinct, depth, seconds(r.Output.CPU), mark})
	}
	t.AppendFooter(table.Row{fmt.Sprintf("%d configurations", len(rs)), "", "", states, "", seconds(cpu), ""})
	t.SetColumnConfigs([]table.ColumnConfig{
		{Name: "states", Align: text.AlignRight}, {Name: "depth", Align: text.AlignRight}, {Name: "CPU s", Align: text.AlignRight},
	})
	return t
}

// Conjuncts returns the table of the guard conjuncts that were dropped, one row
// per entry, with the property that refuted the module without it.
func (rs Results) Conjuncts() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"module", "without conjunct", "refuted by", "steps"})
	for _, r := range rs {
		if r.Check.Drop == "" {
			continue
		}
		refuted := r.Output.Violated
		if len(r.Problems) > 0 {
			refuted = "SURVIVES"
		}
		t.AppendRow(table.Row{r.Check.Module, r.Check.Drop, refuted, len(r.Output.Trace)})
	}
	return t
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }
