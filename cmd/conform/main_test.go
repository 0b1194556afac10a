package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/op"
)

// TestMain lets this binary be the child that --exec starts: conform itself, or one
// that dies.
func TestMain(m *testing.M) {
	args := append(os.Args, "", "")[1:]
	switch args[0] {
	case "serve":
		os.Exit(run(context.Background(), args[:2], os.Stdin, os.Stdout, os.Stderr))
	case "dying":
		out := mortal(5)
		os.Exit(run(context.Background(), []string{"serve", args[1]}, os.Stdin, &out, os.Stderr))
	case "hanging", "silent":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		if args[0] == "hanging" {
			fmt.Println(`{"protocol":"kelpie-registry","version":2,"name":"hanging","time":"passed"}`)
		}
		if err := writeFile(args[1], func(w io.Writer) error { _, err := fmt.Fprint(w, os.Getpid()); return err }); err != nil {
			panic(err)
		}
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

// mortal is standard output for so many writes.
type mortal int

func (m *mortal) Write(b []byte) (int, error) {
	if *m--; *m < 0 {
		os.Exit(7)
	}
	return os.Stdout.Write(b)
}

// child is the command line of a child that serves a registry.
func child(t *testing.T, backend string) string {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	return "'" + exe + "' serve " + backend
}

// What was walked and explored is told below the table.
func TestCoverageIsTold(t *testing.T) {
	code, out, errs := conform(t, "run", "F3", "--section", "edges,schedules", "--case", "edges/write|schedules/pairs-free")
	require.Equal(t, exitOK, code, out+errs)
	flat := strings.Join(strings.Fields(out), " ")
	assert.Regexp(t, `walked along all \d{3,} edges of the specification's graphs, through \d{3,} states, in \d+ walks on \d+ clusters`, flat)
	assert.Regexp(t, `taken through \d{3,} schedules of 55 situations, with \d{4,} stops at \d+ kinds of yield points`, flat)
}

// A script is carried out on a child as on a backend of this process: the right
// registry passes, the wrong one is convicted with the line that does it again, and
// what the child lacks is no pass.
func TestReplayOnAChild(t *testing.T) {
	const scripts = "../../conformance/testdata/scripts/"
	code, out, errs := conform(t, "replay", scripts+"grace.script", "--exec", child(t, "memimpl"))
	require.Equal(t, exitOK, code, out+errs)
	assert.Contains(t, out, "memimpl: every answer is right (1 histories")

	wrong := child(t, "F8")
	code, out, errs = conform(t, "replay", scripts+"grace.script", "--exec", wrong)
	require.Equal(t, exitConvicted, code, out+errs)
	assert.Contains(t, out, "CONVICTED of breaking GraceRespected")
	assert.Contains(t, out, "replay: conform replay "+scripts+"grace.script --exec '"+strings.ReplaceAll(wrong, "'", `'\''`)+"'")

	code, out, errs = conform(t, "replay", scripts+"restart.script", "--exec", child(t, "memimpl"))
	require.Equal(t, exitUnknown, code, out+errs)
	assert.Contains(t, out, "memimpl is not judged: skipped: the cluster does not implement conformance.Restarter")
	code, out, errs = conform(t, "replay", scripts+"restart.script", "--exec", child(t, "memimpl-file"))
	require.Equal(t, exitOK, code, out+errs)

	code, _, errs = conform(t, "replay", scripts+"grace.script", "--exec", "echo hello")
	require.Equal(t, exitUnknown, code)
	assert.Contains(t, errs, `its greeting is "hello"`)
	code, _, errs = conform(t, "replay", scripts+"grace.script", "--exec", "echo hello", "--backend", "memimpl")
	require.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "want one of --backend and --exec")
}

// A child's replay line starts the same child again.
func TestReplayLineOfAChild(t *testing.T) {
	code, out, errs := conform(t, "run", "--exec", child(t, "F8"), "--section", "contract", "--case", "claim-boundaries")
	require.Equal(t, exitConvicted, code, out+errs)
	quoted := "'" + strings.ReplaceAll(child(t, "F8"), "'", `'\''`) + "'"
	assert.Contains(t, out, "replay: conform run --exec "+quoted+" --section contract --case claim-boundaries --seed 1\n")
}

// A child that dies in the middle is not judged, and nobody is convicted for it.
func TestReplayOnADyingChild(t *testing.T) {
	code, out, errs := conform(t, "replay", "../../conformance/testdata/scripts/grace.script", "--exec", strings.Replace(child(t, "memimpl"), " serve ", " dying ", 1))
	require.Equal(t, exitUnknown, code, out+errs)
	assert.NotContains(t, out, "CONVICTED")
	assert.Contains(t, out, "it closed its output")
}

func conform(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs lockedBuffer
	code = run(t.Context(), args, nil, &out, &errs)
	return code, out.String(), errs.String()
}

// lockedBuffer is written by the command and by the child that it started, as the
// file behind standard error is.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The documented exit codes, and a clear word for each kind of bad input.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.jsonl")
	require.NoError(t, os.WriteFile(empty, nil, 0o644))
	const scripts = "../../conformance/testdata/scripts/"
	garbage := t.TempDir()
	for file, text := range map[string]string{"manifest.json": "none", "proofs.json": "[]"} {
		require.NoError(t, os.WriteFile(filepath.Join(garbage, file), []byte(text), 0o644))
	}
	right := filepath.Join(dir, "right.jsonl")
	require.NoError(t, os.WriteFile(right, []byte(`{"format":"kelpie-history","version":1,"config":{"ttl":10000000000,"grace":0,"max_clock_skew":0,"failure_timeout":6000000000}}`+"\n"), 0o644))
	mistaken := filepath.Join(dir, "mistaken.script")
	require.NoError(t, os.WriteFile(mistaken, []byte("n1: Heartbeat node=n1#1 -> ok\n"), 0o644))
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"--help"}, exitOK, "Conform judges whether"},
		{"no command", nil, exitOK, "Conform judges whether"},
		{"version", []string{"--version"}, exitOK, "conform (devel), go1."},
		{"unknown command", []string{"judge"}, exitUsage, `there is no command "judge"`},
		{"mistyped command", []string{"mutant"}, exitUsage, `there is no command "mutant"; did you mean mutants?`},
		{"mistyped flag", []string{"run", "--sed", "1"}, exitUsage, "unknown flag: --sed; did you mean --seed?"},
		{"nobody to judge", []string{"run"}, exitUsage, "no registry is named"},
		{"mistyped registry", []string{"run", "memimp"}, exitUsage, `there is no registry "memimp"; did you mean memimpl or memimpl-file or memimpl-file-forgets? (conform list backends)`},
		{"registry of no build", []string{"run", "fdbimpl-9"}, exitUsage, `there is no registry "fdbimpl-9"`},
		{"unknown section", []string{"run", "memimpl", "--section", "contrat"}, exitUsage, `there is no section "contrat"; did you mean contract?; the sections are contract, `},
		{"bad seeds", []string{"run", "memimpl", "--seeds", "0"}, exitUsage, "--seeds is 0"},
		{"negative seed", []string{"run", "memimpl", "--seed", "-1"}, exitUsage, `--seed is "-1", want a whole number from 0 on`},
		{"seeds in words", []string{"run", "memimpl", "--seeds", "many"}, exitUsage, `--seeds is "many", want a whole number`},
		{"duration without unit", []string{"run", "memimpl", "--duration", "10"}, exitUsage, `--duration is "10", want a duration such as 30s or 10m`},
		{"negative duration", []string{"run", "memimpl", "--duration", "-1s"}, exitUsage, "duration is -1s, want 0 or more"},
		{"negative parallel", []string{"run", "memimpl", "--parallel", "-1"}, exitUsage, "--parallel is -1, want 0 or more"},
		{"negative histories", []string{"run", "memimpl", "--histories", "-1"}, exitUsage, "histories is -1, want 0 or more"},
		{"unknown level", []string{"run", "memimpl", "--level", "fast"}, exitUsage, `--level is "fast", want one of quick, default, thorough`},
		{"no time for calls", []string{"run", "memimpl", "--call-timeout", "0s"}, exitUsage, "--call-timeout is 0s, want more than 0"},
		{"bounds out of range", []string{"run", "memimpl", "--ttl", "1h"}, exitUsage, "config TTL is 1h0m0s, want 1s to 5m0s"},
		{"bounds that do not fit", []string{"run", "memimpl", "--skew", "20s"}, exitUsage, "config MaxClockSkew is 20s, want 0s to 7.5s"},
		{"bad expression", []string{"run", "memimpl", "--case", "("}, exitUsage, "--case: error parsing regexp"},
		{"nothing selected", []string{"run", "memimpl", "--case", "nosuch"}, exitUsage, `nothing is selected: there is no case "nosuch" (conform list sections)`},
		{"mistyped case", []string{"run", "memimpl", "--case", "claim-boundaris"}, exitUsage, `did you mean claim-boundaries?`},
		{"case of another section", []string{"run", "memimpl", "--section", "fencing", "--case", "claim-boundaries"}, exitUsage, "nothing is selected"},
		{"report in a file", []string{"run", "memimpl", "--report", empty}, exitUsage, "--report: mkdir "},
		{"report below a file", []string{"mutants", "F8", "--report", empty + "/x"}, exitUsage, "--report: mkdir "},
		{"histories in a file", []string{"run", "memimpl", "--keep-histories", empty}, exitUsage, "--keep-histories: mkdir "},
		{"right registry", []string{"run", "memimpl", "--section", "contract"}, exitOK, "memimpl passes"},
		{"right registry with other bounds", []string{"run", "memimpl", "--section", "contract", "--ttl", "2s", "--grace", "1s", "--skew", "0s", "--failure-timeout", "1s"}, exitOK, "memimpl passes"},
		{"right registry on a file", []string{"run", "memimpl-file", "--section", "durable"}, exitOK, "durable    11          0        0        1"},
		{"wrong registry", []string{"run", "F8", "--section", "contract"}, exitConvicted, "CONVICTED of breaking GraceRespected"},
		{"child that is none", []string{"run", "--exec", "echo hello"}, exitUnknown, `its greeting is "hello"`},
		{"no such list", []string{"list", "rule"}, exitUsage, `there is no list "rule"; did you mean rules?`},
		{"lists", []string{"list"}, exitOK, "SingleActivation"},
		{"broken ones", []string{"mutants", "F7", "F8", "--show", "F8"}, exitOK, "2 of 2 broken registries convicted"},
		{"unknown broken one", []string{"mutants", "nosuch"}, exitUsage, `there is no broken registry "nosuch" (conform list failures)`},
		{"mistyped broken one", []string{"mutants", "F88"}, exitUsage, `did you mean F8 or M88?`},
		{"unknown right one", []string{"mutants", "--sound", "nosuch"}, exitUsage, `there is no sound registry "nosuch"`},
		{"no history", []string{"check", filepath.Join(dir, "none.jsonl")}, exitUsage, "no such file"},
		{"empty history", []string{"check", empty}, exitUsage, "line 1: the history is empty"},
		{"no argument", []string{"check"}, exitUsage, "accepts 1 arg(s), received 0"},
		{"negative timeout", []string{"check", "--timeout", "-1s", "nosuch"}, exitUsage, "--timeout is -1s, want 0 or more"},
		{"how it is used", []string{"replay"}, exitUsage, "usage: conform replay SCRIPT"},
		{"group served", []string{"serve", "shipped"}, exitUsage, "shipped is a group"},
		{"script of a right registry", []string{"replay", scripts + "grace.script", "--backend", "memimpl"}, exitOK, "memimpl: every answer is right (1 histories"},
		{"script of a wrong registry", []string{"replay", scripts + "grace.script", "--backend", "F8"}, exitConvicted, "replay: conform replay ../../conformance/testdata/scripts/grace.script --backend F8"},
		{"script that cannot be executed", []string{"replay", scripts + "restart.script", "--backend", "memimpl"}, exitUnknown, "memimpl is not judged: skipped: the cluster does not implement conformance.Restarter"},
		{"script that expects too much", []string{"replay", mistaken, "--backend", "memimpl"}, exitUsage, "n1: Heartbeat node=n1#1 -> ok: the specification answers ErrNodeUnknown"},
		{"no script", []string{"replay", dir + "/none", "--backend", "memimpl"}, exitUsage, "no such file"},
		{"script for nobody", []string{"replay", mistaken}, exitUsage, "want one of --backend and --exec"},
		{"script for a group", []string{"replay", mistaken, "--backend", "shipped"}, exitUsage, "shipped is a group"},
		{"script that is none", []string{"replay", "main.go", "--backend", "memimpl"}, exitUsage, "main.go: line 1: "},
		{"empty script", []string{"replay", empty, "--backend", "memimpl"}, exitUsage, "the script has no step"},
		{"bad selection", []string{"spec", "--only", "("}, exitUsage, "--only"},
		{"no manifest", []string{"spec", "--dir", dir}, exitUsage, "manifest.json: no such file"},
		{"no proofs", []string{"prove", "--dir", dir}, exitUsage, "proofs.json: no such file"},
		{"manifest that is none", []string{"spec", "--dir", garbage}, exitUsage, "manifest.json: invalid character"},
		{"proofs that are none", []string{"prove", "--dir", garbage}, exitUsage, "proofs.json: it has no proof"},
		{"seeds beyond the last", []string{"run", "memimpl", "--seed", "18446744073709551615", "--seeds", "2"}, exitUsage, "--seed is 18446744073709551615, after which there are no 2 seeds"},
		{"seeds without end", []string{"run", "memimpl", "--seeds", "9000000000000000000"}, exitUsage, "want 1 to 1000000"},
		{"unset variable", []string{"run", "memimpl", "--section", ""}, exitUsage, "--section is empty"},
		{"report nowhere", []string{"run", "memimpl", "--report", ""}, exitUsage, "--report is empty"},
		{"mistyped rule", []string{"run", "memimpl", "--waive", "TokenMonotone"}, exitUsage, "did you mean TokenMonotonic?"},
		{"registry in small letters", []string{"run", "f8"}, exitUsage, "did you mean F8"},
		{"swapped letters", []string{"rnu"}, exitUsage, `did you mean run?`},
		{"no level and a report", []string{"mutants", "F8", "--level", "x", "--report", filepath.Join(dir, "none")}, exitUsage, `--level is "x", want one of quick, default, thorough`},
		{"mistyped bounds and a report", []string{"run", "memimpl", "--ttl", "1h", "--report", filepath.Join(dir, "none")}, exitUsage, "config TTL is 1h0m0s"},
		{"to show nobody", []string{"mutants", "F8", "--show", "F9999"}, exitUsage, `--show: there is no broken registry "F9999"`},
		{"to show among the right ones", []string{"mutants", "--sound", "--show", "F8"}, exitUsage, "--show is of a broken registry"},
		{"right ones' report in a file", []string{"mutants", "--sound", "plain", "--report", empty}, exitUsage, "--report: mkdir "},
		{"drawing of what grows", []string{"check", right, "--follow", "--draw", "x.html"}, exitUsage, "--draw is for whole histories"},
		{"help on nothing", []string{"help", "judge"}, exitUsage, `there is no command "judge"`},
		{"help on a command", []string{"help", "run"}, exitOK, "Run judges each named registry"},
		{"completion of no shell", []string{"completion", "csh"}, exitUsage, `there is no shell "csh"`},
		{"case of no client", []string{"client", "--exec", "true", "--case", "grant/fee"}, exitUsage, `did you mean grant/free?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := conform(t, c.args...)
			assert.Equal(t, c.code, code, "%s%s", out, errs)
			assert.Contains(t, out+errs, c.says)
			if code == exitUsage {
				assert.Empty(t, out)
				assert.Equal(t, 1, strings.Count(errs, "\n"), "one line: %s", errs)
				assert.NoDirExists(t, filepath.Join(dir, "none"), "nothing is changed")
			}
		})
	}
}

// The report's files exist, and the JSON one can be read back.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	code, out, _ := conform(t, "run", "memimpl", "F8", "--section", "contract", "--report", dir)
	require.Equal(t, exitConvicted, code)
	assert.Contains(t, out, "report: "+dir)
	assert.Regexp(t, `(?m)^in \S+: \d+ operations/s, \d+ MB at most$`, out)
	assert.Regexp(t, `(?m)^judged: 2 registries, \d+ histories, \d+ operations: [1-9]\d* cases convicted, 0\nunknown, \d+ passed, 0 skipped$`, out)
	for _, name := range []string{"index.html", "memimpl/index.html", "memimpl/junit.xml", "broken-F8-no-grace/index.html"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
	text, err := os.ReadFile(filepath.Join(dir, "memimpl", "report.json"))
	require.NoError(t, err)
	r, err := conformance.ReadReport(bytes.NewReader(text))
	require.NoError(t, err)
	assert.Equal(t, "memimpl", r.Backend)
	assert.True(t, r.Passed())
	assert.True(t, json.Valid(text))
}

// What a backend in a dialect passes as is said under its verdict.
func TestDialectIsSaid(t *testing.T) {
	var out strings.Builder
	printReports(&out, []*conformance.Report{{Backend: "lock", Dialect: &report.DialectResult{
		PassesAs: "lock, sparse tokens", Lacks: []string{"grace"},
	}, RealTime: &report.Margins{Store: 2 * time.Millisecond}}})
	assert.Contains(t, out.String(), "judged as: lock, sparse tokens; does not promise: grace")
	assert.Contains(t, out.String(), "in real time: a claim waits 2ms after expiry and grace")
}

func TestScoreboard(t *testing.T) {
	dir := t.TempDir()
	code, _, _ := conform(t, "mutants", "F8", "--report", dir)
	require.Equal(t, exitOK, code)
	text, err := os.ReadFile(filepath.Join(dir, convictionsFile))
	require.NoError(t, err)
	assert.Contains(t, string(text), "GraceRespected")
	assert.FileExists(t, filepath.Join(dir, scoreboardFile))
}

// A saved history is judged: one of memimpl is explained, and the same one with
// an answer changed is not.
func TestCheck(t *testing.T) {
	cfg := registry.DefaultConfig()
	rec := history.NewRecorder(cfg)
	store, err := memimpl.New(cfg)
	require.NoError(t, err)
	h, err := store.Open(cfg, rec.Clock("n1", registry.NewManualClock(1e18)))
	require.NoError(t, err)
	r := rec.Wrap("n1", h)
	n, err := r.RegisterNode(t.Context(), "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	l, err := r.Claim(t.Context(), registry.ActorID{Namespace: "a", Name: "b"}, n.Ref, registry.NewClaimID())
	require.NoError(t, err)
	_, err = r.Renew(t.Context(), l)
	require.NoError(t, err)
	recorded := rec.History()

	path := filepath.Join(t.TempDir(), "history.jsonl")
	save := func() {
		var text bytes.Buffer
		require.NoError(t, history.Write(&text, recorded))
		require.NoError(t, os.WriteFile(path, text.Bytes(), 0o644))
	}
	save()
	code, out, errs := conform(t, "check", path)
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "OK: 3 operations")

	code, out, errs = conform(t, "check", path, "--trace")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "3 steps accepted by the reference")

	done, cancel := context.WithCancel(t.Context())
	cancel() // what is there is read, and more is not waited for
	follow := func() (int, string) {
		var text bytes.Buffer
		return run(done, []string{"check", path, "--follow"}, nil, &text, &text), text.String()
	}
	code, out = follow()
	require.Equal(t, exitOK, code, out)
	assert.Regexp(t, `^OK: 3 operations in 2 partitions, .*: \d+ operations/s, \d+ MB at most\n$`, out)

	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"client":"n1","call":{"op":"Ren`) // the rest is being written
	require.NoError(t, errors.Join(err, f.Close()))
	code, out = follow()
	require.Equal(t, exitOK, code, out)
	assert.Contains(t, out, "OK: 3 operations")

	recorded.Ops[2].Result.Record.Token++
	save()
	code, out, errs = conform(t, "check", path, "--follow") // ends by itself
	require.Equal(t, exitConvicted, code, errs)
	assert.Contains(t, out, "Illegal: 3 operations")
	assert.Contains(t, out, "Renew(")
	drawing := filepath.Join(t.TempDir(), "history.html")
	code, out, errs = conform(t, "check", path, "--draw", drawing)
	require.Equal(t, exitConvicted, code, errs)
	assert.Contains(t, out, "Illegal: ")
	assert.Contains(t, out, "Renew")
	assert.FileExists(t, drawing)
}

// A file that is followed and becomes shorter is an error, and not a file that rests.
func TestFollowedFileIsCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("some lines\n"), 0o644))
	f, err := os.Open(path)
	require.NoError(t, err)
	g := &growing{ctx: t.Context(), file: f, more: func() (io.ReadCloser, error) { return nil, nil }}
	defer g.Close()
	_, err = io.ReadFull(g, make([]byte, 11))
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, 4))
	_, err = g.Read(make([]byte, 11))
	require.ErrorContains(t, err, "was cut to 4 bytes, after 11 were read")
}

// A history is judged in the dialect that it names, or in the one that it is told to be
// in: a lock whose tokens have gaps is right in one and wrong in the contract.
func TestCheckInADialect(t *testing.T) {
	cfg := registry.DefaultConfig()
	a, n := registry.ActorID{Namespace: "x", Name: "a"}, registry.NodeRef{ID: "n1", Epoch: 1}
	saved := func(declared dialect.Dialect, tokens ...registry.Token) string {
		h := history.History{Config: cfg, Dialect: declared}
		add := func(c op.Call, r op.Result) {
			at := int64(2 * len(h.Ops))
			h.Ops = append(h.Ops, history.Op{ID: len(h.Ops), Client: "c1", Call: c, Result: r, Invoked: at, Returned: at + 1, Clock: history.Seen(1)})
		}
		for i, token := range tokens {
			id := registry.ClaimID{1, byte(i), byte(i >> 8)}
			l := registry.Placement{Actor: a, Holder: n, Token: token, Version: registry.Version(2*i + 1), Expiry: registry.Instant(1).Add(cfg.TTL), ClaimID: id}
			add(op.Call{Kind: op.Claim, Actor: a, Node: n, ClaimID: id}, op.Result{Outcome: op.OK, Record: l})
			add(op.OnLease(op.Release, registry.Lease(l)), op.Result{Outcome: op.OK})
		}
		var text bytes.Buffer
		require.NoError(t, history.Write(&text, h))
		path := filepath.Join(t.TempDir(), "history.jsonl")
		require.NoError(t, os.WriteFile(path, text.Bytes(), 0o644))
		return path
	}
	check := func(args ...string) (int, string) {
		done, cancel := context.WithCancel(t.Context())
		defer cancel()
		if slices.Contains(args, "--follow") {
			cancel() // what is there is read, and more is not waited for
		}
		var text bytes.Buffer
		return run(done, append([]string{"check"}, args...), nil, &text, &text), text.String()
	}
	unlisted, sparse := dialect.Dialect{NoMembership: true}, dialect.Dialect{NoMembership: true, SparseTokens: true}
	long := []registry.Token{} // followed, it is checked before its end
	for i := range 200 {
		long = append(long, registry.Token(3*i+1))
	}
	back := append(slices.Clone(long[:150]), 5)
	for _, follow := range []string{"--follow=false", "--follow"} {
		for _, c := range []struct {
			path string
			flag string
			want int
		}{
			{saved(unlisted, long...), "", exitConvicted},
			{saved(unlisted, long...), "--dialect=no-membership,sparse-tokens", exitOK},
			{saved(sparse, long...), "", exitOK},
			{saved(sparse, long...), "--dialect=no-membership", exitConvicted},
			{saved(sparse, 1, 2, 3), "--dialect=contract", exitConvicted}, // nobody has registered
			{saved(sparse, back...), "", exitConvicted},                   // a token that was granted before
		} {
			args := []string{c.path, follow}
			if c.flag != "" {
				args = append(args, c.flag)
			}
			code, out := check(args...)
			assert.Equal(t, c.want == exitConvicted, strings.Contains(out, "CONVICTED of breaking "), "%v\n%s", args[1:], out)
			assert.Equal(t, c.want, code, "%v\n%s", args[1:], out) // an interrupt is how following ends
		}
	}
	for flag, want := range map[string]string{
		"sparse":                         "there is no dialect \"sparse\"; did you mean sparse-tokens or sparse-versions?",
		"no-tokens,sparse-tokens":        "has sparse tokens and no tokens",
		"holds-longer=soon":              "want a duration above 0",
		"sparse-tokens=3":                "has no difference \"sparse-tokens=3\"",
		"":                               "--dialect is empty",
		"no-membership,,sparse-versions": "there is no dialect \"\"",
	} {
		code, _, errs := conform(t, "check", saved(sparse, 1), "--dialect="+flag)
		assert.Equal(t, exitUsage, code, flag)
		assert.Contains(t, errs, want)
		assert.Equal(t, 1, strings.Count(errs, "\n"), errs)
	}
	_, out, _ := conform(t, "__complete", "check", "--dialect", "sparse-tokens,no-t")
	assert.Contains(t, out, "sparse-tokens,no-transfer\n")
	_, out, _ = conform(t, "list", "dialects")
	assert.Contains(t, out, "sparse-versions   sparse versions\n")
}

// arriving gives a part at each second reading, and nothing in between.
type arriving struct {
	parts []string
	now   bool
}

func (a *arriving) Read(p []byte) (int, error) {
	if a.now = !a.now; a.now || len(a.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, a.parts[0])
	a.parts = a.parts[1:]
	return n, nil
}

// A file is read on as it grows, whatever its end is between two writes.
func TestGrowingFile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	first, second := &arriving{parts: []string{"one li", "ne\nan"}}, &arriving{parts: []string{"other\n"}}
	g := &growing{ctx: ctx, file: io.NopCloser(first), more: func() (io.ReadCloser, error) {
		if next := second; len(first.parts) == 0 && next != nil { // a file is over before the next one begins
			second = nil
			return io.NopCloser(next), nil
		}
		return nil, nil
	}}
	in := bufio.NewScanner(g)
	require.True(t, in.Scan())
	require.Equal(t, "one line", in.Text())
	require.True(t, in.Scan())
	require.Equal(t, "another", in.Text())
	cancel()
	require.False(t, in.Scan())
}

// Without a solver nothing is proven, which is not a pass.
func TestProveWithoutSolverIsNotAPass(t *testing.T) {
	t.Setenv("Z3", filepath.Join(t.TempDir(), "z3"))
	code, out, errs := conform(t, "prove")
	assert.Equal(t, exitUnknown, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "the proof was not run: the solver is not available")
}

func TestProveShowsObligationsAndWhatMustFail(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the solver")
	}
	code, out, errs := conform(t, "prove", "--only", "^fence$", "--steps")
	if code == exitUnknown {
		t.Skip("nothing was proven:", errs)
	}
	require.Equal(t, exitOK, code, out+errs)
	assert.Regexp(t, `(?m)^  Land +\d+ of +\d+ proved +`, out)
	assert.Regexp(t, `(?m)^  variant ReadDecides: Judge: VerdictMeetsConflict fails$`, out)
	assert.Regexp(t, `(?m)^    after   verdict = "refuted"$`, out)
	assert.Regexp(t, `(?m)^fence: (\d+) of \d+ obligations proved.*; (\d+) of \d+ required failures; `, out)
	assert.NotContains(t, out, "WRONG")

	code, _, errs = conform(t, "prove", "--only", "nothing has this id")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "no proof has such an id")
}

// Every history that the checker judges is kept when asked for, right ones too, and can
// be checked again; where it cannot be written no case passes.
func TestHistoriesAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	code, out, errs := conform(t, "run", "memimpl", "--section", "concurrent", "--histories", "2", "--keep-histories", dir)
	require.Equal(t, exitOK, code, out+errs)
	files, err := filepath.Glob(filepath.Join(dir, "memimpl-concurrent-*-1-*.jsonl"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 4)
	for _, f := range files {
		code, out, errs := conform(t, "check", f)
		require.Equal(t, exitOK, code, "%s: %s", f, out+errs)
	}

	file := filepath.Join(t.TempDir(), "a-file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	code, _, errs = conform(t, "run", "memimpl", "--section", "concurrent", "--histories", "1", "--keep-histories", file)
	assert.Equal(t, exitUsage, code, "seen before anything is judged")
	assert.Contains(t, errs, "--keep-histories: ")
}
