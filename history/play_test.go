package history_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// What a script asks is what the registry is asked, by the clocks it sets.
func TestPlay(t *testing.T) {
	s, err := history.ParseScript(strings.NewReader(goodScript))
	require.NoError(t, err)
	c := newCluster()
	h, err := history.Play(t.Context(), s, c)
	require.NoError(t, err)
	require.Equal(t, 1, c.crashes)
	require.Equal(t, map[string]int{"n1": 3, "n2": 2, "a client": 1}, c.opened, "after the crash of n1 and that of all")
	res := linearizability.Check(h, linearizability.Options{})
	require.Equal(t, linearizability.OK, res.Verdict, "%+v", res.Violations)
	require.Len(t, h.Ops, 15, "the reference cannot watch, and the rest are operations")
	claim := h.Ops[2]
	require.Equal(t, history.Seen(testStart), claim.Clock)
	require.Equal(t, registry.Token(1), claim.Result.Record.Token)
	second := h.Ops[3]
	if second.Call.Kind != op.Claim {
		second = h.Ops[4] // they run at the same time
	}
	require.Equal(t, op.Held, second.Result.Reason)
	require.Equal(t, testStart.Add(9500*time.Millisecond), second.Result.Now)
}

// meeting lets no call go on before as many are under way at once.
type meeting struct {
	*cluster
	sync.WaitGroup
}

func (m *meeting) Open(client string, clock registry.Clock) (registry.Handle, error) {
	inner, err := m.cluster.Open(client, clock)
	return op.Handle(func(ctx context.Context, c op.Call) op.Result {
		m.Done()
		m.Wait()
		return op.Do(ctx, inner, &c)
	}, op.Powers{}), err
}

// Steps that begin with | are carried out at the same time as the one before, and
// the next step waits for all of them.
func TestPlayAtTheSameTime(t *testing.T) {
	s, err := history.ParseScript(strings.NewReader("a: GetNode node=n\n| b: GetNode node=n\n| a: GetNode node=n"))
	require.NoError(t, err)
	m := &meeting{cluster: newCluster()}
	m.Add(3)
	h, err := history.Play(t.Context(), s, m)
	require.NoError(t, err)
	require.Len(t, h.Ops, 3)
	for i := range h.Ops {
		require.Less(t, h.Ops[2].Invoked, h.Ops[i].Returned)
	}
}

func TestPlayCannotCrash(t *testing.T) {
	s, err := history.ParseScript(strings.NewReader(goodScript))
	require.NoError(t, err)
	c := newCluster()
	c.broken = true
	_, err = history.Play(t.Context(), s, c)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "step 15, Crash")
}

// scriptOf asks what a history's clients asked one after the other, each by the
// clock that it read.
func scriptOf(h history.History) history.Script {
	s := history.Script{Config: h.Config}
	for _, o := range h.Ops {
		if len(o.Clock.Seen) > 0 {
			s.Steps = append(s.Steps, history.Step{Client: o.Client, Event: history.Clock, At: o.Clock.Seen[0].Sub(testStart)})
		}
		s.Steps = append(s.Steps, history.Step{Client: o.Client, Call: o.Call})
	}
	return s
}

// The script of a history without overlap, carried out on the reference, leaves
// the same history, but for what a script does not say of leases.
func TestScriptOfHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSimulation(t)
		s.lossy, s.timing, s.batch = false, false, false
		h := s.run()
		script := scriptOf(h)
		parsed, err := history.ParseScript(strings.NewReader(script.String()))
		require.NoError(t, err)
		require.Equal(t, script.String(), parsed.String())
		c := newCluster()
		c.extended = true
		again, err := history.Play(t.Context(), parsed, c)
		require.NoError(t, err)
		require.Len(t, again.Ops, len(h.Ops))
		for i, want := range h.Ops {
			got := again.Ops[i]
			if want.Call.Kind != op.Claim {
				want.Call.Version, want.Call.Expiry, want.Call.ClaimID = 0, 0, registry.ClaimID{}
			}
			sameOp(t, want, got)
		}
	})
}
