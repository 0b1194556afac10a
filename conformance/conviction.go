package conformance

import (
	"fmt"
	"strings"
)

// String returns the conviction's text as a person reads it.
func (c *Conviction) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CONVICTED of breaking %s: %s\n", c.Rule, c.RuleText)
	if c.Action != "" {
		fmt.Fprintf(&b, "spec:   action %s", c.Action)
		if c.Guard != "" {
			fmt.Fprintf(&b, ", guard %s", c.Guard)
		}
		if c.Place != "" {
			fmt.Fprintf(&b, " (%s)", c.Place)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "found:  %s\n", indent(c.Found))
	fmt.Fprintf(&b, "wanted: %s\n", indent(c.Wanted))
	if len(c.Dialects) > 0 {
		fmt.Fprintf(&b, "dialect: declared, %s would allow this answer\n", strings.Join(c.Dialects, " or "))
	}
	if c.History != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(c.History, "\n"))
	}
	fmt.Fprintf(&b, "\nseed:   %d\nreplay: %s\n", c.Seed, c.Reproduce)
	if c.Saved != "" {
		fmt.Fprintf(&b, "saved:  %s\n", c.Saved)
	}
	if c.ScriptSaved != "" {
		fmt.Fprintf(&b, "script: %s\n", c.ScriptSaved)
	}
	if c.Drawing != "" {
		fmt.Fprintf(&b, "drawn:  %s\n", c.Drawing)
	}
	return b.String()
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n        ")
}
