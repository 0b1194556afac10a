package tlc

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// other has Toy's names in other places: a variable for a definition and back, and in another order.
const other = `---- MODULE Other ----
EXTENDS Integers
VARIABLES Max, log, n
Small == {"log", "n", "kind"}
Spec == n = 0 /\ log \in Small /\ Max = [at |-> 1, kind |-> "n"] /\ [][n < 5 /\ n' = n + 1 /\ log' \in Small /\ UNCHANGED Max]_<<n, log, Max>>
Init == n <= 4
====
`

// toy is a run with what it finds.
type toy struct {
	Job
	verdict Verdict
}

// toys are runs of every verdict, with other modules between.
func toys(t *testing.T) []toy {
	text, err := os.ReadFile("testdata/Toy.tla")
	require.NoError(t, err)
	files := fstest.MapFS{"Toy.tla": {Data: text}, "Other.tla": {Data: []byte(other)}, "Broken.tla": {Data: []byte("---- MODULE Broken ----\nSpec == Gone\n====\n")}}
	var jobs []toy
	add := func(verdict Verdict, module, text string) {
		cfg, err := ParseConfig(text)
		require.NoError(t, err)
		jobs = append(jobs, toy{Job{FS: files, Module: module, Config: cfg}, verdict})
	}
	for _, m := range []struct {
		mode    string
		verdict Verdict
	}{{"x", OK}, {"assume", Assumption}, {"assert", Assertion}, {"deadlock", Deadlock}, {"under", Failed}, {"eval", Failed}} {
		add(m.verdict, "Toy", `SPECIFICATION Spec CONSTANTS Max = 4 Mode = "`+m.mode+`"`)
	}
	add(Invariant, "Other", "SPECIFICATION Spec INVARIANT Init CHECK_DEADLOCK FALSE")
	fair := `CONSTANTS Max = 4 Mode = "x" SPECIFICATION FairSpec `
	add(Invariant, "Toy", fair+"INVARIANT Small")
	add(Action, "Toy", fair+"PROPERTY Up")
	add(Temporal, "Toy", fair+"PROPERTY Reach")
	add(Temporal, "Toy", fair+"PROPERTY Stay")
	add(Failed, "Broken", "SPECIFICATION Spec")
	coverage := jobs[0]
	coverage.Coverage = true
	return append(jobs, coverage)
}

// TLC's verdict on a module of every kind is read. What a machine says of a job does not
// depend on the jobs before it, and is what a process of its own says.
func TestMachinesForgetWhatTheyRan(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Java thirteen times")
	}
	tool, err := Find(t.Context())
	if err != nil {
		t.Skip(err)
	}
	jobs := toys(t)
	var alone []Output
	for _, job := range jobs {
		out, err := Run(t.Context(), tool, job.Job)
		require.NoError(t, err)
		assert.Equal(t, job.verdict, out.Verdict, "%v: %s", job.Config, out.Message)
		assert.Positive(t, out.CPU)
		alone = append(alone, out)
	}
	machines, err := tool.Machines(t.Context(), jobs[0].FS)
	require.NoError(t, err)
	if machines.class == "" {
		t.Skip("no Java compiler")
	}
	defer machines.Close()
	for i := range 2 * len(jobs) {
		job, want := jobs[i%len(jobs)], alone[i%len(jobs)]
		got, err := machines.Run(t.Context(), job.Job)
		require.NoError(t, err)
		key := job.Module + ": " + job.Config.String()
		assert.Equal(t, want.Verdict, got.Verdict, key)
		assert.Equal(t, want.Violated, got.Violated, key)
		assert.Equal(t, want.Distinct, got.Distinct, key)
		assert.Equal(t, want.Generated, got.Generated, key)
		assert.Equal(t, want.Dead(), got.Dead(), key)
		assert.Len(t, got.Trace, len(want.Trace), key)
		assert.Positive(t, got.CPU)
	}
}

// The end of a context is no verdict. A job whose machine dies runs again in a process of its own.
func TestMachinesSurviveADeath(t *testing.T) {
	tool, err := Find(t.Context())
	if err != nil {
		t.Skip(err)
	}
	job := toys(t)[0].Job
	machines, err := tool.Machines(t.Context(), job.FS)
	require.NoError(t, err)
	if machines.class == "" {
		t.Skip("no Java compiler")
	}
	defer machines.Close()
	_, err = machines.Run(t.Context(), job)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = machines.Run(ctx, job)
	require.ErrorIs(t, err, context.Canceled)

	_, err = machines.Run(t.Context(), job)
	require.NoError(t, err)
	require.Len(t, machines.idle[false], 1)
	require.NoError(t, machines.idle[false][0].cmd.Process.Kill())
	out, err := machines.Run(t.Context(), job)
	require.NoError(t, err)
	assert.Equal(t, OK, out.Verdict)
	assert.Empty(t, machines.idle[false])
}

// Without a compiler, or with a TLC that is not the pinned one, each job has its own process.
func TestJobsWithoutMachines(t *testing.T) {
	tool, err := Find(t.Context())
	if err != nil {
		t.Skip(err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", filepath.Dir(t.TempDir()))
	job := toys(t)[0].Job
	machines, err := tool.Machines(t.Context(), job.FS)
	require.NoError(t, err)
	assert.Empty(t, machines.class)
	out, err := machines.Run(t.Context(), job)
	require.NoError(t, err)
	assert.Equal(t, OK, out.Verdict)
	assert.NoError(t, machines.Close())

	unknown := filepath.Join(t.TempDir(), "tlc.jar")
	require.NoError(t, os.WriteFile(unknown, nil, 0o644))
	assert.Empty(t, Tool{Java: tool.Java, Jar: unknown}.compile(t.Context()))
}

// The process that ends takes its folder with it.
func TestMachinesLeaveNothing(t *testing.T) {
	tool, err := Find(t.Context())
	if err != nil {
		t.Skip(err)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	job := toys(t)[0].Job
	machines, err := tool.Machines(t.Context(), job.FS)
	require.NoError(t, err)
	_, err = machines.Run(t.Context(), job)
	require.NoError(t, err)
	require.NoError(t, machines.Close())
	assert.Eventually(t, func() bool {
		left, err := filepath.Glob(filepath.Join(tmp, "*"))
		return err == nil && len(left) == 0
	}, time.Minute, 10*time.Millisecond)
}

// A process whose owner is gone does not go on searching.
func TestAProcessEndsWithItsInput(t *testing.T) {
	tool, err := Find(t.Context())
	if err != nil {
		t.Skip(err)
	}
	cfg, err := ParseConfig("SPECIFICATION Spec")
	require.NoError(t, err)
	endless := "---- MODULE Endless ----\nEXTENDS Integers\nVARIABLE n\nSpec == n = 0 /\\ [][n' = n + 1]_n\n====\n"
	job := Job{FS: fstest.MapFS{"Endless.tla": {Data: []byte(endless)}}, Module: "Endless", Config: cfg}
	machines, err := tool.Machines(t.Context(), job.FS)
	require.NoError(t, err)
	if machines.class == "" {
		t.Skip("no Java compiler")
	}
	_, err = job.run(func(dir string) (Output, error) {
		m, err := machines.take(false)
		require.NoError(t, err)
		fmt.Fprintln(m.in, strings.Join(append([]string{dir}, job.arguments(dir)...), "\t"))
		require.NoError(t, m.in.Close())
		assert.NoError(t, m.cmd.Wait(), "it ends by itself, with exit code 0")
		return Output{}, os.RemoveAll(m.dir)
	})
	require.NoError(t, err)
}

// What must happen at last is checked in a process that has run nothing else.
func TestLivenessHasAProcessOfItsOwn(t *testing.T) {
	assert.False(t, Check{Purpose: Pass, Expect: OK}.Job(nil, Config{}).Alone)
	assert.True(t, Check{Purpose: Liveness, Expect: OK}.Job(nil, Config{}).Alone)
	assert.True(t, Check{Purpose: Bound, Expect: Temporal}.Job(nil, Config{}).Alone)

	tool, err := Find(t.Context())
	if err != nil {
		t.Skip(err)
	}
	job := toys(t)[0].Job
	machines, err := tool.Machines(t.Context(), job.FS)
	require.NoError(t, err)
	defer machines.Close()
	job.Alone = true
	out, err := machines.Run(t.Context(), job)
	require.NoError(t, err)
	assert.Equal(t, OK, out.Verdict)
	assert.Empty(t, machines.idle, "no process is kept for the next job")
}
