package history_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Texts count from the earliest reading that is known.
func TestOrigin(t *testing.T) {
	with := func(clocks ...history.Readings) *history.History {
		h := &history.History{}
		for _, c := range clocks {
			h.Ops = append(h.Ops, history.Op{Clock: c})
		}
		return h
	}
	for _, tc := range []struct {
		h    *history.History
		want registry.Instant
	}{
		{with(), 0},
		{with(history.Seen(), history.AnyReading()), 0},
		{with(history.Seen(7, 5), history.Seen(6)), 5},
		{with(history.Seen(7), history.Within(3, 9)), 3},
		{with(history.Seen(7), history.Within(math.MinInt64, 3)), 7},
	} {
		require.Equal(t, tc.want, tc.h.Origin())
	}
}

// Only a namespace that all actors share can be left out.
func TestNamespace(t *testing.T) {
	with := func(namespaces ...string) *history.History {
		h := &history.History{}
		for _, n := range namespaces {
			h.Ops = append(h.Ops, history.Op{Call: op.Call{Actor: registry.ActorID{Namespace: n}}})
		}
		return h
	}
	require.Empty(t, with().Namespace())
	require.Equal(t, "a", with("", "a", "", "a").Namespace())
	require.Empty(t, with("a", "", "b").Namespace())
	require.Empty(t, with("a", "b", "a").Namespace())
}

// A part of a history is numbered anew, and the whole stays as it was.
func TestWith(t *testing.T) {
	h := history.History{Config: testConfig, Ops: []history.Op{{ID: 0, Client: "a"}, {ID: 1, Client: "b"}, {ID: 2, Client: "c"}}}
	part := h.With(h.Ops[1:])
	require.Equal(t, []history.Op{{ID: 0, Client: "b"}, {ID: 1, Client: "c"}}, part.Ops)
	require.Equal(t, testConfig, part.Config)
	require.Equal(t, 1, h.Ops[1].ID)
}

// The ends of an interval are possible readings; of those seen, each is.
func TestContains(t *testing.T) {
	for c, want := range map[registry.Instant]bool{1: false, 2: true, 3: true, 4: true, 5: false} {
		require.Equal(t, want, history.Within(2, 4).Contains(c))
		require.Equal(t, want && c != 3, history.Seen(4, 2).Contains(c))
		require.True(t, history.AnyReading().Contains(c))
	}
}
