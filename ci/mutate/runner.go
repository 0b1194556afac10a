package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Fate is what became of a mutant.
type Fate string

// The fates. A mutant that does not compile is no mutant.
const (
	KilledBySuite Fate = "suite"    // convicted
	KilledByTests Fate = "tests"    // the suite passes, the package's tests fail
	Survived      Fate = "survived" // both pass
	NotCompiled   Fate = "invalid"
)

// Result is a mutant's fate, and the first words of who decided it.
type Result struct {
	Mutant
	Fate Fate
	By   string
}

// runner judges mutants of one target. It changes nothing in the tree: the go
// command sees each mutant through an overlay.
type runner struct {
	root    string
	work    string // scratch folder
	target  target
	timeout time.Duration // of one run of the suite, and of the tests
}

// errBaseline says that the unchanged target does not pass, so that nothing that
// happens to a mutant would prove anything.
var errBaseline = errors.New("the unchanged code does not pass")

// baseline runs everything once on the unchanged code.
func (r runner) baseline(ctx context.Context) error {
	res, err := r.judge(ctx, "baseline", nil, false)
	if err == nil && res.Fate != Survived {
		err = fmt.Errorf("%w: %s: %s: %s", errBaseline, r.target.dir, res.Fate, res.By)
	}
	return err
}

// mutant judges one mutant. name is unique among those that run at the same time.
func (r runner) mutant(ctx context.Context, name string, m Mutant) (Result, error) {
	path := filepath.Join(r.root, filepath.FromSlash(m.File))
	src, err := os.ReadFile(path)
	if err != nil {
		return Result{}, err
	}
	mutated := filepath.Join(r.work, name+".go")
	if err := os.WriteFile(mutated, m.Apply(src), 0o600); err != nil {
		return Result{}, err
	}
	res, err := r.judge(ctx, name, map[string]string{path: mutated}, m.Locks)
	res.Mutant = m
	return res, err
}

// judge asks the target's stages in order, the tests with the race detector or without.
func (r runner) judge(ctx context.Context, name string, replace map[string]string, race bool) (Result, error) {
	overlay := filepath.Join(r.work, name+".json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return Result{}, err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return Result{}, err
	}
	build := []string{"-ldflags=-s -w", "-overlay", overlay, "-tags", r.target.tags}
	binary := filepath.Join(r.work, name+".judge")
	out, err := r.run(ctx, buildTimeout, "go", slices.Concat([]string{"build", "-o", binary}, build, []string{"./ci/mutate/judge"})...)
	if failed(err) {
		return Result{Fate: NotCompiled, By: firstLine(out)}, nil
	} else if err != nil {
		return Result{}, err
	}
	defer os.Remove(binary)
	if race {
		build = append(build, "-race")
		r.timeout *= 3 // it is slower
	}
	for _, s := range r.target.stages {
		ask := r.failingTest
		args := slices.Concat(build, s.args)
		if s.kills == KilledBySuite {
			ask, args = r.conviction, append([]string{binary}, s.args...)
		}
		if by, err := ask(ctx, args); err != nil || by != "" {
			return Result{Fate: s.kills, By: by}, err
		}
	}
	return Result{Fate: Survived}, nil
}

// conviction runs the suite and names what convicts, "" for nothing. A run that
// takes too long has to do so again, as a test that fails has to fail again.
func (r runner) conviction(ctx context.Context, command []string) (string, error) {
	out, err := r.run(ctx, r.timeout, command[0], command[1:]...)
	if errors.Is(err, errTimeout) {
		out, err = r.run(ctx, r.timeout, command[0], command[1:]...)
	}
	if failed(err) {
		return cmp.Or(verdict(err, out), "suite"), nil
	}
	return "", err
}

// failingTest runs packages' own tests and names the first that fails, "" for none.
// It has to fail again, asked alone: one failure may be the machine's, which is
// loaded. A data race has been proven by one.
func (r runner) failingTest(ctx context.Context, args []string) (name string, err error) {
	args = slices.Concat([]string{"test", "-count=1", "-failfast", "-vet=off", "-timeout", r.timeout.String()}, args)
	for range 2 {
		out, err := r.run(ctx, buildTimeout+r.timeout, "go", args...)
		if !failed(err) {
			return "", err
		}
		name = cmp.Or(name, failedTest(out), "tests")
		if bytes.Contains(out, []byte("WARNING: DATA RACE")) {
			break
		}
		if strings.HasPrefix(name, "Test") {
			args = append(args, "-run", "^"+name+"$")
		}
	}
	return name, nil
}

// quietRapid keeps rapid from leaving its findings about a mutant in the tree,
// where it would try them on the next one, and from searching for the least of them.
var quietRapid = []string{"RAPID_NOFAILFILE=true", "RAPID_SHRINKTIME=1ms"}

// buildTimeout bounds the compiler and the linker, on a loaded machine.
const buildTimeout = 3 * time.Minute

// errTimeout ends a command that took too long.
var errTimeout = errors.New("timeout")

// run runs a command in the module root, in a process group of its own that does
// not outlive it.
func (r runner) run(ctx context.Context, limit time.Duration, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.root
	cmd.Env = slices.Concat(os.Environ(), quietRapid, r.target.env(r.root))
	if slices.Contains(args, "-race") {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1") // the race detector's runtime
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil && ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	return out, err
}

// failed reports whether a command ran and said no, or did not come to an end.
func failed(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) || errors.Is(err, errTimeout)
}

func verdict(err error, out []byte) string {
	if errors.Is(err, errTimeout) {
		return "timeout"
	}
	return firstLine(out)
}

func firstLine(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return ""
}

// failedTest names the first test that failed, or that ran when the time was up.
func failedTest(out []byte) string {
	hung := false
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "--- FAIL: "); ok || hung {
			return strings.Fields(name)[0]
		}
		hung = line == "running tests:"
	}
	return firstLine(out)
}
