package conformance

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
)

// explain turns an illegal history into a conviction, and saves the history that
// it shows.
func (t *trial) explain(seed uint64, h history.History, res linearizability.Result) *Conviction {
	c, h, res := explain.Of(h, res, linearizability.Options{Timeout: checkTimeout})
	c.Dialects = t.historyAllows(h)
	c.Seed, c.Reproduce = seed, t.judge.opts.reproduce(t.section, t.name, seed)
	t.save(c, h, res)
	return c
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
