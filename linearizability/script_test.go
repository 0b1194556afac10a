package linearizability

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/reference"
)

const goodScript = `config ttl=10s grace=2s skew=1s failure=6s
n1: RegisterNode node=n1 address="10.0.0.1:80" mode=supersede
n2: RegisterNode node=n2
n1: Claim actor=room/42 node=n1#1 id=1
Clock 9s
n2: Clock 9.5s
n2: Claim actor=room/42 node=n2#1 id=2 -> ErrHeld
| n1: Renew actor=room/42 node=n1#1 token=1
n1: Crash
n1: Transfer actor=room/42 node=n1#1 token=1 to=n2#1
n2: Lookup actor=room/42
n2: Validate actor=room/42 token=2
n2: ListActors node=n2#1 limit=5
n2: ListNodes status=active after="a b" limit=2
n2: Release actor=room/42 node=n2#1 token=2
Crash
n1: Heartbeat node=n1#1
n2: MarkFailed node=n1#1
n1: DeregisterNode node=n1#1
"a client": GetNode node="n 1"
n1: Watch actor="a/b"/c seen=3
`

// A script is printed as it was written.
func TestScriptRoundTrip(t *testing.T) {
	s, err := ParseScript(strings.NewReader("# a comment\n\n" + goodScript + "   # another\n"))
	require.NoError(t, err)
	require.Len(t, s.Steps, 20)
	require.Equal(t, goodScript, s.String())
	require.Equal(t, testConfig, s.Config)
}

func TestScriptErrors(t *testing.T) {
	for in, want := range map[string]string{
		"config ttl=x":              "line 1: ttl=x is no duration",
		"config speed=1s":           `line 1: config has ttl, grace, skew and failure, not "speed"`,
		"config grace=1h":           "line 1: invalid argument: config Grace",
		"Crash\nconfig ttl=5s":      `line 2: "config ttl=5s" is no step`,
		"n1:":                       "line 1: the step is missing",
		"n1: Steal":                 `line 1: "Steal" is no step`,
		"Claim":                     "line 1: Claim needs a client",
		"n1: Crash now":             `line 1: "Crash now" is no step`,
		"Clock soon":                "line 1: soon is no duration",
		"n1: GetNode -> soon":       "line 1: GetNode: after -> comes one of ok, ErrInvalid, ErrNodeUnknown",
		"n1: GetNode ->":            "line 1: GetNode: after -> comes one of",
		"n1: GetNode -> ok node=n1": "line 1: GetNode: after -> comes one of",
		"n1: Claim token=1":         `line 1: Claim: "token=1" is not understood, it takes each once: actor= node= id=`,
		"n1: Claim id=1 id=2":       "line 1: Claim: \"id=2\" is not understood",
		"n1: Claim id=zz":           "line 1: Claim: id: invalid argument",
		"n1: Claim actor=a":         `line 1: Claim: actor: "a" is no actor`,
		"n1: Claim node=n#0":        `line 1: Claim: node: "n#0" is no node`,
		"n1: Renew token=-1":        `line 1: Renew: token: "-1" is no number`,
		"n1: ListNodes status=gone": `line 1: ListNodes: status: "gone" is none of its names`,
		"n1: GetNode node=\"a":      "line 1: a string literal begins at",
		"n1: ListNodes limit=1e3":   "line 1: ListNodes: limit",
		"| n1: Heartbeat node=n1#1": "line 1: | is between two operations",
		"Crash\n| n1: Heartbeat":    "line 2: | is between two operations",
		"n 1: Crash":                `line 1: "n 1: Crash" is no step`,
		"n/1: Heartbeat":            "line 1: client:",
		strings.Repeat("x", 70<<10): "line 1: bufio.Scanner: token too long",
	} {
		_, err := ParseScript(strings.NewReader(in))
		require.ErrorContains(t, err, want, "%.40s", in)
	}
}

// referenceStage plays scripts on the reference. It survives its crashes.
type referenceStage struct {
	cfg     registry.Config
	store   *reference.Store
	crashes int
	opened  map[string]int
}

func newReferenceStage(t require.TestingT, cfg registry.Config) *referenceStage {
	store, err := reference.NewStore(cfg)
	require.NoError(t, err)
	return &referenceStage{cfg: cfg, store: store, opened: map[string]int{}}
}

func (r *referenceStage) Open(client string, clock registry.Clock) (registry.Handle, error) {
	r.opened[client]++
	return r.store.Open(r.cfg, clock)
}

func (r *referenceStage) Crash() error { r.crashes++; return nil }

// What a script asks is what the registry is asked, by the clocks it sets.
func TestPlay(t *testing.T) {
	s, err := ParseScript(strings.NewReader(goodScript))
	require.NoError(t, err)
	stage := newReferenceStage(t, s.Config)
	h, err := Play(t.Context(), s, stage)
	require.NoError(t, err)
	require.Equal(t, 1, stage.crashes)
	require.Equal(t, map[string]int{"n1": 3, "n2": 2, "a client": 1}, stage.opened, "after the crash of n1 and that of all")
	res := Check(h, Options{})
	require.Equal(t, OK, res.Verdict, "%+v", res.Violations)
	require.Len(t, h.Ops, 15, "the reference cannot watch, and the rest are operations")
	claim := h.Ops[2]
	require.Equal(t, Read(playStart), claim.Clock)
	require.Equal(t, registry.Token(1), claim.Answer.Record.Token)
	second := h.Ops[3]
	if second.Kind != KindClaim {
		second = h.Ops[4] // they run at the same time
	}
	require.Equal(t, ReasonHeld, second.Answer.Reason)
	require.Equal(t, playStart.Add(9500_000_000), second.Answer.Now)
}

type brokenStage struct{ *referenceStage }

func (brokenStage) Crash() error { return errors.ErrUnsupported }

func TestPlayCannotCrash(t *testing.T) {
	s, err := ParseScript(strings.NewReader(goodScript))
	require.NoError(t, err)
	_, err = Play(t.Context(), s, brokenStage{newReferenceStage(t, s.Config)})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "step 15, Crash")
}

// The script of a history without overlap, carried out on the reference, leaves
// the same history.
func TestScriptOfHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSimulation(t)
		s.clients, s.ambiguous, s.interval, s.listings = 1, 0, false, false
		h := s.run()
		script := ScriptOf(h)
		parsed, err := ParseScript(strings.NewReader(script.String()))
		require.NoError(t, err)
		require.Equal(t, script.String(), parsed.String())
		again, err := Play(t.Context(), parsed, newReferenceStage(t, h.Config))
		require.NoError(t, err)
		d, e := newDescriber(&h), newDescriber(&again)
		for i := range h.Ops {
			if h.Ops[i].Outcome == OutcomePending {
				break
			}
			require.Equal(t, d.op(&h.Ops[i]), e.op(&again.Ops[i]))
		}
	})
}

// Operations that overlapped are asked at the same time where no clock is set
// between them.
func TestScriptOfOverlap(t *testing.T) {
	b := newBook("n1", "n2")
	b.claim("n1", 0, 1, 1, 1)
	b.lookup("n2", registry.Placement{})
	b.overlap(2)
	require.Equal(t, `config ttl=10s grace=2s skew=1s failure=6s
n1: Clock 0s
n1: RegisterNode node=n1 mode=supersede
n2: Clock 0s
n2: RegisterNode node=n2 mode=supersede
n1: Claim actor=ns/a node=n1#1 id=1000000000000000000000000000000
| n2: Lookup actor=ns/a
`, ScriptOf(b.History).String())
}

// No text makes the parser panic, and what it accepts it prints in a form that
// it reads as the same.
func FuzzParseScript(f *testing.F) {
	f.Add(goodScript)
	f.Add("config ttl=1ns grace=0s skew=0s failure=1ns\nn1: Clock -5m\n| n1: Claim id=0")
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseScript(strings.NewReader(in))
		if err != nil {
			return
		}
		again, err := ParseScript(strings.NewReader(s.String()))
		require.NoError(t, err, "%s", s.String())
		require.Equal(t, s.String(), again.String())
		require.Equal(t, len(s.Steps), len(again.Steps))
		for i := range s.Steps {
			require.Equal(t, s.Steps[i], again.Steps[i])
		}
	})
}
