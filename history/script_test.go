package history_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/history"
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
n2: Serve actor="a/b"/c token=3
n2: Stop actor="a/b"/c
`

// A script is printed as it was written.
func TestScriptRoundTrip(t *testing.T) {
	s, err := history.ParseScript(strings.NewReader("# a comment\n\n" + goodScript + "   # another\n"))
	require.NoError(t, err)
	require.Len(t, s.Steps, 22)
	require.Equal(t, goodScript, s.String())
	require.Equal(t, testConfig, s.Config)
}

func TestScriptErrors(t *testing.T) {
	for in, want := range map[string]string{
		"config ttl=x":                 "line 1: ttl=x is not a duration",
		"config speed=1s":              `line 1: config has ttl, grace, skew and failure, not "speed"`,
		"config grace=1h":              "line 1: invalid argument: config Grace",
		"Crash\nconfig ttl=5s":         `line 2: "config ttl=5s" is not a step`,
		"n1:":                          "line 1: the step is missing",
		"n1: Close":                    `line 1: "Close" is not a step`,
		"n1: Steal":                    `line 1: "Steal" is not a step`,
		"Claim":                        "line 1: Claim needs a client",
		"n1: Crash now":                `line 1: "Crash now" is not a step`,
		"Serve actor=a/b token=1":      "line 1: Serve needs a client",
		"n1: Serve actor=a/b":          "line 1: Serve: token= is missing",
		"n1: Serve token=1":            "line 1: Serve: actor= is missing",
		"n1: Serve actor=a/b until=9s": `line 1: Serve: "until=9s" is not understood, it takes each once: actor= token=`,
		"n1: Stop actor=a/b":           "line 1: n1 does not serve this actor",
		"n1: Serve actor=a/b token=1\nn1: Crash\nn1: Stop actor=a/b": "line 3: n1 does not serve this actor",
		"n1: Serve actor=a/b token=1\nn1: Serve actor=a/b token=2":   "line 2: n1 serves this actor already",
		"| n1: Serve actor=a/b token=1":                              "line 1: | is between two operations",
		"Clock soon":                                                 "line 1: soon is not a duration",
		"n1: GetNode -> soon":                                        "line 1: GetNode: after -> comes one of ok, ErrInvalid, ErrNodeUnknown",
		"n1: GetNode ->":                                             "line 1: GetNode: after -> comes one of",
		"n1: GetNode -> ok node=n1":                                  "line 1: GetNode: after -> comes one of",
		"n1: Claim token=1":                                          `line 1: Claim: "token=1" is not understood, it takes each once: actor= node= id=`,
		"n1: Claim id=1 id=2":                                        "line 1: Claim: \"id=2\" is not understood",
		"n1: Claim id=zz":                                            "line 1: Claim: id: invalid argument",
		"n1: Claim actor=a":                                          `line 1: Claim: actor: "a" is not an actor`,
		"n1: Claim node=n#0":                                         `line 1: Claim: node: "n#0" is not a node`,
		"n1: Renew token=-1":                                         `line 1: Renew: token: "-1" is not a number`,
		"n1: ListNodes status=gone":                                  `line 1: ListNodes: status: "gone" is not one of any, active, failed, left`,
		"n1: GetNode node=\"a":                                       "line 1: a string literal begins at",
		"n1: ListNodes limit=1e3":                                    "line 1: ListNodes: limit",
		"| n1: Heartbeat node=n1#1":                                  "line 1: | is between two operations",
		"Crash\n| n1: Heartbeat":                                     "line 2: | is between two operations",
		"n 1: Crash":                                                 `line 1: "n 1: Crash" is not a step`,
		"n/1: Heartbeat":                                             "line 1: client:",
		strings.Repeat("x", 70<<10):                                  "line 1: the line is longer than 65536 bytes",
	} {
		_, err := history.ParseScript(strings.NewReader(in))
		require.ErrorContains(t, err, want, "%.40s", in)
	}
}

// No text makes the parser panic, and what it accepts it prints in a form that
// it reads as the same.
func FuzzParseScript(f *testing.F) {
	f.Add(goodScript)
	f.Add("n1: RenewBatch lease=a/b,n1#1,1 lease=\"\"/c,\"\",0 -> ok")
	f.Add("config ttl=1ns grace=0s skew=0s failure=1ns\nn1: Clock -5m\n| n1: Claim id=0")
	f.Fuzz(func(t *testing.T, in string) {
		s, err := history.ParseScript(strings.NewReader(in))
		if err != nil {
			return
		}
		again, err := history.ParseScript(strings.NewReader(s.String()))
		require.NoError(t, err, "%s", s.String())
		require.Equal(t, s.String(), again.String())
		require.Equal(t, len(s.Steps), len(again.Steps))
		for i := range s.Steps {
			require.Equal(t, s.Steps[i], again.Steps[i])
		}
	})
}
