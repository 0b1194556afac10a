package op_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/wire"
	"github.com/kelpie-registry/registry/op"
)

// reread writes v and reads it strictly into another value of its type.
func reread[T any](t require.TestingT, v T) (got T) {
	line, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, wire.Decode(line, &got), "%s", line)
	return got
}

// A call of any kind is read as it was written.
func TestCallRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawCall(t, drawKind(t))
		fields := reread(t, want.Fields())
		got, err := fields.Call()
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// sameError compares what an error says: its reason, text and details. The
// values are others where they came from a file.
func sameError(t require.TestingT, want, got error) {
	require.Equal(t, op.ReasonOf(want), op.ReasonOf(got))
	if want == nil {
		return
	}
	require.Equal(t, want.Error(), got.Error())
	var ambiguous *registry.AmbiguousError
	if errors.As(want, &ambiguous) {
		return // its cause is text by then
	}
	if reason := op.ReasonOf(want); reason.Refusal() || reason == "ErrInvalid" || reason == "ErrConfigMismatch" {
		require.Equal(t, want, got)
	}
}

// sameResult compares results by all that they say.
func sameResult(t require.TestingT, want, got op.Result) {
	sameError(t, want.Err, got.Err)
	require.Len(t, got.Renewals, len(want.Renewals))
	for i := range want.Renewals {
		sameResult(t, want.Renewals[i], got.Renewals[i])
	}
	want.Err, got.Err, want.Renewals, got.Renewals = nil, nil, nil, nil
	require.Equal(t, want, got)
}

// A result of any outcome, of a call of any kind, is read as it was written.
func TestResultRoundTrip(t *testing.T) {
	for _, o := range outcomes() {
		t.Run(string(o), rapid.MakeCheck(func(t *rapid.T) {
			k := drawKind(t)
			c := drawCall(t, k)
			want := op.Do(t.Context(), &answering{answer: drawAnswer(t, o)}, &c)
			fields := reread(t, want.Fields())
			if want.Outcome == op.Refused { // what it found stands with the error
				require.Equal(t, op.ResultFields{Error: fields.Error}, fields)
			}
			got, err := fields.Result(k)
			require.NoError(t, err)
			sameResult(t, want, got)
			again := got.Fields()
			require.Equal(t, fields, reread(t, again), "written again it is the same text")
		}))
	}
}

// A result is written as it is, also where a minimised history has other values
// than the error that was returned. A watch that answers with a record found it.
func TestResultIsWrittenAsItIs(t *testing.T) {
	r := op.Failed(&registry.Refusal{Reason: registry.ErrHeld, Placement: registry.Placement{Token: 1}, Now: 5})
	r.Record.Token, r.Now = 2, 6
	fields := r.Fields()
	got, err := fields.Result(op.Claim)
	require.NoError(t, err)
	require.Equal(t, op.Failed(&registry.Refusal{Reason: registry.ErrHeld, Placement: r.Record, Now: 6}), got)

	for version, found := range map[registry.Version]bool{0: false, 3: true} {
		r := op.Result{Outcome: op.OK, Record: registry.Placement{Token: 1, Version: version}}
		fields := r.Fields()
		got, err := fields.Result(op.Watch)
		require.NoError(t, err)
		require.Equal(t, found, got.Found)
	}
}

// Errors without the detail of their kind keep their reason and their text.
func TestBareErrorsInJSON(t *testing.T) {
	for _, want := range []error{
		registry.ErrInvalid, registry.ErrClosed, registry.ErrUnavailable, errors.New("boom"), op.Invalid.Err("some text"), op.Closed.Err("closed"),
	} {
		got, err := op.ErrorOf(want).Err()
		require.NoError(t, err)
		require.Equal(t, op.ReasonOf(want), op.ReasonOf(got))
		require.Equal(t, want.Error(), got.Error())
	}
	for _, bare := range []error{registry.ErrHeld, registry.ErrNodeUnknown, registry.ErrAmbiguous, registry.ErrConfigMismatch} {
		got, err := op.ErrorOf(bare).Err()
		require.NoError(t, err)
		want, again := op.Failed(bare), op.Failed(got)
		want.Err, again.Err = nil, nil
		require.Equal(t, want, again)
	}
	require.Nil(t, op.ErrorOf(nil))
	got, err := (*op.ErrorFields)(nil).Err()
	require.NoError(t, err)
	require.NoError(t, got)
}

// Numbers are decimal digits in the one form in which they are written, in a
// string or bare, and within the range of their field.
func TestNumbers(t *testing.T) {
	read := func(field, number string) (op.Call, error) {
		var f op.CallFields
		if err := wire.Decode([]byte(`{"op":"Renew","`+field+`":`+number+`}`), &f); err != nil {
			return op.Call{}, err
		}
		return f.Call()
	}
	for number, want := range map[string]uint64{
		`0`: 0, `"0"`: 0, `7`: 7, `"7"`: 7, `18446744073709551615`: 1<<64 - 1, `"18446744073709551615"`: 1<<64 - 1,
	} {
		c, err := read("token", number)
		require.NoError(t, err, number)
		require.Equal(t, registry.Token(want), c.Token)
	}
	for number, want := range map[string]registry.Instant{
		`"-9223372036854775808"`: -1 << 63, `9223372036854775807`: 1<<63 - 1, `"-5"`: -5, `-5`: -5,
	} {
		c, err := read("expiry", number)
		require.NoError(t, err, number)
		require.Equal(t, want, c.Expiry)
	}
	for _, number := range []string{
		`""`, `"x"`, `"07"`, `"+7"`, `" 7"`, `"7 "`, `"-0"`, `-0`, `"0x7"`, `"7.0"`, `7.0`, `7e2`, `"1_000"`, `true`, `null`, `[7]`, `{}`, `"\u0037"`,
	} {
		for _, field := range []string{"token", "version", "expiry", "seen"} {
			_, err := read(field, number)
			require.ErrorContains(t, err, "is not a number of this field", "%s %s", field, number)
		}
	}
	for field, number := range map[string]string{
		"token": `"-1"`, "version": `-1`, "seen": `"18446744073709551616"`, "expiry": `"9223372036854775808"`,
	} {
		_, err := read(field, number)
		require.ErrorContains(t, err, number+" is not a number of this field")
	}
}

// What is no call or no result is an error that names the part.
func TestJSONErrors(t *testing.T) {
	for line, want := range map[string]string{
		`{}`:                             "op is missing",
		`{"op":"Steal"}`:                 `"Steal" is not an operation, want one of [Claim`,
		`{"op":"Claim","claim_id":"zz"}`: "invalid argument: claim id",
		`{"op":"RenewBatch","leases":[{},{"claim_id":"zz"}]}`:  "lease 2: invalid argument: claim id",
		`{"op":"Claim","kind":"Claim"}`:                        `unknown field "kind"`,
		`{"op":"Claim","node":{"id":"n","epoch":"-1"}}`:        `"-1" is not a number`,
		`{"op":"Claim","actor":{"namespace":"a","title":"b"}}`: `unknown field "title"`,
	} {
		var f op.CallFields
		err := wire.Decode([]byte(line), &f)
		if err == nil {
			_, err = f.Call()
		}
		require.ErrorContains(t, err, want, line)
	}
	for line, want := range map[string]string{
		`{"error":{}}`:                    `unknown reason ""`,
		`{"error":{"reason":"ErrNo"}}`:    `unknown reason "ErrNo"`,
		`{"record":{"claim_id":"zz"}}`:    "invalid argument: claim id",
		`{"records":[{"claim_id":"zz"}]}`: "row 1: invalid argument",
		`{"renewals":[{"error":{}}]}`:     `renewal 1: unknown reason ""`,
		`{"found":1}`:                     "cannot unmarshal number",
		`{"error":{"reason":"ErrHeld","record":{"claim_id":"zz"}}}`: "invalid argument: claim id",
	} {
		var f op.ResultFields
		err := wire.Decode([]byte(line), &f)
		if err == nil {
			_, err = f.Result(op.Lookup)
		}
		require.ErrorContains(t, err, want, line)
	}
}

// The form is a compatibility promise: files and other processes are written in it.
func TestCallJSONForm(t *testing.T) {
	c := good(op.Claim)
	line, err := json.Marshal(c.Fields())
	require.NoError(t, err)
	require.Equal(t, `{"op":"Claim","actor":{"namespace":"room","name":"42"},"node":{"id":"n1","epoch":"1"},"claim_id":"`+strings.Repeat("0", 31)+`1"}`, string(line))
}

// No text makes the reader panic, and a call that was read is written in a form
// that is read as the same.
func FuzzCallJSON(f *testing.F) {
	for _, k := range op.Kinds() {
		c := good(k)
		c.Leases = []registry.Lease{{Token: 1}}
		line, err := json.Marshal(c.Fields())
		require.NoError(f, err)
		f.Add(line)
	}
	f.Add([]byte(`{"op":"Claim","token":"18446744073709551615","expiry":-1,"limit":-1,"status":255}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var fields op.CallFields
		if wire.Decode(line, &fields) != nil {
			return
		}
		c, err := fields.Call()
		if err != nil {
			return
		}
		_, _, _ = c.Validate(), c.Script(), op.Text{}.Call(&c)
		again := reread(t, c.Fields())
		got, err := again.Call()
		require.NoError(t, err)
		require.Equal(t, c, got)
	})
}

// The same of a result.
func FuzzResultJSON(f *testing.F) {
	f.Add("Claim", []byte(`{"record":{"token":"1","version":1,"expiry":"-3"}}`))
	f.Add("RenewBatch", []byte(`{"renewals":[{"record":{"token":1,"version":1,"expiry":1}},{"error":{"reason":"ErrAmbiguous","may_still_apply":true}}]}`))
	for _, o := range outcomes() {
		r := op.Failed(o.Err("text"))
		line, err := json.Marshal(r.Fields())
		require.NoError(f, err)
		f.Add("Lookup", line)
	}
	f.Fuzz(func(t *testing.T, kind string, line []byte) {
		var fields op.ResultFields
		if wire.Decode(line, &fields) != nil {
			return
		}
		k := op.KindOf(kind)
		r, err := fields.Result(k)
		if err != nil {
			return
		}
		_ = op.Text{}.Result(k, &r)
		again := reread(t, r.Fields())
		got, err := again.Result(k)
		require.NoError(t, err)
		sameResult(t, r, got)
	})
}
