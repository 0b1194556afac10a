package smt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Solver is an SMT solver that can be run. See [Find].
type Solver struct {
	Name    string // "z3"
	Path    string
	Version string // "4.8.12"

	args func(timeout time.Duration) []string
}

// kind is what is known about a solver by its name.
type kind struct {
	env     string // the environment variable that names another binary
	minimum [3]int // the oldest version that the proofs were run with
	args    func(timeout time.Duration) []string
}

var kinds = map[string]kind{
	"z3": {env: "Z3", minimum: [3]int{4, 8, 12}, args: func(limit time.Duration) []string {
		return []string{"-in", "-smt2", "-t:" + strconv.FormatInt(limit.Milliseconds(), 10)}
	}},
	"cvc5": {env: "CVC5", minimum: [3]int{1, 0, 3}, args: func(limit time.Duration) []string {
		return []string{"--lang=smt2", "--incremental", "--produce-models", "--tlimit-per=" + strconv.FormatInt(limit.Milliseconds(), 10)}
	}},
}

// ErrNoSolver says that a solver is not installed, or is older than the one
// that the proofs need. Nothing was proven. Match with [errors.Is].
var ErrNoSolver = errors.New("the solver is not available")

var versionPattern = regexp.MustCompile(`version (\d+)\.(\d+)\.(\d+)`)

// Find locates the solver "z3" or "cvc5": the binary that the environment
// variable Z3 or CVC5 names, else the one on the PATH.
func Find(ctx context.Context, name string) (Solver, error) {
	k, ok := kinds[name]
	if !ok {
		return Solver{}, fmt.Errorf("%q is not a solver that is known here", name)
	}
	path := os.Getenv(k.env)
	if path == "" {
		path = name
	}
	path, err := exec.LookPath(path)
	if err != nil {
		return Solver{}, fmt.Errorf("%w: %w", ErrNoSolver, err)
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Solver{}, fmt.Errorf("%w: %s --version: %w", ErrNoSolver, path, err)
	}
	m := versionPattern.FindStringSubmatch(string(out))
	if m == nil {
		return Solver{}, fmt.Errorf("%w: %s --version names no version", ErrNoSolver, path)
	}
	s := Solver{Name: name, Path: path, Version: strings.Join(m[1:], "."), args: k.args}
	if older(m[1:], k.minimum) {
		return Solver{}, fmt.Errorf("%w: %s is version %s, and %d.%d.%d or later is needed",
			ErrNoSolver, path, s.Version, k.minimum[0], k.minimum[1], k.minimum[2])
	}
	return s, nil
}

func older(version []string, minimum [3]int) bool {
	for i, text := range version {
		if v, _ := strconv.Atoi(text); v != minimum[i] {
			return v < minimum[i]
		}
	}
	return false
}
