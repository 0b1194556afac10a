package linearizability

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
)

func written(t require.TestingT, h History) []byte {
	var b bytes.Buffer
	require.NoError(t, WriteHistory(&b, h))
	return b.Bytes()
}

// What was written is read back as it was.
func TestHistoryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawSimulation(t).run()
		h.Meta = map[string]string{"seed": "7", "backend": "reference"}
		got, err := ReadHistory(bytes.NewReader(written(t, h)))
		require.NoError(t, err)
		h.Config.AllowShortTTL = got.Config.AllowShortTTL // a permission, not part of the file
		require.Equal(t, written(t, h), written(t, got))
		require.Equal(t, len(h.Ops), len(got.Ops))
		for i := range h.Ops {
			want := h.Ops[i]
			if len(want.Clock.Seen) == 0 {
				want.Clock.Seen = nil
			}
			if len(want.Answer.Actors) == 0 {
				want.Answer.Actors = nil
			}
			if len(want.Answer.Nodes) == 0 {
				want.Answer.Nodes = nil
			}
			require.Equal(t, want, got.Ops[i])
		}
	})
}

const fuzzTimeout = 200 * time.Millisecond

const goodHeader = `{"format":"kelpie-history","version":1,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000}}`

const goodLookup = `{"client":"c","kind":"Lookup","ask":{"actor":{"ns":"n","name":"a"}},"outcome":"ok","call":1,"return":2,"clock":{}}`

// The reader names the line and what is wrong with it.
func TestReadHistoryErrors(t *testing.T) {
	swap := func(old, new string) string {
		require.Contains(t, goodLookup, old)
		return goodHeader + "\n" + strings.Replace(goodLookup, old, new, 1)
	}
	for name, tc := range map[string]struct{ in, want string }{
		"empty":            {"", "line 1: the history is empty"},
		"no object":        {"\n", "line 1: the line is empty"},
		"other format":     {`{"format":"x"}`, `line 1: format is "x", want "kelpie-history"`},
		"other version":    {strings.Replace(goodHeader, `"version":1`, `"version":2`, 1), "line 1: version is 2, this reader knows 1"},
		"bad config":       {strings.Replace(goodHeader, `"grace":2`, `"grace":22`, 1), "line 1: invalid argument: config Grace"},
		"unknown field":    {swap(`"call":1`, `"call":1,"x":1`), `line 2: json: unknown field "x"`},
		"two values":       {swap(`"clock":{}}`, `"clock":{}} {}`), "line 2: there is more than one JSON value"},
		"unknown kind":     {swap(`"Lookup"`, `"Steal"`), `line 2: kind is "Steal"`},
		"unknown outcome":  {swap(`"ok"`, `"fine"`), `line 2: outcome is "fine"`},
		"return first":     {swap(`"return":2`, `"return":1`), "line 2: return is 1, the call is 1"},
		"ok never":         {swap(`,"return":2`, ``), "line 2: exactly the operations with the outcome pending"},
		"unknown reason":   {swap(`"ok"`, `"refused","answer":{"reason":"ErrNo"}`), `line 2: answer: reason is "ErrNo"`},
		"no reason":        {swap(`"ok"`, `"refused"`), "line 2: answer: exactly the refused"},
		"claim id":         {swap(`"ask":{`, `"ask":{"claim_id":"zz",`), "line 2: ask: invalid argument: claim id"},
		"record claim id":  {swap(`"ok"`, `"ok","answer":{"record":{"claim_id":"zz"}}`), "line 2: answer: invalid argument: claim id"},
		"row claim id":     {swap(`"ok"`, `"ok","answer":{"actors":[{"claim_id":"zz"}]}`), "line 2: answer: row 1: invalid argument"},
		"lo without":       {swap(`"clock":{}`, `"clock":{"lo":1}`), "line 2: clock: lo and hi"},
		"interval upside":  {swap(`"clock":{}`, `"clock":{"interval":true,"lo":2,"hi":1}`), "line 2: clock: an interval"},
		"calls unordered":  {goodHeader + "\n" + strings.NewReplacer(`"call":1`, `"call":5`, `"return":2`, `"return":9`).Replace(goodLookup) + "\n" + goodLookup, "line 3: call is 1, the operation before has 5"},
		"number too large": {swap(`"call":1`, `"call":99999999999999999999`), "line 2: json: cannot unmarshal number"},
		"line too long":    {goodHeader + "\n" + strings.Repeat(" ", maxLine+1), "line 2: bufio.Scanner: token too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadHistory(strings.NewReader(tc.in))
			require.ErrorContains(t, err, tc.want)
		})
	}
	h, err := ReadHistory(strings.NewReader(goodHeader + "\n" + goodLookup))
	require.NoError(t, err)
	require.Equal(t, registry.ActorID{Namespace: "n", Name: "a"}, h.Ops[0].Ask.Actor)
}

// No input makes the reader, the checker or the explanation panic, and what is read is written
// and read again unchanged.
func FuzzReadHistory(f *testing.F) {
	f.Add([]byte(goodHeader + "\n" + goodLookup))
	f.Add([]byte(strings.Replace(goodHeader, `"ttl":10000000000`, `"ttl":9`, 1)))
	for seed := range uint64(6) {
		s := simulation{choose: seeded(seed), clients: 3, actors: 2, steps: 60, ambiguous: 8, listings: true, interval: seed%2 == 0}
		h := s.run()
		spoil(s.choose, &h)
		f.Add(written(f, h))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ReadHistory(bytes.NewReader(data))
		if err != nil {
			return
		}
		first := written(t, h)
		again, err := ReadHistory(bytes.NewReader(first))
		if err != nil {
			t.Fatalf("%v\n%s", err, hex.Dump(first))
		}
		require.Equal(t, first, written(t, again))
		if len(h.Ops) < 60 {
			res := Check(h, Options{Timeout: fuzzTimeout})
			if res.Verdict == Illegal {
				require.NotEmpty(t, res.Violations)
				require.Contains(t, Explain(h, res, Case{}), res.Violations[0].Rule)
			}
		}
	})
}
