package fdbsim

import (
	"bytes"
	"encoding/binary"
)

// MutationType is the code of an atomic operation in the client API.
type MutationType int

// The atomic operations.
const (
	MutationAdd                  MutationType = 2
	MutationBitAnd               MutationType = 6
	MutationBitOr                MutationType = 7
	MutationBitXor               MutationType = 8
	MutationAppendIfFits         MutationType = 9
	MutationMax                  MutationType = 12
	MutationMin                  MutationType = 13
	MutationSetVersionstampedKey MutationType = 14
	MutationSetVersionstamped    MutationType = 15 // of the value
	MutationByteMin              MutationType = 16
	MutationByteMax              MutationType = 17
	MutationCompareAndClear      MutationType = 20

	mutationSet        MutationType = 0
	mutationClearRange MutationType = 1
)

func (m MutationType) known() bool {
	switch m {
	case MutationAdd, MutationBitAnd, MutationBitOr, MutationBitXor, MutationAppendIfFits, MutationMax, MutationMin,
		MutationSetVersionstampedKey, MutationSetVersionstamped, MutationByteMin, MutationByteMax, MutationCompareAndClear:
		return true
	}
	return false
}

// applyAtomic is the value of a key after one atomic operation with the given parameter on the
// existing value (rows A01..A70 of the observed behaviour). The arithmetic ones are little-endian
// and always give a result of the parameter's width.
func applyAtomic(op MutationType, old []byte, exists bool, param []byte) (value []byte, present bool) {
	switch op {
	case mutationSet:
		return param, true
	case MutationAdd:
		return bytewise(old, param, adder()), true
	case MutationBitAnd:
		if !exists {
			return param, true
		}
		return bytewise(old, param, func(a, b byte) byte { return a & b }), true
	case MutationBitOr:
		return bytewise(old, param, func(a, b byte) byte { return a | b }), true
	case MutationBitXor:
		return bytewise(old, param, func(a, b byte) byte { return a ^ b }), true
	case MutationMax:
		if fitted := fit(old, len(param)); compareLittleEndian(fitted, param) > 0 {
			return fitted, true
		}
		return param, true
	case MutationMin:
		if !exists {
			return param, true
		}
		if fitted := fit(old, len(param)); compareLittleEndian(fitted, param) < 0 {
			return fitted, true
		}
		return param, true
	case MutationByteMax:
		if exists && bytes.Compare(old, param) > 0 {
			return old, true
		}
		return param, true
	case MutationByteMin:
		if exists && bytes.Compare(old, param) < 0 {
			return old, true
		}
		return param, true
	case MutationAppendIfFits:
		if len(old)+len(param) > valueSizeLimit {
			return old, exists
		}
		return append(append(make([]byte, 0, len(old)+len(param)), old...), param...), true
	case MutationCompareAndClear:
		if exists && bytes.Equal(old, param) {
			return nil, false
		}
		return old, exists
	default:
		panic("fdbsim: applyAtomic of a mutation that needs a versionstamp")
	}
}

// fit cuts v or extends it with zero bytes to n bytes.
func fit(v []byte, n int) []byte {
	out := make([]byte, n)
	copy(out, v)
	return out
}

func bytewise(old, param []byte, f func(a, b byte) byte) []byte {
	out := fit(old, len(param))
	for i := range out {
		out[i] = f(out[i], param[i])
	}
	return out
}

// adder adds byte after byte, carrying along; the carry out of the last byte is lost.
func adder() func(a, b byte) byte {
	carry := 0
	return func(a, b byte) byte {
		sum := int(a) + int(b) + carry
		carry = sum >> 8
		return byte(sum)
	}
}

// compareLittleEndian compares two numbers of the same width.
func compareLittleEndian(a, b []byte) int {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}

const (
	stampSize       = 10 // 8 bytes of commit version, 2 bytes of order within the batch, both big-endian
	stampOffsetSize = 4  // little-endian place of the stamp, at the end of the parameter
)

// versionstamp is the stamp of the batchOrder-th transaction of the batch committed at version.
func versionstamp(version int64, batchOrder uint16) []byte {
	var s [stampSize]byte
	binary.BigEndian.PutUint64(s[:8], uint64(version))
	binary.BigEndian.PutUint16(s[8:], batchOrder)
	return s[:]
}

// stampPlace reads where in a versionstamped parameter the stamp goes. ok is false when the
// parameter has no room for it (row A82).
func stampPlace(param []byte) (body []byte, at int, ok bool) {
	if len(param) < stampOffsetSize {
		return nil, 0, false
	}
	body = param[:len(param)-stampOffsetSize]
	at64 := int64(binary.LittleEndian.Uint32(param[len(body):]))
	if at64+stampSize > int64(len(body)) {
		return nil, 0, false
	}
	return body, int(at64), true
}

// stamped is the parameter with the stamp in its place and the offset removed.
func stamped(param, stamp []byte) []byte {
	body, at, ok := stampPlace(param)
	if !ok {
		panic("fdbsim: versionstamped parameter was not validated")
	}
	out := append([]byte(nil), body...)
	copy(out[at:], stamp)
	return out
}

// stampKeyRange is every key that a versionstamped key can become: from an all-zero stamp to an
// all-ones one. A client that already knows its read version could exclude the stamps below it; the
// wider range is the harsher reading of row R18.
func stampKeyRange(param []byte) KeyRange {
	lowest := stamped(param, make([]byte, stampSize))
	highest := stamped(param, bytes.Repeat([]byte{0xff}, stampSize))
	return KeyRange{lowest, keyAfter(highest)}
}
