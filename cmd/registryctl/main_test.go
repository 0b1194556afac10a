package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
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

func TestVerifyOfADamagedFile(t *testing.T) {
	path, s := onFile(t)
	require.NoError(t, s.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[len(b)-20] ^= 1 // of the log; the marks before it have room that nothing is read from
	require.NoError(t, os.WriteFile(path, b, 0o600))
	o := ctl(t, "", "verify", "--file", path)
	assert.Equal(t, exitFound, o.code, o.err)
	assert.Contains(t, o.out, "unreadable: "+path)
	o = ctl(t, "", "verify", "--file", path, "--json")
	assert.Equal(t, exitFound, o.code, o.err)
	assert.Regexp(t, `^{"kind":"unreadable",`, o.out)
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
	assert.Equal(t, exitFailed, ctl(t, "", "nodes", "--file", filepath.Join(t.TempDir(), "none")).code)
	t.Setenv("FDB_CLUSTER_FILE", "")
	assert.Equal(t, exitUsage, ctl(t, "", "nodes").code, "no store is named")
}
