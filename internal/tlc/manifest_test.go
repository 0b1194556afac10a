package tlc

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sound is a folder whose manifest passes the audit; the tests break it.
func sound() (map[string]string, Manifest) {
	files := map[string]string{
		"M.tla": `---- MODULE M ----
EXTENDS Base
Act == Guard("Cond", TRUE) /\ ~Bug("F1")
Rare == TRUE
Spec == TRUE
Inv == TRUE
Small == TRUE
====`,
		"Base.tla": "---- MODULE Base ----\nCONSTANTS Dropped, Bugs, N\n====",
		"M.cfg":    "SPECIFICATION Spec\nCONSTANTS Dropped = {} Bugs = {} N = 1\nINVARIANT Inv",
	}
	entry := func(id string, p Purpose, v Verdict, violates string) Check {
		return Check{ID: id, Purpose: p, Doc: "d", Module: "M", Config: "M.cfg", Expect: v, Violates: violates}
	}
	pass := entry("pass", Pass, OK, "")
	pass.States, pass.Generated, pass.Fires, pass.Dead = 7, 20, 1, []string{"Rare"}
	full := entry("full", Pass, OK, "")
	full.States, full.Generated, full.Fires, full.Set = 9, 30, 2, map[string]string{"N": "2"}
	drop := entry("drop", Conjunct, Invariant, "Inv")
	drop.Drop = "Cond"
	bug := entry("bug", Variant, Invariant, "Inv")
	bug.Bug, bug.Set = "F1", map[string]string{"N": "2"}
	return files, Manifest{Checks: []Check{pass, full, drop, bug}, Kept: map[string]string{"pass": "because"}}
}

func TestSoundManifestPassesTheAudit(t *testing.T) {
	files, m := sound()
	require.NoError(t, Audit(folder(files), m))
}

func TestAuditFindsManifestsThatProveNothing(t *testing.T) {
	for want, spoil := range map[string]func(map[string]string, *Manifest){
		"no entry violates M.Inv": func(f map[string]string, m *Manifest) {
			f["M.cfg"] += " Other"
			f["M.tla"] = "---- MODULE M ----\nEXTENDS Base\nSpec == TRUE Inv == TRUE Other == TRUE Rare == TRUE\nAct == Guard(\"Cond\", TRUE) /\\ Bug(\"F1\")\n===="
			m.Checks[2].Violates, m.Checks[3].Violates = "Other", "Other"
		},
		"unrefuted lists M.Inv without need": func(_ map[string]string, m *Manifest) {
			m.Unrefuted = map[string]string{"M.Inv": "because"}
		},
		"M.Rare fires in no passing entry": func(_ map[string]string, m *Manifest) { m.Checks[1].Dead = []string{"Rare"} },
		"no passing entry of M counts": func(_ map[string]string, m *Manifest) {
			m.Checks[0].Fires, m.Checks[1].Fires, m.Checks[0].Dead = 0, 0, nil
		},
		"M: conjunct Cond: no entry refutes":          func(_ map[string]string, m *Manifest) { m.Checks = append(m.Checks[:2:2], m.Checks[3]) },
		"M: variant F1: no entry refutes":             func(_ map[string]string, m *Manifest) { m.Checks = m.Checks[:3] },
		`drops "Gone", but the module has no such`:    func(_ map[string]string, m *Manifest) { m.Checks[2].Drop = "Gone" },
		`is variant "F9", but the module has no such`: func(_ map[string]string, m *Manifest) { m.Checks[3].Bug = "F9" },
		"violates M.Small, which no passing entry checks": func(_ map[string]string, m *Manifest) {
			m.Checks[3].Invariants, m.Checks[3].Violates = []string{"Small"}, "Small"
		},
		"full: puts another definition in the place of M.Inv": func(f map[string]string, m *Manifest) {
			f["M.cfg"] += " Small" // that the other entries check something else is no excuse
			m.Unrefuted = map[string]string{"M.Small": "because"}
			m.Checks[1].Set, m.Checks[1].Invariants = map[string]string{"Inv": "<- Rare"}, []string{"Small"}
		},
		"declares no constant Gone": func(_ map[string]string, m *Manifest) { m.Checks[0].Set = map[string]string{"Gone": "1"} },
		"no definition Fair":        func(_ map[string]string, m *Manifest) { m.Checks[0].Spec = "Fair" },
		"drop: no entry that holds has bounds as large": func(_ map[string]string, m *Manifest) {
			m.Checks[2].Set = map[string]string{"N": "3"}
		},
		"bug: no entry that holds has bounds as large": func(f map[string]string, m *Manifest) {
			f["M.tla"] = strings.Replace(f["M.tla"], "Spec ==", "Frozen == TRUE\nSpec ==", 1)
			m.Checks[0].Spec, m.Checks[1].Spec = "Frozen", "Frozen"
		},
		"seen: no entry that holds has bounds as large": func(_ map[string]string, m *Manifest) {
			seen := m.Checks[3]
			seen.ID, seen.Purpose, seen.Bug, seen.Set = "seen", Witness, "", map[string]string{"N": "3"}
			m.Checks = append(m.Checks, seen)
		},
		"bound: no entry that holds differs from it in one thing": func(_ map[string]string, m *Manifest) {
			bound := m.Checks[3]
			bound.ID, bound.Purpose, bound.Bug, bound.Set = "bound", Bound, "", map[string]string{"N": "3", "Dropped": "FALSE"}
			m.Checks = append(m.Checks, bound)
		},
		"full: either a mistake needs its bounds":   func(_ map[string]string, m *Manifest) { m.Checks[3].Set = nil },
		"pass: either a mistake needs its bounds":   func(_ map[string]string, m *Manifest) { m.Kept = nil },
		"full: either a mistake needs its bounds, ": func(_ map[string]string, m *Manifest) { m.Kept["full"] = "because" },
		"kept names gone, which is no entry":        func(_ map[string]string, m *Manifest) { m.Kept["gone"] = "because" },
		"Perms makes S symmetric, of which some": func(f map[string]string, _ *Manifest) {
			f["M.cfg"] += "\nSYMMETRY Perms"
			f["M.tla"] = strings.Replace(f["M.tla"], "Spec ==", "Perms == Permutations(S)\nFirst == CHOOSE x \\in S : TRUE\nSpec ==", 1)
		},
		"pass: has a constraint or a view":            func(f map[string]string, _ *Manifest) { f["M.cfg"] += "\nCONSTRAINT Small" },
		"does not check Other, which it must violate": func(_ map[string]string, m *Manifest) { m.Checks[2].Violates = "Other" },
		"needs that property alone":                   func(_ map[string]string, m *Manifest) { m.Checks[2].Expect = Temporal },
		"file does not exist":                         func(_ map[string]string, m *Manifest) { m.Checks[0].Config = "Gone.cfg" },
		"is not a keyword":                            func(f map[string]string, _ *Manifest) { f["M.cfg"] = "NONSENSE x" },
	} {
		files, m := sound()
		spoil(files, &m)
		assert.ErrorContains(t, Audit(folder(files), m), want)
	}
}

func TestUnrefutedPropertyNeedsAReason(t *testing.T) {
	files, m := sound()
	files["M.tla"] = "---- MODULE M ----\nEXTENDS Base\nSpec == TRUE Inv == TRUE Rare == TRUE\n===="
	m.Checks, m.Kept["full"] = m.Checks[:2], "because"
	assert.ErrorContains(t, Audit(folder(files), m), "no entry violates M.Inv")
	m.Unrefuted = map[string]string{"M.Inv": "only a type"}
	assert.NoError(t, Audit(folder(files), m))
}

func TestResolveAppliesChanges(t *testing.T) {
	files, _ := sound()
	c := Check{Config: "M.cfg", Spec: "Fair", Set: map[string]string{"N": "5"}, Drop: "Cond", Bug: "F1", Properties: []string{"P"}}
	cfg, err := c.Resolve(folder(files))
	require.NoError(t, err)
	assert.Equal(t, Config{
		Specification: "Fair",
		Constants:     []Assignment{{Name: "Dropped", Value: `{"Cond"}`}, {Name: "Bugs", Value: `{"F1"}`}, {Name: "N", Value: "5"}},
		Properties:    []string{"P"},
	}, cfg)
}

// A conjunct is dropped besides those that the configuration drops.
func TestResolveAddsToWhatIsDropped(t *testing.T) {
	files, _ := sound()
	files["M.cfg"] = strings.Replace(files["M.cfg"], "Dropped = {}", `Dropped = {"A", "B"}`, 1)
	cfg, err := Check{Config: "M.cfg", Drop: "C"}.Resolve(folder(files))
	require.NoError(t, err)
	assert.Contains(t, cfg.Constants, Assignment{Name: "Dropped", Value: `{"A", "B", "C"}`})
}

func TestBoundsAreCompared(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"2", "2", true}, {"2", "10", false}, {"10", "2", true}, {"-1", "0", false}, {"1", "{1}", false},
		{`{"a", "b"}`, `{"b"}`, true}, {`{"a"}`, `{"a", "b"}`, false}, {"{}", "{}", true}, {"{k1,k2}", "{ k2, k1 }", true},
		{"TRUE", "TRUE", true}, {"TRUE", "FALSE", false}, {`"fence"`, `"window"`, false},
	} {
		assert.Equal(t, c.want, atLeast(c.a, c.b), "%s, %s", c.a, c.b)
	}
}

// What must happen at last is checked without symmetry, under which TLC may miss a
// behaviour in which it never does.
func TestLivenessIsCheckedWithoutSymmetry(t *testing.T) {
	files, _ := sound()
	files["Symmetric.cfg"] = files["M.cfg"] + "\nSYMMETRY Perms\n"
	for want, c := range map[string]Check{
		"":      {Config: "Symmetric.cfg", Purpose: Liveness},
		"Perms": {Config: "Symmetric.cfg", Purpose: Pass},
	} {
		cfg, err := c.Resolve(folder(files))
		require.NoError(t, err)
		assert.Equal(t, want, cfg.Symmetry)
	}
	cfg, err := Check{Config: "Symmetric.cfg", Purpose: Bound, Expect: Temporal, Violates: "P", Properties: []string{"P"}}.Resolve(folder(files))
	require.NoError(t, err)
	assert.Empty(t, cfg.Symmetry)
}

func manifestFile(t *testing.T, m Manifest) *fstest.MapFile {
	text, err := json.Marshal(m)
	require.NoError(t, err)
	return &fstest.MapFile{Data: text}
}

func load(t *testing.T, text string) error {
	_, err := LoadManifest(fstest.MapFS{ManifestFile: {Data: []byte(text)}})
	return err
}

func TestManifestEntriesAreCheckedOnLoading(t *testing.T) {
	_, m := sound()
	text, err := json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, load(t, string(text)))

	assert.ErrorContains(t, load(t, `{"checks": [{"ide": "x"}]}`), `unknown field "ide"`)
	for want, spoil := range map[string]func(*Manifest){
		"appears twice":                                     func(m *Manifest) { m.Checks[1].ID = "pass" },
		"needs id, module, config and doc":                  func(m *Manifest) { m.Checks[0].Doc = "" },
		`unknown purpose "fun"`:                             func(m *Manifest) { m.Checks[0].Purpose = "fun" },
		"exact numbers of distinct and of generated states": func(m *Manifest) { m.Checks[0].States = 0 },
		"counts actions, which is for purpose pass":         func(m *Manifest) { m.Checks[2].Fires = 1 },
		"names dead ones and does not count":                func(m *Manifest) { m.Checks[0].Fires = 0 },
		`purpose "pass" expects "ok"`:                       func(m *Manifest) { m.Checks[0].Drop = "Cond" },
		"expects a violation":                               func(m *Manifest) { m.Checks[2].Expect = Failed },
		"does not name the violated":                        func(m *Manifest) { m.Checks[2].Violates = "" },
		"is about a constant, and makes no mistake":         func(m *Manifest) { m.Checks[3].Purpose = Bound },
		"does not say which one":                            func(m *Manifest) { m.Checks[3].Bug, m.Checks[3].Set = "", nil },
	} {
		_, m := sound()
		spoil(&m)
		text, err := json.Marshal(m)
		require.NoError(t, err)
		assert.ErrorContains(t, load(t, string(text)), want)
	}
}

// A manifest is one JSON value; a second one, or an entry's field given twice, is
// not passed over.
func TestManifestIsReadStrictly(t *testing.T) {
	_, m := sound()
	text := string(manifestFile(t, m).Data)
	for _, spoilt := range []string{text + "{}", text + "x", strings.Replace(text, `"id":`, `"id": "x", "id":`, 1), strings.Replace(text, `"id":`, `"ID":`, 1)} {
		require.NotEqual(t, text, spoilt)
		_, err := LoadManifest(fstest.MapFS{ManifestFile: {Data: []byte(spoilt)}})
		assert.Error(t, err)
	}
}

func FuzzLoadManifest(f *testing.F) {
	_, m := sound()
	text, err := json.Marshal(m)
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := LoadManifest(fstest.MapFS{ManifestFile: {Data: text}})
		if err != nil {
			return
		}
		for _, c := range m.Checks {
			require.NotEmpty(t, c.ID)
			require.Equal(t, c.Purpose.mustHold(), c.Expect == OK)
		}
	})
}

func TestFormatKeepsTheManifest(t *testing.T) {
	_, m := sound()
	m.Evaluated = []string{"M", "Base"}
	m.Unrefuted = map[string]string{"M.Small": "a < b && \"c\""}
	m.Checks[0].Doc = "two\n  lines, a => b"
	text, err := m.Format()
	require.NoError(t, err)
	again, err := LoadManifest(folder(map[string]string{ManifestFile: string(text)}))
	require.NoError(t, err)
	assert.Equal(t, m, again)
	assert.Equal(t, len(m.Checks), strings.Count(string(text), `{ "id"`))
	assert.Contains(t, string(text), "a => b", "readable as written")
}
