package conformance_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "run with -update when the change is meant")
}

func twistNamed(t *testing.T, name string) conformance.Backend {
	t.Helper()
	for _, tw := range twists {
		if tw.name == name {
			return twistedBackend{twist: tw}
		}
	}
	t.Fatalf("no twist %q", name)
	return nil
}

// The text of a conviction is what a backend's author works with. These are
// read by people before they are accepted.
func TestConvictionTexts(t *testing.T) {
	for _, c := range []struct{ file, twist, id string }{
		{"skew-ignored", "no margin for skew", "contract/claim-boundaries"},
		{"grace-ignored", "no grace", "contract/claim-boundaries"},
		{"claim-not-idempotent", "claim ids are ignored", "contract/claim-repeats"},
		{"wrong-refusal", "failed is unknown", "contract/claim-membership"},
		{"wrong-detail", "every refusal carries the wrong node", "contract/refusal-order"},
		{"token-reused", "a hand-off keeps the token", "contract/transfer-grants"},
		{"record-hidden", "a released record is not found", "contract/lookup-raw"},
		{"foreign-clock", "one clock for all handles", "contract/own-clock"},
		{"bad-input-accepted", "token 0 is merely not held", "contract/bad-input"},
		{"closed-handle-works", "a closed handle works on", "contract/closed-handle"},
		{"cancelled-claim-made", "a cancelled claim is made", "contract/ended-context"},
		{"found-beside-error", "a record is found beside the error", "contract/failed-lookups"},
		{"wrong-incarnation", "a refused heartbeat tells the asked incarnation", "membership/heartbeat"},
		{"wrong-reading", "a refusal tells a reading of the second before", "contract/claim-boundaries"},
		{"row-lost", "the last row of a full page is lost", "contract/listing"},
		{"row-listed-twice", "cursors are offsets", "contract/listing-under-change"},
		{"suspicion-takes-away", "failure takes actors away", "membership/suspicion"},
		{"early-suspicion", "a shorter silence", "membership/mark-failed-boundaries"},
		{"zombie-writes", "every token is valid", "fencing/after-reclaim"},
		{"random-sequence", "no margin for skew", "random/tenures"},
		{"graph-edge", "a released tenure is fenced", "edges/pair"},
	} {
		t.Run(c.file, func(t *testing.T) {
			r := judgeOne(t, twistNamed(t, c.twist), c.id)
			require.Equal(t, conformance.Convicted, r.Verdict)
			golden(t, c.file+".txt", r.Conviction.String())
		})
	}
	t.Run("watch-taken-down", func(t *testing.T) {
		v, ok := broken.Find("M121")
		require.True(t, ok)
		r := judgeOne(t, v.Backend(), "contract/watchers", conformance.CallTimeout(50*time.Millisecond))
		require.Equal(t, conformance.Convicted, r.Verdict)
		golden(t, "watch-taken-down.txt", r.Conviction.String())
	})
	t.Run("store-lost", func(t *testing.T) {
		r := judgeOne(t, troubledBackend{forgets: true}, "durable/keeps-everything")
		require.Equal(t, conformance.Convicted, r.Verdict)
		golden(t, "store-lost.txt", r.Conviction.String())
	})
}

// Concurrent histories differ from run to run; what is said about them does not.
func TestConcurrentConvictionTexts(t *testing.T) {
	for name, c := range map[string]struct {
		b     conformance.Backend
		id    string
		rules []conformance.RuleID
		texts []string
	}{
		"applied, and called a failure": {troubledBackend{liar: true}, "faults/lost-answers", []conformance.RuleID{conformance.AmbiguousTruth},
			[]string{"an error tells the truth about the outcome", " ErrUnavailable",
				"the suite injects faults: of the attempts to write ", " suffers: it happens, and the caller is told that the outcome is unknown"}},
		"late, and called settled": {troubledBackend{settles: true}, "faults/late-requests", []conformance.RuleID{conformance.AmbiguousTruth},
			[]string{" unknown outcome, settled"}},
		"two holders of one token": {twistNamed(t, "a grant without a new token"), "concurrent/claim-race",
			[]conformance.RuleID{conformance.TokenMonotonic, conformance.SingleActivation, conformance.VersionBump, conformance.Linearizability},
			[]string{"Claim("}},
	} {
		t.Run(name, func(t *testing.T) {
			r := judgeOne(t, c.b, c.id)
			require.Equal(t, conformance.Convicted, r.Verdict)
			assert.Contains(t, c.rules, r.Conviction.Rule)
			text := r.Conviction.String()
			for _, part := range append(c.texts, "cluster: TTL", "replay: conform run", "found:", "wanted:") {
				assert.Contains(t, text, part)
			}
			assert.LessOrEqual(t, r.Conviction.Length, 8, "the history is reduced:\n%s", text)
		})
	}
}

// fixedReport is a judgement with everything that differs from run to run fixed.
func fixedReport(t *testing.T) *conformance.Report {
	t.Helper()
	r, err := conformance.Judge(t.Context(), twistNamed(t, "no margin for skew"), conformance.OnlySections("contract"), conformance.Seeds(1, 2))
	require.NoError(t, err)
	r.Go, r.Platform, r.Started, r.Duration = "go1.0", "os/arch", registry.InstantOf(time.Unix(1_700_000_000, 0)), 1500*time.Millisecond
	for i := range r.Cases {
		r.Cases[i].Duration = time.Duration(i) * time.Millisecond
		r.Cases[i].Operations = 100 + i
	}
	r.Cases[4].Coverage = &conformance.Coverage{States: 7, Edges: 12, Walks: 5, Scripts: 2, Executed: map[string]int{"Claim": 9, "Claim refused by Claimable": 3}}
	r.Cases[5].Coverage = &conformance.Coverage{States: 2, Edges: 1, Walks: 1, Scripts: 1, Executed: map[string]int{"Claim": 1}}
	r.Cases[6].Schedules = &conformance.ScheduleCoverage{Situations: 3, Schedules: 60, Preemptions: -1, Points: map[string]int{"Claim: decided": 40}}
	r.Cases[7].Schedules = &conformance.ScheduleCoverage{Situations: 2, Schedules: 10, Preemptions: 2, Points: map[string]int{"Claim: decided": 2, "Renew: decided": 1}}
	r.Extent = []conformance.Measure{{Name: "highest token", Value: "5", Text: "5"}, {Name: "longest silence between two operations", Value: "82500000000", Text: "1m22.5s"}}
	r.Store = &conformance.Store{Name: "a stand-in <1>"}
	r.Speed = conformance.Speed{Histories: 12, Operations: 3456, PerSecond: 2304, Memory: 64_000_000}
	r.Cases[3].Verdict, r.Cases[3].Reason = conformance.Unknown, `the store said "no" & <left>`
	return r
}

func TestReportForms(t *testing.T) {
	r := fixedReport(t)
	var js, junit, html bytes.Buffer
	require.NoError(t, r.WriteJSON(&js))
	golden(t, "report.json", js.String())
	require.NoError(t, r.WriteJUnit(&junit))
	golden(t, "report.xml", junit.String())
	require.NoError(t, r.WriteHTML(&html))
	golden(t, "report.html", html.String())

	require.NoError(t, xml.Unmarshal(junit.Bytes(), new(struct{})))
	page := html.String()
	assert.NotContains(t, page, "ZgotmplZ", "the template refused a value")
	assert.NotRegexp(t, `(src|href)="(https?:)?//`, page, "the page needs nothing else")
	assert.Contains(t, page, "the store said &#34;no&#34; &amp; &lt;left&gt;")
	assert.Contains(t, page, "All 13 labelled steps between 9 states")
	assert.Contains(t, page, "70 orders of the steps of 5 situations")
	assert.Contains(t, page, "<td>Claim: decided</td><td>42</td>")
	first, second := strings.Index(page, `id="contract/claim-boundaries"`), strings.Index(page, `id="contract/config-mismatch"`)
	assert.True(t, 0 < first && 0 < second)
}

// A report is of a real store only if the backend says so and something was executed;
// no pass makes it one.
func TestOnRealStore(t *testing.T) {
	for _, c := range []struct {
		store    *conformance.Store
		verdicts []conformance.Verdict
		want     bool
	}{
		{nil, []conformance.Verdict{conformance.Pass}, false},
		{&conformance.Store{Name: "a stand-in"}, []conformance.Verdict{conformance.Pass}, false},
		{&conformance.Store{Name: "a store", Real: true}, []conformance.Verdict{conformance.Skipped}, false},
		{&conformance.Store{Name: "a store", Real: true}, []conformance.Verdict{conformance.Skipped, conformance.Unknown}, true},
		{&conformance.Store{Name: "a store", Real: true}, []conformance.Verdict{conformance.Pass}, true},
	} {
		r := &conformance.Report{Store: c.store, Profiles: []conformance.ProfileResult{{Profile: "faults", Verdict: conformance.Pass}}}
		for _, v := range c.verdicts {
			r.Cases = append(r.Cases, conformance.CaseResult{Section: "contract", Name: "x", Verdict: v})
		}
		assert.Equal(t, c.want, r.OnRealStore(), "%+v", c)
		var junit bytes.Buffer
		require.NoError(t, r.WriteJUnit(&junit))
		assert.Equal(t, c.store != nil, strings.Contains(junit.String(), fmt.Sprintf(`<property name="real-store" value="%v">`, c.want)))
	}
}

// The verdicts of a report add up, and each is said of every rule that a case cites.
func TestRuleVerdicts(t *testing.T) {
	r := fixedReport(t)
	verdicts := map[conformance.RuleID]conformance.RuleResult{}
	for _, rule := range r.Rules {
		verdicts[rule.Rule] = rule
	}
	assert.Equal(t, conformance.Convicted, verdicts[conformance.SingleActivation].Verdict)
	assert.Equal(t, conformance.Pass, verdicts["Release.repeated"].Verdict)
	assert.Contains(t, verdicts["Release.repeated"].Cases, "contract/release")
	assert.Equal(t, conformance.Skipped, verdicts[conformance.WatchWakes].Verdict, "a skip is no pass")
	assert.Equal(t, conformance.Skipped, verdicts[conformance.Durability].Verdict)
	sum := 0
	for _, v := range []conformance.Verdict{conformance.Pass, conformance.Convicted, conformance.Unknown, conformance.Skipped} {
		sum += r.Count(v)
	}
	assert.Equal(t, len(r.Cases), sum)
	assert.False(t, r.Passed())
}

// Convicted histories are saved where asked, and a place that cannot be written
// is told without changing the verdict.
func TestSavedHistories(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []string{"contract/claim-boundaries", "concurrent/boundaries"} {
		c := judgeOne(t, twistNamed(t, "no margin for skew"), id, conformance.OutDir(dir))
		require.Equal(t, conformance.Convicted, c.Verdict)
		assert.FileExists(t, c.Conviction.Saved)
		assert.FileExists(t, c.Conviction.Drawing)
		assert.Contains(t, c.Conviction.String(), c.Conviction.Saved)
	}
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	c := judgeOne(t, twistNamed(t, "no margin for skew"), "concurrent/boundaries", conformance.OutDir(file))
	require.Equal(t, conformance.Convicted, c.Verdict)
	assert.Contains(t, c.Conviction.Saved, "not saved: ")
}

// A conviction by a panic has no history to reduce, and says so by having none.
func TestPanicText(t *testing.T) {
	b := twistedBackend{twist: twist{bend: bend(func(b *bent) {
		b.lookup = func(context.Context, registry.ActorID) (registry.Placement, bool, error) { panic("boom") }
	})}}
	text := judgeOne(t, b, "contract/lookup-raw").Conviction.String()
	assert.Contains(t, text, "CONVICTED of breaking calls.return: every call is eventually answered")
	assert.Contains(t, text, "panic: boom")
}
