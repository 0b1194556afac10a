package fdbimpl

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
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
	var stored stamp
	others := func(n int) {
		for range n {
			stored = stamp{stored.rev + 1, ks.next()}
		}
	}
	verdicts := map[verdict]int{}
	for c := range 3 * 3 * 2 * 3 { // writes of others: ever, before the commit, after it; and whether it may land
		history, before, lands, after := c%3, c/3%3, c/9%2 == 1, c/18
		stored = stamp{}
		others(history)
		base, mine := stored, stamp{stored.rev + 1, ks.next()}
		others(before)
		landed := lands && stored == base
		if landed {
			stored = mine
		}
		others(after)

		v := judge(base.rev, stored, mine.mark)
		verdicts[v]++
		in := fmt.Sprintf("history %d, before %d, landed %v, after %d", history, before, landed, after)
		switch v {
		case applied:
			assert.True(t, landed, in)
		case refuted:
			assert.False(t, landed, in)
		case untouched:
			assert.Equal(t, base, stored, in)
		case overtaken:
			assert.NotEqual(t, base, stored, "%s: some write was committed after the read", in)
		}
		switch {
		case stored == mine:
			assert.Equal(t, applied, v, "%s: its write is the latest", in)
		case before+after == 0:
			assert.Equal(t, untouched, v, in)
		case stored.rev == base.rev+1:
			assert.Equal(t, refuted, v, "%s: another's write is the one that its would be", in)
		}
	}
	assert.Len(t, verdicts, 4, "every verdict was reached: %v", verdicts)
}
