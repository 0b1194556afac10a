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
	"slices"
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
	Alone    bool     // in a process of its own, also where the others share some
}

// Run checks one module under one configuration, with one worker, in a folder
// and a Java process of its own, and returns what TLC said. A model that fails its properties is
// no error; an error means that TLC could not be run at all, that the
// configuration does not fit the module (see [Lint]), or that ctx ended. Run may
// be called concurrently. Who has many jobs uses [Machines].
func Run(ctx context.Context, tool Tool, job Job) (Output, error) {
	return job.run(func(dir string) (Output, error) {
		args := slices.Concat(javaFlags(dir), job.JVM, []string{"-cp", tool.Jar, "tlc2.TLC"}, job.arguments(dir))
		cmd := exec.CommandContext(ctx, tool.Java, args...)
		cmd.Dir = dir
		cmd.WaitDelay = 5 * time.Second
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		if ctx.Err() != nil {
			return Output{}, ctx.Err()
		}
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return Output{}, fmt.Errorf("%w: %w", ErrNoTLC, err)
		}
		o := Parse(out.String(), cmd.ProcessState.ExitCode())
		o.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		return o, nil
	})
}

// run prepares the job's folder for a run of TLC, which gets its path.
func (j Job) run(tlc func(dir string) (Output, error)) (Output, error) {
	closure, err := Load(j.FS, j.Module)
	if err != nil {
		return Output{}, err
	}
	if err := Lint(closure, j.Config); err != nil {
		return Output{}, err
	}
	// TLC names its metadata folder by the second and unpacks its standard
	// modules into the temporary folder: two runs in one place destroy each other.
	dir, err := os.MkdirTemp("", "tlc-")
	if err != nil {
		return Output{}, err
	}
	defer os.RemoveAll(dir)
	if err := j.lay(dir, closure); err != nil {
		return Output{}, err
	}
	o, err := tlc(dir)
	o.attribute(j.Config)
	return o, err
}

const configFile = "model.cfg"

// lay writes the modules and the configuration into dir.
func (j Job) lay(dir string, c Closure) error {
	for name, text := range c.Files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, configFile), []byte(j.Config.String()), 0o644)
}

// javaFlags are those of every Java process that runs TLC. It unpacks modules into dir.
// The quick compiler is enough: the other takes more time than it saves.
func javaFlags(dir string) []string {
	return []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx2g", "-Djava.io.tmpdir=" + dir}
}

// arguments fixes everything that could make two runs differ: one worker and one
// fingerprint function give the same search order, hence the same
// counterexample and the same counts, on every machine.
func (j Job) arguments(dir string) []string {
	args := []string{
		"-tool", "-workers", "1", "-fp", "0", "-fpmem", "0.02", // of the heap: more only takes longer to clear
		"-metadir", filepath.Join(dir, "meta"), "-config", filepath.Join(dir, configFile),
	}
	if j.Coverage {
		args = append(args, "-coverage", "60") // minutes: only the final count is wanted
	}
	return append(append(args, j.Args...), filepath.Join(dir, j.Module))
}
