package tlc

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed Machine.java
var machineSource []byte

// Machines run TLC for many jobs of one specification folder in few Java
// processes: most of a short run's time is otherwise Java's start, TLC's loading
// and the compilation of its code. They may be used concurrently; each job has a
// process for itself while it runs. The processes end with [Machines.Close].
//
// TLC is made to run once in a process. What it keeps of a run is known for the
// pinned TLC, and where it would be wrong the process is not used again; with
// another TLC, or without a Java compiler, each job has a process of its own.
type Machines struct {
	tool  Tool
	class string // folder of the compiled Machine.java; "" when jobs have their own processes
	words string // all names and strings of the folder's modules

	mu   sync.Mutex
	idle map[bool][]*machine // by whether they count coverage, which a process's first run settles
}

// Machines returns machines for jobs with the modules of fsys.
func (t Tool) Machines(ctx context.Context, fsys fs.FS) (*Machines, error) {
	words, err := allWords(fsys)
	return &Machines{tool: t, class: t.compile(ctx), words: words, idle: map[bool][]*machine{}}, err
}

// Run is the function [Run] in one of the machines. A job with arguments for Java,
// or that wants it, has a process of its own, and so has one that a machine did not survive: TLC
// ends the process at some errors, also at such as a run before it caused.
func (ms *Machines) Run(ctx context.Context, job Job) (Output, error) {
	if ms.class == "" || job.JVM != nil || job.Alone {
		return Run(ctx, ms.tool, job)
	}
	out, err := job.run(func(dir string) (Output, error) { return ms.inMachine(ctx, dir, job) })
	if errors.Is(err, errDied) {
		return Run(ctx, ms.tool, job)
	}
	return out, err
}

// Export has SANY write a module as XML, as [Tool.Export] does, in one of the machines.
func (ms *Machines) Export(ctx context.Context, fsys fs.FS, module string) (Exported, error) {
	if ms.class == "" {
		return ms.tool.Export(ctx, fsys, module)
	}
	e, err := export(fsys, module, func(dir string) (e Exported, err error) {
		m, err := ms.take(false)
		if err != nil {
			return e, err
		}
		code, _, err := m.ask(ctx, dir, "export", module)
		if err == nil {
			e.XML, err = os.ReadFile(filepath.Join(dir, "out"))
		}
		if err == nil {
			e.Log, err = os.ReadFile(filepath.Join(dir, "log"))
		}
		if e.Failed = code != 0; err != nil {
			return e, errors.Join(err, m.close())
		}
		ms.leave(false, m)
		return e, nil
	})
	if errors.Is(err, errDied) {
		return ms.tool.Export(ctx, fsys, module)
	}
	return e, err
}

var errDied = errors.New("the process ended during a run of TLC")

func (ms *Machines) inMachine(ctx context.Context, dir string, job Job) (Output, error) {
	m, err := ms.take(job.Coverage)
	if err != nil {
		return Output{}, err
	}
	out, err := m.run(ctx, dir, job.arguments(dir))
	if err != nil || out.Verdict == Temporal {
		return out, errors.Join(err, m.close())
	}
	ms.leave(job.Coverage, m)
	return out, nil
}

// leave keeps a machine for the next job.
func (ms *Machines) leave(coverage bool, m *machine) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.idle[coverage] = append(ms.idle[coverage], m)
}

// Close ends the processes of the machines that are idle.
func (ms *Machines) Close() error {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	var errs []error
	for _, machines := range ms.idle {
		for _, m := range machines {
			errs = append(errs, m.close())
		}
	}
	clear(ms.idle)
	return errors.Join(errs...)
}

func (ms *Machines) take(coverage bool) (*machine, error) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if n := len(ms.idle[coverage]); n > 0 {
		m := ms.idle[coverage][n-1]
		ms.idle[coverage] = ms.idle[coverage][:n-1]
		return m, nil
	}
	return ms.start()
}

// machine is a process of Machine.java.
type machine struct {
	dir string // its temporary folder
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func (ms *Machines) start() (*machine, error) {
	dir, err := os.MkdirTemp("", "tlc-machine-")
	if err != nil {
		return nil, err
	}
	m := &machine{dir: dir, cmd: exec.Command(ms.tool.Java, slices.Concat(javaFlags(dir),
		[]string{"-cp", ms.tool.Jar + string(os.PathListSeparator) + ms.class, "Machine"})...)}
	m.cmd.Dir = dir
	var out io.Reader
	if m.in, err = m.cmd.StdinPipe(); err == nil {
		out, err = m.cmd.StdoutPipe()
	}
	if err == nil {
		m.out = bufio.NewScanner(out)
		err = m.cmd.Start()
	}
	if err == nil {
		_, err = fmt.Fprintln(m.in, ms.words)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTLC, errors.Join(err, os.RemoveAll(dir)))
	}
	return m, nil
}

func (m *machine) run(ctx context.Context, dir string, args []string) (Output, error) {
	code, cpu, err := m.ask(ctx, dir, args...)
	if err != nil {
		return Output{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		return Output{}, err
	}
	o := Parse(string(text), code)
	o.CPU = cpu
	return o, nil
}

// ask has the process do one run, and returns its exit code and processor time.
func (m *machine) ask(ctx context.Context, dir string, args ...string) (code int, cpu time.Duration, err error) {
	stop := context.AfterFunc(ctx, func() { m.cmd.Process.Kill() }) // the answer's absence tells
	defer stop()
	fmt.Fprintln(m.in, strings.Join(append([]string{dir}, args...), "\t")) // so does it here
	for m.out.Scan() {
		if _, err := fmt.Sscanf(m.out.Text(), "ran %d %d", &code, &cpu); err == nil {
			return code, cpu, nil
		} // else a warning of Java's
	}
	if ctx.Err() != nil {
		return 0, 0, ctx.Err()
	}
	return 0, 0, errDied
}

// close ends the process and forgets how: what a run gave is in its answer.
func (m *machine) close() error {
	m.in.Close()
	m.cmd.Process.Kill()
	m.cmd.Wait()
	return os.RemoveAll(m.dir)
}

// compile returns the folder of Machine's class in the user's cache, compiled if
// it is not there, or "" where that cannot be.
func (t Tool) compile(ctx context.Context) string {
	cache, err := os.UserCacheDir()
	if err != nil || verify(t.Jar, jarSHA256) != nil {
		return ""
	}
	sum := sha256.Sum256(machineSource)
	dir := filepath.Join(cache, "kelpie-registry", "machine-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, "Machine.class")); err == nil {
		return dir
	}
	tmp, err := os.MkdirTemp("", "machine-")
	if err != nil {
		return ""
	}
	defer os.RemoveAll(tmp)
	source := filepath.Join(tmp, "Machine.java")
	if os.WriteFile(source, machineSource, 0o644) != nil || os.MkdirAll(dir, 0o755) != nil {
		return ""
	}
	if exec.CommandContext(ctx, "javac", "--release", "11", "-cp", t.Jar, "-d", tmp, source).Run() != nil {
		return ""
	}
	// Whole whenever it is there, also when several processes compile at the same time.
	if os.Rename(filepath.Join(tmp, "Machine.class"), filepath.Join(dir, "Machine.class")) != nil {
		return ""
	}
	return dir
}

var wordPattern = regexp.MustCompile(`\w+`)

// allWords returns the words of a specification folder's files, sorted.
func allWords(fsys fs.FS) (string, error) {
	files, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return "", err
	}
	seen := map[string]bool{}
	var words []string
	for _, f := range files {
		if !slices.Contains([]string{".tla", ".cfg", ".json"}, filepath.Ext(f.Name())) {
			continue
		}
		text, err := fs.ReadFile(fsys, f.Name())
		if err != nil {
			return "", err
		}
		for _, w := range wordPattern.FindAllString(string(text), -1) {
			if !seen[w] {
				seen[w] = true
				words = append(words, w)
			}
		}
	}
	slices.Sort(words)
	return strings.Join(words, "\t"), nil
}
