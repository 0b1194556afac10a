package conformance_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/memimpl/memtest"
)

func replay(t *testing.T, b conformance.Backend, text string, opts ...conformance.Option) conformance.CaseResult {
	t.Helper()
	s, err := history.ParseScript(strings.NewReader(text))
	require.NoError(t, err)
	r, err := conformance.Replay(t.Context(), b, s, opts...)
	require.NoError(t, err)
	return r
}

// What a conviction writes down convicts the same registry of the same rule, is
// read back as it was printed, and convicts nobody else.
func TestScriptsOfConvictions(t *testing.T) {
	scripts := 0
	for _, tw := range twists {
		b := twistedBackend{twist: tw}
		r, err := conformance.Judge(t.Context(), b, conformance.OnlyCases(regexp.MustCompile("^(contract|membership)/")), conformance.StopAtFirst(), conformance.Parallel(1))
		require.NoError(t, err)
		for _, c := range r.Cases {
			if c.Conviction == nil || c.Conviction.Script == "" {
				continue
			}
			scripts++
			text := c.Conviction.Script
			s, err := history.ParseScript(strings.NewReader(text))
			require.NoError(t, err, text)
			assert.Equal(t, text, s.String())
			again := replay(t, b, text)
			if assert.Equal(t, conformance.Convicted, again.Verdict, "%s by %s:\n%s", tw.name, c.ID(), text) {
				assert.Equal(t, c.Conviction.Rule, again.Conviction.Rule, "%s by %s:\n%s", tw.name, c.ID(), text)
				assert.Equal(t, "conform replay SCRIPT --backend "+b.Name(), again.Conviction.Reproduce)
			}
			assert.Equal(t, conformance.Pass, replay(t, memtest.Volatile{}, text).Verdict)
		}
	}
	assert.GreaterOrEqual(t, scripts, 25, "most convictions of one caller at a time can be written down")
}

// The examples say in their first line whom they convict of what; the shipped
// registry passes them all.
func TestExampleScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.script")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 6)
	head := regexp.MustCompile(`^# convicts (\w+) of ([\w.-]+(?: or [\w.-]+)*)\n`)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			m := head.FindStringSubmatch(string(text))
			require.NotNil(t, m, "the first line is: # convicts ID of RULE")
			if b := conformance.Backend(troubledBackend{}); strings.Contains(string(text), "\nCrash") {
				assert.Equal(t, conformance.Pass, replay(t, b, string(text)).Verdict)
				assert.Equal(t, conformance.Skipped, replay(t, memtest.Volatile{}, string(text)).Verdict, "what cannot be executed is no pass")
			} else {
				assert.Equal(t, conformance.Pass, replay(t, memtest.Volatile{}, string(text)).Verdict)
			}
			v, ok := broken.Find(m[1])
			require.True(t, ok)
			r := replay(t, v.Backend(), string(text), conformance.Histories(5000))
			require.Equal(t, conformance.Convicted, r.Verdict, r.Reason)
			assert.Contains(t, strings.Split(m[2], " or "), string(r.Conviction.Rule))
		})
	}
}

// A script that leaves the contract's terms, or expects what the specification
// does not answer, is its author's mistake and convicts nobody.
func TestScriptMistakes(t *testing.T) {
	head := "config ttl=10s grace=2s skew=1s failure=6s\n"
	for text, want := range map[string]string{
		"n1: Clock 0s\nClock 5s\nn1: Clock 3.999999999s": "n1: Clock 3.999999999s: the clock would be 1.000000001s behind true time, MaxClockSkew is 1s",
		"n1: Clock 9s\nClock 7s":                         "Clock 7s: true time is 8s already",
		"n1: RegisterNode node=n1 -> ErrNodeExists":      "n1: RegisterNode node=n1 -> ErrNodeExists: the specification answers n1#1 active",
		"n1: Heartbeat node=n1#1 -> ok":                  "the specification answers ErrNodeUnknown",
		"n1: ListNodes after=x":                          "a listing is replayed whole",
		"n1: Heartbeat node=n1#1 -> ok\n| n2: GetNode":   "nothing can be expected where operations happen at the same time",
	} {
		s, err := history.ParseScript(strings.NewReader(head + text))
		require.NoError(t, err, text)
		r, err := conformance.Replay(t.Context(), memtest.Volatile{}, s)
		require.ErrorIs(t, err, registry.ErrInvalid, "%s: %+v", text, r)
		assert.ErrorContains(t, err, want)
	}
	// Within the terms: at the edge of the skew in both directions, and time that
	// is taken along by a single clock.
	r := replay(t, memtest.Volatile{}, head+"n1: Clock 1s\nn2: Clock -1s\nn1: RegisterNode node=n1 -> ok\nn1: Clock 5s\nn2: Clock 3s\nn2: Heartbeat node=n1#1 -> ok\nn2: GetNode node=n1 -> ok\n")
	assert.Equal(t, conformance.Pass, r.Verdict)
}

// What clients serve is judged beside the answers, and convicts the client that the first
// line names, or nobody, on a registry that is right.
func TestScriptsOfServices(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/clients/*.script")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 8)
	head := regexp.MustCompile(`^# convicts (?:nobody|(\w+) of (service\.\w+))\n`)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			m := head.FindStringSubmatch(string(text))
			require.NotNil(t, m, "the first line is: # convicts nobody, or a client of a rule")
			r := replay(t, memtest.Volatile{}, string(text))
			if m[1] == "" {
				assert.Equal(t, conformance.Pass, r.Verdict, "%s", r.Conviction)
				return
			}
			require.Equal(t, conformance.Convicted, r.Verdict, r.Reason)
			assert.Equal(t, m[2], string(r.Conviction.Rule), "%s", r.Conviction)
			assert.Contains(t, r.Conviction.Found, m[1]+" serves")
			assert.Contains(t, r.Conviction.History, m[2]+" is broken here by "+m[1])
			assert.NotEmpty(t, r.Conviction.Place)
			again := replay(t, memtest.Volatile{}, r.Conviction.Script)
			require.Equal(t, conformance.Convicted, again.Verdict)
			assert.Equal(t, r.Conviction.Found, again.Conviction.Found)
			t.Logf("%s", r.Conviction)
		})
	}
}

// A registry that is wrong is convicted before the client that believed it.
func TestWrongAnswerComesBeforeService(t *testing.T) {
	text, err := os.ReadFile("testdata/scripts/grace.script")
	require.NoError(t, err)
	v, ok := broken.Find("F8")
	require.True(t, ok)
	r := replay(t, v.Backend(), strings.Replace(string(text), "Clock 13s", "n1: Serve actor=room/42 token=1\nClock 13s", 1))
	require.Equal(t, conformance.Convicted, r.Verdict)
	assert.Equal(t, conformance.RuleID("GraceRespected"), r.Conviction.Rule)
}
