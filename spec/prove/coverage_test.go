package prove

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/stategraph"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// subjects are the modules that the proofs are about, and that TLC checks too.
var subjects = map[string][]string{
	"registry": {"Registry"}, "contract": {"RegistryContract"}, "dialect": {"RegistryDialect"}, "keeper": {"Keeper", "KeeperContract"},
}

// What TLC finds true of a module within bounds, the proofs must show without,
// or it is written here why they do not. A property that is new in the manifest
// is so not forgotten, and one that is left out of a proof is missed.
func TestTheProofsCoverWhatTLCChecks(t *testing.T) {
	notProved := map[string]string{
		"OnlyRegistrySteps": "of a dialect without differences alone",
		"KeepsLease":        "a matter of how soon requests are answered, which only one configuration promises",
		"Possible":          "the translator has no ENABLED",
		"Complete":          "the translator has no ENABLED",
		"Beginning":         "about the first state alone, which no bound of TLC's leaves out",
		"AllAsked":          "about the calls of TLC's search",
		"AskedAnywhere":     "about the states of TLC's search",
		"ReplySteps":        "about sets of messages",
		"TimeSteps":         "about sets of messages",
	}
	folder := os.DirFS(specDir)
	proofs, err := LoadManifest(folder)
	require.NoError(t, err)
	proved := map[string][]string{} // by the module that is the subject
	for _, p := range proofs {
		for _, subject := range subjects[p.ID] {
			proved[subject] = slices.Concat(p.Properties, p.Invariant)
		}
	}
	seen := 0
	for _, c := range passing(t) {
		if proved[c.Module] == nil || c.Purpose == tlc.Liveness {
			continue
		}
		cfg, err := c.Resolve(folder)
		require.NoError(t, err)
		for _, name := range slices.Concat(cfg.Invariants, cfg.Properties) {
			if notProved[name] == "" {
				seen++
				assert.Contains(t, proved[c.Module], name, "TLC checks it in %s", c.ID)
			}
		}
	}
	assert.Greater(t, seen, 100)
}

// A property of a proof can fail: some failure of a proof, or some entry of TLC's, says
// how.
func TestWhatIsProvedCanFail(t *testing.T) {
	folder := os.DirFS(specDir)
	proofs, err := LoadManifest(folder)
	require.NoError(t, err)
	m, err := tlc.LoadManifest(folder)
	require.NoError(t, err)
	fails := map[string]bool{}
	for _, p := range proofs {
		for _, f := range p.Failures {
			fails[f.Breaks] = true
		}
	}
	for _, c := range m.Checks {
		fails[c.Violates] = true
	}
	for _, p := range proofs {
		for _, name := range p.Properties {
			assert.True(t, fails[name], "%s: nothing breaks %s", p.ID, name)
		}
	}
}

func passing(t *testing.T) []tlc.Check {
	m, err := tlc.LoadManifest(os.DirFS(specDir))
	require.NoError(t, err)
	return slices.DeleteFunc(m.Checks, func(c tlc.Check) bool { return c.Expect != tlc.OK })
}

// A proof is about the machine that TLC searches: what begins otherwise, or has a step
// less, would be proved of something else.
func TestProofsAreOfWhatTLCSearches(t *testing.T) {
	folder := os.DirFS(specDir)
	proofs, err := LoadManifest(folder)
	require.NoError(t, err)
	machines := map[string]bool{} // "Init Next" of the specifications that passing entries have
	for _, c := range passing(t) {
		closure, err := tlc.Load(folder, c.Module)
		require.NoError(t, err)
		cfg, err := c.Resolve(folder)
		require.NoError(t, err)
		for _, text := range closure.Files {
			for _, d := range specification.FindAllStringSubmatch(string(text), -1) {
				if d[1] == cfg.Specification {
					machines[d[2]+" "+d[3]] = true
				}
			}
		}
	}
	for _, p := range proofs {
		if p.ID != "fence" { // has infinitely many states with any bound, so that TLC has no part in it
			assert.True(t, machines[p.Init+" "+p.Next], "%s: no passing entry has %s and %s", p.ID, p.Init, p.Next)
		}
	}
}

var specification = regexp.MustCompile(`(\w+)\s*== (\w+) /\\ \[\]\[(\w+)\]_`)

// The premises of a proof are true of whatever the contract allows: the least, and
// numbers that no search has. What assumes more would be proved of less.
func TestPremisesAllowWhatTheContractAllows(t *testing.T) {
	if testing.Short() {
		t.Skip("each module is exported by a run of Java; make prove has them all")
	}
	least := map[string]string{
		"Nodes": `{}`, "Actors": `{}`, "ClaimIDs": `{}`, "Instances": `{0}`, "Joined": `{}`, "Acts": `{}`, "GiveUps": `{}`,
		"TTL": "1", "Grace": "0", "Eps": "0", "Margin": "0", "FailureTimeout": "1", "SafetyMargin": "0", "RenewAfter": "0",
		"MaxToken": "0", "MaxEpoch": "1", "MaxVersion": "1", "MaxWrites": "0", "MaxFaults": "0", "MaxCrashes": "0", "MaxLate": "0",
		"Sparse": "FALSE", "Lent": "FALSE", "Longer": "0", "ByReading": "FALSE", "Prompt": "FALSE", "Dropped": `{}`, "Bugs": `{}`,
	}
	much := maps.Clone(least)
	maps.Copy(much, map[string]string{
		"Nodes": `{"n1", "n2", "n3", "n4"}`, "Actors": `{"a", "b", "c"}`, "ClaimIDs": `{1, 70, 900}`, "Instances": `{3, 5}`,
		"Joined": `{"n2", "n3"}`, "Acts": `{"Tick", "Claim", "Purge"}`, "GiveUps": `{"release", "transfer"}`,
		"TTL": "90001", "Grace": "777", "Eps": "55", "Margin": "110", "FailureTimeout": "111", "SafetyMargin": "12", "RenewAfter": "30000",
		"MaxToken": "123456", "MaxEpoch": "4321", "MaxVersion": "98765", "MaxWrites": "17", "MaxFaults": "19", "MaxCrashes": "23", "MaxLate": "29",
		"Sparse": "TRUE", "Lent": "TRUE", "Longer": "31", "ByReading": "TRUE", "Prompt": "TRUE",
	})
	oneClock := maps.Clone(much)
	oneClock["Margin"] = oneClock["Eps"]
	folder := os.DirFS(specDir)
	proofs, err := LoadManifest(folder)
	require.NoError(t, err)
	modules := map[string]*sany.Module{}
	for _, p := range proofs {
		m := modules[p.Module]
		if m == nil {
			m = load(t, folder, p.Module)
			modules[p.Module] = m
		}
		some := []map[string]string{least, much}
		if len(p.Replace) > 0 {
			some[1] = oneClock
		}
		for _, constants := range some {
			for _, false := range untrue(t, m, p, constants) {
				assert.Fail(t, "a premise assumes too much", "%s: %s with %v", p.ID, false, constants)
			}
		}
	}
}

// untrue lists the premises of a proof that are not true of the constants.
func untrue(t *testing.T, m *sany.Module, p Proof, constants map[string]string) (out []string) {
	g := algebra{Terms: smt.NewTerms()}
	values := map[string]value{}
	for name, text := range constants {
		v, err := stategraph.ParseValue(text)
		require.NoError(t, err)
		values[name] = given(t, g, v)
	}
	x, err := newTranslator(g, m, p.Types, values)
	require.NoError(t, err)
	c := newConcrete()
	premises := map[string]sany.Expr{}
	for _, a := range m.Assumptions {
		premises[a.Name] = a.Body
	}
	for _, name := range p.Assume {
		d, err := x.definition(name)
		require.NoError(t, err)
		premises[name] = d.Body
	}
	for name, e := range premises {
		var term *smt.Term
		require.NoError(t, x.guarded(func() { term = x.truth(e, env{}) }))
		if c.eval(term) == 0 {
			out = append(out, name)
		}
	}
	return out
}
