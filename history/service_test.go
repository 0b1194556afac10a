package history_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

var served = registry.ActorID{Namespace: "room", Name: "42"}

// A service has the stamps of its beginning and end, among those of the calls, and
// a reading at both and at each call and answer in between.
func TestServiceIsRecorded(t *testing.T) {
	rec := history.NewRecorder(testConfig)
	wall := registry.NewManualClock(100)
	rec.Clock("n1", wall)
	stop := rec.Serve("n1", served, 3)
	wall.Set(110)
	rec.Look("n1")
	open := rec.History().Served
	require.Len(t, open, 1)
	assert.Equal(t, int64(history.Never), open[0].Until)
	wall.Set(120)
	stop(errors.New("lease has run out"))
	stop(errors.New("again"))
	got := rec.History().Served
	require.Len(t, got, 1)
	s := got[0]
	assert.Equal(t, history.Service{Client: "n1", Actor: served, Token: 3, From: 1, Until: 3, Why: "lease has run out",
		Clock: []history.Reading{{At: 1, Now: 100}, {At: 2, Now: 110}, {At: 3, Now: 120}}}, s)
}

// A process that does not run serves nobody.
func TestServiceIsInterruptedByAHalt(t *testing.T) {
	rec := history.NewRecorder(testConfig)
	first := rec.Serve("n1", served, 1)
	second := rec.Serve("n1", registry.ActorID{Namespace: "room", Name: "43"}, 1)
	rec.Halt("n1")
	require.Len(t, rec.History().Served, 2)
	first(nil) // it noticed when it woke
	third := rec.Serve("n1", registry.ActorID{Namespace: "room", Name: "44"}, 1)
	require.Len(t, rec.History().Served, 2, "nothing is served by a process that does not run")
	rec.Continue("n1")
	second(nil)
	third(nil)
	var names []string
	for _, s := range rec.History().Served {
		names = append(names, s.Actor.Name)
	}
	assert.Equal(t, []string{"42", "43", "43", "44"}, names)
}

// Services stand in the file at their place among the operations, and come back.
func TestServicesRoundTrip(t *testing.T) {
	h := history.History{Config: testConfig, Meta: map[string]string{}, Served: []history.Service{
		{Client: "n1", Actor: served, Token: 1<<64 - 1, From: 3, Until: 9, Why: "released", Clock: []history.Reading{{At: 3, Now: 5}, {At: 9, Now: 4}}},
		{Client: "n2", Actor: served, Token: 2, From: 10, Until: history.Never},
	}}
	lookup := history.Op{Call: op.Call{Kind: op.Lookup, Actor: actorA}, Result: op.Result{Outcome: op.OK}}
	first, second := lookup, lookup
	first.Invoked, first.Returned, second.ID, second.Invoked, second.Returned = 1, 2, 1, 4, 5
	h.Ops = []history.Op{first, second}
	text := written(t, h)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	require.Len(t, lines, 5)
	assert.Equal(t, `{"client":"n1","serves":{"actor":{"namespace":"room","name":"42"},"token":"18446744073709551615"},"from":3,"until":9,"why":"released","clock":[{"at":3,"now":5},{"at":9,"now":4}]}`, lines[2])
	got, err := history.Read(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, h.Served, got.Served)
	require.Equal(t, text, written(t, got))
}

func TestBadServicesAreRefused(t *testing.T) {
	header, _, _ := strings.Cut(string(written(t, history.History{Config: testConfig})), "\n")
	for line, want := range map[string]string{
		`{"client":"n1","serves":{"actor":{"namespace":"a","name":"b"},"token":"0"},"from":3}`:                                             "0 is none",
		`{"client":"n1","serves":{"actor":{"namespace":"a","name":"b"},"token":"x"},"from":3}`:                                             "token",
		`{"client":"n1","serves":{"actor":{"namespace":"a","name":"b"},"token":"1"},"from":3,"until":3}`:                                   "ends after it began",
		`{"client":"n1","serves":{"actor":{"namespace":"a","name":"b"},"token":"1"},"from":3,"invoked":1}`:                                 `unknown field "invoked"`,
		`{"client":"n1","serves":{"actor":{"namespace":"a","name":"b"},"token":"1"},"from":3,"clock":[{"at":2,"now":1}]}`:                  "made during it",
		`{"client":"n1","serves":{"actor":{"namespace":"a","name":"b"},"token":"1"},"from":3,"clock":[{"at":4,"now":1},{"at":4,"now":2}]}`: "made during it",
	} {
		_, err := history.Read(strings.NewReader(header + "\n" + line + "\n"))
		require.ErrorContains(t, err, want, line)
	}
	require.ErrorContains(t, history.Write(&bytes.Buffer{}, history.History{Config: testConfig, Served: []history.Service{{From: 1, Until: 2}}}), "0 is none")
}
