package fdbimpl

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// The codes of FoundationDB 7.3.79 and what its own predicates say of them.
func TestFates(t *testing.T) {
	for code, want := range map[int]struct{ read, commit fate }{
		1007: {again, again},
		1009: {again, again},
		1020: {again, again},
		1037: {again, again},
		1038: {again, again},
		1042: {again, again},
		1051: {again, again},
		1078: {again, again},
		1213: {again, again},
		1021: {again, settled},
		1039: {again, pending}, // maybe committed; no dummy transaction settles it
		1031: {hopeless, pending},
		1025: {hopeless, pending},
		1100: {hopeless, pending},
		1101: {hopeless, pending},
		1004: {hopeless, pending},
		2017: {hopeless, pending}, // seen from commits that landed
		2000: {hopeless, hopeless},
		2101: {hopeless, hopeless},
		2103: {hopeless, hopeless},
		1999: {hopeless, pending}, // not known: the worst
	} {
		assert.Equal(t, want.read, readFate(code), "read %d", code)
		assert.Equal(t, want.commit, commitFate(code), "commit %d", code)
	}
}

func TestMarksAreUnique(t *testing.T) {
	seen := map[mark]bool{}
	a, b := newMarks(), newMarks()
	for range 1000 {
		seen[a.next()], seen[b.next()] = true, true
	}
	assert.Len(t, seen, 2000)
	assert.NotContains(t, seen, mark{}, "the mark of nothing stored")
}

// judge against a store that does what it assumes: a write succeeds only over the
// stamp it read. Whatever others write before and after, it never says applied of
// an attempt that was not, nor refuted of one that was; and untouched only while
// nothing was written.
func TestJudgeNeverContradictsTheStore(t *testing.T) {
	ks := newMarks()
	verdicts := map[verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		var stored stamp
		other := func(n int) {
			for range n {
				stored = stored.next(ks.next())
			}
		}
		other(rapid.IntRange(0, 3).Draw(t, "history"))
		base, mine := stored, ks.next()
		other(rapid.IntRange(0, 2).Draw(t, "others before the commit"))
		landed := stored == base && rapid.Bool().Draw(t, "lands")
		if landed {
			stored = base.next(mine)
		}
		other(rapid.IntRange(0, 2).Draw(t, "others after the commit"))

		v := judge(base, stored, mine)
		verdicts[v]++
		switch v {
		case applied:
			assert.True(t, landed)
		case refuted:
			assert.False(t, landed)
		case untouched:
			assert.False(t, landed)
			assert.Equal(t, base, stored)
		case overtaken:
			assert.NotEqual(t, base, stored, "some write was committed after the read")
		}
		if landed && stored == base.next(mine) {
			assert.Equal(t, applied, v, "its write is the latest")
		}
	})
	assert.Len(t, verdicts, 4, "every verdict was reached: %v", verdicts)
}
