package linearizability

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
	"github.com/kelpie-registry/registry/op"
)

// consequence is a history in which two nodes come to hold the actor and a later
// call is refused because of it. The second node claims under an id that it has
// used before, so that only a search sees that the claim took a live lease; the
// refusal contradicts itself.
func consequence() *book {
	b := newBook("n1", "n2")
	b.claim("n1", 0, 2, 1, 1)
	b.claim("n2", 14*s, 3, 2, 2)
	b.renew("n2", 15*s, 3, 3, 2)
	b.claim("n1", 16*s, 2, 4, 3)
	b.refused(b.renew("n1", 16*s, 2, 5, 3), op.NotHeld, lease("n1", 16*s, 2, 4, 3))
	return b
}

// Contract, section 4.1: a conviction names the first answer that breaks the contract,
// not a consequence of it.
func TestFirstNamesNoConsequence(t *testing.T) {
	h := consequence().History
	res := Check(h, Options{})
	require.Equal(t, Illegal, res.Verdict)
	h, res = First(h, res, Options{})
	require.Len(t, h.Ops, 6, "the refusal is left out")
	require.Equal(t, contract.SingleActivation, res.Violations[0].Rule, "%+v", res.Violations[0])
	require.Equal(t, "Claimable", res.Violations[0].Guard)
	require.Equal(t, 5, res.Violations[0].Op)
}

// A history whose beginning is wrong is convicted of that.
func TestFirstOfAHistoryWithoutRegistrations(t *testing.T) {
	h := consequence().History
	h = h.With(h.Ops[2:])
	h, res := First(h, Check(h, Options{}), Options{})
	require.Len(t, h.Ops, 1)
	require.Equal(t, "NodeKnown", res.Violations[0].Guard)
}

func TestFirstLeavesOthersAlone(t *testing.T) {
	b := newBook("n1")
	h, res := First(b.History, Check(b.History, Options{}), Options{})
	require.Equal(t, OK, res.Verdict)
	require.Equal(t, b.History, h)
}

// The beginning before the first wrong answer is right, and the one with it is not.
func TestFirstIsTheFirst(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		sim := drawSimulation(t)
		h := sim.History()
		for range rapid.IntRange(1, 3).Draw(t, "spoils") {
			simulate.Spoil(sim.Choose, &h)
		}
		res := Check(h, Options{})
		if res.Verdict != Illegal {
			return
		}
		found++
		first, r := First(h, res, Options{})
		require.Equal(t, Illegal, r.Verdict)
		require.Equal(t, Illegal, Check(first, Options{}).Verdict)
		last := int64(0)
		for i := range first.Ops {
			if e := first.Ops[i].Returned; e != history.Never {
				last = max(last, e)
			}
		}
		require.NotEqual(t, Illegal, Check(upTo(first, last-1), Options{}).Verdict)
	})
	t.Logf("%d wrong histories", found)
	require.NotZero(t, found)
}

// Calls that had not returned are pending, and allow more: a right history has
// only right beginnings.
func TestBeginningsOfRightHistoriesAreRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawSimulation(t).History()
		require.NotEqual(t, Illegal, Check(upTo(h, rapid.Int64Range(0, int64(4*len(h.Ops))).Draw(t, "stamp")), Options{}).Verdict)
	})
}
