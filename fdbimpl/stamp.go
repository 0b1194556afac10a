package fdbimpl

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
)

// A mark names one attempt of one operation. It is stored with everything the
// attempt writes, so that the attempt can recognise its own write afterwards.
type mark [16]byte

// marks makes marks that no other attempt has: random per handle, counted within it.
type marks struct {
	handle [8]byte
	count  atomic.Uint64
}

func newMarks() *marks {
	m := new(marks)
	_, _ = rand.Read(m.handle[:]) // never fails: crypto/rand ends the process instead
	return m
}

func (m *marks) next() mark {
	var k mark
	copy(k[:8], m.handle[:])
	binary.BigEndian.PutUint64(k[8:], m.count.Add(1))
	return k
}

// A stamp is the part of a stored value that tells who wrote it: the revision,
// one more at every write and 0 where nothing is stored, and the writer's mark.
type stamp struct {
	rev  uint64
	mark mark
}

// verdict is what a later read says of an attempt whose outcome is unknown.
type verdict uint8

const (
	untouched verdict = iota // not applied up to this read; it may still be, unless it is settled
	applied                  // applied
	refuted                  // not applied, and it never will be
	overtaken                // too much was written since to tell; it will not be applied after this read
)

// judge says what found proves about the attempt k that read revision base and wrote
// base+1.
//
// The attempt wrote only if base was still stored when it committed, because base
// is in its read set. So it is the writer of revision base+1 or of none. A
// different mark at that revision therefore refutes it. A higher revision hides
// who wrote that one; but some write was committed after the attempt's read
// version, either its own or one that makes it conflict, so it has nothing left
// to do.
func judge(base uint64, found stamp, k mark) verdict {
	switch {
	case found.mark == k:
		return applied
	case found.rev == base:
		return untouched
	case found.rev == base+1:
		return refuted
	default:
		return overtaken
	}
}
