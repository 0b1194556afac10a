package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/internal/console"
	"github.com/kelpie-registry/registry/internal/usage"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// follower checks a history that grows; [linearizability.Stream] is one.
type follower interface {
	Add(*history.Op) bool // reports whether the verdict is still open
	End()
	Result() (history.History, linearizability.Result)
}

// follow checks a history while it grows, in the given dialect or, for nil, its own.
func follow(cmd *cobra.Command, path string, in *dialect.Dialect) error {
	out := cmd.OutOrStdout()
	from, err := followed(cmd, path)
	if err != nil {
		return usage.Errorf("%s: there is no history: %w", path, err)
	}
	defer from.Close()
	r, err := history.NewReader(from)
	if err != nil {
		return usage.Errorf("%s: %w", path, err)
	}
	d := r.Dialect()
	if in != nil {
		d = *in
	}
	clock := registry.SystemClock()
	start := clock.Now()
	var s follower = linearizability.NewStream(r.Config())
	if d != (dialect.Dialect{}) {
		s = newGrown(r.Config(), d)
	}
	for open := true; open; {
		o, err := r.Next()
		if err == io.EOF || errors.Is(err, context.Canceled) {
			break // an interrupt is how following ends
		}
		if err != nil {
			return usage.Errorf("%s: %w", path, err)
		}
		open = s.Add(&o)
	}
	s.End()
	evidence, res := s.Result()
	if res.Verdict == linearizability.Illegal {
		c := explain.As(evidence, res.Violations[0])
		c.Reproduce = "conform check --follow " + quoted(path)
		fmt.Fprintln(out, c)
	}
	fmt.Fprintf(out, "%s: %d operations in %d partitions, %s\n", res.Verdict, res.Stats.Ops, res.Stats.Partitions, speed(res.Stats.Ops, clock.Now().Sub(start)))
	return judged(out, res)
}

// followed opens what path names: a file or the files of a folder, which grow, or what
// is over when its writer ends it.
func followed(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	g := &growing{ctx: cmd.Context(), more: func() (io.ReadCloser, error) { return nil, nil }}
	info, err := os.Stat(path)
	switch {
	case path == "-", err == nil && !info.IsDir() && !info.Mode().IsRegular():
		return console.Open(cmd.Context(), path, cmd.InOrStdin())
	case err != nil:
		return nil, err
	case info.IsDir():
		g.more = filesOf(path)
		g.file, err = g.more()
		if err == nil && g.file == nil {
			err = errors.New("the folder has no file")
		}
	default:
		g.file, err = os.Open(path)
	}
	return g, err
}

// grown follows a history in a dialect, whose numbers need not tell the order, so that
// nothing in it is settled before the rest: it keeps all of it, and checks it up to
// the present whenever it is twice as long as the last time, and whole at its end.
type grown struct {
	h    history.History
	next int // checked when it is as long
	res  linearizability.Result
}

// grownFirst is how many operations are checked first.
const grownFirst = 256

func newGrown(cfg registry.Config, d dialect.Dialect) *grown {
	return &grown{h: history.History{Config: cfg, Dialect: d}, next: grownFirst}
}

func (g *grown) Add(o *history.Op) bool {
	if len(g.h.Ops) == g.next {
		g.next *= 2
		if until := g.until(o.Invoked); linearizability.Check(until, linearizability.Options{}).Verdict == linearizability.Illegal {
			g.h = until
			return false
		}
	}
	g.h.Ops = append(g.h.Ops, *o)
	return true
}

// until is the history as it was known at an instant: what had not returned was under way.
func (g *grown) until(now int64) history.History {
	h := g.h
	h.Ops = slices.Clone(h.Ops)
	for i := range h.Ops {
		if o := &h.Ops[i]; o.Returned > now {
			o.Returned, o.Result = history.Never, op.Result{Outcome: op.Pending}
		}
	}
	return h
}

func (g *grown) End() { g.res = linearizability.Check(g.h, linearizability.Options{}) }

// Result returns of a history that is not explained the part that it takes.
func (g *grown) Result() (history.History, linearizability.Result) {
	if g.res.Verdict != linearizability.Illegal {
		return g.h, g.res
	}
	_, h, res := explain.Of(g.h, g.res, linearizability.Options{})
	res.Stats = g.res.Stats
	return h, res
}

// speed tells how long it took, and how fast that was.
func speed(ops int, took time.Duration) string {
	return fmt.Sprintf("%v: %s", took.Round(time.Millisecond), report.SpeedOf(0, ops, took))
}

// filesOf returns the files of a folder one after the other, in the order of their
// names, and nil while there is no further one.
func filesOf(dir string) func() (io.ReadCloser, error) {
	last := ""
	return func() (io.ReadCloser, error) {
		entries, err := os.ReadDir(dir) // by name
		for _, e := range entries {
			if e.Name() > last && !e.IsDir() {
				last = e.Name()
				return os.Open(filepath.Join(dir, last))
			}
		}
		return nil, err
	}
}

// growing reads a file that is being written, and then those that follow it. At
// the end it waits for more, and ends when the context does, with its error. A file
// that becomes shorter is no history that grows: what it gets next has no beginning.
type growing struct {
	ctx  context.Context
	file io.ReadCloser
	read int64 // of file
	more func() (io.ReadCloser, error)
	next io.ReadCloser // there already: what file has now is all
}

func (g *growing) Read(p []byte) (int, error) {
	for {
		n, err := g.file.Read(p)
		if g.read += int64(n); n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if err := g.cut(); err != nil {
			return 0, err
		}
		if g.next != nil {
			_ = g.file.Close() // it was only read
			g.file, g.next, g.read = g.next, nil, 0
			continue
		}
		if g.next, err = g.more(); err != nil {
			return 0, err
		}
		if g.next != nil {
			continue
		}
		select {
		case <-g.ctx.Done():
			return 0, g.ctx.Err()
		case <-time.After(growPause):
		}
	}
}

// cut returns an error when the file is shorter than what was read of it.
func (g *growing) cut() error {
	file, ok := g.file.(*os.File)
	if !ok {
		return nil
	}
	info, err := file.Stat()
	if err == nil && info.Size() < g.read {
		err = fmt.Errorf("%s was cut to %d bytes, after %d were read", file.Name(), info.Size(), g.read)
	}
	return err
}

// Close ends the reading.
func (g *growing) Close() error { return g.file.Close() }

const growPause = 100 * time.Millisecond
