//go:build fdb && fdbsim

package libfdb

// #include <foundationdb/fdb_c.h>
import "C"

import (
	"unsafe"

	"github.com/kelpie-registry/registry/fdbsim"
)

// Databases

//export fdb_create_database
func fdb_create_database(clusterFile *C.char, out **C.FDBDatabase) C.fdb_error_t {
	name := ""
	if clusterFile != nil {
		name = C.GoString(clusterFile)
	}
	*out = (*C.FDBDatabase)(databases.put(fdbsim.Open(name)))
	return 0
}

//export fdb_create_database_from_connection_string
func fdb_create_database_from_connection_string(text *C.char, out **C.FDBDatabase) C.fdb_error_t {
	*out = (*C.FDBDatabase)(databases.put(fdbsim.OpenConnectionString(C.GoString(text))))
	return 0
}

//export fdb_database_destroy
func fdb_database_destroy(d *C.FDBDatabase) { databases.take(unsafe.Pointer(d)) }

//export fdb_database_set_option
func fdb_database_set_option(d *C.FDBDatabase, option C.FDBDatabaseOption, value *C.uint8_t, n C.int) C.fdb_error_t {
	return C.fdb_error_t(databaseOf(d).SetOption(int(option), goBytes(value, n)))
}

//export fdb_database_create_transaction
func fdb_database_create_transaction(d *C.FDBDatabase, out **C.FDBTransaction) C.fdb_error_t {
	*out = (*C.FDBTransaction)(transactions.put(databaseOf(d).CreateTransaction()))
	return 0
}

//export fdb_database_open_tenant
func fdb_database_open_tenant(d *C.FDBDatabase, name *C.uint8_t, n C.int, out **C.FDBTenant) C.fdb_error_t {
	return C.fdb_error_t(databaseOf(d).Unsupported("fdb_database_open_tenant").Code())
}

//export fdb_database_reboot_worker
func fdb_database_reboot_worker(d *C.FDBDatabase, address *C.uint8_t, n C.int, check C.fdb_bool_t, duration C.int) *C.FDBFuture {
	return newFuture(databaseOf(d).Unsupported("fdb_database_reboot_worker"))
}

//export fdb_database_get_client_status
func fdb_database_get_client_status(d *C.FDBDatabase) *C.FDBFuture {
	return newFuture(databaseOf(d).Unsupported("fdb_database_get_client_status"))
}

// Tenants: none can be opened, so that none can be used.

//export fdb_tenant_create_transaction
func fdb_tenant_create_transaction(*C.FDBTenant, **C.FDBTransaction) C.fdb_error_t {
	panic("libfdb: fdb_tenant_create_transaction without a tenant")
}

//export fdb_tenant_destroy
func fdb_tenant_destroy(*C.FDBTenant) { panic("libfdb: fdb_tenant_destroy without a tenant") }

// Transactions

//export fdb_transaction_destroy
func fdb_transaction_destroy(tr *C.FDBTransaction) {
	if tr != nil {
		transactions.take(unsafe.Pointer(tr)).Destroy()
	}
}

//export fdb_transaction_cancel
func fdb_transaction_cancel(tr *C.FDBTransaction) { transactionOf(tr).Cancel() }

//export fdb_transaction_reset
func fdb_transaction_reset(tr *C.FDBTransaction) { transactionOf(tr).Reset() }

//export fdb_transaction_set_option
func fdb_transaction_set_option(tr *C.FDBTransaction, option C.FDBTransactionOption, value *C.uint8_t, n C.int) C.fdb_error_t {
	return C.fdb_error_t(transactionOf(tr).SetOption(int(option), goBytes(value, n)))
}

//export fdb_transaction_set_read_version
func fdb_transaction_set_read_version(tr *C.FDBTransaction, version C.int64_t) {
	transactionOf(tr).SetReadVersion(int64(version))
}

//export fdb_transaction_get_read_version
func fdb_transaction_get_read_version(tr *C.FDBTransaction) *C.FDBFuture {
	return newFuture(transactionOf(tr).ReadVersion())
}

//export fdb_transaction_get
func fdb_transaction_get(tr *C.FDBTransaction, key *C.uint8_t, n C.int, snapshot C.fdb_bool_t) *C.FDBFuture {
	return newFuture(transactionOf(tr).Get(goBytes(key, n), snapshot != 0))
}

//export fdb_transaction_get_key
func fdb_transaction_get_key(tr *C.FDBTransaction, key *C.uint8_t, n C.int, orEqual C.fdb_bool_t, offset C.int, snapshot C.fdb_bool_t) *C.FDBFuture {
	return newFuture(transactionOf(tr).GetKey(selector(key, n, orEqual, offset), snapshot != 0))
}

func selector(key *C.uint8_t, n C.int, orEqual C.fdb_bool_t, offset C.int) fdbsim.KeySelector {
	return fdbsim.KeySelector{Key: goBytes(key, n), OrEqual: orEqual != 0, Offset: int(offset)}
}

//export fdb_transaction_get_range
func fdb_transaction_get_range(tr *C.FDBTransaction,
	beginKey *C.uint8_t, beginN C.int, beginOrEqual C.fdb_bool_t, beginOffset C.int,
	endKey *C.uint8_t, endN C.int, endOrEqual C.fdb_bool_t, endOffset C.int,
	limit, targetBytes C.int, mode C.FDBStreamingMode, iteration C.int, snapshot, reverse C.fdb_bool_t) *C.FDBFuture {
	return newFuture(transactionOf(tr).GetRange(
		selector(beginKey, beginN, beginOrEqual, beginOffset),
		selector(endKey, endN, endOrEqual, endOffset),
		fdbsim.RangeOptions{
			Limit: int(limit), TargetBytes: int(targetBytes), Mode: fdbsim.StreamingMode(mode),
			Iteration: int(iteration), Reverse: reverse != 0,
		}, snapshot != 0))
}

//export fdb_transaction_get_addresses_for_key
func fdb_transaction_get_addresses_for_key(tr *C.FDBTransaction, key *C.uint8_t, n C.int) *C.FDBFuture {
	return newFuture(transactionOf(tr).Unsupported("fdb_transaction_get_addresses_for_key"))
}

//export fdb_transaction_get_estimated_range_size_bytes
func fdb_transaction_get_estimated_range_size_bytes(tr *C.FDBTransaction, begin *C.uint8_t, beginN C.int, end *C.uint8_t, endN C.int) *C.FDBFuture {
	return newFuture(transactionOf(tr).Unsupported("fdb_transaction_get_estimated_range_size_bytes"))
}

//export fdb_transaction_get_range_split_points
func fdb_transaction_get_range_split_points(tr *C.FDBTransaction, begin *C.uint8_t, beginN C.int, end *C.uint8_t, endN C.int, chunk C.int64_t) *C.FDBFuture {
	return newFuture(transactionOf(tr).Unsupported("fdb_transaction_get_range_split_points"))
}

//export fdb_transaction_set
func fdb_transaction_set(tr *C.FDBTransaction, key *C.uint8_t, keyN C.int, value *C.uint8_t, valueN C.int) {
	transactionOf(tr).Set(goBytes(key, keyN), goBytes(value, valueN))
}

//export fdb_transaction_atomic_op
func fdb_transaction_atomic_op(tr *C.FDBTransaction, key *C.uint8_t, keyN C.int, param *C.uint8_t, paramN C.int, op C.FDBMutationType) {
	transactionOf(tr).Atomic(fdbsim.MutationType(op), goBytes(key, keyN), goBytes(param, paramN))
}

//export fdb_transaction_clear
func fdb_transaction_clear(tr *C.FDBTransaction, key *C.uint8_t, n C.int) {
	transactionOf(tr).Clear(goBytes(key, n))
}

//export fdb_transaction_clear_range
func fdb_transaction_clear_range(tr *C.FDBTransaction, begin *C.uint8_t, beginN C.int, end *C.uint8_t, endN C.int) {
	transactionOf(tr).ClearRange(goBytes(begin, beginN), goBytes(end, endN))
}

//export fdb_transaction_add_conflict_range
func fdb_transaction_add_conflict_range(tr *C.FDBTransaction, begin *C.uint8_t, beginN C.int, end *C.uint8_t, endN C.int, kind C.FDBConflictRangeType) C.fdb_error_t {
	t, b, e := transactionOf(tr), goBytes(begin, beginN), goBytes(end, endN)
	if kind == C.FDB_CONFLICT_RANGE_TYPE_READ {
		return C.fdb_error_t(t.AddReadConflict(b, e))
	}
	return C.fdb_error_t(t.AddWriteConflict(b, e))
}

//export fdb_transaction_watch
func fdb_transaction_watch(tr *C.FDBTransaction, key *C.uint8_t, n C.int) *C.FDBFuture {
	return newFuture(transactionOf(tr).Watch(goBytes(key, n)))
}

//export fdb_transaction_commit
func fdb_transaction_commit(tr *C.FDBTransaction) *C.FDBFuture {
	return newFuture(transactionOf(tr).Commit())
}

//export fdb_transaction_get_committed_version
func fdb_transaction_get_committed_version(tr *C.FDBTransaction, out *C.int64_t) C.fdb_error_t {
	*out = C.int64_t(transactionOf(tr).CommittedVersion())
	return 0
}

//export fdb_transaction_get_versionstamp
func fdb_transaction_get_versionstamp(tr *C.FDBTransaction) *C.FDBFuture {
	return newFuture(transactionOf(tr).Versionstamp())
}

//export fdb_transaction_get_approximate_size
func fdb_transaction_get_approximate_size(tr *C.FDBTransaction) *C.FDBFuture {
	return newFuture(transactionOf(tr).ApproximateSize())
}

//export fdb_transaction_on_error
func fdb_transaction_on_error(tr *C.FDBTransaction, code C.fdb_error_t) *C.FDBFuture {
	return newFuture(transactionOf(tr).OnError(fdbsim.Code(code)))
}
