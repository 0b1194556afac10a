package memimpl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// This file reads bbolt's pages as far as is needed to tell whether bbolt can walk
// them: the check of a file that may hold anything, before it is mapped into
// memory and believed. Integers are in the machine's byte order.
//
//	page    id uint64, flags, count uint16, overflow uint32, then count elements
//	branch  element: offset, key size uint32, child uint64
//	leaf    element: flags (1: bucket), offset, key size, value size uint32
//	bucket  value: root uint64 (0: a leaf page follows in the value), sequence uint64
//	meta    magic, version, page size, flags uint32, root bucket, free list, pages,
//	        transaction uint64, FNV-1a of all that
const (
	pageHeader   = 16
	pageElement  = 16
	bucketHeader = 16
	metaSize     = 64

	branchPage = 1
	leafPage   = 2
	metaPage   = 4

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	noFreelist  = ^uint64(0)
)

var native = binary.NativeEndian

// meta is what a meta page says of the file.
type meta struct {
	pageSize                        uint32
	root, freelist, pages, sequence uint64
	tx                              uint64
}

// readMeta reads the meta page at offset. Without the magic number the file is
// somebody else's; with it, everything else must be right.
func readMeta(r io.ReaderAt, offset int64) (meta, error) {
	b := make([]byte, pageHeader+metaSize)
	if _, err := r.ReadAt(b, offset); errors.Is(err, io.EOF) {
		return meta{}, fmt.Errorf("%w: ends before its second page", ErrDamaged)
	} else if err != nil {
		return meta{}, err
	}
	flags, b := native.Uint16(b[8:]), b[pageHeader:]
	if native.Uint32(b) != metaMagic {
		return meta{}, fmt.Errorf("%w: no bbolt meta page at byte %d", ErrForeign, offset)
	}
	h := fnv.New64a()
	h.Write(b[:metaSize-8])
	if h.Sum64() != native.Uint64(b[metaSize-8:]) || native.Uint32(b[4:]) != metaVersion || flags != metaPage {
		return meta{}, fmt.Errorf("%w: bad meta page at byte %d", ErrDamaged, offset)
	}
	return meta{
		pageSize: native.Uint32(b[8:]), root: native.Uint64(b[16:]), sequence: native.Uint64(b[24:]),
		freelist: native.Uint64(b[32:]), pages: native.Uint64(b[40:]), tx: native.Uint64(b[48:]),
	}, nil
}

// currentMeta returns the newer of the two meta pages. Both must be good. bbolt
// itself goes back to the older one when the newer is bad, which is right for a
// page torn by a power loss before anybody was answered, and silently forgets an
// acknowledged transaction when the page went bad later. The two cannot be told
// apart, a meta page fits in one sector, and sectors are not torn: it is damage.
func currentMeta(r io.ReaderAt) (meta, error) {
	first, err := readMeta(r, 0)
	if errors.Is(err, ErrForeign) {
		if _, second := readMeta(r, 4096); second == nil {
			return meta{}, fmt.Errorf("%w: bad meta page at byte 0", ErrDamaged)
		}
	}
	if err != nil {
		return meta{}, err
	}
	if first.pageSize < 1024 || first.pageSize > 1<<24 {
		return meta{}, fmt.Errorf("%w: page size %d", ErrDamaged, first.pageSize)
	}
	second, err := readMeta(r, int64(first.pageSize))
	switch {
	case errors.Is(err, ErrForeign):
		return meta{}, fmt.Errorf("%w: bad second meta page", ErrDamaged)
	case err != nil:
		return meta{}, err
	case second.pageSize != first.pageSize || first.tx+1 != second.tx && second.tx+1 != first.tx:
		return meta{}, fmt.Errorf("%w: meta pages of different files: transactions %d and %d", ErrDamaged, first.tx, second.tx)
	case second.tx > first.tx:
		return second, nil
	default:
		return first, nil
	}
}

// checkPages checks everything that is reachable from the current meta page: each
// page lies in the file, says that it is the page it is, is used once, and has its
// elements within itself, with keys in order and within the range that its parent
// gives it. A tree that passes can be walked and searched by bbolt without panic,
// without end, and without missing a key. What the values say is not looked at.
func checkPages(r io.ReaderAt) error {
	m, err := currentMeta(r)
	if err != nil {
		return err
	}
	t := &tree{r: r, pageSize: uint64(m.pageSize), pages: m.pages, used: map[uint64]bool{}}
	if m.freelist != noFreelist {
		return fmt.Errorf("%w: has a free list, which is not ours", ErrForeign)
	}
	if err := t.page(m.root, nil, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// tree is a walk over the pages of a file.
type tree struct {
	r        io.ReaderAt
	pageSize uint64
	pages    uint64 // in use are those below
	used     map[uint64]bool
}

// page checks the page and all below it. Its keys are at least low and below high
// (nil: no bound).
func (t *tree) page(id uint64, low, high []byte) error {
	b, err := t.read(id)
	if err != nil {
		return err
	}
	if native.Uint64(b) != id {
		return fmt.Errorf("page %d says that it is page %d", id, native.Uint64(b))
	}
	return t.elements(fmt.Sprintf("page %d", id), b, low, high)
}

// read returns the page with its overflow, and marks them used.
func (t *tree) read(id uint64) ([]byte, error) {
	if id < 2 || id >= t.pages {
		return nil, fmt.Errorf("page %d of %d", id, t.pages)
	}
	head := make([]byte, pageHeader)
	if _, err := t.r.ReadAt(head, int64(id*t.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	n := uint64(native.Uint32(head[12:])) + 1
	if n > t.pages-id {
		return nil, fmt.Errorf("page %d extends over %d of %d", id, n, t.pages)
	}
	for i := id; i < id+n; i++ {
		if t.used[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		t.used[i] = true
	}
	b := make([]byte, n*t.pageSize)
	if _, err := t.r.ReadAt(b, int64(id*t.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return b, nil
}

// elements checks the elements of a branch or leaf page, and what is below it.
func (t *tree) elements(name string, b []byte, low, high []byte) error {
	flags, count := native.Uint16(b[8:]), int(native.Uint16(b[10:]))
	if flags != branchPage && flags != leafPage || flags == branchPage && count == 0 {
		return fmt.Errorf("%s is neither branch nor leaf", name)
	}
	if pageHeader+count*pageElement > len(b) {
		return fmt.Errorf("%s has %d elements", name, count)
	}
	for i := range count {
		at := pageHeader + i*pageElement
		key, value, err := element(b[at:], flags)
		if err != nil {
			return fmt.Errorf("%s, element %d: %w", name, i, err)
		}
		if i == 0 && bytes.Compare(key, low) < 0 || i > 0 && bytes.Compare(key, low) <= 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return fmt.Errorf("%s, element %d is out of order", name, i)
		}
		low = key
		switch bucket := native.Uint32(b[at:]); {
		case flags == branchPage:
			below := high
			if i+1 < count {
				if below, _, err = element(b[at+pageElement:], flags); err != nil {
					return fmt.Errorf("%s, element %d: %w", name, i+1, err)
				}
			}
			err = t.page(native.Uint64(b[at+8:]), key, below)
		case bucket == 1:
			err = t.bucket(fmt.Sprintf("%s, bucket %q", name, key), value)
		case bucket != 0:
			err = fmt.Errorf("%s, element %d has flags %x", name, i, bucket)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// element returns key and value of the element that b begins with. Its offset is
// from there.
func element(b []byte, flags uint16) (key, value []byte, err error) {
	offset, keySize, valueSize := native.Uint32(b), native.Uint32(b[4:]), uint32(0)
	if flags == leafPage {
		offset, keySize, valueSize = native.Uint32(b[4:]), native.Uint32(b[8:]), native.Uint32(b[12:])
	}
	end := uint64(offset) + uint64(keySize) + uint64(valueSize)
	if keySize == 0 || offset < pageElement || end > uint64(len(b)) {
		return nil, nil, fmt.Errorf("%d+%d bytes at %d lie outside the page", keySize, valueSize, offset)
	}
	key = b[offset : offset+keySize : offset+keySize]
	return key, b[uint64(offset)+uint64(keySize) : end : end], nil
}

// bucket checks a bucket, which is in the value or has pages of its own.
func (t *tree) bucket(name string, value []byte) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("%s has %d bytes", name, len(value))
	}
	if root := native.Uint64(value); root != 0 {
		return t.page(root, nil, nil)
	}
	if len(value) < bucketHeader+pageHeader || native.Uint16(value[bucketHeader+8:]) != leafPage {
		return fmt.Errorf("%s has no leaf page", name)
	}
	return t.elements(name, value[bucketHeader:], nil, nil)
}
