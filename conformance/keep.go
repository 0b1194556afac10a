package conformance

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
)

// KeepHistories saves every history that the checker judges in dir, right ones too, as
// JSON Lines: material for other checkers. Their names tell backend, section, case,
// seed and the number of the history in the case. A case whose history cannot be
// written is not decided. The directory is made when needed. Sections that judge each
// answer as it comes record no histories.
func KeepHistories(dir string) Option {
	return func(o *options) error { o.keepDir = dir; return nil }
}

// check judges a history, and keeps it when asked to.
func (t *trial) check(h history.History) linearizability.Result {
	if dir := t.judge.opts.keepDir; dir != "" && len(h.Ops) > 0 {
		name := fmt.Sprintf("%s-%s-%s-%d-%d.jsonl", fileName(t.judge.backend.Name()), t.section, t.name, t.seed, t.kept.Add(1))
		path := filepath.Join(dir, name)
		if told := saveFile(dir, path, func(w io.Writer) error { return history.Write(w, h) }); told != path {
			t.giveUp("history %d: %s", t.kept.Load(), told)
		}
	}
	res := linearizability.Check(h, linearizability.Options{Timeout: checkTimeout})
	if t.waiveFirst(h, res) {
		return linearizability.Result{Verdict: linearizability.OK, Stats: res.Stats}
	}
	return res
}
