//go:build fdb && fdbsim

// Package libfdb is the C API of FoundationDB's client library, version 730, on package fdbsim.
// Import it for its side effect into a test binary that is linked against the empty libfdb_c.a next
// to it: the official Go binding then runs on a simulated cluster. The names under which clusters
// are opened come from fdbsim.NewCluster.
package libfdb

// #include <foundationdb/fdb_c.h>
// #include <stdlib.h>
import "C"

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/kelpie-registry/registry/fdbsim"
)

const (
	apiVersion       = 730
	oldestAPIVersion = 620
)

const (
	codeVersionNotSupported = 2203
	codeNetworkNotSetup     = 2008
	codeNetworkAlreadySetup = 2009
)

var (
	databases    = newTable[*fdbsim.Database]("database")
	transactions = newTable[*fdbsim.Transaction]("transaction")
	futures      = newTable[*future]("future")
	results      atomic.Int64
)

// future is a simulated future and the C memory of its result.
type future struct {
	*fdbsim.Future
	mu     sync.Mutex
	memory []unsafe.Pointer
}

// bytes copies b to memory that lives until the future's result is released.
func (f *future) bytes(b []byte) *C.uint8_t {
	if len(b) == 0 {
		return nil
	}
	return (*C.uint8_t)(f.keep(C.CBytes(b)))
}

func (f *future) keep(p unsafe.Pointer) unsafe.Pointer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory = append(f.memory, p)
	results.Add(1)
	return p
}

func (f *future) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.memory {
		C.free(p)
	}
	results.Add(-int64(len(f.memory)))
	f.memory = nil
}

func newFuture(f *fdbsim.Future) *C.FDBFuture {
	if network.isStopped() {
		f.Abandon(fdbsim.CodeBrokenPromise)
	}
	return (*C.FDBFuture)(futures.put(&future{Future: f}))
}

func futureOf(f *C.FDBFuture) *future { return futures.get(unsafe.Pointer(f)) }

func transactionOf(tr *C.FDBTransaction) *fdbsim.Transaction {
	return transactions.get(unsafe.Pointer(tr))
}

func databaseOf(d *C.FDBDatabase) *fdbsim.Database { return databases.get(unsafe.Pointer(d)) }

func goBytes(p *C.uint8_t, n C.int) []byte { return C.GoBytes(unsafe.Pointer(p), n) }

// Errors

var errorTexts struct {
	sync.Mutex
	byCode map[C.fdb_error_t]*C.char
}

//export fdb_get_error
func fdb_get_error(code C.fdb_error_t) *C.char {
	errorTexts.Lock()
	defer errorTexts.Unlock()
	text, ok := errorTexts.byCode[code]
	if !ok {
		if errorTexts.byCode == nil {
			errorTexts.byCode = make(map[C.fdb_error_t]*C.char)
		}
		text = C.CString(fdbsim.Code(code).Text()) // static in the real library: never freed
		errorTexts.byCode[code] = text
	}
	return text
}

//export fdb_error_predicate
func fdb_error_predicate(predicate C.int, code C.fdb_error_t) C.fdb_bool_t {
	c := fdbsim.Code(code)
	switch predicate {
	case C.FDB_ERROR_PREDICATE_RETRYABLE:
		return boolean(c.Retryable())
	case C.FDB_ERROR_PREDICATE_MAYBE_COMMITTED:
		return boolean(c.MaybeCommitted())
	case C.FDB_ERROR_PREDICATE_RETRYABLE_NOT_COMMITTED:
		return boolean(c.RetryableNotCommitted())
	}
	return 0
}

func boolean(b bool) C.fdb_bool_t {
	if b {
		return 1
	}
	return 0
}

// Network. There is none; the calls keep the order that the real library insists on.

type networkState struct {
	mu      sync.Mutex
	setUp   bool
	stopped bool
	stop    chan struct{}
}

var network = networkState{stop: make(chan struct{})}

func (n *networkState) isStopped() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped
}

//export fdb_select_api_version_impl
func fdb_select_api_version_impl(runtimeVersion, headerVersion C.int) C.fdb_error_t {
	// Between 620 and 730 nothing differs that is modelled.
	if runtimeVersion < oldestAPIVersion || runtimeVersion > apiVersion || headerVersion != apiVersion {
		return codeVersionNotSupported
	}
	return 0
}

//export fdb_get_max_api_version
func fdb_get_max_api_version() C.int { return apiVersion }

var clientVersion = sync.OnceValue(func() *C.char { return C.CString("7.3.79,fdbsim,fdb00b073000000") })

//export fdb_get_client_version
func fdb_get_client_version() *C.char { return clientVersion() }

//export fdb_network_set_option
func fdb_network_set_option(C.FDBNetworkOption, *C.uint8_t, C.int) C.fdb_error_t { return 0 }

//export fdb_setup_network
func fdb_setup_network() C.fdb_error_t {
	network.mu.Lock()
	defer network.mu.Unlock()
	if network.setUp {
		return codeNetworkAlreadySetup
	}
	network.setUp = true
	return 0
}

//export fdb_run_network
func fdb_run_network() C.fdb_error_t {
	network.mu.Lock()
	setUp := network.setUp
	network.mu.Unlock()
	if !setUp {
		return codeNetworkNotSetup
	}
	<-network.stop
	return 0
}

//export fdb_stop_network
func fdb_stop_network() C.fdb_error_t {
	network.mu.Lock()
	defer network.mu.Unlock()
	if !network.setUp {
		return codeNetworkNotSetup
	}
	if !network.stopped {
		network.stopped = true
		close(network.stop)
	}
	return 0
}

// Futures

//export fdb_future_cancel
func fdb_future_cancel(f *C.FDBFuture) { futureOf(f).Cancel() }

//export fdb_future_release_memory
func fdb_future_release_memory(f *C.FDBFuture) { futureOf(f).release() }

//export fdb_future_destroy
func fdb_future_destroy(f *C.FDBFuture) {
	if f == nil {
		return
	}
	fut := futures.take(unsafe.Pointer(f))
	fut.Ready() // what it stands for is done even though nobody waited for it
	fut.Cancel()
	fut.release()
}

//export fdb_future_block_until_ready
func fdb_future_block_until_ready(f *C.FDBFuture) C.fdb_error_t {
	_ = futureOf(f).Wait() // the future's own error is not this call's
	return 0
}

//export fdb_future_is_ready
func fdb_future_is_ready(f *C.FDBFuture) C.fdb_bool_t { return boolean(futureOf(f).Ready()) }

//export fdb_future_set_callback
func fdb_future_set_callback(f *C.FDBFuture, fn C.FDBCallback, parameter unsafe.Pointer) C.fdb_error_t {
	futureOf(f).OnReady(callback(fn, f, parameter))
	return 0
}

//export fdb_future_get_error
func fdb_future_get_error(f *C.FDBFuture) C.fdb_error_t { return C.fdb_error_t(futureOf(f).Code()) }

//export fdb_future_get_int64
func fdb_future_get_int64(f *C.FDBFuture, out *C.int64_t) C.fdb_error_t {
	fut := futureOf(f)
	if code := fut.Code(); code != 0 {
		return C.fdb_error_t(code)
	}
	*out = C.int64_t(fut.Result().Int64)
	return 0
}

//export fdb_future_get_key
func fdb_future_get_key(f *C.FDBFuture, out **C.uint8_t, length *C.int) C.fdb_error_t {
	fut := futureOf(f)
	if code := fut.Code(); code != 0 {
		return C.fdb_error_t(code)
	}
	key := fut.Result().Value
	*out, *length = fut.bytes(key), C.int(len(key))
	return 0
}

//export fdb_future_get_value
func fdb_future_get_value(f *C.FDBFuture, present *C.fdb_bool_t, out **C.uint8_t, length *C.int) C.fdb_error_t {
	fut := futureOf(f)
	if code := fut.Code(); code != 0 {
		return C.fdb_error_t(code)
	}
	r := fut.Result()
	*present, *out, *length = boolean(r.Present), fut.bytes(r.Value), C.int(len(r.Value))
	return 0
}

//export fdb_future_get_keyvalue_array
func fdb_future_get_keyvalue_array(f *C.FDBFuture, out **C.FDBKeyValue, count *C.int, more *C.fdb_bool_t) C.fdb_error_t {
	fut := futureOf(f)
	if code := fut.Code(); code != 0 {
		return C.fdb_error_t(code)
	}
	r := fut.Result()
	*out, *count, *more = fut.rows(r.Rows), C.int(len(r.Rows)), boolean(r.More)
	return 0
}

// rowSize is the size of the packed record; its second pointer is not aligned, so that Go cannot
// name it as a field.
const rowSize = 24

// rows lays rows out as an array of FDBKeyValue, keys and values behind it in the same allocation.
func (f *future) rows(rows []fdbsim.KeyValue) *C.FDBKeyValue {
	if len(rows) == 0 {
		return nil
	}
	size := len(rows) * rowSize
	for _, kv := range rows {
		size += len(kv.Key) + len(kv.Value)
	}
	array := f.keep(C.malloc(C.size_t(size)))
	memory := unsafe.Slice((*byte)(array), size)
	at := len(rows) * rowSize
	place := func(record []byte, b []byte) {
		copy(memory[at:], b)
		putPointer(record, uintptr(array)+uintptr(at))
		putInt(record[8:], len(b))
		at += len(b)
	}
	for i, kv := range rows {
		record := memory[i*rowSize : (i+1)*rowSize]
		place(record, kv.Key)
		place(record[12:], kv.Value)
	}
	return (*C.FDBKeyValue)(array)
}

//export fdb_future_get_key_array
func fdb_future_get_key_array(f *C.FDBFuture, out **C.FDBKey, count *C.int) C.fdb_error_t {
	return C.fdb_error_t(futureOf(f).Code()) // no call that answers with one is modelled: always an error
}

//export fdb_future_get_string_array
func fdb_future_get_string_array(f *C.FDBFuture, out ***C.char, count *C.int) C.fdb_error_t {
	return C.fdb_error_t(futureOf(f).Code()) // as above
}
