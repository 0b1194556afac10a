package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Case is what a conviction's text tells beyond the history: where it comes
// from and where to find more. Empty fields are left out.
type Case struct {
	Backend string // who is convicted
	Seed    string
	Replay  string // the command that does it all again
	History string // path of the saved history
	Picture string // path of the drawing
	Spec    *Spec  // the specification, to name the place of the guard
}

// Explain puts the first violation of an Illegal result into words: the rule,
// the specification's action and guard, what was found and what would have been
// allowed, and the history as a table with a column for each client. res must
// be the result of checking h. Minimise h first: of a long history the table
// shows only what is nearest. For other verdicts it says what they are.
func Explain(h history.History, res Result, c Case) string {
	if res.Verdict != Illegal || len(res.Violations) == 0 {
		return undecided(res)
	}
	v := res.Violations[0]
	o := &h.Ops[v.Op]
	var b strings.Builder
	title := fmt.Sprintf("%s broken: %s", v.Rule, v.Subject)
	if c.Backend != "" {
		title = c.Backend + ": " + title
	}
	fmt.Fprintf(&b, "%s\n%s\n\n", title, strings.Repeat("=", utf8.RuneCountInString(title)))
	field := func(name, text string) {
		if text != "" {
			for i, line := range wrap(text, 100) {
				if i > 0 {
					name = ""
				}
				fmt.Fprintf(&b, "%-8s %s\n", name, line)
			}
		}
	}
	field("rule", v.Rule.Rule().Text)
	field("op", fmt.Sprintf("%d, by %s", o.ID, o.Client))
	field("found", v.Found)
	field("allowed", v.Allowed)
	if n := len(v.Prefix); n > 0 {
		field("order", fmt.Sprintf("%s explains the calls before, and leaves %s", numbers(v.Prefix), strings.Join(v.States, "; or ")))
	}
	field("often", usualCause(v))
	b.WriteString(c.Spec.cite(v))
	cfg := h.Config
	fmt.Fprintf(&b, "%-8s TTL %v, grace %v, skew %v, failure timeout %v\n\n", "times", cfg.TTL, cfg.Grace, cfg.MaxClockSkew, cfg.FailureTimeout)
	b.WriteString(Table(h, v))
	b.WriteString("\n")
	field("seed", c.Seed)
	field("replay", c.Replay)
	field("history", c.History)
	field("picture", c.Picture)
	return b.String()
}

// usualCauses says which mistake most often breaks a rule at a guard or effect.
// An empty action fits all; the first that fits is told.
var usualCauses = []struct {
	rule   contract.RuleID
	guard  string
	action op.Kind
	text   string
}{
	{contract.SingleActivation, "Version", 0, "the check and the write are not one atomic step: two callers acted on the same version"},
	{contract.SingleActivation, "Claimable", 0, "the lease is not looked at inside the step that writes, its margin is less than Grace + 2ε, or the wrong clock is compared"},
	{contract.SingleActivation, "NotLapsed", 0, "a renewal compares the token but not the time, or a wrong boundary: at Expiry + Grace a lease has lapsed"},
	{contract.SingleActivation, "StillLive", 0, "a transfer is let through in grace: only a live lease, before Expiry, can be handed on"},
	{contract.SingleActivation, "Expiry", 0, "the expiry is computed by another clock than the handle's, or from a reading made outside the call"},
	{contract.GraceRespected, "", 0, "an expired lease is given away at Expiry, without waiting for Grace and the skew margin"},
	{contract.EpochFresh, "", 0, "the epoch is not kept when a node leaves or the store restarts, or is counted in the process"},
	{"Renew.granted", "Token", 0, "a renewal is treated as a grant"},
	{"Claim.granted", "Token", 0, "the token is drawn from a counter that several actors share, or that is not kept with the record"},
	{"Claim.held", "", 0, "the holder's own claim under another ClaimID is taken for a repetition, or for a renewal"},
	{"Claim.repeated", "", 0, "the ClaimID is not stored with the record, or not compared before the claim is granted anew"},
	{contract.TokenMonotonic, "", op.Transfer, "a transfer is treated as a renewal: a new holder needs a new token"},
	{contract.TokenMonotonic, "", op.Claim, "the record, and its token with it, was deleted at a release, lost at a restart, or counted in the process"},
	{contract.NoStaleWrite, "", 0, "the token that is presented is not compared with the record's, or with a copy that is behind"},
	{contract.VersionBump, "", 0, "a mutation leaves the version as it is, or two mutations acted on the same one: a lost update"},
	{contract.Linearizability, "Record", 0, "an update was lost: the record was written from what had been read before another's write"},
	{contract.Linearizability, "TenureHeld", 0, "an update was lost: another write, from what had been read before, took the record back"},
	{contract.Linearizability, "TokenCurrent", 0, "an update was lost: another write, from what had been read before, took the record back"},
	{contract.Linearizability, "Version", 0, "the answer comes from a cache, a snapshot or a replica that is behind"},
	{contract.Linearizability, "Complete", 0, "the index that listings go by is not written together with the record"},
	{contract.Linearizability, "NodeNotFailed", 0, "the membership is checked outside the step that writes, or not for this incarnation"},
	{contract.Linearizability, "NodeKnown", 0, "the membership is checked outside the step that writes, or not at all"},
	{contract.Linearizability, "NodeSilent", 0, "the failure timeout is counted without 2ε, or from an old heartbeat"},
}

func usualCause(v Violation) string {
	for _, c := range usualCauses {
		if c.rule == v.Rule && (c.guard == "" || c.guard == v.Guard) && (c.action == 0 || c.action == v.Action) {
			return c.text
		}
	}
	return ""
}

// numbers lists operations, the last ones of many.
func numbers(ids []int) string {
	const most = 12
	var parts []string
	for _, id := range ids[max(0, len(ids)-most):] {
		parts = append(parts, fmt.Sprint(id))
	}
	if len(ids) > most {
		parts = append([]string{"…"}, parts...)
	}
	return strings.Join(parts, ", ")
}

func undecided(res Result) string {
	if res.Verdict == Unknown {
		return "Not decided: " + res.Reason + "\n"
	}
	return "Nothing is wrong with this history.\n"
}

// cite names the action and the guard or effect, and where the specification
// has them.
func (s *Spec) cite(v Violation) string {
	var b strings.Builder
	name := "spec"
	line := func(what, operator string) {
		where, text, ok := s.place(operator)
		if where != "" && ok {
			what += ", " + where
		}
		fmt.Fprintf(&b, "%-8s %s\n", name, what)
		name = ""
		if ok && operator != v.Action.String() && !strings.HasSuffix(strings.TrimRight(text, " "), "==") {
			fmt.Fprintf(&b, "%-8s   %s\n", "", strings.Join(strings.Fields(text), " "))
		}
	}
	action := v.Action.String()
	if _, _, ok := s.place(action); !ok {
		action += "Guard" // an operation without an effect has only that
	}
	line("action "+v.Action.String(), action)
	switch {
	case v.Guard == "":
	case slices.ContainsFunc(guards, func(g reference.Guard) bool { return string(g) == v.Guard }):
		line("guard "+v.Guard, v.Guard)
	case !v.Action.Mutates():
		line("answer, "+v.Guard, "")
	default:
		line("effect, "+v.Guard, v.Action.String()+"Effect")
	}
	return b.String()
}

// maxRows bounds the operations in a table.
const maxRows = 16

// Table renders a history side by side: a column for each client, in the order
// of calls and returns, with the clock readings, tokens, versions and expiries.
// What was done to the cluster stands between them. Operations that overlap show it by their brackets. The operation that v is
// about is marked >, those that it contradicts *. Of a long history it shows
// what concerns v's subject last.
func Table(h history.History, v Violation) string {
	shown := relevant(h, v)
	var b strings.Builder
	t := &table{d: newDescriber(&h), v: v, out: &b}
	for _, o := range shown {
		if !slices.Contains(t.clients, o.Client) {
			t.clients = append(t.clients, o.Client)
		}
	}
	slices.Sort(t.clients)
	if left := len(h.Ops) - len(shown); left > 0 {
		fmt.Fprintf(&b, "     (%d operations that came before or are about something else are left out)\n", left)
	}
	notes := h.Notes
	if v.Op < len(h.Ops) { // what was done later explains nothing
		notes = slices.DeleteFunc(slices.Clone(notes), func(n history.Note) bool { return n.At > h.Ops[v.Op].Returned })
	}
	t.render(shown, notes[max(0, len(notes)-maxNotes):])
	return b.String()
}

// maxNotes is how many notes are shown, the last ones.
const maxNotes = 6

func relevant(h history.History, v Violation) []*history.Op {
	var ops []*history.Op
	for i := range h.Ops {
		ops = append(ops, &h.Ops[i])
	}
	if len(ops) <= maxRows {
		return ops
	}
	guilty := &h.Ops[v.Op]
	near := slices.DeleteFunc(ops, func(o *history.Op) bool {
		return subjectOf(o) != v.Subject || o.Invoked > guilty.Returned || o.ID == v.Op || slices.Contains(v.Others, o.ID)
	})
	out := []*history.Op{guilty}
	for _, id := range v.Others {
		out = append(out, &h.Ops[id])
	}
	out = append(out, near[max(0, len(near)-(maxRows-len(out))):]...)
	slices.SortFunc(out, func(a, b *history.Op) int { return cmp.Compare(a.Invoked, b.Invoked) })
	return out
}

type table struct {
	d       describer
	v       Violation
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
	t.line("", "op", func(i int) string { return t.clients[i] })
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
			fmt.Fprintf(t.out, "     -- %s\n", notes[0].Text)
		}
		head := t.d.asked(h.op)
		if clock := t.d.readings(h.op.Clock); clock != "none" {
			head = clock + " " + head
		}
		answer := "= " + t.d.answered(h.op)
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
	mark := ""
	switch {
	case o.ID == t.v.Op:
		mark = ">"
	case slices.Contains(t.v.Others, o.ID):
		mark = "*"
	}
	col := slices.Index(t.clients, o.Client)
	for i, l := range lines {
		number := fmt.Sprint(o.ID)
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
