package history_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/explain"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

func written(t require.TestingT, h history.History) []byte {
	var b bytes.Buffer
	require.NoError(t, history.Write(&b, h))
	return b.Bytes()
}

func drawSimulation(t *rapid.T) simulation {
	return simulation{
		choose: func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") },
		steps:  rapid.IntRange(1, 80).Draw(t, "steps"),
		lossy:  rapid.Bool().Draw(t, "lossy"),
		timing: rapid.Bool().Draw(t, "timing"),
		batch:  true,
	}
}

// sameOp compares operations by all that they say. Of errors the values are
// others in a history that was read, but they say the same.
func sameOp(t require.TestingT, want, got history.Op) {
	require.Equal(t, want.Result.Err == nil, got.Result.Err == nil)
	if err := want.Result.Err; err != nil {
		require.Equal(t, op.ReasonOf(err), op.ReasonOf(got.Result.Err))
		require.Equal(t, err.Error(), got.Result.Err.Error())
		want.Result.Err, got.Result.Err = nil, nil
	}
	require.Equal(t, want, got)
}

// What was written is read back as it was, and has the same verdict.
func TestHistoryRoundTrip(t *testing.T) {
	outcomes, kinds := map[op.Outcome]int{}, map[op.Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := drawSimulation(t).run()
		h.Meta = map[string]string{"seed": "7", "backend": "reference"}
		got, err := history.Read(bytes.NewReader(written(t, h)))
		require.NoError(t, err)
		require.Equal(t, h.Meta, got.Meta)
		h.Config.AllowShortTTL = got.Config.AllowShortTTL // a permission, not part of the file
		require.Equal(t, h.Config, got.Config)
		require.Equal(t, written(t, h), written(t, got))
		require.Equal(t, len(h.Ops), len(got.Ops))
		for i := range h.Ops {
			want := h.Ops[i]
			outcomes[want.Result.Outcome]++
			kinds[want.Call.Kind]++
			if len(want.Clock.Seen) == 0 {
				want.Clock.Seen = nil
			}
			if len(want.Result.Actors) == 0 {
				want.Result.Actors = nil
			}
			if len(want.Result.Nodes) == 0 {
				want.Result.Nodes = nil
			}
			sameOp(t, want, got.Ops[i])
		}
		require.Equal(t, linearizability.OK, linearizability.Check(h, linearizability.Options{}).Verdict)
		require.Equal(t, linearizability.OK, linearizability.Check(got, linearizability.Options{}).Verdict)
	})
	for _, o := range op.Outcomes() {
		require.Equal(t, o != op.Unlisted, outcomes[o] > 0, o) // which a right registry never answers
	}
	for _, k := range op.Kinds() {
		require.Equal(t, history.Recorded(k), kinds[k] > 0, k)
	}
}

// Notes are kept, and come in their order.
func TestNotesRoundTrip(t *testing.T) {
	rec := history.NewRecorder(registry.DefaultConfig())
	rec.Note("faults injected")
	rec.NoteCall("c1", "the answer is lost")
	rec.Note("crash")
	h := rec.History()
	require.Equal(t, []history.Note{{At: 1, Text: "faults injected"}, {At: 2, Client: "c1", Text: "the answer is lost"}, {At: 3, Text: "crash"}}, h.Notes)
	text := written(t, h)
	again, err := history.Read(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, h.Notes, again.Notes)
	_, err = history.Read(bytes.NewReader(append(text, `{"note":"late","at":1}`...)))
	require.ErrorContains(t, err, "at is 1, the note before has 3")
	_, err = history.Read(bytes.NewReader(append(text, `{"note":"","at":4,"why":"x"}`...)))
	require.Error(t, err)
}

// What is in a file of any version is judged as it was when it was written: the
// notes of these files tell the verdict of that time.
func TestOldHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/v*/*.jsonl")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 18)
	outcomes := map[op.Outcome]int{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Contains(t, string(text), `"version":`+strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "v")+`,`)
			h, err := history.Read(bytes.NewReader(text))
			require.NoError(t, err)
			for _, o := range h.Ops {
				outcomes[o.Result.Outcome]++
			}
			judge := func(h history.History) {
				got := map[string]string{}
				res := linearizability.Check(h, linearizability.Options{})
				got["verdict"] = string(res.Verdict)
				if len(res.Violations) > 0 {
					v := res.Violations[0]
					got["rule"], got["guard"], got["action"], got["op"], got["subject"] = string(v.Rule), v.Guard, v.Action.String(), fmt.Sprint(v.Op), v.Subject
				}
				require.Equal(t, h.Meta, got)
			}
			judge(h)
			again, err := history.Read(bytes.NewReader(written(t, h)))
			require.NoError(t, err)
			require.Len(t, again.Ops, len(h.Ops))
			for i := range h.Ops {
				sameOp(t, h.Ops[i], again.Ops[i])
			}
			judge(again)
		})
	}
	for _, o := range op.Outcomes() {
		require.Positive(t, outcomes[o], o)
	}
}

const goodHeader = `{"format":"kelpie-history","version":2,"config":{"ttl":10000000000,"grace":2000000000,"max_clock_skew":1000000000,"failure_timeout":6000000000}}`

const goodLookup = `{"client":"c","call":{"op":"Lookup","actor":{"namespace":"n","name":"a"}},"result":{},"invoked":1,"returned":2,"clock":{}}`

var goodHeader1 = strings.Replace(goodHeader, `"version":2`, `"version":1`, 1)

const goodLookup1 = `{"client":"c","kind":"Lookup","ask":{"actor":{"ns":"n","name":"a"}},"outcome":"ok","call":1,"return":2,"clock":{}}`

// A version 1 file says in other words what a version 2 file says.
func TestVersion1(t *testing.T) {
	for _, tc := range []struct{ old, now string }{
		{
			goodLookup1,
			goodLookup,
		},
		{
			`{"client":"n1","kind":"Claim","ask":{"actor":{"ns":"a","name":"b"},"node":{"id":"n1","epoch":2},"claim_id":"00000000000000000000000000000001"},"outcome":"ok","answer":{"record":{"actor":{"ns":"a","name":"b"},"holder":{"id":"n1","epoch":2},"token":3,"version":4,"expiry":5,"claim_id":"00000000000000000000000000000001"}},"call":1,"return":2,"clock":{"seen":[6,7]}}`,
			`{"client":"n1","call":{"op":"Claim","actor":{"namespace":"a","name":"b"},"node":{"id":"n1","epoch":2},"claim_id":"00000000000000000000000000000001"},"result":{"record":{"actor":{"namespace":"a","name":"b"},"holder":{"id":"n1","epoch":"2"},"token":"3","version":4,"expiry":5,"claim_id":"00000000000000000000000000000001"}},"invoked":1,"returned":2,"clock":{"seen":[6,7]}}`,
		},
		{
			`{"client":"n1","kind":"Claim","ask":{"actor":{"ns":"a","name":"b"},"node":{"id":"n1","epoch":2}},"outcome":"refused","answer":{"record":{"token":3,"version":4},"node":{"ref":{"id":"n1","epoch":1},"status":2,"last_seen":8},"reason":"ErrHeld","now":9},"call":1,"return":2,"clock":{"seen":[9]}}`,
			`{"client":"n1","call":{"op":"Claim","actor":{"namespace":"a","name":"b"},"node":{"id":"n1","epoch":2}},"result":{"error":{"reason":"ErrHeld","record":{"token":3,"version":4},"node":{"ref":{"id":"n1","epoch":1},"status":2,"last_seen":8},"now":9}},"invoked":1,"returned":2,"clock":{"seen":[9]}}`,
		},
		{
			`{"client":"n1","kind":"Renew","ask":{"token":1},"outcome":"settled","answer":{"error":"lost"},"call":1,"return":2,"clock":{"interval":true,"lo":5}}`,
			`{"client":"n1","call":{"op":"Renew","token":1},"result":{"error":{"reason":"ErrAmbiguous","text":"lost"}},"invoked":1,"returned":2,"clock":{"interval":true,"lo":5}}`,
		},
		{
			`{"client":"n1","kind":"Renew","ask":{"token":1},"outcome":"open","answer":{"error":"lost"},"call":1,"return":2,"clock":{}}`,
			`{"client":"n1","call":{"op":"Renew","token":1},"result":{"error":{"reason":"ErrAmbiguous","text":"lost","may_still_apply":true}},"invoked":1,"returned":2,"clock":{}}`,
		},
		{
			`{"client":"n1","kind":"Renew","ask":{"token":1},"outcome":"unlisted","answer":{"error":"boom"},"call":1,"return":2,"clock":{}}`,
			`{"client":"n1","call":{"op":"Renew","token":1},"result":{"error":{"reason":"Error","text":"boom"}},"invoked":1,"returned":2,"clock":{}}`,
		},
		{
			`{"client":"n1","kind":"ListNodes","ask":{"status":1,"after":"x","limit":2},"outcome":"ok","answer":{"nodes":[{"ref":{"id":"n1","epoch":1},"status":1,"last_seen":5,"address":"z"}],"next":"y"},"call":1,"return":2,"clock":{}}`,
			`{"client":"n1","call":{"op":"ListNodes","status":1,"after":"x","limit":2},"result":{"nodes":[{"ref":{"id":"n1","epoch":1},"status":1,"last_seen":5,"address":"z"}],"next":"y"},"invoked":1,"returned":2,"clock":{}}`,
		},
		{
			`{"client":"n1","kind":"RegisterNode","ask":{"node":{"id":"n1"},"address":"z","mode":1},"outcome":"pending","call":1,"clock":{}}`,
			`{"client":"n1","call":{"op":"RegisterNode","node":{"id":"n1","epoch":0},"address":"z","mode":1},"invoked":1,"clock":{}}`,
		},
	} {
		want, err := history.Read(strings.NewReader(goodHeader + "\n" + tc.now))
		require.NoError(t, err, tc.now)
		got, err := history.Read(strings.NewReader(goodHeader1 + "\n" + tc.old))
		require.NoError(t, err, tc.old)
		require.Equal(t, want.Config, got.Config)
		require.Len(t, got.Ops, 1)
		sameOp(t, want.Ops[0], got.Ops[0])
	}
	// What a call that never returned "answered" means nothing.
	h, err := history.Read(strings.NewReader(goodHeader1 + "\n" + strings.NewReplacer(`"ok"`, `"pending","answer":{"found":true}`, `,"return":2`, ``).Replace(goodLookup1)))
	require.NoError(t, err)
	require.Equal(t, op.Result{Outcome: op.Pending}, h.Ops[0].Result)
	require.Equal(t, int64(history.Never), h.Ops[0].Returned)
}

// The document of the format shows one history, in both versions.
func TestFormatExamples(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	require.NoError(t, err)
	examples := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
	require.Len(t, examples, 2)
	now, err := history.Read(bytes.NewReader(examples[0][1]))
	require.NoError(t, err)
	require.Equal(t, string(examples[0][1]), string(written(t, now)), "it is what Write writes")
	old, err := history.Read(bytes.NewReader(examples[1][1]))
	require.NoError(t, err)
	require.Equal(t, now, old)
	require.Equal(t, linearizability.OK, linearizability.Check(now, linearizability.Options{}).Verdict)
}

const maxLine = 4 << 20

type readError struct{ in, want string }

func checkReadErrors(t *testing.T, cases map[string]readError) {
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := history.Read(strings.NewReader(tc.in))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// spoiled returns how a good line is spoiled, in a file whose other lines are good.
func spoiled(t *testing.T, header, line string) func(old, new string) string {
	h, err := history.Read(strings.NewReader(header + "\n" + line))
	require.NoError(t, err)
	require.Equal(t, registry.ActorID{Namespace: "n", Name: "a"}, h.Ops[0].Call.Actor)
	return func(old, new string) string {
		require.Contains(t, line, old)
		return header + "\n" + strings.Replace(line, old, new, 1)
	}
}

// The reader names the line and what is wrong with it.
func TestReadErrors(t *testing.T) {
	swap := spoiled(t, goodHeader, goodLookup)
	checkReadErrors(t, map[string]readError{
		"empty":               {"", "line 1: the history is empty"},
		"no object":           {"\n", "line 1: the line is empty"},
		"other format":        {`{"format":"x"}`, `line 1: format is "x", want "kelpie-history"`},
		"version to come":     {strings.Replace(goodHeader, `"version":2`, `"version":3`, 1), "line 1: version is 3, this reader knows 1 to 2"},
		"no version":          {strings.Replace(goodHeader, `"version":2,`, ``, 1), "line 1: version is 0, this reader knows 1 to 2"},
		"bad config":          {strings.Replace(goodHeader, `"grace":2`, `"grace":22`, 1), "line 1: invalid argument: config Grace"},
		"unknown field":       {swap(`"invoked":1`, `"invoked":1,"x":1`), `line 2: json: unknown field "x"`},
		"old field":           {swap(`"returned":2`, `"return":2`), `line 2: json: unknown field "return"`},
		"line of version 1":   {goodHeader + "\n" + goodLookup1, `line 2: json: unknown field "kind"`},
		"two values":          {swap(`"clock":{}}`, `"clock":{}} {}`), "line 2: there is more than one JSON value"},
		"empty line":          {goodHeader + "\n\n" + goodLookup, "line 2: the line is empty"},
		"unknown operation":   {swap(`"Lookup"`, `"Steal"`), `line 2: "Steal" is not an operation`},
		"no operation":        {swap(`"op":"Lookup",`, ``), "line 2: call: op is missing"},
		"a batch":             {swap(`"Lookup"`, `"RenewBatch"`), "line 2: a history has no RenewBatch"},
		"closing":             {swap(`"Lookup"`, `"Close"`), "line 2: a history has no Close"},
		"returned first":      {swap(`"returned":2`, `"returned":1`), "line 2: returned is 1, invoked is 1"},
		"result, never":       {swap(`,"returned":2`, ``), "line 2: an operation has a result and returned, or neither"},
		"returned, no result": {swap(`"result":{},`, ``), "line 2: an operation has a result and returned, or neither"},
		"returned at never":   {swap(`"returned":2`, fmt.Sprintf(`"returned":%d`, int64(math.MaxInt64))), "line 2: exactly the operations that are pending"},
		"unknown reason":      {swap(`"result":{}`, `"result":{"error":{"reason":"ErrNo"}}`), `line 2: result: unknown reason "ErrNo"`},
		"no reason":           {swap(`"result":{}`, `"result":{"error":{}}`), `line 2: result: unknown reason ""`},
		"claim id":            {swap(`"actor"`, `"claim_id":"zz","actor"`), "line 2: call: invalid argument: claim id"},
		"record claim id":     {swap(`"result":{}`, `"result":{"record":{"claim_id":"zz"}}`), "line 2: result: invalid argument: claim id"},
		"row claim id":        {swap(`"result":{}`, `"result":{"records":[{"claim_id":"zz"}]}`), "line 2: result: row 1: invalid argument"},
		"lo without":          {swap(`"clock":{}`, `"clock":{"lo":1}`), "line 2: clock: lo and hi"},
		"interval upside":     {swap(`"clock":{}`, `"clock":{"interval":true,"lo":2,"hi":1}`), "line 2: clock: an interval"},
		"calls unordered":     {swap(`"invoked":1,"returned":2`, `"invoked":5,"returned":9`) + "\n" + goodLookup, "line 3: invoked is 1, the operation before has 5"},
		"stamp too large":     {swap(`"invoked":1`, `"invoked":99999999999999999999`), "line 2: json: cannot unmarshal number"},
		"number too large":    {swap(`"actor"`, `"token":"99999999999999999999","actor"`), `line 2: "99999999999999999999" is not a number of this field`},
		"line too long":       {goodHeader + "\n" + strings.Repeat(" ", maxLine+1), "line 2: the line is longer than 4194304 bytes"},
	})
}

// The same of a file of version 1, which has fields of its own.
func TestReadErrorsOfVersion1(t *testing.T) {
	swap := spoiled(t, goodHeader1, goodLookup1)
	checkReadErrors(t, map[string]readError{
		"unknown field":     {swap(`"call":1`, `"call":1,"x":1`), `line 2: json: unknown field "x"`},
		"line of version 2": {goodHeader1 + "\n" + goodLookup, `line 2: json: cannot unmarshal object into Go struct field opLine1.call`},
		"two values":        {swap(`"clock":{}}`, `"clock":{}} {}`), "line 2: there is more than one JSON value"},
		"unknown kind":      {swap(`"Lookup"`, `"Steal"`), `line 2: "Steal" is not an operation`},
		"no kind":           {swap(`"kind":"Lookup",`, ``), `line 2: kind is "none", want one of`},
		"a batch":           {swap(`"Lookup"`, `"RenewBatch"`), "line 2: a history has no RenewBatch"},
		"unknown outcome":   {swap(`"ok"`, `"fine"`), `line 2: outcome is "fine"`},
		"return first":      {swap(`"return":2`, `"return":1`), "line 2: returned is 1, invoked is 1"},
		"ok never":          {swap(`,"return":2`, ``), "line 2: exactly the operations that are pending"},
		"pending returned":  {swap(`"ok"`, `"pending"`), "line 2: exactly the operations that are pending"},
		"unknown reason":    {swap(`"ok"`, `"refused","answer":{"reason":"ErrNo"}`), `line 2: answer: exactly the refused operations have a reason, the name of a refusal`},
		"no refusal":        {swap(`"ok"`, `"refused","answer":{"reason":"ErrClosed"}`), `line 2: answer: exactly the refused`},
		"reason of success": {swap(`"ok"`, `"ok","answer":{"reason":"ErrHeld"}`), `line 2: answer: exactly the refused`},
		"no reason":         {swap(`"ok"`, `"refused"`), "line 2: answer: exactly the refused"},
		"claim id":          {swap(`"ask":{`, `"ask":{"claim_id":"zz",`), "line 2: ask: invalid argument: claim id"},
		"record claim id":   {swap(`"ok"`, `"ok","answer":{"record":{"claim_id":"zz"}}`), "line 2: answer: invalid argument: claim id"},
		"row claim id":      {swap(`"ok"`, `"ok","answer":{"actors":[{"claim_id":"zz"}]}`), "line 2: answer: row 1: invalid argument"},
		"lo without":        {swap(`"clock":{}`, `"clock":{"lo":1}`), "line 2: clock: lo and hi"},
		"interval upside":   {swap(`"clock":{}`, `"clock":{"interval":true,"lo":2,"hi":1}`), "line 2: clock: an interval"},
		"calls unordered":   {swap(`"call":1,"return":2`, `"call":5,"return":9`) + "\n" + goodLookup1, "line 3: invoked is 1, the operation before has 5"},
		"number too large":  {swap(`"call":1`, `"call":99999999999999999999`), "line 2: json: cannot unmarshal number"},
		"number as string":  {swap(`"ask":{`, `"ask":{"token":"1",`), "line 2: json: cannot unmarshal string"},
	})
}

// What a file could not tell is not written.
func TestWriteErrors(t *testing.T) {
	good := func() history.Op {
		return history.Op{Call: op.Call{Kind: op.Lookup, Actor: actorA}, Result: op.Result{Outcome: op.OK}, Invoked: 1, Returned: 2}
	}
	for _, tc := range []struct {
		spoil func(*history.Op)
		want  string
	}{
		{func(o *history.Op) {}, ""},
		{func(o *history.Op) { o.Result.Outcome = op.Pending }, "operation 1: exactly the operations that are pending never returned"},
		{func(o *history.Op) { o.Returned = history.Never }, "operation 1: exactly the operations that are pending never returned"},
		{func(o *history.Op) { o.Returned = 1 }, "operation 1: returned is 1, invoked is 1"},
		{func(o *history.Op) { o.Call.Kind = op.RenewBatch }, "operation 1: a history has no RenewBatch"},
		{func(o *history.Op) { o.Call.Kind = 0 }, "operation 1: a history has no none"},
	} {
		h := history.History{Config: testConfig, Ops: []history.Op{good(), good()}}
		tc.spoil(&h.Ops[1])
		var b bytes.Buffer
		err := history.Write(&b, h)
		if tc.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, tc.want)
	}
	require.ErrorContains(t, history.Write(full{}, history.History{Config: testConfig}), "no space")
}

// full is a file system without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

const fuzzTimeout = 200 * time.Millisecond

// spoil changes one answer, as a wrong registry might have given it.
func spoil(choose chooser, h *history.History) {
	o, other := &h.Ops[choose(len(h.Ops))], &h.Ops[choose(len(h.Ops))]
	switch a := &o.Result; choose(5) {
	case 0:
		a.Record.Version++
	case 1:
		a.Record.Token++
	case 2:
		if a.Outcome != op.Pending && other.Result.Outcome != op.Pending {
			*a = other.Result
		}
	case 3:
		a.Record.Expiry++
	case 4:
		a.Found = !a.Found
	}
}

// No input makes the reader, the checker or the explanation panic, and what is read is written
// and read again unchanged.
func FuzzReadHistory(f *testing.F) {
	f.Add([]byte(goodHeader + "\n" + goodLookup))
	f.Add([]byte(goodHeader1 + "\n" + goodLookup1))
	f.Add([]byte(strings.Replace(goodHeader, `"ttl":10000000000`, `"ttl":9`, 1)))
	for seed := range uint64(6) {
		s := simulation{choose: seeded(seed), steps: 40, lossy: true, timing: seed%2 == 0, batch: true}
		h := s.run()
		spoil(s.choose, &h)
		f.Add(written(f, h))
	}
	files, err := filepath.Glob("testdata/v1/*.jsonl")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := history.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		first := written(t, h)
		again, err := history.Read(bytes.NewReader(first))
		if err != nil {
			t.Fatalf("%v\n%s", err, hex.Dump(first))
		}
		require.Equal(t, string(first), string(written(t, again)))
		if len(h.Ops) < 60 {
			res := linearizability.Check(h, linearizability.Options{Timeout: fuzzTimeout})
			if res.Verdict == linearizability.Illegal {
				require.NotEmpty(t, res.Violations)
				require.Contains(t, explain.As(h, res.Violations[0]).String(), string(res.Violations[0].Rule))
			}
		}
	})
}
