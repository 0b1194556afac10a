package memimpl

import (
	"slices"
	"sort"
)

// maxChunk is the number of elements at which a chunk of an ordered set splits.
const maxChunk = 256

// ordered is a set in sorted order: a sorted list of sorted chunks, each of at
// most maxChunk elements, neighbours together of more than half of that.
//
// For n elements an insertion or removal costs O(log n) comparisons and moves at
// most maxChunk elements, and once in at least maxChunk/4 changes it moves the
// list of chunks too, of at most 4n/maxChunk entries; reading k elements from any
// place costs O(log n + k). It is not safe for concurrent use.
type ordered[T any] struct {
	compare func(a, b T) int
	chunks  [][]T // none empty
	spare   []T   // room for the next first chunk
}

// chunkOf returns the index of the first chunk that ends at or after v.
func (o *ordered[T]) chunkOf(v T) int {
	return sort.Search(len(o.chunks), func(i int) bool {
		chunk := o.chunks[i]
		return o.compare(chunk[len(chunk)-1], v) >= 0
	})
}

// insert adds v, which must not be in the set.
func (o *ordered[T]) insert(v T) {
	if len(o.chunks) == 0 {
		o.chunks, o.spare = append(o.chunks, append(o.spare, v)), nil
		return
	}
	i := len(o.chunks) - 1
	at := len(o.chunks[i])
	if o.compare(o.chunks[i][at-1], v) > 0 { // it is not the last, as it is when a sorted file is read
		i = o.chunkOf(v)
		at, _ = slices.BinarySearchFunc(o.chunks[i], v, o.compare)
	}
	o.chunks[i] = slices.Insert(o.chunks[i], at, v)
	if chunk := o.chunks[i]; len(chunk) > maxChunk {
		half := len(chunk) / 2
		o.chunks = slices.Insert(o.chunks, i+1, slices.Clone(chunk[half:]))
		clear(chunk[half:])
		o.chunks[i] = chunk[:half]
	}
}

// remove takes v out, if it is in the set.
func (o *ordered[T]) remove(v T) {
	i := o.chunkOf(v)
	if i == len(o.chunks) {
		return
	}
	at, found := slices.BinarySearchFunc(o.chunks[i], v, o.compare)
	if !found {
		return
	}
	o.chunks[i] = slices.Delete(o.chunks[i], at, at+1)
	if len(o.chunks[i]) == 0 {
		o.spare = o.chunks[i]
		o.chunks = slices.Delete(o.chunks, i, i+1)
		return
	}
	o.join(i)
	o.join(i - 1)
}

// join merges chunk i with the one after it when half a chunk holds both.
func (o *ordered[T]) join(i int) {
	if i < 0 || i+1 >= len(o.chunks) || len(o.chunks[i])+len(o.chunks[i+1]) > maxChunk/2 {
		return
	}
	o.chunks[i] = append(o.chunks[i], o.chunks[i+1]...)
	o.chunks = slices.Delete(o.chunks, i+1, i+2)
}

// empty reports whether the set has no elements.
func (o *ordered[T]) empty() bool { return len(o.chunks) == 0 }

// after returns up to n elements in order, beginning with the first for which
// beyond is true. beyond must be false up to some place and true from there on.
func (o *ordered[T]) after(beyond func(T) bool, n int) []T {
	i := sort.Search(len(o.chunks), func(i int) bool {
		chunk := o.chunks[i]
		return beyond(chunk[len(chunk)-1])
	})
	var out []T
	for ; i < len(o.chunks) && len(out) < n; i++ {
		chunk := o.chunks[i]
		chunk = chunk[sort.Search(len(chunk), func(j int) bool { return beyond(chunk[j]) }):]
		out = append(out, chunk[:min(len(chunk), n-len(out))]...)
	}
	return out
}
