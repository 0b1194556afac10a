package explain

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/serving"
)

//go:embed draw.html.tmpl
var pageText string

var page = template.Must(template.New("draw").Parse(pageText))

// Draw writes a self-contained HTML page about h: why it cannot be explained, when
// res says so, and a timeline from top to bottom with a column for each client, whose
// boxes are calls from their beginning to their return, and bars for each tenure that
// was granted and for each service that was told. Readings of clocks stand at the left
// and in the boxes. The search behind the result, as Porcupine draws it, is an extra
// at the end. res is the result of checking h.
//
// At most 200 operations are drawn: those of a convicted history that came last before
// the violation, the first ones otherwise.
func Draw(w io.Writer, h history.History, res linearizability.Result) error {
	p := drawing{Title: fmt.Sprintf("A history of %d operations", len(h.Ops))}
	v := linearizability.Violation{Op: -1}
	if len(res.Violations) > 0 {
		v = res.Violations[0]
		c := As(h, v)
		p.Title, p.Rule, p.Why = "Breaks "+string(c.Rule), c.RuleText, c.parts()
	}
	p.timeline = layOut(&h, v)
	p.Search = search(h, res)
	return p.write(w, &h)
}

// DrawService draws h as [Draw] does, for a service that broke a rule of clients.
func DrawService(w io.Writer, h history.History, v serving.Violation) error {
	h.Notes = append(slices.Clone(h.Notes), history.Note{At: v.At, Text: h.Served[v.Service].Client + " breaks " + v.Rule})
	slices.SortStableFunc(h.Notes, func(a, b history.Note) int { return cmp.Compare(a.At, b.At) })
	p := drawing{Title: "A client breaks " + v.Rule, Why: []part{{"found:", v.Found}, {"wanted:", v.Wanted}}}
	p.timeline = layOut(&h, linearizability.Violation{Op: -1})
	return p.write(w, &h)
}

func (p *drawing) write(w io.Writer, h *history.History) error {
	p.Bounds, p.Serves = Bounds(h.Config), len(h.Served) > 0
	return page.Execute(w, p)
}

// drawing is what the page shows.
type drawing struct {
	Title, Rule string
	Why         []part
	Bounds      string // of the cluster
	Serves      bool   // some client says what it serves
	timeline
	Search string // a page of Porcupine's, "" when there is none
}

// search returns the page on which Porcupine draws a search for an order of h. What is
// drawn [linearizability.Timeline] says.
func search(h history.History, res linearizability.Result) string {
	model, ops, err := linearizability.Timeline(h, res)
	if err != nil {
		return ""
	}
	_, info := porcupine.CheckOperationsVerbose(model, ops, linearizability.DefaultTimeout) // part of it is a picture too
	var b strings.Builder
	if porcupine.Visualize(model, info, &b) != nil {
		return ""
	}
	return b.String()
}
