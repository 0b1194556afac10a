package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/kelpie-registry/registry"
)

// Text of a history.

func (w *world) rel(i registry.Instant) string {
	if i == 0 {
		return "none"
	}
	d := i.Sub(w.began)
	if d < 0 {
		return "T-" + (-d).String()
	}
	return "T+" + d.String()
}

func (w *world) placeText(p registry.Placement) string {
	holder := "nobody"
	if p.Held() {
		holder = p.Holder.String()
	}
	return fmt.Sprintf("%s token %d version %d expiry %s", holder, p.Token, p.Version, w.rel(p.Expiry))
}

func (w *world) nodeText(n registry.Node) string {
	return fmt.Sprintf("%v %v seen %s", n.Ref, n.Status, w.rel(n.LastSeen))
}

func (w *world) errText(err error) string {
	var r *registry.Refusal
	switch c := class(err); {
	case c == errUnnamed:
		return fmt.Sprintf("%v: %v", c, err)
	case !errors.As(err, &r):
		return err.Error()
	case r.Placement != registry.Placement{}:
		return errName(c) + ": " + w.placeText(r.Placement)
	case r.Node != registry.Node{}:
		return errName(c) + ": " + w.nodeText(r.Node)
	default:
		return errName(c)
	}
}

var errNames = map[error]string{
	registry.ErrInvalid: "ErrInvalid", registry.ErrClosed: "ErrClosed", registry.ErrNodeUnknown: "ErrNodeUnknown",
	registry.ErrNodeFailed: "ErrNodeFailed", registry.ErrNodeExists: "ErrNodeExists", registry.ErrNodeAlive: "ErrNodeAlive",
	registry.ErrFenced: "ErrFenced", registry.ErrNotHeld: "ErrNotHeld", registry.ErrLapsed: "ErrLapsed", registry.ErrHeld: "ErrHeld",
	registry.ErrConfigMismatch: "ErrConfigMismatch", registry.ErrUnavailable: "ErrUnavailable", registry.ErrAmbiguous: "ErrAmbiguous",
}

func errName(class error) string {
	if n, ok := errNames[class]; ok {
		return n
	}
	return class.Error()
}

func (w *world) answerText(a answer) string {
	switch {
	case a.err != nil:
		return w.errText(a.err)
	case a.absent:
		return "none"
	case a.places != nil:
		return w.list(len(a.places), func(i int) string { return nameText(a.places[i].Actor) + " " + w.placeText(a.places[i]) })
	case a.nodes != nil:
		return w.list(len(a.nodes), func(i int) string { return w.nodeText(a.nodes[i]) })
	case a.place != registry.Placement{}:
		return w.placeText(a.place)
	case a.node != registry.Node{}:
		return w.nodeText(a.node)
	default:
		return "ok"
	}
}

func (w *world) list(n int, row func(int) string) string {
	rows := make([]string, 0, n)
	for i := range min(n, 5) {
		rows = append(rows, row(i))
	}
	if n > 5 {
		rows = append(rows, fmt.Sprintf("… %d rows", n))
	}
	return "[" + strings.Join(rows, "; ") + "]"
}

func configText(c registry.Config) string {
	return fmt.Sprintf("TTL %v, Grace %v, MaxClockSkew (ε) %v, FailureTimeout %v", c.TTL, c.Grace, c.MaxClockSkew, c.FailureTimeout)
}

// maxShown is how many steps of a history that could not be reduced are shown.
const maxShown = 40

// table returns the steps so far for a person.
func (w *world) table() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "cluster: %s\n", configText(w.cfg))
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "#\ttrue time\tnode\tits clock\tcall\tanswer")
	row := func(s step) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", w.rel(s.at), s.node, w.rel(s.clock), s.call, w.answerText(s.answer))
	}
	skipped := max(0, len(w.steps)-maxShown)
	if skipped > 0 {
		fmt.Fprintf(&b, "(%d steps before are left out)\n", skipped)
	}
	for i := skipped; i < len(w.steps); {
		first, line := i, row(w.steps[i])
		for i++; i < len(w.steps) && row(w.steps[i]) == line; i++ {
		}
		if times := i - first; times > 1 {
			line += fmt.Sprintf("  (%d times)", times)
		}
		fmt.Fprintf(tw, "%d\t%s\n", first+1, line)
	}
	_ = tw.Flush() // a bytes.Buffer does not fail
	return b.String()
}
