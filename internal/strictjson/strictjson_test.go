package strictjson_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/strictjson"
)

type inner struct {
	N uint64 `json:"n,omitempty"`
}

// loud reads itself: what stands in it is its own affair.
type loud string

func (l *loud) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] == '5' {
		return errors.New("no five")
	}
	*l = loud(strings.ToUpper(string(b)))
	return nil
}

type form struct {
	inner
	Text  string            `json:"text,omitempty"`
	List  []inner           `json:"list,omitempty"`
	Next  *form             `json:"next,omitempty"`
	Meta  map[string]string `json:"meta,omitempty"`
	Loud  loud              `json:"loud,omitempty"`
	Any   any               `json:"any,omitempty"`
	Bare  bool
	Never int `json:"-"`
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, text := range []string{
		`{}`, ` { "text" : "a" , "n" : 3 } `, `{"list":[{},{"n":1}],"Bare":true}`, "{\"next\":{\"next\":{\"meta\":{\"a\":\"b\",\"A\":\"c\"}}}}\n",
		`{"text":"😀 � \"\\"}`, `{"text":"\ud83d\ude00"}`, `{"\u0074ext":"x"}`, `{"any":{"x":[1,{"y":null}]},"loud":{"z":1}}`, `{"list":[ ],"next":null}`, `{"text":"�"}`,
	} {
		var got, want form
		require.NoError(t, strictjson.Unmarshal([]byte(text), &got), text)
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		assert.Equal(t, want, got, text)
	}
}

// One value has one text: what the standard decoder would guess at is refused.
func TestWhatCanBeReadInTwoWaysIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		``:                              "EOF",
		" \n":                           "EOF",
		`{} {}`:                         "more than one",
		`{},`:                           "more than one",
		`{}x`:                           "more than one",
		`{"Text":"a"}`:                  `unknown field "Text"`,
		`{"TEXT":"a"}`:                  `unknown field "TEXT"`,
		`{"N":1}`:                       `unknown field "N"`,
		`{"bare":true}`:                 `unknown field "bare"`,
		`{"Never":1}`:                   `unknown field "Never"`,
		`{"next":{"list":[{"N":1}]}}`:   `unknown field "N"`,
		`{"text":"a","text":"a"}`:       `"text" appears twice`,
		`{"text":"a","\u0074ext":"b"}`:  `"text" appears twice`,
		`{"list":[{"n":1,"n":2}]}`:      `"n" appears twice`,
		`{"meta":{"a":"1","a":"2"}}`:    `"a" appears twice`,
		`{"any":{"x":1,"x":2}}`:         `"x" appears twice`,
		"{\"text\":\"\xff\"}":           "not valid UTF-8",
		`{"text":"\ud83d"}`:             "surrogate",
		`{"text":"\ude00\ud83d"}`:       "surrogate",
		`{"text":"\ud83d\n"}`:           "surrogate",
		`{"meta":{"\ud83d":"","�":""}}`: "surrogate",
		`{"n":-1}`:                      "cannot unmarshal",
		`{"n":1`:                        "EOF",
	} {
		require.ErrorContains(t, strictjson.Unmarshal([]byte(text), new(form)), want, "%q", text)
	}
	require.ErrorIs(t, strictjson.Unmarshal(nil, new(form)), io.EOF)
}

// Whatever is accepted means what it says: its canonical text is accepted again,
// with the same value, and no second value fits behind it.
func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`{"text":"a","n":3}`, `{"list":[{"n":1}],"next":{"meta":{"a":"b"}}}`, `{"any":[{"x":"\ud83d\ude00"}],"loud":[1]}`, `{"Text":1}`, `{"n":1,"n":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var v form
		if strictjson.Unmarshal(text, &v) != nil {
			return
		}
		var same form
		require.NoError(t, json.Unmarshal(text, &same))
		require.Equal(t, same, v)
		require.Error(t, strictjson.Unmarshal(append(text, "{}"...), new(form)))
		v.Loud = "" // it writes what it does not read
		again, err := json.Marshal(v)
		require.NoError(t, err)
		var back form
		require.NoError(t, strictjson.Unmarshal(again, &back))
		require.Equal(t, len(v.List), len(back.List))
	})
}
