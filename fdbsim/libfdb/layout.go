//go:build fdb && fdbsim

package libfdb

import (
	"encoding/binary"
	"unsafe"
)

// putPointer and putInt write the fields of a packed C record.
func putPointer(b []byte, p uintptr) {
	if unsafe.Sizeof(p) != 8 {
		panic("libfdb: the binding reads 64-bit records")
	}
	binary.NativeEndian.PutUint64(b, uint64(p))
}

func putInt(b []byte, n int) { binary.NativeEndian.PutUint32(b, uint32(n)) }
