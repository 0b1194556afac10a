// Command fuzz runs every fuzz target of the tree, whatever module or build tag
// it is behind, and prints how many inputs each was given.
//
//	fuzz -each 10s           each target for ten seconds
//	fuzz -total 1h           all of them for an hour, in equal shares
//	fuzz -only 'Cursor|Read' those that match
//
// It exits with 1 when some target failed. The input is then in that package's
// testdata/fuzz, where go test finds it from now on, and the line that replays
// it is printed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	each := flag.Duration("each", 10*time.Second, "time for each target")
	total := flag.Duration("total", 0, "time for all targets together, instead of -each")
	only := flag.String("only", "", "run the targets whose package and name match this expression")
	tags := flag.String("tags", "", "build tags")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *each, *total, *only, *tags); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, each, total time.Duration, only, tags string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	targets, err := find(".")
	if err != nil {
		return err
	}
	targets = slices.DeleteFunc(targets, func(t target) bool { return !match.MatchString(t.String()) })
	if len(targets) == 0 {
		return errors.New("there is no such target")
	}
	if total > 0 {
		each = total / time.Duration(len(targets))
	}
	var failed []string
	for _, t := range targets {
		out, err := t.fuzz(ctx, each, tags)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Printf("%-60s %12d executions in %-6v %s\n", t, executions(out), each.Round(time.Second), verdict(err))
		if err != nil {
			fmt.Println(out)
			failed = append(failed, t.String())
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d targets failed: %s", len(failed), len(targets), strings.Join(failed, ", "))
	}
	return nil
}

func verdict(err error) string {
	if err == nil {
		return "ok"
	}
	return "FAILED"
}

// target is one fuzz function in one folder.
type target struct{ dir, name string }

func (t target) String() string { return t.dir + "." + t.name }

// fuzz runs the target in its own folder, so that the folder's module decides
// what is built. Its unit tests are not run: those are go test's. Go shortens each
// interesting input for up to a minute before it goes on: of one of 4 kB nothing but
// that is seen in ten seconds. Ten attempts at it are enough.
func (t target) fuzz(ctx context.Context, d time.Duration, tags string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-tags", tags, "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", d.String(), "-fuzzminimizetime", "10x", ".")
	cmd.Dir = t.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// find returns the fuzz targets below root, in the order of their names.
func find(root string) ([]target, error) {
	var found []target
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != root && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata"):
			return filepath.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		names, err := declared(path)
		for _, name := range names {
			found = append(found, target{dir: filepath.Dir(path), name: name})
		}
		return err
	})
	slices.SortFunc(found, func(a, b target) int { return strings.Compare(a.String(), b.String()) })
	return found, err
}

var targetName = regexp.MustCompile(`^Fuzz(\P{Ll}|$)`)

// declared returns the names of a file's fuzz functions. The go command refuses
// other functions of such names.
func declared(path string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && targetName.MatchString(f.Name.Name) {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}

var progress = regexp.MustCompile(`execs: (\d+)`)

// executions returns the last number of executions that go test reported.
func executions(out string) int {
	n := 0
	for _, m := range progress.FindAllStringSubmatch(out, -1) {
		n, _ = strconv.Atoi(m[1])
	}
	return n
}
