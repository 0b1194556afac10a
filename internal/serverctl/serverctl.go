// Package serverctl stops and starts the database server that tests run on.
//
// The environment variable FDB_SERVER_CTL names a program that does it. It is
// called with one of
//
//	pause     stop the server's processes where they are, as SIGSTOP does
//	resume    let them go on, as SIGCONT does
//	kill      end them at once, as SIGKILL does
//	start     start those that are not running, on the same data
//
// and, on a server of several processes, with the number of one, from 1, behind it.
// It returns when that is done, with 0; what the server then does, as to recover, is
// left to its clients to wait for. A server that has such a program belongs to the
// tests: nobody else uses it.
package serverctl

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Variable is the environment variable that names the program.
const Variable = "FDB_SERVER_CTL"

// Missing is the reason for which what needs a [Server] is skipped.
const Missing = "needs a server that the test can stop: " + Variable + " names no program"

// patience bounds a call of the program.
const patience = time.Minute

// Server is a server that can be stopped. Calls are not concurrent.
type Server interface {
	Pause() error
	Resume() error
	Kill() error
	Start() error
}

// Program is a Server, by its program.
type Program struct {
	path    string
	process []string // the number of the process, if it is about one
}

var _ Server = Program{}

// New returns the server that a program controls.
func New(path string) Program { return Program{path: path} }

// FromEnv returns the server whose program the environment names.
func FromEnv() (Program, bool) {
	path := os.Getenv(Variable)
	return New(path), path != ""
}

// Process returns one process of the server; n counts from 1.
func (p Program) Process(n int) Program {
	return Program{path: p.path, process: []string{strconv.Itoa(n)}}
}

// Pause implements [Server].
func (p Program) Pause() error { return p.run("pause") }

// Resume implements [Server].
func (p Program) Resume() error { return p.run("resume") }

// Kill implements [Server].
func (p Program) Kill() error { return p.run("kill") }

// Start implements [Server].
func (p Program) Start() error { return p.run("start") }

func (p Program) run(what string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, p.path, append([]string{what}, p.process...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %s %s %v: %w: %s", Variable, p.path, what, p.process, err, out)
	}
	return nil
}
