package tlc

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeJava puts a java in front of the PATH that prints a saved output of TLC
// and exits with the given code, so that running and comparing are tested
// without Java. It also leaves the model's cfg in the folder it returns.
func fakeJava(t *testing.T, output string, exit int) (seen string) {
	dir := t.TempDir()
	saved, err := filepath.Abs(filepath.Join("testdata", "output", output+".txt"))
	require.NoError(t, err)
	script := fmt.Sprintf("#!/bin/sh\ncp %s %s/seen.cfg\ncat %s\nexit %d\n", configFile, dir, saved, exit)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "java"), []byte(script), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tlc.jar"), nil, 0o644))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv(JarEnv, filepath.Join(dir, "tlc.jar"))
	return dir
}

// run checks the one entry id of the sound manifest, after edit, against a saved output.
func run(t *testing.T, id, output string, exit int, edit func(*Check)) Result {
	t.Helper()
	fakeJava(t, output, exit)
	files, m := sound()
	var entry Check
	for _, c := range m.Checks {
		if c.ID == id {
			entry = c
		}
	}
	edit(&entry)
	tool, err := Find(t.Context())
	require.NoError(t, err)
	results, err := runAll(t.Context(), folder(files), tool, []Check{entry}, Options{})
	require.NoError(t, err)
	require.Len(t, results, 1)
	return results[0]
}

func TestDifferencesFromTheManifestAreNamed(t *testing.T) {
	none := func(*Check) {}
	matching := func(c *Check) {
		c.States, c.Generated, c.Fires, c.Dead = 15, 40, 3, []string{"Never", "Fail", "Under", "Oops"}
	}
	for name, s := range map[string]struct {
		id, output string
		exit       int
		edit       func(*Check)
		want       []string // parts of the problems, in order
	}{
		"as expected":         {"pass", "ok", 0, matching, nil},
		"refuted as named":    {"bug", "invariant", 12, func(c *Check) { c.Violates = "Small"; c.Invariants = []string{"Small"} }, nil},
		"another count":       {"pass", "ok", 0, func(c *Check) { matching(c); c.States = 16 }, []string{"15 distinct states, want 16"}},
		"a lost step":         {"pass", "ok", 0, func(c *Check) { matching(c); c.Generated = 41 }, []string{"40 generated states, want 41"}},
		"a lost action":       {"pass", "ok", 0, func(c *Check) { matching(c); c.Fires = 4 }, []string{"3 actions fire, want 4"}},
		"a dead action":       {"pass", "ok", 0, func(c *Check) { matching(c); c.Dead = c.Dead[1:] }, []string{"action Never never fires"}},
		"listed but fires":    {"pass", "ok", 0, func(c *Check) { matching(c); c.Dead = append(c.Dead, "Inc") }, []string{"action Inc is listed as dead"}},
		"a violation":         {"pass", "invariant", 12, none, []string{"verdict invariant Small, want ok"}},
		"no violation":        {"bug", "ok", 0, none, []string{"verdict ok, want invariant Inv"}},
		"another property":    {"bug", "invariant", 12, none, []string{`"Small" is violated, want Inv`}},
		"another kind":        {"bug", "action", 13, none, []string{"verdict action Up, want invariant Inv"}},
		"an evaluation error": {"bug", "evaluation", 75, none, []string{"verdict error, want invariant Inv"}},
		"killed":              {"pass", "ok", 137, matching, []string{"verdict error, want ok"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, s.id, s.output, s.exit, s.edit)
			require.Len(t, r.Problems, len(s.want), r.Problems)
			for i, want := range s.want {
				assert.Contains(t, r.Problems[i], want)
			}
		})
	}
}

func TestCoverageThatIsMissingIsNoCoverage(t *testing.T) {
	c, o := Check{Purpose: Pass, Expect: OK, States: 15, Generated: 40, Fires: 1}, Output{Verdict: OK, Distinct: 15, Generated: 40}
	problems := compare(c, o)
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0], "no coverage")
	c.Fires = 0
	assert.Empty(t, compare(c, o), "an entry need not count")
}

// TLC prints a place, not a name, for a refinement, and nothing for liveness.
func TestTheOnlyPropertyIsTheViolatedOne(t *testing.T) {
	one, two := Config{Properties: []string{"P"}}, Config{Properties: []string{"P", "Q"}}
	for _, v := range []Verdict{Action, Temporal} {
		o := Output{Verdict: v}
		o.attribute(two)
		assert.Empty(t, o.Violated, v)
		o.attribute(one)
		assert.Equal(t, "P", o.Violated, v)
	}
	named := Output{Verdict: Action, Violated: "Q"}
	named.attribute(one)
	assert.Equal(t, "Q", named.Violated)
	invariant := Output{Verdict: Invariant}
	invariant.attribute(one)
	assert.Empty(t, invariant.Violated)
}

// An expression counts as evaluated when one entry evaluates it.
func TestIdleExpressions(t *testing.T) {
	text := "@!@!@STARTMSG 2221:0 @!@!@\n  |||line 3, col 1 to line 3, col 9 of module M: 0\n@!@!@ENDMSG 2221 @!@!@\n" +
		"@!@!@STARTMSG 2221:0 @!@!@\n  line 4, col 1 to line 4, col 9 of module M: %d\n@!@!@ENDMSG 2221 @!@!@\n"
	results := Results{{Output: Parse(fmt.Sprintf(text, 0), 0)}, {Output: Parse(fmt.Sprintf(text, 7), 0)}}
	assert.Equal(t, []string{"line 3, col 1 to line 3, col 9 of module M"}, results.idle([]string{"M"}))
	assert.Len(t, results[:1].idle([]string{"M"}), 2)
	assert.Empty(t, results.idle([]string{"Other"}))
}

func TestCheckManifestReportsAndFails(t *testing.T) {
	fakeJava(t, "ok", 0)
	files, m := sound()
	m.Checks[0].States, m.Checks[0].Generated, m.Checks[0].Fires, m.Checks[0].Dead = 15, 40, 3, []string{"Never", "Fail", "Under", "Oops"}
	fsys := folder(files)
	fsys[ManifestFile] = manifestFile(t, m)
	calls := 0
	results, err := CheckManifest(t.Context(), fsys, Options{Workers: 3, Progress: func(p Progress) {
		calls++
		assert.Equal(t, calls, p.Done)
		assert.Equal(t, 4, p.Total)
	}})
	require.ErrorIs(t, err, ErrDiffers)
	assert.Equal(t, 4, calls)
	require.Len(t, results, 4)
	assert.Equal(t, "pass", results[0].Check.ID, "results are in the manifest's order")
	var failed []string
	for _, r := range results.Failed() {
		failed = append(failed, r.Check.ID)
	}
	assert.Equal(t, []string{"full", "drop", "bug"}, failed)
	table := results.Table().RenderMarkdown()
	assert.Contains(t, table, "| pass | pass | ok | 15 | 9 |")
	assert.Contains(t, table, "DIFFERS")
	assert.Contains(t, results.Conjuncts().RenderMarkdown(), "| M | Cond | SURVIVES | 0 |")
	results[2].Problems, results[2].Output.Violated = nil, "Inv"
	assert.Contains(t, results.Conjuncts().RenderMarkdown(), "| M | Cond | Inv | 0 |")

	some, err := CheckManifest(t.Context(), fsys, Options{Select: func(c Check) bool { return c.ID == "pass" }})
	require.NoError(t, err)
	assert.Len(t, some, 1)
}

func TestEachRunGetsItsConfiguration(t *testing.T) {
	dir := fakeJava(t, "ok", 0)
	files, _ := sound()
	cfg, err := ParseConfig(files["M.cfg"])
	require.NoError(t, err)
	cfg.Set("N", "42")
	tool, err := Find(t.Context())
	require.NoError(t, err)
	out, err := Run(t.Context(), tool, Job{FS: folder(files), Module: "M", Config: cfg})
	require.NoError(t, err)
	assert.Equal(t, OK, out.Verdict)
	seen, err := os.ReadFile(filepath.Join(dir, "seen.cfg"))
	require.NoError(t, err)
	assert.Equal(t, cfg.String(), string(seen))

	cfg.Set("Gone", "1")
	_, err = Run(t.Context(), tool, Job{FS: folder(files), Module: "M", Config: cfg})
	assert.ErrorContains(t, err, "declares no constant Gone", "what TLC would ignore is never run")
}

func TestRunEndsWithItsContext(t *testing.T) {
	fakeJava(t, "ok", 0)
	tool, err := Find(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(tool.Java, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	files, _ := sound()
	cfg, err := ParseConfig(files["M.cfg"])
	require.NoError(t, err)
	_, err = Run(ctx, tool, Job{FS: folder(files), Module: "M", Config: cfg})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNoTLCIsToldApart(t *testing.T) {
	t.Run("no java", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := Find(t.Context())
		assert.ErrorIs(t, err, ErrNoTLC)
	})
	t.Run("named jar is missing", func(t *testing.T) {
		fakeJava(t, "ok", 0)
		t.Setenv(JarEnv, filepath.Join(t.TempDir(), "gone.jar"))
		_, err := Find(t.Context())
		require.ErrorIs(t, err, ErrNoTLC)
		assert.ErrorContains(t, err, JarEnv)
	})
	t.Run("nothing to fetch with", func(t *testing.T) {
		dir := fakeJava(t, "ok", 0)
		t.Setenv(JarEnv, "")
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		t.Setenv("PATH", dir)
		_, err := Find(t.Context())
		require.ErrorIs(t, err, ErrNoTLC)
		assert.ErrorContains(t, err, "mvn")
	})
	t.Run("fetched something else", func(t *testing.T) {
		dir := fakeJava(t, "ok", 0)
		cache := t.TempDir()
		t.Setenv(JarEnv, "")
		t.Setenv("XDG_CACHE_HOME", cache)
		mvn := "#!/bin/sh\necho tampered > " + jarName + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "mvn"), []byte(mvn), 0o755))
		_, err := Find(t.Context())
		require.ErrorIs(t, err, ErrNoTLC)
		assert.ErrorContains(t, err, "want "+jarSHA256)
		left, err := filepath.Glob(filepath.Join(cache, "kelpie-registry", "*"))
		require.NoError(t, err)
		assert.Empty(t, left, "a jar that is not the pinned one is not kept")
	})
	t.Run("CheckManifest says so", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		files, m := sound()
		fsys := folder(files)
		fsys[ManifestFile] = manifestFile(t, m)
		_, err := CheckManifest(t.Context(), fsys, Options{})
		assert.ErrorIs(t, err, ErrNoTLC)
	})
}
