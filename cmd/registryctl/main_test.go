package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
)

// outcome is what a run of the command printed, and its exit code.
type outcome struct {
	code     int
	out, err string
}

func ctl(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return outcome{code, out.String(), errs.String()}
}

// use makes nodes n1 (twice registered) and n2, actors held by both, a released one
// and one whose lease is long over.
func use(t *testing.T, open func(registry.Clock) registry.Handle) {
	t.Helper()
	h := open(registry.SystemClock())
	register := func(id registry.NodeID, mode registry.RegisterMode) registry.NodeRef {
		n, err := h.RegisterNode(t.Context(), id, registry.NodeInfo{Address: "host:1"}, mode)
		require.NoError(t, err)
		return n.Ref
	}
	register("n1", registry.IfAbsent)
	n1, n2 := register("n1", registry.Supersede), register("n2", registry.IfAbsent)
	claim := func(h registry.Handle, name string, node registry.NodeRef) registry.Lease {
		l, err := h.Claim(t.Context(), registry.ActorID{Namespace: "ns", Name: name}, node, registry.NewClaimID())
		require.NoError(t, err)
		return l
	}
	claim(h, "a", n1)
	claim(h, "b", n1)
	l, err := h.Transfer(t.Context(), claim(h, "c", n1), n2)
	require.NoError(t, err)
	_, err = h.Renew(t.Context(), l)
	require.NoError(t, err)
	require.NoError(t, h.Release(t.Context(), claim(h, "d", n2)))
	claim(open(stopped(1)), "long ago", n2)
}

// stopped is a clock that stands still.
type stopped registry.Instant

func (s stopped) Now() registry.Instant { return registry.Instant(s) }

func onFile(t *testing.T) (path string, s *memimpl.Store) {
	path = filepath.Join(t.TempDir(), "registry")
	s, err := memimpl.New(registry.DefaultConfig(), memimpl.OnFile(path))
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	use(t, func(c registry.Clock) registry.Handle {
		h, err := s.Open(registry.DefaultConfig(), c)
		require.NoError(t, err)
		return h
	})
	return path, s
}

// showing runs every command that reads, on a registry made by use.
func showing(t *testing.T, where ...string) {
	ctl := func(args ...string) outcome { return ctl(t, "", append(args, where...)...) }

	o := ctl("lookup", "ns", "c")
	assert.Equal(t, 0, o.code, o.err)
	assert.Regexp(t, `^ns/c\tn2#1\ttoken 2\tversion 3\texpiry 2`, o.out)
	assert.JSONEq(t, `{"namespace":"ns","name":"d"}`, between(ctl("lookup", "ns", "d", "--json").out, `"actor":`, "}")+"}")
	assert.Equal(t, exitFound, ctl("lookup", "ns", "nobody").code)

	assert.Regexp(t, `^ns/a\tn1#2\t.*\nns/b\tn1#2\t.*\n$`, ctl("actors", "n1").out)
	assert.Empty(t, ctl("actors", "n1", "1").out, "the first epoch holds nothing")
	assert.Equal(t, exitFound, ctl("actors", "n3").code)
	assert.Equal(t, exitUsage, ctl("actors", "n1", "0").code)

	for _, args := range [][]string{{"lookup", "", "a"}, {"lookup", "ns", "a\nb"}, {"watch", "", ""}, {"actors", ""}, {"actors", "n\n1"}, {"nodes", "--status", "bogus"}} {
		assert.Equal(t, exitUsage, ctl(args...).code, "nothing has that name: %q", args)
	}

	assert.Regexp(t, `^n1#2\tactive\thost:1\tseen .*\nn2#1\tactive\t.*\n$`, ctl("nodes").out)
	assert.Empty(t, ctl("nodes", "--status", "failed").out)

	assert.Regexp(t, `^ns/a\tn1#2\ttoken 1\tversion 1\t`, ctl("watch", "ns", "a", "--changes", "1").out)

	assert.Regexp(t, `^records 5, held 4 by 2 incarnations \(at most 2 by one\): live 3, in grace 0, lapsed 1; highest token 2\n`, ctl("stats").out)
	assert.Contains(t, ctl("stats", "--json").out, `"held":4,"live":3,"in_grace":0,"lapsed":1,"nodes":{"active":2}`)

	o = ctl("verify")
	assert.Equal(t, 0, o.code, o.out)
	assert.Empty(t, o.out)
	assert.Contains(t, o.err, "no damage")
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// moving exports a registry made by use, imports it elsewhere and exports that.
func moving(t *testing.T, from, to []string) {
	exported := ctl(t, "", append([]string{"export"}, from...)...)
	require.Equal(t, 0, exported.code, exported.err)
	require.Equal(t, 1+2+5+1, strings.Count(exported.out, "\n"))

	lines := strings.SplitAfter(exported.out, "\n")
	for name, broken := range map[string]string{
		"nothing":       "",
		"no JSON":       "registry",
		"no beginning":  strings.Join(lines[1:], ""),
		"unknown field": strings.Replace(exported.out, `"config"`, `"konfig"`, 1),
	} {
		assert.Equal(t, exitUsage, ctl(t, broken, append([]string{"import"}, to...)...).code, name)
	}
	o := ctl(t, exported.out, append([]string{"import"}, to...)...)
	require.Equal(t, 0, o.code, o.err)
	assert.Equal(t, exported.out, ctl(t, "", append([]string{"export"}, to...)...).out)
	assert.Equal(t, 0, ctl(t, "", append([]string{"verify"}, to...)...).code)
	assert.Equal(t, exitUsage, ctl(t, exported.out, append([]string{"import"}, to...)...).code, "there is a registry now")
}

func TestShowsAFile(t *testing.T) {
	path, _ := onFile(t)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	showing(t, "--file", path)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, before, after, "nothing is written, and no lock is taken: the store has the file open")
}

func TestMovesAFile(t *testing.T) {
	path, _ := onFile(t)
	moving(t, []string{"--file", path}, []string{"--file", filepath.Join(t.TempDir(), "other")})
}

// An export that ends early is refused, at the latest when its end is missing.
func TestImportOfAPart(t *testing.T) {
	path, _ := onFile(t)
	lines := strings.SplitAfter(ctl(t, "", "export", "--file", path).out, "\n")
	for n := range len(lines) - 1 {
		to := filepath.Join(t.TempDir(), "other")
		assert.Equal(t, exitUsage, ctl(t, strings.Join(lines[:n], ""), "import", "--file", to).code, "%d lines", n)
	}
}

// closedFile is the bytes of a file as a store leaves it.
func closedFile(t *testing.T) []byte {
	path, s := onFile(t)
	require.NoError(t, s.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// withBatch appends a batch of values to a closed file, with the checksums that belong
// to it: damage that only the values show.
func withBatch(file []byte, values ...[]byte) []byte {
	const mark, block, sum = 4096, 4096, sha256.Size
	batches := max(binary.LittleEndian.Uint64(file[mark:]), binary.LittleEndian.Uint64(file[mark+block:]))
	body := slices.Concat(values...)
	framed := append(binary.LittleEndian.AppendUint64(nil, uint64(len(body))), body...)
	digest := sha256.Sum256(append(slices.Clone(file[len(file)-sum:]), framed...))
	file = append(append(slices.Clone(file), framed...), digest[:]...)

	m := binary.LittleEndian.AppendUint64(nil, batches+1)
	m = append(binary.LittleEndian.AppendUint64(m, uint64(len(file))), digest[:]...)
	whole := sha256.Sum256(m)
	copy(file[mark+(batches+1)%2*block:], append(m, whole[:]...))
	return file
}

// recordBytes and nodeBytes are values as memimpl's format has them, with names shorter
// than 128 bytes and numbers below 128.
func recordBytes(name string, token, version byte, claim byte, holder string, epoch byte) []byte {
	b := append([]byte{'a', 2, 'n', 's', byte(len(name))}, name...)
	b = append(b, token, version, 0, 0, 0, 0, 0, 0, 0, 0, claim)
	b = append(append(b, make([]byte, 15)...), byte(len(holder)))
	return append(append(b, holder...), epoch)
}

func nodeBytes(name string, epoch byte) []byte {
	b := append(append([]byte{'n', byte(len(name))}, name...), epoch)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, byte(registry.NodeActive), 0)
	return append(b, make([]byte, 16)...)
}

// Each kind of damage to a file is found as what it is, and nothing else is.
func TestVerifyFindsDamageInAFile(t *testing.T) {
	flipped := func(b []byte) []byte {
		b[len(b)-20] ^= 1 // of the log; the marks before it have room that nothing is read from
		return b
	}
	for name, c := range map[string]struct {
		plant func(file []byte) []byte
		want  []string // the kinds, with what they are about
	}{
		"nothing":              {func(b []byte) []byte { return b }, nil},
		"another value":        {func(b []byte) []byte { return withBatch(b, recordBytes("new", 1, 1, 1, "n2", 1)) }, nil},
		"a flipped bit":        {flipped, []string{"unreadable"}},
		"cut off":              {func(b []byte) []byte { return b[:len(b)-1] }, []string{"unreadable"}},
		"another program's":    {func([]byte) []byte { return []byte("hello") }, []string{"unreadable"}},
		"no value of any kind": {func(b []byte) []byte { return withBatch(b, []byte("x")) }, []string{"unreadable"}},
		"a truncated value": {func(b []byte) []byte {
			return withBatch(b, recordBytes("new", 1, 1, 1, "n2", 1)[:20])
		}, []string{"unreadable"}},
		"a token above its version": {func(b []byte) []byte {
			return withBatch(b, recordBytes("new", 2, 1, 1, "n2", 1))
		}, []string{"unreadable"}},
		"a first tenure without a claim": {func(b []byte) []byte {
			return withBatch(b, recordBytes("new", 1, 1, 0, "n2", 1))
		}, []string{"tokens: ns/new"}},
		"a holder that was never registered": {func(b []byte) []byte {
			return withBatch(b, recordBytes("new", 1, 1, 1, "n9", 1))
		}, []string{"never-registered: ns/new"}},
		"an epoch that goes back": {func(b []byte) []byte {
			return withBatch(b, nodeBytes("n1", 1))
		}, []string{"fallen: node n1", "never-registered: ns/a", "never-registered: ns/b"}},
		"a version that goes back": {func(b []byte) []byte { // c is at token 2, version 3
			return withBatch(b, recordBytes("c", 2, 2, 1, "n2", 1))
		}, []string{"fallen: ns/c"}},
		"a token that goes back": {func(b []byte) []byte {
			return withBatch(b, recordBytes("c", 1, 4, 1, "n2", 1))
		}, []string{"fallen: ns/c"}},
		"a forgotten token that is granted again": {func(b []byte) []byte {
			return withBatch(b, []byte("f\x02\x03\x02ns\x01c"), recordBytes("c", 1, 4, 1, "n2", 1))
		}, []string{"fallen: ns/c"}},
		"a forgotten actor that is claimed above the floor": {func(b []byte) []byte {
			return withBatch(b, []byte("f\x02\x03\x02ns\x01c"), recordBytes("c", 3, 4, 1, "n2", 1))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "registry")
			require.NoError(t, os.WriteFile(path, c.plant(closedFile(t)), 0o600))
			o := ctl(t, "", "verify", "--file", path)
			var lines []string
			for l := range strings.Lines(o.out) {
				lines = append(lines, l)
			}
			require.Len(t, lines, len(c.want), o.out)
			for i, want := range c.want {
				assert.True(t, strings.HasPrefix(lines[i], want), "%s, want %s", lines[i], want)
			}
			want := 0
			if len(c.want) > 0 {
				want = exitFound
			}
			assert.Equal(t, want, o.code, o.err)
			o = ctl(t, "", "verify", "--file", path, "--json")
			assert.Equal(t, want, o.code, o.err)
			assert.Equal(t, len(c.want), strings.Count(o.out, `{"kind":`))
		})
	}
}

// What is taken by force is confirmed, and a file has an owner that can be stopped.
func TestForceNeedsConfirmation(t *testing.T) {
	path, _ := onFile(t)
	for _, args := range [][]string{
		{"ns", "a"},
		{"ns", "a", "--token", "1"},
		{"ns", "a", "--token", "1", "--holder-is-dead", "ns/b"},
		{"ns", "a", "--holder-is-dead", "ns/a"},
		{"ns", "a", "--token", "1", "--holder-is-dead", "ns/a"},
	} {
		assert.Equal(t, exitUsage, ctl(t, "", append(append([]string{"force-release-breaking-grace"}, args...), "--file", path)...).code, args)
	}
}

func TestBadUsage(t *testing.T) {
	assert.Equal(t, exitUsage, ctl(t, "", "lookup", "ns").code)
	assert.Equal(t, exitUsage, ctl(t, "", "nodes", "--no-such-flag").code)
	for said, args := range map[string][]string{
		`there is no command "stat"; did you mean stats?`: {"stat"},
		`there is no command "nosuch"`:                    {"help", "nosuch"},
		`there is no shell "csh"; did you mean zsh?`:      {"completion", "csh"},
		"did you mean --file?":                            {"nodes", "--fil", "x"},
	} {
		o := ctl(t, "", args...)
		assert.Equal(t, exitUsage, o.code, args)
		assert.Contains(t, o.err, said)
	}
	assert.Equal(t, exitFailed, ctl(t, "", "nodes", "--file", filepath.Join(t.TempDir(), "none")).code)
	t.Setenv("FDB_CLUSTER_FILE", "")
	assert.Equal(t, exitUsage, ctl(t, "", "nodes").code, "no store is named")
}

// An input that is wrong anywhere, and one that is not over when the command is
// interrupted, leave nothing behind.
func TestWrongImportLeavesNothing(t *testing.T) {
	path, _ := onFile(t)
	whole := ctl(t, "", "export", "--file", path).out
	lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
	node := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, `{"node"`) })
	record := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, `{"record"`) })
	with := func(at int, text string) string {
		return strings.Join(slices.Concat(lines[:at], []string{text}, lines[at+1:]), "")
	}
	for name, c := range map[string]struct{ input, says string }{
		"empty":              {"", "the input is no export of format 1"},
		"another text":       {"hello\n", "line 1 of the input: invalid character 'h'"},
		"zeros":              {strings.Repeat("\x00", 1<<20), "line 1 of the input: the line is longer than 65536 bytes"},
		"half a line":        {whole[:len(whole)/2], "of the input: unexpected EOF"},
		"a long line":        {with(record, `{"record":{"actor":{"namespace":"`+strings.Repeat("n", 1<<20)+"\n"), "the line is longer than 65536 bytes"},
		"an empty line":      {with(record, "\n"), "the line is empty"},
		"two of a name":      {with(record, strings.Replace(lines[record], `"token"`, `"token":"1","token"`, 1)), "token"},
		"two things":         {with(record, strings.Replace(lines[record], `{"record"`, `{"lines":3,"record"`, 1)), "it is not one configuration, node, record or number of lines"},
		"nothing":            {with(record, "{}\n"), "it is not one configuration, node, record or number of lines"},
		"a line twice":       {with(record, lines[record]+lines[record]), "is there already"},
		"a node twice":       {with(node, lines[node]+lines[node]), "is registered already"},
		"a line missing":     {with(record, ""), "the input is not whole"},
		"more behind it":     {whole + lines[record], "the input goes on after line "},
		"two exports":        {whole + whole, "the input goes on after line "},
		"a name of bytes":    {with(record, strings.Replace(lines[record], `"name":"a"`, "\"name\":\"\xff\"", 1)), "the text is not valid UTF-8"},
		"a name with a bell": {with(record, strings.Replace(lines[record], `"name":"a"`, `"name":"\u0007"`, 1)), "control"},
		"no name":            {with(record, strings.Replace(lines[record], `"name":"a"`, `"name":""`, 1)), "invalid argument"},
		"another format":     {`{"format":2` + strings.TrimPrefix(whole, `{"format":1`), "no export of format 1"},
	} {
		dir := t.TempDir()
		o := ctl(t, c.input, "import", "--file", filepath.Join(dir, "new"))
		assert.Equal(t, exitUsage, o.code, "%s: %s", name, o.err)
		assert.Contains(t, o.err, c.says, name)
		assert.Equal(t, 1, strings.Count(o.err, "\n"), "one line: %s", o.err)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left, name)
	}

	ctx, interrupt := context.WithCancel(t.Context())
	in, half := io.Pipe()
	go func() {
		_, _ = io.WriteString(half, whole[:len(whole)/2])
		interrupt()
	}()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	assert.Equal(t, exitInterrupted, run(ctx, []string{"import", "--file", filepath.Join(dir, "new")}, in, &out, &errs))
	assert.Equal(t, "registryctl: interrupted\n", errs.String())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// What is no registry's file is named, and neither waited for nor copied.
func TestNoRegistry(t *testing.T) {
	dir := t.TempDir()
	place := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, syscall.Mkfifo(place("fifo"), 0o600))
	require.NoError(t, os.WriteFile(place("empty"), nil, 0o600))
	require.NoError(t, os.WriteFile(place("text"), []byte("hello\n"), 0o600))
	for path, want := range map[string]string{
		place("fifo"):  "it is no regular file (prw-------)",
		dir:            "it is no regular file (drwx",
		"/dev/zero":    "it is no regular file (Dcrw-rw-rw-)",
		place("empty"): "registry file is damaged: it has 0 bytes",
		place("text"):  "file is not a registry file",
		place("none"):  "no such file or directory",
	} {
		for _, args := range [][]string{{"nodes"}, {"stats"}, {"export"}, {"lookup", "ns", "a"}, {"actors", "n1"}, {"watch", "ns", "a"}} {
			o := ctl(t, "", append(args, "--file", path)...)
			assert.Equal(t, exitFailed, o.code, args)
			assert.Empty(t, o.out)
			assert.Equal(t, 1, strings.Count(o.err, path), o.err)
			assert.Contains(t, o.err, want)
			assert.Equal(t, 1, strings.Count(o.err, "\n"), o.err)
		}
	}
}

// What could not be printed was not told.
func TestFullOutput(t *testing.T) {
	path, _ := onFile(t)
	for _, args := range [][]string{{"nodes"}, {"stats"}, {"export"}, {"lookup", "ns", "a"}, {"actors", "n1"}, {"--help"}, {"nodes", "--json"}} {
		var errs bytes.Buffer
		assert.Equal(t, exitFailed, run(t.Context(), append(args, "--file", path), nil, full{}, &errs), args)
		assert.Equal(t, "registryctl: standard output: no space left on device\n", errs.String(), args)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
