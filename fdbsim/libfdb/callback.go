//go:build fdb && fdbsim

package libfdb

// #cgo CFLAGS: -I${SRCDIR}/../include -DFDB_API_VERSION=730 -DFDBSIM_EXPORTS
// #include <foundationdb/fdb_c_types.h>
//
// static void call(FDBCallback callback, FDBFuture* future, void* parameter) { callback(future, parameter); }
import "C"

import "unsafe"

// callback calls a C function when a future has ended.
func callback(fn C.FDBCallback, f *C.FDBFuture, parameter unsafe.Pointer) func() {
	return func() { C.call(fn, f, parameter) }
}
