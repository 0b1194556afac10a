package logfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The file. Integers are little-endian.
//
//	byte 0      header  magic, length of body uint64, body, zeros, SHA-256 of all that
//	byte 4096   mark 0  number of the batch uint64, offset of its end uint64, its digest, SHA-256 of all that
//	byte 8192   mark 1  likewise
//	byte 12288  batches, one after another: length of body uint64, body, digest
//
// The digest of a batch is the SHA-256 of the digest before it (the header's, for
// the first), its length and its body: it covers every byte before it but the
// marks. Batches are numbered from 1. Batch n and mark n modulo 2 are written
// together, one sync puts both on the disk, and only then is batch n+1 written.
// The mark of batch n-1 therefore stays whole whatever becomes of batch n and its
// mark, and a file that is left by a crash has
//
//   - a mark of the newest batch s that was synced, which agrees with the batches;
//   - the other mark of s-1 (or s, in a file that was just rewritten or closed), or
//     what the writing of s+1 made of it;
//   - no more batches than s+1, and behind s+1 nothing.
//
// Whatever else a file has is damage: scan accepts nothing but the above. What it
// cannot tell from a crash in the middle of a commit is damage to the newest batch
// alone, and only while the file is not closed; and a whole older file is whole.
const (
	blockSize     = 4096
	marksAt       = blockSize
	batchesAt     = 3 * blockSize
	markSize      = 8 + 8 + 2*sha256.Size
	batchOverhead = 8 + sha256.Size
	maxHeader     = blockSize - len(magic) - 8 - sha256.Size
)

const magic = "kelpie log, v1\r\n"

type digest = [sha256.Size]byte

// position is the end of a batch.
type position struct {
	number uint64
	offset int64
	digest digest
}

// encodeHeader returns the file's first block, and where the first batch begins.
func encodeHeader(body []byte) ([]byte, position) {
	b := make([]byte, blockSize)
	copy(b, magic)
	binary.LittleEndian.PutUint64(b[len(magic):], uint64(len(body)))
	copy(b[len(magic)+8:], body)
	sum := sha256.Sum256(b[:blockSize-sha256.Size])
	copy(b[blockSize-sha256.Size:], sum[:])
	return b, position{offset: batchesAt, digest: sum}
}

// decodeHeader returns the body that encodeHeader was given.
func decodeHeader(b []byte) ([]byte, position, error) {
	if len(b) >= 20 && !bytes.HasPrefix(b, []byte(magic)) && binary.NativeEndian.Uint32(b[16:]) == 0xED0CDAED {
		return nil, position{}, fmt.Errorf("%w: it is a bbolt database: a registry file of format 1, or another program's", ErrFormat)
	}
	if n := min(len(b), len(magic)); string(b[:n]) != magic[:n] {
		return nil, position{}, ErrForeign
	}
	if len(b) < blockSize {
		return nil, position{}, fmt.Errorf("%w: it has %d bytes", ErrDamaged, len(b))
	}
	sum := digest(b[blockSize-sha256.Size:])
	n := binary.LittleEndian.Uint64(b[len(magic):])
	if sum != sha256.Sum256(b[:blockSize-sha256.Size]) || n > uint64(maxHeader) {
		return nil, position{}, fmt.Errorf("%w: bad header", ErrDamaged)
	}
	return b[len(magic)+8:][:n], position{offset: batchesAt, digest: sum}, nil
}

// encodeMark returns the mark of a batch, and where it belongs.
func encodeMark(p position) ([]byte, int64) {
	b := binary.LittleEndian.AppendUint64(nil, p.number)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.offset))
	b = append(b, p.digest[:]...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), marksAt + int64(p.number%2)*blockSize
}

// decodeMark returns what encodeMark was given; ok is false for anything else.
func decodeMark(b []byte) (p position, ok bool) {
	if len(b) != markSize || digest(b[markSize-sha256.Size:]) != sha256.Sum256(b[:markSize-sha256.Size]) {
		return position{}, false
	}
	return position{
		number: binary.LittleEndian.Uint64(b),
		offset: int64(binary.LittleEndian.Uint64(b[8:])),
		digest: digest(b[16:]),
	}, true
}

// appendBatch appends a batch that follows p to b, and returns where it ends.
func (p position) appendBatch(b, body []byte) ([]byte, position) {
	next := p.after(body)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(body)))
	b = append(b, body...)
	return append(b, next.digest[:]...), next
}

// after returns the end of the batch of that body that follows p.
func (p position) after(body []byte) position {
	h := sha256.New()
	h.Write(p.digest[:])
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(body))))
	h.Write(body)
	p.number++
	p.offset += int64(len(body)) + batchOverhead
	h.Sum(p.digest[:0])
	return p
}

// visitor is told what a file holds: its header, then its batches in order. What
// it is given is its own until it returns. It learns only from scan's error
// whether it may believe what it was told.
type visitor struct {
	header func(body []byte) error
	batch  func(body []byte) error
}

// scan reads a whole file of that size, checks every byte that it tells v of, and
// returns where the batches end.
func scan(f File, size int64, v visitor) (position, error) {
	head := make([]byte, min(size, batchesAt))
	if err := readFull(f, head, 0); err != nil {
		return position{}, fmt.Errorf("read: %w", err)
	}
	body, end, err := decodeHeader(head[:min(len(head), blockSize)])
	if err != nil {
		return position{}, err
	}
	if len(head) < batchesAt {
		return position{}, fmt.Errorf("%w: it has %d bytes", ErrDamaged, size)
	}
	if err := v.header(body); err != nil {
		return position{}, err
	}
	var marks marks
	marks.read(head)
	marks.meet(end)
	r := bufio.NewReaderSize(&reader{f: f, at: batchesAt, size: size}, int(min(size-batchesAt+1, 1<<20)))
	for end.offset < size {
		body, next, err := readBatch(r, end, size)
		if errors.Is(err, errNoBatch) {
			break
		} else if err != nil {
			return position{}, err
		}
		if err := v.batch(body); err != nil {
			return position{}, fmt.Errorf("%w: batch %d: %w", ErrDamaged, next.number, err)
		}
		end = next
		marks.meet(end)
	}
	if err := marks.check(end, size); err != nil {
		return position{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return end, nil
}

// errNoBatch says that a whole batch does not follow.
var errNoBatch = errors.New("no batch")

// readBatch reads the batch that follows p in a file of that size.
func readBatch(r io.Reader, p position, size int64) ([]byte, position, error) {
	left := size - p.offset
	if left < batchOverhead {
		return nil, position{}, errNoBatch
	}
	var length [8]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, position{}, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > uint64(left-batchOverhead) {
		return nil, position{}, errNoBatch
	}
	b := make([]byte, n+sha256.Size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, position{}, err
	}
	next := p.after(b[:n])
	if next.digest != digest(b[n:]) {
		return nil, position{}, errNoBatch
	}
	return b[:n], next, nil
}

// marks are the two marks of a file, and which of them the batches agree with.
type marks [2]struct {
	position
	whole bool
	met   bool
}

func (m *marks) read(head []byte) {
	for i := range m {
		m[i].position, m[i].whole = decodeMark(head[marksAt+i*blockSize:][:markSize])
	}
}

// meet compares the marks with the end of a batch.
func (m *marks) meet(end position) {
	for i := range m {
		m[i].met = m[i].met || m[i].whole && m[i].position == end
	}
}

// check says whether a crash can have left a file with these marks whose whole
// batches end at end.
func (m *marks) check(end position, size int64) error {
	synced, found := uint64(0), false
	for _, mark := range m {
		if mark.met {
			synced, found = max(synced, mark.number), true
		}
	}
	if !found {
		return fmt.Errorf("batches end with %d at byte %d, which no mark agrees with", end.number, end.offset)
	}
	for _, mark := range m {
		if ahead := mark.number - synced; mark.whole && ahead != 1 && !(mark.met && (ahead == 0 || ahead == ^uint64(0))) {
			return fmt.Errorf("there is a mark of batch %d beside the one of batch %d", mark.number, synced)
		}
	}
	switch {
	case end.number > synced+1:
		return fmt.Errorf("batches end with %d, the marks with %d", end.number, synced)
	case end.number == synced+1 && end.offset != size:
		return fmt.Errorf("%d bytes follow batch %d, which has no mark", size-end.offset, end.number)
	}
	return nil
}
