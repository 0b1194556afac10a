// Command graphs regenerates the committed state graphs of the specification
// with TLC, or with -check compares them with what TLC says now.
//
//	go run ./ci/graphs [-check] [-dir spec/tla] [-run regexp]
//
// It exits with 1 when a graph differs, and with 3 when this machine cannot run
// TLC and nothing was done.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"

	"github.com/kelpie-registry/registry/internal/stategraph"
	"github.com/kelpie-registry/registry/internal/tlc"
)

const (
	exitDiffers = 1
	exitUsage   = 2
	exitNoTLC   = 3
)

func main() {
	check := flag.Bool("check", false, "compare with the committed graphs, write nothing")
	dir := flag.String("dir", "spec/tla", "folder with the modules")
	run := flag.String("run", "", "only the models whose name matches this `regexp`")
	flag.Parse()
	pattern, err := regexp.Compile(*run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err = generate(ctx, *dir, pattern, *check)
	switch {
	case errors.Is(err, tlc.ErrNoTLC):
		fmt.Fprintln(os.Stderr, "not checked:", err)
		os.Exit(exitNoTLC)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitDiffers)
	}
}

func generate(ctx context.Context, dir string, pattern *regexp.Regexp, check bool) error {
	tool, err := tlc.Find(ctx)
	if err != nil {
		return err
	}
	models, err := stategraph.Models(os.DirFS(dir))
	if err != nil {
		return err
	}
	machines, err := tool.Machines(ctx, os.DirFS(dir))
	if err != nil {
		return err
	}
	defer machines.Close()
	done := 0
	for _, m := range models {
		if !pattern.MatchString(m.Name) {
			continue
		}
		g, out, err := dump(ctx, machines, dir, m)
		if err == nil {
			fmt.Printf("%-8s %6d states %7d edges; TLC with the ghost: %d states, %d generated, %.1f s CPU\n",
				m.Name, len(g.States), len(g.Edges), out.Distinct, out.Generated, out.CPU.Seconds())
			err = settle(dir, m, g, check)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		done++
	}
	if done == 0 {
		return errors.New("no model matches")
	}
	return nil
}

// dump runs TLC twice: with the ghost, for the labelled graph, and the plain
// module, whose number of states and of steps the projected graph must have. The
// graph of the answers has no steps, and one state for each of TLC's.
func dump(ctx context.Context, machines *tlc.Machines, dir string, m stategraph.Model) (stategraph.Graph, tlc.Output, error) {
	tmp, err := os.MkdirTemp("", "graph-")
	if err != nil {
		return stategraph.Graph{}, tlc.Output{}, err
	}
	defer os.RemoveAll(tmp)
	text, err := os.ReadFile(filepath.Join(dir, m.Config))
	if err != nil {
		return stategraph.Graph{}, tlc.Output{}, err
	}
	cfg, err := tlc.ParseConfig(string(text))
	if err != nil {
		return stategraph.Graph{}, tlc.Output{}, err
	}
	file := filepath.Join(tmp, "dump.dot")
	job := tlc.Job{FS: os.DirFS(dir), Module: m.Module, Config: cfg, Args: []string{"-dump", "dot,actionlabels", file}}
	out, err := runOK(ctx, machines, job)
	if err != nil {
		return stategraph.Graph{}, out, err
	}
	f, err := os.Open(file)
	if err != nil {
		return stategraph.Graph{}, out, err
	}
	defer f.Close()
	if m.Module == stategraph.Answers {
		g, err := stategraph.ReadAnswers(f)
		if n := int64(len(g.States)); err == nil && out.Distinct != n {
			err = fmt.Errorf("the graph has %d states, TLC found %d", n, out.Distinct)
		}
		return withInputs(dir, m, g, out, err)
	}
	g, err := stategraph.ReadDot(f)
	if err != nil {
		return g, out, err
	}
	cfg.Specification = "Spec"
	plain, err := runOK(ctx, machines, tlc.Job{FS: os.DirFS(dir), Module: "Registry", Config: cfg})
	if err != nil {
		return g, out, err
	}
	if n := int64(len(g.States)); plain.Distinct != n {
		return g, out, fmt.Errorf("the graph has %d states, Registry has %d", n, plain.Distinct)
	}
	if n := int64(len(g.Edges) + len(g.Initial)); plain.Generated != n {
		return g, out, fmt.Errorf("the graph has %d steps and initial states, Registry has %d", n, plain.Generated)
	}
	return withInputs(dir, m, g, out, nil)
}

func withInputs(dir string, m stategraph.Model, g stategraph.Graph, out tlc.Output, err error) (stategraph.Graph, tlc.Output, error) {
	if err == nil {
		g.Inputs, err = m.Inputs(os.DirFS(dir))
	}
	return g, out, err
}

func runOK(ctx context.Context, machines *tlc.Machines, job tlc.Job) (tlc.Output, error) {
	out, err := machines.Run(ctx, job)
	if err == nil && out.Verdict != tlc.OK {
		err = fmt.Errorf("TLC: %s %s", out.Verdict, out.Message)
	}
	return out, err
}

func settle(dir string, m stategraph.Model, g stategraph.Graph, check bool) error {
	var now bytes.Buffer
	if err := g.Write(&now); err != nil {
		return err
	}
	file := filepath.Join(dir, m.File)
	if !check {
		return os.WriteFile(file, now.Bytes(), 0o644)
	}
	was, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(was, now.Bytes()) {
		return fmt.Errorf("%s is not what TLC says now; regenerate it with: go run ./ci/graphs", file)
	}
	return nil
}
