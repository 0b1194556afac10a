package linearizability

import (
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability/internal/simulate"
	"github.com/kelpie-registry/registry/op"
)

// placed decides a segment by a search that gives every operation a place, those
// whose outcome is unknown too.
func (m *rules) placed(s segment) bool {
	var stop, tooMany atomic.Bool
	return porcupine.CheckOperations(m.model(s.from, nil, &stop, &tooMany), operations(s.events))
}

// The verdict with unknown operations left without a place is that of the search
// that places them all (contract, guarantee 6: what an ambiguous operation may or
// may not have done), on histories that are legal and on such with one answer changed.
func TestUnknownOutcomesNeedNoPlace(t *testing.T) {
	legal, illegal, needed := 0, 0, 0
	for seed := range uint64(1500) {
		choose := simulate.Seeded(seed)
		h := simulate.Simulation{
			Choose: choose, Clients: 2 + int(seed%3), Actors: 1, Steps: 30 + int(seed%30), Ambiguous: 2 + int(seed%2),
			Quiet: seed%3 > 0, Shared: seed%2 == 0, Interval: seed%7 == 0,
		}.History()
		if seed%3 != 0 {
			bend(h, choose)
		}
		m := rulesOf(&h)
		for _, p := range partitions(&h, false, nil) {
			s := segment{p.initial(), p.events}
			if len(unknowns(s.events)) > 8 {
				continue // the other search would take too long
			}
			var stop atomic.Bool
			got, tooMany := m.search(s, unknowns(s.events), &stop)
			require.False(t, tooMany)
			want := m.placed(s)
			require.Equal(t, want, got, "seed %d, %s", seed, p.subject)
			if !want {
				illegal++
				continue
			}
			legal++
			if alone, _ := m.search(s, nil, &stop); !alone {
				needed++
			}
		}
	}
	t.Logf("%d parts legal, %d of them by unknown outcomes, %d illegal", legal, needed, illegal)
	assert.Greater(t, needed, 100)
	assert.Greater(t, illegal, 100)
}

// bend changes one answer of h, or the time of one, a little.
func bend(h history.History, choose simulate.Chooser) {
	if len(h.Ops) == 0 {
		return
	}
	switch o := &h.Ops[choose(len(h.Ops))]; {
	case o.Result.Outcome.Ambiguous():
		o.Result = op.Failed(o.Result.Outcome.Err("bent"))
	case o.Result.Record.Version > 1 && choose(2) == 0:
		o.Result.Record.Version--
	case o.Result.Record.Token > 0:
		o.Result.Record.Token++
	case o.Result.Outcome == op.OK && o.Call.Kind == op.Validate:
		o.Result = op.Failed(&registry.Refusal{Reason: registry.ErrNotHeld})
	case o.Result.Outcome == op.Refused:
		o.Result = op.Failed(&registry.Refusal{Reason: registry.ErrFenced})
	}
}

// Unknown outcomes by the dozen are decided: claims of which one or none took
// effect, renewals that all did or none, and what happened between two answers.
func TestManyUnknownOutcomes(t *testing.T) {
	for name, build := range map[string]func(b *book){
		"64 claims, one was granted": func(b *book) {
			for i := range 64 {
				ended(b.claim("n1", 0, byte(i+1), 0, 0), op.Open)
			}
			b.lookup("n2", lease("n1", 0, 40, 1, 1))
		},
		"64 renewals, the record has seen them all": func(b *book) {
			b.claim("n1", 0, 1, 1, 1)
			for range 64 {
				ended(b.renew("n1", 0, 1, 0, 1), op.Settled)
			}
			b.lookup("n2", lease("n1", 0, 1, 65, 1))
		},
		"a renewal that may still apply and 30 that returned, in any order": func(b *book) {
			b.claim("n1", 0, 1, 1, 1)
			ended(b.renew("n1", 0, 1, 0, 1), op.Open)
			for range 30 {
				ended(b.renew("n1", 0, 1, 0, 1), op.Settled)
			}
			b.lookup("n2", lease("n1", 0, 1, 31, 1))
			b.lookup("n2", lease("n1", 0, 1, 32, 1)) // the one that may still apply
		},
		"40 releases and 24 claims, and a grant of another after them": func(b *book) {
			b.claim("n1", 0, 1, 1, 1)
			for range 40 {
				ended(b.release("n1", 1), op.Open)
			}
			for i := range 24 {
				ended(b.claim("n1", 0, byte(i+10), 0, 0), op.Settled)
			}
			b.claim("n2", 0, 2, 3, 2)
		},
	} {
		b := newBook("n1", "n2")
		build(b)
		for _, o := range []Options{{}, {Search: true, NoHints: true}} {
			res := Check(b.History, o)
			assert.Equal(t, OK, res.Verdict, "%s: %s %v", name, res.Reason, res.Violations)
		}
		last := &b.Ops[len(b.Ops)-1] // no set of unknown operations leads there
		last.Result.Record.Version += 200
		for _, o := range []Options{{}, {Search: true, NoHints: true}} {
			assert.Equal(t, Illegal, Check(b.History, o).Verdict, name)
		}
	}
}
