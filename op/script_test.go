package op_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// written is c as far as a script can tell it: of a lease the version, expiry
// and claim id are not written, which no operation depends on.
func written(c op.Call) op.Call {
	if c.Kind != op.Claim {
		c.Version, c.Expiry, c.ClaimID = 0, 0, registry.ClaimID{}
	}
	c.Leases = slices.Clone(c.Leases)
	for i, l := range c.Leases {
		c.Leases[i] = registry.Lease{Actor: l.Actor, Holder: l.Holder, Token: l.Token}
	}
	return c
}

// A call of any kind, with any text in its names, is parsed as it was written,
// whatever the order of the arguments.
func TestScriptRoundTrip(t *testing.T) {
	for _, k := range op.Kinds() {
		t.Run(k.String(), rapid.MakeCheck(func(t *rapid.T) {
			c := drawCall(t, k)
			line := c.Script()
			words, err := op.Words(line + " # a comment")
			require.NoError(t, err)
			got, err := op.Parse(words)
			require.NoError(t, err, line)
			require.Equal(t, written(c), got, line)
			require.Equal(t, line, got.Script())
			if k != op.RenewBatch { // the order of its leases is that of its results
				got, err = op.Parse(append(words[:1:1], rapid.Permutation(words[1:]).Draw(t, "order")...))
				require.NoError(t, err)
				require.Equal(t, written(c), got)
			}
		}))
	}
}

// Names are written as they are when they are plain, and may hold any bytes.
func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"n1": "n1", "A_b-c.9": "A_b-c.9", "": `""`, "a b": `"a b"`, "é": `"\u00e9"`, "\xff": `"\xff"`, `"`: `"\""`, "#": `"#"`,
	} {
		require.Equal(t, want, op.QuoteName(name))
		got, err := op.ParseName(want)
		require.NoError(t, err)
		require.Equal(t, name, got)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := string(rapid.SliceOf(rapid.Byte()).Draw(t, "name"))
		got, err := op.ParseName(op.QuoteName(name))
		require.NoError(t, err)
		require.Equal(t, name, got)
	})
	for _, text := range []string{"", "a b", "é", "a#", `"a`, `"a" `, "`a`", "'a'"} {
		_, err := op.ParseName(text)
		require.Error(t, err, text)
	}
}

func TestParseErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                                    "the operation is missing",
		"Steal":                               `"Steal" is not an operation of the contract`,
		"claim":                               `"claim" is not an operation of the contract`,
		"Claim token=1":                       `Claim: "token=1" is not understood, it takes each once: actor= node= id=`,
		"Claim actor":                         `Claim: "actor" is not understood`,
		"Claim actor=a/b actor=a/b":           `Claim: "actor=a/b" is not understood`,
		"Close now=1":                         `Close: "now=1" is not understood`,
		"Claim actor=a":                       `Claim: actor: "a" is not an actor: want namespace/name`,
		"Claim actor=a/b/c":                   `Claim: actor: "a/b/c" is not an actor`,
		"Claim actor=/":                       `Claim: actor: "/" is not an actor`,
		`Claim actor="a/b"`:                   `Claim: actor: "\"a/b\"" is not an actor`,
		"Claim node=":                         `Claim: node: "" is not a node: want a name, or name#epoch`,
		"Claim node=n#":                       `Claim: node: "n#" is not a node`,
		"Claim node=n#0":                      `Claim: node: "n#0" is not a node`,
		"Claim node=n#-1":                     `Claim: node: "n#-1" is not a node`,
		"Claim node=n#1#2":                    `Claim: node: "n#1#2" is not a node`,
		"Claim node=n#18446744073709551616":   "is not a node",
		"Claim id=zz":                         "Claim: id: invalid argument: claim id",
		"Claim id=" + strings.Repeat("1", 33): "Claim: id: invalid argument: claim id has 33 characters",
		"Renew token=-1":                      `Renew: token: "-1" is not a number in range`,
		"Renew token=1.0":                     `Renew: token: "1.0" is not a number in range`,
		"Renew token=":                        `Renew: token: "" is not a number in range`,
		"Renew token=18446744073709551616":    `is not a number in range`,
		"ListNodes limit=9223372036854775808": `ListNodes: limit: "9223372036854775808" is not a number in range`,
		"ListNodes status=gone":               `ListNodes: status: "gone" is not one of any, active, failed, left`,
		"ListNodes after=":                    `ListNodes: after: "" is not a name`,
		"RegisterNode mode=Supersede":         `RegisterNode: mode: "Supersede" is not one of if-absent, supersede`,
		"RegisterNode address=10.0.0.1:80":    `RegisterNode: address: "10.0.0.1:80" is not a name`,
		"RenewBatch lease=a/b,n#1":            `RenewBatch: lease: "a/b,n#1" is not a lease: want namespace/name,node#epoch,token`,
		"RenewBatch lease=a/b,n#1,1,1":        `is not a lease`,
		"RenewBatch lease=a,n#1,1":            `RenewBatch: lease: "a" is not an actor`,
		"RenewBatch lease=a/b,,1":             `RenewBatch: lease: "" is not a node`,
		"RenewBatch lease=a/b,n#1,x":          `RenewBatch: lease: "x" is not a number`,
		`GetNode node="a`:                     `a string literal begins at "\"a" and does not end`,
	} {
		words, err := op.Words(line)
		if err == nil {
			_, err = op.Parse(words)
		}
		require.ErrorContains(t, err, want, line)
	}
}

// A comment begins with a # at the beginning of a word, and spaces in string
// literals divide nothing.
func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                  nil,
		" \t ":              nil,
		"# a comment":       nil,
		"a  b\tc # d":       {"a", "b", "c"},
		"n#1 a=b#c":         {"n#1", "a=b#c"},
		`a="b # c" "d e"/f`: {`a="b # c"`, `"d e"/f`},
		`a="b\" c"`:         {`a="b\" c"`},
	} {
		got, err := op.Words(line)
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
	}
}

// No text makes the parser panic, and a call that was parsed is written in a
// form that is parsed as the same.
func FuzzParse(f *testing.F) {
	for _, k := range op.Kinds() {
		c := good(k)
		f.Add(c.Script())
	}
	f.Add(`RenewBatch lease=""/"",""#7,0 lease=a/"b,c",n,18446744073709551615 # two`)
	f.Add(`ListNodes limit=007 after="\xff" status=left`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := op.Words(line)
		if err != nil {
			return
		}
		c, err := op.Parse(words)
		if err != nil {
			return
		}
		_, _ = c.Validate(), op.Text{}.Call(&c)
		words, err = op.Words(c.Script())
		require.NoError(t, err, c.Script())
		again, err := op.Parse(words)
		require.NoError(t, err, c.Script())
		require.Equal(t, c, again)
	})
}
