package wire_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/wire"
)

type form struct {
	A int `json:"a"`
}

// A line is one value with known fields, and nothing else.
func TestDecode(t *testing.T) {
	var f form
	require.NoError(t, wire.Decode([]byte(` {"a": 1} `), &f))
	require.Equal(t, form{1}, f)
	for line, want := range map[string]string{
		"":                  "the line is empty",
		"  ":                "the line is empty",
		`{"a": 1} {"a": 2}`: "more than one JSON value",
		`{"a": 1},`:         "more than one JSON value",
		`{"a": 1, "b": 2}`:  `unknown field "b"`,
		`{"a": "1"}`:        "cannot unmarshal string",
		`{"a": 1`:           "unexpected EOF",
	} {
		require.ErrorContains(t, wire.Decode([]byte(line), new(form)), want, line)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"a": 1}`))
	f.Add([]byte(`{"a": 1}{}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var v form
		if wire.Decode(line, &v) != nil {
			return
		}
		require.Error(t, wire.Decode(append(line, "{}"...), new(form)), "what is one value is none with another behind it")
	})
}

// Zero is left out and comes back as zero.
func TestZeroIsLeftOut(t *testing.T) {
	id := registry.ClaimID{1, 15: 2}
	for _, want := range []registry.ClaimID{{}, id} {
		got, err := wire.ParseClaimID(wire.ClaimID(want))
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	assert.Empty(t, wire.ClaimID(registry.ClaimID{}))
	_, err := wire.ParseClaimID("00")
	require.ErrorIs(t, err, registry.ErrInvalid)
}

// A line that an error has broken off is none: whoever reads is told of the error.
func TestLinesBrokenOff(t *testing.T) {
	broken := errors.New("broken off")
	for _, end := range []error{nil, broken} {
		in := io.Reader(strings.NewReader("a\n\nb\nc"))
		if end != nil {
			in = io.MultiReader(in, iotest.ErrReader(end))
		}
		var lines []string
		l := wire.NewLines(in, 100)
		for l.Scan() {
			lines = append(lines, l.Text())
		}
		want := []string{"a", "", "b", "c"}
		if end != nil {
			want = want[:3]
		}
		assert.Equal(t, want, lines)
		assert.Equal(t, end, l.Err())
	}
}
