package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Everything but a conviction's story and its replay line fits 80 columns.
func TestOutputFits80Columns(t *testing.T) {
	for _, args := range [][]string{
		{"list"},
		{"run", "reference", "memimpl", "--section", "contract,membership,fencing", "--level", "quick"},
		{"run", "memimpl", "--section", "fencing", "--level", "quick"},
		{"mutants", "F8", "M81", "M113", "--show", "none", "--level", "quick"},
		{"mutants", "--sound", "tells-little", "--level", "quick"},
		{"--help"}, {"list", "--help"},
	} {
		_, out, _ := conform(t, args...)
		for line := range strings.SplitSeq(out, "\n") {
			assert.LessOrEqual(t, utf8.RuneCountInString(line), 80, "%v: %s", args, line)
		}
	}
}

// An interrupt ends a run with what was judged until then: printed, in the report, and
// with the exit code of one.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	var errs bytes.Buffer
	out := until{"CONVICTED of breaking", interrupt, new(bytes.Buffer)}
	code := run(ctx, []string{"run", "F8", "memimpl", "--parallel", "1", "--report", dir}, nil, out, &errs)
	assert.Equal(t, exitInterrupted, code)
	assert.Contains(t, errs.String(), "conform: interrupted\n")
	flat := strings.Join(strings.Fields(out.String()), " ")
	assert.Contains(t, flat, "is convicted by contract/", "at once")
	assert.Contains(t, flat, "broken/F8-no-grace is convicted section")
	assert.Contains(t, flat, "the judgement was ended before: context canceled")
	assert.NotContains(t, flat, "passes", "nothing that was not judged passes")
	for _, page := range []string{"index.html", "broken-F8-no-grace/index.html"} {
		assert.FileExists(t, filepath.Join(dir, page))
	}
}

// until is a writer that does something when it has written a text.
type until struct {
	text string
	do   func()
	*bytes.Buffer
}

func (u until) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(u.text)) {
		u.do()
	}
	return u.Buffer.Write(b)
}

// A conviction stands, whatever goes wrong beside it: it is never exit code 3.
func TestConvictionStands(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	out := until{"CONVICTED of breaking", func() {
		// The report's place becomes a file in the meantime.
		assert.NoError(t, os.RemoveAll(dir))
		assert.NoError(t, os.WriteFile(dir, nil, 0o600))
	}, new(bytes.Buffer)}
	var errs bytes.Buffer
	code := run(t.Context(), []string{"run", "F8", "--case", "^contract/claim-boundaries$", "--report", dir}, nil, out, &errs)
	assert.Equal(t, exitConvicted, code, errs.String())
	assert.Contains(t, errs.String(), "the report was not written")

	errs.Reset()
	code = run(t.Context(), []string{"run", "F8", "--exec", strings.Replace(child(t, "memimpl"), " serve ", " dying ", 1), "--section", "contract"}, nil, new(bytes.Buffer), &errs)
	assert.Equal(t, exitConvicted, code, errs.String())
	assert.Contains(t, errs.String(), "is not judged")
}

// A drawing that cannot be written takes nothing of the conviction.
func TestConvictionStandsUndrawn(t *testing.T) {
	code, out, errs := conform(t, "check", "../../history/testdata/v1/claim-of-a-live-lease.jsonl", "--draw", t.TempDir())
	assert.Equal(t, exitConvicted, code)
	assert.Contains(t, out, "CONVICTED of breaking SingleActivation")
	assert.Contains(t, errs, "--draw: open ")
	code, out, errs = conform(t, "check", "../../history/testdata/v1/right-0.jsonl", "--draw", t.TempDir())
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, out, "OK: ")
	assert.Contains(t, errs, "--draw: open ")
}

// Who waits for input, or searches, is interrupted at once.
func TestInterruptWhileWaiting(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo") // nobody opens it
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for _, args := range [][]string{
		{"check", "-"}, {"check", "-", "--follow"}, {"replay", "-", "--backend", "memimpl"}, {"serve", "memimpl"},
		{"check", fifo}, {"check", fifo, "--follow"}, {"replay", fifo, "--backend", "memimpl"},
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		in, _ := io.Pipe() // nothing ever comes
		time.AfterFunc(10*time.Millisecond, interrupt)
		var errs bytes.Buffer
		assert.Equal(t, exitInterrupted, run(ctx, args, in, new(bytes.Buffer), &errs), args)
		assert.Equal(t, "conform: interrupted\n", errs.String())
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	require.ErrorIs(t, unlessEnded(ctx, func() error { select {} }), context.Canceled)
}

// What could not be printed was not told.
func TestOutputThatIsFull(t *testing.T) {
	var errs bytes.Buffer
	assert.Equal(t, exitUnknown, run(t.Context(), []string{"list"}, nil, full{}, &errs))
	assert.Equal(t, "conform: standard output: no space left on device\n", errs.String())
	errs.Reset()
	assert.Equal(t, exitConvicted, run(t.Context(), []string{"check", "../../history/testdata/v1/claim-of-a-live-lease.jsonl"}, nil, full{}, &errs))
	assert.Equal(t, "conform: standard output: no space left on device\n", errs.String())
}

// A child that never answers, nor ends when it is asked to, ends with the command, and
// so does what its shell has started.
func TestInterruptWithAHangingChild(t *testing.T) {
	for _, args := range [][]string{{"run", "--section", "contract"}, {"replay", "../../conformance/testdata/scripts/grace.script"}, {"client"}} {
		for _, how := range []string{"silent", "hanging"} {
			if args[0] == "client" && how == "hanging" {
				continue // it says that it is a registry, and is refused at once
			}
			pid := filepath.Join(t.TempDir(), "pid")
			ctx, interrupt := context.WithCancel(t.Context())
			go func() {
				for text, _ := os.ReadFile(pid); len(text) == 0; text, _ = os.ReadFile(pid) {
					time.Sleep(time.Millisecond)
				}
				interrupt()
			}()
			command := strings.Replace(child(t, pid), " serve ", " "+how+" ", 1) + "; true"
			var errs lockedBuffer
			code := run(ctx, append(args, "--exec", command), nil, new(bytes.Buffer), &errs)
			assert.Equal(t, exitInterrupted, code, "%v %s", args, how)
			assert.Contains(t, errs.String(), "conform: interrupted\n")
			assert.NotContains(t, errs.String(), "killed", "which is no news")
			text, err := os.ReadFile(pid)
			require.NoError(t, err)
			id, err := strconv.Atoi(string(text))
			require.NoError(t, err)
			assert.Eventually(t, func() bool { return errors.Is(syscall.Kill(id, 0), syscall.ESRCH) }, 10*time.Second, time.Millisecond, "%v %s", args, how)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// A replay line carries the flags that change what a case does.
func TestReplayLinesCarryFlags(t *testing.T) {
	_, out, _ := conform(t, "run", "F8", "--section", "contract", "--case", "claim-boundaries", "--ttl", "40s", "--level", "quick", "--parallel", "2")
	line := regexp.MustCompile(`(?m)^replay: conform (.*)$`).FindStringSubmatch(out)
	require.NotNil(t, line, out)
	assert.Equal(t, "run broken/F8-no-grace --section contract --case claim-boundaries --seed 1 --level quick --ttl 40s", line[1])
	code, again, errs := conform(t, strings.Fields(line[1])...)
	assert.Equal(t, exitConvicted, code, errs)
	assert.Contains(t, again, line[0])
}

func TestCalledAs(t *testing.T) {
	assert.Equal(t, "bin/conform", calledAs("bin/conform", "fdb"))
	assert.Equal(t, "conform", calledAs("conform", ""))
	assert.Equal(t, "go run github.com/kelpie-registry/registry/cmd/conform", calledAs("/tmp/go-build27/b001/exe/conform", ""))
	assert.Equal(t, "go run -tags yield github.com/kelpie-registry/registry/cmd/conform", calledAs("/tmp/go-build27/b001/exe/conform", "yield"))
	assert.Equal(t, "go tool conform", calledAs("/home/u/.cache/go-build/02/0277-d/conform", ""))
}

// Names are completed: backends, ids, sections, cases, levels.
func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "mem"}, "memimpl-file\n"},
		{[]string{"run", ""}, "M113\n"},
		{[]string{"run", "--section", ""}, "fencing\n"},
		{[]string{"run", "--section", "fencing", "--case", ""}, "fencing/after-transfer\n"},
		{[]string{"run", "--level", ""}, "thorough\n"},
		{[]string{"mutants", ""}, "F16\n"},
		{[]string{"mutants", "--sound", ""}, "slow\n"},
		{[]string{"list", ""}, "failures\n"},
		{[]string{"replay", "--backend", ""}, "memimpl\n"},
	} {
		code, out, errs := conform(t, append([]string{"__complete"}, c.args...)...)
		assert.Equal(t, exitOK, code, errs)
		assert.Contains(t, out, c.want, "%v", c.args)
	}
}

// The line of progress never wraps, and makes room for what is printed.
func TestMeterIsOneLine(t *testing.T) {
	var out bytes.Buffer
	m := &meter{w: &out, width: func() int { return 20 }, done: make(chan struct{})}
	move, _ := m.track("a registry with a long name")
	move(3, 90, "contract/claim-boundaries")
	m.draw()
	m.aside(func() { out.WriteString("told\n") })
	assert.Equal(t, "a registry with a l\r\x1b[Ktold\n", out.String())
	m.stop()

	out.Reset()
	m = &meter{w: &out, width: func() int { return 40 }, done: make(chan struct{})}
	one, end := m.track("memimpl")
	two, _ := m.track("fdbimpl")
	one(3, 90, "random/batches")
	two(4, 90, "edges/time")
	m.draw()
	end()
	assert.Equal(t, "memimpl 3/90 0s random/batches · fdbimp\r\x1b[K", out.String(), "two at a time")
	out.Reset()
	m.draw()
	assert.Equal(t, "fdbimpl 4/90 0s edges/time", out.String())
	m.stop()

	out.Reset()
	m = newMeter(&out) // no terminal: one line for a piece of work
	move, end = m.track("memimpl")
	move(2, 2, "")
	end()
	m.stop()
	assert.Equal(t, "memimpl: 2 of 2 done in 0s\n", out.String())
}
