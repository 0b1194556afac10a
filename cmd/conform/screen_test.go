package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
	code := run(ctx, []string{"run", "F8", "memimpl", "--parallel", "1", "--report", dir}, out, &errs)
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
	code := run(t.Context(), []string{"run", "F8", "--case", "^contract/claim-boundaries$", "--report", dir}, out, &errs)
	assert.Equal(t, exitConvicted, code, errs.String())
	assert.Contains(t, errs.String(), "the report was not written")

	errs.Reset()
	code = run(t.Context(), []string{"run", "F8", "--exec", strings.Replace(child(t, "memimpl"), " serve ", " dying ", 1), "--section", "contract"}, new(bytes.Buffer), &errs)
	assert.Equal(t, exitConvicted, code, errs.String())
	assert.Contains(t, errs.String(), "is not judged")
}

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
	assert.Equal(t, "go tool conform", calledAs("/root/.cache/go-build/02/0277-d/conform", ""))
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
	m = newMeter(&out) // no terminal: one line for a piece of work
	move, end := m.track("memimpl")
	move(2, 2, "")
	end()
	m.stop()
	assert.Equal(t, "memimpl: 2 of 2 done in 0s\n", out.String())
}
