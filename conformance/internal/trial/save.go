package trial

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
)

// Explain turns an illegal history into a conviction, and saves the history that
// it shows.
func (t *Trial) Explain(seed uint64, h history.History, res linearizability.Result) *explain.Conviction {
	c, h, res := explain.Of(h, res, linearizability.Options{Timeout: CheckTimeout})
	c.Dialects = t.historyAllows(h)
	c.Seed, c.Reproduce = seed, t.Judge.Opts.Reproduce(t.Section, t.Name, seed)
	t.Save(c, h, res)
	return c
}

// Save keeps the history of a conviction and its drawing, when asked to. A file
// that cannot be written is told in the conviction; it changes no verdict.
func (t *Trial) Save(c *explain.Conviction, h history.History, res linearizability.Result) {
	dir := t.Judge.Opts.OutDir
	if dir == "" || len(h.Ops) == 0 {
		return
	}
	h.Meta["rule"] = string(c.Rule)
	h.Meta["replay"] = c.Reproduce
	name := filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%d", fileName(t.Judge.Backend.Name()), t.Section, t.Name, c.Seed))
	c.Saved = saveFile(dir, name+".jsonl", func(w io.Writer) error { return history.Write(w, h) })
	if c.Script != "" {
		c.ScriptSaved = saveFile(dir, name+".script", func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "# breaks %s: %s\n%s", c.Rule, c.RuleText, c.Script)
			return err
		})
	}
	if res.Verdict != "" {
		c.Drawing = saveFile(dir, name+".html", func(w io.Writer) error { return explain.Draw(w, h, res) })
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

// Check judges a history, and keeps it when asked to.
func (t *Trial) Check(h history.History) linearizability.Result {
	if dir := t.Judge.Opts.KeepDir; dir != "" && len(h.Ops) > 0 {
		name := fmt.Sprintf("%s-%s-%s-%d-%d.jsonl", fileName(t.Judge.Backend.Name()), t.Section, t.Name, t.Seed, t.kept.Add(1))
		path := filepath.Join(dir, name)
		if told := saveFile(dir, path, func(w io.Writer) error { return history.Write(w, h) }); told != path {
			t.GiveUp("history %d: %s", t.kept.Load(), told)
		}
	}
	res := linearizability.Check(h, linearizability.Options{Timeout: CheckTimeout})
	if t.waiveFirst(h, res) {
		return linearizability.Result{Verdict: linearizability.OK, Stats: res.Stats}
	}
	return res
}

// historyAllows names the differences any of which would make the history right.
func (t *Trial) historyAllows(h history.History) (names []string) {
	for _, f := range dialect.Differences() {
		d := h.Dialect.And(f.Only)
		if d == h.Dialect || d.Validate() != nil {
			continue
		}
		in := h
		in.Dialect = d
		if linearizability.Check(in, linearizability.Options{Timeout: time.Second}).Verdict == linearizability.OK {
			names = append(names, f.Name)
		}
	}
	return names
}
