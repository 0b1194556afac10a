package fdbsim

import (
	"bytes"
	"slices"
	"sort"
)

// KeyValue is one row.
type KeyValue struct{ Key, Value []byte }

// KeyRange is the half-open interval [Begin, End) of keys.
type KeyRange struct{ Begin, End []byte }

// KeySelector names a key by its place relative to another: the Offset-th key after the last key
// that is below Key (or not above it, when OrEqual).
type KeySelector struct {
	Key     []byte
	OrEqual bool
	Offset  int
}

// FirstGreaterOrEqual selects the first key that is not below key.
func FirstGreaterOrEqual(key []byte) KeySelector { return KeySelector{Key: key, Offset: 1} }

var (
	systemBegin  = []byte{0xff}
	specialBegin = []byte{0xff, 0xff}
)

// keyAfter is the first key above key.
func keyAfter(key []byte) []byte {
	return append(append(make([]byte, 0, len(key)+1), key...), 0)
}

func singleKey(key []byte) KeyRange { return KeyRange{key, keyAfter(key)} }

func (r KeyRange) empty() bool { return bytes.Compare(r.Begin, r.End) >= 0 }

func (r KeyRange) contains(key []byte) bool {
	return bytes.Compare(r.Begin, key) <= 0 && bytes.Compare(key, r.End) < 0
}

func (r KeyRange) intersects(o KeyRange) bool {
	return bytes.Compare(r.Begin, o.End) < 0 && bytes.Compare(o.Begin, r.End) < 0
}

// rangeSet is a set of keys as disjoint ranges in order. Touching ranges are joined.
type rangeSet []KeyRange

// find is the index of the first range that ends after key.
func (s rangeSet) find(key []byte) int {
	return sort.Search(len(s), func(i int) bool { return bytes.Compare(s[i].End, key) > 0 })
}

func (s rangeSet) contains(key []byte) bool {
	i := s.find(key)
	return i < len(s) && s[i].contains(key)
}

func (s rangeSet) intersects(r KeyRange) bool {
	i := s.find(r.Begin)
	return i < len(s) && s[i].intersects(r)
}

// add returns the set with r joined in, built in the memory of s.
func (s rangeSet) add(r KeyRange) rangeSet {
	if r.empty() {
		return s
	}
	i := sort.Search(len(s), func(i int) bool { return bytes.Compare(s[i].End, r.Begin) >= 0 })
	j := i
	for j < len(s) && bytes.Compare(s[j].Begin, r.End) <= 0 {
		if bytes.Compare(s[j].Begin, r.Begin) < 0 {
			r.Begin = s[j].Begin
		}
		if bytes.Compare(s[j].End, r.End) > 0 {
			r.End = s[j].End
		}
		j++
	}
	return slices.Replace(s, i, j, r)
}

// subtract returns the set without the keys of r, built in the memory of s.
func (s rangeSet) subtract(r KeyRange) rangeSet {
	if r.empty() {
		return s
	}
	i := s.find(r.Begin)
	j := i
	var kept []KeyRange
	for ; j < len(s) && s[j].intersects(r); j++ {
		if left := (KeyRange{s[j].Begin, r.Begin}); !left.empty() {
			kept = append(kept, left)
		}
		if right := (KeyRange{r.End, s[j].End}); !right.empty() {
			kept = append(kept, right)
		}
	}
	if i == j {
		return s
	}
	return slices.Replace(s, i, j, kept...)
}
