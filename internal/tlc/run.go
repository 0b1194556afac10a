package tlc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Job is one run of TLC.
type Job struct {
	FS       fs.FS  // where the modules are, at its root
	Module   string // the root module
	Config   Config
	Coverage bool     // count how often each action is taken; costs about a tenth of the time
	Args     []string // further arguments of TLC, such as -dump; files must be absolute paths
	JVM      []string // further arguments of Java, such as -Xss64m
}

// Run checks one module under one configuration, with one worker, in a folder
// of its own, and returns what TLC said. A model that fails its properties is
// no error; an error means that TLC could not be run at all, that the
// configuration does not fit the module (see [Lint]), or that ctx ended. Run may
// be called concurrently.
func Run(ctx context.Context, tool Tool, job Job) (Output, error) {
	closure, err := Load(job.FS, job.Module)
	if err != nil {
		return Output{}, err
	}
	if err := Lint(closure, job.Config); err != nil {
		return Output{}, err
	}
	// TLC names its metadata folder by the second and unpacks its standard
	// modules into the temporary folder: two runs in one place destroy each other.
	dir, err := os.MkdirTemp("", "tlc-")
	if err != nil {
		return Output{}, err
	}
	defer os.RemoveAll(dir)
	if err := job.lay(dir, closure); err != nil {
		return Output{}, err
	}
	cmd := job.command(ctx, tool, dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if ctx.Err() != nil {
		return Output{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Output{}, fmt.Errorf("%w: %w", ErrNoTLC, err)
	}
	o := Parse(out.String(), cmd.ProcessState.ExitCode())
	o.attribute(job.Config)
	o.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return o, nil
}

const configFile = "model.cfg"

// lay writes the modules and the configuration into dir.
func (j Job) lay(dir string, c Closure) error {
	for name, text := range c.Files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, configFile), []byte(j.Config.String()), 0o644)
}

// command fixes everything that could make two runs differ: one worker and one
// fingerprint function give the same search order, hence the same
// counterexample and the same counts, on every machine.
func (j Job) command(ctx context.Context, tool Tool, dir string) *exec.Cmd {
	args := append([]string{
		"-XX:+UseSerialGC", "-Xmx3g", "-Djava.io.tmpdir=" + filepath.Join(dir, "tmp"),
	}, j.JVM...)
	if tool.archive != "" {
		args = append(args, "-XX:SharedArchiveFile="+tool.archive)
	}
	args = append(args, "-cp", tool.Jar, "tlc2.TLC", "-tool", "-workers", "1", "-fp", "0",
		"-metadir", filepath.Join(dir, "meta"), "-config", configFile)
	if j.Coverage {
		args = append(args, "-coverage", "60") // minutes: only the final count is wanted
	}
	args = append(append(args, j.Args...), j.Module)
	cmd := exec.CommandContext(ctx, tool.Java, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
