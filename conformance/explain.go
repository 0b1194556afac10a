package conformance

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// explain turns an illegal history into a conviction: it is reduced to a right
// history and the one answer that does not fit, and shown side by side. What may
// have led the backend to that answer stays.
func (t *trial) explain(seed uint64, h history.History, res linearizability.Result) *Conviction {
	opts := linearizability.Options{Timeout: checkTimeout}
	rule := RuleID("")
	if linearizability.Check(doubted(h), opts).Verdict == linearizability.OK {
		rule = AmbiguousTruth // had its errors promised less, it would be right
	}
	h, res = linearizability.First(h, res, opts)
	small := linearizability.Minimise(h, res.Violations[0], opts)
	if again := linearizability.Check(small, opts); again.Verdict == linearizability.Illegal {
		h, res = small, again
	}
	v := res.Violations[0]
	table := fmt.Sprintf("cluster: %s\n%s", configText(h.Config), linearizability.Table(h, v))
	if rule == "" {
		rule = v.Rule
	}
	c := t.conviction(rule, v.Action.String(), v.Guard, v.Subject+": "+v.Found, v.Allowed, table)
	c.Config, c.Length, c.Tenures = h.Config, len(h.Ops), historyTenures(h)
	c.Seed, c.Dialects = seed, t.historyAllows(h)
	c.Reproduce = t.judge.opts.reproduce(t.section, t.name, seed)
	t.save(c, h, res)
	return c
}

// doubted returns h as if every error that promises anything about an effect
// had left it open.
func doubted(h history.History) history.History {
	h.Ops = slices.Clone(h.Ops)
	for i := range h.Ops {
		switch o := &h.Ops[i]; o.Result.Outcome {
		case op.Unavailable, op.Cancelled, op.Closed, op.Settled:
			o.Result.Outcome, o.Clock = op.Open, history.AnyReading()
		}
	}
	return h
}

// save keeps the history of a conviction and its drawing, when asked to. A file
// that cannot be written is told in the conviction; it changes no verdict.
func (t *trial) save(c *Conviction, h history.History, res linearizability.Result) {
	dir := t.judge.opts.outDir
	if dir == "" || len(h.Ops) == 0 {
		return
	}
	h.Meta["rule"] = string(c.Rule)
	h.Meta["replay"] = c.Reproduce
	name := filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%d", fileName(t.judge.backend.Name()), t.section, t.name, c.Seed))
	c.Saved = saveFile(dir, name+".jsonl", func(w io.Writer) error { return history.Write(w, h) })
	if c.Script != "" {
		c.ScriptSaved = saveFile(dir, name+".script", func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "# breaks %s: %s\n%s", c.Rule, c.RuleText, c.Script)
			return err
		})
	}
	if res.Verdict != "" {
		c.Drawing = saveFile(dir, name+".html", func(w io.Writer) error { return linearizability.Draw(w, h, res) })
	}
}

// saveFile returns the path of what it wrote, or why it could not.
func saveFile(dir, path string, write func(io.Writer) error) string {
	err := os.MkdirAll(dir, 0o755)
	if err != nil {
		return "not saved: " + err.Error()
	}
	f, err := os.Create(path)
	if err != nil {
		return "not saved: " + err.Error()
	}
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return "not saved: " + err.Error()
	}
	return path
}

// fileName replaces what a file's name had better not have.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", r) {
			return r
		}
		return '_'
	}, s)
}
