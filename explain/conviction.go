package explain

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Conviction says what a registry did that no registry may do.
type Conviction struct {
	Rule       contract.RuleID `json:"rule"`
	RuleText   string          `json:"ruleText"`
	Action     string          `json:"action,omitempty"`     // of the specification
	Guard      string          `json:"guard,omitempty"`      // the conjunct that refused, or should have; or the part of the effect or the answer that differs
	Place      string          `json:"place,omitempty"`      // file and line of the definition in the specification
	Definition string          `json:"definition,omitempty"` // of the guard
	Found      string          `json:"found"`
	Wanted     string          `json:"wanted"`
	Order      string          `json:"order,omitempty"`   // when a search failed: the operations that could be put in order, and what they leave
	Often      string          `json:"often,omitempty"`   // the mistake that most often is the cause
	History    string          `json:"history"`           // the minimal history as a table
	Length     int             `json:"length"`            // operations in the history
	Seed       uint64          `json:"seed"`              // replays exactly this
	HistoryNo  int             `json:"historyNo"`         // how many histories the case had executed, this one included
	Reproduce  string          `json:"reproduce"`         // the one line that does it
	Saved      string          `json:"saved,omitempty"`   // path of the history as JSON Lines
	Drawing    string          `json:"drawing,omitempty"` // path of the drawing

	Script      string `json:"script,omitempty"`      // the history as conform replay reads it; "" when its steps cannot be written down
	ScriptSaved string `json:"scriptSaved,omitempty"` // path of the script

	Dialects []string `json:"dialects,omitempty"` // differences any of which, declared, would allow the answer

	Config  registry.Config `json:"config"`            // of the cluster in this history
	Tenures []Tenure        `json:"tenures,omitempty"` // what was granted in it
}

// New returns a conviction of breaking a rule, with what follows from that. An
// empty action stands for the rule's own, and its guard.
func New(rule contract.RuleID, action, guard, found, wanted string) *Conviction {
	r := rule.Rule()
	if action == "" {
		action, guard = r.Action, string(r.Guard)
	}
	c := &Conviction{Rule: rule, RuleText: r.Text, Action: action, Guard: guard, Found: found, Wanted: wanted, Often: Cause(rule, action, guard)}
	c.Place = cmp.Or(Place(action), Place(action+"Guard")) // a read has only a guard
	switch {
	case c.isGuard():
		c.Place, c.Definition = Place(guard), Definition(guard)
	case guard != "" && Place(action+"Effect") != "":
		c.Place = Place(action + "Effect")
	}
	return c
}

// isGuard reports whether a guard decided, and not another part of an answer: one of
// those that refuse an operation, or of Purge's, which refuses nobody.
func (c *Conviction) isGuard() bool {
	g := reference.Guard(c.Guard)
	return g.Refusal() != nil || g == reference.HolderGone
}

// String returns the conviction's text as a person reads it.
func (c *Conviction) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CONVICTED of breaking %s: %s\n", c.Rule, c.RuleText)
	for _, p := range c.parts() {
		fmt.Fprintf(&b, "%-7s %s\n", p.Name, indent(p.Text))
	}
	if len(c.Dialects) > 0 {
		fmt.Fprintf(&b, "dialect: declared, %s would allow this answer\n", strings.Join(c.Dialects, " or "))
	}
	if c.History != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(c.History, "\n"))
	}
	b.WriteString("\n")
	if c.Seed != 0 {
		fmt.Fprintf(&b, "seed:   %d\n", c.Seed)
	}
	for _, p := range []part{{"replay:", c.Reproduce}, {"saved:", c.Saved}, {"script:", c.ScriptSaved}, {"drawn:", c.Drawing}} {
		if p.Text != "" {
			fmt.Fprintf(&b, "%-7s %s\n", p.Name, p.Text)
		}
	}
	return b.String()
}

// part is a line of the text, under its name.
type part struct{ Name, Text string }

// parts say why, in the order in which they are read.
func (c *Conviction) parts() (parts []part) {
	if c.Action != "" {
		parts = append(parts, part{"spec:", c.Cite()})
	}
	parts = append(parts, part{"found:", c.Found}, part{"wanted:", c.Wanted})
	for _, p := range []part{{"order:", c.Order}, {"often:", c.Often}} {
		if p.Text != "" {
			parts = append(parts, p)
		}
	}
	return parts
}

// Cite names the action, what of it is broken, and where the specification has that.
func (c *Conviction) Cite() string {
	s := "action " + c.Action
	switch {
	case c.Guard == "":
	case c.isGuard():
		s += ", guard " + c.Guard
	case op.KindOf(c.Action).Mutates():
		s += ", effect " + c.Guard
	default:
		s += ", answer " + c.Guard
	}
	if c.Place != "" {
		s += " (" + c.Place + ")"
	}
	if c.Definition != "" {
		s += "\n" + c.Definition
	}
	return s
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n        ")
}

// Bounds shows the time bounds of a cluster.
func Bounds(c registry.Config) string {
	return fmt.Sprintf("TTL %v, Grace %v, MaxClockSkew (ε) %v, FailureTimeout %v", c.TTL, c.Grace, c.MaxClockSkew, c.FailureTimeout)
}
