package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/kelpie-registry/registry/explain"
)

//go:embed report.html.tmpl
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{"base": filepath.Base}).Parse(pageText))

// WriteHTML writes the report as one HTML page that needs nothing else: the
// shortest counterexample first, then the matrix of cases, the rules and what
// was not executed. Its links to saved histories hold when it stands in the
// directory that they were saved to.
func (r *Report) WriteHTML(w io.Writer) error {
	p := reportPage{Report: r, Started: r.Started.Time().Format("2006-01-02 15:04:05 UTC"), Took: r.Duration.Round(time.Millisecond)}
	for _, c := range r.Cases {
		if c.Conviction != nil {
			p.Convictions = append(p.Convictions, convictionView{c, drawTenures(c.Conviction)})
		}
		if c.Verdict != Pass && c.Verdict != Convicted {
			p.Open = append(p.Open, c)
		}
	}
	slices.SortStableFunc(p.Convictions, func(a, b convictionView) int { return a.Conviction.Length - b.Conviction.Length })
	for _, s := range r.Sections {
		v := sectionView{Name: s.Name, Doc: s.Doc}
		for _, c := range r.Cases {
			if c.Section == s.Name {
				v.Cases = append(v.Cases, c)
			}
		}
		if len(v.Cases) > 0 {
			p.Sections = append(p.Sections, v)
		}
	}
	return page.Execute(w, p)
}

// reportPage is what the template sees.
type reportPage struct {
	*Report
	Started     string
	Took        time.Duration
	Convictions []convictionView
	Open        []CaseResult
	Sections    []sectionView
}

type convictionView struct {
	CaseResult
	Picture *picture
}

type sectionView struct {
	Name, Doc string
	Cases     []CaseResult
}

// Mark returns the sign of a verdict; colour is never the only difference.
func (v Verdict) Mark() string {
	return map[Verdict]string{Pass: "✓", Convicted: "✗", Unknown: "?", Skipped: "–", Waived: "~"}[v]
}

// picture is the timeline of a conviction's tenures, a lane for each holder of
// each actor, in the units of its view box.
type picture struct {
	Width, Height int
	Lanes         []lane
	Bars          []bar
	Ticks         []axisTick
}

type lane struct {
	Y     int
	Label string
}

type bar struct {
	X, W, Y       float64
	GraceW, LastW float64 // after the lease: grace, and the margin of 2ε
	Ended         bool
	Label, Title  string
	Hue           int // 0..3, by holder
}

// GraceX is where the grace begins.
func (b bar) GraceX() float64 { return b.X + b.W }

// LastX is where the margin begins.
func (b bar) LastX() float64 { return b.X + b.W + b.GraceW }

// Roomy reports whether the bar has room for its label.
func (b bar) Roomy() bool { return b.W > 60 }

// Bottom is where the axis ends.
func (p picture) Bottom() int { return p.Height - 20 }

type axisTick struct {
	X      float64
	Label  string
	Anchor string // of the label
}

const (
	pictureWidth = 760
	pictureLeft  = 120
	laneHeight   = 34
)

// drawTenures lays the tenures out, nil when there are none.
func drawTenures(c *explain.Conviction) *picture {
	if len(c.Tenures) == 0 {
		return nil
	}
	grace, margin := int64(c.Config.Grace), int64(2*c.Config.MaxClockSkew)
	begin, end := c.Tenures[0].From, int64(0)
	for _, t := range c.Tenures {
		begin, end = min(begin, t.From), max(end, t.Until+grace+margin)
	}
	span := max(end-begin, 1)
	scale := float64(pictureWidth-pictureLeft-12) / float64(span)
	x := func(at int64) float64 { return pictureLeft + float64(max(at-begin, 0))*scale }
	p := &picture{Width: pictureWidth}
	var holders []string
	for _, t := range c.Tenures {
		label := t.Actor + " · " + t.Holder
		i := slices.IndexFunc(p.Lanes, func(l lane) bool { return l.Label == label })
		if i < 0 {
			i = len(p.Lanes)
			p.Lanes = append(p.Lanes, lane{Y: 8 + i*laneHeight, Label: label})
		}
		if !slices.Contains(holders, t.Holder) {
			holders = append(holders, t.Holder)
		}
		b := bar{
			X: x(t.From), W: max(x(t.Until)-x(t.From), 1), Y: float64(p.Lanes[i].Y), Ended: t.Ended,
			GraceW: float64(grace) * scale, LastW: float64(margin) * scale, Hue: slices.Index(holders, t.Holder) % 4,
			Label: fmt.Sprintf("token %d", t.Token),
			Title: fmt.Sprintf("%s holds %s under token %d from T+%v until T+%v", t.Holder, t.Actor, t.Token, time.Duration(t.From), time.Duration(t.Until)),
		}
		if t.Ended {
			b.GraceW, b.LastW = 0, 0
		}
		p.Bars = append(p.Bars, b)
	}
	p.Height = 8 + len(p.Lanes)*laneHeight + 24
	for i := range int64(5) {
		at := begin + span*i/4
		anchor := "middle"
		if i == 4 {
			anchor = "end"
		}
		p.Ticks = append(p.Ticks, axisTick{X: x(at), Anchor: anchor, Label: "T+" + time.Duration(at).Round(max(time.Duration(span/1000), 1)).String()})
	}
	return p
}
